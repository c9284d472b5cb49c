//! The network without the tunnel: everything here leaves the TAP out. Reads only.

use std::net::IpAddr;

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol,
    RouteType, RouteVia,
};

use wsl::NetworkingMode;
use wsl::mode::{Interface, by_interfaces};

use super::{Net, NetError, TABLE, TABLE_TCP};

/// The network without the TAP and without our own rules and routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Destinations of all routes except default routes, of every table, including this machine's
    /// own addresses.
    pub routes: Vec<IpNet>,
    /// The addresses of all interfaces except `lo`, without link-local IPv6 addresses.
    pub own: Vec<IpAddr>,
    /// The next hops of the main table's default routes.
    pub gateways: Vec<IpAddr>,
    /// The subnets of neighbours, according to the main table.
    pub connected: Vec<IpNet>,
    /// The main table's routes, without default routes and those by `lo`.
    pub main: Vec<MainRoute>,
    /// The addresses of all interfaces, each with its subnet.
    pub addresses: Vec<Address>,
    /// Interfaces that drop a packet of IPv4 if the answer to it would leave by another one.
    pub strict: Vec<String>,
    /// The first and the last of the ports from which the kernel chooses one for a socket without a
    /// port.
    pub ephemeral: (u16, u16),
    /// WSL's networking mode; `None` outside of WSL and in any other mode.
    pub mode: Option<NetworkingMode>,
}

#[cfg(test)]
impl Observed {
    /// Behind WSL's NAT, with these addresses: device, own address, subnet.
    pub(crate) fn behind_nat(addresses: &[(&str, &str, &str)]) -> Self {
        let address = |&(device, own, subnet): &(&str, &str, &str)| Address {
            device: device.to_owned(),
            own: own.parse().unwrap(),
            subnet: subnet.parse().unwrap(),
        };
        Self {
            routes: Vec::new(),
            own: Vec::new(),
            gateways: Vec::new(),
            connected: Vec::new(),
            main: Vec::new(),
            addresses: addresses.iter().map(address).collect(),
            strict: Vec::new(),
            ephemeral: (1, 2),
            mode: Some(NetworkingMode::Nat),
        }
    }
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MainRoute {
    /// Its destination.
    pub to: IpNet,
    /// The interface by which it leaves; `None` if it refuses its packets.
    pub device: Option<String>,
    /// The kernel prefers the lowest one.
    pub metric: u32,
    /// Whether it has a next hop.
    pub hop: Hop,
    /// The program that set it.
    pub origin: Origin,
}

/// The first hop of a route's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// The destination itself.
    OnLink,
    /// A router.
    Gateway,
}

/// The program that set a route, according to the route's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The kernel, or WSL, which marks its routes like the kernel's.
    Kernel,
    /// The user, or a program of the VM.
    Other,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub device: String,
    /// The address.
    pub own: IpAddr,
    /// Its subnet; on a point-to-point link the other end's.
    pub subnet: IpNet,
}

impl Net {
    /// Reads the network without `tap`, which need not exist. Asks `wslinfo` for the networking
    /// mode.
    ///
    /// # Errors
    /// The kernel did not answer. Missing IPv6 is not an error.
    pub async fn observe(&self, tap: &str) -> Result<Observed, NetError> {
        let mode = wsl::wslinfo()
            .await
            .unwrap_or_default()
            .and_then(|mode| NetworkingMode::by_name(&mode));
        self.observe_in(tap, mode).await
    }

