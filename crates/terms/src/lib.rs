//! Values that a packet and a frame share, so that neither `stack` nor `wire` has to know the
//! other. Plain data.
#![forbid(unsafe_code)]

use std::net::IpAddr;

/// The fields of an IP header that a datagram or an echo request keeps on its path through both
/// ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Marks {
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Traffic class: the DSCP in the upper six bits (RFC 2474), ECN in the lower two (RFC 3168).
    pub traffic_class: u8,
    /// Whether a router may cut it.
    pub fragments: Fragments,
}

/// Whether a packet may be fragmented on its path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fragments {
    /// By any router, and by the host that sends it.
    #[default]
    Allowed,
    /// Not by a router, nor by the host: IPv4 with DF (RFC 791), IPv6 in one piece (RFC 8200 5). If
    /// it is too big, an ICMP error informs its sender (RFC 1191, RFC 8201).
    Forbidden,
}

impl Marks {
    /// Those of a packet that only has a time to live.
    #[must_use]
    pub const fn of_ttl(ttl: u8) -> Self {
        Self { ttl, traffic_class: 0, fragments: Fragments::Allowed }
    }

    /// After one more hop; at least one is left.
    #[must_use]
    pub fn after_a_hop(self) -> Self {
        Self { ttl: self.ttl.saturating_sub(1).max(1), ..self }
    }
}

/// The content of an ICMP error (or of the host's own stack's error) about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// No route to the network.
    NetworkUnreachable,
    /// The host does not answer on its link.
    HostUnreachable,
    /// The host does not speak that protocol.
    ProtocolUnreachable,
    /// Nothing listens on that port.
    PortUnreachable,
    /// A filter forbids it.
    Prohibited,
    /// The time to live ran out on the path.
    TimeExceeded,
    /// The packet is larger than the next link carries.
    PacketTooBig {
        /// The size that the link carries, in bytes; 0 if the router did not say.
        mtu: u32,
    },
}

/// A fault and who reported it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// The router or host that reported it; `None` for the relay's own host.
    pub router: Option<IpAddr>,
}
