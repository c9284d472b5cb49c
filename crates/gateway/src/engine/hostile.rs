//! The engine against a relay that sends anything, while apps of the VM go on: for the fuzzer, and
//! as a property test.
//!
//! What runs is the product: engine, stack, lane, session and decoder. The input says what apps
//! send and what the relay sends: sealed
//! frames with ids that the relay was given, sealed frames of any bytes, and bytes that are none.
//! Whatever comes of it, no relay
//! may stop the gateway, make it spin, fill its memory, or have an app hear what no host has said
//! to it. When the relay is
//! gone, all that it held is gone.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a relay and a book look at a few kinds of frames each"
)]

pub(super) mod packets;

use super::pretend::pipe::Pipe;
use super::pretend::{Flag, GATEWAY_MAC, Nic, VM_MAC, checksum, frame};
use super::{Engine, Parts};
use crate::dns::rebind::Filter;
use crate::lane::Lane;
use crate::limits::HELLO_PATIENCE;
use crate::link::Parcel;
use crate::network::{Network, NetworkReport, NetworkState, Wish};
use crate::relays::{self as processes, Relays, Request};
use crate::via::{Proxy, Via};
use packets::{answer, facts, ip, query, u24};
use stack::{
    AddressPlan, AppSocket, Capacity, Config, Filtering, HostAccess, Ipv6, Offload, Owners, Stack,
    Transport,
};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use wire::frame::VERSION;
use wire::limits::CONGESTED_CONTROL_BYTES;
use wire::{
    AnsweredBy, BindId, Capabilities, ConnectFailure, Decoder, Fault, FaultKind, FlowId, Frame,
    Hello, HostFacts, Marks, QueryFailure, RequestId, Sealer, UnbindReason,
};

const VM: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 18);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 17);
const SUBNET: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 16);

/// Apps with a TCP connection each; the last one's is to the gateway's DNS.
const APPS: u16 = 4;
/// The apps' ports begin here, and the ports of their servers there.
const APP_PORTS: u16 = 1000;
const SERVER_PORTS: u16 = 2000;
/// UDP sockets of apps, and those that ask for names.
const UDP_PORTS: u16 = 3000;
const ASKING_PORTS: u16 = 4000;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// What a pipe holds.
const PIPE: usize = 1 << 20;

/// Passes at one time without which everything comes to rest.
const MOST_PASSES: usize = 5000;

/// Deadlines of the gateway until all is over.
const MOST_DEADLINES: usize = 5000;

/// Until then a gateway that has no relay any more has forgotten all that its silent apps had.
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

/// Takes numbers off the front of the input; 0 where it has ended.
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

#[derive(Debug)]
struct OneUser;

impl Owners for OneUser {
    fn look_up(&mut self, _: Transport, _: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
        Some(AppSocket::Of(1000))
    }
}

/// An app's connection as its kernel has it.
#[derive(Clone, Copy, Default)]
struct Conn {
    seq: u32,
    ack: u32,
    /// Bytes that it has got, and that relays have sent on flows of its.
    got: u64,
    sent: u64,
    was_opened: bool,
}

/// All that apps and the relay have done, as far as it matters for what may reach an app.
#[derive(Default)]
struct Book {
    conns: [Conn; APPS as usize],
    /// Which app's a flow is, as far as the relay has heard of it.
    flows: HashMap<u32, u16>,
    /// Frames came for flows that the relay had not heard of: what apps get may be theirs.
    is_unsure: bool,
    /// Hosts that each UDP socket of an app has sent to.
    contacts: HashSet<(u16, IpAddr)>,
    questions: HashMap<u16, usize>,
    pings: usize,
    reached: Reached,
}

/// The relay's side.
struct Hostile {
    up: Pipe,
    down: Pipe,
    sealer: Sealer,
    decoder: Decoder,
    flows: Vec<u32>,
    binds: Vec<u32>,
    /// Questions with their messages, and echo requests.
    requests: Vec<(u32, Vec<u8>)>,
    is_deaf: bool,
}

struct World {
    now: Instant,
    engine: Engine<Nic>,
    requests: mpsc::Receiver<Request>,
    relay: Option<Hostile>,
    book: Book,
    flag: Arc<Flag>,
    /// Whether the gateway goes through a proxy, and ends where a relay cannot.
    by_proxy: bool,
    is_over: bool,
    /// Whether another relay starts where one has ended.
    restarts: bool,
    _network: mpsc::Sender<Parcel<NetworkReport>>,
    _wishes: watch::Receiver<Wish>,
}

