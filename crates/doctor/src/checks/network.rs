//! Steps 1 and 2: is there an interface with an address, where does the default route lead, does
//! the gateway answer, does the outside? The VM's own faults come first. `vpn.rs` finds out what
//! cuts the traffic that Windows forwards.

use super::check::{Check, Found};
use super::{fixes, seen};
use crate::facts::{Link, Method, Subject, TunnelState, Whence};
use crate::finding::{FixStep, Shell};
use crate::view::{View, is_ok};
use crate::way::Place;
use messages::quote::for_shell;
use messages::{Text, doctor, doctor_network as say};
use wsl::NetworkingMode;

pub(super) const CHECKS: &[Check] = &[
    Check::fatal("network-mode-none", &say::MODE_NONE, mode_none).at(Place::Interface),
    Check::fatal("network-interface", &say::INTERFACE, interface).at(Place::Interface),
    Check::fatal("network-default-route", &say::ROUTE, default_route).at(Place::Interface),
    Check::problem("network-tunnel", &say::TUNNEL, tunnel).at(Place::Tunnel),
    Check::fatal("network-other-tunnel", &say::OTHER_TUNNEL, other_tunnel).at(Place::Interface),
    Check::problem("network-two-tunnels", &say::OTHER_TUNNEL, two_tunnels).at(Place::Interface),
    Check::fatal("network-filter", &say::FILTER, filter).at(Place::Interface),
    Check::fatal("network-docker", &say::DOCKER, super::docker::outside).at(Place::Interface),
    Check::fatal("windows-offline", &say::OFFLINE, windows_offline).at(Place::Windows),
    Check::problem("network-tunnel-full", &say::TUNNEL_FULL, tunnel_full).at(Place::Tunnel),
    Check::hint("network-tunnel-crowded", &say::TUNNEL_CROWDED, tunnel_crowded).at(Place::Tunnel),
    Check::fatal("network-tunnel-out", &say::TUNNEL_OUT, tunnel_out).at(Place::Windows),
];

fn mode_none(view: &View<'_>) -> Option<Found> {
    if view.mode() != Some(NetworkingMode::None)
        || view.reaches_outside_directly(Whence::Vm) == Some(true)
    {
        return None;
    }
    let mut fix = vec![
        FixStep::Say(say::MODE_NONE_FIX.text()),
        fixes::lines(fixes::WSLCONFIG, &["[wsl2]", MODE_LINE]),
    ];
    fix.extend(fixes::shutdown(view));
    Some(Found {
        evidence: vec![doctor::MODE_IN_FORCE.with("mode", "none")],
        cause: say::MODE_NONE_CAUSE.text(),
        fix,
    })
}

const MODE_LINE: &str = "networkingMode=nat";

/// Link-local addresses lead nowhere, except those of mirrored mode.
fn has_address(link: &Link) -> bool {
    link.addresses.iter().any(|net| match net.addr() {
        std::net::IpAddr::V4(_) => true,
        std::net::IpAddr::V6(address) => !address.is_unicast_link_local(),
    })
}

fn interface(view: &View<'_>) -> Option<Found> {
    let links = &view.facts.links;
    // An empty list means that the interfaces are unknown.
    if links.is_empty()
        || view.own_links().any(|link| link.up && has_address(link))
        || view.reaches_outside_directly(Whence::Vm) == Some(true)
    {
        return None;
    }
    let describe = |link: &Link| format!("{} ({})", link.name, if link.up { "up" } else { "down" });
    let names: Vec<String> = links.iter().map(describe).collect();
    let mut fix = vec![FixStep::Say(doctor::FIX_RESTART.text())];
    fix.extend(fixes::shutdown(view));
    Some(Found {
        evidence: vec![say::INTERFACE_SEEN.with("links", names.join(", "))],
        cause: say::INTERFACE_CAUSE.text(),
        fix,
    })
}

