//! The way from a program to the internet, hop by hop, with the broken one marked: what the checks
//! found is laid over what is known to work.

use crate::facts::{Tool, TunnelState, Whence};
use crate::finding::Severity;
use crate::view::View;
use messages::{Sentence, doctor};
use serde::{Deserialize, Serialize};

/// A kind of hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// The program that asks for the network.
    Program,
    /// The resolver of its names. Packets do not pass through it: the rest of the way may work
    /// without it.
    Resolver,
    /// The VM's interface.
    Interface,
    /// WSL's router, on Windows.
    Gateway,
    /// Underpass' tunnel, in its place.
    Tunnel,
    /// Windows itself.
    Windows,
    /// A VPN on Windows.
    Vpn,
    /// A proxy.
    Proxy,
    /// What lies outside.
    Internet,
}

impl Place {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static Sentence {
        match self {
            Self::Program => &doctor::HOP_PROGRAM,
            Self::Resolver => &doctor::HOP_RESOLVER,
            Self::Interface => &doctor::HOP_INTERFACE,
            Self::Gateway => &doctor::HOP_GATEWAY,
            Self::Tunnel => &doctor::HOP_TUNNEL,
            Self::Windows => &doctor::HOP_WINDOWS,
            Self::Vpn => &doctor::HOP_VPN,
            Self::Proxy => &doctor::HOP_PROXY,
            Self::Internet => &doctor::HOP_INTERNET,
        }
    }
}

/// A hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Which.
    pub place: Place,
    /// Its address or name here.
    pub detail: Option<String>,
    /// How it is.
    pub state: HopState,
}

/// How a hop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HopState {
    /// It was seen to work.
    Works,
    /// It works, and something about it does not.
    Troubled,
    /// The way ends here.
    Broken,
    /// It lies beyond the break.
    Behind,
    /// Nothing is known of it.
    Unknown,
}

impl HopState {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static Sentence {
        match self {
            Self::Works => &doctor::STATE_WORKS,
            Self::Troubled => &doctor::STATE_TROUBLED,
            Self::Broken => &doctor::STATE_BROKEN,
            Self::Behind => &doctor::STATE_BEHIND,
            Self::Unknown => &doctor::STATE_UNKNOWN,
        }
    }
}

/// The way, and on it the hops that checks found fault with.
pub(crate) fn walk(view: &View<'_>, marks: &[(Place, Severity)]) -> Vec<Hop> {
    let mut hops: Vec<Hop> = places(view, marks)
        .into_iter()
        .map(|place| Hop { place, detail: detail(view, place), state: state(view, place, marks) })
        .collect();
    // The resolver is not on the packets' way: hops after a broken resolver are not beyond a break.
    let broken =
        hops.iter().position(|hop| hop.state == HopState::Broken && hop.place != Place::Resolver);
    if let Some(broken) = broken {
        hops[broken + 1..].iter_mut().for_each(|hop| hop.state = HopState::Behind);
        // The servers for names lie beyond it too, unless the resolver is known to work.
        let resolver = hops[..broken]
            .iter_mut()
            .find(|hop| hop.place == Place::Resolver && hop.state == HopState::Unknown);
        resolver.into_iter().for_each(|hop| hop.state = HopState::Behind);
    }
    hops
}

fn places(view: &View<'_>, marks: &[(Place, Severity)]) -> Vec<Place> {
    let marked = |place| marks.iter().any(|(of, _)| *of == place);
    let tunnel = matches!(
        view.facts.tunnel.state,
        TunnelState::Up | TunnelState::Starting | TunnelState::NoRelay
    );
    let all = [
        (Place::Program, true),
        (Place::Resolver, true),
        (Place::Interface, true),
        (Place::Tunnel, tunnel),
        (Place::Gateway, !tunnel),
        (Place::Windows, true),
        (Place::Vpn, view.vpns().next().is_some()),
        (Place::Proxy, view.has_proxy_variables()),
        (Place::Internet, true),
    ];
    all.into_iter()
        .filter(|(place, there)| *there || marked(*place))
        .map(|(place, _)| place)
        .collect()
}

fn detail(view: &View<'_>, place: Place) -> Option<String> {
    let facts = view.facts;
    match place {
        Place::Program => None,
        Place::Resolver => {
            let servers: Vec<String> = view.nameservers().iter().map(ToString::to_string).collect();
            (!servers.is_empty()).then(|| servers.join(", "))
        }
        Place::Interface => {
            let link = view
                .own_links()
                .find(|link| link.up && !link.addresses.is_empty())
                .or(view.own_links().next())?;
            Some(
                match link
                    .addresses
                    .iter()
                    .find(|net| net.addr().is_ipv4())
                    .or(link.addresses.first())
                {
                    Some(address) => format!("{} {address}", link.name),
                    None => link.name.clone(),
                },
            )
        }
        Place::Gateway => view.gateway().map(|address| address.to_string()),
        Place::Tunnel => match (&facts.tunnel.device, facts.tunnel.subnet) {
            (Some(device), Some(subnet)) => Some(format!("{device} {subnet}")),
            (device, _) => device.clone(),
        },
        Place::Windows => view
            .windows()
            .map(|windows| windows.host.system.clone())
            .filter(|text| !text.is_empty()),
        Place::Vpn => view.vpns().next().map(|adapter| adapter.name.clone()),
        Place::Proxy => {
            let (_, probe) = view.proxies_of(Tool::Environment).next()?;
            Some(format!("{}:{}", probe.host, probe.port))
        }
        Place::Internet => Some(facts.question.outside.clone()).filter(|text| !text.is_empty()),
    }
}

