//! Memory of TCP flows that wait for their sockets, for the next one that has to wait.

use crate::limits::SPARE_BUFFER_BYTES;
use std::collections::VecDeque;

/// Drained buffers. A busy flow fills and drains one many times a second: this saves the
/// allocation, and an idle flow keeps no buffer.
#[derive(Default)]
pub(crate) struct Spare {
    pub(crate) buffers: Vec<VecDeque<u8>>,
    /// Sum of their capacities, at most [`SPARE_BUFFER_BYTES`].
    pub(crate) bytes: usize,
}

impl Spare {
    /// A buffer, with memory if there is some.
    pub(crate) fn take(&mut self) -> VecDeque<u8> {
        let buffer = self.buffers.pop().unwrap_or_default();
        self.bytes -= buffer.capacity();
        buffer
    }

    /// Keeps the memory of an empty buffer, which has no memory afterwards.
    pub(crate) fn put(&mut self, buffer: &mut VecDeque<u8>) {
        let buffer = std::mem::take(buffer);
        if buffer.capacity() > 0 && self.bytes + buffer.capacity() <= SPARE_BUFFER_BYTES {
            self.bytes += buffer.capacity();
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_memory_is_bounded() {
        let mut spare = Spare::default();
        for _ in 0..100 {
            spare.put(&mut VecDeque::with_capacity(SPARE_BUFFER_BYTES / 10));
        }
        assert!(spare.bytes <= SPARE_BUFFER_BYTES && spare.buffers.len() == 10, "{}", spare.bytes);
        while spare.take().capacity() > 0 {}
        assert_eq!(spare.bytes, 0);
    }
}
