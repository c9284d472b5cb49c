//! Seals: an end detects that bytes of its stream were lost or doubled before it acts on later
//! bytes.
//!
//! WSL's interop carries the stream, and some of its versions lose runs of bytes (microsoft/WSL
//! issue 41063). Without a check, a stream that continues at another place looks intact: an app
//! would get another app's bytes. So each frame after the hello has a seal before its header: a
//! check of the header, which includes the frame's number, and one of the payload. A lost or
//! doubled frame has the wrong number, and a frame that begins or ends elsewhere has another check.
//!
//! The check is CRC-32 (ISO-HDLC, as in Ethernet and zlib), for which processors have instructions.
//! It guards against accidents, not against attackers, who can seal what they write.

use crate::frame::data_header;
use crate::ids::FlowId;
use crate::limits::{HEADER, SEAL};

/// The state of one direction, from which the next seal is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    /// The check of the hello, which itself has no seal: a damaged one is detected at the next
    /// frame.
    hello: u32,
    /// The number of the next frame; the hello is number 0.
    next: u64,
}

impl Chain {
    /// The state after the hello with these bytes.
    pub(crate) fn after(hello: &[u8]) -> Self {
        Self { hello: crc32fast::hash(hello), next: 1 }
    }

    /// The number of the next frame.
    pub(crate) fn number(&self) -> u64 {
        self.next
    }

    /// Counts a frame that was taken.
    pub(crate) fn advance(&mut self) {
        self.next += 1;
    }

    /// The check of the next frame's header.
    pub(crate) fn header_check(&self, header: [u8; HEADER], payload: [u8; 4]) -> [u8; 4] {
        let mut sealed = [0; 8 + HEADER + 4];
        sealed[..8].copy_from_slice(&self.next.to_le_bytes());
        sealed[8..8 + HEADER].copy_from_slice(&header);
        sealed[8 + HEADER..].copy_from_slice(&payload);
        let mut check = crc32fast::Hasher::new_with_initial(self.hello);
        check.update(&sealed);
        check.finalize().to_le_bytes()
    }

    fn seal(&mut self, header: [u8; HEADER], payload: &[u8]) -> [u8; SEAL] {
        let [p0, p1, p2, p3] = payload_check(payload);
        let [h0, h1, h2, h3] = self.header_check(header, [p0, p1, p2, p3]);
        self.advance();
        [h0, h1, h2, h3, p0, p1, p2, p3]
    }
}

/// The check of a payload.
pub(crate) fn payload_check(payload: &[u8]) -> [u8; 4] {
    crc32fast::hash(payload).to_le_bytes()
}

/// Seals the frames of one direction.
#[derive(Debug, Default)]
pub struct Sealer {
    /// `None` before the hello.
    chain: Option<Chain>,
}

impl Sealer {
    /// Appends whole frames, as [`crate::Frame::encode`] wrote them, to `out`. The very first one
    /// is the hello, which has no seal.
    pub fn append(&mut self, mut frames: &[u8], out: &mut Vec<u8>) {
        while let Some(header) = frames.first_chunk::<HEADER>() {
            let [_, l0, l1, l2, ..] = *header;
            let length = HEADER + u32::from_le_bytes([l0, l1, l2, 0]) as usize;
            let (frame, rest) = frames.split_at(length.min(frames.len()));
            match &mut self.chain {
                None => self.chain = Some(Chain::after(frame)),
                Some(chain) => out.extend_from_slice(&chain.seal(*header, &frame[HEADER..])),
            }
            out.extend_from_slice(frame);
            frames = rest;
        }
    }

    /// Makes room for a data frame's seal and header; its payload is appended next.
    pub(crate) fn begin(out: &mut Vec<u8>) {
        out.extend_from_slice(&[0; SEAL + HEADER]);
    }

    /// Seals a data frame for which [`Sealer::begin`] made room at the beginning of `frame`.
    pub(crate) fn finish(&mut self, flow: FlowId, frame: &mut [u8]) {
        let Some((seal, rest)) = frame.split_first_chunk_mut::<SEAL>() else { return };
        let Some((header, payload)) = rest.split_first_chunk_mut::<HEADER>() else { return };
        *header = data_header(flow, payload.len());
        debug_assert!(self.chain.is_some(), "data before the hello");
        if let Some(chain) = &mut self.chain {
            *seal = chain.seal(*header, payload);
        }
    }
}
