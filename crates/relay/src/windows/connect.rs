//! A TCP connect. Windows' error code is all that is known of one that fails.

use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// Connects to `to`.
///
/// # Errors
/// Windows'.
pub(crate) async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(to).await
}
