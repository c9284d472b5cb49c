//! Fixes that mend more than one thing.

use super::view::View;
use super::{Shell, Step};
use ipnet::IpNet;
use wire::facts::Adapter;
use wording::{Sentence, common, doctor};

/// Where WSL's settings of all distros are.
pub(super) const WSLCONFIG: &str = r"%UserProfile%\.wslconfig";

/// Where those of one distro are.
pub(super) const WSL_CONF: &str = "/etc/wsl.conf";

/// Networks of 256 addresses for WSL's NAT, the first that overlaps nothing is taken: private ones that few use, then a link-local one,
/// which no VPN routes.
const SUBNETS: [[u8; 3]; 3] = [[192, 168, 213], [10, 231, 77], [169, 254, 173]];

/// Where WSL keeps the network of its NAT.
const LXSS: &str = r"HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Lxss";

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

/// Another subnet for WSL's NAT.
pub(super) fn subnet(view: &View<'_>) -> [Step; 2] {
    let taken: Vec<IpNet> = networks_of_windows(view).map(|(net, _)| net).collect();
    let network = |[a, b, c]: [u8; 3]| IpNet::new_assert([a, b, c, 0].into(), 24);
    let is_free = |candidate: &[u8; 3]| !taken.iter().any(|net| overlap(*net, network(*candidate)));
    let [a, b, c] = SUBNETS.into_iter().find(is_free).unwrap_or(SUBNETS[SUBNETS.len() - 1]);
    let commands = [
        "wsl --shutdown".to_owned(),
        format!("Set-ItemProperty {LXSS} NatNetwork {a}.{b}.{c}.0/24"),
        format!("Set-ItemProperty {LXSS} NatGatewayIpAddress {a}.{b}.{c}.1"),
    ];
    [say(&doctor::FIX_SUBNET), Step::Run { shell: Shell::AdminPowershell, lines: commands.into() }]
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
    if view.can_mirror() == Some(false) {
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
