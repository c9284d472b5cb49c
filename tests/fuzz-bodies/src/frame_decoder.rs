//! The decoder of the pipe's frames.

use wire::{Decoder, FrameError};

/// What a stream decodes to, fed in pieces of `step` bytes: each frame as text, and what ended it.
fn decode(data: &[u8], step: usize) -> (Vec<String>, Option<FrameError>) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in data.chunks(step.max(1)) {
        let mut piece = piece;
        while !piece.is_empty() {
            let space = decoder.space();
            assert!(!space.is_empty(), "no space although all frames are taken");
            let n = piece.len().min(space.len());
            space[..n].copy_from_slice(&piece[..n]);
            decoder.filled(n);
            piece = &piece[n..];
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => {
                        let mut bytes = Vec::new();
                        frame.encode(&mut bytes);
                        let mut again = Decoder::default();
                        again.space()[..bytes.len()].copy_from_slice(&bytes);
                        again.filled(bytes.len());
                        assert_eq!(again.next_frame(), Ok(Some(frame.clone())), "written and read again");
                        frames.push(format!("{frame:?}"));
                    }
                    Ok(None) => break,
                    Err(FrameError::UnknownKind { .. }) => {}
                    Err(error) => return (frames, Some(error)),
                }
            }
        }
    }
    (frames, None)
}

/// Any bytes: no panic, the same frames however the stream is cut, and each frame survives being written and read again.
pub fn frame_decoder(data: &[u8]) {
    let Some((step, data)) = data.split_first() else { return };
    let whole = decode(data, data.len());
    let cut = decode(data, usize::from(*step) + 1);
    assert_eq!(whole, cut, "the pieces matter");
}
