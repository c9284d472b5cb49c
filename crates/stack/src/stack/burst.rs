//! UDP segment offload: datagrams that an app sends in one call come from the TAP as one
//! super-packet. Its headers are those of the first datagram, except for the lengths, which are
//! those of the whole (`udp_send_skb` in Linux' net/ipv4/udp.c).

use crate::link::{ETHERNET, len16};
use crate::offload::RxMeta;
use crate::packet::{Packet, UDP, be16, transport_sum};
use crate::sent::part_id;
use etherparse::checksum::Sum16BitWords;
use std::net::SocketAddr;
use std::num::NonZeroU16;

/// Bytes of UDP's header.
const HEADER: usize = 8;

/// A super-packet of UDP with at least two datagrams.
pub(super) struct Burst<'a> {
    pub(super) packet: Packet<'a>,
    pub(super) app: SocketAddr,
    pub(super) to: SocketAddr,
    /// Payload bytes of each datagram except the last.
    pub(super) size: NonZeroU16,
    /// The payloads, one after the other.
    pub(super) bytes: &'a [u8],
}

impl<'a> Burst<'a> {
    /// `None` if it is a single packet, or not one that a kernel makes.
    pub(super) fn read(packet: &Packet<'a>, meta: RxMeta) -> Option<Self> {
        let RxMeta::Datagrams { size } = meta else { return None };
        let length = usize::from(be16(packet.payload, 4));
        let bytes = packet.payload.get(HEADER..length)?;
        let is_burst = packet.protocol == UDP
            && packet.fragment.is_none()
            && bytes.len() > usize::from(size.get());
        is_burst.then(|| Self {
            packet: *packet,
            app: SocketAddr::new(packet.src, be16(packet.payload, 0)),
            to: SocketAddr::new(packet.dst, be16(packet.payload, 2)),
            size,
            bytes,
        })
    }

    /// The payload of each datagram.
    pub(super) fn parts(&self) -> std::slice::Chunks<'a, u8> {
        self.bytes.chunks(usize::from(self.size.get()))
    }

    /// The frame of the datagram with this place and payload, as the kernel makes it where nothing
    /// takes super-packets. `ethernet` begins with the header of the super-packet's frame.
    pub(super) fn frame(&self, ethernet: &[u8], place: usize, payload: &[u8]) -> Vec<u8> {
        let packet = &self.packet;
        let ip = packet.whole.len() - packet.payload.len();
        let length = HEADER + payload.len();
        let mut frame = Vec::with_capacity(ETHERNET + ip + length);
        frame.extend_from_slice(&ethernet[..ETHERNET]);
        frame.extend_from_slice(&packet.whole[..ip]);
        let header = &mut frame[ETHERNET..];
        if packet.dst.is_ipv4() {
            header[2..4].copy_from_slice(&len16(ip + length).to_be_bytes());
            header[4..6].copy_from_slice(&part_id(packet, place).to_be_bytes());
            header[10..12].fill(0);
            let sum = Sum16BitWords::new().add_slice(header).ones_complement();
            header[10..12].copy_from_slice(&sum.to_ne_bytes());
        } else {
            header[4..6].copy_from_slice(&len16(ip - 40 + length).to_be_bytes());
        }
        let udp = frame.len();
        frame.extend_from_slice(&packet.payload[..4]);
        frame.extend_from_slice(&len16(length).to_be_bytes());
        frame.extend_from_slice(&[0, 0]);
        frame.extend_from_slice(payload);
        let sum = transport_sum(packet.src, packet.dst, UDP, length).add_slice(&frame[udp..]);
        let sum = sum.to_ones_complement_with_no_zero().to_ne_bytes();
        frame[udp + 6..udp + 8].copy_from_slice(&sum);
        frame
    }
}
