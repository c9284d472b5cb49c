//! A stream read in pieces, like a pipe's. Also a part of the tests of `wire` (`seal.rs`).

use wire::{Decoder, FrameError};

/// The result of decoding a stream in pieces of `step` bytes: each frame as text, and the error at
/// the end.
pub(crate) fn decode(
    decoder: &mut Decoder,
    bytes: &[u8],
    step: usize,
) -> (Vec<String>, Option<FrameError>) {
    let mut frames = Vec::new();
    for mut piece in bytes.chunks(step.max(1)) {
        while !piece.is_empty() {
            let space = decoder.space();
            assert!(!space.is_empty(), "no space although all frames are taken");
            let n = piece.len().min(space.len());
            space[..n].copy_from_slice(&piece[..n]);
            decoder.filled(n);
            piece = &piece[n..];
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => frames.push(format!("{frame:?}")),
                    Ok(None) => break,
                    Err(FrameError::UnknownKind { .. }) => {}
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
    }
    (frames, None)
}
