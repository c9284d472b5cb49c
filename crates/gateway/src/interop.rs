//! WSL's interop: how it starts a Windows program, and whether the kernel has the entry for it.
//! `interop_sockets.rs` chooses the socket.

use crate::interop_sockets::{self, FOLDER, Socket, Way};
use crate::program::Kind;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;
use tokio::process::Command;

/// The variable that names the socket.
const VARIABLE: &str = "WSL_INTEROP";

/// The variable with this distro's name, which WSL sets in everything that it starts.
const DISTRO: &str = "WSL_DISTRO_NAME";

/// The messages that /init writes to standard error if nothing answers at the socket, and if the
/// socket cannot be reached (microsoft/WSL, `src/linux/init/util.cpp`, `UtilAcceptVsock`,
/// `UtilConnectUnix`). They are in English only.
const FAILURES: [(&str, &str); 2] =
    [("UtilAcceptVsock:", "accept4 failed"), ("UtilConnectUnix:", "connect failed")];

/// Whether this machine is a WSL.
#[must_use]
pub fn is_wsl() -> bool {
    Path::new(FOLDER).exists()
}

/// The command that starts a Windows program, and the socket by which that command reaches Windows.
/// If the kernel's entry for Windows programs is gone, it is written again.
///
/// The kernel never executes the program's file itself. Every Linux user can write to most of
/// Windows' drives, so a script or an ELF image could be in its place at the start, and would run
/// as the user of this process, mostly root. So the program that the entry names is executed, as
/// the kernel would do (Linux, `fs/binfmt_misc.c`, `load_misc_binary`): `/init`, WSL's own, which
/// has Windows open the file.
///
/// # Errors
/// See [`InteropError`].
pub(crate) fn command(program: &Path) -> Result<Start, InteropError> {
    restore_entry(Path::new("/"))?;
    if !matches!(Kind::of(program), Kind::Windows(_)) {
        return Err(InteropError::NotWindows(program.to_path_buf()));
    }
    let interpreter = interpreter(Path::new("/")).ok_or(InteropError::NoInterpreter)?;
    let mut command = Command::new(&interpreter.program);
    command.arg(std::path::absolute(program).unwrap_or_else(|_| program.to_path_buf()));
    if interpreter.keeps_name {
        command.arg(program);
    }
    let way = name_socket(&mut command);
    Ok(Start { command, way })
}

/// A command, and the socket by which it reaches Windows.
pub(crate) struct Start {
    pub(crate) command: Command,
    pub(crate) way: Way,
}

/// The program that starts Windows programs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Interpreter {
    program: PathBuf,
    /// Whether it gets the name by which a program was called (flag `P`).
    keeps_name: bool,
}

/// The interpreter that the kernel's list names, from WSL's own entry first; in a WSL without an
/// entry, `/init`. `root` is `/` except in tests.
fn interpreter(root: &Path) -> Option<Interpreter> {
    let under_root = |path: &str| root.join(path.trim_start_matches('/'));
    let binfmt = under_root(BINFMT);
    let of = |text: &str| {
        let program = text.lines().find_map(|line| line.strip_prefix("interpreter "))?;
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default();
        let found = Interpreter { program: under_root(program), keeps_name: flags.contains('P') };
        found.program.exists().then_some(found)
    };
    let enabled = if is_disabled(&binfmt) { Vec::new() } else { entries(&binfmt) };
    let (of_wsl, others): (Vec<_>, Vec<_>) = enabled
        .into_iter()
        .filter(|(_, text)| is_enabled(text) && is_for(text, MZ))
        .partition(|(_, text)| is_of_wsl(text));
    let init = || {
        let program = under_root(INIT);
        (under_root(FOLDER).exists() && program.exists())
            .then_some(Interpreter { program, keeps_name: true })
    };
    of_wsl.iter().chain(&others).find_map(|(_, text)| of(text)).or_else(init)
}

/// Has a program that is about to start reach Windows by a live socket. Returns the socket.
pub(crate) fn name_socket(command: &mut Command) -> Way {
    let way = Way::choose(std::env::var_os(VARIABLE).as_deref(), now());
    if let Some(socket) = way.path() {
        tracing::debug!(socket = %socket.display(), "WSL's interop is reached by this socket");
        command.env(VARIABLE, socket);
    }
    way
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a socket is avoided is the shell's to measure"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Why interop did not start a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It reports that on standard error.
    Reported,
    /// Nothing came from the program.
    Silent,
}