fn state(view: &View<'_>, place: Place, marks: &[(Place, Severity)]) -> HopState {
    let worst = marks.iter().filter(|(of, _)| *of == place).map(|(_, severity)| *severity).max();
    // A fault that is only a problem may still break the only way.
    let all_of_it = match place {
        Place::Resolver => view.names_work() == Some(false),
        Place::Proxy => {
            view.reaches_outside_directly(Whence::Vm) == Some(false)
                && !view.reaches_outside_by_proxy()
        }
        Place::Internet => view.is_cut_off(),
        Place::Program
        | Place::Interface
        | Place::Gateway
        | Place::Tunnel
        | Place::Windows
        | Place::Vpn => false,
    };
    match worst {
        Some(Severity::Fatal) => return HopState::Broken,
        Some(Severity::Problem) => {
            return if all_of_it { HopState::Broken } else { HopState::Troubled };
        }
        Some(Severity::Hint) => return HopState::Troubled,
        None => {}
    }
    let direct = view.reaches_outside_directly(Whence::Vm) == Some(true);
    let out = direct || view.reaches_outside_by_proxy();
    let windows = view.windows_reaches_outside() == Some(true);
    let works = match place {
        Place::Program => true,
        Place::Resolver => view.names_work() == Some(true),
        Place::Interface => out || view.default_route().is_some(),
        Place::Gateway => out || view.gateway_lives() == Some(true),
        Place::Tunnel => view.facts.tunnel.state == TunnelState::Up,
        Place::Windows | Place::Vpn => out || windows,
        Place::Proxy => view.reaches_outside_by_proxy(),
        Place::Internet => out,
    };
    if works { HopState::Works } else { HopState::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::judge;
    use crate::facts::{Asked, Facts, Method, NameKind, Subject, Why};
    use crate::sample::*;

    fn states(facts: &Facts) -> Vec<(Place, HopState)> {
        judge(facts, None).way.iter().map(|hop| (hop.place, hop.state)).collect()
    }

    #[test]
    fn the_tunnel_stands_in_the_gateways_place() {
        let places =
            |facts: &Facts| states(facts).iter().map(|(place, _)| *place).collect::<Vec<_>>();
        assert_eq!(
            places(&nat()),
            [
                Place::Program,
                Place::Resolver,
                Place::Interface,
                Place::Gateway,
                Place::Windows,
                Place::Internet
            ]
        );
        let mut facts = with_tunnel(nat());
        proxy(&mut facts, "https_proxy", "http://192.0.2.80:7890");
        assert_eq!(
            places(&facts),
            [
                Place::Program,
                Place::Resolver,
                Place::Interface,
                Place::Tunnel,
                Place::Windows,
                Place::Vpn,
                Place::Proxy,
                Place::Internet
            ]
        );
        let details: Vec<_> =
            judge(&facts, None).way.into_iter().filter_map(|hop| hop.detail).collect();
        for detail in
            ["eth0 172.28.48.2/20", "underpass0 198.18.64.0/28", "Ethernet 3", "192.0.2.80:7890"]
        {
            assert!(details.iter().any(|known| known == detail), "{detail}: {details:?}");
        }
    }

    #[test]
    fn a_broken_resolver_breaks_no_way() {
        let mut facts = nat();
        for who in [Asked::System, nameserver("10.255.255.254")] {
            asked(&mut facts, who, NameKind::Public, SILENT);
        }
        let states = states(&facts);
        assert_eq!(states[1], (Place::Resolver, HopState::Broken));
        assert!(states[2..].iter().all(|(_, state)| *state == HopState::Works), "{states:?}");
    }

    #[test]
    fn hops_without_facts_are_not_known() {
        let mut facts = nat();
        facts.probes.reach.clear();
        let states = states(&facts);
        assert_eq!(states.last(), Some(&(Place::Internet, HopState::Unknown)));
        assert_eq!(states[4], (Place::Windows, HopState::Unknown));
    }

    #[test]
    fn what_lies_behind_a_break_is_not_said_to_work() {
        let mut facts = nat();
        cut(&mut facts);
        tried(&mut facts, Subject::Gateway, Method::Neighbour, Whence::Vm, failed(Why::TimedOut));
        let states = states(&facts);
        assert_eq!(
            states[1..],
            [
                (Place::Resolver, HopState::Behind),
                (Place::Interface, HopState::Works),
                (Place::Gateway, HopState::Broken),
                (Place::Windows, HopState::Behind),
                (Place::Internet, HopState::Behind)
            ]
        );
    }
}
