//! Segments that overtake each other, and resets that overtake data: an app by hand against the
//! stack.

#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]

mod common;
use common::raw::*;
use std::time::Duration;
use underpass_stack::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_fin_before_its_data_counts_when_they_are_there() {
    for (port, data) in [(4000, &b""[..]), (4001, b"world")] {
        let mut raw = Raw::new(Offload::Vnet);
        let mut conn = raw.open(port, u32::MAX - 3);
        raw.feed(&segment(port, conn.seq.wrapping_add(5), conn.ack, ACK | FIN, &[], data));
        let seen = raw.turn();
        assert_eq!(
            (seen.len(), seen[0].flags, seen[0].ack),
            (1, ACK, conn.seq),
            "{data:?}: a duplicate ACK"
        );
        assert!(!raw.saw(&conn, Changes::PEER_FINISHED));
        let seen = raw.say(&mut conn, ACK, b"hello");
        let behind = conn.seq.wrapping_add(u32::try_from(data.len()).unwrap() + 1);
        assert_eq!(seen.last().unwrap().ack, behind, "{data:?}");
        assert!(raw.saw(&conn, Changes::PEER_FINISHED));
        assert_eq!(raw.read(&conn), [b"hello", data].concat());
    }
}

/// RFC 9293 3.10.7.4: the ACK of a segment in the window counts, whatever comes before it. An app's
/// kernel that has received its last ACK is gone, and answers a retransmission with a RST.
#[test]
fn data_that_an_early_fin_acknowledges_is_not_sent_again() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    let before = conn.ack;
    raw.stack.write(conn.flow, b"bye");
    raw.stack.finish(conn.flow);
    raw.turn();
    let all = before.wrapping_add(4);
    raw.feed(&segment(4000, conn.seq.wrapping_add(5), all, ACK | FIN, &[], &[]));
    raw.turn();
    conn.ack = before;
    let seen = raw.say(&mut conn, ACK, b"hello");
    assert_eq!(seen.last().unwrap().ack, conn.seq.wrapping_add(1), "its FIN counts");
    assert_eq!(raw.read(&conn), b"hello");
    for _ in 0..5 {
        raw.wait(SECOND);
        let seen = raw.turn();
        assert!(seen.is_empty(), "{seen:?}");
    }
    assert!(raw.saw(&conn, Changes::CLOSED) && !raw.saw(&conn, Changes::RESET));
}

/// A kernel sends its last data again together with the FIN that it has by then.
#[test]
fn a_fin_with_repeated_data_counts_once() {
    for (from, data) in [(0, &b"hello"[..]), (2, b"llo"), (2, b"llo world"), (5, b" world")] {
        let mut raw = Raw::new(Offload::None);
        let mut conn = raw.open(4000, u32::MAX - 3);
        let begin = conn.seq;
        raw.say(&mut conn, ACK, b"hello");
        let end = begin.wrapping_add(from + u32::try_from(data.len()).unwrap() + 1);
        for again in [false, true] {
            raw.feed(&segment(4000, begin.wrapping_add(from), conn.ack, ACK | FIN, &[], data));
            let seen = raw.turn();
            assert!(seen.iter().all(|seen| seen.flags == ACK), "{again}: {seen:?}");
            assert_eq!(seen.last().map(|seen| seen.ack), Some(end), "{again}: {data:?}");
        }
        let finished = |event: &&Event| match event {
            Event::Flow { changes, .. } => changes.contains(Changes::PEER_FINISHED),
            _ => false,
        };
        assert_eq!(raw.events.iter().filter(finished).count(), 1);
        let all = [b"hello", &data[5 - from as usize..]].concat();
        assert_eq!(raw.read(&conn), all);
    }
}

#[test]
fn a_fin_beyond_the_window_is_not_remembered() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    raw.feed(&segment(4000, conn.seq.wrapping_add(1 << 21), conn.ack, ACK | FIN, &[], &[]));
    raw.turn();
    for part in vec![5; 1 << 22].chunks(1 << 15) {
        raw.say(&mut conn, ACK, part);
        raw.read(&conn);
    }
    assert!(!raw.saw(&conn, Changes::PEER_FINISHED));
}

