//! The gateway's view of the kernel, of its tunnel and of interop, as the doctor's facts.

use doctor::facts::{Displaced, Entry, Interop, Kernel, Link, Outcome, Tunnel, TunnelState};
use gateway::net::Survey;
use gateway::status::{GatewayState, ProcessPrivileges};
use gateway::{Status, interop};
use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;
use std::path::Path;

pub(super) fn kernel(survey: &Survey) -> Kernel {
    Kernel { tun: Path::new("/dev/net/tun").try_exists().ok(), ipv6_rules: survey.ipv6_rules }
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
