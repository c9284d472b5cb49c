//! Connections of which only TIME-WAIT is left (RFC 9293 3.10.7.8): their last ACK is repeated when their FIN comes again.

use super::Tuple;
use super::device::LastSegment;
use crate::limits::{MAX_TIME_WAIT, TIME_WAIT};
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) last: LastSegment,
    expires: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct TimeWait {
    records: HashMap<Tuple, Record>,
    /// In order of expiry. An entry whose record is gone or newer is skipped.
    order: VecDeque<(Instant, Tuple)>,
}

impl TimeWait {
    pub(crate) fn insert(&mut self, now: Instant, tuple: Tuple, last: LastSegment) {
        let expires = now + TIME_WAIT;
        self.records.insert(tuple, Record { last, expires });
        self.order.push_back((expires, tuple));
        while self.order.len() > MAX_TIME_WAIT {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((expires, tuple)) = self.order.pop_front()
            && self.records.get(&tuple).is_some_and(|r| r.expires == expires)
        {
            self.records.remove(&tuple);
        }
    }

    pub(crate) fn get(&self, now: Instant, tuple: &Tuple) -> Option<Record> {
        self.records.get(tuple).copied().filter(|r| r.expires > now)
    }

    pub(crate) fn remove(&mut self, tuple: &Tuple) {
        self.records.remove(tuple);
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        let before = self.order.len();
        while self.order.front().is_some_and(|(at, _)| *at <= now) {
            self.pop();
        }
        // Whoever shrinks the tables has done so when the last connection went, which is a while ago.
        if self.order.is_empty() && before > 0 {
            self.shrink();
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at)
    }

    pub(crate) fn shrink(&mut self) {
        self.records.shrink_to_fit();
        self.order.shrink_to_fit();
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}
