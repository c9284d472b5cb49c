//! TCP where every segment matters: an app by hand against the stack.

mod common;
use common::raw::*;
use common::*;
use std::time::Duration;
use underpass_stack::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_reset_in_syn_received_ends_it_and_the_next_syn_is_a_new_connection() {
    let mut raw = Raw::new(Offload::Vnet);
    let conn = raw.half(4000, 1000);
    // Both in one batch, before the stack's turn.
    raw.feed(&segment(4000, conn.seq, 0, RST, &[], &[]));
    raw.feed(&segment(4000, 9000, 0, SYN, &SYN_OPTIONS, &[]));
    assert!(raw.turn().is_empty());
    assert!(raw.saw(&conn, Changes::RESET));
    let again = raw.connecting();
    assert_ne!(again, conn.flow);
    raw.stack.accept(raw.now, again, &mut raw.sink);
    let seen = raw.turn();
    assert_eq!((seen[0].flags, seen[0].ack), (SYN | ACK, 9001));
    assert_eq!(raw.stack.stats().flows, 1);
}

#[test]
fn a_pending_connection_can_be_given_up() {
    let mut raw = Raw::new(Offload::None);
    raw.syn(4000, 1000);
    let flow = raw.connecting();
    raw.feed(&segment(4000, 500, 0, RST, &[], &[]));
    raw.turn();
    assert!(raw.events.is_empty(), "a RST out of place has no effect");
    raw.feed(&segment(4000, 1001, 0, RST, &[], &[]));
    raw.turn();
    assert_eq!(raw.events, [Event::ConnectAbandoned { flow }]);
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    assert!(raw.turn().is_empty());
}

#[test]
fn an_app_that_starts_again_is_connected_by_its_last_syn() {
    let mut raw = Raw::new(Offload::None);
    assert!(raw.syn(4000, 1000).is_empty());
    let flow = raw.connecting();
    for seq in [1000, 5000, 5000] {
        assert!(raw.syn(4000, seq).is_empty() && raw.events.is_empty(), "one connect for all");
    }
    assert_eq!(raw.stack.stats().syn_retries, 3);
    raw.feed(&segment(4000, 1001, 0, RST, &[], &[]));
    assert!(raw.turn().is_empty() && raw.events.is_empty(), "a RST for the SYN before it");
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    let seen = raw.turn();
    assert_eq!((seen.len(), seen[0].flags, seen[0].ack), (1, SYN | ACK, 5001));
}

#[test]
fn an_option_of_a_wrong_length_is_ignored() {
    // An MSS of three bytes; options that end beyond the header, with a length of 0 and 1, or
    // without one.
    let wrong: [&[u8]; 5] =
        [&[2, 3, 5, 1], &[253, 200, 1, 2], &[253, 0, 1, 2], &[253, 1, 1, 2], &[1, 1, 1, 253]];
    for (port, options) in (4000..).zip(wrong) {
        let mut raw = Raw::new(Offload::None);
        raw.feed(&segment(port, 1000, 0, SYN, options, &[]));
        raw.turn();
        let flow = raw.connecting();
        raw.stack.accept(raw.now, flow, &mut raw.sink);
        let seen = raw.turn();
        assert_eq!((seen.len(), seen[0].flags, seen[0].ack), (1, SYN | ACK, 1001), "{options:?}");
        let ack = seen[0].seq.wrapping_add(1);
        raw.feed(&segment(port, 1001, ack, ACK, options, b"data"));
        raw.turn();
        assert_eq!(raw.stack.readable(flow), 4, "{options:?}");
    }
}

#[test]
fn of_two_mss_options_the_last_counts() {
    let mut raw = Raw::new(Offload::None);
    raw.feed(&segment(4000, 1000, 0, SYN, &[2, 4, 3, 232, 2, 4, 2, 88], &[]));
    raw.turn();
    let flow = raw.connecting();
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    let ack = raw.turn()[0].seq.wrapping_add(1);
    raw.feed(&segment(4000, 1001, ack, ACK, &[], &[]));
    raw.turn();
    raw.stack.write(flow, &[7; 2000]);
    let longest = raw.turn().iter().map(|seen| seen.data.len()).max();
    assert_eq!(longest, Some(600));
}

