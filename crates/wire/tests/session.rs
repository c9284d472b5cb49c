#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
//! Two sessions at the ends of a model of the pipe, under a virtual clock.
//!
//! The model holds few bytes (4 KiB, as WSL's does) and moves them in random pieces, so that each
//! side is stopped in the middle of frames. The streams' bytes are a function of flow and offset: a
//! byte that is lost, doubled or out of order shows at once.

use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use underpass_wire::frame::VERSION;
use underpass_wire::limits::{
    GATEWAY_DEAD_AFTER, HEADER, MANY_FLOWS, MAX_QUEUED_DATAGRAM_BYTES, PING_EVERY,
    RELAY_DEAD_AFTER, SEAL,
};
use underpass_wire::session::Sent;
use underpass_wire::{
    BindId, Capabilities, ConnectFailure, Decoder, FlowId, Frame, Hello, Marks, Pull, RequestId,
    Role, Session, Source, Then, Violation,
};

const PIPE: usize = 4096;

fn hello() -> Hello {
    Hello {
        version: VERSION,
        capabilities: Capabilities::UDP,
        max_flows: 100,
        max_binds: 10,
        build: "test".into(),
    }
}

fn peer() -> SocketAddr {
    "192.0.2.1:80".parse().unwrap()
}

fn stream_byte(flow: FlowId, end: u8, offset: u64) -> u8 {
    let mixed = (offset ^ (u64::from(flow.0) << 40) ^ (u64::from(end) << 56))
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}

/// What one end does with one flow.
#[derive(Default)]
struct Stream {
    to_send: u64,
    sent: u64,
    received: u64,
    /// Received and not yet consumed.
    held: u64,
    window: u64,
    got_fin: bool,
    got_reset: bool,
    sent_fin: bool,
}

struct End {
    name: u8,
    session: Session,
    decoder: Decoder,
    streams: BTreeMap<u32, Stream>,
    staging: VecDeque<u8>,
    /// Flows that consume nothing.
    stalled: Option<u32>,
    window: u32,
    echoes: Vec<u32>,
}

struct Streams<'a>(&'a mut BTreeMap<u32, Stream>, u8);

impl Source for Streams<'_> {
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let stream = self.0.get_mut(&flow.0).unwrap();
        let taken = (stream.to_send - stream.sent).min(max as u64);
        out.extend(
            (stream.sent..stream.sent + taken).map(|offset| stream_byte(flow, self.1, offset)),
        );
        stream.sent += taken;
        let then = if stream.sent < stream.to_send {
            Then::More
        } else {
            stream.sent_fin = true;
            Then::Finished
        };
        Pull { taken: taken as usize, then }
    }
}

impl End {
    fn new(role: Role, now: Instant, window: u32) -> Self {
        Self {
            name: role as u8,
            session: Session::new(role, hello(), now),
            decoder: Decoder::default(),
            streams: BTreeMap::new(),
            staging: VecDeque::new(),
            stalled: None,
            window,
            echoes: Vec::new(),
        }
    }

    fn write_into(&mut self, pipe: &mut VecDeque<u8>, most: usize) -> usize {
        if self.staging.is_empty() {
            let mut out = Vec::new();
            self.session.fill(&mut out, 8 * 1024, &mut Streams(&mut self.streams, self.name));
            self.staging.extend(out);
        }
        let n = most.min(PIPE - pipe.len()).min(self.staging.len());
        pipe.extend(self.staging.drain(..n));
        n
    }

