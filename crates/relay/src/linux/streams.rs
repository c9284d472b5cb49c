//! The process itself: its standard streams and its limits.

use crate::limits;
use anyhow::Context as _;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

/// The most that the kernel allows for an unprivileged pipe. More bytes per call mean fewer
/// wake-ups.
const PIPE_BYTES: i32 = 1024 * 1024;

/// Standard input and output, which must be pipes or sockets. Call it within the runtime that reads
/// and writes them.
///
/// # Errors
/// They are something else, or cannot be duplicated.
pub fn streams() -> anyhow::Result<(Box<dyn AsyncRead + Unpin>, Box<dyn AsyncWrite + Unpin>)> {
    let (stdin, stdout) = (stream(std::io::stdin().as_fd())?, stream(std::io::stdout().as_fd())?);
    let input: Box<dyn AsyncRead + Unpin> = if is_socket(&stdin) {
        Box::new(socket(stdin)?)
    } else {
        enlarge(&stdin);
        let pipe = pipe::Receiver::from_owned_fd(stdin);
        Box::new(pipe.context("standard input must be a pipe or a socket from the gateway")?)
    };
    let output: Box<dyn AsyncWrite + Unpin> = if is_socket(&stdout) {
        Box::new(socket(stdout)?)
    } else {
        enlarge(&stdout);
        let pipe = pipe::Sender::from_owned_fd(stdout);
        Box::new(pipe.context("standard output must be a pipe or a socket to the gateway")?)
    };
    Ok((input, output))
}

fn is_socket(fd: &OwnedFd) -> bool {
    fstat(fd).is_ok_and(|found| {
        SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK
    })
}

/// The program that made the socket chooses its buffer.
fn socket(fd: OwnedFd) -> anyhow::Result<UnixStream> {
    let socket = std::os::unix::net::UnixStream::from(fd);
    socket
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(socket))
        .context("a standard stream cannot be used")
}

fn enlarge(pipe: &OwnedFd) {
    // A smaller pipe works too, only slower.
    if let Err(error) = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)) {
        tracing::debug!(%error, "the pipe keeps its size");
    }
}

fn stream(fd: BorrowedFd<'_>) -> anyhow::Result<OwnedFd> {
    fd.try_clone_to_owned().context("a standard stream could not be duplicated")
}

/// Raises the soft limit of descriptors to the hard one, and returns the number of flows that fit
/// below it.
///
/// # Errors
/// The kernel's error about the limit.
pub fn max_flows() -> anyhow::Result<u32> {
    let limit = || {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
        nix::Result::Ok(hard)
    };
    Ok(limits::flows_below(limit().context("the limit of open files could not be raised")?))
}
