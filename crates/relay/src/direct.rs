//! Connections that go to their destination by no proxy.

use crate::limits::HOPS_WITHIN;
use crate::os;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU8;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Connects directly, with packets that go at most so many hops.
///
/// # Errors
/// [`crate::tcp::Reported`], `TimedOut`, or what the host says.
pub(crate) async fn connect(to: SocketAddr, hops: Option<NonZeroU8>) -> io::Result<TcpStream> {
    let connecting = os::connect::connect(to, hops);
    if hops.is_none() {
        return connecting.await;
    }
    timeout(HOPS_WITHIN, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
