//! Each check by facts that must trigger it and by near misses that must not; and the table as a
//! whole.

mod answers;
mod dns;
mod kernel;
mod network;
mod proxy;
mod routing;
mod tools;
mod wsl;

use super::*;
use crate::facts::{Method, Outcome, Question, Subject, Tool, Whence, Why};
use crate::finding::FixStep;
use crate::sample::*;
use messages::Language;
use std::collections::BTreeSet;

#[test]
fn a_healthy_machine_gives_no_finding() {
    for (name, facts) in all_healthy() {
        let diagnosis = judge(&facts, None);
        let ids: Vec<_> = diagnosis.findings.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, [""; 0], "{name}");
        assert!(diagnosis.skipped.is_empty(), "{name}");
        assert!(
            diagnosis.way.iter().all(|hop| hop.state == way::HopState::Works),
            "{name}: {:?}",
            diagnosis.way
        );
    }
}

#[test]
fn a_healthy_machine_with_a_working_proxy_gives_no_finding() {
    for (name, mut facts) in all_healthy() {
        for key in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
            proxy(&mut facts, key, "http://192.0.2.80:7890");
        }
        assert_eq!(ids(&facts), [""; 0], "{name}");
    }
}

/// A company network that lets traffic out only by its proxy is not a fault.
#[test]
fn a_machine_that_gets_out_by_a_proxy_only_is_healthy() {
    let mut facts = nat();
    cut(&mut facts);
    for key in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"] {
        proxy(&mut facts, key, "http://192.0.2.80:7890");
    }
    let file = Some("/etc/apt/apt.conf.d/proxy.conf");
    setting(&mut facts, Tool::Apt, file, "Acquire::http::Proxy", "http://192.0.2.80:7890");
    let file = Some("/etc/systemd/system/docker.service.d/proxy.conf");
    setting(&mut facts, Tool::Docker, file, "HTTP_PROXY", "http://192.0.2.80:7890");
    assert_eq!(ids(&facts), [""; 0]);
}

#[test]
fn nothing_known_is_no_fault_but_of_names() {
    // Unknown facts are not faults. Only the missing resolv.conf was seen.
    assert_eq!(ids(&Facts::default()), ["dns-no-server"]);
    assert!(!judge(&Facts::default(), None).windows_known);
}

#[test]
fn ids_are_unique_and_say_their_area() {
    let checks: Vec<&Check> = CHECKS.iter().copied().flatten().collect();
    let ids: BTreeSet<_> = checks.iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), checks.len());
    for check in checks {
        assert!(check.id.starts_with(check.area.as_str()), "{}", check.id);
        let letters = |id: &str| {
            id.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        assert!(letters(check.id), "{}", check.id);
        // Something that is fatal breaks a hop; else the picture would show a whole way.
        assert!(check.severity != Severity::Fatal || check.hop.is_some(), "{}", check.id);
    }
}

#[test]
fn a_fatal_finding_ends_what_needs_a_way_out() {
    let mut facts = nat();
    cut(&mut facts);
    // Were it made, this check would find something too.
    facts.probes.mtu.as_mut().unwrap().large = failed(Why::TimedOut);
    let diagnosis = judge(&facts, None);
    assert_eq!(diagnosis.findings.len(), 1);
    assert_eq!(diagnosis.findings[0].severity, Severity::Fatal);
    let skipped: Vec<_> = diagnosis.skipped.iter().map(|check| check.id).collect();
    assert!(skipped.contains(&"network-mtu") && skipped.contains(&"dns-servers"), "{skipped:?}");
    // The checks that need only the facts still run.
    wslconfig(&mut facts, "[wsl2]\nfirewall=false\n");
    assert_eq!(ids(&facts), ["network-nat", "windows-firewall"]);
}

#[test]
fn an_area_is_judged_alone_but_for_what_is_fatal() {
    let mut facts = nat();
    facts.clock.ahead_of_windows_ms = Some(-3_600_000);
    let of = |facts: &Facts, area| {
        let findings = judge(facts, Some(area)).findings;
        findings.iter().map(|finding| finding.id).collect::<Vec<_>>()
    };
    assert_eq!(of(&facts, Area::Dns), [""; 0]);
    assert_eq!(of(&facts, Area::Wsl), ["wsl-clock"]);
    cut(&mut facts);
    assert_eq!(of(&facts, Area::Dns), ["network-nat"]);
    // Nothing of this area needs a way out.
    assert_eq!(of(&facts, Area::Wsl), ["wsl-clock"]);
    let skipped = judge(&facts, Some(Area::Dns)).skipped;
    assert!(!skipped.is_empty() && skipped.iter().all(|check| check.area == Area::Dns));
}

