//! `underpass settings apply` and `undo`.

use super::edits::{ConsentOptions, Outcome, carry_out, step, take_back};
use super::found::{Found, encoded};
use super::journal::{Command, PathChange};
use super::machine::{Machine, MachineOptions, Need, complain};
use super::recommend::{parse_goal, print_commands};
use super::tell;
use anyhow::{Context as _, bail};
use clap::Args;
use config::settings::change::{Change, ChangeError, named};
use config::settings::check::{Finding, Severity, check};
use config::settings::effective::Situation;
use config::settings::recommend::{Action, Advice, Goal, recommend};
use config::settings::schema::{Key, Place};
use messages::settings as say;
use std::process::ExitCode;

#[derive(Debug, Args)]
pub(crate) struct ApplyOptions {
    #[command(flatten)]
    machine: MachineOptions,
    #[arg(long, value_name = "GOAL", value_parser = parse_goal())]
    goal: Option<Goal>,
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<Change>,
    #[arg(long, value_name = "SECTION.KEY", value_parser = named)]
    unset: Vec<&'static Key>,
    #[command(flatten)]
    consent: ConsentOptions,
}

#[derive(Debug, Args)]
pub(crate) struct UndoOptions {
    #[command(flatten)]
    consent: ConsentOptions,
    #[arg(long)]
    force: bool,
}

/// Writes what is recommended or asked for.
///
/// # Errors
/// A file cannot be read or written, or the user cannot be asked.
pub(crate) fn run(options: &ApplyOptions) -> anyhow::Result<ExitCode> {
    let goal = match (options.goal, options.set.is_empty() && options.unset.is_empty()) {
        (None, true) => Some(Goal::Default),
        (goal, _) => goal,
    };
    let need = if goal.is_some() { Need::Everything } else { Need::Files };
    let machine = options.machine.look(need)?;
    let advice = goal
        .map_or_else(Vec::new, |goal| recommend(goal, &machine.situation, machine.facts.as_ref()));
    if goal.is_some() {
        machine.tell_unknown();
    }
    let changes = wanted(options, &advice);
    let after = changed(&machine, &changes)?;
    let mut steps = Vec::new();
    for place in Place::ALL
        .into_iter()
        .filter(|place| changes.iter().any(|change| change.key.place == *place))
    {
        let text = after.file(place).to_string();
        steps.push(step(machine.path(place)?, |before| {
            Ok(before.with_bytes(encoded(&text, before)))
        })?);
    }
    report_new_findings(&machine, &after);
    // A change that the user declines is not a failure.
    let _ = carry_out(Command::Apply, steps, &options.consent, machine.language)?;
    let left: Vec<&Advice> =
        advice.iter().filter(|advice| !matches!(advice.action, Action::Change(_))).collect();
    if !left.is_empty() {
        tell(&format!("\n{}", say::LEFT_TO_DO.text().say(machine.language)));
        left.into_iter().for_each(|advice| print_commands(advice, machine.language));
    }
    Ok(ExitCode::SUCCESS)
}

/// All changes, those that were asked for last, so that they go over the recommendation.
fn wanted(options: &ApplyOptions, advice: &[Advice]) -> Vec<Change> {
    let recommended =
        advice.iter().filter(|advice| !advice.is_done).filter_map(|advice| match &advice.action {
            Action::Change(change) => Some(change.clone()),
            Action::Run(..) | Action::Know => None,
        });
    let unset = options.unset.iter().copied().map(|key| Change { key, value: None });
    recommended.chain(options.set.iter().cloned()).chain(unset).collect()
}

/// The machine's settings with the changes made.
fn changed(machine: &Machine, changes: &[Change]) -> anyhow::Result<Situation> {
    let mut situation = machine.situation.clone();
    for change in changes {
        let place = change.key.place;
        let file = match place {
            Place::WslConfig => &mut situation.wslconfig,
            Place::WslConf => &mut situation.wsl_conf,
        };
        change.make(file).map_err(|error| ChangeError::Edit { place, error })?;
    }
    Ok(situation)
}

/// Reports the faults that a change would cause, before it is written.
fn report_new_findings(machine: &Machine, after: &Situation) {
    let before = check(&machine.situation);
    let is_new = |finding: &&Finding| {
        !before.iter().any(|old| old.code == finding.code && old.what == finding.what)
    };
    let findings = check(after);
    let new: Vec<_> = findings
        .iter()
        .filter(is_new)
        .filter(|finding| finding.severity >= Severity::Warning)
        .collect();
    if !new.is_empty() {
        tell(&say::WOULD_BE_WRONG.text().say(machine.language));
        for finding in new {
            tell(&format!(
                "  {}\n    {}",
                finding.what.say(machine.language),
                finding.fix.say(machine.language)
            ));
        }
    }
}

/// Takes the last change back.
///
/// # Errors
/// There is no change to undo, files were changed later, or they cannot be written.
pub(crate) fn undo(options: &UndoOptions) -> anyhow::Result<ExitCode> {
    let language = crate::voice::language();
    let records = options.consent.journal()?.records()?;
    let record = records.last().context(
        "there is no change to undo: `underpass settings` made none, or another user made it \
         (see --state)",
    )?;
    let mut steps = Vec::new();
    for kept in &record.steps {
        let now = Found::of(&kept.path)?;
        if !now.is_as(&kept.after) {
            if !options.force {
                bail!(
                    "{} was changed later, and undoing would lose that change: use --force to \
                     undo it anyway",
                    kept.path.display()
                );
            }
            complain(&format!("{} was changed later by another program", kept.path.display()));
        }
        steps.push(PathChange { path: kept.path.clone(), before: now, after: kept.before.clone() });
    }
    // The last that was written is the first to be put back.
    steps.reverse();
    if take_back(&steps, &options.consent, language)? == Outcome::Made {
        record.forget()?;
    }
    Ok(ExitCode::SUCCESS)
}
