//! Frames from the TAP and calls from the gateway in any order. It includes an app that knows its
//! connections' sequence numbers; random segments would seldom pass a window check.

use crate::Bytes;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use underpass_stack::{
    AddressPlan, BindId, Capacity, Changes, Config, Event, Fault, FaultKind, Filtering, FlowId,
    HostAccess, Ipv6, Marks, Offload, Refusal, RequestId, RxMeta, Stack, Strays, Transmit, TxMeta,
};

const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const VM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const APPS: u16 = 4;
/// The source of IPv4 frames.
const APP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 18));

/// The coverage of an input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// Bytes that the gateway read from apps.
    pub read: usize,
    /// Connections that ended in order or by reset.
    pub ended: usize,
}

/// The app's knowledge of one of its connections.
#[derive(Clone, Copy, Default)]
struct Conn {
    seq: u32,
    ack: u32,
}

/// Checks every frame and keeps the app's sequence numbers up to date.
struct App {
    conns: [Conn; APPS as usize],
    frames: usize,
}

impl Transmit for App {
    fn transmit(&mut self, frame: &[u8], meta: TxMeta) {
        self.frames += 1;
        assert!(
            frame.len() >= 14 && frame.len() <= 14 + 65_535,
            "a frame of {} bytes",
            frame.len()
        );
        assert_eq!((&frame[..6], &frame[6..12]), (&VM_MAC[..], &GATEWAY_MAC[..]));
        let packet = &frame[14..];
        let tcp_at = match packet[0] >> 4 {
            4 if packet[9] == 6 => 20,
            6 if packet[6] == 6 => 40,
            _ => return,
        };
        let tcp = &packet[tcp_at..];
        let four = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
        let header = 4 * usize::from(tcp[12] >> 4);
        let data = tcp.len() - header;
        if let Some(gso) = meta.gso {
            assert!(data > usize::from(gso.size) && gso.size > 0, "nothing to cut: {gso:?} {data}");
            assert_eq!(usize::from(gso.header_len), 14 + tcp_at + header);
        }
        let index = u16::from_be_bytes([tcp[2], tcp[3]]).wrapping_sub(1000);
        if let Some(conn) = self.conns.get_mut(usize::from(index)) {
            let control = u32::from(tcp[13] & 1) + u32::from(tcp[13] >> 1 & 1);
            conn.ack = four(4).wrapping_add(u32::try_from(data).unwrap_or(0)).wrapping_add(control);
            conn.seq = four(8);
        }
    }
}

fn ethernet(kind: u16) -> Vec<u8> {
    let mut frame = [GATEWAY_MAC, VM_MAC].concat();
    frame.extend_from_slice(&kind.to_be_bytes());
    frame
}

