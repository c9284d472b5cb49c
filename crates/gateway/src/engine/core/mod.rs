//! The engine without its lanes: what events of the stack and frames of the relays mean for each
//! other. Its only I/O is the TAP's.
//!
//! Each part keeps its own state: [`flows`] the connections that relays serve, [`dns_connections`]
//! those of the DNS front, `asked` the questions under way, and so on. Here and in [`events`],
//! [`frames`] and [`dns`] is what concerns several parts.

mod counts;
mod dns;
mod dns_connections;
mod events;
mod flows;
mod frames;
mod report;

use self::counts::Counts;
use self::dns_connections::DnsConnections;
use self::flows::{Flows, Puller};
#[cfg(any(test, fuzzing))]
use super::asked::Asking;
use super::asked::{Asked, Asker, Question};
use super::full::Full;
use super::spread::{self, Binds};
use super::wishes::Wishes;
use crate::dns::front;
use crate::dns::rebind::Filter;
use crate::lane::Lane;
use crate::limits::{TAP_TURN_BYTES, TAP_TURN_FRAMES};
use crate::log_budget::LogBudget;
use crate::net::owners::Sockets;
use crate::network::{NetworkState, Wish};
use crate::tap::{Device, READ_BUFFER, Tap};
use crate::via::{Via, ViaRefusal, WayOut};
use stack::limits::{MAX_BINDS, MAX_FLOWS};
use stack::{AddressPlan, BindId, FlowId, Ipv6, Stack, Strays};
use std::io;
use std::task::Context;
use std::time::Instant;
use tokio::sync::watch;
use wire::session::Counters;

/// See the module's text.
pub(super) struct Core<D = Tap> {
    tap: D,
    /// What the TAP is read into.
    buffer: Vec<u8>,
    stack: Stack,
    plan: AddressPlan,
    ipv6: Ipv6,
    flows: Flows,
    dns: DnsConnections,
    binds: Binds,
    asked: Asked,
    wishes: Wishes,
    way_out: WayOut,
    /// Keeps answers from naming the host.
    rebind: Filter,
    /// When connections were refused for want of room.
    full: Full,
    counts: Counts,
    /// For what relays say in frames.
    log: LogBudget,
}

fn on_wire(flow: FlowId) -> wire::FlowId {
    wire::FlowId(flow.0)
}

/// What [`Core`] is made from.
pub(crate) struct CoreParts<D = Tap> {
    pub(crate) tap: D,
    pub(crate) stack: Stack,
    pub(crate) plan: AddressPlan,
    pub(crate) wish: watch::Sender<Wish>,
    pub(crate) via: Option<Via>,
    pub(crate) rebind: Filter,
    /// The VM's sockets; `None` if its kernel does not report them.
    pub(crate) sockets: Option<Sockets>,
}

impl<D: Device> Core<D> {
    pub(super) fn new(parts: CoreParts<D>, now: Instant) -> Self {
        let CoreParts { tap, stack, plan, wish, via, rebind, sockets } = parts;
        Self {
            tap,
            buffer: vec![0; READ_BUFFER],
            stack,
            plan,
            ipv6: Ipv6::Disabled,
            flows: Flows::default(),
            dns: DnsConnections::new(now),
            binds: Binds::default(),
            asked: Asked::default(),
            wishes: Wishes::new(wish, sockets),
            way_out: WayOut::new(via, crate::seed()),
            rebind,
            full: Full::default(),
            counts: Counts::default(),
            log: LogBudget::default(),
        }
    }

    pub(super) fn tap_name(&self) -> &str {
        self.tap.name()
    }

    /// Why nothing may be carried: a relay cannot go through the proxy.
    pub(super) fn refusal(&self) -> Option<ViaRefusal> {
        self.way_out.refusal()
    }

