//! `proxy on` and `proxy off`: lines for a shell on standard output, words for the person on
//! standard error. Where something is wrong nothing is printed for the shell.

use super::args::{OffOptions, OnOptions, Shell, ShellInitOptions};
use super::tools::variable;
use super::{Chosen, Usage, Voice, choose, print};
use anyhow::Context as _;
use config::tools::shell::{self, Syntax, UnknownShell};
use config::tools::{Scheme, no_proxy};
use messages::proxies as words;
use probe::client::{Client, Names, Way, place_of};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

/// How long a proxy may take to take a connection where a shell waits for it. One on the Windows
/// host does so within milliseconds; a host that is gone takes long.
const START_PATIENCE: Duration = Duration::from_millis(500);

pub(super) async fn on(options: &OnOptions, voice: Voice) -> anyhow::Result<ExitCode> {
    if options.quiet {
        return on_quietly(options).await;
    }
    let syntax = syntax(&options.shell)?;
    let Some(chosen) = choose(&options.choice).await? else {
        voice.aside(&words::WINDOWS_DIRECT.with("url", &options.choice.url));
        return Ok(ExitCode::SUCCESS);
    };
    print(&lines(syntax, &chosen))?;
    if let Some(how) = &chosen.how {
        voice.aside(how);
    }
    if chosen.proxy.scheme() != Scheme::Http {
        voice.aside(&words::SOCKS_NOT_FOR_ALL.text());
    }
    advise(syntax, "on", voice)
        .unwrap_or_else(|| voice.aside(&words::ON.with("proxy", &chosen.proxy)));
    Ok(ExitCode::SUCCESS)
}

/// In a start file: without a proxy everything stays as it is, and nothing is printed.
async fn on_quietly(options: &OnOptions) -> anyhow::Result<ExitCode> {
    let syntax = syntax(&options.shell)?;
    let chosen = match choose(&options.choice).await {
        Ok(chosen) => chosen,
        Err(error) if error.is::<Usage>() => return Err(error),
        Err(_) => None,
    };
    if let Some(chosen) = chosen {
        let client = Client { names: Names::System, patience: START_PATIENCE };
        let place = place_of(chosen.proxy.url());
        let port = client.reach(&place, Way::Direct);
        if let Ok(Ok(_)) = tokio::time::timeout(START_PATIENCE, port).await {
            print(&lines(syntax, &chosen))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the shell evaluates.
fn lines(syntax: Syntax, chosen: &Chosen) -> String {
    // Variables that a proxy set when it was switched on are not the user's own settings.
    let memory = shell::Memory::of(variable).unwrap_or_default();
    let wishes: Vec<String> =
        shell::EXCEPTIONS.iter().filter_map(|name| memory.before(name, variable(name))).collect();
    let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
    let exceptions = no_proxy(&wishes, &chosen.subnets);
    shell::on(syntax, &chosen.proxy.with_secrets(), &exceptions, variable)
}

/// Functions that call this very program, wherever it lies.
pub(super) fn shell_init(options: &ShellInitOptions) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("the path of this program is not known")?;
    print(&shell::functions(options.shell, &program.display().to_string()))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn off(options: &OffOptions, voice: Voice) -> anyhow::Result<ExitCode> {
    let syntax = syntax(&options.shell)?;
    if options.all {
        print(&shell::off_all(syntax))?;
        advise(syntax, "off --all", voice).unwrap_or_else(|| voice.aside(&words::OFF_ALL.text()));
        return Ok(ExitCode::SUCCESS);
    }
    let Some(off) = shell::off(syntax, variable) else {
        voice.aside(&words::OFF_NOTHING.text());
        return Ok(ExitCode::SUCCESS);
    };
    print(&off.lines)?;
    if !off.left.is_empty() {
        voice.aside(&words::OFF_LEFT.with("names", off.left.join(", ")));
    }
    advise(syntax, "off", voice).unwrap_or_else(|| voice.aside(&words::OFF.text()));
    Ok(ExitCode::SUCCESS)
}

/// On a terminal the lines are not evaluated; a comment says how.
fn advise(syntax: Syntax, command: &str, voice: Voice) -> Option<()> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let command = match syntax {
        Syntax::Posix => format!("eval \"$(underpass proxy {command} …)\""),
        Syntax::Fish => format!("underpass proxy {command} … | source"),
    };
    voice.aside(&words::NOT_EVALUATED.with("command", command));
    Some(())
}

/// The syntax that was asked for, of the program that started this one, or of `SHELL`.
fn syntax(given: &Shell) -> Result<Syntax, Usage> {
    if let Some(syntax) = given.shell {
        return Ok(syntax);
    }
    let parent =
        std::fs::read_to_string(format!("/proc/{}/comm", std::os::unix::process::parent_id()));
    if let Some(syntax) = parent.ok().and_then(|name| name.trim().parse().ok()) {
        return Ok(syntax);
    }
    match variable("SHELL") {
        Some(name) if !name.is_empty() => {
            name.parse().map_err(|error: UnknownShell| Usage(error.into()))
        }
        _ => Ok(Syntax::Posix),
    }
}
