//! A subnet for WSL's NAT that nothing of the host overlaps.

use ipnet::Ipv4Net;
use std::net::Ipv4Addr;
use wire::HostFacts;

/// The candidates in order: a corner of each private range, then one of the link-local range, which
/// no VPN routes.
const CANDIDATES: [(Ipv4Addr, u8); 4] = [
    (Ipv4Addr::new(192, 168, 240, 0), 24),
    (Ipv4Addr::new(172, 30, 240, 0), 24),
    (Ipv4Addr::new(10, 254, 240, 0), 24),
    LINK_LOCAL,
];

const LINK_LOCAL: (Ipv4Addr, u8) = (Ipv4Addr::new(169, 254, 214, 0), 24);

/// RFC 3927: Windows has a route to all of it on each adapter that got no address; the longer route
/// wins over these.
const ALL_LINK_LOCAL: (Ipv4Addr, u8) = (Ipv4Addr::new(169, 254, 0, 0), 16);

/// Routes that are halves of everything are a VPN's way to take the default route, and leave local
/// subnets alone.
const SHORTEST: u8 = 2;

/// What there is to do about WSL's subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subnet {
    /// It is one of those that are tried, and nothing overlaps it.
    Good(Ipv4Net),
    /// This one is free.
    Free(Ipv4Net),
    /// All that are tried are taken.
    None,
}

/// The subnet that WSL's NAT should have on this host.
#[must_use]
pub fn pick(facts: &HostFacts) -> Subnet {
    let (own, taken) = (of_wsl(facts), taken(facts));
    let free = |net: &Ipv4Net| !taken.iter().any(|route| overlap(*route, *net));
    let candidates = CANDIDATES.iter().filter_map(net);
    if let Some(own) =
        own.filter(|own| candidates.clone().any(|candidate| candidate == *own) && free(own))
    {
        return Subnet::Good(own);
    }
    candidates.clone().find(free).map_or(Subnet::None, Subnet::Free)
}

/// The subnet of the link-local range, for where all others are taken or nothing is known.
#[must_use]
pub fn link_local() -> Option<Ipv4Net> {
    net(&LINK_LOCAL)
}

/// WSL's own subnet, and the host's route that overlaps it.
#[must_use]
pub fn clash(facts: &HostFacts) -> Option<(Ipv4Net, Ipv4Net)> {
    let own = of_wsl(facts)?;
    let route = taken(facts).into_iter().find(|route| overlap(*route, own))?;
    Some((own, route))
}

fn net((address, prefix): &(Ipv4Addr, u8)) -> Option<Ipv4Net> {
    Ipv4Net::new(*address, *prefix).ok()
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b) || b.contains(&a)
}

/// The subnet of the adapter by which Windows reaches WSL; `vEthernet (WSL)`, or `vEthernet (WSL
/// (Hyper-V firewall))`.
fn of_wsl(facts: &HostFacts) -> Option<Ipv4Net> {
    let adapter =
        facts.adapters.iter().find(|adapter| adapter.up && adapter.name.contains("(WSL"))?;
    adapter
        .addresses
        .iter()
        .find_map(|address| address.parse::<Ipv4Net>().ok())
        .map(|net| net.trunc())
}

/// The networks of the host: its routes and the addresses of its adapters, without WSL's own
/// network and without routes to everything.
fn taken(facts: &HostFacts) -> Vec<Ipv4Net> {
    let own = of_wsl(facts);
    let adapters = facts.adapters.iter().filter(|adapter| adapter.up);
    let texts = adapters.flat_map(|adapter| &adapter.addresses).chain(&facts.routes);
    let nets = texts.filter_map(|text| text.parse::<Ipv4Net>().ok()).map(|net| net.trunc());
    let all_link_local = net(&ALL_LINK_LOCAL);
    nets.filter(|net| {
        net.prefix_len() >= SHORTEST && Some(*net) != own && Some(*net) != all_link_local
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wire::facts::Adapter;

    fn host(routes: &[&str], wsl: Option<&str>) -> HostFacts {
        let adapter = |address: &str| Adapter {
            name: "vEthernet (WSL (Hyper-V firewall))".into(),
            up: true,
            addresses: vec!["fe80::1/64".into(), address.into()],
            ..Adapter::default()
        };
        HostFacts {
            routes: routes.iter().map(|route| (*route).to_owned()).collect(),
            adapters: wsl.map(adapter).into_iter().collect(),
            ..HostFacts::default()
        }
    }

    fn free(text: &str) -> Subnet {
        Subnet::Free(text.parse().unwrap())
    }

    #[test]
    fn the_first_that_nothing_overlaps_is_taken() {
        assert_eq!(pick(&host(&["192.168.1.0/24", "10.0.0.0/8"], None)), free("192.168.240.0/24"));
        assert_eq!(pick(&host(&["192.168.0.0/16"], None)), free("172.30.240.0/24"));
        assert_eq!(
            pick(&host(&["192.168.240.128/25", "172.16.0.0/12"], None)),
            free("10.254.240.0/24")
        );
        let all = [
            "192.168.0.0/16",
            "172.16.0.0/12",
            "10.0.0.0/8",
            "169.254.0.0/16",
            "0.0.0.0/1",
            "128.0.0.0/1",
        ];
        assert_eq!(pick(&host(&all, None)), free("169.254.214.0/24"));
        let too = [&all[..], &["169.254.214.0/25"]].concat();
        assert_eq!(pick(&host(&too, None)), Subnet::None);
    }

    #[test]
    fn wsls_own_route_is_no_other() {
        let current = host(&["192.168.240.0/24", "10.0.0.0/8"], Some("192.168.240.1/24"));
        assert_eq!(pick(&current), Subnet::Good("192.168.240.0/24".parse().unwrap()));
        assert_eq!(clash(&current), None);
        let company = host(&["172.16.0.0/12", "172.28.48.0/20"], Some("172.28.48.1/20"));
        let expected = ("172.28.48.0/20".parse().unwrap(), "172.16.0.0/12".parse().unwrap());
        assert_eq!(clash(&company), Some(expected));
        assert_eq!(pick(&company), free("192.168.240.0/24"));
    }

    #[test]
    fn the_addresses_of_other_adapters_count_while_they_are_up() {
        let mut facts = host(&[], Some("172.28.48.1/20"));
        let addresses = vec!["192.168.240.7/24".to_owned()];
        facts.adapters.push(Adapter { up: true, addresses, ..Adapter::default() });
        assert_eq!(pick(&facts), free("172.30.240.0/24"));
        facts.adapters[1].up = false;
        assert_eq!(pick(&facts), free("192.168.240.0/24"));
    }

    proptest! {
        #[test]
        fn what_is_picked_overlaps_no_route(
            routes in prop::collection::vec((any::<u32>(), 2_u8..32), 0..12),
        ) {
            let net = |(address, prefix): &(u32, u8)| {
                Ipv4Net::new((*address).into(), *prefix).unwrap().trunc()
            };
            let nets: Vec<Ipv4Net> = routes.iter().map(net).collect();
            let texts: Vec<String> = nets.iter().map(ToString::to_string).collect();
            let facts = HostFacts { routes: texts, ..HostFacts::default() };
            if let Subnet::Free(net) = pick(&facts) {
                let hits = nets.iter().any(|route| {
                    overlap(*route, net) && route.to_string() != "169.254.0.0/16"
                });
                prop_assert!(!hits, "{net} of {nets:?}");
            }
        }
    }
}