#[test]
fn syn_and_fin_together_are_dropped() {
    let mut raw = Raw::new(Offload::None);
    raw.feed(&segment(4000, 1000, 0, SYN | FIN, &[], &[]));
    assert!(raw.turn().is_empty() && raw.events.is_empty());
    assert_eq!(raw.stack.stats().dropped(DropReason::NoFlow), 1);
}

#[test]
fn a_fin_never_outruns_the_data_before_it() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, u32::MAX - 500_000);
    let bytes: Vec<u8> = (0..1_048_576u32).map(|i| (i % 251) as u8).collect();
    // The window's unit is 32: after 5 bytes the right edge has gone back from 1,048,576 to
    // 1,048,549.
    let mut at = 0;
    let mut edge = 0;
    while at < 1_048_500 {
        let n = if at == 0 { 5 } else { 60_000.min(1_048_500 - at) };
        let seen = raw.say(&mut conn, ACK, &bytes[at..at + n]);
        at += n;
        edge = at + usize::from(seen[0].window) * 32;
    }
    assert!(edge < bytes.len(), "nothing to cut: {edge}");
    let (seq, last) = (conn.seq, &bytes[at..]);
    let seen = raw.say(&mut conn, ACK | FIN, last);
    let acked = seen.last().unwrap().ack;
    assert!(!raw.saw(&conn, Changes::PEER_FINISHED), "its data did not all fit");
    assert!(acked.wrapping_sub(seq) < u32::try_from(last.len()).unwrap());
    let mut got = raw.read(&conn);
    raw.turn();
    conn.seq = seq;
    let seen = raw.say(&mut conn, ACK | FIN, last);
    assert_eq!(seen.last().unwrap().ack, conn.seq);
    assert!(raw.saw(&conn, Changes::PEER_FINISHED));
    got.extend(raw.read(&conn));
    assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
}

#[test]
fn data_that_a_window_once_allowed_is_taken() {
    for (offload, port) in [(Offload::Vnet, 4000), (Offload::None, 4001)] {
        let mut raw = Raw::new(offload);
        let mut conn = raw.open(port, 1000);
        let start = conn.seq;
        let mut edge = 60_000;
        let mut went_back = false;
        while conn.seq - start < edge {
            // With every remainder by the window's unit, so that its right edge moves back and
            // forth.
            let most = 1433 + (conn.seq % 31);
            let bytes = vec![5; most.min(edge - (conn.seq - start)) as usize];
            let seen = raw.say(&mut conn, ACK, &bytes);
            let last = seen.last().unwrap();
            assert_eq!(last.ack, conn.seq, "not all was taken");
            let advertised = conn.seq - start + u32::from(last.window) * 32;
            went_back |= advertised < edge && edge > 60_000;
            edge = edge.max(advertised);
        }
        assert!(went_back && edge > 1_048_000, "{edge}");
        // With no room left, the app's acknowledgement still counts.
        let written = raw.stack.write(conn.flow, b"hello");
        let seen = raw.turn();
        assert_eq!((written, seen[0].data.as_slice()), (5, &b"hello"[..]));
        conn.ack += 5;
        raw.say(&mut conn, ACK, &[]);
        assert_eq!(raw.stack.unsent(conn.flow), 0);
    }
}

#[test]
fn nothing_beyond_the_ring_is_taken() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    // The SYN-ACK's window is not scaled (RFC 7323 2.2). A socket that scales it takes this
    // segment, and its ring breaks when it is full.
    raw.feed(&segment(4000, conn.seq.wrapping_add(1_048_500), conn.ack, ACK, &[], &[9; 60_000]));
    assert_eq!(raw.stack.stats().dropped(DropReason::BeyondWindow), 1);
    let seen = raw.turn();
    assert_eq!(
        (seen.len(), seen[0].flags, seen[0].ack),
        (1, ACK, conn.seq),
        "it gets an answer (RFC 9293 3.10.7.4)"
    );
    let bytes = vec![5; 1_048_576];
    for part in bytes.chunks(60_000) {
        raw.say(&mut conn, ACK, part);
        if raw.stack.readable(conn.flow) > 1_000_000 {
            assert!(raw.read(&conn).iter().all(|b| *b == 5));
            raw.turn();
        }
    }
    assert!(raw.read(&conn).iter().all(|b| *b == 5));
}

