//! `underpass settings recommend`.

use super::machine::{Machine, MachineOptions, Need};
use super::{print_json, tell};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use config::settings::explain::{DIFFERENCES, Difference, here};
use config::settings::recommend::{Action, Advice, Goal, Shell, recommend};
use messages::{Language, Sentence, settings as say};
use serde_json::{Value, json};
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct RecommendOptions {
    #[arg(long, value_name = "GOAL", default_value = "default", value_parser = parse_goal())]
    goal: Goal,
    #[arg(long, conflicts_with_all = ["json", "goal"])]
    explain: bool,
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    machine: MachineOptions,
}

/// Reads a goal, and lets clap tell which there are.
pub(crate) fn parse_goal() -> impl TypedValueParser<Value = Goal> {
    PossibleValuesParser::new(Goal::ALL.map(Goal::name)).try_map(|name| name.parse::<Goal>())
}

/// Tells what is recommended.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn run(options: &RecommendOptions) -> anyhow::Result<ExitCode> {
    let machine = options.machine.look(Need::Everything)?;
    machine.tell_unknown();
    if options.explain {
        explain_modes(&machine);
        return Ok(ExitCode::SUCCESS);
    }
    let advice = recommend(options.goal, &machine.situation, machine.facts.as_ref());
    let language = machine.language;
    if options.json {
        let advice: Vec<Value> = advice.iter().map(|advice| as_json(advice, language)).collect();
        print_json(&advice.into())?;
        return Ok(ExitCode::SUCCESS);
    }
    for advice in &advice {
        match &advice.action {
            Action::Change(change) => {
                let done = if advice.is_done {
                    " ".to_owned() + &language.aside(say::DONE_ALREADY.half(language))
                } else {
                    String::new()
                };
                let what = match change.value {
                    Some(_) => change.to_string(),
                    None => {
                        format!("{}{}", change.key, language.aside(say::TO_TAKE_OUT.half(language)))
                    }
                };
                tell(&format!(
                    "{}: {what}{done}\n    {}",
                    change.key.place,
                    advice.reason.say(language)
                ));
            }
            Action::Run(..) | Action::Know => print_commands(advice, language),
        }
    }
    let is_open = |advice: &Advice| matches!(advice.action, Action::Change(_)) && !advice.is_done;
    if advice.iter().any(is_open) {
        tell(&format!("\n{}", say::APPLY_HINT.with("goal", options.goal).say(language)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The two modes beside each other, property by property, and then this machine.
fn explain_modes(machine: &Machine) {
    let say = |sentence: &'static Sentence| sentence.text().say(machine.language);
    tell(&say(&say::EXPLAIN_TITLE));
    for Difference { what, nat, mirrored } in &DIFFERENCES {
        let (nat_name, mirrored_name) = (say(&say::EXPLAIN_NAT), say(&say::EXPLAIN_MIRRORED));
        let [what, nat, mirrored] = [what, nat, mirrored].map(|sentence| say(sentence));
        let colon = machine.language.colon();
        tell(&format!("\n{what}\n  {nat_name}{colon}{nat}\n  {mirrored_name}{colon}{mirrored}"));
    }
    tell(&format!("\n{}", say(&say::EXPLAIN_HERE)));
    here(&machine.situation)
        .iter()
        .for_each(|text| tell(&format!("  {}", text.say(machine.language))));
}

/// Advice that no file can take: the commands each on a line of its own, so that they can be
/// copied.
pub(crate) fn print_commands(advice: &Advice, language: Language) {
    let reason = advice.reason.say(language);
    let Action::Run(shell, lines) = &advice.action else {
        tell(&reason);
        return;
    };
    let shell = match shell {
        Shell::Administrator => &say::AS_ADMINISTRATOR,
        Shell::PowerShell => &say::IN_POWERSHELL,
        Shell::Linux => &say::IN_LINUX,
    };
    let done = if advice.is_done {
        language.aside(say::DONE_ALREADY.half(language))
    } else {
        String::new()
    };
    tell(&format!("{}{}{done}", shell.half(language), language.colon().trim_end()));
    lines.iter().for_each(|line| tell(&format!("  {line}")));
    tell(&format!("    {reason}"));
}

fn as_json(advice: &Advice, language: Language) -> Value {
    let mut value = match &advice.action {
        Action::Change(change) => json!({
            "kind": "change",
            "file": change.key.place.name(),
            "key": change.key.to_string(),
            "value": change.value,
        }),
        Action::Run(shell, lines) => {
            let shell = match shell {
                Shell::Administrator => "powershell-administrator",
                Shell::PowerShell => "powershell",
                Shell::Linux => "linux",
            };
            json!({ "kind": "run", "shell": shell, "lines": lines })
        }
        Action::Know => json!({ "kind": "know" }),
    };
    value["reason"] = advice.reason.say(language).into();
    value["done"] = advice.is_done.into();
    value
}
