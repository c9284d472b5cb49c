//! The engine between apps that send single packets and relays that send single frames: for cases
//! that a random program of `model` hardly ever hits, and for the status. Time is virtual, and
//! everything is in memory.

mod dns;
mod shell;

use super::hostile::packets::ip;
use super::pretend::pipe::Pipe;
use super::pretend::{Flag, GATEWAY_MAC, Nic, VM_MAC, checksum, frame};
use super::{DNS_TIDY, Engine, Parts};
use crate::dns::rebind::Filter;
use crate::lane::Lane;
use crate::limits::HELLO_PATIENCE;
use crate::link::Parcel;
use crate::network::{Network, NetworkReport, NetworkState, Wish};
use crate::relays::{self as processes, Relays, Request};
use crate::status::Status;
use crate::via::{Proxy, Via};
use stack::{
    AddressPlan, AppSocket, Capacity, Config, Filtering, HostAccess, Ipv6, Offload, Owners, Stack,
    Transport,
};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use wire::frame::VERSION;
use wire::{BindId, Capabilities, Decoder, FlowId, Frame, Hello, HostFacts, RequestId, Sealer};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 17);

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Passes at one time within which everything comes to rest.
const MOST_PASSES: usize = 20_000;

/// An app's port says whose it is: 10,000 to 10,999 are user 10's.
#[derive(Debug)]
struct ByPort;

impl Owners for ByPort {
    fn look_up(&mut self, _: Transport, app: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
        Some(AppSocket::Of(u32::from(app.port()) / 1000))
    }
}

/// A TCP connection as its app's kernel has it.
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
    up: Pipe,
    down: Pipe,
    sealer: Sealer,
    decoder: Decoder,
    heard: Vec<Heard>,
    /// How many datagrams came.
    datagrams: usize,
    /// It reads nothing.
    is_deaf: bool,
}

impl Relay {
    fn send(&mut self, frame: &Frame<'_>) {
        let (mut bytes, mut sealed) = (Vec::new(), Vec::new());
        frame.encode(&mut bytes);
        self.sealer.append(&bytes, &mut sealed);
        assert_eq!(self.down.write(&sealed), sealed.len(), "the pipe is full");
    }

    /// Reads what the gateway has sent, and answers its heartbeat.
    fn read(&mut self) -> bool {
        if self.is_deaf {
            return false;
        }
        let taken = self.up.read(self.decoder.space());
        self.decoder.filled(taken);
        let mut pings = Vec::new();
        while let Some(frame) = self.decoder.next_frame().unwrap() {
            #[expect(clippy::wildcard_enum_match_arm, reason = "tests look at a few kinds")]
            let heard = match frame {
                Frame::Open { flow, to, .. } => Heard::Open(flow, to),
                Frame::Data { flow, bytes } => Heard::Data(flow, bytes.to_vec()),
                Frame::Reset { flow } => Heard::Reset(flow),
                Frame::Query { request, message } => Heard::Query(request, message.to_vec()),
                Frame::AskFacts { request } => Heard::AskFacts(request),
                Frame::Bind { bind, .. } => Heard::Bind(bind),
                Frame::Ping { nonce } => {
                    pings.push(nonce);
                    continue;
                }
                Frame::Datagram { .. } => {
                    self.datagrams += 1;
                    continue;
                }
                _ => continue,
            };
            self.heard.push(heard);
        }
        pings.into_iter().for_each(|nonce| self.send(&Frame::Pong { nonce }));
        taken > 0
    }
}

struct World {
    now: Instant,
    engine: Engine<Nic>,
    requests: mpsc::Receiver<Request>,
    /// By lane.
    relays: BTreeMap<usize, Relay>,
    /// Without it starts take for ever.
    can_start: bool,
    starting: Vec<Request>,
    flag: Arc<Flag>,
    network: mpsc::Sender<Parcel<NetworkReport>>,
    wishes: watch::Receiver<Wish>,
    apps: BTreeMap<u16, App>,
    /// Whether the apps' kernel acknowledges all that comes.
    acknowledges: bool,
    /// Datagrams for apps: the app's port, where they come from, what they hold.
    datagrams: Vec<(u16, SocketAddr, Vec<u8>)>,
    /// Types and codes of ICMP messages for apps.
    icmp: Vec<(u8, u8)>,
    /// Without it the engine has no timer.
    runtime: Runtime,
}

