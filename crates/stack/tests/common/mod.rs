//! The VM's side for tests: a smoltcp client on a link with a virtual clock, random loss, and
//! segment offload like a kernel's.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    clippy::wildcard_enum_match_arm,
    unreachable_pub,
    missing_docs,
    reason = "a test may panic, and each test file uses a part of this"
)]

pub mod raw;
pub mod rig;

use smoltcp::iface::{Config as SmolConfig, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp;
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, Ipv4Address, Ipv6Address};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use underpass_stack::*;

pub const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub const VM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

pub fn plan() -> AddressPlan {
    AddressPlan {
        subnet: Ipv4Addr::new(10, 99, 0, 16),
        captured: vec!["172.20.0.1".parse().unwrap()],
        host_access: HostAccess::All,
    }
}

pub fn config(offload: Offload, mtu: usize) -> Config {
    Config {
        mtu,
        offload,
        addresses: plan(),
        ipv6: Ipv6::Enabled,
        udp_filtering: Filtering::default(),
        gateway_mac: GATEWAY_MAC,
        vm_mac: VM_MAC,
        capacity: Capacity::default(),
        seed: 7,
    }
}

/// An instant to start from.
pub fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    Instant::now()
}

#[derive(Default)]
pub struct Sink(pub Vec<(Vec<u8>, TxMeta)>);

impl Transmit for Sink {
    fn transmit(&mut self, frame: &[u8], meta: TxMeta) {
        self.0.push((frame.to_vec(), meta));
    }
}

pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub fn per_mille(&mut self, n: u64) -> bool {
        self.next() % 1000 < n
    }
}

#[derive(Default)]
pub struct Wire {
    pub rx: VecDeque<Vec<u8>>,
    pub tx: VecDeque<Vec<u8>>,
    pub mtu: usize,
}

pub struct WireRx(Vec<u8>);
pub struct WireTx<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for WireRx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}
impl TxToken for WireTx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let result = f(&mut packet);
        self.0.push_back(packet);
        result
    }
}
impl Device for Wire {
    type RxToken<'a> = WireRx;
    type TxToken<'a> = WireTx<'a>;
    fn receive(&mut self, _: SmolInstant) -> Option<(WireRx, WireTx<'_>)> {
        let packet = self.rx.pop_front()?;
        Some((WireRx(packet), WireTx(&mut self.tx)))
    }
    fn transmit(&mut self, _: SmolInstant) -> Option<WireTx<'_>> {
        Some(WireTx(&mut self.tx))
    }
    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = self.mtu;
        caps
    }
}

pub struct Sim {
    pub now: Instant,
    pub base: Instant,
    pub stack: Stack,
    pub wire: Wire,
    pub iface: Interface,
    pub sockets: SocketSet<'static>,
    pub loss_per_mille: u64,
    /// The next frames to the app that are lost.
    pub burst: usize,
    pub rng: Rng,
    pub events: Vec<Event>,
    pub largest_gso: usize,
    /// Segment size of the last super-packet.
    pub gso_size: u16,
}

pub fn frame(packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&GATEWAY_MAC);
    frame.extend_from_slice(&VM_MAC);
    frame.extend_from_slice(if packet[0] >> 4 == 6 { &[0x86, 0xdd] } else { &[8, 0] });
    frame.extend_from_slice(packet);
    frame
}

