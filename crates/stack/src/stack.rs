//! The stack as its user sees it: where each frame goes, and each answer from the relay.

use crate::addresses::{AddressPlan, Ipv6, Target, is_group, loopback_like, may_be_remote};
use crate::event::{Event, Refusal};
use crate::fragments::Reassembler;
use crate::icmp::{self, Bucket, Fault, FaultKind};
use crate::limits::{MAX_BINDS, MAX_FLOWS, MAX_HALF_OPEN};
use crate::link::{ETHER_ARP, ETHER_IPV4, ETHER_IPV6, ETHERNET, IpHead, Link, len16};
use crate::neighbours;
use crate::offload::{Offload, RxMeta, Transmit};
use crate::packet::{ICMP4, ICMP6, Packet, TCP, UDP, be16, transport_sum};
use crate::requests::{Asker, RequestId, Requests};
use crate::stats::{DropReason, Stats};
use crate::tcp::{Around, Arrived, FlowId, Segment, Tcp, Tuple};
use crate::udp::{BindId, Binds, New};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// How many of each the stack takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// TCP connections in all (at most 65,535).
    pub flows: usize,
    /// Of them half-open.
    pub half_open: usize,
    /// UDP source endpoints (at most 65,535).
    pub binds: usize,
}

impl Default for Capacity {
    fn default() -> Self {
        Self { flows: MAX_FLOWS, half_open: MAX_HALF_OPEN, binds: MAX_BINDS }
    }
}

/// What a stack is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The TAP's MTU: bytes of the largest IP packet, at least 1280 (RFC 8200 5).
    pub mtu: usize,
    /// What the kernel does for us.
    pub offload: Offload,
    /// The addresses.
    pub addresses: AddressPlan,
    /// Whether IPv6 is carried at first.
    pub ipv6: Ipv6,
    /// The gateway's Ethernet address: the TAP's neighbour.
    pub gateway_mac: [u8; 6],
    /// The TAP's own Ethernet address, in the VM.
    pub vm_mac: [u8; 6],
    /// Bounds.
    pub capacity: Capacity,
    /// Random: initial sequence numbers come from it.
    pub seed: u64,
}

/// The TCP/IP side of the gateway.
pub struct Stack {
    plan: AddressPlan,
    ipv6: Ipv6,
    link: Link,
    tcp: Tcp,
    binds: Binds,
    requests: Requests,
    fragments: Reassembler,
    bucket: Bucket,
    stats: Stats,
    events: VecDeque<Event>,
}

impl Stack {
    /// A stack with nothing open.
    pub fn new(config: Config, now: Instant) -> Self {
        let mut link = Link::new(config.gateway_mac, config.vm_mac, config.mtu.clamp(1280, 65_535), config.seed);
        let bounds = (config.capacity.flows, config.capacity.half_open);
        let tcp = Tcp::new(now, config.offload, &mut link, config.seed, bounds);
        Self {
            plan: config.addresses,
            ipv6: config.ipv6,
            link,
            tcp,
            binds: Binds::new(config.capacity.binds),
            requests: Requests::default(),
            fragments: Reassembler::default(),
            bucket: Bucket::new(now),
            stats: Stats::default(),
            events: VecDeque::new(),
        }
    }

    /// One Ethernet frame from the TAP. What is wrong with it is counted. Call [`Stack::poll_event`] until it is empty and
    /// [`Stack::service`] after a batch of frames.
    pub fn ingest(&mut self, now: Instant, frame: &[u8], meta: RxMeta, out: &mut dyn Transmit) {
        self.stats.frames_in += 1;
        self.stats.bytes_in += frame.len() as u64;
        if let Err(why) = self.ingest_frame(now, frame, meta, out) {
            self.stats.drop(why);
        }
    }

