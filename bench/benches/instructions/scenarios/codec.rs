//! Frames into bytes, and back.

use crate::scenario::{Scenario, Work};
use std::hint::black_box;
use wire::limits::{HEADER, MAX_DATA};
use wire::{Decoder, FlowId, Frame};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "encode_control", unit: "256 frames", units: 1, calls: 200, set_up: encode_control },
    Scenario { name: "decode_control", unit: "256 frames", units: 1, calls: 200, set_up: decode_control },
    Scenario { name: "encode_data", unit: "64 KiB", units: 1, calls: 500, set_up: encode_data },
    Scenario {
        name: "decode_data",
        unit: "64 KiB",
        units: DATA as u64,
        calls: 100,
        set_up: || decode_data(usize::MAX),
    },
    Scenario {
        name: "decode_data_by_4_kib",
        unit: "64 KiB",
        units: DATA as u64,
        calls: 100,
        set_up: || decode_data(4096),
    },
];

/// Control frames in one go.
const CONTROL: usize = 256;

/// Data frames in one go: as many as a decoder holds.
const DATA: usize = 4;

/// The kinds of which there are many.
fn control(n: usize) -> Frame<'static> {
    let flow = FlowId(u32::try_from(n).unwrap_or(0));
    match n % 4 {
        0 => Frame::Open { flow, to: ([203, 0, 113, 10], 80).into(), window: 65_536, name: None },
        1 => Frame::Opened { flow, window: 65_536 },
        2 => Frame::Credit { flow, bytes: 65_536 },
        _ => Frame::Fin { flow },
    }
}

fn encode_control() -> Work {
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        for n in 0..CONTROL {
            black_box(control(n)).encode(&mut out);
        }
        assert_eq!(out.len(), CONTROL * HEADER + CONTROL / 4 * (4 + 7 + 4 + 4));
    })
}

fn decode_control() -> Work {
    let mut stream = Vec::new();
    (0..CONTROL).for_each(|n| control(n).encode(&mut stream));
    decode(stream, CONTROL, usize::MAX)
}

fn encode_data() -> Work {
    let (bytes, mut out) = (vec![7; MAX_DATA], Vec::new());
    Box::new(move || {
        out.clear();
        Frame::Data { flow: FlowId(1), bytes: black_box(&bytes) }.encode(&mut out);
        assert_eq!(out.len(), HEADER + MAX_DATA);
    })
}

fn decode_data(piece: usize) -> Work {
    let (bytes, mut stream) = (vec![7; MAX_DATA], Vec::new());
    (0..DATA).for_each(|_| Frame::Data { flow: FlowId(1), bytes: &bytes }.encode(&mut stream));
    decode(stream, DATA, piece)
}

/// Takes a stream that comes in pieces of at most so many bytes. Where they are copied to the decoder, a system call would be.
fn decode(stream: Vec<u8>, frames: usize, piece: usize) -> Work {
    let mut decoder = Decoder::default();
    Box::new(move || {
        let (mut rest, mut seen) = (&stream[..], 0);
        while !rest.is_empty() {
            let space = decoder.space();
            let n = rest.len().min(piece).min(space.len());
            space[..n].copy_from_slice(&rest[..n]);
            decoder.filled(n);
            rest = &rest[n..];
            while let Ok(Some(frame)) = decoder.next_frame() {
                black_box(frame);
                seen += 1;
            }
        }
        assert_eq!(seen, frames);
    })
}
