//! The relay's program: makes the streams, raises the limits, and runs the engine.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use underpass_relay::{engine, os};

/// Opens ordinary sockets for the gateway in the VM. Started by `underpass up`; speaks frames on standard input and output.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Prints what is known of this host, as JSON, and ends.
    Facts,
}

fn main() -> ExitCode {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    if let Some(Command::Facts) = options.command {
        return print_facts();
    }
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

fn print_facts() -> ExitCode {
    let printed = serde_json::to_string_pretty(&os::facts())
        .map_err(std::io::Error::from)
        .and_then(|json| writeln!(std::io::stdout(), "{json}"));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the facts cannot be printed");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    let max_flows = os::max_flows()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no event loop")?;
    runtime.block_on(async {
        let (input, output) = os::streams()?;
        engine::run(input, output, max_flows, os::Resolver::default()).await.map_err(Into::into)
    })
}
