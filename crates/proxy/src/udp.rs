//! The header before each datagram to and from a SOCKS5 proxy (RFC 1928 section 7).

use crate::error::DialogError;
use crate::socks::{put_target, split_target};
use crate::target::Target;

/// Most bytes of a header: with a name of 255.
pub const MAX_UDP_HEADER: usize = 3 + 1 + 1 + 255 + 2;

/// Appends the header of a datagram for `to`.
///
/// # Errors
/// A name that does not fit; then the appended bytes are useless.
pub fn put_header(out: &mut Vec<u8>, to: &Target) -> Result<(), DialogError> {
    // RSV, and FRAG 0: it stands alone.
    out.extend([0, 0, 0]);
    put_target(out, to)
}

/// The sender of a datagram from the proxy, and its bytes. `None` for one without such a header,
/// and for a fragment, which a receiver without reassembly must drop.
#[must_use]
pub fn split(datagram: &[u8]) -> Option<(Target, &[u8])> {
    match datagram.split_first_chunk::<3>()? {
        ([_, _, 0], rest) => split_target(rest),
        _ => None,
    }
}
