//! A folder that stays the same one, wherever its path leads meanwhile.

use crate::file_system::{FileSystem, file_system};
use crate::walk::{FOLDER, Walked, walk};
use crate::{file, is_own};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, chmodat, fstat, mkdirat, openat, readlinkat,
    renameat, renameat_with, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// Groups whose members are root or may act as root: its own, and Debian's `staff`, which may write
/// to /usr/local (base-passwd). Other numbers mean other groups elsewhere; on some systems 100 is
/// the group of all users.
const GROUPS_OF_ROOT: [u32; 2] = [0, 50];

/// A folder, held by a descriptor.
#[derive(Debug)]
pub struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl From<Walked> for Folder {
    fn from(walked: Walked) -> Self {
        Self { fd: walked.fd, path: walked.path }
    }
}

/// The most of a stranger's remains that is removed: a tree of millions must not delay a start.
#[derive(Clone, Copy, Debug)]
pub struct Removal {
    /// Entries that may still be removed.
    pub entries: usize,
    /// Nested folders.
    pub depth: usize,
}

impl Default for Removal {
    fn default() -> Self {
        Self { entries: 10_000, depth: 32 }
    }
}

impl Folder {
    /// Opens a folder. A link in its path is followed if root or this process's user made it.
    ///
    /// # Errors
    /// There is none, or the path contains a link that is not followed.
    pub fn open(path: &Path) -> io::Result<Self> {
        walk(path, None).map(Self::from)
    }

