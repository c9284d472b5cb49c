//! Connections whose app is gone or stays silent for long: a kernel forgets them, and so does the
//! stack. An app by hand against the stack, in virtual time.

mod common;
use common::raw::*;
use common::*;
use std::time::Duration;
use underpass_stack::limits::*;
use underpass_stack::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A kernel's answer to a segment of a connection that it does not have (RFC 9293 3.10.7.1).
fn unknown(seen: &Seen) -> Vec<u8> {
    assert_eq!(seen.flags & (ACK | RST), ACK, "{seen:?}");
    segment(seen.port, seen.ack, 0, RST, &[], &[])
}

/// Whether it is a challenge ACK (RFC 5961 4.2) with the numbers of a connection.
fn is_challenge(seen: &[Seen], conn: &Conn) -> bool {
    matches!(seen, [one] if (one.flags, one.seq, one.ack) == (ACK, conn.ack, conn.seq))
}

/// An open connection whose app has sent a byte and FIN. The byte is read.
fn half_closed(raw: &mut Raw, port: u16) -> Conn {
    let mut conn = raw.open(port, 1000);
    raw.say(&mut conn, ACK | FIN, b"x");
    assert_eq!(raw.read(&conn), b"x");
    assert!(raw.turn().iter().all(|seen| seen.flags == ACK));
    conn
}

/// The stack's next segments, at its own next deadline, and the time until then.
fn next(raw: &mut Raw) -> (Duration, Vec<Seen>) {
    let from = raw.now;
    loop {
        let at = raw.stack.next_deadline().expect("no deadline is set");
        raw.wait(at - raw.now);
        let seen = raw.turn();
        if !seen.is_empty() {
            return (raw.now - from, seen);
        }
    }
}

/// Whether it is a probe of a connection: an ACK without data, with the number before the next (RFC
/// 9293 3.8.4).
fn is_probe(seen: &[Seen], conn: &Conn) -> bool {
    let wanted = (ACK, conn.ack.wrapping_sub(1), conn.seq);
    matches!(seen, [one] if (one.flags, one.seq, one.ack) == wanted && one.data.is_empty())
}

#[test]
fn a_syn_on_a_stale_connection_is_challenged_and_the_reset_that_follows_makes_room() {
    for offload in [Offload::None, Offload::Vnet] {
        let mut raw = Raw::new(offload);
        let old = [half_closed(&mut raw, 4000), raw.open(4001, 1000)];
        for (old, changes) in old.into_iter().zip([Changes::FORGOTTEN, Changes::RESET]) {
            // Outside the window, in it, and exactly the expected number (RFC 5961 4.2).
            for seq in [0x8000_0000, old.seq.wrapping_add(100), old.seq] {
                raw.feed(&segment(old.port, seq, 0, SYN, &SYN_OPTIONS, &[]));
                let seen = raw.turn();
                assert!(is_challenge(&seen, &old), "{seq}: {seen:?}");
                assert!(!raw.saw(&old, Changes::RESET), "a SYN alone proves nothing");
                raw.wait(CHALLENGE_EVERY);
                raw.turn();
            }
            raw.feed(&segment(old.port, 0x8000_0000, 0, SYN, &SYN_OPTIONS, &[]));
            let seen = raw.turn();
            // The app's kernel has no such connection and asks again at once: in one batch.
            raw.feed(&unknown(&seen[0]));
            assert!(raw.syn(old.port, 0x8000_0000).is_empty());
            assert!(raw.saw(&old, changes), "{changes:?}: {:?}", raw.events);
            let new = raw.connecting();
            assert_ne!(new, old.flow);
            raw.stack.accept(raw.now, new, &mut raw.sink);
            let seen = raw.turn();
            assert_eq!((seen[0].flags, seen[0].ack), (SYN | ACK, 0x8000_0001));
        }
        assert_eq!(raw.stack.stats().flows, 2);
        assert_eq!(raw.stack.stats().challenges, 8);
    }
}

