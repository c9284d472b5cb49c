//! Segments that overtake each other: an app by hand against the stack.

mod common;
use common::raw::*;
use underpass_stack::*;

#[test]
fn a_fin_before_its_data_counts_when_they_are_there() {
    for (port, data) in [(4000, &b""[..]), (4001, b"world")] {
        let mut raw = Raw::new(Offload::Vnet);
        let mut conn = raw.open(port, u32::MAX - 3);
        raw.feed(&segment(port, conn.seq.wrapping_add(5), conn.ack, ACK | FIN, &[], data));
        let seen = raw.turn();
        assert_eq!((seen.len(), seen[0].flags, seen[0].ack), (1, ACK, conn.seq), "{data:?}: a duplicate ACK");
        assert!(!raw.saw(&conn, Changes::PEER_FINISHED));
        let seen = raw.say(&mut conn, ACK, b"hello");
        let behind = conn.seq.wrapping_add(u32::try_from(data.len()).unwrap() + 1);
        assert_eq!(seen.last().unwrap().ack, behind, "{data:?}");
        assert!(raw.saw(&conn, Changes::PEER_FINISHED));
        assert_eq!(raw.read(&conn), [b"hello", data].concat());
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
    // Far older than all that was ever sent.
    raw.feed(&segment(4000, conn.seq, conn.ack.wrapping_sub(1 << 30), ACK, &[], b"data"));
    raw.turn();
    assert_eq!(raw.read(&conn), b"");
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
