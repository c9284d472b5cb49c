//! The tunnel's policy rules as values: their list, their form in netlink, and which of the
//! kernel's rules are ours. Pure; [`super::routing`] sets and removes them.
//!
//! - D: DNS to each captured address, our table; also from the addresses of A and U, and from
//!   containers.
//! - A: from each of this machine's other addresses, `main`. A reply goes back the way its request
//!   came.
//! - U: from each uplink address, `main`, for answers to peers that came in there. The same for
//!   addresses whose new conversations go to our table.
//! - N: from this machine to each captured address, our table. For nameservers next door.
//! - M: for each length of mirrored prefixes, the longest first: `main` without routes of that
//!   length or shorter, then our table without shorter ones. For routes of a VPN on Windows, which
//!   mirrored mode has in `main`.
//! - C: `main` without its default routes. Neighbours and more specific routes stay as they are.
//! - B: our table, for everything else.
//!
//! Our table holds a default route and one to each mirrored prefix, all by the TAP. C and B are M
//! for length 0. A destination reaches the second rule of a length only if `main` has no longer
//! match for it: the longest match in `main` decides, among all routes at that moment. So a
//! container network that is added later is never redirected, and the number of prefixes costs a
//! look-up nothing: there are two rules for each length.
//!
//! While the routes of our table carry the MTU of the host's way out ([`Plan::way_mtu`]), TCP has a
//! table of its own, with the same routes and without that MTU. Each rule for our table follows one
//! for the TCP table with the same selectors and `ipproto tcp`. Datagrams and pings then get their
//! real MTU, also in a look-up without a protocol (`ip route get`). TCP keeps segments as large as
//! the TAP takes, since the gateway ends its connections and no segment of the VM travels further.
//! A kernel before 4.17 ignores `ipproto`: then the MTU applies to nothing.
//!
//! U is for the addresses on WSL's own network behind a NAT ([`mod@super::uplink`]), from which
//! apps also start conversations: WebRTC, and programs that bind to an address. Answers are
//!
//! - packets to a captured address, which is the host;
//! - TCP of a port that accepted a connection there, and of older connections, as the stack reports
//!   them ([`Elsewhere`]): the first segment of an answer is lost in our table, and repeated;
//! - datagrams from a port outside of the kernel's range for clients. Nothing else distinguishes a
//!   server's datagram from a client's;
//! - replies to a ping, reported as well.
//!
//! Peers in subnets of that network need no rule: C covers them. All U rules lead to `main`, as
//! look-ups do without a gateway.
//!
//! N leaves alone what containers send to a captured address, except DNS: these are mostly replies
//! of published ports to the host. They look like any other packet here, since their addresses are
//! translated back only after routing.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_core::{DefaultNla, Nla as _};
use rtnetlink::packet_route::route::{RouteHeader, RouteProtocol};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage, RulePortRange};
use rtnetlink::packet_route::{AddressFamily, IpProtocol};
use stack::Elsewhere;

use super::plan::Plan;
use super::{TABLE, TABLE_TCP};

/// The rules' priorities, in the order of look-up: after mirrored mode's (0 to 2), before `main`
/// (32766). D is the first. A rule that another program adds without a priority gets one before the
/// first of these, so a VPN inside of Linux has precedence.
const A: u32 = 30_060;
const U: u32 = A;
/// DNS only, before A.
const D: u32 = 30_059;
/// N for TCP only.
const N_TCP: u32 = 30_061;
const N: u32 = 30_062;
/// B, the last.
const LAST: u32 = in_table(0);

/// `main` comes after all of them.
const _: () = assert!(LAST < 32_766);

/// The rule that asks `main` for routes longer than a mirrored prefix: C for length 0.
const fn longer_in_main(length: u8) -> u32 {
    N + 1 + 3 * (128 - length as u32)
}

/// The rule that asks the TCP table for mirrored prefixes of a length.
const fn in_tcp_table(length: u8) -> u32 {
    longer_in_main(length) + 1
}

/// The rule that asks our table for mirrored prefixes of a length: B for length 0.
const fn in_table(length: u8) -> u32 {
    longer_in_main(length) + 2
}

/// The mark of our rules and routes ("u"; /etc/iproute2/rt_protos does not use it).
pub(super) const PROTOCOL: RouteProtocol = RouteProtocol::Other(0x75);

const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;

