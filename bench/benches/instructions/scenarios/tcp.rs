//! TCP through the stack.

use crate::frames::{self, ACK, FIN};
use crate::scenario::{Scenario, Work};
use crate::vm::{Conn, MTU, Vm};
use stack::{Event, Offload};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "tcp_upload",
        unit: "64 KiB segment",
        units: 1,
        calls: 500,
        set_up: || upload(Offload::Vnet, MTU),
    },
    Scenario {
        name: "tcp_upload_plain",
        unit: "1,460 bytes",
        units: 1,
        calls: 2000,
        set_up: || upload(Offload::None, ETHERNET),
    },
    Scenario {
        name: "tcp_download",
        unit: "64 KiB",
        units: 4,
        calls: 125,
        set_up: || download(Offload::Vnet, MTU),
    },
    Scenario {
        name: "tcp_download_plain",
        unit: "64 KiB",
        units: 4,
        calls: 25,
        set_up: || download(Offload::None, ETHERNET),
    },
    Scenario {
        name: "tcp_connection",
        unit: "connection",
        units: 1,
        calls: 300,
        set_up: connection,
    },
    Scenario {
        name: "tcp_packet_1_flow",
        unit: "packet",
        units: 1,
        calls: 3000,
        set_up: || packet(1),
    },
    Scenario {
        name: "tcp_packet_1000_flows",
        unit: "packet",
        units: 1,
        calls: 3000,
        set_up: || packet(1000),
    },
    Scenario {
        name: "tcp_packet_10000_flows",
        unit: "packet",
        units: 1,
        calls: 3000,
        set_up: || packet(10_000),
    },
];

/// The MTU of the scenarios without offload, which are `plain`.
const ETHERNET: usize = 1500;

/// The bytes that the relay gives at once.
const TURN: usize = 64 * 1024;

/// Reads everything from the app into a buffer for the pipe.
fn read(vm: &mut Vm, conn: &Conn, expected: usize, pipe: &mut Vec<u8>) {
    pipe.clear();
    let read = vm.stack.read(conn.flow, usize::MAX, |bytes| pipe.extend_from_slice(bytes));
    assert_eq!(read, expected);
}

/// Segments in the app's stream, each answered and read before the next.
fn segments(mut vm: Vm, mut conn: Conn, bytes: usize) -> Work {
    let mut segment = frames::tcp(ACK, &vec![7; bytes]);
    let mut pipe = Vec::new();
    Box::new(move || {
        vm.say(&mut segment, conn.port, (conn.seq, conn.ack));
        conn.seq = conn.seq.wrapping_add(u32::try_from(bytes).unwrap_or(0));
        vm.turn();
        read(&mut vm, &conn, bytes, &mut pipe);
    })
}

/// Segments as large as the MTU allows. Without offload the stack verifies each checksum.
fn upload(offload: Offload, mtu: usize) -> Work {
    let mut vm = Vm::new(offload, mtu);
    let conn = vm.open(10_000);
    segments(vm, conn, mtu - 40)
}

/// Writes four full turns of the relay at once, as a pipe gives them; the app acknowledges each
/// frame.
fn download(offload: Offload, mtu: usize) -> Work {
    let mut vm = Vm::new(offload, mtu);
    let conn = vm.open(10_000);
    let bytes = vec![7; TURN];
    Box::new(move || {
        let mut written = 0;
        for _ in 0..4 {
            written += vm.stack.write(conn.flow, &bytes);
        }
        assert_eq!(written, 4 * TURN);
        vm.out.data = 0;
        vm.turn();
        while vm.out.data < written || !vm.out.ends.is_empty() {
            for end in std::mem::take(&mut vm.out.ends) {
                vm.acknowledge(conn.port, conn.seq, end);
            }
            vm.turn();
        }
        assert_eq!((vm.out.data, vm.stack.unsent(conn.flow)), (written, 0));
    })
}

/// From SYN to the last ACK, and a byte each way.
fn connection() -> Work {
    let mut vm = Vm::new(Offload::Vnet, MTU);
    let (mut port, mut last, mut pipe) = (10_000, frames::tcp(ACK | FIN, &[7]), Vec::new());
    Box::new(move || {
        port += 1;
        let conn = vm.open(port);
        let Conn { flow, seq, ack, .. } = conn;
        vm.say(&mut last, port, (seq, ack));
        vm.turn();
        read(&mut vm, &conn, 1, &mut pipe);
        assert!(vm.stack.read_finished(flow));
        vm.stack.write(flow, &[7]);
        vm.stack.finish(flow);
        vm.turn();
        let end = vm.end();
        vm.acknowledge(port, seq + 2, end);
        vm.turn();
        assert!(matches!(vm.events[..], [Event::Flow { .. }]), "{:?}", vm.events);
        assert_eq!(vm.stack.stats().flows, 0);
    })
}

/// A small packet of one connection while others idle.
fn packet(flows: u16) -> Work {
    let mut vm = Vm::new(Offload::Vnet, MTU);
    // The first one: its ring is as large whatever comes after it.
    let conn = vm.open(10_000);
    for port in 1..flows {
        vm.open(10_000 + port);
    }
    vm.rest();
    segments(vm, conn, 100)
}
