//! Runs every test of the workspace, each as its own process and many at a time. Lab tests mostly
//! wait, and each makes its own namespaces. `scripts/test` builds the tests and starts this
//! program.
//!
//! [`plan`] decides which tests run with which relays and which of them need the machine alone,
//! [`built`] finds the tests, [`schedule`] chooses what may start, [`job`] runs one, [`report`]
//! prints.
#![forbid(unsafe_code)]

mod built;
mod job;
mod plan;
mod report;
mod run;
mod schedule;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use plan::{Selection, Set};
use schedule::Need;

const USAGE: &str = "\
Usage: underpass-suite --built FILE [OPTION]... [WORD]...

Runs the tests whose names contain one of the WORDs; without WORDs, all of them.

  --built FILE    what `cargo test --no-run --message-format=json` printed
  --logs FOLDER   where the output of tests is kept while they run, and of failed ones for good
  --set SET       full (default), quick, linux, or newest-wine
  --step COMMAND  run this shell command beside the tests, before those that need the machine alone
  --alone COMMAND run this shell command alone, after the tests that do not need that
  --slots N       how much runs at a time (default: four for each core)
  --limit SECONDS a test may take so long (default: 300; some may take longer)
  --list          print what would run, one a line, and end";

/// The options of the command line.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    built: PathBuf,
    logs: PathBuf,
    selection: Selection,
    /// Commands, and their needs.
    steps: Vec<(String, Need)>,
    slots: u32,
    limit: u64,
    list: bool,
}

impl Options {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    /// An unknown word, or an option without its value: the message for the user.
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get());
        let mut built = None;
        let mut options = Self {
            built: PathBuf::new(),
            logs: "target/tests".into(),
            selection: Selection { set: Set::Full, words: Vec::new() },
            steps: Vec::new(),
            slots: u32::try_from(cores).unwrap_or(2) * 4,
            limit: 300,
            list: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--built" => built = Some(value()?.into()),
                "--logs" => options.logs = value()?.into(),
                "--set" => options.selection.set = value()?.parse()?,
                "--step" => options.steps.push((value()?, Need::Step)),
                "--alone" => options.steps.push((value()?, Need::Alone)),
                "--slots" => options.slots = number(&word, &value()?)?,
                "--limit" => options.limit = number(&word, &value()?)?.into(),
                "--list" => options.list = true,
                _ if word.starts_with('-') => return Err(format!("{word} is not an option")),
                _ => options.selection.words.push(word),
            }
        }
        options.built = built.ok_or("--built is missing")?;
        Ok(options)
    }
}

/// A number above 0.
fn number(option: &str, text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{option} takes a number above 0, not '{text}'"))
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--help" || word == "-h") {
        // If standard output is closed, there is no reader to inform.
        let _ = writeln!(io::stdout(), "{USAGE}");
        return ExitCode::SUCCESS;
    }
    let options = match Options::read(words.into_iter()) {
        Ok(options) => options,
        Err(error) => {
            let _ = writeln!(io::stderr(), "underpass-suite: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match suite(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "underpass-suite: {error}");
            ExitCode::from(2)
        }
    }
}

/// Runs the selected tests. Returns whether the run passed.
fn suite(options: &Options) -> Result<bool, String> {
    let programs = built::programs(&options.built)?;
    let mut tests = plan::plan(&programs, &options.selection)?;
    if tests.is_empty() {
        return Err(format!("no test has a name with {:?}", options.selection.words));
    }
    if options.list {
        let mut text = tests.iter().map(|test| test.id.clone() + "\n").collect::<Vec<_>>();
        text.sort();
        return write!(io::stdout(), "{}", text.concat()).map(|()| true).map_err(|e| e.to_string());
    }
    std::fs::create_dir_all(&options.logs)
        .map_err(|e| format!("{}: {e}", options.logs.display()))?;
    tests.extend(options.steps.iter().map(|(command, need)| plan::step(command, *need)));
    run::run(&tests, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, String> {
        Options::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_and_words_are_distinguished() {
        let options =
            read("--built b.json tcp --set quick --slots 3 --limit 9 udp --list").unwrap();
        assert_eq!(options.built, PathBuf::from("b.json"));
        assert_eq!(
            options.selection,
            Selection { set: Set::Quick, words: vec!["tcp".into(), "udp".into()] }
        );
        assert_eq!((options.slots, options.limit, options.list), (3, 9, true));
    }

    #[test]
    fn unknown_words_are_errors_that_name_them() {
        for (line, part) in [
            ("--built b --nonsense", "--nonsense is not an option"),
            ("--built b -x", "-x is not an option"),
            ("--built b --slots 0", "--slots takes a number above 0, not '0'"),
            ("--built b --set some", "'some'"),
            ("--built", "--built needs a value"),
            ("tcp", "--built is missing"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