#[test]
fn data_and_fin_with_an_older_ack_are_taken() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    let before = conn.ack;
    raw.stack.write(conn.flow, b"hello");
    raw.turn();
    conn.ack = conn.ack.wrapping_add(5);
    raw.say(&mut conn, ACK, &[]);
    // They were sent before the ACK.
    raw.feed(&segment(4000, conn.seq, before, ACK, &[], b"data"));
    assert_eq!(raw.turn().last().map(|seen| seen.ack), Some(conn.seq.wrapping_add(4)));
    assert_eq!(raw.read(&conn), b"data");
    raw.stack.finish(conn.flow);
    raw.turn();
    conn = Conn { seq: conn.seq.wrapping_add(4), ack: conn.ack.wrapping_add(1), ..conn };
    raw.say(&mut conn, ACK, &[]);
    raw.feed(&segment(4000, conn.seq, before, ACK | FIN, &[], &[]));
    assert_eq!(raw.turn().last().map(|seen| seen.ack), Some(conn.seq.wrapping_add(1)));
    assert!(raw.saw(&conn, Changes::CLOSED));
}

#[test]
fn an_ack_of_what_was_never_sent_spoils_no_later_one() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    raw.feed(&segment(4000, conn.seq, conn.ack.wrapping_add(9999), ACK, &[], &[]));
    raw.turn();
    raw.say(&mut conn, ACK, b"data");
    assert_eq!(raw.read(&conn), b"data");
    // Far older than everything sent.
    raw.feed(&segment(4000, conn.seq, conn.ack.wrapping_sub(1 << 30), ACK, &[], b"data"));
    raw.turn();
    assert_eq!(raw.read(&conn), b"");
}

#[test]
fn the_data_of_a_server_before_its_reset_goes_first() {
    let mut raw = Raw::new(Offload::Vnet);
    let conn = raw.open(4000, 1000);
    raw.stack.write(conn.flow, b"refused");
    raw.stack.reset(conn.flow);
    let seen = raw.turn();
    assert_eq!(
        (seen.len(), seen[0].data.as_slice(), seen[0].seq),
        (2, &b"refused"[..], conn.ack),
        "{seen:?}"
    );
    assert_eq!((seen[1].flags & RST, seen[1].seq), (RST, conn.ack.wrapping_add(7)));
    assert_eq!(raw.stack.stats().flows, 0);
    assert!(raw.events.is_empty(), "{:?}", raw.events);
    // Before the app has answered the SYN-ACK.
    let mut conn = raw.half(4001, 1000);
    raw.stack.write(conn.flow, b"refused");
    raw.stack.reset(conn.flow);
    assert!(raw.turn().is_empty());
    let seen = raw.say(&mut conn, ACK, &[]);
    assert_eq!(
        (seen.len(), seen[0].data.as_slice(), seen[1].flags & RST),
        (2, &b"refused"[..], RST),
        "{seen:?}"
    );
    // Without a byte, the reset goes out at once.
    let conn = raw.open(4002, 1000);
    raw.stack.reset(conn.flow);
    assert_eq!(raw.turn().len(), 1);
    assert_eq!(raw.stack.stats().flows, 0);
}

#[test]
fn a_long_answer_before_a_reset_goes_as_fast_as_the_app_takes_it() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    let answer = vec![7; 50_000];
    raw.stack.write(conn.flow, &answer);
    raw.stack.reset(conn.flow);
    let mut got = 0;
    for _ in 0..100 {
        let seen = raw.turn();
        for segment in &seen {
            got += segment.data.len();
            conn.ack = segment.seq.wrapping_add(u32::try_from(segment.data.len()).unwrap());
        }
        if seen.iter().any(|segment| segment.flags & RST != 0) {
            break;
        }
        raw.wait(Duration::from_millis(1));
        raw.feed(&segment(4000, conn.seq, conn.ack, ACK, &[], &[]));
    }
    assert_eq!((got, raw.stack.stats().flows), (50_000, 0));
    assert!(raw.events.is_empty(), "{:?}", raw.events);
}

