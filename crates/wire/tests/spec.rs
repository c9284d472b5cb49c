#![expect(clippy::unwrap_used, reason = "a test may panic")]
//! The bytes of each frame according to the specification (README.md): mistakes that both
//! directions of the codec share show here.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use underpass_wire::frame::{Family, VERSION};
use underpass_wire::limits::{
    DECODER_BUFFER, HEADER, MAX_BUILD_NAME, MAX_DATA, MAX_NAME, MAX_PAYLOAD,
    MAX_QUEUED_DATAGRAM_BYTES, MAX_WINDOW, MAX_WORDS, SEAL,
};
use underpass_wire::{
    AnsweredBy, BindId, Capabilities, ConnectFailure, Decoder, Fault, FaultKind, FlowId, Fragments,
    Frame, FrameError, Hello, Marks, QueryFailure, RequestId, UnbindReason,
};

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&mut bytes);
    bytes
}

/// A frame with a payload of at most 255 bytes, from its parts.
fn frame(kind: u8, id: u8, payload: &[&[u8]]) -> Vec<u8> {
    let payload = payload.concat();
    let length = u8::try_from(payload.len()).unwrap();
    [&[kind, length, 0, 0, id, 0, 0, 0], &payload[..]].concat()
}

/// 192.0.2.1 port 443, which is 0x01BB.
const V4: &[u8] = &[4, 192, 0, 2, 1];
const PORT: &[u8] = &[0xbb, 1];

#[test]
fn each_frame_has_the_bytes_of_the_specification() {
    let (flow, bind, request) = (FlowId(9), BindId(9), RequestId(9));
    let peer = SocketAddr::from(([192, 0, 2, 1], 443));
    let six: IpAddr = "2001:db8::7".parse().unwrap();
    let octets6 = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
    let marks = Marks { ttl: 64, traffic_class: 0xb8, fragments: Fragments::Forbidden };
    let fault = Fault { kind: FaultKind::PacketTooBig { mtu: 1400 }, router: Some(six) };
    let fault_bytes = [&[7, 0x78, 5, 0, 0, 6], &octets6[..]].concat();
    let hello = Hello {
        version: VERSION,
        capabilities: Capabilities::from_bits_retain(0x0102),
        max_flows: 3,
        max_binds: 4,
        build: "b".to_owned(),
    };
    let open = |hops, name| Frame::Open { flow, to: peer, window: 0x0403_0201, hops, name };
    // Beyond what Open may ask for, but not beyond what it may say.
    let window = [1, 2, 3, 4];
    let hello_bytes =
        [b"UNDERPAS", &VERSION.to_le_bytes()[..], &[2, 1, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, b'b']]
            .concat();
    let mut expected = frame(1, 9, &[&hello_bytes]);
    expected[4] = 0;
    assert_eq!(encoded(&Frame::Hello(hello)), expected);
    for (sent, bytes) in [
        (open(None, None), frame(16, 9, &[&window, V4, PORT, &[0]])),
        (open(NonZeroU8::new(7), Some("ab")), frame(16, 9, &[&window, V4, PORT, &[7], b"ab"])),
        (Frame::Opened { flow, window: 0x0403_0201 }, frame(17, 9, &[&window])),
        (
            Frame::Failed { flow, reason: ConnectFailure::Reported(fault), os_code: -2 },
            frame(18, 9, &[&[9, 0xfe, 0xff, 0xff, 0xff], &fault_bytes]),
        ),
        (Frame::Data { flow, bytes: b"xyz" }, frame(19, 9, &[b"xyz"])),
        (Frame::Credit { flow, bytes: 0x0403_0201 }, frame(20, 9, &[&window])),
        (Frame::Fin { flow }, frame(21, 9, &[])),
        (Frame::Reset { flow }, frame(22, 9, &[])),
        (Frame::Orphan { flow }, frame(23, 9, &[])),
        (Frame::Bind { bind, family: Family::V4 }, frame(32, 9, &[&[4]])),
        (Frame::Bind { bind, family: Family::V6 }, frame(32, 9, &[&[6]])),
        (
            Frame::Datagram { bind, peer, marks, bytes: b"d" },
            frame(33, 9, &[&[64, 0xb8, 1], V4, PORT, b"d"]),
        ),
        (Frame::PeerError { bind, peer, fault }, frame(34, 9, &[V4, PORT, &fault_bytes])),
        (Frame::Unbind { bind, reason: UnbindReason::TooMany }, frame(35, 9, &[&[1]])),
        (Frame::Query { request, message: b"q" }, frame(48, 9, &[b"q"])),
        (
            Frame::Answer { request, by: AnsweredBy::RecordQuery, message: b"a" },
            frame(49, 9, &[&[2], b"a"]),
        ),
        (Frame::NoAnswer { request, reason: QueryFailure::Refused }, frame(50, 9, &[&[2]])),
        (
            Frame::Echo { request, to: six, marks, payload: b"p" },
            frame(64, 9, &[&[64, 0xb8, 1, 6], &octets6, b"p"]),
        ),
        (Frame::EchoReply { request, ttl: 63, payload: b"p" }, frame(65, 9, &[&[63], b"p"])),
        (Frame::EchoError { request, fault }, frame(66, 9, &[&fault_bytes])),
        (Frame::AskFacts { request }, frame(80, 9, &[])),
        (Frame::Facts { request, json: b"{}" }, frame(81, 9, &[b"{}"])),
        (Frame::Changed, frame(82, 0, &[])),
        (Frame::Via { json: b"{}" }, frame(96, 0, &[b"{}"])),
        (Frame::ViaTrouble { words: "w" }, frame(97, 0, &[b"w"])),
        (Frame::HostAccess { json: b"{}" }, frame(98, 0, &[b"{}"])),
        (Frame::Link { json: b"{}" }, frame(112, 0, &[b"{}"])),
        (Frame::LinkFailed { json: b"{}" }, frame(113, 0, &[b"{}"])),
        (Frame::Moved, frame(114, 0, &[])),
        (Frame::Ping { nonce: 1 }, frame(2, 0, &[&[1, 0, 0, 0, 0, 0, 0, 0]])),
        (Frame::Pong { nonce: 2 }, frame(3, 0, &[&[2, 0, 0, 0, 0, 0, 0, 0]])),
    ] {
        assert_eq!(encoded(&sent), bytes, "{sent:?}");
    }
}

