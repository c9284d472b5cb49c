//! Which neighbours in the VM's old network are routed to the TAP: nameservers, and the NAT
//! gateway, which stands for the Windows host. Pure.

use std::net::{IpAddr, Ipv4Addr};

use super::observe::Observed;
use super::ways::Ways;
use wsl::{NetworkingMode, ResolvConf};

/// The address of WSL's DNS tunneling: one of the VM's own `lo`, which works with every VPN.
const DNS_TUNNEL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 255, 255, 254));

/// The addresses to capture, each once: the gateways of the default routes, if they stand for the
/// Windows host and are not real routers, and the servers of `resolv_conf` in a connected subnet.
/// Other servers go to the TAP by the default route or as mirrored prefixes. This machine's own
/// addresses are never captured.
#[must_use]
pub fn captured(observed: &Observed, ways: &Ways, resolv_conf: &str) -> Vec<IpAddr> {
    let gateways: &[IpAddr] = match observed.mode {
        Some(NetworkingMode::Nat | NetworkingMode::None) | None => &observed.gateways,
        Some(NetworkingMode::Mirrored | NetworkingMode::VirtioProxy | NetworkingMode::Bridged) => {
            &[]
        }
    };
    let connected = || observed.connected.iter().filter(|net| !ways.mirrored.contains(net));
    let connected = |server: &IpAddr| connected().any(|net| net.contains(server));
    let named = ResolvConf::read(resolv_conf).named;
    let servers = named.iter().map(|server| server.address).filter(connected);
    let mut addresses = Vec::new();
    for address in gateways.iter().copied().chain(servers) {
        let local = observed.own.contains(&address) || address == DNS_TUNNEL;
        if is_plain(address) && !local && !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// Whether a rule without an interface can match the address: link-local addresses mean something
/// only on their link.
fn is_plain(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    !(link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(mode: Option<NetworkingMode>) -> Observed {
        Observed {
            routes: Vec::new(),
            own: vec!["172.28.48.2".parse().unwrap(), "fd00::2".parse().unwrap()],
            gateways: vec!["172.28.48.1".parse().unwrap(), "fe80::1".parse().unwrap()],
            connected: vec!["172.28.48.0/20".parse().unwrap(), "fd00::/64".parse().unwrap()],
            main: Vec::new(),
            addresses: Vec::new(),
            strict: Vec::new(),
            ephemeral: (32_768, 60_999),
            mode,
        }
    }

    fn shown(mode: Option<NetworkingMode>, resolv_conf: &str) -> String {
        let addresses = captured(&observed(mode), &Ways::default(), resolv_conf);
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_gateway_and_the_servers_next_door_each_once() {
        assert_eq!(shown(Some(NetworkingMode::Nat), ""), "172.28.48.1");
        let text = "# nameserver 172.28.48.7\nnameserver 172.28.48.1\n\
                    nameserver\t172.28.48.3 # ours\nnameserver fd00::3\nnameserver 8.8.8.8\n\
                    nameserver172.28.48.8\n nameserver 172.28.48.9\n\
                    search nameserver\nnameserver x\n";
        assert_eq!(shown(Some(NetworkingMode::Nat), text), "172.28.48.1 172.28.48.3 fd00::3");
    }

    #[test]
    fn own_loopback_and_tunnel_addresses_never() {
        let text = "nameserver 127.0.0.53\nnameserver ::1\nnameserver 10.255.255.254\n\
                    nameserver 172.28.48.2\n\
                    nameserver fd00::2\nnameserver fe80::5\nnameserver 0.0.0.0\n";
        assert_eq!(shown(Some(NetworkingMode::Nat), text), "172.28.48.1");
        let mut all = observed(Some(NetworkingMode::Nat));
        all.connected = vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()];
        assert_eq!(
            captured(&all, &Ways::default(), text),
            ["172.28.48.1".parse::<IpAddr>().unwrap()]
        );
    }

    #[test]
    fn a_server_behind_a_mirrored_on_link_route_is_no_neighbour() {
        let mut observed = observed(Some(NetworkingMode::Mirrored));
        observed.connected.push("0.0.0.0/1".parse().unwrap());
        let mirrored = Ways { mirrored: vec!["0.0.0.0/1".parse().unwrap()], ..Ways::default() };
        let text = "nameserver 8.8.8.8\nnameserver 172.28.48.3\n";
        assert_eq!(
            captured(&observed, &mirrored, text),
            ["172.28.48.3".parse::<IpAddr>().unwrap()]
        );
    }

    #[test]
    fn a_real_router_is_left_alone_unless_it_is_the_nameserver() {
        for mode in [
            Some(NetworkingMode::Mirrored),
            Some(NetworkingMode::Bridged),
            Some(NetworkingMode::VirtioProxy),
        ] {
            assert_eq!(shown(mode, "nameserver 9.9.9.9"), "");
            assert_eq!(shown(mode, "nameserver 172.28.48.1"), "172.28.48.1");
        }
    }
}
