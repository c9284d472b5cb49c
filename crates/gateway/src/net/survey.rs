//! Everything that the kernel reports about this machine's network, including the tunnel's own
//! part, for the doctor. Reads only; [`super::observe`] reads what matters to the tunnel.

use std::net::IpAddr;

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState as State,
};
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteType};
use rtnetlink::packet_route::rule::{
    RuleAction, RuleAttribute, RuleFlags, RuleMessage, RulePortRange,
};
use rtnetlink::packet_route::{AddressFamily, IpProtocol};

use super::ipv6::has_ipv6;
use super::observe::{
    address_of, destination_of, gateways_of, guess_mode, interfaces_of, link_name, table_of,
};
use super::rules::{ICMP6, Version};
use super::{Net, NetError};
use wsl::NetworkingMode;
use wsl::network::{Link, Neighbour, NeighbourState, Route, Rule};

/// The kernel's network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// All interfaces.
    pub links: Vec<Link>,
    /// Routes of all tables except `local`, each path as one route.
    pub routes: Vec<Route>,
    /// The rules of both families.
    pub rules: Vec<Rule>,
    /// Whether the kernel has rules for IPv6; `None` if IPv6 is off. Every kernel that can have
    /// some makes two at its start (fib6_rules_net_init in net/ipv6/fib6_rules.c).
    pub ipv6_rules: Option<bool>,
    /// The networking mode that `wslinfo` reports; `None` if there is no `wslinfo`, or it does not
    /// answer.
    pub wslinfo: Option<String>,
    /// The mode that the interfaces suggest; [`NetworkingMode::Nat`] also for other modes with a
    /// way out by `eth0`.
    pub signs: Option<NetworkingMode>,
}

impl Net {
    /// Reads everything.
    ///
    /// # Errors
    /// The kernel did not answer. A machine without IPv6 is not an error.
    pub async fn survey(&self) -> Result<Survey, NetError> {
        // The only other output of `wslinfo` is its usage.
        let wslinfo = wsl::wslinfo().await.ok().flatten();
        let wslinfo = wslinfo.map(|text| text.trim().to_owned());
        let wslinfo = wslinfo.filter(|text| NetworkingMode::by_name(text).is_some());
        self.survey_in(wslinfo).await
    }

    /// The same without starting a program: `wslinfo` is the output of that program.
    ///
    /// # Errors
    /// Those of [`Net::survey`].
    pub async fn survey_in(&self, wslinfo: Option<String>) -> Result<Survey, NetError> {
        let links = self.links().await?;
        let addresses = self.addresses().await?;
        let addresses_of = |index: u32| {
            let of_link = addresses.iter().filter(move |message| message.header.index == index);
            of_link
                .filter_map(|message| {
                    IpNet::new(address_of(message)?, message.header.prefix_len).ok()
                })
                .collect()
        };
        let mut routes = Vec::new();
        let mut way_out = None;
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            for message in self.routes(family).await? {
                if message.header.destination_prefix_length == 0
                    && table_of(&message) == MAIN
                    && way_out.is_none()
                {
                    way_out = interfaces_of(&message).first().copied();
                }
                routes.extend(routes_of(&message, &links));
            }
        }
        let (rules4, rules6) = (self.rules(Version::V4).await?, self.rules(Version::V6).await?);
        Ok(Survey {
            routes,
            ipv6_rules: has_ipv6().then_some(!rules6.is_empty()),
            rules: [rules4, rules6].concat(),
            wslinfo,
            signs: guess_mode(&links, 0, way_out),
            links: links
                .iter()
                .map(|link| link_of(link, addresses_of(link.header.index)))
                .collect(),
        })
    }

    /// The neighbours that were looked up lately, of both families.
    ///
    /// # Errors
    /// The kernel did not answer.
    pub async fn neighbours(&self) -> Result<Vec<Neighbour>, NetError> {
        let links = self.links().await?;
        let all: Result<Vec<NeighbourMessage>, _> =
            self.handle.neighbours().get().execute().try_collect().await;
        let all = all.map_err(|error| NetError::of("listing the neighbours", error))?;
        Ok(all.iter().filter_map(|message| neighbour_of(message, &links)).collect())
    }

    async fn rules(&self, version: Version) -> Result<Vec<Rule>, NetError> {
        Ok(self.dump_rules(version).await?.iter().map(rule_of).collect())
    }
}

const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;
/// The kernel's own table of this machine's addresses (linux/rtnetlink.h, RT_TABLE_LOCAL).
const LOCAL: u32 = 255;

fn name_of(index: u32, links: &[LinkMessage]) -> Option<String> {
    links.iter().find(|link| link.header.index == index).and_then(link_name).map(ToOwned::to_owned)
}

