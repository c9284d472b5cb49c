#![expect(clippy::unwrap_used, reason = "a test may panic")]
//! A session's reaction to each frame (the rules of README.md), one frame at a time.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use underpass_wire::frame::{Family, VERSION};
use underpass_wire::limits::{
    ASLEEP_AFTER, CONGESTED_CONTROL_BYTES, GATEWAY_DEAD_AFTER, HEADER, MANY_FLOWS, MAX_DATA,
    MAX_FLOWS, MAX_QUEUED_DATAGRAM_BYTES, MAX_WINDOW, PING_EVERY, SEAL,
};
use underpass_wire::session::{Counters, Sent};
use underpass_wire::{
    AnsweredBy, BindId, Capabilities, ConnectFailure, Decoder, Fault, FaultKind, FlowId, Frame,
    Hello, Marks, Pull, QueryFailure, RequestId, Role, Session, Source, Then, Violation,
};

const FLOW: FlowId = FlowId(1);

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a virtual clock must begin somewhere")]
    Instant::now()
}

fn hello(capabilities: Capabilities) -> Hello {
    Hello { version: VERSION, capabilities, max_flows: 100, max_binds: 10, build: "test".into() }
}

fn peer() -> SocketAddr {
    "192.0.2.1:80".parse().unwrap()
}

/// The results of a source's next pulls; after them it has no more.
#[derive(Default)]
struct Script(Vec<(FlowId, usize, Then)>);

impl Source for Script {
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        if self.0.is_empty() {
            return Pull { taken: 0, then: Then::Drained };
        }
        let (expected, bytes, then) = self.0.remove(0);
        assert_eq!(flow, expected);
        let taken = bytes.min(max);
        out.resize(out.len() + taken, 7);
        Pull { taken, then }
    }
}

/// A session whose other end has said hello, and its output.
struct End {
    now: Instant,
    session: Session,
    reader: Decoder,
}

impl End {
    fn new(role: Role) -> Self {
        Self::with(role, Capabilities::ORPHANS)
    }

    fn with(role: Role, peers: Capabilities) -> Self {
        let now = start();
        let mut end = Self {
            now,
            session: Session::new(role, hello(Capabilities::default()), now),
            reader: Decoder::default(),
        };
        assert_eq!(end.session.peer(), None);
        assert!(end.hear(Frame::Hello(hello(peers))).is_some());
        assert_eq!(end.session.peer(), Some(&hello(peers)));
        assert_eq!(end.says().len(), 1, "its own hello");
        end
    }

    fn hear<'a>(&mut self, frame: Frame<'a>) -> Option<Frame<'a>> {
        self.session.accept(self.now, frame).unwrap()
    }

    /// A flow that is up, with a window for either direction.
    fn open(&mut self, flow: FlowId, receive: u32, send: u32) {
        self.session.open(flow, peer(), receive);
        self.hear(Frame::Opened { flow, window: send }).unwrap();
        self.says();
    }

    fn says(&mut self) -> Vec<String> {
        self.says_from(&mut Script::default(), usize::MAX)
    }

    /// The output, each frame in words.
    fn says_from(&mut self, source: &mut Script, budget: usize) -> Vec<String> {
        let mut out = Vec::new();
        self.session.fill(&mut out, budget, source);
        let mut said = Vec::new();
        for piece in out.chunks(10_000) {
            self.reader.space()[..piece.len()].copy_from_slice(piece);
            self.reader.filled(piece.len());
            while let Some(frame) = self.reader.next_frame().unwrap() {
                let text = words(&frame);
                said.push(if let Frame::Data { flow, bytes } = frame {
                    format!("Data {flow} {}", bytes.len())
                } else {
                    text
                });
            }
        }
        said
    }

    fn counters(&self) -> Counters {
        self.session.counters()
    }
}

fn words(frame: &Frame<'_>) -> String {
    format!("{frame:?}")
}

