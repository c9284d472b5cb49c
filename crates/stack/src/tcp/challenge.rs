//! SYN and RST for an open connection: the sender must prove that it knows the connection's numbers
//! (RFC 5961).
//!
//! smoltcp drops a SYN without an acknowledgement. An app could not reuse a port while the stack
//! had a connection that the app's kernel had forgotten. smoltcp also takes every RST in the
//! window. So this module checks both first.

use super::Around;
use super::bare::Bare;
use super::device::{LastSegment, Terms};
use super::flow::{Flow, Memory, Phase};
use super::syn::{ACK, RST, SYN, Segment};
use crate::limits::CHALLENGE_EVERY;
use crate::stats::DropReason;
use smoltcp::socket::tcp::State;
use std::time::Instant;

/// The fate of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes to the socket.
    Pass,
    /// The stack answers with an ACK that only the true peer can use.
    Challenge,
    /// It is dropped.
    Drop,
}

impl Flow {
    pub(super) fn judge(&self, seg: Segment) -> Fate {
        if seg.flags & (SYN | RST) == 0 {
            return Fate::Pass;
        }
        // Our RST is about to be sent. The app's kernel sends its SYN again.
        if !matches!(self.phase, Phase::Live | Phase::Draining) {
            return Fate::Drop;
        }
        let ahead = seg.seq.wrapping_sub(self.awaited());
        if seg.flags & RST != 0 {
            let socket = self.socket();
            let window = socket.recv_capacity() - socket.recv_queue();
            // RFC 5961 3.2. Linux (`tcp_validate_incoming`) takes a few other numbers without a
            // challenge; here they cost one.
            return match ahead {
                0 => Fate::Pass,
                _ if (ahead as usize) < window => Fate::Challenge,
                _ => Fate::Drop,
            };
        }
        // The app has not received the SYN-ACK, which has its own timer.
        if self.socket().state() == State::SynReceived && seg.is_opening() && ahead == u32::MAX {
            return Fate::Pass;
        }
        // RFC 5961 4.2: whatever its sequence number.
        Fate::Challenge
    }

    /// Notes an accepted RST. A RST without ACK answers one of our segments: the app's kernel has
    /// no such connection (RFC 9293 3.10.7.1). After the app's FIN, a kernel forgets closed
    /// connections that way. But if bytes for the app remain, the RST concerns them, and the server
    /// must receive it.
    pub(super) fn note_reset(&mut self, seg: Segment) {
        let is_unknown = seg.flags & (RST | ACK) == RST;
        if is_unknown && self.socket().state() == State::CloseWait && self.unsent() == 0 {
            self.memory = Memory::Lost;
        }
    }

    pub(super) fn challenge(&mut self, now: Instant, terms: Terms, around: &mut Around<'_>) {
        around.stats.drop(DropReason::Spurious);
        self.answer(now, terms, around);
    }

    /// Answers a segment that does not belong to the connection, or not now, with an ACK, at a
    /// limited rate (RFC 5961 7).
    pub(super) fn answer(&mut self, now: Instant, terms: Terms, around: &mut Around<'_>) {
        // Before our first segment there is nothing to repeat.
        let held_back = self.challenged.is_some_and(|at| now < at + CHALLENGE_EVERY);
        if held_back || self.last == LastSegment::default() {
            return;
        }
        self.challenged = Some(now);
        around.stats.challenges += 1;
        self.acknowledgement(terms).send(around, self.tuple);
    }

    /// RCV.NXT.
    pub(super) fn awaited(&self) -> u32 {
        let fin = matches!(
            self.socket().state(),
            State::CloseWait | State::LastAck | State::Closing | State::TimeWait
        );
        self.expected().wrapping_add(u32::from(fin))
    }

    /// An ACK with the connection's current numbers.
    pub(super) fn acknowledgement(&self, terms: Terms) -> Bare {
        let socket = self.socket();
        let free = (socket.recv_capacity() - socket.recv_queue()) >> self.window_scale();
        let window = terms.advertised(u16::try_from(free).unwrap_or(u16::MAX));
        // At most the window that smoltcp has advertised, since it takes no more. (After a SYN-ACK
        // that is in bytes, and larger in any case.)
        Bare {
            seq: self.last.next,
            ack: self.awaited(),
            flags: ACK,
            window: window.min(self.last.window),
        }
    }
}
