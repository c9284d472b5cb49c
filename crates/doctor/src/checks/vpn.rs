//! Step 2's end: the VM's side is sound and the outside is dead all the same. The culprit is WSL's
//! own stack, a VPN that has the same addresses, one that outdoes the other adapters, one whose
//! routes take everything, or a program that cannot be named.

use super::check::{Check, Found};
use super::fixes;
use super::fixes::{networks_of_windows, overlap};
use super::network::attempts;
use crate::facts::{Method, Subject, Whence};
use crate::finding::{FixStep, Shell};
use crate::view::View;
use crate::way::Place;
use messages::{Text, doctor, doctor_network as say};
use wire::facts::Adapter;
use wsl::NetworkingMode;

pub(super) const CHECKS: &[Check] = &[
    Check::fatal("network-overlap", &say::OVERLAP, same_addresses).at(Place::Vpn),
    Check::fatal("network-gateway", &say::GATEWAY, gateway).at(Place::Gateway),
    Check::fatal("network-metric", &say::METRIC, metric).at(Place::Vpn),
    Check::fatal("network-vpn-routes", &say::CUT, routes).at(Place::Vpn),
    Check::fatal("network-nat", &say::CUT, nat).at(Place::Windows),
];

/// Whether Windows drops what it should forward: nothing gets out, and it is not known that Windows
/// itself is offline, or that a proxy is the only way.
fn forwarding_fails(view: &View<'_>) -> bool {
    view.no_packet_gets_out()
        && !view.tunnel_is_up()
        && (view.windows_reaches_outside() == Some(true)
            || (view.windows_reaches_outside().is_none() && !super::network::has_proxy(view)))
}

/// What was seen of the outside and the gateway.
fn seen_of_the_way(view: &View<'_>) -> Vec<Text> {
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    if let (Some(gateway), Some(true)) = (view.gateway(), view.gateway_lives()) {
        evidence.push(say::CUT_GATEWAY_SEEN.with("gateway", gateway));
    }
    evidence.extend(attempts(view, Subject::Outside, Whence::Windows));
    evidence
}

fn seen_of_vpns(view: &View<'_>) -> impl Iterator<Item = Text> {
    view.vpns().map(super::seen::vpn)
}

/// The fixes for a VPN that cuts WSL, the most certain first.
fn remedies(view: &View<'_>, culprit: Option<&Adapter>) -> Vec<FixStep> {
    let mut fix = Vec::new();
    if let Some(tun) = culprit.filter(|adapter| is_proxy_programs(adapter)) {
        fix.push(FixStep::Say(say::TUN_FIX.with("adapter", &tun.name)));
    }
    fix.extend(fixes::tunnel());
    if view.mode() != Some(NetworkingMode::Mirrored) {
        fix.extend(fixes::mirrored(view));
    }
    fix
}

/// Adapters of proxy programs in TUN mode, as they are called by default.
fn is_proxy_programs(adapter: &Adapter) -> bool {
    let words = ["clash", "mihomo", "meta tunnel", "sing-tun", "singbox_tun", "v2ray", "xray"];
    let text = format!("{} {}", adapter.name, adapter.description).to_lowercase();
    words.iter().any(|word| text.contains(word)) || adapter.name == "Meta"
}

fn same_addresses(view: &View<'_>) -> Option<Found> {
    // In the other modes the addresses are Windows' own.
    if view.mode().is_some_and(|mode| mode != NetworkingMode::Nat) || !forwarding_fails(view) {
        return None;
    }
    let subnet = view.subnet()?;
    let mut evidence = seen_of_the_way(view);
    let mut culprit = None;
    let before = evidence.len();
    for (net, adapter) in networks_of_windows(view).filter(|(net, _)| overlap(*net, subnet)) {
        evidence.push(match adapter {
            Some(adapter) => {
                culprit = Some(adapter);
                let text = say::OVERLAP_ADAPTER_SEEN.with("adapter", &adapter.name);
                text.with("subnet", subnet).with("other", net)
            }
            None => say::OVERLAP_ROUTE_SEEN.with("subnet", subnet).with("other", net),
        });
    }
    if evidence.len() == before {
        return None;
    }
    evidence.extend(seen_of_vpns(view));
    let mut fix = remedies(view, culprit);
    fix.extend(fixes::subnet(view));
    Some(Found { evidence, cause: say::OVERLAP_CAUSE.text(), fix })
}

