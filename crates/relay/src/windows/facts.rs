//! The facts of this Windows. Missing ones are left out, never an error.

use super::resolver::servers;
use super::win32::{adapters, proxy, wsl};
use crate::facts::covers_internet6;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use wire::HostFacts;
use wire::facts::{Adapter, WslConfig, WslHost};

/// Most adapters and routes reported, and most bytes of `.wslconfig`: all facts together must fit a
/// frame.
const MOST_ADAPTERS: usize = 48;
const MOST_ROUTES: usize = 512;
const MOST_SETTINGS: usize = 16 * 1024;

/// A public address that does not need to answer: it only names a direction (RFC 7535 assigns it to
/// AS 112).
const SOMEWHERE: Ipv4Addr = Ipv4Addr::new(192, 31, 196, 1);

/// This host's current facts.
#[must_use]
pub fn facts() -> HostFacts {
    let (major, minor, build) = adapters::version();
    let routes = adapters::routes().unwrap_or_default();
    let adapters = adapters::adapters().unwrap_or_default();
    let ipv6 = has_ipv6(&routes, &adapters);
    let subnets =
        routes.iter().filter(|route| route.prefix > 0 && is_of_use(route)).take(MOST_ROUTES);
    HostFacts {
        system: format!("Windows {major}.{minor}.{build}"),
        names: names(&adapters),
        ipv6,
        routes: subnets.map(|route| format!("{}/{}", route.to, route.prefix)).collect(),
        dns_servers: servers().iter().map(ToString::to_string).collect(),
        internet_adapter: adapters::way_to(SOMEWHERE),
        adapters: adapters.into_iter().take(MOST_ADAPTERS).map(adapter).collect(),
        user_proxy: proxy::of_user(),
        machine_proxy: proxy::of_machine(),
        wslconfig: wslconfig(),
        wsl: Some(wsl_host()),
    }
}

/// The domain in which the NAT of Windows, and of WSL, serves this machine's own name (Internet
/// Connection Sharing, `DomainName` in the registry).
const NAT_DOMAIN: &str = "mshome.net";

/// This machine's own names: with its domain, and with the suffix of each of its networks.
fn names(adapters: &[adapters::Adapter]) -> Vec<String> {
    let [host, full] = adapters::computer_names();
    let suffixes = adapters
        .iter()
        .take(MOST_ADAPTERS)
        .map(|adapter| adapter.dns_suffix.as_str())
        .chain([NAT_DOMAIN]);
    let suffixes = suffixes.filter(|suffix| !suffix.is_empty());
    let suffixed =
        host.iter().flat_map(|host| suffixes.clone().map(move |suffix| format!("{host}.{suffix}")));
    let mut names: Vec<String> = suffixed.collect();
    names.extend(host.clone().into_iter().chain(full));
    names.sort();
    names.dedup();
    names
}

/// Whether routes lead to the IPv6 internet. A table without any IPv6 route, such as Wine's, says
/// nothing: then a public address is enough.
fn has_ipv6(routes: &[adapters::Route], adapters: &[adapters::Adapter]) -> bool {
    let up = |adapter: &&adapters::Adapter| adapter.up && adapter.kind != LOOPBACK;
    if routes.iter().any(|route| route.to.is_ipv6()) {
        let leads_out =
            |route: &adapters::Route| adapters.iter().filter(up).any(|a| a.index == route.adapter);
        let leading =
            routes.iter().filter(|route| leads_out(route)).filter_map(|route| match route.to {
                IpAddr::V6(to) => Some((to, u32::from(route.prefix))),
                IpAddr::V4(_) => None,
            });
        return covers_internet6(leading);
    }
    // RFC 4291 section 2.4: addresses that are not reserved otherwise. Today's public addresses are
    // all in 2000::/3.
    let public =
        |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.segments()[0] & 0xe000 == 0x2000);
    adapters
        .iter()
        .filter(up)
        .any(|adapter| adapter.addresses.iter().any(|(address, _)| public(address)))
}

