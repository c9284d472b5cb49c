//! Connections and queries that begin and end per second.

use super::Figure;
use crate::stage::{Stage, at};
use anyhow::{Context as _, ensure};
use lab::addresses::NAT_GATEWAY;

pub(crate) fn connects(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for parallel in ["1", "32"] {
        let time = seconds.to_string();
        let answer =
            stage.load(&["connects", &at(0), "--parallel", parallel, "--seconds", &time])?;
        ensure!(answer["failed"] == 0, "connects failed: {answer}");
        let rate = answer["per_second"].as_f64().with_context(|| format!("{answer}"))?;
        figures.push((format!("connects {parallel}"), "1/s", rate));
    }
    Ok(figures)
}

pub(crate) fn dns(stage: &Stage, seconds: u32) -> anyhow::Result<Vec<Figure>> {
    let time = seconds.to_string();
    let answer = stage.load(&[
        "dns",
        &format!("{NAT_GATEWAY}:53"),
        "--parallel",
        "32",
        "--seconds",
        &time,
    ])?;
    ensure!(answer["failed"] == 0, "queries failed: {answer}");
    let number = |name: &str| answer[name].as_f64().with_context(|| format!("{answer}"));
    Ok(vec![
        ("dns".to_owned(), "queries/s", number("per_second")?),
        ("dns lost".to_owned(), "queries", number("lost")?),
    ])
}