    fn read_from(&mut self, pipe: &mut VecDeque<u8>, most: usize, now: Instant) {
        let space = self.decoder.space();
        let n = most.min(pipe.len()).min(space.len());
        for (slot, byte) in space.iter_mut().zip(pipe.drain(..n)) {
            *slot = byte;
        }
        self.decoder.filled(n);
        while let Some(frame) = self.decoder.next_frame().unwrap() {
            let Some(event) = self.session.accept(now, frame).unwrap() else { continue };
            match event {
                Frame::Hello(_) => {}
                Frame::Open { flow, .. } => {
                    let window = u64::from(self.window);
                    self.streams.insert(flow.0, Stream { to_send: 0, window, ..Stream::default() });
                    self.session.opened(flow, self.window);
                }
                Frame::Opened { flow, .. } => self.session.mark_ready(flow),
                Frame::Data { flow, bytes } => {
                    let other = 1 - self.name;
                    let stream = self.streams.get_mut(&flow.0).unwrap();
                    assert!(!stream.got_fin, "data after a Fin");
                    for byte in bytes {
                        assert_eq!(
                            *byte,
                            stream_byte(flow, other, stream.received),
                            "{flow} at {}",
                            stream.received
                        );
                        stream.received += 1;
                    }
                    stream.held += bytes.len() as u64;
                    assert!(stream.held <= stream.window, "more than the credit came");
                }
                Frame::Fin { flow } => self.streams.get_mut(&flow.0).unwrap().got_fin = true,
                Frame::Reset { flow } => self.streams.get_mut(&flow.0).unwrap().got_reset = true,
                Frame::Echo { request, .. } | Frame::EchoReply { request, .. } => {
                    self.echoes.push(request.0)
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        // The owner takes what it holds, in two pieces, but not for the stalled flow.
        for (&id, stream) in &mut self.streams {
            if self.stalled != Some(id) && stream.held > 0 {
                let first = stream.held.div_ceil(2);
                self.session.consumed(FlowId(id), first as usize);
                self.session.consumed(FlowId(id), (stream.held - first) as usize);
                stream.held = 0;
            }
        }
    }
}

/// The gateway, the relay, and a pipe each way.
struct Pair {
    gateway: End,
    relay: End,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    now: Instant,
}

impl Pair {
    fn new(window: u32) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a virtual clock must begin somewhere")]
        let now = Instant::now();
        Self {
            gateway: End::new(Role::Gateway, now, window),
            relay: End::new(Role::Relay, now, window),
            up: VecDeque::new(),
            down: VecDeque::new(),
            now,
        }
    }

    fn open(&mut self, id: u32, up: u64, down: u64) {
        self.step(usize::MAX);
        self.step(usize::MAX);
        let window = self.gateway.window;
        let stream = Stream { to_send: up, window: u64::from(window), ..Stream::default() };
        self.gateway.streams.insert(id, stream);
        self.gateway.session.open(FlowId(id), peer(), window);
        while !self.relay.streams.contains_key(&id) {
            self.step(usize::MAX);
        }
        self.relay.streams.get_mut(&id).unwrap().to_send = down;
        self.relay.session.mark_ready(FlowId(id));
    }

    /// Moves at most `most` bytes each way, and returns how many were written.
    fn step(&mut self, most: usize) -> usize {
        let up = self.gateway.write_into(&mut self.up, most);
        self.relay.read_from(&mut self.up, most, self.now);
        let down = self.relay.write_into(&mut self.down, most);
        self.gateway.read_from(&mut self.down, most, self.now);
        up + down
    }

    /// Steps with pieces of the given sizes in turn until `done`. A session that writes nothing for
    /// as many steps as it takes to empty both pipes byte by byte hangs, and that is a bug.
    fn run(&mut self, pieces: &[usize], mut done: impl FnMut(&Self) -> bool) {
        let mut quiet = 0;
        for piece in pieces.iter().cycle() {
            if done(self) {
                return;
            }
            quiet = if self.step(*piece) == 0 { quiet + 1 } else { 0 };
            assert!(quiet <= 2 * PIPE, "the session hangs");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_byte_arrives_once_and_in_order(
        sizes in prop::collection::vec((0u64..200_000, 0u64..200_000), 1..5),
        pieces in prop::collection::vec(1usize..5000, 1..8),
        window in 64u32..100_000,
    ) {
        all_bytes_arrive(&sizes, &pieces, window);
    }

    #[test]
    fn a_stalled_flow_blocks_no_other(
        window in 1000u32..50_000,
        pieces in prop::collection::vec(1usize..5000, 1..8),
    ) {
        another_flow_passes_a_stalled_one(window, &pieces);
    }
}

fn all_bytes_arrive(sizes: &[(u64, u64)], pieces: &[usize], window: u32) {
    let mut pair = Pair::new(window);
    for (id, (up, down)) in sizes.iter().enumerate() {
        pair.open(id as u32, *up, *down);
    }
    pair.run(pieces, |p| {
        let mut streams = p.gateway.streams.values().chain(p.relay.streams.values());
        streams.all(|stream| stream.got_fin && stream.sent_fin)
    });
    for (id, (up, down)) in sizes.iter().enumerate() {
        assert_eq!(pair.relay.streams[&(id as u32)].received, *up);
        assert_eq!(pair.gateway.streams[&(id as u32)].received, *down);
    }
    let sessions = [&pair.gateway.session, &pair.relay.session];
    assert_eq!(sessions.map(|session| session.counters().offences), [0, 0]);
}

fn another_flow_passes_a_stalled_one(window: u32, pieces: &[usize]) {
    let mut pair = Pair::new(window);
    pair.open(1, 1_000_000, 1_000_000);
    pair.gateway.stalled = Some(1);
    pair.relay.stalled = Some(1);
    pair.open(2, 300_000, 300_000);
    pair.run(pieces, |p| p.gateway.streams[&2].got_fin && p.relay.streams[&2].got_fin);
    let received = pair.gateway.streams[&1].received;
    assert_eq!(received, u64::from(window), "exactly its credit, and no more");
    // When it is read again, it ends as well: nothing was lost by waiting.
    pair.gateway.stalled = None;
    pair.relay.stalled = None;
    pair.run(pieces, |p| p.gateway.streams[&1].got_fin && p.relay.streams[&1].got_fin);
    assert_eq!(pair.relay.streams[&1].received, 1_000_000);
}

#[test]
fn control_frames_overtake_bulk() {
    let mut pair = Pair::new(1 << 20);
    for id in 0..4 {
        pair.open(id, 10_000_000, 10_000_000);
    }
    pair.run(&[3000], |p| p.relay.streams.values().all(|s| s.received > 100_000));
    let before: u64 = pair.relay.streams.values().map(|s| s.received).sum();
    let echo = Frame::Echo {
        request: RequestId(9),
        to: peer().ip(),
        marks: Marks::of_ttl(64),
        payload: b"x",
    };
    assert_eq!(pair.gateway.session.send(&echo), Sent::Queued);
    pair.run(&[3000], |p| p.relay.echoes == [9]);
    let after: u64 = pair.relay.streams.values().map(|s| s.received).sum();
    // Bytes that were already staged (a budget and one turn) or in the pipe may come first, and no
    // more.
    assert!(
        after - before <= 8 * 1024 + 65_536 + PIPE as u64 + 3000,
        "{} bytes came before it",
        after - before
    );
}

#[test]
fn flows_get_equal_turns() {
    let mut pair = Pair::new(1 << 20);
    pair.open(1, 50_000_000, 0);
    pair.open(2, 50_000_000, 0);
    pair.run(&[4096], |p| p.relay.streams.values().map(|s| s.received).sum::<u64>() > 4_000_000);
    let (a, b) = (pair.relay.streams[&1].received, pair.relay.streams[&2].received);
    assert!(a.abs_diff(b) <= 3 * 65_536 + 1_000_000 / 8, "{a} against {b}");
}

#[test]
fn bytes_beyond_the_credit_reset_the_flow_and_are_counted() {
    let mut pair = Pair::new(1000);
    pair.open(1, 0, 0);
    pair.open(2, 0, 0);
    let (gateway, now) = (&mut pair.gateway.session, pair.now);
    let bytes = [0; 1001];
    let event = gateway.accept(now, Frame::Data { flow: FlowId(1), bytes: &bytes }).unwrap();
    assert_eq!(event, Some(Frame::Reset { flow: FlowId(1) }));
    assert_eq!(gateway.counters().offences, 1);
    assert_eq!(gateway.flow_count(), 1, "the other flow lives on");
    let late = gateway.accept(now, Frame::Data { flow: FlowId(1), bytes: &bytes }).unwrap();
    assert_eq!((late, gateway.counters().stale_frames), (None, 1));
}

#[test]
fn a_connection_that_stands_cannot_fail_and_is_reset_instead() {
    let mut pair = Pair::new(1000);
    pair.open(1, 0, 0);
    pair.run(&[4096], |p| p.gateway.session.send_credit(FlowId(1)) > 0);
    let (gateway, now) = (&mut pair.gateway.session, pair.now);
    let failed =
        || Frame::Failed { flow: FlowId(1), reason: ConnectFailure::Refused, os_code: 111 };
    assert_eq!(gateway.accept(now, failed()).unwrap(), Some(Frame::Reset { flow: FlowId(1) }));
    assert_eq!((gateway.counters().offences, gateway.flow_count()), (1, 0));
    assert_eq!(
        (gateway.accept(now, failed()).unwrap(), gateway.counters().stale_frames),
        (None, 1)
    );
}

#[test]
fn a_widened_window_allows_just_as_much() {
    let mut pair = Pair::new(1000);
    pair.open(1, 0, 1_000_000);
    pair.gateway.stalled = Some(1);
    pair.run(&[700], |p| p.gateway.streams[&1].received == 1000);
    pair.gateway.session.widen(FlowId(1), 50_000);
    pair.gateway.session.widen(FlowId(1), 400);
    pair.gateway.streams.get_mut(&1).unwrap().window = 50_000;
    pair.run(&[700], |p| p.gateway.streams[&1].received == 50_000);
    // Consumed bytes come back as credit of the wider window, until the end.
    pair.gateway.stalled = None;
    pair.run(&[700], |p| p.gateway.streams[&1].got_fin);
    assert_eq!(pair.gateway.streams[&1].received, 1_000_000);
}

#[test]
fn a_reset_flow_is_gone_at_both_ends_and_its_id_may_be_used_again() {
    let mut pair = Pair::new(5000);
    pair.open(1, 1_000_000, 1_000_000);
    pair.run(&[700], |p| p.relay.streams[&1].received > 20_000);
    pair.gateway.session.reset(FlowId(1));
    pair.run(&[700], |p| p.relay.streams[&1].got_reset);
    assert_eq!((pair.gateway.session.flow_count(), pair.relay.session.flow_count()), (0, 0));
    pair.run(&[4096], |p| p.down.is_empty() && p.relay.staging.is_empty());
    pair.relay.streams.clear();
    pair.open(1, 3, 4);
    pair.run(&[700], |p| p.relay.streams[&1].got_fin && p.gateway.streams[&1].got_fin);
    assert_eq!((pair.relay.streams[&1].received, pair.gateway.streams[&1].received), (3, 4));
}

#[test]
fn strangers_and_other_versions_are_told_by_name() {
    let pair = Pair::new(1);
    let mut session = Session::new(Role::Gateway, hello(), pair.now);
    assert_eq!(session.accept(pair.now, Frame::Changed), Err(Violation::NoHello));
    let other = Hello { version: VERSION + 1, ..hello() };
    let error = session.accept(pair.now, Frame::Hello(other)).unwrap_err();
    assert_eq!(error, Violation::Version { theirs: VERSION + 1, build: "test".into() });
    session.accept(pair.now, Frame::Hello(hello())).unwrap();
    assert_eq!(session.accept(pair.now, Frame::Hello(hello())), Err(Violation::SecondHello));
    let open = Frame::Open { flow: FlowId(1), to: peer(), window: 1, hops: None, name: None };
    assert_eq!(session.accept(pair.now, open), Err(Violation::WrongDirection { frame: "Open" }));
}

#[test]
fn datagrams_are_bounded_and_pass_between_the_turns_of_flows() {
    let mut pair = Pair::new(1 << 20);
    pair.open(1, 100_000_000, 0);
    let datagram = Frame::Datagram {
        bind: BindId(1),
        peer: peer(),
        marks: Marks::of_ttl(64),
        bytes: &[5; 1200],
    };
    let mut queued = 0;
    while pair.gateway.session.send(&datagram) == Sent::Queued {
        queued += 1;
    }
    assert!(
        queued * 1200 >= MAX_QUEUED_DATAGRAM_BYTES - 200_000
            && queued * 1200 <= MAX_QUEUED_DATAGRAM_BYTES
    );
    assert_eq!(pair.gateway.session.counters().datagrams_dropped, 1);
    let mut out = Vec::new();
    let (session, streams) = (&mut pair.gateway.session, &mut pair.gateway.streams);
    session.fill(&mut out, 400_000, &mut Streams(streams, 0));
    let kinds = kinds(&out);
    let bulk = kinds.iter().filter(|k| **k == 19).count();
    let datagrams = kinds.iter().filter(|k| **k == 33).count();
    assert!(bulk >= 3 && datagrams >= 30, "both move: {bulk} data frames, {datagrams} datagrams");
}

/// The kinds of the frames in a stream whose hello has gone before.
fn kinds(mut stream: &[u8]) -> Vec<u8> {
    let mut kinds = Vec::new();
    while let Some([kind, l0, l1, l2, ..]) = stream.get(SEAL..) {
        kinds.push(*kind);
        stream = &stream[SEAL + HEADER + u32::from_le_bytes([*l0, *l1, *l2, 0]) as usize..];
    }
    kinds
}

#[test]
fn silence_is_noticed_by_each_end_in_its_time() {
    for (role, limit) in [(Role::Gateway, GATEWAY_DEAD_AFTER), (Role::Relay, RELAY_DEAD_AFTER)] {
        let start = Pair::new(1).now;
        let mut session = Session::new(role, hello(), start);
        session.accept(start, Frame::Hello(hello())).unwrap();
        let mut now = start;
        while session.handle_timeout(now).is_ok() {
            assert!(now - start <= limit + PING_EVERY, "{role:?} never gave up");
            now = session.next_deadline();
        }
        assert!(now - start >= limit);
    }
}

#[test]
fn how_long_a_relay_may_start_is_not_the_sessions_to_say() {
    let mut now = Pair::new(1).now;
    let mut session = Session::new(Role::Gateway, hello(), now);
    for _ in 0..100 {
        now = session.next_deadline();
        session.handle_timeout(now).unwrap();
    }
    session.accept(now, Frame::Hello(hello())).unwrap();
    session.handle_timeout(session.next_deadline()).unwrap();
}

#[test]
fn a_living_peer_is_never_given_up() {
    let mut pair = Pair::new(1000);
    let start = pair.now;
    while pair.now - start < Duration::from_secs(3600) {
        pair.now = pair.gateway.session.next_deadline().min(pair.relay.session.next_deadline());
        pair.gateway.session.handle_timeout(pair.now).unwrap();
        pair.relay.session.handle_timeout(pair.now).unwrap();
        pair.step(usize::MAX);
        pair.step(usize::MAX);
    }
}

#[test]
fn being_asleep_oneself_is_not_the_other_ends_death() {
    let mut pair = Pair::new(1000);
    pair.step(usize::MAX);
    pair.now += Duration::from_secs(3600);
    assert_eq!(pair.gateway.session.handle_timeout(pair.now), Ok(()));
    assert_eq!(pair.relay.session.handle_timeout(pair.now), Ok(()));
}

#[test]
fn memory_is_worth_giving_back_once_when_most_of_many_flows_are_gone() {
    let mut session = Pair::new(1000).gateway.session;
    let open = |session: &mut Session, flows: std::ops::Range<u32>| {
        flows.for_each(|flow| session.open(FlowId(flow), peer(), 1000));
    };
    let many = u32::try_from(MANY_FLOWS).unwrap();
    open(&mut session, 0..many - 1);
    (0..many - 1).for_each(|flow| session.reset(FlowId(flow)));
    assert!(!session.shrink(), "they were few");
    open(&mut session, 0..many);
    (0..many / 2).for_each(|flow| session.reset(FlowId(flow)));
    assert!(!session.shrink(), "many are left");
    (0..many - 10).for_each(|flow| session.reset(FlowId(flow)));
    assert!(session.shrink());
    assert!(!session.shrink(), "once");
    assert_eq!(session.flow_count(), 10);
}
