//! What the IP header of a datagram says besides its addresses, as far as both ends carry it on.

use crate::codec::{Malformed, Reader};

/// The fields of an IP header that a datagram or an echo request keeps on its way through both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Marks {
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Traffic class: the DSCP in the upper six bits (RFC 2474), ECN in the lower two (RFC 3168).
    pub traffic_class: u8,
    /// Whether a router may cut it.
    pub fragments: Fragments,
}

/// Whether a packet may be fragmented on its way.
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

    pub(crate) fn put(self, out: &mut Vec<u8>) {
        let flags = match self.fragments {
            Fragments::Allowed => 0,
            Fragments::Forbidden => 1,
        };
        out.extend_from_slice(&[self.ttl, self.traffic_class, flags]);
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (ttl, traffic_class) = (r.u8()?, r.u8()?);
        let fragments = match r.u8()? {
            0 => Fragments::Allowed,
            1 => Fragments::Forbidden,
            _ => return Err(Malformed),
        };
        Ok(Self { ttl, traffic_class, fragments })
    }
}
