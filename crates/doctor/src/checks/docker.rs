//! What Docker's networks and rules do to others.

use super::check::{Check, Found};
use super::fixes;
use super::fixes::{networks_of_windows, overlap};
use crate::facts::{Link, Lookup, NameKind, Subject};
use crate::finding::FixStep;
use crate::view::{View, is_docker_bridge};
use ipnet::IpNet;
use messages::doctor_proxy as say;
use messages::quote::for_shell;
use std::net::{IpAddr, SocketAddr};

pub(super) const CHECKS: &[Check] = &[
    Check::problem("tools-docker-subnet", &say::DOCKER_SUBNET, subnet),
    Check::hint("tools-docker-overlap", &say::DOCKER_SUBNET_HINT, overlapping),
    Check::problem("tools-docker-forward", &say::DOCKER_FORWARD, forward),
];

/// Docker's bridges with their subnets.
fn bridges<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a Link, IpNet)> {
    let links = view.facts.links.iter().filter(|link| is_docker_bridge(link));
    links.flat_map(|link| link.addresses.iter().map(move |net| (link, *net)))
}

/// Addresses outside of the VM that are needed: nameservers, the company's hosts, the DNS servers
/// of Windows' adapters.
fn needed(view: &View<'_>) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> =
        view.nameservers().iter().map(|server| server.address).collect();
    for ask in view.asks(NameKind::Company) {
        if let Lookup::Addresses { addresses: found, .. } = &ask.answer {
            addresses.extend(found);
        }
    }
    let targets = view.facts.probes.reach.iter().filter(|reach| reach.subject == Subject::Company);
    addresses.extend(targets.filter_map(|reach| {
        reach
            .target
            .parse()
            .ok()
            .or_else(|| reach.target.parse::<SocketAddr>().ok().map(|address| address.ip()))
    }));
    let adapters = view.windows().map_or(&[][..], |windows| &windows.host.adapters);
    addresses.extend(
        adapters
            .iter()
            .flat_map(|adapter| &adapter.dns_servers)
            .filter_map(|text| text.parse::<IpAddr>().ok()),
    );
    addresses
}

/// Networks for Docker that few others use.
fn fix() -> Vec<FixStep> {
    let file = [
        "{",
        "  \"bip\": \"10.213.0.1/24\",",
        "  \"default-address-pools\": [{ \"base\": \"10.214.0.0/16\", \"size\": 24 }]",
        "}",
    ];
    vec![
        FixStep::Say(say::DOCKER_SUBNET_FIX.text()),
        fixes::lines("/etc/docker/daemon.json", &file),
        fixes::linux(&["sudo systemctl restart docker", "docker network prune"]),
    ]
}

/// The outside itself, or the way there, is in Docker's range: nothing gets out.
pub(super) fn outside(view: &View<'_>) -> Option<Found> {
    if !view.is_cut_off() {
        return None;
    }
    let outside =
        view.facts.question.outside.parse::<SocketAddr>().ok().map(|address| address.ip());
    swallowed(view, &outside.into_iter().chain(view.gateway()).collect::<Vec<_>>())
}

fn subnet(view: &View<'_>) -> Option<Found> {
    swallowed(view, &needed(view))
}

/// The first of these addresses that is in a network of Docker's.
fn swallowed(view: &View<'_>, needed: &[IpAddr]) -> Option<Found> {
    let (link, net, address) = bridges(view).find_map(|(link, net)| {
        let address =
            needed.iter().find(|address| net.contains(*address) && !view.is_own(**address))?;
        Some((link, net, *address))
    })?;
    let seen = say::DOCKER_SUBNET_SEEN
        .with("link", &link.name)
        .with("subnet", net.trunc())
        .with("address", address);
    Some(Found { evidence: vec![seen], cause: say::DOCKER_SUBNET_CAUSE.text(), fix: fix() })
}

fn overlapping(view: &View<'_>) -> Option<Found> {
    if subnet(view).is_some() {
        return None;
    }
    let (link, net, other) = bridges(view).find_map(|(link, net)| {
        let (other, _) =
            networks_of_windows(view).find(|(other, _)| overlap(*other, net.trunc()))?;
        Some((link, net.trunc(), other))
    })?;
    let seen = say::DOCKER_SUBNET_HINT_SEEN
        .with("link", &link.name)
        .with("subnet", net)
        .with("other", other);
    Some(Found { evidence: vec![seen], cause: say::DOCKER_SUBNET_HINT_CAUSE.text(), fix: fix() })
}

fn forward(view: &View<'_>) -> Option<Found> {
    let filter = &view.facts.filter;
    if !filter.forward_drops || !filter.docker_chains {
        return None;
    }
    let is_other = |link: &&Link| {
        link.kind.as_deref() == Some("bridge")
            && link.up
            && !link.addresses.is_empty()
            && !is_docker_bridge(link)
    };
    let link = view.facts.links.iter().find(is_other)?;
    let rule = |option: &str| {
        format!("sudo iptables -I DOCKER-USER {option} {} -j ACCEPT", for_shell(&link.name))
    };
    Some(Found {
        evidence: vec![say::DOCKER_FORWARD_SEEN.with("link", &link.name)],
        cause: say::DOCKER_FORWARD_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::DOCKER_FORWARD_FIX.text()),
            fixes::linux(&[&rule("-i"), &rule("-o")]),
        ],
    })
}