/// The failure of interop itself that a program's standard error reports. After a failure the
/// program never ran.
pub(crate) fn failure_in(words: &str) -> Option<Failure> {
    // `<3>WSL (PID - ) ERROR: FUNCTION:LINE: …` (`common.h`, `LOG_ERROR`); before 2022
    // `<3>init: (PID) ERROR: …` (microsoft/WSL issue 7174).
    let is_of_init = |line: &str| {
        ["WSL (", "init: ("].iter().any(|name| line.contains(name))
            && FAILURES
                .iter()
                .any(|(function, failure)| line.contains(function) && line.contains(failure))
    };
    words.lines().any(is_of_init).then_some(Failure::Reported)
}

impl Failure {
    /// The failure, and what to try.
    pub(crate) fn text(&self, way: &Way) -> String {
        let next = if way.has_other {
            "another session's socket is tried"
        } else {
            "there is no other socket to try"
        };
        let (socket, renewal) = (socket_name(way), renewal());
        match self {
            Self::Reported => format!(
                "WSL's interop starts no Windows program by {socket}: its side on Windows is gone \
                 (microsoft/WSL issue 41283); {next}; to renew it {renewal}"
            ),
            Self::Silent => format!(
                "either the other side of {socket} is gone (microsoft/WSL issue 41283), or Windows \
                 is slow to start the program; {next}; if that one answers at once, renew the \
                 first: {renewal}"
            ),
        }
    }
}

fn socket_name(way: &Way) -> String {
    way.path().map_or_else(|| "its socket".to_owned(), |path| path.display().to_string())
}

fn renewal() -> String {
    let distro = std::env::var(DISTRO).unwrap_or_else(|_| "NAME".to_owned());
    format!("run `wsl --terminate {distro}` on Windows and start the distro again")
}

/// Where the kernel keeps its list of interpreters (binfmt_misc).
const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// WSL's own program, which the entry names and which starts Windows programs (microsoft/WSL,
/// `src/linux/init/init.cpp`, `WslEntryPoint`).
const INIT: &str = "/init";

/// The first bytes of Windows programs and of Linux programs, in the kernel's spelling.
pub(crate) const MZ: &str = "4d5a";
/// See [`MZ`].
pub(crate) const ELF: &str = "7f454c46";

/// The entry that WSL makes: files that begin with `MZ` go to `/init`. The kernel opens `/init`
/// when the entry is made, and passes it the program's own name.
const ENTRY: &str = ":WSLInterop:M::MZ::/init:FP";

/// Why a Windows program cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum InteropError {
    /// The user has switched interop off.
    #[error(
        "WSL's interop is switched off by 'enabled' of [interop] in /etc/wsl.conf: take that line \
         out, then run `wsl --shutdown`"
    )]
    SwitchedOff,
    /// The entry is gone and cannot be written again.
    #[error(
        "the kernel's entry for Windows programs (WSLInterop in {BINFMT}) is gone, as \
         systemd-binfmt leaves it in some distros, and cannot be written again ({0}): run \
         underpass as root, or `wsl --shutdown`"
    )]
    Entry(io::Error),
    /// The entry is switched off, and cannot be switched on.
    #[error(
        "the kernel's entry for Windows programs (in {BINFMT}) is switched off and cannot be \
         switched on ({0}): run underpass as root, or as root write 1 to {BINFMT}/status and to \
         {BINFMT}/WSLInterop"
    )]
    Disabled(io::Error),
    /// The file is not a Windows program.
    #[error(
        "{} is not a Windows program, so it is not started: another user may have put it there; \
         look at it, and remove it",
        .0.display()
    )]
    NotWindows(PathBuf),
    /// This machine has nothing that starts them.
    #[error(
        "nothing starts Windows programs here: {INIT} of WSL is not there, nor an entry for them \
         in {BINFMT}; is this WSL, with interop (see [interop] in /etc/wsl.conf)?"
    )]
    NoInterpreter,
}

/// Has the kernel start Windows programs, if this is a WSL: switches on what is switched off, and
/// writes a missing entry again. (An entry that is switched off keeps its name: to register another
/// of that name fails with EEXIST; Linux, Documentation/admin-guide/binfmt-misc.rst.) `root` is `/`
/// except in tests.
///
/// # Errors
/// See [`InteropError`].
fn restore_entry(root: &Path) -> Result<(), InteropError> {
    let under_root = |path: &str| root.join(path.trim_start_matches('/'));
    let binfmt = under_root(BINFMT);
    if entry(&binfmt) == Some(Entry::Present) || !under_root(FOLDER).exists() {
        return Ok(());
    }
    if is_switched_off(&fs::read_to_string(under_root("/etc/wsl.conf")).unwrap_or_default()) {
        return Err(InteropError::SwitchedOff);
    }
    if is_disabled(&binfmt) {
        tracing::warn!(
            "the kernel's list of interpreters is switched off; it is switched on again"
        );
        fs::write(binfmt.join("status"), "1").map_err(InteropError::Disabled)?;
    }
    if entry(&binfmt) == Some(Entry::Present) {
        return Ok(());
    }
    let of_wsl: Vec<_> = entries(&binfmt)
        .into_iter()
        .filter(|(_, text)| is_for(text, MZ) && is_of_wsl(text))
        .collect();
    if !of_wsl.is_empty() {
        tracing::warn!(
            "the kernel's entry for Windows programs is switched off; it is switched on again"
        );
        return of_wsl
            .iter()
            .try_for_each(|(path, _)| fs::write(path, "1"))
            .map_err(InteropError::Disabled);
    }
    tracing::warn!("the kernel's entry for Windows programs is gone; it is written again");
    fs::write(binfmt.join("register"), ENTRY).map_err(InteropError::Entry)
}