    fn ingest_frame(
        &mut self,
        now: Instant,
        frame: &[u8],
        meta: RxMeta,
        out: &mut dyn Transmit,
    ) -> Result<(), DropReason> {
        if frame.len() < ETHERNET {
            return Err(DropReason::Malformed);
        }
        if frame[0] & 1 == 0 && frame[..6] != self.link.gateway_mac {
            return Err(DropReason::NotForUs);
        }
        let bytes = &frame[ETHERNET..];
        let packet = match be16(frame, 12) {
            ETHER_ARP => {
                neighbours::arp(&mut self.link, &self.plan, &mut self.stats, bytes, out);
                return Ok(());
            }
            ETHER_IPV4 => Packet::read4(bytes)?,
            ETHER_IPV6 => Packet::read6(bytes)?,
            _ => return Err(DropReason::EtherType),
        };
        // Neighbour discovery works whether IPv6 is on or off: the kernel asks before it routes.
        if packet.protocol == ICMP6
            && packet.dst.is_ipv6()
            && packet.fragment.is_none()
            && packet.payload.first() == Some(&135)
        {
            if !packet.checksum_fits() {
                return Err(DropReason::Checksum);
            }
            neighbours::solicited(&mut self.link, &self.plan, &mut self.stats, &packet, out);
            return Ok(());
        }
        if packet.dst.is_ipv6() && self.ipv6 == Ipv6::Disabled {
            return Err(DropReason::Ipv6Off);
        }
        if is_group(packet.dst) {
            return Err(DropReason::Group);
        }
        let from_us = self.plan.is_alias(packet.src);
        if !may_be_remote(packet.src) || from_us {
            return Err(DropReason::BadSource);
        }
        // A packet in a broadcast frame is nobody's to answer.
        if frame[0] & 1 == 1 {
            return Err(DropReason::Group);
        }
        if packet.ttl <= 1 && !self.plan.is_alias(packet.dst) {
            self.report(now, out, FaultKind::TimeExceeded, &packet);
            return Err(DropReason::TtlExpired);
        }
        let Some(fragment) = packet.fragment else {
            return self.ingest_packet(now, &packet, meta, out);
        };
        let Some(whole) = self.fragments.add(now, &packet, fragment, &mut self.stats) else { return Ok(()) };
        let packet = if packet.dst.is_ipv4() { Packet::read4(&whole)? } else { Packet::read6(&whole)? };
        // The kernel's word holds for single frames only.
        self.ingest_packet(now, &packet, RxMeta::Unverified, out)
    }

