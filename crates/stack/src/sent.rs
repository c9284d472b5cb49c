//! The headers of a source endpoint's latest datagrams, so that an ICMP error quotes the datagram
//! concerned. Programs recognise their probes by an IP identification, a length or a checksum.

use crate::link::len16;
use crate::offload::RxMeta;
use crate::packet::{Packet, UDP, be16, be32, transport_sum};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use terms::Fragments;

/// Datagrams kept for each endpoint: as many as traceroute has in flight at once.
pub(crate) const LATEST: usize = 16;

/// The network card may compute the checksum of a datagram longer than this. Its quote then has
/// checksum 0, which means that there is no checksum. Summing each byte of a bulk transfer would
/// cost too much.
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
    /// Reads the headers of a packet with a whole datagram.
    pub(crate) fn read(packet: &Packet<'_>, to: SocketAddr, meta: RxMeta) -> Self {
        let datagram = packet.payload;
        let checksum = match meta {
            RxMeta::Unverified => be16(datagram, 6),
            RxMeta::ChecksumTrusted | RxMeta::Datagrams { .. } if datagram.len() <= SUMMED => {
                let sum = transport_sum(packet.src, packet.dst, UDP, datagram.len());
                let sum = sum.add_slice(&datagram[..6]).add_slice(&datagram[8..]);
                u16::from_be(sum.to_ones_complement_with_no_zero())
            }
            RxMeta::ChecksumTrusted | RxMeta::Datagrams { .. } => 0,
        };
        Self {
            to,
            label: if packet.dst.is_ipv4() {
                be16(packet.whole, 4).into()
            } else {
                be32(packet.whole, 0)
            },
            traffic_class: packet.marks.traffic_class,
            fragments: packet.marks.fragments,
            length: be16(datagram, 4),
            checksum,
        }
    }

    /// The headers of a super-packet's datagram with this place in it and this payload. Linux
    /// counts up IPv4's identification (`inet_gso_segment` in net/ipv4/af_inet.c).
    pub(crate) fn read_part(
        packet: &Packet<'_>,
        to: SocketAddr,
        place: usize,
        payload: &[u8],
    ) -> Self {
        let length = 8 + payload.len();
        let checksum = if length <= SUMMED {
            let sum = transport_sum(packet.src, packet.dst, UDP, length)
                .add_slice(&packet.payload[..4])
                .add_2bytes(len16(length).to_be_bytes())
                .add_slice(payload);
            u16::from_be(sum.to_ones_complement_with_no_zero())
        } else {
            0
        };
        let label = if packet.dst.is_ipv4() {
            part_id(packet, place).into()
        } else {
            be32(packet.whole, 0)
        };
        Self {
            to,
            label,
            traffic_class: packet.marks.traffic_class,
            fragments: packet.marks.fragments,
            length: len16(length),
            checksum,
        }
    }

    /// A datagram of which only the ends are known.
    pub(crate) fn unknown(to: SocketAddr) -> Self {
        Self {
            to,
            label: 0x6000_0000,
            traffic_class: 0,
            fragments: Fragments::Allowed,
            length: 8,
            checksum: 0,
        }
    }

    /// Its headers as a router at its last hop saw them (RFC 792, RFC 4443 3).
    pub(crate) fn quote(&self, app: SocketAddr) -> Vec<u8> {
        let mut quote = match (app.ip(), self.to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let total = self.length.saturating_add(20).to_be_bytes();
                let [.., id_high, id_low] = self.label.to_be_bytes();
                let flags = if self.fragments == Fragments::Forbidden { 0x40 } else { 0 };
                let mut header = vec![
                    0x45,
                    self.traffic_class,
                    total[0],
                    total[1],
                    id_high,
                    id_low,
                    flags,
                    0,
                    1,
                    UDP,
                    0,
                    0,
                ];
                header.extend_from_slice(&src.octets());
                header.extend_from_slice(&dst.octets());
                let sum =
                    etherparse::checksum::Sum16BitWords::new().add_slice(&header).ones_complement();
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

/// The IPv4 identification of a super-packet's datagram with this place in it.
pub(crate) fn part_id(packet: &Packet<'_>, place: usize) -> u16 {
    be16(packet.whole, 4).wrapping_add((place & 0xffff) as u16)
}

/// The latest datagrams of an endpoint, newest last.
#[derive(Debug, Default)]
pub(crate) struct Latest(VecDeque<Sent>);

impl Latest {
    pub(crate) fn push(&mut self, sent: Sent) {
        if self.0.len() == LATEST {
            self.0.pop_front();
        }
        self.0.push_back(sent);
    }

    /// The destination of the last one.
    pub(crate) fn last(&self) -> Option<SocketAddr> {
        self.0.back().map(|sent| sent.to)
    }

    /// The last datagram to that address, or one of which only the ends are known.
    pub(crate) fn to(&self, to: SocketAddr) -> Sent {
        self.0.iter().rev().find(|sent| sent.to == to).copied().unwrap_or_else(|| Sent::unknown(to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Marks;

    /// An IP packet that holds a datagram of 10.99.0.18 or fd75:6e64:6572::2, port 5000, to port
    /// 9999.
    fn packet(is_v6: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let builder = if is_v6 {
            etherparse::PacketBuilder::ipv6([0xfd; 16], [0x26; 16], 64).udp(5000, 9999)
        } else {
            etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [8, 8, 4, 4], 64).udp(5000, 9999)
        };
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    fn read(bytes: &[u8], class: u8, fragments: Fragments, meta: RxMeta) -> (Sent, SocketAddr) {
        let packet = Packet::read6(bytes).or_else(|_| Packet::read4(bytes)).unwrap();
        let packet = Packet { marks: Marks { ttl: 64, traffic_class: class, fragments }, ..packet };
        let to = SocketAddr::new(packet.dst, 9999);
        (Sent::read(&packet, to, meta), SocketAddr::new(packet.src, 5000))
    }

    #[test]
    fn a_quote_is_the_datagrams_own_headers_with_a_last_hop() {
        for payload in [&b""[..], b"even", b"odd", &[7; SUMMED - 8]] {
            for meta in [RxMeta::Unverified, RxMeta::ChecksumTrusted] {
                let mut bytes = packet(false, payload);
                bytes[1] = 0xb8;
                bytes[4..6].copy_from_slice(&[0x12, 0x34]);
                bytes[6] = 0x40;
                bytes[8] = 1;
                bytes[10..12].fill(0);
                let sum = etherparse::checksum::Sum16BitWords::new()
                    .add_slice(&bytes[..20])
                    .ones_complement();
                bytes[10..12].copy_from_slice(&sum.to_ne_bytes());
                let (sent, app) = read(&bytes, 0xb8, Fragments::Forbidden, meta);
                assert_eq!(sent.quote(app), bytes[..28], "{} bytes", payload.len());

                let mut bytes = packet(true, payload);
                bytes[..4].copy_from_slice(&[0x6b, 0x81, 0x23, 0x45]);
                bytes[7] = 1;
                let (sent, app) = read(&bytes, 0xb8, Fragments::Forbidden, meta);
                assert_eq!(sent.quote(app), bytes[..48], "{} bytes", payload.len());
            }
        }
        // A packet that may be fragmented has that flag, and the checksum of a long one is left
        // out.
        let long = packet(false, &[7; SUMMED - 7]);
        let (sent, app) = read(&long, 0, Fragments::Allowed, RxMeta::ChecksumTrusted);
        let quote = sent.quote(app);
        assert_eq!((quote[6], &quote[26..28]), (0, &[0, 0][..]));
        let (sent, _) = read(&long, 0, Fragments::Allowed, RxMeta::Unverified);
        assert_eq!(sent.quote(app)[26..28], long[26..28]);
    }

    #[test]
    fn the_latest_datagrams_of_an_endpoint_are_known_and_no_older_ones() {
        let to = |port: usize| SocketAddr::from(([8, 8, 4, 4], u16::try_from(port).unwrap()));
        let app = SocketAddr::from(([10, 99, 0, 18], 5000));
        let mut latest = Latest::default();
        assert_eq!(latest.last(), None);
        for port in 0..=LATEST {
            latest.push(Sent { label: 7, ..Sent::unknown(to(port)) });
            assert_eq!(latest.last(), Some(to(port)));
        }
        latest.push(Sent { label: 8, ..Sent::unknown(to(LATEST)) });
        let label = |port| latest.to(to(port)).label;
        assert_eq!(
            (label(LATEST), label(LATEST - 1), label(2)),
            (8, 7, 7),
            "the newest to an address"
        );
        for forgotten in [0, 1, 999] {
            let quote = latest.to(to(forgotten)).quote(app);
            assert_eq!(quote, Sent::unknown(to(forgotten)).quote(app), "{forgotten}");
            assert_eq!(
                (quote.len(), &quote[2..4], &quote[24..28]),
                (28, &[0, 28][..], &[0, 8, 0, 0][..])
            );
        }
        let six = "[fd00::1]:1".parse().unwrap();
        assert_eq!(Sent::unknown(six).quote(six)[..8], [0x60, 0, 0, 0, 0, 8, UDP, 1]);
        assert_eq!(
            Sent::unknown(six).quote(app).len(),
            8,
            "ends of two families have no common header"
        );
    }
}
