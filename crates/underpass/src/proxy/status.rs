//! `proxy status`: every place where a proxy is set, and which one each tool uses. Reads only.

use super::Ending;
use super::args::StatusOptions;
use super::tools::{Answers, Here, program, variable};
use crate::windows::{Relay, Source};
use config::tools::{ProxySetting, Tool, shell, used};
use proxy::mask;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// What is set on this machine.
pub(super) struct Settings {
    /// The variables of the environment that are set and not empty, **with passwords**.
    pub(super) variables: Vec<(&'static str, String)>,
    /// Each tool's settings, the one that it uses first.
    pub(super) tools: Vec<(Tool, Vec<ProxySetting>)>,
}

pub(super) async fn settings() -> anyhow::Result<Settings> {
    let here = Here::new()?;
    let answers = Answers::ask().await;
    let names = shell::PROXIES.into_iter().chain(shell::EXCEPTIONS);
    let variables = names
        .filter_map(|name| Some((name, variable(name).filter(|value| !value.is_empty())?)))
        .collect();
    let tools = answers
        .read(&here, |reading| Tool::APPLIED.map(|tool| (tool, used(tool, reading))).to_vec());
    Ok(Settings { variables, tools })
}

pub(super) async fn status(options: &StatusOptions) -> anyhow::Result<Ending> {
    let settings = settings().await?;
    let is_on = shell::Memory::of(variable).is_some();
    let windows = windows().await;
    if options.json {
        let mut json = as_json(&settings, is_on);
        json["windows"] = windows.map_or(Value::Null, |facts| match facts {
            Ok(facts) => json!({"user": own_setting(facts.user_proxy), "machine": own_setting(facts.machine_proxy)}),
            Err(problem) => json!({ "problem": mask(&problem) }),
        });
        crate::print_json(&(serde_json::to_string_pretty(&json)? + "\n"))?;
    } else {
        crate::print(&(as_text(&settings, is_on) + &windows_as_text(windows)))?;
    }
    Ok(Ending::Well)
}

/// What Windows says of itself; nothing where no relay is found.
async fn windows() -> Option<Result<wire::HostFacts, String>> {
    let relay = Relay::find(None).await;
    if relay.source == Source::Path {
        return None;
    }
    Some(relay.facts().await.outcome.map_err(|error| error.to_string()))
}

/// A setting of Windows' without its secrets.
fn own_setting(proxy: Option<wire::facts::Proxy>) -> Value {
    proxy.map_or(Value::Null, |proxy| {
        json!({
            "auto_detect": proxy.auto_detect,
            "pac_url": proxy.pac_url.map(|url| mask(&url)),
            "proxy": proxy.proxy.map(|proxy| mask(&proxy)),
            "bypass": proxy.bypass,
        })
    })
}

fn windows_as_text(facts: Option<Result<wire::HostFacts, String>>) -> String {
    let mut text = "Windows\n".to_owned();
    let settings = match facts {
        None => return text + "  not asked: there is no relay beside this command\n",
        Some(Err(problem)) => return text + &format!("  not known: {}\n", mask(&problem)),
        Some(Ok(facts)) => [("user", facts.user_proxy), ("services", facts.machine_proxy)],
    };
    for (whose, proxy) in settings {
        let Some(proxy) = proxy else {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {whose:<8} not told");
            continue;
        };
        let detects = proxy.auto_detect.then(|| "automatic detection".to_owned());
        let script = proxy.pac_url.map(|url| format!("script {}", mask(&url)));
        let own = proxy.proxy.map(|proxy| mask(&proxy));
        let bypass = proxy.bypass.map(|list| format!("not for {list}"));
        let all: Vec<String> = [detects, script, own, bypass].into_iter().flatten().collect();
        let told = if all.is_empty() { "no proxy".to_owned() } else { all.join("; ") };
        let _ = writeln!(text, "  {whose:<8} {told}");
    }
    text
}

fn as_json(settings: &Settings, is_on: bool) -> Value {
    let variables =
        settings.variables.iter().map(|(name, value)| ((*name).to_owned(), mask(value).into()));
    let place = |found: &ProxySetting| json!({"place": found.place(), "proxy": mask(&found.value)});
    let tools = settings.tools.iter().map(|(tool, found)| {
        let told = json!({
            "installed": program(tool.programs()).is_some(),
            "uses": found.first().map(place),
            "passed_over": found.iter().skip(1).map(place).collect::<Vec<_>>(),
        });
        (tool.name().to_owned(), told)
    });
    json!({
        "environment": variables.collect::<serde_json::Map<_, _>>(),
        "switched_on_here": is_on,
        "tools": tools.collect::<serde_json::Map<_, _>>(),
    })
}

fn as_text(settings: &Settings, is_on: bool) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "environment{}", if is_on { " (by `underpass proxy on`)" } else { "" });
    for (name, value) in &settings.variables {
        let _ = writeln!(text, "  {name:<12} {}", mask(value));
    }
    if settings.variables.is_empty() {
        text += "  no proxy variable is set\n";
    }
    text += "tools: what each uses, and what it passes over for that\n";
    for (tool, found) in &settings.tools {
        let is_installed = program(tool.programs()).is_some();
        match found.split_first() {
            Some((used, others)) => {
                let absent = if is_installed { "" } else { " (not installed)" };
                let (name, place) = (tool.name(), used.place());
                let _ = writeln!(text, "  {name:<7} {} by {place}{absent}", shown(used));
                for other in others {
                    let _ = writeln!(text, "          not {} by {}", shown(other), other.place());
                }
            }
            None if is_installed => {
                let _ = writeln!(text, "  {:<7} no proxy", tool.name());
            }
            None => {}
        }
    }
    text
}

/// A setting's value without its secrets; an empty one keeps a tool from any proxy.
fn shown(setting: &ProxySetting) -> String {
    if setting.value.is_empty() { "no proxy".to_owned() } else { mask(&setting.value) }
}
