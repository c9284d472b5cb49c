//! The folder of a command's records.

use crate::Folder;
use std::path::{Path, PathBuf};

/// Root's own folder.
const OF_ROOT: &str = "/var/lib/underpass";

/// The mode of that folder and of its parents, if they are made. A umask of 0 does not let other
/// users write there.
pub const STATE_MODE: u32 = 0o755;

/// The folder of a command's records. For a user it is in the home folder (XDG Base Directory,
/// `$XDG_STATE_HOME`, which is `named`). Root's is not, because `HOME` may be that of the user who
/// called sudo, and root would obey that user's records. `named` counts for root only if no other
/// user can write to it.
#[must_use]
pub fn state_folder(named: Option<&Path>, home: &Path) -> PathBuf {
    let named = named.filter(|path| path.is_absolute());
    if !rustix::process::geteuid().is_root() {
        return named
            .map_or_else(|| home.join(".local/state"), Path::to_path_buf)
            .join("underpass");
    }
    let is_trusted = |path: &&Path| {
        Folder::open(path).and_then(|folder| folder.is_trusted()).unwrap_or_default()
    };
    named.filter(is_trusted).map_or_else(|| OF_ROOT.into(), |path| path.join("underpass"))
}

/// Whether a home folder belongs to this process's user: with sudo, root works in another user's
/// home, and must not run programs that this user has set there.
#[must_use]
pub fn is_own_home(home: &Path) -> bool {
    Folder::open(home).is_ok_and(|folder| folder.is_of_this_user())
}
