//! Memory, processor time, and the time to start and stop.

use super::Figure;
use crate::stage::{Stage, at};
use anyhow::{Context as _, ensure};
use lab::addresses::NAT_GATEWAY;
use lab::scene::{cpu_time, memory_together_kib};
use lab::tunnel::send_signal;
use lab::{Tunnel, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command};
use std::time::Duration;

/// Idle connections, held by a tool until it is dropped.
struct Crowd {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Crowd {
    fn open(stage: &Stage, count: u32) -> anyhow::Result<Self> {
        let number = count.to_string();
        let mut process = stage.start_load(&["hold", &at(0), "--connections", &number])?;
        let answers = BufReader::new(process.stdout.take().context("no output")?);
        let mut crowd = Self { process, answers };
        let answer = crowd.answer()?;
        ensure!(answer["open"] == count, "{count} connections do not get open: {answer}");
        Ok(crowd)
    }

    fn answer(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line)
            .with_context(|| format!("the holder of connections said '{line}'"))
    }

    /// Does not panic: connections that died meanwhile are an error.
    fn close(mut self, count: u32) -> anyhow::Result<()> {
        drop(self.process.stdin.take());
        let answer = self.answer()?;
        ensure!(answer["alive"] == count, "of {count} connections some died: {answer}");
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        // It has already ended if all went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Gateway and relay together.
fn memory(pids: &[u32]) -> f64 {
    memory_together_kib(pids) as f64 / 1024.0
}

/// Longer than the stack's idle time of a connection.
const IDLE: Duration = Duration::from_secs(8);

/// A minute.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn crowd(stage: Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let pids = stage.pids();
    let mut figures = Vec::new();
    let mut rest = 0.0;
    for count in [1, 1000, 2000, 10_000] {
        let crowd = Crowd::open(&stage, count)?;
        // The measurement is about idle connections: they return their memory when they have idled
        // for some seconds.
        let _ = until(IDLE, || false);
        let now = memory(&pids);
        figures.extend(cost(&stage, count, seconds)?);
        crowd.close(count)?;
        if count == 1 {
            rest = memory(&pids);
            figures.push(("memory at rest".to_owned(), "MiB", rest));
        } else {
            figures.push((format!("memory with {count}"), "MiB", now));
        }
    }
    let _ = until(GIVEN_BACK_WITHIN, || memory(&pids) <= rest * 1.1);
    figures.push(("memory afterwards".to_owned(), "MiB", memory(&pids)));
    Ok(figures)
}

/// Keeps all cores awake while it lives, by programs of the lowest priority.
struct Awake(Vec<Child>);

impl Awake {
    fn start() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let mut awake = Self(Vec::new());
        for _ in 0..cores {
            awake.0.push(
                Command::new("chrt")
                    .args(["--idle", "0", "sh", "-c", "while :; do :; done"])
                    .spawn()?,
            );
        }
        Ok(awake)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        for process in &mut self.0 {
            // A program may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The gateway's cost of a byte there and back, and its time, beside idle connections. The cores
/// are kept awake: waking them takes as long as all the rest, or nothing, depending on the
/// machine's other users, which hides the result.
fn cost(stage: &Stage, count: u32, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let _awake = Awake::start()?;
    let gateway = stage.pids()[0];
    let before = cpu_time(gateway);
    let time = seconds.to_string();
    let answer = stage.load(&["pingpong", "--tcp", &at(0), "--seconds", &time])?;
    let spent = cpu_time(gateway) - before;
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("{answer}"));
    Ok(vec![
        (format!("latency beside {count} idle p50"), "us", number("p50_us")?),
        (
            format!("cost beside {count} idle"),
            "us of CPU",
            spent.as_secs_f64() * 1e6 / number("rounds")?,
        ),
    ])
}

/// Started and stopped, with a byte there and back between.
pub(crate) fn start() -> anyhow::Result<Vec<Figure>> {
    let stage = Stage::cut_off()?;
    let began = crate::clock();
    let mut tunnel = Tunnel::launch(&stage.lab, &[]);
    ensure!(stage.answers_soon(), "nothing comes through");
    let started = began.elapsed();
    let began = crate::clock();
    send_signal(tunnel.process().pid(), "TERM");
    ensure!(tunnel.process().exit_code(GIVEN_BACK_WITHIN) == Some(0), "{}", tunnel.complained());
    let stopped = began.elapsed();
    let milliseconds =
        |name: &str, time: Duration| (name.to_owned(), "ms", time.as_secs_f64() * 1e3);
    Ok(vec![milliseconds("start", started), milliseconds("stop", stopped)])
}

pub(crate) fn soak(stage: Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let pids = stage.pids();
    let flows = |kind: &str| {
        stage.tunnel().map_or(0, |tunnel| tunnel.status()["flows"][kind].as_i64().unwrap_or(0))
    };
    // Except UDP sockets, which are kept for minutes (RFC 4787 REQ-5).
    let descriptors = || {
        let of = |pid: &u32| {
            std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |files| files.count())
        };
        i64::try_from(pids.iter().map(of).sum::<usize>()).unwrap_or(i64::MAX) - flows("udp")
    };
    let load = |seconds: u32| {
        let dns = format!("{NAT_GATEWAY}:53");
        let answer =
            stage.load(&["soak", &at(0), "--seconds", &seconds.to_string(), "--dns", &dns])?;
        ensure!(answer["error_count"] == 0, "the soak's errors: {answer}");
        Ok(answer)
    };
    // Tables and pools reach their size in a tenth of the time; from then on nothing may grow.
    load(seconds.div_ceil(10))?;
    let idle = || until(GIVEN_BACK_WITHIN, || flows("tcp") == 0);
    ensure!(idle(), "connections are left");
    let before = (memory(&pids), descriptors());
    let answer = load(seconds)?;
    ensure!(idle(), "connections are left");
    let _ = until(GIVEN_BACK_WITHIN, || memory(&pids) <= before.0 && descriptors() <= before.1);
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("{answer}"));
    let restarts =
        stage.tunnel().and_then(|tunnel| tunnel.status()["relays"][0]["restarts"].as_f64());
    let figure = |name: &str, unit, value| (format!("soak {name}"), unit, value);
    Ok(vec![
        figure("connects", "connections", number("connects")?),
        figure("bytes", "GB", number("bytes")? / 1e9),
        figure("datagrams", "echoes", number("datagrams")?),
        figure("queries", "queries", number("queries")?),
        figure("errors", "errors", number("error_count")?),
        figure("memory before", "MiB", before.0),
        figure("memory after", "MiB", memory(&pids)),
        figure("descriptors left", "descriptors", (descriptors() - before.1) as f64),
        figure("restarts", "restarts", restarts.context("no status")?),
    ])
}
