//! The engine between apps that send single packets and relays that send single frames: for cases
//! that a random program of `model` hardly ever hits, and for the status.

mod dns;
mod shell;

use super::pretend::packets::{
    ACK, FIN, GATEWAY, ICMP, SYN, TCP, UDP, data_length, echo, four, ip, tcp, two, udp,
};
use super::pretend::relay::{FrameEnd, PIPE};
use super::pretend::world::{self, Gateway, Setup, World as _, network_state};
use crate::network::{NetworkState, Wish};
use crate::relays::Request;
use crate::status::Status;
use stack::{AppSocket, Owners, Transport};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use wire::frame::VERSION;
use wire::{BindId, Capabilities, FlowId, Frame, Hello, HostFacts, RequestId};

const RST: u8 = 4;

/// An app's port names its user: 10,000 to 10,999 are user 10's.
#[derive(Debug)]
struct ByPort;

impl Owners for ByPort {
    fn look_up(&mut self, _: Transport, app: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
        Some(AppSocket::Of(u32::from(app.port()) / 1000))
    }
}

/// A TCP connection, from its app's kernel's side.
struct App {
    to: (Ipv4Addr, u16),
    seq: u32,
    ack: u32,
    got: Vec<u8>,
    /// All flags that came.
    flags: u8,
}

/// A frame that a relay got.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Heard {
    Open(FlowId, SocketAddr),
    Data(FlowId, Vec<u8>),
    Reset(FlowId),
    Query(RequestId, Vec<u8>),
    AskFacts(RequestId),
    Bind(BindId),
}

struct Relay {
    end: FrameEnd,
    heard: Vec<Heard>,
    /// How many datagrams came.
    datagrams: usize,
}

impl Relay {
    fn send(&mut self, frame: &Frame<'_>) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        assert!(self.end.send(&bytes), "the pipe is full");
    }

    /// Reads what the gateway has sent, and answers its heartbeat.
    fn read(&mut self) -> bool {
        let mut pings = Vec::new();
        let moved = self.end.read(|frame| {
            #[expect(clippy::wildcard_enum_match_arm, reason = "tests look at a few kinds")]
            let heard = match frame {
                Frame::Open { flow, to, .. } => Heard::Open(flow, to),
                Frame::Data { flow, bytes } => Heard::Data(flow, bytes.to_vec()),
                Frame::Reset { flow } => Heard::Reset(flow),
                Frame::Query { request, message } => Heard::Query(request, message.to_vec()),
                Frame::AskFacts { request } => Heard::AskFacts(request),
                Frame::Bind { bind, .. } => Heard::Bind(bind),
                Frame::Ping { nonce } => return pings.push(nonce),
                Frame::Datagram { .. } => {
                    self.datagrams += 1;
                    return;
                }
                _ => return,
            };
            self.heard.push(heard);
        });
        pings.into_iter().for_each(|nonce| self.send(&Frame::Pong { nonce }));
        moved
    }
}

struct World {
    gateway: Gateway,
    /// By lane.
    relays: BTreeMap<usize, Relay>,
    /// While it is false, starts take for ever.
    can_start: bool,
    starting: Vec<Request>,
    apps: BTreeMap<u16, App>,
    /// Whether the apps' kernel acknowledges all that comes.
    acknowledges: bool,
    /// Datagrams for apps: the app's port, where they come from, what they hold.
    datagrams: Vec<(u16, SocketAddr, Vec<u8>)>,
    /// Types and codes of ICMP messages for apps.
    icmp: Vec<(u8, u8)>,
}

impl world::World for World {
    const MOST_PASSES: usize = 20_000;

    fn gateway(&mut self) -> &mut Gateway {
        &mut self.gateway
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Start { lane, answer } if self.can_start => {
                let end = FrameEnd::new(world::start(answer, PIPE));
                let mut relay = Relay { end, heard: Vec::new(), datagrams: 0 };
                relay.send(&Frame::Hello(Hello {
                    version: VERSION,
                    capabilities: Capabilities::from_bits_retain(u32::MAX),
                    max_flows: 4096,
                    max_binds: 4096,
                    build: "scripted".to_owned(),
                }));
                self.relays.insert(lane, relay);
            }
            Request::Start { .. } => self.starting.push(request),
            Request::Link { .. } => {}
            Request::End { lane, answer, .. } => {
                self.relays.remove(&lane);
                drop(answer.send(Some("it was ended".to_owned())));
            }
        }
    }

    fn step(&mut self) -> bool {
        let mut moved = false;
        if self.can_start {
            for start in std::mem::take(&mut self.starting) {
                moved = true;
                self.serve(start);
            }
        }
        moved |= self.take_frames();
        for relay in self.relays.values_mut() {
            moved |= relay.read();
        }
        moved
    }
}

/// What differs between tests.
#[derive(Clone, Default)]
struct Setting {
    lanes: usize,
    via: bool,
}

impl World {
    /// A gateway whose relays are about to start.
    fn new(setting: &Setting) -> Self {
        let setup = Setup {
            lanes: setting.lanes,
            by_proxy: setting.via,
            owners: Box::new(ByPort),
            ..Setup::default()
        };
        Self {
            gateway: Gateway::new(setup, super::now()),
            relays: BTreeMap::new(),
            can_start: true,
            starting: Vec::new(),
            apps: BTreeMap::new(),
            acknowledges: true,
            datagrams: Vec::new(),
            icmp: Vec::new(),
        }
    }

