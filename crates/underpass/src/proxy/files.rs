//! Files of settings on this machine: read whole, written in one step, with the rights that they had.

use anyhow::{Context as _, bail};
use proxies::{Kept, Readers, Surroundings};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

/// No tool's settings are near this size; what is larger is something else.
const MAX_FILE: u64 = 16 * 1024 * 1024;

/// The user, and what is around, for [`Surroundings`].
pub(super) struct Here {
    home: PathBuf,
    is_root: bool,
    pub(super) has_new_yarn: bool,
}

impl Here {
    pub(super) fn new() -> anyhow::Result<Self> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        let home = home.context("there is no home folder: set HOME")?;
        // Whoever may write there is root for all that is done here, also in a namespace of his own.
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let has_new_yarn = home.join(".yarnrc.yml").exists() && !home.join(".yarnrc").exists();
        Ok(Self { home, is_root, has_new_yarn })
    }

    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    pub(super) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            home: &self.home,
            variable: &super::variable,
            exists: &|path: &Path| path.exists(),
            is_root: self.is_root,
            has_new_yarn: self.has_new_yarn,
        }
    }
}

/// The program of one of these names in `PATH`.
pub(super) fn program(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let is_program = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0);
    let paths = std::env::split_paths(&folders).flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    paths.into_iter().find(is_program)
}

/// A file's text; none where there is no file.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let text = fs::metadata(path).and_then(|file| {
        if file.len() > MAX_FILE { Err(io::ErrorKind::FileTooLarge.into()) } else { fs::read_to_string(path) }
    });
    match text {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

/// Makes the folders that a file needs, and gives those that were not there, the outermost first.
pub(super) fn make_folders(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let Some(folder) = path.parent() else { bail!("{} is no file's place", path.display()) };
    let mut missing: Vec<PathBuf> =
        folder.ancestors().take_while(|folder| !folder.exists()).map(Path::to_path_buf).collect();
    missing.reverse();
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    Ok(missing)
}

/// Replaces a file's text, or makes the file. What a link leads to is written, and the link stays; rights and owner stay too.
pub(super) fn write(path: &Path, text: &str, readers: Readers) -> anyhow::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let old = fs::metadata(&path).ok();
    let mode = match (&old, readers) {
        (Some(old), _) => old.mode() & 0o7777,
        (None, Readers::Owner) => 0o600,
        (None, Readers::Everybody) => 0o644,
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A dot before, and no known ending: nobody takes it for a file of settings.
    let new = path.with_file_name(format!(".{name}.underpass-{}", std::process::id()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        if let Some(old) = &old {
            // Only root may give files away; a user's own are his already.
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
                chown(&new, Some(old.uid()), Some(old.gid()))?;
            }
        }
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(&new, &path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written.with_context(|| format!("{} cannot be written, and is as it was", path.display()))
}

/// Removes a file that was made, and the folders that were made for it, unless others put something there.
pub(super) fn remove(path: &Path, folders: &[PathBuf]) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("{} cannot be removed", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    for folder in folders.iter().rev() {
        if fs::remove_dir(folder).is_err() {
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
        let named = super::variable("XDG_STATE_HOME").filter(|path| Path::new(path).is_absolute());
        named.map_or_else(|| home.join(".local/state"), PathBuf::from).join("underpass/proxy.json")
    }

    pub(super) fn load(home: &Path) -> anyhow::Result<Self> {
        let path = Self::path(home);
        let Some(text) = read(&path)? else { return Ok(Self::default()) };
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} cannot be understood; it remembers what was there before `apply`. Move it away to go on",
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

    #[test]
    fn a_file_keeps_its_rights_and_a_link_stays_one() {
        let scratch = std::env::temp_dir().join(format!("underpass-proxy-files-{}", std::process::id()));
        let _ = fs::remove_dir_all(&scratch);
        let (file, link) = (scratch.join("a/b/real"), scratch.join("link"));
        assert_eq!(make_folders(&file).unwrap(), [scratch.clone(), scratch.join("a"), scratch.join("a/b")]);
        write(&file, "one", Readers::Owner).unwrap();
        let mode = || fs::metadata(&file).unwrap().mode() & 0o7777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write(&link, "two", Readers::Owner).unwrap();
        assert_eq!((read(&file).unwrap().as_deref(), mode()), (Some("two"), 0o640));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(scratch.join("a/b")).unwrap().count(), 1, "nothing is left beside it");
        // What others put there keeps its folder.
        fs::write(scratch.join("a/other"), "").unwrap();
        remove(&file, &[scratch.join("a"), scratch.join("a/b")]).unwrap();
        assert!(!scratch.join("a/b").exists() && scratch.join("a/other").exists());
        assert_eq!(read(&file).unwrap(), None);
        fs::remove_dir_all(&scratch).unwrap();
    }
}