#[test]
fn a_syn_with_an_ack_is_challenged_too_and_a_live_app_continues() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    raw.feed(&segment(4000, conn.seq, conn.ack, SYN | ACK, &[], &[]));
    let seen = raw.turn();
    assert!(is_challenge(&seen, &conn), "{seen:?}");
    // Its kernel repeats an ACK.
    assert!(raw.say(&mut conn, ACK, &[]).is_empty());
    raw.say(&mut conn, ACK, b"on");
    assert_eq!(raw.read(&conn), b"on");
}

#[test]
fn challenges_of_a_connection_are_rare_and_others_have_their_own() {
    let mut raw = Raw::new(Offload::None);
    let conns = [raw.open(4000, 1000), raw.open(4001, 1000)];
    let mut challenges = 0;
    for _ in 0..100 {
        for conn in &conns {
            raw.feed(&segment(conn.port, 7, 0, SYN, &SYN_OPTIONS, &[]));
        }
        challenges += raw.turn().len();
        raw.wait(Duration::from_millis(20));
    }
    // RFC 5961 7; Linux's tcp_invalid_ratelimit is half a second: 4 in 2 s, of each kind.
    assert_eq!(challenges, 8);
}

#[test]
fn only_a_reset_with_the_expected_number_resets() {
    let mut raw = Raw::new(Offload::None);
    let conn = raw.open(4000, 1000);
    // RFC 5961 3.2: dropped outside the window, challenged in it.
    for outside in [conn.seq.wrapping_sub(1), conn.seq.wrapping_add(2_000_000)] {
        raw.feed(&segment(4000, outside, 0, RST, &[], &[]));
        let seen = raw.turn();
        assert!(seen.is_empty(), "{outside}: {seen:?}");
    }
    raw.feed(&segment(4000, conn.seq.wrapping_add(1), 0, RST, &[], &[]));
    let seen = raw.turn();
    assert!(is_challenge(&seen, &conn), "{seen:?}");
    assert!(!raw.saw(&conn, Changes::RESET));
    // An app whose own RST had another number answers with the right one.
    raw.feed(&unknown(&seen[0]));
    raw.turn();
    assert!(raw.saw(&conn, Changes::RESET));
    assert_eq!(raw.stack.stats().flows, 0);
}

#[test]
fn another_syn_before_the_handshake_is_over_is_challenged() {
    let mut raw = Raw::new(Offload::None);
    let half = raw.half(4000, 1000);
    // The same again: the SYN-ACK has its own timer.
    assert!(raw.syn(4000, 1000).is_empty());
    let seen = raw.syn(4000, 9000);
    assert!(is_challenge(&seen, &half), "{seen:?}");
    raw.feed(&unknown(&seen[0]));
    assert!(raw.syn(4000, 9000).is_empty());
    assert!(raw.saw(&half, Changes::RESET));
    assert_ne!(raw.connecting(), half.flow);
}

#[test]
fn a_half_closed_app_that_answers_lives_for_days() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = half_closed(&mut raw, 4000);
    let end = raw.now + 72 * HOUR;
    while raw.now < end {
        let (after, seen) = next(&mut raw);
        assert!(is_probe(&seen, &conn), "{seen:?}");
        assert!(after >= HALF_CLOSED_PROBE && after <= HALF_CLOSED_PROBE + 2 * SECOND, "{after:?}");
        assert!(raw.say(&mut conn, ACK, &[]).is_empty());
    }
    assert_eq!(raw.stack.write(conn.flow, b"late"), 4);
    let seen = raw.turn();
    assert_eq!(seen[0].data, b"late");
    assert!(!raw.saw(&conn, Changes::RESET) && !raw.saw(&conn, Changes::FORGOTTEN));
}

