//! Questions that wait for a relay's answer. All live equally long, so the oldest expires first.

use crate::limits::{ASKED_LIFETIME, MAX_ASKED};
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// Who waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A DNS query over UDP, and how many bytes its answer may have.
    Udp { request: stack::RequestId, most: u16 },
    /// A DNS query over TCP, with its id: answers over one connection come in any order.
    Tcp { flow: stack::FlowId },
    /// An echo request.
    Echo { request: stack::RequestId },
    /// The gateway itself.
    Facts,
}

/// A question under way.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) lane: usize,
    pub(crate) asker: Asker,
    /// A DNS query's header and question, from which a failure is told; else nothing.
    pub(crate) query: Vec<u8>,
}

/// All questions under way, over all lanes: an id is never on two of them.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    waiting: HashMap<u32, Question>,
    order: VecDeque<(Instant, u32)>,
    next: u32,
}

impl Asked {
    /// The id for the wire; none when too many wait.
    pub(crate) fn insert(&mut self, now: Instant, question: Question) -> Option<wire::RequestId> {
        if self.waiting.len() >= MAX_ASKED {
            return None;
        }
        // Answered ones keep their place in the order until it is their turn; that has a bound as well.
        if self.order.len() >= 4 * MAX_ASKED {
            self.order.retain(|(_, id)| self.waiting.contains_key(id));
        }
        // When the numbers start over the first is long forgotten.
        self.next = self.next.wrapping_add(1);
        self.waiting.insert(self.next, question);
        self.order.push_back((now + ASKED_LIFETIME, self.next));
        Some(wire::RequestId(self.next))
    }

    pub(crate) fn take(&mut self, lane: usize, request: wire::RequestId) -> Option<Question> {
        self.waiting.get(&request.0).filter(|question| question.lane == lane)?;
        self.waiting.remove(&request.0)
    }

    /// Questions of a lane whose relay died.
    pub(crate) fn take_lane(&mut self, lane: usize) -> Vec<Question> {
        self.waiting.extract_if(|_, question| question.lane == lane).map(|(_, question)| question).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at)
    }

    /// The next question that waited too long.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Question> {
        while self.order.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, id)) = self.order.pop_front()
                && let Some(question) = self.waiting.remove(&id)
            {
                return Some(question);
            }
        }
        None
    }

    /// DNS queries and echo requests under way.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.waiting.values().fold((0, 0), |(dns, echo), question| match question.asker {
            Asker::Udp { .. } | Asker::Tcp { .. } => (dns + 1, echo),
            Asker::Echo { .. } => (dns, echo + 1),
            Asker::Facts => (dns, echo),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "tests start their virtual clock somewhere")]
    fn a_question_is_taken_once_by_its_own_lane_or_expires() {
        let now = Instant::now();
        let mut asked = Asked::default();
        let question = |lane| Question { lane, asker: Asker::Facts, query: Vec::new() };
        let ids: Vec<_> = (0..3).filter_map(|lane| asked.insert(now, question(lane))).collect();
        assert!(asked.take(1, ids[0]).is_none(), "another lane's");
        assert!(asked.take(0, ids[0]).is_some() && asked.take(0, ids[0]).is_none());
        assert_eq!(asked.take_lane(1).len(), 1);
        assert!(asked.expire(now).is_none());
        assert_eq!(asked.expire(now + ASKED_LIFETIME).map(|question| question.lane), Some(2));
        assert!(asked.expire(now + ASKED_LIFETIME).is_none() && asked.deadline().is_none());
        let taken = (0..=MAX_ASKED).filter(|_| asked.insert(now, question(0)).is_some()).count();
        assert_eq!(taken, MAX_ASKED);
    }
}