#[test]
fn what_breaks_a_flows_rules_resets_that_flow_and_is_counted() {
    let data = Frame::Data { flow: FLOW, bytes: b"x" };
    let (opened, fin) = (Frame::Opened { flow: FLOW, window: 1 }, Frame::Fin { flow: FLOW });
    // The frames before it are all right.
    let cases: [(Vec<Frame<'_>>, Frame<'_>); 8] = [
        (vec![], data.clone()),
        (vec![], fin.clone()),
        (vec![opened.clone()], opened.clone()),
        (vec![opened.clone()], Frame::Data { flow: FLOW, bytes: b"" }),
        (vec![opened.clone(), fin.clone()], data.clone()),
        (vec![opened.clone(), fin.clone()], fin.clone()),
        (vec![opened.clone(), data.clone()], Frame::Data { flow: FLOW, bytes: b"12345" }),
        (vec![opened.clone()], Frame::Credit { flow: FLOW, bytes: MAX_WINDOW }),
    ];
    for (before, offence) in cases {
        let mut end = End::new(Role::Gateway);
        end.session.open(FLOW, peer(), 5);
        end.session.open(FlowId(2), peer(), 5);
        for frame in &before {
            assert_eq!(end.hear(frame.clone()).as_ref(), Some(frame));
        }
        end.says();
        assert_eq!(
            end.hear(offence.clone()),
            Some(Frame::Reset { flow: FLOW }),
            "{offence:?} after {before:?}"
        );
        assert_eq!(end.says(), [words(&Frame::Reset { flow: FLOW })]);
        assert_eq!((end.counters().offences, end.session.flow_count()), (1, 1));
    }
}

#[test]
fn credit_is_taken_up_to_its_limit_and_bytes_up_to_the_window() {
    let mut end = End::new(Role::Gateway);
    end.open(FLOW, 5, 1);
    assert_eq!(end.hear(Frame::Credit { flow: FLOW, bytes: MAX_WINDOW - 1 }), None);
    assert_eq!(
        (end.session.send_credit(FLOW), end.session.send_credit(FlowId(2))),
        (MAX_WINDOW, 0)
    );
    for bytes in [&b"123"[..], b"45"] {
        assert!(end.hear(Frame::Data { flow: FLOW, bytes }).is_some());
    }
    assert_eq!((end.counters().data_received, end.counters().offences), (5, 0));
}

#[test]
fn frames_of_unknown_flows_are_counted_and_ignored() {
    let mut end = End::new(Role::Gateway);
    let late = [
        Frame::Data { flow: FLOW, bytes: b"x" },
        Frame::Credit { flow: FLOW, bytes: 1 },
        Frame::Fin { flow: FLOW },
        Frame::Reset { flow: FLOW },
        Frame::Failed { flow: FLOW, reason: ConnectFailure::Refused, os_code: 0 },
        Frame::Opened { flow: FLOW, window: 1 },
    ];
    for (count, frame) in (1..).zip(late) {
        assert_eq!(end.hear(frame.clone()), None, "{frame:?}");
        assert_eq!(end.counters().stale_frames, count);
    }
    assert!(end.says().is_empty());
    // Failed and Reset end a known flow, and do not count as stale.
    end.session.open(FLOW, peer(), 1);
    let failed = Frame::Failed { flow: FLOW, reason: ConnectFailure::Other, os_code: 1 };
    assert_eq!(end.hear(failed.clone()), Some(failed));
    end.open(FLOW, 1, 1);
    let reset = Frame::Reset { flow: FLOW };
    assert_eq!(end.hear(reset.clone()), Some(reset));
    assert_eq!((end.session.flow_count(), end.counters().stale_frames), (0, 6));
}

