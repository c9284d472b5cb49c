//! Step 2: rules and routes of the VM's own that lead nowhere, before the doctor blames a machine
//! outside.

use super::check::{Check, Found};
use super::fixes;
use super::network::attempts;
use crate::facts::{Method, Outcome, Route, Rule, Subject, Whence, Why};
use crate::finding::FixStep;
use crate::view::{MAIN, View};
use crate::way::Place;
use messages::doctor_network as say;
use messages::quote::for_shell;

pub(super) const CHECKS: &[Check] = &[
    Check::fatal("network-rule", &say::RULE, refusing).at(Place::Interface),
    Check::fatal("network-second-route", &say::SECOND_ROUTE, second_route).at(Place::Interface),
];

/// How this kernel itself fails a connect: ENETUNREACH or EHOSTUNREACH where a rule or route is
/// `unreachable`, EACCES where it is `prohibit`, EINVAL where it is `blackhole` (fib_props in
/// net/ipv4/fib_semantics.c, fib4_rule_action in net/ipv4/fib_rules.c).
fn fails_here(view: &View<'_>) -> bool {
    let mut tries = view
        .reached(Subject::Outside, Whence::Vm)
        .filter(|reach| reach.method == Method::Tcp)
        .peekable();
    let is_own = |outcome: &Outcome| {
        matches!(
            outcome,
            Outcome::Failed { why: Why::Unreachable | Why::NotPermitted | Why::Other, .. }
        )
    };
    tries.peek().is_some() && tries.all(|reach| is_own(&reach.outcome))
}

/// Actions of rules, and kinds of routes, that drop what they match.
const REFUSING: [&str; 3] = ["unreachable", "prohibit", "blackhole"];

fn refuses(rule: &Rule) -> bool {
    REFUSING.iter().any(|action| rule.text.ends_with(action))
}

/// A default route for IPv4 that drops everything, in a table that a rule leads to.
fn refusing_default<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a Rule, &'a Route)> {
    let facts = view.facts;
    let is_default = |route: &&Route| {
        route.refuses && route.destination.prefix_len() == 0 && route.destination.addr().is_ipv4()
    };
    facts.routes.iter().filter(is_default).filter_map(move |route| {
        let rule = facts.rules.iter().find(|rule| rule.table == Some(route.table))?;
        Some((rule, route))
    })
}

fn refusing(view: &View<'_>) -> Option<Found> {
    if !view.no_packet_gets_out() || !fails_here(view) {
        return None;
    }
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    let mut commands = Vec::new();
    for rule in view.facts.rules.iter().filter(|rule| refuses(rule)) {
        evidence.push(say::RULE_SEEN.with("priority", rule.priority).with("rule", &rule.text));
        commands.push(format!("sudo ip rule del priority {}", rule.priority));
    }
    for (rule, route) in refusing_default(view) {
        evidence.push(
            say::RULE_TABLE_SEEN
                .with("priority", rule.priority)
                .with("rule", &rule.text)
                .with("table", route.table),
        );
        // Which of the kinds it is need not be named to remove it.
        commands.push(format!("sudo ip route flush table {} exact default", route.table));
    }
    commands.dedup();
    if commands.is_empty() {
        return None;
    }
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    Some(Found {
        evidence,
        cause: say::RULE_CAUSE.text(),
        fix: vec![FixStep::Say(say::RULE_FIX.text()), fixes::linux(&commands)],
    })
}

fn second_route(view: &View<'_>) -> Option<Found> {
    if !view.is_cut_off() || view.tunnel_is_up() || view.gateway_lives() != Some(false) {
        return None;
    }
    let taken = view.default_route()?;
    let gateway = taken.gateway?;
    let is_other = |route: &&Route| {
        route.destination == taken.destination
            && route.table == MAIN
            && !route.refuses
            && route.gateway.is_some_and(|other| other != gateway)
    };
    let other = view.facts.routes.iter().filter(is_other).min_by_key(|route| route.metric)?;
    let mut command = format!("sudo ip route del default via {gateway}");
    command += &taken
        .device
        .as_ref()
        .map(|device| format!(" dev {}", for_shell(device)))
        .unwrap_or_default();
    if taken.metric > 0 {
        command += &format!(" metric {}", taken.metric);
    }
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    let text = say::SECOND_ROUTE_SEEN.with("gateway", gateway).with("metric", taken.metric);
    evidence.push(text.with("other", other.gateway?).with("others", other.metric));
    evidence.push(say::GATEWAY_SEEN.with("gateway", gateway));
    Some(Found {
        evidence,
        cause: say::SECOND_ROUTE_CAUSE.text(),
        fix: vec![FixStep::Say(say::SECOND_ROUTE_FIX.text()), fixes::linux(&[&command])],
    })
}
