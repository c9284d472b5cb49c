//! Listens for a Hyper-V socket of the host, which Linux calls `AF_VSOCK` (vsock(7)). It needs no
//! network of the VM's, so it is there in each networking mode and with each VPN.

use super::failed;
use crate::limits::{MAX_LINK_CALLERS, VSOCK_BYTES};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, VsockAddr, bind, getpeername, getsockname,
    setsockopt, socket, sockopt,
};
use rustix::net::{SocketFlags, accept_with};
use std::io;
use std::os::fd::AsRawFd as _;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;
use wire::LinkKind;
use wire::link::{LinkCause, LinkFailure, Offer};

/// A listening socket. Of Tokio's type only the registration with the event loop is used.
pub(super) struct Listener(TcpStream);

/// Listens on a port of the VM.
///
/// # Errors
/// The VM's id is not known, or the kernel has no such sockets.
pub(super) async fn listen() -> Result<(Listener, Offer), LinkFailure> {
    let unsupported = |text: &str| LinkFailure {
        link: LinkKind::Vsock,
        cause: LinkCause::Unsupported,
        code: 0,
        text: text.to_owned(),
    };
    let vm = match wsl::vm_id().await {
        Ok(Some(vm)) => vm,
        Ok(None) => {
            return Err(unsupported("wslinfo does not know the VM's id: it needs WSL 2.5.10"));
        }
        Err(wsl::program::Silent) => {
            return Err(LinkFailure {
                cause: LinkCause::TimedOut,
                ..unsupported("wslinfo did not report the VM's id in time")
            });
        }
    };
    match open() {
        Ok((listener, port)) => Ok((listener, Offer::Vsock { vm: vm.into(), port })),
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Err(LinkFailure {
            code: libc::EAFNOSUPPORT,
            ..unsupported("the kernel has no Hyper-V sockets (AF_VSOCK)")
        }),
        Err(error) => {
            Err(failed(LinkKind::Vsock, "the gateway cannot listen on a Hyper-V socket", &error))
        }
    }
}

/// A listener, and the port that the kernel chose for it.
fn open() -> io::Result<(Listener, u32)> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Vsock, SockType::Stream, flags, None)?;
    // A connection's rings have the sizes of the listener's buffers, between 24 and 256 KiB
    // (`hvs_open_connection` in the kernel's `net/vmw_vsock/hyperv_transport.c`). Smaller ones work
    // too, only slower.
    let set = [
        setsockopt(&socket, sockopt::SndBuf, &VSOCK_BYTES),
        setsockopt(&socket, sockopt::RcvBuf, &VSOCK_BYTES),
    ];
    for error in set.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "the Hyper-V socket keeps its size");
    }
    let any = VsockAddr::new(libc::VMADDR_CID_ANY, libc::VMADDR_PORT_ANY);
    bind(socket.as_raw_fd(), &any)?;
    nix::sys::socket::listen(
        &socket,
        Backlog::new(i32::try_from(MAX_LINK_CALLERS).unwrap_or(i32::MAX))?,
    )?;
    let port = getsockname::<VsockAddr>(socket.as_raw_fd())?.port();
    Ok((Listener(TcpStream::from_std(socket.into())?), port))
}

impl Listener {
    /// The host's next connection. Each process of the VM may connect where the kernel has a
    /// loopback for such sockets.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        loop {
            ready!(self.0.poll_read_ready(cx))?;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let accept = || Ok(accept_with(&self.0, flags)?);
            let connection = match self.0.try_io(Interest::READABLE, accept) {
                Ok(connection) => connection,
                Err(error)
                    if matches!(
                        error.kind(),
                        // No more wait, or that one is gone already.
                        io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted
                    ) =>
                {
                    continue;
                }
                Err(error) => return Poll::Ready(Err(error)),
            };
            let peer = getpeername::<VsockAddr>(connection.as_raw_fd());
            if peer.is_ok_and(|peer| is_host(&peer)) {
                let stream = std::net::TcpStream::from(connection);
                return Poll::Ready(TcpStream::from_std(stream));
            }
            // Closed by its drop.
        }
    }
}

/// Whether the peer is the host on which this VM runs.
fn is_host(peer: &VsockAddr) -> bool {
    peer.cid() == libc::VMADDR_CID_HOST
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::connect;
    use std::future::poll_fn;
    use std::time::Duration;
    use tokio::io::AsyncReadExt as _;
    use tokio::time::timeout;

    #[test]
    fn only_the_host_of_the_vm_is_the_host() {
        assert!(is_host(&VsockAddr::new(2, 1)));
        // The hypervisor, this VM itself, and other VMs.
        for cid in [libc::VMADDR_CID_HYPERVISOR, libc::VMADDR_CID_LOCAL, 3, libc::VMADDR_CID_ANY] {
            assert!(!is_host(&VsockAddr::new(cid, 1)), "{cid}");
        }
    }

    #[tokio::test]
    async fn a_process_of_the_vm_gets_no_connection() {
        let (mut listener, port) = match open() {
            Ok(opened) => opened,
            Err(error) => {
                // Not each kernel has such sockets.
                assert_eq!(error.raw_os_error(), Some(libc::EAFNOSUPPORT), "{error}");
                return;
            }
        };
        assert!(port > 0 && port != libc::VMADDR_PORT_ANY, "{port}");
        // Without the kernel's loopback for such sockets a connect would reach the host.
        if !std::fs::read_to_string("/proc/modules").unwrap_or_default().contains("vsock_loopback ")
        {
            return;
        }
        let flags = SockFlag::SOCK_CLOEXEC;
        let stranger = socket(AddressFamily::Vsock, SockType::Stream, flags, None).unwrap();
        connect(stranger.as_raw_fd(), &VsockAddr::new(libc::VMADDR_CID_LOCAL, port)).unwrap();
        let stranger = std::net::TcpStream::from(stranger);
        stranger.set_nonblocking(true).unwrap();
        let mut stranger = TcpStream::from_std(stranger).unwrap();
        tokio::select! {
            accepted = poll_fn(|cx| listener.poll_next(cx)) => panic!("{accepted:?}"),
            read = timeout(Duration::from_secs(10), stranger.read_u8()) => {
                assert!(read.unwrap().is_err(), "it is not closed");
            }
        }
    }

    #[tokio::test]
    async fn without_an_id_of_the_vm_there_is_no_offer() {
        // No machine that runs these tests is a WSL, or its `wslinfo` answers.
        match listen().await {
            Err(failure) => {
                assert_eq!(failure.link, LinkKind::Vsock);
                assert!(failure.text.contains("VM's id"), "{}", failure.text);
            }
            Ok((_, offer)) => assert!(matches!(offer, Offer::Vsock { .. }), "{offer:?}"),
        }
    }
}
