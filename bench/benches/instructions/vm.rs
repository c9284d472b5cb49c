//! A stack between a VM and a relay, both by hand: prepared frames go in, the stack's frames are
//! counted and dropped, and the relay answers at once. It gives the stack turns like the gateway's
//! loop.

use crate::frames::{self, ACK, GATEWAY_MAC, IP, SYN, TCP, VM_MAC};
use stack::{
    AddressPlan, Capacity, Config, Event, Filtering, FlowId, HostAccess, Ipv6, Offload, RxMeta,
    Stack, Transmit, TxMeta,
};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// The product's own MTU.
pub(crate) const MTU: usize = 65_520;

/// Takes frames like the TAP, and keeps the numbers that an app's ACK needs.
#[derive(Default)]
pub(crate) struct Out {
    pub(crate) frames: usize,
    /// TCP payload.
    pub(crate) data: usize,
    /// The sequence number after each segment that carried anything.
    pub(crate) ends: Vec<u32>,
}

impl Transmit for Out {
    fn transmit(&mut self, frame: &[u8], _: TxMeta) {
        self.frames += 1;
        if frame.len() < TCP + 20 || frame[IP + 9] != 6 {
            return;
        }
        let data = frame.len() - TCP - 4 * usize::from(frame[TCP + 12] >> 4);
        let flags = frame[TCP + 13];
        let length = data + usize::from(flags & 1) + usize::from(flags >> 1 & 1);
        if length > 0 {
            let seq = u32::from_be_bytes([
                frame[TCP + 4],
                frame[TCP + 5],
                frame[TCP + 6],
                frame[TCP + 7],
            ]);
            self.data += data;
            self.ends.push(seq.wrapping_add(u32::try_from(length).unwrap_or(0)));
        }
    }
}

/// The stack and its surroundings.
pub(crate) struct Vm {
    pub(crate) stack: Stack,
    pub(crate) out: Out,
    pub(crate) events: Vec<Event>,
    now: Instant,
    meta: RxMeta,
    syn: Vec<u8>,
    ack: Vec<u8>,
}

/// One of its connections.
pub(crate) struct Conn {
    pub(crate) port: u16,
    pub(crate) flow: FlowId,
    /// The app's next sequence number, and the stack's.
    pub(crate) seq: u32,
    pub(crate) ack: u32,
}

impl Vm {
    pub(crate) fn new(offload: Offload, mtu: usize) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do; it is compared with no other"
        )]
        let now = Instant::now();
        let addresses = AddressPlan {
            subnet: Ipv4Addr::new(10, 99, 0, 16),
            captured: Vec::new(),
            host_access: HostAccess::All,
        };
        let config = Config {
            mtu,
            offload,
            addresses,
            ipv6: Ipv6::Enabled,
            udp_filtering: Filtering::default(),
            gateway_mac: GATEWAY_MAC,
            vm_mac: VM_MAC,
            capacity: Capacity::default(),
            seed: 7,
        };
        let meta = match offload {
            Offload::Vnet | Offload::Datagrams => RxMeta::ChecksumTrusted,
            Offload::None => RxMeta::Unverified,
        };
        Self {
            stack: Stack::new(config, now),
            out: Out::default(),
            events: Vec::new(),
            now,
            meta,
            syn: frames::tcp(SYN, &[]),
            ack: frames::tcp(ACK, &[]),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// One frame from the VM.
    pub(crate) fn feed(&mut self, frame: &[u8]) {
        self.stack.ingest(self.now, frame, self.meta, &mut self.out);
    }

    /// One segment from the VM, with its numbers.
    pub(crate) fn say(&mut self, segment: &mut [u8], port: u16, numbers: (u32, u32)) {
        frames::place(segment, port, numbers);
        self.feed(segment);
    }

    /// Acknowledges the stack's data up to `end`.
    pub(crate) fn acknowledge(&mut self, port: u16, seq: u32, end: u32) {
        let mut ack = std::mem::take(&mut self.ack);
        self.say(&mut ack, port, (seq, end));
        self.ack = ack;
    }

    /// The gateway's work after a batch, a little later. The events are in [`Vm::events`].
    pub(crate) fn turn(&mut self) {
        self.now += Duration::from_micros(50);
        if self.stack.next_deadline().is_some_and(|at| at <= self.now) {
            self.stack.handle_timeout(self.now, &mut self.out);
        }
        self.events.clear();
        loop {
            if self.stack.wants_service() {
                self.stack.service(self.now, &mut self.out);
            }
            match self.stack.poll_event() {
                Some(event) => self.events.push(event),
                None if self.stack.wants_service() => {}
                None => return,
            }
        }
    }

    /// Opens a connection on both sides.
    pub(crate) fn open(&mut self, port: u16) -> Conn {
        let seq = 1000;
        let mut syn = std::mem::take(&mut self.syn);
        self.say(&mut syn, port, (seq, 0));
        self.syn = syn;
        self.turn();
        let [Event::Connect { flow, .. }] = self.events[..] else {
            panic!("no Connect: {:?}", self.events)
        };
        self.stack.accept(self.now, flow, &mut self.out);
        self.turn();
        let ack = self.end();
        let seq = seq + 1;
        self.acknowledge(port, seq, ack);
        self.turn();
        Conn { port, flow, seq, ack }
    }

    /// Lets time pass until only the probes of idle connections are due, which come after minutes.
    pub(crate) fn rest(&mut self) {
        const SOON: Duration = Duration::from_secs(60);
        while let Some(at) = self.stack.next_deadline().filter(|at| *at < self.now + SOON) {
            self.now = self.now.max(at);
            self.turn();
        }
    }

    /// The sequence number after everything that the stack has sent.
    pub(crate) fn end(&mut self) -> u32 {
        let end = self.out.ends.last().copied();
        self.out.ends.clear();
        end.unwrap_or_else(|| panic!("the stack sent nothing"))
    }
}
