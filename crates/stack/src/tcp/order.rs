//! Segments for an open connection: checked, adjusted where smoltcp would treat them otherwise than
//! a kernel does, and passed to smoltcp.
//!
//! smoltcp drops a FIN that comes before the data that precedes it. It also drops every segment
//! that acknowledges less than another did, with its data. Both happen where packets overtake each
//! other, and their sender would have to wait for its timer.

use super::bare::{Bare, split_fin, without_extensions};
use super::challenge::Fate;
use super::flow::{Flow, Queued};
use super::syn::{self, ACK, FIN, RST, Segment};
use super::{Around, FlowId, Moment, Tcp, open_flow};
use crate::packet::Packet;
use crate::stats::DropReason;
use smoltcp::socket::tcp::State;
use std::time::Instant;

impl Tcp {
    pub(super) fn arrive_open(
        &mut self,
        now: Instant,
        id: FlowId,
        packet: &Packet<'_>,
        seg: Segment,
        around: &mut Around<'_>,
    ) {
        let (at, offload, share) = (self.at(now), self.offload, self.share());
        let Some(flow) = open_flow(&mut self.slots, id) else { return };
        // smoltcp reads no IPv6 options and no fragment header: it gets the packet without them.
        let rebuilt;
        let bytes = if packet.dst.is_ipv6() && packet.whole.len() != packet.payload.len() + 40 {
            rebuilt = without_extensions(packet);
            &rebuilt
        } else {
            packet.whole
        };
        let terms = flow.terms(share);
        if flow.overruns(seg) {
            // RFC 9293 3.10.7.4: a segment outside the window gets an ACK.
            around.stats.drop(DropReason::BeyondWindow);
            flow.answer(now, terms, around);
            return;
        }
        match flow.judge(seg) {
            // From here on a segment is a SYN only during the handshake.
            Fate::Pass => flow.note_reset(seg),
            Fate::Challenge => {
                flow.challenge(now, terms, around);
                return;
            }
            Fate::Drop => {
                around.stats.drop(DropReason::Spurious);
                return;
            }
        }
        let header = &packet.payload[..seg.header];
        let mut repaired = syn::repaired(header);
        if flow.acknowledges_less(seg) {
            flow.put_latest(repaired.get_or_insert_with(|| header.to_vec()));
        }
        let repaired = repaired.map(|header| {
            let at = bytes.len() - packet.payload.len();
            [&bytes[..at], &header, &bytes[at + header.len()..]].concat()
        });
        let bytes = repaired.as_deref().unwrap_or(bytes);
        let mut feed = |flow: &mut Flow, bytes: &[u8], seg: Segment| {
            flow.ingest(
                Moment { now, at },
                &mut self.iface,
                &mut around.port(Some(bytes), offload, terms),
                seg,
            );
        };
        let is_fin = seg.flags & (FIN | RST) == FIN;
        let is_early = is_fin && flow.note_early_fin(seg.without_data());
        if is_fin && seg.data > 0 {
            let (data, fin) = split_fin(bytes, seg);
            feed(flow, &data, seg);
            let rest = seg.without_data();
            if !is_early && flow.expected() == rest.seq {
                feed(flow, &fin, rest);
            }
        } else {
            // smoltcp takes only the ACK of an early FIN.
            feed(flow, bytes, seg);
        }
        if let Some((fin, seg)) = flow.take_early_fin() {
            feed(flow, &fin, seg);
        } else if is_early && seg.data == 0 {
            flow.answer(now, terms, around);
        }
        if flow.is_closed() && self.by_tuple.get(&flow.tuple) == Some(&id) {
            // The next SYN of this tuple may be in the same batch, and asks for another connection.
            self.by_tuple.remove(&flow.tuple);
        }
        if flow.dirty == Queued::No {
            flow.dirty = Queued::Yes;
            self.dirty.push(id);
        }
    }
}

impl Flow {
    /// Whether a segment with data or FIN acknowledges less than an earlier one. RFC 9293 3.10.7.4
    /// ignores such an ACK, but not the rest of the segment.
    fn acknowledges_less(&self, seg: Segment) -> bool {
        // RFC 5961 5.2: a much older one does not belong to this connection.
        const OLDEST: u32 = 1 << 30;
        seg.flags & (ACK | RST) == ACK
            && seg.length > 0
            && self.socket().state() != State::SynReceived
            && (1..OLDEST).contains(&self.acked.wrapping_sub(seg.ack))
    }

    /// Puts the latest ACK and window into a segment's header.
    fn put_latest(&self, header: &mut [u8]) {
        header[8..12].copy_from_slice(&self.acked.to_be_bytes());
        header[14..16].copy_from_slice(&self.window.to_be_bytes());
    }

    /// Remembers the position of an early FIN, if there is room for the data before it.
    fn note_early_fin(&mut self, fin: Segment) -> bool {
        let ahead = fin.seq.wrapping_sub(self.expected());
        let is_early =
            self.is_receiving() && ahead > 0 && ahead as usize <= self.socket().recv_capacity();
        if is_early {
            self.early_fin = Some(fin.seq);
        }
        is_early
    }

    /// Takes the early FIN, once everything before it is there.
    fn take_early_fin(&mut self) -> Option<(Vec<u8>, Segment)> {
        let seq = self.early_fin.filter(|seq| *seq == self.expected() && self.is_receiving())?;
        self.early_fin = None;
        let fin = Bare { seq, ack: self.acked, flags: FIN | ACK, window: self.window };
        let packet = fin.as_from_app(self.tuple, &[]);
        let seg = Segment::read(&packet[if self.tuple.app.is_ipv6() { 40 } else { 20 }..])?;
        Some((packet, seg))
    }

    /// Whether a segment that starts at this number is sent and not acknowledged.
    pub(super) fn is_under_way(&self, seq: u32) -> bool {
        seq.wrapping_sub(self.acked) < self.last.next.wrapping_sub(self.acked)
    }

    /// Whether the app's direction is open.
    fn is_receiving(&self) -> bool {
        matches!(self.socket().state(), State::Established | State::FinWait1 | State::FinWait2)
    }
}