/// Whether the kernel has any interpreter for files that begin with these bytes.
pub(crate) fn interprets(magic: &str) -> bool {
    has_entry(Path::new(BINFMT), magic)
}

fn has_entry(binfmt: &Path, magic: &str) -> bool {
    entries(binfmt).iter().any(|(_, text)| is_enabled(text) && is_for(text, magic))
}

/// The kernel's entries, each with its file. `status` and `register` are not among them.
fn entries(binfmt: &Path) -> Vec<(PathBuf, String)> {
    let paths = fs::read_dir(binfmt).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter_map(|path| fs::read_to_string(&path).ok().map(|text| (path, text))).collect()
}

fn is_enabled(entry: &str) -> bool {
    entry.lines().next() == Some("enabled")
}

fn is_for(entry: &str, magic: &str) -> bool {
    entry
        .lines()
        .any(|line| line.strip_prefix("magic ").is_some_and(|whole| whole.starts_with(magic)))
}

/// Whether it is one of WSL's own entries, of which there may be several (WSLInterop,
/// WSLInterop-late).
fn is_of_wsl(entry: &str) -> bool {
    entry.lines().any(|line| line.strip_prefix("interpreter ") == Some(INIT))
}

/// Whether the whole list is switched off.
fn is_disabled(binfmt: &Path) -> bool {
    fs::read_to_string(binfmt.join("status")).is_ok_and(|status| status.trim() == "disabled")
}

/// The kernel's entry for Windows programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is there and on.
    Present,
    /// It, or the whole list, is switched off.
    Disabled,
    /// It is not there.
    Missing,
}

/// The state of interop. Looking at it repairs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InteropSurvey {
    /// Whether this machine is a WSL.
    pub is_wsl: bool,
    /// The kernel's entry; `None` if its list is not mounted.
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
    InteropSurvey {
        is_wsl: is_wsl(),
        entry: entry(Path::new(BINFMT)),
        socket_lives: socket
            .as_deref()
            .is_some_and(|socket| Socket::at(Path::new(socket)).is_some()),
        socket: socket.map(|socket| socket.to_string_lossy().into_owned()),
        sockets: interop_sockets::count(),
    }
}

fn entry(binfmt: &Path) -> Option<Entry> {
    if !binfmt.join("status").exists() {
        return None;
    }
    let entries = entries(binfmt);
    let mut of_windows = entries.iter().filter(|(_, text)| is_for(text, MZ)).peekable();
    Some(if is_disabled(binfmt) {
        Entry::Disabled
    } else if of_windows.peek().is_none() {
        Entry::Missing
    } else if of_windows.any(|(_, text)| is_enabled(text)) {
        Entry::Present
    } else {
        Entry::Disabled
    })
}

