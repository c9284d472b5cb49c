//! The way out: this module adds headers to IP packets, fragments those that exceed the TAP's MTU,
//! and sends Ethernet frames. Segments from [`crate::tcp`] have their headers already.

use crate::offload::{Transmit, TxMeta};
use crate::stats::Stats;
use etherparse::checksum::Sum16BitWords;
use std::net::IpAddr;

/// Bytes of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// EtherType of IPv4.
pub(crate) const ETHER_IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub(crate) const ETHER_ARP: u16 = 0x0806;
/// EtherType of IPv6.
pub(crate) const ETHER_IPV6: u16 = 0x86dd;

/// The TAP as the stack sees it.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) gateway_mac: [u8; 6],
    pub(crate) vm_mac: [u8; 6],
    /// Largest IP packet, in bytes.
    pub(crate) mtu: usize,
    /// Buffer for the next frame. Its content has no meaning between frames.
    pub(crate) scratch: Vec<u8>,
    /// The last identification used.
    pub(crate) next_id: u32,
}

impl Link {
    pub(crate) fn new(gateway_mac: [u8; 6], vm_mac: [u8; 6], mtu: usize, seed: u64) -> Self {
        // The low half seeds only the identification field.
        let next_id = (seed & 0xffff_ffff) as u32;
        Self { gateway_mac, vm_mac, mtu, scratch: Vec::with_capacity(70_000), next_id }
    }

    /// The Ethernet header of a frame to the VM.
    pub(crate) fn ethernet(&self, kind: u16) -> [u8; ETHERNET] {
        let mut header = [0; ETHERNET];
        header[..6].copy_from_slice(&self.vm_mac);
        header[6..12].copy_from_slice(&self.gateway_mac);
        header[12..].copy_from_slice(&kind.to_be_bytes());
        header
    }

    /// Sends one IP packet with a finished payload, fragmented if necessary.
    pub(crate) fn send(
        &mut self,
        stats: &mut Stats,
        out: &mut dyn Transmit,
        head: IpHead,
        payload: &[u8],
    ) {
        let plain = head.len();
        if plain + payload.len() <= self.mtu {
            self.send_part(stats, out, head, payload, None);
            return;
        }
        self.next_id = self.next_id.wrapping_add(1);
        let id = self.next_id;
        let overhead = if head.dst.is_ipv6() { plain + 8 } else { plain };
        let step = self.mtu.saturating_sub(overhead).max(8) & !7;
        let mut offset = 0;
        while offset < payload.len() {
            let end = (offset + step).min(payload.len());
            let more = u16::from(end < payload.len());
            self.send_part(stats, out, head, &payload[offset..end], Some(Cut { id, offset, more }));
            offset = end;
        }
    }

    fn send_part(
        &mut self,
        stats: &mut Stats,
        out: &mut dyn Transmit,
        head: IpHead,
        payload: &[u8],
        cut: Option<Cut>,
    ) {
        let mut frame = std::mem::take(&mut self.scratch);
        frame.clear();
        // Every caller answers with addresses of the packet's own family.
        if self.put_header(&mut frame, head, payload.len(), cut) {
            frame.extend_from_slice(payload);
            stats.frames_out += 1;
            stats.bytes_out += frame.len() as u64;
            out.transmit(&frame, TxMeta::default());
        }
        self.scratch = frame;
    }

