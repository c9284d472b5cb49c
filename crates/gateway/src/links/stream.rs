//! A link's connection as the streams to and from a relay, for a socket of any family whose reads
//! may end early. Knows no frame.

use rustix::net::{Shutdown, shutdown};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The two directions of a connection. Must be called within a tokio runtime.
pub(crate) fn split(stream: TcpStream) -> (Input, Output) {
    let stream = Arc::new(stream);
    (Input(Arc::clone(&stream)), Output(stream))
}

/// The direction to the relay.
pub(crate) struct Input(Arc<TcpStream>);

/// The direction from the relay.
pub(crate) struct Output(Arc<TcpStream>);

impl AsyncWrite for Input {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.poll_write_ready(cx))?;
            match self.0.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(shutdown(&*self.0, Shutdown::Write)?))
    }
}

/// A read of a Hyper-V socket gives one packet of the host's, of at most 16 KiB, whatever else
/// waits (`hvs_stream_dequeue`, and `vsock_connectible_recvmsg` in `af_vsock.c`). Tokio's own read
/// takes a short one for the last and waits for the next event, which does not come. So only the
/// kernel's `EAGAIN` counts here.
impl AsyncRead for Output {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        space: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            match self.0.try_read(space.initialize_unfilled()) {
                Ok(n) => {
                    space.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::{AsRawFd as _, OwnedFd};
    use std::os::unix::net::UnixStream as StdStream;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn stream(socket: StdStream) -> TcpStream {
        socket.set_nonblocking(true).unwrap();
        TcpStream::from_std(OwnedFd::from(socket).into()).unwrap()
    }

    /// Descriptors in a message end a read of a Unix socket at its end (unix(7)), as a packet of
    /// Hyper-V ends one of a vsock.
    #[tokio::test]
    async fn bytes_that_wait_after_a_short_read_are_read_without_another_event() {
        let (ours, theirs) = StdStream::pair().unwrap();
        let rights = [theirs.as_raw_fd()];
        for message in [b"one", b"two", b"six"] {
            let control = [ControlMessage::ScmRights(&rights)];
            let flags = MsgFlags::empty();
            sendmsg::<()>(theirs.as_raw_fd(), &[IoSlice::new(message)], &control, flags, None)
                .unwrap();
        }
        let (_input, mut output) = split(stream(ours));
        let (mut got, mut reads) = (Vec::new(), 0);
        while got.len() < 9 {
            let mut space = [0; 64];
            let n = timeout(PATIENCE, output.read(&mut space)).await.expect("it stalls").unwrap();
            got.extend_from_slice(&space[..n]);
            reads += 1;
        }
        assert_eq!((&got[..], reads), (&b"onetwosix"[..], 3), "the kernel joins the messages");
    }

    #[tokio::test]
    async fn both_directions_carry_every_byte_and_an_end() {
        let (ours, theirs) = StdStream::pair().unwrap();
        let (mut input, mut output) = split(stream(ours));
        let (mut back, mut there) = split(stream(theirs));
        let bytes: Vec<u8> = (0..3_000_000).map(|n| (n % 251) as u8).collect();
        let (mut got, mut returned) = (Vec::new(), Vec::new());
        let work = async {
            tokio::join!(
                async {
                    input.write_all(&bytes).await.unwrap();
                    input.shutdown().await.unwrap();
                },
                async {
                    there.read_to_end(&mut got).await.unwrap();
                },
                async {
                    back.write_all(&bytes).await.unwrap();
                    back.shutdown().await.unwrap();
                },
                async {
                    output.read_to_end(&mut returned).await.unwrap();
                },
            )
        };
        timeout(PATIENCE, work).await.unwrap();
        assert!(got == bytes && returned == bytes);
    }
}