/// Every Windows' table has groups, broadcasts and the host's own addresses. They do not show where
/// it leads.
fn is_of_use(route: &adapters::Route) -> bool {
    match route.to {
        IpAddr::V4(v4) => {
            route.prefix < 32 && !v4.is_multicast() && !v4.is_loopback() && !v4.is_broadcast()
        }
        IpAddr::V6(v6) => route.prefix < 128 && !v6.is_multicast() && !v6.is_unicast_link_local(),
    }
}

/// IANA's number of a loopback.
const LOOPBACK: u32 = 24;

/// IANA's ifType in words.
fn kind(number: u32) -> String {
    match number {
        6 => "ethernet",
        71 => "wi-fi",
        23 => "ppp",
        131 => "tunnel",
        53 => "virtual",
        LOOPBACK => "loopback",
        243 | 244 => "mobile",
        other => return format!("other {other}"),
    }
    .to_owned()
}

/// Adapter names of VPN clients, in lower case.
const VPN_WORDS: [&str; 22] = [
    "anyconnect",
    "array networks",
    "check point",
    "cisco secure client",
    "citrix",
    "f5 networks",
    "fortinet",
    "fortissl",
    "globalprotect",
    "pangp",
    "juniper",
    "netskope",
    "nordlynx",
    "openvpn",
    "pulse secure",
    "ivanti",
    "sonicwall",
    "tailscale",
    "tap-windows",
    "wintun",
    "wireguard",
    "zscaler",
];

/// Why an adapter counts as a VPN's.
fn vpn(adapter: &adapters::Adapter) -> Option<String> {
    let description = adapter.description.to_lowercase();
    if let Some(word) = VPN_WORDS.into_iter().find(|word| description.contains(word)) {
        return Some(format!("its description has '{word}'"));
    }
    match adapter.kind {
        // Windows' own VPN client and dial-up.
        23 => Some("it is a point-to-point link".to_owned()),
        // Teredo and ISATAP are Windows' own tunnels, not a VPN.
        131 if !description.contains("teredo") && !description.contains("isatap") => {
            Some("it is a tunnel".to_owned())
        }
        _ => None,
    }
}

fn adapter(of: adapters::Adapter) -> Adapter {
    let texts = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect();
    Adapter {
        vpn: vpn(&of),
        index: of.index,
        kind: kind(of.kind),
        up: of.up,
        addresses: of
            .addresses
            .iter()
            .map(|(address, prefix)| format!("{address}/{prefix}"))
            .collect(),
        gateways: texts(&of.gateways),
        dns_servers: texts(&of.dns_servers),
        // Wine 10 gives the largest number if it knows no metric.
        metric: if of.metric == u32::MAX { 0 } else { of.metric },
        mtu: of.mtu,
        name: of.name,
        description: of.description,
    }
}

fn wslconfig() -> Option<WslConfig> {
    let path = PathBuf::from(std::env::var_os("USERPROFILE")?).join(".wslconfig");
    let text = fs::read(&path).ok().map(|bytes| {
        let cut = &bytes[..bytes.len().min(MOST_SETTINGS)];
        String::from_utf8_lossy(cut).into_owned()
    });
    Some(WslConfig { path: path.display().to_string(), text })
}

/// The policies of WSL that affect its settings (microsoft/WSL, `src/windows/inc/wslpolicies.h`).
const POLICIES: [&str; 8] = [
    "DefaultNetworkingMode",
    "AllowNetworkingModeUserSetting",
    "AllowFirewallUserSetting",
    "AllowKernelUserSetting",
    "AllowKernelCommandLineUserSetting",
    "AllowKernelDebugUserSetting",
    "AllowSystemDistroUserSetting",
    "AllowNestedVirtualization",
];