impl World {
    fn new(first: u8, now: Instant) -> Self {
        let plan =
            AddressPlan { subnet: SUBNET, captured: Vec::new(), host_access: HostAccess::All };
        let config = Config {
            mtu: if first & 1 == 0 { 1500 } else { 65_520 },
            offload: Offload::None,
            addresses: plan.clone(),
            ipv6: Ipv6::Enabled,
            udp_filtering: Filtering::AddressDependent,
            gateway_mac: GATEWAY_MAC,
            vm_mac: VM_MAC,
            capacity: Capacity::default(),
            seed: u64::from(first),
        };
        let by_proxy = first & 2 != 0;
        let via = by_proxy.then(|| Via { proxy: Proxy::Windows, except: Vec::new() });
        let (supervisor, requests) = Relays::new();
        let lane = Lane::new(0, supervisor.clone(), supervisor.start(0), (1000, 1000));
        let (_, asks) = mpsc::channel(1);
        let (tell, states) = mpsc::channel(1);
        let (wish, wishes) = watch::channel(Wish::default());
        let state = NetworkState {
            up: true,
            plan: Some(plan.clone()),
            ipv6: true,
            ..NetworkState::default()
        };
        tell.try_send(NetworkReport::Ok(state).into()).expect("it has room for one");
        let mut stack = Stack::new(config, now);
        stack.set_owners(Box::new(OneUser));
        let tap = Nic { inbox: Default::default(), outbox: Vec::new(), offload: Offload::None };
        let parts = Parts {
            tap,
            stack,
            plan,
            lanes: vec![lane],
            asks,
            network: Network { states },
            wish,
            mtu: 1500,
            via,
            rebind: Filter::default(),
            sockets: None,
        };
        Self {
            now,
            engine: Engine::new(parts, now),
            requests,
            relay: None,
            book: Book::default(),
            flag: Arc::default(),
            by_proxy,
            is_over: false,
            restarts: true,
            _network: tell,
            _wishes: wishes,
        }
    }

