//! Connections that go to their destination without a proxy.

use crate::limits::HOPS_WITHIN;
use crate::os;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connects directly, with a hop limit for its packets if one is given.
///
/// # Errors
/// [`crate::tcp::Reported`], `TimedOut`, or the host's error.
pub(crate) async fn connect(to: SocketAddr, hops: Option<NonZeroU8>) -> io::Result<TcpStream> {
    let connecting = os::connect::connect(to, hops);
    if hops.is_none() {
        return connecting.await;
    }
    timeout(HOPS_WITHIN, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
