//! A [`Dialog`] had to its end over a connection: the only module here that does I/O. Knows no
//! clock; the caller has the patience.

use crate::{Dialog, DialogError, Progress, ProxyUrl, Target};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes that are looked at together; an ordinary answer is shorter.
const PIECE: usize = 1024;

/// Why there is no connection through the proxy.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// What the proxy says, or that it is none.
    #[error(transparent)]
    Dialog(#[from] DialogError),
    /// The connection to the proxy broke.
    #[error(transparent)]
    Stream(#[from] io::Error),
}

/// Asks the proxy at the other end of `stream` for a connection to `target`. Takes not a byte more
/// than the proxy's answer off the stream: what follows is the target's.
///
/// # Errors
/// See [`TunnelError`].
pub async fn tunnel(
    stream: &mut TcpStream,
    proxy: &ProxyUrl,
    target: &Target,
) -> Result<(), TunnelError> {
    let mut dialog = Dialog::new(proxy, target);
    let mut buffer = vec![0; PIECE];
    loop {
        let output = dialog.output();
        if !output.is_empty() {
            stream.write_all(&output).await?;
        }
        let seen = stream.peek(&mut buffer).await?;
        if seen == 0 {
            return Err(dialog.closed().into());
        }
        let (taken, done) = match dialog.input(&buffer[..seen])? {
            Progress::More => (seen, false),
            Progress::Done { rest } => (seen - rest.len(), true),
        };
        stream.read_exact(&mut buffer[..taken]).await?;
        if done {
            return Ok(());
        }
    }
}
