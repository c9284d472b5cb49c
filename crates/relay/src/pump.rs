//! Blocking streams as asynchronous ones: a thread each. Windows' standard streams are such, being
//! synchronous handles on pipes of 4 KiB when WSL made them, and so are Hyper-V sockets.
//!
//! The threads know nothing of frames. Each waits for its own stream and for room, and for nothing
//! else.

use socket2::Socket;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes requested from the stream at once. A small pipe gives less.
const READ: usize = 64 * 1024;

/// Bytes that were read and wait for the engine. It takes all of them in each turn, so they are
/// few.
const INBOX: usize = 1024 * 1024;

/// Bytes that wait for the writing thread, besides as many that it is writing. Later bytes, such as
/// a ping, wait for them.
const OUTBOX: usize = 256 * 1024;

struct Buffer {
    bytes: VecDeque<u8>,
    /// No more will come: the stream's end, its error, or a missing reader.
    end: Option<Result<(), io::ErrorKind>>,
    /// The engine, while it waits.
    engine: Option<Waker>,
    /// Whether the thread waits. One that is awake needs no system call to wake it.
    thread_waits: bool,
}

struct Shared {
    buffer: Mutex<Buffer>,
    /// The thread waits for it: for room or for bytes.
    changed: Condvar,
}

impl Shared {
    fn new() -> Arc<Self> {
        let buffer =
            Buffer { bytes: VecDeque::new(), end: None, engine: None, thread_waits: false };
        Arc::new(Self { buffer: Mutex::new(buffer), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread waits while `holds`.
    fn wait(&self, holds: impl Fn(&Buffer) -> bool) -> MutexGuard<'_, Buffer> {
        let mut buffer = self.lock();
        while holds(&buffer) {
            buffer.thread_waits = true;
            buffer = self.changed.wait(buffer).unwrap_or_else(PoisonError::into_inner);
        }
        buffer.thread_waits = false;
        buffer
    }

    /// Wakes the thread, if it waits.
    fn wake_thread(&self, mut buffer: MutexGuard<'_, Buffer>) {
        let waits = std::mem::take(&mut buffer.thread_waits);
        drop(buffer);
        if waits {
            self.changed.notify_one();
        }
    }

    fn end(&self, end: Result<(), io::ErrorKind>) {
        let mut buffer = self.lock();
        buffer.end.get_or_insert(end);
        if let Some(engine) = buffer.engine.take() {
            engine.wake();
        }
        self.wake_thread(buffer);
    }
}

/// The reading end of a thread's stream.
pub(crate) struct Input(Arc<Shared>);

/// The writing end of a thread's stream. Bytes written before its drop still go out.
pub(crate) struct Output(Arc<Shared>);

/// Starts to read.
///
/// # Errors
/// No thread can be started.
pub(crate) fn read(mut source: impl Read + Send + 'static) -> io::Result<Input> {
    let shared = Shared::new();
    let ours = Arc::clone(&shared);
    thread::Builder::new().name("reader".to_owned()).spawn(move || {
        let mut piece = vec![0; READ];
        let end = loop {
            match source.read(&mut piece) {
                Ok(0) => break Ok(()),
                Ok(n) => {
                    let mut buffer =
                        ours.wait(|buffer| buffer.bytes.len() >= INBOX && buffer.end.is_none());
                    if buffer.end.is_some() {
                        return;
                    }
                    buffer.bytes.extend(&piece[..n]);
                    let engine = buffer.engine.take();
                    // The engine needs the lock as soon as it is awake.
                    drop(buffer);
                    if let Some(engine) = engine {
                        engine.wake();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error.kind()),
            }
        };
        ours.end(end);
    })?;
    Ok(Input(shared))
}

/// Starts to write.
///
/// # Errors
/// No thread can be started.
pub(crate) fn write(mut sink: impl Write + Send + 'static) -> io::Result<Output> {
    let shared = Shared::new();
    let ours = Arc::clone(&shared);
    thread::Builder::new().name("writer".to_owned()).spawn(move || {
        let mut piece = VecDeque::new();
        loop {
            let mut buffer = ours.wait(|buffer| buffer.bytes.is_empty() && buffer.end.is_none());
            if buffer.bytes.is_empty() {
                return;
            }
            std::mem::swap(&mut buffer.bytes, &mut piece);
            let engine = buffer.engine.take();
            drop(buffer);
            if let Some(engine) = engine {
                engine.wake();
            }
            if let Err(error) = sink.write_all(piece.make_contiguous()).and_then(|()| sink.flush())
            {
                return ours.end(Err(error.kind()));
            }
            piece.clear();
        }
    })?;
    Ok(Output(shared))
}

/// Both directions of a blocking socket.
///
/// # Errors
/// No thread can be started.
pub(crate) fn socket(socket: Socket) -> io::Result<(Input, Output)> {
    let socket = Arc::new(socket);
    Ok((read(Half(Arc::clone(&socket)))?, write(Half(socket))?))
}

/// A direction of a blocking socket. Both share its handle, since not every kind of socket lets a
/// handle be duplicated.
struct Half(Arc<Socket>);

impl Read for Half {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(space)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Input {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffer = self.0.lock();
        if buffer.bytes.is_empty() {
            return match buffer.end {
                Some(Ok(())) => Poll::Ready(Ok(())),
                Some(Err(kind)) => Poll::Ready(Err(kind.into())),
                None => {
                    buffer.engine = Some(cx.waker().clone());
                    Poll::Pending
                }
            };
        }
        let was_full = buffer.bytes.len() >= INBOX;
        let (front, back) = buffer.bytes.as_slices();
        let (first, second) = (front.len().min(out.remaining()), back.len());
        out.put_slice(&front[..first]);
        let second = second.min(out.remaining());
        out.put_slice(&back[..second]);
        buffer.bytes.drain(..first + second);
        if was_full {
            self.0.wake_thread(buffer);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffer = self.0.lock();
        if let Some(Err(kind)) = buffer.end {
            return Poll::Ready(Err(kind.into()));
        }
        let room = OUTBOX.saturating_sub(buffer.bytes.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            buffer.engine = Some(cx.waker().clone());
            return Poll::Pending;
        }
        buffer.bytes.extend(&bytes[..room]);
        self.0.wake_thread(buffer);
        Poll::Ready(Ok(room))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The thread writes on its own.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.end(Ok(()));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.0.end(Ok(()));
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.0.end(Ok(()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// More than all buffers hold.
    const MUCH: usize = 5_000_000;

    fn pattern() -> Vec<u8> {
        (0..MUCH).map(|n| (n % 251) as u8).collect()
    }

    /// Over TCP: a Hyper-V socket needs a VM.
    #[tokio::test]
    async fn a_blocking_socket_carries_both_directions_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let (mut input, mut output) = socket(ours.into()).unwrap();
        let mut peer = theirs.try_clone().unwrap();
        let there: Vec<u8> = pattern().into_iter().rev().collect();
        let back = pattern();
        let sent = there.clone();
        let writes = thread::spawn(move || peer.write_all(&sent));
        let reads = thread::spawn(move || {
            let mut got = vec![0; MUCH];
            theirs.read_exact(&mut got).map(|()| got)
        });
        let mut got = vec![0; MUCH];
        let (written, read) = tokio::join!(output.write_all(&back), input.read_exact(&mut got));
        written.unwrap();
        read.unwrap();
        writes.join().unwrap().unwrap();
        assert!(got == there);
        assert!(reads.join().unwrap().unwrap() == back);
    }

    #[tokio::test]
    async fn every_byte_passes_once_and_in_order_however_small_the_pipe() {
        let (there, here) = io::pipe().unwrap();
        let (mut output, mut input) = (write(here).unwrap(), read(there).unwrap());
        let sent = pattern();
        let sending = async {
            for piece in sent.chunks(70_001) {
                output.write_all(piece).await.unwrap();
            }
            drop(output);
        };
        let mut got = Vec::new();
        let (_, received) = tokio::join!(sending, input.read_to_end(&mut got));
        assert_eq!(received.unwrap(), MUCH);
        assert!(got == sent);
    }

    #[tokio::test]
    async fn untaken_bytes_wait_within_bounds() {
        let (there, here) = io::pipe().unwrap();
        let mut output = write(here).unwrap();
        let bytes = pattern();
        let filled =
            tokio::time::timeout(std::time::Duration::from_millis(300), output.write_all(&bytes))
                .await;
        assert!(filled.is_err(), "it takes everything");
        let waiting = output.0.lock().bytes.len();
        assert_eq!(waiting, OUTBOX);
        // The other way round: an endless source without a reader.
        drop((output, there));
        let input = read(io::repeat(7)).unwrap();
        let full = async {
            while input.0.lock().bytes.len() < INBOX {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(10), full).await.unwrap();
        assert!(input.0.lock().bytes.len() < INBOX + READ);
    }

    #[tokio::test]
    async fn errors_of_the_stream_are_the_engines() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::PermissionDenied.into())
            }
        }
        let error = read(Broken).unwrap().read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let (there, here) = io::pipe().unwrap();
        drop(there);
        let mut output = write(here).unwrap();
        let error = loop {
            if let Err(error) = output.write_all(&[0; 1000]).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
