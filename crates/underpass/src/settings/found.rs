//! The content of a path: nothing, a link or a file. It is written at once and whole, with the
//! owner, the permissions and the immutable bit that it had.

use anyhow::{Context as _, bail};
use config::settings::schema::Place;
use foreign::{FileTraits, Folder};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing.
    Absent,
    /// A symbolic link.
    Link {
        /// Where it leads, as it says it.
        to: PathBuf,
    },
    /// A file.
    File(Content),
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// What it says.
    pub(crate) bytes: Vec<u8>,
    /// The properties that are kept too.
    pub(crate) traits: Traits,
}

/// The properties of a file besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Traits {
    /// Its permissions.
    pub(crate) mode: u32,
    /// Its owner and group; `None` for those of the process that makes it.
    pub(crate) owner: Option<(u32, u32)>,
    /// Whether it is immutable (`chattr +i`).
    pub(crate) immutable: bool,
}

impl Default for Traits {
    /// Of a settings file that is new.
    fn default() -> Self {
        Self { mode: 0o644, owner: None, immutable: false }
    }
}

/// The largest size of a settings file, so that a mistyped path does not fill the memory.
pub(crate) const MOST_BYTES: u64 = 1024 * 1024;

impl Found {
    /// What is at a path. A link is not followed.
    ///
    /// # Errors
    /// It cannot be read, or is something else.
    pub(crate) fn of(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("{} cannot be read", path.display());
        let found = at(path).and_then(|(folder, name)| {
            if let Some(to) = folder.read_link(&name)? {
                return Ok(Self::Link { to });
            }
            let Some(read) = folder.read(&name, MOST_BYTES)? else { return Ok(Self::Absent) };
            let mode = read.traits.mode.unwrap_or(Traits::default().mode);
            let traits =
                Traits { mode, owner: read.traits.owner, immutable: immutable_in(&folder, &name) };
            Ok(Self::File(Content { bytes: read.bytes, traits }))
        });
        match found {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::Absent),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                bail!("{} is neither a file nor a link", path.display())
            }
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                bail!(
                    "{} is larger than {MOST_BYTES} bytes: it is not a settings file",
                    path.display()
                )
            }
            found => found.with_context(context),
        }
    }

    /// A file that says this, in place of another: with its traits, where that is a file.
    pub(crate) fn with_bytes(&self, bytes: Vec<u8>) -> Self {
        let traits = match self {
            Self::File(content) => content.traits,
            Self::Absent | Self::Link { .. } => Traits::default(),
        };
        Self::File(Content { bytes, traits })
    }

    /// Whether both are equal, except for an owner that was not known before, which no file system
    /// has to keep.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(one), Self::File(two)) => {
                one.bytes == two.bytes && one.traits.immutable == two.traits.immutable
            }
            (one, two) => one == two,
        }
    }

    /// Writes this to a path at once: a program that reads it meanwhile finds the old or the new,
    /// never a part.
    ///
    /// # Errors
    /// It cannot be written, and is as it was.
    pub(crate) fn put(&self, path: &Path) -> anyhow::Result<()> {
        let was_immutable = is_immutable(path);
        if was_immutable {
            set_immutable(path, false).with_context(|| {
                format!(
                    "{} is immutable, and this cannot be changed: run this as root",
                    path.display()
                )
            })?;
        }
        let outcome = self.replace(path);
        if outcome.is_err() && was_immutable {
            // The first failure is the one to tell.
            let _ = set_immutable(path, true);
        }
        outcome.map_err(|error| {
            let said = format!("{} cannot be written{}", path.display(), hint(path, &error));
            anyhow::Error::new(error).context(said)
        })?;
        if let Self::File(Content { traits: Traits { immutable: true, .. }, .. }) = self {
            set_immutable(path, true).with_context(|| {
                format!(
                    "{} is written, but cannot be made immutable: its file system may not support \
                     that, or root is needed; leave --immutable out",
                    path.display()
                )
            })?;
        }
        Ok(())
    }

    fn replace(&self, path: &Path) -> io::Result<()> {
        let (folder, name) = match at(path) {
            // Without its folder it is absent already.
            Err(error) if error.kind() == ErrorKind::NotFound && *self == Self::Absent => {
                return Ok(());
            }
            found => found?,
        };
        match self {
            Self::Absent => folder.remove(name),
            Self::Link { to } => folder.replace_by_link(name, to),
            Self::File(Content { bytes, traits }) => {
                let traits = FileTraits { mode: Some(traits.mode), owner: traits.owner };
                folder.replace(name, traits, |file| file.write_all(bytes))
            }
        }
    }
}

