//! What the gateway lays out for the other distros, in the folder that WSL shares among them all (`/mnt/wsl`): the command, a socket that
//! tells the status to everybody, and `env.sh` for shells. Nothing there lets anybody change the gateway.
//!
//! Everybody may write into `/mnt/wsl`, so whatever lies at our place is replaced, never followed or written into.

use crate::status::Status;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// The folder that WSL shares among distros.
const SHARED: &str = "/mnt/wsl";

/// The command's name in the folder.
const PROGRAM: &str = "underpass";

/// Where a gateway publishes unless it is told otherwise.
#[must_use]
pub fn default_folder() -> PathBuf {
    Path::new(SHARED).join("underpass")
}

/// Whether this machine has the folder that distros share.
#[must_use]
pub fn has_shared_folder() -> bool {
    Path::new(SHARED).is_dir()
}

/// Nothing can be published.
#[derive(Debug, thiserror::Error)]
#[error("nothing can be published in {}: {source}; choose another folder with --publish, or --no-publish", .folder.display())]
pub struct PublishError {
    /// Where it should have been.
    folder: PathBuf,
    /// What the system says.
    source: io::Error,
}

/// What is published, until this is dropped.
#[derive(Debug)]
pub(crate) struct Publication {
    folder: PathBuf,
}

impl Publication {
    /// Lays everything out but `env.sh`, and gives the socket.
    pub(crate) fn new(folder: &Path) -> Result<(Self, UnixListener), PublishError> {
        let error = |source| PublishError { folder: folder.to_path_buf(), source };
        // Made under another name, and moved into place when it is whole.
        let new = beside(folder, "new");
        remove(&new).map_err(error)?;
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent).map_err(error)?;
        }
        fs::DirBuilder::new().mode(0o755).create(&new).map_err(error)?;
        // Whatever umask this was started with, every user of the other distros reads it.
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(error)?;
        let program = new.join(PROGRAM);
        // The program itself, also where its file was replaced since it was started.
        fs::copy("/proc/self/exe", &program).map_err(error)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(error)?;
        let socket = crate::instance::socket_path(&new);
        let listener = UnixListener::bind(&socket).map_err(error)?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).map_err(error)?;
        let old = beside(folder, "old");
        remove(&old).map_err(error)?;
        match fs::rename(folder, &old) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(error(source)),
            Ok(()) | Err(_) => {}
        }
        fs::rename(&new, folder).map_err(error)?;
        remove(&old).map_err(error)?;
        Ok((Self { folder: folder.to_path_buf() }, listener))
    }

    /// Writes `env.sh`, now that the addresses are known.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn tell(&self, status: &Status) -> io::Result<()> {
        let Some(tap) = &status.tap else { return Ok(()) };
        let text = format!(
            "# Underpass, for shells of every distro: . {folder}/env.sh\n\
             export PATH=\"$PATH:{folder}\"\n\
             # Services of Windows' own 127.0.0.1, and the nameserver of the tunnel.\n\
             export UNDERPASS_HOST={host}\n\
             export UNDERPASS_NAMESERVER={gateway}\n",
            folder = self.folder.display(),
            host = tap.ipv4.host,
            gateway = tap.ipv4.gateway,
        );
        let new = self.folder.join("env.sh.new");
        fs::write(&new, text)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o644))?;
        fs::rename(&new, self.folder.join("env.sh"))
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // What stays behind is replaced by the next one.
        let _ = remove(&self.folder);
    }
}

/// A name in the same folder, which another gateway's is not (it has the lock).
fn beside(folder: &Path, what: &str) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!(".{name}.{what}"))
}

/// Removes a file, link or folder, if there is one; what a link leads to stays.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(file) if file.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[tokio::test]
    async fn whatever_lies_there_is_replaced_and_nothing_is_followed() {
        let scratch = std::env::temp_dir().join(format!("underpass-publish-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        let (folder, mine) = (scratch.join("wsl/underpass"), scratch.join("mine"));
        fs::create_dir_all(&mine).unwrap();
        fs::write(mine.join("underpass"), "precious").unwrap();
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        for round in 0..3 {
            match round {
                // Somebody was there before: with a link, or with a folder of his own.
                0 => symlink(&mine, &folder).unwrap(),
                1 => {
                    fs::create_dir(&folder).unwrap();
                    symlink(mine.join("underpass"), folder.join("underpass")).unwrap();
                    symlink(&mine, beside(&folder, "new")).unwrap();
                }
                _ => {}
            }
            let (publication, _listener) = Publication::new(&folder).unwrap();
            assert_eq!(fs::read_to_string(mine.join("underpass")).unwrap(), "precious", "{round}");
            let mode = |path: &str| fs::symlink_metadata(folder.join(path)).unwrap().mode() & 0o7777;
            assert_eq!((mode(""), mode("underpass"), mode("control.sock")), (0o755, 0o755, 0o666), "{round}");
            assert_eq!(fs::read(folder.join("underpass")).unwrap(), fs::read("/proc/self/exe").unwrap());
            drop(publication);
            assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 0, "{round}: nothing is left");
        }
        fs::write(&folder, "").unwrap();
        assert!(Publication::new(&folder.join("below")).unwrap_err().to_string().contains("--no-publish"));
        fs::remove_dir_all(&scratch).unwrap();
    }
}