#[test]
fn a_reset_waits_neither_for_a_closed_window_nor_for_a_silent_app() {
    // A window of one unit, 128 bytes.
    let mut raw = Raw::new(Offload::Vnet);
    let conn = raw.open(4000, 1000);
    let mut small = segment(4000, conn.seq, conn.ack, ACK, &[], &[]);
    small[34..36].copy_from_slice(&1u16.to_be_bytes());
    small[36..38].copy_from_slice(&[0, 0]);
    let sum = checksum(&small);
    small[36..38].copy_from_slice(&sum.to_be_bytes());
    raw.feed(&small);
    raw.stack.write(conn.flow, &[7; 1000]);
    raw.stack.reset(conn.flow);
    let seen = raw.turn();
    assert_eq!((seen.len(), seen[0].data.len(), seen[1].flags & RST), (2, 128, RST), "{seen:?}");

    // More than the congestion window, and no answer.
    let conn = raw.open(4001, 1000);
    raw.stack.write(conn.flow, &[7; 50_000]);
    raw.stack.reset(conn.flow);
    assert!(raw.turn().iter().all(|seen| seen.flags & RST == 0));
    raw.wait(2 * SECOND);
    assert!(raw.turn().iter().any(|seen| seen.flags & RST != 0));
    assert_eq!(raw.stack.stats().flows, 0);

    // The app resets it first.
    let mut conn = raw.open(4002, 1000);
    raw.stack.write(conn.flow, &[7; 50_000]);
    raw.stack.reset(conn.flow);
    raw.turn();
    assert!(raw.say(&mut conn, RST, &[]).is_empty());
    assert_eq!(raw.stack.stats().flows, 0);
    assert!(raw.events.is_empty(), "{:?}", raw.events);
}

#[test]
fn a_signed_segment_is_dropped() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut signature = vec![19, 18];
    signature.resize(20, 1);
    raw.feed(&segment(4000, 1000, 0, SYN, &signature, &[]));
    assert!(raw.turn().is_empty() && raw.events.is_empty());
    let conn = raw.open(4000, 1000);
    raw.feed(&segment(4000, conn.seq, conn.ack, ACK, &signature, b"data"));
    assert!(raw.turn().is_empty());
    assert_eq!((raw.read(&conn), raw.stack.stats().dropped(DropReason::Signed)), (Vec::new(), 2));
}

/// The checksum of an IPv4 packet's TCP segment (RFC 9293 3.1).
fn checksum(packet: &[u8]) -> u16 {
    let length = u32::try_from(packet.len() - 20).unwrap();
    let pseudo = [&packet[12..20], &[0, 6], &length.to_be_bytes()[2..], &packet[20..]].concat();
    let mut sum: u32 = pseudo
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Three equal ACKs mean lost data (RFC 5681 3.2). smoltcp has none to send again, but stops its
/// timer anyway, and the stack sends the FIN.
#[test]
fn a_fin_that_is_lost_comes_again_after_equal_acks() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    raw.stack.write(conn.flow, b"hello");
    raw.stack.finish(conn.flow);
    assert!(raw.turn().iter().any(|seen| seen.flags & FIN != 0));
    // The FIN is lost. Then a kernel answers data that comes twice.
    conn.ack = conn.ack.wrapping_add(5);
    for _ in 0..5 {
        raw.say(&mut conn, ACK, &[]);
    }
    let mut again = Vec::new();
    for _ in 0..10 {
        raw.wait(Duration::from_millis(500));
        again.extend(raw.turn());
    }
    let fin = again.iter().find(|seen| seen.flags & FIN != 0);
    assert_eq!(fin.map(|seen| seen.seq), Some(conn.ack), "{again:?}");
    // For a silent app the intervals grow (RFC 6298 5.5).
    let mut fins = Vec::new();
    for _ in 0..600 {
        raw.wait(Duration::from_millis(100));
        fins.extend(raw.turn().into_iter().filter(|seen| seen.flags & FIN != 0));
    }
    assert!((1..10).contains(&fins.len()), "{} FINs in a minute", fins.len());
}

/// The server has accepted: without the SYN-ACK the app would take it for a refusal.
#[test]
fn a_reset_right_after_the_connect_follows_the_handshake() {
    let mut raw = Raw::new(Offload::None);
    raw.syn(4000, 1000);
    let flow = raw.connecting();
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    raw.stack.reset(flow);
    let seen = raw.turn();
    assert_eq!(seen.iter().map(|seen| seen.flags).collect::<Vec<_>>(), [SYN | ACK], "{seen:?}");
    let mut conn = Conn { port: 4000, flow, seq: 1001, ack: seen[0].seq.wrapping_add(1) };
    let seen = raw.say(&mut conn, ACK, &[]);
    assert!(matches!(&seen[..], [seen] if seen.flags & RST != 0), "{seen:?}");
    assert_eq!(raw.stack.stats().flows, 0);

    // The stack does not wait for an app that never answers.
    raw.syn(4001, 1000);
    let flow = raw.connecting();
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    raw.stack.reset(flow);
    raw.turn();
    raw.wait(limits::DRAIN);
    assert!(raw.turn().iter().any(|seen| seen.flags & RST != 0));
    assert_eq!(raw.stack.stats().flows, 0);
}

