//! Throughput.

use super::Figure;
use crate::stage::{Stage, at};
use anyhow::Context as _;
use lab::scene::cpu_time;
use lab::{Container, Masquerade};
use std::process::{Command, Stdio};

/// Streams at once, and whether they go to the VM.
pub(super) const STREAMS: [(&str, &[&str]); 4] = [
    ("up 1", &["--parallel", "1"]),
    ("down 1", &["--parallel", "1", "--reverse"]),
    ("up 8", &["--parallel", "8"]),
    ("down 8", &["--parallel", "8", "--reverse"]),
];

/// The same congestion control for all, whatever the machine's own.
const CUBIC: [&str; 2] = ["--congestion", "cubic"];

pub(crate) fn tcp(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    streams(stage, None, "tcp", seconds)
}

pub(crate) fn container(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let container = Container::new(&stage.lab, 30, Masquerade::Yes);
    let mut figures = streams(stage, Some(&container), "container", seconds)?;
    // The VM's own beside them, since the machine's speed drifts.
    figures.extend(streams(stage, None, "beside container", seconds)?);
    Ok(figures)
}

fn streams(
    stage: &Stage,
    inside: Option<&Container>,
    name: &str,
    seconds: u32,
) -> anyhow::Result<Vec<Figure>> {
    let time = seconds.to_string();
    let mut figures = Vec::new();
    for (streams, options) in STREAMS {
        let pids = stage.pids();
        let spent = || pids.iter().map(|pid| cpu_time(*pid).as_secs_f64()).sum::<f64>();
        let before = spent();
        let frames_before = frames(stage, streams);
        let stream = stage.iperf(inside, &[&CUBIC[..], &["--time", &time], options].concat())?;
        figures.push((format!("{name} {streams}"), "Gbit/s", stream.bits_per_second / 1e9));
        if !pids.is_empty() {
            figures.push((
                format!("{name} {streams} cost"),
                "CPU s/GB",
                (spent() - before) / stream.bytes * 1e9,
            ));
        }
        if let (Some(before), Some(after)) = (frames_before, frames(stage, streams)) {
            let kib = (after.0 - before.0) / (after.1 - before.1) / 1024.0;
            figures.push((format!("{name} {streams} frame"), "KiB", kib));
        }
    }
    Ok(figures)
}

/// Bytes of streams so far, and frames on the TAP, both in the direction of the case. `None` for a
/// peer.
fn frames(stage: &Stage, case: &str) -> Option<(f64, f64)> {
    let status = stage.tunnel()?.status();
    let direction = case.split(' ').next()?;
    Some((status["bytes"][direction].as_f64()?, status["packets"][direction].as_f64()?))
}

pub(crate) fn interop(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let mut figures = streams(stage, None, "interop", seconds)?;
    figures.push((
        "model up".to_owned(),
        "Gbit/s",
        model(stage, "head -c 1G /dev/zero", "cat >/dev/null")?,
    ));
    figures.push(("model down".to_owned(), "Gbit/s", model(stage, "", "head -c 1G /dev/zero")?));
    Ok(figures)
}

/// The one-way throughput of the model of WSL's interop, between a program in the VM that writes or
/// reads a gibibyte and one on the host.
fn model(stage: &Stage, here: &str, there: &str) -> anyhow::Result<f64> {
    let interop = stage.interop().context("no interop")?;
    let init = lab::built::programs().join("interop-init").display().to_string();
    let ours = if here.is_empty() {
        "exec 3<&0 </dev/null; \"$@\" >/dev/null"
    } else {
        "eval \"$0\" | \"$@\""
    };
    let words =
        ["netns", "exec", &stage.lab.namespace(lab::Place::Wsl), "sh", "-c", ours, here, &init];
    let mut command = Command::new("ip");
    command.args(words).args(["/bin/sh", "sh", "-c", there]).env("WSL_INTEROP", interop.socket());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = crate::clock();
    let done = command.status()?;
    anyhow::ensure!(done.success(), "the model of interop: {done}");
    Ok(f64::from(1 << 30) * 8.0 / 1e9 / began.elapsed().as_secs_f64())
}

