//! The engine's surroundings in tests and under the fuzzer: the TAP, the pipes to relays, the
//! supervisor and the network's process. All of it is in memory, and nothing wakes anything: the
//! test polls after each change. Time is virtual.

pub(crate) mod packets;
pub(crate) mod pipe;
pub(crate) mod relay;
pub(crate) mod world;

use crate::tap::Device;
use packets::{GATEWAY_MAC, VM_MAC};
use stack::{Offload, RxMeta, Transmit, TxMeta};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

/// The TAP: frames that the gateway has not read, and frames that it wrote.
pub(crate) struct Nic {
    inbox: RefCell<VecDeque<Vec<u8>>>,
    outbox: Vec<(Vec<u8>, TxMeta)>,
    offload: Offload,
}

impl Nic {
    pub(crate) fn new(offload: Offload) -> Self {
        Self { inbox: RefCell::default(), outbox: Vec::new(), offload }
    }

    /// The VM sends a frame.
    pub(crate) fn put(&self, frame: Vec<u8>) {
        self.inbox.borrow_mut().push_back(frame);
    }

    /// The frames that the gateway has written since the last call.
    pub(crate) fn take(&mut self) -> Vec<(Vec<u8>, TxMeta)> {
        std::mem::take(&mut self.outbox)
    }

    /// How many frames the gateway has not read.
    #[cfg(test)]
    pub(crate) fn unread(&self) -> usize {
        self.inbox.borrow().len()
    }
}

impl Transmit for Nic {
    fn transmit(&mut self, frame: &[u8], meta: TxMeta) {
        assert!(
            self.offload != Offload::None || meta == TxMeta::default(),
            "work for a kernel that does none"
        );
        assert_eq!((&frame[..6], &frame[6..12]), (&VM_MAC[..], &GATEWAY_MAC[..]));
        self.outbox.push((frame.to_vec(), meta));
    }
}

impl Device for Nic {
    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.inbox.borrow().is_empty() { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<(&'a [u8], RxMeta)>> {
        let Some(frame) = self.inbox.borrow_mut().pop_front() else { return Ok(None) };
        buffer[..frame.len()].copy_from_slice(&frame);
        Ok(Some((&buffer[..frame.len()], RxMeta::Unverified)))
    }

    fn name(&self) -> &str {
        "model"
    }

    fn offload(&self) -> Offload {
        self.offload
    }

    fn lost(&self) -> u64 {
        0
    }
}

/// Whether the waker was used.
#[derive(Default)]
pub(crate) struct Flag(pub(crate) AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
