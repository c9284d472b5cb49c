//! The programs under test in a lab: `underpass up` in the VM, its relay on the host. Judges them
//! from outside, by their output, by `underpass status`, and by how they end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::built::{programs, windows_relay};
use crate::interop::Interop;
use crate::relay::Relay;
use crate::run::{Finished, Process, in_namespace, plain};
use crate::scratch::Scratch;
use crate::topology::{Lab, Place};
use crate::wait::until;

/// `underpass up` carries traffic long before this, on the slowest machine.
pub const START_PATIENCE: Duration = Duration::from_secs(30);

/// Numbers the tunnels of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// One `underpass up`. Killed with SIGKILL when dropped, so declare it after its lab.
#[derive(Debug)]
pub struct Tunnel {
    process: Process,
    namespace: String,
    folder: PathBuf,
    /// Whether the folder is removed with this tunnel.
    owner: Owner,
    /// The Windows of its relay, if it runs in one.
    windows: Option<Interop>,
}

#[derive(Debug, PartialEq, Eq)]
enum Owner {
    This,
    Another,
}

impl Tunnel {
    /// Starts `underpass up` with its relay on the host, and waits until it reports that it is up.
    ///
    /// # Panics
    /// It does not come up; with its output.
    #[must_use]
    pub fn up(lab: &Lab, options: &[&str]) -> Self {
        let mut tunnel = Self::launch(lab, options);
        tunnel.wait_up();
        tunnel
    }

    /// Starts `underpass up` with its relay on the host, and does not wait. [`Relay::chosen`]
    /// selects the relay.
    ///
    /// # Panics
    /// The programs were not built, or cannot be started.
    #[must_use]
    pub fn launch(lab: &Lab, options: &[&str]) -> Self {
        match Relay::chosen() {
            Relay::Linux => Self::launch_linux(lab, &[], options),
            Relay::LinuxBehindInterop => Self::launch_behind(Interop::start(lab), |interop| {
                interop.launch_linux(lab, options)
            }),
            Relay::Windows => {
                Self::launch_behind(Interop::start(lab), |interop| interop.launch(lab, options))
            }
        }
    }

    /// The Windows is dropped with the tunnel.
    fn launch_behind(interop: Interop, launch: impl FnOnce(&Interop) -> Self) -> Self {
        let mut tunnel = launch(&interop);
        tunnel.windows = Some(interop);
        tunnel
    }

    /// Starts `underpass up` with the relay for Linux on the host, whichever is selected, and
    /// variables in its environment. Does not wait.
    ///
    /// # Panics
    /// The programs were not built, or cannot be started.
    #[must_use]
    pub fn launch_linux(lab: &Lab, variables: &[(&str, &str)], options: &[&str]) -> Self {
        let relay = programs().join("underpass-relay");
        assert!(
            relay.exists(),
            "{} does not exist: run `scripts/static-cargo build --release --workspace` first",
            relay.display()
        );
        let (relay, windows) = (relay.display().to_string(), lab.namespace(Place::Windows));
        let words = ["ip", "netns", "exec", &windows, &relay];
        let args = words[1..].iter().flat_map(|word| ["--relay-arg", word]);
        let options = [&["--relay", words[0]], &args.collect::<Vec<_>>()[..], options].concat();
        Self::launch_with(lab, variables, &options)
    }

    /// Starts `underpass up` with just these options.
    ///
    /// # Panics
    /// The program was not built, or cannot be started.
    #[must_use]
    pub fn launch_bare(lab: &Lab, options: &[&str]) -> Self {
        Self::launch_with(lab, &[], options)
    }

    /// Starts `underpass up` with variables in its environment and just these options.
    ///
    /// # Panics
    /// The program was not built, or cannot be started.
    #[must_use]
    pub fn launch_with(lab: &Lab, variables: &[(&str, &str)], options: &[&str]) -> Self {
        Self::launch_wrapped(lab, variables, &[], options)
    }

