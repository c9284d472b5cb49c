//! The decoder: finds frames in a byte stream that arrives in pieces, and checks their seals.

use crate::frame::{Frame, FrameError, Header, Part};
use crate::limits::{DECODER_BUFFER, HEADER, MAX_PAYLOAD, SEAL};
use crate::seal::{Chain, payload_check};
use std::ops::Range;

/// Heartbeats that may come in while the same frame lacks its rest. One may be cut short by a pause
/// of the sender's (suspend, SIGSTOP), whose rest follows it.
const PATIENCE: u32 = 2;

/// Finds frames in a byte stream that arrives in pieces of any size. The first frame is a hello;
/// each of the others has a seal (see [`crate::seal`]).
///
/// The owner reads from its pipe straight into [`Decoder::space`], says how much came with
/// [`Decoder::filled`], and takes frames off with [`Decoder::next_frame`] until it gives `None`.
/// With each heartbeat it calls [`Decoder::tick`]. The buffer has a fixed size; no length from the
/// stream ever allocates.
pub struct Decoder {
    buffer: Box<[u8]>,
    /// `start <= end <= buffer.len()`; the bytes between are not yet taken.
    start: usize,
    end: usize,
    /// `None` before the hello.
    chain: Option<Chain>,
    /// Whether the seal of the frame at `start` was checked against its header.
    is_header_checked: bool,
    /// Frames taken off.
    taken: u64,
    watch: Watch,
}

/// Where a frame lies that was taken off.
#[derive(Clone, Debug)]
pub struct Taken {
    header: Header,
    payload: Range<usize>,
}

/// A frame that is incomplete from one heartbeat to the next.
#[derive(Default)]
struct Watch {
    /// Whether bytes came since the last heartbeat.
    has_moved: bool,
    /// The number of the frame that was incomplete then.
    partial: Option<u64>,
    /// Heartbeats since then in which bytes came.
    heartbeats: u32,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            buffer: vec![0; DECODER_BUFFER].into_boxed_slice(),
            start: 0,
            end: 0,
            chain: None,
            is_header_checked: false,
            taken: 0,
            watch: Watch::default(),
        }
    }
}

impl Decoder {
    /// Where the next bytes of the stream go: never empty once [`Decoder::next_frame`] has given
    /// `None`.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.buffer.len() - self.end < SEAL + HEADER + MAX_PAYLOAD {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// `n` bytes were written to the front of [`Decoder::space`].
    pub fn filled(&mut self, n: usize) {
        self.end = (self.end + n).min(self.buffer.len());
        self.watch.has_moved = true;
    }

    /// Takes one frame off, or gives `None` when more bytes are needed.
    ///
    /// # Errors
    /// See [`FrameError`]: after any error except `UnknownKind` the stream cannot be used.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let Some(taken) = self.take()? else { return Ok(None) };
        self.frame(&taken).map(Some)
    }

    /// Takes one frame off like [`Decoder::next_frame`], for an owner that looks at several frames
    /// together: each stays where it is until the next call of [`Decoder::space`].
    ///
    /// # Errors
    /// See [`FrameError`]: the stream cannot be used any more.
    pub fn take(&mut self) -> Result<Option<Taken>, FrameError> {
        let seal_length = if self.chain.is_some() { SEAL } else { 0 };
        let begin = self.start + seal_length;
        let Some((header, rest)) =
            self.buffer[..self.end].get(begin..).and_then(<[u8]>::split_first_chunk::<HEADER>)
        else {
            return Ok(None);
        };
        let seal = self.buffer[self.start..begin].first_chunk::<SEAL>();
        if let (Some(chain), Some([h0, h1, h2, h3, p0, p1, p2, p3])) = (&self.chain, seal)
            && !self.is_header_checked
        {
            if chain.header_check(*header, [*p0, *p1, *p2, *p3]) != [*h0, *h1, *h2, *h3] {
                return Err(FrameError::Damaged { frame: chain.number(), part: Part::Header });
            }
            self.is_header_checked = true;
        }
        let header = Header::parse(*header)?;
        let Some(payload) = rest.get(..header.length) else { return Ok(None) };
        let end = begin + HEADER + header.length;
        match (&mut self.chain, seal) {
            (Some(chain), Some([.., p0, p1, p2, p3])) => {
                if payload_check(payload) != [*p0, *p1, *p2, *p3] {
                    return Err(FrameError::Damaged { frame: chain.number(), part: Part::Payload });
                }
                chain.advance();
            }
            _ if header.is_hello() => self.chain = Some(Chain::after(&self.buffer[begin..end])),
            _ => {}
        }
        self.start = end;
        self.is_header_checked = false;
        self.taken += 1;
        Ok(Some(Taken { header, payload: begin + HEADER..end }))
    }

    /// A frame that was taken off since the last call of [`Decoder::space`].
    ///
    /// # Errors
    /// [`FrameError::Malformed`] and [`FrameError::UnknownKind`].
    pub fn frame(&self, taken: &Taken) -> Result<Frame<'_>, FrameError> {
        taken.header.decode(self.payload(taken))
    }

    /// The payload of such a frame. Of a data frame that is its bytes.
    pub fn payload(&self, taken: &Taken) -> &[u8] {
        self.buffer.get(taken.payload.clone()).unwrap_or_default()
    }

    /// Bytes that were read and not yet taken.
    pub fn waiting(&self) -> usize {
        self.end - self.start
    }

    /// Must be called with each heartbeat (every [`crate::limits::PING_EVERY`]): a frame whose rest
    /// was lost would wait for ever if little follows it, since later bytes count as its rest.
    ///
    /// # Errors
    /// [`FrameError::Damaged`]: the incomplete frame lacks its rest although bytes came.
    pub fn tick(&mut self) -> Result<(), FrameError> {
        let partial = (self.start < self.end).then_some(self.taken);
        let has_moved = std::mem::take(&mut self.watch.has_moved);
        if partial.is_none() || partial != self.watch.partial {
            self.watch = Watch { partial, ..Watch::default() };
            return Ok(());
        }
        self.watch.heartbeats += u32::from(has_moved);
        if self.watch.heartbeats < PATIENCE {
            return Ok(());
        }
        Err(FrameError::Damaged { frame: self.taken, part: Part::Rest })
    }
}
