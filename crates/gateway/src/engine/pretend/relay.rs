//! A relay's end of its pipes, for tests that say frame by frame what it sends.

use super::pipe::Pipe;
use wire::{Decoder, Frame, Sealer};

/// Bytes that a pipe holds where nothing depends on it.
pub(crate) const PIPE: usize = 1 << 20;

/// The pipes of a relay: from the gateway, and to it.
pub(crate) struct Pipes {
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
}

/// See the module's text.
pub(crate) struct FrameEnd {
    up: Pipe,
    pub(crate) down: Pipe,
    sealer: Sealer,
    decoder: Decoder,
    /// It reads nothing.
    pub(crate) is_deaf: bool,
}

impl FrameEnd {
    pub(crate) fn new(pipes: Pipes) -> Self {
        Self {
            up: pipes.up,
            down: pipes.down,
            sealer: Sealer::default(),
            decoder: Decoder::default(),
            is_deaf: false,
        }
    }

    /// Seals these bytes and sends as many as the pipe takes. Returns whether it took all.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        let mut sealed = Vec::new();
        self.sealer.append(bytes, &mut sealed);
        self.down.write(&sealed) == sealed.len()
    }

    /// Reads what the gateway has sent. Returns whether there was anything.
    pub(crate) fn read(&mut self, mut hear: impl FnMut(Frame<'_>)) -> bool {
        let mut moved = false;
        while !self.is_deaf {
            let taken = self.up.read(self.decoder.space());
            if taken == 0 {
                break;
            }
            moved = true;
            self.decoder.filled(taken);
            while let Some(frame) =
                self.decoder.next_frame().expect("what the gateway sends are frames")
            {
                hear(frame);
            }
        }
        moved
    }
}
