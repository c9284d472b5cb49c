//! ICMP messages to the VM: rate-limited errors that quote the packet concerned (RFC 792, RFC
//! 4443), and echo replies.

use crate::addresses::is_group;
use crate::limits::{ICMP_BURST, ICMP_RATE};
use crate::link::{IpHead, Link};
use crate::offload::Transmit;
use crate::packet::{ICMP4, ICMP6, Packet, Problem, be16, transport_sum};
use crate::stats::{DropReason, Stats};
use etherparse::checksum::Sum16BitWords;
use std::net::IpAddr;
use std::time::Instant;
use terms::FaultKind;

/// Types of IPv4's queries (RFC 792).
pub(crate) const ECHO: u8 = 8;
/// See [`ECHO`].
pub(crate) const ECHO_REPLY: u8 = 0;
/// See [`ECHO`].
pub(crate) const TIMESTAMP: u8 = 13;

/// The MTU to report for a link whose router reported no MTU (RFC 1191 4). Linux replaces 0 by its
/// minimum of 552 bytes. Every IPv6 link carries 1280 bytes, and so does nearly every IPv4 link.
const UNKNOWN_MTU: u32 = 1280;

/// Type, code and the second word, for IPv4 and IPv6.
fn header(kind: FaultKind, dst: IpAddr) -> (u8, u8, u32) {
    if dst.is_ipv4() {
        match kind {
            FaultKind::NetworkUnreachable => (3, 0, 0),
            FaultKind::HostUnreachable => (3, 1, 0),
            FaultKind::ProtocolUnreachable => (3, 2, 0),
            FaultKind::PortUnreachable => (3, 3, 0),
            FaultKind::Prohibited => (3, 13, 0),
            FaultKind::TimeExceeded => (11, 0, 0),
            FaultKind::PacketTooBig { mtu } => (3, 4, known(mtu).min(0xffff)),
        }
    } else {
        match kind {
            FaultKind::NetworkUnreachable => (1, 0, 0),
            FaultKind::HostUnreachable => (1, 3, 0),
            // The pointer names the next-header field of the fixed header (RFC 4443 3.4).
            FaultKind::ProtocolUnreachable => (4, 1, 6),
            FaultKind::PortUnreachable => (1, 4, 0),
            FaultKind::Prohibited => (1, 1, 0),
            FaultKind::TimeExceeded => (3, 0, 0),
            FaultKind::PacketTooBig { mtu } => (2, 0, known(mtu)),
        }
    }
}

fn known(mtu: u32) -> u32 {
    if mtu == 0 { UNKNOWN_MTU } else { mtu }
}

/// Limits the rate of ICMP errors.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// 0 <= tokens <= ICMP_BURST
    tokens: f64,
    at: Instant,
}

impl Bucket {
    pub(crate) fn new(now: Instant) -> Self {
        Self { tokens: ICMP_BURST.into(), at: now }
    }

    fn take(&mut self, now: Instant) -> Option<()> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * f64::from(ICMP_RATE);
        self.tokens = (self.tokens + gained).min(ICMP_BURST.into());
        self.at = self.at.max(now);
        (self.tokens >= 1.0).then(|| self.tokens -= 1.0)
    }
}

/// Whether an error may be sent about this packet (RFC 1122 3.2.2, RFC 4443 2.4 e).
pub(crate) fn may_report(packet: &Packet<'_>) -> bool {
    if is_group(packet.dst) || packet.fragment.is_some_and(|f| f.offset > 0) {
        return false;
    }
    let kind = packet.payload.first().copied();
    match packet.protocol {
        ICMP4 => kind.is_some_and(|kind| [ECHO, TIMESTAMP].contains(&kind)),
        ICMP6 => kind.is_some_and(|kind| kind >= 128 && !(133..=137).contains(&kind)),
        _ => true,
    }
}

