//! Full tables, and the entries that make room: a model of the kernel names the owner of each
//! socket.
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]

mod common;
use common::raw::*;
use common::rig::Rig;
use common::*;
use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use underpass_stack::limits::*;
use underpass_stack::*;

const SECOND: Duration = Duration::from_secs(1);

/// Lower ports are root's, those from here on another user's.
const OTHERS: u16 = 20_000;

/// The kernel's sockets: the owner by port, and the closed ones.
#[derive(Clone, Default)]
struct Kernel(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    orphans: HashSet<u16>,
    missing: HashSet<u16>,
    look_ups: usize,
}

impl Owners for Kernel {
    fn look_up(&mut self, _: Transport, app: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
        let mut state = self.0.lock().unwrap();
        state.look_ups += 1;
        Some(if state.orphans.contains(&app.port()) {
            AppSocket::Orphan
        } else if state.missing.contains(&app.port()) || app.ip() != Ipv4Addr::new(10, 99, 0, 18) {
            AppSocket::Missing
        } else {
            AppSocket::Of(if app.port() < OTHERS { 0 } else { 65_534 })
        })
    }
}

fn rig(bound: impl FnOnce(&mut Capacity)) -> (Raw, Kernel) {
    let mut config = config(Offload::None, 1500);
    bound(&mut config.capacity);
    let mut raw = Raw::with(config);
    let kernel = Kernel::default();
    raw.stack.set_owners(Box::new(kernel.clone()));
    (raw, kernel)
}

/// A SYN from a port to the host of that number.
fn syn_to(raw: &mut Raw, port: u16, host: u16) {
    let mut packet = Vec::new();
    let [high, low] = host.to_be_bytes();
    let mut header = etherparse::TcpHeader::new(port, 80, 1, 0xffff);
    header.syn = true;
    etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [203, 0, high, low], 64)
        .tcp_header(header)
        .write(&mut packet, &[])
        .unwrap();
    raw.feed(&packet);
    raw.turn();
}

/// Connects, and displaced connections, since the last call.
fn events(raw: &mut Raw) -> (usize, usize) {
    let count =
        |wanted: fn(&Event) -> bool| raw.events.iter().filter(|event| wanted(event)).count();
    let counts = (
        count(|event| matches!(event, Event::Connect { .. })),
        count(|event| matches!(event, Event::ConnectAbandoned { .. })),
    );
    raw.events.clear();
    counts
}

#[test]
fn half_open_connections_of_the_heaviest_give_way_and_never_those_of_others() {
    let (mut raw, _) = rig(|capacity| capacity.half_open = 400);
    for number in 0..20 {
        syn_to(&mut raw, 1000 + number, number);
    }
    for number in 0..600 {
        syn_to(&mut raw, OTHERS + number, number);
    }
    // The other user's own newcomers displace nothing while its connects are fresh.
    assert_eq!(events(&mut raw), (400, 0));
    for number in 0..150 {
        syn_to(&mut raw, 2000 + number, number);
        assert_eq!(events(&mut raw), (1, 1), "root's number {number}");
    }
    // Once root's share is as large as theirs, it displaces no connection.
    for number in 150..400 {
        syn_to(&mut raw, 2000 + number, number);
    }
    let (connects, abandoned) = events(&mut raw);
    assert!(connects == abandoned && (20..=40).contains(&connects), "{connects} {abandoned}");
    assert_eq!(raw.stack.stats().half_open, 400);
    let displaced = 150 + connects as u64;
    assert_eq!(raw.stack.displaced(), (displaced, Some(Owner::User(65_534))));
    // A connection that waits for long gives way to the same user's next.
    raw.now += HALF_OPEN_AT_LEAST;
    syn_to(&mut raw, OTHERS + 1000, 1);
    assert_eq!(events(&mut raw), (1, 1));
    assert_eq!(raw.stack.displaced(), (displaced + 1, Some(Owner::User(65_534))));
}

