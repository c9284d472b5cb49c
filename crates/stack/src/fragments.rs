//! Reassembles fragments, within bounds. An overlap spoils its datagram (RFC 5722, RFC 8200 4.5).
//! The same rule applies to IPv4, because no sane sender overlaps fragments.

use crate::limits::{MAX_FRAGMENTS, MAX_REASSEMBLIES, REASSEMBLY};
use crate::packet::{Fragment, More, Packet};
use crate::stats::{DropReason, Stats};
use etherparse::checksum::Sum16BitWords;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Instant;

/// The congestion bits of a traffic class. Both set: congestion was experienced.
const ECN: u8 = 3;

type Key = (IpAddr, IpAddr, u32, u8);

#[derive(Debug)]
struct Partial {
    key: Key,
    expires: Instant,
    /// The parts received so far. They do not overlap.
    parts: Vec<(usize, usize)>,
    /// The payload; bytes outside of `parts` are zero.
    bytes: Vec<u8>,
    /// Payload bytes of the whole datagram, known after its last fragment.
    total: Option<usize>,
    ttl: u8,
    traffic_class: u8,
    spoilt: Option<DropReason>,
}

/// The datagrams in progress, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Reassembler {
    partial: VecDeque<Partial>,
}

impl Reassembler {
    /// Takes a fragment. Returns the whole IP packet if this fragment completes it.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        packet: &Packet<'_>,
        f: Fragment,
        stats: &mut Stats,
    ) -> Option<Vec<u8>> {
        let key = (packet.src, packet.dst, f.id, packet.protocol);
        let (start, end) = (f.offset, f.offset + packet.payload.len());
        let limit = if packet.src.is_ipv4() { 65_535 - 20 } else { 65_535 };
        if end > limit
            || packet.payload.is_empty()
            || (f.more == More::Follow && !packet.payload.len().is_multiple_of(8))
        {
            stats.drop(DropReason::Fragment);
            return None;
        }
        let at = match self.partial.iter().position(|p| p.key == key) {
            Some(at) => at,
            None => {
                if self.partial.len() >= MAX_REASSEMBLIES {
                    self.partial.pop_front();
                    stats.drop(DropReason::ReassemblyExpired);
                }
                self.partial.push_back(Partial {
                    key,
                    expires: now + REASSEMBLY,
                    parts: Vec::new(),
                    bytes: Vec::new(),
                    total: None,
                    ttl: packet.marks.ttl,
                    traffic_class: packet.marks.traffic_class,
                    spoilt: None,
                });
                self.partial.len() - 1
            }
        };
        let p = &mut self.partial[at];
        // A repeated fragment is not an overlap in the sense of the rule: networks do duplicate
        // packets.
        if p.spoilt.is_none()
            && p.parts.contains(&(start, end))
            && p.bytes.get(start..end) == Some(packet.payload)
        {
            return None;
        }
        let overlaps = p.parts.iter().any(|&(s, e)| start < e && s < end);
        let ends_wrong = match (f.more, p.total) {
            (More::Last, None) => p.parts.iter().any(|&(_, e)| e > end),
            (More::Last, Some(total)) => total != end,
            (More::Follow, total) => total.is_some_and(|total| end > total),
        };
        if overlaps || ends_wrong || p.parts.len() >= MAX_FRAGMENTS || p.spoilt.is_some() {
            // Remembered until it expires, so that its later fragments do not start a new datagram.
            p.spoilt = Some(DropReason::Fragment);
            p.bytes = Vec::new();
            p.parts = Vec::new();
            stats.drop(DropReason::Fragment);
            return None;
        }
        if p.bytes.len() < end {
            p.bytes.resize(end, 0);
        }
        p.bytes[start..end].copy_from_slice(packet.payload);
        p.parts.push((start, end));
        // Congestion that one fragment experienced applies to the whole datagram (RFC 3168 5.3).
        if packet.marks.traffic_class & ECN == ECN && p.traffic_class & ECN != 0 {
            p.traffic_class |= ECN;
        }
        if f.more == More::Last {
            p.total = Some(end);
        }
        let have: usize = p.parts.iter().map(|(s, e)| e - s).sum();
        if p.total != Some(have) {
            return None;
        }
        let whole = self.partial.remove(at)?;
        Some(whole.into_packet())
    }

    /// Drops datagrams that took too long.
    pub(crate) fn expire(&mut self, now: Instant, stats: &mut Stats) {
        while self.partial.front().is_some_and(|p| p.expires <= now) {
            if self.partial.pop_front().is_some_and(|p| p.spoilt.is_none()) {
                stats.drop(DropReason::ReassemblyExpired);
            }
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.partial.front().map(|p| p.expires)
    }
}

impl Partial {
    fn into_packet(self) -> Vec<u8> {
        let (src, dst, _, protocol) = self.key;
        let mut packet = Vec::with_capacity(40 + self.bytes.len());
        let len = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                packet.extend_from_slice(&[0x45, self.traffic_class]);
                packet.extend_from_slice(&len(20 + self.bytes.len()));
                packet.extend_from_slice(&[0, 0, 0, 0, self.ttl, protocol, 0, 0]);
                packet.extend_from_slice(&src.octets());
                packet.extend_from_slice(&dst.octets());
                let sum = Sum16BitWords::new().add_slice(&packet).ones_complement();
                packet[10..12].copy_from_slice(&sum.to_ne_bytes());
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                packet.extend_from_slice(&[
                    0x60 | self.traffic_class >> 4,
                    self.traffic_class << 4,
                    0,
                    0,
                ]);
                packet.extend_from_slice(&len(self.bytes.len()));
                packet.extend_from_slice(&[protocol, self.ttl]);
                packet.extend_from_slice(&src.octets());
                packet.extend_from_slice(&dst.octets());
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return Vec::new(),
        }
        packet.extend_from_slice(&self.bytes);
        packet
    }
}
