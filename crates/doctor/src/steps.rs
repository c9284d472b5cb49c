//! The four steps, as one walks them by hand: is an address reached; if not, are interface, route
//! and gateway sound; are names resolved; do proxies work. Each step's result is that of the facts
//! and of the checks that belong to it.

use crate::facts::Whence;
use crate::finding::{Area, Finding, Severity};
use crate::view::View;
use messages::{Sentence, doctor};
use serde::{Deserialize, Serialize};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Is an address outside reached?
    Outside,
    /// Are interface, address, default route and gateway sound?
    Gateway,
    /// Are names resolved?
    Names,
    /// Do the proxies that are set work?
    Proxies,
}

impl Question {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static Sentence {
        match self {
            Self::Outside => &doctor::STEP_OUTSIDE,
            Self::Gateway => &doctor::STEP_GATEWAY,
            Self::Names => &doctor::STEP_NAMES,
            Self::Proxies => &doctor::STEP_PROXIES,
        }
    }

    /// The area whose checks explain a no.
    #[must_use]
    pub fn area(self) -> Area {
        match self {
            Self::Outside | Self::Gateway => Area::Network,
            Self::Names => Area::Dns,
            Self::Proxies => Area::Proxy,
        }
    }
}

/// The answer to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// Yes.
    Yes,
    /// No: the findings say why.
    No,
    /// The question does not arise: there is no proxy, or the way is whole.
    NotNeeded,
    /// The answer could not be determined, or the step could not be tried.
    Unknown,
}

impl StepOutcome {
    /// In words.
    #[must_use]
    pub fn name(self) -> &'static Sentence {
        match self {
            Self::Yes => &doctor::STEP_YES,
            Self::No => &doctor::STEP_NO,
            Self::NotNeeded => &doctor::STEP_NOT_NEEDED,
            Self::Unknown => &doctor::STEP_UNKNOWN,
        }
    }
}

/// A step with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepResult {
    /// Which.
    pub question: Question,
    /// The answer.
    pub result: StepOutcome,
}

impl StepResult {
    /// Whether the answer is neither yes nor unneeded.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self.result, StepOutcome::No | StepOutcome::Unknown)
    }
}

/// All four.
pub(crate) fn walk(view: &View<'_>, findings: &[Finding]) -> Vec<StepResult> {
    let outside = outside(view);
    let results = [
        (Question::Outside, outside),
        (Question::Gateway, gateway(view, outside)),
        (Question::Names, names(view, outside, findings)),
        (Question::Proxies, proxies(view, findings)),
    ];
    results.map(|(question, result)| StepResult { question, result }).into()
}

fn of(known: Option<bool>) -> StepOutcome {
    match known {
        Some(true) => StepOutcome::Yes,
        Some(false) => StepOutcome::No,
        None => StepOutcome::Unknown,
    }
}

fn outside(view: &View<'_>) -> StepOutcome {
    if view.reaches_outside_by_proxy() {
        StepOutcome::Yes
    } else {
        of(view.reaches_outside_directly(Whence::Vm))
    }
}

fn gateway(view: &View<'_>, outside: StepOutcome) -> StepOutcome {
    match outside {
        StepOutcome::Yes | StepOutcome::NotNeeded => StepOutcome::NotNeeded,
        StepOutcome::No if view.default_route().is_none() => StepOutcome::No,
        StepOutcome::No | StepOutcome::Unknown => of(view.gateway_lives()),
    }
}

fn has_problem(findings: &[Finding], area: Area) -> bool {
    findings.iter().any(|finding| finding.area == area && finding.severity >= Severity::Problem)
}

fn names(view: &View<'_>, outside: StepOutcome, findings: &[Finding]) -> StepOutcome {
    if has_problem(findings, Area::Dns) {
        return StepOutcome::No;
    }
    match (outside, view.names_work()) {
        (_, Some(true)) => StepOutcome::Yes,
        // Beyond a break the answer is unknown.
        (StepOutcome::No, _) | (_, None) => StepOutcome::Unknown,
        (_, Some(false)) => StepOutcome::No,
    }
}

fn proxies(view: &View<'_>, findings: &[Finding]) -> StepOutcome {
    if has_problem(findings, Area::Proxy) {
        StepOutcome::No
    } else if !view.has_proxy_variables() {
        StepOutcome::NotNeeded
    } else if view.reaches_outside_by_proxy() {
        StepOutcome::Yes
    } else {
        StepOutcome::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::judge;
    use crate::facts::{Asked, Facts, Lookup, Method, NameKind, Subject, Why};
    use crate::sample::*;

    fn results(facts: &Facts) -> [StepOutcome; 4] {
        let results: Vec<StepOutcome> =
            judge(facts, None).steps.iter().map(|step| step.result).collect();
        results.try_into().unwrap()
    }

    #[test]
    fn a_whole_way_needs_no_second_step() {
        assert_eq!(
            results(&nat()),
            [StepOutcome::Yes, StepOutcome::NotNeeded, StepOutcome::Yes, StepOutcome::NotNeeded]
        );
        let mut facts = nat();
        proxy(&mut facts, "https_proxy", "http://192.0.2.80:7890");
        assert_eq!(results(&facts)[3], StepOutcome::Yes);
        let nothing =
            [StepOutcome::Unknown, StepOutcome::Unknown, StepOutcome::No, StepOutcome::NotNeeded];
        assert_eq!(results(&Facts::default()), nothing);
    }

    #[test]
    fn a_cut_way_is_asked_for_its_gateway_and_tells_nothing_of_names() {
        let mut facts = nat();
        cut(&mut facts);
        assert_eq!(
            results(&facts),
            [StepOutcome::No, StepOutcome::Yes, StepOutcome::Unknown, StepOutcome::NotNeeded]
        );
        tried(&mut facts, Subject::Gateway, Method::Neighbour, Whence::Vm, failed(Why::TimedOut));
        assert_eq!(results(&facts)[1], StepOutcome::No);
        facts.routes.clear();
        facts.neighbours.clear();
        assert_eq!(results(&facts)[1], StepOutcome::No);
    }

    #[test]
    fn names_and_proxies_that_fail_are_reported() {
        let mut facts = nat();
        asked(&mut facts, Asked::System, NameKind::Company, Lookup::NoSuchName { ms: 1 });
        shut_proxy(&mut facts, "http://172.28.48.1:7890");
        assert_eq!(
            results(&facts),
            [StepOutcome::Yes, StepOutcome::NotNeeded, StepOutcome::No, StepOutcome::No]
        );
    }
}
