//! The host as a Windows: the interop model (see `tests/interop`) in the host's namespace, with
//! Wine, and the kernel's entry that starts Windows programs through it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::built::{BINFMT, programs};
use crate::leftovers;
use crate::marked;
use crate::run::{Finished, Process, in_namespace, plain};
use crate::topology::{Lab, Place};
use crate::wait::until;
use crate::wine::{Wine, missing, newest_wine};

/// The Windows user: a name with a space and a letter that few code pages have.
const USER: &str = "Anna Müller";

/// The variable with the bytes of interop's buffers.
const BUFFER_VARIABLE: &str = "UNDERPASS_LAB_INTEROP_BUFFER";

/// The sizes of WSL's buffers, and of its pipes to a program: before microsoft/WSL pull request
/// 41603, and since.
pub const BUFFERS: [usize; 2] = [4 * 1024, 64 * 1024];

/// Numbers the Windowses of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The host's half listens long before this.
const PATIENCE: Duration = Duration::from_secs(10);

/// The processes on the host.
///
/// # Panics
/// They cannot be listed.
#[must_use]
pub fn host_processes(lab: &Lab) -> Vec<u32> {
    // Run elsewhere, so that it does not list itself.
    let pids = lab.run(Place::Internet, &["ip", "netns", "pids", &lab.namespace(Place::Windows)]);
    let pids = pids.unwrap_or_else(|error| panic!("the host's processes: {error}"));
    assert!(pids.succeeded(), "the host's processes: {pids:?}");
    pids.stdout.lines().filter_map(|pid| pid.parse().ok()).collect()
}

/// The processes on the host that are a relay, for Windows or Linux, wherever its file lies.
///
/// # Panics
/// The host's processes cannot be listed.
#[must_use]
pub fn host_relays(lab: &Lab) -> Vec<u32> {
    let is_relay = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
            let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
            program.ends_with(b"underpass-relay.exe") || program.ends_with(b"underpass-relay")
        })
    };
    host_processes(lab).into_iter().filter(is_relay).collect()
}

/// The host's half of WSL's interop, with its own Wine, and the entry in the kernel's list. A drop
/// removes all of it; declare it after its lab.
#[derive(Debug)]
pub struct Interop {
    host: Process,
    folder: PathBuf,
    entry: String,
}

impl Interop {
    /// Starts it, with buffers as small as WSL's were for long, or with the size in
    /// `UNDERPASS_LAB_INTEROP_BUFFER`.
    ///
    /// # Panics
    /// Something of [`missing`] is missing, or the kernel takes no entry.
    #[must_use]
    pub fn start(lab: &Lab) -> Self {
        let set = std::env::var(BUFFER_VARIABLE).ok();
        let parsed = set.as_deref().map_or(Ok(BUFFERS[0]), str::parse);
        Self::start_with(lab, parsed.unwrap_or_else(|error| panic!("{BUFFER_VARIABLE}: {error}")))
    }

