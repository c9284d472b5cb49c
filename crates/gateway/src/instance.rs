//! One gateway at a time: a lock in the runtime directory. The kernel releases it when its process
//! ends, however that ends.

use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Why this gateway may not run.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another gateway runs.
    #[error(
        "underpass runs already, as process {pid}: see `underpass status`; stop that one first \
         (kill {pid})"
    )]
    Running {
        /// Its process id, as it wrote it.
        pid: String,
    },
    /// The directory cannot be used.
    #[error(
        "{} cannot be used: {source}; run as root, or set UNDERPASS_RUNTIME_DIR to another \
         directory",
        .path.display()
    )]
    Directory {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The lock, held as long as this lives.
#[derive(Debug)]
pub(crate) struct Instance {
    dir: PathBuf,
    _lock: Flock<File>,
}

/// The control socket's name.
pub(crate) const SOCKET: &str = "control.sock";

/// The control socket's path.
pub(crate) fn socket_path(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join(SOCKET)
}

impl Instance {
    /// Becomes the one gateway of `runtime_dir`. The remains of a killed gateway do not prevent
    /// this.
    pub(crate) fn claim(runtime_dir: &Path) -> Result<Self, InstanceError> {
        let error = |path: &Path| {
            let path = path.to_path_buf();
            move |source| InstanceError::Directory { path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(runtime_dir)
            .map_err(error(runtime_dir))?;
        let path = runtime_dir.join("lock");
        // Not truncated: until the lock is ours, the file has another gateway's pid.
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut lock =
            match Flock::lock(file.map_err(error(&path))?, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                    let mut pid = String::new();
                    file.read_to_string(&mut pid).map_err(error(&path))?;
                    return Err(InstanceError::Running { pid: pid.trim().to_owned() });
                }
                Err((_, errno)) => return Err(error(&path)(errno.into())),
            };
        let written = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| writeln!(lock, "{}", std::process::id()));
        written.map_err(error(&path))?;
        Ok(Self { dir: runtime_dir.to_path_buf(), _lock: lock })
    }

    /// The control socket; only its owner may connect.
    pub(crate) fn listen(&self) -> Result<UnixListener, InstanceError> {
        let path = socket_path(&self.dir);
        let error = |source| InstanceError::Directory { path: path.clone(), source };
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(error(source)),
        }
        let listener = UnixListener::bind(&path).map_err(error)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(error)?;
        Ok(listener)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The next start replaces a socket that is left behind.
        let _ = fs::remove_file(socket_path(&self.dir));
        let _ = fs::remove_file(self.dir.join("lock"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[tokio::test]
    async fn a_second_one_learns_which_one_runs_and_leftovers_do_not_hinder() {
        let scratch = Scratch::new("instance");
        let dir = scratch.path();
        scratch.write("lock", "999999\n");
        fs::write(socket_path(dir), "").unwrap();
        let first = Instance::claim(dir).unwrap();
        drop(first.listen().unwrap());
        let second = Instance::claim(dir).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
        drop(first);
        assert_eq!(scratch.count(), 0, "nothing is left");
        drop(Instance::claim(dir).unwrap());
    }
}
