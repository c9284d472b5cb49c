//! Files, folders and sockets in places where other users may write: `/mnt/wsl`, a home folder in
//! which root works, Windows' drives, the place of a report.
//!
//! Everything goes by descriptor. A path is walked one component at a time, and a link on the way
//! is followed only if root or this process's user made it; what is found is checked by its
//! descriptor; a file is written under a random name and renamed. So no path is looked up twice,
//! and a race with another user's `rename` or `symlink` changes nothing. openat2(2) with
//! `RESOLVE_NO_SYMLINKS` would refuse a person's own links too, and is not in kernels before 5.6.
//!
//! Knows nothing of what the files mean.
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

/// Whether a user is root or the one that this process runs as: nobody else's files, links and
/// sockets are obeyed.
fn is_own(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}
