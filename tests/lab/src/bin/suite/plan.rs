//! The plan of a run: each test with its relays, and what it needs from the machine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use crate::built::Program;
use crate::schedule::Need;

/// A test with a relay, or another command that runs beside the tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    /// `package/target::test`, and the relay in brackets if the test runs with several.
    pub(crate) id: String,
    /// Program and arguments.
    pub(crate) words: Vec<String>,
    pub(crate) folder: PathBuf,
    pub(crate) variables: Vec<(&'static str, &'static str)>,
    pub(crate) need: Need,
    /// How many times longer than others it may take.
    pub(crate) patience: u32,
    pub(crate) kind: Kind,
}

/// The kind of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One test of a test program.
    Test,
    /// A command of `--step` or `--alone`.
    Step,
}

/// The selected tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) set: Set,
    /// A test is selected if its name contains one of these; without any, all are.
    pub(crate) words: Vec<String>,
}

/// A set of tests with relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    /// All tests, with all relays.
    Full,
    /// Unit tests, and the core of the tunnel with the relay for Linux.
    Quick,
    /// All tests without Windows programs, with the relay for Linux: for other settings of the
    /// machine.
    Linux,
    /// All tests with Windows programs, for another Wine.
    NewestWine,
}

impl FromStr for Set {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "full" => Ok(Self::Full),
            "quick" => Ok(Self::Quick),
            "linux" => Ok(Self::Linux),
            "newest-wine" => Ok(Self::NewestWine),
            _ => Err(format!("--set takes full, quick, linux or newest-wine, not '{word}'")),
        }
    }
}

/// The variable that selects a test's relay: `tests/lab/src/relay.rs`.
const RELAY: &str = "UNDERPASS_LAB_RELAY";
/// Bytes of interop's buffers: `tests/lab/src/interop.rs`. They have 64 KiB since microsoft/WSL
/// pull request 41603; without this variable they have the earlier 4 KiB.
const BUFFER: [(&str, &str); 1] = [("UNDERPASS_LAB_INTEROP_BUFFER", "65536")];

/// The tests of the tunnel, which run with three relays: the one for Linux, the same through the
/// model of WSL's interop, and the one for Windows through the model and under Wine. Features that
/// a relay lacks are left out by name: `tests/lab/src/relay.rs`.
const TUNNEL: [&str; 22] = [
    "lab/addresses",
    "lab/bad_input",
    "lab/changes",
    "lab/command",
    "lab/containers",
    "lab/dns",
    "lab/faithful",
    "lab/host",
    "lab/icmp",
    "lab/ipv6",
    "lab/loss",
    "lab/path_mtu",
    "lab/relays",
    "lab/routes",
    "lab/tcp",
    "lab/tcp_programs",
    "lab/tcp_streams",
    "lab/tunnel",
    "lab/udp",
    "lab/uplink",
    "lab/verification",
    "lab/zone_transfer",
];

/// Tests of the tunnel that measure; the newest Wine runs none of them.
const LOAD: &str = "lab/load";

/// Other programs that run Windows programs with every relay, and test a Wine.
const WINDOWS: [&str; 3] = ["lab/windows", "lab/windows_start", "lab/verification_distro"];

/// Tests that run or pack Windows programs with every relay: program, and the beginning of the
/// test's name.
const WITH_WINE: [(&str, &str); 16] = [
    ("lab/attacks", "a_script_in_the_place_"),
    ("lab/attacks", "another_program_"),
    ("lab/attacks", "links_in_the_place_"),
    ("lab/damage", ""),
    ("lab/distro", ""),
    ("lab/doctor", "in_wsl_windows_is_asked_"),
    ("lab/lifetime", ""),
    ("lab/link", "eight_streams_move_to_tcp_with_the_exe"),
    ("lab/modes", "each_networking_mode_"),
    ("lab/release", "the_same_programs_"),
    ("lab/service", "the_helper_distro_is_started_"),
    ("lab/settings", ""),
    ("lab/verification_distro", ""),
    ("lab/via", "windows_"),
    ("lab/windows", ""),
    ("lab/windows_start", ""),
];

/// Parts of the names of tests that wait for half a minute or longer.
const LONG: [&str; 10] = [
    "changes::",
    "bad_input::",
    "lifetime::",
    "endless::",
    "conformance::",
    "eight_streams_move_",
    "doctor_fixes::",
    "_for_a_minute_go_on",
    "_end_after_30_seconds_",
    "broken_parts_are_found",
];

/// The core of the tunnel, for a quick look. `scripts/test` reads this line.
const CORE: [&str; 6] = ["lab/dns", "lab/icmp", "lab/routes", "lab/tcp", "lab/tunnel", "lab/udp"];

