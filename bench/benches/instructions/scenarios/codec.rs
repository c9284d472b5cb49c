//! Frames into bytes, and back.

use crate::scenario::{Scenario, Work};
use std::hint::black_box;
use wire::limits::{HEADER, MAX_DATA, SEAL};
use wire::{Capabilities, Decoder, FlowId, Frame, Hello, Sealer};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "encode_control",
        unit: "256 frames",
        units: 1,
        calls: 200,
        set_up: encode_control,
    },
    Scenario {
        name: "decode_control",
        unit: "256 frames",
        units: 1,
        calls: 200,
        set_up: decode_control,
    },
    Scenario { name: "encode_data", unit: "64 KiB", units: 1, calls: 500, set_up: encode_data },
    Scenario {
        name: "seal_100_bytes",
        unit: "frame",
        units: 64,
        calls: 200,
        set_up: || seal(100, 64),
    },
    Scenario {
        name: "seal_64_kib",
        unit: "frame",
        units: 1,
        calls: 500,
        set_up: || seal(MAX_DATA, 1),
    },
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

/// Control frames per call.
const CONTROL: usize = 256;

/// Data frames per call: as many as a decoder holds.
const DATA: usize = 4;

/// The frequent kinds.
fn control(n: usize) -> Frame<'static> {
    let flow = FlowId(u32::try_from(n).unwrap_or(0));
    match n % 4 {
        0 => Frame::Open {
            flow,
            to: ([203, 0, 113, 10], 80).into(),
            window: 65_536,
            hops: None,
            name: None,
        },
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
        assert_eq!(out.len(), CONTROL * HEADER + CONTROL / 4 * (4 + 8 + 4 + 4));
    })
}

fn decode_control() -> Work {
    decode(CONTROL, usize::MAX, control)
}

/// A stream's sealer that has sealed the hello, and the hello's bytes.
fn sealer() -> (Sealer, Vec<u8>) {
    let (mut sealer, mut plain, mut stream) = (Sealer::default(), Vec::new(), Vec::new());
    let capabilities = Capabilities::default();
    let (version, build) = (wire::frame::VERSION, String::new());
    Frame::Hello(Hello { version, capabilities, max_flows: 1, max_binds: 1, build })
        .encode(&mut plain);
    sealer.append(&plain, &mut stream);
    (sealer, stream)
}

/// Frames of that many bytes each, already encoded; sealing them copies them.
fn seal(bytes: usize, frames: usize) -> Work {
    let (mut sealer, mut out) = sealer();
    let (bytes, mut plain) = (vec![7; bytes], Vec::new());
    (0..frames).for_each(|_| Frame::Data { flow: FlowId(1), bytes: &bytes }.encode(&mut plain));
    Box::new(move || {
        out.clear();
        sealer.append(black_box(&plain), &mut out);
        assert_eq!(out.len(), plain.len() + frames * SEAL);
    })
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
    const BYTES: &[u8] = &[7; MAX_DATA];
    decode(DATA, piece, |_| Frame::Data { flow: FlowId(1), bytes: BYTES })
}

/// Decodes a stream that comes in pieces of at most that many bytes. The copy to the decoder stands
/// for a system call. The stream continues from call to call, so that its seals are made meanwhile.
fn decode(frames: usize, piece: usize, frame: fn(usize) -> Frame<'static>) -> Work {
    let (mut sealer, hello) = sealer();
    let mut decoder = Decoder::default();
    read(&mut decoder, &hello, usize::MAX);
    let (mut plain, mut stream) = (Vec::new(), Vec::new());
    (0..frames).for_each(|n| frame(n).encode(&mut plain));
    Box::new(move || {
        stream.clear();
        sealer.append(&plain, &mut stream);
        assert_eq!(read(&mut decoder, &stream, piece), frames);
    })
}

fn read(decoder: &mut Decoder, mut rest: &[u8], piece: usize) -> usize {
    let mut seen = 0;
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
    seen
}
