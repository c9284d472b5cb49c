//! Data without a smoltcp timer: the app's kernel has dropped it for lack of room, and does not
//! report that there is room again.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::raw::*;
use std::time::Duration;
use underpass_stack::*;

/// An ACK from the app, with a window in units of 128 bytes.
fn acknowledge(raw: &mut Raw, conn: &Conn, window: u16) -> Vec<Seen> {
    let mut header = etherparse::TcpHeader::new(conn.port, 80, conn.seq, window);
    (header.ack, header.acknowledgment_number) = (true, conn.ack);
    let ends = etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [93, 184, 216, 34], 64);
    let mut packet = Vec::new();
    ends.tcp_header(header).write(&mut packet, &[]).unwrap();
    raw.feed(&packet);
    raw.turn()
}

/// The segments sent within some seconds of silence.
fn silence(raw: &mut Raw) -> Vec<Seen> {
    let mut seen = Vec::new();
    for _ in 0..50 {
        raw.wait(Duration::from_millis(100));
        seen.extend(raw.turn());
    }
    seen
}

/// A connection with 2,000 bytes in flight.
fn sending(finish: bool) -> (Raw, Conn) {
    let mut raw = Raw::new(Offload::None);
    let conn = raw.open(4000, 1000);
    acknowledge(&mut raw, &conn, 20);
    raw.stack.write(conn.flow, &[7; 2000]);
    if finish {
        raw.stack.finish(conn.flow);
    }
    assert_eq!(raw.turn().iter().map(|seen| seen.data.len()).sum::<usize>(), 2000);
    (raw, conn)
}

#[test]
fn a_window_that_closes_over_data_under_way_is_probed() {
    let (mut raw, mut conn) = sending(false);
    acknowledge(&mut raw, &conn, 0);
    let seen = silence(&mut raw);
    assert!(
        seen.iter().any(|seen| seen.seq == conn.ack && !seen.data.is_empty()),
        "no probe: {seen:?}"
    );
    assert!(seen.len() < 10, "too many: {seen:?}");
    // It continues when there is room.
    let mut got = 0;
    for _ in 0..20 {
        let seen = [acknowledge(&mut raw, &conn, 20), silence(&mut raw)].concat();
        let next = seen.iter().find(|seen| seen.seq == conn.ack && !seen.data.is_empty());
        let bytes = next.map_or(0, |seen| seen.data.len());
        conn.ack = conn.ack.wrapping_add(u32::try_from(bytes).unwrap());
        got += bytes;
    }
    assert_eq!((got, raw.stack.unsent(conn.flow)), (2000, 0));
}

#[test]
fn a_window_that_opens_for_less_than_is_under_way_gets_what_it_has_room_for() {
    for (window, finish) in [(1, false), (2, false), (9, false), (1, true), (2, true), (9, true)] {
        let (mut raw, mut conn) = sending(finish);
        conn.ack = conn.ack.wrapping_add(700);
        acknowledge(&mut raw, &conn, 0);
        acknowledge(&mut raw, &conn, window);
        let seen = silence(&mut raw);
        assert!(
            seen.iter().any(|seen| seen.seq == conn.ack && !seen.data.is_empty()),
            "{window} {finish}: {seen:?}"
        );
    }
}

#[test]
fn a_fin_after_a_closed_window_comes_again() {
    let (mut raw, mut conn) = sending(true);
    conn.ack = conn.ack.wrapping_add(700);
    acknowledge(&mut raw, &conn, 0);
    conn.ack = conn.ack.wrapping_add(1300);
    acknowledge(&mut raw, &conn, 20);
    let seen = silence(&mut raw);
    assert!(seen.iter().any(|seen| seen.seq == conn.ack && seen.flags & FIN != 0), "{seen:?}");
    conn.ack = conn.ack.wrapping_add(1);
    acknowledge(&mut raw, &conn, 20);
    assert!(silence(&mut raw).is_empty(), "everything is acknowledged, and over");
}

