//! The command `underpass`: options, output, exit codes. The crate `gateway` does the work.
#![forbid(unsafe_code)]

mod attach;
mod busy;
mod cli;
mod colour;
mod doctor;
mod generate;
mod help;
mod link;
mod list;
mod log;
mod progress;
mod proxy;
mod reach;
mod selftest;
mod service;
mod settings;
mod show;
mod usage;
mod version;
mod voice;
mod windows;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _};
use cli::{Cli, Command, KeepAliveOptions, ServiceCommand, StatusOptions, UpOptions};
use gateway::config::{Choices, RUNTIME_DIR, VIA_VARIABLE};
use gateway::via::Secret;
use gateway::wsl_exe::Stream;
use gateway::{Placement, RelayProgram, Settings, Status};
use messages::{Text, command as words, printable, printable_json};
use reach::reaches_without_tunnel;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: gateway::allocator::Allocator = gateway::allocator::Allocator;

/// Exit code for options and configuration that cannot be used; clap's own is the same.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    if let Some(role) = gateway::Role::of_this_process() {
        return run_role(role);
    }
    let language = voice::choose(std::env::args_os());
    let mut command = help::command(Cli::command(), language);
    let parsed = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = parsed.and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => return usage::show(&error.format(&mut command), language),
    };
    let level = match cli.verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let log_file = match &cli.command {
        Command::Up(options) => options.log_file.as_deref(),
        Command::KeepAlive(options) => options.log_file.as_deref(),
        Command::Status(_)
        | Command::Doctor(_)
        | Command::Selftest(_)
        | Command::Service(_)
        | Command::Settings(_)
        | Command::Proxy(_)
        | Command::Host
        | Command::Completions { .. }
        | Command::Man { .. } => None,
    };
    if let Err(error) = log::start(level, log_file) {
        complain(&error);
        return ExitCode::from(USAGE);
    }
    if let Command::Up(options) = &cli.command
        && options.attach
    {
        let Err(error) = attach::attach(|| gateway::control::status(&[runtime_dir()]), tell);
        complain(&error);
        return ExitCode::FAILURE;
    }
    let outcome = match cli.command {
        Command::Up(options) => {
            let when = if options.if_needed { When::Needed } else { When::Always };
            match up_settings(*options) {
                Ok(settings) => {
                    let logs = gateway::Logs { level: level.to_owned(), line: log::line };
                    up(settings, logs, when).map(|()| ExitCode::SUCCESS)
                }
                Err(error) => {
                    complain(&error);
                    return ExitCode::from(USAGE);
                }
            }
        }
        Command::KeepAlive(options) => keep_alive(&options).map(|()| ExitCode::SUCCESS),
        Command::Status(options) => status(&options).map(|()| ExitCode::SUCCESS),
        Command::Doctor(options) => {
            let directories = status_directories();
            return doctor::run(&options, directories).unwrap_or_else(|error| {
                complain(&error);
                // Not 1, which says that the network has a problem.
                ExitCode::from(USAGE)
            });
        }
        Command::Selftest(options) => selftest::run(*options, default_relay(), runtime_dir()),
        Command::Service(command) => service(&command).map(|()| ExitCode::SUCCESS),
        Command::Settings(command) => settings::run(&command),
        Command::Proxy(options) => return proxy::run(options, complain),
        Command::Host => proxy::tell_host().map(|()| ExitCode::SUCCESS),
        Command::Completions { shell } => {
            print_exactly(&generate::completions(shell, help::described(Cli::command(), language)))
                .map(|()| ExitCode::SUCCESS)
        }
        Command::Man { folder } => {
            generate::man(help::described(Cli::command(), language), &folder)
                .map(|()| ExitCode::SUCCESS)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Runs one of the processes that `underpass up` starts besides itself, which gives the log's level
/// as the only word.
fn run_role(role: gateway::Role) -> ExitCode {
    log::start_for_supervisor(&std::env::args().nth(1).unwrap_or_default());
    role.run().unwrap_or_else(|error| {
        complain(&anyhow::Error::new(error).context("only `underpass up` starts this process"));
        ExitCode::from(USAGE)
    })
}

fn complain(error: &anyhow::Error) {
    // There is no other place for it if standard error is closed.
    let colon = voice::language().colon();
    let _ = writeln!(io::stderr(), "underpass{colon}{}", printable(&voice::complaint(error)));
}

fn runtime_dir() -> PathBuf {
    std::env::var_os("UNDERPASS_RUNTIME_DIR").map_or_else(|| RUNTIME_DIR.into(), PathBuf::from)
}

/// Where a running tunnel may tell its status: this distro's, or that of another which publishes
/// it.
fn status_directories() -> Vec<PathBuf> {
    vec![runtime_dir(), gateway::publish::default_folder()]
}

fn up_settings(options: UpOptions) -> anyhow::Result<Settings> {
    if options.via.as_ref().is_some_and(Secret::has_password) {
        let warning = words::PASSWORD_SEEN.with("variable", VIA_VARIABLE);
        tracing::warn!("{}", warning.say(voice::language()));
    }
    let file = options.config.as_deref().map(Choices::from_file).transpose()?.unwrap_or_default();
    let via = std::env::var(VIA_VARIABLE).ok().filter(|text| !text.is_empty()).map(Secret);
    let environment = Choices { via, ..Choices::default() };
    Ok(options.choices().over(environment).over(file).settle(default_relay(), runtime_dir())?)
}

/// The relay beside this program, in a WSL the one for Windows, which is to run on Windows' disk.
/// Without one there it is looked up in `PATH`.
pub(crate) fn default_relay() -> RelayProgram {
    const NAME: &str = "underpass-relay";
    let program = std::env::current_exe().unwrap_or_default();
    let windows = program.with_file_name(format!("{NAME}.exe"));
    if gateway::is_wsl() && windows.exists() {
        return RelayProgram { path: windows, placement: Placement::OnWindowsDisk };
    }
    let beside = program.with_file_name(NAME);
    RelayProgram::given(if beside.exists() { beside } else { NAME.into() })
}

/// A start that takes longer is reported on a terminal.
const WORTH_SAYING: Duration = Duration::from_secs(1);

/// When the tunnel is brought up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Always,
    /// Only where WSL's own network does not reach the outside.
    Needed,
}

fn event_loop() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the event loop cannot be started")
}