    /// Appends the headers of Ethernet and IP for a payload of that many bytes. Returns false if
    /// the addresses are of two families.
    pub(crate) fn put_header(
        &mut self,
        frame: &mut Vec<u8>,
        head: IpHead,
        payload: usize,
        cut: Option<Cut>,
    ) -> bool {
        match (head.src, head.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                frame.extend_from_slice(&self.ethernet(ETHER_IPV4));
                let mut ip = [0u8; 20];
                ip[0] = 0x45;
                ip[1] = head.traffic_class;
                ip[2..4].copy_from_slice(&len16(20 + payload).to_be_bytes());
                if let Some(cut) = &cut {
                    ip[4..6].copy_from_slice(&cut.id.to_be_bytes()[2..]);
                    let field = len16(cut.offset / 8) | (cut.more << 13);
                    ip[6..8].copy_from_slice(&field.to_be_bytes());
                } else {
                    self.next_id = self.next_id.wrapping_add(1);
                    ip[4..6].copy_from_slice(&self.next_id.to_be_bytes()[2..]);
                }
                ip[8] = head.ttl;
                ip[9] = head.protocol;
                ip[12..16].copy_from_slice(&src.octets());
                ip[16..].copy_from_slice(&dst.octets());
                let sum = Sum16BitWords::new().add_slice(&ip).ones_complement();
                ip[10..12].copy_from_slice(&sum.to_ne_bytes());
                frame.extend_from_slice(&ip);
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                frame.extend_from_slice(&self.ethernet(ETHER_IPV6));
                let extra = if cut.is_some() { 8 } else { 0 };
                frame.extend_from_slice(&[
                    0x60 | head.traffic_class >> 4,
                    head.traffic_class << 4,
                    0,
                    0,
                ]);
                frame.extend_from_slice(&len16(extra + payload).to_be_bytes());
                frame.push(if cut.is_some() { 44 } else { head.protocol });
                frame.push(head.ttl);
                frame.extend_from_slice(&src.octets());
                frame.extend_from_slice(&dst.octets());
                if let Some(cut) = &cut {
                    frame.extend_from_slice(&[head.protocol, 0]);
                    frame.extend_from_slice(&(len16(cut.offset) | cut.more).to_be_bytes());
                    frame.extend_from_slice(&cut.id.to_be_bytes());
                }
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
        }
        true
    }
}

/// The fields of an IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpHead {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) traffic_class: u8,
}

impl IpHead {
    pub(crate) fn len(&self) -> usize {
        if self.dst.is_ipv6() { 40 } else { 20 }
    }
}

/// The place of a fragment.
pub(crate) struct Cut {
    id: u32,
    offset: usize,
    more: u16,
}

