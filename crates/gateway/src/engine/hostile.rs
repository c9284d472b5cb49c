//! The engine against a relay that sends anything, while apps of the VM go on: for the fuzzer, and
//! as a property test.
//!
//! The test runs the product's own engine, stack, lane, session and decoder. The input says what
//! apps send and what the relay sends: sealed frames with ids that the relay was given, sealed
//! frames of any bytes, and bytes that do not form frames. For any input, the relay must not stop
//! the gateway, make it spin or fill its memory, and an app must receive only what a host has sent
//! to it. When the relay is gone, everything that it held is gone.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a relay and a book look at a few kinds of frames each"
)]

mod packets;

use super::EngineError;
use super::core::Open;
use super::pretend::packets::{
    ACK, FIN, GATEWAY, ICMP, SYN, TCP, UDP, VM, checksum, data_length, echo, four, ip, tcp, two,
    udp,
};
use super::pretend::relay::{FrameEnd, PIPE};
use super::pretend::world::{self, Gateway, Setup, World as _};
use crate::lane::Lane;
use crate::relays::Request;
use packets::{answer, facts, query, u24};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use wire::frame::VERSION;
use wire::limits::CONGESTED_CONTROL_BYTES;
use wire::{
    AnsweredBy, BindId, Capabilities, ConnectFailure, Fault, FaultKind, FlowId, Frame, Hello,
    Marks, QueryFailure, RequestId, UnbindReason,
};

/// Apps with one TCP connection each; the last one connects to the gateway's DNS.
const APPS: u16 = 4;
/// The first port of the apps, and the first one of their servers.
const APP_PORTS: u16 = 1000;
const SERVER_PORTS: u16 = 2000;
/// The first ports of UDP sockets, and of those that send queries.
const UDP_PORTS: u16 = 3000;
const ASKING_PORTS: u16 = 4000;

/// The most deadlines of the gateway until all is over.
const MOST_DEADLINES: usize = 5000;

/// After this time a gateway without a relay has forgotten everything of its silent apps.
const FORGOTTEN: Duration = Duration::from_secs(1100);

/// How far an input got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Connections of apps that stand.
    pub opened: usize,
    /// Bytes, datagrams, answers and replies that apps have got.
    pub heard: usize,
    /// Relays that the gateway has given up.
    pub ended: usize,
}

/// Takes numbers off the front of the input; 0 after its end.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    fn four(&mut self) -> u32 {
        u32::from(self.two()) << 16 | u32::from(self.two())
    }

    fn piece(&mut self) -> &'a [u8] {
        let most = usize::from(self.byte());
        let (piece, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        piece
    }
}

/// An app's connection, from its kernel's side.
#[derive(Clone, Copy, Default)]
struct Conn {
    seq: u32,
    ack: u32,
    /// Bytes that it has got, and bytes that relays have sent on its flows.
    got: u64,
    sent: u64,
    was_opened: bool,
}

/// The actions of apps and of the relay that decide what may reach an app.
#[derive(Default)]
struct Book {
    conns: [Conn; APPS as usize],
    /// The app of each flow, as far as the relay knows the flow.
    flows: HashMap<u32, u16>,
    /// Frames named flows that the relay did not know: apps may get their bytes.
    is_unsure: bool,
    /// Hosts that each UDP socket of an app has sent to.
    contacts: HashSet<(u16, IpAddr)>,
    questions: HashMap<u16, usize>,
    pings: usize,
    reached: Reached,
}

/// The relay's side.
struct Hostile {
    end: FrameEnd,
    flows: Vec<u32>,
    binds: Vec<u32>,
    /// Questions with their messages, and echo requests.
    requests: Vec<(u32, Vec<u8>)>,
}

struct World {
    gateway: Gateway,
    relay: Option<Hostile>,
    book: Book,
    /// Whether the gateway goes through a proxy, and ends where a relay cannot.
    by_proxy: bool,
    is_over: bool,
    /// Whether another relay starts where one has ended.
    restarts: bool,
}

impl world::World for World {
    const MOST_PASSES: usize = 5000;

    fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Start { answer, .. } if self.restarts => {
                self.relay = Some(Hostile::new(FrameEnd::new(world::start(answer, PIPE))));
            }
            Request::Start { answer, .. } => drop(answer.send(Err("there are no more".to_owned()))),
            // There is no link: the relay's frames come by its standard stream.
            Request::Link { .. } => {}
            Request::End { answer, .. } => {
                self.relay = None;
                self.book.reached.ended += 1;
                drop(answer.send(Some("it was ended".to_owned())));
            }
        }
    }

    fn step(&mut self) -> bool {
        for (frame, _) in self.gateway.engine.core.tap().take() {
            self.book.arrive(&frame[14..]);
        }
        self.relay.as_mut().is_some_and(|relay| relay.read(&mut self.book))
    }

    fn end(&mut self, error: EngineError) {
        assert!(self.by_proxy, "the gateway ended: {error}");
        self.is_over = true;
    }
}

