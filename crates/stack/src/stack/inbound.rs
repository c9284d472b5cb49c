//! From the TAP: checks each frame and passes it to neighbour discovery, reassembly, TCP, UDP or
//! ICMP.

use super::Stack;
use super::burst::Burst;
use crate::addresses::{Ipv6, Target, is_group, loopback_like, may_be_remote};
use crate::event::Event;
use crate::icmp::{self, Echoed, Ends};
use crate::link::{ETHER_ARP, ETHER_IPV4, ETHER_IPV6, ETHERNET};
use crate::marks::limited_hops;
use crate::neighbours;
use crate::offload::{RxMeta, Transmit};
use crate::packet::{ICMP4, ICMP6, Packet, Problem, TCP, UDP, Unread, be16, be32};
use crate::requests::Asker;
use crate::sent::{LATEST, Sent};
use crate::stats::DropReason;
use crate::tcp::{Around, Arrived, Segment, Tuple};
use crate::udp::{Bind, BindId};
use crate::uplink::{Elsewhere, Kind};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;
use terms::{FaultKind, Fragments, Marks};

/// A packet was taken, or why it was dropped.
type Taken = Result<(), DropReason>;

/// A UDP datagram whose lengths and checksum are right.
struct Datagram<'a> {
    /// Without the bytes after the datagram.
    packet: Packet<'a>,
    app: SocketAddr,
    to: SocketAddr,
    bytes: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// RFC 768.
    fn read(packet: &Packet<'a>, meta: RxMeta) -> Result<Self, DropReason> {
        let datagram = packet.payload;
        let len = usize::from(be16(datagram, 4));
        if datagram.len() < 8 || len < 8 || len > datagram.len() {
            return Err(DropReason::Malformed);
        }
        let packet = Packet { payload: &datagram[..len], ..*packet };
        // A checksum of 0 means that the datagram has no checksum. RFC 8200 8.1 allows that for
        // IPv4 only.
        let has_sum = be16(datagram, 6) != 0 || packet.dst.is_ipv6();
        if meta == RxMeta::Unverified && has_sum && !packet.checksum_fits() {
            return Err(DropReason::Checksum);
        }
        let (src_port, dst_port) = icmp::ports(datagram);
        Ok(Self {
            packet,
            app: SocketAddr::new(packet.src, src_port),
            to: SocketAddr::new(packet.dst, dst_port),
            bytes: &datagram[8..len],
        })
    }
}

impl Stack {
    /// Takes one Ethernet frame from the TAP and counts its faults. Call [`Stack::poll_event`]
    /// until it is empty and [`Stack::service`] after a batch of frames.
    pub fn ingest(&mut self, now: Instant, frame: &[u8], meta: RxMeta, out: &mut dyn Transmit) {
        self.stats.frames_in += 1;
        self.stats.bytes_in += frame.len() as u64;
        let taken = match meta {
            RxMeta::Datagrams { .. } => self.ingest_super_packet(now, frame, meta, out),
            RxMeta::Unverified | RxMeta::ChecksumTrusted => {
                self.ingest_frame(now, frame, meta, out)
            }
        };
        if let Err(why) = taken {
            self.stats.drop(why);
        }
    }

    /// A super-packet of UDP, whole, or datagram by datagram where each may need its own headers.
    fn ingest_super_packet(
        &mut self,
        now: Instant,
        frame: &[u8],
        meta: RxMeta,
        out: &mut dyn Transmit,
    ) -> Taken {
        let packet = frame.get(ETHERNET..).and_then(|bytes| match be16(frame, 12) {
            ETHER_IPV4 => Packet::read4(bytes).ok(),
            ETHER_IPV6 => Packet::read6(bytes).ok(),
            _ => None,
        });
        let burst = packet.and_then(|packet| Burst::read(&packet, meta));
        let Some(burst) = burst.filter(|burst| !self.passes_whole(burst)) else {
            return self.ingest_frame(now, frame, meta, out);
        };
        for (place, payload) in burst.parts().enumerate() {
            let part = burst.frame(frame, place, payload);
            if let Err(why) = self.ingest_frame(now, &part, RxMeta::Unverified, out) {
                self.stats.drop(why);
            }
        }
        Ok(())
    }