#[test]
fn only_one_end_may_send_each_frame_of_its_own() {
    let (flow, bind, request) = (FLOW, BindId(1), RequestId(1));
    let fault = Fault { kind: FaultKind::Prohibited, router: None };
    let marks = Marks::of_ttl(64);
    let to: IpAddr = peer().ip();
    let gateways = [
        ("Open", Frame::Open { flow, to: peer(), window: 1, hops: None, name: None }),
        ("Bind", Frame::Bind { bind, family: Family::V4 }),
        ("Query", Frame::Query { request, message: b"" }),
        ("Echo", Frame::Echo { request, to, marks, payload: b"" }),
        ("AskFacts", Frame::AskFacts { request }),
        ("Via", Frame::Via { json: b"" }),
        ("HostAccess", Frame::HostAccess { json: b"" }),
        ("Orphan", Frame::Orphan { flow }),
        ("Link", Frame::Link { json: b"" }),
    ];
    let relays = [
        ("Opened", Frame::Opened { flow, window: 1 }),
        ("Failed", Frame::Failed { flow, reason: ConnectFailure::Other, os_code: 0 }),
        ("PeerError", Frame::PeerError { bind, peer: peer(), fault }),
        ("Answer", Frame::Answer { request, by: AnsweredBy::Servers, message: b"" }),
        ("NoAnswer", Frame::NoAnswer { request, reason: QueryFailure::Refused }),
        ("EchoReply", Frame::EchoReply { request, ttl: 1, payload: b"" }),
        ("EchoError", Frame::EchoError { request, fault }),
        ("Facts", Frame::Facts { request, json: b"" }),
        ("Changed", Frame::Changed),
        ("ViaTrouble", Frame::ViaTrouble { words: "" }),
        ("LinkFailed", Frame::LinkFailed { json: b"" }),
    ];
    let mut end = End::new(Role::Gateway);
    for (sender, others, frames) in
        [(Role::Gateway, Role::Relay, &gateways[..]), (Role::Relay, Role::Gateway, &relays[..])]
    {
        for (name, frame) in frames {
            end.session = End::new(sender).session;
            let refused = end.session.accept(end.now, frame.clone());
            assert_eq!(refused, Err(Violation::WrongDirection { frame: name }));
            end.session = End::new(others).session;
            assert!(end.session.accept(end.now, frame.clone()).is_ok(), "{name}");
        }
    }
    for both in
        [Frame::Datagram { bind, peer: peer(), marks, bytes: b"" }, Frame::Pong { nonce: 1 }]
    {
        for role in [Role::Gateway, Role::Relay] {
            assert!(End::new(role).session.accept(end.now, both.clone()).is_ok(), "{both:?}");
        }
    }
}

#[test]
fn a_relay_takes_so_many_flows_and_each_id_once() {
    let mut end = End::new(Role::Relay);
    let open = |flow| Frame::Open { flow, to: peer(), window: 9, hops: None, name: None };
    for flow in (0..u32::try_from(MAX_FLOWS).unwrap()).map(FlowId) {
        assert!(end.hear(open(flow)).is_some());
    }
    assert_eq!(end.session.send_credit(FlowId(7)), 9);
    let one_more = FlowId(1 << 20);
    assert_eq!(end.hear(open(one_more)), None);
    let failed = Frame::Failed { flow: one_more, reason: ConnectFailure::TooManyFlows, os_code: 0 };
    assert_eq!(end.says(), [words(&failed)]);
    end.session.failed(FlowId(0), ConnectFailure::Refused, 3);
    end.session.failed(FlowId(0), ConnectFailure::Refused, 3);
    let failed = Frame::Failed { flow: FlowId(0), reason: ConnectFailure::Refused, os_code: 3 };
    assert_eq!((end.says(), end.session.flow_count()), (vec![words(&failed)], MAX_FLOWS - 1));
    assert_eq!((end.hear(open(FlowId(7))), end.counters().offences), (None, 1));
    assert_eq!(end.session.flow_count(), MAX_FLOWS - 1, "the first one lives on");
}

#[test]
fn credit_goes_back_by_quarters_of_the_window_until_the_end_of_the_stream() {
    let mut end = End::new(Role::Gateway);
    end.open(FLOW, 1000, 1);
    end.hear(Frame::Data { flow: FLOW, bytes: &[1; 1000] });
    end.session.consumed(FLOW, 249);
    assert!(end.says().is_empty(), "less than a quarter");
    end.session.consumed(FLOW, 1);
    assert_eq!(end.says(), [words(&Frame::Credit { flow: FLOW, bytes: 250 })]);
    end.session.consumed(FLOW, 300);
    assert_eq!(end.says(), [words(&Frame::Credit { flow: FLOW, bytes: 300 })]);
    // As much as was given back may come, and no more.
    assert!(end.hear(Frame::Data { flow: FLOW, bytes: &[1; 550] }).is_some());
    end.session.widen(FLOW, 1400);
    assert_eq!(end.says(), [words(&Frame::Credit { flow: FLOW, bytes: 400 })]);
    end.session.consumed(FLOW, 349);
    end.session.widen(FLOW, 1400);
    end.session.widen(FLOW, 900);
    assert!(end.says().is_empty(), "a quarter of the wider one, and the window is as wide already");
    assert!(end.hear(Frame::Data { flow: FLOW, bytes: &[1; 400] }).is_some());
    end.hear(Frame::Fin { flow: FLOW });
    end.session.consumed(FLOW, 1051);
    end.session.widen(FLOW, 5000);
    assert!(end.says().is_empty(), "nothing comes any more");
}