/// From linux/fib_rules.h; the netlink crate does not know them yet.
const FRA_SPORT_MASK: u16 = 28;
const FRA_DPORT_MASK: u16 = 29;

/// The last port of a rule's range (`fib_rule_port_range_valid` in include/net/fib_rules.h).
const LAST_PORT: u16 = 65_534;

/// ICMP for IPv6 (RFC 4443), which the netlink crate does not name.
pub(super) const ICMP6: IpProtocol = IpProtocol::Other(58);

/// The value in the kernel's dump for a rule that suppresses nothing.
const SUPPRESS_NOTHING: u32 = u32::MAX;

const DNS_PORT: RulePortRange = RulePortRange { start: 53, end: 53 };

/// One of our rules, in the forms that we set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    version: Version,
    pub(super) priority: u32,
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    only: Only,
    table: u32,
    /// Ignore routes of this prefix length or shorter (fib4_rule_suppress in net/ipv4/fib_rules.c).
    suppress: Option<u32>,
}

/// Which packets a rule matches, besides their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    All,
    /// Segments of TCP.
    Tcp,
    /// Those that this machine itself sends; to the kernel they come in by `lo`.
    Local,
    /// Segments of TCP that this machine itself sends.
    LocalTcp,
    /// Those to port 53, by UDP or TCP. (A later fragment has no port; a query has no later
    /// fragments.)
    Dns(IpProtocol),
    /// Those from these ports.
    From(IpProtocol, RulePortRange),
    /// ICMP.
    Icmp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V6,
}

impl Version {
    pub(super) const ALL: [Self; 2] = [Self::V4, Self::V6];

    pub(super) fn family(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::Inet,
            Self::V6 => AddressFamily::Inet6,
        }
    }

    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// The rules of a family, in the order of look-up.
pub(super) fn rules(plan: &Plan, version: Version) -> Vec<Rule> {
    let rule = |priority, table| Rule {
        version,
        priority,
        from: None,
        to: None,
        only: Only::All,
        table,
        suppress: None,
    };
    let ours = |address: &&IpAddr| Version::of(**address) == version;
    let own =
        plan.own.iter().filter(ours).map(|&address| Rule { from: Some(address), ..rule(A, MAIN) });
    let tcp_apart = plan.way_mtu.is_some();
    let captured_tcp = plan.captured.iter().filter(ours).filter(|_| tcp_apart);
    let captured_tcp = captured_tcp.map(|&address| Rule {
        to: Some(address),
        only: Only::LocalTcp,
        ..rule(N_TCP, TABLE_TCP)
    });
    let captured = plan.captured.iter().filter(ours);
    let captured =
        captured.map(|&address| Rule { to: Some(address), only: Only::Local, ..rule(N, TABLE) });
    let dns = plan.captured.iter().filter(ours).flat_map(|&address| {
        let to = Rule { to: Some(address), ..rule(D, TABLE) };
        [IpProtocol::Udp, IpProtocol::Tcp].map(|protocol| Rule { only: Only::Dns(protocol), ..to })
    });
    let uplink = plan.uplink.iter().filter(ours);
    let uplink =
        uplink.flat_map(|&address| answers(plan, Rule { from: Some(address), ..rule(U, MAIN) }));
    let mirrored = plan.mirrored.iter().filter(|net| Version::of(net.addr()) == version);
    let lengths: BTreeSet<u8> = mirrored.map(IpNet::prefix_len).chain([0]).collect();
    let of_length = lengths.into_iter().rev().flat_map(|length| {
        let longer = Rule { suppress: Some(length.into()), ..rule(longer_in_main(length), MAIN) };
        let suppress = length.checked_sub(1).map(u32::from);
        let tcp = Rule { suppress, only: Only::Tcp, ..rule(in_tcp_table(length), TABLE_TCP) };
        let all = Rule { suppress, ..rule(in_table(length), TABLE) };
        [Some(longer), tcp_apart.then_some(tcp), Some(all)].into_iter().flatten()
    });
    dns.chain(own).chain(uplink).chain(captured_tcp).chain(captured).chain(of_length).collect()
}

