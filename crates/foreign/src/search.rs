//! Where programs are looked for.

use crate::Folder;
use std::env::{join_paths, split_paths};
use std::ffi::{OsStr, OsString};

/// `PATH` as [`trusted_folders`] leaves it. Given to a command as its own, it is also where the command
/// is looked for.
#[must_use]
pub fn trusted_path() -> OsString {
    trusted_folders(&std::env::var_os("PATH").unwrap_or_default())
}

/// The folders of a `PATH` from which a program may be started. For root these are the ones in which
/// only root can put one: WSL adds Windows' folders to `PATH`, some of which every user may write to.
/// For others all of them: what is there runs with their own rights.
#[must_use]
pub fn trusted_folders(path: &OsStr) -> OsString {
    if !rustix::process::geteuid().is_root() {
        return path.to_owned();
    }
    let is_trusted = |folder: &std::path::PathBuf| {
        folder.is_absolute() && Folder::open(folder).and_then(|folder| folder.is_trusted()).unwrap_or_default()
    };
    join_paths(split_paths(path).filter(is_trusted)).unwrap_or_default()
}
