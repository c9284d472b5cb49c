//! `underpass settings check`.

use super::machine::{Machine, MachineOptions, Need};
use super::{print_json, tell};
use clap::Args;
use config::settings::check::{Finding, Severity, check};
use config::settings::schema::Place;
use messages::{Language, settings as say};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    #[arg(value_name = "FILE", conflicts_with = "wslconfig")]
    file: Option<PathBuf>,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineOptions,
}

/// Tells what is wrong.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn run(options: &CheckOptions) -> anyhow::Result<ExitCode> {
    let machine = match &options.file {
        Some(file) => options.machine.with_file(file)?.look(Need::Everything)?,
        None => options.machine.look(Need::Everything)?,
    };
    machine.tell_unknown();
    let findings = check(&machine.situation);
    if options.json {
        let findings: Vec<Value> =
            findings.iter().map(|finding| as_json(&machine, finding)).collect();
        print_json(&findings.into())?;
    } else if findings.is_empty() {
        tell(&say::ALL_WELL.text().say(machine.language));
    } else {
        findings.iter().for_each(|finding| tell(&in_words(&machine, finding)));
    }
    let is_wrong = findings.iter().any(|finding| finding.severity >= Severity::Warning);
    Ok(if is_wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The file of a finding, and its line.
fn at(machine: &Machine, finding: &Finding) -> String {
    let path = match finding.place {
        Place::WslConfig => machine
            .wslconfig
            .as_deref()
            .map_or_else(|| ".wslconfig".to_owned(), |p| p.display().to_string()),
        Place::WslConf => machine.wsl_conf.display().to_string(),
    };
    finding.line.map_or_else(|| path.clone(), |line| format!("{path}:{line}"))
}

/// As compilers tell theirs, so that editors find the line.
fn in_words(machine: &Machine, finding: &Finding) -> String {
    let severity = match finding.severity {
        Severity::Error => &say::ERROR,
        Severity::Warning => &say::WARNING,
        Severity::Note => &say::NOTE,
    };
    let language = machine.language;
    let gap = match language {
        Language::English => " ",
        Language::Chinese => "",
    };
    let effect = finding
        .effect
        .as_ref()
        .map_or_else(String::new, |effect| gap.to_owned() + &effect.say(language));
    let [severity, what, fix] =
        [severity.text(), finding.what.clone(), finding.fix.clone()].map(|text| text.say(language));
    format!("{}: {severity}: {what}{effect}\n    {fix}", at(machine, finding))
}

fn as_json(machine: &Machine, finding: &Finding) -> Value {
    let language = machine.language;
    json!({
        "severity": finding.severity.name(),
        "code": finding.code,
        "file": finding.place.name(),
        "line": finding.line,
        "what": finding.what.say(language),
        "effect": finding.effect.as_ref().map(|effect| effect.say(language)),
        "fix": finding.fix.say(language),
    })
}
