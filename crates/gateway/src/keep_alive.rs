//! Keeps the helper distro running, which is the task of its boot command.
//!
//! WSL ends a distro 15 s (`general.instanceIdleTimeout`) after its last registered client, and
//! only Windows processes that asked WSL's service for the distro are clients (microsoft/WSL,
//! `src/windows/service/exe/LxssUserSession.cpp`, `_CreateInstance`). Neither the gateway nor the
//! relay is one: the `wslhost.exe` that serves `/run/WSL/1_interop` registers for no distro
//! (`src/windows/wslhost/main.cpp`). So this starts a client through interop, and again when it
//! ends: `wsl.exe -d NAME --exec /bin/cat`. `wsl --terminate` and `--shutdown` still end the
//! distro, and this process with it.
//!
//! The command is `cat` because it ends with its input, so the client ends with this process, and
//! because it sends back what it gets: one line that comes back proves that the client runs.

use crate::interop::{self, Failure, Start};
use crate::limits::{
    HELLO_PATIENCE, KEEP_ALIVE_BACK_OFF, KEEP_ALIVE_HEALTHY_AFTER, SOCKET_PATIENCE,
};
use crate::status::{KeepAlive, KeepAliveState};
use crate::windows::{self, QuestionError};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

/// The line that the client gets and sends back.
const LINE: &[u8] = b"held\n";

/// Bytes that are kept of the output of a client that does not run.
const WORDS_BYTES: usize = 4096;

/// Why no client holds the distro.
#[derive(Debug, thiserror::Error)]
enum HoldError {
    /// `wsl.exe` is not found, or interop does not work.
    #[error(transparent)]
    Windows(#[from] QuestionError),
    /// The kernel does not start it.
    #[error("{} cannot be started: {source}", .program.display())]
    Spawn { program: PathBuf, source: io::Error },
    /// Interop did not start it, and there is another socket to try.
    #[error("{0}")]
    Socket(String),
    /// It neither ends nor sends the line back.
    #[error(
        "{} does not answer: Windows, or an antivirus program, holds it up",
        .program.display()
    )]
    Silent { program: PathBuf },
    /// It ran and ended.
    #[error("{} ended ({status}): {words}", .program.display())]
    Ended { program: PathBuf, status: ExitStatus, words: String },
}

/// Holds the distro `name` until `stop` is ready. The state is kept in `runtime_dir` for
/// [`crate::Status`].
///
/// # Errors
/// The state cannot be written.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn hold(
    name: &str,
    runtime_dir: &Path,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    fs::create_dir_all(runtime_dir)?;
    let note = Note::new(runtime_dir);
    let mut stop = pin!(stop);
    let mut wait = KEEP_ALIVE_BACK_OFF.first;
    let mut last_error: Option<String> = None;
    loop {
        note.write(KeepAliveState::Starting, last_error.as_deref())?;
        let mut held_since = None;
        let held = || {
            held_since = Some(Instant::now());
            // The client runs whether or not that can be written down.
            let _ = note.write(KeepAliveState::Held, None);
            tracing::info!("a client of WSL keeps this distro running");
        };
        let Some(Err(error)) = until(client(name, held), stop.as_mut()).await else { break };
        if let HoldError::Socket(why) = error {
            // No client has run, so there is nothing to wait for.
            tracing::warn!("{why}");
            continue;
        }
        if held_since.is_some_and(|since| since.elapsed() >= KEEP_ALIVE_HEALTHY_AFTER) {
            wait = KEEP_ALIVE_BACK_OFF.first;
            last_error = None;
        }
        let error = error.to_string();
        note.write(KeepAliveState::Waiting, Some(&error))?;
        // The same error again is nothing new.
        if last_error.as_ref() != Some(&error) {
            tracing::warn!(
                "nothing keeps this distro running: {error}; WSL ends it some seconds after its \
                 last wsl.exe. Keep one running on Windows (`wsl -d {name} up`) meanwhile, or set \
                 instanceIdleTimeout=-1 under [general] in .wslconfig"
            );
        }
        last_error = Some(error);
        // At least the first wait: where WSL ends this distro, its client ends a moment before this
        // process, and a new client would start the distro again.
        if until(tokio::time::sleep(wait), stop.as_mut()).await.is_none() {
            break;
        }
        wait = (wait * 2).min(KEEP_ALIVE_BACK_OFF.longest);
    }
    Ok(())
}

/// The result of the future; `None` if `stop` is ready first.
async fn until<T>(
    future: impl Future<Output = T>,
    stop: Pin<&mut impl Future<Output = ()>>,
) -> Option<T> {
    tokio::select! {
        output = future => Some(output),
        () = stop => None,
    }
}

