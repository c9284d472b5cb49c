//! Who is at the other end of a socket.

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::io;
use std::os::unix::net::UnixStream;

/// Whether root or this process's user listens at the other end (unix(7), `SO_PEERCRED`).
///
/// # Errors
/// The kernel does not tell.
pub fn is_trusted_peer(stream: &UnixStream) -> io::Result<bool> {
    // By nix: the peer's process id is 0 where it is in another pid namespace, as every other
    // distro's is, and rustix' type has no such id (it then gives an error without a number).
    Ok(crate::is_own(getsockopt(stream, PeerCredentials)?.uid()))
}
