//! The command `underpass`: options, output, exit codes. What it does is `gateway`'s.
#![deny(unsafe_code)]

mod allocator;
mod cli;
mod show;

use anyhow::Context as _;
use clap::Parser as _;
use cli::{Cli, Command, StatusOptions, UpOptions};
use gateway::config::{Choices, RUNTIME_DIR};
use gateway::{Placement, Settings, Status};
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code for options and configuration that cannot be used; clap's own is the same.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| level.into());
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    log.with_env_filter(filter).init();
    let outcome = match cli.command {
        Command::Up(options) => match settings(options) {
            Ok(settings) => up(settings),
            Err(error) => {
                complain(&error);
                return ExitCode::from(USAGE);
            }
        },
        Command::Status(options) => status(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn complain(error: &anyhow::Error) {
    // If standard error is closed nobody can be told.
    let _ = writeln!(io::stderr(), "underpass: {error:#}");
}

fn runtime_dir() -> PathBuf {
    std::env::var_os("UNDERPASS_RUNTIME_DIR").map_or_else(|| RUNTIME_DIR.into(), PathBuf::from)
}

fn settings(options: UpOptions) -> anyhow::Result<Settings> {
    let file = options.config.as_deref().map(Choices::from_file).transpose()?.unwrap_or_default();
    Ok(options.choices().over(file).settle(default_relay(), runtime_dir())?)
}

/// The relay beside this program, in a WSL the one for Windows, which is to run on Windows' disk. Without one there it is looked up in `PATH`.
fn default_relay() -> (PathBuf, Placement) {
    const NAME: &str = "underpass-relay";
    let program = std::env::current_exe().unwrap_or_default();
    let windows = program.with_file_name(format!("{NAME}.exe"));
    if gateway::is_wsl() && windows.exists() {
        return (windows, Placement::OnWindowsDisk);
    }
    let beside = program.with_file_name(NAME);
    (if beside.exists() { beside } else { NAME.into() }, Placement::AsItLies)
}

fn up(settings: Settings) -> anyhow::Result<()> {
    allocator::return_what_is_idle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no event loop")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
        let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hang_up.recv() => {}
            }
        };
        gateway::run(settings, stop, announce).await.map_err(Into::into)
    })
}

fn announce(status: &Status) {
    let line = show::up_line(status);
    // Whoever closed standard output does not want to know.
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

fn status(options: &StatusOptions) -> anyhow::Result<()> {
    let status = gateway::control::status(&runtime_dir())?;
    let text = if options.json { serde_json::to_string_pretty(&status)? + "\n" } else { show::status(&status) };
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("the status could not be written"),
    }
}
