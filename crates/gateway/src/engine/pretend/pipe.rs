//! The streams between the gateway and its pretend relays: queues of bytes with a bound.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[derive(Debug)]
struct Queue {
    bytes: VecDeque<u8>,
    bound: usize,
    is_closed: bool,
}

/// One direction. It wakes no task: the world polls after each change.
#[derive(Clone, Debug)]
pub(crate) struct Pipe(Arc<Mutex<Queue>>);

/// The gateway's end of one; the pipe is closed with it.
pub(crate) struct End(Pipe);

impl Pipe {
    pub(crate) fn new(bound: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue { bytes: VecDeque::new(), bound, is_closed: false })))
    }

    pub(crate) fn end(&self) -> End {
        End(self.clone())
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn close(&self) {
        self.queue().is_closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.queue().is_closed
    }

    /// Takes bytes as far as there is room.
    pub(crate) fn write(&self, bytes: &[u8]) -> usize {
        let mut queue = self.queue();
        let taken = bytes.len().min(queue.bound - queue.bytes.len());
        queue.bytes.extend(&bytes[..taken]);
        taken
    }

    /// Gives as many bytes as there are.
    pub(crate) fn read(&self, into: &mut [u8]) -> usize {
        let mut queue = self.queue();
        let taken = into.len().min(queue.bytes.len());
        for (slot, byte) in into.iter_mut().zip(queue.bytes.drain(..taken)) {
            *slot = byte;
        }
        taken
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let taken = self.0.read(into.initialize_unfilled());
        into.advance(taken);
        if taken > 0 || self.0.is_closed() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.0.is_closed() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        match self.0.write(bytes) {
            0 => Poll::Pending,
            taken => Poll::Ready(Ok(taken)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
