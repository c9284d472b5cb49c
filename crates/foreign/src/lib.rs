//! Files, folders and sockets in places where other users may write: `/mnt/wsl`, a home folder in
//! which root works, Windows' drives, the place of a report.
//!
//! Everything goes by descriptor. A path is walked one component at a time, without following a
//! link of another user ([`Links`]); what is found is checked by its descriptor; a file is written
//! under a random name and renamed. So no path is looked up twice, and a race with another user's
//! `rename` or `symlink` changes nothing. This is what openat2(2) does with
//! `RESOLVE_NO_SYMLINKS`, on kernels before 5.6 too.
//!
//! Knows nothing of what the files mean.
#![forbid(unsafe_code)]

mod file;
mod folder;
mod peer;
mod printable;
mod search;
mod walk;

pub use file::{FileTraits, Read, write_output};
pub use folder::{Folder, Removal};
pub use peer::is_trusted_peer;
pub use printable::{printable, printable_json, printable_line};
pub use search::trusted_folders;
pub use walk::{Links, located};

/// Whether a user is root or the one that this process runs as: nobody else's files, links and
/// sockets are obeyed.
fn is_own(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}
