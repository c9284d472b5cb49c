//! The meaning of the kernel's error codes for a connection.

use nix::errno::Errno;
use wire::ConnectFailure;

/// Why a connect failed.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code has the same meaning here")]
pub(crate) fn connect_failure(code: i32) -> ConnectFailure {
    match Errno::from_raw(code) {
        Errno::ECONNREFUSED => ConnectFailure::Refused,
        Errno::ETIMEDOUT => ConnectFailure::TimedOut,
        Errno::ENETUNREACH | Errno::EAFNOSUPPORT => ConnectFailure::NetworkUnreachable,
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => ConnectFailure::HostUnreachable,
        Errno::EACCES | Errno::EPERM => ConnectFailure::PermissionDenied,
        Errno::EADDRNOTAVAIL | Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => {
            ConnectFailure::NoResources
        }
        _ => ConnectFailure::Other,
    }
}
