//! The lab: four network namespaces that stand for a WSL VM, its Windows host, a router and the
//! internet, and a 'VPN' that drops what the host forwards for the VM. Tests run real programs in
//! them and judge by the output of those programs.
//!
//! It builds nothing and knows nothing of the crates under test: programs are started, never
//! linked.
//!
//! `scripts/test tcp_streams` runs a file of its tests with all relays, many side by side.
//! `src/bin/suite/plan.rs` lists the tests that need the machine alone. `cargo test --package
//! underpass-lab --test tcp_streams` runs them with the relay that `UNDERPASS_LAB_RELAY` names.
//!
//! ```text
//! wsl 172.28.48.2 -- 172.28.48.1 windows 192.0.2.2 -- 192.0.2.1 router 198.51.100.1 -- 198.51.100.2 internet 203.0.113.10
//!     IPv4 only          (masquerades)   2001:db8:1::2    ::1          2001:db8:2::1           ::2        2001:db8:f::10
//! ```
#![forbid(unsafe_code)]

use std::io::Write;

pub mod addresses;
pub mod built;
pub mod doctor;
pub mod helper;
pub mod interop;
mod kernel;
mod leftovers;
pub mod marked;
pub mod modes;
mod nested;
pub mod path;
pub mod programs;
pub mod relay;
mod run;
pub mod scene;
mod scratch;
mod topology;
pub mod tunnel;
mod wait;
pub mod wine;
pub mod wsl;

pub use nested::{Container, Masquerade};
pub use run::{Finished, Process};
pub use topology::{Lab, LabError, Place, Vpn};
pub use tunnel::Tunnel;
pub use wait::until;

/// The programs that a lab needs; `scripts/lab-deps` installs them.
const PROGRAMS: [&str; 9] =
    ["ip", "nft", "iptables", "curl", "dig", "ping", "traceroute", "dnsmasq", "python3"];

/// The other programs that tests need; `scripts/lab-deps tests` installs them.
const TEST_PROGRAMS: [&str; 5] = ["mtr", "iperf3", "ssh", "sshd", "git"];

/// Why no lab can be made on this machine, or `None` if it can: a lab needs root, a TUN driver and
/// the programs that `scripts/lab-deps` installs.
pub fn missing() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective_user = status
        .lines()
        .find_map(|line| line.strip_prefix("Uid:"))
        .and_then(|ids| ids.split_whitespace().nth(1));
    if effective_user != Some("0") {
        return Some("a lab needs root".to_owned());
    }
    if !std::path::Path::new("/dev/net/tun").exists() {
        return Some("a lab needs /dev/net/tun".to_owned());
    }
    PROGRAMS
        .into_iter()
        .find(is_missing)
        .map(|program| format!("a lab needs {program}; run scripts/lab-deps"))
}

fn is_missing(program: &&str) -> bool {
    !std::env::split_paths(&run::search_path()).any(|folder| folder.join(program).exists())
}

/// Makes a lab. If that is impossible, prints the reason in one line and returns `None`, so that
/// the test ends there.
///
/// # Panics
/// With `CI=true` in the environment, a machine without a lab is a failure, never a skip.
/// Also if the lab's own commands fail, with their output.
pub fn lab_or_skip() -> Option<Lab> {
    let for_tests = || TEST_PROGRAMS.into_iter().find(is_missing);
    if let Some(why) = missing().or_else(|| {
        for_tests().map(|program| format!("tests need {program}; run scripts/lab-deps tests"))
    }) {
        skip(why);
        return None;
    }
    match Lab::new() {
        Ok(lab) => Some(lab),
        Err(error) => panic!("the lab could not be made: {error}"),
    }
}

/// Says in one line why a test ends here.
///
/// # Panics
/// With `CI=true` in the environment, where no test may be skipped.
pub fn skip(why: impl std::fmt::Display) {
    let is_ci = std::env::var("CI").as_deref() == Ok("true");
    assert!(!is_ci, "under CI no test may be skipped: {why}");
    // Not `eprintln!`: the test runner swallows what that says in a test that passes, and this is
    // all the test says.
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_program_is_looked_for_by_the_script_that_installs_them() {
        let script = include_str!("../../../scripts/lab-deps");
        let lists =
            [("commands=", &super::PROGRAMS[..]), ("    commands+=", &super::TEST_PROGRAMS)];
        for (beginning, programs) in lists {
            let line = script.lines().find(|line| line.starts_with(beginning)).unwrap_or_default();
            let words: Vec<&str> = line.split(['(', ')', ' ']).collect();
            let absent: Vec<_> =
                programs.iter().filter(|program| !words.contains(program)).collect();
            assert!(absent.is_empty(), "{absent:?} not in {line}");
        }
    }
}