/// The lowest offered rate, in Mbit/s.
const LOWEST: f64 = 200.0;

/// The step from a rate to the next one.
const STEP: f64 = 1.05;

/// The number of steps: the highest rate is 20 Gbit/s.
const STEPS: i32 = 94;

/// Steps between two rates of the first search: about a quarter.
const STRIDE: i32 = 5;

/// The highest rate of datagrams of 1,400 bytes with less than 1 % lost, in steps of 5 %. It looks
/// for the first rate that fails in larger steps, and then halves the interval.
pub(crate) fn udp(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for (name, direction) in [("udp up", None), ("udp down", Some("--reverse"))] {
        let mut best = 0.0_f64;
        let mut passes = |step: i32| {
            let (rate, time) = (LOWEST * STEP.powi(step), seconds.min(1).to_string());
            let rate = format!("{rate:.0}M");
            let options = ["--udp", "--length", "1400", "--bitrate", &rate, "--time", &time];
            let options: Vec<&str> = options.into_iter().chain(direction).collect();
            // A burst of other work on the machine may cost a percent, so a failed rate is tried
            // once more.
            let mut tries = (0..2).map(|_| stage.iperf(None, &options));
            let kept = tries.find_map(|stream| match stream {
                Ok(stream) if stream.lost_percent >= 1.0 => None,
                other => Some(other),
            });
            let Some(stream) = kept.transpose()? else { return anyhow::Ok(false) };
            let got = stream.bits_per_second / 1e6;
            // Otherwise the sender cannot do more.
            let is_more = got >= best * 1.02;
            best = best.max(got);
            Ok(is_more)
        };
        let (mut good, mut bad) = (-1, STEPS);
        for step in (0..STEPS).step_by(STRIDE as usize) {
            if !passes(step)? {
                bad = step;
                break;
            }
            good = step;
        }
        while bad - good > 1 {
            let step = i32::midpoint(good, bad);
            if passes(step)? { good = step } else { bad = step }
        }
        figures.push((name.to_owned(), "Mbit/s", best));
    }
    Ok(figures)
}

/// The datagrams that arrive of 2 Gbit/s.
pub(crate) fn offered(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    offer(stage, seconds, "65520")
}

/// As [`offered`], for stages with that MTU.
pub(crate) fn offered_1500(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    offer(stage, seconds, "1500")
}

fn offer(stage: &Stage, seconds: u32, mtu: &str) -> anyhow::Result<Vec<Figure>> {
    let time = seconds.to_string();
    let mut figures = Vec::new();
    for (way, direction) in [("up", None), ("down", Some("--reverse"))] {
        let options = ["--udp", "--length", "1400", "--bitrate", "2G", "--time", &time];
        let options: Vec<&str> = options.into_iter().chain(direction).collect();
        let pids = stage.pids();
        let spent = || pids.iter().map(|pid| cpu_time(*pid).as_secs_f64()).sum::<f64>();
        let before = spent();
        let stream = stage.iperf(None, &options)?;
        let name = format!("udp {way} at 2 Gbit/s, MTU {mtu}");
        figures.push((name.clone(), "Mbit/s", stream.bits_per_second / 1e6));
        figures.push((format!("{name} cost"), "CPU s/GB", (spent() - before) / stream.bytes * 1e9));
    }
    Ok(figures)
}

pub(crate) fn quic(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let time = seconds.to_string();
    let answer = stage.load(&[
        "datagrams",
        &at(0),
        "--sockets",
        "64",
        "--size",
        "1200",
        "--seconds",
        &time,
    ])?;
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("{answer}"));
    Ok(vec![
        ("quic".to_owned(), "echoes/s", number("per_second")?),
        ("quic lost".to_owned(), "%", number("lost_share")? * 100.0),
    ])
}
