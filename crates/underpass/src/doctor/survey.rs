//! The gateway's view of the kernel, of its tunnel and of interop, as the doctor's facts.

use doctor::facts::{
    Displaced, Entry, Interop, Kernel, Link, Mode, Outcome, Route, Tunnel, TunnelState,
};
use gateway::net::Survey;
use gateway::status::{GatewayState, ProcessPrivileges};
use gateway::{Status, interop};
use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;
use std::path::Path;
use wire::facts::Adapter;
use wsl::NetworkingMode;

/// The main routing table.
const MAIN: u32 = 254;

pub(super) fn kernel(survey: &Survey) -> Kernel {
    Kernel { tun: Path::new("/dev/net/tun").try_exists().ok(), ipv6_rules: survey.ipv6_rules }
}

/// The mode by WSL's word, and by what the interfaces look like beside Windows' adapters, where
/// these are known.
pub(super) fn mode(survey: &Survey, adapters: &[Adapter]) -> Mode {
    let by_signs = survey.signs.and_then(|mode| match mode {
        // An eth0 that is down is a network that is broken, not none.
        NetworkingMode::None => survey.links.iter().all(|link| link.name != "eth0").then_some(mode),
        NetworkingMode::Nat => Some(beside(survey, adapters)),
        NetworkingMode::Mirrored | NetworkingMode::VirtioProxy | NetworkingMode::Bridged => {
            Some(mode)
        }
    });
    Mode { by_wslinfo: survey.wslinfo.clone(), by_signs }
}

/// Behind NAT, unless Windows has the same address (its user-mode network), or a gateway that is
/// not Windows' own leads out of a network that Windows is in (a switch).
fn beside(survey: &Survey, adapters: &[Adapter]) -> NetworkingMode {
    let up = adapters.iter().filter(|adapter| adapter.up).flat_map(|adapter| &adapter.addresses);
    let windows: Vec<IpNet> = up.filter_map(|address| address.parse().ok()).collect();
    let of_eth0 =
        survey.links.iter().filter(|link| link.name == "eth0").flat_map(|link| &link.addresses);
    let own: Vec<IpNet> = of_eth0.filter(|address| address.addr().is_ipv4()).copied().collect();
    if own.iter().any(|own| windows.iter().any(|one| one.addr() == own.addr())) {
        return NetworkingMode::VirtioProxy;
    }
    let gateway = way_out(&survey.routes, None).and_then(|route| route.gateway);
    let shared = own.iter().any(|own| windows.iter().any(|one| own.trunc() == one.trunc()));
    if shared && !windows.iter().any(|one| Some(one.addr()) == gateway) {
        NetworkingMode::Bridged
    } else {
        NetworkingMode::Nat
    }
}

/// The best default route for IPv4 of the main table, by no device of the tunnel.
pub(super) fn way_out<'a>(routes: &'a [Route], tunnel: Option<&str>) -> Option<&'a Route> {
    let leads_out = |route: &&Route| {
        route.destination.prefix_len() == 0
            && route.destination.addr().is_ipv4()
            && route.table == MAIN
            && !route.refuses
            && (tunnel.is_none() || route.device.as_deref() != tunnel)
    };
    routes.iter().filter(leads_out).min_by_key(|route| route.metric)
}

/// The first address of a family on a device.
pub(super) fn address_on(
    links: &[Link],
    device: &str,
    wanted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let link = links.iter().find(|link| link.name == device)?;
    link.addresses.iter().map(IpNet::addr).find(|address| wanted(*address))
}

pub(super) fn tunnel(status: Option<Status>) -> Tunnel {
    let Some(status) = status else { return Tunnel::default() };
    let tap = status.tap.as_ref();
    let of_relays = || status.relays.iter().rev().find_map(|relay| relay.last_error.clone());
    let state = match status.state {
        GatewayState::Starting => TunnelState::Starting,
        GatewayState::Up => TunnelState::Up,
        GatewayState::NoRelay => TunnelState::NoRelay,
    };
    Tunnel {
        state,
        device: tap.map(|tap| tap.name.clone()),
        subnet: tap
            .and_then(|tap| Ipv4Net::new(tap.ipv4.gateway, tap.ipv4.prefix).ok())
            .map(|net| net.trunc()),
        gateway: tap.map(|tap| tap.ipv4.gateway),
        host: tap.map(|tap| tap.ipv4.host),
        full: full(&status),
        displaced: displaced(&status),
        unconfined: unconfined(&status),
        rebind: status.rebind.as_ref().map_or_else(Vec::new, |rebind| rebind.names.clone()),
        // A message of a relay that was replaced long ago is not a present fault.
        last_error: status
            .network_error
            .clone()
            .or_else(|| (state != TunnelState::Up).then(of_relays).flatten()),
    }
}

