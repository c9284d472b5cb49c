//! Chooses the interop socket that starts a Windows program, and remembers which sockets failed
//! lately. [`crate::interop`] makes the command; programs are unknown here.
//!
//! WSL makes the sockets as root, in a folder to which every user can write (microsoft/WSL,
//! `src/linux/init/util.cpp`, `InteropServer::Create`; `util.h`, `WSL_TEMP_FOLDER_MODE`): files of
//! other users there are ignored. A session's socket disappears with its session. The socket of the
//! VM's first process stays when its Windows half is gone, and then accepts connections without
//! answering them (microsoft/WSL issues 41283, 41592).

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// Where WSL keeps its sockets.
pub(crate) const FOLDER: &str = "/run/WSL";

/// The end of their names; the number of the listening process stands before it.
const SUFFIX: &str = "_interop";

/// The socket of the VM's first process. If systemd is process 1, it is a link to the socket of
/// WSL's own init (microsoft/WSL, `src/linux/init/config.cpp`).
const LASTING: &str = "1_interop";

/// A socket that failed is the last choice for this long. It is tried earlier if there is no other.
const AVOID_FOR: Duration = Duration::from_secs(600);

/// How many failed sockets are remembered: more than there are sessions.
const MAX_FAILED: usize = 64;

/// The failed sockets, for everything that this process starts.
static FAILURES: Mutex<Failures> = Mutex::new(Failures(Vec::new()));

/// A socket, and its file, which distinguishes it from a later one of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    path: PathBuf,
    file: (u64, u64),
}

/// The socket by which a Windows program starts; `None` outside of WSL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    socket: Option<Socket>,
    /// Whether there is another socket that has not failed lately.
    pub(crate) has_other: bool,
}

impl Way {
    /// The best one now; `own` is the one that the environment names.
    pub(crate) fn choose(own: Option<&OsStr>, now: Instant) -> Self {
        let failures = FAILURES.lock().unwrap_or_else(PoisonError::into_inner);
        failures.best(candidates(own, Path::new(FOLDER)), now)
    }

    /// The socket's path.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.socket.as_ref().map(|socket| socket.path.as_path())
    }

    /// Interop did not start a program by it: other sockets come first for a while.
    pub(crate) fn failed(&self, now: Instant) {
        let Some(socket) = &self.socket else { return };
        FAILURES.lock().unwrap_or_else(PoisonError::into_inner).note(socket, now);
    }
}

/// Sockets and when they failed, the latest last.
struct Failures(Vec<(Socket, Instant)>);

impl Failures {
    fn note(&mut self, socket: &Socket, now: Instant) {
        self.0.retain(|(failed, _)| failed.file != socket.file);
        if self.0.len() == MAX_FAILED {
            self.0.remove(0);
        }
        self.0.push((socket.clone(), now));
    }

    /// When it failed, if it is therefore avoided.
    fn of(&self, socket: &Socket, now: Instant) -> Option<Instant> {
        let (_, when) = self.0.iter().find(|(failed, _)| failed.file == socket.file)?;
        (now.saturating_duration_since(*when) < AVOID_FOR).then_some(*when)
    }

    /// The first candidate that has not failed, or else the one that failed first.
    fn best(&self, candidates: Vec<Socket>, now: Instant) -> Way {
        let (failed, mut good): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|socket| self.of(socket, now).is_some());
        if good.is_empty() {
            let socket = failed.into_iter().min_by_key(|socket| self.of(socket, now));
            return Way { socket, has_other: false };
        }
        let socket = good.remove(0);
        Way { socket: Some(socket), has_other: !good.is_empty() }
    }
}

/// All usable sockets, the best one first: `own`, the lasting one, then those of sessions, the
/// newest live session first.
fn candidates(own: Option<&OsStr>, folder: &Path) -> Vec<Socket> {
    let own = own.and_then(|own| Socket::at(Path::new(own)));
    let mut sessions: Vec<_> = paths(folder)
        .into_iter()
        .filter_map(|path| {
            let made = fs::metadata(&path).and_then(|file| file.modified());
            let lives = session_of(&path).is_some_and(|pid| Path::new("/proc").join(pid).exists());
            Some(((lives, made.unwrap_or(SystemTime::UNIX_EPOCH)), Socket::at(&path)?))
        })
        .collect();
    sessions.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let sessions = sessions.into_iter().map(|(_, socket)| socket);
    let mut found: Vec<Socket> = Vec::new();
    // A socket may have several names: the lasting one is in the folder too, and may be a link.
    for socket in own.into_iter().chain(Socket::at(&folder.join(LASTING))).chain(sessions) {
        if found.iter().all(|known| known.file != socket.file) {
            found.push(socket);
        }
    }
    found
}

/// The process that listens at a socket, by the socket's name.
fn session_of(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(SUFFIX)
}

/// All files in the folder that have a socket's name.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| session_of(path).is_some()).collect()
}

/// How many sockets can start Windows programs.
pub(crate) fn count() -> usize {
    paths(Path::new(FOLDER)).iter().filter(|path| Socket::at(path).is_some()).count()
}

