//! Fixes of more than one problem, and how commands are written. A sentence begins each
//! alternative: what follows it, up to the next one, is run as a whole.

pub(super) use super::typed::{as_root, own};

use super::good::{good, host, on_at, on_with};
use crate::facts::Tool;
use crate::finding::{FixStep, Shell};
use crate::view::View;
use config::settings::subnet::{self, Subnet};
use config::settings::{metric, nat};
use ipnet::IpNet;
use messages::{Sentence, common, doctor};
use wire::facts::Adapter;

/// Where WSL's settings of all distros are.
pub(super) const WSLCONFIG: &str = r"%UserProfile%\.wslconfig";

/// Where those of one distro are.
pub(super) const WSL_CONF: &str = "/etc/wsl.conf";

pub(super) fn say(sentence: &'static Sentence) -> FixStep {
    FixStep::Say(sentence.text())
}

pub(super) fn run(shell: Shell, lines: &[&str]) -> FixStep {
    FixStep::Run { shell, lines: lines.iter().map(|line| (*line).to_owned()).collect() }
}

pub(super) fn linux(lines: &[&str]) -> FixStep {
    run(Shell::Linux, lines)
}

pub(super) fn lines(file: &str, lines: &[&str]) -> FixStep {
    FixStep::Lines {
        file: file.to_owned(),
        lines: lines.iter().map(|line| (*line).to_owned()).collect(),
    }
}

/// Restarting WSL, and what that ends.
pub(super) fn shutdown(view: &View<'_>) -> [FixStep; 2] {
    let running = view.windows().map_or(&[][..], |windows| &windows.running_distros);
    let text = if running.is_empty() {
        common::SHUTDOWN_NEEDED_FOR_ALL.text()
    } else {
        common::SHUTDOWN_NEEDED.with("distros", running.join(", "))
    };
    [FixStep::Say(text), run(Shell::Powershell, &["wsl --shutdown"])]
}

/// The tunnel.
pub(super) fn tunnel() -> [FixStep; 2] {
    [say(&doctor::FIX_TUNNEL), run(Shell::Powershell, &["wsl -d underpass up"])]
}

/// Mirrored mode, unless this Windows is known not to have it.
pub(super) fn mirrored(view: &View<'_>) -> Vec<FixStep> {
    if view.can_mirror() == Some(false) {
        return Vec::new();
    }
    let settings = [
        "[wsl2]",
        "networkingMode=mirrored",
        "dnsTunneling=true",
        "autoProxy=true",
        "firewall=true",
    ];
    [say(&doctor::FIX_MIRRORED), lines(WSLCONFIG, &settings)]
        .into_iter()
        .chain(shutdown(view))
        .collect()
}

/// Another subnet for WSL's NAT, unless it has a good one or none is free.
pub(super) fn subnet(view: &View<'_>) -> Vec<FixStep> {
    let net = match view.windows().map(|windows| subnet::pick(&windows.host)) {
        None => subnet::link_local(),
        Some(Subnet::Free(net)) => Some(net),
        Some(Subnet::Good(_) | Subnet::None) => None,
    };
    let Some(net) = net else { return Vec::new() };
    let commands = FixStep::Run { shell: Shell::AdminPowershell, lines: nat::commands(net) };
    vec![say(&doctor::FIX_SUBNET), commands, say(&common::SUBNET_ORDER)]
}

/// A metric for a VPN's adapter that others beat.
pub(super) fn metric(adapter: &Adapter) -> Vec<FixStep> {
    let mut fix = vec![
        say(&doctor::FIX_METRIC),
        run(Shell::AdminPowershell, &[&metric::once(&adapter.name)]),
    ];
    if metric::is_anyconnect(&adapter.description) {
        let task = FixStep::Run {
            shell: Shell::AdminPowershell,
            lines: metric::at_each_connect(&adapter.name),
        };
        fix.extend([FixStep::Say(doctor::FIX_METRIC_TASK.with("undo", metric::never())), task]);
    }
    fix
}

/// Gives resolv.conf back to WSL, or lets WSL write it again if it is WSL's already.
pub(super) fn dns_auto(view: &View<'_>) -> Vec<FixStep> {
    let first = if view.resolv_conf_is_wsls() {
        vec![say(&doctor::FIX_DNS_RESTART)]
    } else {
        vec![say(&doctor::FIX_DNS_AUTO), linux(&[&as_root(view, "settings dns auto")])]
    };
    first.into_iter().chain(shutdown(view)).collect()
}

/// DNS by Windows, unless this Windows is known not to have that.
pub(super) fn dns_tunneling(view: &View<'_>) -> Vec<FixStep> {
    if view.can_tunnel_dns() == Some(false) {
        return Vec::new();
    }
    let steps =
        [say(&doctor::FIX_DNS_TUNNELING), lines(WSLCONFIG, &["[wsl2]", "dnsTunneling=true"])];
    steps.into_iter().chain(shutdown(view)).collect()
}

/// The environment's proxies, set to one that works; where none is known to work, to the port that
/// a variable names.
pub(super) fn proxy_on(view: &View<'_>) -> [FixStep; 2] {
    if let Some(good) = good(view) {
        let text = doctor::FIX_PROXY_GOOD.with("proxy", good.url());
        return [FixStep::Say(text), linux(&[&good.on(view)])];
    }
    let named =
        view.proxies_of(Tool::Environment).map(|(_, probe)| probe).find(|probe| probe.port != 0);
    let command = match named {
        Some(probe) => {
            let scheme = if super::good::is_socks(&probe.value) { "socks5" } else { "http" };
            on_at(view, host(view), "", scheme, probe.port)
        }
        None => on_with(view, ""),
    };
    [say(&doctor::FIX_PROXY_ON), linux(&[&command])]
}

/// The networks that Windows has besides WSL's own, each with the adapter if it is known. Default
/// routes, and routes that stand for one, do not count.
pub(super) fn networks_of_windows<'a>(
    view: &View<'a>,
) -> impl Iterator<Item = (IpNet, Option<&'a Adapter>)> {
    let own = view.subnet();
    let host = view.windows().map(|windows| &windows.host);
    let adapters = host.map_or(&[][..], |host| &host.adapters);
    let routes = host.map_or(&[][..], |host| &host.routes);
    let of_adapter =
        |adapter: &'a Adapter| adapter.addresses.iter().map(move |text| (text, Some(adapter)));
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