/// The steps that the machine refused when the gateway's processes gave up their rights, each with
/// its process.
fn unconfined(status: &Status) -> Vec<String> {
    let missing = |process: &ProcessPrivileges| {
        let of = process.process.clone();
        process.missing.clone().into_iter().map(move |missing| format!("{of}: {missing}"))
    };
    status.privileges.iter().flat_map(missing).collect()
}

/// The doctor reports only what happened to connections in this many last seconds.
const JUST_NOW_S: u64 = 60;

/// The connections that had to make room for other users', if some had to just now.
fn displaced(status: &Status) -> Option<Displaced> {
    let displaced = status.displaced.as_ref().filter(|one| one.last_s < JUST_NOW_S)?;
    Some(Displaced { count: displaced.count, last_of: displaced.last_of.clone() })
}

/// How many connections are open, if new ones are or were just now refused for want of room.
fn full(status: &Status) -> Option<u64> {
    let open = |name: &str| status.limits.iter().find(|limit| limit.name == name);
    let at_its_end = ["tcp", "relay-tcp"]
        .into_iter()
        .filter_map(open)
        .any(|limit| limit.max > 0 && limit.now >= limit.max);
    let was_refused = status.refused.is_some_and(|refused| refused.last_s < JUST_NOW_S);
    (at_its_end || was_refused).then(|| open("tcp").map_or(0, |limit| limit.now))
}

pub(super) fn interop() -> Interop {
    let seen = interop::survey();
    Interop {
        is_wsl: seen.is_wsl,
        entry: seen.entry.map(|entry| match entry {
            interop::Entry::Present => Entry::Present,
            interop::Entry::Disabled => Entry::Disabled,
            interop::Entry::Missing => Entry::Missing,
        }),
        socket: seen.socket,
        socket_lives: seen.socket_lives,
        sockets: seen.sockets,
        run: Outcome::NotTried,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(address: &str, gateway: &str) -> Survey {
        Survey {
            links: vec![Link {
                name: "eth0".to_owned(),
                kind: None,
                up: true,
                mtu: 1500,
                addresses: vec![address.parse().unwrap()],
            }],
            routes: vec![Route {
                destination: "0.0.0.0/0".parse().unwrap(),
                gateway: gateway.parse().ok(),
                device: Some("eth0".to_owned()),
                table: MAIN,
                metric: 0,
                refuses: false,
            }],
            rules: Vec::new(),
            ipv6_rules: None,
            wslinfo: None,
            signs: Some(NetworkingMode::Nat),
        }
    }

    #[test]
    fn a_device_that_is_down_is_not_the_mode_without_a_network() {
        let mut seen =
            Survey { signs: Some(NetworkingMode::None), ..survey("172.28.48.2/20", "172.28.48.1") };
        assert_eq!(mode(&seen, &[]).by_signs, None);
        seen.links.clear();
        assert_eq!(mode(&seen, &[]).by_signs, Some(NetworkingMode::None));
    }

    #[test]
    fn modes_that_look_alike_are_told_apart_by_windows_addresses() {
        let adapter = |addresses: &[&str]| Adapter {
            up: true,
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
            ..Adapter::default()
        };
        let windows = [adapter(&["192.168.1.5/24"]), adapter(&["172.28.48.1/20"])];
        for (own, gateway, adapters, expected) in [
            ("172.28.48.2/20", "172.28.48.1", &windows[..], NetworkingMode::Nat),
            ("172.28.48.2/20", "172.28.48.1", &[], NetworkingMode::Nat),
            ("192.168.1.5/24", "192.168.1.1", &windows, NetworkingMode::VirtioProxy),
            ("192.168.1.50/24", "192.168.1.1", &windows, NetworkingMode::Bridged),
        ] {
            let survey = survey(own, gateway);
            assert_eq!(mode(&survey, adapters).by_signs, Some(expected), "{own}");
        }
    }
}
