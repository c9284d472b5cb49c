//! `proxy on` and `proxy off`: lines for a shell on standard output, words for the person on standard error. Where something is wrong
//! nothing is printed for the shell.

use super::args::{OffOptions, OnOptions, Shell};
use super::{Usage, Verdict, Voice, choose, print, variable};
use proxies::shell::{self, Syntax, UnknownShell};
use proxies::{Scheme, no_proxy};
use std::io::{self, IsTerminal as _};
use wording::proxies as words;

pub(super) async fn on(options: &OnOptions, voice: Voice) -> anyhow::Result<Verdict> {
    let syntax = syntax(&options.shell)?;
    let Some(chosen) = choose(&options.choice).await? else {
        voice.aside(&words::WINDOWS_DIRECT.with("url", &options.choice.url));
        return Ok(Verdict::Well);
    };
    // What a proxy that is on has set is no wish of the user's.
    let memory = shell::Memory::of(variable).unwrap_or_default();
    let wishes: Vec<String> = shell::EXCEPTIONS.iter().filter_map(|name| memory.before(name, variable(name))).collect();
    let wishes: Vec<&str> = wishes.iter().map(String::as_str).collect();
    let exceptions = no_proxy(&wishes, &chosen.subnets);
    print(&shell::on(syntax, &chosen.proxy.with_secrets(), &exceptions, variable))?;
    if let Some(how) = &chosen.how {
        voice.aside(how);
    }
    if chosen.proxy.scheme() != Scheme::Http {
        voice.aside(&words::SOCKS_NOT_FOR_ALL.text());
    }
    advise(syntax, "on", voice).unwrap_or_else(|| voice.aside(&words::ON.with("proxy", &chosen.proxy)));
    Ok(Verdict::Well)
}

pub(super) fn off(options: &OffOptions, voice: Voice) -> anyhow::Result<Verdict> {
    let syntax = syntax(&options.shell)?;
    if options.all {
        print(&shell::off_all(syntax))?;
        advise(syntax, "off --all", voice).unwrap_or_else(|| voice.aside(&words::OFF_ALL.text()));
        return Ok(Verdict::Well);
    }
    let Some(off) = shell::off(syntax, variable) else {
        voice.aside(&words::OFF_NOTHING.text());
        return Ok(Verdict::Well);
    };
    print(&off.lines)?;
    if !off.left.is_empty() {
        voice.aside(&words::OFF_LEFT.with("names", off.left.join(", ")));
    }
    advise(syntax, "off", voice).unwrap_or_else(|| voice.aside(&words::OFF.text()));
    Ok(Verdict::Well)
}

/// Who sees the lines on a terminal has not evaluated them, and is told how.
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
    let parent = std::fs::read_to_string(format!("/proc/{}/comm", std::os::unix::process::parent_id()));
    if let Some(syntax) = parent.ok().and_then(|name| name.trim().parse().ok()) {
        return Ok(syntax);
    }
    match variable("SHELL") {
        Some(name) if !name.is_empty() => name.parse().map_err(|error: UnknownShell| Usage(error.into())),
        _ => Ok(Syntax::Posix),
    }
}