/// Acts like the kernel on a frame: cuts segments, completes checksums.
pub fn kernel(frame: &[u8], meta: TxMeta) -> Vec<Vec<u8>> {
    let Some(partial) = meta.checksum else { return vec![frame[14..].to_vec()] };
    assert_eq!(partial.offset, 16);
    let at = usize::from(partial.start) - 14;
    let packet = &frame[14..];
    let head = at + 4 * usize::from(packet[at + 12] >> 4);
    let size = meta.gso.map_or(usize::MAX, |gso| usize::from(gso.size));
    let payload = &packet[head..];
    assert!(meta.gso.is_some() || payload.len() <= 65_480);
    let mut pieces: Vec<&[u8]> = payload.chunks(size).collect();
    if pieces.is_empty() {
        pieces.push(&[]);
    }
    let last = pieces.len() - 1;
    let mut seq = u32::from_be_bytes(packet[at + 4..at + 8].try_into().unwrap());
    let mut out = Vec::new();
    for (i, piece) in pieces.into_iter().enumerate() {
        let mut p = packet[..head].to_vec();
        p.extend_from_slice(piece);
        p[at + 4..at + 8].copy_from_slice(&seq.to_be_bytes());
        seq = seq.wrapping_add(u32::try_from(piece.len()).unwrap());
        if i < last {
            p[at + 13] &= !(1 | 8);
        }
        let len = u16::try_from(p.len() - if at == 40 { 40 } else { 0 }).unwrap();
        let v6 = at == 40;
        if v6 {
            p[4..6].copy_from_slice(&len.to_be_bytes());
        } else {
            p[2..4].copy_from_slice(&len.to_be_bytes());
            p[10..12].copy_from_slice(&[0, 0]);
            let sum =
                etherparse::checksum::Sum16BitWords::new().add_slice(&p[..20]).ones_complement();
            p[10..12].copy_from_slice(&sum.to_ne_bytes());
        }
        p[at + 16..at + 18].copy_from_slice(&[0, 0]);
        let mut sum = etherparse::checksum::Sum16BitWords::new();
        sum = if v6 { sum.add_slice(&p[8..40]) } else { sum.add_slice(&p[12..20]) };
        let tcp_len = u16::try_from(p.len() - at).unwrap();
        let sum = sum
            .add_2bytes([0, 6])
            .add_2bytes(tcp_len.to_be_bytes())
            .add_slice(&p[at..])
            .ones_complement();
        p[at + 16..at + 18].copy_from_slice(&sum.to_ne_bytes());
        out.push(p);
    }
    out
}

impl Sim {
    pub fn new(offload: Offload, mtu: usize) -> Self {
        Self::with(config(offload, mtu))
    }

    pub fn with(config: Config) -> Self {
        let base = start();
        let mtu = config.mtu;
        let mut wire = Wire { mtu, ..Wire::default() };
        let mut smol = SmolConfig::new(HardwareAddress::Ip);
        smol.random_seed = 99;
        let mut iface = Interface::new(smol, &mut wire, SmolInstant::from_secs(1));
        iface.update_ip_addrs(|ips| {
            ips.push(IpCidr::new(IpAddress::v4(10, 99, 0, 18), 28)).unwrap();
            ips.push(IpCidr::new(IpAddress::v6(0xfd75, 0x6e64, 0x6572, 0, 0, 0, 0, 2), 64))
                .unwrap();
        });
        iface.routes_mut().add_default_ipv4_route(Ipv4Address::new(10, 99, 0, 17)).unwrap();
        iface
            .routes_mut()
            .add_default_ipv6_route(Ipv6Address::new(0xfd75, 0x6e64, 0x6572, 0, 0, 0, 0, 1))
            .unwrap();
        Self {
            now: base,
            base,
            stack: Stack::new(config, base),
            wire,
            iface,
            sockets: SocketSet::new(vec![]),
            loss_per_mille: 0,
            burst: 0,
            rng: Rng(0x1234_5678_9abc),
            events: Vec::new(),
            largest_gso: 0,
            gso_size: 0,
        }
    }

    pub fn at(&self) -> SmolInstant {
        SmolInstant::from_micros(
            i64::try_from((self.now - self.base).as_micros()).unwrap() + 1_000_000,
        )
    }

    pub fn connect(&mut self, to: &str, port: u16, buffer: usize) -> SocketHandle {
        let to: SocketAddr = to.parse().unwrap();
        let ring = || tcp::SocketBuffer::new(vec![0; buffer]);
        let mut socket = tcp::Socket::new(ring(), ring());
        socket.set_nagle_enabled(false);
        let remote = (IpAddress::from(to.ip()), to.port());
        socket.connect(self.iface.context(), remote, port).unwrap();
        self.sockets.add(socket)
    }

