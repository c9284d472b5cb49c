//! The checks, in the order in which they are made: what is nearest to the program that asks for the network comes last, what everything
//! else needs comes first. Each is a pure function of the facts.

mod answers;
mod company;
mod dns;
mod docker;
mod files;
mod fixes;
mod kernel;
mod network;
mod packets;
mod proxy;
mod routing;
mod seen;
mod tools;
pub(crate) mod view;
mod vpn;
mod wsl;

use crate::facts::Facts;
use crate::steps;
use crate::way::{self, Hop, Place};
use messages::{Sentence, Text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use view::View;

/// A part of the ground that the doctor covers; `--only` chooses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Interfaces, routes, gateway, outside, large packets, IPv6.
    Network,
    /// Names.
    Dns,
    /// Proxies.
    Proxy,
    /// Windows: VPNs, versions.
    Windows,
    /// WSL: its settings, interop, clock.
    Wsl,
    /// apt, git, ssh, Docker and the like.
    Tools,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Network, Self::Dns, Self::Proxy, Self::Windows, Self::Wsl, Self::Tools];

    /// Its name, as `--only` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
            Self::Windows => "windows",
            Self::Wsl => "wsl",
            Self::Tools => "tools",
        }
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Area {
    type Err = UnknownArea;

    fn from_str(name: &str) -> Result<Self, UnknownArea> {
        Self::ALL.into_iter().find(|area| area.as_str() == name).ok_or_else(|| UnknownArea(name.to_owned()))
    }
}

/// There is no such area.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no area {0:?}: it is one of network, dns, proxy, windows, wsl, tools")]
pub struct UnknownArea(pub String);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is broken now; it is told because it will be, or costs something.
    Hint,
    /// Something does not work.
    Problem,
    /// It does not work, and what stands behind it cannot either: checks that need it are skipped.
    Fatal,
}

/// A check.
#[derive(Debug)]
pub struct Check {
    /// Its name for programs; never changes its meaning.
    pub id: &'static str,
    /// What it belongs to.
    pub area: Area,
    /// How bad it is if it finds something.
    pub severity: Severity,
    /// What it makes sure of.
    pub description: &'static Sentence,
    /// What it cannot be made without.
    needs: Needs,
    /// The hop of the way that it is about, if it is about one.
    hop: Option<Place>,
    /// Looks, and says what is wrong.
    find: fn(&View<'_>) -> Option<Found>,
}

/// What a check cannot be made without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// Nothing but the facts.
    Facts,
    /// A way out: without one it would find fault with what only lies behind.
    WayOut,
}

/// What a check says is wrong.
struct Found {
    evidence: Vec<Text>,
    cause: Text,
    fix: Vec<Step>,
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Finding {
    /// [`Check::id`].
    pub id: &'static str,
    /// [`Check::area`].
    pub area: Area,
    /// [`Check::severity`].
    pub severity: Severity,
    /// [`Check::description`].
    pub description: &'static Sentence,
    /// What was seen.
    pub evidence: Vec<Text>,
    /// Why it is so, as far as known.
    pub cause: Text,
    /// What mends it, in order; where there are several ways, the best is first.
    pub fix: Vec<Step>,
}

/// A step of a fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Words.
    Say(Text),
    /// Commands, each a line.
    Run {
        /// Where they are typed.
        shell: Shell,
        /// The commands.
        lines: Vec<String>,
    },
    /// Lines of a file.
    Lines {
        /// The file, as its owner calls it.
        file: String,
        /// The lines.
        lines: Vec<String>,
    },
}

/// Where commands are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shell {
    /// A shell of the distro.
    Linux,
    /// PowerShell.
    Powershell,
    /// PowerShell as administrator.
    AdminPowershell,
}

/// What the doctor says.
#[derive(Debug)]
pub struct Diagnosis {
    /// What is wrong, the worst first, else in the order of the checks.
    pub findings: Vec<Finding>,
    /// Checks that were not made, since something that they need is broken.
    pub skipped: Vec<&'static Check>,
    /// The four steps.
    pub steps: Vec<steps::Step>,
    /// The steps of the chosen area, or of all, whose answer is no or not known.
    pub open: Vec<steps::Step>,
    /// The way from a program to the internet.
    pub way: Vec<Hop>,
    /// Whether Windows' side was known.
    pub windows_known: bool,
}

impl Diagnosis {
    /// Whether nothing but hints was found, and each step's answer is yes or needs none.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.problems() == 0 && self.open.is_empty()
    }

    /// How many findings are more than hints.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity >= Severity::Problem).count()
    }
}

/// Every check, in its order.
pub static CHECKS: &[&[Check]] = &[
    wsl::FIRST,
    kernel::CHECKS,
    network::CHECKS,
    routing::CHECKS,
    vpn::CHECKS,
    packets::CHECKS,
    dns::CHECKS,
    answers::CHECKS,
    company::CHECKS,
    files::CHECKS,
    proxy::CHECKS,
    tools::CHECKS,
    docker::CHECKS,
    wsl::LAST,
];

/// Makes the checks of an area, or all of them. No secret of the facts is in what comes out.
///
/// A fatal finding ends what needs a way out, also where it is of an area that was not asked for; then it is told as why that was not made.
#[must_use]
pub fn judge(facts: &Facts, only: Option<Area>) -> Diagnosis {
    let facts = facts.masked();
    let view = View::new(&facts);
    let mut findings: Vec<Finding> = Vec::new();
    let mut skipped = Vec::new();
    let mut marks = Vec::new();
    let mut cut = false;
    // Of another area.
    let mut why_skipped = None;
    for check in CHECKS.iter().copied().flatten() {
        let wanted = only.is_none_or(|area| area == check.area);
        if cut && (check.needs == Needs::WayOut || check.severity == Severity::Fatal) {
            if wanted {
                skipped.push(check);
            }
            continue;
        }
        let Some(Found { evidence, cause, fix }) = (check.find)(&view) else { continue };
        let Check { id, area, severity, description, .. } = *check;
        marks.extend(check.hop.map(|hop| (hop, severity)));
        let finding = Finding { id, area, severity, description, evidence, cause, fix };
        if wanted {
            findings.push(finding);
        } else if severity == Severity::Fatal {
            why_skipped = Some(finding);
        }
        cut |= severity == Severity::Fatal;
    }
    // A fatal check after the first is skipped for it, and is no loss.
    if skipped.iter().any(|check| check.needs == Needs::WayOut) {
        findings.extend(why_skipped);
    }
    // What breaks most is read first; what is alike stays in the order of the checks.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let (steps, way) = (steps::walk(&view, &findings), way::walk(&view, &marks));
    let of_area = |step: &steps::Step| only.is_none_or(|area| area == step.question.area());
    let open = steps.iter().copied().filter(|step| step.is_open() && of_area(step)).collect();
    Diagnosis { findings, skipped, steps, open, way, windows_known: facts.windows.is_some() }
}

#[cfg(test)]
mod tests;
