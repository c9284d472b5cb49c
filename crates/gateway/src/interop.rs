//! WSL's interop, as far as a service has to mind it: by whose socket Windows programs are started.
//!
//! Each session has a socket of its own, which `WSL_INTEROP` names and which goes with the session. A service has none, or that of the
//! session which happened to start it; the one that lasts is that of the VM's first process.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The variable that names the socket.
pub(crate) const VARIABLE: &str = "WSL_INTEROP";

/// Where WSL keeps its sockets.
pub(crate) const FOLDER: &str = "/run/WSL";

/// The socket of the VM's first process.
const LASTING: &str = "1_interop";

/// The socket to start Windows programs by where `own`, what the environment names, is missing or stale: the lasting one, or else the
/// newest of a session that lives. `None` where `own` is good, and where there is no other (as outside of WSL).
pub(crate) fn replacement(own: Option<&OsStr>, folder: &Path) -> Option<PathBuf> {
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
}
