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

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Yes.
    Yes,
    /// No: the findings say why.
    No,
    /// Nobody needs to ask: there is no proxy, or the way is whole.
    NotNeeded,
    /// It could not be told, or not be tried.
    Unknown,
}

impl Verdict {
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

/// A step with what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Which.
    pub question: Question,
    /// What came of it.
    pub result: Verdict,
}

impl Step {
    /// Whether the answer is neither yes nor unneeded.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self.result, Verdict::No | Verdict::Unknown)
    }
}

/// All four.
pub(crate) fn walk(view: &View<'_>, findings: &[Finding]) -> Vec<Step> {
    let outside = outside(view);
    let results = [
        (Question::Outside, outside),
        (Question::Gateway, gateway(view, outside)),
        (Question::Names, names(view, outside, findings)),
        (Question::Proxies, proxies(view, findings)),
    ];
    results.map(|(question, result)| Step { question, result }).into()
}

fn of(known: Option<bool>) -> Verdict {
    match known {
        Some(true) => Verdict::Yes,
        Some(false) => Verdict::No,
        None => Verdict::Unknown,
    }
}

fn outside(view: &View<'_>) -> Verdict {
    if view.reaches_outside_by_proxy() {
        Verdict::Yes
    } else {
        of(view.reaches_outside_directly(Whence::Vm))
    }
}

fn gateway(view: &View<'_>, outside: Verdict) -> Verdict {
    match outside {
        Verdict::Yes | Verdict::NotNeeded => Verdict::NotNeeded,
        Verdict::No if view.default_route().is_none() => Verdict::No,
        Verdict::No | Verdict::Unknown => of(view.gateway_lives()),
    }
}

fn has_problem(findings: &[Finding], area: Area) -> bool {
    findings.iter().any(|finding| finding.area == area && finding.severity >= Severity::Problem)
}

fn names(view: &View<'_>, outside: Verdict, findings: &[Finding]) -> Verdict {
    if has_problem(findings, Area::Dns) {
        return Verdict::No;
    }
    match (outside, view.names_work()) {
        (_, Some(true)) => Verdict::Yes,
        // Behind a break nobody can tell.
        (Verdict::No, _) | (_, None) => Verdict::Unknown,
        (_, Some(false)) => Verdict::No,
    }
}

fn proxies(view: &View<'_>, findings: &[Finding]) -> Verdict {
    if has_problem(findings, Area::Proxy) {
        Verdict::No
    } else if !view.has_proxy_variables() {
        Verdict::NotNeeded
    } else if view.reaches_outside_by_proxy() {
        Verdict::Yes
    } else {
        Verdict::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::judge;
    use crate::facts::{Answer, Asked, Facts, Method, NameKind, Subject, Why};
    use crate::sample::*;

    fn results(facts: &Facts) -> [Verdict; 4] {
        let results: Vec<Verdict> =
            judge(facts, None).steps.iter().map(|step| step.result).collect();
        results.try_into().unwrap()
    }

    #[test]
    fn a_whole_way_needs_no_second_step() {
        assert_eq!(
            results(&nat()),
            [Verdict::Yes, Verdict::NotNeeded, Verdict::Yes, Verdict::NotNeeded]
        );
        let mut facts = nat();
        proxy(&mut facts, "https_proxy", "http://192.0.2.80:7890");
        assert_eq!(results(&facts)[3], Verdict::Yes);
        let nothing = [Verdict::Unknown, Verdict::Unknown, Verdict::No, Verdict::NotNeeded];
        assert_eq!(results(&Facts::default()), nothing);
    }

    #[test]
    fn a_cut_way_is_asked_for_its_gateway_and_tells_nothing_of_names() {
        let mut facts = nat();
        cut(&mut facts);
        assert_eq!(
            results(&facts),
            [Verdict::No, Verdict::Yes, Verdict::Unknown, Verdict::NotNeeded]
        );
        tried(&mut facts, Subject::Gateway, Method::Neighbour, Whence::Vm, failed(Why::TimedOut));
        assert_eq!(results(&facts)[1], Verdict::No);
        facts.routes.clear();
        facts.neighbours.clear();
        assert_eq!(results(&facts)[1], Verdict::No);
    }

    #[test]
    fn names_and_proxies_that_fail_are_told() {
        let mut facts = nat();
        asked(&mut facts, Asked::System, NameKind::Company, Answer::NoSuchName { ms: 1 });
        shut_proxy(&mut facts, "http://172.28.48.1:7890");
        assert_eq!(results(&facts), [Verdict::Yes, Verdict::NotNeeded, Verdict::No, Verdict::No]);
    }
}
