//! The header before each datagram to and from a SOCKS5 proxy (RFC 1928 section 7).

use crate::error::DialogError;
use crate::socks::{put_target, split_target};
use crate::target::Target;

/// Most bytes of a header: with a name of 255.
pub const MAX_UDP_HEADER: usize = 3 + 1 + 1 + 255 + 2;

/// Appends the header of a datagram for `to`.
///
/// # Errors
/// A name that does not fit; nothing useful is appended then.
pub fn put_header(out: &mut Vec<u8>, to: &Target) -> Result<(), DialogError> {
    // RSV, and FRAG 0: it stands alone.
    out.extend([0, 0, 0]);
    put_target(out, to)
}

/// Who a datagram from the proxy is from, and its bytes. None for what has no such header, and for
/// a fragment, which who does not put them together must drop.
#[must_use]
pub fn split(datagram: &[u8]) -> Option<(Target, &[u8])> {
    match datagram.split_first_chunk::<3>()? {
        ([_, _, 0], rest) => split_target(rest),
        _ => None,
    }
}