fn gateway(view: &View<'_>) -> Option<Found> {
    if !view.is_cut_off() || view.gateway_lives() != Some(false) || view.tunnel_is_up() {
        return None;
    }
    let gateway = view.gateway()?;
    let asked =
        view.reached(Subject::Gateway, Whence::Vm).any(|reach| reach.method == Method::Neighbour)
            || view
                .reached(Subject::Gateway, Whence::AroundTunnel)
                .any(|reach| reach.method == Method::Neighbour)
            || view.facts.neighbours.iter().any(|neighbour| neighbour.address == gateway);
    let seen = if asked { say::GATEWAY_SEEN.text() } else { say::GATEWAY_NO_PING_SEEN.text() };
    let mut evidence = attempts(view, Subject::Outside, Whence::Vm);
    evidence.push(seen.with("gateway", gateway));
    let mut fix = vec![FixStep::Say(doctor::FIX_RESTART.text())];
    fix.extend(fixes::shutdown(view));
    fix.push(FixStep::Say(say::GATEWAY_SERVICE_FIX.text()));
    fix.push(fixes::run(Shell::AdminPowershell, &["wsl --shutdown", "Restart-Service -Force hns"]));
    Some(Found { evidence, cause: say::GATEWAY_CAUSE.text(), fix })
}

fn metric(view: &View<'_>) -> Option<Found> {
    if !forwarding_fails(view) {
        return None;
    }
    let vpn = view.internet_adapter().filter(|adapter| adapter.vpn.is_some())?;
    // Only adapters that could lead out are outdone; a metric of 0 means that it is unknown.
    let others = view.windows()?.host.adapters.iter().filter(|other| {
        other.up
            && other.index != vpn.index
            && other.vpn.is_none()
            && !other.gateways.is_empty()
            && other.metric > 0
    });
    let other = others
        .min_by_key(|other| other.metric)
        .filter(|other| vpn.metric > 0 && vpn.metric < other.metric)?;
    let mut evidence = seen_of_the_way(view);
    evidence.extend(seen_of_vpns(view));
    let text = say::METRIC_SEEN.with("adapter", &vpn.name).with("metric", vpn.metric);
    evidence.push(text.with("other", &other.name).with("others", other.metric));
    let mut fix = remedies(view, Some(vpn));
    fix.extend(fixes::metric(vpn));
    Some(Found { evidence, cause: say::METRIC_CAUSE.text(), fix })
}

/// Routes that together are a default route, by which VPNs take everything without touching the
/// real one.
const HALVES: [&str; 2] = ["0.0.0.0/1", "128.0.0.0/1"];

fn routes(view: &View<'_>) -> Option<Found> {
    if !forwarding_fails(view) {
        return None;
    }
    let routes = &view.windows()?.host.routes;
    let halves = HALVES.iter().all(|half| routes.iter().any(|route| route == half));
    if !halves && view.vpns().next().is_none() {
        return None;
    }
    let mut evidence = seen_of_the_way(view);
    evidence.extend(seen_of_vpns(view));
    if halves {
        evidence.push(say::CUT_ROUTES_SEEN.with("routes", HALVES.join(", ")));
    }
    let mut fix = remedies(view, view.vpns().next());
    if view.mode() == Some(NetworkingMode::Nat) {
        fix.extend(fixes::subnet(view));
    }
    Some(Found { evidence, cause: say::CUT_VPN_CAUSE.text(), fix })
}

fn nat(view: &View<'_>) -> Option<Found> {
    if !forwarding_fails(view) {
        return None;
    }
    let mut fix = remedies(view, None);
    fix.push(FixStep::Say(say::GATEWAY_SERVICE_FIX.text()));
    fix.push(fixes::run(Shell::AdminPowershell, &["wsl --shutdown", "Restart-Service -Force hns"]));
    Some(Found { evidence: seen_of_the_way(view), cause: say::CUT_CAUSE.text(), fix })
}