/// The folder of a path, by descriptor, and the name in it. A link at the path itself is not
/// followed.
fn at(path: &Path) -> io::Result<(Folder, OsString)> {
    let path = std::path::absolute(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    Ok((Folder::open(parent)?, name.to_owned()))
}

/// A hint for a file that cannot be written.
fn hint(path: &Path, error: &io::Error) -> &'static str {
    if error.kind() == ErrorKind::ReadOnlyFilesystem {
        " (its file system is read-only)"
    } else if error.kind() != ErrorKind::PermissionDenied {
        ""
    } else if path.starts_with("/mnt") {
        " (is it read-only, or open in a program of Windows?)"
    } else {
        " (run this as root: sudo underpass settings …)"
    }
}

/// Whether a file has the immutable bit. File systems without that bit, and paths that are not
/// files, do not have it.
pub(crate) fn is_immutable(path: &Path) -> bool {
    at(path).is_ok_and(|(folder, name)| immutable_in(&folder, &name))
}

fn immutable_in(folder: &Folder, name: &OsStr) -> bool {
    let file = folder.open_file(name).ok().flatten();
    file.is_some_and(|file| {
        ioctl_getflags(&file).is_ok_and(|flags| flags.contains(IFlags::IMMUTABLE))
    })
}

fn set_immutable(path: &Path, wanted: bool) -> io::Result<()> {
    let (folder, name) = at(path)?;
    let file = folder.open_file(name)?.ok_or(ErrorKind::NotFound)?;
    let mut flags = ioctl_getflags(&file)?;
    flags.set(IFlags::IMMUTABLE, wanted);
    ioctl_setflags(&file, flags)?;
    Ok(())
}

/// The text of a file as Windows' programs may write it: UTF-8, or UTF-16 with a byte order mark.
///
/// # Errors
/// It is neither.
pub(crate) fn decoded(bytes: &[u8]) -> anyhow::Result<String> {
    match bytes.strip_prefix(&UTF_16_MARK) {
        Some(rest) => {
            let (units, _) = rest.as_chunks::<2>();
            let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
            String::from_utf16(&units).context("it is not valid UTF-16: save it as UTF-8")
        }
        None => String::from_utf8(bytes.to_vec())
            .context("it is not UTF-8, which WSL expects: save it as UTF-8"),
    }
}

/// The text of a settings file as WSL's reader of it gets it. In the distro that reads bytes, so
/// that UTF-16 stays what it is to it: unreadable.
///
/// # Errors
/// It is in no encoding that is known.
pub(crate) fn settings_of(place: Place, bytes: &[u8]) -> anyhow::Result<String> {
    match place {
        Place::WslConf if bytes.contains(&0) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Place::WslConf | Place::WslConfig => decoded(bytes),
    }
}

/// A text in the encoding that a file had before.
pub(crate) fn encoded(text: &str, before: &Found) -> Vec<u8> {
    match before {
        Found::File(content) if content.bytes.starts_with(&UTF_16_MARK) => {
            UTF_16_MARK.into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
        }
        Found::File(_) | Found::Absent | Found::Link { .. } => text.as_bytes().to_vec(),
    }
}

/// U+FEFF in little-endian UTF-16.
const UTF_16_MARK: [u8; 2] = [0xff, 0xfe];
