//! ICMP messages towards the VM: errors that quote what they are about (RFC 792, RFC 4443), rate-limited, and echo replies.

use crate::addresses::is_group;
use crate::limits::{ICMP_BURST, ICMP_RATE};
use crate::link::{IpHead, Link};
use crate::offload::Transmit;
use crate::packet::{ICMP4, ICMP6, Packet, Problem, be16, transport_sum};
use crate::stats::{DropReason, Stats};
use etherparse::checksum::Sum16BitWords;
use std::net::IpAddr;
use std::time::Instant;

/// Types of IPv4's queries (RFC 792).
pub(crate) const ECHO: u8 = 8;
/// See [`ECHO`].
pub(crate) const ECHO_REPLY: u8 = 0;
/// See [`ECHO`].
pub(crate) const TIMESTAMP: u8 = 13;

/// What went wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No route to the network.
    NetworkUnreachable,
    /// The host does not answer on its link.
    HostUnreachable,
    /// The host does not speak that protocol.
    ProtocolUnreachable,
    /// Nobody listens on that port.
    PortUnreachable,
    /// A filter forbids it.
    Prohibited,
    /// The time to live ran out on the way.
    TimeExceeded,
    /// The packet is larger than the next link takes.
    PacketTooBig {
        /// What the link takes, in bytes; 0 where the router did not say.
        mtu: u32,
    },
}

/// A fault and who reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The router or host that said so; `None` when it was the relay's own host.
    pub router: Option<IpAddr>,
}

/// The MTU to report for a link whose router named no MTU (RFC 1191 4). Linux replaces 0 by its minimum of
/// 552 bytes. Every link takes this many bytes over IPv6, and nearly every link over IPv4.
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

/// How many errors may still go out.
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

/// The start of a packet as the router saw it that its last hop led to.
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

/// Sends an error about a packet of `app`, quoting `about` (an IP packet from its header on). What ran out of hops on its way is
/// quoted with its last one.
pub(crate) fn send_error(
    (link, bucket, stats): (&mut Link, &mut Bucket, &mut Stats),
    now: Instant,
    out: &mut dyn Transmit,
    (kind, from, app): (FaultKind, IpAddr, IpAddr),
    about: &[u8],
) {
    if from.is_ipv4() != app.is_ipv4() {
        return;
    }
    let expired = (kind == FaultKind::TimeExceeded).then(|| at_last_hop(about));
    let about = expired.as_deref().unwrap_or(about);
    send_limited((link, bucket, stats), now, out, (header(kind, app), from, app), about);
}

/// Sends a parameter problem about a packet of `app`, of which `about` is the beginning (RFC 4443 3.4).
pub(crate) fn send_problem(
    to: (&mut Link, &mut Bucket, &mut Stats),
    now: Instant,
    out: &mut dyn Transmit,
    (problem, from, app): (Problem, IpAddr, IpAddr),
    about: &[u8],
) {
    send_limited(to, now, out, ((4, problem.code, problem.pointer), from, app), about);
}

/// Sends an error that has type, code and second word, if the bucket lets it.
fn send_limited(
    (link, bucket, stats): (&mut Link, &mut Bucket, &mut Stats),
    now: Instant,
    out: &mut dyn Transmit,
    ((ty, code, word), from, app): ((u8, u8, u32), IpAddr, IpAddr),
    about: &[u8],
) {
    if bucket.take(now).is_none() {
        stats.drop(DropReason::IcmpRate);
        return;
    }
    // The whole message stays within what every link takes: 576 and 1280 bytes.
    let most = if app.is_ipv4() { 576 - 28 } else { 1280 - 48 };
    let mut message = Vec::with_capacity(8 + most);
    message.extend_from_slice(&[ty, code, 0, 0]);
    message.extend_from_slice(&word.to_be_bytes());
    message.extend_from_slice(&about[..about.len().min(most)]);
    send(link, stats, out, (from, app, 64), message);
}

/// What an echo reply repeats of its request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Echoed {
    /// Linux and other hosts repeat it, whatever it is (net/ipv4/icmp.c, icmp_echo).
    pub(crate) code: u8,
    /// Identifier and sequence number.
    pub(crate) ident: [u8; 4],
}

/// Sends an echo reply (RFC 792, RFC 4443 4.2).
pub(crate) fn send_reply(
    (link, stats): (&mut Link, &mut Stats),
    out: &mut dyn Transmit,
    (from, app, ttl): (IpAddr, IpAddr, u8),
    echoed: Echoed,
    payload: &[u8],
) {
    let mut message = Vec::with_capacity(8 + payload.len());
    message.extend_from_slice(&[if app.is_ipv4() { 0 } else { 129 }, echoed.code, 0, 0]);
    message.extend_from_slice(&echoed.ident);
    message.extend_from_slice(payload);
    send(link, stats, out, (from, app, ttl), message);
}

/// Sends an ICMP message whose checksum field is still 0.
pub(crate) fn send(
    link: &mut Link,
    stats: &mut Stats,
    out: &mut dyn Transmit,
    (src, dst, ttl): (IpAddr, IpAddr, u8),
    mut message: Vec<u8>,
) {
    let protocol = if dst.is_ipv4() { ICMP4 } else { ICMP6 };
    let start = if dst.is_ipv4() { Sum16BitWords::new() } else { transport_sum(src, dst, ICMP6, message.len()) };
    let sum = start.add_slice(&message).ones_complement();
    message[2..4].copy_from_slice(&sum.to_ne_bytes());
    link.send(stats, out, IpHead { src, dst, protocol, ttl, traffic_class: 0 }, &message);
}

/// Whether the ICMP checksum fits.
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