fn link_of(message: &LinkMessage, addresses: Vec<IpNet>) -> Link {
    let mut link = Link {
        name: link_name(message).unwrap_or_default().to_owned(),
        kind: None,
        up: message.header.flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
        mtu: 0,
        addresses,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::LinkInfo(infos) => {
                link.kind = infos.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    link
}

/// One route for each of its paths. Routes of the table `local`, and kinds that come with an
/// address, are left out.
fn routes_of(message: &RouteMessage, links: &[LinkMessage]) -> Vec<Route> {
    let kind = message.header.kind;
    let refuses =
        matches!(kind, RouteType::BlackHole | RouteType::Unreachable | RouteType::Prohibit);
    let Some(destination) =
        destination_of(message).filter(|_| refuses || kind == RouteType::Unicast)
    else {
        return Vec::new();
    };
    let table = table_of(message);
    if table == LOCAL {
        return Vec::new();
    }
    let metric = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Priority(metric) => Some(*metric),
        _ => None,
    });
    let (gateways, devices) = (gateways_of(message), interfaces_of(message));
    (0..gateways.len().max(devices.len()).max(1))
        .map(|path| Route {
            destination,
            gateway: gateways.get(path).copied(),
            device: devices.get(path).and_then(|&index| name_of(index, links)),
            table,
            metric: metric.unwrap_or_default(),
            refuses,
        })
        .collect()
}

fn neighbour_of(message: &NeighbourMessage, links: &[LinkMessage]) -> Option<Neighbour> {
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => {
            Some(IpAddr::V4(*address))
        }
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => {
            Some(IpAddr::V6(*address))
        }
        _ => None,
    })?;
    let state = match message.header.state {
        State::Reachable
        | State::Stale
        | State::Delay
        | State::Probe
        | State::Permanent
        | State::Noarp => NeighbourState::Known,
        State::Incomplete | State::Failed => NeighbourState::Silent,
        _ => return None,
    };
    Some(Neighbour { address, device: name_of(message.header.ifindex, links)?, state })
}

/// A rule's selectors besides addresses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Mark,
    In,
    Out,
    Protocol,
    Source,
    Destination,
}

fn rule_of(message: &RuleMessage) -> Rule {
    let header = &message.header;
    let any = |address: Option<&IpAddr>, length: u8| match address {
        Some(address) if length == host_length(address) => address.to_string(),
        Some(address) => format!("{address}/{length}"),
        None => "all".to_owned(),
    };
    let (mut from, mut to, mut priority) = (None, None, 0);
    let mut table = (header.table != 0).then_some(u32::from(header.table));
    // In the order in which `ip rule` writes them; the kernel's own order is another.
    let mut words: Vec<(Rank, String)> = Vec::new();
    let mut last = Vec::new();
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(found) => priority = *found,
            RuleAttribute::Table(found) => table = Some(*found),
            RuleAttribute::Source(address) => from = Some(address),
            RuleAttribute::Destination(address) => to = Some(address),
            RuleAttribute::Iifname(name) => words.push((Rank::In, format!("iif {name}"))),
            RuleAttribute::Oifname(name) => words.push((Rank::Out, format!("oif {name}"))),
            RuleAttribute::FwMark(mark) => words.push((Rank::Mark, format!("fwmark {mark:#x}"))),
            RuleAttribute::IpProtocol(protocol) => {
                words.push((Rank::Protocol, format!("ipproto {}", protocol_name(*protocol))));
            }
            RuleAttribute::SourcePortRange(range) => {
                words.push((Rank::Source, format!("sport {}", ports(range))))
            }
            RuleAttribute::DestinationPortRange(range) => {
                words.push((Rank::Destination, format!("dport {}", ports(range))))
            }
            RuleAttribute::Goto(target) => last.push(format!("goto {target}")),
            RuleAttribute::SuppressPrefixLen(length) if *length != u32::MAX => {
                last.push(format!("suppress_prefixlength {length}"));
            }
            _ => {}
        }
    }
    let table = table.filter(|_| header.action == RuleAction::ToTable);
    let action = match header.action {
        RuleAction::ToTable => table.map(|table| format!("lookup {}", table_name(table))),
        RuleAction::Blackhole => Some("blackhole".to_owned()),
        RuleAction::Unreachable => Some("unreachable".to_owned()),
        RuleAction::Prohibit => Some("prohibit".to_owned()),
        _ => None,
    };
    let mut text = Vec::new();
    if header.flags.contains(RuleFlags::Invert) {
        text.push("not".to_owned());
    }
    text.push(format!("from {}", any(from, header.src_len)));
    text.extend(to.map(|to| format!("to {}", any(Some(to), header.dst_len))));
    words.sort_by_key(|(rank, _)| *rank);
    text.extend(words.into_iter().map(|(_, word)| word));
    text.extend(action);
    text.extend(last);
    Rule { priority, table, text: text.join(" ") }
}

fn host_length(address: &IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn ports(range: &RulePortRange) -> String {
    if range.start == range.end {
        range.start.to_string()
    } else {
        format!("{}-{}", range.start, range.end)
    }
}

/// Its name in /etc/protocols, or its number.
fn protocol_name(protocol: IpProtocol) -> String {
    match protocol {
        ICMP6 => "ipv6-icmp".to_owned(),
        IpProtocol::Other(number) => number.to_string(),
        named => format!("{named:?}").to_lowercase(),
    }
}

/// The names of the tables that every kernel has (rt_tables).
fn table_name(table: u32) -> String {
    match table {
        253 => "default".to_owned(),
        MAIN => "main".to_owned(),
        LOCAL => "local".to_owned(),
        other => other.to_string(),
    }
}