impl World {
    fn new(first: u8, now: Instant) -> Self {
        let by_proxy = first & 2 != 0;
        let mtu = if first & 1 == 0 { 1500 } else { 65_520 };
        let setup = Setup { mtu, by_proxy, seed: u64::from(first), ..Setup::default() };
        Self {
            gateway: Gateway::new(setup, now),
            relay: None,
            book: Book::default(),
            by_proxy,
            is_over: false,
            restarts: true,
        }
    }

    /// Everything goes on at this moment until it comes to rest, and is judged.
    fn rest(&mut self) {
        if !self.is_over {
            self.settle();
        }
        if !self.is_over {
            self.judge();
        }
    }

    /// Checks the conditions that hold for every input.
    fn judge(&mut self) {
        let open = self.gateway.engine.core.open();
        assert!(open.flows <= APPS.into() && open.dns_connections <= 1, "{open:?}");
        let asked = self.book.questions.values().sum::<usize>();
        assert!(open.questions <= asked + 2000 && open.pings <= self.book.pings, "{open:?}");
        assert!(open.own_questions <= 1, "{open:?}");
        let session = self.gateway.engine.lanes.first().and_then(Lane::session);
        let waiting = session.map_or(0, wire::Session::waiting_bytes);
        assert!(
            waiting <= CONGESTED_CONTROL_BYTES + 64 * 1024,
            "{waiting} bytes wait for a relay that does not read"
        );
    }

    fn wait(&mut self, by: Duration) {
        self.gateway.now += by;
        self.rest();
    }

    /// The relay ends, and no other comes after it.
    fn finish(&mut self) {
        self.restarts = false;
        if let Some(relay) = &self.relay {
            relay.end.down.close();
        }
        let end = self.gateway.now + FORGOTTEN;
        for _ in 0..MOST_DEADLINES {
            self.rest();
            if self.is_over {
                return;
            }
            let next = self.gateway.engine.armed.max(self.gateway.now + Duration::from_millis(1));
            if next >= end {
                assert_eq!(self.gateway.engine.core.open(), Open::default(), "something is left");
                return;
            }
            self.gateway.now = next;
        }
        panic!("{MOST_DEADLINES} deadlines until all is over");
    }

    /// A segment of an app's connection, in its place more often than not.
    fn segment(&mut self, input: &mut Input<'_>) {
        let (which, flags, shape) = (u16::from(input.byte()) % APPS, input.byte(), input.byte());
        let conn = &mut self.book.conns[usize::from(which)];
        let off = if shape & 3 == 3 { input.four() } else { 0 };
        let (seq, ack) = (conn.seq.wrapping_add(off), conn.ack);
        let (to, port) = if which == APPS - 1 {
            (GATEWAY, 53)
        } else if shape & 4 == 0 {
            (Ipv4Addr::new(203, 0, 113, 10), SERVER_PORTS + which)
        } else {
            // A stand-in, if the gateway goes through a proxy.
            (Ipv4Addr::new(198, 18, 0, input.byte() & 3), SERVER_PORTS + which)
        };
        let payload = if shape & 8 == 0 { input.piece() } else { &[] };
        self.gateway.put(&tcp(APP_PORTS + which, (to, port), (seq, ack), flags, payload));
    }

    fn app(&mut self, what: u8, input: &mut Input<'_>) {
        match what {
            0 | 1 => self.segment(input),
            2 => {
                let port = UDP_PORTS + u16::from(input.byte() & 3);
                let host = Ipv4Addr::new(203, 0, 113, input.byte() & 3);
                self.book.contacts.insert((port, host.into()));
                self.gateway.put(&udp(port, (host, 500), input.piece()));
            }
            3 => {
                let (port, kind) = (ASKING_PORTS + u16::from(input.byte() & 3), input.byte());
                *self.book.questions.entry(port).or_default() += 1;
                self.gateway.put(&udp(port, (GATEWAY, 53), &query(kind)));
            }
            _ => {
                self.book.pings += 1;
                let body = [&[0, 7, 0, input.byte()][..], input.piece()].concat();
                let host = Ipv4Addr::new(203, 0, 113, 10);
                self.gateway.put(&ip(host, ICMP, &echo(&body)));
            }
        }
    }

