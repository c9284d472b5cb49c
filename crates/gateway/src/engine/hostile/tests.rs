//! The fuzzer's body as a property test, and single hostile relays.

use super::*;
use proptest::prelude::*;
use std::fs;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_a_relay_sends_the_gateway_goes_on(
        data in prop::collection::vec(any::<u8>(), 0..600)
    ) {
        relay_frames(&data);
    }
}

/// The inputs of `tests/fuzz/seeds`, with which the fuzzer covers all the code that it reaches.
#[test]
fn the_fuzzers_seeds_pass() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fuzz/seeds/relay_frames.txt");
    let byte =
        |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    let seeds = fs::read_to_string(text).unwrap();
    assert!(seeds.lines().count() > 10, "{seeds}");
    for line in seeds.lines() {
        relay_frames(&line.as_bytes().chunks(2).map(byte).collect::<Vec<u8>>());
    }
}

/// An act of the relay: a frame with ids by `put_frame`, sent once or `64 * times` times.
fn relay(what: u8, times: u8, payload: &[u8], nth: u8, value: u32) -> Vec<u8> {
    let times = if times == 0 { vec![0] } else { vec![0xff, times] };
    let length = u8::try_from(payload.len()).unwrap();
    [&[8 + what][..], &times, &[length], payload, &[nth], &value.to_be_bytes()].concat()
}

const HELLO: u8 = 3;
/// SYN of an app, in its place and without data.
const CONNECT: [u8; 5] = [0, 0, SYN, 8, 7];

fn hello() -> Vec<u8> {
    relay(HELLO, 0, b"", 0, 0)
}

#[test]
fn an_honest_relay_of_the_input_is_heard() {
    let input = [
        &[0][..],
        &hello(),
        // A connection, and 40 bytes for it; a datagram and an echo of it; a question and its
        // answer; a ping.
        &CONNECT,
        &relay(4, 0, b"", 0, 0),
        &[0, 0, ACK, 8],
        &relay(6, 0, &[1; 40], 0, 0),
        &[2, 0, 0, 3, 1, 2, 3],
        &relay(12, 0, b"pong", 0, 0),
        &[3, 0, 0],
        &relay(9, 0, &[0, 203, 0, 113, 10], 1, 0),
        &[4, 1, 4, 1, 2, 3, 4],
        &relay(11, 0, &[0, 7, 0, 1, 1, 2, 3, 4], 2, 1),
    ]
    .concat();
    assert_eq!(relay_frames(&input), Reached { opened: 1, heard: 4, ended: 1 });
}

#[test]
fn a_relay_that_asks_without_reading_fills_no_memory() {
    let deaf = relay(2, 0, b"1", 0, 0);
    for value in [2, 3] {
        // Changes of its host, and heartbeats.
        let storm = relay(13, 255, b"", 0, value).repeat(8);
        relay_frames(&[&[0][..], &hello(), &deaf, &storm].concat());
    }
}

#[test]
fn a_question_that_is_answered_by_another_kind_of_frame_is_not_lost() {
    // Over UDP, then the end of all: the question must end with the relay or in time.
    for (what, value) in [(11, 1), (11, 2), (14, 1)] {
        let wrong = relay(what, 0, b"{}", 1, value);
        let right = relay(9, 0, &[0, 203, 0, 113, 10], 1, 0);
        let reached = relay_frames(&[&[0][..], &hello(), &[3, 0, 0], &wrong, &right].concat());
        assert_eq!(reached.heard, 1, "frame {what} {value} took the question");
    }
}

#[test]
fn a_connection_that_stands_and_fails_is_reset() {
    // Failed with a router's fault after Opened: the stack kept the connection for ever.
    let input = [
        &[0][..],
        &hello(),
        &CONNECT,
        &relay(4, 0, b"", 0, 0),
        &[0, 0, ACK, 8],
        &relay(8, 0, b"", 0, 3),
    ];
    assert_eq!(relay_frames(&input.concat()), Reached { opened: 1, heard: 0, ended: 1 });
}
