#![expect(clippy::unwrap_used, reason = "a test may panic")]
//! The frame codec: it reads back what it writes, in whatever pieces the bytes arrive, and no byte
//! string makes it panic.

use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use underpass_wire::frame::{Family, Part};
use underpass_wire::limits::{
    HEADER, MAX_BUILD_NAME, MAX_NAME, MAX_PAYLOAD, MAX_WINDOW, MAX_WORDS,
};
use underpass_wire::{
    AnsweredBy, BindId, Capabilities, ConnectFailure, Decoder, Fault, FaultKind, FlowId, Fragments,
    Frame, FrameError, Hello, Marks, QueryFailure, RequestId, UnbindReason,
};

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![any::<[u8; 4]>().prop_map(IpAddr::from), any::<[u8; 16]>().prop_map(IpAddr::from)]
}

fn socket() -> impl Strategy<Value = SocketAddr> {
    (ip(), any::<u16>()).prop_map(SocketAddr::from)
}

fn fault() -> impl Strategy<Value = Fault> {
    let kind = prop_oneof![
        Just(FaultKind::NetworkUnreachable),
        Just(FaultKind::HostUnreachable),
        Just(FaultKind::ProtocolUnreachable),
        Just(FaultKind::PortUnreachable),
        Just(FaultKind::Prohibited),
        Just(FaultKind::TimeExceeded),
        any::<u32>().prop_map(|mtu| FaultKind::PacketTooBig { mtu }),
    ];
    (kind, prop::option::of(ip())).prop_map(|(kind, router)| Fault { kind, router })
}

