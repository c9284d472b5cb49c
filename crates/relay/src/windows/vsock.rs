//! A connection to a port of `AF_VSOCK` in the VM, by a Hyper-V socket. Whether Windows' completion
//! ports serve such sockets as Tokio needs it is not documented, so blocking threads read, write
//! and connect: as the standard streams have them.

use super::win32::hyperv;
use crate::hyperv::Address;
use crate::limits::{LINK_DIAL_PATIENCE, VSOCK_BYTES};
use crate::pump::{self, Input, Output};
use socket2::Socket;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread;
use tokio::sync::oneshot;

/// Connects to a port of the VM with that id.
///
/// # Errors
/// The id is not a GUID (`InvalidInput`), or Windows' error; see [`hyperv::connect`].
pub(crate) async fn dial(vm: &str, port: u32) -> io::Result<(Input, Output)> {
    let address = Address::of_port(vm, port).ok_or(io::ErrorKind::InvalidInput)?;
    let (connected, connection) = oneshot::channel();
    // A thread of its own: the relay's end must not wait for it.
    thread::Builder::new().name("vsock".to_owned()).spawn(move || {
        // The relay may have given up on it.
        let _ = connected.send(hyperv::connect(&address, VSOCK_BYTES, LINK_DIAL_PATIENCE));
    })?;
    let socket = connection.await.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))??;
    let socket = Arc::new(socket);
    Ok((pump::read(Half(Arc::clone(&socket)))?, pump::write(Half(socket))?))
}

/// Whether an error of Windows means that it has no such sockets: WSAEPROTONOSUPPORT,
/// WSAESOCKTNOSUPPORT or WSAEAFNOSUPPORT (Microsoft's page of `WSASocketW`). Its feature Virtual
/// Machine Platform, which WSL 2 needs, has them.
pub(crate) fn is_missing(code: i32) -> bool {
    matches!(code, 10043 | 10044 | 10047)
}

/// A direction of a blocking socket. Both directions share it: a handle cannot be duplicated for
/// each kind of socket.
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

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// Bytes each way: more than all buffers hold.
    const MUCH: usize = 8 * 1024 * 1024;

    fn pattern(seed: usize) -> Vec<u8> {
        (0..MUCH).map(|n| (n * seed % 251) as u8).collect()
    }

    /// Over a TCP socket made in the same way, since Wine has no Hyper-V sockets.
    #[tokio::test]
    async fn a_blocking_socket_carries_both_directions_at_once() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.connect(&to.into()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        let socket = Arc::new(socket);
        let mut input = pump::read(Half(Arc::clone(&socket))).unwrap();
        let mut output = pump::write(Half(socket)).unwrap();
        let mut peer = theirs.try_clone().unwrap();
        let writes = thread::spawn(move || peer.write_all(&pattern(3)));
        let reads = thread::spawn(move || {
            let mut got = vec![0; MUCH];
            theirs.read_exact(&mut got).map(|()| got)
        });
        let mut got = vec![0; MUCH];
        let sent = pattern(7);
        let (written, read) = tokio::join!(output.write_all(&sent), input.read_exact(&mut got));
        written.unwrap();
        read.unwrap();
        writes.join().unwrap().unwrap();
        assert!(got == pattern(3));
        assert!(reads.join().unwrap().unwrap() == sent);
    }

    #[tokio::test]
    async fn without_such_a_vm_the_dial_fails_with_windows_code() {
        let error = dial("wsl1", 5000).await.err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let error = dial("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", 5000).await.err().unwrap();
        let code = error.raw_os_error().expect("a code of Windows'");
        // Wine has no such sockets. A Windows that has them finds no such VM.
        assert!(
            is_missing(code) || matches!(code, 10013 | 10049 | 10060 | 10061 | 10065),
            "{error}"
        );
    }
}
