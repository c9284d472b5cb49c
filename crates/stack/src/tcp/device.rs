//! The device that smoltcp sees: one packet in, any number out. It turns each packet into a frame,
//! with the kernel's instructions for it. It also notes the last segment sent, which TIME-WAIT
//! needs.

use super::syn::{FIN, RST, SYN};
use crate::link::{ETHER_IPV4, ETHER_IPV6, ETHERNET, Link, len16};
use crate::offload::{Gso, GsoKind, Offload, PartialChecksum, Transmit, TxMeta};
use crate::packet::{TCP, be16, be32, transport_sum};
use crate::stats::Stats;
use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use smoltcp::time::Instant;
use std::net::{IpAddr, Ipv6Addr};

/// The fields of a segment that its repetition needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastSegment {
    /// The sequence number after the segment.
    pub(crate) next: u32,
    pub(crate) ack: u32,
    pub(crate) window: u16,
}

/// How the values that a flow's app sees differ from smoltcp's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The app's own MSS.
    pub(crate) mss: u16,
    /// Units of the scaled window that are held back; see `Flow::terms`.
    pub(crate) held_back: u16,
    /// The largest window to advertise, in the same units; `None` for the whole window.
    pub(crate) most: Option<u16>,
    /// The sequence number after everything sent so far; `None` before the SYN-ACK.
    pub(crate) reached: Option<u32>,
}

impl Terms {
    /// The window that the app sees, in units.
    pub(crate) fn advertised(self, window: u16) -> u16 {
        let window = window.saturating_sub(self.held_back);
        self.most.map_or(window, |most| window.min(most))
    }
}

pub(crate) struct Port<'a> {
    pub(crate) packet: Option<&'a [u8]>,
    pub(crate) link: &'a mut Link,
    pub(crate) stats: &'a mut Stats,
    pub(crate) out: &'a mut dyn Transmit,
    pub(crate) offload: Offload,
    pub(crate) terms: Terms,
    pub(crate) last: Option<LastSegment>,
}

/// Largest packet that smoltcp may make.
pub(crate) fn device_mtu(offload: Offload, mtu: usize) -> usize {
    match offload {
        Offload::None => mtu,
        Offload::Vnet | Offload::Datagrams => 65_535,
    }
}

pub(crate) fn capabilities(offload: Offload, mtu: usize) -> DeviceCapabilities {
    let mut checksum = ChecksumCapabilities::ignored();
    checksum.ipv4 = Checksum::Tx;
    // Received checksums are verified before smoltcp sees a packet.
    if offload == Offload::None {
        checksum.tcp = Checksum::Tx;
    }
    let mut caps = DeviceCapabilities::default();
    caps.medium = Medium::Ip;
    caps.max_transmission_unit = device_mtu(offload, mtu);
    caps.checksum = checksum;
    caps
}

impl Device for Port<'_> {
    type RxToken<'b>
        = Rx<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = Tx<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let packet = self.packet.take()?;
        Some((Rx(packet), self.token()))
    }

    fn transmit(&mut self, _: Instant) -> Option<Self::TxToken<'_>> {
        Some(self.token())
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities(self.offload, self.link.mtu)
    }
}

impl Port<'_> {
    fn token(&mut self) -> Tx<'_> {
        Tx {
            link: self.link,
            stats: self.stats,
            out: self.out,
            offload: self.offload,
            terms: self.terms,
            last: &mut self.last,
        }
    }
}

pub(crate) struct Rx<'b>(&'b [u8]);

impl RxToken for Rx<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

