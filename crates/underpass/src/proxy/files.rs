//! Files of settings on this machine: read whole, written in one step, with the rights that they
//! had.

use anyhow::{Context as _, bail};
use config::tools::{Kept, Readers};
use foreign::{FileTraits, Folder};
use serde::{Deserialize, Serialize};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// No tool's settings are near this size; what is larger is something else.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// A file's text; none where there is no file. A link of another user is not followed.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let text = foreign::located(path).and_then(|(folder, name)| folder.read(name, MAX_FILE));
    let text = text.and_then(|read| {
        let text = read.map(|read| String::from_utf8(read.bytes)).transpose();
        text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    match text {
        Ok(text) => Ok(text),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Makes the folders that a file needs, and gives those that were not there, the outermost first.
pub(super) fn make_folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(folder) = path.parent() else {
        bail!("{} cannot be the path of a file", path.display())
    };
    let made = Folder::make(folder, foreign::STATE_MODE)
        .with_context(|| format!("{} cannot be created", folder.display()));
    made.map(|(_, made)| made)
}

/// Replaces a file's text, or makes the file. A link of the user's own is followed and stays;
/// rights and owner stay too.
pub(super) fn write(path: &Path, text: &str, readers: Readers) -> anyhow::Result<()> {
    let written = foreign::located(path).and_then(|(folder, name)| {
        let old = folder.read(&name, MAX_FILE)?;
        let traits = old.map_or_else(
            || FileTraits::of_mode(if readers == Readers::Owner { 0o600 } else { 0o644 }),
            // Only root can change an owner; a user's own files keep theirs.
            |old| old.traits,
        );
        folder.replace(&name, traits, |file| file.write_all(text.as_bytes()))
    });
    written.with_context(|| format!("{} cannot be written and is unchanged", path.display()))
}

/// Removes a file that was made, and the folders that were made for it, unless they hold something
/// else.
pub(super) fn remove(path: &Path, folders: &[PathBuf]) -> anyhow::Result<()> {
    let parent = |path: &Path| Some((Folder::open(path.parent()?), path.file_name()?.to_owned()));
    let removed = match parent(path) {
        Some((Ok(folder), name)) => folder.remove(name),
        Some((Err(error), _)) => Err(error),
        None => Err(io::ErrorKind::IsADirectory.into()),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be removed", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    for folder in folders.iter().rev() {
        let removed = parent(folder)
            .is_some_and(|(above, name)| above.and_then(|above| above.remove_folder(name)).is_ok());
        if !removed {
            break;
        }
    }
    Ok(())
}

/// What is remembered of all files that were changed.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Folders that were made for this memory itself, the outermost first.
    folders: Vec<PathBuf>,
    pub(super) files: Vec<Kept>,
}

impl Memory {
    fn path(home: &Path) -> PathBuf {
        let named = super::variable("XDG_STATE_HOME").map(PathBuf::from);
        foreign::state_folder(named.as_deref(), home).join("proxy.json")
    }

    pub(super) fn load(home: &Path) -> anyhow::Result<Self> {
        let path = Self::path(home);
        let Some(text) = read(&path)? else { return Ok(Self::default()) };
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is damaged; it records what was there before `apply`. Move it away to continue",
                path.display()
            )
        })
    }

    /// Writes it, readable by its owner alone; with nothing to remember there is no file.
    pub(super) fn save(&mut self, home: &Path) -> anyhow::Result<()> {
        let path = Self::path(home);
        if self.files.is_empty() {
            return remove(&path, &self.folders);
        }
        self.folders.extend(make_folders(&path)?);
        write(&path, &(serde_json::to_string_pretty(self)? + "\n"), Readers::Owner)
    }

    pub(super) fn of(&self, tool: &str, path: &Path) -> Option<&Kept> {
        self.files.iter().find(|kept| kept.tool == tool && kept.path == path)
    }

    /// Remembers a file, in place of what was remembered of it before.
    pub(super) fn keep(&mut self, kept: Kept) {
        self.forget(&kept);
        self.files.push(kept);
    }

    pub(super) fn forget(&mut self, kept: &Kept) {
        self.files.retain(|other| (&other.tool, &other.path) != (&kept.tool, &kept.path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    #[test]
    fn a_file_keeps_its_rights_and_a_link_stays_one() {
        let scratch =
            std::env::temp_dir().join(format!("underpass-proxy-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        let (file, link) = (scratch.join("a/b/real"), scratch.join("link"));
        assert_eq!(
            make_folders(&file).unwrap(),
            [scratch.clone(), scratch.join("a"), scratch.join("a/b")]
        );
        write(&file, "one", Readers::Owner).unwrap();
        let mode = || fs::metadata(&file).unwrap().mode() & 0o7777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, "two", Readers::Owner).unwrap();
        assert_eq!((read(&file).unwrap().as_deref(), mode()), (Some("two"), 0o640));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::read_dir(scratch.join("a/b")).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        // What others put there keeps its folder.
        fs::write(scratch.join("a/other"), "").unwrap();
        remove(&file, &[scratch.join("a"), scratch.join("a/b")]).unwrap();
        assert!(!scratch.join("a/b").exists() && scratch.join("a/other").exists());
        assert_eq!(read(&file).unwrap(), None);
        fs::remove_dir_all(&scratch).unwrap();
    }
}
