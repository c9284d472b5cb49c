//! A relay's process: its start, its standard error, and the errors of a failed start. Knows no
//! frame.

use crate::config::VIA_VARIABLE;
use crate::deploy::{self, DeployError};
use crate::engine::now;
use crate::interop::{self, InteropError, Start};
use crate::interop_sockets::Way;
use crate::limits::{HELLO_PATIENCE, SOCKET_PATIENCE, STDERR_LINE_BYTES, STDERR_LINES};
use crate::log_budget::LogBudget;
use crate::program::Kind;
use crate::relay_command::{RelayCommand, Whose};
use crate::relay_streams;
use crate::relays::StartedRelay;
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, Command};

impl RelayCommand {
    /// The command, without its streams, and the kind of the program.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn prepare(&self) -> Result<(Start, Kind), SpawnError> {
        if let Whose::CopyOf(original) = &self.file {
            deploy::restore(original, &self.program)?;
        }
        // A mere name is looked up where no other user can put a program, so that the program that
        // is judged is also the one that starts.
        let found = match self.program.to_str().filter(|name| !name.contains('/')) {
            Some(name) => foreign::trusted_program(name)
                .ok_or_else(|| SpawnError::NotFound { program: self.program.clone() })?,
            None => self.program.clone(),
        };
        let kind = Kind::of(&found);
        // Chosen for each start: the session whose socket served the last one may have ended.
        let started = match kind {
            Kind::Windows(_) => interop::command(&found).map(Some),
            // From a place where other users can write, only a Windows program is started.
            _ if self.file != Whose::Given => Err(InteropError::NotWindows(self.program.clone())),
            Kind::Linux(_) | Kind::Other => Ok(None),
        };
        let mut relay = match started {
            Ok(Some(mut relay)) => {
                // To Windows a distro's folder is on a network share, which costs seconds.
                if let Some(folder) = found.parent().filter(|folder| folder.is_absolute()) {
                    relay.command.current_dir(folder);
                }
                relay
            }
            // Checked before: the C library has a shell run what the kernel does not know.
            Ok(None) if !is_executable(kind) => {
                return Err(SpawnError::new(
                    self.program.clone(),
                    io::Error::from_raw_os_error(libc::ENOEXEC),
                ));
            }
            Ok(None) => {
                let mut command = Command::new(&found);
                let way = interop::name_socket(&mut command);
                Start { command, way }
            }
            Err(InteropError::NoInterpreter) => {
                return Err(SpawnError::Format { program: self.program.clone() });
            }
            Err(source) => {
                return Err(SpawnError::Interop { program: self.program.clone(), source });
            }
        };
        // A frame carries the proxy: an inherited environment can be read as long as the process
        // runs.
        relay.command.args(&self.args).env_remove(VIA_VARIABLE);
        Ok((relay, kind))
    }
}