#[test]
fn a_half_closed_app_that_its_kernel_forgot_is_gone_in_two_minutes_and_what_it_sent_is_not() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    raw.say(&mut conn, ACK | FIN, b"to be read late");
    let closed = raw.now;
    // Linux forgets it after tcp_fin_timeout, and answers until then.
    loop {
        let (_, seen) = next(&mut raw);
        assert!(is_probe(&seen, &conn), "{seen:?}");
        if raw.now < closed + 60 * SECOND {
            raw.say(&mut conn, ACK, &[]);
        } else {
            raw.feed(&unknown(&seen[0]));
            break;
        }
    }
    assert!(raw.turn().is_empty());
    assert!(raw.now < closed + 120 * SECOND, "{:?}", raw.now - closed);
    assert!(
        raw.saw(&conn, Changes::FORGOTTEN) && !raw.saw(&conn, Changes::RESET),
        "{:?}",
        raw.events
    );
    assert!(!raw.saw(&conn, Changes::CLOSED), "it has bytes to be read");
    assert_eq!(raw.stack.room(conn.flow), 0);
    assert_eq!(raw.read(&conn), b"to be read late");
    assert!(raw.stack.read_finished(conn.flow));
    raw.turn();
    assert!(raw.saw(&conn, Changes::CLOSED));
    assert_eq!((raw.stack.stats().flows, raw.stack.stats().flows_forgotten), (0, 1));
}

#[test]
fn a_reset_that_the_app_means_is_a_reset_although_it_had_finished() {
    let mut raw = Raw::new(Offload::None);
    let conn = half_closed(&mut raw, 4000);
    // An app that closes with bytes unread: its kernel sends RST and ACK.
    raw.feed(&segment(4000, conn.seq, conn.ack, RST | ACK, &[], &[]));
    raw.turn();
    assert!(raw.saw(&conn, Changes::RESET) && !raw.saw(&conn, Changes::FORGOTTEN));
    // Bytes for an app that closed completely: its kernel answers them with RST, and the server
    // receives it.
    let conn = half_closed(&mut raw, 4001);
    raw.stack.write(conn.flow, b"nobody reads this");
    let seen = raw.turn();
    raw.feed(&unknown(&seen[0]));
    raw.turn();
    assert!(raw.saw(&conn, Changes::RESET) && !raw.saw(&conn, Changes::FORGOTTEN));
}

#[test]
fn silence_is_borne_long_and_only_while_the_stack_runs() {
    for half in [true, false] {
        let mut raw = Raw::new(Offload::None);
        let conn = if half { half_closed(&mut raw, 4000) } else { raw.open(4000, 1000) };
        let every = if half { HALF_CLOSED_PROBE } else { IDLE_PROBE };
        let start = raw.now;
        // Suspended again and again, each time while a probe may be unanswered: none of that
        // counts.
        for _ in 0..100 {
            raw.wait(48 * HOUR);
            let seen = raw.turn();
            assert!(is_probe(&seen, &conn), "{seen:?}");
        }
        assert!(!raw.saw(&conn, Changes::RESET) && !raw.saw(&conn, Changes::FORGOTTEN));
        assert!(raw.now > start + 4000 * HOUR);
        let awake = raw.now;
        let mut probes = 0;
        let seen = loop {
            let (_, seen) = next(&mut raw);
            if seen[0].flags & RST != 0 {
                break seen;
            }
            assert!(is_probe(&seen, &conn), "{seen:?}");
            probes += 1;
        };
        assert_eq!((seen.len(), probes), (1, PROBES_UNANSWERED - 1));
        let silent = raw.now - awake;
        assert!(
            silent >= every * PROBES_UNANSWERED && silent < every * (PROBES_UNANSWERED + 1),
            "{silent:?}"
        );
        let end = if half { Changes::FORGOTTEN } else { Changes::RESET };
        assert!(raw.saw(&conn, end), "{:?}", raw.events);
        assert_eq!((raw.stack.stats().flows, raw.stack.stats().flows_timed_out), (0, 1));
    }
}

