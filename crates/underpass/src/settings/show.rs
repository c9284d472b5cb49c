//! `underpass settings show`.

use super::found::{Found, decoded};
use super::machine::{Machine, MachineOptions, Need};
use super::{print_json, tell};
use clap::Args;
use config::settings::effective::{Origin, Setting};
use config::settings::schema::Place;
use messages::{Language, Text, settings as say};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    #[arg(long)]
    changed: bool,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineOptions,
}

/// Shows what is in force.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn run(options: &ShowOptions) -> anyhow::Result<ExitCode> {
    let machine = options.machine.look(Need::Everything)?;
    machine.tell_unknown();
    let effective = machine.situation.effective();
    let shown: Vec<&Setting> = effective
        .iter()
        .filter(|setting| !options.changed || setting.origin != Origin::Default)
        .collect();
    let resolv_conf = Found::of(&machine.resolv_conf)?;
    if options.json {
        print_json(&as_json(&machine, &shown, &resolv_conf))?;
        return Ok(ExitCode::SUCCESS);
    }
    for place in Place::ALL {
        tell_file(&machine, place, &shown);
    }
    let language = machine.language;
    tell(&format!(
        "resolv.conf{}{}{}",
        language.aside(&machine.resolv_conf.display().to_string()),
        language.colon(),
        kind(&resolv_conf).say(language)
    ));
    for line in lines(&machine, &resolv_conf) {
        tell(&format!("  {line}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A file's settings, under their headers.
fn tell_file(machine: &Machine, place: Place, shown: &[&Setting]) {
    let path =
        machine.path(place).map_or_else(|_| "?".to_owned(), |path| path.display().to_string());
    let is_there = machine.path(place).is_ok_and(std::path::Path::exists);
    let none = if is_there {
        String::new()
    } else {
        machine.language.colon().to_owned() + say::NO_FILE.half(machine.language)
    };
    tell(&format!("{place}{}{none}", machine.language.aside(&path)));
    let mut section = "";
    for setting in shown.iter().filter(|setting| setting.key.place == place) {
        if section != setting.key.section {
            section = setting.key.section;
            tell(&format!("  [{section}]"));
        }
        let value = if setting.value.is_empty() { "-" } else { &setting.value };
        let origin = origin(setting, machine.language).say(machine.language);
        tell(&format!("  {:<28} {value:<16} {origin}", setting.key.name));
    }
    tell("");
}

fn origin(setting: &Setting, language: Language) -> Text {
    let default = if setting.default.is_empty() { "-" } else { setting.default };
    match &setting.origin {
        Origin::Default => say::FROM_DEFAULT.text(),
        Origin::Line(line) => say::FROM_LINE.with("line", line).with("default", default),
        Origin::BadLine(line) => say::FROM_BAD_LINE.with("line", line),
        Origin::Forced { because, line } => {
            let because = because.text().say(language);
            match line {
                None => say::FROM_OTHER.with("because", because),
                Some(line) => {
                    say::FROM_OTHER_AGAINST_LINE.with("because", because).with("line", line)
                }
            }
        }
    }
}

fn kind(resolv_conf: &Found) -> Text {
    match resolv_conf {
        Found::Absent => say::NOTHING_THERE.text(),
        Found::Link { to } => say::LINK_TO.with("to", to.display()),
        Found::File(content) if content.traits.immutable => say::OWN_IMMUTABLE_FILE.text(),
        Found::File(_) => say::OWN_FILE.text(),
    }
}

/// The lines of `resolv.conf`, wherever it leads, without comments.
fn lines(machine: &Machine, resolv_conf: &Found) -> Vec<String> {
    let text = match resolv_conf {
        Found::File(content) => decoded(&content.bytes).unwrap_or_default(),
        // A link may lead to nothing.
        Found::Link { .. } => std::fs::read_to_string(&machine.resolv_conf).unwrap_or_default(),
        Found::Absent => String::new(),
    };
    let says = |line: &&str| !line.is_empty() && !line.starts_with(['#', ';']);
    text.lines().map(str::trim).filter(says).map(str::to_owned).collect()
}

fn as_json(machine: &Machine, shown: &[&Setting], resolv_conf: &Found) -> Value {
    let versions = machine.situation.versions;
    let path = |place| machine.path(place).ok().map(|path| path.display().to_string());
    let link = match resolv_conf {
        Found::Link { to } => Some(to.display().to_string()),
        Found::Absent | Found::File(_) => None,
    };
    json!({
        "windows": versions.windows.map(|windows| windows.0),
        "wsl": versions.wsl.map(|wsl| wsl.0.map(|part| part.to_string()).join(".")),
        "wslconfig": path(Place::WslConfig),
        "wsl.conf": path(Place::WslConf),
        "resolv.conf": {
            "path": machine.resolv_conf.display().to_string(),
            "link": link,
            "immutable": matches!(resolv_conf, Found::File(content) if content.traits.immutable),
            "lines": lines(machine, resolv_conf),
        },
        "settings": shown.iter().map(|setting| setting_as_json(setting)).collect::<Vec<_>>(),
    })
}

fn setting_as_json(setting: &Setting) -> Value {
    let (origin, line, because) = match &setting.origin {
        Origin::Default => ("default", None, None),
        Origin::Line(line) => ("line", Some(*line), None),
        Origin::BadLine(line) => ("bad-line", Some(*line), None),
        Origin::Forced { because, line } => ("forced", *line, Some(because.to_string())),
    };
    json!({
        "file": setting.key.place.name(),
        "key": setting.key.to_string(),
        "value": setting.value,
        "default": setting.default,
        "origin": origin,
        "line": line,
        "because": because,
    })
}
