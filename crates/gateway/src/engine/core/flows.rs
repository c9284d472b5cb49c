//! TCP connections that relays serve: what the engine keeps of each, beside the stack's state and
//! the session's.
//!
//! A connection can end in the stack before its relay has the app's end of stream, which follows
//! the app's last bytes. Until then it stays here.

use super::on_wire;
use crate::lane::Lane;
use stack::{Changes, FlowId, Stack};
use std::collections::HashMap;
use wire::Session;
use wire::session::{Pull, Source, Then};

/// A connection that a relay serves.
#[derive(Debug)]
struct Flow {
    lane: usize,
    /// Bytes of the app that were read before the relay connected: a zone transfer's question.
    ahead: Vec<u8>,
    /// Bytes from the relay that the app has not acknowledged, and for which the relay therefore
    /// has no credit.
    held: usize,
    /// The session has the app's end of stream.
    is_finished: bool,
    /// The stack has forgotten it.
    has_ended: bool,
    /// The app's kernel has forgotten it. The relay learns that after the Fin.
    is_orphan: bool,
}

impl Flow {
    fn new(lane: usize) -> Self {
        Self {
            lane,
            ahead: Vec::new(),
            held: 0,
            is_finished: false,
            has_ended: false,
            is_orphan: false,
        }
    }

    /// The engine needs it no longer.
    fn leave(&self, session: &mut Session, flow: FlowId) {
        if self.is_orphan {
            session.orphan(on_wire(flow));
        } else {
            session.forget(on_wire(flow));
        }
    }
}

/// All connections that relays serve.
#[derive(Debug, Default)]
pub(super) struct Flows {
    known: HashMap<FlowId, Flow>,
    /// Those that had ended in the stack before their Fin was sent, and whose Fin is sent now.
    over: Vec<FlowId>,
}

impl Flows {
    pub(super) fn insert(&mut self, flow: FlowId, lane: usize) {
        self.known.insert(flow, Flow::new(lane));
    }

    pub(super) fn has(&self, flow: FlowId) -> bool {
        self.known.contains_key(&flow)
    }

    pub(super) fn remove(&mut self, flow: FlowId) {
        self.known.remove(&flow);
    }

    pub(super) fn take_lane(&mut self, lane: usize) -> Vec<FlowId> {
        self.known.extract_if(|_, flow| flow.lane == lane).map(|(flow, _)| flow).collect()
    }

    pub(super) fn drain(&mut self) -> impl Iterator<Item = FlowId> {
        self.known.drain().map(|(flow, _)| flow)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Gives back memory that was for connections that are gone.
    pub(super) fn shrink(&mut self) {
        self.known.shrink_to_fit();
        self.over.shrink_to_fit();
    }

    /// Lends the stack to the sessions that pull from it.
    pub(super) fn puller<'a>(&'a mut self, stack: &'a mut Stack) -> Puller<'a> {
        Puller { stack, flows: self }
    }

    /// These bytes go to the server before any that the stack has.
    pub(super) fn send_ahead(&mut self, flow: FlowId, bytes: Vec<u8>) {
        if let Some(state) = self.known.get_mut(&flow) {
            state.ahead = bytes;
        }
    }

    /// Removes a connection, and resets it at its relay.
    pub(super) fn reset(&mut self, lanes: &mut [Lane], flow: FlowId) {
        if let Some(state) = self.known.remove(&flow)
            && let Some(session) = lanes[state.lane].ready()
        {
            session.reset(on_wire(flow));
        }
    }

    /// The stack reports changes of a connection.
    pub(super) fn change(
        &mut self,
        stack: &Stack,
        lanes: &mut [Lane],
        flow: FlowId,
        changes: Changes,
    ) {
        let Some(state) = self.known.get_mut(&flow) else { return };
        let Some(session) = lanes[state.lane].ready() else { return };
        if changes.contains(Changes::RESET) {
            session.reset(on_wire(flow));
            self.known.remove(&flow);
            return;
        }
        let unsent = stack.unsent(flow);
        if unsent < state.held {
            session.consumed(on_wire(flow), state.held - unsent);
            state.held = unsent;
        }
        state.is_orphan |= changes.contains(Changes::FORGOTTEN);
        if changes.contains(Changes::CLOSED) {
            // An Orphan says what a Fin would say, and a connection that makes room for another one
            // has to make it now.
            let needs_no_fin =
                state.is_orphan && state.ahead.is_empty() && stack.readable(flow) == 0;
            if state.is_finished || needs_no_fin {
                state.leave(session, flow);
                self.known.remove(&flow);
                return;
            }
            state.has_ended = true;
        }
        if changes.contains(Changes::READABLE)
            || changes.contains(Changes::PEER_FINISHED)
            || state.has_ended
        {
            session.mark_ready(on_wire(flow));
        }
    }

    /// Bytes for the app.
    pub(super) fn deliver(
        &mut self,
        stack: &mut Stack,
        session: &mut Session,
        flow: FlowId,
        bytes: &[u8],
    ) {
        let Some(state) = self.known.get_mut(&flow) else { return session.reset(on_wire(flow)) };
        let taken = stack.write(flow, bytes);
        state.held += taken;
        if taken < bytes.len() && !state.has_ended {
            // Credit is the ring's room, so only a flow that can send no more takes less.
            tracing::debug!(?flow, lost = bytes.len() - taken, "the app's side takes no more");
            self.known.remove(&flow);
            stack.abort(flow);
            session.reset(on_wire(flow));
        }
    }

    /// Removes connections whose Fin has just been sent and that have ended in the stack.
    pub(super) fn forget_over(&mut self, lanes: &mut [Lane]) {
        for flow in std::mem::take(&mut self.over) {
            let Some(state) = self.known.remove(&flow) else { continue };
            if let Some(session) = lanes[state.lane].ready() {
                state.leave(session, flow);
            }
        }
    }
}

/// See [`Flows::puller`].
pub(crate) struct Puller<'a> {
    stack: &'a mut Stack,
    flows: &'a mut Flows,
}

impl Source for Puller<'_> {
    fn pull(&mut self, flow: wire::FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let id = FlowId(flow.0);
        let Some(state) = self.flows.known.get_mut(&id) else {
            return Pull { taken: 0, then: Then::Drained };
        };
        let ahead = state.ahead.len().min(max);
        if ahead > 0 {
            out.extend(state.ahead.drain(..ahead));
            return Pull { taken: ahead, then: Then::More };
        }
        let taken = self.stack.read(id, max, |piece| out.extend_from_slice(piece));
        if self.stack.read_finished(id) || (state.has_ended && taken == 0) {
            state.is_finished = true;
            if state.has_ended {
                self.flows.over.push(id);
            }
            return Pull { taken, then: Then::Finished };
        }
        let more = self.stack.readable(id) > 0;
        Pull { taken, then: if more { Then::More } else { Then::Drained } }
    }
}