    /// Starts it, with buffers, and pipes to programs, of that size.
    ///
    /// # Panics
    /// Like [`Interop::start`].
    #[must_use]
    pub fn start_with(lab: &Lab, buffer: usize) -> Self {
        assert_eq!(missing(), None, "no Windows program can be started");
        let namespace = lab.namespace(Place::Windows);
        let name = format!("{namespace}-interop-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&name);
        Self::prepare(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let (socket, prefix) = (folder.join("interop"), folder.join("prefix"));
        let program = programs().join("interop-host").display().to_string();
        let drives = prefix.join("dosdevices").display().to_string();
        let loader = Wine::chosen().loader.display().to_string();
        // Two programs that start Wine's server at the same moment conflict: one ends with "fixed a
        // temporary directory error", the other may hang. So it runs before any of them, for the 3
        // s that it waits for a program. If it ran longer, it would also keep Wine's own services,
        // and these the pipes of the program that started them.
        let server = Wine::chosen().server.display().to_string();
        let mut command = in_namespace(&namespace, &[&server]);
        command
            .env("WINEPREFIX", &prefix)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let started = command.status();
        assert!(started.as_ref().is_ok_and(|status| status.success()), "{server}: {started:?}");
        let mut command = in_namespace(
            &namespace,
            &[&program, &socket.display().to_string(), &loader, &buffer.to_string(), &drives],
        );
        command.env("WINEPREFIX", &prefix).env("WINEDEBUG", "-all").env("USER", USER);
        // A program without windows needs none of these.
        command.env("WINEDLLOVERRIDES", "mscoree,mshtml,winemenubuilder.exe=");
        if let Some(log) = std::env::var_os("UNDERPASS_LAB_RELAY_LOG") {
            command.env("RUST_LOG", log);
        }
        let outputs = (folder.join("out"), folder.join("err"));
        let host = Process::start_logged(command, outputs)
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let interop = Self { host, folder, entry: register(name) };
        assert!(
            until(PATIENCE, || socket.exists()),
            "the host's half does not listen: {}",
            interop.host.stderr()
        );
        interop
    }

    fn prepare(folder: &Path) -> io::Result<()> {
        // An earlier one of this name belonged to another process, which is dead.
        let _ = fs::remove_dir_all(folder);
        let (from, to) = (Wine::chosen().template, folder.join("prefix"));
        fs::create_dir_all(to.join("dosdevices"))?;
        fs::create_dir_all(to.join("drive_c/users"))?;
        for file in ["system.reg", "user.reg", "userdef.reg", ".update-timestamp"] {
            fs::copy(from.join(file), to.join(file))?;
        }
        symlink("../drive_c", to.join("dosdevices/c:"))?;
        symlink("/", to.join("dosdevices/z:"))?;
        // Wine's own files are the same for all, and many.
        let from = from.canonicalize()?;
        for name in ["windows", "Program Files", "Program Files (x86)", "ProgramData"] {
            symlink(from.join("drive_c").join(name), to.join("drive_c").join(name))?;
        }
        // Windows ignores the case of letters. Linux programs that read its disk here do not.
        let system = to.join("drive_c/Windows/System32");
        fs::create_dir_all(&system)?;
        fs::copy(from.join("drive_c/windows/system32/cmd.exe"), system.join("cmd.exe"))?;
        let powershell = system.join("WindowsPowerShell/v1.0");
        fs::create_dir_all(&powershell)?;
        fs::copy(from.join("powershell.exe"), powershell.join("powershell.exe"))?;
        fs::create_dir_all(local_app_data(&to))?;
        Ok(())
    }

    /// The socket of the host's half, for `WSL_INTEROP`.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.join("interop")
    }

    /// Drive C:.
    #[must_use]
    pub fn drive_c(&self) -> PathBuf {
        self.folder.join("prefix/drive_c")
    }

    /// Windows' folder for its user's local programs and data.
    #[must_use]
    pub fn local_app_data(&self) -> PathBuf {
        local_app_data(&self.folder.join("prefix"))
    }

    /// Makes Windows refuse programs whose paths, as Linux sees them, begin with this.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn forbid(&self, beginning: &str) {
        self.set("policy", beginning);
    }