/// Rules U of an address: its answers.
fn answers(plan: &Plan, from: Rule) -> impl Iterator<Item = Rule> {
    let to_host = plan.captured.iter().filter(move |host| Version::of(**host) == from.version);
    let to_host = to_host.map(move |&host| Rule { to: Some(host), ..from });
    let begun = plan.elsewhere.iter().filter(move |one| Some(one.own()) == from.from);
    let begun = begun.map(move |one| match *one {
        Elsewhere::Tcp(end) => {
            let port = RulePortRange { start: end.port(), end: end.port() };
            Rule { only: Only::From(IpProtocol::Tcp, port), ..from }
        }
        Elsewhere::Ping { peer, .. } => Rule { to: Some(peer), only: Only::Icmp, ..from },
    });
    let (first, last) = plan.ephemeral;
    let servers = [(1, first.saturating_sub(1)), (last.saturating_add(1), LAST_PORT)];
    let servers = servers.into_iter().filter(|(start, end)| start <= end);
    let servers = servers.map(move |(start, end)| {
        let only = Only::From(IpProtocol::Udp, RulePortRange { start, end });
        Rule { only, ..from }
    });
    to_host.chain(begun).chain(servers)
}

/// Whether the rule has our mark and one of our priorities; those of earlier versions are among
/// them.
pub(super) fn is_ours(rule: &RuleMessage) -> bool {
    let marked = rule.attributes.contains(&RuleAttribute::Protocol(PROTOCOL));
    marked && priority_of(rule).is_some_and(|priority| (D..=LAST).contains(&priority))
}

/// A rule for IPv6 that is never set: after our last one, and with our mark.
pub(super) fn unused() -> RuleMessage {
    let priority = LAST + 1;
    let rule = Rule {
        version: Version::V6,
        priority,
        from: None,
        to: None,
        only: Only::All,
        table: TABLE,
        suppress: None,
    };
    message_of(&rule)
}

pub(super) fn message_of(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = rule.version.family();
    message.header.action = RuleAction::ToTable;
    let length = |address: &Option<IpAddr>| {
        address.map_or(0, |address| if address.is_ipv4() { 32 } else { 128 })
    };
    message.header.src_len = length(&rule.from);
    message.header.dst_len = length(&rule.to);
    message.attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Protocol(PROTOCOL),
    ];
    message.attributes.extend(rule.from.map(RuleAttribute::Source));
    message.attributes.extend(rule.to.map(RuleAttribute::Destination));
    message.attributes.extend(rule.suppress.map(RuleAttribute::SuppressPrefixLen));
    match rule.only {
        Only::All => {}
        Only::Tcp => message.attributes.push(RuleAttribute::IpProtocol(IpProtocol::Tcp)),
        Only::Local => message.attributes.push(RuleAttribute::Iifname("lo".to_owned())),
        Only::LocalTcp => {
            let which = [
                RuleAttribute::Iifname("lo".to_owned()),
                RuleAttribute::IpProtocol(IpProtocol::Tcp),
            ];
            message.attributes.extend(which);
        }
        Only::Dns(protocol) => {
            let which = [
                RuleAttribute::IpProtocol(protocol),
                RuleAttribute::DestinationPortRange(DNS_PORT),
            ];
            message.attributes.extend(which);
        }
        Only::From(protocol, ports) => {
            let which =
                [RuleAttribute::IpProtocol(protocol), RuleAttribute::SourcePortRange(ports)];
            message.attributes.extend(which);
        }
        Only::Icmp => message.attributes.push(RuleAttribute::IpProtocol(icmp(rule.version))),
    }
    message
}

