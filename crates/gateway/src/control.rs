//! The control socket: each client gets the status as one JSON document, and the connection closes.

use crate::keep_alive;
use crate::status::Status;
use foreign::Folder;
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// A request for the status.
pub(crate) type Ask = oneshot::Sender<Status>;

/// Requests that wait for the engine.
pub(crate) const MAX_WAITING: usize = 16;

/// A client that does not take its answer is dropped after this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// A status is some kilobytes; the longest lists in it have 4,096 entries.
const MOST_STATUS: u64 = 4 * 1024 * 1024;

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// No process listens.
    #[error("underpass is not running: start it with `underpass up`")]
    NotRunning,
    /// The socket is another user's.
    #[error(
        "{path} may not be opened: run this as the user that started `underpass up` (usually root)"
    )]
    Permission {
        /// The socket.
        path: String,
    },
    /// It does not answer as it should.
    #[error("underpass does not answer on {path}: {source}")]
    Broken {
        /// The socket.
        path: String,
        /// What the system says.
        source: io::Error,
    },
}

/// Who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The user that started the gateway.
    Root,
    /// Every user of every distro. Pauses between answers keep a user from occupying the gateway.
    Everybody,
}

/// Between two answers to all users.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves the socket for ever. `runtime_dir` holds what the engine does not know of the distro.
pub(crate) async fn serve(
    listener: UnixListener,
    audience: Audience,
    asks: mpsc::Sender<Ask>,
    runtime_dir: PathBuf,
) {
    loop {
        if audience == Audience::Everybody {
            tokio::time::sleep(PAUSE).await;
        }
        let mut stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Mostly for want of descriptors: an immediate retry would spin.
                tracing::warn!(%error, "the control socket cannot be served");
                tokio::time::sleep(PATIENCE).await;
                continue;
            }
        };
        let (answer, status) = oneshot::channel();
        if asks.send(answer).await.is_err() {
            return;
        }
        let Ok(mut status) = status.await else { continue };
        status.keep_alive = keep_alive::state(&runtime_dir);
        let Ok(text) = serde_json::to_vec(&status) else { continue };
        if let Ok(Err(error)) | Err(error) = timeout(PATIENCE, stream.write_all(&text))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))
        {
            tracing::debug!(%error, "a status was not taken");
        }
    }
}

/// Asks a running gateway for its status, by the first of these directories whose socket is served.
///
/// # Errors
/// See [`StatusError`]; the error of the first directory.
pub fn status(directories: &[PathBuf]) -> Result<Status, StatusError> {
    let mut first = None;
    for directory in directories {
        match ask(directory) {
            Err(error @ (StatusError::NotRunning | StatusError::Permission { .. })) => {
                first.get_or_insert(error);
            }
            answer => return answer,
        }
    }
    Err(first.unwrap_or(StatusError::NotRunning))
}

fn ask(runtime_dir: &Path) -> Result<Status, StatusError> {
    let path = crate::instance::socket_path(runtime_dir).display().to_string();
    let broken = |source| StatusError::Broken { path: path.clone(), source };
    let refused = |source: io::Error| {
        let is = |kinds: &[io::ErrorKind]| kinds.contains(&source.kind());
        if is(&[
            io::ErrorKind::NotFound,
            io::ErrorKind::NotADirectory,
            io::ErrorKind::ConnectionRefused,
        ]) {
            StatusError::NotRunning
        } else if is(&[io::ErrorKind::PermissionDenied]) {
            StatusError::Permission { path: path.clone() }
        } else {
            broken(source)
        }
    };
    // Every user may write to the folder of the published socket. A socket in a folder that neither
    // root nor this user owns, and one at which another user listens, is not a gateway's.
    let folder = match Folder::open(runtime_dir) {
        Ok(folder) if folder.is_trusted().map_err(broken)? => folder,
        Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
            return Err(refused(error));
        }
        Ok(_) | Err(_) => return Err(StatusError::NotRunning),
    };
    let stream = UnixStream::connect(folder.path_of(crate::instance::SOCKET)).map_err(refused)?;
    if !foreign::is_trusted_peer(&stream).map_err(broken)? {
        return Err(StatusError::NotRunning);
    }
    stream.set_read_timeout(Some(2 * PATIENCE)).map_err(broken)?;
    let mut text = Vec::new();
    stream.take(MOST_STATUS).read_to_end(&mut text).map_err(broken)?;
    serde_json::from_slice(&text).map_err(|error| broken(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_socket_in_a_strangers_folder_is_no_gateway() {
        let scratch = Scratch::new("stranger");
        let folder = scratch.path();
        let _listener = UnixListener::bind(crate::instance::socket_path(folder)).unwrap();
        let owned = std::os::unix::fs::chown(folder, Some(65534), None);
        let found = status(&[PathBuf::from("/nonexistent"), folder.to_path_buf()]);
        // Only root can change a folder's owner.
        if owned.is_ok() {
            assert!(matches!(found, Err(StatusError::NotRunning)), "{found:?}");
        }
    }
}
