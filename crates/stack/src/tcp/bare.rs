//! Segments made or changed here without smoltcp: resets, repeated ACKs, and packets without the
//! fields that smoltcp must not see.

use super::syn::{FIN, Segment};
use super::{Around, Tuple};
use crate::link::{IpHead, len16};
use crate::packet::{Packet, TCP, transport_sum};
use std::net::{IpAddr, SocketAddr};

/// The fields of a segment without data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bare {
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
}

impl Bare {
    fn header(self, from: SocketAddr, to: SocketAddr, options: &[u8]) -> Vec<u8> {
        let mut header = Vec::with_capacity(20 + options.len());
        header.extend_from_slice(&from.port().to_be_bytes());
        header.extend_from_slice(&to.port().to_be_bytes());
        header.extend_from_slice(&self.seq.to_be_bytes());
        header.extend_from_slice(&self.ack.to_be_bytes());
        header.extend_from_slice(
            &(len16(20 + options.len()) << 10 | u16::from(self.flags)).to_be_bytes(),
        );
        header.extend_from_slice(&self.window.to_be_bytes());
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(options);
        let sum = transport_sum(from.ip(), to.ip(), TCP, header.len())
            .add_slice(&header)
            .ones_complement();
        header[16..18].copy_from_slice(&sum.to_ne_bytes());
        header
    }

    /// Sends it to the app.
    pub(crate) fn send(self, around: &mut Around<'_>, tuple: Tuple) {
        let header = self.header(tuple.to, tuple.app, &[]);
        let head = IpHead {
            src: tuple.to.ip(),
            dst: tuple.app.ip(),
            protocol: TCP,
            ttl: 64,
            traffic_class: 0,
        };
        around.link.send(around.stats, around.out, head, &header);
    }

    /// The segment as if the app had sent it; `options` are padded to whole words. For smoltcp,
    /// which checks no checksum.
    pub(crate) fn as_from_app(self, tuple: Tuple, options: &[u8]) -> Vec<u8> {
        let header = self.header(tuple.app, tuple.to, options);
        let mut packet = match (tuple.app.ip(), tuple.to.ip()) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, TCP, 0, 0];
                ip[2..4].copy_from_slice(&len16(20 + header.len()).to_be_bytes());
                ip.extend_from_slice(&src.octets());
                ip.extend_from_slice(&dst.octets());
                ip
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut ip = vec![0x60, 0, 0, 0, 0, 0, TCP, 64];
                ip[4..6].copy_from_slice(&len16(header.len()).to_be_bytes());
                ip.extend_from_slice(&src.octets());
                ip.extend_from_slice(&dst.octets());
                ip
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => Vec::new(),
        };
        packet.extend_from_slice(&header);
        packet
    }
}

/// An IPv6 packet whose payload follows its fixed header.
pub(crate) fn without_extensions(packet: &Packet<'_>) -> Vec<u8> {
    let mut bytes = packet.whole[..40].to_vec();
    bytes[4..6].copy_from_slice(&len16(packet.payload.len()).to_be_bytes());
    bytes[6] = packet.protocol;
    bytes.extend_from_slice(packet.payload);
    bytes
}

/// Splits a segment with data and FIN into the data and a FIN that follows. `bytes` is its packet,
/// without IPv6 extensions.
///
/// smoltcp takes the FIN of a segment even if its window cut the data before it, and so loses the
/// end of the data. (The window's right edge may move back by less than the window's unit, so an
/// honest app sends such a segment.)
pub(crate) fn split_fin(bytes: &[u8], seg: Segment) -> (Vec<u8>, Vec<u8>) {
    let mut data = bytes.to_vec();
    let tcp_at = bytes.len() - seg.data - seg.header;
    data[tcp_at + 13] &= !FIN;
    let mut fin = bytes[..bytes.len() - seg.data].to_vec();
    let behind = seg.seq.wrapping_add(u32::try_from(seg.data).unwrap_or(0));
    fin[tcp_at + 4..tcp_at + 8].copy_from_slice(&behind.to_be_bytes());
    let v6 = fin[0] >> 4 == 6;
    let (field, len) = if v6 { (4, fin.len() - 40) } else { (2, fin.len()) };
    fin[field..field + 2].copy_from_slice(&len16(len).to_be_bytes());
    (data, fin)
}
