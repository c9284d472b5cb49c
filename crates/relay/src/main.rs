//! The relay's program: makes the streams, raises the limits, and runs the engine.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::Parser;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::io::IsTerminal as _;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use tokio::net::unix::pipe;
use underpass_relay::{dns, engine, limits};

/// Opens ordinary sockets for the gateway in the VM. Started by `underpass up`; speaks frames on standard input and output.
#[derive(Parser)]
#[command(version)]
struct Options {}

/// What the kernel lets an unprivileged pipe hold; more bytes in one go are fewer wake-ups.
const PIPE_BYTES: i32 = 1024 * 1024;

fn main() -> ExitCode {
    let Options {} = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    if std::io::stdin().is_terminal() || std::io::stdout().is_terminal() {
        tracing::error!(
            "this program speaks frames with its gateway and is of no use on a terminal: run `underpass up`, which starts it"
        );
        return ExitCode::from(2);
    }
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    let max_flows = raise_descriptor_limit().context("the limit of open files could not be read")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no event loop")?;
    runtime.block_on(async {
        let stdin = pipe::Receiver::from_owned_fd(stream(std::io::stdin().as_fd())?)
            .context("standard input must be a pipe from the gateway")?;
        let stdout = pipe::Sender::from_owned_fd(stream(std::io::stdout().as_fd())?)
            .context("standard output must be a pipe to the gateway")?;
        engine::run(stdin, stdout, max_flows, dns::Resolver::default()).await.map_err(Into::into)
    })
}

fn stream(fd: std::os::fd::BorrowedFd<'_>) -> anyhow::Result<OwnedFd> {
    // A smaller pipe works too, only slower.
    if let Err(error) = fcntl(fd, FcntlArg::F_SETPIPE_SZ(PIPE_BYTES)) {
        tracing::debug!(%error, "the pipe keeps its size");
    }
    fd.try_clone_to_owned().context("a standard stream could not be duplicated")
}

/// Raises the soft limit of descriptors to the hard one, and gives how many flows fit below it.
fn raise_descriptor_limit() -> nix::Result<u32> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(limits::flows_below(hard))
}
