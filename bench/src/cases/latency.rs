//! The round-trip time of a byte.

use super::Figure;
use crate::stage::{Stage, at};
use anyhow::Context as _;

pub(crate) fn idle(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for protocol in ["tcp", "udp"] {
        figures.extend(pingpong(stage, protocol, &format!("latency {protocol}"), seconds)?);
    }
    Ok(figures)
}

pub(crate) fn busy(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (direction, option) in [("up", None), ("down", Some("--reverse"))] {
        // The streams begin before and end after.
        let time = (seconds + 2).to_string();
        let options = ["--congestion", "cubic", "--parallel", "8", "--time", &time];
        let options: Vec<&str> = options.into_iter().chain(option).collect();
        let measured = std::thread::scope(|scope| {
            let streams = scope.spawn(|| stage.iperf(None, &options));
            let measured =
                pingpong(stage, "tcp", &format!("latency beside 8 {direction}"), seconds);
            streams.join().map_err(|_| anyhow::anyhow!("iperf3 panicked"))??;
            measured
        });
        figures.extend(measured?);
    }
    Ok(figures)
}

/// The median and the 99th percentile.
pub(crate) fn pingpong(
    stage: &Stage,
    protocol: &str,
    name: &str,
    seconds: u32,
) -> anyhow::Result<Vec<Figure>> {
    let (protocol, time) = (format!("--{protocol}"), seconds.to_string());
    let answer = stage.load(&["pingpong", &protocol, &at(0), "--seconds", &time])?;
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("{answer}"));
    Ok(vec![
        (format!("{name} p50"), "us", number("p50_us")?),
        (format!("{name} p99"), "us", number("p99_us")?),
    ])
}