#[test]
fn one_silent_host_takes_half_of_its_users_half_open_connections() {
    let (mut raw, _) = rig(|capacity| capacity.half_open = 400);
    for number in 0..500 {
        syn_to(&mut raw, OTHERS + number, 1);
    }
    // The first quarter came before owners were looked up.
    let connects: Vec<FlowId> = raw.events.iter().filter_map(connect).collect();
    assert_eq!(events(&mut raw), (300, 0));
    syn_to(&mut raw, OTHERS + 600, 2);
    assert_eq!(events(&mut raw), (1, 0));
    // Each connection with a known owner makes room for one more when it ends, and then there is no
    // room for another: the relay gives one up and connects one.
    for (round, flow) in connects[200..202].iter().enumerate() {
        let port = OTHERS + 700 + u16::try_from(round).unwrap();
        syn_to(&mut raw, port, 1);
        assert_eq!(events(&mut raw), (0, 0), "{round}");
        if round == 0 {
            raw.stack.abort(*flow);
        } else {
            raw.stack.accept(raw.now, *flow, &mut raw.sink);
        }
        raw.turn();
        syn_to(&mut raw, port, 1);
        syn_to(&mut raw, port + 100, 1);
        assert_eq!(events(&mut raw), (1, 0), "{round}");
    }
    // Connections without a known owner expire like others.
    raw.wait(HALF_OPEN);
    raw.turn();
    assert_eq!((events(&mut raw), raw.stack.stats().half_open), ((0, 301), 0));
    for number in 0..500 {
        syn_to(&mut raw, OTHERS + number, 1);
    }
    assert_eq!(events(&mut raw), (300, 0), "as at the beginning");
}

/// The flow of a Connect.
fn connect(event: &Event) -> Option<FlowId> {
    match event {
        Event::Connect { flow, .. } => Some(*flow),
        _ => None,
    }
}

/// A look-up costs a system call: the stack makes none while a table is at most a quarter full.
#[test]
fn owners_are_looked_up_from_a_quarter_of_either_table_on() {
    for (flows, half_open, free) in [(400, 4000, 100), (4000, 40, 10), (403, 4000, 101)] {
        let (mut raw, kernel) = rig(|capacity| {
            (capacity.flows, capacity.half_open) = (flows, half_open);
        });
        for number in 0..free + 5 {
            let before = kernel.0.lock().unwrap().look_ups;
            syn_to(&mut raw, 1000 + number, number);
            let asked = kernel.0.lock().unwrap().look_ups - before;
            assert_eq!(asked, usize::from(number >= free), "{number} of {flows}, {half_open}");
        }
    }
    // Open connections count like half-open ones.
    let (mut raw, kernel) = rig(|capacity| capacity.flows = 400);
    for number in 0..105 {
        if number % 2 == 0 {
            raw.open(1000 + number, 1);
        } else {
            syn_to(&mut raw, 1000 + number, number);
        }
        let asked = usize::from(number.saturating_sub(99));
        assert_eq!(kernel.0.lock().unwrap().look_ups, asked, "{number}");
    }
}

/// The oldest of a crowd's own half-open connections goes for its next one, each only after its
/// time, and none is skipped.
#[test]
fn a_crowds_own_half_open_connections_go_in_the_order_in_which_they_came() {
    let (mut raw, _) = rig(|capacity| capacity.half_open = 40);
    for number in 0..40 {
        syn_to(&mut raw, OTHERS + number, number);
        raw.now += Duration::from_millis(10);
    }
    let connects: Vec<FlowId> = raw.events.iter().filter_map(connect).collect();
    assert_eq!(connects.len(), 40);
    raw.events.clear();
    // Those with a known owner come first: the first quarter has none.
    let order = connects[10..].iter().chain(&connects[..10]);
    raw.now += HALF_OPEN_AT_LEAST - Duration::from_millis(400);
    for (number, flow) in (0..).zip(order.take(30)) {
        // Too early for the next one, however often the app tries.
        raw.now += Duration::from_millis(if number == 0 { 99 } else { 9 });
        for host in 0..3 {
            syn_to(&mut raw, OTHERS + 1000 + number, 200 + host);
            assert_eq!(events(&mut raw), (0, 0), "{number}");
        }
        raw.now += Duration::from_millis(1);
        syn_to(&mut raw, OTHERS + 1000 + number, 100 + number);
        let [Event::ConnectAbandoned { flow: gone }, Event::Connect { .. }] = raw.events[..] else {
            panic!("{number}: {:?}", raw.events)
        };
        assert_eq!(gone, *flow, "{number}");
        raw.events.clear();
    }
}