/// For a silent app the intervals grow (RFC 6298 5.5). Once the app has sent something, they are
/// short again.
#[test]
fn a_fin_without_an_answer_comes_ever_more_rarely() {
    let (mut raw, mut conn) = sending(true);
    conn.ack = conn.ack.wrapping_add(700);
    acknowledge(&mut raw, &conn, 0);
    conn.ack = conn.ack.wrapping_add(1300);
    acknowledge(&mut raw, &conn, 20);
    // The seconds of each retransmission within five minutes.
    let fins = |raw: &mut Raw, mut seen: Vec<Seen>| {
        let (begin, mut at) = (raw.now, Vec::new());
        while raw.now < begin + Duration::from_secs(300) {
            let fins = seen.iter().filter(|seen| seen.flags & FIN != 0).count();
            at.extend((0..fins).map(|_| (raw.now - begin).as_secs()));
            raw.wait(Duration::from_millis(100));
            seen = raw.turn();
        }
        at
    };
    assert_eq!(fins(&mut raw, Vec::new()), [1, 3, 7, 15, 31, 63, 127, 191, 255]);
    let seen = raw.say(&mut conn, ACK, b"x");
    assert_eq!(fins(&mut raw, seen), [0, 2, 6, 14, 30, 62, 126, 190, 254]);
    assert_eq!(raw.stack.stats().revived, 18);
    // A segment from the app before the time is over does not cause a retransmission.
    assert_eq!(raw.say(&mut conn, ACK, b"x").iter().filter(|one| one.flags & FIN != 0).count(), 1);
    raw.wait(Duration::from_millis(900));
    assert!(raw.say(&mut conn, ACK, b"x").iter().all(|one| one.flags & FIN == 0));
    raw.wait(Duration::from_millis(100));
    assert_eq!(raw.turn().iter().filter(|one| one.flags & FIN != 0).count(), 1);
    conn.ack = conn.ack.wrapping_add(1);
    acknowledge(&mut raw, &conn, 20);
    assert!(silence(&mut raw).is_empty(), "everything is acknowledged");
}

#[test]
fn an_app_that_is_up_to_date_is_left_alone() {
    let (mut raw, mut conn) = sending(false);
    conn.ack = conn.ack.wrapping_add(2000);
    acknowledge(&mut raw, &conn, 0);
    let seen = silence(&mut raw);
    assert!(seen.iter().all(|seen| seen.flags == ACK && seen.data.is_empty()), "{seen:?}");
}

/// An app's kernel takes an ACK whose number lies before its received data for an old one, and
/// ignores what it acknowledges (tcp_sequence in net/ipv4/tcp_input.c). Two sides that go back like
/// that never meet again.
#[test]
fn an_ack_between_repetitions_has_the_number_after_all_that_was_sent() {
    for offload in [Offload::None, Offload::Vnet] {
        let mut raw = Raw::new(offload);
        let mut conn = raw.open(4000, 1000);
        raw.stack.write(conn.flow, &[7; 2000]);
        let sent: usize = raw.turn().iter().map(|seen| seen.data.len()).sum();
        assert_eq!(sent, 2000);
        let end = conn.ack.wrapping_add(2000);
        // None of it arrives, and the first segment comes again.
        raw.wait(raw.stack.next_deadline().unwrap() - raw.now);
        let again = raw.turn();
        assert!(
            again.iter().any(|seen| seen.seq == conn.ack && !seen.data.is_empty()),
            "{again:?}"
        );
        let mut seen = raw.say(&mut conn, ACK, b"x");
        assert_eq!(raw.read(&conn), b"x");
        seen.extend(raw.turn());
        let acks: Vec<Seen> = seen.into_iter().filter(|seen| seen.data.is_empty()).collect();
        assert!(
            !acks.is_empty() && acks.iter().all(|seen| seen.seq == end),
            "{offload:?}: {acks:?}, not {end}"
        );
    }
}
