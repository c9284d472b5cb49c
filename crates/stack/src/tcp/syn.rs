//! Reads a TCP header as far as the flow table needs it, and the MSS option of a kept SYN.

use crate::packet::{be16, be32};
use std::ops::Range;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const ACK: u8 = 16;

/// MSS of a peer that sends no MSS option (RFC 9293 3.7.1).
pub(crate) const DEFAULT_MSS: u16 = 536;
/// Smallest MSS that the stack believes. The kernel refuses super-packets in smaller pieces, and
/// they would be mostly headers.
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
    /// Sequence numbers that it occupies.
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
        // A segment from port 0 is refused; no answer could return to it.
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

    /// The same segment from the end of its data on, without the data.
    pub(crate) fn without_data(self) -> Self {
        let data = u32::try_from(self.data).unwrap_or(0);
        Self {
            seq: self.seq.wrapping_add(data),
            data: 0,
            length: self.length.wrapping_sub(data),
            ..self
        }
    }

    pub(crate) fn is_opening(&self) -> bool {
        self.flags & (SYN | ACK | RST | FIN) == SYN
    }

    /// A server's answer to a SYN.
    pub(crate) fn is_accepting(&self) -> bool {
        self.flags & (SYN | ACK | RST | FIN) == SYN | ACK
    }
}

/// The position of the next option from `at` on in a TCP header, kind and length included (RFC 9293
/// 3.2). Padding is skipped. `Err` holds the position of an option with a wrong length.
fn next_option(header: &[u8], mut at: usize) -> Result<Option<Range<usize>>, usize> {
    while let Some(&kind) = header.get(at) {
        match kind {
            0 => return Ok(None),
            1 => at += 1,
            _ => {
                let len = header.get(at + 1).copied().map_or(0, usize::from);
                return if len < 2 || at + len > header.len() {
                    Err(at)
                } else {
                    Ok(Some(at..at + len))
                };
            }
        }
    }
    Ok(None)
}

/// The position of an option's value in a TCP header. The last of several counts, as in Linux.
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

/// Whether a segment has an MD5 signature (RFC 2385). The key is the server's, and no socket of the
/// host would sign the segments from here on. A kernel without the key drops such a segment
/// (`tcp_inbound_hash` in include/net/tcp.h).
pub(crate) fn is_signed(header: &[u8]) -> bool {
    option_at(header, 19, 18).is_some()
}

/// Whether an option has a length that is valid for its kind: an MSS, a window scale,
/// SACK-permitted, SACK blocks, timestamps (RFC 9293 3.2, RFC 7323 2.2 and 3.2, RFC 2018 2 and 3).
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

/// The header without the options that make smoltcp drop the segment and that Linux ignores: an
/// option of a wrong length with everything after it, and one whose length its kind cannot have
/// (`tcp_parse_options` in net/ipv4/tcp_input.c). Padding replaces them. `None` if there are no
/// such options. The checksum stays wrong: smoltcp does not check it.
pub(crate) fn repaired(header: &[u8]) -> Option<Vec<u8>> {
    let (mut at, mut repaired) = (20, None);
    loop {
        match next_option(header, at) {
            Ok(None) => return repaired,
            Ok(Some(option)) => {
                at = option.end;
                if !has_its_length(&header[option.clone()]) {
                    repaired.get_or_insert_with(|| header.to_vec())[option].fill(1);
                }
            }
            Err(at) => {
                repaired.get_or_insert_with(|| header.to_vec())[at..].fill(0);
                return repaired;
            }
        }
    }
}

fn mss_at(header: &[u8]) -> Option<Range<usize>> {
    option_at(header, 2, 4)
}

/// The options of a SYN as smoltcp received them, enough to repeat it.
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

    /// Whether windows are scaled, which then applies both ways (RFC 7323 1.3).
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

