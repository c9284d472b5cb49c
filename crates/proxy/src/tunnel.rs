//! Runs a [`Dialog`] to its end over a connection: the only module here that does I/O. Knows no
//! clock; the caller limits the time.

use crate::{Dialog, DialogError, Progress, ProxyUrl, Target};
use std::io;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Bytes examined together; an ordinary answer is shorter.
const PIECE: usize = 1024;

/// Why there is no connection through the proxy.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The proxy's refusal, or that it is not a proxy.
    #[error(transparent)]
    Dialog(#[from] DialogError),
    /// The connection to the proxy broke.
    #[error(transparent)]
    Stream(#[from] io::Error),
}

/// Requests a connection to `target` from the proxy at the other end of `stream`. Takes only the
/// proxy's answer off the stream: later bytes are the target's.
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
