//! The command that starts a relay. Starts nothing; see [`crate::relay_process`].

use std::ffi::OsString;
use std::path::PathBuf;

/// The program that is the relay, and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayCommand {
    /// A path, or a name that is looked up in `PATH`.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The owner of its file.
    pub file: Whose,
}

/// The owner of a program's file, and with it how far it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The user of this command named it, or it came with this program.
    Given,
    /// It is on Windows' disk, where every Linux user can write: a copy of this program, with which
    /// it is compared before each start.
    CopyOf(PathBuf),
    /// It is on Windows' disk, and the gateway of another distro put it there.
    Deployed,
}