/// Puts another MSS into a SYN's header, if it has that option.
pub(crate) fn set_mss(header: &mut [u8], mss: u16) {
    if let Some(range) = mss_at(header) {
        header[range].copy_from_slice(&mss.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header from port 0x1234 to port 80, with options that are padded to whole words.
    fn header(flags: u8, options: &[u8]) -> Vec<u8> {
        let words = (20 + options.len()).div_ceil(4);
        let mut header = vec![
            0x12,
            0x34,
            0,
            80,
            1,
            2,
            3,
            4,
            5,
            6,
            7,
            8,
            (words as u8) << 4,
            flags,
            0x40,
            1,
            0,
            0,
            0,
            0,
        ];
        header.extend_from_slice(options);
        header.resize(4 * words, 0);
        header
    }

    #[test]
    fn a_segment_is_read_with_its_length_in_sequence_numbers() {
        for (flags, control) in [(ACK, 0), (SYN, 1), (FIN | ACK, 1), (SYN | FIN, 2), (RST, 0)] {
            for data in [0, 1, 1000] {
                let bytes = [header(flags, &[1; 8]), vec![7; data]].concat();
                let seg = Segment::read(&bytes).unwrap();
                assert_eq!(
                    (seg.src_port, seg.dst_port, seg.seq, seg.ack),
                    (0x1234, 80, 0x0102_0304, 0x0506_0708)
                );
                assert_eq!((seg.flags, seg.window, seg.header), (flags, 0x4001, 28));
                assert_eq!((seg.data, seg.length), (data, control + data as u32), "flags {flags}");
                let behind = seg.without_data();
                assert_eq!(
                    (behind.seq, behind.data, behind.length),
                    (seg.seq + data as u32, 0, control)
                );
                assert_eq!((behind.ack, behind.flags, behind.window), (seg.ack, flags, seg.window));
            }
        }
    }

    #[test]
    fn a_header_that_is_incomplete_or_from_port_0_is_not_a_segment() {
        let whole = header(ACK, &[1; 4]);
        assert!(Segment::read(&whole).is_some());
        for short in 0..whole.len() {
            assert!(Segment::read(&whole[..short]).is_none(), "{short} bytes");
        }
        let mut small = whole.clone();
        small[12] = 4 << 4;
        assert!(Segment::read(&small).is_none(), "16 bytes are not a header");
        small[12] = 5 << 4;
        assert_eq!(Segment::read(&small).map(|seg| seg.data), Some(4));
        let from = |port: [u8; 2]| Segment::read(&[&port, &whole[2..]].concat()).is_some();
        assert_eq!((from([0, 0]), from([0, 1]), from([1, 0])), (false, true, true));
    }

    #[test]
    fn only_the_flags_say_which_end_speaks_first() {
        for flags in 0..64 {
            let seg = Segment::read(&header(flags, &[])).unwrap();
            let said = flags & (SYN | ACK | RST | FIN);
            assert_eq!(
                (seg.is_opening(), seg.is_accepting()),
                (said == SYN, said == SYN | ACK),
                "{flags}"
            );
        }
    }

    #[test]
    fn options_of_a_syn_are_read_and_written_again() {
        let all = [2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2];
        let options = SynOptions::read(&header(SYN, &all));
        assert_eq!((options.bytes(), options.scales(), options.shift()), (all.to_vec(), true, 7));
        for part in
            [&[][..], &[2, 4, 5, 0xb4], &[1, 3, 3, 7], &[1, 1, 4, 2], &[2, 4, 1, 0, 1, 1, 4, 2]]
        {
            let options = SynOptions::read(&header(SYN, part));
            assert_eq!(
                (options.bytes(), options.scales()),
                (part.to_vec(), part.contains(&3)),
                "{part:?}"
            );
        }
        let shift = |scale| SynOptions::read(&header(SYN, &[3, 3, scale])).shift();
        assert_eq!([0, 13, 14, 15, 255].map(shift), [0, 13, 14, 14, 14], "RFC 7323 section 2.3");
        assert_eq!(SynOptions::read(&header(SYN, &[])).shift(), 0);
    }

    #[test]
    fn an_mss_is_the_last_of_the_right_length_and_not_too_small() {
        let of = |options: &[u8]| mss(&header(SYN, options));
        assert_eq!(of(&[2, 4, 5, 0xb4]), 1460);
        assert_eq!((of(&[]), of(&[2, 4, 0, 0]), of(&[2, 3, 5, 1])), (536, 536, 536));
        assert_eq!((of(&[2, 4, 0, 47]), of(&[2, 4, 0, 49])), (48, 49));
        assert_eq!(of(&[2, 4, 5, 0xb4, 1, 1, 1, 1, 2, 4, 5, 0]), 1280);
        assert_eq!(of(&[0, 2, 4, 5, 0xb4]), 536, "after the end of the options");
        assert_eq!(
            (of(&[5, 1, 2, 4, 5, 0xb4]), of(&[5, 0, 2, 4, 5, 0xb4])),
            (536, 536),
            "after a wrong length"
        );
        assert_eq!(of(&[5, 2, 2, 4, 5, 0xb4]), 1460);
        assert_eq!(of(&[1, 1, 1, 1, 2, 5, 5, 0xb4]), 536, "beyond the header");
        let mut changed = header(SYN, &[1, 2, 4, 5, 0xb4]);
        set_mss(&mut changed, 65_000);
        assert_eq!(changed, header(SYN, &[1, 2, 4, 0xfd, 0xe8]));
        let mut without = header(SYN, &[1, 3, 3, 7]);
        set_mss(&mut without, 65_000);
        assert_eq!(without, header(SYN, &[1, 3, 3, 7]));
    }

    #[test]
    fn a_signature_is_known_by_kind_and_length() {
        let signed = |kind, length: u8| {
            is_signed(&header(
                ACK,
                &[&[kind, length], &[9; 30][..usize::from(length) - 2]].concat(),
            ))
        };
        assert!(
            signed(19, 18)
                && !signed(19, 17)
                && !signed(19, 19)
                && !signed(18, 18)
                && !signed(29, 18)
        );
    }

    #[test]
    fn options_of_wrong_lengths_become_padding_and_right_ones_stay() {
        let right = [
            &[2, 4, 5, 0xb4][..],
            &[3, 3, 7],
            &[4, 2],
            &[5, 10, 0, 0, 0, 0, 0, 0, 0, 0],
            &[5, 18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[8, 10, 0, 0, 0, 0, 0, 0, 0, 0],
            &[253, 5, 1, 2, 3],
            &[253, 2],
        ];
        for option in right {
            assert_eq!(repaired(&header(ACK, option)), None, "{option:?}");
        }
        let wrong = [
            &[2, 3, 5][..],
            &[2, 5, 5, 0xb4, 1],
            &[3, 2],
            &[3, 4, 7, 7],
            &[4, 3, 1],
            &[5, 2],
            &[5, 9, 0, 0, 0, 0, 0, 0, 0],
            &[5, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[8, 9, 0, 0, 0, 0, 0, 0, 0],
        ];
        for option in wrong {
            let behind = [option, &[2, 4, 5, 0xb4]].concat();
            let padded = [&vec![1; option.len()][..], &[2, 4, 5, 0xb4]].concat();
            assert_eq!(repaired(&header(ACK, &behind)), Some(header(ACK, &padded)), "{option:?}");
        }
        // Everything after a wrong length goes.
        for option in [
            &[7, 1, 2, 4, 5, 0xb4][..],
            &[7, 0, 2, 4, 5, 0xb4],
            &[7, 9, 2, 4, 5, 0xb4],
            &[1, 1, 1, 1, 1, 1, 1, 7],
        ] {
            let kept = option.iter().take_while(|byte| **byte == 1).count();
            let padded = [&vec![1; kept][..], &vec![0; option.len() - kept]].concat();
            assert_eq!(repaired(&header(ACK, option)), Some(header(ACK, &padded)), "{option:?}");
        }
    }
}
