//! The walk along a path, by descriptors.

use crate::{Folder, is_own};
use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows in a path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// None. For places where a link's owner says nothing: a Windows drive shows all files as one
    /// user's (WSL's documentation, "File Permissions for WSL").
    None,
    /// Those that root or this process's user made.
    Own,
}

/// A folder of a path, made if it is missing.
pub(crate) struct Walked {
    pub(crate) fd: OwnedFd,
    /// Where it is, without links.
    pub(crate) path: PathBuf,
    /// Folders that were not there, the outermost first.
    pub(crate) made: Vec<PathBuf>,
}

/// How a folder that is only passed, or stood in, is opened: this needs no right to list it.
pub(crate) const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Walks to a folder. `make` is the mode of folders that are made where they are missing.
pub(crate) fn walk(path: &Path, links: Links, make: Option<Mode>) -> io::Result<Walked> {
    let mut left = parts(&std::path::absolute(path)?);
    let mut here = Walked { fd: root()?, path: PathBuf::from("/"), made: Vec::new() };
    let mut followed = 0;
    while let Some(part) = left.pop_front() {
        if part == ".." {
            here.fd = openat(&here.fd, "..", FOLDER, Mode::empty())?;
            here.path.pop();
            continue;
        }
        let at = here.path.join(&part);
        let fd = match (openat(&here.fd, &part, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()), make)
        {
            (Err(Errno::NOENT), Some(mode)) => {
                match mkdirat(&here.fd, &part, mode) {
                    Ok(()) => here.made.push(at),
                    // Made by another process meanwhile: it is looked at like any other.
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
                left.push_front(part);
                continue;
            }
            (opened, _) => opened?,
        };
        let found = fstat(&fd)?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind == FileType::Directory {
            (here.fd, here.path) = (fd, at);
            continue;
        }
        if kind != FileType::Symlink {
            return Err(Errno::NOTDIR.into());
        }
        followed += 1;
        if followed > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let to = target(&fd, found.st_uid, links, &at)?;
        if to.is_absolute() {
            (here.fd, here.path) = (root()?, PathBuf::from("/"));
        }
        parts(&to).into_iter().rev().for_each(|part| left.push_front(part));
    }
    Ok(here)
}

/// The folder of a file and the file's name in it. A link at the file's place is followed as the
/// links of the way are, so that what it leads to can be changed and the link stays. The file may be
/// missing.
///
/// # Errors
/// There is no such folder, or a link of another user is in the way.
pub fn located(path: &Path, links: Links) -> io::Result<(Folder, OsString)> {
    let mut path = std::path::absolute(path)?;
    for _ in 0..=MOST_LINKS {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::ISDIR.into());
        };
        let (folder, name) = (Folder::open(parent, links)?, name.to_owned());
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match openat(folder.descriptor(), &name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok((folder, name)),
            opened => opened?,
        };
        let found = fstat(&fd)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            return Ok((folder, name));
        }
        let to = target(&fd, found.st_uid, links, &folder.path().join(&name))?;
        path = folder.path().join(to);
    }
    Err(Errno::LOOP.into())
}

/// Where a link leads, if it may be followed.
fn target(link: &OwnedFd, owner: u32, links: Links, at: &Path) -> io::Result<PathBuf> {
    if links == Links::None || !is_own(owner) {
        let whose = if links == Links::None { "a link".to_owned() } else { format!("a link of user {owner}") };
        let text = format!("{} is {whose}, which is not followed", at.display());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let to = readlinkat(link, "", Vec::new())?;
    Ok(OsString::from_vec(to.into_bytes()).into())
}

fn root() -> io::Result<OwnedFd> {
    Ok(rustix::fs::open("/", FOLDER, Mode::empty())?)
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsStr::new("..").to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}
