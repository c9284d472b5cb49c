//! Files, folders and sockets in places where other users may write: `/mnt/wsl`, a home folder in
//! which root works, Windows' drives, the place of a report.
//!
//! Everything goes by descriptor. The crate walks a path one component at a time, and follows a
//! link only if root or this process's user made it. It checks each entry by its descriptor, and
//! writes a file under a random name before it renames it. So no path is looked up twice, and a
//! race with another user's `rename` or `symlink` changes nothing. openat2(2) with
//! `RESOLVE_NO_SYMLINKS` would refuse a person's own links too, and is not in kernels before 5.6.
//!
//! Knows nothing of the content of the files.
#![forbid(unsafe_code)]

mod file;
mod file_system;
mod folder;
mod peer;
mod search;
mod state;
mod walk;

pub use file::{FileTraits, Read, write_output};
pub use folder::{Folder, Removal};
pub use peer::is_trusted_peer;
pub use search::{trusted_folders, trusted_path, trusted_program};
pub use state::{STATE_MODE, is_own_home, state_folder};
pub use walk::located;

/// Whether a user is root or this process's user: the crate trusts only their files, links and
/// sockets.
fn is_own(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}
