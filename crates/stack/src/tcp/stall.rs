//! Data and FINs for which smoltcp no longer has a timer. smoltcp stops its retransmission timer
//! when a window closes over them and reopens smaller, or when the timer expires while the window
//! is closed. The app's kernel has dropped what it had no room for, so the data would never arrive.
//! (RFC 9293 3.8.1, 3.8.6.1.)

use super::bare::Bare;
use super::device::Terms;
use super::flow::{Flow, Phase};
use super::syn::{ACK, FIN};
use super::{Around, Moment};
use crate::limits::{STALLED, STALLED_DOUBLINGS};
use crate::offload::Offload;
use smoltcp::iface::Interface;
use smoltcp::socket::tcp::State;
use std::time::{Duration, Instant};

/// Duplicate ACKs that make a sender retransmit (RFC 5681 3.2), after one that acknowledges nothing
/// new itself.
const EQUAL_ACKS: usize = 4;

impl Flow {
    /// When to revive the flow, if smoltcp must act and has no timer.
    pub(super) fn stalled_until(&mut self, now: Instant, has_timer: bool) -> Option<Instant> {
        let is_stalled = !has_timer && (self.socket().send_queue() > 0 || self.awaits_fin_alone());
        self.stalled = is_stalled.then(|| self.stalled.unwrap_or(now));
        self.stalled.map(|since| since + self.stall_time())
    }

    /// How long a stall may last. The intervals for a silent app grow (RFC 6298 5.5), as with
    /// smoltcp's own timer.
    fn stall_time(&self) -> Duration {
        STALLED * (1 << self.revivals.min(STALLED_DOUBLINGS))
    }

    /// Whether everything except our FIN is acknowledged.
    fn awaits_fin_alone(&self) -> bool {
        let socket = self.socket();
        matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck)
            && socket.send_queue() == 0
            && self.is_under_way(self.acked)
    }

    /// Makes smoltcp send the missing data again, by the ACKs that the app's kernel would repeat if
    /// it had kept the later data. With a zero window they start the timer of its probes.
    pub(super) fn revive(
        &mut self,
        Moment { now, at }: Moment,
        iface: &mut Interface,
        offload: Offload,
        terms: Terms,
        around: &mut Around<'_>,
    ) {
        if self.phase != Phase::Live
            || self.stalled.is_none_or(|since| now < since + self.stall_time())
        {
            return;
        }
        self.stalled = None;
        self.revivals += 1;
        around.stats.revived += 1;
        if self.awaits_fin_alone() {
            let fin = self.acknowledgement(terms);
            return Bare { seq: self.acked, flags: FIN | ACK, ..fin }.send(around, self.tuple);
        }
        let ack = Bare { seq: self.awaited(), ack: self.acked, flags: ACK, window: self.window };
        let ack = ack.as_from_app(self.tuple, &[]);
        for _ in 0..EQUAL_ACKS {
            let mut port = around.port(Some(&ack), offload, terms);
            let _ = iface.poll_ingress_single(at, &mut port, &mut self.set);
            self.note_sent(&mut port);
        }
    }
}