fn default_route(view: &View<'_>) -> Option<Found> {
    let link = view.own_links().find(|link| link.up && has_address(link))?;
    if view.default_route().is_some() || view.reaches_outside_directly(Whence::Vm) == Some(true) {
        return None;
    }
    let net = link.addresses.iter().find(|net| net.addr().is_ipv4()).or(link.addresses.first())?;
    let mut fix = Vec::new();
    // In NAT mode the gateway is the first address of the subnet. In other modes it cannot be known
    // here.
    if let (Some(NetworkingMode::Nat), ipnet::IpNet::V4(v4)) = (view.mode(), net)
        && let Some(first) = v4.hosts().next()
    {
        fix.push(FixStep::Say(say::ROUTE_FIX.text()));
        fix.push(fixes::linux(&[&format!(
            "sudo ip route add default via {first} dev {}",
            for_shell(&link.name)
        )]));
    } else {
        fix.push(FixStep::Say(doctor::FIX_RESTART.text()));
    }
    fix.extend(fixes::shutdown(view));
    Some(Found {
        evidence: vec![say::ROUTE_SEEN.with("link", &link.name).with("address", net)],
        cause: say::ROUTE_CAUSE.text(),
        fix,
    })
}

fn tunnel(view: &View<'_>) -> Option<Found> {
    if view.facts.tunnel.state != TunnelState::NoRelay {
        return None;
    }
    let error = view.facts.tunnel.last_error.as_deref().unwrap_or("-");
    Some(Found {
        evidence: vec![say::TUNNEL_SEEN.with("error", error)],
        cause: say::TUNNEL_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::TUNNEL_FIX.text()),
            fixes::linux(&[
                "wsl.exe -d underpass status",
                "wsl.exe -d underpass tail /var/log/underpass.log",
            ]),
        ],
    })
}

/// A second tunnel that runs, cut off with it.
fn other_tunnel(view: &View<'_>) -> Option<Found> {
    if !view.is_cut_off() { None } else { second_tunnel(view, say::OTHER_TUNNEL_CAUSE.text()) }
}

/// A second tunnel beside ours, though it may work now.
fn two_tunnels(view: &View<'_>) -> Option<Found> {
    let ours_runs = view.facts.tunnel.state != TunnelState::Down;
    if !ours_runs || view.is_cut_off() {
        None
    } else {
        second_tunnel(view, say::OTHER_TUNNEL_BESIDE_CAUSE.text())
    }
}

/// A distro and a unit of that name, as its own instructions have them.
const VPNKIT: &str = "wsl-vpnkit";

fn second_tunnel(view: &View<'_>, cause: Text) -> Option<Found> {
    let facts = view.facts;
    let other = facts.other_tunnels.first()?;
    let mut evidence: Vec<Text> = facts
        .other_tunnels
        .iter()
        .map(|other| say::OTHER_TUNNEL_SEEN.with("name", &other.name).with("sign", &other.sign))
        .collect();
    if let Some(device) = &other.device
        && view.default_route().is_some_and(|route| route.device.as_ref() == Some(device))
    {
        evidence.push(say::OTHER_TUNNEL_TAKES.with("device", device));
    }
    let mut fix = vec![FixStep::Say(say::OTHER_TUNNEL_FIX.with("name", &other.name))];
    if other.name == VPNKIT {
        fix.push(fixes::run(Shell::Powershell, &[&format!("wsl --terminate {VPNKIT}")]));
        fix.push(fixes::linux(&[&format!("sudo systemctl disable --now {VPNKIT}")]));
    } else if other.device.as_ref() != Some(&other.name) {
        fix.push(fixes::linux(&[&format!("sudo pkill -x {}", for_shell(&other.name))]));
    }
    if let Some(device) = &other.device {
        fix.push(FixStep::Say(say::OTHER_TUNNEL_DEVICE_FIX.text()));
        fix.push(fixes::linux(&[&format!("sudo ip link delete {}", for_shell(device))]));
    }
    Some(Found { evidence, cause: cause.with("name", &other.name), fix })
}