/// The start of a packet as the router at its last hop saw it.
pub(crate) fn at_last_hop(packet: &[u8]) -> Vec<u8> {
    let mut seen = packet.to_vec();
    match seen.first().map(|first| (first >> 4, 4 * usize::from(first & 15))) {
        Some((4, header)) if (20..=seen.len()).contains(&header) => {
            seen[8] = 1;
            seen[10..12].fill(0);
            let sum = Sum16BitWords::new().add_slice(&seen[..header]).ones_complement();
            seen[10..12].copy_from_slice(&sum.to_ne_bytes());
        }
        Some((6, _)) if seen.len() >= 40 => seen[7] = 1,
        Some(_) | None => {}
    }
    seen
}

/// The source and destination of an ICMP message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    pub(crate) from: IpAddr,
    pub(crate) app: IpAddr,
    pub(crate) ttl: u8,
}

/// Sends errors to apps, at most as many as the bucket allows.
pub(crate) struct Reporter<'a> {
    pub(crate) link: &'a mut Link,
    pub(crate) bucket: &'a mut Bucket,
    pub(crate) stats: &'a mut Stats,
    pub(crate) out: &'a mut dyn Transmit,
    pub(crate) now: Instant,
}

impl Reporter<'_> {
    /// Sends an error about a packet of `app`, quoting `about` (an IP packet from its header on).
    /// The quote of a packet that ran out of hops shows its last hop.
    pub(crate) fn error(&mut self, kind: FaultKind, from: IpAddr, app: IpAddr, about: &[u8]) {
        if from.is_ipv4() != app.is_ipv4() {
            return;
        }
        let expired = (kind == FaultKind::TimeExceeded).then(|| at_last_hop(about));
        self.send(header(kind, app), from, app, expired.as_deref().unwrap_or(about));
    }

    /// Sends a parameter problem about a packet of `app`. `about` is the beginning of that packet
    /// (RFC 4443 3.4).
    pub(crate) fn problem(&mut self, problem: Problem, from: IpAddr, app: IpAddr, about: &[u8]) {
        self.send((4, problem.code, problem.pointer), from, app, about);
    }

    /// Sends an error of that type, code and second word.
    fn send(&mut self, (ty, code, word): (u8, u8, u32), from: IpAddr, app: IpAddr, about: &[u8]) {
        if self.bucket.take(self.now).is_none() {
            self.stats.drop(DropReason::IcmpRate);
            return;
        }
        // The whole message fits the packet size that every link carries: 576 and 1280 bytes.
        let most = if app.is_ipv4() { 576 - 28 } else { 1280 - 48 };
        let mut message = Vec::with_capacity(8 + most);
        message.extend_from_slice(&[ty, code, 0, 0]);
        message.extend_from_slice(&word.to_be_bytes());
        message.extend_from_slice(&about[..about.len().min(most)]);
        send(self.link, self.stats, self.out, Ends { from, app, ttl: 64 }, message);
    }
}

/// The fields of a request that its echo reply repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echoed {
    /// Linux and other hosts repeat any value (net/ipv4/icmp.c, icmp_echo).
    pub(crate) code: u8,
    /// Identifier and sequence number.
    pub(crate) ident: [u8; 4],
}

/// Sends an echo reply (RFC 792, RFC 4443 4.2).
pub(crate) fn send_reply(
    link: &mut Link,
    stats: &mut Stats,
    out: &mut dyn Transmit,
    ends: Ends,
    echoed: Echoed,
    payload: &[u8],
) {
    let mut message = Vec::with_capacity(8 + payload.len());
    message.extend_from_slice(&[if ends.app.is_ipv4() { 0 } else { 129 }, echoed.code, 0, 0]);
    message.extend_from_slice(&echoed.ident);
    message.extend_from_slice(payload);
    send(link, stats, out, ends, message);
}