/// Whether `/etc/wsl.conf` switches interop off. The first of several lines counts.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn what_init_says_of_its_own_failures_is_recognised() {
        for (words, is) in [
            ("<3>WSL (4711) ERROR: UtilAcceptVsock:271: accept4 failed 110", true),
            ("x\n<3>WSL (4711 - Interop) ERROR: UtilAcceptVsock:262: accept4 failed 110\n", true),
            ("<3>WSL (9 - ) ERROR: UtilConnectUnix:543: connect failed 111", true),
            ("<3>init: (4830) ERROR: UtilConnectUnix:467: connect failed 111", true),
            ("/mnt/c/r.exe: Invalid argument", false),
            ("accept4 failed 110", false),
            ("", false),
        ] {
            assert_eq!(failure_in(words).is_some(), is, "{words}");
        }
    }

    #[test]
    fn the_entry_is_seen_as_it_is() {
        let scratch = Scratch::new("entry");
        let binfmt = scratch.join("binfmt");
        assert_eq!(entry(&binfmt), None);
        scratch.write("binfmt/status", "enabled\n");
        assert_eq!(entry(&binfmt), Some(Entry::Missing));
        for (first, seen) in [("disabled", Entry::Disabled), ("enabled", Entry::Present)] {
            scratch.write("binfmt/WSLInterop", shown(first, "/init", "4d5a"));
            assert_eq!(entry(&binfmt), Some(seen));
        }
        scratch.write("binfmt/status", "disabled\n");
        assert_eq!(entry(&binfmt), Some(Entry::Disabled));
    }

    /// A machine's files that concern the entry.
    struct Root(Scratch);

    impl Root {
        fn new(name: &str) -> Self {
            let scratch = Scratch::new(&format!("binfmt-{name}"));
            fs::create_dir(scratch.join("etc")).unwrap();
            let root = Self(scratch);
            root.write("status", "enabled\n");
            root
        }

        fn write(&self, name: &str, text: &str) {
            self.0.write(&format!("{}/{name}", &BINFMT[1..]), text);
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.0.join(&BINFMT[1..]).join(name)).unwrap_or_default()
        }
    }

    #[test]
    fn windows_programs_are_started_by_what_the_kernels_list_names_or_else_by_wsls_own() {
        let root = Root::new("interpreter");
        let found = || interpreter(root.0.path()).map(|found| (found.program, found.keeps_name));
        assert_eq!(found(), None);
        for program in ["init", "other"] {
            fs::write(root.0.join(program), "").unwrap();
        }
        assert_eq!(found(), None, "this is not WSL");
        root.write("a", &shown("enabled", "/other", "4d5a").replace("PF", "F"));
        assert_eq!(found(), Some((root.0.join("other"), false)));
        root.write("b", &shown("enabled", "/init", "4d5a"));
        assert_eq!(found(), Some((root.0.join("init"), true)), "WSL's own goes first");
        root.write("b", &shown("disabled", "/init", "4d5a"));
        root.write("a", &shown("enabled", "/nowhere", "4d5a"));
        assert_eq!(found(), None);
        fs::create_dir_all(root.0.join(&FOLDER[1..])).unwrap();
        assert_eq!(found(), Some((root.0.join("init"), true)));
    }

    #[test]
    fn what_is_no_windows_program_is_not_started() {
        let scratch = Scratch::new("no-windows");
        let refused = command(&scratch.script("a.exe", "")).map(|_| ()).unwrap_err();
        assert!(matches!(refused, InteropError::NotWindows(_)), "{refused}");
    }

    /// An entry in the kernel's form.
    fn shown(state: &str, interpreter: &str, magic: &str) -> String {
        format!("{state}\ninterpreter {interpreter}\nflags: PF\noffset 0\nmagic {magic}\n")
    }

    #[test]
    fn the_entry_is_written_again_in_a_wsl_where_there_is_none() {
        let root = Root::new("none");
        restore_entry(root.0.path()).unwrap();
        assert_eq!(root.read("register"), "", "outside of WSL nothing is written");
        fs::create_dir_all(root.0.join(&FOLDER[1..])).unwrap();
        for (entry, written) in [
            (shown("enabled", "/init", "4d5a"), ""),
            (shown("enabled", "/usr/bin/python3", "6f0d0d0a"), ENTRY),
            // Another program's entry, which does not serve WSL.
            (shown("disabled", "/usr/bin/wine", "4d5a"), ENTRY),
        ] {
            root.write("register", "");
            root.write("some", &entry);
            restore_entry(root.0.path()).unwrap();
            assert_eq!(root.read("register"), written, "{entry}");
            assert_eq!(root.read("some"), entry);
        }
        fs::write(
            root.0.join("etc/wsl.conf"),
            "[boot]\nsystemd=true\n[Interop]\n# x\nEnabled = False\n",
        )
        .unwrap();
        assert!(matches!(restore_entry(root.0.path()), Err(InteropError::SwitchedOff)));
        fs::write(
            root.0.join("etc/wsl.conf"),
            "[interop]\nappendWindowsPath=false\n[x]\nenabled=false\n",
        )
        .unwrap();
        restore_entry(root.0.path()).unwrap();
    }

    #[test]
    fn an_entry_that_is_switched_off_is_switched_on_and_not_registered_again() {
        let root = Root::new("off");
        fs::create_dir_all(root.0.join(&FOLDER[1..])).unwrap();
        root.write("WSLInterop", &shown("disabled", "/init", "4d5a"));
        restore_entry(root.0.path()).unwrap();
        assert_eq!(root.read("WSLInterop"), "1");
        // The whole list, with an entry that is on.
        root.write("WSLInterop", &shown("enabled", "/init", "4d5a"));
        root.write("status", "disabled\n");
        root.write("register", "");
        restore_entry(root.0.path()).unwrap();
        assert_eq!((root.read("status").as_str(), root.read("register").as_str()), ("1", ""));
    }
}
