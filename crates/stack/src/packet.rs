//! Reads IP packets with every length checked, and verifies the checksums of the layers above.
//! Knows no flow and no table.

use crate::stats::DropReason;
use etherparse::checksum::Sum16BitWords;
use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice};
use std::net::IpAddr;
use terms::{Fragments, Marks};

pub(crate) const ICMP4: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMP6: u8 = 58;

/// One IP packet, all lengths checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) marks: Marks,
    pub(crate) protocol: u8,
    /// Offset of the byte that names the protocol.
    pub(crate) protocol_at: usize,
    /// Everything after the IP headers. In a fragment, its part.
    pub(crate) payload: &'a [u8],
    /// The packet from its IP header to its end, without Ethernet's padding.
    pub(crate) whole: &'a [u8],
    pub(crate) fragment: Option<Fragment>,
}

/// Why a packet was not read, and the error that its sender must receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) why: DropReason,
    /// `None` where RFC 8200 requires silence.
    pub(crate) problem: Option<Problem>,
}

impl Unread {
    /// An extension header that a host drops silently.
    const SILENT: Self = Self { why: DropReason::ExtensionHeader, problem: None };

    const fn problem(code: u8, at: usize) -> Self {
        // Headers are shorter than 64 KiB.
        let pointer = (at & 0xffff) as u32;
        Self { why: DropReason::ExtensionHeader, problem: Some(Problem { code, pointer }) }
    }
}

impl From<DropReason> for Unread {
    fn from(why: DropReason) -> Self {
        Self { why, problem: None }
    }
}

impl From<Unread> for DropReason {
    fn from(unread: Unread) -> Self {
        unread.why
    }
}

/// An ICMPv6 parameter problem (RFC 4443 3.4): its code, and the offset of the byte concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: u8,
    pub(crate) pointer: u32,
}

/// Codes of a parameter problem: a field with a wrong value, a next header and an option that the
/// receiver does not know.
const WRONG_FIELD: u8 = 0;
const UNKNOWN_HEADER: u8 = 1;
const UNKNOWN_OPTION: u8 = 2;

/// The position of a fragment's payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment {
    pub(crate) id: u32,
    pub(crate) offset: usize,
    pub(crate) more: More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum More {
    Follow,
    Last,
}

impl<'a> Packet<'a> {
    /// RFC 791 3.1.
    pub(crate) fn read4(bytes: &'a [u8]) -> Result<Self, DropReason> {
        let header = Ipv4HeaderSlice::from_slice(bytes).map_err(|_| DropReason::Malformed)?;
        let (start, end) = (header.slice().len(), usize::from(header.total_len()));
        if end < start || end > bytes.len() {
            return Err(DropReason::Malformed);
        }
        if Sum16BitWords::new().add_slice(header.slice()).ones_complement() != 0 {
            return Err(DropReason::Checksum);
        }
        let more = if header.more_fragments() { More::Follow } else { More::Last };
        let offset = usize::from(header.fragments_offset().byte_offset());
        Ok(Self {
            src: header.source_addr().into(),
            dst: header.destination_addr().into(),
            marks: Marks {
                ttl: header.ttl(),
                traffic_class: bytes[1],
                fragments: if header.dont_fragment() {
                    Fragments::Forbidden
                } else {
                    Fragments::Allowed
                },
            },
            protocol: header.protocol().0,
            protocol_at: 9,
            payload: &bytes[start..end],
            whole: &bytes[..end],
            fragment: (offset > 0 || more == More::Follow).then(|| Fragment {
                id: header.identification().into(),
                offset,
                more,
            }),
        })
    }

