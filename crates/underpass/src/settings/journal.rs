//! Records changes, so that they can be taken back: a folder for each change, with a record and
//! with the files as they were before and after. The folder of all of them may be anywhere
//! (`--state`), so it is used by descriptor, and root uses none where others may write: root would
//! put back what they left there.

use super::found::{Content, Found, MOST_BYTES, Traits};
use anyhow::Context as _;
use foreign::{FileTraits, Folder, Removal, STATE_MODE};
use serde::{Deserialize, Serialize};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

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
pub(crate) struct PathChange {
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
    pub(crate) steps: Vec<PathChange>,
    /// The folder of all, and the name of its own in that.
    kept_in: Rc<Folder>,
    name: String,
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
    kept_in: Folder,
    name: String,
}

impl Kept {
    /// The change was not made after all.
    pub(crate) fn forget(&self) {
        // Its remains would say only that nothing was changed.
        let _ = self.kept_in.remove_all(&self.name, &mut Removal::default());
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
            None => home()
                .context("HOME is not set: choose with --state where to keep the former files")?
                .join(OF_USER),
        };
        Ok(Self { folder })
    }

    /// The changes, the oldest first.
    ///
    /// # Errors
    /// One cannot be read.
    pub(crate) fn records(&self) -> anyhow::Result<Vec<Record>> {
        let all = match self.open().map(Rc::new) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.with_context(|| {
                format!("{} cannot be read: see --state", self.folder.display())
            })?,
        };
        numbers(&all).into_iter().map(|number| record(&all, number)).collect()
    }

    fn open(&self) -> io::Result<Folder> {
        Folder::open(&self.folder).and_then(checked)
    }

    /// Keeps a change that is about to be made.
    ///
    /// # Errors
    /// It cannot be written; then nothing may be changed.
    pub(crate) fn keep(&self, command: Command, steps: &[PathChange]) -> anyhow::Result<Kept> {
        let context = || {
            let folder = self.folder.display();
            format!(
                "{folder} cannot be written, where the former files are to be kept: see --state"
            )
        };
        let all = Folder::make(&self.folder, STATE_MODE)
            .and_then(|(all, _)| checked(all))
            .with_context(context)?;
        let numbers = numbers(&all);
        let number = named(numbers.last().map_or(1, |last| last + 1));
        // The remains of an incomplete change are not a record.
        all.remove_all(&number, &mut Removal::default()).with_context(context)?;
        // The files may have been readable for their owner only.
        let folder = all.child_or_new(&number, 0o700).with_context(context)?;
        let mut kept = Vec::new();
        let mut written = Written { command, steps: Vec::new() };
        for (index, step) in steps.iter().enumerate() {
            let name = step.path.file_name().unwrap_or_default().to_string_lossy();
            let names = ["before", "after"]
                .map(|when| format!("{index}-{when}-{}", name.trim_start_matches('.')));
            kept.push(folder.path().join(&names[0]));
            let [before, after] = [(&step.before, &names[0]), (&step.after, &names[1])]
                .map(|(found, name)| keep_one(found, &folder, name));
            written.steps.push(WrittenStep {
                path: step.path.clone(),
                before: before.with_context(context)?,
                after: after.with_context(context)?,
            });
        }
        // Last, since a folder without it is not a record.
        write(&folder, RECORD, &serde_json::to_vec_pretty(&written)?).with_context(context)?;
        for old in numbers.iter().rev().skip(MOST_RECORDS - 1) {
            // A folder that cannot be removed only takes a little room.
            let _ = all.remove_all(named(*old), &mut Removal::default());
        }
        Ok(Kept { befores: kept, kept_in: all, name: number })
    }
}

/// Only root must be able to change root's folder.
fn checked(folder: Folder) -> io::Result<Folder> {
    if rustix::process::geteuid().is_root() && !folder.is_trusted()? {
        return Err(io::Error::new(ErrorKind::PermissionDenied, "other users can write there"));
    }
    Ok(folder)
}

/// The name of a record's folder.
fn named(number: u32) -> String {
    format!("{number:04}")
}

/// The numbers of all records in their order.
fn numbers(all: &Folder) -> Vec<u32> {
    let names = all.names().unwrap_or_default().into_iter();
    let complete = names.filter(|name| all.child(name).is_ok_and(|folder| folder.has(RECORD)));
    let mut numbers: Vec<u32> = complete.filter_map(|name| name.to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

fn record(all: &Rc<Folder>, number: u32) -> anyhow::Result<Record> {
    let name = named(number);
    let context =
        || format!("the record {} cannot be read", all.path().join(&name).join(RECORD).display());
    let read = || -> io::Result<Record> {
        let folder = all.child(&name)?;
        let written: Written = serde_json::from_slice(&read(&folder, RECORD)?)?;
        let steps = written.steps.into_iter().map(|step| -> io::Result<PathChange> {
            Ok(PathChange {
                path: step.path,
                before: kept(step.before, &folder)?,
                after: kept(step.after, &folder)?,
            })
        });
        let kept_in = Rc::clone(all);
        Ok(Record {
            command: written.command,
            steps: steps.collect::<io::Result<_>>()?,
            kept_in,
            name: name.clone(),
        })
    };
    read().with_context(context)
}

impl Record {
    /// Forgets it: it was taken back.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        let context = || {
            let folder = self.kept_in.path().join(&self.name);
            format!("{} cannot be removed and would be undone again", folder.display())
        };
        self.kept_in.remove_all(&self.name, &mut Removal::default()).with_context(context)
    }
}

fn write(folder: &Folder, name: &str, bytes: &[u8]) -> io::Result<()> {
    folder.replace(name, FileTraits::of_mode(0o600), |file| file.write_all(bytes))
}

fn read(folder: &Folder, name: &str) -> io::Result<Vec<u8>> {
    Ok(folder.read(name, MOST_BYTES)?.ok_or(ErrorKind::NotFound)?.bytes)
}

fn keep_one(found: &Found, folder: &Folder, name: &str) -> io::Result<WrittenFound> {
    Ok(match found {
        Found::Absent => WrittenFound::Absent,
        Found::Link { to } => WrittenFound::Link { to: to.clone() },
        Found::File(content) => {
            write(folder, name, &content.bytes)?;
            WrittenFound::File { kept: name.to_owned(), traits: content.traits }
        }
    })
}

fn kept(written: WrittenFound, folder: &Folder) -> io::Result<Found> {
    Ok(match written {
        WrittenFound::Absent => Found::Absent,
        WrittenFound::Link { to } => Found::Link { to },
        WrittenFound::File { kept, traits } => {
            Found::File(Content { bytes: read(folder, &kept)?, traits })
        }
    })
}
