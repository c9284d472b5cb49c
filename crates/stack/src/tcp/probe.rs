//! Signs of life. A kernel may forget a connection silently: Linux forgets an orphan in FIN-WAIT-2
//! after `tcp_fin_timeout`, and any connection when its network namespace is removed. No segment
//! would ever come for such a flow. So the stack sends a keepalive probe (RFC 9293 3.8.4) to an app
//! that is silent and owes nothing. Its kernel answers with an ACK, or with a RST if it has no such
//! connection.
//!
//! The app does not notice. A segment outside the window does not reach Linux's `tcp_ack`, so the
//! app's own keepalive timer continues. The probe does not prolong an orphan's life either
//! (`tcp_timewait_state_process`).
//!
//! Each probe costs two segments, and many share a wake-up. The stack sweeps a table that fills up
//! at once ([`Sweep`]), some entries at a time, so that dead connections make room before a new one
//! is refused.

use super::device::Terms;
use super::flow::{Flow, Memory, Phase, Queued};
use super::{Around, Entry, FlowId, Tcp};
use crate::limits::{
    CROWDED_QUARTERS, HALF_CLOSED_PROBE, IDLE_PROBE, LATE, PROBE_STEPS, PROBES_UNANSWERED, SWEEP,
    SWEEP_AGAIN, SWEEP_ANSWERS, SWEEP_SILENT, SWEEP_UNANSWERED,
};
use smoltcp::socket::tcp::State;
use std::time::{Duration, Instant};

impl Flow {
    /// The interval of probes, and the time steps that they share; `None` while the app owes an
    /// ACK, which has another limit.
    fn probe_times(&self) -> Option<(Duration, Duration)> {
        if self.phase != Phase::Live || self.unsent() > 0 {
            return None;
        }
        match self.socket().state() {
            State::CloseWait => Some((HALF_CLOSED_PROBE, PROBE_STEPS.0)),
            // In FIN-WAIT-2 the server has closed, but the app may stay as long as it likes.
            State::Established | State::FinWait2 => Some((IDLE_PROBE, PROBE_STEPS.1)),
            State::Closed
            | State::Listen
            | State::SynSent
            | State::SynReceived
            | State::FinWait1
            | State::Closing
            | State::LastAck
            | State::TimeWait => None,
        }
    }

    /// When the next probe is due; `base` is the same for all flows.
    pub(super) fn probe_due(&self, base: Instant) -> Option<Instant> {
        let (every, step) = self.probe_times()?;
        let (due, step) = (
            (self.probed.unwrap_or(self.heard) + every).duration_since(base).as_secs(),
            step.as_secs(),
        );
        Some(base + Duration::from_secs((due / step + 1) * step))
    }

    /// Sends a probe if one is due, or gives up the connection.
    pub(super) fn look_after(
        &mut self,
        now: Instant,
        base: Instant,
        terms: Terms,
        around: &mut Around<'_>,
    ) {
        let (most, counts) = if std::mem::replace(&mut self.ask, Queued::No) == Queued::Yes {
            // Data may be in flight to it by now.
            if self.probe_times().is_none() {
                return;
            }
            (SWEEP_UNANSWERED, true)
        } else {
            let Some(due) = self.probe_due(base).filter(|due| *due <= now) else { return };
            (PROBES_UNANSWERED, now < due + LATE)
        };
        if self.probed.is_some() && counts {
            self.unanswered += 1;
        }
        if self.unanswered >= most {
            around.stats.flows_timed_out += 1;
            if self.socket().state() == State::CloseWait {
                self.memory = Memory::Lost;
            }
            self.socket_mut().abort();
            return;
        }
        self.probed = Some(now);
        around.stats.probes += 1;
        let mut probe = self.acknowledgement(terms);
        probe.seq = probe.seq.wrapping_sub(1);
        probe.send(around, self.tuple);
    }

