//! The host's facts, read from `/proc` and the resolver's file. A file that is missing or odd gives
//! fewer facts, never an error: the gateway can do without any of them.

use super::adapters;
use super::resolver::nameservers;
use crate::facts::covers_internet6;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use wire::HostFacts;

/// The host's current facts. `root` is `/` except in tests.
pub(super) fn read(root: &Path) -> HostFacts {
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let v6 = routes6(&text("proc/net/ipv6_route"));
    let mut routes = routes4(&text("proc/net/route"));
    routes.extend(v6.subnets);
    let ways = adapters::ways(&text("proc/net/route"));
    let adapters = adapters::read(&root.join("sys/class/net"), &adapters::addresses(), &ways);
    HostFacts {
        system: format!("Linux {}", text("proc/sys/kernel/osrelease").trim()),
        names: Some(text("proc/sys/kernel/hostname").trim().to_owned())
            .filter(|name| !name.is_empty())
            .into_iter()
            .collect(),
        ipv6: v6.has_default,
        routes,
        dns_servers: nameservers(&text("etc/resolv.conf"))
            .iter()
            .map(ToString::to_string)
            .collect(),
        internet_adapter: adapters::internet_adapter(&adapters, &ways),
        adapters,
        ..HostFacts::default()
    }
}

/// The subnets of `/proc/net/route`: addresses and masks are hexadecimal words in the machine's
/// byte order.
fn routes4(table: &str) -> Vec<String> {
    let word = |field: Option<&&str>| {
        Some(Ipv4Addr::from(u32::from_str_radix(field?, 16).ok()?.to_ne_bytes()))
    };
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (destination, mask) = (word(fields.get(1))?, word(fields.get(7))?);
            let prefix = u32::from(mask).count_ones();
            (prefix > 0).then(|| format!("{destination}/{prefix}"))
        })
        .collect()
}

#[derive(Default)]
struct Routes6 {
    has_default: bool,
    subnets: Vec<String>,
}

/// Routing flag of a route that refuses its packets (`RTF_REJECT`, linux/route.h).
const REJECT: u32 = 0x0200;

/// The routes of `/proc/net/ipv6_route` that do not refuse: destination, prefix length, ..., flags
/// and device in columns 0, 1, 8 and 9.
fn routes6(table: &str) -> Routes6 {
    let (mut routes, mut leading) = (Routes6::default(), Vec::new());
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [destination, prefix, _, _, _, _, _, _, flags, device] = fields[..] else { continue };
        let parsed = (
            u128::from_str_radix(destination, 16),
            u32::from_str_radix(prefix, 16),
            u32::from_str_radix(flags, 16),
        );
        let (Ok(destination), Ok(prefix), Ok(flags)) = parsed else { continue };
        if device == "lo" || flags & REJECT != 0 {
            continue;
        }
        let destination = Ipv6Addr::from(destination);
        if destination.is_multicast() || destination.is_unicast_link_local() {
            continue;
        }
        leading.push((destination, prefix));
        // The others are defaults or parts of one.
        if prefix > 3 {
            routes.subnets.push(format!("{destination}/{prefix}"));
        }
    }
    routes.has_default = covers_internet6(leading);
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_are_read_and_default_routes_left_out() {
        // As a little-endian machine writes them: 172.28.48.0/20 and a default route.
        if cfg!(target_endian = "little") {
            let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                         eth0 00000000 01301CAC 0003 0 0 0 00000000 0 0 0\n\
                         eth0 00301CAC 00000000 0001 0 0 0 00F0FFFF 0 0 0\n\
                         broken line\n";
            assert_eq!(routes4(table), ["172.28.48.0/20"]);
        }
    }

    #[test]
    fn ipv6_is_there_only_with_a_default_route_that_leads_somewhere() {
        let route = |to: &str, prefix: &str, flags: &str, device: &str| {
            format!(
                "{to} {prefix} {0} 00 {0} 00000400 00000001 00000000 {flags} {device}\n",
                "0".repeat(32)
            )
        };
        let (any, global) = ("0".repeat(32), format!("2{}", "0".repeat(31)));
        assert!(routes6(&route(&any, "00", "00000003", "eth0")).has_default);
        assert!(routes6(&route(&global, "03", "00000003", "tun0")).has_default);
        // The two halves that full-tunnel VPNs set.
        let halves = [&any, &format!("8{}", "0".repeat(31))]
            .map(|half| route(half, "01", "00000003", "tun0"));
        assert!(routes6(&halves.concat()).has_default);
        assert!(!routes6(&route(&any, "00", "00200200", "lo")).has_default);
        assert!(!routes6(&route(&any, "00", "00000200", "eth0")).has_default);
        let subnet = routes6(&route("20010db8000000000000000000000000", "40", "00000001", "eth0"));
        assert_eq!((subnet.has_default, subnet.subnets), (false, vec!["2001:db8::/64".to_owned()]));
        assert!(
            routes6(&route("fe800000000000000000000000000000", "40", "00000001", "eth0"))
                .subnets
                .is_empty()
        );
    }

    #[test]
    fn a_host_without_facts_gives_empty_facts() {
        let facts = read(Path::new("/nonexistent"));
        assert_eq!(facts, HostFacts { system: "Linux ".into(), ..HostFacts::default() });
    }
}