#[test]
fn no_window_is_larger_than_the_largest() {
    let mut gateway = End::new(Role::Gateway);
    gateway.session.open(FLOW, peer(), u32::MAX);
    let open = Frame::Open { flow: FLOW, to: peer(), window: MAX_WINDOW, hops: None, name: None };
    assert_eq!(gateway.says(), [words(&open)]);
    let mut relay = End::new(Role::Relay);
    relay.hear(Frame::Open { flow: FLOW, to: peer(), window: 1, hops: None, name: None });
    relay.session.opened(FLOW, u32::MAX);
    assert_eq!(relay.says(), [words(&Frame::Opened { flow: FLOW, window: MAX_WINDOW })]);
    relay.session.widen(FLOW, u32::MAX);
    assert!(relay.says().is_empty());
}

#[test]
fn a_turn_takes_what_credit_allows_and_waits_for_more() {
    let mut end = End::new(Role::Gateway);
    end.open(FLOW, 1, 10);
    assert!(!end.session.has_output());
    end.session.mark_ready(FLOW);
    assert!(end.session.has_output());
    let mut source =
        Script(vec![(FLOW, 6, Then::More), (FLOW, 100, Then::More), (FLOW, 3, Then::Drained)]);
    assert_eq!(
        end.says_from(&mut source, usize::MAX),
        ["Data flow 1 6", "Data flow 1 4"].map(flow_name)
    );
    assert_eq!((end.session.send_credit(FLOW), end.counters().data_sent), (0, 10));
    assert!(!end.session.has_output(), "it waits for credit");
    end.session.mark_ready(FLOW);
    assert!(!end.session.has_output(), "it is in line already");
    end.hear(Frame::Credit { flow: FLOW, bytes: 50 });
    assert!(end.session.has_output());
    assert_eq!(end.says_from(&mut source, usize::MAX), [flow_name("Data flow 1 3")]);
    assert!(!end.session.has_output(), "its source has nothing");
    // A turn has one frame of at most 64 KiB, and the budget ends the turns.
    end.hear(Frame::Credit { flow: FLOW, bytes: MAX_WINDOW / 2 });
    end.session.mark_ready(FLOW);
    let mut source = Script(vec![(FLOW, usize::MAX, Then::More); 3]);
    let full = flow_name(&format!("Data flow 1 {MAX_DATA}"));
    assert_eq!(end.says_from(&mut source, MAX_DATA), std::slice::from_ref(&full));
    assert_eq!(end.says_from(&mut source, MAX_DATA + 100), [full.clone(), full]);
}

/// Flows by the words that they have.
fn flow_name(text: &str) -> String {
    text.replace("flow 1", &FLOW.to_string())
}

#[test]
fn a_stream_ends_behind_its_bytes_and_a_broken_one_is_reset() {
    for (then, last) in
        [(Then::Finished, Frame::Fin { flow: FLOW }), (Then::Failed, Frame::Reset { flow: FLOW })]
    {
        let mut end = End::new(Role::Gateway);
        end.open(FLOW, 1, 10);
        end.session.mark_ready(FLOW);
        let mut source = Script(vec![(FLOW, 3, then)]);
        assert_eq!(
            end.says_from(&mut source, usize::MAX),
            [flow_name("Data flow 1 3"), words(&last)]
        );
        end.session.mark_ready(FLOW);
        assert!(!end.session.has_output(), "there is nothing to come");
        assert_eq!(end.session.flow_count(), usize::from(then == Then::Finished));
    }
    // Without bytes there is no data frame.
    let mut end = End::new(Role::Gateway);
    end.open(FLOW, 1, 10);
    end.session.mark_ready(FLOW);
    let mut source = Script(vec![(FLOW, 0, Then::Finished)]);
    assert_eq!(end.says_from(&mut source, usize::MAX), [words(&Frame::Fin { flow: FLOW })]);
}