/// What differs between tests.
#[derive(Clone, Default)]
struct Setting {
    lanes: usize,
    via: bool,
}

fn state(ipv6: bool) -> NetworkState {
    let plan = AddressPlan {
        subnet: Ipv4Addr::new(10, 99, 0, 16),
        captured: Vec::new(),
        host_access: HostAccess::All,
    };
    NetworkState { up: true, plan: Some(plan), ipv6, ..NetworkState::default() }
}

impl World {
    /// A gateway whose relays are about to start.
    fn new(setting: &Setting) -> Self {
        let runtime = Builder::new_current_thread().enable_time().build().unwrap();
        let now = super::now();
        let plan = state(true).plan.unwrap();
        let config = Config {
            mtu: 1500,
            offload: Offload::None,
            addresses: plan.clone(),
            ipv6: Ipv6::Enabled,
            udp_filtering: Filtering::AddressDependent,
            gateway_mac: GATEWAY_MAC,
            vm_mac: VM_MAC,
            capacity: Capacity::default(),
            seed: 1,
        };
        let (supervisor, requests) = Relays::new();
        let lane =
            |index| Lane::new(index, supervisor.clone(), supervisor.start(index), (4096, 4096));
        let (_, asks) = mpsc::channel(1);
        let (network, states) = mpsc::channel(4);
        let (wish, wishes) = watch::channel(Wish::default());
        let mut stack = Stack::new(config, now);
        stack.set_owners(Box::new(ByPort));
        let tap = Nic { inbox: Default::default(), outbox: Vec::new(), offload: Offload::None };
        let via = Via { proxy: Proxy::Windows, except: Vec::new() };
        let parts = Parts {
            tap,
            stack,
            plan,
            lanes: (0..setting.lanes).map(lane).collect(),
            asks,
            network: Network { states },
            wish,
            mtu: 1500,
            via: setting.via.then_some(via),
            rebind: Filter::default(),
            sockets: None,
        };
        let engine = {
            let _time = runtime.enter();
            Engine::new(parts, now)
        };
        let world = Self {
            now,
            engine,
            requests,
            relays: BTreeMap::new(),
            can_start: true,
            starting: Vec::new(),
            flag: Arc::default(),
            network,
            wishes,
            apps: BTreeMap::new(),
            acknowledges: true,
            datagrams: Vec::new(),
            icmp: Vec::new(),
            runtime,
        };
        world.tell(state(true));
        world
    }

    /// One whose relays are ready and have sent these facts.
    fn ready(setting: &Setting, facts: &HostFacts) -> Self {
        let mut world = Self::new(setting);
        world.settle();
        for lane in 0..setting.lanes {
            world.tell_facts(lane, facts);
        }
        world
    }

    /// The network's process says this.
    fn tell(&self, state: NetworkState) {
        self.network.try_send(NetworkReport::Ok(state).into()).unwrap();
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

    /// Everything goes on at this moment until it comes to rest.
    fn settle(&mut self) {
        let waker = Waker::from(Arc::clone(&self.flag));
        let mut cx = Context::from_waker(&waker);
        for _ in 0..MOST_PASSES {
            self.flag.0.store(false, Ordering::Relaxed);
            let passed = {
                let _time = self.runtime.enter();
                self.engine.pass(self.now, &mut cx, &mut None::<fn(&Status)>)
            };
            if let Poll::Ready(error) = passed {
                panic!("the gateway ended: {error}");
            }
            let mut moved = self.flag.0.load(Ordering::Relaxed);
            while let Ok(request) = self.requests.try_recv() {
                moved = true;
                self.serve(request);
            }
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
            if !moved {
                return;
            }
        }
        panic!("it spins");
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Start { lane, answer } if self.can_start => {
                let (up, down) = (Pipe::new(1 << 20), Pipe::new(1 << 20));
                let (input, output) = (Box::new(up.end()), Box::new(down.end()));
                let patience = HELLO_PATIENCE;
                let started = processes::Relay { pid: 0, patience, input: Some(input), output };
                assert!(answer.send(Ok(started)).is_ok(), "the lane waits for its relay");
                let mut relay = Relay {
                    up,
                    down,
                    sealer: Sealer::default(),
                    decoder: Decoder::default(),
                    heard: Vec::new(),
                    datagrams: 0,
                    is_deaf: false,
                };
                relay.send(&Frame::Hello(Hello {
                    version: VERSION,
                    capabilities: Capabilities(u32::MAX),
                    max_flows: 4096,
                    max_binds: 4096,
                    build: "scripted".to_owned(),
                }));
                self.relays.insert(lane, relay);
            }
            Request::Start { .. } => self.starting.push(request),
            Request::End { lane, answer, .. } => {
                self.relays.remove(&lane);
                drop(answer.send(Some("it was ended".to_owned())));
            }
        }
    }

