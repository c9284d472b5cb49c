//! The way is there, and not everything comes through: connections, large packets, IPv6.

use super::check::{Check, Found};
use super::fixes;
use super::good::on_with;
use super::network::{attempts, has_proxy, succeeded};
use crate::facts::{Method, Outcome, Subject, Whence, Why};
use crate::finding::FixStep;
use crate::view::{View, has_failed, is_ok};
use crate::way::Place;
use messages::doctor_network as say;
use messages::quote::for_shell;
use std::net::IpAddr;
use wsl::NetworkingMode;

pub(super) const CHECKS: &[Check] = &[
    Check::problem("network-tcp", &say::TCP, connections).at(Place::Internet).past_way_out(),
    Check::problem("network-mtu", &say::MTU, mtu).at(Place::Internet).past_way_out(),
    Check::problem("network-ipv6", &say::IPV6, ipv6).at(Place::Internet).past_way_out(),
];

fn connections(view: &View<'_>) -> Option<Found> {
    let ping = succeeded(view, Subject::Outside, Whence::Vm, Method::Icmp)?;
    // Where Windows has a proxy, `proxy-needed` says more.
    if !view.is_cut_off() || has_proxy(view) {
        return None;
    }
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    evidence.retain(|text| *text != ping);
    evidence.insert(0, ping);
    let mut fix = vec![
        FixStep::Say(say::TCP_FIX.text()),
        fixes::linux(&[
            &on_with(view, " --from windows"),
            &format!("{} proxy test", fixes::own(view)),
        ]),
    ];
    fix.extend(fixes::tunnel());
    Some(Found { evidence, cause: say::TCP_CAUSE.text(), fix })
}

/// Bytes that every IPv4 path should take besides tunnels' headers; what a black hole's remedy
/// falls back to.
const SAFE_MTU: u32 = 1280;

fn mtu(view: &View<'_>) -> Option<Found> {
    let probe = view.facts.probes.mtu.as_ref()?;
    let lost = matches!(probe.large, Outcome::Failed { why: Why::TimedOut | Why::Closed, .. });
    // Microsoft's user-mode NAT and our tunnel end connections themselves: a ping that is lost says
    // nothing of them.
    let pings_prove = !view.tunnel_is_up() && view.mode() != Some(NetworkingMode::VirtioProxy);
    let proves = match probe.method {
        Method::Tcp => true,
        // A host may drop large pings. That one of a size between comes through shows that it is
        // the way.
        Method::Icmp | Method::Neighbour => {
            pings_prove && probe.largest.is_some_and(|largest| largest < probe.mtu)
        }
    };
    if !is_ok(&probe.small) || !lost || probe.told.is_some() || !proves {
        return None;
    }
    let mut evidence = vec![say::MTU_SEEN.with("mtu", probe.mtu).with("device", &probe.device)];
    evidence.extend(probe.largest.map(|largest| say::MTU_LARGEST_SEEN.with("largest", largest)));
    let fits = probe.largest.unwrap_or(SAFE_MTU).max(SAFE_MTU);
    let command = format!("ip link set dev {} mtu {fits}", for_shell(&probe.device));
    Some(Found {
        evidence,
        cause: say::MTU_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::MTU_FIX.text()),
            fixes::linux(&[&format!("sudo {command}")]),
            FixStep::Say(say::MTU_BOOT_FIX.text()),
            fixes::lines(fixes::WSL_CONF, &["[boot]", &format!("command = {command}")]),
        ]
        .into_iter()
        .chain(fixes::tunnel())
        .collect(),
    })
}

/// The line by which the C library tries IPv4 first (gai.conf(5)).
const IPV4_FIRST: &str = "precedence ::ffff:0:0/96  100";

/// Whether programs try IPv4 first, so that a dead IPv6 holds up nothing.
fn prefers_ipv4(view: &View<'_>) -> bool {
    let text = view.facts.gai_conf.as_deref().unwrap_or_default();
    let is_it = |line: &str| line.split_whitespace().take(3).eq(IPV4_FIRST.split_whitespace());
    text.lines().any(is_it)
}

fn ipv6(view: &View<'_>) -> Option<Found> {
    let mut tried = view
        .reached(Subject::OutsideV6, Whence::Vm)
        .filter(|reach| reach.method == Method::Tcp)
        .peekable();
    tried.peek()?;
    if !tried.all(|reach| has_failed(&reach.outcome)) || view.is_cut_off() || prefers_ipv4(view) {
        return None;
    }
    let default = view.facts.routes.iter().find(|route| {
        route.destination.prefix_len() == 0 && route.destination.addr().is_ipv6() && !route.refuses
    })?;
    let (link, address) = view.facts.links.iter().filter(|link| link.up).find_map(|link| {
        let named = default.device.as_ref().is_none_or(|device| *device == link.name);
        let global = |net: &&ipnet::IpNet| match net.addr() {
            IpAddr::V6(address) => !address.is_unicast_link_local() && !address.is_loopback(),
            IpAddr::V4(_) => false,
        };
        Some((link, link.addresses.iter().find(global).filter(|_| named)?))
    })?;
    let mut evidence = vec![say::IPV6_SEEN.with("link", &link.name).with("address", address)];
    evidence.extend(attempts(view, Subject::OutsideV6, Whence::Vm));
    Some(Found {
        evidence,
        cause: say::IPV6_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::IPV6_FIX.text()),
            fixes::linux(&[&format!("echo '{IPV4_FIRST}' | sudo tee -a /etc/gai.conf")]),
            FixStep::Say(say::IPV6_OFF_FIX.text()),
            fixes::linux(&["sudo sysctl -w net.ipv6.conf.all.disable_ipv6=1"]),
        ],
    })
}
