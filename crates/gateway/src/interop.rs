//! WSL's interop, as far as a service has to mind it: by whose socket Windows programs are started, and whether the kernel knows how.
//!
//! Each session has a socket of its own, which `WSL_INTEROP` names and which goes with the session. A service has none, or that of the
//! session which happened to start it; the one that lasts is that of the VM's first process.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tokio::process::Command;

/// The variable that names the socket.
const VARIABLE: &str = "WSL_INTEROP";

/// Where WSL keeps its sockets.
const FOLDER: &str = "/run/WSL";

/// The socket of the VM's first process.
const LASTING: &str = "1_interop";

/// Whether this is a WSL.
#[must_use]
pub fn is_wsl() -> bool {
    Path::new(FOLDER).exists()
}

/// Has a Windows program that is about to be started by the kernel's entry, which is written again where it is gone, and by a socket
/// that lives.
///
/// # Errors
/// See [`InteropError`].
pub(crate) fn prepare(command: &mut Command) -> Result<(), InteropError> {
    mend_entry(Path::new("/"))?;
    name_socket(command);
    Ok(())
}

/// Has a program that is about to be started reach Windows by a socket that lives.
pub(crate) fn name_socket(command: &mut Command) {
    if let Some(socket) = replacement(std::env::var_os(VARIABLE).as_deref(), Path::new(FOLDER)) {
        tracing::debug!(socket = %socket.display(), "WSL's interop is reached by another socket");
        command.env(VARIABLE, socket);
    }
}

/// The socket to start Windows programs by where `own`, what the environment names, is missing or stale: the lasting one, or else the
/// newest of a session that lives. `None` where `own` is good, and where there is no other (as outside of WSL).
fn replacement(own: Option<&OsStr>, folder: &Path) -> Option<PathBuf> {
    if own.is_some_and(|own| is_socket(Path::new(own))) {
        return None;
    }
    let lasting = folder.join(LASTING);
    if is_socket(&lasting) {
        return Some(lasting);
    }
    let sockets = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let of_sessions = sockets.filter(|path| path.to_string_lossy().ends_with("_interop") && is_socket(path));
    of_sessions.max_by_key(|path| fs::metadata(path).and_then(|file| file.modified()).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// Where the kernel keeps its list of interpreters (binfmt_misc).
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// How Windows programs begin, and Linux programs, in the kernel's spelling.
pub(crate) const MZ: &str = "4d5a";
/// See [`MZ`].
pub(crate) const ELF: &str = "7f454c46";

/// The entry that WSL makes: files that begin with `MZ` go to `/init`, which is opened now and told the program's own name.
const ENTRY: &str = ":WSLInterop:M::MZ::/init:FP";

/// Why the kernel cannot be told how to start Windows programs.
#[derive(Debug, thiserror::Error)]
pub enum InteropError {
    /// The user wants it so.
    #[error(
        "WSL's interop is switched off by 'enabled' of [interop] in /etc/wsl.conf: take that line out, then run `wsl --shutdown`"
    )]
    SwitchedOff,
    /// The entry is gone, and does not come back.
    #[error(
        "the kernel's entry for Windows programs (WSLInterop in {BINFMT}) is gone, as systemd-binfmt leaves it in some distros, and \
         cannot be written again ({0}): run underpass as root, or `wsl --shutdown`"
    )]
    Entry(std::io::Error),
}

/// Writes the entry for Windows programs again where there is none, if this is a WSL. `root` is `/` but for tests.
///
/// # Errors
/// See [`InteropError`].
fn mend_entry(root: &Path) -> Result<(), InteropError> {
    let under_root = |path: &str| root.join(path.trim_start_matches('/'));
    if has_entry(&under_root(BINFMT), MZ) || !under_root(FOLDER).exists() {
        return Ok(());
    }
    if is_switched_off(&fs::read_to_string(under_root("/etc/wsl.conf")).unwrap_or_default()) {
        return Err(InteropError::SwitchedOff);
    }
    tracing::warn!("the kernel's entry for Windows programs is gone; it is written again");
    fs::write(under_root(BINFMT).join("register"), ENTRY).map_err(InteropError::Entry)
}

/// Whether the kernel has an interpreter for files that begin so, whoever told it.
pub(crate) fn interprets(magic: &str) -> bool {
    has_entry(Path::new(BINFMT), magic)
}

fn has_entry(binfmt: &Path, magic: &str) -> bool {
    let Ok(entries) = fs::read_dir(binfmt) else { return false };
    // `status` and `register` are no entries, and say nothing of the kind.
    entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()).any(|text| {
        let mut lines = text.lines();
        let begins = |line: &str| line.strip_prefix("magic ").is_some_and(|whole| whole.starts_with(magic));
        lines.next() == Some("enabled") && lines.any(begins)
    })
}

/// The kernel's entry for Windows programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is there.
    Present,
    /// It, or the whole list, is switched off.
    Disabled,
    /// It is not there.
    Missing,
}

/// What is to be seen of interop; nothing is mended here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteropSurvey {
    /// Whether this is a WSL.
    pub is_wsl: bool,
    /// The kernel's entry; nothing where its list is not there to be looked at.
    pub entry: Option<Entry>,
    /// The socket that the environment names.
    pub socket: Option<String>,
    /// Whether it is there.
    pub socket_lives: bool,
    /// How many sockets there are.
    pub sockets: usize,
}