    /// A gateway whose relays are ready and have sent these facts.
    fn ready(setting: &Setting, facts: &HostFacts) -> Self {
        let mut world = Self::new(setting);
        world.settle();
        for lane in 0..setting.lanes {
            world.tell_facts(lane, facts);
        }
        world
    }

    /// The relay of a lane answers the question for its host's facts.
    fn tell_facts(&mut self, lane: usize, facts: &HostFacts) {
        let json = serde_json::to_vec(facts).unwrap();
        self.tell_json(lane, &json);
    }

    fn tell_json(&mut self, lane: usize, json: &[u8]) {
        let asked = self.heard(lane);
        let [Heard::AskFacts(request)] = asked[..] else { panic!("{asked:?}") };
        self.send(lane, &Frame::Facts { request, json });
    }

    /// Time passes.
    fn wait(&mut self, by: Duration) {
        let end = self.gateway.now + by;
        self.settle();
        // A timer in the past is not set.
        while self.gateway.engine.armed > self.gateway.now && self.gateway.engine.armed < end {
            self.gateway.now = self.gateway.engine.armed;
            self.settle();
        }
        self.gateway.now = end;
        self.settle();
    }

    fn report(&mut self) -> Status {
        self.gateway.report()
    }

    fn dropped(&mut self, why: &str) -> u64 {
        self.report().drops.get(why).copied().unwrap_or(0)
    }

    /// The frames that the relay of a lane has got since the last call.
    fn heard(&mut self, lane: usize) -> Vec<Heard> {
        self.settle();
        std::mem::take(&mut self.relays.get_mut(&lane).expect("it runs").heard)
    }

    fn send(&mut self, lane: usize, frame: &Frame<'_>) {
        self.relays.get_mut(&lane).expect("it runs").send(frame);
        self.settle();
    }

    fn packet(&mut self, packet: &[u8]) {
        self.gateway.put(packet);
        self.settle();
    }

    fn segment(&mut self, port: u16, flags: u8, data: &[u8]) {
        let app = self.apps.get_mut(&port).expect("it has connected");
        let packet = tcp(port, app.to, (app.seq, app.ack), flags, data);
        app.seq += u32::try_from(data.len()).unwrap() + u32::from(flags & (SYN | FIN) != 0);
        self.gateway.put(&packet);
    }

    /// An app connects; its connection is in `apps` by its port.
    fn connect(&mut self, port: u16, to: (Ipv4Addr, u16)) {
        self.apps.insert(port, App { to, seq: 7, ack: 0, got: Vec::new(), flags: 0 });
        self.segment(port, SYN, b"");
        self.settle();
    }

    fn say(&mut self, port: u16, data: &[u8]) {
        self.segment(port, ACK, data);
        self.settle();
    }

    fn flags(&self, port: u16) -> u8 {
        self.apps[&port].flags
    }

    fn datagram(&mut self, port: u16, to: (Ipv4Addr, u16), payload: &[u8]) {
        self.packet(&udp(port, to, payload));
    }

    /// The datagrams for a UDP port of an app since the last call.
    fn received(&mut self, port: u16) -> Vec<Vec<u8>> {
        self.datagrams.extract_if(.., |(to, ..)| *to == port).map(|(.., bytes)| bytes).collect()
    }

    fn ping(&mut self, to: Ipv4Addr) {
        self.packet(&ip(to, ICMP, &echo(&[0, 7, 0, 1])));
    }

    /// Takes what is for apps. Returns whether there was anything.
    fn take_frames(&mut self) -> bool {
        let frames = self.gateway.engine.core.tap().take();
        let any = !frames.is_empty();
        for (frame, _) in frames {
            let packet = &frame[14..];
            if packet[0] >> 4 != 4 {
                continue;
            }
            let message = &packet[20..];
            match packet[9] {
                TCP => self.take_segment(two(message, 2), message),
                UDP => {
                    let from = Ipv4Addr::from(*packet[12..].first_chunk().unwrap());
                    let from = SocketAddr::from((from, two(message, 0)));
                    self.datagrams.push((two(message, 2), from, message[8..].to_vec()));
                }
                _ => self.icmp.push((message[0], message[1])),
            }
        }
        any
    }

    fn take_segment(&mut self, port: u16, tcp: &[u8]) {
        let app = self.apps.get_mut(&port).expect("a segment for no app");
        let (seq, flags) = (four(tcp, 4), tcp[13]);
        let data = &tcp[tcp.len() - data_length(tcp)..];
        app.flags |= flags;
        if flags & SYN != 0 {
            app.ack = seq;
        }
        let length = u32::try_from(data.len()).unwrap() + u32::from(flags & (SYN | FIN) != 0);
        if flags & RST == 0 && length > 0 && seq == app.ack {
            app.ack = app.ack.wrapping_add(length);
            app.got.extend(data);
            if self.acknowledges {
                self.segment(port, ACK, b"");
            }
        }
    }
}
