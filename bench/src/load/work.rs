//! The common parts of all clients: a clock, workers to wait for, and errors.

use anyhow::Result;
use std::fmt::Display;
use std::future::Future;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A connection or an echoed byte that takes longer has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// After a failure, so that a missing server does not get requests without pause.
pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// The number of different failure texts that are kept, so that the most frequent failure hides no
/// other.
const TEXTS: usize = 10;

/// The only place that reads the clock.
#[expect(clippy::disallowed_methods, reason = "this program measures time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Runs all workers at once to their ends.
///
/// # Errors
/// One of them panicked.
pub(crate) async fn all<W>(workers: impl IntoIterator<Item = W>) -> Result<Vec<W::Output>>
where
    W: Future<Output: Send + 'static> + Send + 'static,
{
    let mut set: JoinSet<_> = workers.into_iter().collect();
    let mut outcomes = Vec::with_capacity(set.len());
    while let Some(outcome) = set.join_next().await {
        outcomes.push(outcome?);
    }
    Ok(outcomes)
}

/// Runs something for at most `patience`; its error says what took too long.
pub(crate) async fn within<T>(
    patience: Duration,
    what: &str,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::time::timeout(patience, work).await.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{what} took more than {} s", patience.as_secs()),
        ))
    })
}

/// The number of errors, and the first text of each kind.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    pub(crate) count: u64,
    /// At most [`TEXTS`].
    pub(crate) texts: Vec<String>,
}

impl Errors {
    /// Counts one failure of `what`.
    pub(crate) fn note(&mut self, what: &str, error: impl Display) {
        self.count += 1;
        self.keep(format!("{what}: {error}"));
    }

    pub(crate) fn take_in(&mut self, others: Self) {
        self.count += others.count;
        others.texts.into_iter().for_each(|text| self.keep(text));
    }

    fn keep(&mut self, text: String) {
        if self.texts.len() < TEXTS && !self.texts.contains(&text) {
            self.texts.push(text);
        }
    }

    /// Prints the first of them on standard error: the line of JSON has only their number.
    pub(crate) fn tell(&self) {
        if let Some(first) = self.texts.first() {
            let _ =
                writeln!(io::stderr(), "underpass-load: {} failures, such as {first}", self.count);
        }
    }
}
