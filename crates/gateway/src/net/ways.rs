//! Which prefixes of the main table the tunnel takes besides default routes. Pure.
//!
//! In mirrored mode WSL copies every route of Windows into the main table: a VPN's 0.0.0.0/1 and
//! 128.0.0.0/1, the 10.0.0.0/8 of a split tunnel. A VPN drops what WSL sends there, and carries
//! what a Windows program such as the relay sends. So the tunnel takes the prefixes that WSL has
//! mirrored, and Windows' own table decides. The VM keeps its neighbours, except those of a VPN's
//! adapter, and all routes that the user or a program of the VM has set.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::observe::{Hop, MainRoute, Observed, Origin};
use crate::limits::MAX_MIRRORED;
use wsl::NetworkingMode;

/// What happens with the main table's routes other than default routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ways {
    /// Prefixes of Windows that go through the tunnel, at most [`MAX_MIRRORED`], the shortest
    /// first.
    pub mirrored: Vec<IpNet>,
    /// Prefixes that stay with the VM, in the table's order.
    pub direct: Vec<Direct>,
    /// How many of Windows' prefixes stay with the VM because there are too many of them.
    pub left_out: usize,
}

/// A prefix that stays with the VM.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Direct {
    /// The prefix.
    pub to: IpNet,
    /// The interface by which it leaves.
    pub device: String,
}

/// Which address families the tunnel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    /// IPv4 alone.
    V4,
    /// Both.
    V4AndV6,
}

/// The ways of a network. `vpn` holds the addresses of VPN adapters on the relay's host.
#[must_use]
pub fn ways(observed: &Observed, vpn: &[IpAddr], carried: Families) -> Ways {
    // Among the routes to a prefix the kernel takes the one with the lowest metric, and the first
    // of equal ones.
    let mut best: HashMap<IpNet, &MainRoute> = HashMap::new();
    for route in &observed.main {
        let known = best.entry(route.to).or_insert(route);
        if route.metric < known.metric {
            *known = route;
        }
    }
    let in_order = observed.main.iter().filter(|route| std::ptr::eq(best[&route.to], *route));
    let is_carried = |route: &MainRoute| route.to.addr().is_ipv4() || carried == Families::V4AndV6;
    let (mut mirrored, mut direct): (Vec<&MainRoute>, Vec<&MainRoute>) =
        in_order.partition(|route| is_carried(route) && is_mirrored(observed, route, vpn));
    // A shorter prefix covers more destinations.
    mirrored.sort_by_key(|route| (route.to.prefix_len(), route.to));
    let left_out = mirrored.split_off(mirrored.len().min(MAX_MIRRORED));
    direct.extend(&left_out);
    let direct = direct.into_iter().filter_map(|route| Some((route.to, route.device.clone()?)));
    Ways {
        mirrored: mirrored.into_iter().map(|route| route.to).collect(),
        direct: direct.map(|(to, device)| Direct { to, device }).collect(),
        left_out: left_out.len(),
    }
}

/// Whether WSL has copied the route from Windows, so that Windows should decide about its packets.
///
/// WSL marks its routes as the kernel marks its own: RTPROT_KERNEL (`RoutingTable.cpp`,
/// `SendMessage`). The kernel itself makes only on-link routes to the subnet of an address
/// (fib_add_ifaddr in net/ipv4/fib_frontend.c, addrconf_prefix_route in net/ipv6/addrconf.c). WSL
/// also mirrors these, and on-link routes to each next hop (`WslMirroredNetworking.cpp`,
/// `ProcessRouteChange`).
fn is_mirrored(observed: &Observed, route: &MainRoute, vpn: &[IpAddr]) -> bool {
    if observed.mode != Some(NetworkingMode::Mirrored)
        || route.origin != Origin::Kernel
        || is_link_local(route.to)
    {
        return false;
    }
    let of_interface = || {
        observed.addresses.iter().filter(|address| Some(&address.device) == route.device.as_ref())
    };
    let neighbours = route.hop == Hop::OnLink
        && of_interface().any(|address| address.subnet.contains(&route.to));
    !neighbours || of_interface().any(|address| vpn.contains(&address.own))
}

