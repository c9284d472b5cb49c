//! Reading a TCP header as far as the flow table needs it, and the MSS option of a kept SYN.

use crate::packet::{be16, be32};
use std::ops::Range;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// MSS of a peer that names none (RFC 9293 3.7.1).
pub(crate) const DEFAULT_MSS: u16 = 536;
/// Smallest MSS that is believed; the kernel refuses super-packets in smaller pieces, and they'd be mostly headers.
const LEAST_MSS: u16 = 48;

/// A TCP header whose lengths are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) header: usize,
    /// Bytes of data.
    pub(crate) data: usize,
    /// Sequence numbers that it takes.
    pub(crate) length: u32,
}

impl Segment {
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let header = 4 * usize::from(bytes.get(12)? >> 4);
        if header < 20 || header > bytes.len() {
            return None;
        }
        let flags = bytes[13];
        let control = u32::from(flags & FIN != 0) + u32::from(flags & SYN != 0);
        let (src_port, dst_port) = (be16(bytes, 0), be16(bytes, 2));
        // What comes for port 0 is refused; nothing can go back to one.
        if src_port == 0 {
            return None;
        }
        Some(Self {
            src_port,
            dst_port,
            seq: be32(bytes, 4),
            ack: be32(bytes, 8),
            flags,
            window: be16(bytes, 14),
            header,
            data: bytes.len() - header,
            length: control + u32::try_from(bytes.len() - header).ok()?,
        })
    }

    /// Where its data ends: the same segment without them.
    pub(crate) fn behind_data(self) -> Self {
        let data = u32::try_from(self.data).unwrap_or(0);
        Self { seq: self.seq.wrapping_add(data), data: 0, length: self.length.wrapping_sub(data), ..self }
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.flags & (SYN | ACK | RST | FIN) == SYN
    }

    /// A server's answer to a SYN.
    pub(crate) fn is_accepting(&self) -> bool {
        self.flags & (SYN | ACK | RST | FIN) == SYN | ACK
    }
}

/// Where the next option from `at` on lies in a TCP header, kind and length included (RFC 9293 3.2);
/// padding is passed over. `Err` tells where one begins whose length is wrong.
fn next_option(header: &[u8], mut at: usize) -> Result<Option<Range<usize>>, usize> {
    while let Some(&kind) = header.get(at) {
        match kind {
            0 => return Ok(None),
            1 => at += 1,
            _ => {
                let len = header.get(at + 1).copied().map_or(0, usize::from);
                return if len < 2 || at + len > header.len() { Err(at) } else { Ok(Some(at..at + len)) };
            }
        }
    }
    Ok(None)
}

/// Where an option's value lies in a TCP header. Of several the last counts, for Linux as well.
fn option_at(header: &[u8], wanted: u8, wanted_len: usize) -> Option<Range<usize>> {
    let (mut at, mut found) = (20, None);
    while let Ok(Some(option)) = next_option(header, at) {
        at = option.end;
        if header[option.start] == wanted && option.len() == wanted_len {
            found = Some(option.start + 2..option.end);
        }
    }
    found
}

/// Whether a segment has an MD5 signature (RFC 2385). The key is the server's, and no socket of the host
/// would sign what goes on from here. A kernel without the key drops such a segment (`tcp_inbound_hash` in
/// include/net/tcp.h).
pub(crate) fn is_signed(header: &[u8]) -> bool {
    option_at(header, 19, 18).is_some()
}

/// Whether an option has a length that its kind can have: an MSS, a window scale, SACK-permitted, SACK
/// blocks, timestamps (RFC 9293 3.2, RFC 7323 2.2 and 3.2, RFC 2018 2 and 3).
fn has_its_length(option: &[u8]) -> bool {
    match option[0] {
        2 => option.len() == 4,
        3 => option.len() == 3,
        4 => option.len() == 2,
        5 => option.len() > 2 && option.len() % 8 == 2,
        8 => option.len() == 10,
        _ => true,
    }
}

/// A header without what smoltcp would drop the segment for and Linux ignores, if there is any: an
/// option of a wrong length with all behind it, and one whose length its kind cannot have
/// (`tcp_parse_options` in net/ipv4/tcp_input.c). Padding stands in its place. The checksum is not
/// mended: smoltcp does not look at it.
pub(crate) fn mended(header: &[u8]) -> Option<Vec<u8>> {
    let (mut at, mut mended) = (20, None);
    loop {
        match next_option(header, at) {
            Ok(None) => return mended,
            Ok(Some(option)) => {
                at = option.end;
                if !has_its_length(&header[option.clone()]) {
                    mended.get_or_insert_with(|| header.to_vec())[option].fill(1);
                }
            }
            Err(at) => {
                mended.get_or_insert_with(|| header.to_vec())[at..].fill(0);
                return mended;
            }
        }
    }
}

fn mss_at(header: &[u8]) -> Option<Range<usize>> {
    option_at(header, 2, 4)
}

/// What a SYN offers, as smoltcp was told: enough to tell it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SynOptions {
    mss: Option<u16>,
    scale: Option<u8>,
    sack: Sack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sack {
    Permitted,
    No,
}

impl SynOptions {
    pub(crate) fn read(header: &[u8]) -> Self {
        Self {
            mss: mss_at(header).map(|range| be16(header, range.start)),
            scale: option_at(header, 3, 3).map(|range| header[range.start]),
            sack: if option_at(header, 4, 2).is_some() { Sack::Permitted } else { Sack::No },
        }
    }

    /// Whether windows are scaled, then both ways (RFC 7323 1.3).
    pub(crate) fn scales(self) -> bool {
        self.scale.is_some()
    }

    /// The shift of the app's windows (RFC 7323 2.3: at most 14).
    pub(crate) fn shift(self) -> u32 {
        self.scale.map_or(0, |scale| u32::from(scale.min(14)))
    }

    /// The options, padded to whole words.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(mss) = self.mss {
            bytes.extend_from_slice(&[2, 4]);
            bytes.extend_from_slice(&mss.to_be_bytes());
        }
        if let Some(scale) = self.scale {
            bytes.extend_from_slice(&[1, 3, 3, scale]);
        }
        if self.sack == Sack::Permitted {
            bytes.extend_from_slice(&[1, 1, 4, 2]);
        }
        bytes
    }
}

/// The MSS that a SYN's header names.
pub(crate) fn mss(header: &[u8]) -> u16 {
    match mss_at(header) {
        Some(range) => match be16(header, range.start) {
            0 => DEFAULT_MSS,
            mss => mss.max(LEAST_MSS),
        },
        None => DEFAULT_MSS,
    }
}

/// Puts another MSS into a SYN's header, where it names one.
pub(crate) fn set_mss(header: &mut [u8], mss: u16) {
    if let Some(range) = mss_at(header) {
        header[range].copy_from_slice(&mss.to_be_bytes());
    }
}