pub(crate) struct Tx<'b> {
    link: &'b mut Link,
    stats: &'b mut Stats,
    out: &'b mut dyn Transmit,
    offload: Offload,
    terms: Terms,
    last: &'b mut Option<LastSegment>,
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = std::mem::take(&mut self.link.scratch);
        // The buffer never shrinks, and the emitter writes every byte of a frame. Growing it again
        // would clear 64 KiB each time.
        if frame.len() < ETHERNET + len {
            frame.resize(ETHERNET + len, 0);
        }
        let mut whole = frame;
        let frame = &mut whole[..ETHERNET + len];
        let result = f(&mut frame[ETHERNET..]);
        let v6 = frame[ETHERNET] >> 4 == 6;
        let header = self.link.ethernet(if v6 { ETHER_IPV6 } else { ETHER_IPV4 });
        frame[..ETHERNET].copy_from_slice(&header);
        let tcp_at = ETHERNET + if v6 { 40 } else { 20 };
        let data_at = tcp_at + 4 * usize::from(frame[tcp_at + 12] >> 4);
        let payload = frame.len().saturating_sub(data_at);
        let flags = frame[tcp_at + 13];
        if flags & SYN == 0 {
            limit_window(&mut frame[tcp_at..], self.terms);
        }
        if payload == 0 && flags & (SYN | FIN | RST) == 0 {
            advance(&mut frame[tcp_at..], self.terms);
        }
        // SYN and FIN take a sequence number each.
        let length = payload + usize::from(flags & 1) + usize::from(flags >> 1 & 1);
        *self.last = Some(LastSegment {
            next: be32(frame, tcp_at + 4).wrapping_add(u32::try_from(length).unwrap_or(0)),
            ack: be32(frame, tcp_at + 8),
            window: be16(frame, tcp_at + 14),
        });
        let mut meta = TxMeta::default();
        if self.offload != Offload::None {
            let (src, dst) = addresses(&frame[ETHERNET..]);
            let sum = !transport_sum(src, dst, TCP, frame.len() - tcp_at).ones_complement();
            frame[tcp_at + 16..tcp_at + 18].copy_from_slice(&sum.to_ne_bytes());
            meta.checksum = Some(PartialChecksum { start: len16(tcp_at), offset: 16 });
            // RFC 6691: the MSS counts the options (SACK blocks) as data.
            let size = self.terms.mss.saturating_sub(len16(data_at - tcp_at - 20)).max(1);
            if payload > usize::from(size) {
                let kind = if v6 { GsoKind::TcpV6 } else { GsoKind::TcpV4 };
                meta.gso = Some(Gso { kind, size, header_len: len16(data_at) });
            }
        }
        self.stats.frames_out += 1;
        self.stats.bytes_out += frame.len() as u64;
        self.out.transmit(frame, meta);
        self.link.scratch = whole;
        result
    }
}

/// Gives an ACK without data the number after everything sent (RFC 9293 3.10.7.4: SND.NXT). smoltcp
/// goes back to the number that it sends again. An app's kernel that has received more takes such
/// an ACK for an old one, and ignores what it acknowledges.
fn advance(tcp: &mut [u8], terms: Terms) {
    let Some(reached) = terms.reached else { return };
    let behind = reached.wrapping_sub(be32(tcp, 4));
    if behind > 0 && behind < 1 << 31 {
        let [a, b, c, d] = reached.to_be_bytes();
        replace(tcp, 4, u16::from_be_bytes([a, b]));
        replace(tcp, 6, u16::from_be_bytes([c, d]));
    }
}

/// Lowers a TCP header's window field.
fn limit_window(tcp: &mut [u8], terms: Terms) {
    let window = be16(tcp, 14);
    let advertised = terms.advertised(window);
    if advertised == window {
        return;
    }
    replace(tcp, 14, advertised);
}

/// Changes a word of a TCP header and keeps its checksum right (RFC 1624 3; the kernel overwrites
/// it if it computes its own).
fn replace(tcp: &mut [u8], at: usize, word: u16) {
    let mut sum = u32::from(!be16(tcp, 16)) + u32::from(!be16(tcp, at)) + u32::from(word);
    tcp[at..at + 2].copy_from_slice(&word.to_be_bytes());
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    tcp[16..18].copy_from_slice(&(!(sum & 0xffff) as u16).to_be_bytes());
}

/// Source and destination of an IP packet that was made here.
fn addresses(ip: &[u8]) -> (IpAddr, IpAddr) {
    let four = |at: usize| IpAddr::from([ip[at], ip[at + 1], ip[at + 2], ip[at + 3]]);
    let sixteen = |at: usize| {
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&ip[at..at + 16]);
        IpAddr::from(Ipv6Addr::from(bytes))
    };
    if ip[0] >> 4 == 6 { (sixteen(8), sixteen(24)) } else { (four(12), four(16)) }
}

/// A sink for frames that cannot occur.
pub(crate) struct Nowhere;

impl Transmit for Nowhere {
    fn transmit(&mut self, _: &[u8], _: TxMeta) {}
}
