//! The cost of packets, frames and bytes in instructions, compared with a committed baseline.
//!
//! Time says little on a machine that does other work too. The number of instructions hardly
//! changes there, and most regressions begin with more of them. Each scenario runs in its own
//! process under valgrind's callgrind, which counts one function only ([`scenario::measured`]):
//! set-up, warm-up and the start of the process are not in the count. Instructions cannot show
//! system calls, waiting, and memory that is far away; the lab measures those.
#![forbid(unsafe_code)]

mod baseline;
mod count;
mod frames;
mod pipe;
mod scenario;
mod scenarios;
mod vm;

use baseline::{Baseline, TOLERANCE};
use clap::Parser;
use scenario::Scenario;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// As in `underpass`.
#[global_allocator]
static ALLOCATOR: gateway::allocator::Allocator = gateway::allocator::Allocator;

/// Counts instructions and fails if a scenario takes more than 10 % above its baseline.
#[derive(Parser)]
struct Options {
    /// Count only the scenarios whose names contain one of these.
    scenarios: Vec<String>,
    /// Make the new counts the baseline.
    #[arg(long, conflicts_with = "scenarios")]
    write: bool,
    /// `cargo bench` passes it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let outcome = match std::env::var(count::ONLY) {
        Ok(name) => only(&name),
        Err(_) => compare(&Options::parse()),
    };
    outcome.unwrap_or_else(|error| {
        // If standard error is closed, the exit code remains.
        let _ = writeln!(io::stderr(), "bench-instructions: {error:#}");
        ExitCode::FAILURE
    })
}

/// Does the work of one scenario, which runs under valgrind.
fn only(name: &str) -> anyhow::Result<ExitCode> {
    let all = scenarios::all();
    let scenario = all.iter().find(|scenario| scenario.name == name);
    scenario.ok_or_else(|| anyhow::anyhow!("there is no scenario {name}"))?.run();
    Ok(ExitCode::SUCCESS)
}

fn compare(options: &Options) -> anyhow::Result<ExitCode> {
    let wanted = |scenario: &Scenario| {
        options.scenarios.is_empty()
            || options.scenarios.iter().any(|part| scenario.name.contains(part))
    };
    let chosen: Vec<Scenario> = scenarios::all().into_iter().filter(wanted).collect();
    anyhow::ensure!(!chosen.is_empty(), "no scenario has such a name");
    let counts = count::all(&chosen)?;
    let tools = count::tools()?;
    if options.write {
        Baseline::new(
            &tools,
            chosen.iter().map(|scenario| scenario.name).zip(counts.iter().copied()),
        )
        .write()?;
    }
    report(&Baseline::read()?, &tools, &chosen, &counts)
}

fn report(
    baseline: &Baseline,
    tools: &str,
    scenarios: &[Scenario],
    counts: &[u64],
) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let (mut risen, mut fallen, mut new) = (Vec::new(), Vec::new(), Vec::new());
    writeln!(
        out,
        "{:24}{:16}{:>12}{:>12}{:>10}",
        "scenario", "per", "instructions", "baseline", "change"
    )?;
    for (Scenario { name, unit, .. }, count) in scenarios.iter().zip(counts) {
        let Some(before) = baseline.of(name) else {
            writeln!(out, "{name:24}{unit:16}{count:>12}{:>12}", "none")?;
            new.push(*name);
            continue;
        };
        let change = *count as f64 / before as f64 - 1.0;
        writeln!(out, "{name:24}{unit:16}{count:>12}{before:>12}{:>+8.1} %", 100.0 * change)?;
        if change > TOLERANCE {
            risen.push(*name);
        } else if change < -TOLERANCE {
            fallen.push(*name);
        }
    }
    let percent = 100.0 * TOLERANCE;
    writeln!(out)?;
    if !fallen.is_empty() {
        let names = fallen.join(", ");
        writeln!(
            out,
            "More than {percent} % below the baseline, which can be renewed with --write: {names}"
        )?;
    }
    if !risen.is_empty() {
        writeln!(out, "FAILED: more than {percent} % above the baseline: {}", risen.join(", "))?;
        writeln!(
            out,
            "Where these instructions are: callgrind_annotate {}",
            count::profile(risen[0]).display()
        )?;
    }
    if !new.is_empty() {
        writeln!(out, "FAILED: without a baseline: {}", new.join(", "))?;
    }
    if risen.is_empty() && new.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(
        out,
        "If that is intended: `scripts/bench-instructions --write`, and give the reason in \
            the commit."
    )?;
    if baseline.tools != tools {
        writeln!(
            out,
            "The baseline was made by other tools ({}; these are {tools}), which may be the \
                only cause.",
            baseline.tools
        )?;
    }
    Ok(ExitCode::FAILURE)
}
