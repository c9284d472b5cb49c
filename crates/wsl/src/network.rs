//! The kernel's interfaces, routes, rules and neighbours. The gateway reads them by netlink.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

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
    /// Its table; 254 is `main`.
    pub table: u32,
    /// A lower metric takes precedence.
    #[serde(default)]
    pub metric: u32,
    /// Whether it drops matching packets (`blackhole`, `unreachable`, `prohibit`).
    #[serde(default)]
    pub refuses: bool,
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