    /// Opens a folder, and makes it and its parents if they are missing. Returns those that were
    /// made, the outermost first.
    ///
    /// # Errors
    /// Like [`Folder::open`], or it cannot be made.
    pub fn make(path: &Path, mode: u32) -> io::Result<(Self, Vec<PathBuf>)> {
        let mut walked = walk(path, Some(Mode::from_raw_mode(mode)))?;
        let made = std::mem::take(&mut walked.made);
        Ok((walked.into(), made))
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The path where it was found, without links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path that leads to an entry of this very folder, in this process only: for connect(2) and
    /// bind(2), which take no descriptor (proc_pid_fd(5)).
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).join(name)
    }

    /// Whether only root and this process's user can change its content. On a Windows drive every
    /// user can, by a Windows program, whatever the modes say.
    ///
    /// # Errors
    /// It cannot be examined.
    pub fn is_trusted(&self) -> io::Result<bool> {
        let found = fstat(&self.fd)?;
        let others = found.st_mode & 0o020 != 0 && !GROUPS_OF_ROOT.contains(&found.st_gid);
        let is_plain = file_system(&self.fd) == FileSystem::Plain;
        Ok(is_own(found.st_uid) && found.st_mode & 0o002 == 0 && !others && is_plain)
    }

    /// Whether no other user can replace the entries of root or this process's user: it is trusted,
    /// or has the sticky bit (unlink(2)).
    pub(crate) fn keeps_own(&self) -> bool {
        let is_sticky =
            |found: rustix::fs::Stat| found.st_mode & 0o1000 != 0 && is_own(found.st_uid);
        let is_sticky = |found| is_sticky(found) && file_system(&self.fd) != FileSystem::OfStranger;
        self.is_trusted().unwrap_or_default() || fstat(&self.fd).is_ok_and(is_sticky)
    }

    pub(crate) fn is_of_this_user(&self) -> bool {
        let is_own = |found: rustix::fs::Stat| found.st_uid == rustix::process::geteuid().as_raw();
        fstat(&self.fd).is_ok_and(is_own) && file_system(&self.fd) != FileSystem::OfStranger
    }

    /// A folder in it; a link is not followed.
    ///
    /// # Errors
    /// There is no folder of that name.
    pub fn child(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        let name = name.as_ref();
        let fd = openat(&self.fd, name, FOLDER, Mode::empty())?;
        Ok(Self { fd, path: self.path.join(name) })
    }

    /// A folder in it, made if it is missing.
    ///
    /// # Errors
    /// Something else has that name, or it cannot be made.
    pub fn child_or_new(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<Self> {
        match mkdirat(&self.fd, name.as_ref(), Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => self.child(name),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a folder with an unguessable name, for this user alone. Returns its name too.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new_child(&self, prefix: &str) -> io::Result<(Self, OsString)> {
        let name = OsString::from(format!("{prefix}{}", file::random()));
        mkdirat(&self.fd, &name, Mode::from_raw_mode(0o700))?;
        let made = self.child(&name)?;
        // In a folder without the sticky bit another user could have replaced it already.
        if fstat(&made.fd)?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((made, name))
    }

    /// Gives this folder itself another mode.
    ///
    /// # Errors
    /// It cannot be changed.
    pub fn set_mode(&self, mode: u32) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = openat(&self.fd, ".", flags, Mode::empty())?;
        Ok(rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))?)
    }

    /// Gives a socket of this folder another mode. Only where the folder is
    /// [trusted](Self::is_trusted): chmod(2) follows links, and a socket cannot be opened.
    ///
    /// # Errors
    /// Another user could replace it, or it cannot be changed.
    pub fn set_socket_mode(&self, name: &str, mode: u32) -> io::Result<()> {
        if !self.is_trusted()? {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(chmodat(&self.fd, name, Mode::from_raw_mode(mode), AtFlags::empty())?)
    }

    /// The names in it.
    ///
    /// # Errors
    /// It cannot be listed.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let listed = openat(&self.fd, ".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::read_from(listed)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Whether there is an entry of that name, made by root or this process's user.
    #[must_use]
    pub fn is_own(&self, name: impl AsRef<OsStr>) -> bool {
        let found = statat(&self.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW);
        found.is_ok_and(|found| is_own(found.st_uid))
            && file_system(&self.fd) != FileSystem::OfStranger
    }

    /// The target of a link, as written in it; `None` for an entry that is not a link.
    ///
    /// # Errors
    /// There is nothing of that name, or it cannot be examined.
    pub fn read_link(&self, name: impl AsRef<OsStr>) -> io::Result<Option<PathBuf>> {
        match readlinkat(&self.fd, name.as_ref(), Vec::new()) {
            Ok(to) => Ok(Some(OsString::from_vec(to.into_bytes()).into())),
            Err(Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces any entry of that name by a link, atomically.
    ///
    /// # Errors
    /// It cannot be made; the old entry is unchanged.
    pub fn replace_by_link(&self, name: impl AsRef<OsStr>, to: &Path) -> io::Result<()> {
        let new = file::fresh(name.as_ref());
        symlinkat(to, &self.fd, &new)?;
        self.rename(&new, name).inspect_err(|_| drop(self.remove(&new)))
    }

    /// Whether there is an entry of that name.
    #[must_use]
    pub fn has(&self, name: impl AsRef<OsStr>) -> bool {
        statat(&self.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Renames an entry, and replaces any entry of the new name, like rename(2).
    ///
    /// # Errors
    /// See rename(2).
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(renameat(&self.fd, from.as_ref(), &self.fd, to.as_ref())?)
    }

    /// Renames an entry to an unused name.
    ///
    /// # Errors
    /// The name is in use, or see rename(2).
    pub fn rename_to_free(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        match renameat_with(&self.fd, from.as_ref(), &self.fd, to.as_ref(), RenameFlags::NOREPLACE)
        {
            // Some file systems support no flags, Windows' drives among them.
            Err(Errno::INVAL)
                if statat(&self.fd, to.as_ref(), AtFlags::SYMLINK_NOFOLLOW).is_err() =>
            {
                self.rename(from, to)
            }
            renamed => Ok(renamed?),
        }
    }

    /// Swaps the names of two entries atomically.
    ///
    /// # Errors
    /// One is missing, or the file system cannot.
    pub fn swap(&self, one: impl AsRef<OsStr>, other: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(renameat_with(&self.fd, one.as_ref(), &self.fd, other.as_ref(), RenameFlags::EXCHANGE)?)
    }

    /// Removes a file or a link, if there is one; a link's target stays.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        match unlinkat(&self.fd, name.as_ref(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an empty folder.
    ///
    /// # Errors
    /// It does not exist, is not a folder, or is not empty.
    pub fn remove_folder(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(unlinkat(&self.fd, name.as_ref(), AtFlags::REMOVEDIR)?)
    }

    /// Removes any entry of that name, with everything below it, but no more than `most`.
    ///
    /// # Errors
    /// It cannot be removed, or is larger.
    pub fn remove_all(&self, name: impl AsRef<OsStr>, most: &mut Removal) -> io::Result<()> {
        let name = name.as_ref();
        let Ok(found) = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        if most.entries == 0 || most.depth == 0 {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        most.entries -= 1;
        if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
            return self.remove(name);
        }
        let below = self.child(name)?;
        // A mount, such as another distro's disk, does not belong to the tree to remove.
        if fstat(&below.fd)?.st_dev != fstat(&self.fd)?.st_dev {
            return Err(Errno::XDEV.into());
        }
        most.depth -= 1;
        let removed = below.names()?.into_iter().try_for_each(|name| below.remove_all(name, most));
        most.depth += 1;
        removed?;
        self.remove_folder(name)
    }
}
