//! The relay's program: makes the streams, raises the limits, and runs the engine.
#![forbid(unsafe_code)]

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;
use underpass_relay::{engine, meter, os, probe, watch};

/// Opens ordinary sockets for the gateway in the VM. Started by `underpass up`; speaks frames on
/// standard input and output.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Prints this host's facts as JSON, and exits.
    Facts,
    /// Prints the value of an environment variable of this host as JSON, and exits.
    Variable {
        /// Its name, such as LOCALAPPDATA
        name: String,
    },
    /// Prints what this host can reach by itself right now as JSON, and exits.
    #[command(
        after_help = "Examples:\n  underpass-relay probe --resolve www.example.com --connect 192.0.2.1:443"
    )]
    Probe(Questions),
    /// Prints the proxy that Windows uses for a URL, by its script (PAC), setting and bypass list,
    /// as JSON, and exits.
    #[command(after_help = "Examples:\n  underpass-relay.exe proxy https://www.example.com/")]
    Proxy {
        /// The URL, such as https://www.example.com/
        url: String,
    },
    /// Installs Underpass by the install.ps1 that lies beside this program, for winget.
    #[cfg(windows)]
    #[command(hide = true)]
    Install,
    /// Counts, sends and echoes bytes for `underpass selftest` until its standard input ends.
    #[command(hide = true)]
    Meter {
        /// Uses a port of 127.0.0.1, which is printed as JSON, in place of the standard streams
        #[arg(long)]
        listen: bool,
    },
    /// Waits for a change of this host's network, prints it as JSON, and exits.
    #[command(hide = true)]
    Watch {
        /// How many seconds to wait
        #[arg(long, value_name = "N", default_value_t = 30)]
        seconds: u64,
    },
}

#[derive(Args)]
struct Questions {
    /// A name to resolve with this host's resolver; can be repeated
    #[arg(long, value_name = "NAME")]
    resolve: Vec<String>,
    /// A destination to connect to by TCP; can be repeated
    #[arg(long, value_name = "HOST:PORT")]
    connect: Vec<String>,
}

fn main() -> ExitCode {
    // Before anything that loads a library.
    let hardened = os::harden();
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .init();
    if let Err(error) = hardened {
        tracing::warn!(%error, "other processes of this user could change or read this one");
    }
    match options.command {
        Some(Command::Facts) => return print(&os::facts()),
        Some(Command::Variable { name }) => return print(&std::env::var(name).ok()),
        Some(Command::Probe(questions)) => return print_probe(&questions),
        Some(Command::Proxy { url }) => return print_proxy(&url),
        #[cfg(windows)]
        Some(Command::Install) => return install(),
        Some(Command::Meter { listen }) => return code(run_meter(listen)),
        Some(Command::Watch { seconds }) => return print_change(Duration::from_secs(seconds)),
        None => {}
    }
    if std::io::stdin().is_terminal() || std::io::stdout().is_terminal() {
        tracing::error!(
            "this program exchanges frames with its gateway and is of no use on a terminal: \
                run `underpass up`, which starts it"
        );
        return ExitCode::from(2);
    }
    code(serve())
}

/// With the exit code of the script.
#[cfg(windows)]
fn install() -> ExitCode {
    match os::install() {
        Ok(status) => match status.code().map(u8::try_from) {
            Some(Ok(code)) => ExitCode::from(code),
            Some(Err(_)) | None => ExitCode::FAILURE,
        },
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn code(outcome: anyhow::Result<()>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_meter(listen: bool) -> anyhow::Result<()> {
    let mut stdin = std::io::stdin().lock();
    let mut stdout = std::io::stdout().lock();
    if !listen {
        return meter::serve(stdin, stdout).context("the measurement ended early");
    }
    let port = meter::listen().context("no port of 127.0.0.1 could be opened")?;
    writeln!(stdout, "{{\"port\":{port}}}")
        .and_then(|()| stdout.flush())
        .context("the port cannot be printed")?;
    // The parent holds the input open for the duration of the measurement.
    std::io::copy(&mut stdin, &mut std::io::sink()).context("standard input failed")?;
    Ok(())
}

fn print_change(patience: Duration) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no event loop");
            return ExitCode::FAILURE;
        }
    };
    let code = match runtime.block_on(watch::first(&os::Resolver::default(), patience)) {
        Ok(seen) => print(&seen),
        Err(error) => {
            tracing::error!(%error, "changes of the network cannot be watched");
            ExitCode::FAILURE
        }
    };
    runtime.shutdown_background();
    code
}

fn print(answer: &impl serde::Serialize) -> ExitCode {
    let printed = serde_json::to_string_pretty(answer)
        .map_err(std::io::Error::from)
        .and_then(|json| writeln!(std::io::stdout(), "{json}"));
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the answer cannot be printed");
            ExitCode::FAILURE
        }
    }
}

fn print_proxy(url: &str) -> ExitCode {
    match os::host_proxy(url) {
        Ok(answer) => print(&answer),
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::from(2)
        }
    }
}

fn print_probe(questions: &Questions) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no event loop");
            return ExitCode::FAILURE;
        }
    };
    let answers = runtime.block_on(probe::run(
        &questions.resolve,
        &questions.connect,
        &os::Resolver::default(),
    ));
    let code = print(&answers);
    // A question that Windows has not answered yet must not delay the exit.
    runtime.shutdown_background();
    code
}

fn serve() -> anyhow::Result<()> {
    let max_flows = os::max_flows()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("no event loop")?;
    runtime.block_on(async {
        let (input, output) = os::streams()?;
        engine::run(input, output, max_flows, os::Resolver::default()).await.map_err(Into::into)
    })
}