/// Looks at interop.
#[must_use]
pub fn survey() -> InteropSurvey {
    let socket = std::env::var_os(VARIABLE);
    let sockets = fs::read_dir(FOLDER).into_iter().flatten().flatten().map(|entry| entry.path());
    InteropSurvey {
        is_wsl: is_wsl(),
        entry: entry(Path::new(BINFMT)),
        socket_lives: socket.as_deref().is_some_and(|socket| is_socket(Path::new(socket))),
        socket: socket.map(|socket| socket.to_string_lossy().into_owned()),
        sockets: sockets.filter(|path| path.to_string_lossy().ends_with("_interop") && is_socket(path)).count(),
    }
}

fn entry(binfmt: &Path) -> Option<Entry> {
    let status = fs::read_to_string(binfmt.join("status")).ok()?;
    if status.trim() == "disabled" {
        return Some(Entry::Disabled);
    }
    let texts: Vec<_> =
        fs::read_dir(binfmt).ok()?.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    let magic = |line: &str| line.strip_prefix("magic ").is_some_and(|whole| whole.starts_with(MZ));
    let of_windows = || texts.iter().filter(|text| text.lines().any(magic));
    Some(match of_windows().next() {
        None => Entry::Missing,
        Some(_) if of_windows().any(|text| text.lines().next() == Some("enabled")) => Entry::Present,
        Some(_) => Entry::Disabled,
    })
}

/// What `/etc/wsl.conf` says of interop; of several lines the first counts.
fn is_switched_off(wsl_conf: &str) -> bool {
    let mut section = String::new();
    for line in wsl_conf.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.trim().to_ascii_lowercase();
        } else if let Some((key, value)) = line.split_once('=')
            && section == "interop"
            && key.trim().eq_ignore_ascii_case("enabled")
        {
            return matches!(value.trim().to_ascii_lowercase().as_str(), "false" | "0");
        }
    }
    false
}

/// The socket of a session that ended is gone: nobody has to be asked whether he answers.
fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_good_socket_is_kept_and_a_missing_or_stale_one_replaced() {
        let folder = std::env::temp_dir().join(format!("underpass-interop-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [own, older, lasting] = ["700_interop", "600_interop", LASTING].map(|name| folder.join(name));
        let stale = folder.join("800_interop");
        assert_eq!(replacement(None, &folder), None, "outside of WSL there is none");
        assert_eq!(replacement(None, Path::new("/nonexistent")), None);
        let _older = UnixListener::bind(&older).unwrap();
        assert_eq!(replacement(Some(stale.as_os_str()), &folder), Some(older.clone()));
        let _own = UnixListener::bind(&own).unwrap();
        assert_eq!(replacement(Some(own.as_os_str()), &folder), None);
        let _lasting = UnixListener::bind(&lasting).unwrap();
        assert_eq!(replacement(None, &folder), Some(lasting.clone()));
        // A file of that name is no socket.
        fs::write(&stale, "").unwrap();
        assert_eq!(replacement(Some(stale.as_os_str()), &folder), Some(lasting));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_entry_is_seen_as_it_is() {
        let binfmt = std::env::temp_dir().join(format!("underpass-entry-{}", std::process::id()));
        assert_eq!(entry(&binfmt), None);
        fs::create_dir_all(&binfmt).unwrap();
        fs::write(binfmt.join("status"), "enabled\n").unwrap();
        assert_eq!(entry(&binfmt), Some(Entry::Missing));
        for (first, seen) in [("disabled", Entry::Disabled), ("enabled", Entry::Present)] {
            fs::write(
                binfmt.join("WSLInterop"),
                format!("{first}\ninterpreter /init\nflags: PF\noffset 0\nmagic 4d5a\n"),
            )
            .unwrap();
            assert_eq!(entry(&binfmt), Some(seen));
        }
        fs::write(binfmt.join("status"), "disabled\n").unwrap();
        assert_eq!(entry(&binfmt), Some(Entry::Disabled));
        fs::remove_dir_all(&binfmt).unwrap();
    }

    #[test]
    fn the_entry_is_written_again_in_a_wsl_where_there_is_none() {
        let root = std::env::temp_dir().join(format!("underpass-binfmt-{}", std::process::id()));
        let binfmt = root.join(&BINFMT[1..]);
        fs::create_dir_all(&binfmt).unwrap();
        let registered = || fs::read_to_string(binfmt.join("register")).unwrap_or_default();
        mend_entry(&root).unwrap();
        assert_eq!(registered(), "", "outside of WSL it is nobody's business");
        fs::create_dir_all(root.join(&FOLDER[1..])).unwrap();
        fs::create_dir_all(root.join("etc")).unwrap();
        for (entry, written) in [
            ("enabled\ninterpreter /init\nflags: PF\noffset 0\nmagic 4d5a\n", ""),
            ("disabled\ninterpreter /init\nflags: PF\noffset 0\nmagic 4d5a\n", ENTRY),
            ("enabled\ninterpreter /usr/bin/python3\nflags: \noffset 0\nmagic 6f0d0d0a\n", ENTRY),
        ] {
            let _ = fs::remove_file(binfmt.join("register"));
            fs::write(binfmt.join("some"), entry).unwrap();
            mend_entry(&root).unwrap();
            assert_eq!(registered(), written, "{entry}");
        }
        fs::write(root.join("etc/wsl.conf"), "[boot]\nsystemd=true\n[Interop]\n# x\nEnabled = False\n").unwrap();
        assert!(matches!(mend_entry(&root), Err(InteropError::SwitchedOff)));
        fs::write(root.join("etc/wsl.conf"), "[interop]\nappendWindowsPath=false\n[x]\nenabled=false\n").unwrap();
        mend_entry(&root).unwrap();
        fs::remove_dir_all(&root).unwrap();
    }
}
