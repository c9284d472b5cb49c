//! The checks, in the order in which they are made: what is nearest to the program that asks for
//! the network comes last, what everything else needs comes first. Each is a pure function of the
//! facts.

mod answers;
mod check;
mod company;
mod dns;
mod docker;
mod files;
mod fixes;
mod git;
mod good;
mod kernel;
mod nameserver;
mod network;
mod packets;
mod proxy;
mod removal;
mod routing;
mod seen;
mod tool_checks;
mod tools;
mod typed;
mod vpn;
mod wsl;

pub use check::Check;

use crate::facts::Facts;
use crate::finding::{Area, Finding, Severity};
use crate::steps;
use crate::view::View;
use crate::way::{self, Hop};
use check::{Found, Needs};

/// What the doctor says.
#[derive(Debug)]
pub struct Diagnosis {
    /// The faults, the worst first, else in the order of the checks.
    pub findings: Vec<Finding>,
    /// Checks that were not made, since something that they need is broken.
    pub skipped: Vec<&'static Check>,
    /// The four steps.
    pub steps: Vec<steps::StepResult>,
    /// The steps of the chosen area, or of all areas, whose answer is `no` or `unknown`.
    pub open: Vec<steps::StepResult>,
    /// The way from a program to the internet.
    pub way: Vec<Hop>,
    /// Whether Windows' side was known.
    pub windows_known: bool,
}

impl Diagnosis {
    /// Whether only hints were found, and each step's answer is `yes` or `not needed`.
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
    tool_checks::CHECKS,
    docker::CHECKS,
    wsl::LAST,
];

/// Makes the checks of an area, or all of them. No secret of the facts is in what comes out.
///
/// A fatal finding ends what needs a way out, also where it is of an area that was not asked for;
/// then it is shown as the reason why those checks were not made.
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
        let Check { id, area, severity, title, .. } = *check;
        marks.extend(check.hop.map(|hop| (hop, severity)));
        let finding = Finding { id, area, severity, title, evidence, cause, fix };
        if wanted {
            findings.push(finding);
        } else if severity == Severity::Fatal {
            why_skipped = Some(finding);
        }
        cut |= severity == Severity::Fatal;
    }
    // The fatal finding explains the skipped checks that need a way out. A skipped fatal check
    // alone needs no explanation.
    if skipped.iter().any(|check| check.needs == Needs::WayOut) {
        findings.extend(why_skipped);
    }
    // The worst faults are read first. Equal ones stay in the order of the checks.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let (steps, way) = (steps::walk(&view, &findings), way::walk(&view, &marks));
    let of_area = |step: &steps::StepResult| only.is_none_or(|area| area == step.question.area());
    let open = steps.iter().copied().filter(|step| step.is_open() && of_area(step)).collect();
    Diagnosis { findings, skipped, steps, open, way, windows_known: facts.windows.is_some() }
}

#[cfg(test)]
mod tests;
