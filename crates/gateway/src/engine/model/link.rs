//! A kernel's work on the gateway's frames, and a link that loses packets and lets them overtake
//! each other.

use super::program::{Dice, Setting};
use crate::engine::pretend::packets::{checksum, data_length, four, tcp_at, two};
use stack::TxMeta;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Bytes of Ethernet's header.
const ETHERNET: usize = 14;

/// The packets that the kernel makes of a frame: segments cut, checksums completed.
pub(super) fn kernel(frame: &[u8], meta: TxMeta) -> Vec<Vec<u8>> {
    let packet = &frame[ETHERNET..];
    let Some(partial) = meta.checksum else { return vec![packet.to_vec()] };
    let at = usize::from(partial.start) - ETHERNET;
    if partial.offset == 6 {
        return datagrams(packet, at, meta);
    }
    let head = at + 4 * usize::from(packet[at + 12] >> 4);
    let size = meta.gso.map_or(usize::MAX, |gso| usize::from(gso.size));
    let payload = &packet[head..];
    let count = payload.len().div_ceil(size).max(1);
    let begin = four(packet, at + 4);
    let segment = |n: usize| {
        let from = n * size.min(payload.len());
        let piece = &payload[from..payload.len().min(from.saturating_add(size))];
        let mut packet = [&packet[..head], piece].concat();
        let seq = begin.wrapping_add(u32::try_from(from).unwrap());
        packet[at + 4..at + 8].copy_from_slice(&seq.to_be_bytes());
        if n + 1 < count {
            packet[at + 13] &= !(1 | 8);
        }
        let length = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
        let addresses = if at == 40 { 8..40 } else { 12..20 };
        if at == 40 {
            let payload = length(packet.len() - 40);
            packet[4..6].copy_from_slice(&payload);
        } else {
            let whole = length(packet.len());
            packet[2..4].copy_from_slice(&whole);
            packet[10..12].fill(0);
            let sum = checksum(&[&packet[..20]]).to_be_bytes();
            packet[10..12].copy_from_slice(&sum);
        }
        packet[at + 16..at + 18].fill(0);
        let pseudo = [0, 6];
        let sum =
            checksum(&[&packet[addresses], &pseudo, &length(packet.len() - at), &packet[at..]]);
        packet[at + 16..at + 18].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    (0..count).map(segment).collect()
}

/// The packets of a super-packet of UDP, whose header is at `at`.
fn datagrams(packet: &[u8], at: usize, meta: TxMeta) -> Vec<Vec<u8>> {
    let (headers, bytes) = packet.split_at(at + 8);
    let size = meta.gso.map_or(bytes.len(), |gso| usize::from(gso.size));
    let (first, rest) = bytes.split_at(size);
    let datagram = |(number, part): (u16, &[u8])| {
        let mut packet = [headers, part].concat();
        let length = |n: usize| u16::try_from(n).unwrap().to_be_bytes();
        let message = length(packet.len() - at);
        if at == 40 {
            packet[4..6].copy_from_slice(&message);
        } else {
            let whole = length(packet.len());
            packet[2..4].copy_from_slice(&whole);
            let id = two(&packet, 4).wrapping_add(number).to_be_bytes();
            packet[4..6].copy_from_slice(&id);
            packet[10..12].fill(0);
            let sum = checksum(&[&packet[..20]]).to_be_bytes();
            packet[10..12].copy_from_slice(&sum);
        }
        packet[at + 4..at + 6].copy_from_slice(&message);
        packet[at + 6..at + 8].fill(0);
        let addresses = if at == 40 { 8..40 } else { 12..20 };
        let sum = checksum(&[&packet[addresses], &[0, 17], &message, &packet[at..]]);
        let sum = if sum == 0 { 0xffff } else { sum };
        packet[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
        packet
    };
    let parts = std::iter::once(first).chain(rest.chunks(size.max(1)));
    (0u16..).zip(parts).map(datagram).collect()
}

/// Shows a segment for `UNDERPASS_MODEL_TRACE`.
pub(super) fn trace(packet: &[u8], at: Duration, what: &str) {
    let Some(tcp) = tcp_at(packet).and_then(|at| packet.get(at..)) else { return };
    let (from, to, window) = (two(tcp, 0), two(tcp, 2), two(tcp, 14));
    let (seq, ack, flags, data) = (four(tcp, 4), four(tcp, 8), tcp[13], data_length(tcp));
    eprintln!(
        "{:>12.6} {what} {from}>{to} flags {flags:02x} seq {seq} ack {ack} window {window} \
         data {data}",
        at.as_secs_f64(),
    );
}

/// One direction of the app's side.
#[derive(Default)]
pub(super) struct Link {
    /// Packets under way, the next one first.
    under_way: VecDeque<(Instant, Vec<u8>)>,
}

impl Link {
    pub(super) fn send(
        &mut self,
        now: Instant,
        packet: Vec<u8>,
        setting: &Setting,
        dice: &mut Dice,
    ) {
        // Packets that are not sent again are lost only by the program's own acts.
        if tcp_at(&packet).is_some() && dice.per_mille(setting.loss) {
            return;
        }
        let late = if dice.per_mille(setting.overtaken) { dice.between(1, 5) } else { 0 };
        let due = now + Duration::from_millis(setting.latency_ms + late);
        let at = self.under_way.partition_point(|(other, _)| *other <= due);
        self.under_way.insert(at, (due, packet));
    }

    pub(super) fn receive(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.next()? > now {
            return None;
        }
        self.under_way.pop_front().map(|(_, packet)| packet)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.under_way.front().map(|(at, _)| *at)
    }
}
