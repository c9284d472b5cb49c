//! The walk along a path, by descriptors.

use crate::file_system::{FileSystem, file_system};
use crate::{Folder, is_own};
use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat, openat, readlinkat};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

/// The most links that the kernel follows in a path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// The flags for a folder that is only passed through: no right to list it is needed.
pub(crate) const FOLDER: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The links followed so far.
#[derive(Clone, Copy, Debug, Default)]
struct Followed {
    count: usize,
    /// Whether one of them is on a Windows drive. WSL shows all files there as one user's, if the
    /// drive is mounted without metadata. A link's owner then says nothing: every user may have
    /// made it.
    on_drive: bool,
}

/// A folder at the end of a path.
pub(crate) struct Walked {
    pub(crate) fd: OwnedFd,
    /// Its path, without links.
    pub(crate) path: PathBuf,
    /// Missing folders that were made, the outermost first.
    pub(crate) made: Vec<PathBuf>,
}

/// Walks to a folder. `make` is the mode for missing folders that it makes.
pub(crate) fn walk(path: &Path, make: Option<Mode>) -> io::Result<Walked> {
    walk_on(path, make, &mut Followed::default())
}

/// Like [`walk`], after links were followed before.
fn walk_on(path: &Path, make: Option<Mode>, followed: &mut Followed) -> io::Result<Walked> {
    let mut left = parts(&std::path::absolute(path)?);
    let mut here = Walked { fd: root()?, path: PathBuf::from("/"), made: Vec::new() };
    while let Some(part) = left.pop_front() {
        if part == ".." {
            here.fd = openat(&here.fd, "..", FOLDER, Mode::empty())?;
            here.path.pop();
            continue;
        }
        let at = here.path.join(&part);
        let opened = openat(
            &here.fd,
            &part,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let fd = match (opened, make) {
            (Err(Errno::NOENT), Some(mode)) => {
                // The target of a link on a drive is checked before anything is made there.
                followed.check(&here.fd, &here.path)?;
                match mkdirat(&here.fd, &part, mode) {
                    Ok(()) => here.made.push(at),
                    // Another process made it meanwhile: it is checked like any other.
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
        let to = followed.follow(&fd, (found.st_uid, found.st_nlink), &at)?;
        if to.is_absolute() {
            (here.fd, here.path) = (root()?, PathBuf::from("/"));
        }
        parts(&to).into_iter().rev().for_each(|part| left.push_front(part));
    }
    followed.check(&here.fd, &here.path)?;
    Ok(here)
}

/// The folder of a file and the file's name in it. A link at the file's place is followed like the
/// links in the path, so that its target can be changed and the link stays. The file may be
/// missing.
///
/// # Errors
/// There is no such folder, or the path contains a link that is not followed.
pub fn located(path: &Path) -> io::Result<(Folder, OsString)> {
    let mut path = std::path::absolute(path)?;
    let mut followed = Followed::default();
    loop {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Errno::ISDIR.into());
        };
        let folder = Folder::from(walk_on(parent, None, &mut followed)?);
        let name = name.to_owned();
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match openat(folder.descriptor(), &name, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok((folder, name)),
            opened => opened?,
        };
        let found = fstat(&fd)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            return Ok((folder, name));
        }
        let to =
            followed.follow(&fd, (found.st_uid, found.st_nlink), &folder.path().join(&name))?;
        path = folder.path().join(to);
    }
}

impl Followed {
    /// The target of a link, if it may be followed. Any user may have put a link of root's with
    /// another name here, as in [`Folder::append`].
    fn follow(
        &mut self,
        link: &OwnedFd,
        (owner, names): (u32, impl Into<u64>),
        at: &Path,
    ) -> io::Result<PathBuf> {
        self.count += 1;
        if self.count > MOST_LINKS {
            return Err(Errno::LOOP.into());
        }
        let on = file_system(link);
        if on == FileSystem::Drive {
            self.on_drive = true;
        } else if on == FileSystem::OfStranger {
            return Err(refused(&format!(
                "{} is a link on a FUSE file system that another user mounted, which is not followed; give the path that it leads to",
                at.display()
            )));
        } else if !is_own(owner) {
            let text = format!(
                "{} is a link of user {owner}, which is not followed; run this as that user, or give the path that it leads to",
                at.display()
            );
            return Err(refused(&text));
        } else if names.into() > 1 && rustix::process::geteuid().is_root() {
            return Err(refused(&format!(
                "{} is a link with another name, which is not followed",
                at.display()
            )));
        }
        let to = readlinkat(link, "", Vec::new())?;
        Ok(OsString::from_vec(to.into_bytes()).into())
    }

    /// A link on a drive may lead to a drive, for example if `C:\Users` is a junction to
    /// `D:\Users`, and nowhere else.
    fn check(self, end: impl AsFd, at: &Path) -> io::Result<()> {
        if self.on_drive && file_system(end) != FileSystem::Drive {
            return Err(refused(&format!(
                "a link on a Windows drive leads to {}: it is not followed; give the path that it leads to",
                at.display()
            )));
        }
        Ok(())
    }
}

fn refused(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, text)
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
