//! Publishes three things for the other distros in the folder that all distros share (`/mnt/wsl`):
//! the command, a socket that gives the status to every user, and `env.sh` for shells. Nothing
//! there lets another user change the gateway.
//!
//! WSL mounts `/mnt/wsl` as a tmpfs without options (microsoft/WSL, `src/linux/init/main.cpp`), so
//! every user of every distro may write there (tmpfs(5): mode 1777). Anything at our place is
//! replaced, never followed or written into. Everything is made in a folder of root's with an
//! unguessable name, and gets its place when it is complete. When the gateway ends the folder
//! stays, empty: while root owns it, no other user can put a program there.

use crate::instance::SOCKET;
use crate::status::Status;
use foreign::{FileTraits, Folder, Removal};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// The folder that WSL shares among distros.
const SHARED: &str = "/mnt/wsl";

/// The command's name in the folder.
const PROGRAM: &str = "underpass";

/// The file for shells.
const ENV: &str = "env.sh";

/// Tries to take the place from other users, who may put something there again and again. Each try
/// leaves them a few microseconds.
const TRIES: usize = 100;

/// Where a gateway publishes by default.
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
#[error(
    "nothing can be published in {}, so other distros see neither status nor command; their \
     traffic does not need it: {source}; choose another folder with --publish, or --no-publish",
    .folder.display()
)]
pub struct PublishError {
    /// Where it should have been.
    folder: PathBuf,
    /// What the system says.
    source: io::Error,
}

/// The published files, until this is dropped.
#[derive(Debug)]
pub(crate) struct Publication {
    /// Its path, for people.
    path: PathBuf,
    folder: Folder,
}

impl Publication {
    /// Publishes everything except `env.sh`, and returns the socket.
    pub(crate) fn new(path: &Path) -> Result<(Self, UnixListener), PublishError> {
        publish(path).map_err(|source| PublishError { folder: path.to_path_buf(), source })
    }

    /// Writes `env.sh`, now that the addresses are known.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn write_env(&self, status: &Status) -> io::Result<()> {
        let Some(tap) = &status.tap else { return Ok(()) };
        let text = format!(
            "# Underpass, for shells of every distro: . {folder}/env.sh\n\
             export PATH=\"$PATH:{folder}\"\n\
             # Services of Windows' own 127.0.0.1, and the nameserver of the tunnel.\n\
             export UNDERPASS_HOST={host}\n\
             export UNDERPASS_NAMESERVER={gateway}\n",
            folder = self.path.display(),
            host = tap.ipv4.host,
            gateway = tap.ipv4.gateway,
        );
        self.folder.replace(ENV, FileTraits::of_mode(0o644), |file| file.write_all(text.as_bytes()))
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        // The next gateway replaces what is left behind; the folder itself stays.
        for name in [ENV, SOCKET, PROGRAM] {
            let _ = self.folder.remove(name);
        }
    }
}

fn publish(path: &Path) -> io::Result<(Publication, UnixListener)> {
    let path = std::path::absolute(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::IsADirectory.into());
    };
    let (parent, _) = Folder::make(parent, 0o755)?;
    let prefix = format!(".{}.", name.to_string_lossy());
    sweep(&parent, &prefix);
    let (folder, staged) = parent.new_child(&prefix)?;
    let made = fill(&folder).and_then(|listener| {
        take_place(&parent, &staged, name)?;
        Ok(listener)
    });
    // The random name now belongs to what had the place before, or to what was not finished.
    if let Err(error) = parent.remove_all(&staged, &mut Removal::default()) {
        tracing::info!("{} stays: {error}", parent.path().join(&staged).display());
    }
    Ok((Publication { path, folder }, made?))
}

/// Makes everything in a folder that only this user can read, and then makes it readable for all
/// users, whatever the umask.
fn fill(folder: &Folder) -> io::Result<UnixListener> {
    // The running program itself, even if its file was replaced after the start.
    let mut program = File::open("/proc/self/exe")?;
    folder.replace(PROGRAM, FileTraits::of_mode(0o755), |copy| {
        io::copy(&mut program, copy).map(drop)
    })?;
    let listener = UnixListener::bind(folder.path_of(SOCKET))?;
    folder.set_socket_mode(SOCKET, 0o666)?;
    folder.set_mode(0o755)?;
    Ok(listener)
}

/// Moves the staged folder to its place; what had the place gets the other name.
fn take_place(parent: &Folder, staged: &OsStr, name: &OsStr) -> io::Result<()> {
    let mut taken = parent.rename_to_free(staged, name);
    for _ in 0..TRIES {
        if !taken.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            break;
        }
        taken = match parent.swap(staged, name) {
            // It has just disappeared.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                parent.rename_to_free(staged, name)
            }
            swapped => swapped,
        };
    }
    taken
}

/// Removes the unfinished folders of a killed gateway.
fn sweep(parent: &Folder, prefix: &str) {
    let names = parent.names().unwrap_or_default();
    for name in names.into_iter().filter(|name| name.to_string_lossy().starts_with(prefix)) {
        if parent.is_own(&name) {
            let _ = parent.remove_all(&name, &mut Removal::default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};

    #[tokio::test]
    async fn whatever_lies_there_is_replaced_and_nothing_is_followed() {
        let scratch = Scratch::new("publish");
        let (folder, mine) = (scratch.join("wsl/underpass"), scratch.join("mine"));
        scratch.write("mine/underpass", "precious");
        fs::create_dir_all(folder.parent().unwrap()).unwrap();
        for round in 0..4 {
            let _ = fs::remove_dir(&folder);
            match round {
                // Another user was there before: with a link, a folder or a file.
                0 => symlink(&mine, &folder).unwrap(),
                1 => {
                    fs::create_dir(&folder).unwrap();
                    symlink(mine.join("underpass"), folder.join("underpass")).unwrap();
                }
                2 => fs::write(&folder, "").unwrap(),
                _ => {}
            }
            // A killed gateway's.
            fs::create_dir_all(folder.with_file_name(".underpass.0123/x")).unwrap();
            let (publication, _listener) = Publication::new(&folder).unwrap();
            assert_eq!(fs::read_to_string(mine.join("underpass")).unwrap(), "precious", "{round}");
            let mode =
                |path: &str| fs::symlink_metadata(folder.join(path)).unwrap().mode() & 0o7777;
            assert_eq!(
                (mode(""), mode("underpass"), mode("control.sock")),
                (0o755, 0o755, 0o666),
                "{round}"
            );
            assert_eq!(
                fs::read(folder.join("underpass")).unwrap(),
                fs::read("/proc/self/exe").unwrap()
            );
            drop(publication);
            assert_eq!(
                fs::read_dir(folder.parent().unwrap()).unwrap().count(),
                1,
                "{round}: nothing else"
            );
            assert_eq!(
                (fs::read_dir(&folder).unwrap().count(), mode("")),
                (0, 0o755),
                "{round}: the place is kept"
            );
        }
        fs::remove_dir(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        assert!(
            Publication::new(&folder.join("below"))
                .unwrap_err()
                .to_string()
                .contains("--no-publish")
        );
    }
}
