//! The table of checks: printed as they end, and once more at the end.

use std::io::{self, Write};
use std::time::Duration;

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It passed, with its measurement.
    Passed(String),
    /// It failed, with the observation.
    Failed(String),
    /// A required check failed; this is its name.
    NotRun(&'static str),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Line {
    /// The check's name.
    pub name: &'static str,
    /// The outcome.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

impl Line {
    /// Prints it as in the table; only the first line of a failure's observation.
    ///
    /// # Errors
    /// `out` takes nothing.
    pub fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let (word, detail) = match &self.outcome {
            Outcome::Passed(detail) => ("passed", detail.clone()),
            Outcome::Failed(detail) => {
                ("FAILED", detail.lines().next().unwrap_or_default().to_owned())
            }
            Outcome::NotRun(needed) => ("not run", format!("needs '{needed}'")),
        };
        writeln!(out, "{word:8} {:6.1} s  {:48} {detail}", self.took.as_secs_f64(), self.name)
    }
}

/// Prints the whole table and how many checks passed.
///
/// # Errors
/// `out` takes nothing.
pub fn print(out: &mut impl Write, kernel: &str, lines: &[Line]) -> io::Result<()> {
    writeln!(out, "\n== {kernel}")?;
    lines.iter().try_for_each(|line| line.print(out))?;
    let passed = lines.iter().filter(|line| matches!(line.outcome, Outcome::Passed(_))).count();
    writeln!(out, "{passed} passed, {} failed", lines.len() - passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_did_not_run_counts_as_failed() {
        let line = |outcome| Line { name: "a check", outcome, took: Duration::from_millis(1500) };
        let lines = [
            line(Outcome::Passed("3 ms".into())),
            line(Outcome::Failed("first\nsecond".into())),
            line(Outcome::NotRun("boot")),
        ];
        let mut out = Vec::new();
        print(&mut out, "6.1", &lines).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("== 6.1\npassed      1.5 s  a check"), "{text}");
        assert!(
            text.contains("first\n") && !text.contains("second") && text.contains("needs 'boot'"),
            "{text}"
        );
        assert!(text.ends_with("1 passed, 2 failed\n"), "{text}");
    }
}
