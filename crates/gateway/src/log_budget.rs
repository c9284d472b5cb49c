//! Limits how much of the log a relay fills. A program that replaces the relay on the host must not
//! fill the helper distro's disk.

use crate::limits::{RELAY_LOG_BURST, RELAY_LOG_EVERY};
use std::time::Instant;

/// Counts the lines that may still be written: [`RELAY_LOG_BURST`] in a burst, and one more in each
/// [`RELAY_LOG_EVERY`].
#[derive(Debug, Default)]
pub(crate) struct LogBudget {
    /// Lines of the burst that were written.
    spent: u32,
    /// The time up to which lines have been given back.
    refilled: Option<Instant>,
    left_out: u64,
}

impl LogBudget {
    /// If a line may be written, returns how many lines were left out before it.
    pub(crate) fn take(&mut self, now: Instant) -> Option<u64> {
        let since = *self.refilled.get_or_insert(now);
        let back = now.saturating_duration_since(since).as_nanos() / RELAY_LOG_EVERY.as_nanos();
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        if back >= self.spent {
            (self.spent, self.refilled) = (0, Some(now));
        } else {
            self.spent -= back;
            self.refilled = Some(since + RELAY_LOG_EVERY * back);
        }
        if self.spent == RELAY_LOG_BURST {
            self.left_out += 1;
            return None;
        }
        self.spent += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_burst_is_written_and_then_a_line_at_a_time() {
        let start = crate::engine::now();
        let mut budget = LogBudget::default();
        for _ in 0..RELAY_LOG_BURST {
            assert_eq!(budget.take(start), Some(0));
        }
        let soon = start + RELAY_LOG_EVERY - Duration::from_millis(1);
        assert_eq!([budget.take(start), budget.take(soon)], [None, None]);
        let next = start + RELAY_LOG_EVERY;
        assert_eq!([budget.take(next), budget.take(next)], [Some(2), None]);
        let later = next + RELAY_LOG_EVERY * 3 / 2;
        assert_eq!([budget.take(later), budget.take(later)], [Some(1), None]);
        // The half period that was left counts.
        assert_eq!(budget.take(next + RELAY_LOG_EVERY * 2), Some(1));
        let much_later = next + RELAY_LOG_EVERY * RELAY_LOG_BURST * 2;
        let written = (0..1000).filter(|_| budget.take(much_later).is_some()).count();
        assert_eq!(written, RELAY_LOG_BURST as usize);
    }
}
