//! The surroundings of a connection for one operation: the time, and the way to the TAP.

use super::device::{Port, Terms};
use crate::link::Link;
use crate::offload::{Offload, Transmit};
use crate::stats::Stats;
use smoltcp::time::Instant as SmolInstant;
use std::time::Instant;

/// A moment by the caller's clock and by smoltcp's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(super) now: Instant,
    pub(super) at: SmolInstant,
}

/// Everything that a TCP operation may need from the rest of the stack.
pub(crate) struct Around<'a> {
    pub(crate) link: &'a mut Link,
    pub(crate) stats: &'a mut Stats,
    pub(crate) out: &'a mut dyn Transmit,
}

impl Around<'_> {
    /// The device for one call into smoltcp.
    pub(super) fn port<'b>(
        &'b mut self,
        packet: Option<&'b [u8]>,
        offload: Offload,
        terms: Terms,
    ) -> Port<'b> {
        Port {
            packet,
            link: self.link,
            stats: self.stats,
            out: self.out,
            offload,
            terms,
            last: None,
        }
    }
}
