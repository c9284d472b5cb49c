//! Throughput over a path that delays, drops or limits packets beyond the host.

use super::Figure;
use super::throughput::STREAMS;
use crate::stage::Stage;
use anyhow::ensure;
use lab::path::{Leg, SlowPath};
use lab::{Place, until};
use std::time::Duration;

/// Shorter measurements would show mostly how a connection begins, and few losses.
const AT_LEAST_SECONDS: u32 = 10;

/// The server's end of a measurement arrives long before this.
const PATIENCE: Duration = Duration::from_secs(30);

/// The names of the cases' paths.
pub(crate) const PATHS: [&str; 3] = [FEW_LOSSES, MANY_LOSSES, VPN];
const FEW_LOSSES: &str = "20 ms, 0.1 % lost";
const MANY_LOSSES: &str = "20 ms, 1 % lost";
const VPN: &str = "50 ms, 300 Mbit/s";

pub(crate) fn few_losses(stage: &Stage, seconds: u32, round: usize) -> anyhow::Result<Vec<Figure>> {
    over(stage, (FEW_LOSSES, Leg::lossy(Duration::from_millis(10), 0.001)), seconds, round)
}

pub(crate) fn many_losses(
    stage: &Stage,
    seconds: u32,
    round: usize,
) -> anyhow::Result<Vec<Figure>> {
    over(stage, (MANY_LOSSES, Leg::lossy(Duration::from_millis(10), 0.01)), seconds, round)
}

/// The queue holds what the path holds, as is usual for routers.
pub(crate) fn vpn(stage: &Stage, seconds: u32, round: usize) -> anyhow::Result<Vec<Figure>> {
    let round_trip = Duration::from_millis(50);
    over(stage, (VPN, Leg::limited(round_trip / 2, 300_000_000, round_trip)), seconds, round)
}

/// Both directions have the same leg. The app's kernel uses its own congestion control; that of the
/// host and of the server is cubic.
fn over(
    stage: &Stage,
    (name, leg): (&str, Leg),
    seconds: u32,
    round: usize,
) -> anyhow::Result<Vec<Figure>> {
    let time = seconds.max(AT_LEAST_SECONDS).to_string();
    let program = lab::built::programs().join("underpass-path");
    let mut figures = Vec::new();
    for (streams, options) in STREAMS {
        // Every subject loses the same packets in a round, as far as it sends the same ones: what
        // differs between subjects is not their luck.
        let path = SlowPath::start(&stage.lab, &program, (leg, leg), u64::try_from(round)?)?;
        let stream = stage.iperf(None, &[&["--time", &time], options].concat())?;
        // Without the path, its last packets would be lost.
        ensure!(
            until(PATIENCE, || is_idle(stage)),
            "iperf3's server does not end: {name} {streams}"
        );
        drop(path);
        figures.push((format!("path {name}, {streams}"), "Mbit/s", stream.bits_per_second / 1e6));
    }
    Ok(figures)
}

/// Whether iperf3's server has no connection.
fn is_idle(stage: &Stage) -> bool {
    let filter = "ss -Htn state established state close-wait sport = :5201";
    let words: Vec<&str> = filter.split(' ').collect();
    stage.lab.run(Place::Internet, &words).is_ok_and(|done| done.stdout.trim().is_empty())
}
