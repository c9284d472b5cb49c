//! The gateway's one loop: frames of the TAP, events of the stack, frames of the relays, time.
//!
//! It is one future on one thread. Each pass reads a bounded batch from every source, lets the
//! stack serve the flows that have something to do, and writes what the relays' pipes take;
//! whatever has more wakes the loop again. It waits for nothing else: a full pipe or a silent relay
//! holds up neither the TAP nor another relay.

mod asked;
mod core;
mod dns;
mod elsewhere;
mod full;
#[cfg(any(test, fuzzing))]
pub mod hostile;
#[cfg(test)]
mod model;
#[cfg(any(test, fuzzing))]
mod pretend;
mod report;
#[cfg(test)]
mod scripted;
mod spread;
mod terms;

use self::core::Core;
use crate::allocator;
use crate::control::Ask;
use crate::dns::rebind::Filter;
use crate::lane::{Lane, Turn};
use crate::limits::{TAP_TURN_BYTES, TAP_TURN_FRAMES, WITHDRAW_AFTER};
use crate::net::owners::Sockets;
use crate::network::{Network, NetworkState, Wish};
use crate::tap::{Device, READ_BUFFER, Tap};
use crate::via::{Via, ViaRefusal};
use stack::{AddressPlan, Ipv6, Stack, Strays};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use tokio::time::Sleep;

/// Why the gateway cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The device is gone.
    #[error(
        "the device {name} cannot be read any more ({source}): was it removed? Start underpass again; no other program may \
         manage this device"
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

/// Between two looks at DNS connections that may be idle.
const DNS_TIDY: Duration = Duration::from_secs(5);

/// The loop's own state; see the module's text.
pub(crate) struct Engine<D = Tap> {
    core: Core<D>,
    lanes: Vec<Lane>,
    frame: Vec<u8>,
    asks: mpsc::Receiver<Ask>,
    network: Network,
    network_state: NetworkState,
    timer: Pin<Box<Sleep>>,
    armed: Instant,
    started: Instant,
    /// Since when no relay is ready.
    alone_since: Option<Instant>,
    next_tidy: Instant,
    mtu: u32,
}

/// What the loop is made from.
pub(crate) struct Parts<D = Tap> {
    pub(crate) tap: D,
    pub(crate) stack: Stack,
    pub(crate) plan: AddressPlan,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) network: Network,
    pub(crate) wish: watch::Sender<Wish>,
    pub(crate) mtu: u32,
    pub(crate) via: Option<Via>,
    pub(crate) rebind: Filter,
    /// The VM's sockets; none where its kernel does not tell.
    pub(crate) sockets: Option<Sockets>,
}

/// The shell's clock.
#[expect(clippy::disallowed_methods, reason = "the gateway's shell is where time comes from")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

impl<D: Device> Engine<D> {
    pub(crate) fn new(parts: Parts<D>, now: Instant) -> Self {
        Self {
            core: Core::new(
                parts.tap,
                parts.stack,
                parts.sockets,
                parts.plan,
                parts.wish,
                parts.via,
                parts.rebind,
            ),
            lanes: parts.lanes,
            frame: vec![0; READ_BUFFER],
            asks: parts.asks,
            network: parts.network,
            network_state: NetworkState::default(),
            timer: Box::pin(tokio::time::sleep_until(now.into())),
            armed: now,
            started: now,
            alone_since: Some(now),
            next_tidy: now + DNS_TIDY,
            mtu: parts.mtu,
        }
    }