/// Link-local addresses mean something only on their link (RFC 3927, RFC 4291).
fn is_link_local(net: IpNet) -> bool {
    match net {
        IpNet::V4(net) => net.addr().is_link_local() && net.prefix_len() >= 16,
        IpNet::V6(net) => net.addr().is_unicast_link_local() && net.prefix_len() >= 10,
    }
}

#[cfg(test)]
mod tests {
    use super::super::observe::Address;
    use super::*;

    fn ways(observed: &Observed, vpn: &[IpAddr]) -> Ways {
        super::ways(observed, vpn, Families::V4AndV6)
    }

    /// Routes as `ip route` writes them, the device after `dev`.
    fn route(text: &str) -> MainRoute {
        let words: Vec<&str> = text.split_whitespace().collect();
        let after = |word: &str| words.iter().skip_while(|found| **found != word).nth(1).copied();
        let to =
            words[0].parse().unwrap_or_else(|_| IpNet::from(words[0].parse::<IpAddr>().unwrap()));
        MainRoute {
            to,
            device: after("dev").map(str::to_owned),
            metric: after("metric").map_or(0, |metric| metric.parse().unwrap()),
            hop: if words.contains(&"via") { Hop::Gateway } else { Hop::OnLink },
            origin: if after("proto") == Some("kernel") { Origin::Kernel } else { Origin::Other },
        }
    }

    fn address(device: &str, text: &str) -> Address {
        let net: IpNet = text.parse().unwrap();
        Address { device: device.to_owned(), own: net.addr(), subnet: net.trunc() }
    }

    fn observed(mode: Option<NetworkingMode>, routes: &[&str]) -> Observed {
        Observed {
            routes: Vec::new(),
            own: Vec::new(),
            gateways: Vec::new(),
            connected: Vec::new(),
            main: routes.iter().map(|text| route(text)).collect(),
            addresses: vec![
                address("eth0", "192.0.2.2/24"),
                address("eth0", "fe80::2/64"),
                address("eth1", "10.8.0.2/24"),
                address("docker0", "172.17.0.1/16"),
                address("eth0", "2001:db8:1::2/64"),
            ],
            strict: Vec::new(),
            ephemeral: (32_768, 60_999),
            mode,
        }
    }

    fn shown(ways: &Ways) -> (String, String) {
        let mirrored: Vec<String> = ways.mirrored.iter().map(ToString::to_string).collect();
        let direct: Vec<String> =
            ways.direct.iter().map(|direct| format!("{} {}", direct.to, direct.device)).collect();
        (mirrored.join(", "), direct.join(", "))
    }

    /// Mirrored mode under a full-tunnel VPN, with a container network and a user's route.
    const FULL: [&str; 10] = [
        "192.0.2.0/24 dev eth0 proto kernel scope link metric 281",
        "192.0.2.1 dev eth0 proto kernel scope link metric 25",
        "10.8.0.0/24 dev eth1 proto kernel scope link metric 257",
        "0.0.0.0/1 via 10.8.0.1 dev eth1 proto kernel metric 1",
        "128.0.0.0/1 dev eth1 proto kernel scope link metric 1",
        "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1",
        "10.99.0.0/16 via 192.0.2.1 dev eth0",
        "fe80::/64 dev eth0 proto kernel metric 256",
        "2001:db8:1::/64 dev eth0 proto kernel metric 256",
        "2000::/3 dev eth1 proto kernel metric 1",
    ];

