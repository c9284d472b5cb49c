//! Runs jobs side by side, limits their time, and runs each test that failed once more.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::Options;
use crate::job::{Outcome, Running, end, now};
use crate::plan::{Job, Kind};
use crate::report::{Report, Totals};
use crate::schedule::{Need, next};

/// With more failures than these the fault is larger, and another run of tests shows nothing.
const MOST_AGAIN: usize = 20;

/// How many tests may fail once and pass when they run again alone.
const MOST_FLAKY: usize = 2;

/// How often the terminal shows progress.
const PROGRESS: Duration = Duration::from_secs(30);

/// A running job as this thread knows it. Another thread waits for its end.
struct Current {
    index: usize,
    need: Need,
    mark: String,
    since: Instant,
    deadline: Instant,
    is_late: bool,
}

/// Runs the jobs. Returns whether the run passed. A test that failed runs once more alone, when all
/// others have ended; if it passes then, it counts as flaky.
///
/// # Errors
/// The results cannot be written.
pub(crate) fn run(jobs: &[Job], options: &Options) -> Result<bool, String> {
    let mut report = Report::new(jobs.len());
    let all: Vec<usize> = (0..jobs.len()).collect();
    let failed = pass(jobs, &all, options, Turn::First, &mut report);
    let (steps, tests): (Vec<usize>, Vec<usize>) =
        failed.into_iter().partition(|i| jobs[*i].kind == Kind::Step);
    let names = |indices: &[usize]| indices.iter().map(|i| jobs[*i].id.clone()).collect::<Vec<_>>();
    let mut verdict = Totals { failed: names(&steps), ..Totals::default() };
    let broken = if tests.len() > MOST_AGAIN {
        report.say(&format!("{} tests failed: none runs again", tests.len()));
        tests
    } else {
        let again = pass(jobs, &tests, options, Turn::Again, &mut report);
        let flaky: Vec<usize> = tests.into_iter().filter(|i| !again.contains(i)).collect();
        verdict.flaky = names(&flaky);
        again
    };
    verdict.broken = broken.len();
    verdict.failed.extend(names(&broken));
    if verdict.flaky.len() > MOST_FLAKY {
        let line = format!("{} tests are flaky, and {MOST_FLAKY} may be", verdict.flaky.len());
        verdict.failed.push(line);
    }
    let count = jobs.iter().filter(|job| job.kind == Kind::Test).count();
    report.end(count, &verdict, &options.logs).map_err(|error| error.to_string())?;
    Ok(verdict.failed.is_empty())
}

/// Whether a job runs for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    First,
    /// Alone, after it failed.
    Again,
}

/// Runs some of the jobs, and returns those that failed.
fn pass(
    jobs: &[Job],
    chosen: &[usize],
    options: &Options,
    turn: Turn,
    report: &mut Report,
) -> Vec<usize> {
    let (sender, ended) = mpsc::channel();
    let need = |index: usize| if turn == Turn::Again { Need::Alone } else { jobs[index].need };
    let mut waiting: Vec<usize> = chosen.to_vec();
    let mut running: Vec<Current> = Vec::new();
    let mut failed = Vec::new();
    let mut progress = now() + PROGRESS;
    loop {
        let needs =
            |running: &[Current]| running.iter().map(|current| current.need).collect::<Vec<_>>();
        let wanted =
            |waiting: &[usize]| waiting.iter().map(|index| need(*index)).collect::<Vec<_>>();
        while let Some(position) = next(&wanted(&waiting), &needs(&running), options.slots) {
            let index = waiting.remove(position);
            let number = index + if turn == Turn::Again { jobs.len() } else { 0 };
            match Running::start(&jobs[index], number, &options.logs) {
                Ok(job) => {
                    let since = now();
                    let limit = Duration::from_secs(options.limit) * jobs[index].patience;
                    let mark = job.mark().to_owned();
                    let deadline = since + limit;
                    running.push(Current {
                        index,
                        need: need(index),
                        mark,
                        since,
                        deadline,
                        is_late: false,
                    });
                    let (sender, log) = (sender.clone(), job.log().to_path_buf());
                    // The receiver outlives all jobs.
                    std::thread::spawn(move || sender.send((index, job.wait(), log)));
                }
                Err(error) => {
                    let outcome = Outcome::Failed(error.to_string());
                    report.ended(&jobs[index], &outcome, Duration::ZERO, None);
                    failed.push(index);
                }
            }
        }
        if running.is_empty() {
            return failed;
        }
        let deadlines =
            running.iter().filter(|current| !current.is_late).map(|current| current.deadline);
        let wake = deadlines.chain([progress]).min().unwrap_or(progress);
        match ended.recv_timeout(wake.saturating_duration_since(now())) {
            Ok((index, outcome, log)) => {
                let Some(position) = running.iter().position(|current| current.index == index)
                else {
                    continue;
                };
                let current = running.remove(position);
                let took = now() - current.since;
                let outcome = if current.is_late {
                    Outcome::Failed(format!("it did not end within {} s", took.as_secs()))
                } else {
                    outcome
                };
                report.ended(&jobs[index], &outcome, took, Some(&log));
                if outcome == Outcome::Passed {
                    // The file of a test that passed may be gone already.
                    let _ = std::fs::remove_file(&log);
                } else {
                    failed.push(index);
                    if turn == Turn::First {
                        let _ = std::fs::rename(&log, log.with_extension("first.log"));
                    }
                }
            }
            Err(RecvTimeoutError::Disconnected) => return failed,
            Err(RecvTimeoutError::Timeout) => {
                let now = now();
                for late in
                    running.iter_mut().filter(|current| !current.is_late && current.deadline <= now)
                {
                    late.is_late = true;
                    end(&late.mark);
                }
                if progress <= now {
                    progress = now + PROGRESS;
                    let ids: Vec<&str> =
                        running.iter().map(|current| jobs[current.index].id.as_str()).collect();
                    report.progress(&ids);
                }
            }
        }
    }
}
