//! A connection to a port of `AF_VSOCK` in the VM (vsock(7)), for a Linux host that runs the VM.
//!
//! A VM's id is Windows' own, so the variable [`VM`] says where the VM is: the path of the Unix
//! socket that its hypervisor has for it, or its CID. As on Windows, blocking threads carry the
//! bytes.

use crate::limits::{LINK_DIAL_PATIENCE, VSOCK_BYTES};
use crate::pump::{self, Input, Output};
use socket2::{Domain, SockAddr, Socket, Type};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
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
    let socket = match cid(&place) {
        Some(cid) => kernel(cid, port).await?,
        None => hypervisor(Path::new(&place), port).await?,
    };
    pump::socket(socket)
}

/// Whether an error of the system means that it has no such sockets.
pub(crate) fn is_missing(code: i32) -> bool {
    code == libc::EAFNOSUPPORT
}

fn cid(place: &OsStr) -> Option<u32> {
    place.to_str()?.parse().ok()
}

/// By the kernel's own sockets.
async fn kernel(cid: u32, port: u32) -> io::Result<Socket> {
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
    tokio::task::spawn_blocking(connect).await.map_err(io::Error::other)?
}

/// By a hypervisor: `CONNECT port`, and `OK port` as the answer, each with a line's end
/// (Firecracker, docs/vsock.md, "Host-initiated connections"; vhost-device-vsock does the same).
async fn hypervisor(path: &Path, port: u32) -> io::Result<Socket> {
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
    if !(answer.starts_with(b"OK ") && answer.ends_with(b"\n")) {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    let socket = Socket::from(OwnedFd::from(stream.into_std()?));
    socket.set_nonblocking(false)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
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

    /// Dials port 5000 by a hypervisor. Returns the request that the hypervisor reads, and the
    /// outcome.
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
}