/// An IP packet in a frame with a correct header.
fn ip(v6: bool, protocol: u8, ttl: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
    if v6 {
        let mut frame = ethernet(0x86dd);
        frame.extend_from_slice(&[0x60, 0, 0, 0]);
        frame.extend_from_slice(&len(payload.len()));
        frame.extend_from_slice(&[protocol, ttl]);
        frame
            .extend_from_slice(&[0xfd, 0x75, 0x6e, 0x64, 0x65, 0x72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        frame.extend_from_slice(&[0x26, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        frame.extend_from_slice(payload);
        return frame;
    }
    let mut header = vec![0x45, 0];
    header.extend_from_slice(&len(20 + payload.len()));
    header.extend_from_slice(&[0, 7]);
    header.extend_from_slice(&fragment.to_be_bytes());
    header.extend_from_slice(&[ttl, protocol, 0, 0, 10, 99, 0, 18, 8, 8, 8, 8]);
    let mut sum: u32 =
        header.chunks_exact(2).map(|two| u32::from(two[0]) << 8 | u32::from(two[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    header[10..12].copy_from_slice(&(!sum & 0xffff).to_be_bytes()[2..]);
    let mut frame = ethernet(0x0800);
    frame.extend_from_slice(&header);
    frame.extend_from_slice(payload);
    frame
}

/// A segment of one of the app's connections, near its position.
fn segment(input: &mut Bytes<'_>, app: &App) -> Vec<u8> {
    let (which, flags, shape) = (u16::from(input.byte()) % APPS, input.byte(), input.byte());
    let conn = app.conns[usize::from(which)];
    // Mostly in place; a little off; far off.
    let off = |kind: u8, input: &mut Bytes<'_>| match kind & 3 {
        0 | 1 => 0,
        2 => u32::from(input.byte()).wrapping_sub(128),
        _ => input.four(),
    };
    let (seq, ack) =
        (conn.seq.wrapping_add(off(shape, input)), conn.ack.wrapping_sub(off(shape >> 2, input)));
    let window = if shape & 0x10 == 0 { 0xffff } else { input.two() };
    let options: &[u8] = match (flags & 2 != 0, shape >> 5 & 1) {
        (true, 0) => &[2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2],
        (true, _) => input.take(12),
        (false, 0) => &[],
        (false, _) => input.take(8),
    };
    let mut tcp = Vec::new();
    tcp.extend_from_slice(&(1000 + which).to_be_bytes());
    tcp.extend_from_slice(&80u16.to_be_bytes());
    tcp.extend_from_slice(&seq.to_be_bytes());
    tcp.extend_from_slice(&ack.to_be_bytes());
    let words = u8::try_from(options.len().div_ceil(4)).unwrap_or(0);
    tcp.extend_from_slice(&[(5 + words) << 4, flags]);
    tcp.extend_from_slice(&window.to_be_bytes());
    tcp.extend_from_slice(&[0, 0, 0, 1]);
    tcp.extend_from_slice(options);
    tcp.resize(20 + 4 * usize::from(words), 0);
    let data = if shape & 0x40 == 0 { 0 } else { usize::from(input.two()) % 60_000 };
    tcp.resize(tcp.len() + data, 7);
    // Each app keeps to one family.
    ip(which & 1 == 1, 6, 64, 0, &tcp)
}

fn other(input: &mut Bytes<'_>) -> Vec<u8> {
    let kind = input.byte();
    let (v6, ttl) = (kind & 1 != 0, input.byte());
    match kind >> 1 & 7 {
        0 => {
            let mut arp = ethernet(0x0806);
            arp.extend_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
            arp.extend_from_slice(input.take(20));
            arp
        }
        1 => {
            let payload = input.take(64);
            let len = u16::try_from(8 + payload.len()).unwrap_or(8);
            let mut udp = Vec::new();
            udp.extend_from_slice(&(2000 + u16::from(ttl >> 6)).to_be_bytes());
            udp.extend_from_slice(&u16::from(ttl & 63).to_be_bytes());
            udp.extend_from_slice(&len.to_be_bytes());
            udp.extend_from_slice(&[0, 0]);
            udp.extend_from_slice(payload);
            ip(v6, 17, ttl, 0, &udp)
        }
        // Fragments of IPv4 and IPv6.
        2 => ip(false, 17, ttl, input.two() & 0x3fff, input.take(64)),
        3 => {
            let mut payload = vec![17, 0];
            payload.extend_from_slice(&input.two().to_be_bytes());
            payload.extend_from_slice(&[0, 0, 0, 1]);
            payload.extend_from_slice(input.take(64));
            ip(true, 44, ttl, 0, &payload)
        }
        4 => ip(true, input.byte(), ttl, 0, input.take(100)),
        5 => ip(v6, if v6 { 58 } else { 1 }, ttl, 0, input.take(100)),
        _ => ip(v6, input.byte(), ttl, 0, input.take(100)),
    }
}

struct Run {
    now: Instant,
    stack: Stack,
    app: App,
    flows: Vec<FlowId>,
    binds: Vec<BindId>,
    requests: Vec<RequestId>,
    reached: Reached,
}

impl Run {
    fn new(first: u8) -> Self {
        let subnet = [10, 99, 0, 16].into();
        let addresses = AddressPlan { subnet, captured: Vec::new(), host_access: HostAccess::All };
        let config = Config {
            mtu: if first & 1 == 0 { 1500 } else { 65_520 },
            offload: if first & 2 == 0 { Offload::None } else { Offload::Vnet },
            addresses,
            ipv6: if first & 4 == 0 { Ipv6::Enabled } else { Ipv6::Disabled },
            udp_filtering: if first & 8 == 0 {
                Filtering::AddressDependent
            } else {
                Filtering::EndpointIndependent
            },
            gateway_mac: GATEWAY_MAC,
            vm_mac: VM_MAC,
            capacity: Capacity { flows: 3, half_open: 2, binds: 2 },
            seed: u64::from(first),
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "any instant will do; the result does not depend on it"
        )]
        let now = Instant::now();
        let app = App { conns: Default::default(), frames: 0 };
        let stack = Stack::new(config, now);
        Self {
            now,
            stack,
            app,
            flows: Vec::new(),
            binds: Vec::new(),
            requests: Vec::new(),
            reached: Reached::default(),
        }
    }

    fn ingest(&mut self, frame: &[u8], meta: RxMeta) {
        self.stack.ingest(self.now, frame, meta, &mut self.app);
    }

    fn call(&mut self, input: &mut Bytes<'_>) {
        let (what, n) = (input.byte(), usize::from(input.two()));
        let peer = ([8, 8, 8, 8], 80).into();
        let mtu = [0, 68, 1300, u32::MAX][n & 3];
        let fault = Fault { kind: FaultKind::PacketTooBig { mtu }, router: None };
        let (now, out) = (self.now, &mut self.app);
        if let Some(flow) = self.flows.get(n % self.flows.len().max(1)).copied() {
            match what & 15 {
                0 | 1 => self.stack.accept(now, flow, out),
                2 => self.stack.refuse(now, flow, Refusal::Reset, out),
                3 => self.stack.refuse(now, flow, Refusal::Unreachable(fault), out),
                4 | 5 => {
                    let (room, unsent) = (self.stack.room(flow), self.stack.unsent(flow));
                    let taken = self.stack.write(flow, &vec![1; 4 * n]);
                    assert_eq!(taken, room.min(4 * n));
                    assert_eq!(self.stack.unsent(flow), unsent + taken);
                }
                6 | 7 => {
                    let (readable, mut got) = (self.stack.readable(flow), 0);
                    let told = self.stack.read(flow, 8 * n, |bytes| got += bytes.len());
                    assert_eq!((got, told), (readable.min(8 * n), got));
                    self.reached.read += got;
                }
                8 => self.stack.finish(flow),
                9 => self.stack.abort(flow),
                10 => self.stack.reset(flow),
                _ => {}
            }
        }
        let (bind, request) = (self.binds.last().copied(), self.requests.pop());
        match (what >> 4, bind, request) {
            (1, Some(bind), _) => self.stack.deliver_datagram(
                now,
                bind,
                peer,
                &vec![1; n],
                Marks::of_ttl(n as u8),
                out,
            ),
            (2, Some(bind), _) => self.stack.deliver_peer_error(now, bind, peer, fault, out),
            (3, Some(bind), _) => self.stack.bind_failed(bind),
            (4, _, Some(request)) => self.stack.answer_query(request, &vec![1; n], out),
            (5, _, Some(request)) => self.stack.echo_reply(request, 9, &vec![1; n], out),
            (6, _, Some(request)) => self.stack.echo_error(now, request, fault, out),
            (8, _, _) => {
                let strays = if n & 2 == 0 { Strays::Elsewhere } else { Strays::Unknown };
                self.stack.set_uplink(if n & 1 == 0 { &[] } else { &[APP] }, strays);
            }
            (7, _, _) => {
                self.stack.set_ipv6(if n & 1 == 0 { Ipv6::Enabled } else { Ipv6::Disabled })
            }
            _ => {}
        }
    }

    fn wait(&mut self, by: Duration) {
        self.now += by;
        self.stack.handle_timeout(self.now, &mut self.app);
        assert!(
            self.stack.next_deadline().is_none_or(|at| at > self.now),
            "a deadline in the past: it spins"
        );
    }

    /// Follows the deadlines like a shell; an hour has few of them.
    fn follow(&mut self) {
        let end = self.now + Duration::from_secs(3600);
        for _ in 0..20_000 {
            self.drain();
            match self.stack.next_deadline() {
                Some(at) if at < end => self.wait(at - self.now),
                Some(_) | None => return,
            }
        }
        panic!("20,000 deadlines in an hour, of {} flows", self.stack.stats().flows);
    }

    fn drain(&mut self) {
        self.stack.service(self.now, &mut self.app);
        assert!(!self.stack.wants_service(), "service leaves work");
        while let Some(event) = self.stack.poll_event() {
            match event {
                Event::Connect { flow, .. } => self.flows.push(flow),
                Event::Bind { bind, .. } => self.binds.push(bind),
                Event::Query { request, .. } | Event::Echo { request, .. } => {
                    self.requests.push(request)
                }
                Event::Flow { changes, .. }
                    if changes.contains(Changes::CLOSED) || changes.contains(Changes::RESET) =>
                {
                    self.reached.ended += 1;
                }
                Event::ConnectAbandoned { .. }
                | Event::Flow { .. }
                | Event::Datagram { .. }
                | Event::Datagrams { .. }
                | Event::Unbind { .. }
                | Event::Elsewhere(_) => {}
            }
        }
        // The removal of events may have left no work, but no work undone.
        self.flows.truncate(64);
        let stats = self.stack.stats();
        assert!(stats.flows <= 3 && stats.half_open <= 2 && stats.binds <= 2, "{stats:?}");
        assert!(stats.timers <= 2000, "{} timers", stats.timers);
    }
}

/// Any bytes, read as frames and calls: no panic, no limit exceeded, no deadline that does not
/// move.
pub fn packet_path(data: &[u8]) -> Reached {
    let mut input = Bytes(data);
    let mut run = Run::new(input.byte());
    for _ in 0..400 {
        if input.0.is_empty() {
            break;
        }
        let op = input.byte();
        let meta = if op & 0x80 == 0 { RxMeta::ChecksumTrusted } else { RxMeta::Unverified };
        match op & 15 {
            0..=6 => {
                let frame = segment(&mut input, &run.app);
                run.ingest(&frame, RxMeta::ChecksumTrusted);
            }
            7 => {
                let mut frame = segment(&mut input, &run.app);
                for _ in 0..=input.byte() & 3 {
                    let at = usize::from(input.byte()) % frame.len();
                    frame[at] = input.byte();
                }
                run.ingest(&frame, meta);
            }
            8 | 9 => run.ingest(&other(&mut input), meta),
            10 => {
                let len = usize::from(input.byte());
                run.ingest(input.take(len), meta);
            }
            11 => run.wait(Duration::from_millis(u64::from(input.two()))),
            12 => run.wait(Duration::from_secs(u64::from(input.two()))),
            _ => run.call(&mut input),
        }
        // Sometimes several frames make a batch.
        if op & 0x40 == 0 {
            run.drain();
        }
    }
    run.follow();
    run.reached
}
