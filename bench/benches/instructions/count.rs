//! Runs scenarios under valgrind and reads callgrind's counts.

use crate::scenario::Scenario;
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Names the scenario to the counted process. As an argument, the program's path would lie in the
/// heap, and the heap's content changes the allocator's instructions by some per cent.
pub(crate) const ONLY: &str = "UNDERPASS_BENCH_ONLY";

/// The function to count. Callgrind compares it with the demangled names of functions.
const MEASURED: &str = "*scenario::measured*";

/// Copies by registers, since valgrind counts `rep movsb` as one instruction per byte.
const TUNABLES: &str = "glibc.cpu.hwcaps=-ERMS";

/// The folder of callgrind's files.
fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/instructions"))
}

/// Callgrind's file of a scenario: `callgrind_annotate FILE` shows the functions that contain the
/// instructions.
pub(crate) fn profile(scenario: &str) -> PathBuf {
    folder().join(scenario)
}

/// The tools that affect the counts besides the code.
pub(crate) fn tools() -> Result<String> {
    let version = |program: &str| -> Result<String> {
        let output = Command::new(program)
            .arg("--version")
            .output()
            .with_context(|| format!("{program} --version"))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    Ok(format!("{}, {}, {}", version("rustc")?, version("valgrind")?, std::env::consts::ARCH))
}

/// Instructions per unit of each scenario, in the scenarios' order.
pub(crate) fn all(scenarios: &[Scenario]) -> Result<Vec<u64>> {
    std::fs::create_dir_all(folder()).with_context(|| folder().display().to_string())?;
    let count = |scenario: &Scenario| {
        one(scenario).with_context(|| format!("the scenario {}", scenario.name))
    };
    scenarios.iter().map(count).collect()
}

fn one(scenario: &Scenario) -> Result<u64> {
    let file = profile(scenario.name);
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(std::env::current_exe()?)
        .env(ONLY, scenario.name)
        .env("GLIBC_TUNABLES", TUNABLES)
        .output()
        .context("valgrind does not start: is the package valgrind installed?")?;
    ensure!(
        output.status.success(),
        "it failed under valgrind:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let total =
        text.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse::<u64>().ok());
    let total = total.with_context(|| format!("{} has no line `totals:`", file.display()))?;
    ensure!(total > 0, "nothing was counted: no function's name matches {MEASURED}");
    Ok(total / (scenario.calls * scenario.units))
}
