//! The wanted state of the kernel's network. [`super::routing`] sets it.

use ipnet::IpNet;
use stack::Elsewhere;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The wanted state of the interface, the rules and our table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The TAP's name.
    pub tap: String,
    /// Its MTU.
    pub mtu: u32,
    /// Bytes of the largest IP packet that leaves the host whole. The routes carry it for
    /// everything except TCP; `None`: the TAP's own MTU applies to everything.
    pub way_mtu: Option<u32>,
    /// Its own hardware address: the VM's end.
    pub vm_mac: [u8; 6],
    /// The hardware address of the gateway's end.
    pub gateway_mac: [u8; 6],
    /// The VM's address on the TAP.
    pub vm4: Ipv4Addr,
    /// The gateway's.
    pub gateway4: Ipv4Addr,
    /// The prefix length of their subnet.
    pub prefix4: u8,
    /// The same for IPv6, if it is carried.
    pub v6: Option<Tap6>,
    /// Addresses whose packets stay on the old network (rule A).
    pub own: Vec<IpAddr>,
    /// Addresses from which only answers stay there (rules U).
    pub uplink: Vec<IpAddr>,
    /// Conversations of these addresses that began on the old network.
    pub elsewhere: Vec<Elsewhere>,
    /// The ports of clients, the first and the last one ([`super::Observed::ephemeral`]).
    pub ephemeral: (u16, u16),
    /// Neighbours that are routed to the TAP (rule N).
    pub captured: Vec<IpAddr>,
    /// Prefixes of Windows' that mirrored mode has in the main table (rules M).
    pub mirrored: Vec<IpNet>,
}

/// The IPv6 addresses on the TAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tap6 {
    /// The VM's.
    pub vm: Ipv6Addr,
    /// The gateway's.
    pub gateway: Ipv6Addr,
    /// The prefix length of their subnet.
    pub prefix: u8,
}
