//! WSL's networking modes as WSL sets them up in the VM. For tests: everything here panics with a
//! program's output.
//!
//! It follows these rules in the sources of microsoft/WSL:
//!
//! | what | where |
//! |---|---|
//! | each route of a Windows adapter, of any prefix, is mirrored; its metric is the sum of Windows' two, and at least 1 | `WslMirroredNetworking.cpp`, `ProcessRouteChange` |
//! | each next hop has its own on-link host route, even if a subnet covers it | the same |
//! | an address makes no route by itself (`noprefixroute`) | `GnsEngine.cpp`, `ProcessIpAddressChange` |
//! | a mirrored route is in `main`, `proto kernel`; without a next hop it has scope `link`; a default route is `onlink` | `RoutingTable.cpp`, `SendMessage` |
//! | rules 0 to 2 and tables 127 and 128, for TCP and UDP alone; rules 0 for each mirrored interface | `NetworkManager.cpp`, `AddMirroredLoopbackRoutingRules` |
//! | `arp_filter` is on, `rp_filter` is off, `accept_local` and `route_localnet` are on | `NetworkManager.cpp` |

use crate::addresses::{HOST, HOST_V6, ROUTER, ROUTER_V6};
use crate::doctor::{add_vpn, remove_vpn};
use crate::scene::must;
use crate::topology::{Lab, Place};

/// The next hop for traffic to Windows' own addresses in mirrored mode: a neighbour that does not
/// exist, with a hardware address that Windows knows.
const LOOPBACK_GATEWAY: &str = "169.254.73.249";

/// The VM's address in bridged mode: another one of the host's network.
pub const BRIDGED: &str = "192.0.2.50";

/// Marks connections of a VM that has the host's own address, so that their replies return to it.
const MARK: &str = "0x77";

/// Runs `ip` in the VM.
///
/// # Panics
/// It fails.
pub fn ip(lab: &Lab, words: &str) {
    let _said = must(lab, Place::Wsl, &format!("ip {words}"));
}

/// `eth0` with an address of the host's network, and its router.
fn on_the_hosts_network(lab: &Lab, address: &str) {
    ip(lab, "addr flush dev eth0");
    ip(lab, &format!("addr add {address}/24 dev eth0"));
    ip(lab, &format!("route add default via {ROUTER}"));
}

/// The route of a Windows adapter: its prefix, and its next hop if it has one.
type Mirrored<'a> = (&'a str, Option<&'a str>);

/// The settings that WSL makes in mirrored mode (`NetworkManager.cpp`, `EnableIpv4ArpFilter` and
/// `InitializeLoopbackConfiguration`).
const SETTINGS: [&str; 5] = [
    "all.arp_filter=1",
    "all.rp_filter=0",
    "loopback0.rp_filter=0",
    "loopback0.accept_local=1",
    "loopback0.route_localnet=1",
];

/// Gives an interface of the VM the addresses and routes of a Windows adapter, like WSL.
fn mirror(lab: &Lab, device: &str, addresses: &[&str], routes: &[Mirrored<'_>], metric: u32) {
    for address in addresses {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        ip(lab, &format!("addr add {address} dev {device} noprefixroute {nodad}"));
    }
    let add = |to: &str, how: &str| {
        let family = if to.contains(':') || how.contains(':') { "-6" } else { "-4" };
        ip(
            lab,
            &format!("{family} route add {to} {how} dev {device} proto kernel metric {metric}"),
        );
    };
    let mut hops: Vec<&str> = routes.iter().filter_map(|(_, hop)| *hop).collect();
    hops.sort_unstable();
    hops.dedup();
    for hop in hops {
        add(hop, if hop.contains(':') { "" } else { "scope link" });
    }
    for (to, hop) in routes {
        match hop {
            Some(hop) if *to == "default" => add(to, &format!("via {hop} onlink")),
            Some(hop) => add(to, &format!("via {hop}")),
            None if to.contains(':') => add(to, ""),
            None => add(to, "scope link"),
        }
    }
}

/// Windows' own adapter, mirrored; see [`mirror_ipv6`].
fn mirror_uplink(lab: &Lab) {
    ip(lab, "addr flush dev eth0");
    let routes = [("192.0.2.0/24", None), ("default", Some(ROUTER))];
    mirror(lab, "eth0", &[&format!("{HOST}/24")], &routes, 281);
}

/// Mirrors the IPv6 of Windows' own adapter too, which [`lay_out`] leaves out.
///
/// # Panics
/// A command fails.
pub fn mirror_ipv6(lab: &Lab) {
    let routes = [("2001:db8:1::/64", None), ("default", Some(ROUTER_V6))];
    mirror(lab, "eth0", &[&format!("{HOST_V6}/64")], &routes, 281);
}

/// How a VPN's routes on Windows name their next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// An address of the VPN's subnet, as with clients that emulate an Ethernet adapter.
    Gateway,
    /// No next hop: everything is on-link, as with Wintun (WireGuard).
    OnLink,
}

/// The VPN's address on Windows, and in a VM that mirrors it.
pub const VPN: &str = "10.8.0.2";