impl Socket {
    /// The socket at `path`, if root or this process's user made it. Links that they made are
    /// followed.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let own = nix::unistd::geteuid().as_raw();
        let is_trusted = |file: &fs::Metadata| [0, own].contains(&file.uid());
        let link = fs::symlink_metadata(path).ok().filter(is_trusted)?;
        let folder = fs::metadata(path.parent()?).ok().filter(is_trusted)?;
        let file = fs::metadata(path).ok().filter(is_trusted)?;
        // A link that leads elsewhere could lead anywhere.
        let leads_elsewhere = link.is_symlink() && {
            let end = fs::canonicalize(path).ok()?;
            let end = fs::metadata(end.parent()?).ok()?;
            (end.dev(), end.ino()) != (folder.dev(), folder.ino())
        };
        let is_good = file.file_type().is_socket() && !leads_elsewhere;
        is_good.then(|| Self { path: path.to_path_buf(), file: (file.dev(), file.ino()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    /// A machine's folders with sockets.
    struct Sockets(Scratch);

    impl Sockets {
        fn new(name: &str) -> Self {
            let scratch = Scratch::new(&format!("sockets-{name}"));
            fs::create_dir(scratch.join("WSL")).unwrap();
            Self(scratch)
        }

        fn folder(&self) -> PathBuf {
            self.0.join("WSL")
        }

        /// A socket that is `age` seconds old.
        fn socket(&self, name: &str, age: u64) -> UnixListener {
            let path = self.folder().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            let times = nix::sys::time::TimeSpec::from(
                made.duration_since(SystemTime::UNIX_EPOCH).unwrap(),
            );
            let flag = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
            nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, &path, &times, &times, flag).unwrap();
            listener
        }

        fn names(&self, own: Option<&str>) -> Vec<String> {
            let own = own.map(|name| self.folder().join(name));
            let found = candidates(own.as_deref().map(Path::as_os_str), &self.folder());
            found
                .iter()
                .map(|found| found.path.file_name().unwrap().to_string_lossy().into_owned())
                .collect()
        }
    }

    #[test]
    fn own_comes_first_then_the_lasting_one_then_the_newest_live_session() {
        let scratch = Sockets::new("order");
        assert_eq!(scratch.names(None), [""; 0], "outside of WSL there are no sockets");
        assert_eq!(candidates(None, Path::new("/nonexistent")), []);
        // No process has such a number.
        let _dead = scratch.socket("99999999_interop", 0);
        let _old = scratch.socket("1_interop", 900);
        let live = format!("{}_interop", std::process::id());
        let parent = format!("{}_interop", std::os::unix::process::parent_id());
        let (_live, _parent) = (scratch.socket(&live, 500), scratch.socket(&parent, 10));
        let sessions = [parent.as_str(), live.as_str(), "99999999_interop"];
        assert_eq!(scratch.names(None), [&["1_interop"], &sessions[..]].concat());
        assert_eq!(scratch.names(Some("1_interop")), [&["1_interop"], &sessions[..]].concat());
        assert_eq!(scratch.names(Some(&live)), [&live, "1_interop", &parent, "99999999_interop"]);
        assert_eq!(scratch.names(Some("700_interop"))[0], "1_interop", "what is named is gone");
    }

    #[test]
    fn only_sockets_and_links_within_the_folder_are_used() {
        let scratch = Sockets::new("kinds");
        fs::write(scratch.folder().join("5_interop"), "").unwrap();
        let _elsewhere = UnixListener::bind(scratch.0.join("6_interop")).unwrap();
        symlink(scratch.0.join("6_interop"), scratch.folder().join("6_interop")).unwrap();
        assert_eq!(scratch.names(None), [""; 0]);
        // As on a system whose process 1 is systemd.
        let _init = scratch.socket("2_interop", 10);
        symlink(scratch.folder().join("2_interop"), scratch.folder().join("1_interop")).unwrap();
        assert_eq!(scratch.names(None), ["1_interop"], "both are the same socket");
    }

    #[test]
    fn what_another_user_made_is_ignored() {
        if !nix::unistd::geteuid().is_root() {
            // Only root can change a file's owner.
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"));
            return;
        }
        let scratch = Sockets::new("owner");
        let nobody = Some(nix::unistd::Uid::from_raw(65534));
        let [own, other] = ["99999998_interop", "99999999_interop"];
        let (_own, _other) = (scratch.socket(own, 20), scratch.socket(other, 10));
        assert_eq!(scratch.names(None), [other, own]);
        nix::unistd::chown(&scratch.folder().join(other), nobody, None).unwrap();
        assert_eq!(scratch.names(Some(other)), [own]);
        nix::unistd::chown(&scratch.folder(), nobody, None).unwrap();
        assert_eq!(scratch.names(None), [""; 0], "its owner could replace any of them");
    }

    #[test]
    fn a_socket_that_failed_is_avoided_for_a_while_and_tried_again_where_all_failed() {
        let socket = |n: u64| Socket { path: format!("/run/WSL/{n}_interop").into(), file: (1, n) };
        let all = || vec![socket(1), socket(2), socket(3)];
        let (mut failures, start) = (Failures(Vec::new()), crate::interop::now());
        let choice = |failures: &Failures, now| {
            let way = failures.best(all(), now);
            (way.socket.unwrap().file.1, way.has_other)
        };
        assert_eq!(choice(&failures, start), (1, true));
        failures.note(&socket(1), start);
        assert_eq!(choice(&failures, start), (2, true));
        let later = start + Duration::from_secs(5);
        failures.note(&socket(2), later);
        assert_eq!(choice(&failures, later), (3, false), "it has all the time that it needs");
        failures.note(&socket(3), later);
        assert_eq!(choice(&failures, later), (1, false), "the one that failed first");
        failures.note(&socket(1), later + Duration::from_secs(1));
        assert_eq!(choice(&failures, later + Duration::from_secs(2)), (2, false));
        assert_eq!(choice(&failures, later + AVOID_FOR), (2, true), "it may have come back");
        // A new session whose process has the number of an old one.
        let again = Socket { file: (1, 99), ..socket(1) };
        assert_eq!(
            failures.best(vec![again.clone()], later),
            Way { socket: Some(again), has_other: false }
        );
        assert_eq!(failures.best(Vec::new(), later), Way::default());
        for n in 100..300 {
            failures.note(&socket(n), later);
        }
        assert_eq!(failures.0.len(), MAX_FAILED);
    }
}
