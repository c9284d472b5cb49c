//! When which flow next needs a turn: a heap with lazy removal, so that nothing is ever searched for.

use super::FlowId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Entries of flows that are gone, or that got an earlier one since, stay until their time or the next [`Timers::tidy`].
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, FlowId)>>,
}

impl Timers {
    pub(crate) fn push(&mut self, at: Instant, id: FlowId) {
        self.heap.push(Reverse((at, id)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, FlowId)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    /// Bounds the heap: when most entries can only be dead (there is one a flow that counts), they go.
    pub(crate) fn tidy(&mut self, flows: usize, counts: impl Fn(Instant, FlowId) -> bool) {
        if self.heap.len() > 2 * flows + 1024 {
            self.bury(counts);
        }
    }

    /// Gives back what it holds beyond the entries that count.
    pub(crate) fn shrink(&mut self, counts: impl Fn(Instant, FlowId) -> bool) {
        self.bury(counts);
        self.heap.shrink_to_fit();
    }

    fn bury(&mut self, counts: impl Fn(Instant, FlowId) -> bool) {
        self.heap.retain(|Reverse((at, id))| counts(*at, *id));
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }
}
