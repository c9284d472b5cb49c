//! A connection to a port of `AF_VSOCK` in the VM (vsock(7)), for a Linux host that runs the VM.
//!
//! A VM's id is Windows' own, so the variable [`VM`] says where the VM is: the path of the Unix
//! socket that its hypervisor has for it, or its CID.

use crate::limits::{LINK_DIAL_PATIENCE, VSOCK_BYTES};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::UnixStream;

/// The environment variable that says where the VM is.
pub(crate) const VM: &str = "UNDERPASS_VSOCK";

/// Bytes of a hypervisor's answer: `OK` and a port.
const ANSWER_BYTES: usize = 32;

/// Connects to a port of the VM.
///
/// # Errors
/// The variable is missing (`Unsupported`), the hypervisor refuses (`ConnectionRefused`), or the
/// kernel's error.
pub(crate) async fn dial(_vm: &str, port: u32) -> io::Result<(Input, Output)> {
    dial_in(std::env::var_os(VM), port).await
}

async fn dial_in(place: Option<OsString>, port: u32) -> io::Result<(Input, Output)> {
    let place = place.filter(|place| !place.is_empty()).ok_or_else(|| {
        let text = format!(
            "the variable {VM} is not set: give it the path of the hypervisor's Unix socket for \
             the VM, or the VM's CID"
        );
        io::Error::new(io::ErrorKind::Unsupported, text)
    })?;
    let stream = match cid(&place) {
        Some(cid) => kernel(cid, port).await?,
        None => hypervisor(Path::new(&place), port).await?,
    };
    let stream = Arc::new(stream);
    Ok((Input(Arc::clone(&stream)), Output(stream)))
}

/// Whether an error of the system means that it has no such sockets.
pub(crate) fn is_missing(code: i32) -> bool {
    code == libc::EAFNOSUPPORT
}

fn cid(place: &OsStr) -> Option<u32> {
    place.to_str()?.parse().ok()
}

/// By the kernel's own sockets.
async fn kernel(cid: u32, port: u32) -> io::Result<UnixStream> {
    let connect = move || {
        let socket = Socket::new(Domain::VSOCK, Type::STREAM, None)?;
        for set in [Socket::set_send_buffer_size, Socket::set_recv_buffer_size] {
            // A smaller one works too, only slower.
            if let Err(error) = set(&socket, VSOCK_BYTES) {
                tracing::debug!(%error, "the socket keeps its size");
            }
        }
        socket.connect_timeout(&SockAddr::vsock(cid, port), LINK_DIAL_PATIENCE)?;
        io::Result::Ok(socket)
    };
    let socket = tokio::task::spawn_blocking(connect).await.map_err(io::Error::other)??;
    socket.set_nonblocking(true)?;
    // Tokio makes the same calls for a stream socket of each family.
    UnixStream::from_std(StdStream::from(OwnedFd::from(socket)))
}

/// By a hypervisor: `CONNECT port`, and `OK port` as the answer, each with a line's end
/// (Firecracker, docs/vsock.md, "Host-initiated connections"; vhost-device-vsock does the same).
async fn hypervisor(path: &Path, port: u32) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(path).await?;
    stream.write_all(format!("CONNECT {port}\n").as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte: what follows belongs to the link.
    while answer.last() != Some(&b'\n') && answer.len() < ANSWER_BYTES {
        match stream.read_u8().await {
            Ok(byte) => answer.push(byte),
            // It closes the connection if nothing listens on that port.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            Err(error) => return Err(error),
        }
    }
    if answer.starts_with(b"OK ") && answer.ends_with(b"\n") {
        Ok(stream)
    } else {
        Err(io::ErrorKind::ConnectionRefused.into())
    }
}

/// The direction from the VM.
pub(crate) struct Input(Arc<UnixStream>);

/// The direction to the VM.
pub(crate) struct Output(Arc<UnixStream>);

/// A read of a vsock may give less than waits: one packet of the hypervisor's
/// (`vsock_connectible_recvmsg` in the kernel's `net/vmw_vsock/af_vsock.c`). Tokio's own read takes
/// a short one for the last and waits for the next event, which does not come. So only the kernel's
/// `EAGAIN` counts here.
impl AsyncRead for Input {
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

impl AsyncWrite for Output {
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
        Poll::Ready(SockRef::from(&*self.0).shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    use std::io::IoSlice;
    use std::os::fd::AsRawFd as _;
    use std::time::Duration;
    use tokio::net::UnixListener;
    use tokio::time::timeout;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A folder of its own, which is removed with this value.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("underpass-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// Dials port 5000 by a hypervisor. Returns the request that the hypervisor reads, and the outcome.
    async fn dialed(answer: &[u8], name: &str) -> (Vec<u8>, io::Result<(Input, Output)>) {
        let folder = Folder::new(name);
        let path = folder.0.join("vm");
        let listener = UnixListener::bind(&path).unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut heard = vec![0; b"CONNECT 5000\n".len()];
            stream.read_exact(&mut heard).await.unwrap();
            stream.write_all(answer).await.unwrap();
            // Ends with the answer, and is read on to its end.
            stream.shutdown().await.unwrap();
            heard
        };
        let both = async { tokio::join!(serve, dial_in(Some(path.clone().into()), 5000)) };
        timeout(PATIENCE, both).await.unwrap()
    }

    #[tokio::test]
    async fn a_hypervisor_is_asked_for_the_port_and_what_follows_its_answer_is_the_links() {
        let (heard, link) = dialed(b"OK 1073741824\nfirst bytes", "vsock-ok").await;
        assert_eq!(heard, b"CONNECT 5000\n");
        let (mut input, _output) = link.unwrap();
        let mut got = Vec::new();
        timeout(PATIENCE, input.read_to_end(&mut got)).await.unwrap().unwrap();
        assert_eq!(got, b"first bytes");
    }

    #[tokio::test]
    async fn a_hypervisor_that_refuses_is_a_refusal() {
        for (answer, name) in [
            (&b""[..], "vsock-end"),
            (b"NO\n", "vsock-no"),
            (b"OK 107374182400000000000000000", "vsock-long"),
        ] {
            let (_, link) = dialed(answer, name).await;
            assert_eq!(link.err().unwrap().kind(), io::ErrorKind::ConnectionRefused, "{name}");
        }
    }

    #[tokio::test]
    async fn without_a_place_the_error_names_the_variable() {
        for place in [None, Some(OsString::new())] {
            let error = dial_in(place, 5000).await.err().unwrap();
            assert!(error.to_string().contains(VM), "{error}");
        }
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
        ours.set_nonblocking(true).unwrap();
        let mut input = Input(Arc::new(UnixStream::from_std(ours).unwrap()));
        let (mut got, mut reads) = (Vec::new(), 0);
        while got.len() < 9 {
            let mut space = [0; 64];
            let n = timeout(PATIENCE, input.read(&mut space)).await.expect("it stalls").unwrap();
            got.extend_from_slice(&space[..n]);
            reads += 1;
        }
        assert_eq!((&got[..], reads), (&b"onetwosix"[..], 3), "the kernel joins the messages");
    }
}
