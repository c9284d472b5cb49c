//! What was changed, so that it can be taken back: a folder for each change, with a record and with the files as they were before and after.

use super::found::{Content, Found, Traits};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// As many changes are kept; the oldest go.
const MOST_RECORDS: usize = 20;

/// Where root keeps them, and where others do in their home.
const OF_ROOT: &str = "/var/lib/underpass/settings";
const OF_USER: &str = ".local/state/underpass/settings";

/// The file of a record in its folder.
const RECORD: &str = "record.json";

/// Which command made a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Command {
    /// `settings apply`.
    Apply,
    /// `settings dns manual`.
    DnsManual,
    /// `settings dns auto`.
    DnsAuto,
}

/// A path before and after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Which.
    pub(crate) path: PathBuf,
    /// What was there.
    pub(crate) before: Found,
    /// What was put there.
    pub(crate) after: Found,
}

/// A change.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Who made it.
    pub(crate) command: Command,
    /// What it changed.
    pub(crate) steps: Vec<Step>,
    /// Where it is kept.
    folder: PathBuf,
}

/// All changes that can be taken back.
#[derive(Debug)]
pub(crate) struct Journal {
    folder: PathBuf,
}

/// A change that was just kept.
#[derive(Debug)]
pub(crate) struct Kept {
    /// For each step, where what was before is kept.
    pub(crate) befores: Vec<PathBuf>,
    folder: PathBuf,
}

impl Kept {
    /// The change was not made after all.
    pub(crate) fn forget(&self) {
        // What is left of it would say only that nothing was changed.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// How a record is written.
#[derive(Serialize, Deserialize)]
struct Written {
    command: Command,
    steps: Vec<WrittenStep>,
}

#[derive(Serialize, Deserialize)]
struct WrittenStep {
    path: PathBuf,
    before: WrittenFound,
    after: WrittenFound,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum WrittenFound {
    Absent,
    Link {
        to: PathBuf,
    },
    /// `kept` is a file beside the record.
    File {
        kept: String,
        traits: Traits,
    },
}

impl Journal {
    /// The one in a folder, or in its usual place.
    ///
    /// # Errors
    /// There is no usual place.
    pub(crate) fn new(folder: Option<&Path>) -> anyhow::Result<Self> {
        let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let folder = match folder {
            Some(folder) => folder.to_path_buf(),
            None if rustix::process::geteuid().is_root() => OF_ROOT.into(),
            None => {
                home().context("HOME is not set: say with --state where the former files are to be kept")?.join(OF_USER)
            }
        };
        Ok(Self { folder })
    }

    /// The changes, the oldest first.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) fn records(&self) -> anyhow::Result<Vec<Record>> {
        self.numbers().into_iter().map(|number| self.record(number)).collect()
    }

    /// Keeps a change that is about to be made.
    ///
    /// # Errors
    /// It cannot be written; then nothing may be changed.
    pub(crate) fn keep(&self, command: Command, steps: &[Step]) -> anyhow::Result<Kept> {
        let numbers = self.numbers();
        let number = numbers.last().map_or(1, |last| last + 1);
        let folder = self.folder.join(format!("{number:04}"));
        let context =
            || format!("{} cannot be written, where the former files are to be kept: see --state", folder.display());
        fs::create_dir_all(&folder).with_context(context)?;
        // The files may have been readable for their owner only.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).with_context(context)?;
        let mut kept = Vec::new();
        let mut written = Written { command, steps: Vec::new() };
        for (index, step) in steps.iter().enumerate() {
            let name = step.path.file_name().unwrap_or_default().to_string_lossy();
            let names = ["before", "after"].map(|when| format!("{index}-{when}-{}", name.trim_start_matches('.')));
            kept.push(folder.join(&names[0]));
            let [before, after] = [(&step.before, &names[0]), (&step.after, &names[1])]
                .map(|(found, name)| keep_one(found, &folder, name));
            written.steps.push(WrittenStep {
                path: step.path.clone(),
                before: before.with_context(context)?,
                after: after.with_context(context)?,
            });
        }
        // Last, since a folder without it is no record.
        fs::write(folder.join(RECORD), serde_json::to_vec_pretty(&written)?).with_context(context)?;
        for old in numbers.iter().rev().skip(MOST_RECORDS - 1) {
            // What cannot be removed only takes a little room.
            let _ = fs::remove_dir_all(self.folder.join(format!("{old:04}")));
        }
        Ok(Kept { befores: kept, folder })
    }

    /// The numbers of all records in their order.
    fn numbers(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let complete = entries.flatten().filter(|entry| entry.path().join(RECORD).exists());
        let mut numbers: Vec<u32> =
            complete.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect();
        numbers.sort_unstable();
        numbers
    }

    fn record(&self, number: u32) -> anyhow::Result<Record> {
        let folder = self.folder.join(format!("{number:04}"));
        let context = || format!("the record {} cannot be read", folder.join(RECORD).display());
        let text = fs::read(folder.join(RECORD)).with_context(context)?;
        let written: Written = serde_json::from_slice(&text).with_context(context)?;
        let steps = written.steps.into_iter().map(|step| -> std::io::Result<Step> {
            Ok(Step { path: step.path, before: kept(step.before, &folder)?, after: kept(step.after, &folder)? })
        });
        let steps = steps.collect::<std::io::Result<_>>().with_context(context)?;
        Ok(Record { command: written.command, steps, folder })
    }
}

impl Record {
    /// Forgets it: it was taken back.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        fs::remove_dir_all(&self.folder)
            .with_context(|| format!("{} cannot be removed, and would be taken back again", self.folder.display()))
    }
}

fn keep_one(found: &Found, folder: &Path, name: &str) -> std::io::Result<WrittenFound> {
    Ok(match found {
        Found::Absent => WrittenFound::Absent,
        Found::Link { to } => WrittenFound::Link { to: to.clone() },
        Found::File(content) => {
            fs::write(folder.join(name), &content.bytes)?;
            WrittenFound::File { kept: name.to_owned(), traits: content.traits }
        }
    })
}

fn kept(written: WrittenFound, folder: &Path) -> std::io::Result<Found> {
    Ok(match written {
        WrittenFound::Absent => Found::Absent,
        WrittenFound::Link { to } => Found::Link { to },
        WrittenFound::File { kept, traits } => Found::File(Content { bytes: fs::read(folder.join(kept))?, traits }),
    })
}