/// The stack examines sixteen connections for one that makes room, and the next sixteen for the
/// next.
#[test]
fn of_some_of_the_heaviest_users_connections_the_one_that_was_idle_longest_goes() {
    let (mut raw, _) = rig(|_| ());
    raw.stack.expect_flows(200);
    let mut others: Vec<Conn> = (0..200).map(|port| raw.open(OTHERS + port, 1)).collect();
    raw.now += SECOND;
    for (number, conn) in others.iter_mut().enumerate() {
        if number % 16 != 7 {
            raw.say(conn, ACK, b"x");
            raw.read(conn);
        }
    }
    raw.turn();
    for round in 0..5 {
        let seen = raw.syn(1000 + round, 1);
        let ended: Vec<u16> =
            seen.iter().filter(|one| one.flags & RST != 0).map(|one| one.port).collect();
        // The owners of the first fifty were not looked up.
        assert_eq!(ended, [OTHERS + 55 + 16 * round]);
    }
    assert_eq!(raw.stack.stats().idle_displaced, 5);
}

/// The stack does not take a connection that was active a moment ago for a dead one.
#[test]
fn a_connection_without_a_socket_goes_once_it_was_silent_for_a_second() {
    let millisecond = Duration::from_millis(1);
    for (silent, goes) in [(SWEEP_SILENT.1 - millisecond, false), (SWEEP_SILENT.1, true)] {
        let (mut raw, kernel) = rig(|_| ());
        raw.stack.expect_flows(16);
        let conns: Vec<Conn> = (0..16).map(|port| raw.open(1000 + port, 1)).collect();
        kernel.0.lock().unwrap().missing.insert(1009);
        raw.now += silent;
        raw.events.clear();
        raw.syn(5000, 1);
        let ended: Vec<FlowId> = raw
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Flow { flow, changes } if *changes == Changes::RESET => Some(*flow),
                _ => None,
            })
            .collect();
        let expected = if goes { vec![conns[9].flow] } else { vec![] };
        assert_eq!(ended, expected, "after {silent:?}");
        assert_eq!(raw.stack.stats().gone_displaced, u64::from(goes));
        assert_eq!(raw.stack.displaced().0, 0, "no other owner's made room");
    }
}

#[test]
fn a_half_open_connection_ends_20_s_after_the_apps_last_syn_and_may_start_again() {
    let (mut raw, kernel) = rig(|_| ());
    syn_to(&mut raw, 1000, 1);
    syn_to(&mut raw, 1001, 1);
    for _ in 0..15 {
        raw.wait(SECOND);
        raw.turn();
    }
    syn_to(&mut raw, 1001, 1);
    assert_eq!(events(&mut raw), (2, 0));
    raw.wait(5 * SECOND);
    raw.turn();
    assert_eq!((events(&mut raw), raw.stack.stats().half_open), ((0, 1), 1));
    raw.wait(15 * SECOND);
    raw.turn();
    assert_eq!((events(&mut raw), raw.stack.stats().half_open), ((0, 1), 0));
    syn_to(&mut raw, 1001, 1);
    assert_eq!(events(&mut raw), (1, 0));
    assert_eq!(
        kernel.0.lock().unwrap().look_ups,
        0,
        "owners are not looked up while there is room"
    );
    // Thousands of connects leave no deadline over.
    for port in 2000..8000 {
        let conn = raw.half(port, 1);
        raw.stack.abort(conn.flow);
        raw.turn();
    }
    raw.wait(21 * SECOND);
    raw.turn();
    assert!(raw.stack.next_deadline().is_none_or(|at| at > raw.now + SECOND));
}

