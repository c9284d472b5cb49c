//! What an IP header says besides its addresses and is carried on to the real one. `wire` has the same for frames.

use crate::limits::ORDINARY_HOPS;
use std::num::NonZeroU8;

/// The fields of an IP header that a datagram or an echo request keeps on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Traffic class: the DSCP in the upper six bits (RFC 2474), ECN in the lower two (RFC 3168).
    pub traffic_class: u8,
    /// Whether a router may cut it.
    pub fragments: Fragments,
}

/// Whether a packet may be fragmented on its way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragments {
    /// By any router.
    #[default]
    Allowed,
    /// By no router: IPv4 with DF (RFC 791), IPv6 in one piece (RFC 8200 5).
    Forbidden,
}

impl Marks {
    /// Those of a packet that only has a time to live.
    #[must_use]
    pub const fn of_ttl(ttl: u8) -> Self {
        Self { ttl, traffic_class: 0, fragments: Fragments::Allowed }
    }

    /// After one hop more, which is at least one that is left.
    pub(crate) fn after_a_hop(self) -> Self {
        Self { ttl: self.ttl.saturating_sub(1).max(1), ..self }
    }

    /// How many hops are left after one more, if its sender wants fewer than an ordinary stack does.
    pub(crate) fn limited_hops(self) -> Option<NonZeroU8> {
        NonZeroU8::new(self.after_a_hop().ttl).filter(|left| left.get() < ORDINARY_HOPS)
    }
}
