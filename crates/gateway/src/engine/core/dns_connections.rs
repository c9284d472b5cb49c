//! The VM's DNS connections (RFC 7766): which ones are open, and which one makes room. What their
//! queries lead to is in [`super::dns`].

use crate::dns::connections::{Connection, Half};
use crate::limits::{DNS_TIDY_EVERY, MAX_DNS_CONNECTIONS};
use stack::{FlowId, Owner, Stack};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Instant;

/// See the module's text.
#[derive(Debug)]
pub(super) struct DnsConnections {
    open: HashMap<FlowId, Connection>,
    /// Those that an answer gave room for more queries.
    woken: Vec<FlowId>,
    next_tidy: Instant,
}

impl DnsConnections {
    pub(super) fn new(now: Instant) -> Self {
        Self { open: HashMap::new(), woken: Vec::new(), next_tidy: now + DNS_TIDY_EVERY }
    }

    pub(super) fn insert(&mut self, now: Instant, flow: FlowId) {
        self.open.insert(flow, Connection::new(now));
    }

    pub(super) fn has(&self, flow: FlowId) -> bool {
        self.open.contains_key(&flow)
    }

    pub(super) fn get_mut(&mut self, flow: FlowId) -> Option<&mut Connection> {
        self.open.get_mut(&flow)
    }

    pub(super) fn remove(&mut self, flow: FlowId) -> Option<Connection> {
        self.open.remove(&flow)
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = FlowId> {
        self.open.drain().map(|(flow, _)| flow)
    }

    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= MAX_DNS_CONNECTIONS
    }

    /// The connection that ends for one more of `newcomer` (RFC 7766 section 6.2.3 lets a server
    /// that is short of connections end some): the idlest one of the owner with the most. If that
    /// is the newcomer's own owner, only an idle connection ends.
    pub(super) fn victim(
        &self,
        newcomer: Owner,
        mut owner_of: impl FnMut(FlowId) -> Owner,
    ) -> Option<FlowId> {
        type Least = ((bool, Instant), FlowId);
        let mut held: HashMap<Owner, (usize, Option<Least>)> = HashMap::new();
        for (flow, connection) in &self.open {
            let (count, least) = held.entry(owner_of(*flow)).or_default();
            *count += 1;
            let this = (connection.use_of(), *flow);
            *least = Some(least.map_or(this, |least| least.min(this)));
        }
        let (own, own_least) = held.get(&newcomer).copied().unwrap_or_default();
        let heaviest =
            held.into_values().max_by_key(|(count, _)| *count).filter(|(count, _)| *count > own);
        let own_idle = own_least.filter(|((is_busy, _), _)| !is_busy);
        heaviest.map_or(own_idle, |(_, least)| least).map(|(_, flow)| flow)
    }

    /// A query has its answer, or will get none.
    pub(super) fn answered(&mut self, now: Instant, flow: FlowId, answer: Option<&[u8]>) {
        if let Some(connection) = self.open.get_mut(&flow) {
            connection.done(now, answer);
            self.woken.push(flow);
        }
    }

    /// The next server to try for a connection that is handed on.
    pub(super) fn next_server(&mut self, flow: FlowId) -> Option<SocketAddr> {
        self.open.get_mut(&flow)?.next_server()
    }

    /// No server takes the connection: the gateway serves it again.
    pub(super) fn take_back(&mut self, now: Instant, flow: FlowId) {
        if let Some(connection) = self.open.get_mut(&flow) {
            connection.take_back(now);
            self.woken.push(flow);
        }
    }

    pub(super) fn take_woken(&mut self) -> Vec<FlowId> {
        std::mem::take(&mut self.woken)
    }

    /// Writes as many bytes of answers as the app's side takes. Returns whether it took any.
    pub(super) fn write(&mut self, stack: &mut Stack, flow: FlowId) -> bool {
        let Some(connection) = self.open.get_mut(&flow) else { return false };
        let before = connection.output.len();
        while !connection.output.is_empty() {
            let taken = stack.write(flow, connection.output.as_slices().0);
            if taken == 0 {
                break;
            }
            connection.output.drain(..taken);
        }
        connection.output.len() < before
    }

    /// Writes answers, and closes the gateway's side of a connection that is over.
    pub(super) fn flush(&mut self, now: Instant, stack: &mut Stack, flow: FlowId) {
        self.write(stack, flow);
        let Some(connection) = self.open.get_mut(&flow) else { return };
        if connection.is_over(now) && connection.server == Half::Open {
            connection.server = Half::Finished;
            stack.finish(flow);
        }
    }

    /// When [`DnsConnections::tidy`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.open.is_empty()).then_some(self.next_tidy)
    }

    /// Closes connections that are idle, and resets those whose client takes nothing.
    pub(super) fn tidy(&mut self, now: Instant, stack: &mut Stack) {
        if now < self.next_tidy {
            return;
        }
        self.next_tidy = now + DNS_TIDY_EVERY;
        for (flow, _) in self.open.extract_if(|_, connection| connection.is_stuck(now)) {
            stack.abort(flow);
        }
        let over = self.open.iter().filter(|(_, connection)| connection.is_over(now));
        for flow in over.map(|(flow, _)| *flow).collect::<Vec<_>>() {
            self.flush(now, stack, flow);
        }
    }
}