    fn ingest_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        meta: RxMeta,
        out: &mut dyn Transmit,
    ) -> Result<(), DropReason> {
        let trusted = meta == RxMeta::ChecksumTrusted;
        match packet.protocol {
            TCP => {
                let seg = Segment::read(packet.payload).ok_or(DropReason::Malformed)?;
                if !trusted && !packet.checksum_fits() {
                    return Err(DropReason::Checksum);
                }
                self.ingest_tcp(now, packet, seg, out)
            }
            UDP => self.ingest_udp(now, packet, meta, out),
            ICMP4 if packet.dst.is_ipv4() => self.ingest_icmp(now, packet, out),
            ICMP6 if packet.dst.is_ipv6() => self.ingest_icmp(now, packet, out),
            _ => {
                self.report(now, out, FaultKind::ProtocolUnreachable, packet);
                Err(DropReason::Protocol)
            }
        }
    }

    fn ingest_tcp(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        seg: Segment,
        out: &mut dyn Transmit,
    ) -> Result<(), DropReason> {
        let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
        match self.tcp.arrive(now, packet, seg, &mut around) {
            Arrived::Done => return Ok(()),
            Arrived::GaveUp(flow) => {
                self.events.push_back(Event::ConnectAbandoned { flow });
                return Ok(());
            }
            Arrived::Opening => {}
        }
        let used = SocketAddr::new(packet.dst, seg.dst_port);
        let to = self.plan.classify(used);
        match to {
            Target::Remote(_) | Target::Host(_) | Target::Dns => {}
            Target::Gateway | Target::Refused => {
                self.tcp.refuse_segment(packet, seg, &mut around);
                return Err(DropReason::Refused);
            }
            Target::Group => return Err(DropReason::Group),
            Target::Invalid => {
                self.report(now, out, FaultKind::HostUnreachable, packet);
                return Err(DropReason::BadDestination);
            }
        }
        match self.tcp.open_pending(packet, seg) {
            Ok((flow, tuple)) => {
                self.stats.flows_total += 1;
                self.events.push_back(Event::Connect { flow, to, app: tuple.app, used, tuple_hash: tuple.hash32() });
                Ok(())
            }
            Err(why) => {
                // A full table is told at once; a half-open one empties soon, and the app's kernel tries again.
                if why == DropReason::FlowsFull {
                    self.tcp.refuse_segment(packet, seg, &mut around);
                }
                Err(why)
            }
        }
    }

    fn ingest_udp(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        meta: RxMeta,
        out: &mut dyn Transmit,
    ) -> Result<(), DropReason> {
        let datagram = packet.payload;
        let len = usize::from(be16(datagram, 4));
        if datagram.len() < 8 || len < 8 || len > datagram.len() {
            return Err(DropReason::Malformed);
        }
        let packet = Packet { payload: &datagram[..len], ..*packet };
        // RFC 768: a checksum of 0 means none; RFC 8200 8.1 allows that for IPv4 only.
        let has_sum = be16(datagram, 6) != 0 || packet.dst.is_ipv6();
        if meta == RxMeta::Unverified && has_sum && !packet.checksum_fits() {
            return Err(DropReason::Checksum);
        }
        let (src_port, dst_port) = icmp::ports(datagram);
        let app = SocketAddr::new(packet.src, src_port);
        let to = SocketAddr::new(packet.dst, dst_port);
        let bytes = &packet.payload[8..];
        let peer = match self.plan.classify(to) {
            Target::Remote(peer) | Target::Host(peer) => peer,
            Target::Dns => {
                let asker = Asker::Dns { app, server: to };
                let request = self.requests.insert(now, asker).ok_or(DropReason::RequestsFull)?;
                self.events.push_back(Event::Query { request, message: bytes.to_vec() });
                return Ok(());
            }
            Target::Gateway => {
                self.report(now, out, FaultKind::PortUnreachable, &packet);
                return Err(DropReason::Refused);
            }
            Target::Refused => {
                self.report(now, out, FaultKind::Prohibited, &packet);
                return Err(DropReason::Refused);
            }
            Target::Group => return Err(DropReason::Group),
            Target::Invalid => {
                self.report(now, out, FaultKind::HostUnreachable, &packet);
                return Err(DropReason::BadDestination);
            }
        };
        let used = self.binds.touch(now, app, dst_port).ok_or(DropReason::RequestsFull)?;
        if let Some(bind) = used.evicted {
            self.stats.binds_evicted += 1;
            self.events.push_back(Event::Unbind { bind });
        }
        if used.new == New::Yes {
            self.stats.binds_total += 1;
            self.events.push_back(Event::Bind { bind: used.bind, app });
        }
        if peer.ip().is_loopback()
            && let Some(bind) = self.binds.get_mut(used.bind)
        {
            bind.remember_alias(dst_port, to.ip());
        }
        let ttl = packet.ttl.saturating_sub(1).max(1);
        self.events.push_back(Event::Datagram { bind: used.bind, peer, ttl, bytes: bytes.to_vec() });
        Ok(())
    }

    fn ingest_icmp(&mut self, now: Instant, packet: &Packet<'_>, out: &mut dyn Transmit) -> Result<(), DropReason> {
        let message = packet.payload;
        if message.len() < 8 {
            return Err(DropReason::Malformed);
        }
        if !icmp::checksum_fits(packet) {
            return Err(DropReason::Checksum);
        }
        let request = if packet.dst.is_ipv4() { 8 } else { 128 };
        if message[0] != request || message[1] != 0 {
            return Err(self.ingest_icmp_other(packet));
        }
        let ident = [message[4], message[5], message[6], message[7]];
        let payload = &message[8..];
        if self.plan.is_gateway(packet.dst) {
            let ends = (packet.dst, packet.src, 64);
            icmp::send_reply((&mut self.link, &mut self.stats), out, ends, ident, payload);
            return Ok(());
        }
        let to = match self.plan.classify(SocketAddr::new(packet.dst, 1)) {
            Target::Remote(to) => to.ip(),
            Target::Host(_) => loopback_like(packet.dst),
            Target::Refused => {
                self.report(now, out, FaultKind::Prohibited, packet);
                return Err(DropReason::Refused);
            }
            Target::Group => return Err(DropReason::Group),
            Target::Dns | Target::Gateway | Target::Invalid => {
                self.report(now, out, FaultKind::HostUnreachable, packet);
                return Err(DropReason::BadDestination);
            }
        };
        let quote = packet.whole[..packet.whole.len().min(1280)].into();
        let asker = Asker::Echo { app: packet.src, to: packet.dst, ident, quote };
        let request = self.requests.insert(now, asker).ok_or(DropReason::RequestsFull)?;
        let ttl = packet.ttl.saturating_sub(1).max(1);
        self.events.push_back(Event::Echo { request, to, ttl, payload: payload.to_vec() });
        Ok(())
    }

    /// An ICMP message that is no echo request: only 'too big' about one of our segments has a use.
    fn ingest_icmp_other(&mut self, packet: &Packet<'_>) -> DropReason {
        let message = packet.payload;
        let (mtu, quoted) = match (packet.dst.is_ipv4(), message[0], message[1]) {
            (true, 3, 4) => (be16(message, 6), &message[8..]),
            (false, 2, 0) => (be16(message, 6), &message[8..]),
            (true, 3 | 4 | 5 | 11 | 12, _) | (false, 1..=127, _) => return DropReason::IcmpError,
            (true | false, _, _) => return DropReason::Icmp,
        };
        let v4 = packet.dst.is_ipv4();
        let header = if v4 { 4 * usize::from(quoted.first().copied().unwrap_or(0) & 15) } else { 40 };
        let (protocol_at, src_at, dst_at, len) = if v4 { (9, 12, 16, 4) } else { (6, 8, 24, 16) };
        if quoted.get(protocol_at) == Some(&TCP)
            && let (Some(src), Some(dst)) = (address(quoted, src_at, len), address(quoted, dst_at, len))
            && let Some(tcp) = quoted.get(header..header + 4)
        {
            let (from, to) = icmp::ports(tcp);
            self.tcp.lower_mss(Tuple { app: SocketAddr::new(dst, to), to: SocketAddr::new(src, from) }, mtu);
        }
        DropReason::IcmpError
    }

    /// Tells the sender of a packet that the gateway will not carry it.
    fn report(&mut self, now: Instant, out: &mut dyn Transmit, kind: FaultKind, packet: &Packet<'_>) {
        if icmp::may_report(packet) {
            let from = self.plan.gateway_like(packet.src);
            let to = (&mut self.link, &mut self.bucket, &mut self.stats);
            icmp::send_error(to, now, out, (kind, from, packet.src), packet.whole);
        }
    }

    /// The next thing to do for the user, if any. Cheap.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.events.pop_front() {
            return Some(event);
        }
        self.tcp.next_change().map(|(flow, changes)| Event::Flow { flow, changes })
    }

    /// Gives every flow that has something to do its turn: segments, one ACK a batch, new deadlines.
    pub fn service(&mut self, now: Instant, out: &mut dyn Transmit) {
        let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
        self.tcp.service(now, &mut around);
    }

    /// Whether [`Stack::service`] has something to do.
    pub fn wants_service(&self) -> bool {
        self.tcp.is_dirty()
    }

    /// When [`Stack::handle_timeout`] is due. It may be early, never late.
    pub fn next_deadline(&self) -> Option<Instant> {
        let all = [self.tcp.deadline(), self.binds.deadline(), self.requests.deadline(), self.fragments.deadline()];
        all.into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut dyn Transmit) {
        self.requests.expire(now);
        self.fragments.expire(now, &mut self.stats);
        while let Some(bind) = self.binds.expire(now) {
            self.events.push_back(Event::Unbind { bind });
        }
        self.tcp.expire(now);
        self.service(now, out);
    }

    /// The relay has connected: the app gets its SYN-ACK at the next [`Stack::service`].
    pub fn accept(&mut self, now: Instant, flow: FlowId, out: &mut dyn Transmit) {
        let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
        self.tcp.accept(now, flow, &mut around);
    }

    /// The relay could not connect. The id is free.
    pub fn refuse(&mut self, now: Instant, flow: FlowId, refusal: Refusal, out: &mut dyn Transmit) {
        let Some(pending) = self.tcp.take_pending(flow) else { return };
        match refusal {
            Refusal::Reset => {
                let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
                Tcp::reset_pending(&pending, &mut around);
            }
            Refusal::Unreachable(fault) => {
                let app = pending.tuple.app.ip();
                let from = fault.router.filter(|ip| same_family(*ip, app)).unwrap_or(self.plan.gateway_like(app));
                let to = (&mut self.link, &mut self.bucket, &mut self.stats);
                icmp::send_error(to, now, out, (fault.kind, from, app), &pending.syn);
            }
            Refusal::Silent => {}
        }
    }

    /// Bytes from the app that wait to be read.
    pub fn readable(&self, flow: FlowId) -> usize {
        self.tcp.flow(flow).map_or(0, |flow| flow.readable())
    }

    /// Hands at most `max` bytes to `take`, in at most two pieces (the ring wraps). Returns how many.
    pub fn read(&mut self, flow: FlowId, max: usize, take: impl FnMut(&[u8])) -> usize {
        self.tcp.with(flow, |flow| flow.read(max, take)).unwrap_or(0)
    }

    /// Whether the app's FIN came and all before it is read.
    pub fn read_finished(&self, flow: FlowId) -> bool {
        self.tcp.flow(flow).is_some_and(|flow| flow.read_finished())
    }

    /// Bytes that [`Stack::write`] takes now.
    pub fn room(&self, flow: FlowId) -> usize {
        self.tcp.flow(flow).map_or(0, |flow| flow.room())
    }

    /// Bytes for the app. Returns how many were taken: [`Stack::room`] at most.
    pub fn write(&mut self, flow: FlowId, bytes: &[u8]) -> usize {
        self.tcp.with(flow, |flow| flow.write(bytes)).unwrap_or(0)
    }

    /// Bytes written that the app has not acknowledged.
    pub fn unsent(&self, flow: FlowId) -> usize {
        self.tcp.flow(flow).map_or(0, |flow| flow.unsent())
    }

    /// No more bytes for the app: FIN follows what was written.
    pub fn finish(&mut self, flow: FlowId) {
        self.tcp.with(flow, |flow| flow.finish());
    }

    /// Resets the flow at the next [`Stack::service`], or forgets it while it is pending (no RST: the app's next SYN asks again).
    /// The id is free, and no more is told of it.
    pub fn abort(&mut self, flow: FlowId) {
        if self.tcp.take_pending(flow).is_none() {
            self.tcp.abort(flow);
        }
    }

    /// [`Stack::abort`] for many: all flows of a relay that died.
    pub fn reset_flows(&mut self, flows: impl IntoIterator<Item = FlowId>) {
        for flow in flows {
            self.abort(flow);
        }
    }

    /// A datagram from `peer` for the app behind `bind`; `ttl` is what it came with.
    pub fn deliver_datagram(
        &mut self,
        now: Instant,
        bind: BindId,
        peer: SocketAddr,
        bytes: &[u8],
        ttl: u8,
        out: &mut dyn Transmit,
    ) {
        let found = self.binds.answered(now, bind).map(|bind| (bind.app, bind.alias(peer.port())));
        let Some((app, alias)) = found else { return self.stats.drop(DropReason::Late) };
        let from = self.known_as(peer, alias);
        self.send_udp(from, app, bytes, ttl.max(1), out);
    }

    /// The address by which an app knows a peer.
    fn known_as(&self, peer: SocketAddr, alias: Option<IpAddr>) -> SocketAddr {
        if !peer.ip().is_loopback() {
            return peer;
        }
        SocketAddr::new(alias.unwrap_or_else(|| self.plan.host_like(peer.ip())), peer.port())
    }

    fn send_udp(&mut self, from: SocketAddr, app: SocketAddr, bytes: &[u8], ttl: u8, out: &mut dyn Transmit) {
        let (src, dst) = (from.ip(), app.ip());
        if bytes.len() > 65_507 || !same_family(src, dst) {
            return self.stats.drop(DropReason::Late);
        }
        let datagram = udp_datagram(from, app, bytes);
        let head = IpHead { src, dst, protocol: UDP, ttl };
        self.link.send(&mut self.stats, out, head, &datagram);
    }

    /// An error came back about a datagram from `bind` to `peer`: the app's kernel is told.
    pub fn deliver_peer_error(
        &mut self,
        now: Instant,
        bind: BindId,
        peer: SocketAddr,
        fault: Fault,
        out: &mut dyn Transmit,
    ) {
        let found = self.binds.get(bind).map(|bind| (bind.app, bind.alias(peer.port())));
        let Some((app, alias)) = found else { return self.stats.drop(DropReason::Late) };
        let peer = self.known_as(peer, alias);
        if !same_family(peer.ip(), app.ip()) {
            return self.stats.drop(DropReason::Late);
        }
        // 'Port unreachable' is the peer's own word; of the others the relay's host has said it.
        let own = if fault.kind == FaultKind::PortUnreachable { peer.ip() } else { self.plan.gateway_like(app.ip()) };
        let router = fault.router.filter(|ip| same_family(*ip, app.ip()) && !ip.is_loopback()).unwrap_or(own);
        let quote = quote_udp(app, peer);
        let to = (&mut self.link, &mut self.bucket, &mut self.stats);
        icmp::send_error(to, now, out, (fault.kind, router, app.ip()), &quote);
    }

    /// The relay has no socket for it, or lost it. The next datagram makes a new bind.
    pub fn bind_failed(&mut self, bind: BindId) {
        self.binds.remove(bind);
    }

    /// The answer to a DNS question, as large as its asker takes it.
    pub fn answer_query(&mut self, request: RequestId, message: &[u8], out: &mut dyn Transmit) {
        match self.requests.take(request) {
            Some(Asker::Dns { app, server }) => self.send_udp(server, app, message, 64, out),
            Some(Asker::Echo { .. }) | None => self.stats.drop(DropReason::Late),
        }
    }

    /// An echo request was answered; `ttl` is what the reply came with.
    pub fn echo_reply(&mut self, request: RequestId, ttl: u8, payload: &[u8], out: &mut dyn Transmit) {
        match self.requests.take(request) {
            Some(Asker::Echo { app, to, ident, .. }) if payload.len() <= 65_507 => {
                icmp::send_reply((&mut self.link, &mut self.stats), out, (to, app, ttl.max(1)), ident, payload);
            }
            Some(_) | None => self.stats.drop(DropReason::Late),
        }
    }

    /// An error came back about an echo request.
    pub fn echo_error(&mut self, now: Instant, request: RequestId, fault: Fault, out: &mut dyn Transmit) {
        let Some(Asker::Echo { app, quote, .. }) = self.requests.take(request) else {
            return self.stats.drop(DropReason::Late);
        };
        let router = fault.router.filter(|ip| same_family(*ip, app)).unwrap_or(self.plan.gateway_like(app));
        let to = (&mut self.link, &mut self.bucket, &mut self.stats);
        icmp::send_error(to, now, out, (fault.kind, router, app), &quote);
    }

    /// A question or echo request that will get no answer.
    pub fn forget_request(&mut self, request: RequestId) {
        self.requests.take(request);
    }

    /// Carries IPv6 or not, from now on. Open flows stay.
    pub fn set_ipv6(&mut self, ipv6: Ipv6) {
        self.ipv6 = ipv6;
    }

    /// Other addresses, from now on. Open flows stay.
    pub fn set_addresses(&mut self, addresses: AddressPlan) {
        self.plan = addresses;
    }

    /// The counters.
    pub fn stats(&mut self) -> &Stats {
        self.tcp.count(&mut self.stats);
        self.stats.binds = self.binds.len();
        &self.stats
    }
}

fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

fn address(bytes: &[u8], at: usize, len: usize) -> Option<IpAddr> {
    let bytes = bytes.get(at..at + len)?;
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) => Some(four.into()),
        Err(_) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

/// A datagram with its header (RFC 768).
fn udp_datagram(from: SocketAddr, to: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let len = 8 + bytes.len();
    let mut datagram = Vec::with_capacity(len);
    datagram.extend_from_slice(&from.port().to_be_bytes());
    datagram.extend_from_slice(&to.port().to_be_bytes());
    datagram.extend_from_slice(&len16(len).to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(bytes);
    let sum = transport_sum(from.ip(), to.ip(), UDP, len).add_slice(&datagram).to_ones_complement_with_no_zero();
    datagram[6..8].copy_from_slice(&sum.to_ne_bytes());
    datagram
}

/// The start of the datagram that `app` sent to `peer`, as far as an ICMP error must quote it.
fn quote_udp(app: SocketAddr, peer: SocketAddr) -> Vec<u8> {
    let mut quote = match (app.ip(), peer.ip()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let mut header = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 1, UDP, 0, 0];
            header.extend_from_slice(&src.octets());
            header.extend_from_slice(&dst.octets());
            let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&header).ones_complement();
            header[10..12].copy_from_slice(&sum.to_ne_bytes());
            header
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let mut header = vec![0x60, 0, 0, 0, 0, 8, UDP, 1];
            header.extend_from_slice(&src.octets());
            header.extend_from_slice(&dst.octets());
            header
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
    };
    quote.extend_from_slice(&udp_datagram(app, peer, &[]));
    quote
}