/// Sends an ICMP message whose checksum field is still 0.
pub(crate) fn send(
    link: &mut Link,
    stats: &mut Stats,
    out: &mut dyn Transmit,
    Ends { from: src, app: dst, ttl }: Ends,
    mut message: Vec<u8>,
) {
    let protocol = if dst.is_ipv4() { ICMP4 } else { ICMP6 };
    let start = if dst.is_ipv4() {
        Sum16BitWords::new()
    } else {
        transport_sum(src, dst, ICMP6, message.len())
    };
    let sum = start.add_slice(&message).ones_complement();
    message[2..4].copy_from_slice(&sum.to_ne_bytes());
    link.send(stats, out, IpHead { src, dst, protocol, ttl, traffic_class: 0 }, &message);
}

/// Whether the ICMP checksum is right.
pub(crate) fn checksum_fits(packet: &Packet<'_>) -> bool {
    match packet.protocol {
        ICMP4 => Sum16BitWords::new().add_slice(packet.payload).ones_complement() == 0,
        _ => packet.checksum_fits(),
    }
}

/// The UDP or TCP ports at a payload's start: source, destination.
pub(crate) fn ports(payload: &[u8]) -> (u16, u16) {
    (be16(payload, 0), be16(payload, 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Fragment, More};
    use std::time::Duration;

    const HOST: [u8; 4] = [8, 8, 4, 4];

    #[expect(clippy::disallowed_methods, reason = "tests start their virtual clock somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    /// A packet with that protocol and payload; the rest is plain.
    fn packet<'a>(dst: IpAddr, protocol: u8, payload: &'a [u8]) -> Packet<'a> {
        let src = if dst.is_ipv4() {
            IpAddr::from([10, 99, 0, 18])
        } else {
            "fd75:6e64:6572::2".parse().unwrap()
        };
        let marks = crate::Marks::of_ttl(64);
        Packet {
            src,
            dst,
            marks,
            protocol,
            protocol_at: 9,
            payload,
            whole: payload,
            fragment: None,
        }
    }

    /// RFC 1122 section 3.2.2, RFC 4443 section 2.4 (e).
    #[test]
    fn errors_are_sent_about_requests_and_data_alone() {
        let (v4, v6): (IpAddr, IpAddr) = (HOST.into(), "2600::1".parse().unwrap());
        let about =
            |dst, protocol, first: u8| may_report(&packet(dst, protocol, &[first, 0, 0, 0]));
        for kind in 0..=u8::MAX {
            assert_eq!(about(v4, ICMP4, kind), [8, 13].contains(&kind), "ICMP type {kind}");
            let is_asking = kind >= 128 && !(133..=137).contains(&kind);
            assert_eq!(about(v6, ICMP6, kind), is_asking, "ICMPv6 type {kind}");
            assert!(about(v4, 17, kind) && about(v6, 6, kind), "data is not ICMP");
        }
        assert!(!may_report(&packet(v4, ICMP4, &[])) && !may_report(&packet(v6, ICMP6, &[])));
        for group in ["224.0.0.1", "255.255.255.255", "ff02::1"] {
            assert!(!about(group.parse().unwrap(), 17, 0), "{group}");
        }
        let part = |offset| Some(Fragment { id: 1, offset, more: More::Follow });
        let fragment = |offset| Packet { fragment: part(offset), ..packet(v4, 17, &[0; 8]) };
        assert!(may_report(&fragment(0)) && !may_report(&fragment(8)));
    }

    #[test]
    fn a_checksum_is_right_or_wrong() {
        for (dst, protocol) in [(IpAddr::from(HOST), ICMP4), ("2600::1".parse().unwrap(), ICMP6)] {
            let mut message = vec![8, 0, 0, 0, 1, 2, 3, 4, 5];
            let like = packet(dst, protocol, &message);
            let begin = match protocol {
                ICMP4 => Sum16BitWords::new(),
                _ => transport_sum(like.src, dst, protocol, message.len()),
            };
            let sum = begin.add_slice(&message).ones_complement();
            assert!(!checksum_fits(&like), "none");
            message[2..4].copy_from_slice(&sum.to_ne_bytes());
            assert!(checksum_fits(&packet(dst, protocol, &message)), "{dst}");
            for at in 0..message.len() {
                let mut broken = message.clone();
                broken[at] ^= 0x10;
                assert!(!checksum_fits(&packet(dst, protocol, &broken)), "{dst}: byte {at}");
            }
        }
    }

    /// RFC 792, RFC 1812 section 5.2.7, RFC 4443 section 3.
    #[test]
    fn each_fault_has_its_type_and_code() {
        let (v4, v6): (IpAddr, IpAddr) = (HOST.into(), "2600::1".parse().unwrap());
        let big = |mtu| FaultKind::PacketTooBig { mtu };
        let all = [
            (FaultKind::NetworkUnreachable, (3, 0, 0), (1, 0, 0)),
            (FaultKind::HostUnreachable, (3, 1, 0), (1, 3, 0)),
            (FaultKind::ProtocolUnreachable, (3, 2, 0), (4, 1, 6)),
            (FaultKind::PortUnreachable, (3, 3, 0), (1, 4, 0)),
            (FaultKind::Prohibited, (3, 13, 0), (1, 1, 0)),
            (FaultKind::TimeExceeded, (11, 0, 0), (3, 0, 0)),
            (big(1400), (3, 4, 1400), (2, 0, 1400)),
            (big(0), (3, 4, 1280), (2, 0, 1280)),
            (big(70_000), (3, 4, 65_535), (2, 0, 70_000)),
        ];
        for (kind, four, six) in all {
            assert_eq!((header(kind, v4), header(kind, v6)), (four, six), "{kind:?}");
        }
    }

    #[test]
    fn the_rate_has_a_burst_and_comes_back_by_and_by() {
        let begin = start();
        let mut bucket = Bucket::new(begin);
        let taken = |bucket: &mut Bucket, at: Instant| {
            (0..1000).filter(|_| bucket.take(at).is_some()).count()
        };
        assert_eq!(taken(&mut bucket, begin), 250);
        assert_eq!(taken(&mut bucket, begin + Duration::from_micros(900)), 0);
        assert_eq!(taken(&mut bucket, begin + Duration::from_micros(1001)), 1);
        assert_eq!(taken(&mut bucket, begin + Duration::from_millis(101)), 100);
        assert_eq!(taken(&mut bucket, begin), 0, "time does not go back");
        assert_eq!(taken(&mut bucket, begin + Duration::from_millis(111)), 10);
        assert_eq!(taken(&mut bucket, begin + Duration::from_secs(3600)), 250, "at most the burst");
    }

    #[test]
    fn a_quote_shows_the_packet_at_its_last_hop() {
        let mut four =
            vec![0x46, 0, 0, 32, 0, 1, 0, 0, 30, 17, 0, 0, 10, 99, 0, 18, 8, 8, 4, 4, 1, 1, 1, 0];
        four.extend([9; 8]);
        let seen = at_last_hop(&four);
        assert_eq!((seen[8], &seen[12..], seen.len()), (1, &four[12..], four.len()));
        assert_eq!(
            Sum16BitWords::new().add_slice(&seen[..24]).ones_complement(),
            0,
            "its checksum is right"
        );
        let mut six = vec![0x60, 0, 0, 0, 0, 1, 17, 30];
        six.resize(40, 3);
        let seen = at_last_hop(&six);
        assert_eq!((seen[7], &seen[8..]), (1, &six[8..]));
        // A packet without a whole header stays unchanged.
        for short in [&four[..19], &four[..23], &six[..39], &[][..], &[0x40; 24], &[0x14; 40]] {
            assert_eq!(at_last_hop(short), short);
        }
        assert_eq!(at_last_hop(&four[..24])[8], 1, "a header alone is enough");
    }
}
