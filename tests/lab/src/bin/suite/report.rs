//! The suite's output: the output of failed jobs at once, and a summary at the end.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::job::{Outcome, now};
use crate::plan::{Job, Kind};

/// How many of the slowest jobs the summary lists.
const SLOWEST: usize = 15;

/// The messages of tests that skip themselves or a part: `lab_or_skip` and `relay::lacks`.
const LEFT_OUT: [&str; 2] = ["skipped: ", "left out with this relay: "];

/// The kernel counts processor time by this many units a second in /proc (proc_pid_stat(5)).
const TICKS: u64 = 100;

/// The result of the whole run.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// How many tests failed for good.
    pub(crate) broken: usize,
    /// The tests that failed once and passed alone.
    pub(crate) flaky: Vec<String>,
    /// Why the run failed, a line for each reason.
    pub(crate) failed: Vec<String>,
}

/// The jobs that have ended so far.
pub(crate) struct Report {
    all: usize,
    begun: Instant,
    ended: usize,
    failures: usize,
    slowest: Vec<(Duration, String)>,
    steps: Vec<(Duration, String)>,
    left_out: BTreeMap<String, usize>,
}

impl Report {
    pub(crate) fn new(all: usize) -> Self {
        Self {
            all,
            begun: now(),
            ended: 0,
            failures: 0,
            slowest: Vec::new(),
            steps: Vec::new(),
            left_out: BTreeMap::new(),
        }
    }

    /// Prints a line now.
    pub(crate) fn say(&self, text: &str) {
        // If standard output is closed, the exit code remains.
        let _ = writeln!(io::stdout(), "suite: {text}");
    }

    /// A job has ended; its output is in `log`.
    pub(crate) fn ended(
        &mut self,
        job: &Job,
        outcome: &Outcome,
        took: Duration,
        log: Option<&Path>,
    ) {
        let output = log.map(fs::read).and_then(Result::ok).unwrap_or_default();
        let output = String::from_utf8_lossy(&output);
        self.ended += 1;
        match job.kind {
            Kind::Test => self.slowest.push((took, job.id.clone())),
            Kind::Step => self.steps.push((took, job.id.clone())),
        }
        match outcome {
            Outcome::Passed => {
                let said =
                    |line: &&str| LEFT_OUT.iter().any(|beginning| line.starts_with(beginning));
                for line in output.lines().filter(said) {
                    *self.left_out.entry(line.to_owned()).or_default() += 1;
                }
            }
            Outcome::Failed(why) => {
                self.failures += 1;
                let line = format!("FAILED after {:.1} s: {}: {why}", took.as_secs_f64(), job.id);
                self.say(&line);
                let _ = writeln!(io::stdout(), "{}", output.trim_end());
            }
        }
    }

    /// Prints the running jobs.
    pub(crate) fn progress(&self, running: &[&str]) {
        let seconds = (now() - self.begun).as_secs();
        let (ended, all, failures) = (self.ended, self.all, self.failures);
        let running = running.join(", ");
        self.say(&format!("{seconds} s: {ended} of {all} ended, {failures} failed; now {running}"));
    }

    /// Prints the summary, and writes the time of each test into the file `times` in that folder.
    pub(crate) fn end(&mut self, tests: usize, verdict: &Totals, logs: &Path) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let by_time = |all: &mut Vec<(Duration, String)>| {
            all.sort_by_key(|(took, _)| std::cmp::Reverse(*took))
        };
        by_time(&mut self.slowest);
        by_time(&mut self.steps);
        let line =
            |(took, id): &(Duration, String)| format!("{:7.1} s  {id}\n", took.as_secs_f64());
        let times: Vec<String> = self.slowest.iter().chain(&self.steps).map(line).collect();
        fs::write(logs.join("times"), times.concat())?;
        writeln!(out, "suite: the slowest tests, and the steps beside them:")?;
        for slow in self.slowest.iter().take(SLOWEST).chain(&self.steps) {
            write!(out, "  {}", line(slow))?;
        }
        for (line, count) in &self.left_out {
            writeln!(out, "suite: {count} times: {line}")?;
        }
        let sum: Duration = self.slowest.iter().map(|(took, _)| *took).sum();
        let seconds = (now() - self.begun).as_secs_f64();
        let (one_by_one, processor) = (sum.as_secs_f64(), processor_seconds());
        let passed = tests - verdict.broken - verdict.flaky.len();
        writeln!(out, "suite: {tests} tests, {passed} passed")?;
        writeln!(
            out,
            "suite: {seconds:.0} s; one after the other {one_by_one:.0} s; processor time {processor} s"
        )?;
        for id in &verdict.flaky {
            writeln!(out, "FLAKY (failed once, passed alone): {id}")?;
        }
        for line in &verdict.failed {
            writeln!(out, "FAILED: {line}")?;
        }
        Ok(())
    }
}

/// The processor time of all jobs that have ended, with their reaped processes.
fn processor_seconds() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Fields 16 and 17 of the whole line; the third follows the program's name.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() / TICKS
}