    fn ingest_frame(
        &mut self,
        now: Instant,
        frame: &[u8],
        meta: RxMeta,
        out: &mut dyn Transmit,
    ) -> Taken {
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
            ETHER_IPV6 => match Packet::read6(bytes) {
                Ok(packet) => packet,
                Err(unread) => {
                    self.object(now, out, frame, unread);
                    return Err(unread.why);
                }
            },
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
        // Open connections continue. A new one is refused further on.
        if self.is_off(&packet) && packet.protocol != TCP {
            return Err(DropReason::Ipv6Off);
        }
        if is_group(packet.dst) {
            return Err(DropReason::Group);
        }
        let from_us = self.plan.is_alias(packet.src);
        if !may_be_remote(packet.src) || from_us {
            return Err(DropReason::BadSource);
        }
        // No station answers a packet in a broadcast frame.
        if frame[0] & 1 == 1 {
            return Err(DropReason::Group);
        }
        if packet.marks.ttl <= 1 && !self.plan.is_alias(packet.dst) {
            self.report(now, out, FaultKind::TimeExceeded, &packet);
            return Err(DropReason::TtlExpired);
        }
        let Some(fragment) = packet.fragment else {
            return self.ingest_packet(now, &packet, meta, out);
        };
        let Some(whole) = self.fragments.add(now, &packet, fragment, &mut self.stats) else {
            return Ok(());
        };
        let packet =
            if packet.dst.is_ipv4() { Packet::read4(&whole)? } else { Packet::read6(&whole)? };
        // Its sender fragmented it, so the relay's host may fragment it too.
        let packet =
            Packet { marks: Marks { fragments: Fragments::Allowed, ..packet.marks }, ..packet };
        // The kernel vouches for single frames only.
        self.ingest_packet(now, &packet, RxMeta::Unverified, out)
    }

    fn is_off(&self, packet: &Packet<'_>) -> bool {
        packet.dst.is_ipv6() && self.ipv6 == Ipv6::Disabled
    }