/// While it waits for the ACK of its FIN, smoltcp takes no window from an ACK of nothing new, even
/// if data still precedes the FIN. Each time that the app had room again, a second passed.
#[test]
fn a_window_that_opens_after_both_have_finished_is_used_at_once() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    let say = |raw: &mut Raw, conn: &Conn, fin: bool, window: u16| {
        let mut header = etherparse::TcpHeader::new(conn.port, 80, conn.seq, window);
        (header.ack, header.acknowledgment_number, header.fin) = (true, conn.ack, fin);
        let ends = etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [93, 184, 216, 34], 64);
        let mut packet = Vec::new();
        ends.tcp_header(header).write(&mut packet, &[]).unwrap();
        raw.feed(&packet);
        raw.turn()
    };
    // In units of 128 bytes, by the SYN's scale.
    let window = 5;
    say(&mut raw, &conn, true, window);
    conn.seq = conn.seq.wrapping_add(1);
    raw.stack.write(conn.flow, &[7; 1500]);
    raw.stack.finish(conn.flow);
    let mut seen = raw.turn();
    let mut pieces = Vec::new();
    loop {
        let data: usize = seen.iter().map(|seen| seen.data.len()).sum();
        pieces.push(data);
        if seen.iter().any(|seen| seen.flags & FIN != 0) {
            break;
        }
        assert!(data > 0, "the app has room, and gets nothing: {pieces:?}");
        conn.ack = conn.ack.wrapping_add(u32::try_from(data).unwrap());
        say(&mut raw, &conn, false, 0);
        raw.wait(Duration::from_millis(10));
        seen = say(&mut raw, &conn, false, window);
    }
    assert_eq!(pieces, [640, 640, 220]);
    conn.ack = conn.ack.wrapping_add(221);
    say(&mut raw, &conn, false, window);
    assert_eq!(raw.stack.stats().flows, 0);
}

/// An ACK that others have overtaken says nothing new. Three that repeat the latest one would cause
/// a retransmission (RFC 5681 3.2).
#[test]
fn old_acks_are_not_a_sign_of_loss() {
    for offload in [Offload::None, Offload::Vnet] {
        let mut raw = Raw::new(offload);
        let mut conn = raw.open(4000, 1000);
        let before = conn.ack;
        raw.stack.write(conn.flow, &[7; 2000]);
        raw.turn();
        conn.ack = conn.ack.wrapping_add(700);
        raw.say(&mut conn, ACK, &[]);
        for old in 0..6 {
            raw.feed(&segment(4000, conn.seq, before.wrapping_add(old), ACK, &[], &[]));
            let seen = raw.turn();
            assert!(seen.iter().all(|seen| seen.data.is_empty()), "{offload:?}: {seen:?}");
        }
        assert_eq!(raw.stack.unsent(conn.flow), 1300);
        // ACKs that repeat the latest one are such a sign.
        let mut again = Vec::new();
        for _ in 0..4 {
            again.extend(raw.say(&mut conn, ACK, &[]));
        }
        assert!(again.iter().any(|seen| seen.seq == conn.ack && !seen.data.is_empty()));
    }
}

/// A server has finished and its FIN is in flight: the app's next segment counts.
#[test]
fn an_app_may_finish_or_reset_while_a_fin_to_it_is_under_way() {
    for acknowledged in [0, 5] {
        let finished = || {
            let mut raw = Raw::new(Offload::None);
            let mut conn = raw.open(4000, 1000);
            raw.stack.write(conn.flow, b"hello");
            raw.stack.finish(conn.flow);
            raw.turn();
            conn.ack = conn.ack.wrapping_add(acknowledged);
            raw.say(&mut conn, ACK, &[]);
            (raw, conn)
        };
        let (mut raw, mut conn) = finished();
        raw.say(&mut conn, RST | ACK, &[]);
        assert!(raw.saw(&conn, Changes::RESET), "{acknowledged}: {:?}", raw.events);
        assert_eq!(raw.stack.stats().flows, 0);
        let (mut raw, mut conn) = finished();
        raw.say(&mut conn, ACK | FIN, &[]);
        assert!(raw.saw(&conn, Changes::PEER_FINISHED), "{acknowledged}: {:?}", raw.events);
        conn.ack = conn.ack.wrapping_add(6 - acknowledged);
        raw.say(&mut conn, ACK, &[]);
        assert!(raw.saw(&conn, Changes::CLOSED), "{acknowledged}: {:?}", raw.events);
        let (mut raw, mut conn) = finished();
        raw.say(&mut conn, ACK, b"data");
        assert_eq!(raw.read(&conn), b"data");
    }
}
