//! Routes the VM's traffic to the TAP by policy rules and a table of our own, for IPv4 and IPv6,
//! and undoes that. Touches nothing else: no default route, no other table, no netfilter, no
//! resolv.conf. The rules themselves are in `rules.rs`; `link` sets up the interface.
//!
//! The table's only routes point at the TAP. When the gateway dies, the TAP and its routes
//! disappear. A look-up finds the table empty and falls through to `main`: the remaining rules do
//! no harm, and the next start takes them over.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric};
use rtnetlink::packet_route::rule::RuleMessage;
use rtnetlink::{IpVersion, RouteMessageBuilder};

use super::observe::{
    destination_of, gateways_of, interfaces_of, is_of_ours, table_of, without_family,
};
use super::plan::{Plan, Tap6};
use super::rules::{PROTOCOL, Rule, Version, is_ours, message_of, priority_of, rule_of, rules};
use super::{Net, NetError, NoIpv6, TABLE, TABLE_TCP};

/// The least MTU of IPv6 (RFC 8200 5).
const MIN_MTU6: u32 = 1280;

impl Net {
    /// Routes traffic to the TAP as planned, whatever rules and routes of ours exist: those that
    /// fit stay untouched, missing ones are added, and only then are the others removed. A second
    /// call changes nothing. Needs [`Net::prepare_link`] first. IPv6 that this machine refuses is
    /// left out; the reason is returned.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn apply(&self, plan: &Plan) -> Result<Option<NoIpv6>, NetError> {
        let index = self.index_of(&plan.tap).await?;
        let way4 =
            RouteMessageBuilder::<Ipv4Addr>::new().gateway(plan.gateway4).pref_source(plan.vm4);
        self.set_routes(plan, Version::V4, way4.output_interface(index)).await?;
        let mut rules = rules(plan, Version::V4);
        let mut no_ipv6 = None;
        if let Some(Tap6 { vm, gateway, .. }) = plan.v6 {
            let way6 = RouteMessageBuilder::<Ipv6Addr>::new().gateway(gateway).pref_source(vm);
            match self.set_routes6(plan, way6.output_interface(index)).await {
                Ok(()) => rules.extend(self::rules(plan, Version::V6)),
                Err(reason) => no_ipv6 = Some(reason),
            }
        }
        // B, which redirects everything, comes last, when all its exceptions exist.
        rules.sort_by_key(|rule| rule.priority);
        let mut there = self.our_rules().await?;
        for rule in &rules {
            match there.iter().position(|message| rule_of(message) == Some(*rule)) {
                Some(found) => drop(there.swap_remove(found)),
                None => self.add_rule(rule).await?,
            }
        }
        self.remove_rules(there).await?;
        Ok(no_ipv6)
    }

    /// As [`Net::set_routes`], on a machine that has rules for IPv6.
    async fn set_routes6(
        &self,
        plan: &Plan,
        way: RouteMessageBuilder<Ipv6Addr>,
    ) -> Result<(), NoIpv6> {
        self.ipv6().await?;
        Ok(self.set_routes(plan, Version::V6, way).await?)
    }

    /// Undoes everything that [`Net::apply`] did, in this run or in one that was killed. The TAP
    /// stays.
    ///
    /// # Errors
    /// See [`NetError`].
    pub async fn withdraw(&self) -> Result<(), NetError> {
        let rules = self.our_rules().await?;
        self.remove_rules(rules).await?;
        for version in Version::ALL {
            self.remove_routes(version, |_| true).await?;
        }
        Ok(())
    }

    /// The routes of a family in our tables, all with the same next hop: in each table a default
    /// route and routes to the mirrored prefixes. Other routes there belong to a former TAP or
    /// subnet, to prefixes that Windows no longer has, or to another MTU. The TCP table is filled
    /// first: without its rules no look-up uses it.
    async fn set_routes<T>(
        &self,
        plan: &Plan,
        version: Version,
        way: RouteMessageBuilder<T>,
    ) -> Result<(), NetError> {
        let mut default = way.onlink().table_id(TABLE).build();
        default.header.protocol = PROTOCOL;
        let of_tcp = plan.way_mtu.map(|_| of_table(&default, TABLE_TCP));
        if let Some(mtu) = plan.way_mtu {
            // Every link has at least this MTU (RFC 8200 5); the host fragments if it has less.
            let mtu = if version == Version::V6 { mtu.max(MIN_MTU6) } else { mtu };
            default.attributes.push(RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]));
        }
        let mirrored = plan.mirrored.iter().filter(|net| Version::of(net.addr()) == version);
        let wanted: Vec<RouteMessage> = of_tcp
            .iter()
            .chain([&default])
            .flat_map(|way| {
                mirrored.clone().map(move |net| route_to(way, *net)).chain([way.clone()])
            })
            .collect();
        let keys: HashSet<_> = wanted.iter().map(key_of).collect();
        let fits = |route: &RouteMessage| {
            keys.contains(&key_of(route))
                && gateways_of(route) == gateways_of(&default)
                && interfaces_of(route) == interfaces_of(&default)
        };
        let all = self.routes(version.family()).await?;
        let there: HashSet<_> =
            all.iter().filter(|route| is_of_ours(route) && fits(route)).map(key_of).collect();
        for route in wanted.into_iter().filter(|route| !there.contains(&key_of(route))) {
            let set = self.handle.route().add(route).replace().execute().await;
            set.map_err(|error| NetError::of("setting a route to the TAP", error))?;
        }
        self.remove_routes(version, |route| !fits(route)).await
    }

    async fn remove_routes(
        &self,
        version: Version,
        which: impl Fn(&RouteMessage) -> bool,
    ) -> Result<(), NetError> {
        for route in self.routes(version.family()).await? {
            if is_of_ours(&route) && which(&route) {
                let removed = self.handle.route().del(route).execute().await;
                unless_gone(
                    removed.map_err(|error| NetError::of("removing a route of our table", error)),
                )?;
            }
        }
        Ok(())
    }

    /// The rules with our mark, including those of a killed run.
    async fn our_rules(&self) -> Result<Vec<RuleMessage>, NetError> {
        let mut ours = Vec::new();
        for version in Version::ALL {
            ours.extend(self.dump_rules(version).await?.into_iter().filter(is_ours));
        }
        Ok(ours)
    }

    /// All rules of a family; empty if the kernel has no rules for it.
    pub(super) async fn dump_rules(&self, version: Version) -> Result<Vec<RuleMessage>, NetError> {
        let asked = match version {
            Version::V4 => IpVersion::V4,
            Version::V6 => IpVersion::V6,
        };
        let all: Result<Vec<RuleMessage>, _> =
            self.handle.rule().get(asked).execute().try_collect().await;
        let all = without_family(all.map_err(|error| NetError::of("listing the rules", error)))?;
        Ok(all.into_iter().filter(|rule| rule.header.family == version.family()).collect())
    }

    async fn add_rule(&self, rule: &Rule) -> Result<(), NetError> {
        let mut request = self.handle.rule().add();
        *request.message_mut() = message_of(rule);
        match request.execute().await.map_err(|error| NetError::of("setting a routing rule", error))
        {
            // Another program was quicker with the same rule.
            Err(error) if error.errno() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Removes them, B first: from then on nothing is routed to the TAP.
    async fn remove_rules(&self, mut rules: Vec<RuleMessage>) -> Result<(), NetError> {
        rules.sort_by_key(|rule| std::cmp::Reverse(priority_of(rule)));
        for rule in rules {
            let removed = self.handle.rule().del(rule).execute().await;
            unless_gone(removed.map_err(|error| NetError::of("removing a routing rule", error)))?;
        }
        Ok(())
    }
}

/// A route to a prefix with the next hop of another route.
fn route_to(way: &RouteMessage, net: IpNet) -> RouteMessage {
    let mut route = way.clone();
    route.header.destination_prefix_length = net.prefix_len();
    let address = match net.addr() {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    };
    route.attributes.push(RouteAttribute::Destination(address));
    route
}

/// The same route in another table.
fn of_table(route: &RouteMessage, table: u32) -> RouteMessage {
    let mut route = route.clone();
    route.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Table(_)));
    route.attributes.push(RouteAttribute::Table(table));
    route
}

/// The properties that distinguish our routes: table, destination and MTU.
fn key_of(route: &RouteMessage) -> (u32, Option<IpNet>, Option<u32>) {
    let metrics = route.attributes.iter().filter_map(|attribute| match attribute {
        RouteAttribute::Metrics(metrics) => Some(metrics),
        _ => None,
    });
    let mtu = metrics.flatten().find_map(|metric| match metric {
        RouteMetric::Mtu(mtu) => Some(*mtu),
        _ => None,
    });
    (table_of(route), destination_of(route), mtu)
}

/// A rule or route that another program has removed meanwhile is not an error.
fn unless_gone(removed: Result<(), NetError>) -> Result<(), NetError> {
    match removed {
        Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::ESRCH)) => Ok(()),
        other => other,
    }
}
