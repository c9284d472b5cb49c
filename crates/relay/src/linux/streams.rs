//! The process itself: its standard streams and its limits.

use crate::limits;
use anyhow::Context as _;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::net::unix::pipe;

/// What the kernel lets an unprivileged pipe hold; more bytes in one go are fewer wake-ups.
const PIPE_BYTES: i32 = 1024 * 1024;

/// Standard input and output, which must be pipes. To be called within the runtime that reads and writes them.
///
/// # Errors
/// They are something else, or cannot be duplicated.
pub fn streams() -> anyhow::Result<(pipe::Receiver, pipe::Sender)> {
    let stdin = pipe::Receiver::from_owned_fd(stream(std::io::stdin().as_fd())?)
        .context("standard input must be a pipe from the gateway")?;
    let stdout = pipe::Sender::from_owned_fd(stream(std::io::stdout().as_fd())?)
        .context("standard output must be a pipe to the gateway")?;
    Ok((stdin, stdout))
}

fn stream(fd: BorrowedFd<'_>) -> anyhow::Result<OwnedFd> {
    // A smaller pipe works too, only slower.
    if let Err(error) = fcntl(fd, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)) {
        tracing::debug!(%error, "the pipe keeps its size");
    }
    fd.try_clone_to_owned().context("a standard stream could not be duplicated")
}

/// Raises the soft limit of descriptors to the hard one, and gives how many flows fit below it.
///
/// # Errors
/// What the kernel says of the limit.
pub fn max_flows() -> anyhow::Result<u32> {
    let limit = || {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        nix::Result::Ok(hard)
    };
    Ok(limits::flows_below(limit().context("the limit of open files could not be raised")?))
}