/// The needs of some tests: program, the beginning of the test's name, need, and how many times
/// longer than others they may take. The first match counts.
const MARKS: [(&str, &str, Need, u32); 19] = [
    // They move much data, and do not measure its time.
    (LOAD, "four_streams_", Need::Slots(3), 2),
    (LOAD, "nothing_is_left_", Need::Slots(3), 2),
    (LOAD, "readers_that_stop_for_a_minute_", Need::Slots(1), 1),
    // They compare times, memory or processor time with and without a load.
    (LOAD, "", Need::Alone, 2),
    ("lab/speed", "", Need::Alone, 1),
    ("lab/fairness", "", Need::Alone, 2),
    ("lab/path", "", Need::Alone, 1),
    ("lab/windows", "floods_", Need::Alone, 2),
    // The relay must be replaced within 2 s.
    ("lab/relays", "killed_10_times", Need::Alone, 1),
    // Wine loses pings while it is delayed.
    ("lab/icmp", "large_and_many_pings_", Need::Alone, 1),
    // They need the processor's idle time to be the gateway's own.
    ("lab/bad_input", "", Need::Slots(2), 1),
    // They build the package, which other tests unpack.
    ("lab/distro", "the_package_", Need::Alone, 4),
    // It builds the programs for Arm where scripts/arm64 has not yet.
    ("lab/release", "the_same_programs_", Need::Slots(2), 4),
    // The kernel's list of interpreters belongs to the machine: these tests need it without foreign
    // entries.
    ("lab/doctor", "in_wsl_windows_is_asked_", Need::Alone, 1),
    // With an entry the machine counts as a WSL.
    ("underpass/verify", "", Need::Alone, 1),
    (
        "lab/windows_start",
        "a_windows_program_is_reported_if_the_kernel_has_no_entry",
        Need::Alone,
        1,
    ),
    ("lab/windows_start", "the_kernels_entry_for_windows_programs", Need::Alone, 1),
    ("lab/lifetime", "", Need::Slots(1), 2),
    ("lab/routes", "killed_at_random_moments_", Need::Slots(1), 2),
];

