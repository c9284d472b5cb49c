//! Data frames of one flow that follow one another: one system call passes them all on, and the
//! host's kernel makes full segments of them. They stay in the decoder's buffer until then.

use std::io::IoSlice;
use wire::{Decoder, FlowId, Frame, Taken};

/// Frames that are passed on together. One read brings five full ones at most.
const MOST: usize = 8;

/// See the module's text.
#[derive(Default)]
pub(crate) struct Run {
    /// The frames of one flow, at most [`MOST`].
    frames: Vec<Taken>,
    flow: Option<FlowId>,
}

impl Run {
    /// The flow of the frames, if there are any.
    pub(crate) fn flow(&self) -> Option<FlowId> {
        self.flow
    }

    /// Whether this frame can be added, or none was.
    pub(crate) fn continues(&self, frame: &Frame<'_>) -> bool {
        let is_next = matches!(frame, Frame::Data { flow, .. } if self.flow == Some(*flow));
        self.flow.is_none() || (is_next && self.frames.len() < MOST)
    }

    /// Adds a data frame that [`Run::continues`].
    pub(crate) fn add(&mut self, flow: FlowId, frame: Taken) {
        self.flow = Some(flow);
        self.frames.push(frame);
    }

    /// Lends the bytes of the frames.
    pub(crate) fn with_pieces<R>(
        &self,
        decoder: &Decoder,
        act: impl FnOnce(&mut [IoSlice<'_>]) -> R,
    ) -> R {
        let mut pieces = [IoSlice::new(&[]); MOST];
        let mut used = 0;
        for (piece, frame) in pieces.iter_mut().zip(&self.frames) {
            *piece = IoSlice::new(decoder.payload(frame));
            used += 1;
        }
        act(&mut pieces[..used])
    }

    /// The frames are passed on.
    pub(crate) fn clear(&mut self) {
        self.flow = None;
        self.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::frame::VERSION;
    use wire::{Capabilities, Hello, Sealer};

    /// A decoder that holds these frames, after a hello.
    fn decoder(frames: &[Frame<'_>]) -> Decoder {
        let capabilities = Capabilities::default();
        let build = String::new();
        let hello = Hello { version: VERSION, capabilities, max_flows: 1, max_binds: 1, build };
        let mut plain = Vec::new();
        Frame::Hello(hello).encode(&mut plain);
        frames.iter().for_each(|frame| frame.encode(&mut plain));
        let (mut sealer, mut sealed) = (Sealer::default(), Vec::new());
        sealer.append(&plain, &mut sealed);
        let mut decoder = Decoder::default();
        decoder.space()[..sealed.len()].copy_from_slice(&sealed);
        decoder.filled(sealed.len());
        decoder.take().unwrap().unwrap();
        decoder
    }

    /// The runs of these frames: their flows and pieces.
    fn runs(frames: &[Frame<'_>]) -> Vec<(u32, Vec<Vec<u8>>)> {
        let (mut decoder, mut run, mut runs) = (decoder(frames), Run::default(), Vec::new());
        let mut end = |run: &mut Run, decoder: &Decoder| {
            let Some(flow) = run.flow() else { return };
            let copied = |pieces: &mut [IoSlice<'_>]| pieces.iter().map(|p| p.to_vec()).collect();
            runs.push((flow.0, run.with_pieces(decoder, copied)));
            run.clear();
        };
        while let Some(taken) = decoder.take().unwrap() {
            let frame = decoder.frame(&taken).unwrap();
            if !run.continues(&frame) {
                end(&mut run, &decoder);
            }
            if let Frame::Data { flow, .. } = frame {
                run.add(flow, taken);
            }
        }
        end(&mut run, &decoder);
        runs
    }

    #[test]
    fn a_run_has_one_flows_frames_in_their_order() {
        let data = |flow, bytes| Frame::Data { flow: FlowId(flow), bytes };
        let frames = [
            data(1, b"a"),
            data(1, b"bc"),
            data(2, b"d"),
            data(1, b"e"),
            Frame::Fin { flow: FlowId(2) },
            data(1, b"f"),
            Frame::Fin { flow: FlowId(1) },
        ];
        let run = |flow, pieces: &[&[u8]]| (flow, pieces.iter().map(|p| p.to_vec()).collect());
        assert_eq!(
            runs(&frames),
            [run(1, &[b"a", b"bc"]), run(2, &[b"d"]), run(1, &[b"e"]), run(1, &[b"f"])]
        );
    }

    #[test]
    fn a_run_ends_before_a_write_has_too_many_pieces() {
        let frames = vec![Frame::Data { flow: FlowId(1), bytes: b"x" }; 2 * MOST + 1];
        let lengths: Vec<_> = runs(&frames).iter().map(|(_, pieces)| pieces.len()).collect();
        assert_eq!(lengths, [MOST, MOST, 1]);
    }
}
