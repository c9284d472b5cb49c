//! A reset by the server. Without a tunnel, the server's earlier data is already with the app's
//! kernel, and the app can read it: an HTTP server that refuses an upload answers, then resets
//! because it has not read everything. So the stack first sends the data written, as far as the
//! app's window allows.

use super::flow::{Flow, Phase};
use crate::limits::DRAIN;
use smoltcp::socket::tcp::State;
use std::time::Instant;

impl Flow {
    /// Resets it after the data written and after the handshake. The server has accepted, and a RST
    /// in place of the SYN-ACK would say the opposite.
    pub(crate) fn reset(&mut self) {
        let is_up = self.socket().state() != State::SynReceived;
        if self.phase != Phase::Live || (self.unsent() == 0 && is_up) {
            return self.abort();
        }
        self.phase = Phase::Draining;
        self.changes = super::flow::Changes::default();
    }

    /// Whether the RST is due now.
    pub(super) fn is_drained(&mut self, now: Instant) -> bool {
        if self.phase != Phase::Draining {
            return false;
        }
        let until = *self.drained_by.get_or_insert(now + DRAIN);
        // All data is sent, or as much as the app has room for: a server's kernel drops the rest as
        // well.
        let sent = self.last.next.wrapping_sub(self.acked) as usize;
        let room = usize::from(self.window) << self.options.shift();
        let is_sent =
            self.socket().state() != State::SynReceived && sent >= self.unsent().min(room);
        is_sent || now >= until
    }
}
