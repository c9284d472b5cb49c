//! `proxy status`: every place where a proxy is set, and which one each tool uses. Reads only.

use super::Voice;
use super::args::StatusOptions;
use super::tools::{Answers, Here, program, variable};
use crate::busy::Busy;
use crate::windows::{Relay, Source};
use config::tools::{ProxySetting, Tool, shell, used};
use messages::{Language, Sentence, command as words, padded};
use proxy::mask;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;

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

pub(super) async fn status(options: &StatusOptions, voice: Voice) -> anyhow::Result<ExitCode> {
    let settings = settings().await?;
    let is_on = shell::Memory::of(variable).is_some();
    let busy = Busy::with(voice.say(&words::ASKING_WINDOWS.text()));
    let windows = windows().await;
    drop(busy);
    if options.json {
        let mut json = as_json(&settings, is_on);
        json["windows"] = windows.map_or(Value::Null, |facts| match facts {
            Ok(facts) => json!({
                "user": own_setting(facts.user_proxy),
                "machine": own_setting(facts.machine_proxy),
            }),
            Err(problem) => json!({ "problem": mask(&problem) }),
        });
        crate::print_json(&(serde_json::to_string_pretty(&json)? + "\n"))?;
    } else {
        crate::print(&(as_text(&settings, is_on, voice) + &windows_as_text(windows, voice)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Windows' facts; nothing where no relay is found.
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

fn windows_as_text(facts: Option<Result<wire::HostFacts, String>>, voice: Voice) -> String {
    let mut text = "Windows\n".to_owned();
    let mut line = |words: String| text += &format!("  {words}\n");
    match facts {
        None => line(voice.say(&words::NO_RELAY.text())),
        Some(Err(problem)) => {
            line(voice.say(&words::WINDOWS_UNKNOWN.with("why", mask(&problem))));
        }
        Some(Ok(facts)) => {
            for (whose, proxy) in
                [(&words::OF_USER, facts.user_proxy), (&words::OF_SERVICES, facts.machine_proxy)]
            {
                let whose = padded(&voice.say(&whose.text()), 8);
                line(format!("{whose} {}", setting_as_text(proxy, voice)));
            }
        }
    }
    text
}

fn setting_as_text(proxy: Option<wire::facts::Proxy>, voice: Voice) -> String {
    let Some(proxy) = proxy else { return voice.say(&words::NOT_REPORTED.text()) };
    let detects = proxy.auto_detect.then(|| voice.say(&words::DETECTS.text()));
    let script = proxy.pac_url.map(|url| voice.say(&words::SCRIPT.with("url", mask(&url))));
    let own = proxy.proxy.map(|proxy| mask(&proxy));
    let bypass = proxy.bypass.map(|list| voice.say(&words::BYPASS.with("list", list)));
    let all: Vec<String> = [detects, script, own, bypass].into_iter().flatten().collect();
    let between = match voice.language {
        Language::English => "; ",
        Language::Chinese => "；",
    };
    if all.is_empty() { voice.say(&words::NO_PROXY.text()) } else { all.join(between) }
}

fn as_json(settings: &Settings, is_on: bool) -> Value {
    let variables =
        settings.variables.iter().map(|(name, value)| ((*name).to_owned(), mask(value).into()));
    let place = |found: &ProxySetting| json!({"place": found.place(), "proxy": mask(&found.value)});
    let tools = settings.tools.iter().map(|(tool, found)| {
        let entry = json!({
            "installed": program(tool.programs()).is_some(),
            "uses": found.first().map(place),
            "passed_over": found.iter().skip(1).map(place).collect::<Vec<_>>(),
        });
        (tool.name().to_owned(), entry)
    });
    json!({
        "environment": variables.collect::<serde_json::Map<_, _>>(),
        "switched_on_here": is_on,
        "tools": tools.collect::<serde_json::Map<_, _>>(),
    })
}

fn as_text(settings: &Settings, is_on: bool, voice: Voice) -> String {
    let heading = if is_on { &words::ENVIRONMENT_ON } else { &words::ENVIRONMENT };
    let mut text = voice.say(&heading.text()) + "\n";
    // Writing to a string cannot fail.
    for (name, value) in &settings.variables {
        let _ = writeln!(text, "  {name:<12} {}", mask(value));
    }
    if settings.variables.is_empty() {
        let _ = writeln!(text, "  {}", voice.say(&words::NO_VARIABLE.text()));
    }
    let _ = writeln!(text, "{}", voice.say(&words::TOOLS.text()));
    for (tool, found) in &settings.tools {
        let is_installed = program(tool.programs()).is_some();
        let from = |setting: &ProxySetting, sentence: &'static Sentence| {
            let place = sentence.with("proxy", shown(setting, voice));
            voice.say(&place.with("place", setting.place()))
        };
        match found.split_first() {
            Some((used, others)) => {
                let absent = if is_installed {
                    String::new()
                } else {
                    voice.say(&words::NOT_INSTALLED.text())
                };
                let used = from(used, &words::USED);
                let _ = writeln!(text, "  {:<7} {used}{absent}", tool.name());
                for other in others {
                    let _ = writeln!(text, "          {}", from(other, &words::NOT_USED));
                }
            }
            None if is_installed => {
                let none = voice.say(&words::NO_PROXY.text());
                let _ = writeln!(text, "  {:<7} {none}", tool.name());
            }
            None => {}
        }
    }
    text
}

/// A setting's value without its secrets; an empty one keeps a tool from any proxy.
fn shown(setting: &ProxySetting, voice: Voice) -> String {
    if setting.value.is_empty() { voice.say(&words::NO_PROXY.text()) } else { mask(&setting.value) }
}
