//! The cost of an idle flow in the relay: memory depends on the bytes in flight, not on the number
//! of flows. On loopback; no lab needed.

use crate::relay::Relay;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;
use wire::{FlowId, Frame};

/// Enough that the cost of each stands out from the program's own.
const FLOWS: u32 = 1500;

/// The promise: user memory of an idle flow, in bytes.
const BYTES_A_FLOW: usize = 2048;

/// One-time costs, whatever the number of flows: a larger staging buffer, tables that grow by
/// doubling.
const ONCE: usize = 512 * 1024;

fn anonymous_memory(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn an_idle_flow_costs_little_also_when_it_was_busy() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let mut relay = Relay::spawn(Command::new(env!("CARGO_BIN_EXE_underpass-relay")));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let mut servers = Vec::new();
    let mut before = 0;
    for id in 0..=FLOWS {
        let flow = FlowId(id);
        relay.send(&Frame::Open { flow, to, window: 65_536, hops: None, name: None });
        while !relay.next_frame().starts_with("Opened") {}
        let mut server = listener.accept().unwrap().0;
        relay.send(&Frame::Data { flow, bytes: &[7; 16_384] });
        server.read_exact(&mut [0; 16_384]).unwrap();
        servers.push(server);
        if id == 0 {
            before = anonymous_memory(relay.pid());
        }
    }
    let grown = anonymous_memory(relay.pid()).saturating_sub(before);
    let allowed = FLOWS as usize * BYTES_A_FLOW + ONCE;
    assert!(grown <= allowed, "{FLOWS} idle flows cost {grown} bytes, more than {allowed}");
}
