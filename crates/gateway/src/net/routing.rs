//! Leads the VM's traffic to the TAP by policy rules and a table of our own, for IPv4 and IPv6 alike, and takes it back.
//! Touches nothing else: no default route, no table of others, no netfilter, no resolv.conf. The interface itself is set up
//! in `link`.
//!
//! | rule | | for |
//! |---|---|---|
//! | A | from each of this machine's other addresses, `main` | a reply goes back the way its request came |
//! | N | to each captured address, our table: from this machine, and DNS from its containers | nameservers next door |
//! | C | `main` without its default routes | neighbours and more specific routes stay as they are |
//! | B | our table | everything else |
//!
//! N leaves alone what containers send to a captured address beside DNS: these are mostly replies of published ports to the
//! host, which look like any other packet here, since their addresses are translated back only after routing.
//!
//! The table's only routes point at the TAP. When the gateway dies the TAP goes, its routes go with it, a look-up finds the
//! table empty and falls through to `main`: the rules that are left do no harm, and the next start takes them over.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use futures_util::TryStreamExt;
use rtnetlink::packet_core::{DefaultNla, Nla as _};
use rtnetlink::packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteProtocol};
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleMessage, RulePortRange};
use rtnetlink::packet_route::{AddressFamily, IpProtocol};
use rtnetlink::{IpVersion, RouteMessageBuilder};

use super::observe::{gateways_of, leaves_by, table_of, without_family};
use super::{Net, NetError, TABLE};

/// The rules' priorities, in the order of look-up. Behind mirrored mode's (0 to 2), before `main` (32766). A rule that
/// somebody else adds without a priority gets one before the first of these, so a VPN inside of Linux goes first.
const A: u32 = 30_060;
const N: u32 = 30_061;
const C: u32 = 30_062;
const B: u32 = 30_063;

/// Marks our rules and routes among others' ("u"; /etc/iproute2/rt_protos has nothing there).
const PROTOCOL: RouteProtocol = RouteProtocol::Other(0x75);

const MAIN: u32 = RouteHeader::RT_TABLE_MAIN as u32;

/// Of linux/fib_rules.h; the netlink crate does not know it yet.
const FRA_DPORT_MASK: u16 = 29;

/// How the kernel's dump says that a rule suppresses nothing.
const SUPPRESS_NOTHING: u32 = u32::MAX;

/// What shall be true of the interface, the rules and our table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The TAP's name.
    pub tap: String,
    /// Its MTU.
    pub mtu: u32,
    /// Its own hardware address: the VM's end.
    pub vm_mac: [u8; 6],
    /// The hardware address of the gateway's end.
    pub gateway_mac: [u8; 6],
    /// The VM's address on the TAP.
    pub vm4: Ipv4Addr,
    /// The gateway's.
    pub gateway4: Ipv4Addr,
    /// The prefix length of their subnet.
    pub prefix4: u8,
    /// The same for IPv6, if it is carried: the VM's address, the gateway's, the prefix length.
    pub vm6: Option<(Ipv6Addr, Ipv6Addr, u8)>,
    /// Addresses whose packets stay on the old network (rule A).
    pub own: Vec<IpAddr>,
    /// Neighbours that are led to the TAP (rule N).
    pub captured: Vec<IpAddr>,
}

/// One of our rules, as far as we ever set one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    version: Version,
    priority: u32,
    from: Option<IpAddr>,
    to: Option<IpAddr>,
    only: Only,
    table: u32,
    /// Ignore routes of this prefix length or shorter.
    suppress: Option<u32>,
}

/// Which packets a rule is about, besides their addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    All,
    /// Those that this machine itself sends; the kernel says that they came in by `lo`.
    Local,
    /// Those to port 53, by UDP or TCP. (A later fragment has no port; a query has no later fragments.)
    Dns(IpProtocol),
}

const DNS_PORT: RulePortRange = RulePortRange { start: 53, end: 53 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V4,
    V6,
}

