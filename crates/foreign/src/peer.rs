//! Who is at the other end of a socket.

use std::io;
use std::os::unix::net::UnixStream;

/// Whether root or this process's user listens at the other end (unix(7), `SO_PEERCRED`).
///
/// # Errors
/// The kernel does not tell.
pub fn is_trusted_peer(stream: &UnixStream) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    Ok(crate::is_own(peer.uid.as_raw()))
}
