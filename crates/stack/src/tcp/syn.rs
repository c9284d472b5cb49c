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
    pub(crate) header: usize,
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
        if src_port == 0 || dst_port == 0 {
            return None;
        }
        Some(Self {
            src_port,
            dst_port,
            seq: be32(bytes, 4),
            ack: be32(bytes, 8),
            flags,
            header,
            length: control + u32::try_from(bytes.len() - header).ok()?,
        })
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.flags & (SYN | ACK | RST | FIN) == SYN
    }
}

/// Where the MSS option's value lies in a TCP header (RFC 9293 3.2).
fn mss_at(header: &[u8]) -> Option<Range<usize>> {
    let mut at = 20;
    while let Some(&kind) = header.get(at) {
        match kind {
            0 => return None,
            1 => at += 1,
            _ => {
                let len = usize::from(*header.get(at + 1)?);
                if len < 2 || at + len > header.len() {
                    return None;
                }
                if kind == 2 && len == 4 {
                    return Some(at + 2..at + 4);
                }
                at += len;
            }
        }
    }
    None
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
