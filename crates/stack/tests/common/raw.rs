//! An app by hand: the test writes every segment and reads every answer.

use super::{Sink, config, frame, start};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use underpass_stack::*;

pub const FIN: u8 = 1;
pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const ACK: u8 = 16;
pub const URG: u8 = 32;

/// A segment that the stack sent.
#[derive(Clone, Debug)]
pub struct Seen {
    pub port: u16,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub data: Vec<u8>,
    pub meta: TxMeta,
}

pub struct Raw {
    pub now: Instant,
    pub stack: Stack,
    pub sink: Sink,
    pub events: Vec<Event>,
}

/// One connection of it.
#[derive(Clone, Copy, Debug)]
pub struct Conn {
    pub port: u16,
    pub flow: FlowId,
    /// The app's next sequence number, and the stack's.
    pub seq: u32,
    pub ack: u32,
}

pub const SYN_OPTIONS: [u8; 12] = [2, 4, 5, 0x78, 1, 3, 3, 7, 1, 1, 4, 2];

/// A segment from the app's `port` to 93.184.216.34:80.
pub fn segment(port: u16, seq: u32, ack: u32, flags: u8, options: &[u8], data: &[u8]) -> Vec<u8> {
    let mut header = etherparse::TcpHeader::new(port, 80, seq, 0xffff);
    header.acknowledgment_number = ack;
    header.fin = flags & FIN != 0;
    header.syn = flags & SYN != 0;
    header.rst = flags & RST != 0;
    header.ack = flags & ACK != 0;
    header.urg = flags & URG != 0;
    header.urgent_pointer = 1;
    header.set_options_raw(options).unwrap();
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ipv4([10, 99, 0, 18], Ipv4Addr::new(93, 184, 216, 34).octets(), 64)
        .tcp_header(header)
        .write(&mut packet, data)
        .unwrap();
    packet
}

impl Raw {
    pub fn new(offload: Offload) -> Self {
        Self::with(config(offload, 1500))
    }

    pub fn with(config: Config) -> Self {
        let now = start();
        Self { now, stack: Stack::new(config, now), sink: Sink::default(), events: Vec::new() }
    }

    pub fn feed(&mut self, packet: &[u8]) {
        self.stack.ingest(self.now, &frame(packet), RxMeta::Unverified, &mut self.sink);
    }

    /// The stack's turn. Returns the segments sent since the last one.
    pub fn turn(&mut self) -> Vec<Seen> {
        self.stack.service(self.now, &mut self.sink);
        self.events.extend(std::iter::from_fn(|| self.stack.poll_event()));
        std::mem::take(&mut self.sink.0)
            .iter()
            .filter_map(|(frame, meta)| Self::seen(&frame[14..], *meta))
            .collect()
    }

    fn seen(packet: &[u8], meta: TxMeta) -> Option<Seen> {
        if packet[0] != 0x45 || packet[9] != 6 {
            return None;
        }
        let tcp = &packet[20..];
        let four = |at: usize| u32::from_be_bytes(tcp[at..at + 4].try_into().unwrap());
        let two = |at: usize| u16::from_be_bytes(tcp[at..at + 2].try_into().unwrap());
        let data = tcp[4 * usize::from(tcp[12] >> 4)..].to_vec();
        Some(Seen {
            port: two(2),
            seq: four(4),
            ack: four(8),
            flags: tcp[13],
            window: two(14),
            data,
            meta,
        })
    }

    pub fn wait(&mut self, by: Duration) {
        self.now += by;
        self.stack.handle_timeout(self.now, &mut self.sink);
        assert!(
            self.stack.next_deadline().is_none_or(|at| at > self.now),
            "a deadline in the past: it spins"
        );
    }

    pub fn syn(&mut self, port: u16, seq: u32) -> Vec<Seen> {
        self.feed(&segment(port, seq, 0, SYN, &SYN_OPTIONS, &[]));
        self.turn()
    }

    /// The flow of the last Connect.
    pub fn connecting(&mut self) -> FlowId {
        let found = self.events.iter().rposition(|e| matches!(e, Event::Connect { .. }));
        match found.map(|at| self.events.remove(at)) {
            Some(Event::Connect { flow, .. }) => flow,
            _ => panic!("no Connect: {:?}", self.events),
        }
    }

    /// SYN and SYN-ACK. The app has not answered the latter.
    pub fn half(&mut self, port: u16, seq: u32) -> Conn {
        assert!(self.syn(port, seq).is_empty());
        let flow = self.connecting();
        self.stack.accept(self.now, flow, &mut self.sink);
        let seen = self.turn();
        assert_eq!(
            (seen.len(), seen[0].flags, seen[0].ack),
            (1, SYN | ACK, seq.wrapping_add(1)),
            "{seen:?}"
        );
        Conn { port, flow, seq: seq.wrapping_add(1), ack: seen[0].seq.wrapping_add(1) }
    }

    pub fn open(&mut self, port: u16, seq: u32) -> Conn {
        let mut conn = self.half(port, seq);
        assert!(self.say(&mut conn, ACK, &[]).is_empty());
        conn
    }

    /// Sends a segment with the next numbers.
    pub fn say(&mut self, conn: &mut Conn, flags: u8, data: &[u8]) -> Vec<Seen> {
        self.feed(&segment(conn.port, conn.seq, conn.ack, flags, &[], data));
        let length = u32::try_from(data.len()).unwrap() + u32::from(flags & FIN != 0);
        conn.seq = conn.seq.wrapping_add(length);
        self.turn()
    }

    /// Reads everything that can be read.
    pub fn read(&mut self, conn: &Conn) -> Vec<u8> {
        let mut got = Vec::new();
        self.stack.read(conn.flow, usize::MAX, |bytes| got.extend_from_slice(bytes));
        got
    }

    pub fn saw(&self, conn: &Conn, what: Changes) -> bool {
        self.events.iter().any(|event| {
            let Event::Flow { flow, changes } = event else { return false };
            *flow == conn.flow && changes.contains(what)
        })
    }
}