    #[test]
    fn what_wsl_has_mirrored_goes_and_the_vm_s_own_networks_stay() {
        let stay = "192.0.2.0/24 eth0, 192.0.2.1/32 eth0, 10.8.0.0/24 eth1, 172.17.0.0/16 docker0, \
                    10.99.0.0/16 eth0, fe80::/64 eth0, 2001:db8:1::/64 eth0";
        let mirrored = observed(Some(NetworkingMode::Mirrored), &FULL);
        let go = "0.0.0.0/1, 128.0.0.0/1, 2000::/3";
        assert_eq!(shown(&ways(&mirrored, &[])), (go.to_owned(), stay.to_owned()));
        for mode in [
            Some(NetworkingMode::Nat),
            Some(NetworkingMode::VirtioProxy),
            Some(NetworkingMode::Bridged),
            None,
        ] {
            assert_eq!(
                ways(&observed(mode, &FULL), &[]).mirrored,
                [],
                "{mode:?}: nothing is mirrored there"
            );
        }
    }

    #[test]
    fn without_ipv6_in_the_tunnel_its_prefixes_stay() {
        let observed = observed(
            Some(NetworkingMode::Mirrored),
            &["0.0.0.0/1 dev eth1 proto kernel", "2000::/3 dev eth1 proto kernel"],
        );
        let both = ("0.0.0.0/1".to_owned(), "2000::/3 eth1".to_owned());
        assert_eq!(shown(&super::ways(&observed, &[], Families::V4)), both);
    }

    #[test]
    fn the_neighbours_on_a_vpn_s_adapter_are_the_vpn_s() {
        let vpn = ["10.8.0.2".parse().unwrap()];
        let (go, stay) = shown(&ways(&observed(Some(NetworkingMode::Mirrored), &FULL), &vpn));
        assert_eq!(go, "0.0.0.0/1, 128.0.0.0/1, 2000::/3, 10.8.0.0/24");
        assert!(!stay.contains("eth1") && stay.contains("192.0.2.0/24 eth0"), "{stay}");
    }

    #[test]
    fn of_two_routes_to_a_prefix_the_lower_metric_decides() {
        let two = |first: u32, second: u32| {
            let routes = [
                format!("10.0.0.0/8 via 10.8.0.1 dev eth1 proto kernel metric {first}"),
                format!("10.0.0.0/8 via 192.0.2.1 dev eth0 metric {second}"),
            ];
            let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
            shown(&ways(&observed(Some(NetworkingMode::Mirrored), &routes), &[]))
        };
        let (go, stay) = (
            (String::from("10.0.0.0/8"), String::new()),
            (String::new(), "10.0.0.0/8 eth0".to_owned()),
        );
        assert_eq!((two(1, 5), two(5, 1), two(5, 5)), (go.clone(), stay, go));
    }

    #[test]
    fn a_route_that_refuses_is_its_user_s_and_leads_nowhere() {
        let refusing = MainRoute { device: None, ..route("10.0.0.0/8 metric 0") };
        let mut observed = observed(
            Some(NetworkingMode::Mirrored),
            &["10.0.0.0/8 via 10.8.0.1 dev eth1 proto kernel metric 1"],
        );
        observed.main.insert(0, refusing);
        assert_eq!(shown(&ways(&observed, &[])), (String::new(), String::new()));
    }

    #[test]
    fn more_than_the_bound_stay_with_the_vm_the_longest_first() {
        let routes: Vec<String> = (0..=MAX_MIRRORED)
            .map(|n| {
                format!(
                    "10.{}.{}.0/24 via 10.8.0.1 dev eth1 proto kernel metric 1",
                    n / 256,
                    n % 256
                )
            })
            .chain(["11.0.0.0/8 via 10.8.0.1 dev eth1 proto kernel metric 1".to_owned()])
            .collect();
        let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
        let ways = ways(&observed(Some(NetworkingMode::Mirrored), &routes), &[]);
        assert_eq!((ways.mirrored.len(), ways.left_out, ways.direct.len()), (MAX_MIRRORED, 2, 2));
        assert!(ways.mirrored.contains(&"11.0.0.0/8".parse().unwrap()));
        assert_eq!(shown(&ways).1, "10.7.255.0/24 eth1, 10.8.0.0/24 eth1");
    }
}
