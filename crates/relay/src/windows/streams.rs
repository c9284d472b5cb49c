//! The process itself: its standard streams and its limits.

use crate::limits;
use crate::pump::{self, Input, Output};
use anyhow::Context as _;
use std::fs::File;
use std::os::windows::io::AsHandle;

/// Standard input and output. They are synchronous handles, whichever program made them: a thread
/// each.
///
/// # Errors
/// They are missing, or no thread can be started.
pub fn streams()
-> anyhow::Result<(impl tokio::io::AsyncRead + Unpin, impl tokio::io::AsyncWrite + Unpin)> {
    let input: Input =
        pump::read(file(&std::io::stdin())?).context("no thread for standard input")?;
    let output: Output =
        pump::write(file(&std::io::stdout())?).context("no thread for standard output")?;
    Ok((input, output))
}

/// The stream without the standard library's own buffer and lock.
fn file(stream: &impl AsHandle) -> anyhow::Result<File> {
    Ok(stream
        .as_handle()
        .try_clone_to_owned()
        .context("a standard stream could not be duplicated")?
        .into())
}

/// The number of flows. Windows has no limit of open handles below its dynamic ports.
///
/// # Errors
/// Never.
pub fn max_flows() -> anyhow::Result<u32> {
    Ok(limits::MAX_FLOWS)
}
