//! A reset by the server. What the server said before it is with the app's kernel already where
//! there is no tunnel, and the app can read it: an HTTP server that refuses an upload answers, and
//! resets since it has not read everything. So what was written goes first, as far as the app's
//! window lets it.

use super::flow::{Flow, Phase};
use crate::limits::DRAIN;
use smoltcp::socket::tcp::State;
use std::time::Instant;

impl Flow {
    /// Resets it behind what was written, and behind the handshake: the server has accepted, and a
    /// RST in place of the SYN-ACK would say that it has not.
    pub(crate) fn reset(&mut self) {
        let is_up = self.socket().state() != State::SynReceived;
        if self.phase != Phase::Live || (self.unsent() == 0 && is_up) {
            return self.abort();
        }
        self.phase = Phase::Draining;
        self.changes = super::flow::Changes::default();
    }

    /// Whether the RST is to go out now.
    pub(super) fn is_drained(&mut self, now: Instant) -> bool {
        if self.phase != Phase::Draining {
            return false;
        }
        let until = *self.drained_by.get_or_insert(now + DRAIN);
        // All that there is was sent, or all that the app has room for: a server's kernel drops the
        // rest as well.
        let sent = self.last.next.wrapping_sub(self.acked) as usize;
        let room = usize::from(self.window) << self.options.shift();
        let is_sent =
            self.socket().state() != State::SynReceived && sent >= self.unsent().min(room);
        is_sent || now >= until
    }
}
