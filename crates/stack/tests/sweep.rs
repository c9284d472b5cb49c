//! The stack sweeps a table that fills up for connections whose app is gone (tcp/probe.rs), in
//! virtual time.

mod common;
use common::raw::*;
use common::*;
use std::time::Duration;
use underpass_stack::limits::*;
use underpass_stack::*;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A stack for eight connections, each place of which was used before.
fn small() -> Raw {
    let mut config = config(Offload::None, 1500);
    config.capacity.flows = 8;
    let mut raw = Raw::with(config);
    for port in 3000..3008 {
        let conn = raw.open(port, 1000);
        raw.stack.abort(conn.flow);
        raw.turn();
    }
    raw
}

/// The ports that were probed: an ACK with the number before the next one.
fn asked(seen: &[Seen], conns: &[Conn]) -> Vec<u16> {
    let is_probe = |conn: &&Conn| {
        seen.iter()
            .any(|one| (one.port, one.flags, one.seq) == (conn.port, ACK, conn.ack.wrapping_sub(1)))
    };
    conns.iter().filter(is_probe).map(|conn| conn.port).collect()
}

/// The last connect fails.
fn give_up(raw: &mut Raw) {
    let flow = raw.connecting();
    raw.stack.abort(flow);
}

fn speak(raw: &mut Raw, conn: &mut Conn) {
    raw.say(conn, ACK, b"x");
    assert_eq!(raw.read(conn), b"x");
    raw.turn();
}

#[test]
fn silent_apps_are_probed_when_three_quarters_are_taken() {
    let mut raw = small();
    let mut conns: Vec<Conn> = (4000..4005).map(|port| raw.open(port, 1000)).collect();
    raw.wait(SWEEP_SILENT.0);
    assert!(asked(&raw.syn(4005, 1000), &conns).is_empty(), "there is room");
    let flow = raw.connecting();
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    let ack = raw.turn()[0].seq.wrapping_add(1);
    let mut last = Conn { port: 4005, flow, seq: 1001, ack };
    raw.say(&mut last, ACK, &[]);
    raw.wait(MILLISECOND);
    speak(&mut raw, &mut conns[0]);
    raw.wait(MILLISECOND);
    let seen = raw.syn(4006, 1000);
    assert_eq!(
        asked(&seen, &conns),
        [4001, 4002, 4003, 4004],
        "neither the active one nor the new one"
    );
    assert!(asked(&seen, &[last]).is_empty());
    assert!(raw.stack.is_seeking_room(raw.now), "their answers are to come");
    for conn in &mut conns {
        raw.say(conn, ACK, &[]);
    }
    raw.wait(SWEEP_ANSWERS - MILLISECOND);
    assert!(raw.stack.is_seeking_room(raw.now));
    raw.wait(MILLISECOND);
    assert!(!raw.stack.is_seeking_room(raw.now), "those that answer live");
    assert_eq!(raw.stack.stats().flows_timed_out, 0);
}

#[test]
fn a_crowded_table_is_swept_each_half_minute_and_without_probes_does_not_wait() {
    let mut raw = small();
    let mut conns: Vec<Conn> = (4000..4006).map(|port| raw.open(port, 1000)).collect();
    raw.wait(SWEEP_SILENT.0);
    assert_eq!(asked(&raw.syn(4006, 1000), &conns).len(), 6);
    let begin = raw.now;
    assert!(raw.stack.is_seeking_room(begin));
    for conn in &mut conns {
        raw.say(conn, ACK, &[]);
    }
    give_up(&mut raw);
    raw.turn();
    raw.wait(SWEEP_AGAIN.0 - MILLISECOND);
    assert!(asked(&raw.syn(4007, 1000), &conns).is_empty(), "not so soon again");
    assert!(!raw.stack.is_seeking_room(raw.now));
    give_up(&mut raw);
    for conn in &mut conns {
        speak(&mut raw, conn);
    }
    raw.wait(MILLISECOND);
    assert!(asked(&raw.syn(4008, 1000), &conns).is_empty(), "all have just spoken");
    assert!(!raw.stack.is_seeking_room(raw.now), "no answer is to come");
    give_up(&mut raw);
    raw.turn();
    raw.wait(SWEEP_AGAIN.0);
    assert_eq!(asked(&raw.syn(4009, 1000), &conns).len(), 6, "silent again, and the time has come");
}

/// A sweep while there was room sends probes; one that finds no room a moment later need not send
/// them again.
#[test]
fn an_app_that_was_just_asked_is_not_asked_again_within_half_of_the_silence() {
    let half = SWEEP_SILENT.1 / 2;
    for (after, again) in [(half - MILLISECOND, 0), (half, 6)] {
        let mut raw = small();
        let conns: Vec<Conn> = (4000..4006).map(|port| raw.open(port, 1000)).collect();
        raw.wait(SWEEP_SILENT.0);
        assert_eq!(asked(&raw.syn(4006, 1000), &conns).len(), 6);
        raw.syn(4007, 1000);
        raw.wait(after);
        raw.turn();
        let seen = raw.syn(4008, 1000);
        assert_eq!(asked(&seen, &conns).len(), again, "after {after:?}");
        // There may be room in a moment: the newcomer is not refused.
        assert!(raw.stack.is_seeking_room(raw.now));
        assert!(seen.iter().all(|one| one.flags & RST == 0), "{seen:?}");
        assert_eq!(raw.stack.stats().probes, 6 + again as u64);
    }
}

#[test]
fn a_full_table_is_searched_again_soon_if_no_app_could_be_asked_and_later_otherwise() {
    let mut raw = small();
    let mut conns: Vec<Conn> = (4000..4008).map(|port| raw.open(port, 1000)).collect();
    for conn in &mut conns {
        speak(&mut raw, conn);
    }
    // All have just spoken.
    assert!(asked(&raw.syn(4008, 1000), &conns).is_empty());
    assert!(!raw.stack.is_seeking_room(raw.now));
    raw.wait(SWEEP_ANSWERS - MILLISECOND);
    assert!(asked(&raw.syn(4008, 1000), &conns).is_empty());
    raw.wait(MILLISECOND);
    assert_eq!(asked(&raw.syn(4008, 1000), &conns).len(), 8);
    assert!(raw.stack.is_seeking_room(raw.now));
    for conn in &mut conns {
        raw.say(conn, ACK, &[]);
    }
    raw.wait(SWEEP_AGAIN.1 - MILLISECOND);
    assert!(asked(&raw.syn(4008, 1000), &conns).is_empty(), "they live, and one look is enough");
    raw.wait(MILLISECOND);
    assert_eq!(asked(&raw.syn(4008, 1000), &conns).len(), 8);
}
