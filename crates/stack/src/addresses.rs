//! Classifies addresses. Pure: a destination goes in, a [`Target`] comes out.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The gateway's IPv6 address on the TAP.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfd75, 0x6e64, 0x6572, 0, 0, 0, 0, 1);
/// The VM's IPv6 address on the TAP.
pub const VM6: Ipv6Addr = Ipv6Addr::new(0xfd75, 0x6e64, 0x6572, 0, 0, 0, 0, 2);
/// The host's IPv6 alias.
pub const HOST6: Ipv6Addr = Ipv6Addr::new(0xfd75, 0x6e64, 0x6572, 0, 0, 0, 0, 3);
/// Prefix length of the IPv6 subnet.
pub const PREFIX6: u8 = 64;
/// Prefix length of the IPv4 subnet.
pub const PREFIX4: u8 = 28;

/// The ports of the host's own 127.0.0.1 that its aliases can reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostAccess {
    /// Every port.
    All,
    /// These TCP and UDP ports; all others are refused.
    Only(Vec<u16>),
}

impl HostAccess {
    fn allows(&self, port: u16) -> bool {
        match self {
            Self::All => true,
            Self::Only(ports) => ports.contains(&port),
        }
    }
}

/// Whether IPv6 is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipv6 {
    /// The relay's host has it.
    Enabled,
    /// The relay's host has no IPv6.
    Disabled,
}

/// The kind of destination of a TCP segment or UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host on the network.
    Remote(SocketAddr),
    /// The relay host's own loopback.
    Host(SocketAddr),
    /// DNS, which the gateway's front answers.
    Dns,
    /// The gateway itself, at a port without a service.
    Gateway,
    /// A port of the host's loopback that apps may not reach.
    Refused,
    /// Multicast or broadcast: dropped without an answer.
    Group,
    /// Leads nowhere: unreachable.
    Invalid,
}

/// The addresses of the TAP's subnet and those captured from the VM's old network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressPlan {
    /// First address of the /28.
    pub subnet: Ipv4Addr,
    /// The VM's old NAT gateway and nameservers: port 53 is DNS, the other ports are the host's.
    pub captured: Vec<IpAddr>,
    /// The ports of the host's loopback that apps can reach.
    pub host_access: HostAccess,
}

impl AddressPlan {
    fn nth(&self, n: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.subnet).wrapping_add(n))
    }

    /// The gateway's address (P.1).
    pub fn gateway(&self) -> Ipv4Addr {
        self.nth(1)
    }

    /// The VM's own address on the TAP (P.2).
    pub fn vm(&self) -> Ipv4Addr {
        self.nth(2)
    }

    /// The host's alias (P.3).
    pub fn host(&self) -> Ipv4Addr {
        self.nth(3)
    }

    /// The gateway's address of the family of `like`.
    pub(crate) fn gateway_like(&self, like: IpAddr) -> IpAddr {
        match like {
            IpAddr::V4(_) => self.gateway().into(),
            IpAddr::V6(_) => GATEWAY6.into(),
        }
    }

    /// The host's alias of the family of `like`.
    pub(crate) fn host_like(&self, like: IpAddr) -> IpAddr {
        match like {
            IpAddr::V4(_) => self.host().into(),
            IpAddr::V6(_) => HOST6.into(),
        }
    }

    pub(crate) fn is_gateway(&self, ip: IpAddr) -> bool {
        ip == self.gateway_like(ip)
    }

    /// Whether the address is one of ours or a captured one. A packet to it passes no router.
    pub(crate) fn is_alias(&self, ip: IpAddr) -> bool {
        self.is_gateway(ip) || ip == self.host_like(ip) || self.captured.contains(&ip)
    }

    /// Whether the address lies in the TAP's own subnet.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => {
                u32::from(ip) >> (32 - PREFIX4) == u32::from(self.subnet) >> (32 - PREFIX4)
            }
            IpAddr::V6(ip) => ip.segments()[..4] == GATEWAY6.segments()[..4],
        }
    }

    /// Whether the address belongs to the tunnel's own subnet or is a captured one. No host on the
    /// network has such an address.
    #[must_use]
    pub fn is_inside(&self, ip: IpAddr) -> bool {
        self.is_own(ip) || self.captured.contains(&ip)
    }

    /// Classifies a TCP or UDP destination.
    pub fn classify(&self, to: SocketAddr) -> Target {
        let ip = to.ip();
        if is_group(ip) {
            return Target::Group;
        }
        let captured = self.captured.contains(&ip);
        if to.port() == 53 && (captured || self.is_gateway(ip)) {
            return Target::Dns;
        }
        if captured || ip == self.host_like(ip) {
            return if self.host_access.allows(to.port()) {
                Target::Host(SocketAddr::new(loopback_like(ip), to.port()))
            } else {
                Target::Refused
            };
        }
        if self.is_gateway(ip) {
            return Target::Gateway;
        }
        if to.port() == 0 || self.is_own(ip) || !may_be_remote(ip) {
            Target::Invalid
        } else {
            Target::Remote(to)
        }
    }
}