    pub fn socket(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// One round: the app's side, the stack's side, and a step of the clock.
    pub fn step(&mut self, by: Duration) {
        let at = self.at();
        self.iface.poll(at, &mut self.wire, &mut self.sockets);
        let mut sink = Sink::default();
        while let Some(packet) = self.wire.tx.pop_front() {
            if !self.rng.per_mille(self.loss_per_mille) {
                self.stack.ingest(self.now, &frame(&packet), RxMeta::Unverified, &mut sink);
            }
        }
        if self.stack.next_deadline().is_some_and(|at| at <= self.now) {
            self.stack.handle_timeout(self.now, &mut sink);
            assert!(
                self.stack.next_deadline().is_none_or(|at| at > self.now),
                "a deadline in the past: it spins"
            );
        }
        self.stack.service(self.now, &mut sink);
        while let Some(event) = self.stack.poll_event() {
            self.events.push(event);
        }
        self.take(sink);
        self.now += by;
    }

    pub fn take(&mut self, sink: Sink) {
        for (bytes, meta) in sink.0 {
            if let Some(gso) = meta.gso {
                self.gso_size = gso.size;
                self.largest_gso = self.largest_gso.max(bytes.len() - usize::from(gso.header_len));
            }
            for packet in kernel(&bytes, meta) {
                if self.burst > 0 {
                    self.burst -= 1;
                } else if !self.rng.per_mille(self.loss_per_mille) {
                    self.wire.rx.push_back(packet);
                }
            }
        }
    }

    pub fn with_out<R>(&mut self, act: impl FnOnce(&mut Stack, Instant, &mut Sink) -> R) -> R {
        let mut sink = Sink::default();
        let result = act(&mut self.stack, self.now, &mut sink);
        self.take(sink);
        result
    }

    /// Steps until `done`, or fails.
    pub fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        for _ in 0..200_000 {
            if done(self) {
                return;
            }
            self.step(Duration::from_millis(1));
        }
        panic!("never happened: {what}");
    }

    /// The flow of the next Connect.
    pub fn connecting(&mut self) -> FlowId {
        for _ in 0..5000 {
            let found = self.events.iter().position(|e| matches!(e, Event::Connect { .. }));
            if let Some(at) = found
                && let Event::Connect { flow, .. } = self.events.remove(at)
            {
                return flow;
            }
            self.step(Duration::from_millis(1));
        }
        panic!("no Connect");
    }

    /// Opens a connection on both sides.
    pub fn open(&mut self, to: &str, port: u16, buffer: usize) -> (SocketHandle, FlowId) {
        let handle = self.connect(to, port, buffer);
        let flow = self.connecting();
        self.with_out(|stack, now, out| stack.accept(now, flow, out));
        self.until("established", |sim| sim.socket(handle).state() == tcp::State::Established);
        self.step(Duration::from_millis(1));
        (handle, flow)
    }

    pub fn changes(&self, of: FlowId) -> Vec<Changes> {
        let one = |event: &Event| match event {
            Event::Flow { flow, changes } if *flow == of => Some(*changes),
            _ => None,
        };
        self.events.iter().filter_map(one).collect()
    }

    pub fn saw(&self, of: FlowId, what: Changes) -> bool {
        self.changes(of).iter().any(|changes| changes.contains(what))
    }
}

pub fn udp(from: &str, to: &str, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let (from, to): (SocketAddr, SocketAddr) = (from.parse().unwrap(), to.parse().unwrap());
    let mut packet = Vec::new();
    match (from.ip(), to.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            etherparse::PacketBuilder::ipv4(src.octets(), dst.octets(), ttl)
                .udp(from.port(), to.port())
                .write(&mut packet, payload)
                .unwrap();
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            etherparse::PacketBuilder::ipv6(src.octets(), dst.octets(), ttl)
                .udp(from.port(), to.port())
                .write(&mut packet, payload)
                .unwrap();
        }
        _ => panic!("two families"),
    }
    packet
}