    /// The engine goes on at this moment until it comes to rest.
    fn settle(&mut self) {
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut cx = Context::from_waker(&waker);
        let mut up = Some(|_: &crate::Status| ());
        for _ in 0..MOST_PASSES {
            if self.is_over {
                return;
            }
            self.flag.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(error) = self.engine.pass(self.now, &mut cx, &mut up) {
                assert!(self.by_proxy, "the gateway ended: {error}");
                self.is_over = true;
            }
            let mut moved = self.flag.0.load(Ordering::Relaxed);
            while let Ok(request) = self.requests.try_recv() {
                moved = true;
                self.serve(request);
            }
            for (frame, _) in std::mem::take(&mut self.engine.core.tap.outbox) {
                self.book.arrive(&frame[14..]);
            }
            moved |= self.relay.as_mut().is_some_and(|relay| relay.read(&mut self.book));
            if !moved {
                return self.judge();
            }
        }
        panic!("it spins");
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Start { answer, .. } if self.restarts => {
                let (up, down) = (Pipe::new(PIPE), Pipe::new(PIPE));
                let (input, output) = (Box::new(up.end()), Box::new(down.end()));
                let started = processes::Relay {
                    pid: 0,
                    patience: HELLO_PATIENCE,
                    input: Some(input),
                    output,
                };
                assert!(answer.send(Ok(started)).is_ok(), "the lane does not wait for its relay");
                self.relay = Some(Hostile::new(up, down));
            }
            Request::Start { answer, .. } => drop(answer.send(Err("there are no more".to_owned()))),
            Request::End { answer, .. } => {
                self.relay = None;
                self.book.reached.ended += 1;
                drop(answer.send(Some("it was ended".to_owned())));
            }
        }
    }

    /// What must be true whatever has come.
    fn judge(&mut self) {
        let core = &self.engine.core;
        let (questions, pings) = core.asked.count();
        assert!(
            core.flows.len() <= APPS.into() && core.dns.len() <= 1,
            "{} flows",
            core.flows.len()
        );
        assert!(
            questions <= self.book.questions.values().sum::<usize>() + 2000
                && pings <= self.book.pings
        );
        assert!(core.asked.own() <= 1, "{} questions of the gateway's own", core.asked.own());
        let session = self.engine.lanes.first().and_then(Lane::session);
        let waiting = session.map_or(0, wire::Session::waiting_bytes);
        assert!(
            waiting <= CONGESTED_CONTROL_BYTES + 64 * 1024,
            "{waiting} bytes wait for a relay that does not read"
        );
    }

    fn wait(&mut self, by: Duration) {
        self.now += by;
        self.settle();
    }

    /// The relay ends, and none comes after it.
    fn end(&mut self) {
        self.restarts = false;
        if let Some(relay) = &self.relay {
            relay.down.close();
        }
        let end = self.now + FORGOTTEN;
        for _ in 0..MOST_DEADLINES {
            self.settle();
            if self.is_over {
                return;
            }
            let next = self.engine.armed.max(self.now + Duration::from_millis(1));
            if next >= end {
                let core = &mut self.engine.core;
                let left = (core.flows.len(), core.dns.len(), core.asked.count(), core.asked.own());
                assert_eq!(
                    left,
                    (0, 0, (0, 0), 0),
                    "flows, DNS connections and questions are left"
                );
                let stats = core.stack.stats();
                assert_eq!(
                    (stats.flows, stats.half_open, stats.binds),
                    (0, 0, 0),
                    "the stack is not empty"
                );
                return;
            }
            self.now = next;
        }
        panic!("{MOST_DEADLINES} deadlines until all is over");
    }

    fn send(&self, packet: &[u8]) {
        self.engine.core.tap.inbox.borrow_mut().push_back(frame(packet));
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
            // What stands for a name, where the gateway goes through a proxy.
            (Ipv4Addr::new(198, 18, 0, input.byte() & 3), SERVER_PORTS + which)
        };
        let payload = if shape & 8 == 0 { input.piece() } else { &[] };
        let mut tcp = [(APP_PORTS + which).to_be_bytes(), port.to_be_bytes()].concat();
        tcp.extend([seq, ack].map(u32::to_be_bytes).concat());
        tcp.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(payload);
        self.send(&ip(to, TCP, &tcp));
    }

    fn datagram(&mut self, port: u16, to: SocketAddr, payload: &[u8]) {
        let IpAddr::V4(host) = to.ip() else { unreachable!("datagrams are sent over IPv4") };
        let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
        let mut udp = [port, to.port(), length, 0].map(u16::to_be_bytes).concat();
        udp.extend(payload);
        self.send(&ip(host, UDP, &udp));
    }

    fn app(&mut self, what: u8, input: &mut Input<'_>) {
        match what {
            0 | 1 => self.segment(input),
            2 => {
                let (port, host) =
                    (UDP_PORTS + u16::from(input.byte() & 3), [203, 0, 113, input.byte() & 3]);
                self.book.contacts.insert((port, host.into()));
                self.datagram(port, (host, 500).into(), input.piece());
            }
            3 => {
                let (port, kind) = (ASKING_PORTS + u16::from(input.byte() & 3), input.byte());
                *self.book.questions.entry(port).or_default() += 1;
                self.datagram(port, (GATEWAY, 53).into(), &query(kind));
            }
            _ => {
                self.book.pings += 1;
                let mut echo = vec![8, 0, 0, 0, 0, 7, 0, input.byte()];
                echo.extend(input.piece());
                let sum = checksum(&[&echo]).to_be_bytes();
                echo[2..4].copy_from_slice(&sum);
                self.send(&ip(Ipv4Addr::new(203, 0, 113, 10), ICMP, &echo));
            }
        }
    }

    fn relay(&mut self, what: u8, input: &mut Input<'_>) {
        let Some(relay) = &mut self.relay else { return };
        let times = if input.byte() == 0xff { 64 * usize::from(input.byte()) } else { 1 };
        let payload = input.piece();
        let bytes = match what {
            // Bytes that need not be frames, and may be sealed.
            0 => [&[input.byte()][..], &u24(payload.len()), &input.four().to_le_bytes(), payload]
                .concat(),
            1 => {
                relay.down.write(payload);
                return;
            }
            2 if payload.len() & 1 == 0 => return relay.down.close(),
            2 => {
                relay.is_deaf = !relay.is_deaf;
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
            let mut sealed = Vec::new();
            relay.sealer.append(&bytes, &mut sealed);
            relay.down.write(&sealed);
        }
    }
}