impl Version {
    fn family(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::Inet,
            Self::V6 => AddressFamily::Inet6,
        }
    }

    fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl Net {
    /// Leads traffic to the TAP as planned, whatever was there of ours before: what fits stays untouched, what is missing is
    /// added, and only then what does not fit is removed. Done again it changes nothing. Needs [`Net::prepare_link`] first.
    ///
    /// # Errors
    /// See [`NetError`]. IPv6 that this machine refuses is left out.
    pub async fn apply(&self, plan: &Plan) -> Result<(), NetError> {
        let index = self.index_of(&plan.tap).await?;
        let route4 = RouteMessageBuilder::<Ipv4Addr>::new().gateway(plan.gateway4).pref_source(plan.vm4);
        self.set_route(Version::V4, marked(route4.onlink().output_interface(index).table_id(TABLE).build())).await?;
        let mut rules = rules(plan, Version::V4);
        if let Some((vm, gateway, _)) = plan.vm6.filter(|_| has_ipv6()) {
            let route6 = RouteMessageBuilder::<Ipv6Addr>::new().gateway(gateway).pref_source(vm);
            let route6 = marked(route6.onlink().output_interface(index).table_id(TABLE).build());
            match self.set_route(Version::V6, route6).await {
                Ok(()) => rules.extend(self::rules(plan, Version::V6)),
                Err(error) => tracing::warn!(%error, "IPv6 is not carried: this machine refuses the route"),
            }
        }
        // B, which turns everything over, comes last, when all its exceptions are there.
        rules.sort_by_key(|rule| rule.priority);
        let mut there = self.our_rules().await?;
        for rule in &rules {
            match there.iter().position(|message| rule_of(message) == Some(*rule)) {
                Some(found) => drop(there.swap_remove(found)),
                None => self.add_rule(rule).await?,
            }
        }
        self.remove_rules(there).await
    }

    /// Takes back all that [`Net::apply`] did, now or in a run before that could not. The TAP stays.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn withdraw(&self) -> Result<(), NetError> {
        let rules = self.our_rules().await?;
        self.remove_rules(rules).await?;
        for version in [Version::V4, Version::V6] {
            self.remove_routes(version, |_| true).await?;
        }
        Ok(())
    }

    /// The one route of our table. Others there are of a former TAP or subnet.
    async fn set_route(&self, version: Version, route: RouteMessage) -> Result<(), NetError> {
        let index = interface_of(&route);
        let fits = |there: &RouteMessage| {
            there.header.destination_prefix_length == 0
                && gateways_of(there) == gateways_of(&route)
                && index.is_some_and(|index| leaves_by(there, index))
        };
        let request = self.handle.route().add(route.clone()).replace();
        request.execute().await.map_err(|error| NetError::of("setting the route to the TAP", error))?;
        self.remove_routes(version, |route| !fits(route)).await
    }

    async fn remove_routes(&self, version: Version, which: impl Fn(&RouteMessage) -> bool) -> Result<(), NetError> {
        for route in self.routes(version.family()).await? {
            if table_of(&route) == TABLE && which(&route) {
                let removed = self.handle.route().del(route).execute().await;
                unless_gone(removed.map_err(|error| NetError::of("removing a route of our table", error)))?;
            }
        }
        Ok(())
    }

    /// The rules that bear our mark, those of a killed run among them.
    async fn our_rules(&self) -> Result<Vec<RuleMessage>, NetError> {
        let mut ours = Vec::new();
        for (version, asked) in [(Version::V4, IpVersion::V4), (Version::V6, IpVersion::V6)] {
            let all: Result<Vec<RuleMessage>, _> = self.handle.rule().get(asked).execute().try_collect().await;
            let all = without_family(all.map_err(|error| NetError::of("listing the rules", error)))?;
            ours.extend(all.into_iter().filter(|rule| rule.header.family == version.family() && is_ours(rule)));
        }
        Ok(ours)
    }

    async fn add_rule(&self, rule: &Rule) -> Result<(), NetError> {
        let mut request = self.handle.rule().add();
        *request.message_mut() = message_of(rule);
        match request.execute().await.map_err(|error| NetError::of("setting a routing rule", error)) {
            // Somebody was quicker with the same rule.
            Err(error) if error.errno() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Removes them, B first: from then on nothing is led to the TAP.
    async fn remove_rules(&self, mut rules: Vec<RuleMessage>) -> Result<(), NetError> {
        rules.sort_by_key(|rule| std::cmp::Reverse(priority_of(rule)));
        for rule in rules {
            let removed = self.handle.rule().del(rule).execute().await;
            unless_gone(removed.map_err(|error| NetError::of("removing a routing rule", error)))?;
        }
        Ok(())
    }
}

/// Whether IPv6 is there and not switched off for the whole machine.
pub(super) fn has_ipv6() -> bool {
    std::fs::read_to_string(Path::new("/proc/sys/net/ipv6/conf/all/disable_ipv6"))
        .is_ok_and(|value| value.trim() == "0")
}

/// Whether the rule bears our mark and one of our priorities.
pub(super) fn is_ours(rule: &RuleMessage) -> bool {
    let marked = rule.attributes.contains(&RuleAttribute::Protocol(PROTOCOL));
    marked && priority_of(rule).is_some_and(|priority| (A..=B).contains(&priority))
}

/// The rules of a family, A to B.
fn rules(plan: &Plan, version: Version) -> Vec<Rule> {
    let rule =
        |priority, table| Rule { version, priority, from: None, to: None, only: Only::All, table, suppress: None };
    let ours = |address: &&IpAddr| Version::of(**address) == version;
    let own = plan.own.iter().filter(ours).map(|&address| Rule { from: Some(address), ..rule(A, MAIN) });
    let captured = plan.captured.iter().filter(ours).flat_map(|&address| {
        let to = Rule { to: Some(address), ..rule(N, TABLE) };
        [Only::Local, Only::Dns(IpProtocol::Udp), Only::Dns(IpProtocol::Tcp)].map(|only| Rule { only, ..to })
    });
    let rest = [Rule { suppress: Some(0), ..rule(C, MAIN) }, rule(B, TABLE)];
    own.chain(captured).chain(rest).collect()
}

fn message_of(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = rule.version.family();
    message.header.action = RuleAction::ToTable;
    let length = |address: &Option<IpAddr>| address.map_or(0, |address| if address.is_ipv4() { 32 } else { 128 });
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
        Only::Local => message.attributes.push(RuleAttribute::Iifname("lo".to_owned())),
        Only::Dns(protocol) => {
            let which = [RuleAttribute::IpProtocol(protocol), RuleAttribute::DestinationPortRange(DNS_PORT)];
            message.attributes.extend(which);
        }
    }
    message
}

