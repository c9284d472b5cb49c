//! One of the gateway's other processes, from the supervisor's side: its start, its link, its log,
//! and its end.

use super::confine::Confined;
use super::{Role, audit};
use crate::link::Link;
use crate::relay_process::next_line;
use messages::printable;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// How the gateway's other processes log.
#[derive(Clone, Debug)]
pub struct Logs {
    /// The least level, in the form of `RUST_LOG`; that variable overrides it.
    pub level: String,
    /// Takes a line that is safe for a terminal.
    pub line: fn(&str),
}

/// The variables that it inherits, all about its log. Others may hold a proxy's password.
const VARIABLES: [&str; 3] = ["RUST_LOG", "RUST_BACKTRACE", "RUST_LIB_BACKTRACE"];

/// How long reading the last lines of an ended process may take.
const LAST_LINES_PATIENCE: Duration = Duration::from_millis(200);

/// Why the gateway's processes do not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It cannot be started.
    #[error("the process {name} of the gateway cannot be started: {source}")]
    Start {
        /// Which.
        name: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("the process {name} of the gateway (pid {pid}) ended: {how}")]
    Ended {
        /// Which.
        name: &'static str,
        /// Its process id.
        pid: u32,
        /// How, in words.
        how: String,
    },
}

/// The running process. Dropping this value kills it.
pub(super) struct Worker<Out, In> {
    name: &'static str,
    pub(super) pid: u32,
    child: Child,
    pub(super) link: Link<Out, In>,
    /// Its confinement, once it has reported it.
    pub(super) confined: Confined,
    log: tokio::task::JoinHandle<()>,
}

impl<Out, In> Worker<Out, In>
where
    Out: Serialize + Send + Sync + 'static,
    In: DeserializeOwned + Send + 'static,
{
    /// Must be called within a tokio runtime, by a thread that lives as long as this process: the
    /// kernel kills the child with that thread.
    pub(super) fn start(role: Role, logs: &Logs) -> Result<Self, ProcessError> {
        let name = role.name();
        let error = |source| ProcessError::Start { name, source };
        let (own, other) = UnixStream::pair().map_err(error)?;
        // Even if the program's file was replaced since this process started.
        let mut command = Command::new("/proc/self/exe");
        command.arg0(name).arg(&logs.level).env_clear();
        command.envs(VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        let mut child = command
            .current_dir("/")
            .stdin(OwnedFd::from(other))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(error)?;
        // From here on only the child has the other end.
        drop(command);
        let link = Link::open(own).map_err(error)?;
        let (Some(stderr), Some(pid)) = (child.stderr.take(), child.id()) else {
            return Err(error(io::ErrorKind::BrokenPipe.into()));
        };
        let log = tokio::spawn(listen(stderr, logs.line));
        Ok(Self { name, pid, child, link, confined: Confined::default(), log })
    }

    /// Ready when it has ended by itself, with the reason as far as known.
    pub(super) async fn ended(&mut self) -> ProcessError {
        let status = self.child.wait().await;
        self.read_last_lines().await;
        let how = match status {
            Ok(status) if status.signal() == Some(libc::SIGSYS) => {
                let call = audit::call_of(self.pid).await.map_or_else(
                    || "the kernel's log does not have its number".to_owned(),
                    |call| format!("its number is {call} ({})", std::env::consts::ARCH),
                );
                format!(
                    "{status}: it made a system call that is not in its list (seccomp), and was \
                     killed; {call}. Please report this"
                )
            }
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        ProcessError::Ended { name: self.name, pid: self.pid, how }
    }

    /// Waits for the requested end, and kills the process if that takes too long.
    pub(super) async fn end(mut self, patience: Duration) -> Option<ExitStatus> {
        let status = timeout(patience, self.child.wait()).await;
        if status.is_err() {
            tracing::debug!("{} does not end in time, and is killed", self.name);
            // It may end by itself at this moment.
            let _ = self.child.kill().await;
        }
        self.read_last_lines().await;
        status.ok().and_then(Result::ok)
    }

    async fn read_last_lines(&mut self) {
        if !self.log.is_finished() {
            let _ = timeout(LAST_LINES_PATIENCE, &mut self.log).await;
        }
    }
}

/// Passes lines on to the log.
async fn listen(stderr: ChildStderr, line_to_log: fn(&str)) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(true) = next_line(&mut reader, &mut line).await {
        let text = String::from_utf8_lossy(&line);
        line_to_log(&printable(text.trim_end()));
    }
}