    /// Like [`Tunnel::launch_with`], by a command that executes the words after its own.
    ///
    /// # Panics
    /// The program was not built, or cannot be started.
    #[must_use]
    pub fn launch_wrapped(
        lab: &Lab,
        variables: &[(&str, &str)],
        wrapper: &[&str],
        options: &[&str],
    ) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("{}-tunnel-{number}", lab.namespace(Place::Wsl)));
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Self::start_in(lab, folder, Owner::This, (variables, wrapper, options))
    }

    /// Starts another `underpass up` in the same runtime directory, like a user who runs the
    /// command twice.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn launch_again(&self, lab: &Lab, options: &[&str]) -> Self {
        Self::start_in(lab, self.folder.clone(), Owner::Another, (&[], &[], options))
    }

    fn start_in(
        lab: &Lab,
        folder: PathBuf,
        owner: Owner,
        (variables, wrapper, options): (&[(&str, &str)], &[&str], &[&str]),
    ) -> Self {
        let namespace = lab.namespace(Place::Wsl);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mut command = command(&namespace, &folder, wrapper, &[&["up"], options].concat());
        command.envs(variables.iter().copied());
        let outputs = (folder.join(format!("out-{number}")), folder.join(format!("err-{number}")));
        let process = Process::start_logged(command, outputs)
            .unwrap_or_else(|error| panic!("underpass up: {error}"));
        Self { process, namespace, folder, owner, windows: None }
    }

    /// Waits until it reports that it is up.
    ///
    /// # Panics
    /// It does not come up; with its output.
    pub fn wait_up(&mut self) {
        let up = until(START_PATIENCE, || {
            self.said().contains("underpass: up") || !self.process.is_running()
        });
        assert!(
            up && self.process.is_running(),
            "underpass does not come up: {}{}",
            self.said(),
            self.complained()
        );
    }

    /// Its standard output.
    #[must_use]
    pub fn said(&self) -> String {
        self.process.stdout()
    }

    /// Its standard error.
    #[must_use]
    pub fn complained(&self) -> String {
        self.process.stderr()
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The process that holds the TAP and the relays' streams.
    ///
    /// # Panics
    /// It does not run.
    pub fn engine(&mut self) -> u32 {
        self.helper("underpass-engine")
    }

    /// The process that maintains the VM's routes.
    ///
    /// # Panics
    /// It does not run.
    pub fn network(&mut self) -> u32 {
        self.helper("underpass-network")
    }

    /// The child of `up` that has this name.
    fn helper(&mut self, name: &str) -> u32 {
        let found = self.helpers().into_iter().find(|(_, own)| own == name);
        found.unwrap_or_else(|| panic!("process {} has no child {name}", self.process.pid())).0
    }

    /// The children of `up` that belong to the gateway, each with its name.
    fn helpers(&self) -> Vec<(u32, String)> {
        let pid = self.process.pid();
        let children =
            fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        let named = |child: &str| {
            let line = fs::read_to_string(format!("/proc/{child}/cmdline")).ok()?;
            let name = line.split('\0').next().filter(|name| name.starts_with("underpass-"))?;
            Some((child.parse().ok()?, name.to_owned()))
        };
        children
            .split_whitespace()
            .filter_map(named)
            .filter(|(_, name)| !name.contains("relay"))
            .collect()
    }

    /// The folder with lock and socket.
    #[must_use]
    pub fn runtime_dir(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// Runs another command of `underpass` (such as `status`) for this tunnel.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn command(&self, words: &[&str]) -> io::Result<Finished> {
        Finished::of(command(&self.namespace, &self.folder, &[], words))
    }

    /// Runs `underpass selftest --json` for this tunnel, with the tests' relay and these additional
    /// words.
    ///
    /// # Panics
    /// It cannot be run, or prints no JSON.
    #[must_use]
    pub fn selftest(&self, lab: &Lab, words: &[&str]) -> serde_json::Value {
        let scratch = Scratch::new();
        let [init, linux] = [programs().join("interop-init"), programs().join("underpass-relay")];
        let relay = match Relay::chosen() {
            Relay::Linux => scratch.file("relay", &format!("#!/bin/sh\n{}", exec_relay(lab))),
            Relay::LinuxBehindInterop => {
                let words = format!(
                    "#!/bin/sh\nexec {} {} underpass-relay \"$@\"\n",
                    init.display(),
                    linux.display()
                );
                scratch.file("relay", &words)
            }
            Relay::Windows => windows_relay().display().to_string(),
        };
        let socket = self
            .windows
            .as_ref()
            .map(|windows| format!("WSL_INTEROP={}", windows.socket().display()));
        let wrapper: Vec<&str> = ["env"].into_iter().chain(socket.as_deref()).collect();
        let words = [&["selftest", "--json", "--relay", relay.as_str()], words].concat();
        let finished = Finished::of(command(&self.namespace, &self.folder, &wrapper, &words));
        let finished = finished.unwrap_or_else(|error| panic!("underpass selftest: {error}"));
        serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("selftest: {error}: {finished:?}"))
    }

    /// The output of `underpass status --json`.
    ///
    /// # Panics
    /// It prints nothing, or no JSON.
    #[must_use]
    pub fn status(&self) -> serde_json::Value {
        let finished = self
            .command(&["status", "--json"])
            .unwrap_or_else(|error| panic!("underpass status: {error}"));
        serde_json::from_str(&finished.stdout)
            .unwrap_or_else(|error| panic!("status: {error}: {finished:?}"))
    }

    /// The process ids of the running relays.
    #[must_use]
    pub fn relays(&self) -> Vec<u32> {
        let status = self.status();
        let relays = status["relays"].as_array().map_or(&[][..], Vec::as_slice);
        relays.iter().filter_map(|relay| u32::try_from(relay["pid"].as_u64()?).ok()).collect()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let helpers = self.helpers();
        self.process.end();
        // They end a moment after it, and the TAP with them.
        let ended = |(pid, _): &(u32, String)| !Path::new(&format!("/proc/{pid}/exe")).exists();
        let _ = until(START_PATIENCE, || helpers.iter().all(ended));
        if self.owner == Owner::This {
            // A folder left in the temporary directory does no harm.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn command(
    namespace: &str,
    folder: &Path,
    wrapper: &[&str],
    words: &[&str],
) -> std::process::Command {
    let program = programs().join("underpass").display().to_string();
    let mut command = in_namespace(namespace, &[wrapper, &[program.as_str()], words].concat());
    command.env("UNDERPASS_RUNTIME_DIR", folder.join("run")).env_remove("RUST_LOG");
    command
}

/// Sends a signal (`TERM`, `KILL`, `STOP`) to a process that the caller's lab started.
///
/// # Panics
/// There is no such process.
pub fn send_signal(pid: u32, signal: &str) {
    let mut command = plain("kill");
    command.args([format!("-{signal}"), pid.to_string()]);
    let sent = Finished::of(command).map(|finished| finished.succeeded());
    assert!(matches!(sent, Ok(true)), "no signal {signal} to process {pid}: {sent:?}");
}

impl Interop {
    /// Starts `underpass up` with the Windows relay, as on WSL: the gateway executes the `.exe`
    /// itself. Does not wait.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn launch(&self, lab: &Lab, options: &[&str]) -> Tunnel {
        let relay = windows_relay().display().to_string();
        self.launch_with(lab, &[&["--relay", relay.as_str()], options].concat())
    }

    /// Starts `underpass up` with the relay for Linux, whose streams the same model carries. Does
    /// not wait.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn launch_linux(&self, lab: &Lab, options: &[&str]) -> Tunnel {
        let [init, relay] = [programs().join("interop-init"), programs().join("underpass-relay")]
            .map(|path| path.display().to_string());
        // The program's path, and the name that binfmt_misc passes on.
        let words = ["--relay", &init, "--relay-arg", &relay, "--relay-arg", "underpass-relay"];
        self.launch_with(lab, &[&words, options].concat())
    }

    fn launch_with(&self, lab: &Lab, options: &[&str]) -> Tunnel {
        let socket = self.socket().display().to_string();
        Tunnel::launch_with(lab, &[("WSL_INTEROP", &socket)], options)
    }
}

/// A shell's words that become the real relay on the host, for scripts that run before it.
#[must_use]
pub fn exec_relay(lab: &Lab) -> String {
    let relay = programs().join("underpass-relay");
    format!("exec ip netns exec {} {} \"$@\"\n", lab.namespace(Place::Windows), relay.display())
}