/// The rule that a message describes; `None` if it is none that we would ever set.
fn rule_of(message: &RuleMessage) -> Option<Rule> {
    let version = if message.header.family == AddressFamily::Inet6 { Version::V6 } else { Version::V4 };
    let table = message.header.table.into();
    let mut rule = Rule { version, priority: 0, from: None, to: None, only: Only::All, table, suppress: None };
    let mut ports = None;
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Source(address) => rule.from = Some(*address),
            RuleAttribute::Destination(address) => rule.to = Some(*address),
            RuleAttribute::SuppressPrefixLen(SUPPRESS_NOTHING) | RuleAttribute::Protocol(_) => {}
            RuleAttribute::SuppressPrefixLen(length) => rule.suppress = Some(*length),
            RuleAttribute::Iifname(name) if name == "lo" => rule.only = Only::Local,
            RuleAttribute::IpProtocol(protocol) => rule.only = Only::Dns(*protocol),
            RuleAttribute::DestinationPortRange(range) => ports = Some(*range),
            // Kernels from 6.15 on say that all bits of the port count.
            RuleAttribute::Other(other) if other.kind() == FRA_DPORT_MASK && is_full_mask(other) => {}
            _ => return None,
        }
    }
    if ports != matches!(rule.only, Only::Dns(_)).then_some(DNS_PORT) {
        return None;
    }
    let ours = message_of(&rule).header;
    let (lengths, there) = ((ours.src_len, ours.dst_len), (message.header.src_len, message.header.dst_len));
    (message.header.action == RuleAction::ToTable && lengths == there && message.header.flags.is_empty())
        .then_some(rule)
}

fn is_full_mask(attribute: &DefaultNla) -> bool {
    let mut mask = vec![0; attribute.value_len()];
    attribute.emit_value(&mut mask);
    mask.iter().all(|byte| *byte == u8::MAX)
}

fn priority_of(rule: &RuleMessage) -> Option<u32> {
    rule.attributes.iter().find_map(|attribute| match attribute {
        RuleAttribute::Priority(priority) => Some(*priority),
        _ => None,
    })
}

fn marked(mut route: RouteMessage) -> RouteMessage {
    route.header.protocol = PROTOCOL;
    route
}

fn interface_of(route: &RouteMessage) -> Option<u32> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    })
}

/// What somebody else has removed meanwhile need not be removed.
fn unless_gone(removed: Result<(), NetError>) -> Result<(), NetError> {
    match removed {
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ESRCH)) => Ok(()),
        other => other,
    }
}