/// The facts that WSL checks: `WslCoreConfig.cpp` (`Config::Initialize`) and `WslCoreVm.cpp`
/// (`ValidateNetworkingMode`).
fn wsl_host() -> WslHost {
    let policy =
        |name: &str| Some((name.to_owned(), wsl::machine_number(r"Software\Policies\WSL", name)?));
    let ipv6 = r"SYSTEM\CurrentControlSet\Services\Tcpip6\Parameters";
    WslHost {
        dns_query_raw: Some(wsl::has_dns_query_raw()),
        global_secure_access: wsl::is_running("GlobalSecureAccessTunnelingService"),
        ipv6_disabled_components: wsl::machine_number(ipv6, "DisabledComponents"),
        policies: POLICIES.into_iter().filter_map(policy).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    fn ethernet(description: &str, kind: u32) -> adapters::Adapter {
        adapters::Adapter {
            index: 7,
            name: "Ethernet".to_owned(),
            description: description.to_owned(),
            kind,
            up: true,
            addresses: vec![("2001:db8::1".parse().unwrap(), 64)],
            gateways: Vec::new(),
            dns_servers: Vec::new(),
            dns_suffix: String::new(),
            metric: 25,
            mtu: 1500,
        }
    }

    #[test]
    fn vpns_are_known_by_their_description_or_their_kind() {
        assert_eq!(vpn(&ethernet("Intel(R) Ethernet Connection I219-LM", 6)), None);
        assert_eq!(vpn(&ethernet("Teredo Tunneling Pseudo-Interface", 131)), None);
        for (description, number) in [
            ("Cisco AnyConnect Virtual Miniport Adapter for Windows x64", 6),
            ("PANGP Virtual Ethernet Adapter Secure", 6),
            ("Fortinet SSL VPN Virtual Ethernet Adapter", 6),
            ("WireGuard Tunnel", 53),
            ("WAN Miniport (IKEv2)", 23),
        ] {
            assert!(vpn(&ethernet(description, number)).is_some(), "{description}");
        }
        assert_eq!((kind(71), kind(999)), ("wi-fi".to_owned(), "other 999".to_owned()));
    }

    #[test]
    fn a_metric_that_windows_does_not_know_is_unknown() {
        let of = |metric| adapter(adapters::Adapter { metric, ..ethernet("Intel", 6) }).metric;
        assert_eq!([of(25), of(u32::MAX)], [25, 0]);
    }

    #[test]
    fn ipv6_exists_with_a_default_route_or_if_no_route_is_reported_with_a_public_address() {
        let adapters = [ethernet("Intel", 6)];
        let route =
            |prefix, adapter| adapters::Route { to: Ipv6Addr::UNSPECIFIED.into(), prefix, adapter };
        assert!(has_ipv6(&[route(0, 7)], &adapters));
        assert!(!has_ipv6(&[route(0, 8)], &adapters), "by a missing adapter");
        assert!(!has_ipv6(&[route(64, 7)], &adapters), "a subnet is not the internet");
        // As full-tunnel VPNs set them.
        let half = |to: &str, prefix, adapter| adapters::Route {
            to: to.parse().unwrap(),
            prefix,
            adapter,
        };
        assert!(has_ipv6(&[half("2000::", 3, 7)], &adapters));
        assert!(has_ipv6(&[half("::", 1, 7), half("8000::", 1, 7)], &adapters));
        assert!(!has_ipv6(&[half("2000::", 3, 8)], &adapters), "by a missing adapter");
        assert!(has_ipv6(&[], &adapters));
        let local = [adapters::Adapter {
            addresses: vec![("fe80::1".parse().unwrap(), 64)],
            ..adapters[0].clone()
        }];
        assert!(!has_ipv6(&[], &local));
        let down = [adapters::Adapter { up: false, ..adapters[0].clone() }];
        assert!(!has_ipv6(&[route(0, 7)], &down));
    }

    #[test]
    fn this_windows_reports_its_adapters_and_itself() {
        let facts = facts();
        assert!(facts.system.starts_with("Windows "), "{}", facts.system);
        let loopback = facts.adapters.iter().find(|adapter| adapter.kind == "loopback");
        assert!(loopback.is_some_and(|adapter| {
            adapter.addresses.iter().any(|address| address == "127.0.0.1/8")
        }));
        assert!(facts.wslconfig.is_some_and(|config| config.path.ends_with("\\.wslconfig")));
        let wsl = facts.wsl.unwrap_or_default();
        assert!(wsl.dns_query_raw.is_some() && wsl.global_secure_access == Some(false), "{wsl:?}");
    }
}