/// Converts a length that a caller has bounded to 65,535.
pub(crate) fn len16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Sink(Vec<Vec<u8>>);

    impl Transmit for Sink {
        fn transmit(&mut self, frame: &[u8], _: TxMeta) {
            self.0.push(frame.to_vec());
        }
    }

    fn head(is_v6: bool) -> IpHead {
        let (src, dst) = if is_v6 { ("2600::1", "fd00::2") } else { ("192.0.2.1", "10.99.0.18") };
        IpHead {
            src: src.parse().unwrap(),
            dst: dst.parse().unwrap(),
            protocol: 17,
            ttl: 63,
            traffic_class: 0xb9,
        }
    }

    /// The frames of one packet, and what was counted.
    fn sent(link: &mut Link, is_v6: bool, payload: &[u8]) -> Vec<Vec<u8>> {
        let (mut sink, mut stats) = (Sink::default(), Stats::default());
        link.send(&mut stats, &mut sink, head(is_v6), payload);
        let bytes: usize = sink.0.iter().map(Vec::len).sum();
        assert_eq!((stats.frames_out, stats.bytes_out), (sink.0.len() as u64, bytes as u64));
        sink.0
    }

    fn two(bytes: &[u8], at: usize) -> u16 {
        u16::from_be_bytes([bytes[at], bytes[at + 1]])
    }

    /// The fields that every part has, apart from its offset: RFC 791 section 3.1, RFC 8200 section
    /// 3.
    fn check_head(frame: &[u8], is_v6: bool) {
        assert_eq!((&frame[..6], &frame[6..12]), (&[2; 6][..], &[1; 6][..]));
        let ip = &frame[ETHERNET..];
        if is_v6 {
            assert_eq!((two(frame, 12), &ip[..4]), (ETHER_IPV6, &[0x6b, 0x90, 0, 0][..]));
            assert_eq!((usize::from(two(ip, 4)), ip[7]), (ip.len() - 40, 63));
        } else {
            assert_eq!((two(frame, 12), ip[0], ip[1]), (ETHER_IPV4, 0x45, 0xb9));
            assert_eq!((usize::from(two(ip, 2)), ip[8], ip[9]), (ip.len(), 63, 17));
            assert_eq!(Sum16BitWords::new().add_slice(&ip[..20]).ones_complement(), 0);
        }
    }

    #[test]
    fn what_fits_the_mtu_is_one_packet_and_what_does_not_is_as_few_parts_as_can_be() {
        for (is_v6, plain, in_part) in [(false, 20, 20), (true, 40, 48)] {
            for mtu in [1280, 1500, 1505] {
                let mut link = Link::new([1; 6], [2; 6], mtu, 7);
                let most = mtu - plain;
                let whole = sent(&mut link, is_v6, &vec![9; most]);
                assert_eq!((whole.len(), whole[0].len()), (1, ETHERNET + mtu));
                check_head(&whole[0], is_v6);
                assert_eq!(whole[0][ETHERNET + plain..], vec![9; most]);
                let step = (mtu - in_part) / 8 * 8;
                for length in [most + 1, 2 * step, 2 * step + 1, 5000] {
                    let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
                    let parts = sent(&mut link, is_v6, &payload);
                    assert_eq!(parts.len(), length.div_ceil(step), "{length} bytes by {mtu}");
                    let mut together = Vec::new();
                    for (number, frame) in parts.iter().enumerate() {
                        check_head(frame, is_v6);
                        let ip = &frame[ETHERNET..];
                        let is_last = number + 1 == parts.len();
                        if is_v6 {
                            assert_eq!((ip[6], ip[40], ip[41]), (44, 17, 0));
                            let field = usize::from(two(ip, 42));
                            assert_eq!(
                                (field & !7, field & 7),
                                (together.len(), usize::from(!is_last))
                            );
                            assert_eq!(
                                ip[44..48],
                                parts[0][ETHERNET + 44..ETHERNET + 48],
                                "one id for all"
                            );
                        } else {
                            let field = two(ip, 6);
                            assert_eq!(usize::from(field & 0x1fff) * 8, together.len());
                            assert_eq!(field & 0xe000, if is_last { 0 } else { 0x2000 });
                            assert_eq!(
                                ip[4..6],
                                parts[0][ETHERNET + 4..ETHERNET + 6],
                                "one id for all"
                            );
                        }
                        together.extend_from_slice(&ip[in_part..]);
                    }
                    assert_eq!(together, payload);
                }
            }
        }
    }

    #[test]
    fn packets_have_ids_of_their_own() {
        let mut link = Link::new([1; 6], [2; 6], 1500, 7);
        let ids: Vec<u16> = [10, 10, 3000, 3000, 10]
            .map(|length| two(&sent(&mut link, false, &vec![0; length])[0], 18))
            .to_vec();
        assert_eq!(ids, [8, 9, 10, 11, 12]);
        let six = |link: &mut Link| {
            sent(link, true, &[0; 3000])[0][ETHERNET + 44..ETHERNET + 48].to_vec()
        };
        assert_ne!(six(&mut link), six(&mut link));
        assert_eq!((len16(65_535), len16(65_536)), (65_535, 65_535));
    }

    #[test]
    fn two_families_make_no_packet() {
        let mut link = Link::new([1; 6], [2; 6], 1500, 7);
        let (mut sink, mut stats) = (Sink::default(), Stats::default());
        link.send(&mut stats, &mut sink, IpHead { src: head(true).src, ..head(false) }, &[0; 8]);
        assert_eq!((sink.0.len(), stats.frames_out), (0, 0));
        assert!(link.scratch.capacity() >= 70_000, "its buffer is kept");
    }
}
