//! Data and FINs for which smoltcp has no timer any more. It stops the one by which they are sent
//! again when a window closes over them and opens for less, or when it runs out while the window is
//! closed. The app's kernel has dropped what it had no room for, so nothing would ever come of it.
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

/// Equal ACKs that have a sender repeat what they lack (RFC 5681 3.2), behind one that is no news
/// itself.
const EQUAL_ACKS: usize = 4;

impl Flow {
    /// When the flow is to be revived, if it is smoltcp's to act and it has no timer.
    pub(super) fn stalled_until(&mut self, now: Instant, has_timer: bool) -> Option<Instant> {
        let is_stalled = !has_timer && (self.socket().send_queue() > 0 || self.awaits_fin_alone());
        self.stalled = is_stalled.then(|| self.stalled.unwrap_or(now));
        self.stalled.map(|since| since + self.stall_time())
    }

    /// How long a stall may last. An app that says nothing is left alone ever longer (RFC 6298
    /// 5.5), as by smoltcp's own timer.
    fn stall_time(&self) -> Duration {
        STALLED * (1 << self.revivals.min(STALLED_DOUBLINGS))
    }

    /// Whether all is acknowledged but our FIN.
    fn awaits_fin_alone(&self) -> bool {
        let socket = self.socket();
        matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck)
            && socket.send_queue() == 0
            && self.is_under_way(self.acked)
    }

    /// Has what is missing sent again: by the ACKs that the app's kernel would repeat if it had
    /// kept what came behind. With a window of nothing they start the timer of its probes.
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
