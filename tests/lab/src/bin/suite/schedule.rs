//! Chooses the job that may start next. Knows no process and no clock.

/// The share of the machine that a job takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// A number of slots: jobs that mostly wait take one.
    Slots(u32),
    /// One slot, without another of its kind beside it: it uses all cores for a long time.
    Step,
    /// No other job beside it, because it measures or because others would see its changes.
    Alone,
}

impl Need {
    fn slots(self) -> u32 {
        match self {
            Self::Slots(slots) => slots,
            Self::Step | Self::Alone => 1,
        }
    }
}

/// The position in `waiting` of the job that may start now, if any. Jobs start in order, but a job
/// that needs more than is free does not delay smaller ones. Those that run alone come last.
pub(crate) fn next(waiting: &[Need], running: &[Need], slots: u32) -> Option<usize> {
    if running.contains(&Need::Alone) {
        return None;
    }
    let used: u32 = running.iter().map(|need| need.slots()).sum();
    let fits = |need: &Need| match need {
        Need::Slots(wanted) => running.is_empty() || used + wanted <= slots,
        Need::Step => !running.contains(&Need::Step) && (running.is_empty() || used < slots),
        Need::Alone => running.is_empty() && waiting.iter().all(|other| *other == Need::Alone),
    };
    waiting.iter().position(fits)
}

#[cfg(test)]
mod tests {
    use super::Need::{Alone, Slots, Step};
    use super::*;

    #[test]
    fn jobs_share_the_slots() {
        assert_eq!(next(&[Slots(1)], &[Slots(1), Slots(2)], 4), Some(0));
        assert_eq!(next(&[Slots(2)], &[Slots(1), Slots(2)], 4), None);
        assert_eq!(
            next(&[Slots(2), Slots(1)], &[Slots(3)], 4),
            Some(1),
            "a small one goes past a large one"
        );
        assert_eq!(
            next(&[Slots(9)], &[], 4),
            Some(0),
            "one that never fits runs when nothing else does"
        );
        assert_eq!(next(&[], &[], 4), None);
    }

    #[test]
    fn one_step_runs_at_a_time() {
        assert_eq!(next(&[Step, Step], &[Slots(1)], 4), Some(0));
        assert_eq!(next(&[Step, Slots(1)], &[Step], 4), Some(1));
        assert_eq!(next(&[Step], &[Slots(4)], 4), None);
    }

    #[test]
    fn alone_is_alone_and_last() {
        assert_eq!(next(&[Alone, Slots(1)], &[], 4), Some(1));
        assert_eq!(next(&[Alone], &[Slots(1)], 4), None);
        assert_eq!(next(&[Alone], &[Step], 4), None);
        assert_eq!(next(&[Alone, Alone], &[], 4), Some(0));
        assert_eq!(next(&[Alone, Slots(1)], &[Alone], 4), None);
    }
}