/// Why no relay could be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error(
        "the relay program {} was not found: give its path with --relay; the helper distro and \
         scripts/static-cargo have one beside `underpass`",
        .program.display()
    )]
    NotFound {
        /// The program.
        program: PathBuf,
    },
    /// The file is not executable.
    #[error(
        "the relay program {} is not executable: check the file's permissions (chmod +x); for a \
         Windows program also that neither its access rights nor a Windows policy (AppLocker) \
         forbid it, or give another path with --relay",
        .program.display()
    )]
    NotExecutable {
        /// The file.
        program: PathBuf,
    },
    /// It is built for another processor.
    #[error(
        "the relay program {} is built for {processor}, and this machine is {}: take the one that \
         was built for it",
        .program.display(), std::env::consts::ARCH
    )]
    Processor {
        /// The file.
        program: PathBuf,
        /// What it is built for.
        processor: &'static str,
    },
    /// The kernel cannot run it.
    #[error(
        "the relay program {} cannot be executed by this system (exec format error): for a Windows \
         program WSL's interop is off or its binfmt_misc entry is missing; see [interop] in \
         /etc/wsl.conf, then `wsl --shutdown`",
        .program.display()
    )]
    Format {
        /// The file.
        program: PathBuf,
    },
    /// WSL cannot start Windows programs.
    #[error("the relay program {} cannot be started: {source}", .program.display())]
    Interop {
        /// The file.
        program: PathBuf,
        /// Why.
        source: InteropError,
    },
    /// Its copy is gone and cannot be made again.
    #[error("the relay cannot be started: {0}")]
    Deploy(#[from] DeployError),
    /// Anything else.
    #[error("the relay program {} could not be started: {source}", .program.display())]
    Other {
        /// The file.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl SpawnError {
    pub(crate) fn new(program: PathBuf, source: io::Error) -> Self {
        match source.raw_os_error() {
            Some(libc::ENOENT) => Self::NotFound { program },
            Some(libc::EACCES | libc::EPERM) => Self::NotExecutable { program },
            Some(libc::ENOEXEC) => match Kind::of(&program) {
                Kind::Linux(Some(processor)) => Self::Processor { program, processor },
                Kind::Linux(None) | Kind::Windows(_) | Kind::Other => Self::Format { program },
            },
            _ => Self::Other { program, source },
        }
    }
}

/// The last lines that a relay wrote to its standard error.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords(Arc<Mutex<VecDeque<String>>>);

impl LastWords {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == STDERR_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    pub(crate) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

/// A running relay. Dropping it kills the process.
pub(crate) struct RelayProcess {
    child: Child,
    /// The kind of its program.
    pub(crate) kind: Kind,
    /// The interop socket that started it.
    pub(crate) way: Way,
    pub(crate) last_words: LastWords,
    /// Ends when the relay's standard error was read to its end.
    stderr: tokio::task::JoinHandle<()>,
}

impl RelayProcess {
    /// Starts it, and returns what the engine needs, with its input and output. Must be called
    /// within a tokio runtime.
    pub(crate) fn start(
        command: &RelayCommand,
        lane: usize,
    ) -> Result<(Self, StartedRelay, [OwnedFd; 2]), SpawnError> {
        let error = |source| SpawnError::new(command.program.clone(), source);
        let (Start { command: mut relay, way }, kind) = command.prepare()?;
        let (stdin, stdout, ends) = relay_streams::make(kind).map_err(error)?;
        let mut child = relay
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            // The gateway acts on a terminal's Ctrl-C and ends its relays itself.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(error)?;
        let (Some(stderr), Some(pid)) = (child.stderr.take(), child.id()) else {
            return Err(error(io::ErrorKind::BrokenPipe.into()));
        };
        let (streams, ends) = ends.of(&mut child).map_err(error)?;
        tracing::debug!(lane, pid, "relay started");
        let last_words = LastWords::default();
        let stderr = tokio::spawn(listen(stderr, last_words.clone(), lane));
        let patience = if way.has_other { SOCKET_PATIENCE } else { HELLO_PATIENCE };
        let started = StartedRelay { pid, streams, patience };
        Ok((Self { child, kind, way, last_words, stderr }, started, ends))
    }

    /// Waits for the process, whose input is closed, and kills it if it does not end. Returns its
    /// exit status after its last lines were read.
    pub(crate) async fn end(mut self) -> Option<ExitStatus> {
        let status =
            match tokio::time::timeout(crate::limits::STOP_PATIENCE, self.child.wait()).await {
                Ok(status) => status.ok(),
                Err(_) => {
                    // It may end by itself at this moment.
                    let _ = self.child.kill().await;
                    None
                }
            };
        // A grandchild may hold the stream open; its output is not awaited.
        let _ = tokio::time::timeout(crate::limits::STOP_PATIENCE, self.stderr).await;
        status
    }
}

/// Whether the kernel can run a program of that kind.
fn is_executable(kind: Kind) -> bool {
    match kind {
        Kind::Linux(Some(processor)) => {
            processor == std::env::consts::ARCH || interop::interprets(interop::ELF)
        }
        // Interop starts Windows programs.
        Kind::Linux(None) | Kind::Other | Kind::Windows(_) => true,
    }
}

/// Reads everything to the end: a relay must never block on its standard error.
async fn listen(stderr: ChildStderr, last_words: LastWords, lane: usize) {
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut budget = LogBudget::default();
    while let Ok(true) = next_line(&mut reader, &mut line).await {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        if !text.is_empty() {
            if let Some(left_out) = budget.take(now()) {
                if left_out > 0 {
                    tracing::warn!(lane, "{left_out} lines of the relay's are left out here");
                }
                tracing::info!(target: "relay", lane, "{text}");
            }
            last_words.push(text);
        }
    }
}

/// The next line, cut to [`STDERR_LINE_BYTES`]; false at the end.
pub(crate) async fn next_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    let mut any = false;
    loop {
        let bytes = reader.fill_buf().await?;
        if bytes.is_empty() {
            return Ok(any);
        }
        any = true;
        let end = bytes.iter().position(|b| *b == b'\n');
        let taken = end.map_or(bytes.len(), |end| end + 1);
        let room = STDERR_LINE_BYTES.saturating_sub(line.len());
        line.extend_from_slice(&bytes[..taken.min(room)]);
        reader.consume(taken);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn errors_name_what_to_do() {
        let text = |code| {
            SpawnError::new("/x/relay".into(), io::Error::from_raw_os_error(code)).to_string()
        };
        assert!(text(libc::ENOENT).contains("not found"));
        assert!(text(libc::EACCES).contains("chmod +x"));
        assert!(text(libc::ENOEXEC).contains("interop"));
        assert!(text(libc::EMFILE).contains("/x/relay"));
    }

    #[tokio::test]
    async fn a_program_for_another_processor_is_named() {
        let scratch = Scratch::new("foreign");
        let mut program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let (other, machine) =
            if cfg!(target_arch = "x86_64") { ("aarch64", 183) } else { ("x86_64", 62) };
        program[18] = machine;
        let program = scratch.write("relay", program);
        let command = RelayCommand { program, args: Vec::new(), file: Whose::Given };
        let said = RelayProcess::start(&command, 0).map(drop).map_err(|error| error.to_string());
        // Unless the kernel runs such programs by QEMU.
        if !interop::interprets(interop::ELF) {
            assert!(said.is_err_and(|said| said.contains(&format!("is built for {other}"))));
        }
    }

    #[tokio::test]
    async fn the_last_lines_are_kept_and_long_ones_cut() {
        let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo line $i >&2; done; \
                      head -c 5000 /dev/zero | tr '\\0' x >&2; exit 3";
        let command = RelayCommand {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            file: Whose::Given,
        };
        let (process, _, _) = RelayProcess::start(&command, 0).expect("sh starts");
        let words = process.last_words.clone();
        let status = process.end().await.expect("it ended by itself");
        assert_eq!(status.code(), Some(3));
        let text = words.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), STDERR_LINES);
        assert_eq!(lines[STDERR_LINES - 2], "line 12");
        assert_eq!(lines[STDERR_LINES - 1].len(), STDERR_LINE_BYTES);
    }
}