#[test]
fn both_may_close_at_once() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    raw.stack.finish(conn.flow);
    let seen = raw.turn();
    assert_eq!((seen.len(), seen[0].flags & FIN), (1, FIN));
    // The app's FIN does not acknowledge ours: CLOSING.
    let seen = raw.say(&mut conn, ACK | FIN, &[]);
    assert_eq!(seen.last().unwrap().ack, conn.seq);
    assert!(raw.saw(&conn, Changes::PEER_FINISHED) && !raw.saw(&conn, Changes::CLOSED));
    conn.ack = conn.ack.wrapping_add(1);
    raw.say(&mut conn, ACK, &[]);
    assert!(raw.saw(&conn, Changes::CLOSED));
    assert_eq!((raw.stack.stats().flows, raw.stack.stats().time_wait), (0, 1));
}

#[test]
fn keepalives_are_answered_with_and_without_their_byte() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    raw.say(&mut conn, ACK, b"abc");
    for data in [&b""[..], b"\0"] {
        raw.wait(Duration::from_secs(7200));
        // Meanwhile the stack sends a probe by itself.
        raw.turn();
        raw.feed(&segment(4000, conn.seq.wrapping_sub(1), conn.ack, ACK, &[], data));
        let seen = raw.turn();
        assert_eq!((seen.len(), seen[0].flags, seen[0].ack), (1, ACK, conn.seq), "{data:?}");
    }
    assert_eq!(raw.read(&conn), b"abc");
}

#[test]
fn urgent_data_stay_where_they_are() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    raw.say(&mut conn, ACK | URG, b"abc");
    assert_eq!(raw.read(&conn), b"abc");
}

#[test]
fn an_idle_day_is_not_held_against_the_app() {
    let mut raw = Raw::new(Offload::None);
    let (mut write, finish) = (raw.open(4000, 1000), raw.open(4001, 1000));
    raw.wait(24 * 3600 * SECOND);
    assert_eq!(raw.stack.write(write.flow, b"hello"), 5);
    raw.stack.finish(finish.flow);
    let seen = raw.turn();
    assert!(seen.iter().any(|s| s.port == 4000 && s.data == b"hello"), "{seen:?}");
    assert!(seen.iter().any(|s| s.port == 4001 && s.flags & FIN != 0), "{seen:?}");
    assert!(raw.events.is_empty(), "{:?}", raw.events);
    // Answered, and idle for another day.
    write.ack = write.ack.wrapping_add(5);
    raw.say(&mut write, ACK, &[]);
    raw.wait(24 * 3600 * SECOND);
    raw.stack.write(write.flow, b"again");
    assert_eq!(raw.turn().iter().filter(|s| s.data == b"again").count(), 1);
    assert!(!raw.saw(&write, Changes::RESET));
    // But silence after that ends the connection.
    for _ in 0..limits::NO_PROGRESS.as_secs() + 61 {
        raw.wait(SECOND);
    }
    raw.turn();
    assert!(raw.saw(&write, Changes::RESET));
    assert_eq!(raw.stack.stats().flows_timed_out, 2);
}

#[test]
fn a_full_table_refuses_politely() {
    let mut config = config(Offload::None, 1500);
    config.capacity.flows = 2;
    let mut raw = Raw::with(config);
    let conn = raw.open(4000, 1000);
    raw.open(4001, 1000);
    let seen = raw.syn(4002, 7);
    assert_eq!((seen.len(), seen[0].flags, seen[0].ack), (1, RST | ACK, 8));
    assert_eq!(raw.stack.stats().dropped(DropReason::FlowsFull), 1);
    assert_eq!(raw.stack.refused(), 1);
    raw.stack.abort(conn.flow);
    raw.turn();
    let again = raw.open(4002, 7);
    assert_ne!(again.flow, conn.flow, "the place is reused, the id is not");
    assert_eq!((raw.stack.room(conn.flow), raw.stack.write(conn.flow, b"late")), (0, 0));
}

