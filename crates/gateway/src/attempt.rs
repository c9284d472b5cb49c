//! Starts a Windows program by one interop socket after another, until interop starts it or no
//! other socket is left. `interop_sockets.rs` chooses the next socket. This module does not know
//! the program's purpose.

use crate::interop::{self, Failure, Start};
use crate::interop_sockets::Way;
use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// Bytes of a program's standard error that are kept.
const WORDS_BYTES: usize = 4096;

/// The outcome of a start by one socket.
#[derive(Debug)]
pub(crate) struct Attempt<T> {
    pub(crate) way: Way,
    pub(crate) outcome: T,
    /// Why interop did not start the program; `None` if it did.
    pub(crate) failure: Option<Failure>,
}

/// Why a program gave no output.
#[derive(Debug)]
pub(crate) enum RunError<E> {
    /// Its command could not be prepared.
    Prepare(E),
    /// The kernel did not run it.
    Spawn(io::Error),
    /// It did not end in time.
    Silent,
}

/// Repeats `attempt` as long as interop does not start the program and there is another socket.
/// From then on this process avoids each socket that failed.
///
/// # Errors
/// Those of `attempt`.
pub(crate) async fn by_each_socket<T, E, F>(mut attempt: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<Attempt<T>, E>>,
{
    loop {
        let Attempt { way, outcome, failure } = attempt().await?;
        let Some(failure) = failure else { return Ok(outcome) };
        tracing::warn!("{}", failure.text(&way));
        way.failed(interop::now());
        if !way.has_other {
            return Ok(outcome);
        }
    }
}

/// Runs a program to its end, without input. `prepare` makes a new command for each socket.
///
/// # Errors
/// See [`RunError`].
pub(crate) async fn output<E>(
    patience: Duration,
    prepare: impl Fn() -> Result<Start, E>,
) -> Result<Output, RunError<E>> {
    by_each_socket(|| {
        let prepared = prepare();
        async move {
            let Start { command, way } = prepared.map_err(RunError::Prepare)?;
            let outcome = finish(command, patience).await?;
            let words = String::from_utf8_lossy(&outcome.stderr);
            let failure = if outcome.status.success() { None } else { interop::failure_in(&words) };
            Ok(Attempt { way, outcome, failure })
        }
    })
    .await
}

/// Runs a command once, without input.
pub(crate) async fn finish<E>(
    mut command: Command,
    patience: Duration,
) -> Result<Output, RunError<E>> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    match tokio::time::timeout(patience, command.output()).await {
        Ok(output) => output.map_err(RunError::Spawn),
        Err(_) => Err(RunError::Silent),
    }
}

/// Reads a stream to its end and keeps its beginning: a program must never block on its standard
/// error.
pub(crate) async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return String::new() };
    let mut piece = [0; 512];
    while let Ok(n @ 1..) = stream.read(&mut piece).await {
        kept.extend_from_slice(&piece[..n.min(WORDS_BYTES.saturating_sub(kept.len()))]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(outcomes: &[(bool, Option<Failure>)]) -> (usize, usize) {
        let mut count = 0;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let last = runtime.block_on(by_each_socket(|| {
            let (has_other, failure) = outcomes[count].clone();
            count += 1;
            let mut way = Way::default();
            way.has_other = has_other;
            std::future::ready(Result::<_, ()>::Ok(Attempt { way, outcome: count, failure }))
        }));
        (last.unwrap(), count)
    }

    #[test]
    fn starts_go_on_until_interop_starts_the_program_or_no_socket_is_left() {
        let failed = || Some(Failure::Reported);
        assert_eq!(tries(&[(true, None)]), (1, 1));
        assert_eq!(
            tries(&[(true, failed()), (true, Some(Failure::Silent)), (false, None)]),
            (3, 3)
        );
        assert_eq!(
            tries(&[(true, failed()), (false, failed())]),
            (2, 2),
            "the last failure is the answer"
        );
    }
}
