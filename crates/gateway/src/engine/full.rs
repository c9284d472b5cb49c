//! Connections that were refused because there is room for no more, and those that made room for
//! another user's: the log shows some of them, the status their number.

use crate::limits::LOG_AGAIN_AFTER;
use crate::status::{Displaced, Refused};
use stack::Owner;
use std::time::Instant;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Full {
    count: u64,
    last: Option<Instant>,
    logged: Option<Instant>,
    /// How many of them the stack itself has refused.
    by_stack: u64,
    /// How many have made room.
    displaced: u64,
    /// The time and the owner of the last one.
    last_displaced: Option<(Instant, Owner)>,
    displaced_logged: Option<Instant>,
}

impl Full {
    /// A connection was refused while `open` were open.
    pub(crate) fn note(&mut self, now: Instant, open: usize) {
        self.count += 1;
        self.last = Some(now);
        if self.logged.is_none_or(|at| now >= at + LOG_AGAIN_AFTER) {
            self.logged = Some(now);
            tracing::warn!(
                "{open} TCP connections are open and there is room for no more: new ones are \
                 refused. `ss -tnp` shows the programs that hold them"
            );
        }
    }

    /// The stack has refused so many since its start.
    pub(crate) fn note_stack(&mut self, now: Instant, refused: u64, open: usize) {
        while self.by_stack < refused {
            self.by_stack += 1;
            self.note(now, open);
        }
    }

    /// So many have made room since the start; `owner` is the last one's.
    pub(crate) fn note_displaced(&mut self, now: Instant, displaced: u64, owner: Option<Owner>) {
        let Some(owner) = owner.filter(|_| displaced > self.displaced) else { return };
        self.displaced = displaced;
        self.last_displaced = Some((now, owner));
        if self.displaced_logged.is_none_or(|at| now >= at + LOG_AGAIN_AFTER) {
            self.displaced_logged = Some(now);
            tracing::warn!(
                "there is room for no more TCP connections: some of {owner}, who holds most of \
                 them, make room for others. `ss -tnpe` shows the programs"
            );
        }
    }

    pub(crate) fn displaced(&self, now: Instant) -> Option<Displaced> {
        let (last, owner) = self.last_displaced?;
        let last_s = now.saturating_duration_since(last).as_secs();
        Some(Displaced { count: self.displaced, last_of: owner.to_string(), last_s })
    }

    pub(crate) fn status(&self, now: Instant) -> Option<Refused> {
        let last = self.last?;
        Some(Refused { count: self.count, last_s: now.saturating_duration_since(last).as_secs() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn all_are_counted_and_few_are_logged() {
        let start = Instant::now();
        let mut full = Full::default();
        assert_eq!(full.status(start), None);
        full.note(start, 12_288);
        full.note_stack(start + Duration::from_secs(1), 2, 16_384);
        full.note_stack(start + Duration::from_secs(2), 2, 16_384);
        assert_eq!(full.logged, Some(start));
        assert_eq!(
            full.status(start + Duration::from_secs(5)),
            Some(Refused { count: 3, last_s: 4 })
        );
        full.note_displaced(start, 3, Some(Owner::User(65_534)));
        full.note_displaced(start + Duration::from_secs(1), 9, Some(Owner::User(65_534)));
        assert_eq!((full.displaced, full.displaced_logged), (9, Some(start)));
        let expected = Displaced { count: 9, last_of: "user 65534".to_owned(), last_s: 1 };
        assert_eq!(full.displaced(start + Duration::from_secs(2)), Some(expected));
        full.note_displaced(start + LOG_AGAIN_AFTER, 9, Some(Owner::User(65_534)));
        assert_eq!(full.displaced_logged, Some(start), "nothing new");
        full.note(start + LOG_AGAIN_AFTER, 12_288);
        assert_eq!(full.logged, Some(start + LOG_AGAIN_AFTER));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn a_displaced_one_is_shown_with_its_owner_and_logged_again_after_a_while() {
        let start = Instant::now();
        let mut full = Full::default();
        assert_eq!(full.displaced(start), None);
        full.note_displaced(start, 0, Some(Owner::User(1)));
        full.note_displaced(start, 3, None);
        assert_eq!(
            (full.displaced(start), full.displaced_logged),
            (None, None),
            "none has made room"
        );
        full.note_displaced(start, 3, Some(Owner::User(1)));
        let late = start + LOG_AGAIN_AFTER;
        full.note_displaced(late, 4, Some(Owner::User(2)));
        assert_eq!((full.displaced, full.displaced_logged), (4, Some(late)));
        assert_eq!(
            full.displaced(late).map(|displaced| displaced.last_of).as_deref(),
            Some("user 2")
        );
        full.note(start, 1);
        full.note(late - Duration::from_millis(1), 1);
        assert_eq!((full.logged, full.count), (Some(start), 2));
    }
}
