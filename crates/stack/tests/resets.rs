//! The RSTs of an app that end its connection (RFC 5961 section 3.2).

mod common;
use common::raw::*;
use underpass_stack::limits::{CHALLENGE_EVERY, RING_STEPS};
use underpass_stack::*;

#[test]
fn a_reset_counts_at_the_number_awaited_is_challenged_in_the_window_and_dropped_elsewhere() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    // The ring of one connection among few, two bytes of which are used.
    let window = u32::try_from(RING_STEPS[0].1).unwrap() - 2;
    raw.say(&mut conn, ACK, b"xy");
    for (ahead, is_challenged) in [
        (1, true),
        (window - 1, true),
        (window, false),
        (window + 1, false),
        (1 << 31, false),
        (u32::MAX, false),
    ] {
        raw.wait(CHALLENGE_EVERY);
        raw.turn();
        let before = raw.stack.stats().challenges;
        raw.feed(&segment(4000, conn.seq.wrapping_add(ahead), 0, RST, &[], &[]));
        let seen = raw.turn();
        assert_eq!(seen.len(), usize::from(is_challenged), "{ahead} ahead: {seen:?}");
        assert!(seen.iter().all(|one| (one.flags, one.seq, one.ack) == (ACK, conn.ack, conn.seq)));
        assert_eq!(raw.stack.stats().challenges, before + u64::from(is_challenged));
        assert!(!raw.saw(&conn, Changes::RESET));
    }
    assert_eq!(raw.stack.stats().dropped(DropReason::Spurious), 6);
    raw.feed(&segment(4000, conn.seq, 0, RST, &[], &[]));
    assert!(raw.turn().is_empty() && raw.saw(&conn, Changes::RESET));
}
