//! Waits for events. The only place in the lab that reads the clock or sleeps.

use std::time::{Duration, Instant};

/// Time between two checks: short compared with the wait, long compared with the cost of a check
/// (often a process).
const PAUSE: Duration = Duration::from_millis(20);

/// Checks repeatedly until `holds`, for at most `patience`; returns whether it holds. Checks at
/// least once.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "processes of the lab give no event to wait on; this polls with a deadline"
)]
pub fn until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if holds() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_as_soon_as_it_holds_and_gives_up_at_the_deadline() {
        let mut looks = 0;
        assert!(until(Duration::from_secs(60), || {
            looks += 1;
            looks == 3
        }));
        assert_eq!(looks, 3);
        assert!(!until(Duration::from_millis(50), || false));
        assert!(until(Duration::ZERO, || true), "it looks once even with no patience");
    }
}