#[test]
fn reasons_and_faults_have_the_numbers_of_the_specification() {
    let (flow, bind, request) = (FlowId(0), BindId(0), RequestId(0));
    let reasons = [
        ConnectFailure::Refused,
        ConnectFailure::TimedOut,
        ConnectFailure::NetworkUnreachable,
        ConnectFailure::HostUnreachable,
        ConnectFailure::PermissionDenied,
        ConnectFailure::NoResources,
        ConnectFailure::TooManyFlows,
        ConnectFailure::Other,
    ];
    for (number, reason) in (1..).zip(reasons) {
        assert_eq!(
            encoded(&Frame::Failed { flow, reason, os_code: 0 })[HEADER],
            number,
            "{reason:?}"
        );
    }
    let kinds = [
        FaultKind::NetworkUnreachable,
        FaultKind::HostUnreachable,
        FaultKind::ProtocolUnreachable,
        FaultKind::PortUnreachable,
        FaultKind::Prohibited,
        FaultKind::TimeExceeded,
    ];
    for (number, kind) in (1..).zip(kinds) {
        let bytes = encoded(&Frame::EchoError { request, fault: Fault { kind, router: None } });
        assert_eq!(bytes[HEADER..], [number, 0, 0, 0, 0, 0], "{kind:?}");
    }
    for (number, reason) in
        (0..).zip([UnbindReason::Done, UnbindReason::TooMany, UnbindReason::Broken])
    {
        assert_eq!(encoded(&Frame::Unbind { bind, reason })[HEADER], number, "{reason:?}");
    }
    for (number, reason) in
        (0..).zip([QueryFailure::TimedOut, QueryFailure::NoServer, QueryFailure::Refused])
    {
        assert_eq!(encoded(&Frame::NoAnswer { request, reason })[HEADER], number, "{reason:?}");
    }
    let all =
        [AnsweredBy::HostsFile, AnsweredBy::RawQuery, AnsweredBy::RecordQuery, AnsweredBy::Servers];
    for (number, by) in (0..).zip(all) {
        assert_eq!(encoded(&Frame::Answer { request, by, message: b"" })[HEADER], number, "{by:?}");
    }
    // The number after the last one of each is malformed.
    for (kind, payload) in [
        (18, &[10, 0, 0, 0, 0][..]),
        (18, &[0; 5]),
        (35, &[3]),
        (50, &[3]),
        (49, &[4]),
        (66, &[8, 0, 0, 0, 0, 0]),
    ] {
        let error = Frame::parse(&frame(kind, 0, &[payload])).unwrap_err();
        assert_eq!(error, FrameError::Malformed { kind, length: payload.len() }, "{payload:?}");
    }
    for family in [0, 5, 7] {
        assert!(Frame::parse(&frame(32, 0, &[&[family]])).is_err());
    }
}

#[test]
fn capabilities_are_bits_that_add_up() {
    let all = [
        (Capabilities::ECHO4, 1),
        (Capabilities::ECHO6, 2),
        (Capabilities::UDP, 4),
        (Capabilities::DNS, 8),
        (Capabilities::CHANGES, 16),
        (Capabilities::VIA, 32),
        (Capabilities::VIA_HOST, 64),
        (Capabilities::ORPHANS, 128),
        (Capabilities::LINK, 256),
    ];
    for (capability, bit) in all {
        assert_eq!(capability.bits(), bit);
        assert_eq!(capability.union(capability), capability, "twice is once");
        let others = Capabilities::from_bits_retain(511 & !bit);
        assert!((others | capability).contains(capability) && !others.contains(capability));
        assert!(
            !capability.contains(Capabilities::from_bits_retain(511)),
            "one of several is not all of them"
        );
    }
}

