//! What stands in for the TAP and for the pipes to relays, where the engine runs against a model or
//! a fuzzer: all in memory, and
//! nothing wakes anything.

pub(crate) mod pipe;

use crate::tap::Device;
use stack::{Offload, RxMeta, Transmit, TxMeta};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

pub(crate) const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const VM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The TAP: frames that the gateway has not read, and frames that it wrote.
pub(crate) struct Nic {
    pub(crate) inbox: RefCell<VecDeque<Vec<u8>>>,
    pub(crate) outbox: Vec<(Vec<u8>, TxMeta)>,
    pub(crate) offload: Offload,
}

impl Transmit for Nic {
    fn transmit(&mut self, frame: &[u8], meta: TxMeta) {
        assert!(
            self.offload == Offload::Vnet || meta == TxMeta::default(),
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

/// A packet of the VM in its frame.
pub(crate) fn frame(packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
    [&GATEWAY_MAC[..], &VM_MAC, &kind, packet].concat()
}

/// The Internet checksum of parts of even length (RFC 1071): 0 where they hold their own.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u64 =
        words.map(|two| u64::from(two[0]) << 8 | u64::from(two.get(1).copied().unwrap_or(0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}

/// Whether whoever has the waker was woken.
#[derive(Default)]
pub(crate) struct Flag(pub(crate) AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}
