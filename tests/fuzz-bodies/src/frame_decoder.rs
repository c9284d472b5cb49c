//! The frames of the pipe, and the decoder that checks their seals.

use crate::decoding::decode;
use wire::{Capabilities, Decoder, FlowId, Frame, FrameError, Hello, Sealer};

/// The frames without seals in some bytes, and the error at the end.
fn parse(mut data: &[u8]) -> (Vec<String>, Option<FrameError>) {
    let mut frames = Vec::new();
    loop {
        match Frame::parse(data) {
            Ok(Some((frame, next))) => {
                let mut bytes = Vec::new();
                frame.encode(&mut bytes);
                let again = Frame::parse(&bytes);
                assert_eq!(again, Ok(Some((frame.clone(), bytes.len()))), "written and read again");
                frames.push(format!("{frame:?}"));
                data = &data[next..];
            }
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

/// A hello and data frames cut from `data`, sealed.
fn sealed(data: &[u8]) -> Vec<u8> {
    let (mut sealer, mut stream) = (Sealer::default(), Vec::new());
    let mut push = |frame: &Frame<'_>| {
        let mut plain = Vec::new();
        frame.encode(&mut plain);
        sealer.append(&plain, &mut stream);
    };
    push(&Frame::Hello(Hello {
        version: wire::frame::VERSION,
        capabilities: Capabilities::default(),
        max_flows: 1,
        max_binds: 1,
        build: String::new(),
    }));
    let mut rest = data;
    while let Some((length, behind)) = rest.split_first() {
        let (bytes, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        push(&Frame::Data { flow: FlowId(u32::from(*length)), bytes });
        rest = behind;
    }
    stream
}

/// A stream of which a run was lost or duplicated: every delivered frame was sent there.
fn damaged(at: u8, run: u8, data: &[u8]) {
    let whole = sealed(data);
    let (sent, error) = decode(&mut Decoder::default(), &whole, whole.len());
    assert_eq!(error, None, "a sealed stream is read");
    let at = usize::from(at) * whole.len() / 256;
    let end = (at + 1 + usize::from(run) / 2).min(whole.len());
    let stream = if run & 1 == 0 {
        [&whole[..at], &whole[end..]].concat()
    } else {
        [&whole[..end], &whole[at..]].concat()
    };
    let (got, _) = decode(&mut Decoder::default(), &stream, 7);
    // Another first frame ends the session (`Violation::NoHello`), whatever the decoder reads after
    // it.
    if got.first().is_some_and(|first| !first.starts_with("Hello")) {
        return;
    }
    // A damaged hello is a hello with other content; nothing after it is delivered.
    if got.len() > 1 {
        assert!(got.len() <= sent.len() && got[..] == sent[..got.len()], "{got:?} of {sent:?}");
    }
}

/// Any bytes: no panic, the same frames however the stream is cut, each frame survives being
/// written and read again, and damage to a stream never passes for its data.
pub fn frame_decoder(data: &[u8]) {
    let Some(([step, at, run], data)) = data.split_first_chunk() else { return };
    parse(data);
    let whole = decode(&mut Decoder::default(), data, data.len());
    let cut = decode(&mut Decoder::default(), data, usize::from(*step) + 1);
    assert_eq!(whole, cut, "the pieces matter");
    damaged(*at, *run, data);
}
