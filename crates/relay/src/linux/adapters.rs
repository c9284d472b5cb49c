//! The host's network interfaces from `/sys/class/net` and the routes, described in the terms of
//! Windows' adapters.

use nix::ifaddrs::getifaddrs;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use wire::facts::Adapter;

/// Most adapters in the facts: all facts together must fit a frame.
const MOST: usize = 48;

/// A public address that does not need to answer: it only names a direction (RFC 7535 assigns it to
/// AS 112).
const SOMEWHERE: Ipv4Addr = Ipv4Addr::new(192, 31, 196, 1);

/// Interface names of VPN clients.
const VPN_NAMES: [&str; 8] =
    ["cscotun", "gpd", "nordlynx", "ppp", "tailscale", "tun", "utun", "wg"];

/// Kinds of hardware (linux/if_arp.h) in words. Kinds that personal computers do not have are
/// reported by number.
const KINDS: [(u32, &str); 4] =
    [(1, "ethernet"), (512, "ppp"), (772, "loopback"), (65534, "tunnel")];

/// An IPv4 route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    interface: String,
    to: Ipv4Addr,
    prefix: u32,
    gateway: Option<Ipv4Addr>,
    metric: u32,
}

/// The rows of `/proc/net/route`: interface, destination, gateway, flags, …, metric in column 6,
/// mask in 7; addresses are hexadecimal words in the machine's byte order.
pub(super) fn ways(table: &str) -> Vec<Way> {
    let word =
        |field: &str| Some(Ipv4Addr::from(u32::from_str_radix(field, 16).ok()?.to_ne_bytes()));
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        Some(Way {
            interface: (*fields.first()?).to_owned(),
            to: word(fields.get(1)?)?,
            prefix: u32::from(word(fields.get(7)?)?).count_ones(),
            gateway: word(fields.get(2)?).filter(|gateway| !gateway.is_unspecified()),
            metric: fields.get(6)?.parse().ok()?,
        })
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// The addresses of all interfaces, by their names.
pub(super) fn addresses() -> Vec<(String, IpAddr, u32)> {
    let all = getifaddrs().into_iter().flatten();
    let address = |storage: &nix::sys::socket::SockaddrStorage| -> Option<IpAddr> {
        let v4 = storage.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| storage.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    all.filter_map(|one| {
        let prefix = match address(one.netmask.as_ref()?)? {
            IpAddr::V4(mask) => u32::from(mask).count_ones(),
            IpAddr::V6(mask) => u128::from(mask).count_ones(),
        };
        Some((one.interface_name, address(one.address.as_ref()?)?, prefix))
    })
    .collect()
}

/// The interfaces in `folder`, which is `/sys/class/net` except in tests.
pub(super) fn read(
    folder: &Path,
    addresses: &[(String, IpAddr, u32)],
    ways: &[Way],
) -> Vec<Adapter> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut adapters: Vec<_> =
        names.filter_map(|name| adapter(&folder.join(&name), name, addresses, ways)).collect();
    adapters.sort_by_key(|adapter| adapter.index);
    adapters.truncate(MOST);
    adapters
}

fn adapter(
    folder: &Path,
    name: String,
    addresses: &[(String, IpAddr, u32)],
    ways: &[Way],
) -> Option<Adapter> {
    let text = |file: &str| {
        fs::read_to_string(folder.join(file)).map(|text| text.trim().to_owned()).unwrap_or_default()
    };
    // TUN devices, loopback and others without link detection report the state 'unknown'.
    let flags = u32::from_str_radix(text("flags").trim_start_matches("0x"), 16).unwrap_or_default();
    let up = flags & 1 != 0 && ["up", "unknown"].contains(&text("operstate").as_str());
    let number: u32 = text("type").parse().unwrap_or_default();
    let known = KINDS.iter().find(|(kind, _)| *kind == number).map(|(_, word)| (*word).to_owned());
    let is_tun = folder.join("tun_flags").exists();
    let kind = match known {
        _ if is_tun => "tunnel".to_owned(),
        _ if folder.join("wireless").exists() => "wi-fi".to_owned(),
        Some(word) => word,
        None => format!("other {number}"),
    };
    let driver = fs::read_link(folder.join("device/driver")).ok();
    let defaults = || ways.iter().filter(|way| way.prefix == 0 && way.interface == name);
    Some(Adapter {
        index: text("ifindex").parse().ok()?,
        vpn: vpn(&name, is_tun, &text("uevent")),
        description: driver
            .and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .unwrap_or_default(),
        kind,
        up,
        addresses: addresses
            .iter()
            .filter(|(interface, ..)| *interface == name)
            .map(|(_, address, prefix)| format!("{address}/{prefix}"))
            .collect(),
        gateways: defaults()
            .filter_map(|way| way.gateway)
            .map(|gateway| gateway.to_string())
            .collect(),
        dns_servers: Vec::new(),
        metric: defaults().map(|way| way.metric).min().unwrap_or_default(),
        mtu: text("mtu").parse().unwrap_or_default(),
        name,
    })
}

/// Why an interface counts as a VPN's.
fn vpn(name: &str, is_tun: bool, uevent: &str) -> Option<String> {
    if let Some(beginning) = VPN_NAMES.into_iter().find(|beginning| name.starts_with(beginning)) {
        return Some(format!("its name begins with '{beginning}'"));
    }
    if is_tun {
        return Some("it is a TUN device".to_owned());
    }
    uevent.lines().any(|line| line == "DEVTYPE=wireguard").then(|| "it is WireGuard's".to_owned())
}

/// The adapter that reaches a public address: the one with the longest prefix, and among those the
/// one with the lowest metric.
pub(super) fn internet_adapter(adapters: &[Adapter], ways: &[Way]) -> Option<u32> {
    let mask = |prefix: u32| u32::MAX.checked_shl(32 - prefix).unwrap_or_default();
    let leads = |way: &&Way| u32::from(way.to) == u32::from(SOMEWHERE) & mask(way.prefix);
    let best = ways.iter().filter(leads).min_by_key(|way| (32 - way.prefix, way.metric))?;
    adapters.iter().find(|adapter| adapter.name == best.interface).map(|adapter| adapter.index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(interface: &str, to: &str, prefix: u32, metric: u32) -> Way {
        let (interface, to) = (interface.to_owned(), to.parse().unwrap());
        Way {
            interface,
            to,
            prefix,
            gateway: (prefix == 0).then_some(Ipv4Addr::new(192, 0, 2, 1)),
            metric,
        }
    }

    #[test]
    fn an_interface_is_reported_as_an_adapter() {
        let folder =
            std::env::temp_dir().join(format!("underpass-adapters-{}", std::process::id()));
        let interface = |name: &str, files: &[(&str, &str)]| {
            fs::create_dir_all(folder.join(name)).unwrap();
            for (file, text) in files {
                fs::write(folder.join(name).join(file), format!("{text}\n")).unwrap();
            }
        };
        interface(
            "eth0",
            &[
                ("ifindex", "2"),
                ("type", "1"),
                ("flags", "0x1003"),
                ("operstate", "up"),
                ("mtu", "1500"),
            ],
        );
        interface(
            "corp0",
            &[
                ("ifindex", "9"),
                ("type", "65534"),
                ("flags", "0x1002"),
                ("operstate", "down"),
                ("tun_flags", "1"),
            ],
        );
        interface(
            "cscotun0",
            &[("ifindex", "7"), ("type", "1"), ("flags", "0x1"), ("operstate", "unknown")],
        );
        let addresses = [("eth0".to_owned(), "192.0.2.7".parse().unwrap(), 24)];
        let ways = [
            way("eth0", "0.0.0.0", 0, 100),
            way("cscotun0", "0.0.0.0", 0, 5),
            way("eth0", "192.0.0.0", 8, 900),
        ];
        let adapters = read(&folder, &addresses, &ways);
        fs::remove_dir_all(&folder).unwrap();
        let summary: Vec<_> = adapters
            .iter()
            .map(|one| (one.name.as_str(), one.kind.as_str(), one.up, one.vpn.is_some()))
            .collect();
        assert_eq!(
            summary,
            [
                ("eth0", "ethernet", true, false),
                ("cscotun0", "ethernet", true, true),
                ("corp0", "tunnel", false, true)
            ]
        );
        let eth0 = &adapters[0];
        assert_eq!(
            (eth0.addresses.as_slice(), eth0.gateways.as_slice()),
            (&["192.0.2.7/24".to_owned()][..], &["192.0.2.1".to_owned()][..])
        );
        assert_eq!((eth0.metric, eth0.mtu), (100, 1500));
        assert_eq!(internet_adapter(&adapters, &ways), Some(2), "the longer prefix wins");
        assert_eq!(internet_adapter(&adapters, &ways[..2]), Some(7), "the lower metric wins");
        assert_eq!(internet_adapter(&adapters, &[]), None);
    }

    #[test]
    fn this_machine_reports_its_loopback() {
        let ours = addresses();
        assert!(ours.contains(&("lo".to_owned(), "127.0.0.1".parse().unwrap(), 8)), "{ours:?}");
        // As a little-endian machine writes it.
        if cfg!(target_endian = "little") {
            let table = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                         eth0 00000000 01301CAC 0003 0 0 50 00000000 0 0 0\nbroken line\n";
            let expected = Way {
                gateway: Some(Ipv4Addr::new(172, 28, 48, 1)),
                ..way("eth0", "0.0.0.0", 0, 50)
            };
            assert_eq!(ways(table), [expected]);
        }
    }
}
