//! The checks, in order. Each reports its measurement, or an observation that differs from its
//! expectation; one whose precondition failed is not run, and counts as failed.

mod docker;
mod helper;
mod network;
mod service;
mod suspend;

use crate::machine::Machine;
use crate::report::{Line, Outcome};
use crate::stop::{self, until};
use lab::addresses::{SERVER, SERVER_V6};
use lab::scene::{host_nameserver, http_server, python_server};
use lab::{Place, Process, programs};
use std::time::{Duration, Instant};

/// The features of the kernel, as WSL's kernels differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Whether it has policy routing for IPv6 (`IPV6_MULTIPLE_TABLES`).
    pub ipv6_rules: bool,
    /// Whether its modules, including TUN, are only available later.
    pub modules_later: bool,
}

/// The result of a check: its measurement, or the unexpected observation.
type Result = std::result::Result<String, String>;

/// The machine and the servers around it.
#[derive(Debug)]
pub struct Bench {
    machine: Machine,
    kernel: Kernel,
    _servers: Vec<Process>,
}

/// One check.
struct Check {
    name: &'static str,
    needs: &'static str,
    applies: fn(Kernel) -> bool,
    run: fn(&mut Bench) -> Result,
}

const BOOT: &str = "systemd boots";
const HELPER: &str = "wsl.exe starts the helper distro";
const SERVICE: &str = "service install";
const DOCKER: &str = "dockerd starts";

const fn check(name: &'static str, needs: &'static str, run: fn(&mut Bench) -> Result) -> Check {
    Check { name, needs, applies: |_| true, run }
}

const CHECKS: &[Check] = &[
    check(BOOT, "", boot),
    check("the VPN cuts the guest off", BOOT, network::is_cut_off),
    Check {
        name: "without TUN the error names .wslconfig's keys",
        needs: BOOT,
        applies: |kernel| kernel.modules_later,
        run: helper::names_the_keys,
    },
    check(HELPER, BOOT, helper::starts),
    check("the tunnel outlives the last wsl.exe", HELPER, helper::outlives_its_clients),
    check(SERVICE, HELPER, service::installs),
    check("DNS", SERVICE, network::dns),
    check("TCP", SERVICE, network::tcp),
    check("TCP, 10 MB down and up", SERVICE, network::transfer),
    check("UDP", SERVICE, network::udp),
    check("ping", SERVICE, network::ping),
    Check { name: "IPv6", needs: SERVICE, applies: |kernel| kernel.ipv6_rules, run: network::ipv6 },
    Check {
        name: "IPv4 alone where the kernel has no IPv6 rules",
        needs: SERVICE,
        applies: |kernel| !kernel.ipv6_rules,
        run: network::ipv4_alone,
    },
    check(DOCKER, SERVICE, docker::starts),
    check("a container resolves and downloads", DOCKER, docker::reaches_the_internet),
    check("the gateway is killed", SERVICE, service::survives_the_gateway),
    check("the service is killed", SERVICE, service::is_restarted_when_killed),
    check("service restart", SERVICE, service::restarts),
    check("restart without the kernel's entry for programs", SERVICE, service::restores_the_entry),
    check("suspend, resume, clock 7 hours on and back", SERVICE, suspend::resumes),
    check("the journal has the service's words", SERVICE, service::has_a_journal),
    check("service stop", SERVICE, service::stops),
    check("service remove, wsl.exe --terminate", SERVICE, service::leaves_nothing),
];

impl Bench {
    /// The machine, with servers on the internet and a nameserver that only Windows reaches.
    #[must_use]
    pub fn new(machine: Machine, kernel: Kernel) -> Self {
        let lab = &machine.lab;
        let echo = |address| {
            python_server(lab, Place::Internet, programs::UDP_ECHO, &[address, "9000"], 9000)
        };
        let servers = vec![
            host_nameserver(lab),
            http_server(lab, Place::Internet, SERVER, 8080, "internet"),
            http_server(lab, Place::Internet, SERVER_V6, 8080, "internet by IPv6"),
            echo(SERVER),
            echo(SERVER_V6),
        ];
        Self { machine, kernel, _servers: servers }
    }

    /// Runs the checks that apply to the kernel, until the end is requested; `report` gets each
    /// line.
    pub fn run(&mut self, mut report: impl FnMut(&Line)) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        let kernel = self.kernel;
        for check in CHECKS.iter().filter(|check| (check.applies)(kernel)) {
            if stop::is_asked() {
                break;
            }
            let passed = |name| {
                lines
                    .iter()
                    .any(|line| line.name == name && matches!(line.outcome, Outcome::Passed(_)))
            };
            let began = now();
            let outcome = if check.needs.is_empty() || passed(check.needs) {
                (check.run)(self).map_or_else(Outcome::Failed, Outcome::Passed)
            } else {
                Outcome::NotRun(check.needs)
            };
            let line = Line { name: check.name, outcome, took: began.elapsed() };
            report(&line);
            lines.push(line);
        }
        lines
    }

    /// The output of words in the guest that must succeed.
    ///
    /// # Errors
    /// They fail; with all of their output.
    pub fn must(&self, words: &str) -> Result {
        match self.machine.sh(words) {
            Ok(said) if said.succeeded() => Ok(said.stdout.trim().to_owned()),
            Ok(said) => Err(format!(
                "`{words}`: {} (exit code {:?})\n{}",
                said.stderr.trim(),
                said.code,
                said.stdout
            )),
            Err(error) => Err(format!("`{words}`: {error}")),
        }
    }

    /// Waits until words succeed in the guest; returns the time that this took.
    fn within(&self, seconds: u64, words: &str) -> std::result::Result<Duration, String> {
        let began = now();
        let mut last = Ok(String::new());
        let held = until(Duration::from_secs(seconds), || {
            last = self.must(words);
            last.is_ok()
        });
        if held {
            Ok(began.elapsed())
        } else {
            Err(format!("not within {seconds} s: {}", last.unwrap_or_else(|why| why)))
        }
    }

    /// Checks that the tunnel carries a request, within that many seconds.
    fn traffic(&self, seconds: u64) -> std::result::Result<Duration, String> {
        let request = format!(
            "test \"$(curl --silent --show-error --max-time 5 http://{SERVER}:8080/)\" = internet"
        );
        self.within(seconds, &request)
    }
}

fn boot(bench: &mut Bench) -> Result {
    if !bench.machine.boots() {
        return Err("the guest runs no commands; see console.log".to_owned());
    }
    let kernel = bench.must("uname -r")?;
    let systemd = bench.must("systemctl --version | head -1")?;
    Ok(format!("Linux {kernel}, {systemd}"))
}

/// An assertion with a message.
fn ensure(holds: bool, seen: impl FnOnce() -> String) -> std::result::Result<(), String> {
    if holds { Ok(()) } else { Err(seen()) }
}

#[expect(clippy::disallowed_methods, reason = "durations of real programs are measured")]
fn now() -> Instant {
    Instant::now()
}