    fn relay(&mut self, what: u8, input: &mut Input<'_>) {
        let Some(relay) = &mut self.relay else { return };
        let times = if input.byte() == 0xff { 64 * usize::from(input.byte()) } else { 1 };
        let payload = input.piece();
        let bytes = match what {
            // Any bytes, with a seal.
            0 => [&[input.byte()][..], &u24(payload.len()), &input.four().to_le_bytes(), payload]
                .concat(),
            1 => {
                relay.end.down.write(payload);
                return;
            }
            2 if payload.len() & 1 == 0 => return relay.end.down.close(),
            2 => {
                relay.end.is_deaf = !relay.end.is_deaf;
                return;
            }
            _ => {
                let mut bytes = Vec::new();
                relay.put_frame(what, payload, input, &mut bytes);
                bytes
            }
        };
        for _ in 0..times {
            self.book.relay_sends(&bytes);
            relay.end.send(&bytes);
        }
    }
}

impl Hostile {
    fn new(end: FrameEnd) -> Self {
        Self { end, flows: Vec::new(), binds: Vec::new(), requests: Vec::new() }
    }

    /// Reads what the gateway has sent, and learns its ids.
    fn read(&mut self, book: &mut Book) -> bool {
        self.end.read(|frame| match frame {
            Frame::Open { flow, to, .. } => {
                self.flows.push(flow.0);
                book.flows.insert(flow.0, to.port().wrapping_sub(SERVER_PORTS));
            }
            Frame::Bind { bind, .. } => self.binds.push(bind.0),
            Frame::Query { request, message } => self.requests.push((request.0, message.to_vec())),
            Frame::Echo { request, payload, .. } => {
                self.requests.push((request.0, payload.to_vec()));
            }
            Frame::AskFacts { request } => self.requests.push((request.0, Vec::new())),
            _ => {}
        })
    }

    /// Appends a frame with ids that the relay was given, if it was given some.
    fn put_frame(&mut self, what: u8, payload: &[u8], input: &mut Input<'_>, out: &mut Vec<u8>) {
        let (nth, value) = (usize::from(input.byte()), input.four());
        let of = |ids: &[u32]| ids.get(nth % ids.len().max(1)).copied().unwrap_or(value);
        let (flow, bind) = (FlowId(of(&self.flows)), BindId(of(&self.binds)));
        let (request, asked) = match self.requests.get(nth % self.requests.len().max(1)) {
            Some((request, asked)) => (RequestId(*request), asked.clone()),
            None => (RequestId(value), Vec::new()),
        };
        let peer = SocketAddr::from(([203, 0, 113, value as u8 & 3], 500));
        let kinds = [
            FaultKind::NetworkUnreachable,
            FaultKind::PortUnreachable,
            FaultKind::TimeExceeded,
            FaultKind::PacketTooBig { mtu: value },
        ];
        let router = (value & 16 != 0).then(|| IpAddr::from([192, 0, 2, 1]));
        let fault = Fault { kind: kinds[value as usize & 3], router };
        let message =
            if what == 14 || what == 15 { facts(payload, value) } else { answer(&asked, payload) };
        let frame = match what {
            3 => Frame::Hello(Hello {
                version: if value & 15 == 15 { value as u16 } else { VERSION },
                capabilities: Capabilities::from_bits_retain(
                    value >> 4 | if value & 1 == 0 { 0xff } else { 0 },
                ),
                max_flows: if nth & 1 == 0 { u32::MAX } else { 2 },
                max_binds: if nth & 2 == 0 { u32::MAX } else { 2 },
                build: String::from_utf8_lossy(&payload[..payload.len().min(40)]).into_owned(),
            }),
            4 | 5 => Frame::Opened { flow, window: if value & 1 == 0 { 65_536 } else { value } },
            6 | 7 => Frame::Data { flow, bytes: payload },
            8 => match value & 7 {
                0 | 1 => Frame::Fin { flow },
                2 => Frame::Reset { flow },
                3 => Frame::Failed { flow, reason: ConnectFailure::Reported(fault), os_code: 1 },
                4 => Frame::Failed { flow, reason: ConnectFailure::Refused, os_code: 1 },
                _ => Frame::Credit { flow, bytes: value >> 3 },
            },
            9 | 10 => Frame::Answer { request, by: AnsweredBy::Servers, message: &message },
            11 => match value & 3 {
                0 => Frame::NoAnswer { request, reason: QueryFailure::TimedOut },
                1 => Frame::EchoReply { request, ttl: 9, payload },
                2 => Frame::EchoError { request, fault },
                _ => Frame::NoAnswer { request, reason: QueryFailure::Refused },
            },
            12 => Frame::Datagram { bind, peer, marks: Marks::of_ttl(9), bytes: payload },
            13 => match value & 3 {
                0 => Frame::PeerError { bind, peer, fault },
                1 => Frame::Unbind { bind, reason: UnbindReason::Broken },
                2 => Frame::Changed,
                _ => Frame::Ping { nonce: value.into() },
            },
            _ => match value & 3 {
                0 => Frame::Facts { request, json: &message },
                1 => Frame::Facts { request, json: payload },
                2 => Frame::ViaTrouble { words: std::str::from_utf8(payload).unwrap_or("broken") },
                _ => Frame::Pong { nonce: value.into() },
            },
        };
        frame.encode(out);
    }
}

