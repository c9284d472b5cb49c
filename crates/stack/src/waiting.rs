//! Values that wait for one answer. All wait equally long, so the oldest expires first.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// Places in the order for answered values, besides four times the number of waiting ones.
const SPARE: usize = 1024;

/// Waiting values, by number. Knows no limit: the owner enforces it with
/// [`Waiting::remove_oldest`].
#[derive(Debug)]
pub struct Waiting<T> {
    values: HashMap<u32, T>,
    /// All of `values`, oldest first, and some that were answered.
    order: VecDeque<(Instant, u32)>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { values: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Waiting<T> {
    /// The number of waiting values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether no value waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A waiting value.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&T> {
        self.values.get(&id)
    }

    /// Adds a value until `deadline`, which is not earlier than that of the value before.
    pub fn insert(&mut self, deadline: Instant, id: u32, value: T) {
        // Answered values keep their place in the order until their turn. Their number is bounded
        // as well.
        if self.order.len() >= 4 * self.values.len() + SPARE {
            self.order.retain(|(_, id)| self.values.contains_key(id));
        }
        self.values.insert(id, value);
        self.order.push_back((deadline, id));
    }

    /// Removes the value whose answer has come.
    pub fn remove(&mut self, id: u32) -> Option<T> {
        self.values.remove(&id)
    }

    /// Removes the value that waits longest, which is the least likely to get an answer.
    pub fn remove_oldest(&mut self) -> Option<T> {
        while let Some((_, id)) = self.order.pop_front() {
            if let Some(value) = self.values.remove(&id) {
                return Some(value);
            }
        }
        None
    }

    /// Removes all values that a caller selects, in no order.
    pub fn remove_all(&mut self, is_wanted: impl Fn(&T) -> bool) -> Vec<T> {
        self.values.extract_if(|_, value| is_wanted(value)).map(|(_, value)| value).collect()
    }

    /// At the latest when the next value expires.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at)
    }

    /// Removes and returns the next value that waited too long.
    pub fn expire(&mut self, now: Instant) -> Option<T> {
        while let Some((_, id)) = self.order.pop_front_if(|(at, _)| *at <= now) {
            if let Some(value) = self.values.remove(&id) {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn the_oldest_goes_first_and_what_was_answered_takes_little_room() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut waiting = Waiting::default();
        for id in 0..4 {
            waiting.insert(at(id.into()), id, id);
        }
        assert_eq!(
            (waiting.remove(0), waiting.remove(0), waiting.get(1)),
            (Some(0), None, Some(&1))
        );
        assert_eq!((waiting.remove_oldest(), waiting.len()), (Some(1), 2), "0 was answered");
        assert_eq!(
            (waiting.expire(at(1)), waiting.expire(at(2)), waiting.expire(at(2))),
            (None, Some(2), None)
        );
        assert_eq!((waiting.deadline(), waiting.remove_all(|id| *id == 3)), (Some(at(3)), vec![3]));
        assert_eq!(
            (waiting.expire(at(3)), waiting.deadline(), waiting.is_empty()),
            (None, None, true)
        );
        for id in 0..100_000 {
            waiting.insert(start, id, id);
            waiting.remove(id);
        }
        assert!(waiting.order.len() <= SPARE, "{}", waiting.order.len());
    }
}