fn filter(view: &View<'_>) -> Option<Found> {
    let filter = &view.facts.filter;
    let drops = filter.output_drops || !filter.dropping_rules.is_empty();
    if !view.no_packet_gets_out() || !drops {
        return None;
    }
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    if filter.output_drops {
        evidence.push(say::FILTER_POLICY_SEEN.text());
    }
    evidence
        .extend(filter.dropping_rules.iter().map(|rule| say::FILTER_RULE_SEEN.with("rule", rule)));
    Some(Found {
        evidence,
        cause: say::FILTER_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::FILTER_FIX.text()),
            fixes::linux(&["sudo nft --handle list ruleset"]),
            FixStep::Say(say::FILTER_UFW_FIX.text()),
            fixes::linux(&["sudo ufw disable"]),
        ],
    })
}

fn windows_offline(view: &View<'_>) -> Option<Found> {
    let windows = view.windows()?;
    if !view.is_cut_off() || has_proxy(view) {
        return None;
    }
    let tried = view.windows_reaches_outside();
    let no_adapter = windows.host.internet_adapter.is_none() && !windows.host.adapters.is_empty();
    if tried == Some(true) || (tried.is_none() && !no_adapter) {
        return None;
    }
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    evidence.extend(attempts(view, Subject::Outside, Whence::Windows));
    if no_adapter {
        evidence.push(say::OFFLINE_NO_ADAPTER_SEEN.text());
    }
    Some(Found {
        evidence,
        cause: say::OFFLINE_CAUSE.text(),
        fix: vec![FixStep::Say(say::OFFLINE_FIX.text())],
    })
}

/// Whether Windows goes by a proxy: then it reaches nothing without, and is not offline for that.
pub(super) fn has_proxy(view: &View<'_>) -> bool {
    let proxy = view.windows().and_then(|windows| windows.host.user_proxy.as_ref());
    proxy.is_some_and(|proxy| proxy.proxy.is_some() || proxy.pac_url.is_some())
}

/// New connections are refused by the tunnel itself. It may get room while the doctor looks, so
/// what was tried says nothing.
fn tunnel_full(view: &View<'_>) -> Option<Found> {
    let open = view.facts.tunnel.full?;
    Some(Found {
        evidence: vec![say::TUNNEL_FULL_SEEN.with("open", open)],
        cause: say::TUNNEL_FULL_CAUSE.text(),
        fix: vec![FixStep::Say(say::TUNNEL_FULL_FIX.text()), fixes::linux(&["sudo ss -tnp"])],
    })
}

/// One user holds too many connections, and some of them were closed for other users.
fn tunnel_crowded(view: &View<'_>) -> Option<Found> {
    let displaced = view.facts.tunnel.displaced.as_ref()?;
    let seen = say::TUNNEL_CROWDED_SEEN.with("count", displaced.count);
    Some(Found {
        evidence: vec![seen.with("owner", &displaced.last_of)],
        cause: say::TUNNEL_CROWDED_CAUSE.text(),
        fix: vec![FixStep::Say(say::TUNNEL_FULL_FIX.text()), fixes::linux(&["sudo ss -tnpe"])],
    })
}

fn tunnel_out(view: &View<'_>) -> Option<Found> {
    // A tunnel that is full refuses by itself; nothing else is to blame.
    if !view.tunnel_is_up() || view.facts.tunnel.full.is_some() || !view.no_packet_gets_out() {
        return None;
    }
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    evidence.extend(attempts(view, Subject::Outside, Whence::Windows));
    Some(Found {
        evidence,
        cause: say::TUNNEL_OUT_CAUSE.text(),
        fix: vec![
            FixStep::Say(say::TUNNEL_OUT_FIX.text()),
            fixes::run(Shell::Powershell, &["wsl -d underpass up --via windows"]),
        ],
    })
}

/// All attempts to reach a host from one side, in words.
pub(super) fn attempts(view: &View<'_>, subject: Subject, whence: Whence) -> Vec<Text> {
    view.reached(subject, whence).filter_map(seen::reach).collect()
}

/// One sentence of those that succeeded or failed by a method.
pub(super) fn succeeded(
    view: &View<'_>,
    subject: Subject,
    whence: Whence,
    method: Method,
) -> Option<Text> {
    view.reached(subject, whence)
        .find(|reach| reach.method == method && is_ok(&reach.outcome))
        .and_then(seen::reach)
}
