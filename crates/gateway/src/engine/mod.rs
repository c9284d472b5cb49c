//! The gateway's one loop: frames of the TAP, events of the stack, frames of the relays, time.
//!
//! It is one future on one thread. Each pass reads a bounded batch from every source, lets the
//! stack serve the flows that have something to do, and writes what the relays' pipes take; a
//! source that has more wakes the loop again. It waits for nothing else: a full pipe or a silent
//! relay holds up neither the TAP nor another relay.

mod asked;
mod core;
mod elsewhere;
mod full;
#[cfg(any(test, fuzzing))]
pub mod hostile;
#[cfg(test)]
mod model;
#[cfg(any(test, fuzzing))]
mod pretend;
#[cfg(test)]
mod scripted;
mod spread;
mod terms;
mod wishes;

use self::core::Core;
pub(crate) use self::core::CoreParts;
use crate::allocator;
use crate::control::Ask;
use crate::lane::{Lane, Turn};
use crate::limits::WITHDRAW_AFTER;
use crate::network::{Network, NetworkState};
use crate::tap::{Device, Tap};
use crate::via::ViaRefusal;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::time::Sleep;

/// Why the gateway cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The device is gone.
    #[error(
        "the device {name} cannot be read any more ({source}): was it removed? Start underpass \
         again; no other program may manage this device"
    )]
    Tap {
        /// Its name.
        name: String,
        /// What the system says.
        source: io::Error,
    },
    /// The VM's addresses or routes cannot be set at all.
    #[error("{0}")]
    Network(String),
    /// No relay may carry anything.
    #[error(transparent)]
    Via(#[from] ViaRefusal),
}

/// The loop's own state; see the module's text.
pub(crate) struct Engine<D = Tap> {
    core: Core<D>,
    lanes: Vec<Lane>,
    asks: mpsc::Receiver<Ask>,
    network: Network,
    network_state: NetworkState,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
    started: Instant,
    /// The time since which no relay is ready.
    alone_since: Option<Instant>,
    mtu: u32,
}

/// What the loop is made from.
pub(crate) struct Parts<D = Tap> {
    pub(crate) core: CoreParts<D>,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) network: Network,
    pub(crate) mtu: u32,
}

/// The shell's clock.
#[expect(clippy::disallowed_methods, reason = "the gateway's shell is where time comes from")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

impl<D: Device> Engine<D> {
    pub(crate) fn new(parts: Parts<D>, now: Instant) -> Self {
        Self {
            core: Core::new(parts.core, now),
            lanes: parts.lanes,
            asks: parts.asks,
            network: parts.network,
            network_state: NetworkState::default(),
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            armed: now,
            started: now,
            alone_since: Some(now),
            mtu: parts.mtu,
        }
    }

    /// One pass at the current time.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Option<impl FnOnce(&crate::Status)>,
    ) -> Poll<EngineError> {
        self.pass(now(), cx, up)
    }

    /// One pass. Ready only if the gateway cannot continue. Calls `up` once the network is
    /// [`NetworkState::up`].
    fn pass(
        &mut self,
        now: Instant,
        cx: &mut Context<'_>,
        up: &mut Option<impl FnOnce(&crate::Status)>,
    ) -> Poll<EngineError> {
        self.core.fit(&mut self.lanes);
        // Before the TAP: the stack must know an uplink address when its first packet comes.
        if let Some(error) = self.hear_network(cx) {
            return Poll::Ready(error);
        }
        if let Err(source) = self.core.read_tap(cx, now) {
            let name = self.core.tap_name().to_owned();
            return Poll::Ready(EngineError::Tap { name, source });
        }
        self.core.settle(now, &mut self.lanes);
        for index in 0..self.lanes.len() {
            let core = &mut self.core;
            let turn = self.lanes[index]
                .poll_input(cx, now, |session, frame| core.on_frame(now, index, session, frame));
            self.lane_turn(now, index, &turn);
        }
        if let Some(refusal) = self.core.refusal() {
            return Poll::Ready(refusal.into());
        }
        if self.network_state.up
            && let Some(up) = up.take()
        {
            up(&self.report(now));
        }
        while let Poll::Ready(Some(ask)) = self.asks.poll_recv(cx) {
            // The client may be gone.
            let _ = ask.send(self.report(now));
        }
        self.keep_time(cx, now);
        self.write_lanes(cx, now);
        self.arm(cx, now);
        Poll::Pending
    }

    fn lane_turn(&mut self, now: Instant, index: usize, turn: &Turn) {
        match turn {
            Turn::Quiet | Turn::Starting => {}
            Turn::Ebbed => {
                self.core.shrink();
                allocator::trim();
            }
            Turn::Died(counters) => self.core.lane_died(now, index, counters),
        }
    }

    /// Serves the stack and the lanes' outputs until neither has anything for the other.
    fn write_lanes(&mut self, cx: &mut Context<'_>, now: Instant) {
        loop {
            self.core.settle(now, &mut self.lanes);
            for index in 0..self.lanes.len() {
                let turn = self.lanes[index].poll_output(cx, now, &mut self.core.puller());
                self.lane_turn(now, index, &turn);
            }
            self.core.after_output(now, &mut self.lanes);
            // Reading made room, which the apps must learn, and may have ended flows, which the
            // relays must learn.
            if !self.core.wants_service() && !self.core.settle(now, &mut self.lanes) {
                return;
            }
        }
    }

    fn hear_network(&mut self, cx: &mut Context<'_>) -> Option<EngineError> {
        while let Poll::Ready(Some(state)) = self.network.states.poll_recv(cx) {
            match state.message {
                Ok(state) => {
                    self.core.set_network(&state);
                    self.network_state = state;
                }
                Err(error) => return Some(EngineError::Network(error)),
            }
        }
        None
    }

    fn keep_time(&mut self, cx: &mut Context<'_>, now: Instant) {
        for index in 0..self.lanes.len() {
            let turn = self.lanes[index].keep_time(now);
            if matches!(turn, Turn::Died(_) | Turn::Starting) {
                // The next pass must wait for the supervisor's answer.
                cx.waker().wake_by_ref();
            }
            self.lane_turn(now, index, &turn);
        }
        self.core.keep_time(now);
        self.watch_relays(now);
    }

    /// Gives the VM its own network back after some time without a relay.
    fn watch_relays(&mut self, now: Instant) {
        if self.lanes.iter_mut().any(|lane| lane.ready().is_some()) {
            self.alone_since = None;
            return;
        }
        let since = *self.alone_since.get_or_insert(now);
        if now >= since + WITHDRAW_AFTER {
            self.core.withdraw();
        }
    }

    /// Sets the timer to the next deadline.
    fn arm(&mut self, cx: &mut Context<'_>, now: Instant) {
        let lanes = self.lanes.iter().filter_map(Lane::next_deadline);
        let withdrawal =
            self.alone_since.filter(|_| self.core.carries()).map(|since| since + WITHDRAW_AFTER);
        let others = [self.core.next_deadline(), withdrawal];
        let Some(at) = lanes.chain(others.into_iter().flatten()).min() else { return };
        // A deadline only ever moves the timer to an earlier time. After a deadline has become
        // later, the timer fires with nothing due.
        if at < self.armed || self.armed <= now {
            self.armed = at;
            self.timer.as_mut().reset(at.into());
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.armed = now;
            cx.waker().wake_by_ref();
        }
    }

    /// Resets open connections, and releases TAP and relays.
    pub(crate) fn stop(mut self) {
        self.core.reset_all(now());
    }
}