/// The rule that a message describes; `None` if we never set such a rule.
pub(super) fn rule_of(message: &RuleMessage) -> Option<Rule> {
    let version =
        if message.header.family == AddressFamily::Inet6 { Version::V6 } else { Version::V4 };
    let table = message.header.table.into();
    let mut rule =
        Rule { version, priority: 0, from: None, to: None, only: Only::All, table, suppress: None };
    let (mut local, mut protocol, mut ports, mut sources) = (false, None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Source(address) => rule.from = Some(*address),
            RuleAttribute::Destination(address) => rule.to = Some(*address),
            RuleAttribute::SuppressPrefixLen(SUPPRESS_NOTHING) | RuleAttribute::Protocol(_) => {}
            RuleAttribute::SuppressPrefixLen(length) => rule.suppress = Some(*length),
            RuleAttribute::Iifname(name) if name == "lo" => local = true,
            RuleAttribute::IpProtocol(only) => protocol = Some(*only),
            RuleAttribute::DestinationPortRange(range) => ports = Some(*range),
            RuleAttribute::SourcePortRange(range) => sources = Some(*range),
            // Kernels from 6.15 on report that all bits of the port count.
            RuleAttribute::Other(other)
                if matches!(other.kind(), FRA_SPORT_MASK | FRA_DPORT_MASK)
                    && is_full_mask(other) => {}
            _ => return None,
        }
    }
    rule.only = match (local, protocol, ports, sources) {
        (false, None, None, None) => Only::All,
        (true, None, None, None) => Only::Local,
        (false, Some(IpProtocol::Tcp), None, None) => Only::Tcp,
        (true, Some(IpProtocol::Tcp), None, None) => Only::LocalTcp,
        (false, Some(protocol), Some(DNS_PORT), None) => Only::Dns(protocol),
        (false, Some(protocol), None, Some(sources)) => Only::From(protocol, sources),
        (false, Some(protocol), None, None) if protocol == icmp(version) => Only::Icmp,
        _ => return None,
    };
    let ours = message_of(&rule).header;
    let (lengths, there) =
        ((ours.src_len, ours.dst_len), (message.header.src_len, message.header.dst_len));
    (message.header.action == RuleAction::ToTable
        && lengths == there
        && message.header.flags.is_empty())
    .then_some(rule)
}

fn icmp(version: Version) -> IpProtocol {
    match version {
        Version::V4 => IpProtocol::Icmp,
        Version::V6 => ICMP6,
    }
}

fn is_full_mask(attribute: &DefaultNla) -> bool {
    let mut mask = vec![0; attribute.value_len()];
    attribute.emit_value(&mut mask);
    mask.iter().all(|byte| *byte == u8::MAX)
}

