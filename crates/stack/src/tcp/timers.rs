//! The flows' next turns by time: a heap with lazy removal, so that nothing is ever searched.

use super::FlowId;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Entries of flows that are gone, or that have an earlier one now, stay until their time or the
/// next [`Timers::tidy`].
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

    /// Bounds the heap: removes dead entries when they must be the majority (one entry a flow
    /// counts).
    pub(crate) fn tidy(&mut self, flows: usize, counts: impl Fn(Instant, FlowId) -> bool) {
        if self.heap.len() > 2 * flows + 1024 {
            self.bury(counts);
        }
    }

    /// Frees the memory beyond the entries that count.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn timers_come_in_their_order_when_they_are_due_and_dead_ones_are_bounded() {
        let (now, mut timers) = (Instant::now(), Timers::default());
        let at = |ms| now + Duration::from_millis(ms);
        assert_eq!((timers.next(), timers.pop_due(at(9)), timers.len()), (None, None, 0));
        for (ms, id) in [(3, 1), (1, 2), (2, 3)] {
            timers.push(at(ms), FlowId(id));
        }
        assert_eq!((timers.next(), timers.pop_due(at(0)), timers.len()), (Some(at(1)), None, 3));
        assert_eq!(timers.pop_due(at(1)), Some((at(1), FlowId(2))));
        assert_eq!(timers.pop_due(at(1)), None);
        assert_eq!(timers.pop_due(at(9)), Some((at(2), FlowId(3))));
        // For three flows there may be three more entries, and a thousand.
        for _ in 1..2 * 3 + 1024 {
            timers.push(at(4), FlowId(9));
        }
        timers.tidy(3, |_, id| id == FlowId(1));
        assert_eq!(timers.len(), 2 * 3 + 1024);
        timers.push(at(4), FlowId(9));
        timers.tidy(3, |at, id| (at, id) == (now + Duration::from_millis(3), FlowId(1)));
        assert_eq!((timers.len(), timers.next()), (1, Some(at(3))));
        timers.push(at(5), FlowId(9));
        timers.shrink(|_, id| id == FlowId(9));
        assert_eq!((timers.next(), timers.len()), (Some(at(5)), 1));
        assert!(timers.heap.capacity() < 100, "{}", timers.heap.capacity());
    }
}