/// Runs one client, from its start to its end. Calls `held` when it runs.
async fn client(name: &str, held: impl FnOnce()) -> Result<(), HoldError> {
    let program = windows::of_system("wsl.exe").await?;
    let words = ["-d", name, "--exec", "/bin/cat"];
    let Start { mut command, way } =
        windows::command(&program, &words).map_err(QuestionError::from)?;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let spawned = command.spawn();
    let mut child =
        spawned.map_err(|source| HoldError::Spawn { program: program.clone(), source })?;
    // It stays open as long as the client is to run.
    let mut input = child.stdin.take();
    if let Some(input) = &mut input {
        // A client that does not take it ends and reports why.
        let _ = input.write_all(LINE).await;
    }
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let (mut held, is_held) = (Some(held), Cell::new(false));
    let heard = |bytes: &[u8]| {
        // A warning may come first.
        if bytes.windows(LINE.len()).any(|piece| piece == LINE)
            && let Some(held) = held.take()
        {
            is_held.set(true);
            held();
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let ends = async {
        tokio::join!(listen(stdout, &mut output, heard), listen(stderr, &mut errors, |_| ()))
    };
    // A relay has the same time until its hello.
    let patience = if way.has_other { SOCKET_PATIENCE } else { HELLO_PATIENCE };
    let is_silent = {
        let mut ends = pin!(ends);
        let is_late = tokio::time::timeout(patience, ends.as_mut()).await.is_err();
        if is_late && is_held.get() {
            ends.await;
        }
        is_late && !is_held.get()
    };
    if is_silent {
        way.failed(interop::now());
        // Dropped, the client is killed.
        let silence = if way.has_other {
            HoldError::Socket(Failure::Silent.text(&way))
        } else {
            HoldError::Silent { program }
        };
        return Err(silence);
    }
    let status = child
        .wait()
        .await
        .map_err(|source| HoldError::Spawn { program: program.clone(), source })?;
    if is_held.get() {
        output.clear();
    }
    if let Some(failure) = interop::failure_in(&String::from_utf8_lossy(&errors)) {
        way.failed(interop::now());
        if way.has_other {
            return Err(HoldError::Socket(failure.text(&way)));
        }
    }
    let words = windows::words(&[&errors, &output]);
    let words = if words.is_empty() { "it said nothing".to_owned() } else { words };
    Err(HoldError::Ended { program, status, words })
}

/// Reads a stream to its end and keeps its beginning. Calls `heard` with what is kept so far.
async fn listen(
    stream: Option<impl AsyncRead + Unpin>,
    kept: &mut Vec<u8>,
    mut heard: impl FnMut(&[u8]),
) {
    let Some(mut stream) = stream else { return };
    let mut piece = [0; 512];
    while let Ok(n @ 1..) = stream.read(&mut piece).await {
        let room = WORDS_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..n.min(room)]);
        heard(kept);
    }
}

/// The state in the file.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// The process that wrote it.
    pid: u32,
    #[serde(flatten)]
    state: KeepAlive,
}

/// The file with the state. It is removed with this value.
#[derive(Debug)]
struct Note(PathBuf);

impl Note {
    fn new(runtime_dir: &Path) -> Self {
        Self(note_path(runtime_dir))
    }

    fn write(&self, state: KeepAliveState, last_error: Option<&str>) -> io::Result<()> {
        let state = KeepAlive { state, last_error: last_error.map(str::to_owned) };
        let new = self.0.with_extension("new");
        fs::write(&new, serde_json::to_vec(&Written { pid: std::process::id(), state })?)?;
        fs::rename(new, &self.0)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // A file that remains names a process that has ended.
        let _ = fs::remove_file(&self.0);
    }
}

fn note_path(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("keep-alive")
}

/// The state that a running process of [`hold`] has written.
pub(crate) fn state(runtime_dir: &Path) -> Option<KeepAlive> {
    let written: Written = serde_json::from_slice(&fs::read(note_path(runtime_dir)).ok()?).ok()?;
    Path::new("/proc").join(written.pid.to_string()).exists().then_some(written.state)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    #[test]
    fn the_state_is_known_while_its_writer_lives() {
        let scratch = Scratch::new("keep-alive");
        let folder = scratch.path();
        assert_eq!(state(folder), None);
        let note = Note::new(folder);
        note.write(KeepAliveState::Waiting, Some("no wsl.exe")).unwrap();
        let waiting =
            KeepAlive { state: KeepAliveState::Waiting, last_error: Some("no wsl.exe".to_owned()) };
        assert_eq!(state(folder), Some(waiting.clone()));
        // No process has this number (kernel/pid.h: at most 2^22).
        let dead = Written { pid: 1 << 23, state: waiting };
        fs::write(note_path(folder), serde_json::to_vec(&dead).unwrap()).unwrap();
        assert_eq!(state(folder), None, "what a killed one left");
        drop(note);
        assert_eq!(scratch.count(), 0);
    }

    #[tokio::test]
    async fn where_no_client_can_be_started_it_says_why() {
        let scratch = Scratch::new("hold");
        let waits = async {
            loop {
                if let Some(KeepAlive { state: KeepAliveState::Waiting, last_error: Some(error) }) =
                    state(scratch.path())
                {
                    assert!(error.contains("wsl.exe"), "{error}");
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        hold("underpass", scratch.path(), waits).await.unwrap();
        assert_eq!(scratch.count(), 0, "nothing is left");
    }
}