impl Book {
    /// Notes what a frame of the relay allows apps to get.
    fn relay_sends(&mut self, bytes: &[u8]) {
        let Ok(Some((frame, _))) = Frame::parse(bytes) else { return };
        let flow = match &frame {
            Frame::Opened { flow, .. } | Frame::Data { flow, .. } => flow,
            _ => return,
        };
        match self.flows.get(&flow.0).and_then(|app| self.conns.get_mut(usize::from(*app))) {
            Some(conn) => match frame {
                Frame::Data { bytes, .. } => conn.sent += bytes.len() as u64,
                _ => conn.was_opened = true,
            },
            None => self.is_unsure = true,
        }
    }

    /// A packet for the apps.
    fn arrive(&mut self, packet: &[u8]) {
        if packet[0] >> 4 == 6 {
            return;
        }
        assert_eq!(checksum(&[&packet[..20]]), 0, "a wrong checksum in an IP header");
        assert_eq!(packet[16..20], VM.octets(), "a packet for another address");
        assert_eq!(usize::from(two(packet, 2)), packet.len(), "its header says another length");
        let from = IpAddr::from(*packet[12..].first_chunk::<4>().expect("it has a header"));
        if packet[6..8] != [0, 0] && packet[6] & 0x40 == 0 {
            // Fragments of datagrams larger than the MTU.
            return;
        }
        let message = &packet[20..];
        let port = || two(message, 2);
        match packet[9] {
            TCP => self.take_segment(port().wrapping_sub(APP_PORTS), message),
            UDP if port() >= ASKING_PORTS => {
                assert_eq!(from, IpAddr::from(GATEWAY), "an answer from somewhere else");
                let asked = self.questions.entry(port()).or_default();
                *asked = asked.checked_sub(1).expect("an answer to nothing");
                self.reached.heard += 1;
            }
            UDP => {
                let is_known = self.contacts.contains(&(port(), from));
                assert!(is_known, "a datagram of a stranger: {from} to {}", port());
                self.reached.heard += 1;
            }
            ICMP if message[0] == 0 => {
                self.pings = self.pings.checked_sub(1).expect("a reply to nothing");
                self.reached.heard += 1;
            }
            ICMP => assert_eq!(
                message[8 + 12..8 + 16],
                VM.octets(),
                "an error about a packet that is not the VM's"
            ),
            other => panic!("protocol {other}"),
        }
    }

    fn take_segment(&mut self, which: u16, tcp: &[u8]) {
        let Some(conn) = self.conns.get_mut(usize::from(which)) else {
            panic!("a segment for no app: {which}")
        };
        let data = u32::try_from(data_length(tcp)).expect("it fits into a packet");
        let (flags, is_dns) = (tcp[13], which == APPS - 1);
        let end = four(tcp, 4).wrapping_add(data).wrapping_add(u32::from(flags & FIN));
        if flags & SYN != 0 {
            assert!(
                is_dns || conn.was_opened || self.is_unsure,
                "a SYN is answered, and no host has connected"
            );
            conn.ack = four(tcp, 4).wrapping_add(1);
            self.reached.opened += 1;
        } else {
            let new = end.wrapping_sub(conn.ack);
            if data > 0 && new > 0 && new < 1 << 31 {
                conn.got += u64::from(new.min(data));
                conn.ack = end;
                self.reached.heard += 1;
            } else if flags & FIN != 0 {
                conn.ack = end;
            }
        }
        if flags & ACK != 0 {
            conn.seq = four(tcp, 8);
        }
        assert!(
            is_dns || self.is_unsure || conn.got <= conn.sent,
            "an app gets {} bytes of {}",
            conn.got,
            conn.sent
        );
    }
}

/// Runs any bytes, read as actions of apps and of a hostile relay.
///
/// # Panics
/// If the relay has done something that it must not be able to do.
pub fn relay_frames(data: &[u8]) -> Reached {
    let mut input = Input(data);
    let mut world = World::new(input.byte(), super::now());
    world.rest();
    for _ in 0..300 {
        if input.0.is_empty() || world.is_over {
            break;
        }
        let op = input.byte();
        match op % 24 {
            what @ 0..=4 => world.app(what, &mut input),
            5 => world.wait(Duration::from_millis(input.two().into())),
            6 => world.wait(Duration::from_secs(u64::from(input.byte() & 15))),
            7 => continue,
            what => world.relay(what - 8, &mut input),
        }
        if op < 240 {
            world.rest();
        }
    }
    world.finish();
    world.book.reached
}

#[cfg(test)]
mod tests;
