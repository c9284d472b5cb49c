//! Identifies the other end of a socket.

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use std::io;
use std::os::unix::net::UnixStream;

/// Whether root or this process's user listens at the other end (unix(7), `SO_PEERCRED`).
///
/// # Errors
/// The kernel does not say.
pub fn is_trusted_peer(stream: &UnixStream) -> io::Result<bool> {
    // By nix: the peer's process id is 0 if it is in another pid namespace, as in every other
    // distro. rustix' type has no such id (it then returns an error without a number).
    Ok(crate::is_own(getsockopt(stream, PeerCredentials)?.uid()))
}