/// One way to run a test: the text in brackets after its name, and the variables.
type Way = (&'static str, Vec<(&'static str, &'static str)>);

fn way(name: &'static str, relay: &'static str) -> Way {
    (name, vec![(RELAY, relay)])
}

/// The ways in which a test runs in a set.
fn ways(set: Set, program: &str, test: &str) -> Vec<Way> {
    let is_unit = !program.starts_with("lab/");
    let is_tunnel = TUNNEL.contains(&program) || program == LOAD;
    match set {
        Set::Quick if CORE.contains(&program) => vec![way("linux", "linux")],
        Set::Quick if is_unit && !needs_lab(program) => vec![("", Vec::new())],
        Set::Quick => Vec::new(),
        Set::Linux if is_with_wine(program, test) => Vec::new(),
        Set::Linux => vec![way(if is_tunnel { "linux" } else { "" }, "linux")],
        Set::NewestWine if program == LOAD => Vec::new(),
        Set::NewestWine if is_tunnel || WINDOWS.contains(&program) => {
            vec![way("windows", "windows")]
        }
        Set::NewestWine => Vec::new(),
        Set::Full if is_tunnel => {
            let mut ways =
                vec![way("linux", "linux"), way("interop", "interop"), way("windows", "windows")];
            let wider = match program {
                "lab/tunnel" => Some(("windows, 64 KiB", "windows")),
                LOAD if test.starts_with("four_streams") => Some(("interop, 64 KiB", "interop")),
                _ => None,
            };
            ways.extend(wider.map(|(name, relay)| {
                let (name, mut variables) = way(name, relay);
                variables.extend(BUFFER);
                (name, variables)
            }));
            ways
        }
        Set::Full => vec![("", Vec::new())],
    }
}

/// Whether a test runs Windows programs with every relay.
fn is_with_wine(program: &str, test: &str) -> bool {
    WITH_WINE.iter().any(|(of, beginning)| *of == program && test.starts_with(beginning))
}

/// Whether a program outside the lab's own package makes labs.
fn needs_lab(program: &str) -> bool {
    ["gateway/net", "gateway/tap", "relay/lab", "underpass/settings"].contains(&program)
}

/// A test's need, and how many times longer than others it may take.
fn mark(program: &str, test: &str, relay: &str) -> (Need, u32) {
    let found =
        MARKS.iter().find(|(of, beginning, ..)| *of == program && test.starts_with(beginning));
    let is_wine = relay.starts_with("windows") || is_with_wine(program, test);
    let is_unit = !program.starts_with("lab/") && !needs_lab(program);
    // Wine's server and a test of properties keep a core busy.
    let usual = Need::Slots(if is_wine || is_unit { 2 } else { 1 });
    found.map_or((usual, 1), |(_, _, need, patience)| (*need, *patience))
}

/// The jobs of a selection. The longest come first.
///
/// # Errors
/// A program does not list its tests, or a name in this module matches no test.
pub(crate) fn plan(programs: &[Program], selection: &Selection) -> Result<Vec<Job>, String> {
    let tests: Result<BTreeMap<&str, Vec<String>>, String> =
        programs.iter().map(|program| Ok((program.name.as_str(), program.tests()?))).collect();
    let tests = tests?;
    known_names(selection.set, &tests)?;
    let mut jobs = Vec::new();
    for program in programs {
        for test in &tests[program.name.as_str()] {
            for (name, variables) in ways(selection.set, &program.name, test) {
                let (need, patience) = mark(&program.name, test, name);
                let brackets = if name.is_empty() { String::new() } else { format!(" [{name}]") };
                let words =
                    [&program.path.display().to_string(), "--exact", test, "--test-threads=1"];
                jobs.push(Job {
                    id: format!("{}::{test}{brackets}", program.name),
                    words: words.map(str::to_owned).to_vec(),
                    folder: program.folder.clone(),
                    variables,
                    need,
                    patience,
                    kind: Kind::Test,
                });
            }
        }
    }
    let words = &selection.words;
    jobs.retain(|job| words.is_empty() || words.iter().any(|word| job.id.contains(word)));
    // The lab's tests come before unit tests, the longest and those with a Windows first.
    let is_long = |job: &Job| job.patience > 1 || LONG.iter().any(|part| job.id.contains(part));
    jobs.sort_by_key(|job| {
        (!job.id.starts_with("lab/"), !is_long(job), !job.id.ends_with("[windows]"))
    });
    Ok(jobs)
}

/// Whether all names in this module match programs and tests, if the lab's are among them. The
/// quick set requires only [`CORE`] of them.
fn known_names(set: Set, tests: &BTreeMap<&str, Vec<String>>) -> Result<(), String> {
    if !tests.contains_key("lab/lab") {
        return Ok(());
    }
    let names = TUNNEL.iter().chain(&WINDOWS).chain(&CORE);
    let marks = MARKS.iter().map(|(program, beginning, ..)| (*program, *beginning));
    let names = names.map(|program| (*program, "")).chain(WITH_WINE).chain(marks);
    for (program, beginning) in
        names.filter(|(program, _)| set != Set::Quick || CORE.contains(program))
    {
        let known = tests
            .get(program)
            .is_some_and(|all| all.iter().any(|test| test.starts_with(beginning)));
        if !known {
            return Err(format!(
                "{program} has no test {beginning}…, which the suite's plan names"
            ));
        }
    }
    Ok(())
}

/// A shell command. Beside tests it runs at the lowest priority.
pub(crate) fn step(command: &str, need: Need) -> Job {
    let polite = ["nice", "-n", "19"].map(str::to_owned);
    let shell = ["sh", "-c", command].map(str::to_owned);
    Job {
        id: command.to_owned(),
        words: if need == Need::Step { [polite, shell].concat() } else { shell.to_vec() },
        folder: PathBuf::from("."),
        variables: Vec::new(),
        need,
        patience: 6,
        kind: Kind::Step,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tunnels_tests_run_with_three_relays_and_others_once() {
        let names = |program, test| -> Vec<&str> {
            ways(Set::Full, program, test).into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names("lab/tcp", "x"), ["linux", "interop", "windows"]);
        assert_eq!(names("lab/tunnel", "x"), ["linux", "interop", "windows", "windows, 64 KiB"]);
        assert_eq!(names("lab/load", "x"), ["linux", "interop", "windows"]);
        assert_eq!(
            names("lab/load", "four_streams_of"),
            ["linux", "interop", "windows", "interop, 64 KiB"]
        );
        assert_eq!(names("lab/doctor", "x"), [""]);
        assert_eq!(names("wire/frames", "x"), [""]);
        assert_eq!(
            ways(Set::Full, "lab/tunnel", "x")[3].1,
            [("UNDERPASS_LAB_RELAY", "windows"), ("UNDERPASS_LAB_INTEROP_BUFFER", "65536")]
        );
    }

    #[test]
    fn the_smaller_sets_are_parts_of_the_full_one() {
        for set in [Set::Quick, Set::Linux, Set::NewestWine] {
            for program in TUNNEL.iter().chain(&WINDOWS).chain(&[LOAD, "wire/frames", "lab/doctor"])
            {
                let full: Vec<_> =
                    ways(Set::Full, program, "x").into_iter().map(|(name, _)| name).collect();
                let names = ways(set, program, "x").into_iter().map(|(name, _)| name);
                let is_part = |name| full.contains(&name) || full == [""];
                assert!(names.into_iter().all(is_part), "{set:?} {program}");
            }
        }
        assert!(ways(Set::Quick, "relay/lab", "x").is_empty(), "it makes labs");
        assert_eq!(ways(Set::Quick, "lab/tcp", "x").len(), 1);
    }

    #[test]
    fn a_measuring_job_has_the_machine_for_itself() {
        assert_eq!(mark("lab/load", "readers_that_stop_stall_", "linux").0, Need::Alone);
        assert_eq!(mark("lab/windows", "floods_both_ways", "").0, Need::Alone);
        assert_eq!(mark("lab/windows", "facts_are_printed", "").0, Need::Slots(2));
        assert_eq!(mark("lab/tcp", "x", "linux").0, Need::Slots(1));
    }
}