impl Hostile {
    fn new(up: Pipe, down: Pipe) -> Self {
        Self {
            up,
            down,
            sealer: Sealer::default(),
            decoder: Decoder::default(),
            flows: Vec::new(),
            binds: Vec::new(),
            requests: Vec::new(),
            is_deaf: false,
        }
    }

    /// Reads what the gateway has sent, and learns its ids.
    fn read(&mut self, book: &mut Book) -> bool {
        if self.is_deaf {
            return false;
        }
        let mut moved = false;
        loop {
            let taken = self.up.read(self.decoder.space());
            if taken == 0 {
                return moved;
            }
            moved = true;
            self.decoder.filled(taken);
            while let Some(frame) =
                self.decoder.next_frame().expect("what the gateway sends are frames")
            {
                match frame {
                    Frame::Open { flow, to, .. } => {
                        self.flows.push(flow.0);
                        book.flows.insert(flow.0, to.port().wrapping_sub(SERVER_PORTS));
                    }
                    Frame::Bind { bind, .. } => self.binds.push(bind.0),
                    Frame::Query { request, message } => {
                        self.requests.push((request.0, message.to_vec()))
                    }
                    Frame::Echo { request, payload, .. } => {
                        self.requests.push((request.0, payload.to_vec()))
                    }
                    Frame::AskFacts { request } => self.requests.push((request.0, Vec::new())),
                    _ => {}
                }
            }
        }
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
                capabilities: Capabilities(value >> 4 | if value & 1 == 0 { 0xff } else { 0 }),
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
    /// What a frame of the relay's allows apps to hear.
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
        assert_eq!(packet[16..20], VM.octets(), "a packet for somebody else");
        let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        assert_eq!(length, packet.len(), "another length than its header says");
        let from = IpAddr::from(*packet[12..].first_chunk::<4>().expect("it has a header"));
        if packet[6..8] != [0, 0] && packet[6] & 0x40 == 0 {
            // Fragments of datagrams larger than the MTU.
            return;
        }
        let message = &packet[20..];
        let two = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
        match packet[9] {
            TCP => self.take_segment(two(2).wrapping_sub(APP_PORTS), message),
            UDP if two(2) >= ASKING_PORTS => {
                assert_eq!(from, IpAddr::from(GATEWAY), "an answer from somewhere else");
                let asked = self.questions.entry(two(2)).or_default();
                *asked = asked.checked_sub(1).expect("an answer to nothing");
                self.reached.heard += 1;
            }
            UDP => {
                assert!(
                    self.contacts.contains(&(two(2), from)),
                    "a datagram of a stranger: {from} to {}",
                    two(2)
                );
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
        let four = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
        let data = tcp.len() - 4 * usize::from(tcp[12] >> 4);
        let (flags, is_dns) = (tcp[13], which == APPS - 1);
        let end = four(4)
            .wrapping_add(u32::try_from(data).expect("it fits into a packet"))
            .wrapping_add(u32::from(flags & 1));
        if flags & SYN != 0 {
            assert!(
                is_dns || conn.was_opened || self.is_unsure,
                "a SYN is answered, and no host has connected"
            );
            conn.ack = four(4).wrapping_add(1);
            self.reached.opened += 1;
        } else {
            let new = end.wrapping_sub(conn.ack);
            if data > 0 && new > 0 && new < 1 << 31 {
                conn.got += u64::from(new.min(u32::try_from(data).expect("it fits into a packet")));
                conn.ack = end;
                self.reached.heard += 1;
            } else if flags & 1 != 0 {
                conn.ack = end;
            }
        }
        if flags & ACK != 0 {
            conn.seq = four(8);
        }
        assert!(
            is_dns || self.is_unsure || conn.got <= conn.sent,
            "an app gets {} bytes of {}",
            conn.got,
            conn.sent
        );
    }
}

thread_local! {
    /// The engine's timer must belong to one.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("it needs nothing of the system");
}

/// Any bytes, read as what apps and a hostile relay do.
///
/// # Panics
/// Where the relay has done what it must not be able to do.
pub fn relay_frames(data: &[u8]) -> Reached {
    RUNTIME.with(|runtime| {
        let _time = runtime.enter();
        let mut input = Input(data);
        #[expect(clippy::disallowed_methods, reason = "a virtual clock must begin somewhere")]
        let mut world = World::new(input.byte(), Instant::now());
        world.settle();
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
                world.settle();
            }
        }
        world.end();
        world.book.reached
    })
}

#[cfg(test)]
mod tests;
