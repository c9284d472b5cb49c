//! Room for datagrams that a socket gives together.

use super::Session;
use crate::limits::{MAX_DATA, MAX_QUEUED_DATAGRAM_BYTES};

impl Session {
    /// Whether there is room for as many datagrams as one call receives: 64 KiB of at most 128
    /// (Linux' `UDP_MAX_SEGMENTS`).
    pub fn takes_bursts(&self) -> bool {
        self.datagram_bytes + 2 * MAX_DATA <= MAX_QUEUED_DATAGRAM_BYTES
    }
}