    /// The same without starting a program: `mode` is the networking mode that WSL reports.
    ///
    /// # Errors
    /// Those of [`Net::observe`].
    pub async fn observe_in(
        &self,
        tap: &str,
        mode: Option<NetworkingMode>,
    ) -> Result<Observed, NetError> {
        let links = self.links().await?;
        let index = |name: &str| {
            links.iter().find(|link| link_name(link) == Some(name)).map(|link| link.header.index)
        };
        // No interface has the index 0.
        let (tap, loopback) = (index(tap).unwrap_or(0), index("lo").unwrap_or(0));
        let name =
            |index: u32| links.iter().find(|link| link.header.index == index).and_then(link_name);
        let (mut own, mut addresses) = (Vec::new(), Vec::new());
        for message in self.addresses().await? {
            if message.header.index == tap || message.header.index == loopback {
                continue;
            }
            own.extend(address_of(&message).filter(|&address| !is_link_local_v6(address)));
            addresses
                .extend(name(message.header.index).and_then(|device| subnet_of(&message, device)));
        }
        let mut observed = Observed {
            routes: Vec::new(),
            own,
            gateways: Vec::new(),
            connected: Vec::new(),
            main: Vec::new(),
            strict: links
                .iter()
                .filter(|link| ![tap, loopback].contains(&link.header.index))
                .filter_map(link_name)
                .filter(|name| is_strict(name))
                .map(str::to_owned)
                .collect(),
            addresses,
            ephemeral: ephemeral_ports(),
            mode: None,
        };
        let mut way_out = None;
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            for route in self.routes(family).await? {
                let Some(net) = destination_of(&route) else { continue };
                if is_of_ours(&route)
                    || leaves_by(&route, tap)
                    || !is_destination(route.header.kind)
                {
                    continue;
                }
                let main = table_of(&route) == u32::from(RouteHeader::RT_TABLE_MAIN);
                let in_use = main && route.header.kind == RouteType::Unicast;
                let gateways = gateways_of(&route);
                if net.prefix_len() > 0 {
                    observed.routes.push(net);
                    if main && !leaves_by(&route, loopback) {
                        let device = interfaces_of(&route).first().and_then(|&index| name(index));
                        observed.main.push(main_route(&route, net, device.filter(|_| in_use)));
                    }
                    if in_use && gateways.is_empty() && !leaves_by(&route, loopback) {
                        observed.connected.push(net);
                    }
                } else if in_use {
                    way_out = way_out.or_else(|| interfaces_of(&route).first().copied());
                    for gateway in gateways {
                        if !observed.gateways.contains(&gateway) {
                            observed.gateways.push(gateway);
                        }
                    }
                }
            }
        }
        observed.mode = mode.or_else(|| guess_mode(&links, tap, way_out));
        Ok(observed)
    }

    /// All links.
    pub(super) async fn links(&self) -> Result<Vec<LinkMessage>, NetError> {
        self.handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| NetError::of("listing the interfaces", error))
    }

    /// All addresses of all interfaces.
    pub(super) async fn addresses(&self) -> Result<Vec<AddressMessage>, NetError> {
        let all = self.handle.address().get().execute().try_collect().await;
        all.map_err(|error| NetError::of("listing the addresses", error))
    }

    /// All routes of a family, of all tables.
    pub(super) async fn routes(
        &self,
        family: AddressFamily,
    ) -> Result<Vec<RouteMessage>, NetError> {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let all: Result<Vec<RouteMessage>, _> =
            self.handle.route().get(request).execute().try_collect().await;
        // A kernel without the family answers for the families that it has, or not at all.
        let all = without_family(all.map_err(|error| NetError::of("listing the routes", error)))?;
        Ok(all.into_iter().filter(|route| route.header.address_family == family).collect())
    }
}

/// Nothing, if the kernel does not have the requested family.
pub(super) fn without_family<T>(answer: Result<Vec<T>, NetError>) -> Result<Vec<T>, NetError> {
    match answer {
        Err(error) if matches!(error.errno(), Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)) => {
            Ok(Vec::new())
        }
        other => other,
    }
}

pub(super) fn link_name(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

/// The interface's own address: IFA_LOCAL, as IFA_ADDRESS is the other end's on a point-to-point
/// link.
pub(super) fn address_of(message: &AddressMessage) -> Option<IpAddr> {
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| {
        message.attributes.iter().find_map(wanted)
    };
    let local = find(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        find(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

fn subnet_of(message: &AddressMessage, device: &str) -> Option<Address> {
    let own = address_of(message)?;
    let subnet = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(address) => IpNet::new(*address, message.header.prefix_len).ok(),
        _ => None,
    })?;
    Some(Address { device: device.to_owned(), own, subnet: subnet.trunc() })
}

fn main_route(route: &RouteMessage, to: IpNet, device: Option<&str>) -> MainRoute {
    let metric = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    MainRoute {
        to,
        device: device.map(str::to_owned),
        metric: metric.unwrap_or_default(),
        hop: if gateways_of(route).is_empty() { Hop::OnLink } else { Hop::Gateway },
        origin: match route.header.protocol {
            RouteProtocol::Kernel => Origin::Kernel,
            _ => Origin::Other,
        },
    }
}

pub(super) fn table_of(route: &RouteMessage) -> u32 {
    let wide = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Table(table) => Some(*table),
        _ => None,
    });
    wide.unwrap_or_else(|| route.header.table.into())
}

