//! The relay's program on Windows' own disk.
//!
//! To Windows a program in a distro is on a network share. Users of other tools saw starts of 40 to
//! 75 s, and programs that were killed at random when one of their pages could not be read. So the
//! relay is copied to `%LOCALAPPDATA%\underpass\<version>\` and runs from there. Versions that no
//! longer run are removed.

use crate::program::Kind;
use crate::relay_command::{RelayCommand, Whose};
use crate::windows::{self, QuestionError};
use foreign::{FileTraits, Folder};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// Our folder in `%LOCALAPPDATA%`.
const FOLDER: &str = "underpass";

/// The copy's name.
const NAME: &str = "underpass-relay.exe";

/// Why the relay is not on Windows' disk.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Windows' folder for such files is unknown.
    #[error("Windows' folder for it is not known: {0}")]
    Folder(#[from] QuestionError),
    /// The file cannot be copied.
    #[error("{} cannot be copied to {}: {source}", .from.display(), .to.display())]
    Copy {
        /// The relay that came with this program.
        from: PathBuf,
        /// The place of the copy.
        to: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The relay's command, with its program copied to Windows' disk. A program that cannot be copied
/// runs from its own place.
pub(crate) async fn deploy(relay: RelayCommand) -> RelayCommand {
    let placed = async {
        let folder = windows::local_app_data(Some(&relay.program)).await?.join(FOLDER);
        let program = place(&relay.program, &folder)?;
        sweep(&folder);
        Ok::<_, DeployError>(program)
    };
    match placed.await {
        Ok(program) => {
            RelayCommand { file: Whose::CopyOf(relay.program), program, args: relay.args }
        }
        Err(error) => {
            tracing::warn!(
                "the relay for Windows is run from the distro's disk, where its start may take a \
                 minute: {error}; to fix that, copy {} to a folder of a Windows drive and give \
                 that with --relay",
                relay.program.display()
            );
            relay
        }
    }
}

/// The copy that another distro's gateway of this version has made, if there is one.
pub(crate) async fn deployed() -> Option<PathBuf> {
    let program = windows::local_app_data(None)
        .await
        .ok()?
        .join(FOLDER)
        .join(env!("CARGO_PKG_VERSION"))
        .join(NAME);
    // Every Linux user can put something else there.
    matches!(Kind::of(&program), Kind::Windows(_)).then_some(program)
}

/// Compares the whole copy with the program, before each start. Copies the program again if the
/// copy is gone, cut or different: antivirus programs remove it, and every Linux user can write
/// there.
///
/// # Errors
/// The program itself cannot be read, or it cannot be copied.
pub(crate) fn restore(original: &Path, program: &Path) -> Result<(), DeployError> {
    let error = |source| DeployError::Copy {
        from: original.to_path_buf(),
        to: program.to_path_buf(),
        source,
    };
    let own = File::open(original).map_err(error)?;
    let copy = program.parent().map(Folder::open).and_then(Result::ok);
    let copy = copy.and_then(|folder| folder.open_file(NAME).ok().flatten());
    let (is_there, is_cut) = (copy.is_some(), length(copy.as_ref()) != length(Some(&own)));
    if copy.is_some_and(|copy| is_same(own, copy).unwrap_or_default()) {
        return Ok(());
    }
    if is_cut || !is_there {
        tracing::warn!(
            "{} is gone or cut, as antivirus programs leave files that they do not know: it is \
             copied again",
            program.display()
        );
    } else {
        tracing::warn!(
            "{} is not the relay that came with this version: a user of this machine may have \
             replaced it; it is copied again",
            program.display()
        );
    }
    let folder = program.ancestors().nth(2).unwrap_or(program);
    place(original, folder).map(|_| ())
}

fn length(file: Option<&File>) -> Option<u64> {
    file.and_then(|file| file.metadata().ok()).map(|found| found.len())
}

/// Copies the relay to its version's folder, unless an equal copy is there, and returns its place.
/// Nothing on a drive is written through a link: every Linux user can make one there.
fn place(from: &Path, folder: &Path) -> Result<PathBuf, DeployError> {
    let program = folder.join(env!("CARGO_PKG_VERSION")).join(NAME);
    let error =
        |source| DeployError::Copy { from: from.to_path_buf(), to: program.clone(), source };
    let own = || File::open(from).map_err(error);
    let (parent, name) =
        (folder.parent().unwrap_or(folder), folder.file_name().unwrap_or_default());
    let version = Folder::open(parent)
        .and_then(|parent| parent.child_or_new(name, 0o755))
        .and_then(|folder| folder.child_or_new(env!("CARGO_PKG_VERSION"), 0o755))
        .map_err(error)?;
    let is_good = |name: &OsStr| {
        let Ok(Some(copy)) = version.open_file(name) else { return Ok::<_, DeployError>(false) };
        Ok(is_same(own()?, copy).unwrap_or_default())
    };
    if is_good(OsStr::new(NAME))? {
        return Ok(program);
    }
    let mut source = own()?;
    let write = |copy: &mut File| io::copy(&mut source, copy).map(drop);
    let new = version.stage(OsStr::new(NAME), FileTraits::of_mode(0o755), write).map_err(error)?;
    let put = if is_good(&new)? {
        version.rename(&new, NAME).or_else(|first| {
            // Windows does not let another file take the name of a program that runs, but lets that
            // program be renamed.
            let aside = (0..).map(|n| format!("{NAME}.old{n}")).find(|name| !version.has(name));
            version.rename(NAME, aside.unwrap_or_default()).map_err(|_| first)?;
            version.rename(&new, NAME)
        })
    } else {
        Err(io::Error::other("what is read there is not what was written"))
    };
    if let Err(source) = put {
        let _ = version.remove(&new);
        return Err(error(source));
    }
    tracing::info!("the relay for Windows was copied to {}", program.display());
    Ok(program)
}

/// Whether both have the same bytes.
fn is_same(original: File, copy: File) -> io::Result<bool> {
    let (mut original, mut copy) = (BufReader::new(original), BufReader::new(copy));
    let (mut one, mut other) = (Vec::new(), Vec::new());
    loop {
        const PIECE: u64 = 256 * 1024;
        one.clear();
        other.clear();
        original.by_ref().take(PIECE).read_to_end(&mut one)?;
        copy.by_ref().take(PIECE).read_to_end(&mut other)?;
        if one != other {
            return Ok(false);
        }
        if one.is_empty() {
            return Ok(true);
        }
    }
}

/// Removes the copies of other versions. Windows keeps the file of a program that runs.
fn sweep(folder: &Path) {
    let (parent, name) =
        (folder.parent().unwrap_or(folder), folder.file_name().unwrap_or_default());
    let Ok(folder) = Folder::open(parent).and_then(|parent| parent.child(name)) else { return };
    for version in folder.names().unwrap_or_default() {
        let is_ours = version == env!("CARGO_PKG_VERSION");
        let Ok(below) = folder.child(&version) else { continue };
        // Incomplete copies as well.
        let is_relay =
            |name: &OsStr| name.to_string_lossy().trim_start_matches('.').starts_with(NAME);
        for file in below.names().unwrap_or_default().into_iter().filter(|name| is_relay(name)) {
            if is_ours && file == NAME {
                continue;
            }
            if let Err(error) = below.remove(&file) {
                let file = below.path().join(&file);
                tracing::debug!(%error, "{} stays: perhaps it runs", file.display());
            }
        }
        if !is_ours {
            // Only if it is empty.
            let _ = folder.remove_folder(&version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs;

    #[test]
    fn a_copy_is_made_once_and_replaced_where_it_differs() {
        let scratch = Scratch::new("deploy-place");
        let from = scratch.write("relay.exe", "MZ one");
        let folder = scratch.join("Local/underpass");
        fs::create_dir(scratch.join("Local")).unwrap();
        let program = place(&from, &folder).unwrap();
        assert_eq!(program, folder.join(env!("CARGO_PKG_VERSION")).join(NAME));
        assert_eq!(fs::read_to_string(&program).unwrap(), "MZ one");
        let made = fs::metadata(&program).unwrap().modified().unwrap();
        place(&from, &folder).unwrap();
        assert_eq!(
            fs::metadata(&program).unwrap().modified().unwrap(),
            made,
            "the same is left alone"
        );
        // A file of the same length.
        fs::write(&program, "MZ two").unwrap();
        place(&from, &folder).unwrap();
        assert_eq!(fs::read_to_string(&program).unwrap(), "MZ one");
        let names: Vec<_> = fs::read_dir(program.parent().unwrap())
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert_eq!(names, [NAME], "nothing else is left there");
        fs::remove_file(&program).unwrap();
        restore(&from, &program).unwrap();
        fs::write(&program, "MZ").unwrap();
        restore(&from, &program).unwrap();
        assert_eq!(fs::read_to_string(&program).unwrap(), "MZ one");
        // Of the same length, or a link to the same.
        fs::write(&program, "#!/bin").unwrap();
        restore(&from, &program).unwrap();
        assert_eq!(fs::read_to_string(&program).unwrap(), "MZ one");
        fs::remove_file(&program).unwrap();
        std::os::unix::fs::symlink(&from, &program).unwrap();
        restore(&from, &program).unwrap();
        assert!(fs::symlink_metadata(&program).unwrap().is_file());
        fs::remove_file(&from).unwrap();
        assert!(
            matches!(restore(&from, &program), Err(DeployError::Copy { .. })),
            "nothing to compare with"
        );
        assert!(matches!(place(&from, &folder), Err(DeployError::Copy { .. })));
    }

    #[test]
    fn nothing_is_copied_or_removed_through_a_link() {
        let scratch = Scratch::new("deploy-links");
        let from = scratch.write("relay.exe", "MZ one");
        let precious = scratch.write(&format!("mine/{}/{NAME}", "0.0.1"), "mine");
        fs::create_dir(scratch.join("Local")).unwrap();
        let folder = scratch.join("Local/underpass");
        std::os::unix::fs::symlink(scratch.join("mine"), &folder).unwrap();
        assert!(matches!(place(&from, &folder), Err(DeployError::Copy { .. })));
        sweep(&folder);
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        for version in [env!("CARGO_PKG_VERSION"), "0.0.2"] {
            std::os::unix::fs::symlink(scratch.join("mine/0.0.1"), folder.join(version)).unwrap();
        }
        assert!(matches!(place(&from, &folder), Err(DeployError::Copy { .. })));
        sweep(&folder);
        assert_eq!(fs::read_to_string(precious).unwrap(), "mine");
        assert_eq!(fs::read_dir(scratch.join("mine/0.0.1")).unwrap().count(), 1);
    }

    #[test]
    fn what_other_versions_left_is_removed_and_what_is_not_ours_stays() {
        let scratch = Scratch::new("deploy-sweep");
        let own = scratch.write(&format!("{}/{NAME}", env!("CARGO_PKG_VERSION")), "this");
        let aside = scratch.write(&format!("{}/{NAME}.old0", env!("CARGO_PKG_VERSION")), "aside");
        let older = scratch.write(&format!("0.0.1/{NAME}"), "older");
        let newer = scratch.write(&format!("99.0.0/{NAME}.new"), "newer");
        let foreign = scratch.write("notes/todo.txt", "mine");
        sweep(scratch.path());
        for (path, stays) in
            [(&own, true), (&aside, false), (&older, false), (&newer, false), (&foreign, true)]
        {
            assert_eq!(path.exists(), stays, "{}", path.display());
        }
        assert!(!scratch.join("0.0.1").exists());
        sweep(&scratch.join("nowhere"));
    }

    #[tokio::test]
    async fn where_windows_cannot_be_asked_the_relay_is_run_from_where_it_lies() {
        let relay = RelayCommand {
            program: "/x/relay.exe".into(),
            args: vec!["a".into()],
            file: Whose::Given,
        };
        assert_eq!(deploy(relay.clone()).await, relay);
    }
}