    /// Time goes on by so much.
    fn wait(&mut self, by: Duration) {
        let end = self.now + by;
        self.settle();
        // A timer that is over is not set for anything.
        while self.engine.armed > self.now && self.engine.armed < end {
            self.now = self.engine.armed;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    fn report(&mut self) -> Status {
        self.engine.report(self.now)
    }

    fn dropped(&mut self, why: &str) -> u64 {
        self.report().drops.get(why).copied().unwrap_or(0)
    }

    /// What the relay of a lane has got since the last call.
    fn heard(&mut self, lane: usize) -> Vec<Heard> {
        self.settle();
        std::mem::take(&mut self.relays.get_mut(&lane).expect("it runs").heard)
    }

    fn send(&mut self, lane: usize, frame: &Frame<'_>) {
        self.relays.get_mut(&lane).expect("it runs").send(frame);
        self.settle();
    }

    fn packet(&self, packet: &[u8]) {
        self.engine.core.tap.inbox.borrow_mut().push_back(frame(packet));
    }

    fn segment(&mut self, port: u16, flags: u8, data: &[u8]) {
        let app = self.apps.get_mut(&port).expect("it has connected");
        let mut tcp = [port.to_be_bytes(), app.to.1.to_be_bytes()].concat();
        tcp.extend([app.seq, app.ack].map(u32::to_be_bytes).concat());
        tcp.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend(data);
        app.seq += u32::try_from(data.len()).unwrap() + u32::from(flags & (SYN | FIN) != 0);
        let packet = ip(app.to.0, TCP, &tcp);
        self.packet(&packet);
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
        let length = u16::try_from(8 + payload.len()).unwrap();
        let mut udp = [port, to.1, length, 0].map(u16::to_be_bytes).concat();
        udp.extend(payload);
        self.packet(&ip(to.0, UDP, &udp));
        self.settle();
    }

    /// What has come for a UDP port of an app since the last call.
    fn received(&mut self, port: u16) -> Vec<Vec<u8>> {
        self.datagrams.extract_if(.., |(to, ..)| *to == port).map(|(.., bytes)| bytes).collect()
    }

    fn ping(&mut self, to: Ipv4Addr) {
        let mut echo = vec![8, 0, 0, 0, 0, 7, 0, 1];
        let sum = checksum(&[&echo]).to_be_bytes();
        echo[2..4].copy_from_slice(&sum);
        self.packet(&ip(to, ICMP, &echo));
        self.settle();
    }

    /// Takes what is for apps. Tells whether anything was.
    fn take_frames(&mut self) -> bool {
        let frames = std::mem::take(&mut self.engine.core.tap.outbox);
        let any = !frames.is_empty();
        for (frame, _) in frames {
            let packet = &frame[14..];
            if packet[0] >> 4 != 4 {
                continue;
            }
            let message = &packet[20..];
            let two = |at: usize| u16::from_be_bytes([message[at], message[at + 1]]);
            match packet[9] {
                TCP => self.take_segment(two(2), message),
                UDP => {
                    let from = Ipv4Addr::from(*packet[12..].first_chunk().unwrap());
                    let from = SocketAddr::from((from, two(0)));
                    self.datagrams.push((two(2), from, message[8..].to_vec()));
                }
                _ => self.icmp.push((message[0], message[1])),
            }
        }
        any
    }

    fn take_segment(&mut self, port: u16, tcp: &[u8]) {
        let app = self.apps.get_mut(&port).expect("a segment for no app");
        let seq = u32::from_be_bytes(*tcp[4..].first_chunk().unwrap());
        let (data, flags) = (&tcp[4 * usize::from(tcp[12] >> 4)..], tcp[13]);
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