#[test]
fn many_flows_get_smaller_rings() {
    let mut raw = Raw::new(Offload::None);
    let mut rooms = Vec::new();
    for port in 0..514 {
        let conn = raw.open(10_000 + port, 1000);
        rooms.push(raw.stack.room(conn.flow));
    }
    assert_eq!((rooms[0], rooms[63]), (1 << 20, 1 << 20));
    assert_eq!((rooms[64], rooms[511]), (256 * 1024, 256 * 1024));
    assert_eq!(rooms[512], 64 * 1024);
}

#[test]
fn connections_closed_by_the_server_leave_nothing() {
    let mut config = config(Offload::None, 1500);
    config.capacity.flows = 8000;
    let mut raw = Raw::with(config);
    for port in 0..6000 {
        let mut conn = raw.open(10_000 + port, 1000);
        raw.stack.finish(conn.flow);
        raw.turn();
        conn.ack = conn.ack.wrapping_add(1);
        raw.say(&mut conn, ACK | FIN, &[]);
        assert!(raw.saw(&conn, Changes::CLOSED));
        raw.events.clear();
    }
    let stats = raw.stack.stats();
    assert_eq!((stats.flows, stats.time_wait), (0, 6000));
    assert!(stats.timers <= 1200, "{} timers", stats.timers);
    raw.wait(limits::TIME_WAIT);
    assert_eq!(raw.stack.stats().time_wait, 0);
    for _ in 0..3000 {
        let Some(at) = raw.stack.next_deadline() else { return };
        let by = at - raw.now;
        raw.wait(by);
        assert!(raw.sink.0.is_empty());
    }
    panic!("deadlines without end");
}

#[test]
fn super_packets_are_cut_to_what_the_app_takes() {
    let mut raw = Raw::new(Offload::Vnet);
    let conn = raw.open(4000, 1000);
    raw.stack.write(conn.flow, &[1; 20_000]);
    let seen = raw.turn();
    // The SYN's MSS is 0x578 = 1400.
    assert_eq!(
        seen[0].meta.gso.map(|gso| (gso.kind, gso.size, gso.header_len)),
        Some((GsoKind::TcpV4, 1400, 54))
    );
    // A segment larger than the TAP's MTU is useless, whatever the app's own link carries.
    raw.feed(&segment(4001, 1, 0, SYN, &[2, 4, 0xff, 0xff], &[]));
    raw.turn();
    let flow = raw.connecting();
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    let seen = raw.turn();
    let mut conn = Conn { port: 4001, flow, seq: 2, ack: seen[0].seq.wrapping_add(1) };
    raw.say(&mut conn, ACK, &[]);
    raw.stack.write(flow, &[1; 20_000]);
    assert_eq!(raw.turn()[0].meta.gso.map(|gso| gso.size), Some(1460));
}

#[test]
fn a_closed_window_opens_when_the_reader_reads() {
    for offload in [Offload::None, Offload::Vnet] {
        let mut raw = Raw::new(offload);
        let mut conn = raw.open(4000, 1000);
        let mut window = usize::MAX;
        while window > 0 {
            let seen = raw.say(&mut conn, ACK, &vec![3; window.min(50_000)]);
            window = 32 * usize::from(seen.last().unwrap().window);
        }
        raw.wait(60 * SECOND);
        assert!(raw.turn().is_empty());
        assert!(raw.read(&conn).len() >= 1_048_576 - 64);
        let seen = raw.turn();
        assert_eq!((seen.len(), seen[0].ack, seen[0].window), (1, conn.seq, 32_767), "{offload:?}");
    }
}

#[test]
fn timers_stay_few_whatever_the_flows_do() {
    let mut raw = Raw::new(Offload::None);
    let mut conn = raw.open(4000, 1000);
    for _ in 0..20_000 {
        raw.stack.write(conn.flow, b"x");
        raw.turn();
        raw.wait(Duration::from_millis(1500));
        conn.ack = conn.ack.wrapping_add(1);
        raw.say(&mut conn, ACK, &[]);
    }
    assert!(raw.stack.stats().timers <= 1100, "{}", raw.stack.stats().timers);
}

