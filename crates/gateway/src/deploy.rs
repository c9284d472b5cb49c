//! The relay's program on Windows' own disk.
//!
//! Windows sees a program that lies in a distro as on a network share: users of other tools saw starts of 40 to 75 s, and programs that
//! were killed at random when a page of theirs could not be read. So the relay is copied to
//! `%LOCALAPPDATA%\underpass\<version>\`, and run from there. Versions that do not run any more are removed.

use crate::relay_process::RelayCommand;
use crate::windows::{self, QuestionError};
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Our folder in `%LOCALAPPDATA%`.
const FOLDER: &str = "underpass";

/// The copy's name.
const NAME: &str = "underpass-relay.exe";

/// Why the relay does not lie on Windows' disk.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Nobody says where Windows keeps such files.
    #[error("Windows' folder for it is not known: {0}")]
    Folder(#[from] QuestionError),
    /// The file cannot be copied.
    #[error("{} cannot be copied to {}: {source}", .from.display(), .to.display())]
    Copy {
        /// The relay that came with this program.
        from: PathBuf,
        /// Where it is to lie.
        to: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// The relay's command, its program copied to Windows' disk. Where that cannot be done it is run from where it lies.
pub(crate) async fn deploy(relay: RelayCommand) -> RelayCommand {
    let placed = async {
        let folder = windows::local_app_data(Some(&relay.program)).await?.join(FOLDER);
        let program = place(&relay.program, &folder)?;
        sweep(&folder);
        Ok::<_, DeployError>(program)
    };
    match placed.await {
        Ok(program) => RelayCommand { original: Some(relay.program), program, args: relay.args },
        Err(error) => {
            tracing::warn!(
                "the relay for Windows is run from the distro's disk, where its start may take a minute: {error}; to fix that, copy {} to \
                 a folder of a Windows drive and give that with --relay",
                relay.program.display()
            );
            relay
        }
    }
}

/// The copy that another distro's gateway of this version has made, if there is one.
pub(crate) async fn deployed() -> Option<PathBuf> {
    let program = windows::local_app_data(None).await.ok()?.join(FOLDER).join(env!("CARGO_PKG_VERSION")).join(NAME);
    program.exists().then_some(program)
}

/// Copies the program again where its copy is gone or cut, as antivirus programs leave it. No more than a look where it is not.
///
/// # Errors
/// It cannot be copied.
pub(crate) fn restore(original: &Path, program: &Path) -> Result<(), DeployError> {
    let length = |path| fs::metadata(path).map(|file| file.len());
    // Without the original there is nothing to compare with.
    let Ok(whole) = length(original) else { return Ok(()) };
    if length(program).is_ok_and(|length| length == whole) {
        return Ok(());
    }
    tracing::warn!(
        "{} is gone or cut, as antivirus programs leave files that they do not know: it is copied again",
        program.display()
    );
    let folder = program.ancestors().nth(2).unwrap_or(program);
    place(original, folder).map(|_| ())
}

/// Copies the relay to its version's folder, unless the same lies there, and gives its place.
fn place(from: &Path, folder: &Path) -> Result<PathBuf, DeployError> {
    let folder = folder.join(env!("CARGO_PKG_VERSION"));
    let program = folder.join(NAME);
    let error = |source| DeployError::Copy { from: from.to_path_buf(), to: program.clone(), source };
    if is_same(from, &program).map_err(error)? {
        return Ok(program);
    }
    fs::create_dir_all(&folder).map_err(error)?;
    let new = folder.join(format!("{NAME}.new"));
    fs::copy(from, &new).map_err(error)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).map_err(error)?;
    if !is_same(from, &new).map_err(error)? {
        return Err(error(io::Error::other("what is read there is not what was written")));
    }
    if let Err(first) = fs::rename(&new, &program) {
        // Windows gives the name of a program that runs to no other, but lets that program be renamed.
        let aside = (0..).map(|n| folder.join(format!("{NAME}.old{n}"))).find(|path| !path.exists());
        fs::rename(&program, aside.unwrap_or_default()).map_err(|_| error(first))?;
        fs::rename(&new, &program).map_err(error)?;
    }
    tracing::info!("the relay for Windows was copied to {}", program.display());
    Ok(program)
}

/// Whether both have the same bytes. A copy that cannot be read is not the same.
fn is_same(original: &Path, copy: &Path) -> io::Result<bool> {
    let mut original = BufReader::new(File::open(original)?);
    let Ok(copy) = File::open(copy) else { return Ok(false) };
    let mut copy = BufReader::new(copy);
    let (mut one, mut other) = (Vec::new(), Vec::new());
    loop {
        const PIECE: u64 = 256 * 1024;
        one.clear();
        other.clear();
        original.by_ref().take(PIECE).read_to_end(&mut one)?;
        if copy.by_ref().take(PIECE).read_to_end(&mut other).is_err() || one != other {
            return Ok(false);
        }
        if one.is_empty() {
            return Ok(true);
        }
    }
}

/// Removes what other versions left. Windows keeps the file of a program that runs.
fn sweep(folder: &Path) {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let name_of = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for version in entries(folder) {
        let is_ours = name_of(&version) == env!("CARGO_PKG_VERSION");
        for file in entries(&version).filter(|file| name_of(file).starts_with(NAME)) {
            if is_ours && name_of(&file) == NAME {
                continue;
            }
            if let Err(error) = fs::remove_file(&file) {
                tracing::debug!(%error, "{} stays: it runs, maybe", file.display());
            }
        }
        if !is_ours {
            // Only where nothing is left in it.
            let _ = fs::remove_dir(&version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("underpass-deploy-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, name: &str, text: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_copy_is_made_once_and_mended_where_it_differs() {
        let scratch = Scratch::new("place");
        let from = scratch.file("relay.exe", "MZ one");
        let folder = scratch.0.join("Local/underpass");
        let program = place(&from, &folder).unwrap();
        assert_eq!(program, folder.join(env!("CARGO_PKG_VERSION")).join(NAME));
        assert_eq!(fs::read_to_string(&program).unwrap(), "MZ one");
        let made = fs::metadata(&program).unwrap().modified().unwrap();
        place(&from, &folder).unwrap();
        assert_eq!(fs::metadata(&program).unwrap().modified().unwrap(), made, "the same is left alone");
        // Of the same length.
        fs::write(&program, "MZ two").unwrap();
        place(&from, &folder).unwrap();
        assert_eq!(fs::read_to_string(&program).unwrap(), "MZ one");
        let names: Vec<_> = fs::read_dir(program.parent().unwrap()).unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(names, [NAME], "nothing else is left there");
        fs::remove_file(&program).unwrap();
        restore(&from, &program).unwrap();
        fs::write(&program, "MZ").unwrap();
        restore(&from, &program).unwrap();
        assert_eq!(fs::read_to_string(&program).unwrap(), "MZ one");
        fs::remove_file(&from).unwrap();
        restore(&from, &program).unwrap();
        assert!(matches!(place(&from, &folder), Err(DeployError::Copy { .. })));
    }

    #[test]
    fn what_other_versions_left_is_removed_and_what_is_not_ours_stays() {
        let scratch = Scratch::new("sweep");
        let own = scratch.file(&format!("{}/{NAME}", env!("CARGO_PKG_VERSION")), "this");
        let aside = scratch.file(&format!("{}/{NAME}.old0", env!("CARGO_PKG_VERSION")), "aside");
        let older = scratch.file(&format!("0.0.1/{NAME}"), "older");
        let newer = scratch.file(&format!("99.0.0/{NAME}.new"), "newer");
        let foreign = scratch.file("notes/todo.txt", "mine");
        sweep(&scratch.0);
        for (path, stays) in [(&own, true), (&aside, false), (&older, false), (&newer, false), (&foreign, true)] {
            assert_eq!(path.exists(), stays, "{}", path.display());
        }
        assert!(!scratch.0.join("0.0.1").exists());
        sweep(&scratch.0.join("nowhere"));
    }

    #[tokio::test]
    async fn where_windows_cannot_be_asked_the_relay_is_run_from_where_it_lies() {
        let relay = RelayCommand { program: "/x/relay.exe".into(), args: vec!["a".into()], original: None };
        assert_eq!(deploy(relay.clone()).await, relay);
    }
}