    /// One pass, at the time that it is.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        up: &mut Option<impl FnOnce(&crate::Status)>,
    ) -> Poll<EngineError> {
        self.pass(now(), cx, up)
    }

    /// One pass. Ready only when the gateway cannot go on, or when the network's state came to be
    /// [`NetworkState::up`] and `up` is still wanted.
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
        if let Err(source) = self.read_tap(cx, now) {
            return Poll::Ready(EngineError::Tap { name: self.core.tap.name().to_owned(), source });
        }
        self.core.settle(now, &mut self.lanes);
        for index in 0..self.lanes.len() {
            let core = &mut self.core;
            let turn = self.lanes[index]
                .poll_input(cx, now, |session, frame| core.on_frame(now, index, session, frame));
            self.lane_turn(now, index, &turn);
        }
        if let Some(refusal) = self.core.way_out.as_ref().and_then(|way_out| way_out.refusal) {
            return Poll::Ready(refusal.into());
        }
        if self.network_state.up
            && let Some(up) = up.take()
        {
            up(&self.report(now));
        }
        while let Poll::Ready(Some(ask)) = self.asks.poll_recv(cx) {
            // Who asked may be gone.
            let _ = ask.send(self.report(now));
        }
        self.keep_time(cx, now);
        self.write_lanes(cx, now);
        self.arm(cx, now);
        Poll::Pending
    }

    fn read_tap(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        if self.core.tap.poll_readable(cx)?.is_pending() {
            return Ok(());
        }
        let (mut frames, mut bytes) = (0, 0);
        while frames < TAP_TURN_FRAMES && bytes < TAP_TURN_BYTES {
            let Some((frame, meta)) = self.core.tap.read(&mut self.frame)? else {
                // The readiness is used up; ask for the next.
                if self.core.tap.poll_readable(cx)?.is_pending() {
                    return Ok(());
                }
                continue;
            };
            frames += 1;
            bytes += frame.len();
            self.core.stack.ingest(now, frame, meta, &mut self.core.tap);
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn lane_turn(&mut self, now: Instant, index: usize, turn: &Turn) {
        match turn {
            Turn::Quiet | Turn::Starting => {}
            Turn::Ebbed => {
                self.core.shrink();
                allocator::trim();
            }
            Turn::Died(counters) => {
                self.core.past_bytes.up += counters.data_sent;
                self.core.past_bytes.down += counters.data_received;
                self.core.lane_died(now, index);
            }
        }
    }

    /// Lets the stack and the lanes' outputs go on until neither has anything for the other.
    fn write_lanes(&mut self, cx: &mut Context<'_>, now: Instant) {
        loop {
            self.core.settle(now, &mut self.lanes);
            for index in 0..self.lanes.len() {
                let turn = self.lanes[index].poll_output(cx, now, &mut self.core.puller());
                self.lane_turn(now, index, &turn);
            }
            self.core.after_output(now, &mut self.lanes);
            // What was read made room, which the apps are told, and may have ended flows, which the
            // relays are told.
            if !self.core.stack.wants_service() && !self.core.settle(now, &mut self.lanes) {
                return;
            }
        }
    }

    fn hear_network(&mut self, cx: &mut Context<'_>) -> Option<EngineError> {
        while let Poll::Ready(Some(state)) = self.network.states.poll_recv(cx) {
            match state.message {
                Ok(state) => {
                    if let Some(plan) = &state.plan {
                        self.core.plan = plan.clone();
                        self.core.stack.set_addresses(plan.clone());
                    }
                    self.core.ipv6 = if state.ipv6 { Ipv6::Enabled } else { Ipv6::Disabled };
                    self.core.stack.set_ipv6(self.core.ipv6);
                    let strays = if self.core.way_out.is_some() {
                        Strays::Unknown
                    } else {
                        Strays::Elsewhere
                    };
                    self.core.stack.set_uplink(&state.uplink, strays);
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
                // The supervisor's answer must be waited for by the next pass.
                cx.waker().wake_by_ref();
            }
            self.lane_turn(now, index, &turn);
        }
        if self.core.stack.next_deadline().is_some_and(|at| at <= now) {
            self.core.stack.handle_timeout(now, &mut self.core.tap);
        }
        self.core.expire(now);
        if self.next_tidy <= now {
            self.next_tidy = now + DNS_TIDY;
            self.core.tidy_dns(now);
        }
        self.watch_relays(now);
    }

    /// Without any relay for some time, the VM has a better chance with its own network.
    fn watch_relays(&mut self, now: Instant) {
        if self.lanes.iter_mut().any(|lane| lane.ready().is_some()) {
            self.alone_since = None;
            return;
        }
        let since = *self.alone_since.get_or_insert(now);
        if now >= since + WITHDRAW_AFTER {
            self.core.wish.send_if_modified(|wish| std::mem::replace(&mut wish.carry, false));
        }
    }

    /// Sets the timer to the next thing that is due.
    fn arm(&mut self, cx: &mut Context<'_>, now: Instant) {
        let lanes = self.lanes.iter().filter_map(Lane::next_deadline);
        let others = [
            self.core.stack.next_deadline(),
            self.core.deadline(),
            (!self.core.dns.is_empty()).then_some(self.next_tidy),
            self.alone_since
                .map(|since| since + WITHDRAW_AFTER)
                .filter(|_| self.core.wish.borrow().carry),
        ];
        let Some(at) = lanes.chain(others.into_iter().flatten()).min() else { return };
        // A deadline only ever moves the timer forward; one that became later finds nothing due
        // when it fires.
        if at < self.armed || self.armed <= now {
            self.armed = at;
            self.timer.as_mut().reset(at.into());
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.armed = now;
            cx.waker().wake_by_ref();
        }
    }

    /// Resets what is open, and lets go of TAP and relays.
    pub(crate) fn stop(mut self) {
        self.core.reset_all(now());
    }
}
