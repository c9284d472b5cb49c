//! Fixes that mend more than one thing.

use crate::finding::{Shell, Step};
use crate::view::View;
use config::settings::nat;
use config::settings::subnet::{self, Subnet};
use ipnet::IpNet;
use messages::{Sentence, common, doctor};
use wire::facts::Adapter;

/// Where WSL's settings of all distros are.
pub(super) const WSLCONFIG: &str = r"%UserProfile%\.wslconfig";

/// Where those of one distro are.
pub(super) const WSL_CONF: &str = "/etc/wsl.conf";

/// A metric that every other adapter beats.
const HIGH_METRIC: u32 = 6000;

pub(super) fn say(sentence: &'static Sentence) -> Step {
    Step::Say(sentence.text())
}

pub(super) fn run(shell: Shell, lines: &[&str]) -> Step {
    Step::Run { shell, lines: lines.iter().map(|line| (*line).to_owned()).collect() }
}

pub(super) fn linux(lines: &[&str]) -> Step {
    run(Shell::Linux, lines)
}

pub(super) fn lines(file: &str, lines: &[&str]) -> Step {
    Step::Lines { file: file.to_owned(), lines: lines.iter().map(|line| (*line).to_owned()).collect() }
}

/// Restarting WSL, and what that ends.
pub(super) fn shutdown(view: &View<'_>) -> [Step; 2] {
    let running = view.windows().map_or(&[][..], |windows| &windows.running_distros);
    let text = if running.is_empty() {
        common::SHUTDOWN_NEEDED_FOR_ALL.text()
    } else {
        common::SHUTDOWN_NEEDED.with("distros", running.join(", "))
    };
    [Step::Say(text), run(Shell::Powershell, &["wsl --shutdown"])]
}

/// The tunnel.
pub(super) fn tunnel() -> [Step; 2] {
    [say(&doctor::FIX_TUNNEL), run(Shell::Powershell, &["wsl -d underpass up"])]
}

/// Mirrored mode, unless this Windows is known not to have it.
pub(super) fn mirrored(view: &View<'_>) -> Vec<Step> {
    if view.can_mirror() == Some(false) {
        return Vec::new();
    }
    let settings = ["[wsl2]", "networkingMode=mirrored", "dnsTunneling=true", "autoProxy=true", "firewall=true"];
    [say(&doctor::FIX_MIRRORED), lines(WSLCONFIG, &settings)].into_iter().chain(shutdown(view)).collect()
}

/// Another subnet for WSL's NAT, unless it has a good one or none is free.
pub(super) fn subnet(view: &View<'_>) -> Vec<Step> {
    let net = match view.windows().map(|windows| subnet::pick(&windows.host)) {
        None => subnet::link_local(),
        Some(Subnet::Free(net)) => Some(net),
        Some(Subnet::Good(_) | Subnet::None) => None,
    };
    let Some(net) = net else { return Vec::new() };
    let commands = Step::Run { shell: Shell::AdminPowershell, lines: nat::commands(net) };
    vec![say(&doctor::FIX_SUBNET), commands, say(&common::SUBNET_ORDER)]
}

/// A metric for a VPN's adapter that others beat.
pub(super) fn metric(adapter: &Adapter) -> [Step; 2] {
    let name = adapter.name.replace('\'', "''");
    let command = format!("Set-NetIPInterface -InterfaceAlias '{name}' -InterfaceMetric {HIGH_METRIC}");
    [say(&doctor::FIX_METRIC), Step::Run { shell: Shell::AdminPowershell, lines: vec![command] }]
}

/// resolv.conf back in WSL's hands.
pub(super) fn dns_auto() -> [Step; 2] {
    [say(&doctor::FIX_DNS_AUTO), linux(&["sudo underpass settings dns auto"])]
}

/// DNS by Windows, unless this Windows is known not to have that.
pub(super) fn dns_tunneling(view: &View<'_>) -> Vec<Step> {
    if view.can_tunnel_dns() == Some(false) {
        return Vec::new();
    }
    let steps = [say(&doctor::FIX_DNS_TUNNELING), lines(WSLCONFIG, &["[wsl2]", "dnsTunneling=true"])];
    steps.into_iter().chain(shutdown(view)).collect()
}

/// The environment's proxies, set anew.
pub(super) fn proxy_on(view: &View<'_>) -> [Step; 2] {
    let command = match proxy_port(view) {
        Some(port) => format!("eval \"$(underpass proxy on --port {port})\""),
        None => "eval \"$(underpass proxy on)\"".to_owned(),
    };
    [say(&doctor::FIX_PROXY_ON), linux(&[&command])]
}

/// The port of the first proxy that the environment names.
fn proxy_port(view: &View<'_>) -> Option<u16> {
    let (_, probe) = view.proxies_of(crate::facts::Tool::Environment).next()?;
    (probe.port != 0).then_some(probe.port)
}

/// The networks that Windows has besides WSL's own, each with the adapter if it is known: default routes and those that stand for one
/// are none.
pub(super) fn networks_of_windows<'a>(view: &View<'a>) -> impl Iterator<Item = (IpNet, Option<&'a Adapter>)> {
    let own = view.subnet();
    let host = view.windows().map(|windows| &windows.host);
    let adapters = host.map_or(&[][..], |host| &host.adapters);
    let routes = host.map_or(&[][..], |host| &host.routes);
    let of_adapter = |adapter: &'a Adapter| adapter.addresses.iter().map(move |text| (text, Some(adapter)));
    let of_adapters = adapters.iter().filter(|adapter| adapter.up).flat_map(of_adapter);
    of_adapters
        .chain(routes.iter().map(|text| (text, None)))
        .filter_map(|(text, adapter)| Some((text.parse::<IpNet>().ok()?.trunc(), adapter)))
        .filter(move |(net, _)| Some(*net) != own && net.prefix_len() > 3)
}

/// Whether two networks have addresses in common.
pub(super) fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}