    /// Makes Windows forbid cmd.exe ("Prevent access to the command prompt"), and programs whose
    /// paths begin with one of these.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn forbid_cmd(&self, beginnings: &[&str]) {
        self.set("policy", &[&["DisableCMD"], beginnings].concat().join("\n"));
    }

    /// Drops or duplicates a run of bytes of the next relay's `input` or `output`, as
    /// `interop_model::damage` reads it: `input drop 100000 512`.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn damage(&self, run: &str) {
        self.set("damage", run);
    }

    /// Whether a relay has taken the damage.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        !self.folder.join("interop.damage").exists()
    }

    fn set(&self, what: &str, text: &str) {
        let file = self.folder.join(format!("interop.{what}"));
        fs::write(&file, text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Removes the entry from the kernel's list, as systemd-binfmt does in some distros.
    ///
    /// # Panics
    /// The kernel does not remove it, or has another entry that starts Windows programs.
    pub fn forget_entry(&self) {
        let file = Path::new(BINFMT).join(&self.entry);
        fs::write(&file, "-1").unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let others = entries_for_windows_programs();
        assert!(
            others.is_empty(),
            "the kernel still starts Windows programs, by {others:?} in {BINFMT}: another run of \
             tests uses these entries, or left them when it was killed; to remove one, write -1 to \
             its file"
        );
    }

    /// The process of the host's half.
    pub fn host(&mut self) -> &mut Process {
        &mut self.host
    }

    /// Runs a Windows program in the VM to its end, like a shell there.
    ///
    /// # Errors
    /// It could not be started.
    pub fn run(&self, lab: &Lab, words: &[&str]) -> io::Result<Finished> {
        let mut command = in_namespace(&lab.namespace(Place::Wsl), words);
        command.env("WSL_INTEROP", self.socket());
        Finished::of(command)
    }
}

impl Drop for Interop {
    fn drop(&mut self) {
        // A missing entry is gone as well.
        let _ = fs::write(Path::new(BINFMT).join(&self.entry), "-1");
        self.host.end();
        let mut end = plain(&Wine::chosen().server.display().to_string());
        end.arg("-k").env("WINEPREFIX", self.folder.join("prefix"));
        // Wine's server also ends by itself, when its last program has ended.
        let _ = Finished::of(end);
        // A program that was just starting found no server, and started its own.
        let _ = marked::end("WINEPREFIX", &self.folder.join("prefix").display().to_string());
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The entry that WSL makes for itself in the kernel's list (`WSLInterop`), in a test whose gateway
/// writes it. A drop removes it; the next lab removes that of a test that was killed.
#[derive(Debug)]
pub struct WslEntry {
    mark: PathBuf,
}

impl WslEntry {
    /// `None` if the kernel has such an entry: this machine is a WSL, whose entry no test changes.
    ///
    /// # Panics
    /// The folder that marks the entry cannot be made.
    #[must_use]
    pub fn claim() -> Option<Self> {
        leftovers::sweep();
        if Self::file().exists() {
            return None;
        }
        let mark = leftovers::mark_wsl_entry();
        Some(Self { mark: mark.unwrap_or_else(|error| panic!("the mark of an entry: {error}")) })
    }

    /// The file in which the kernel shows it.
    #[must_use]
    pub fn file() -> PathBuf {
        Path::new(BINFMT).join(leftovers::WSL_ENTRY)
    }

    /// Removes it from the kernel's list, if it is there.
    pub fn remove(&self) {
        leftovers::unregister(&Self::file());
    }
}

impl Drop for WslEntry {
    fn drop(&mut self) {
        self.remove();
        // The next lab removes it otherwise.
        let _ = fs::remove_dir(&self.mark);
    }
}

/// The names of the kernel's entries, switched on, for files that begin with `MZ`.
fn entries_for_windows_programs() -> Vec<String> {
    let entries = fs::read_dir(BINFMT).into_iter().flatten().flatten();
    let for_windows = entries.filter(|entry| {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        text.starts_with("enabled") && text.lines().any(|line| line.starts_with("magic 4d5a"))
    });
    for_windows.map(|entry| entry.file_name().display().to_string()).collect()
}

/// `%LOCALAPPDATA%` in a prefix. Wine 10 names the profile after the account that runs it, which is
/// root here, and ignores `USER`.
fn local_app_data(prefix: &Path) -> PathBuf {
    let user = if newest_wine() { "root" } else { USER };
    prefix.join("drive_c/users").join(user).join("AppData/Local")
}

/// Makes the kernel start files that begin with `MZ` by the model, like WSL's own entry
/// (`:WSLInterop:M::MZ::/init:FP`).
fn register(entry: String) -> String {
    if !Path::new(BINFMT).join("register").exists() {
        let mut mount = plain("mount");
        mount.args(["-t", "binfmt_misc", "binfmt_misc", BINFMT]);
        let mounted = Finished::of(mount);
        assert!(
            mounted.as_ref().is_ok_and(Finished::succeeded),
            "binfmt_misc cannot be mounted: {mounted:?}"
        );
    }
    let init = programs()
        .join("interop-init")
        .canonicalize()
        .unwrap_or_else(|error| panic!("interop-init: {error}"));
    let line = format!(":{entry}:M::MZ::{}:FP", init.display());
    let written = fs::write(Path::new(BINFMT).join("register"), &line);
    assert!(written.is_ok(), "{line}: {written:?}");
    entry
}