/// 127.0.0.1 or ::1.
pub(crate) fn loopback_like(like: IpAddr) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    }
}

/// Multicast or broadcast.
pub(crate) fn is_group(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_multicast(),
    }
}

/// Whether a router may forward a packet to this address (RFC 1122 3.2.1.3, RFC 4291 2.5).
pub(crate) fn may_be_remote(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !(ip.is_loopback() || ip.octets()[0] == 0 || ip.octets()[0] >= 224),
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unicast_link_local()
                || ip.to_ipv4_mapped().is_some())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_meaning() {
        let mut plan = AddressPlan {
            subnet: Ipv4Addr::new(10, 99, 0, 16),
            captured: vec!["172.20.0.1".parse().unwrap()],
            host_access: HostAccess::All,
        };
        let is = |plan: &AddressPlan, s: &str| plan.classify(s.parse().unwrap());
        assert_eq!(is(&plan, "10.99.0.17:53"), Target::Dns);
        assert_eq!(is(&plan, "172.20.0.1:53"), Target::Dns);
        assert_eq!(is(&plan, "172.20.0.1:80"), Target::Host("127.0.0.1:80".parse().unwrap()));
        assert_eq!(is(&plan, "10.99.0.19:53"), Target::Host("127.0.0.1:53".parse().unwrap()));
        assert_eq!(is(&plan, "[fd75:6e64:6572::3]:9"), Target::Host("[::1]:9".parse().unwrap()));
        assert_eq!(is(&plan, "[fd75:6e64:6572::1]:53"), Target::Dns);
        assert_eq!(is(&plan, "10.99.0.17:80"), Target::Gateway);
        assert_eq!(is(&plan, "10.99.0.20:80"), Target::Invalid);
        assert_eq!(is(&plan, "10.99.0.32:80"), Target::Remote("10.99.0.32:80".parse().unwrap()));
        assert_eq!(is(&plan, "127.0.0.1:80"), Target::Invalid);
        assert_eq!(is(&plan, "239.255.255.250:1900"), Target::Group);
        assert_eq!(is(&plan, "[::ffff:1.2.3.4]:80"), Target::Invalid);
        plan.host_access = HostAccess::Only(Vec::new());
        assert_eq!(is(&plan, "172.20.0.1:80"), Target::Refused);
        assert_eq!(is(&plan, "172.20.0.1:53"), Target::Dns);
    }

    fn plan() -> AddressPlan {
        AddressPlan {
            subnet: Ipv4Addr::new(10, 99, 0, 16),
            captured: vec!["172.20.0.1".parse().unwrap(), "fe80::9".parse().unwrap()],
            host_access: HostAccess::Only(vec![80, 5432]),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.
    #[test]
    fn a_router_leads_to_addresses_of_single_hosts_alone() {
        for remote in [
            "1.0.0.0",
            "10.0.0.1",
            "126.255.255.255",
            "128.0.0.1",
            "223.255.255.255",
            "2600::1",
            "fd00::1",
        ] {
            assert!(may_be_remote(ip(remote)), "{remote}");
        }
        let not =
            ["0.0.0.0", "0.255.255.255", "127.0.0.1", "127.255.255.255", "224.0.0.0", "240.0.0.1"];
        let not = not.into_iter().chain([
            "255.255.255.255",
            "::",
            "::1",
            "ff02::1",
            "fe80::1",
            "::ffff:1.2.3.4",
        ]);
        for nowhere in not {
            assert!(!may_be_remote(ip(nowhere)), "{nowhere}");
        }
    }

    #[test]
    fn groups_are_those_of_their_family() {
        for group in ["224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1", "ff0e::1"] {
            assert!(is_group(ip(group)), "{group}");
        }
        for single in ["223.255.255.255", "240.0.0.1", "255.255.255.254", "fe80::1", "::"] {
            assert!(!is_group(ip(single)), "{single}");
        }
    }

    #[test]
    fn the_subnets_own_addresses_are_known() {
        let plan = plan();
        assert_eq!([plan.gateway(), plan.vm(), plan.host()].map(|ip| ip.octets()[3]), [17, 18, 19]);
        for own in ["10.99.0.16", "10.99.0.31", "fd75:6e64:6572::", "fd75:6e64:6572:0:ffff::1"] {
            assert!(plan.is_own(ip(own)), "{own}");
        }
        for other in
            ["10.99.0.15", "10.99.0.32", "10.99.1.16", "fd75:6e64:6572:1::1", "fd75:6e64:6573::1"]
        {
            assert!(!plan.is_own(ip(other)), "{other}");
        }
        for alias in [
            "10.99.0.17",
            "10.99.0.19",
            "172.20.0.1",
            "fe80::9",
            "fd75:6e64:6572::1",
            "fd75:6e64:6572::3",
        ] {
            assert!(plan.is_alias(ip(alias)), "{alias}");
        }
        for other in ["10.99.0.18", "172.20.0.2", "fd75:6e64:6572::2", "8.8.8.8"] {
            assert!(!plan.is_alias(ip(other)), "{other}");
        }
        for inside in ["10.99.0.16", "10.99.0.31", "fd75:6e64:6572::9", "172.20.0.1", "fe80::9"] {
            assert!(plan.is_inside(ip(inside)), "{inside}");
        }
        for outside in ["10.99.0.15", "10.99.0.32", "172.20.0.2", "fe80::8", "8.8.8.8"] {
            assert!(!plan.is_inside(ip(outside)), "{outside}");
        }
        assert!(plan.is_gateway(ip("10.99.0.17")) && plan.is_gateway(ip("fd75:6e64:6572::1")));
        assert!(!plan.is_gateway(ip("10.99.0.19")) && !plan.is_gateway(ip("172.20.0.1")));
    }

    #[test]
    fn ports_of_the_host_are_open_one_by_one() {
        let plan = plan();
        let is = |text: &str| plan.classify(text.parse().unwrap());
        assert_eq!(is("10.99.0.19:80"), Target::Host("127.0.0.1:80".parse().unwrap()));
        assert_eq!(is("[fd75:6e64:6572::3]:5432"), Target::Host("[::1]:5432".parse().unwrap()));
        for closed in ["10.99.0.19:81", "172.20.0.1:5433", "[fe80::9]:81", "[fd75:6e64:6572::3]:53"]
        {
            assert_eq!(is(closed), Target::Refused, "{closed}");
        }
        assert_eq!((is("[fe80::9]:53"), is("172.20.0.1:53")), (Target::Dns, Target::Dns));
        assert_eq!(is("[fd75:6e64:6572::1]:54"), Target::Gateway);
        for nowhere in
            ["8.8.8.8:0", "[2600::1]:0", "10.99.0.18:80", "[fd75:6e64:6572::9]:80", "[fe80::8]:80"]
        {
            assert_eq!(is(nowhere), Target::Invalid, "{nowhere}");
        }
        assert_eq!(
            (is("255.255.255.255:53"), is("[ff02::fb]:5353")),
            (Target::Group, Target::Group)
        );
        assert_eq!(is("8.8.8.8:53"), Target::Remote("8.8.8.8:53".parse().unwrap()));
    }
}