#[test]
fn a_flow_gets_no_turn_before_it_is_open_and_none_of_another_with_its_id() {
    let mut end = End::new(Role::Gateway);
    end.session.open(FLOW, peer(), 1);
    end.session.mark_ready(FLOW);
    assert_eq!(end.says().len(), 1, "Open alone");
    assert!(!end.session.has_output());
    end.hear(Frame::Opened { flow: FLOW, window: 10 });
    end.session.mark_ready(FLOW);
    end.session.reset(FLOW);
    end.open(FLOW, 1, 10);
    let mut source = Script(vec![(FLOW, 5, Then::Drained)]);
    assert!(
        end.says_from(&mut source, usize::MAX).is_empty(),
        "its source has not said that it has bytes"
    );
    assert_eq!(source.0.len(), 1);
}

#[test]
fn an_orphan_goes_to_a_relay_that_knows_it() {
    for (peers, expected) in [
        (Capabilities::ORPHANS, Frame::Orphan { flow: FLOW }),
        (Capabilities::UDP, Frame::Reset { flow: FLOW }),
    ] {
        let mut end = End::with(Role::Gateway, peers);
        end.open(FLOW, 1, 1);
        end.session.orphan(FLOW);
        end.session.orphan(FLOW);
        assert_eq!((end.says(), end.session.flow_count()), (vec![words(&expected)], 0));
    }
    let mut relay = End::new(Role::Relay);
    relay.hear(Frame::Open { flow: FLOW, to: peer(), window: 1, hops: None, name: None });
    assert_eq!(relay.hear(Frame::Orphan { flow: FLOW }), Some(Frame::Orphan { flow: FLOW }));
    assert_eq!(relay.session.flow_count(), 0);
    let mut end = End::new(Role::Gateway);
    end.open(FLOW, 1, 1);
    end.session.forget(FLOW);
    assert_eq!((end.says(), end.session.flow_count()), (Vec::new(), 0));
}

#[test]
fn datagrams_wait_up_to_a_bound_and_control_frames_show_when_they_are_many() {
    let mut end = End::new(Role::Gateway);
    let bytes = [5; 1000];
    let datagram =
        Frame::Datagram { bind: BindId(1), peer: peer(), marks: Marks::of_ttl(64), bytes: &bytes };
    let mut frame = Vec::new();
    datagram.encode(&mut frame);
    let mut count = 0;
    while end.session.takes_datagrams() {
        assert_eq!(end.session.send(&datagram), Sent::Queued);
        count += 1;
    }
    assert_eq!(count, MAX_QUEUED_DATAGRAM_BYTES.div_ceil(frame.len()));
    assert_eq!((end.session.send(&datagram), end.counters().datagrams_dropped), (Sent::Dropped, 1));
    assert!(end.session.has_output());
    // A batch is at most a quarter of a turn and one datagram.
    let first = end.says_from(&mut Script::default(), 1).len();
    assert_eq!(first, (MAX_DATA / 4).div_ceil(frame.len()));
    assert!(end.session.takes_datagrams());
    assert_eq!(end.says().len(), count - first);
    assert!(!end.session.has_output());
    while end.session.takes_datagrams() {
        end.session.send(&datagram);
        count -= 1;
    }
    assert_eq!(count, 0, "there is as much room as before");

    let ping = Frame::Ping { nonce: 1 };
    assert_eq!((end.session.is_congested(), end.session.waiting_bytes()), (false, 0));
    let each = 16;
    for sent in 1..=CONGESTED_CONTROL_BYTES / each + 1 {
        assert_eq!(end.session.send(&ping), Sent::Queued);
        assert_eq!(end.session.waiting_bytes(), sent * each);
        assert_eq!(end.session.is_congested(), sent * each > CONGESTED_CONTROL_BYTES);
    }
    assert!(end.says().len() > CONGESTED_CONTROL_BYTES / each && !end.session.is_congested());
}