    /// RFC 8200 3 and 4: reads past options, a routing header without segments left, and the
    /// fragment header. Other extension headers are not understood.
    pub(crate) fn read6(bytes: &'a [u8]) -> Result<Self, Unread> {
        let header = Ipv6HeaderSlice::from_slice(bytes).map_err(|_| DropReason::Malformed)?;
        let end = 40 + usize::from(header.payload_length());
        if end > bytes.len() {
            return Err(DropReason::Malformed.into());
        }
        let whole = &bytes[..end];
        // `named_at` is the offset of the byte that names the header at `at`.
        let (mut next, mut at, mut named_at, mut fragment) = (header.next_header().0, 40, 6, None);
        loop {
            match next {
                // Hop-by-hop options come first. Elsewhere their number counts as unknown (RFC 8200
                // 4).
                0 if at > 40 => return Err(Unread::problem(UNKNOWN_HEADER, named_at)),
                0 | 60 | 43 => {
                    let head = whole.get(at..at + 2).ok_or(DropReason::Malformed)?;
                    let len = 8 + 8 * usize::from(head[1]);
                    let header = whole.get(at..at + len).ok_or(DropReason::Malformed)?;
                    if next != 43 {
                        pass_options(header, at)?;
                    } else if header[3] != 0 {
                        // A header with segments left asks a router. The pointer names the type
                        // (RFC 8200 4.4, RFC 5095 3).
                        return Err(Unread::problem(WRONG_FIELD, at + 2));
                    }
                    (next, named_at) = (head[0], at);
                    at += len;
                }
                44 => {
                    let part = whole.get(at..at + 8).ok_or(DropReason::Malformed)?;
                    if fragment.is_some() {
                        return Err(Unread::SILENT);
                    }
                    let field = u16::from_be_bytes([part[2], part[3]]);
                    let found = Fragment {
                        id: u32::from_be_bytes([part[4], part[5], part[6], part[7]]),
                        offset: usize::from(field & !7),
                        more: if field & 1 == 1 { More::Follow } else { More::Last },
                    };
                    (next, named_at) = (part[0], at);
                    at += 8;
                    // An atomic fragment is a whole packet (RFC 6946).
                    if found.offset > 0 || found.more == More::Follow {
                        fragment = Some(found);
                        break;
                    }
                }
                // No next header: there is nothing to carry (RFC 8200 4.7).
                59 => return Err(Unread::SILENT),
                51 | 135 | 139 | 140 => return Err(Unread::problem(UNKNOWN_HEADER, named_at)),
                _ => break,
            }
        }
        Ok(Self {
            src: header.source_addr().into(),
            dst: header.destination_addr().into(),
            marks: Marks {
                ttl: header.hop_limit(),
                traffic_class: header.traffic_class(),
                // Only its sender could have fragmented it.
                fragments: Fragments::Forbidden,
            },
            protocol: next,
            protocol_at: named_at,
            payload: whole.get(at..).ok_or(DropReason::Malformed)?,
            whole,
            fragment,
        })
    }

    /// The error of a host that does not support an IPv6 packet's protocol.
    pub(crate) fn unknown_protocol(&self) -> Problem {
        Problem { code: UNKNOWN_HEADER, pointer: (self.protocol_at & 0xffff) as u32 }
    }

    /// Whether the transport's checksum (TCP, UDP, ICMPv6) is right.
    pub(crate) fn checksum_fits(&self) -> bool {
        transport_sum(self.src, self.dst, self.protocol, self.payload.len())
            .add_slice(self.payload)
            .ones_complement()
            == 0
    }
}

/// Skips the options of a header at `at`, if each may be skipped. The upper two bits of an unknown
/// option say what to do (RFC 8200 4.2): skip it, drop the packet, or drop it and notify the
/// sender. A home address (RFC 6275) and a jumbo payload (RFC 2675) require the last, rightly: they
/// change what the packet is.
fn pass_options(header: &[u8], at: usize) -> Result<(), Unread> {
    let mut place = 2;
    while let [kind, rest @ ..] = &header[place..] {
        // Pad1 alone has no length.
        let len = match (kind, rest.first()) {
            (0, _) => 1,
            (_, Some(len)) => 2 + usize::from(*len),
            (_, None) => return Err(Unread::SILENT),
        };
        if len > header.len() - place {
            return Err(Unread::SILENT);
        }
        match kind >> 6 {
            0 => place += len,
            1 => return Err(Unread::SILENT),
            _ => return Err(Unread::problem(UNKNOWN_OPTION, at + place)),
        }
    }
    Ok(())
}

/// The sum over the pseudo-header (RFC 9293 3.1, RFC 8200 8.1).
pub(crate) fn transport_sum(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Sum16BitWords {
    let mut sum = Sum16BitWords::new();
    for ip in [src, dst] {
        sum = match ip {
            IpAddr::V4(ip) => sum.add_4bytes(ip.octets()),
            IpAddr::V6(ip) => sum.add_16bytes(ip.octets()),
        };
    }
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    sum.add_4bytes(len.to_be_bytes()).add_2bytes([0, protocol])
}

/// A big-endian number in checked bytes; 0 if they end early.
pub(crate) fn be16(bytes: &[u8], at: usize) -> u16 {
    match bytes.get(at..at + 2) {
        Some(two) => u16::from_be_bytes([two[0], two[1]]),
        None => 0,
    }
}

/// Like [`be16`], for four bytes.
pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    (u32::from(be16(bytes, at)) << 16) | u32::from(be16(bytes, at + 2))
}