#[test]
fn idle_connections_of_the_heaviest_give_way_at_once() {
    let (mut raw, _) = rig(|_| ());
    raw.stack.expect_flows(200);
    let root: Vec<Conn> = (0..10).map(|port| raw.open(1000 + port, 1)).collect();
    let mut others: Vec<Conn> = (0..190).map(|port| raw.open(OTHERS + port, 1)).collect();
    raw.events.clear();
    raw.now += SECOND;
    // Active connections are not idle.
    for conn in &mut others[..10] {
        raw.say(conn, ACK, b"x");
        raw.read(conn);
    }
    for number in 0..50 {
        raw.events.clear();
        raw.feed(&segment(3000 + number, 1, 0, SYN, &SYN_OPTIONS, &[]));
        let ended: Vec<u16> =
            raw.turn().iter().filter(|one| one.flags & RST != 0).map(|one| one.port).collect();
        assert!(matches!(ended[..], [port] if port >= OTHERS), "{ended:?}");
        // The shell learns of the connection that is gone before the new one.
        let [first, second] = &raw.events[..] else { panic!("{:?}", raw.events) };
        assert!(
            matches!(first, Event::Flow { changes, .. } if *changes == Changes::RESET),
            "{first:?}"
        );
        let Event::Connect { flow, .. } = *second else { panic!("{second:?}") };
        raw.stack.accept(raw.now, flow, &mut raw.sink);
        raw.turn();
    }
    assert_eq!(raw.stack.stats().flows, 200);
    assert_eq!((raw.stack.stats().idle_displaced, raw.stack.refused()), (50, 0));
    assert_eq!(raw.stack.displaced(), (50, Some(Owner::User(65_534))));
    for conn in root.iter().chain(&others[..10]) {
        assert!(raw.stack.room(conn.flow) > 0, "{conn:?}");
    }
    // Its own newcomers displace no other user's connections.
    raw.events.clear();
    raw.syn(OTHERS + 5000, 1);
    assert!(
        !raw.events.iter().any(|event| matches!(event, Event::Flow { .. })),
        "{:?}",
        raw.events
    );
}

#[test]
fn connections_that_their_app_closed_go_first_and_lose_no_byte() {
    let (mut raw, kernel) = rig(|_| ());
    raw.stack.expect_flows(200);
    let mut all: Vec<Conn> = (0..200).map(|port| raw.open(1000 + port, 1)).collect();
    for conn in &mut all[..100] {
        raw.say(conn, ACK | FIN, b"x");
    }
    // The first 50 are read to the end.
    for conn in &all[..50] {
        assert_eq!(raw.read(conn), b"x");
    }
    raw.turn();
    raw.events.clear();
    // The app of these is gone; the others have shut down one direction.
    kernel.0.lock().unwrap().orphans.extend((0..10).chain(50..60).map(|port| 1000 + port));
    for number in 0..10 {
        raw.syn(5000 + number, 1);
        let Some(Event::Flow { flow, changes }) = raw.events.first().cloned() else {
            panic!("{:?}", raw.events)
        };
        assert!(
            changes.contains(Changes::FORGOTTEN) && changes.contains(Changes::CLOSED),
            "{changes:?}"
        );
        assert!(all[..10].iter().any(|conn| conn.flow == flow), "{flow:?}");
        assert!(matches!(raw.events[1], Event::Connect { .. }));
        raw.events.clear();
    }
    assert_eq!(raw.stack.stats().gone_displaced, 10);
    // The others are not completely gone: their data is there to be read.
    raw.syn(6000, 1);
    assert!(matches!(raw.events[..], [Event::Connect { .. }]), "{:?}", raw.events);
    for conn in &all[50..60] {
        assert_eq!(raw.read(conn), b"x");
    }
    raw.turn();
    for number in 0..8 {
        raw.syn(6001 + number, 1);
    }
    assert!(raw.stack.stats().gone_displaced > 10);
}

