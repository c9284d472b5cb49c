//! The search for programs.

use crate::Folder;
use std::env::{join_paths, split_paths};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The folders of programs in every distro.
const OF_SYSTEM: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// `PATH` filtered by [`trusted_folders`]. As a command's own `PATH`, it also applies to the search
/// for the command.
#[must_use]
pub fn trusted_path() -> OsString {
    trusted_folders(&std::env::var_os("PATH").unwrap_or_default())
}

/// The folders of a `PATH` from which a program may be started. For root these are the ones in
/// which only root can put a program: WSL adds Windows' folders to `PATH`, some of which every user
/// may write to. Other users get all of them: programs there run with their own rights. If none is
/// left, the system's own folders, since an empty `PATH` means the current folder (environ(7)).
#[must_use]
pub fn trusted_folders(path: &OsStr) -> OsString {
    if !rustix::process::geteuid().is_root() {
        return path.to_owned();
    }
    let trusted: Vec<_> =
        split_paths(path).filter(|folder| folder.is_absolute() && is_roots(folder)).collect();
    if trusted.is_empty() {
        return OF_SYSTEM.into();
    }
    join_paths(trusted).unwrap_or_else(|_| OF_SYSTEM.into())
}

/// Whether only root can put a program at this path: into the folder, or in the place of a parent.
fn is_roots(path: &Path) -> bool {
    let Ok(folder) = Folder::open(path) else { return false };
    let mut above = folder.path().ancestors().skip(1);
    folder.is_trusted().unwrap_or_default()
        && above.all(|above| Folder::open(above).is_ok_and(|above| above.keeps_own()))
}

/// The whole path of a program of that name that may be started.
#[must_use]
pub fn trusted_program(name: &str) -> Option<PathBuf> {
    let path = trusted_path();
    split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