/// Whether the route is in one of our tables.
pub(super) fn is_of_ours(route: &RouteMessage) -> bool {
    matches!(table_of(route), TABLE | TABLE_TCP)
}

/// Whether the route leads only to that interface.
pub(super) fn leaves_by(route: &RouteMessage, interface: u32) -> bool {
    let interfaces = interfaces_of(route);
    !interfaces.is_empty() && interfaces.iter().all(|&found| found == interface)
}

/// The gateways of a route, of each path if it has several.
pub(super) fn gateways_of(route: &RouteMessage) -> Vec<IpAddr> {
    let paths = paths_of(route).flat_map(|path| path.attributes.iter());
    route.attributes.iter().chain(paths).filter_map(gateway_of).collect()
}

fn gateway_of(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address))
        | RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Gateway(RouteAddress::Inet6(address))
        | RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

pub(super) fn interfaces_of(route: &RouteMessage) -> Vec<u32> {
    let direct = route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    direct.chain(paths_of(route).map(|path| path.interface_index)).collect()
}

fn paths_of(route: &RouteMessage) -> impl Iterator<Item = &RouteNextHop> {
    let paths = route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::MultiPath(paths) => Some(paths),
        _ => None,
    });
    paths.flatten()
}

/// The route's destination; a default route has no attribute for it.
pub(super) fn destination_of(route: &RouteMessage) -> Option<IpNet> {
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    });
    let any = match route.header.address_family {
        AddressFamily::Inet6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    };
    IpNet::new(address.unwrap_or(any), route.header.destination_prefix_length).ok()
}

/// Kinds of route that a user or program sets; broadcast, multicast and anycast routes come with an
/// address.
fn is_destination(kind: RouteType) -> bool {
    matches!(
        kind,
        RouteType::Unicast
            | RouteType::Local
            | RouteType::BlackHole
            | RouteType::Unreachable
            | RouteType::Prohibit
    )
}

/// Whether reverse paths are filtered strictly (RFC 3704 2.2): the greater of an interface's
/// setting and that of `all` counts, 1 is strict, 2 is not (Linux's ip-sysctl).
fn is_strict(device: &str) -> bool {
    let setting = |of: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/conf/{of}/rp_filter"));
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    };
    setting(device).max(setting("all")) == 1
}

/// Linux's own default, if they cannot be read (inet_init_net in net/ipv4/af_inet.c). They apply to
/// IPv6 too.
fn ephemeral_ports() -> (u16, u16) {
    let text =
        std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ports = text.split_whitespace().filter_map(|port| port.parse().ok());
    ports.next().zip(ports.next()).unwrap_or((32_768, 60_999))
}

fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The mode as the kernel shows it (see [`by_interfaces`]).
pub(super) fn guess_mode(
    links: &[LinkMessage],
    tap: u32,
    way_out: Option<u32>,
) -> Option<NetworkingMode> {
    let others = links.iter().filter(|link| link.header.index != tap);
    let interfaces: Vec<_> = others
        .filter_map(|link| {
            let is_on = link.header.flags.contains(LinkFlags::Up);
            Some(Interface { name: link_name(link)?, is_on })
        })
        .collect();
    let way_out = links.iter().find(|link| Some(link.header.index) == way_out);
    by_interfaces(&interfaces, way_out.and_then(link_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(index: u32, name: &str) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.header.flags = LinkFlags::Up;
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link
    }

    #[test]
    fn the_kernel_shows_the_mode() {
        let (lo, eth0, tap) = (link(1, "lo"), link(2, "eth0"), link(3, "up0"));
        assert_eq!(
            guess_mode(&[lo.clone(), eth0.clone(), tap.clone()], 3, Some(2)),
            Some(NetworkingMode::Nat)
        );
        assert_eq!(guess_mode(&[lo.clone(), eth0.clone(), tap.clone()], 3, None), None);
        assert_eq!(guess_mode(&[lo.clone(), tap.clone()], 3, None), Some(NetworkingMode::None));
        let mut down = link(5, "sit0");
        down.header.flags = LinkFlags::empty();
        assert_eq!(guess_mode(&[lo.clone(), down, tap], 3, None), Some(NetworkingMode::None));
        assert_eq!(
            guess_mode(&[lo, eth0, link(4, "loopback0")], 3, Some(2)),
            Some(NetworkingMode::Mirrored)
        );
    }
}
