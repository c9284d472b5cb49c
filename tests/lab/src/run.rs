//! Runs programs in a namespace of the lab: to their end, or in the background until dropped. Knows
//! no topology.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::wait::until;

/// The environment's proxy settings would lead programs out of the lab.
const PROXY_VARIABLES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

/// `PATH` with the folders of the system's own programs, which a user's shell often lacks.
pub(crate) fn search_path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    path
}

/// A command that finds the system's programs and speaks English.
pub(crate) fn plain(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path()).env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    for variable in PROXY_VARIABLES {
        command.env_remove(variable);
    }
    command
}

/// A command in a namespace. `ip netns exec` replaces itself with the program: the child's pid is
/// the program's own.
pub(crate) fn in_namespace(namespace: &str, words: &[&str]) -> Command {
    let mut command = plain("ip");
    command.args(["netns", "exec", namespace]).args(words);
    command
}

/// The result of a program that ran to its end: its exit code and output.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Finished {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// The program could not be started.
    pub(crate) fn of(mut command: Command) -> io::Result<Self> {
        let output = command.output()?;
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Whether it ended by itself with exit code 0.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// A program in the background; killed and reaped when dropped, also by a panic.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The files of its standard output and error, if they are kept.
    outputs: Option<(PathBuf, PathBuf)>,
}

impl Process {
    /// Starts the command and discards its output, so that a full pipe can never block it.
    ///
    /// # Errors
    /// The program could not be started.
    pub(crate) fn start(mut command: Command) -> io::Result<Self> {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        Ok(Self { child, outputs: None })
    }

    /// Starts the command with its output and errors in files, which grow without ever blocking it.
    ///
    /// # Errors
    /// The program could not be started, or a file not made.
    pub(crate) fn start_logged(
        mut command: Command,
        outputs: (PathBuf, PathBuf),
    ) -> io::Result<Self> {
        let child =
            command.stdout(File::create(&outputs.0)?).stderr(File::create(&outputs.1)?).spawn()?;
        Ok(Self { child, outputs: Some(outputs) })
    }

    /// Its standard output so far, if it is kept.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.outputs
            .as_ref()
            .map_or_else(String::new, |(out, _)| fs::read_to_string(out).unwrap_or_default())
    }

    /// Its standard error so far, if it is kept.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.outputs
            .as_ref()
            .map_or_else(String::new, |(_, err)| fs::read_to_string(err).unwrap_or_default())
    }

    /// Waits for its end. Returns its exit code, if it ended by itself within `patience`.
    pub fn exit_code(&mut self, patience: Duration) -> Option<i32> {
        let mut status = None;
        let _ = until(patience, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Kills and reaps it, if it runs.
    pub(crate) fn end(&mut self) {
        // It may have ended by itself: then there is nothing to kill, and the wait only reaps.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The program's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