#[test]
fn parse_says_where_the_next_frame_begins() {
    let first = encoded(&Frame::Data { flow: FlowId(1), bytes: b"12345" });
    let stream = [&first[..], &encoded(&Frame::Changed)].concat();
    let (frame, next) = Frame::parse(&stream).unwrap().unwrap();
    assert_eq!((frame, next), (Frame::Data { flow: FlowId(1), bytes: b"12345" }, HEADER + 5));
    assert_eq!(Frame::parse(&stream[next..]), Ok(Some((Frame::Changed, HEADER))));
    for short in 0..first.len() {
        assert_eq!(Frame::parse(&first[..short]), Ok(None), "{short}");
    }
}

#[test]
fn each_limit_is_the_last_that_is_taken() {
    let parse = |kind: u8, payload: &[u8]| {
        let [l0, l1, l2, _] = u32::try_from(payload.len()).unwrap().to_le_bytes();
        Frame::parse(&[&[kind, l0, l1, l2, 1, 0, 0, 0], payload].concat())
            .map(|frame| frame.is_some())
    };
    let malformed = |kind, length| Err(FrameError::Malformed { kind, length });
    assert_eq!(parse(19, &vec![1; MAX_PAYLOAD]), Ok(true));
    assert_eq!(
        parse(19, &vec![1; MAX_PAYLOAD + 1]),
        Err(FrameError::TooLong { kind: 19, length: MAX_PAYLOAD + 1 })
    );
    assert_eq!(parse(17, &MAX_WINDOW.to_le_bytes()), Ok(true));
    assert_eq!(parse(17, &(MAX_WINDOW + 1).to_le_bytes()), malformed(17, 4));
    for (kind, head, most) in
        [(16, &[&[1, 0, 0, 0], V4, PORT, &[0]].concat()[..], MAX_NAME), (97, &[], MAX_WORDS)]
    {
        assert_eq!(parse(kind, &[head, &vec![b'n'; most]].concat()), Ok(true));
        let longer = [head, &vec![b'n'; most + 1]].concat();
        assert_eq!(parse(kind, &longer), malformed(kind, longer.len()));
    }
    let hello = [&b"UNDERPAS"[..], &[4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0]].concat();
    assert_eq!(parse(1, &[&hello[..], &[b'n'; MAX_BUILD_NAME]].concat()), Ok(true));
    let longer = [&hello[..], &[b'n'; MAX_BUILD_NAME + 1]].concat();
    assert_eq!(parse(1, &longer), malformed(1, longer.len()));
    let other = [&b"UNDERPAX"[..], &hello[8..]].concat();
    assert_eq!(parse(1, &other), malformed(1, other.len()));
    assert_eq!(
        (MAX_DATA, MAX_PAYLOAD, MAX_WINDOW),
        (65_536, 65_600, 16 << 20),
        "as the specification says them"
    );
}

/// A reader fetches with each call what is left of the largest frame, at least.
#[test]
fn the_decoder_always_has_room_for_the_rest_of_a_frame() {
    let whole = SEAL + HEADER + MAX_PAYLOAD;
    assert!(Decoder::default().space().len() < 512 * 1024, "each lane has one");
    assert_eq!(MAX_QUEUED_DATAGRAM_BYTES, 2 << 20, "rule 9");
    assert!(
        Decoder::default().space().len() >= 256 * 1024 + whole,
        "a relay's pipe is emptied at once"
    );
    let mut header = encoded(&Frame::Data { flow: FlowId(1), bytes: &[] });
    header[1..4].copy_from_slice(&[0x40, 0, 1]);
    for before in
        [0, 1, DECODER_BUFFER - whole - 1, DECODER_BUFFER - whole, DECODER_BUFFER - whole + 1]
    {
        // A stream of small frames, up to the place where the large one begins.
        let mut decoder = Decoder::default();
        let filler = before / HEADER;
        for _ in 0..filler {
            decoder.space()[..HEADER].copy_from_slice(&encoded(&Frame::Changed));
            decoder.filled(HEADER);
        }
        for _ in 0..filler {
            assert_eq!(decoder.next_frame(), Ok(Some(Frame::Changed)));
        }
        for had in 0..40 {
            let space = decoder.space();
            assert!(
                space.len() >= whole - had,
                "{} bytes for the rest of {}",
                space.len(),
                whole - had
            );
            space[0] = header.get(had).copied().unwrap_or(0);
            decoder.filled(1);
            assert_eq!(decoder.next_frame(), Ok(None));
        }
    }
}
