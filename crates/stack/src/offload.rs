//! Metadata of a frame where the kernel takes part in checksums and segmentation (the facts of the
//! virtio-net header). The shell encodes that header.

use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;

/// What the kernel knows about a frame that it sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxMeta {
    /// Nothing: every checksum is verified.
    #[default]
    Unverified,
    /// NEEDS_CSUM or DATA_VALID: the transport checksum is partial or already verified.
    ChecksumTrusted,
    /// VIRTIO_NET_HDR_GSO_UDP_L4: a super-packet of UDP, which stands for datagrams of `size` bytes
    /// each (the last may be shorter). Its checksum is partial.
    Datagrams {
        /// Payload bytes of a datagram.
        size: NonZeroU16,
    },
}

/// Whether the TAP has a virtio-net header with TSO and checksum offload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offload {
    /// Plain frames with full checksums.
    None,
    /// The kernel completes checksums and cuts segments.
    Vnet,
    /// It also takes and gives super-packets of UDP (Linux 6.2 and newer).
    Datagrams,
}

/// A checksum that the kernel must complete: the field holds the pseudo-header's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialChecksum {
    /// Where the summed bytes start, from the frame's start.
    pub start: u16,
    /// Where the field is, from `start`.
    pub offset: u16,
}

/// The kind of super-packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GsoKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP over either.
    Udp,
}

/// How the kernel cuts a super-packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gso {
    /// The protocols.
    pub kind: GsoKind,
    /// Payload bytes of each segment.
    pub size: u16,
    /// Bytes of all headers, Ethernet's included.
    pub header_len: u16,
}

/// What the kernel must do with a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxMeta {
    /// A checksum to complete.
    pub checksum: Option<PartialChecksum>,
    /// Segments to cut.
    pub gso: Option<Gso>,
}

/// Sends frames to the TAP. A frame that it cannot take is lost, as on any link.
pub trait Transmit {
    /// One Ethernet frame.
    fn transmit(&mut self, frame: &[u8], meta: TxMeta);
}
