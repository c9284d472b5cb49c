//! The way out: IP packets are given their headers, cut into fragments where they are larger than the TAP's MTU, and sent as
//! Ethernet frames. Segments come from [`crate::tcp`] with their headers made already.

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
    /// Room for a frame in the making; what is in it between two frames is nothing.
    pub(crate) scratch: Vec<u8>,
    next_id: u32,
}

impl Link {
    pub(crate) fn new(gateway_mac: [u8; 6], vm_mac: [u8; 6], mtu: usize, seed: u64) -> Self {
        // The low half only starts the identification field.
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

    /// Sends one IP packet with a finished payload, in fragments where it must be.
    pub(crate) fn send(&mut self, stats: &mut Stats, out: &mut dyn Transmit, head: IpHead, payload: &[u8]) {
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

    fn send_part(&mut self, stats: &mut Stats, out: &mut dyn Transmit, head: IpHead, payload: &[u8], cut: Option<Cut>) {
        let mut frame = std::mem::take(&mut self.scratch);
        frame.clear();
        match (head.src, head.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                frame.extend_from_slice(&self.ethernet(ETHER_IPV4));
                let mut ip = [0u8; 20];
                ip[0] = 0x45;
                ip[1] = head.traffic_class;
                ip[2..4].copy_from_slice(&len16(20 + payload.len()).to_be_bytes());
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
                frame.extend_from_slice(&[0x60 | head.traffic_class >> 4, head.traffic_class << 4, 0, 0]);
                frame.extend_from_slice(&len16(extra + payload.len()).to_be_bytes());
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
            // Every caller answers with addresses of the packet's own family.
            _ => {
                self.scratch = frame;
                return;
            }
        }
        frame.extend_from_slice(payload);
        stats.frames_out += 1;
        stats.bytes_out += frame.len() as u64;
        out.transmit(&frame, TxMeta::default());
        self.scratch = frame;
    }
}

/// What an IP header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpHead {
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) protocol: u8,
    pub(crate) ttl: u8,
    pub(crate) traffic_class: u8,
}

impl IpHead {
    fn len(&self) -> usize {
        if self.dst.is_ipv6() { 40 } else { 20 }
    }
}

struct Cut {
    id: u32,
    offset: usize,
    more: u16,
}

/// A length that a caller has bounded to 65,535.
pub(crate) fn len16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
