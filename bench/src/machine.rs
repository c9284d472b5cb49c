//! The machine that the figures were measured on.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

/// The machine and the programs' versions.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_mib: u64,
    /// By the program's name.
    pub(crate) versions: BTreeMap<String, String>,
}

pub(crate) fn describe() -> Machine {
    let line = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        value.trim_start_matches([':', ' ', '\t']).trim().to_owned()
    };
    let kib: u64 = line("/proc/meminfo", "MemTotal")
        .split(' ')
        .next()
        .and_then(|kib| kib.parse().ok())
        .unwrap_or(0);
    let mut versions = crate::peers::versions();
    versions.insert("underpass".to_owned(), commit());
    versions.insert("iperf3".to_owned(), first_line("iperf3", "--version"));
    Machine {
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        processor: line("/proc/cpuinfo", "model name"),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_mib: kib / 1024,
        versions,
    }
}

/// The version and the commit under test.
fn commit() -> String {
    let said =
        Command::new("git").args(["describe", "--always", "--dirty", "--exclude=*"]).output();
    let said = said
        .map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
        .unwrap_or_default();
    format!("{} ({said})", env!("CARGO_PKG_VERSION"))
}

fn first_line(program: &str, option: &str) -> String {
    let said = Command::new(program).arg(option).output();
    let said =
        said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    said.lines().next().unwrap_or_default().to_owned()
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or(0.0)
}