#[test]
fn a_connection_without_a_socket_gives_way_to_its_users_next() {
    let (mut raw, kernel) = rig(|_| ());
    raw.stack.expect_flows(200);
    for port in 0..200 {
        raw.open(1000 + port, 1);
    }
    raw.now += 2 * SECOND;
    kernel.0.lock().unwrap().missing.extend(1100..1200);
    // The stack examines some for each newcomer.
    assert!((5000..5008).any(|port| {
        raw.events.clear();
        raw.syn(port, 1);
        let reset =
            matches!(raw.events[0], Event::Flow { changes, .. } if changes == Changes::RESET);
        reset && matches!(raw.events[1], Event::Connect { .. })
    }));
    assert_eq!(raw.stack.stats().gone_displaced, 1);
}

#[test]
fn a_user_with_thousands_of_udp_sockets_displaces_only_its_own() {
    let mut config = config(Offload::None, 1500);
    config.capacity.binds = 200;
    let mut rig = Rig::new(1500);
    rig.stack = Stack::new(config, rig.now);
    rig.stack.set_owners(Box::new(Kernel::default()));
    let peer = "198.51.100.7:99";
    let root: Vec<BindId> =
        (0..20).map(|port| rig.bind(&format!("10.99.0.18:{}", 1000 + port), peer)).collect();
    let mut gone = Vec::new();
    // In turn, like a program that talks to many peers.
    for number in (0..2100).cycle().take(5000) {
        rig.now += Duration::from_millis(1);
        let app = format!("10.99.0.18:{}", OTHERS + number);
        let (events, _) = rig.feed(&udp(&app, peer, 64, b"x"));
        gone.extend(events.iter().filter_map(|event| match event {
            Event::Unbind { bind } => Some(*bind),
            _ => None,
        }));
    }
    assert_eq!(gone.len(), 20 + 5000 - 200);
    assert!(root.iter().all(|bind| !gone.contains(bind)), "another user's mapping went");
    // Root's next ones take the other user's place.
    for port in 0..50 {
        let (events, _) = rig.feed(&udp(&format!("10.99.0.18:{}", 3000 + port), peer, 64, b"x"));
        assert!(matches!(events[0], Event::Unbind { bind } if !root.contains(&bind)), "{events:?}");
    }
}

#[test]
fn the_owner_of_a_connection_and_of_a_question_is_its_sockets_user() {
    let (mut raw, kernel) = rig(|_| ());
    let look_ups = |kernel: &Kernel| kernel.0.lock().unwrap().look_ups;
    raw.syn(1000, 1);
    let pending = raw.connecting();
    let open = raw.open(OTHERS, 1).flow;
    assert_eq!(look_ups(&kernel), 0, "there is room for all");
    let root = Owner::User(0);
    let other = Owner::User(65_534);
    assert_eq!((raw.stack.owner(pending), raw.stack.owner(open)), (root, other));
    assert_eq!((raw.stack.owner(pending), raw.stack.owner(open)), (root, other));
    assert_eq!(look_ups(&kernel), 2, "each is looked up once");
    // The owner stays with the connection when that is open.
    raw.stack.accept(raw.now, pending, &mut raw.sink);
    raw.turn();
    assert_eq!((raw.stack.owner(pending), look_ups(&kernel)), (root, 2));
    raw.stack.abort(pending);
    raw.turn();
    assert_eq!(raw.stack.owner(pending), Owner::Unasked, "it is gone");

    for (app, owner) in [
        ("10.99.0.18:999", root),
        ("10.99.0.18:20000", other),
        ("172.17.0.2:53", Owner::Source([172, 17, 0, 2].into())),
    ] {
        raw.events.clear();
        raw.feed(&udp(app, "10.99.0.17:53", 64, b"question"));
        raw.turn();
        let [Event::Query { request, .. }] = raw.events[..] else { panic!("{:?}", raw.events) };
        assert_eq!(raw.stack.asker(request), owner, "{app}");
        raw.stack.forget_request(request);
        assert_eq!(raw.stack.asker(request), Owner::Unasked, "{app}");
    }
}

