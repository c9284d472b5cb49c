//! Files in a [`Folder`]: read with a bound, written completely at once.

use crate::{Folder, located};
use rustix::fs::{FileType, Mode, OFlags, fchmod, fchown, fstat, openat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// The attributes of a file besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileTraits {
    /// Its permissions; `None` leaves those of a new file to the umask.
    pub mode: Option<u32>,
    /// Its owner and group; `None` leaves the maker's.
    pub owner: Option<(u32, u32)>,
}

/// The result of reading a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Its content.
    pub bytes: Vec<u8>,
    /// The other attributes to keep.
    pub traits: FileTraits,
}

/// An unguessable part of a name: the hasher's key comes from the system's randomness.
pub(crate) fn random() -> String {
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

/// The temporary name of a file: a dot before, and no known ending, so that no program takes it for
/// a settings file.
pub(crate) fn fresh(name: &OsStr) -> OsString {
    OsString::from(format!(".{}.underpass-{}", name.to_string_lossy(), random()))
}

impl Folder {
    /// Opens a regular file for reading; a link is not followed, and a pipe does not block. `None`
    /// if there is nothing.
    ///
    /// # Errors
    /// It is something else, or may not be read.
    pub fn open_file(&self, name: impl AsRef<OsStr>) -> io::Result<Option<File>> {
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match openat(self.descriptor(), name.as_ref(), flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            opened => File::from(opened?),
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(Some(file))
    }

    /// Reads a regular file of at most `most` bytes. `None` if there is nothing.
    ///
    /// # Errors
    /// It is something else, is larger, or may not be read.
    pub fn read(&self, name: impl AsRef<OsStr>, most: u64) -> io::Result<Option<Read>> {
        let Some(file) = self.open_file(name)? else { return Ok(None) };
        let found = file.metadata()?;
        let mut bytes = Vec::new();
        // One that grows meanwhile is cut.
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let traits = FileTraits {
            mode: Some(found.mode() & 0o7777),
            owner: Some((found.uid(), found.gid())),
        };
        Ok(Some(Read { bytes, traits }))
    }

    /// Opens a regular file for appending, and makes it if it is missing, or opens a character
    /// device of root's such as `/dev/null`; a link is not followed, and a pipe does not block. A
    /// device of another user's is a terminal, which that user could stop and read from. Root
    /// refuses a file with another name: if the kernel's `fs.protected_hardlinks` is 0, its
    /// default, any user can give root's file a name.
    ///
    /// # Errors
    /// It is something else, or cannot be written.
    pub fn append(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(openat(
            self.descriptor(),
            name.as_ref(),
            flags,
            Mode::from_raw_mode(0o666),
        )?);
        let found = file.metadata()?;
        let is_device = found.file_type().is_char_device() && found.uid() == 0;
        if !found.is_file() && !is_device {
            let text = "it is neither a regular file nor a character device of root's";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        if found.nlink() > 1 && rustix::process::geteuid().is_root() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the file has another name (a hard link)",
            ));
        }
        Ok(file)
    }

    /// Writes a file under a random name, gives it its traits and then its name. A reader finds the
    /// old one or the new one, and the call neither writes to nor follows an existing entry of that
    /// name.
    ///
    /// # Errors
    /// It cannot be written; the old file is unchanged.
    pub fn replace(
        &self,
        name: impl AsRef<OsStr>,
        traits: FileTraits,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<()> {
        let new = self.stage(name.as_ref(), traits, write)?;
        let renamed = self.rename(&new, name.as_ref());
        if renamed.is_err() {
            // Only the first failure is reported.
            let _ = self.remove(&new);
        }
        renamed
    }

    /// The first half of [`Folder::replace`]: the file under its random name.
    ///
    /// # Errors
    /// It cannot be written, and does not exist.
    pub fn stage(
        &self,
        name: &OsStr,
        traits: FileTraits,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> io::Result<OsString> {
        let new = fresh(name);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Until it has its own permissions only its maker may access it.
        let mode = Mode::from_raw_mode(if traits.mode.is_some() { 0o600 } else { 0o666 });
        let mut file = File::from(openat(self.descriptor(), &new, flags, mode)?);
        let staged =
            write(&mut file).and_then(|()| traits.give(&file)).and_then(|()| file.sync_all());
        if let Err(error) = staged {
            let _ = self.remove(&new);
            return Err(error);
        }
        Ok(new)
    }
}

impl FileTraits {
    /// A file that its maker owns.
    #[must_use]
    pub const fn of_mode(mode: u32) -> Self {
        Self { mode: Some(mode), owner: None }
    }

    fn give(self, file: &File) -> io::Result<()> {
        let made = fstat(file)?;
        if let Some((user, group)) = self.owner
            && (made.st_uid, made.st_gid) != (user, group)
        {
            fchown(file, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        }
        // After the owner, whose change clears setuid bits. A Windows drive treats modes
        // differently, and is not asked unnecessarily.
        if let Some(mode) = self.mode
            && made.st_mode & 0o7777 != mode
        {
            fchmod(file, Mode::from_raw_mode(mode))?;
        }
        Ok(())
    }
}

/// The folders in which the outputs of this process itself have names (`/dev/stdout`, a shell's
/// `>(…)`).
const OUTPUTS: [&str; 3] = ["/dev", "/dev/fd", "/proc/self/fd"];

/// Writes a file for a person, such as a report, completely at once. It follows a link there if
/// root or this process's user made it; it replaces another user's, and leaves that link's target
/// alone. It writes directly to this process's own outputs, and to a pipe or device of root's or
/// the user's.
///
/// # Errors
/// It cannot be written.
pub fn write_output(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Errno::ISDIR.into());
    };
    if OUTPUTS.iter().any(|folder| parent == Path::new(folder)) {
        return File::options().write(true).open(&path)?.write_all(bytes);
    }
    let (folder, name) = match located(&path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            (Folder::open(parent)?, name.to_owned())
        }
        located => located?,
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let found = openat(folder.descriptor(), &name, flags, Mode::empty()).and_then(fstat).ok();
    let found = found.filter(|found| crate::is_own(found.st_uid));
    let kind = found.map(|found| FileType::from_raw_mode(found.st_mode));
    if kind.is_some_and(|kind| !matches!(kind, FileType::RegularFile | FileType::Symlink)) {
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        return File::from(openat(folder.descriptor(), &name, flags, Mode::empty())?)
            .write_all(bytes);
    }
    let kept = found.filter(|_| kind == Some(FileType::RegularFile));
    let mode = kept.map(|found| found.st_mode & 0o7777);
    let owner = kept.map(|found| (found.st_uid, found.st_gid));
    folder.replace(&name, FileTraits { mode, owner }, |file| file.write_all(bytes))
}
