//! Facts of this machine for the readers of tools' settings (`config::tools`): the user, which
//! programs are installed, and what apt and git say of themselves.

use anyhow::Context as _;
use config::tools::{GIT_QUERY, Kept, Reading, Surroundings, Tool};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use wsl::program::said;

/// The user, for [`Surroundings`].
pub(crate) struct Here {
    pub(crate) home: PathBuf,
    is_root: bool,
    pub(crate) has_new_yarn: bool,
}

impl Here {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let home = std::env::home_dir().filter(|home| home.is_absolute());
        Ok(Self::at(home.context("there is no home folder: set HOME")?))
    }

    /// The user whose home this is.
    pub(crate) fn at(home: PathBuf) -> Self {
        // A user who may write there counts as root for all that is done here, also in a user
        // namespace.
        let is_root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        let has_new_yarn = home.join(".yarnrc.yml").exists() && !home.join(".yarnrc").exists();
        Self { home, is_root, has_new_yarn }
    }

    /// Whether root restores a file. Another user's own rights are enough for that.
    pub(crate) fn is_known(&self, kept: &Kept) -> bool {
        let is_place = |tool: Tool| config::tools::is_place(tool, &kept.path, &self.surroundings());
        let above = kept.folders.iter().all(|folder| kept.path.starts_with(folder));
        !self.is_root || (above && kept.tool.parse().is_ok_and(is_place))
    }

    /// Whether tools' own commands may be run here: what they do also depends on the settings in
    /// the home folder (Yarn's `yarnPath` names a program that it runs), and root must not run
    /// another user's.
    pub(crate) fn runs_commands(&self) -> bool {
        foreign::is_own_home(&self.home)
    }

    pub(crate) fn surroundings(&self) -> Surroundings<'_> {
        Surroundings {
            home: &self.home,
            variable: &variable,
            exists: &|path: &Path| path.exists(),
            is_root: self.is_root,
            has_new_yarn: self.has_new_yarn,
        }
    }
}

/// A variable of the environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The program of one of these names in `PATH`.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let folders = foreign::trusted_path();
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
    };
    let paths = std::env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)));
    paths.into_iter().find(is_program)
}

/// The answers of apt and git, which know their settings best.
pub(crate) struct Answers {
    apt: Option<String>,
    git: Option<String>,
}

impl Answers {
    pub(crate) async fn ask() -> Self {
        let (apt, git) = tokio::join!(said("apt-config", &["dump"]), said("git", &GIT_QUERY));
        Self { apt, git }
    }

    /// Reads the settings of this user's tools.
    pub(crate) fn read<T>(&self, here: &Here, read: impl FnOnce(&Reading<'_>) -> T) -> T {
        read(&Reading {
            surroundings: here.surroundings(),
            file: &wsl::files::text,
            folder: &files_in,
            apt_config: self.apt.as_deref(),
            git_config: self.git.as_deref(),
        })
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
