//! What the latest datagrams of a source endpoint looked like, so that an ICMP error quotes the one that it
//! is about: programs find their probes by an IP identification, a length or a checksum.

use crate::offload::RxMeta;
use crate::packet::{Packet, UDP, be16, be32, transport_sum};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use terms::Fragments;

/// How many are kept for each endpoint: as many as traceroute has under way at once.
const LATEST: usize = 16;

/// A datagram that is longer than this may have its checksum left to the network card, and then the
/// quote has 0, which stands for none. To sum up each byte of a bulk transfer would cost too much.
const SUMMED: usize = 512;

/// The headers of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    to: SocketAddr,
    /// IPv4's identification; IPv6's flow label, with version and traffic class.
    label: u32,
    traffic_class: u8,
    fragments: Fragments,
    /// The length and the checksum of UDP.
    length: u16,
    checksum: u16,
}

impl Sent {
    /// What a packet with a whole datagram says.
    pub(crate) fn read(packet: &Packet<'_>, to: SocketAddr, meta: RxMeta) -> Self {
        let datagram = packet.payload;
        let checksum = match meta {
            RxMeta::Unverified => be16(datagram, 6),
            RxMeta::ChecksumTrusted if datagram.len() <= SUMMED => {
                let sum = transport_sum(packet.src, packet.dst, UDP, datagram.len());
                let sum = sum.add_slice(&datagram[..6]).add_slice(&datagram[8..]);
                u16::from_be(sum.to_ones_complement_with_no_zero())
            }
            RxMeta::ChecksumTrusted => 0,
        };
        Self {
            to,
            label: if packet.dst.is_ipv4() { be16(packet.whole, 4).into() } else { be32(packet.whole, 0) },
            traffic_class: packet.marks.traffic_class,
            fragments: packet.marks.fragments,
            length: be16(datagram, 4),
            checksum,
        }
    }

    /// One of which nothing is known but its ends.
    pub(crate) fn unknown(to: SocketAddr) -> Self {
        Self { to, label: 0x6000_0000, traffic_class: 0, fragments: Fragments::Allowed, length: 8, checksum: 0 }
    }

    /// Its headers as a router saw them, with a last hop left (RFC 792, RFC 4443 3).
    pub(crate) fn quote(&self, app: SocketAddr) -> Vec<u8> {
        let mut quote = match (app.ip(), self.to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let total = self.length.saturating_add(20).to_be_bytes();
                let [.., id_high, id_low] = self.label.to_be_bytes();
                let flags = if self.fragments == Fragments::Forbidden { 0x40 } else { 0 };
                let mut header =
                    vec![0x45, self.traffic_class, total[0], total[1], id_high, id_low, flags, 0, 1, UDP, 0, 0];
                header.extend_from_slice(&src.octets());
                header.extend_from_slice(&dst.octets());
                let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&header).ones_complement();
                header[10..12].copy_from_slice(&sum.to_ne_bytes());
                header
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut header = self.label.to_be_bytes().to_vec();
                header.extend_from_slice(&self.length.to_be_bytes());
                header.extend_from_slice(&[UDP, 1]);
                header.extend_from_slice(&src.octets());
                header.extend_from_slice(&dst.octets());
                header
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
        };
        for field in [app.port(), self.to.port(), self.length, self.checksum] {
            quote.extend_from_slice(&field.to_be_bytes());
        }
        quote
    }
}

/// The latest datagrams of an endpoint, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Latest(VecDeque<Sent>);

impl Latest {
    pub(crate) fn push(&mut self, sent: Sent) {
        if self.0.len() == LATEST {
            self.0.pop_front();
        }
        self.0.push_back(sent);
    }

    /// Where the last one went.
    pub(crate) fn last(&self) -> Option<SocketAddr> {
        self.0.back().map(|sent| sent.to)
    }

    /// The last one to that address; or one of which only the ends are known.
    pub(crate) fn to(&self, to: SocketAddr) -> Sent {
        self.0.iter().rev().find(|sent| sent.to == to).copied().unwrap_or_else(|| Sent::unknown(to))
    }
}