    fn ingest_packet(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        meta: RxMeta,
        out: &mut dyn Transmit,
    ) -> Taken {
        match packet.protocol {
            TCP => {
                let seg = Segment::read(packet.payload).ok_or(DropReason::Malformed)?;
                if meta == RxMeta::Unverified && !packet.checksum_fits() {
                    return Err(DropReason::Checksum);
                }
                self.ingest_tcp(now, packet, seg, out)
            }
            UDP => match Burst::read(packet, meta) {
                Some(burst) => self.ingest_burst(now, &burst),
                None => {
                    let datagram = Datagram::read(packet, meta)?;
                    self.ingest_udp(now, &datagram, meta, out)
                }
            },
            ICMP4 if packet.dst.is_ipv4() => self.ingest_icmp(now, packet, out),
            ICMP6 if packet.dst.is_ipv6() => self.ingest_icmp(now, packet, out),
            _ if packet.dst.is_ipv4() => {
                self.report(now, out, FaultKind::ProtocolUnreachable, packet);
                Err(DropReason::Protocol)
            }
            _ => {
                if icmp::may_report(packet) {
                    let problem = packet.unknown_protocol();
                    self.report_problem(now, out, problem, packet.src, packet.whole);
                }
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
    ) -> Taken {
        let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
        match self.tcp.arrive(now, packet, seg, &mut around) {
            Arrived::Done => return Ok(()),
            Arrived::GaveUp(flow) => {
                self.tell(Event::ConnectAbandoned { flow });
                return Ok(());
            }
            Arrived::Anew(flow) => {
                self.tell(Event::ConnectAbandoned { flow });
                if self.is_off(packet) {
                    return Err(DropReason::Ipv6Off);
                }
                self.uplink.note_opening(SocketAddr::new(packet.src, seg.src_port));
                self.may_emit()?;
            }
            Arrived::Unknown => {
                let kind = if seg.is_accepting() { Kind::Accepting } else { Kind::Other };
                let app = SocketAddr::new(packet.src, seg.src_port);
                if let Some(elsewhere) = self.uplink.answer(app, kind) {
                    return Err(self.report_elsewhere(elsewhere));
                }
                self.tcp.answer_unknown(packet, seg, &mut around);
                return Err(DropReason::NoFlow);
            }
            Arrived::Opening if self.is_off(packet) => return Err(DropReason::Ipv6Off),
            Arrived::Opening => {
                self.uplink.note_opening(SocketAddr::new(packet.src, seg.src_port));
                self.may_emit()?;
            }
        }
        let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
        let used = SocketAddr::new(packet.dst, seg.dst_port);
        let to = self.plan.classify(used);
        let hops = match to {
            Target::Remote(_) => limited_hops(packet.marks),
            // No router is on the path.
            Target::Host(_) | Target::Dns => None,
            Target::Gateway | Target::Refused => {
                self.tcp.refuse_segment(packet, seg, &mut around);
                return Err(DropReason::Refused);
            }
            Target::Group => return Err(DropReason::Group),
            // No host listens there, and no socket can be connected to it.
            Target::Invalid if used.port() == 0 => {
                self.tcp.refuse_segment(packet, seg, &mut around);
                return Err(DropReason::BadDestination);
            }
            Target::Invalid => {
                self.report(now, out, FaultKind::HostUnreachable, packet);
                return Err(DropReason::BadDestination);
            }
        };
        let opened = self.tcp.open_pending(now, packet, seg, &mut around, self.owners.as_mut());
        self.report_displaced();
        match opened {
            Ok((flow, tuple)) => {
                self.stats.flows_total += 1;
                self.tell(Event::Connect {
                    flow,
                    to,
                    app: tuple.app,
                    used,
                    hops,
                    tuple_hash: tuple.hash32(),
                });
                Ok(())
            }
            Err(why) => {
                // A full table refuses at once. A full half-open table empties soon, as may one
                // that is being swept, and the app's kernel tries again.
                if why == DropReason::FlowsFull && !self.tcp.is_seeking_room(now) {
                    let mut around = Around { link: &mut self.link, stats: &mut self.stats, out };
                    around.stats.flows_refused += 1;
                    self.tcp.refuse_segment(packet, seg, &mut around);
                }
                Err(why)
            }
        }
    }

    /// The packet is lost. By the time its sender repeats it, it may have another route.
    fn report_elsewhere(&mut self, elsewhere: Elsewhere) -> DropReason {
        if let Err(why) = self.may_emit() {
            return why;
        }
        self.tell(Event::Elsewhere(elsewhere));
        DropReason::Elsewhere
    }

    fn ingest_udp(
        &mut self,
        now: Instant,
        datagram: &Datagram<'_>,
        meta: RxMeta,
        out: &mut dyn Transmit,
    ) -> Taken {
        self.may_emit()?;
        let Datagram { ref packet, app, to, bytes } = *datagram;
        let peer = match self.plan.classify(to) {
            Target::Remote(peer) | Target::Host(peer) => peer,
            Target::Dns => {
                let asker = Asker::Dns { app, server: to };
                let request = self.requests.insert(now, asker).ok_or(DropReason::RequestsFull)?;
                self.tell(Event::Query { request, message: bytes.to_vec() });
                return Ok(());
            }
            Target::Gateway => {
                self.report(now, out, FaultKind::PortUnreachable, packet);
                return Err(DropReason::Refused);
            }
            Target::Refused => {
                self.report(now, out, FaultKind::Prohibited, packet);
                return Err(DropReason::Refused);
            }
            Target::Group => return Err(DropReason::Group),
            Target::Invalid => {
                let kind = if to.port() == 0 {
                    FaultKind::PortUnreachable
                } else {
                    FaultKind::HostUnreachable
                };
                self.report(now, out, kind, packet);
                return Err(DropReason::BadDestination);
            }
        };
        let bind = self.bind_of(now, app, to)?;
        self.note_sent(bind, to, peer, |bind| bind.latest.push(Sent::read(packet, to, meta)));
        let marks = packet.marks.after_a_hop();
        self.tell(Event::Datagram { bind, peer, marks, bytes: bytes.to_vec() });
        Ok(())
    }

    /// Whether the datagrams of a super-packet all pass on, so that none of them needs its own
    /// headers.
    fn passes_whole(&self, burst: &Burst<'_>) -> bool {
        burst.packet.marks.ttl > 1
            && matches!(self.plan.classify(burst.to), Target::Remote(_) | Target::Host(_))
    }

    fn ingest_burst(&mut self, now: Instant, burst: &Burst<'_>) -> Taken {
        self.may_emit()?;
        let &Burst { ref packet, app, to, size, bytes } = burst;
        let (Target::Remote(peer) | Target::Host(peer)) = self.plan.classify(to) else {
            return Err(DropReason::BadDestination);
        };
        let bind = self.bind_of(now, app, to)?;
        self.note_sent(bind, to, peer, |bind| {
            let parts = burst.parts();
            let forgotten = parts.len().saturating_sub(LATEST);
            for (place, payload) in parts.enumerate().skip(forgotten) {
                bind.latest.push(Sent::read_part(packet, to, place, payload));
            }
        });
        let marks = packet.marks.after_a_hop();
        self.tell(Event::Datagrams { bind, peer, marks, size, bytes: bytes.to_vec() });
        Ok(())
    }

    /// The bind of a datagram, created if there is none. It may take another one's place.
    fn bind_of(
        &mut self,
        now: Instant,
        app: SocketAddr,
        to: SocketAddr,
    ) -> Result<BindId, DropReason> {
        while let Some(bind) = self.binds.evict(app, to, self.owners.as_mut()) {
            self.stats.binds_evicted += 1;
            self.tell(Event::Unbind { bind });
        }
        let used =
            self.binds.touch(now, app, to, self.owners.as_mut()).ok_or(DropReason::RequestsFull)?;
        if used.is_new {
            self.stats.binds_total += 1;
            self.tell(Event::Bind { bind: used.bind, app });
        }
        Ok(used.bind)
    }

    /// Remembers what a bind has sent, and to whom.
    fn note_sent(
        &mut self,
        bind: BindId,
        to: SocketAddr,
        peer: SocketAddr,
        note: impl FnOnce(&mut Bind),
    ) {
        let Some(bind) = self.binds.get_mut(bind) else { return };
        note(bind);
        bind.contacts.insert(peer.ip());
        if peer.ip().is_loopback() {
            bind.remember_alias(to.port(), to.ip());
        }
    }

    fn ingest_icmp(&mut self, now: Instant, packet: &Packet<'_>, out: &mut dyn Transmit) -> Taken {
        let message = packet.payload;
        if message.len() < 8 {
            return Err(DropReason::Malformed);
        }
        if !icmp::checksum_fits(packet) {
            return Err(DropReason::Checksum);
        }
        let request = if packet.dst.is_ipv4() { icmp::ECHO } else { 128 };
        if message[0] != request {
            return Err(self.ingest_icmp_other(now, packet, out));
        }
        self.may_emit()?;
        let ident = [message[4], message[5], message[6], message[7]];
        let echoed = Echoed { code: message[1], ident };
        let payload = &message[8..];
        if self.plan.is_gateway(packet.dst) {
            let ends = Ends { from: packet.dst, app: packet.src, ttl: 64 };
            icmp::send_reply(&mut self.link, &mut self.stats, out, ends, echoed, payload);
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
        let asker = Asker::Echo { app: packet.src, to: packet.dst, echoed, quote };
        let request = self.requests.insert(now, asker).ok_or(DropReason::RequestsFull)?;
        let marks = packet.marks.after_a_hop();
        self.tell(Event::Echo { request, to, marks, payload: payload.to_vec() });
        Ok(())
    }

    /// Handles ICMP messages other than echo requests: only 'too big' about one of our segments is
    /// useful. A request for a timestamp is refused: no ordinary program can send one for the app.
    fn ingest_icmp_other(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        out: &mut dyn Transmit,
    ) -> DropReason {
        let message = packet.payload;
        let (mtu, quoted) = match (packet.dst.is_ipv4(), message[0], message[1]) {
            (true, 3, 4) => (be16(message, 6), &message[8..]),
            (false, 2, 0) => (u16::try_from(be32(message, 4)).unwrap_or(u16::MAX), &message[8..]),
            (true, icmp::TIMESTAMP, _) => {
                self.report(now, out, FaultKind::Prohibited, packet);
                return DropReason::Icmp;
            }
            (true, icmp::ECHO_REPLY, _) | (false, 129, _) => {
                let reply = self.uplink.echo_reply(packet.src, packet.dst);
                return reply
                    .map_or(DropReason::Icmp, |elsewhere| self.report_elsewhere(elsewhere));
            }
            (true, 3 | 4 | 5 | 11 | 12, _) | (false, 1..=127, _) => return DropReason::IcmpError,
            (true | false, _, _) => return DropReason::Icmp,
        };
        let v4 = packet.dst.is_ipv4();
        let header =
            if v4 { 4 * usize::from(quoted.first().copied().unwrap_or(0) & 15) } else { 40 };
        let (protocol_at, src_at, dst_at, len) = if v4 { (9, 12, 16, 4) } else { (6, 8, 24, 16) };
        if quoted.get(protocol_at) == Some(&TCP)
            && let (Some(src), Some(dst)) =
                (address(quoted, src_at, len), address(quoted, dst_at, len))
            && let Some(tcp) = quoted.get(header..header + 8)
        {
            let (from, to) = icmp::ports(tcp);
            let tuple = Tuple { app: SocketAddr::new(dst, to), to: SocketAddr::new(src, from) };
            self.tcp.lower_mss(tuple, be32(tcp, 4), mtu);
        }
        DropReason::IcmpError
    }

    /// Notifies the sender of an IPv6 frame of the field that a host does not understand.
    fn object(&mut self, now: Instant, out: &mut dyn Transmit, frame: &[u8], unread: Unread) {
        let bytes = &frame[ETHERNET..];
        // Ethernet may have padded it.
        let bytes = &bytes[..bytes.len().min(40 + usize::from(be16(bytes, 4)))];
        let (Some(problem), Some(src), Some(dst)) =
            (unread.problem, address(bytes, 8, 16), address(bytes, 24, 16))
        else {
            return;
        };
        let is_ours = self.ipv6 == Ipv6::Enabled && frame[0] & 1 == 0 && !is_group(dst);
        if is_ours && may_be_remote(src) && !self.plan.is_alias(src) {
            self.report_problem(now, out, problem, src, bytes);
        }
    }

    fn report_problem(
        &mut self,
        now: Instant,
        out: &mut dyn Transmit,
        problem: Problem,
        app: IpAddr,
        about: &[u8],
    ) {
        let from = self.plan.gateway_like(app);
        self.reporter(now, out).problem(problem, from, app, about);
    }

    /// Notifies the sender of a packet that the gateway will not carry it.
    fn report(
        &mut self,
        now: Instant,
        out: &mut dyn Transmit,
        kind: FaultKind,
        packet: &Packet<'_>,
    ) {
        if icmp::may_report(packet) {
            let from = self.plan.gateway_like(packet.src);
            self.reporter(now, out).error(kind, from, packet.src, packet.whole);
        }
    }
}

fn address(bytes: &[u8], at: usize, len: usize) -> Option<IpAddr> {
    let bytes = bytes.get(at..at + len)?;
    match <[u8; 4]>::try_from(bytes) {
        Ok(four) => Some(four.into()),
        Err(_) => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}
