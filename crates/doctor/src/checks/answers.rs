//! Step 3: names that resolve to the wrong address, so that the blame falls on the host at that
//! address, whether it is reached or not.

use super::check::{Check, Found};
use super::{fixes, seen};
use crate::facts::{Ask, Asked, Method, NameKind, Subject, Whence};
use crate::finding::FixStep;
use crate::view::{View, addresses};
use crate::way::Place;
use messages::doctor_dns as say;
use std::net::IpAddr;
use wsl::hosts::lines_for;

pub(super) const CHECKS: &[Check] = &[
    Check::problem("dns-hosts-file", &say::PINNED, pinned).at(Place::Resolver).past_way_out(),
    Check::problem("dns-lie", &say::LIE, lie).at(Place::Resolver).past_way_out(),
];

/// A company's host that /etc/hosts has at an address where it is not reached, though servers know
/// another.
fn pinned(view: &View<'_>) -> Option<Found> {
    let hosts = view.facts.hosts.as_deref()?;
    if view.reaches(Subject::Company, Whence::Vm, Method::Tcp) != Some(false) {
        return None;
    }
    view.asks(NameKind::Company).find_map(|ask| {
        let lines: Vec<(usize, IpAddr)> = lines_for(hosts, &ask.name).collect();
        let is_of_server = |other: &&Ask| other.name == ask.name && other.asked != Asked::System;
        let answered: Vec<IpAddr> = view
            .asks(NameKind::Company)
            .filter(is_of_server)
            .flat_map(|ask| addresses(&ask.answer))
            .copied()
            .collect();
        if lines.is_empty()
            || answered.is_empty()
            || lines.iter().any(|(_, address)| answered.contains(address))
        {
            return None;
        }
        let mut evidence = super::network::attempts(view, Subject::Company, Whence::Vm);
        evidence.extend(lines.iter().map(|(line, address)| {
            say::PINNED_SEEN.with("line", line).with("name", &ask.name).with("address", address)
        }));
        evidence.push(
            say::PINNED_ANSWERED_SEEN
                .with("name", &ask.name)
                .with("addresses", seen::list(&answered)),
        );
        let numbers: Vec<String> = lines.iter().map(|(line, _)| format!("{line}d")).collect();
        let command = format!("sudo sed -i '{}' /etc/hosts", numbers.join(";"));
        Some(Found {
            evidence,
            cause: say::PINNED_CAUSE.text(),
            fix: vec![FixStep::Say(say::PINNED_FIX.text()), fixes::linux(&[&command])],
        })
    })
}

pub(super) fn is_pinned(view: &View<'_>) -> bool {
    pinned(view).is_some()
}

/// Whether an address can be that of a public name (RFC 6890, the ranges that a resolver that lies
/// answers with).
fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_unspecified()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

/// Servers of resolv.conf that answer a public name with an address of no public host, where
/// Windows or a public server knows one.
fn lie(view: &View<'_>) -> Option<Found> {
    let lies = |ask: &&Ask| {
        let found = addresses(&ask.answer);
        !found.is_empty() && !found.iter().any(is_public)
    };
    let of_wsl = |ask: &&Ask| matches!(ask.asked, Asked::Nameserver(_));
    let others = |ask: &&Ask| matches!(ask.asked, Asked::Windows | Asked::Public(_));
    let asks = || view.asks(NameKind::Public);
    let true_ones: Vec<&Ask> =
        asks().filter(others).filter(|ask| addresses(&ask.answer).iter().any(is_public)).collect();
    let liar = asks().filter(of_wsl).find(lies)?;
    let Asked::Nameserver(server) = &liar.asked else { return None };
    if true_ones.is_empty() {
        return None;
    }
    let mut evidence = vec![
        say::LIE_SEEN
            .with("server", server)
            .with("name", &liar.name)
            .with("addresses", seen::list(addresses(&liar.answer))),
    ];
    evidence.extend(true_ones.into_iter().filter_map(seen::ask));
    let mut fix = fixes::dns_auto(view);
    fix.extend(fixes::dns_tunneling(view));
    Some(Found { evidence, cause: say::LIE_CAUSE.text(), fix })
}