#[test]
fn renewed_rings_advertise_the_whole_window() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conn = raw.open(4000, 1000);
    raw.say(&mut conn, ACK, &[1; 40_000]);
    raw.read(&conn);
    raw.turn();
    raw.wait(limits::IDLE_RINGS);
    let seen = raw.turn();
    assert_eq!(raw.stack.stats().rings_renewed, 1);
    assert_eq!(
        (seen.len(), seen[0].seq, seen[0].ack, seen[0].window),
        (1, conn.ack, conn.seq, 32_767)
    );
}

#[test]
fn busy_flows_share_what_may_be_under_way_and_one_alone_has_it_all() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut conns: Vec<Conn> = (0..32).map(|n| raw.open(4000 + n, 1000)).collect();
    // The window that one flow gets with the ACK of its byte, while `busy` others send in the same
    // pass; in bytes.
    let mut advertised = |busy: usize| {
        // The earlier load is forgotten.
        for _ in 0..2000 {
            raw.say(&mut conns[0], ACK, b"x");
            raw.read(&conns[0]);
        }
        for _ in 0..2 {
            for conn in &mut conns[..busy] {
                raw.feed(&segment(conn.port, conn.seq, conn.ack, ACK, &[], b"x"));
                conn.seq += 1;
            }
            raw.turn();
        }
        let last = raw.say(&mut conns[0], ACK, b"x");
        usize::from(last[0].window) << 5
    };
    assert!(advertised(1) > 1_000_000, "{}", advertised(1));
    for (busy, share) in [(4, limits::UNDER_WAY / 4), (32, limits::SMALLEST_SHARE)] {
        let advertised = advertised(busy);
        assert!(
            advertised <= share && advertised > share * 9 / 10,
            "{busy} busy flows: {advertised} of {share}"
        );
    }
    assert!(advertised(1) > 1_000_000, "{} when the others are silent again", advertised(1));
}

#[test]
fn a_stack_that_shrank_serves_on() {
    let mut raw = Raw::new(Offload::Vnet);
    let mut kept = raw.open(4000, 1000);
    for port in 5000..5500 {
        let conn = raw.open(port, 1000);
        raw.stack.abort(conn.flow);
        raw.turn();
    }
    raw.stack.shrink();
    let stats = raw.stack.stats();
    assert_eq!(stats.flows, 1);
    assert!(stats.timers <= 2, "{} timers for one flow", stats.timers);
    raw.say(&mut kept, ACK, b"still here");
    assert_eq!(raw.read(&kept), b"still here");
    let mut new = raw.open(6000, 1000);
    raw.say(&mut new, ACK, b"and new ones");
    assert_eq!(raw.read(&new), b"and new ones");
}

/// The gateway's loop asks for a turn by this, and would sleep without it.
#[test]
fn a_stack_wants_service_while_a_flow_has_something_to_do_and_only_then() {
    let mut raw = Raw::new(Offload::Vnet);
    let conn = raw.open(4000, 1000);
    assert!(!raw.stack.wants_service());
    raw.stack.write(conn.flow, b"hello");
    assert!(raw.stack.wants_service());
    assert_eq!(raw.turn().len(), 1);
    assert!(!raw.stack.wants_service());
    raw.feed(&segment(4000, conn.seq, conn.ack.wrapping_add(5), ACK, &[], b"data"));
    assert!(raw.stack.wants_service());
    raw.turn();
    assert!(!raw.stack.wants_service());
    assert_eq!(raw.read(&conn), b"data");
    assert!(raw.stack.wants_service(), "there is room to report");
    raw.turn();
    raw.stack.abort(conn.flow);
    assert!(raw.stack.wants_service());
    assert_eq!(raw.turn().len(), 1);
    assert!(!raw.stack.wants_service());
    assert_eq!((raw.stack.readable(conn.flow), raw.stack.unsent(conn.flow)), (0, 0));
}