#[test]
fn an_ack_that_is_owed_is_waited_for_only_while_the_stack_runs() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    raw.stack.write(conn.flow, b"hello");
    assert_eq!(raw.turn()[0].data, b"hello");
    for _ in 0..3 {
        raw.wait(48 * HOUR);
        assert_eq!(raw.turn()[0].data, b"hello", "it is sent again");
    }
    conn.ack = conn.ack.wrapping_add(5);
    raw.say(&mut conn, ACK, &[]);
    assert_eq!(raw.stack.unsent(conn.flow), 0);
    assert!(!raw.saw(&conn, Changes::RESET));
}

#[test]
fn a_server_that_closed_first_leaves_an_app_that_stays_alone() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    raw.stack.finish(conn.flow);
    assert_eq!(raw.turn()[0].flags, FIN | ACK);
    conn.ack = conn.ack.wrapping_add(1);
    raw.say(&mut conn, ACK, &[]);
    // The app's own kernel keeps it in CLOSE-WAIT as long as it likes.
    for _ in 0..100 {
        let (after, seen) = next(&mut raw);
        assert!(is_probe(&seen, &conn) && after >= IDLE_PROBE, "{after:?} {seen:?}");
        raw.say(&mut conn, ACK, &[]);
    }
    raw.say(&mut conn, ACK, b"still here");
    assert_eq!(raw.read(&conn), b"still here");
}

#[test]
fn an_apps_own_keepalive_is_answered_and_counts_as_a_sign_of_life() {
    let mut raw = Raw::new(Offload::None);
    let conn = raw.open(4000, 1000);
    let end = raw.now + IDLE_PROBE * 10;
    while raw.now < end {
        raw.wait(60 * SECOND);
        raw.feed(&segment(4000, conn.seq.wrapping_sub(1), conn.ack, ACK, &[], &[]));
        let seen = raw.turn();
        assert!(is_challenge(&seen, &conn), "an answer, without a probe: {seen:?}");
    }
}

#[test]
fn ten_thousand_idle_connections_wake_the_stack_rarely() {
    let mut config = config(Offload::None, 1500);
    config.capacity.half_open = 16_000;
    let mut raw = Raw::with(config);
    for port in 0..10_000 {
        raw.open(20_000 + port, 1000);
        // Spread over the time until the first probe, so that each has its own time.
        raw.now += IDLE_PROBE / 10_000;
    }
    let start = raw.now;
    let (mut wakes, mut probes) = (0, 0);
    while raw.now < start + HOUR {
        let at = raw.stack.next_deadline().expect("no connection is probed");
        raw.wait(at - raw.now);
        wakes += 1;
        for seen in raw.turn() {
            probes += 1;
            // Answers like a kernel: from the middle of its connection.
            raw.feed(&segment(seen.port, seen.ack, seen.seq.wrapping_add(1), ACK, &[], &[]));
        }
        assert!(raw.turn().is_empty());
        raw.events.clear();
    }
    assert_eq!(raw.stack.stats().flows, 10_000);
    // Four of each in an hour, gathered: the stack wakes a few times a minute.
    assert!((30_000..=40_000).contains(&probes), "{probes} probes");
    assert!(wakes < 600, "{wakes} times in an hour");
}

/// A stack with room for this many connections, and the connections.
fn crowd(count: u16) -> (Raw, Vec<Conn>) {
    let mut config = config(Offload::None, 1500);
    config.capacity.flows = count.into();
    let mut raw = Raw::with(config);
    let conns = (0..count).map(|n| raw.open(20_000 + n, 1000)).collect();
    (raw, conns)
}

/// Tries a connect until it is accepted or refused, as a kernel does. Returns the number of SYNs.
fn insist(raw: &mut Raw, port: u16, mut kernel: impl FnMut(&mut Raw, &Seen)) -> (bool, u32) {
    raw.events.clear();
    for tries in 1..=6 {
        for seen in raw.syn(port, 5000) {
            if seen.port == port && seen.flags & RST != 0 {
                return (false, tries);
            }
            kernel(raw, &seen);
        }
        // The stack's shell gives it a turn after each batch.
        raw.turn();
        if raw.events.iter().any(|e| matches!(e, Event::Connect { .. })) {
            return (true, tries);
        }
        let again = raw.now + SECOND * (1 << (tries - 1));
        while let Some(at) = raw.stack.next_deadline().filter(|at| *at < again) {
            raw.wait(at - raw.now);
            for seen in raw.turn() {
                kernel(raw, &seen);
            }
        }
        raw.now = again;
    }
    (false, 7)
}

