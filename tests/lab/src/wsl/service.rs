//! The model of WSL's service (`tests/interop/src/wsl`) as a process, and its clients: its own
//! socket, and the stand-in for `wsl.exe`.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::built::programs;
use crate::run::{Finished, Process, in_namespace, plain};
use crate::scene::PATIENCE;
use crate::wait::until;

/// Numbers the programs of one process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// After how long WSL ends unused distros and VMs; `None` stands for a negative number: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// A distro after its last client: `general.instanceIdleTimeout`.
    pub instance: Option<Duration>,
    /// The VM after its last distro: `wsl2.vmIdleTimeout`.
    pub vm: Option<Duration>,
}

impl Default for Timeouts {
    /// WSL's own.
    fn default() -> Self {
        Self { instance: Some(Duration::from_secs(15)), vm: Some(Duration::from_secs(60)) }
    }
}

/// A distro that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its first process.
    pub pid: u32,
    /// The processes on Windows' side that hold it.
    pub clients: u64,
}

/// The service; a drop ends it, and all distros with it.
#[derive(Debug)]
pub(super) struct Service {
    process: Process,
    client: Client,
}

impl Service {
    pub(super) fn start(folder: &Path, windows: String, timeouts: Timeouts) -> Self {
        let made = fs::create_dir_all(folder);
        assert!(made.is_ok(), "{}: {made:?}", folder.display());
        let socket = folder.join("wsl-service");
        // An earlier one of this folder has ended.
        let _ = fs::remove_file(&socket);
        let milliseconds = |timeout: Option<Duration>| {
            timeout.map_or("-1".to_owned(), |t| t.as_millis().to_string())
        };
        let mut command = plain(&program("wsl-service"));
        command.arg(&socket).arg(folder.join("shared"));
        command.args([timeouts.instance, timeouts.vm].map(milliseconds));
        // It ends with this process, however that ends.
        command.stdin(Stdio::piped()).env_remove("RUST_LOG");
        let outputs = (folder.join("wsl-service.out"), folder.join("wsl-service.err"));
        let process = Process::start_logged(command, outputs);
        let process = process
            .unwrap_or_else(|error| panic!("wsl-service: {error}; run scripts/static-cargo build"));
        assert!(
            until(PATIENCE, || socket.exists()),
            "WSL's service does not listen: {}",
            process.stderr()
        );
        Self { process, client: Client { folder: folder.to_path_buf(), socket, windows } }
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Its output and that of the distros.
    pub(super) fn said(&self) -> String {
        self.process.stderr()
    }

    /// Writes the file that stands for `wsl.exe`: to Linux it is a Windows program.
    pub(super) fn place_stand_in(&self, file: &Path) -> io::Result<()> {
        let words = format!("MZ#!{}\n{}\n", program("wsl-exe"), self.client.socket.display());
        fs::write(file, words)?;
        fs::set_permissions(file, fs::Permissions::from_mode(0o755))
    }

    pub(super) fn import(&self, name: &str, layout: &[String]) {
        let answer = self.client.ask(&json!({ "Import": { "name": name, "layout": layout } }));
        assert!(answer.as_ref().is_ok_and(|answer| answer == "Done"), "{name}: {answer:?}");
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.client.try_run(&["--shutdown"]);
    }
}

/// Runs `wsl.exe` on Windows' side.
#[derive(Clone, Debug)]
pub struct Client {
    folder: PathBuf,
    socket: PathBuf,
    windows: String,
}

impl Client {
    fn command(&self, words: &[&str]) -> Command {
        let (program, socket) = (program("wsl-exe"), self.socket.display().to_string());
        let mut command =
            in_namespace(&self.windows, &[&[program.as_str(), &socket], words].concat());
        command.env("WSL_UTF8", "1");
        command
    }

    /// Runs `wsl.exe` to its end.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn run(&self, words: &[&str]) -> Finished {
        self.try_run(words).unwrap_or_else(|error| panic!("wsl.exe {words:?}: {error}"))
    }

    pub(super) fn try_run(&self, words: &[&str]) -> io::Result<Finished> {
        Finished::of(self.command(words))
    }

    /// Starts `wsl.exe`, and does not wait. Its output is kept.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(&self, words: &[&str]) -> Process {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [out, err] = ["out", "err"].map(|name| self.folder.join(format!("{number}.{name}")));
        let started = Process::start_logged(self.command(words), (out, err));
        started.unwrap_or_else(|error| panic!("wsl.exe {words:?}: {error}"))
    }

    /// The running distros. The query registers no client.
    pub(super) fn instances(&self) -> Vec<Instance> {
        let answer = self.ask(&json!("Running")).unwrap_or_default();
        let number = |value: &Value| value.as_u64().unwrap_or_default();
        let instance = |value: &Value| Instance {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            pid: u32::try_from(number(&value["pid"])).unwrap_or_default(),
            clients: number(&value["clients"]),
        };
        answer["Running"]
            .as_array()
            .map(|all| all.iter().map(instance).collect())
            .unwrap_or_default()
    }

    /// A request to the service itself, and its answer.
    fn ask(&self, request: &Value) -> io::Result<Value> {
        let mut stream = UnixStream::connect(&self.socket)?;
        writeln!(stream, "{request}")?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

/// The path of a built program of the model.
fn program(name: &str) -> String {
    programs().join(name).display().to_string()
}