/// Connects a VPN on Windows whose routes lead to these prefixes, and mirrors it into the VM as
/// `eth1`. It carries the traffic of Windows programs, and drops what WSL forwards by its adapter.
///
/// # Panics
/// A command fails.
pub fn connect_vpn(lab: &Lab, prefixes: &[&str], hop: Hop) {
    let host = |words: &str| must(lab, Place::Windows, words);
    let router = |words: &str| must(lab, Place::Router, words);
    add_vpn(lab);
    let _said = host("ip -6 addr add fd08::2/64 dev cscotun0 nodad");
    let _said = router("ip -6 addr add fd08::1/64 dev vpn nodad");
    let gateway = |prefix: &str| if prefix.contains(':') { "fd08::1" } else { "10.8.0.1" };
    for prefix in prefixes {
        let _said = host(&format!("ip route add {prefix} via {} dev cscotun0", gateway(prefix)));
    }
    let _said = must(
        lab,
        Place::Wsl,
        &format!(
            "ip link add eth1 type veth peer name vm1 netns {}",
            lab.namespace(Place::Windows)
        ),
    );
    // WSL's traffic leaves the wire here and is then dropped silently.
    for words in [
        "ip link set vm1 up",
        "sysctl -qw net.ipv4.conf.vm1.proxy_arp=1",
        "nft add table inet mirrored",
        "nft add chain inet mirrored forward { type filter hook forward priority filter ; }",
        "nft add rule inet mirrored forward iifname vm1 drop",
    ] {
        let _said = host(words);
    }
    ip(lab, "link set eth1 up");
    for protocol in ["tcp", "udp"] {
        ip(lab, &format!("rule add pref 0 iif eth1 ipproto {protocol} lookup local"));
    }
    let routes =
        prefixes.iter().map(|prefix| (*prefix, (hop == Hop::Gateway).then(|| gateway(prefix))));
    let subnets = [("10.8.0.0/24", None), ("fd08::/64", None)];
    let routes: Vec<_> = subnets.into_iter().chain(routes).collect();
    mirror(lab, "eth1", &[&format!("{VPN}/24"), "fd08::2/64"], &routes, 1);
    ip(
        lab,
        &format!("neigh add {LOOPBACK_GATEWAY} lladdr 00:11:22:33:44:55 dev eth1 nud permanent"),
    );
    let local = format!("{VPN} via {LOOPBACK_GATEWAY} dev eth1 onlink src {VPN} table 128");
    ip(lab, &format!("route add {local}"));
}

/// Disconnects it.
///
/// # Panics
/// It is not connected.
pub fn disconnect_vpn(lab: &Lab) {
    for protocol in ["tcp", "udp"] {
        ip(lab, &format!("rule del pref 0 iif eth1 ipproto {protocol} lookup local"));
    }
    ip(lab, "link del eth1");
    let _said = must(lab, Place::Windows, "nft delete table inet mirrored");
    remove_vpn(lab);
}

/// The device, rules and tables by which programs of the VM reach Windows' own addresses.
fn with_loopback_device(lab: &Lab) {
    ip(lab, "link add loopback0 type veth peer name gelnic");
    for device in ["loopback0", "gelnic"] {
        ip(lab, &format!("link set {device} up"));
    }
    ip(lab, "rule add pref 2 lookup local");
    ip(lab, "rule del pref 0");
    for protocol in ["tcp", "udp"] {
        for device in ["loopback0", "eth0"] {
            ip(lab, &format!("rule add pref 0 iif {device} ipproto {protocol} lookup local"));
        }
        for table in [127, 128] {
            ip(lab, &format!("rule add pref 1 ipproto {protocol} lookup {table}"));
        }
    }
    for (address, device, table) in [("127.0.0.1", "loopback0", 127), (HOST, "eth0", 128)] {
        ip(
            lab,
            &format!(
                "neigh add {LOOPBACK_GATEWAY} lladdr 00:11:22:33:44:55 dev {device} nud permanent"
            ),
        );
        ip(
            lab,
            &format!(
                "route add {address} via {LOOPBACK_GATEWAY} dev {device} onlink table {table}"
            ),
        );
    }
}

/// Sets up the VM's network of a mode.
///
/// # Panics
/// A command fails.
pub fn lay_out(lab: &Lab, mode: &str) {
    match mode {
        "mirrored" => {
            mirror_uplink(lab);
            with_loopback_device(lab);
            for setting in SETTINGS {
                let _said = must(lab, Place::Wsl, &format!("sysctl -qw net.ipv4.conf.{setting}"));
            }
        }
        "consomme" => {
            on_the_hosts_network(lab, HOST);
            with_loopback_device(lab);
            ip(lab, "addr add 169.254.73.250/28 dev loopback0");
        }
        "virtioproxy" => on_the_hosts_network(lab, HOST),
        "bridged" => on_the_hosts_network(lab, BRIDGED),
        "none" => ip(lab, "link del eth0"),
        _ => {}
    }
}

/// Makes the host carry the packets of a VM that [`lay_out`] has put on its network. The host
/// answers for the router there, and takes packets that return to the VM, even if the VM has the
/// host's own address.
///
/// # Panics
/// A command fails.
pub fn carry(lab: &Lab) {
    let host = |words: &str| must(lab, Place::Windows, words);
    for (key, value) in [("vm/proxy_arp", "1"), ("uplink/proxy_arp", "1"), ("vm/accept_local", "1")]
    {
        let script = format!("echo {value} > /proc/sys/net/ipv4/conf/{key}");
        let done = lab.run(Place::Windows, &["sh", "-c", &script]);
        assert!(done.as_ref().is_ok_and(crate::Finished::succeeded), "{key}: {done:?}");
    }
    for (address, table) in [(BRIDGED, "254"), (HOST, "77")] {
        let _said = host(&format!("ip route add {address} dev vm table {table}"));
    }
    let _said = host("ip rule add pref 5 lookup local");
    let _said = host(&format!("ip rule add pref 1 iif uplink fwmark {MARK} lookup 77"));
    let _said = host("ip rule del pref 0");
    let _said = host("nft add table ip carry");
    let _said =
        host("nft add chain ip carry prerouting { type filter hook prerouting priority mangle ; }");
    let _said = host(&format!("nft add rule ip carry prerouting iifname vm ct mark set {MARK}"));
    let _said = host("nft add rule ip carry prerouting iifname uplink meta mark set ct mark");
}