/// Ready when a signal asks this process to end. Must be called within a tokio runtime.
fn end_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be waited for")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be waited for")?;
    let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be waited for")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

fn keep_alive(options: &KeepAliveOptions) -> anyhow::Result<()> {
    event_loop()?.block_on(async {
        let folder = runtime_dir();
        gateway::keep_alive::hold(&options.distro, &folder, end_signal()?)
            .await
            .with_context(|| format!("{} cannot be written: run this as root", folder.display()))
    })
}

fn up(settings: Settings, logs: gateway::Logs, when: When) -> anyhow::Result<()> {
    event_loop()?.block_on(async {
        let stop = end_signal()?;
        let (outside, tap) = (settings.outside.clone(), settings.tap.clone());
        if when == When::Needed && reaches_without_tunnel(&outside, &tap).await {
            say(&words::NOT_NEEDED.with("outside", &outside));
            return Ok(());
        }
        let (is_up, up) = oneshot::channel();
        if when == When::Always {
            tokio::spawn(async move {
                if reaches_without_tunnel(&outside, &tap).await && up.await.is_ok() {
                    say(&words::NOT_NEEDED_NOW.with("outside", &outside));
                }
            });
        }
        let starting = tokio::spawn(async {
            tokio::time::sleep(WORTH_SAYING).await;
            if busy::is_watched() {
                let words = words::STARTING.text().say(voice::language());
                let colon = voice::language().colon();
                let _ = writeln!(io::stderr(), "underpass{colon}{words}");
            }
        });
        let announce = |status: &Status| {
            starting.abort();
            announce(status);
            // Without `--if-needed` and the look around the tunnel nothing waits for it.
            let _ = is_up.send(());
        };
        gateway::run(settings, logs, stop, announce).await.map_err(Into::into)
    })
}

fn announce(status: &Status) {
    for line in show::announcement(status, voice::language()) {
        tell(&line);
    }
}

fn say(text: &Text) {
    tell(&text.say(voice::language()));
}

fn tell(line: &str) {
    // A closed standard output is not an error.
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "{}", printable(line)).and_then(|()| stdout.flush());
}

/// A line of another program, to the same stream of this one.
fn pass_on(stream: Stream, line: &str) {
    match stream {
        Stream::Output => tell(line),
        Stream::Errors => drop(writeln!(io::stderr(), "{}", printable(line))),
    }
}

fn status(options: &StatusOptions) -> anyhow::Result<()> {
    let status = gateway::control::status(&status_directories())?;
    if options.json {
        return print_json(&(serde_json::to_string_pretty(&status)? + "\n"));
    }
    let screen = io::stdout().is_terminal().then_some(help::WIDTH);
    print(&show::status(&status, voice::language(), screen))
}

/// A text for people to standard output, which may be a terminal.
fn print(text: &str) -> anyhow::Result<()> {
    print_exactly(printable(text).as_bytes())
}

/// The same for a JSON document.
fn print_json(document: &str) -> anyhow::Result<()> {
    print_exactly(printable_json(document).as_bytes())
}

/// Writes to standard output; a closed one is not an error.
fn print_exactly(text: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(text) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.context("the output could not be written"),
    }
}

fn service(command: &ServiceCommand) -> anyhow::Result<()> {
    match command {
        ServiceCommand::Install { distro } => {
            service::install(distro)?;
            say(&words::SERVICE_INSTALLED.text());
        }
        ServiceCommand::Run { distro } => {
            event_loop()?.block_on(async { service::run(distro, end_signal()?).await })?;
        }
        ServiceCommand::Remove => {
            service::remove()?;
            say(&words::SERVICE_REMOVED.text());
        }
        ServiceCommand::Status => {
            let state = service::state()?;
            anyhow::ensure!(
                state == "active",
                "the service is {state}: see `journalctl -u underpass`"
            );
            say(&words::SERVICE_ACTIVE.text());
        }
    }
    Ok(())
}