#[test]
fn areas_have_names_and_nothing_else_is_one() {
    for area in Area::ALL {
        assert_eq!(area.as_str().parse(), Ok(area));
    }
    let error = "proxies".parse::<Area>().unwrap_err();
    for area in Area::ALL {
        assert!(error.to_string().contains(area.as_str()), "{error}");
    }
}

#[test]
fn hints_are_no_problems() {
    let mut facts = nat();
    wslconfig(&mut facts, "[wsl2]\nfirewall=false\n");
    assert_eq!(only(&facts, "windows-firewall").severity, Severity::Hint);
    assert!(judge(&facts, None).is_well());
    facts.clock.ahead_of_windows_ms = Some(-3_600_000);
    assert!(!judge(&facts, None).is_well());
}

/// Every check triggers in some test; here all their sentences are said with all values filled in,
/// in both languages.
#[test]
fn no_sentence_is_said_with_a_value_missing() {
    for facts in broken() {
        for finding in judge(&facts, None).findings {
            for language in [Language::English, Language::Chinese] {
                let texts = finding.evidence.iter().chain([&finding.cause]);
                let fixes = finding.fix.iter().filter_map(|step| match step {
                    FixStep::Say(text) => Some(text),
                    FixStep::Run { .. } | FixStep::Lines { .. } => None,
                });
                for text in texts.chain(fixes) {
                    let said = text.say(language);
                    assert!(!said.contains(['{', '}']), "{}: {said}", finding.id);
                }
            }
        }
    }
}

#[test]
fn every_check_finds_something_somewhere() {
    let found: BTreeSet<_> = broken().iter().flat_map(ids).collect();
    let all: BTreeSet<_> = CHECKS.iter().copied().flatten().map(|check| check.id).collect();
    let never: Vec<_> = all.difference(&found).collect();
    assert!(never.is_empty(), "{never:?}");
}

#[test]
fn every_finding_has_evidence_and_a_fix_that_can_be_typed() {
    for facts in broken() {
        for finding in judge(&facts, None).findings {
            assert!(!finding.evidence.is_empty(), "{}", finding.id);
            let typed = |step: &FixStep| match step {
                FixStep::Say(_) => false,
                FixStep::Run { lines, .. } | FixStep::Lines { lines, .. } => !lines.is_empty(),
            };
            // Bringing Windows online is nothing that is typed.
            assert!(
                finding.id == "windows-offline" || finding.fix.iter().any(typed),
                "{}",
                finding.id
            );
        }
    }
}

/// Machines that are broken, one a way.
fn broken() -> Vec<Facts> {
    [
        network::broken(),
        routing::broken(),
        dns::broken(),
        answers::broken(),
        proxy::broken(),
        tools::broken(),
        wsl::broken(),
        kernel::broken(),
    ]
    .concat()
}

#[test]
fn no_secret_is_in_a_finding() {
    let secret = "http://li:s3cret@172.28.48.1:7890";
    let mut facts = nat();
    shut_proxy(&mut facts, secret);
    let file = Some("/home/li/.npmrc");
    let probe = setting(&mut facts, Tool::Npm, file, "proxy", secret);
    probe.opened = failed(Why::TimedOut);
    probe.request = Outcome::NotTried;
    facts.probes.reach[0].outcome =
        Outcome::Failed { why: Why::Other, detail: format!("could not go by {secret}") };
    facts.question = Question { company: vec![secret.to_owned()], ..facts.question };
    tried(&mut facts, Subject::Company, Method::Tcp, Whence::Vm, failed(Why::TimedOut));
    let diagnosis = judge(&facts, None);
    assert!(diagnosis.findings.len() >= 3, "{:?}", ids(&facts));
    for finding in &diagnosis.findings {
        let said = said(finding);
        assert!(!said.contains("s3cret") && !said.contains("li:"), "{said}");
    }
    assert!(
        diagnosis
            .findings
            .iter()
            .any(|finding| said(finding).contains("http://***@172.28.48.1:7890"))
    );
}
