//! A TCP connect that keeps the content of an ICMP error: the kernel's error code alone names
//! neither the router nor a filter (ip(7), `IP_RECVERR`). The app's time to live applies to the
//! connection from its SYN to its end. So a traceroute gets an answer from each router, and an app
//! that limits the hops of its packets has them limited.

use super::datagrams::receive_error;
use crate::tcp::Reported;
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::os::fd::AsFd;
use tokio::net::TcpStream;

/// More than the headers that an error quotes.
const QUOTE: usize = 128;

/// Connects to `to`, with a hop limit for its packets if one is given.
///
/// # Errors
/// [`Reported`] if an ICMP error ended the attempt, otherwise the kernel's.
pub(crate) async fn connect(to: SocketAddr, hops: Option<NonZeroU8>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    keep_errors(&socket, to, true)?;
    if let Some(hops) = hops {
        limit(&socket, to, hops)?;
    }
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
    // An established connection outlives such errors, unless its socket asks for them (tcp_v4_err).
    keep_errors(&stream, to, false)?;
    Ok(stream)
}

fn limit(socket: &Socket, to: SocketAddr, hops: NonZeroU8) -> io::Result<()> {
    match to {
        SocketAddr::V4(_) => socket.set_ttl_v4(hops.get().into()),
        SocketAddr::V6(_) => socket.set_unicast_hops_v6(hops.get().into()),
    }
}

fn keep_errors(socket: &impl AsFd, to: SocketAddr, keep: bool) -> nix::Result<()> {
    match to {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4RecvErr, &keep),
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvErr, &keep),
    }
}
