//! Passes on the time to live of a packet.

use crate::limits::ORDINARY_HOPS;
use std::num::NonZeroU8;
use terms::Marks;

/// The hops that are left after one more, if the packet's sender chose fewer than an ordinary stack
/// does.
pub(crate) fn limited_hops(marks: Marks) -> Option<NonZeroU8> {
    NonZeroU8::new(marks.after_a_hop().ttl).filter(|left| left.get() < ORDINARY_HOPS)
}