pub(super) fn priority_of(rule: &RuleMessage) -> Option<u32> {
    rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn plan(mirrored: &[&str]) -> Plan {
        Plan {
            tap: String::new(),
            mtu: 1500,
            way_mtu: None,
            vm_mac: [0; 6],
            gateway_mac: [0; 6],
            vm4: Ipv4Addr::UNSPECIFIED,
            gateway4: Ipv4Addr::UNSPECIFIED,
            prefix4: 28,
            v6: None,
            own: vec!["192.0.2.2".parse().unwrap(), "2001:db8::2".parse().unwrap()],
            uplink: Vec::new(),
            elsewhere: Vec::new(),
            ephemeral: (32_768, 60_999),
            captured: Vec::new(),
            mirrored: mirrored.iter().map(|net| net.parse().unwrap()).collect(),
        }
    }

    /// Each rule of a family in words.
    fn in_words(mirrored: &[&str], version: Version) -> Vec<String> {
        in_words_of(&plan(mirrored), version)
    }

    fn in_words_of(plan: &Plan, version: Version) -> Vec<String> {
        let words = |rule: &Rule| {
            let table = match rule.table {
                MAIN => "main",
                TABLE_TCP if rule.only == Only::Tcp => "tcp",
                _ => "ours",
            };
            match (rule.from, rule.suppress) {
                (Some(from), _) => format!("from {from}: {table}"),
                (_, Some(length)) => format!("{table} > {length}"),
                _ => table.to_owned(),
            }
        };
        rules(plan, version).iter().map(words).collect()
    }

    #[test]
    fn prefixes_are_looked_up_by_their_length_after_what_is_longer_in_main() {
        let mirrored = ["0.0.0.0/1", "10.0.0.0/8", "128.0.0.0/1", "10.1.0.0/16", "2000::/3"];
        assert_eq!(
            in_words(&mirrored, Version::V4),
            [
                "from 192.0.2.2: main",
                "main > 16",
                "ours > 15",
                "main > 8",
                "ours > 7",
                "main > 1",
                "ours > 0",
                "main > 0",
                "ours",
            ]
        );
        let v6 = ["from 2001:db8::2: main", "main > 3", "ours > 2", "main > 0", "ours"];
        assert_eq!(in_words(&mirrored, Version::V6), v6);
        assert_eq!(in_words(&[], Version::V4), ["from 192.0.2.2: main", "main > 0", "ours"]);
    }

    #[test]
    fn tcp_is_looked_up_in_its_own_table_before_everything_else_is_in_ours() {
        let with_mtu = Plan { way_mtu: Some(1400), ..plan(&["10.0.0.0/8"]) };
        let v4 =
            ["from 192.0.2.2: main", "main > 8", "tcp > 7", "ours > 7", "main > 0", "tcp", "ours"];
        assert_eq!(in_words_of(&with_mtu, Version::V4), v4);
        let v6 = ["from 2001:db8::2: main", "main > 0", "tcp", "ours"];
        assert_eq!(in_words_of(&with_mtu, Version::V6), v6);
    }

    /// A plan with an uplink address of each family.
    fn with_uplink(ephemeral: (u16, u16)) -> Plan {
        let uplink: Vec<IpAddr> = ["172.28.48.2", "fd00::2"].map(|own| own.parse().unwrap()).into();
        let elsewhere = vec![
            Elsewhere::Tcp("172.28.48.2:22".parse().unwrap()),
            Elsewhere::Tcp("[fd00::2]:22".parse().unwrap()),
            // The address is gone.
            Elsewhere::Tcp("172.28.48.9:22".parse().unwrap()),
            Elsewhere::Ping { own: uplink[0], peer: "198.51.100.1".parse().unwrap() },
            Elsewhere::Ping { own: uplink[1], peer: "2001:db8::1".parse().unwrap() },
        ];
        let captured = vec!["172.28.48.1".parse().unwrap()];
        Plan { uplink, elsewhere, ephemeral, captured, ..plan(&[]) }
    }

    #[test]
    fn of_an_uplink_address_only_answers_stay() {
        let ports = |start, end| RulePortRange { start, end };
        let of = |ephemeral, version| {
            let all = rules(&with_uplink(ephemeral), version);
            let own = all.iter().filter(|rule| {
                rule.from
                    .is_some_and(|from| ["172.28.48.2", "fd00::2"].contains(&&*from.to_string()))
            });
            own.map(|rule| (rule.to.map(|to| to.to_string()), rule.only, rule.table, rule.priority))
                .collect::<Vec<_>>()
        };
        let ssh = (None, Only::From(IpProtocol::Tcp, ports(22, 22)), MAIN, U);
        let udp = |start, end| (None, Only::From(IpProtocol::Udp, ports(start, end)), MAIN, U);
        let usual = (32_768, 60_999);
        let host = (Some("172.28.48.1".to_owned()), Only::All, MAIN, U);
        let ping = |peer: &str| (Some(peer.to_owned()), Only::Icmp, MAIN, U);
        let v4 = [
            host.clone(),
            ssh.clone(),
            ping("198.51.100.1"),
            udp(1, 32_767),
            udp(61_000, LAST_PORT),
        ];
        assert_eq!(of(usual, Version::V4), v4);
        let v6 = [ssh.clone(), ping("2001:db8::1"), udp(1, 32_767), udp(61_000, LAST_PORT)];
        assert_eq!(of(usual, Version::V6), v6);
        assert_eq!(
            of((1, u16::MAX), Version::V4),
            [host, ssh, ping("198.51.100.1")],
            "no port is a server's"
        );
    }

    #[test]
    fn they_are_in_the_order_of_their_priorities() {
        let plan = plan(&["0.0.0.0/1", "10.1.2.3/32", "10.0.0.0/8"]);
        for way_mtu in [None, Some(1500)] {
            let captured = vec!["172.28.48.1".parse().unwrap(), "172.28.48.9".parse().unwrap()];
            for plan in [
                Plan { way_mtu, captured, ..plan.clone() },
                Plan { way_mtu, ..with_uplink((2, 3)) },
            ] {
                let all = rules(&plan, Version::V4);
                assert!(all.is_sorted_by_key(|rule| rule.priority), "{all:?}");
            }
        }
    }

    #[test]
    fn every_rule_is_ours_and_is_read_as_it_was_written() {
        let plan = plan(&["0.0.0.0/1", "10.1.2.3/32", "2000::/3", "2001:db8::1/128"]);
        let plan =
            Plan { way_mtu: Some(1500), captured: vec!["172.28.48.1".parse().unwrap()], ..plan };
        for plan in [plan, with_uplink((1024, 2048))] {
            for rule in Version::ALL.into_iter().flat_map(|version| rules(&plan, version)) {
                let message = message_of(&rule);
                assert!(is_ours(&message), "{rule:?}");
                assert_eq!(rule_of(&message), Some(rule));
            }
        }
    }
}