fn failure() -> impl Strategy<Value = ConnectFailure> {
    prop_oneof![
        Just(ConnectFailure::Refused),
        Just(ConnectFailure::TimedOut),
        Just(ConnectFailure::NetworkUnreachable),
        Just(ConnectFailure::HostUnreachable),
        Just(ConnectFailure::PermissionDenied),
        Just(ConnectFailure::NoResources),
        Just(ConnectFailure::TooManyFlows),
        Just(ConnectFailure::Other),
        fault().prop_map(ConnectFailure::Reported),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    (any::<u16>(), any::<u32>(), any::<u32>(), any::<u32>(), "[a-z0-9 .]{0,40}").prop_map(
        |(version, capabilities, max_flows, max_binds, build)| Hello {
            version,
            capabilities: Capabilities::from_bits_retain(capabilities),
            max_flows,
            max_binds,
            build,
        },
    )
}

/// The longest name of a host.
const LONG_NAME: &str = {
    const BYTES: [u8; MAX_NAME] = [b'n'; MAX_NAME];
    match std::str::from_utf8(&BYTES) {
        Ok(name) => name,
        Err(_) => panic!(),
    }
};

/// A frame with its bulk payload held separately, so that it can be borrowed.
fn frames() -> impl Strategy<Value = (u32, Vec<u8>, u8, FrameSeed)> {
    let seed = prop_oneof![
        hello().prop_map(FrameSeed::Hello),
        (
            socket(),
            0..=MAX_WINDOW,
            any::<u8>(),
            prop::sample::select(vec![None, Some("a"), Some("bücher.test"), Some(LONG_NAME)])
        )
            .prop_map(|(to, window, hops, name)| FrameSeed::Open(to, window, hops, name)),
        (0..=MAX_WINDOW).prop_map(FrameSeed::Opened),
        (failure(), any::<i32>()).prop_map(|(r, c)| FrameSeed::Failed(r, c)),
        any::<u32>().prop_map(FrameSeed::Credit),
        (socket(), fault()).prop_map(|(p, f)| FrameSeed::PeerError(p, f)),
        (0..7u8, socket(), any::<u64>()).prop_map(|(n, s, nonce)| FrameSeed::Small(n, s, nonce)),
        (0..7u8, socket(), fault()).prop_map(|(n, s, f)| FrameSeed::Bulk(n, s, f)),
    ];
    (any::<u32>(), prop::collection::vec(any::<u8>(), 0..300), any::<u8>(), seed)
}

#[derive(Clone, Debug)]
enum FrameSeed {
    Hello(Hello),
    Open(SocketAddr, u32, u8, Option<&'static str>),
    Opened(u32),
    Failed(ConnectFailure, i32),
    Credit(u32),
    PeerError(SocketAddr, Fault),
    Small(u8, SocketAddr, u64),
    Bulk(u8, SocketAddr, Fault),
}

fn build(id: u32, bytes: &[u8], ttl: u8, seed: FrameSeed) -> Frame<'_> {
    let (flow, bind, request) = (FlowId(id), BindId(id), RequestId(id));
    match seed {
        FrameSeed::Hello(hello) => Frame::Hello(hello),
        FrameSeed::Open(to, window, hops, name) => {
            Frame::Open { flow, to, window, hops: NonZeroU8::new(hops), name }
        }
        FrameSeed::Opened(window) => Frame::Opened { flow, window },
        FrameSeed::Failed(reason, os_code) => Frame::Failed { flow, reason, os_code },
        FrameSeed::Credit(bytes) => Frame::Credit { flow, bytes },
        FrameSeed::PeerError(peer, fault) => Frame::PeerError { bind, peer, fault },
        FrameSeed::Small(n, s, nonce) => match n {
            0 => Frame::Fin { flow },
            1 => Frame::Reset { flow },
            2 => Frame::Bind { bind, family: Family::of(s.ip()) },
            3 => Frame::Ping { nonce },
            4 => Frame::Pong { nonce },
            5 => Frame::Orphan { flow },
            _ => Frame::Changed,
        },
        FrameSeed::Bulk(n, s, fault) => match n {
            0 => Frame::Data { flow, bytes },
            1 => Frame::Datagram { bind, peer: s, marks: marks(ttl), bytes },
            2 => Frame::Query { request, message: bytes },
            3 => Frame::Answer { request, by: ANSWERED_BY[usize::from(ttl % 4)], message: bytes },
            4 => Frame::Echo { request, to: s.ip(), marks: marks(ttl), payload: bytes },
            5 => Frame::EchoReply { request, ttl, payload: bytes },
            _ => Frame::EchoError { request, fault },
        },
    }
}

/// Marks of every kind, from one byte.
fn marks(ttl: u8) -> Marks {
    let fragments = if ttl & 1 == 0 { Fragments::Allowed } else { Fragments::Forbidden };
    Marks { ttl, traffic_class: ttl.wrapping_mul(7), fragments }
}

const ANSWERED_BY: [AnsweredBy; 4] =
    [AnsweredBy::HostsFile, AnsweredBy::RawQuery, AnsweredBy::RecordQuery, AnsweredBy::Servers];

fn feed(decoder: &mut Decoder, bytes: &[u8]) {
    decoder.space()[..bytes.len()].copy_from_slice(bytes);
    decoder.filled(bytes.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn a_frame_is_read_as_it_was_written(
        (id, bytes, ttl, seed) in frames(),
        cut in any::<prop::sample::Index>(),
    ) {
        let frame = build(id, &bytes, ttl, seed);
        let mut stream = Vec::new();
        frame.encode(&mut stream);
        let cut = cut.index(stream.len());
        let mut decoder = Decoder::default();
        feed(&mut decoder, &stream[..cut]);
        prop_assert_eq!(decoder.next_frame(), Ok(None));
        feed(&mut decoder, &stream[cut..]);
        prop_assert_eq!(decoder.next_frame(), Ok(Some(frame)));
        prop_assert_eq!(decoder.next_frame(), Ok(None));
    }

    #[test]
    fn no_bytes_panic_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let mut decoder = Decoder::default();
        feed(&mut decoder, &bytes);
        for _ in 0..bytes.len() {
            match decoder.next_frame() {
                Ok(Some(_)) | Err(FrameError::UnknownKind { .. }) => {}
                Ok(None)
                | Err(FrameError::TooLong { .. })
                | Err(FrameError::Malformed { .. } | FrameError::Damaged { .. }) => break,
            }
        }
    }

    #[test]
    fn a_damaged_frame_panics_nothing(
        (id, bytes, ttl, seed) in frames(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut stream = Vec::new();
        build(id, &bytes, ttl, seed).encode(&mut stream);
        let at = at.index(stream.len());
        stream[at] = byte;
        let mut decoder = Decoder::default();
        feed(&mut decoder, &stream);
        let _ = decoder.next_frame();
    }
}

#[test]
fn every_small_kind_survives_the_round_trip() {
    for reason in [QueryFailure::TimedOut, QueryFailure::NoServer, QueryFailure::Refused] {
        round_trip(&Frame::NoAnswer { request: RequestId(7), reason });
    }
    for reason in [UnbindReason::Done, UnbindReason::TooMany, UnbindReason::Broken] {
        round_trip(&Frame::Unbind { bind: BindId(7), reason });
    }
    round_trip(&Frame::AskFacts { request: RequestId(1) });
    round_trip(&Frame::Facts { request: RequestId(1), json: b"{}" });
    round_trip(&Frame::Via { json: b"{}" });
    round_trip(&Frame::HostAccess { json: b"{}" });
    round_trip(&Frame::Link { json: b"{}" });
    round_trip(&Frame::LinkFailed { json: b"{}" });
    round_trip(&Frame::Moved);
    for words in ["", "the proxy is away", &"n".repeat(MAX_WORDS)] {
        round_trip(&Frame::ViaTrouble { words });
    }
}

#[test]
fn marks_with_undefined_flags_are_malformed() {
    let peer = SocketAddr::from(([192, 0, 2, 1], 443));
    for frame in [
        Frame::Datagram { bind: BindId(1), peer, marks: marks(64), bytes: b"x" },
        Frame::Echo { request: RequestId(1), to: peer.ip(), marks: marks(65), payload: b"x" },
    ] {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        let flags = HEADER + 2;
        assert!(bytes[flags] <= 1);
        for unknown in 2..=u8::MAX {
            bytes[flags] = unknown;
            assert!(matches!(Frame::parse(&bytes), Err(FrameError::Malformed { .. })), "{unknown}");
        }
    }
}

#[test]
fn a_name_that_is_too_long_is_left_out_and_words_are_cut_at_a_character() {
    let decoded = |frame: &Frame<'_>| {
        let mut stream = Vec::new();
        frame.encode(&mut stream);
        stream
    };
    let (flow, to) = (FlowId(1), SocketAddr::from(([192, 0, 2, 1], 443)));
    let long = "n".repeat(MAX_NAME + 1);
    let without = Frame::Open { flow, to, window: 1, hops: None, name: None };
    assert_eq!(
        decoded(&Frame::Open { flow, to, window: 1, hops: None, name: Some(&long) }),
        decoded(&without)
    );
    let words = "é".repeat(MAX_WORDS);
    assert_eq!(decoded(&Frame::ViaTrouble { words: &words }).len(), HEADER + MAX_WORDS);
}

#[test]
fn a_name_or_words_that_are_no_text_or_too_long_are_malformed() {
    let open =
        [vec![16, 0, 0, 0, 1, 0, 0, 0], vec![1, 0, 0, 0, 4, 192, 0, 2, 1, 80, 0, 7]].concat();
    for tail in [vec![0xff], vec![b'n'; MAX_NAME + 1]] {
        let mut stream = [&open[..], &tail].concat();
        let [l0, l1, ..] = u32::try_from(stream.len() - HEADER).unwrap().to_le_bytes();
        (stream[1], stream[2]) = (l0, l1);
        let mut decoder = Decoder::default();
        feed(&mut decoder, &stream);
        assert!(
            matches!(decoder.next_frame(), Err(FrameError::Malformed { kind: 16, .. })),
            "{tail:?}"
        );
    }
    let mut decoder = Decoder::default();
    feed(&mut decoder, &[97, 1, 0, 0, 0, 0, 0, 0, 0xff]);
    assert_eq!(decoder.next_frame(), Err(FrameError::Malformed { kind: 97, length: 1 }));
}

fn round_trip(frame: &Frame<'_>) {
    let mut stream = Vec::new();
    frame.encode(&mut stream);
    let mut decoder = Decoder::default();
    feed(&mut decoder, &stream);
    assert_eq!(decoder.next_frame().unwrap().as_ref(), Some(frame));
}

#[test]
fn a_length_over_the_limit_is_an_error_before_its_bytes_come() {
    let mut decoder = Decoder::default();
    let [l0, l1, l2, _] = u32::try_from(MAX_PAYLOAD + 1).unwrap().to_le_bytes();
    feed(&mut decoder, &[19, l0, l1, l2, 0, 0, 0, 0]);
    assert_eq!(
        decoder.next_frame(),
        Err(FrameError::TooLong { kind: 19, length: MAX_PAYLOAD + 1 })
    );
}

/// These sentences name the frame in a log.
#[test]
fn an_error_says_what_is_wrong_with_which_frame() {
    let damaged = |part| FrameError::Damaged { frame: 9, part };
    for (error, words) in [
        (
            FrameError::TooLong { kind: 19, length: 70_000 },
            format!(
                "a frame of kind 19 says it has 70000 payload bytes, \
                 more than the {MAX_PAYLOAD} that are allowed"
            ),
        ),
        (
            FrameError::Malformed { kind: 21, length: 1 },
            "the payload of a frame of kind 21 (1 bytes) is malformed".into(),
        ),
        (
            damaged(Part::Header),
            "bytes were lost or doubled: the header of frame 9 is not what was sent".into(),
        ),
        (
            damaged(Part::Payload),
            "bytes were lost or doubled: the payload of frame 9 is not what was sent".into(),
        ),
        (
            damaged(Part::Rest),
            "bytes were lost or doubled: the rest of frame 9 is not what was sent".into(),
        ),
        (FrameError::UnknownKind { kind: 200 }, "a frame of unknown kind 200 was skipped".into()),
    ] {
        assert_eq!(error.to_string(), words);
    }
}

#[test]
fn a_trailing_byte_is_malformed() {
    let mut stream = Vec::new();
    Frame::Fin { flow: FlowId(1) }.encode(&mut stream);
    stream[1] = 1;
    stream.push(0);
    let mut decoder = Decoder::default();
    feed(&mut decoder, &stream);
    assert_eq!(decoder.next_frame(), Err(FrameError::Malformed { kind: 21, length: 1 }));
}

#[test]
fn an_unknown_kind_is_skipped_whole() {
    let mut stream = vec![200, 3, 0, 0, 1, 0, 0, 0, 9, 9, 9];
    Frame::Changed.encode(&mut stream);
    let mut decoder = Decoder::default();
    feed(&mut decoder, &stream);
    assert_eq!(decoder.next_frame(), Err(FrameError::UnknownKind { kind: 200 }));
    assert_eq!(decoder.next_frame(), Ok(Some(Frame::Changed)));
}

#[test]
fn a_long_build_name_is_cut_at_a_character() {
    let hello = Hello {
        version: 1,
        capabilities: Capabilities::default(),
        max_flows: 1,
        max_binds: 1,
        build: "é".repeat(MAX_BUILD_NAME),
    };
    let mut stream = Vec::new();
    Frame::Hello(hello).encode(&mut stream);
    let mut decoder = Decoder::default();
    feed(&mut decoder, &stream);
    let Some(Frame::Hello(read)) = decoder.next_frame().unwrap() else { panic!("no hello") };
    assert_eq!(read.build, "é".repeat(MAX_BUILD_NAME / 2));
}

/// The replacement character has three bytes, so a name that is not UTF-8 grows when it is read.
#[test]
fn a_build_name_that_is_not_utf8_keeps_the_limit() {
    let mut stream = Vec::new();
    let build = "x".repeat(MAX_BUILD_NAME);
    let hello = Hello {
        version: 1,
        capabilities: Capabilities::default(),
        max_flows: 1,
        max_binds: 1,
        build,
    };
    Frame::Hello(hello).encode(&mut stream);
    let name = stream.len() - MAX_BUILD_NAME;
    stream[name..].fill(0xff);
    let Some((Frame::Hello(read), _)) = Frame::parse(&stream).unwrap() else { panic!("no hello") };
    assert_eq!(read.build, "\u{fffd}".repeat(MAX_BUILD_NAME / 3));
    let mut again = Vec::new();
    Frame::Hello(read.clone()).encode(&mut again);
    assert_eq!(Frame::parse(&again), Ok(Some((Frame::Hello(read), again.len()))));
}

#[test]
fn full_frames_keep_flowing_through_the_fixed_buffer() {
    let bytes = vec![7; MAX_PAYLOAD];
    let frame = Frame::Data { flow: FlowId(3), bytes: &bytes };
    let mut stream = Vec::new();
    for _ in 0..20 {
        frame.encode(&mut stream);
    }
    let (mut decoder, mut rest, mut frames) = (Decoder::default(), &stream[..], 0);
    while frames < 20 {
        let space = decoder.space();
        assert!(!space.is_empty(), "there is always room for the rest of a frame");
        let n = space.len().min(rest.len()).min(10_001);
        space[..n].copy_from_slice(&rest[..n]);
        rest = &rest[n..];
        decoder.filled(n);
        while let Some(read) = decoder.next_frame().unwrap() {
            assert_eq!(read, frame);
            frames += 1;
        }
    }
    assert_eq!(stream.len(), 20 * (HEADER + MAX_PAYLOAD));
}
