//! Lost and doubled bytes: whatever happens to a run of bytes of a stream, nothing after its
//! beginning is accepted.

// By the name that the shared part has for it.
extern crate underpass_wire as wire;

#[path = "../../../tests/fuzz-bodies/src/decoding.rs"]
mod decoding;

use decoding::decode;
use proptest::prelude::*;
use wire::frame::{Part, VERSION};
use wire::limits::{HEADER, MAX_DATA, MAX_PAYLOAD, SEAL};
use wire::{Capabilities, Decoder, FlowId, Frame, FrameError, Hello, Sealer};

/// A stream with the places where its frames end.
struct Stream {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    sealer: Sealer,
}

impl Stream {
    /// One that has said hello.
    fn new() -> Self {
        let mut stream = Self { bytes: Vec::new(), ends: Vec::new(), sealer: Sealer::default() };
        stream.push(&Frame::Hello(hello()));
        stream
    }

    fn push(&mut self, frame: &Frame<'_>) {
        let mut plain = Vec::new();
        frame.encode(&mut plain);
        self.sealer.append(&plain, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }
}

fn hello() -> Hello {
    let capabilities = Capabilities::UDP;
    Hello { version: VERSION, capabilities, max_flows: 100, max_binds: 10, build: "test".into() }
}

/// Payloads that are alike everywhere hide where they begin and end.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![1usize..200, 1usize..5000, Just(MAX_DATA)];
    prop_oneof![
        (any::<u8>(), length.clone()).prop_map(|(byte, length)| vec![byte; length]),
        (any::<u64>(), length).prop_map(|(seed, length)| {
            (0..length as u64)
                .map(|n| ((n ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8)
                .collect()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn nothing_behind_a_lost_or_doubled_run_is_delivered(
        payloads in prop::collection::vec(prop::option::of(payload()), 1..12),
        at in any::<prop::sample::Index>(),
        run in prop_oneof![1usize..40, Just(512usize), Just(4096usize), 1usize..70_000],
        is_lost in any::<bool>(),
        step in prop_oneof![1usize..100, Just(4096usize), Just(usize::MAX)],
    ) {
        let mut stream = Stream::new();
        for (n, payload) in payloads.iter().enumerate() {
            let flow = FlowId(n as u32 % 3);
            match payload {
                Some(bytes) => stream.push(&Frame::Data { flow, bytes }),
                None => stream.push(&Frame::Fin { flow }),
            }
        }
        let at = at.index(stream.bytes.len());
        let end = (at + run).min(stream.bytes.len());
        // The stream continues, so that later frames fill in for the missing bytes of a frame.
        for _ in 0..3 {
            stream.push(&Frame::Data { flow: FlowId(9), bytes: &[0xA5; MAX_DATA] });
        }
        let is_the_same = is_lost && stream.bytes[at..].starts_with(&stream.bytes[end..]);
        prop_assume!(!is_the_same);
        let damaged = if is_lost {
            [&stream.bytes[..at], &stream.bytes[end..]].concat()
        } else {
            [&stream.bytes[..end], &stream.bytes[at..]].concat()
        };
        let sent = decode(&mut Decoder::default(), &stream.bytes, usize::MAX).0;
        prop_assert_eq!(sent.len(), payloads.len() + 4);
        let (got, error) = decode(&mut Decoder::default(), &damaged, step);
        if at >= stream.ends[0] {
            prop_assert!(got.len() < sent.len());
            prop_assert_eq!(&got[..], &sent[..got.len()]);
            prop_assert!(matches!(error, Some(FrameError::Damaged { .. })), "{:?}", error);
        } else {
            // The hello has no seal of its own: no frame after a damaged one is delivered.
            prop_assert!(got.len() <= 1 || got[..] == sent[..got.len()], "{got:?}");
            prop_assert!(error.is_some());
        }
    }

    #[test]
    fn a_whole_stream_is_read_however_it_is_cut(
        payloads in prop::collection::vec(payload(), 1..8),
        step in 1usize..5000,
    ) {
        let mut stream = Stream::new();
        for bytes in &payloads {
            stream.push(&Frame::Data { flow: FlowId(1), bytes });
        }
        let (got, error) = decode(&mut Decoder::default(), &stream.bytes, step);
        prop_assert_eq!((got.len(), error), (payloads.len() + 1, None));
    }
}

#[test]
fn a_seal_is_the_crc_32_of_ethernet_over_number_header_and_payload() {
    let mut stream = Stream::new();
    let hello = stream.bytes.clone();
    stream.push(&Frame::Data { flow: FlowId(7), bytes: b"123456789" });
    let frame = &stream.bytes[hello.len()..];
    // The check value that every catalogue of CRCs gives for these digits.
    assert_eq!(frame[4..SEAL], 0xCBF4_3926_u32.to_le_bytes());
    let sealed = [&1u64.to_le_bytes()[..], &frame[SEAL..SEAL + HEADER], &frame[4..SEAL]].concat();
    let check = continued(crc(&hello), &sealed);
    assert_eq!(frame[..4], check.to_le_bytes());
}

fn crc(bytes: &[u8]) -> u32 {
    continued(0, bytes)
}

/// The definition, bit by bit.
fn continued(check: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!check, |check, byte| {
        (0..8).fold(check ^ u32::from(*byte), |check, _| {
            if check & 1 == 1 { check >> 1 ^ 0xEDB8_8320 } else { check >> 1 }
        })
    })
}

#[test]
fn a_header_that_is_not_the_next_is_noticed_before_its_payload_comes() {
    let mut stream = Stream::new();
    let first = stream.bytes.len();
    for flow in [1, 2] {
        stream.push(&Frame::Data { flow: FlowId(flow), bytes: &[flow as u8; 1000] });
    }
    let second = stream.ends[1];
    // The first data frame is lost whole, and of the second only the header has come.
    let bytes = [&stream.bytes[..first], &stream.bytes[second..second + SEAL + HEADER]].concat();
    let (got, error) = decode(&mut Decoder::default(), &bytes, 7);
    assert_eq!((got.len(), error), (1, Some(FrameError::Damaged { frame: 1, part: Part::Header })));
}

/// The number shows in a log after how much of a stream bytes were lost.
#[test]
fn an_error_names_the_frame_that_is_damaged_by_its_number() {
    let mut stream = Stream::new();
    for flow in 1..=6 {
        stream.push(&Frame::Data { flow: FlowId(flow), bytes: &[flow as u8; 1000] });
    }
    for number in 1..=5 {
        let (begin, end) = (stream.ends[number - 1], stream.ends[number]);
        let damaged = |part| FrameError::Damaged { frame: number as u64, part };
        let lost = [&stream.bytes[..begin], &stream.bytes[end..]].concat();
        let (got, error) = decode(&mut Decoder::default(), &lost, 4096);
        assert_eq!((got.len(), error), (number, Some(damaged(Part::Header))));
        let mut changed = stream.bytes.clone();
        changed[end - 1] ^= 1;
        let (got, error) = decode(&mut Decoder::default(), &changed, 4096);
        assert_eq!((got.len(), error), (number, Some(damaged(Part::Payload))));
        // Its last byte is lost, and little follows.
        let mut decoder = Decoder::default();
        let (got, error) = decode(&mut decoder, &stream.bytes[..end - 1], 4096);
        assert_eq!((got.len(), error, decoder.tick()), (number, None, Ok(())));
        decoder.filled(0);
        assert_eq!(decoder.tick(), Ok(()));
        decoder.filled(0);
        assert_eq!(decoder.tick(), Err(damaged(Part::Rest)));
    }
}

#[test]
fn a_frame_whose_rest_was_lost_is_noticed_by_the_heartbeats_that_come_in_its_place() {
    let mut stream = Stream::new();
    stream.push(&Frame::Data { flow: FlowId(1), bytes: &[7; MAX_PAYLOAD - 100] });
    let end = stream.bytes.len() - 10_000;
    let (mut decoder, mut now) = (Decoder::default(), stream.bytes.len());
    assert_eq!(decode(&mut decoder, &stream.bytes[..end], 4096).1, None);
    let mut error = None;
    for heartbeat in 0..10 {
        error = decoder.tick().err();
        if error.is_some() {
            assert_eq!(heartbeat, 3);
            break;
        }
        // A pause without any bytes proves nothing.
        if heartbeat != 1 {
            stream.push(&Frame::Ping { nonce: heartbeat });
            assert_eq!(decode(&mut decoder, &stream.bytes[now..], 4096), (Vec::new(), None));
            now = stream.bytes.len();
        }
    }
    assert_eq!(error, Some(FrameError::Damaged { frame: 1, part: Part::Rest }));
}

#[test]
fn a_slow_stream_is_no_damaged_one() {
    let mut stream = Stream::new();
    for flow in 0..20 {
        stream.push(&Frame::Data { flow: FlowId(flow), bytes: &[7; 1000] });
    }
    let mut decoder = Decoder::default();
    // Never more than two heartbeats for a frame, and never a whole frame with a heartbeat's
    // pieces.
    for piece in stream.bytes.chunks(600) {
        assert_eq!(decode(&mut decoder, piece, 4096).1, None);
        assert_eq!(decoder.tick(), Ok(()));
    }
    // Nothing more comes.
    for _ in 0..10 {
        assert_eq!(decoder.tick(), Ok(()));
    }
}
