//! A TCP connect that keeps what an ICMP error says: the kernel's error code alone names neither the
//! router nor a filter (ip(7), `IP_RECVERR`).

use super::datagrams::receive_error;
use crate::tcp::Reported;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use tokio::net::TcpStream;

/// More than the headers that an error quotes.
const QUOTE: usize = 128;

/// Connects to `to`.
///
/// # Errors
/// [`Reported`] where an ICMP error ended the attempt, else the kernel's.
pub(crate) async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    keep_errors(&socket, to, true)?;
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let stream = TcpStream::from_std(socket.into())?;
    stream.writable().await?;
    if let Some(error) = stream.take_error()? {
        let reported = receive_error(&stream, &mut [0; QUOTE]).ok().flatten();
        return Err(reported.map_or(error, |lost| io::Error::other(Reported(lost.fault))));
    }
    // A connection that stands outlives such errors, unless its socket asks for them (tcp_v4_err).
    keep_errors(&stream, to, false)?;
    Ok(stream)
}

fn keep_errors(socket: &impl AsFd, to: SocketAddr, keep: bool) -> nix::Result<()> {
    match to {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &keep),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &keep),
    }
}
