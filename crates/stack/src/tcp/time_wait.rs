//! Connections in TIME-WAIT (RFC 9293 3.10.7.8): the stack repeats their last ACK when their FIN
//! comes again.

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
        // The tables were shrunk when the last connection went, some time ago.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn tuple(port: u16) -> Tuple {
        Tuple { app: ([10, 99, 0, 18], port).into(), to: ([192, 0, 2, 1], 80).into() }
    }

    fn last(next: u32) -> LastSegment {
        LastSegment { next, ack: 2, window: 3 }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn a_record_is_there_for_its_time_and_a_newer_one_takes_its_place() {
        let (now, mut records) = (start(), TimeWait::default());
        assert_eq!((records.deadline(), records.len()), (None, 0));
        records.insert(now, tuple(1), last(7));
        let later = now + TIME_WAIT / 2;
        records.insert(later, tuple(2), last(8));
        records.insert(later, tuple(1), last(9));
        assert_eq!((records.deadline(), records.len()), (Some(now + TIME_WAIT), 2));
        records.expire(now + TIME_WAIT);
        let next = |records: &TimeWait, at, port| {
            records.get(at, &tuple(port)).map(|record| record.last.next)
        };
        assert_eq!(
            (next(&records, later, 1), next(&records, later, 2), records.len()),
            (Some(9), Some(8), 2)
        );
        let end = later + TIME_WAIT;
        assert!(
            next(&records, end - Duration::from_nanos(1), 1).is_some()
                && next(&records, end, 1).is_none()
        );
        records.remove(&tuple(2));
        assert_eq!(
            (next(&records, later, 2), next(&records, later, 3), records.len()),
            (None, None, 1)
        );
        assert_eq!(records.deadline(), Some(end));
        records.expire(end);
        assert_eq!((records.deadline(), records.len(), records.order.capacity()), (None, 0, 0));
    }

    #[test]
    fn the_oldest_of_too_many_goes() {
        let (now, mut records) = (start(), TimeWait::default());
        let count = u16::try_from(MAX_TIME_WAIT).unwrap();
        (0..count).for_each(|port| records.insert(now, tuple(port), last(1)));
        assert_eq!(records.len(), MAX_TIME_WAIT);
        records.insert(now, tuple(count), last(1));
        assert!(records.get(now, &tuple(0)).is_none() && records.get(now, &tuple(1)).is_some());
        assert_eq!((records.len(), records.order.len()), (MAX_TIME_WAIT, MAX_TIME_WAIT));
    }
}
