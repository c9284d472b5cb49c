//! `wsl.exe`, run until it ends: the client by which another distro starts the helper distro and
//! stays with its tunnel. Its lines are passed on as they come. Their meaning is unknown here.

use crate::attempt::{self, Attempt};
use crate::interop::{self, Failure, Start};
use crate::limits::HELLO_PATIENCE;
use crate::windows::{self, QuestionError};
use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use tokio::io::{AsyncRead, BufReader};

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error, `wsl.exe`'s or that of interop itself.
    Errors,
}

/// Runs `wsl.exe` with these arguments and no input, and returns how it ended. If interop does not
/// start it, or nothing comes from it for [`HELLO_PATIENCE`], tries another interop socket, if
/// there is one. Passes each line to `heard` without its end. Dropping the future ends `wsl.exe`.
///
/// # Errors
/// `wsl.exe` is not found, or interop does not work.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn run(
    words: &[&str],
    heard: impl FnMut(Stream, &str),
) -> Result<ExitStatus, QuestionError> {
    let program = windows::of_system("wsl.exe").await?;
    let question = format!("{} {}", program.display(), words.join(" "));
    let error = |source: std::io::Error| QuestionError::Answer {
        question: question.clone(),
        answer: source.to_string(),
    };
    let heard = RefCell::new(heard);
    attempt::by_each_socket(async || {
        let Start { mut command, way } = windows::command(&program, words)?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(error)?;
        let (any, failure) = (Cell::new(false), Cell::new(None));
        let output = lines(child.stdout.take(), |line| {
            any.set(true);
            heard.borrow_mut()(Stream::Output, line);
        });
        let errors = lines(child.stderr.take(), |line| {
            any.set(true);
            failure.set(interop::failure_in(line).or(failure.take()));
            heard.borrow_mut()(Stream::Errors, line);
        });
        let mut ends = pin!(async { tokio::join!(output, errors) });
        let is_late = tokio::time::timeout(HELLO_PATIENCE, ends.as_mut()).await.is_err();
        if is_late && !any.get() && way.has_other {
            child.kill().await.map_err(error)?;
            failure.set(Some(Failure::Silent));
        } else if is_late {
            ends.await;
        }
        let outcome = child.wait().await.map_err(error)?;
        Ok(Attempt { way, outcome, failure: failure.take() })
    })
    .await
}

/// Passes each line of a stream to `heard`, up to the stream's end.
async fn lines(stream: Option<impl AsyncRead + Unpin>, mut heard: impl FnMut(&str)) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    while let Ok(Some(line)) = windows::next_line(&mut reader).await {
        heard(&line);
    }
}
