//! The kernel's interfaces, routes, rules and neighbours. The gateway reads them by netlink.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The main routing table.
pub const MAIN: u32 = 254;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// The kernel's name for its kind (`bridge`, `veth`, `tun`, `dummy`); `None` for an ordinary
    /// one.
    pub kind: Option<String>,
    /// Whether it is up and has a carrier.
    pub up: bool,
    /// Largest IP packet in bytes.
    pub mtu: u32,
    /// Its addresses, with their prefix lengths.
    pub addresses: Vec<IpNet>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its destination; `0.0.0.0/0` and `::/0` for a default route.
    pub destination: IpNet,
    /// The router.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// The interface.
    #[serde(default)]
    pub device: Option<String>,
    /// Its table; [`MAIN`] is `main`.
    pub table: u32,
    /// A lower metric takes precedence.
    #[serde(default)]
    pub metric: u32,
    /// Whether it drops matching packets (`blackhole`, `unreachable`, `prohibit`).
    #[serde(default)]
    pub refuses: bool,
}

/// The best default route for IPv4 of the main table, by no device of the tunnel.
#[must_use]
pub fn way_out<'a>(routes: &'a [Route], tunnel: Option<&str>) -> Option<&'a Route> {
    let leads_out = |route: &&Route| {
        route.destination.prefix_len() == 0
            && route.destination.addr().is_ipv4()
            && route.table == MAIN
            && !route.refuses
            && (tunnel.is_none() || route.device.as_deref() != tunnel)
    };
    routes.iter().filter(leads_out).min_by_key(|route| route.metric)
}

/// A rule of policy routing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Rules with a lower priority come first.
    pub priority: u32,
    /// The table that it leads to.
    pub table: Option<u32>,
    /// The rule as `ip rule` writes it.
    pub text: String,
}

/// A neighbour, and whether its hardware address is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its address.
    pub address: IpAddr,
    /// Its interface.
    pub device: String,
    /// Whether it has answered.
    pub state: NeighbourState,
}

/// See [`Neighbour`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourState {
    /// It answered (reachable, stale, delay, probe), or its address is set by hand (permanent,
    /// noarp).
    Known,
    /// It was asked and does not answer (incomplete, failed).
    Silent,
}
