//! A connection to a port of `AF_VSOCK` in the VM, by a Hyper-V socket. Whether Windows' completion
//! ports serve such sockets as Tokio needs it is not documented, so blocking threads read, write
//! and connect: as the standard streams have them.

use super::win32::hyperv;
use crate::hyperv::Address;
use crate::limits::{LINK_DIAL_PATIENCE, VSOCK_BYTES};
use crate::pump::{self, Input, Output};
use std::io;
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
    pump::socket(socket)
}

/// Whether an error of Windows means that it has no such sockets: WSAEPROTONOSUPPORT,
/// WSAESOCKTNOSUPPORT or WSAEAFNOSUPPORT (Microsoft's page of `WSASocketW`). Its feature Virtual
/// Machine Platform, which WSL 2 needs, has them.
pub(crate) fn is_missing(code: i32) -> bool {
    matches!(code, 10043 | 10044 | 10047)
}

#[cfg(test)]
mod tests {
    use super::*;

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
