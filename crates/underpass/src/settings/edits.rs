//! Makes every change: shows it, asks for consent, keeps a record, writes it, and reports what it
//! needs to take effect.

use super::found::{Found, decoded};
use super::journal::{Command, Journal, PathChange};
use super::machine::running_distros;
use super::tell;
use anyhow::{Context as _, bail};
use clap::Args;
use messages::{Language, Text, common, settings as say};
use similar::TextDiff;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct ConsentOptions {
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

impl ConsentOptions {
    /// The former changes.
    ///
    /// # Errors
    /// There is no place for them.
    pub(crate) fn journal(&self) -> anyhow::Result<Journal> {
        Journal::new(self.state.as_deref())
    }
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is made.
    Made,
    /// There was nothing to change, or nothing was to be written.
    Nothing,
}

/// Shows steps, asks, keeps a record of them under the command's name, and makes them: all or none.
///
/// # Errors
/// The user cannot be asked, or something cannot be written.
pub(crate) fn carry_out(
    command: Command,
    steps: Vec<PathChange>,
    consent: &ConsentOptions,
    language: Language,
) -> anyhow::Result<Outcome> {
    let steps: Vec<PathChange> =
        steps.into_iter().filter(|step| !step.before.is_as(&step.after)).collect();
    if steps.is_empty() {
        tell(&say::NOTHING_TO_CHANGE.text().say(language));
        return Ok(Outcome::Nothing);
    }
    if !is_wanted(&steps, consent, language)? {
        return Ok(Outcome::Nothing);
    }
    let kept = consent.journal()?.keep(command, &steps)?;
    make(&steps).inspect_err(|_| kept.forget())?;
    for (step, kept) in steps.iter().zip(&kept.befores) {
        let text = match step.before {
            Found::File(_) => {
                say::WRITTEN.with("file", step.path.display()).with("backup", kept.display())
            }
            Found::Absent | Found::Link { .. } => {
                say::WRITTEN_NEW.with("file", step.path.display())
            }
        };
        tell(&text.say(language));
    }
    tell(&say::UNDO_HINT.text().say(language));
    tell(&shutdown(running_distros().as_deref()).say(language));
    Ok(Outcome::Made)
}

/// Takes a change back after the same question.
///
/// # Errors
/// The user cannot be asked, or something cannot be written.
pub(crate) fn take_back(
    steps: &[PathChange],
    consent: &ConsentOptions,
    language: Language,
) -> anyhow::Result<Outcome> {
    if !is_wanted(steps, consent, language)? {
        return Ok(Outcome::Nothing);
    }
    make(steps)?;
    for step in steps {
        tell(&say::RESTORED.with("file", step.path.display()).say(language));
    }
    tell(&shutdown(running_distros().as_deref()).say(language));
    Ok(Outcome::Made)
}

/// Shows steps. Returns whether they are wanted.
fn is_wanted(
    steps: &[PathChange],
    consent: &ConsentOptions,
    language: Language,
) -> anyhow::Result<bool> {
    for step in steps {
        tell(diff(step, language)?.trim_end_matches('\n'));
    }
    if consent.dry_run {
        tell(&say::DRY_RUN.text().say(language));
        return Ok(false);
    }
    if consent.yes || ask(&say::ASK_TO_WRITE.text().say(language))? {
        return Ok(true);
    }
    tell(&say::NOT_WRITTEN.text().say(language));
    Ok(false)
}

/// Makes all steps; where one fails, those before it are taken back.
fn make(steps: &[PathChange]) -> anyhow::Result<()> {
    for (index, step) in steps.iter().enumerate() {
        let Err(error) = step.after.put(&step.path) else { continue };
        for done in steps[..=index].iter().rev() {
            // The file that failed may have been written, without its immutable bit.
            if let Err(second) = done.before.put(&done.path) {
                return Err(error.context(format!(
                    "{} could not be restored either: {second:#}",
                    done.path.display()
                )));
            }
        }
        return Err(error);
    }
    Ok(())
}

/// The change of a step, in the form of a patch. Line ends are not shown: they are kept.
fn diff(step: &PathChange, language: Language) -> anyhow::Result<String> {
    let [before, after] = [&step.before, &step.after].map(|found| shown(found, language));
    let (before, after) = (before?, after?);
    let path = step.path.display().to_string();
    Ok(TextDiff::from_lines(before.as_str(), after.as_str())
        .unified_diff()
        .context_radius(3)
        .header(&path, &path)
        .to_string())
}

/// The content of a path, for a person.
fn shown(found: &Found, language: Language) -> anyhow::Result<String> {
    Ok(match found {
        Found::Absent => String::new(),
        Found::Link { to } => {
            format!("({})\n", say::LINK_TO.with("to", to.display()).say(language))
        }
        Found::File(content) => {
            let text = decoded(&content.bytes)?.replace("\r\n", "\n");
            let end = if text.ends_with('\n') || text.is_empty() { "" } else { "\n" };
            let immutable = say::IMMUTABLE.text().say(language);
            if content.traits.immutable {
                format!("({immutable})\n{text}{end}")
            } else {
                text + end
            }
        }
    })
}

/// Asks the person at the terminal.
fn ask(question: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!(
            "this command asks before it writes, but standard input is not a terminal: use --yes \
             to write without asking, or --dry-run to write nothing"
        );
    }
    let mut stdout = io::stdout().lock();
    // A user who closed standard output does not see the question, and has to know the answer.
    let _ = write!(stdout, "{question} ").and_then(|()| stdout.flush());
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("the answer cannot be read")?;
    Ok(["y", "yes", "是"].contains(&answer.trim().to_lowercase().as_str()))
}

/// The step that a change needs to take effect, and what it ends.
fn shutdown(running: Option<&[String]>) -> Text {
    match running {
        Some(distros) => common::SHUTDOWN_NEEDED.with("distros", distros.join(", ")),
        None => common::SHUTDOWN_NEEDED_FOR_ALL.text(),
    }
}

/// A path with what is there now.
///
/// # Errors
/// It cannot be read.
pub(crate) fn step(
    path: &Path,
    after: impl FnOnce(&Found) -> anyhow::Result<Found>,
) -> anyhow::Result<PathChange> {
    let before = Found::of(path)?;
    let after = after(&before)?;
    Ok(PathChange { path: path.to_path_buf(), before, after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distros_that_a_shutdown_ends_are_named() {
        let running = ["Ubuntu".to_owned(), "underpass".to_owned()];
        let said = shutdown(Some(&running)).say(Language::English);
        assert!(said.contains("wsl --shutdown") && said.contains("Ubuntu, underpass"), "{said}");
        assert!(shutdown(None).say(Language::English).contains("every distro"));
    }
}
