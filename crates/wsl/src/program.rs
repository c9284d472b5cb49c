//! Runs programs of this machine for their output.

use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;

/// How long such a program may take.
const PROGRAM_PATIENCE: Duration = Duration::from_millis(2500);

/// A program did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silent;

/// Runs a program to its end, in English. `None` if it is missing.
///
/// # Errors
/// It takes longer than `patience`.
pub async fn ask(
    program: &str,
    words: &[&str],
    patience: Duration,
) -> Result<Option<Output>, Silent> {
    let mut command = Command::new(program);
    command.args(words).env("LC_ALL", "C").stdin(Stdio::null()).kill_on_drop(true);
    // Users' shells often lack these folders, which contain `nft`, `iptables-save` and others.
    let mut path = foreign::trusted_path();
    path.push(if path.is_empty() { "/usr/sbin:/sbin" } else { ":/usr/sbin:/sbin" });
    command.env("PATH", path);
    timeout(patience, command.output()).await.map(Result::ok).map_err(|_| Silent)
}

/// Like [`ask`], for callers that treat a silent program like a missing one.
pub async fn run_within(program: &str, words: &[&str], patience: Duration) -> Option<Output> {
    ask(program, words, patience).await.ok().flatten()
}

/// Its output, if it succeeded.
pub async fn said(program: &str, words: &[&str]) -> Option<String> {
    let output = run_within(program, words, PROGRAM_PATIENCE).await?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
