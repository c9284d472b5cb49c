//! Interfaces, routes, rules and neighbours as the kernel has them. The gateway reads them by
//! netlink.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// What the kernel says it is (`bridge`, `veth`, `tun`, `dummy`); nothing for an ordinary one.
    pub kind: Option<String>,
    /// Whether it is up and has a carrier.
    pub up: bool,
    /// Largest IP packet in bytes.
    pub mtu: u32,
    /// Its addresses, with the length of their prefix.
    pub addresses: Vec<IpNet>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it leads; `0.0.0.0/0` and `::/0` for a default route.
    pub destination: IpNet,
    /// By which router.
    #[serde(default)]
    pub gateway: Option<IpAddr>,
    /// By which interface.
    #[serde(default)]
    pub device: Option<String>,
    /// The table that it is in; 254 is `main`.
    pub table: u32,
    /// The lower, the sooner it is taken.
    #[serde(default)]
    pub metric: u32,
    /// Whether it drops what it matches (`blackhole`, `unreachable`, `prohibit`).
    #[serde(default)]
    pub refuses: bool,
}

/// A rule of policy routing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The lower, the sooner it is asked.
    pub priority: u32,
    /// The table that it leads to.
    pub table: Option<u32>,
    /// The rule as `ip rule` writes it.
    pub text: String,
}

/// What is known of a neighbour's hardware address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Who.
    pub address: IpAddr,
    /// At which interface.
    pub device: String,
    /// Whether he has answered.
    pub state: NeighbourState,
}

/// See [`Neighbour`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourState {
    /// He answered (reachable, stale, delay, probe), or his address is set by hand (permanent,
    /// noarp).
    Known,
    /// He was asked and does not answer (incomplete, failed).
    Silent,
}