    pub(super) fn puller(&mut self) -> Puller<'_> {
        self.flows.puller(&mut self.stack)
    }

    /// Reads a bounded batch of frames. Wakes by `cx` if there may be more.
    pub(super) fn read_tap(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        if self.tap.poll_readable(cx)?.is_pending() {
            return Ok(());
        }
        let (mut frames, mut bytes) = (0, 0);
        while frames < TAP_TURN_FRAMES && bytes < TAP_TURN_BYTES {
            let Some((frame, meta)) = self.tap.read(&mut self.buffer)? else {
                // The readiness is used up; ask for the next.
                if self.tap.poll_readable(cx)?.is_pending() {
                    return Ok(());
                }
                continue;
            };
            frames += 1;
            bytes += frame.len();
            self.stack.ingest(now, frame, meta, &mut self.tap);
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    /// Whether [`Core::settle`] has something to do.
    pub(super) fn wants_service(&self) -> bool {
        self.stack.wants_service()
    }

    /// Gives the stack's flows their turns and acts on their events, until there are no more.
    /// Returns whether there were any.
    pub(super) fn settle(&mut self, now: Instant, lanes: &mut [Lane]) -> bool {
        let mut any = false;
        loop {
            if self.stack.wants_service() {
                self.stack.service(now, &mut self.tap);
            }
            let Some(event) = self.stack.poll_event() else {
                if self.stack.wants_service() {
                    continue;
                }
                return any;
            };
            any = true;
            self.on_event(now, lanes, event);
        }
    }

    /// Forgets what the sessions are done with, and drives the DNS connections that have room
    /// again.
    pub(super) fn after_output(&mut self, now: Instant, lanes: &mut [Lane]) {
        self.flows.forget_over(lanes);
        for flow in self.dns.take_woken() {
            self.drive_dns(now, lanes, flow);
        }
    }

    /// The VM's network has changed.
    pub(super) fn set_network(&mut self, state: &NetworkState) {
        if let Some(plan) = &state.plan {
            self.plan = plan.clone();
            self.stack.set_addresses(plan.clone());
        }
        self.ipv6 = if state.ipv6 { Ipv6::Enabled } else { Ipv6::Disabled };
        self.stack.set_ipv6(self.ipv6);
        let strays = if self.way_out.is_by_proxy() { Strays::Unknown } else { Strays::Elsewhere };
        self.stack.set_uplink(&state.uplink, strays);
    }

    /// Whether the VM's traffic should come to the TAP.
    pub(super) fn carries(&self) -> bool {
        self.wishes.carries()
    }

    /// Gives the VM its own network back until a relay serves again.
    pub(super) fn withdraw(&self) {
        self.wishes.withdraw();
    }

    /// The relay of `lane` is gone, and all that it held: its flows are reset at once.
    pub(super) fn lane_died(&mut self, now: Instant, lane: usize, counters: &Counters) {
        self.counts.relay_gone(counters);
        let flows = self.flows.take_lane(lane);
        tracing::info!(lane, flows = flows.len(), "the relay's connections are reset");
        for flow in &flows {
            self.dns.remove(*flow);
        }
        self.stack.reset_flows(flows);
        self.way_out.lane_died(lane);
        for bind in self.binds.take_lane(lane) {
            self.lose_bind(bind);
        }
        for question in self.asked.take_lane(lane) {
            self.answered(now, &question, None);
        }
    }

    /// No relay has a UDP socket for this source endpoint any more.
    fn lose_bind(&mut self, bind: BindId) {
        self.way_out.unbound(bind);
        self.stack.bind_failed(bind);
    }

    /// A question has its answer, or will get none.
    fn answered(&mut self, now: Instant, question: &Question, answer: Option<Vec<u8>>) {
        match (question.asker, answer) {
            (Asker::Udp { request, most }, Some(answer)) => {
                self.stack.answer_query(request, &front::fit(answer, most), &mut self.tap);
            }
            (Asker::Udp { request, .. } | Asker::Echo { request }, None) => {
                self.stack.forget_request(request);
            }
            (Asker::Tcp { flow }, answer) => self.dns.answered(now, flow, answer.as_deref()),
            (Asker::Facts | Asker::Echo { .. }, _) => {}
        }
    }

    /// Takes no more UDP sources than the relays have sockets for, so that the one that was idle
    /// longest makes room, and not the newest. Has connections that are gone make room before the
    /// relays are full.
    pub(super) fn fit(&mut self, lanes: &mut [Lane]) {
        // Without a relay nothing is taken anyway.
        if let Some(capacity) = spread::capacity(lanes) {
            self.stack.set_max_binds(capacity.binds.min(MAX_BINDS));
            self.stack.expect_flows(capacity.flows);
        }
    }

    /// Gives back what tables hold for connections that are gone.
    pub(super) fn shrink(&mut self) {
        self.flows.shrink();
        self.stack.shrink();
    }

    /// Resets everything: the gateway ends.
    pub(super) fn reset_all(&mut self, now: Instant) {
        let flows: Vec<FlowId> = self.flows.drain().chain(self.dns.drain()).collect();
        self.stack.reset_flows(flows);
        self.stack.service(now, &mut self.tap);
    }

    /// Acts on what is due: the stack's timers, questions without an answer, connections that the
    /// stack has refused, and idle DNS connections.
    pub(super) fn keep_time(&mut self, now: Instant) {
        if self.stack.next_deadline().is_some_and(|at| at <= now) {
            self.stack.handle_timeout(now, &mut self.tap);
        }
        while let Some(question) = self.asked.expire(now) {
            self.answered(now, &question, None);
        }
        self.full.note_stack(now, self.stack.refused(), MAX_FLOWS);
        let (displaced, owner) = self.stack.displaced();
        self.full.note_displaced(now, displaced, owner);
        self.wishes.expire(now);
        self.dns.tidy(now, &mut self.stack);
    }

    /// When [`Core::keep_time`] has something to do.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let all = [self.stack.next_deadline(), self.expiry(), self.dns.deadline()];
        all.into_iter().flatten().min()
    }

    /// When the next question or conversation expires.
    pub(super) fn expiry(&self) -> Option<Instant> {
        [self.asked.deadline(), self.wishes.deadline()].into_iter().flatten().min()
    }
}

/// What is open.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) flows: usize,
    pub(super) dns_connections: usize,
    pub(super) questions: usize,
    pub(super) pings: usize,
    /// Questions of the gateway's own.
    pub(super) own_questions: usize,
    pub(super) in_stack: usize,
    pub(super) half_open: usize,
    pub(super) binds: usize,
}

/// What tests reach.
#[cfg(any(test, fuzzing))]
impl<D> Core<D> {
    pub(super) fn tap(&mut self) -> &mut D {
        &mut self.tap
    }

    #[cfg(test)]
    pub(super) fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    pub(super) fn open(&mut self) -> Open {
        let stats = self.stack.stats();
        let Asking { questions, pings } = self.asked.count();
        Open {
            in_stack: stats.flows,
            half_open: stats.half_open,
            binds: stats.binds,
            flows: self.flows.len(),
            dns_connections: self.dns.len(),
            questions,
            pings,
            own_questions: self.asked.own(),
        }
    }
}