    /// Whether a table that needs room may probe it.
    fn may_be_stale(&self, now: Instant, silent: Duration) -> bool {
        let asked = self.probed.is_some_and(|at| now < at + silent / 2);
        !asked && now >= self.heard + silent && self.probe_times().is_some()
    }
}

/// A sweep over the whole table for dead connections.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sweep {
    /// The next entry to examine, and the number of entries that remain.
    hand: usize,
    left: usize,
    /// When it continues; `None` between two sweeps.
    next: Option<Instant>,
    /// When the last sweep ended.
    ended: Option<Instant>,
    /// How many connections it probed.
    asked: usize,
    /// Until when answers to the probes of this sweep or the last may come.
    answers_by: Option<Instant>,
    /// Why the last sweep began.
    cause: Cause,
}

/// Why a table is swept.
#[derive(Clone, Copy, Debug, Default)]
enum Cause {
    /// The table has some room left.
    #[default]
    Crowded,
    /// The table is full.
    Full,
}

impl Cause {
    /// A connection whose app spoke within this time is left alone.
    fn silent(self) -> Duration {
        match self {
            Self::Crowded => SWEEP_SILENT.0,
            Self::Full => SWEEP_SILENT.1,
        }
    }
}

impl Tcp {
    /// Sets the most connections that the stack's user expects, if the table has room for more.
    pub(crate) fn expect(&mut self, flows: usize) {
        self.expected = flows;
    }

    /// A connection is about to be added: starts a sweep if the table fills up.
    pub(super) fn seek_room(&mut self, now: Instant) {
        let (count, most) = (self.open + self.half_open, self.max_flows.min(self.expected));
        if count * 4 < most * CROWDED_QUARTERS || self.sweep.next.is_some() {
            return;
        }
        let cause = if count < most { Cause::Crowded } else { Cause::Full };
        let again = match (cause, self.sweep.cause) {
            (Cause::Crowded, _) => SWEEP_AGAIN.0,
            (Cause::Full, Cause::Crowded) => Duration::ZERO,
            (Cause::Full, Cause::Full) if self.sweep.asked == 0 => SWEEP_ANSWERS,
            (Cause::Full, Cause::Full) => SWEEP_AGAIN.1,
        };
        if self.sweep.ended.is_none_or(|ended| now >= ended + again) {
            self.sweep =
                Sweep { left: self.slots.len(), next: Some(now), asked: 0, cause, ..self.sweep };
            self.sweep_some(now);
        }
    }

    /// Whether connections are being probed, so that there may be room soon.
    pub(crate) fn is_seeking_room(&self, now: Instant) -> bool {
        self.sweep.next.is_some() || self.sweep.answers_by.is_some_and(|by| now < by)
    }

    pub(super) fn sweep_deadline(&self) -> Option<Instant> {
        self.sweep.next
    }

    /// Queues some of the possibly dead connections.
    pub(super) fn sweep_some(&mut self, now: Instant) {
        if self.sweep.next.is_none_or(|at| at > now) {
            return;
        }
        for _ in 0..SWEEP.0.min(self.sweep.left) {
            let index = self.sweep.hand % self.slots.len();
            (self.sweep.hand, self.sweep.left) = (index + 1, self.sweep.left - 1);
            let slot = &mut self.slots[index];
            let Some(Entry::Open(flow)) = &mut slot.entry else { continue };
            if !flow.may_be_stale(now, self.sweep.cause.silent()) {
                continue;
            }
            flow.ask = Queued::Yes;
            self.sweep.asked += 1;
            if flow.dirty == Queued::No {
                flow.dirty = Queued::Yes;
                self.dirty.push(FlowId(u32::from(slot.generation) << 16 | (index & 0xffff) as u32));
            }
        }
        let over = self.sweep.left == 0;
        if over && self.sweep.asked > 0 {
            self.sweep.answers_by = Some(now + SWEEP_ANSWERS);
        }
        self.sweep.ended = if over { Some(now) } else { self.sweep.ended };
        self.sweep.next = (!over).then(|| now + SWEEP.1);
    }
}