/// An app's data is read to the end, and the data for the app is on its way. A connection keeps
/// both although its app has closed it.
#[test]
fn a_connection_with_bytes_under_way_makes_no_room_although_its_app_is_gone() {
    for (is_orphan, sent, received, goes) in [
        (true, &b""[..], &b""[..], true),
        (true, b"x", b"", false),
        (true, b"", b"y", false),
        (false, b"", b"", true),
        (false, b"x", b"", false),
        (false, b"", b"y", false),
    ] {
        let (mut raw, kernel) = rig(|_| ());
        raw.stack.expect_flows(8);
        let mut conns: Vec<Conn> = (0..8).map(|port| raw.open(1000 + port, 1)).collect();
        let conn = &mut conns[5];
        raw.say(conn, if is_orphan { ACK | FIN } else { ACK }, sent);
        raw.stack.write(conn.flow, received);
        raw.turn();
        raw.now += SWEEP_SILENT.1;
        let mut state = kernel.0.lock().unwrap();
        if is_orphan { &mut state.orphans } else { &mut state.missing }.insert(conn.port);
        drop(state);
        raw.events.clear();
        raw.syn(5000, 1);
        let ended: Vec<(FlowId, bool)> = raw
            .events
            .iter()
            .filter_map(|event| match event {
                Event::Flow { flow, changes } => {
                    Some((*flow, changes.contains(Changes::FORGOTTEN)))
                }
                _ => None,
            })
            .collect();
        let expected = if goes { vec![(conn.flow, is_orphan)] } else { vec![] };
        assert_eq!(ended, expected, "{is_orphan} {sent:?} {received:?}");
    }
}

/// The stack handles each repeated SYN of an app's kernel, and keeps one deadline.
#[test]
fn a_syn_that_is_repeated_thousands_of_times_counts_from_its_last_one_on() {
    let (mut raw, _) = rig(|_| ());
    syn_to(&mut raw, 1000, 1);
    assert_eq!(events(&mut raw), (1, 0));
    for _ in 0..3000 {
        raw.now += Duration::from_millis(5);
        syn_to(&mut raw, 1000, 1);
    }
    let last = raw.now;
    while raw.now < last + HALF_OPEN - Duration::from_millis(5) {
        raw.wait(Duration::from_millis(5));
        raw.turn();
    }
    assert_eq!((events(&mut raw), raw.stack.stats().half_open), ((0, 0), 1));
    raw.wait(Duration::from_millis(5));
    raw.turn();
    assert_eq!((events(&mut raw), raw.stack.stats().half_open), ((0, 1), 0));
}

#[test]
fn owners_of_udp_sockets_are_looked_up_from_a_quarter_of_the_table_on() {
    let (mut raw, kernel) = rig(|capacity| capacity.binds = 40);
    let send = |raw: &mut Raw, port: u16| {
        raw.events.clear();
        raw.feed(&udp(&format!("10.99.0.18:{port}"), "198.51.100.7:99", 64, b"x"));
        raw.turn();
        raw.now += Duration::from_millis(1);
    };
    let mut first = None;
    for number in 0..40 {
        let before = kernel.0.lock().unwrap().look_ups;
        send(&mut raw, OTHERS + number);
        let asked = kernel.0.lock().unwrap().look_ups - before;
        assert_eq!(asked, usize::from(number >= 10), "{number}");
        if let Event::Bind { bind, .. } = raw.events[0] {
            first.get_or_insert(bind);
        }
    }
    // The connection that was idle longest goes, although its owner was not looked up when it came.
    send(&mut raw, 1000);
    assert_eq!(raw.events.first(), first.map(|bind| Event::Unbind { bind }).as_ref());
}

/// The stack has room for more than its relays take. The gateway decides about the rest.
#[test]
fn a_newcomer_is_refused_by_the_stack_only_when_its_own_table_is_full() {
    let (mut raw, _) = rig(|_| ());
    raw.stack.expect_flows(200);
    for port in 0..150 {
        raw.open(OTHERS + port, 1);
    }
    raw.events.clear();
    for number in 0..120 {
        syn_to(&mut raw, OTHERS + 1000 + number, number);
    }
    assert_eq!(events(&mut raw), (120, 0));
    assert_eq!((raw.stack.stats().flows, raw.stack.refused()), (270, 0));
}