#[test]
fn pings_are_answered_and_sent_in_time_each_with_its_number() {
    let mut end = End::new(Role::Gateway);
    assert_eq!(end.hear(Frame::Ping { nonce: 77 }), None);
    assert_eq!(end.says(), [words(&Frame::Pong { nonce: 77 })]);
    assert_eq!(end.hear(Frame::Pong { nonce: 77 }), None);
    assert_eq!(end.session.next_deadline(), end.now + PING_EVERY);
    for nonce in 1..=2 {
        let due = end.session.next_deadline();
        end.session.handle_timeout(due - Duration::from_millis(1)).unwrap();
        assert!(end.says().is_empty(), "too early");
        end.session.handle_timeout(due).unwrap();
        assert_eq!(end.says(), [words(&Frame::Ping { nonce })]);
        assert_eq!(end.session.next_deadline(), due + PING_EVERY);
    }
}

#[test]
fn an_end_that_was_late_itself_counts_anew_and_one_on_time_does_not() {
    for (late, is_given_up) in
        [(ASLEEP_AFTER, true), (ASLEEP_AFTER + Duration::from_millis(1), false)]
    {
        let mut end = End::new(Role::Gateway);
        let mut now = end.now;
        while now + PING_EVERY < end.now + GATEWAY_DEAD_AFTER {
            now = end.session.next_deadline();
            end.session.handle_timeout(now).unwrap();
        }
        let silence = end.session.handle_timeout(end.session.next_deadline() + late);
        assert_eq!(silence.is_err(), is_given_up, "{silence:?}");
    }
}

#[test]
fn memory_is_given_back_when_a_quarter_is_left_of_many() {
    let many = u32::try_from(MANY_FLOWS).unwrap();
    for (most, left, is_worth_it) in [
        (many, many / 4, true),
        (many, many / 4 + 1, false),
        (many - 1, 0, false),
        (many + 4, many / 4 + 1, true),
    ] {
        let mut end = End::new(Role::Relay);
        for flow in (0..most).map(FlowId) {
            end.hear(Frame::Open { flow, to: peer(), window: 1, hops: None, name: None });
        }
        (left..most).for_each(|flow| end.session.forget(FlowId(flow)));
        assert_eq!(end.session.shrink(), is_worth_it, "{left} of {most}");
    }
}

#[test]
fn each_end_moves_once_and_in_its_turn() {
    let refused = |frame| Err(Violation::Move { frame });
    let link = Frame::Link { json: b"" };
    let mut gateway = End::new(Role::Gateway);
    assert_eq!(gateway.session.accept(gateway.now, Frame::Moved), refused("Moved"), "before it");
    let mut out = Vec::new();
    gateway.session.move_out(&mut out);
    assert_eq!(out.len(), SEAL + HEADER, "nothing else");
    assert_eq!(gateway.hear(Frame::Moved), Some(Frame::Moved));
    assert_eq!(gateway.session.accept(gateway.now, Frame::Moved), refused("Moved"), "twice");
    let mut relay = End::new(Role::Relay);
    assert_eq!(relay.session.accept(relay.now, Frame::Moved), refused("Moved"), "without an offer");
    for _ in 0..2 {
        assert_eq!(relay.hear(link.clone()), Some(link.clone()), "the gateway may try again");
    }
    assert_eq!(relay.hear(Frame::Moved), Some(Frame::Moved));
    assert_eq!(relay.session.accept(relay.now, link), refused("Link"), "after the move");
    assert_eq!(relay.session.accept(relay.now, Frame::Moved), refused("Moved"), "twice");
}

#[test]
fn control_frames_that_wait_go_by_the_link() {
    let mut gateway = End::new(Role::Gateway);
    gateway.says();
    gateway.session.send(&Frame::AskFacts { request: RequestId(1) });
    let mut out = Vec::new();
    gateway.session.move_out(&mut out);
    gateway.reader.space()[..out.len()].copy_from_slice(&out);
    gateway.reader.filled(out.len());
    assert_eq!(gateway.reader.next_frame(), Ok(Some(Frame::Moved)));
    assert_eq!(gateway.reader.waiting(), 0);
    assert_eq!(gateway.says(), [words(&Frame::AskFacts { request: RequestId(1) })]);
}