#[test]
fn a_table_full_of_forgotten_connections_refuses_no_newcomer() {
    // One table that a single step sweeps, and one that needs several.
    for count in [100, 2000] {
        let (mut raw, _) = crowd(count);
        raw.wait(20 * SECOND);
        let (taken, tries) = insist(&mut raw, 4000, |raw, seen| raw.feed(&unknown(seen)));
        assert!(taken && tries <= 2, "{taken} after {tries}");
        assert!(raw.stack.stats().flows < usize::from(count) / 2, "{}", raw.stack.stats().flows);
        assert_eq!(raw.stack.stats().dropped(DropReason::FlowsFull), u64::from(tries - 1));
        assert_eq!(raw.stack.refused(), 0);
    }
}

#[test]
fn a_table_full_of_live_connections_refuses_newcomers_and_harms_none() {
    let (mut raw, conns) = crowd(2000);
    raw.wait(20 * SECOND);
    let alive = |raw: &mut Raw, seen: &Seen| {
        if seen.flags == ACK {
            raw.feed(&segment(seen.port, seen.ack, seen.seq.wrapping_add(1), ACK, &[], &[]));
        }
    };
    let (taken, tries) = insist(&mut raw, 4000, alive);
    assert!(!taken && tries <= 3, "{tries}");
    // The next sweep comes only after a while, so the next connection gets its answer at once.
    assert_eq!(insist(&mut raw, 4001, alive), (false, 1));
    assert_eq!(raw.stack.stats().flows, 2000);
    assert!(conns.iter().all(|conn| !raw.saw(conn, Changes::RESET)));
}

#[test]
fn in_a_crowd_connections_that_never_answer_give_way() {
    let (mut raw, _) = crowd(2000);
    raw.wait(20 * SECOND);
    let taken = (4000..4100).position(|port| {
        raw.wait(10 * SECOND);
        raw.turn();
        insist(&mut raw, port, |_, _| {}).0
    });
    assert!(taken.is_some_and(|refused| refused < 20), "{taken:?} refused");
}

#[test]
fn a_sweep_with_room_left_does_not_replace_one_of_a_full_table() {
    const COUNT: u16 = 2000;
    const CROWDED: u16 = 1500;
    let mut config = config(Offload::None, 1500);
    config.capacity.flows = COUNT.into();
    let mut raw = Raw::with(config);
    for n in 0..CROWDED {
        raw.open(20_000 + n, 1000);
    }
    // The next one makes the stack probe the silent apps, and all of them live.
    raw.wait(SWEEP_SILENT.0);
    let mut seen = raw.syn(20_000 + CROWDED, 1000);
    let end = raw.now + SECOND * 2;
    loop {
        for seen in seen.iter().filter(|seen| seen.flags == ACK) {
            raw.feed(&segment(seen.port, seen.ack, seen.seq.wrapping_add(1), ACK, &[], &[]));
        }
        seen = raw.turn();
        if seen.is_empty() {
            let Some(at) = raw.stack.next_deadline().filter(|at| *at < end) else { break };
            raw.wait(at - raw.now);
            seen = raw.turn();
        }
    }
    for n in CROWDED + 1..COUNT {
        raw.open(20_000 + n, 1000);
    }
    assert!(raw.stack.stats().probes >= u64::from(COUNT) / 2, "{:?}", raw.stack.stats());
    // Then their kernel forgets all of them.
    raw.wait(SWEEP_ANSWERS + SWEEP_SILENT.1);
    let (taken, tries) = insist(&mut raw, 4000, |raw, seen| raw.feed(&unknown(seen)));
    assert!(taken && tries <= 2, "{taken} after {tries}");
}
