//! One job: a process, its output in a file, and the processes that it leaves.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lab::{marked, until};

use crate::plan::{Job, Kind};

/// Names the job in the environment of its processes, which finds the processes that it leaves.
const VARIABLE: &str = "UNDERPASS_SUITE_JOB";

/// How long the remains of a job may take to end by themselves. Wine's server waits 3 s for another
/// program.
const GRACE: Duration = Duration::from_secs(5);

/// The outcome of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// Why, in some words.
    Failed(String),
}

/// A job that runs.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    mark: String,
    log: PathBuf,
    kind: Kind,
}

/// The current time.
#[expect(clippy::disallowed_methods, reason = "the suite measures tests and limits their time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

impl Running {
    /// Starts a job with its own number. Its output goes to a file in that folder.
    ///
    /// # Errors
    /// The program cannot be started, or the file not be made.
    pub(crate) fn start(job: &Job, number: usize, logs: &Path) -> io::Result<Self> {
        let mark = format!("{}-{number}", std::process::id());
        let log = logs.join(format!("{}.log", file_name(&job.id)));
        let output = File::create(&log)?;
        let mut command = Command::new(&job.words[0]);
        command.args(&job.words[1..]).current_dir(&job.folder).env(VARIABLE, &mark);
        command.envs(job.variables.iter().copied());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Self { child: command.spawn()?, mark, log, kind: job.kind })
    }

    /// The name that its processes carry.
    pub(crate) fn mark(&self) -> &str {
        &self.mark
    }

    /// The file with its output.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits for its end, and ends the processes that it left.
    pub(crate) fn wait(mut self) -> Outcome {
        let status = self.child.wait();
        let mut left = Vec::new();
        let is_clean = until(GRACE, || {
            left = marked::processes(VARIABLE, &self.mark);
            left.is_empty()
        });
        end(&self.mark);
        let output = fs::read_to_string(&self.log).unwrap_or_default();
        let outcome = judge(self.kind, status, &output);
        // Cargo leaves servers of its own.
        if outcome == Outcome::Passed && !is_clean && self.kind == Kind::Test {
            let left: Vec<&str> = left.iter().map(|(_, line)| line.as_str()).collect();
            return Outcome::Failed(format!("it left processes: {}", left.join("; ")));
        }
        outcome
    }
}

fn judge(kind: Kind, status: io::Result<ExitStatus>, output: &str) -> Outcome {
    match status {
        Err(error) => Outcome::Failed(error.to_string()),
        Ok(status) if !status.success() => Outcome::Failed(status.to_string()),
        // For a test program an unknown test name is not an error.
        Ok(_) if kind == Kind::Test && !output.contains(" 1 passed; 0 failed; 0 ignored;") => {
            Outcome::Failed("the program ran not exactly one test".to_owned())
        }
        Ok(_) => Outcome::Passed,
    }
}

/// Ends all processes of a job at once.
pub(crate) fn end(mark: &str) {
    // One that cannot be ended appears in the next search.
    let _ = marked::end(VARIABLE, mark);
}

/// A job's name as a short file name: only letters, digits and a few more characters.
fn file_name(id: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '.' };
    let name: String = id.chars().map(plain).collect();
    let name: Vec<&str> = name.split('.').filter(|part| !part.is_empty()).collect();
    name.join(".").chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_jobs() {
        assert_eq!(file_name("lab/tcp::a_b [windows, 64 KiB]"), "lab.tcp.a_b.windows.64.KiB");
    }

    #[test]
    fn a_program_that_ran_no_test_has_not_passed() {
        let status = || Command::new("true").status();
        let output = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out";
        assert!(matches!(judge(Kind::Test, status(), output), Outcome::Failed(_)));
        assert_eq!(judge(Kind::Step, status(), output), Outcome::Passed);
        let output = "test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out";
        assert_eq!(judge(Kind::Test, status(), output), Outcome::Passed);
        assert!(matches!(
            judge(Kind::Test, Command::new("false").status(), output),
            Outcome::Failed(_)
        ));
    }
}
