//! What the facts come to: the questions that more than one check asks of them, answered in one place. `None` means that it is not known.

use crate::facts::{
    Answer, Ask, Asked, Facts, Link, Method, NameKind, NeighbourState, Outcome, ProxyProbe, ProxySetting, Reach, Route,
    Subject, Tool, Transport, TunnelState, Whence, Windows,
};
use config::settings::effective::{Origin, Situation, asked_for};
use config::settings::{ini, version};
use ipnet::IpNet;
use probe::proxy::is_https;
use std::net::IpAddr;
use wire::facts::Adapter;
use wsl::{Nameserver, NetworkingMode, ResolvConf};

/// The routing table `main`.
pub(crate) const MAIN: u32 = 254;

/// Where WSL's DNS tunnelling answers unless `dnsTunnelingIpAddress` says otherwise.
pub(crate) const DNS_TUNNEL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 255, 255, 254));

/// The facts and what they come to.
pub(crate) struct View<'a> {
    pub(crate) facts: &'a Facts,
    wslconfig: Option<ini::File>,
    wsl_conf: ini::File,
    situation: Situation,
}

/// The versions that were found.
fn versions(facts: &Facts) -> version::Versions {
    let windows = facts.windows.as_ref();
    let told = || windows?.host.system.strip_prefix("Windows ")?.rsplit('.').next()?.parse().ok();
    let build = windows.and_then(|windows| windows.build).or_else(told);
    let wsl = windows.and_then(|windows| windows.wsl_version.as_deref()?.parse().ok());
    version::Versions { windows: build.map(version::Windows), wsl }
}

impl<'a> View<'a> {
    pub(crate) fn new(facts: &'a Facts) -> Self {
        let wslconfig = facts.windows.as_ref().and_then(|windows| windows.host.wslconfig.as_ref());
        let text = wslconfig.map(|file| file.text.as_deref().unwrap_or_default());
        let wsl_conf = facts.wsl_conf.as_deref().unwrap_or_default();
        let situation = Situation::new(text.unwrap_or_default(), wsl_conf, versions(facts));
        let host = facts.windows.as_ref().and_then(|windows| windows.host.wsl.clone());
        let situation = situation.on(host.unwrap_or_default());
        Self {
            facts,
            wslconfig: text.map(|_| situation.wslconfig.clone()),
            wsl_conf: situation.wsl_conf.clone(),
            situation,
        }
    }

    pub(crate) fn windows(&self) -> Option<&'a Windows> {
        self.facts.windows.as_ref()
    }

    // ---- settings

    /// A key of `.wslconfig`'s `[wsl2]` or `[experimental]`, by the line that counts for WSL.
    pub(crate) fn wslconfig(&self, key: &str) -> Option<&str> {
        let file = self.wslconfig.as_ref()?;
        asked_for(file, "wsl2", key).or_else(|| asked_for(file, "experimental", key))
    }

    /// Whether `.wslconfig` switches something off. False where it says nothing, or is not known.
    pub(crate) fn switched_off(&self, key: &str) -> bool {
        self.wslconfig(key).is_some_and(|value| boolean(value) == Some(false))
    }

    pub(crate) fn switched_on(&self, key: &str) -> bool {
        self.wslconfig(key).is_some_and(|value| boolean(value) == Some(true))
    }

    /// A switch of `/etc/wsl.conf`; all of those that are asked for here are on by default.
    pub(crate) fn wsl_conf_switched_off(&self, section: &str, key: &str) -> bool {
        self.wsl_conf.get(section, key).is_some_and(|value| boolean(value) == Some(false))
    }

    /// The networking mode in force.
    pub(crate) fn mode(&self) -> Option<NetworkingMode> {
        self.facts.mode.by_wslinfo.as_deref().and_then(NetworkingMode::by_name).or(self.facts.mode.by_signs)
    }

    /// The mode that `.wslconfig` asks for, as it is written there.
    pub(crate) fn mode_asked_for(&self) -> Option<&str> {
        self.wslconfig("networkingMode")
    }

    /// How the mode that `.wslconfig` asks for comes to what WSL makes of it.
    pub(crate) fn mode_origin(&self) -> Option<Origin> {
        self.situation.effective().mode().map(|mode| mode.origin.clone())
    }

    /// Windows' build number.
    pub(crate) fn build(&self) -> Option<u32> {
        self.situation.versions.windows.map(|windows| windows.0)
    }

    /// Whether this Windows has mirrored mode, and lets WSL use it.
    pub(crate) fn can_mirror(&self) -> Option<bool> {
        self.build().map(|_| self.situation.no_mirrored().is_none())
    }

    /// Whether this Windows answers WSL's DNS tunneling.
    pub(crate) fn can_tunnel_dns(&self) -> Option<bool> {
        self.situation.can_tunnel_dns()
    }

    /// Whether this Windows has a firewall for WSL.
    pub(crate) fn has_firewall(&self) -> Option<bool> {
        self.situation.versions.windows.map(|windows| windows >= version::Windows::ELEVEN_22H2)
    }

    // ---- interfaces and routes

    /// Interfaces that lead out of the VM by WSL's own network.
    pub(crate) fn own_links(&self) -> impl Iterator<Item = &'a Link> {
        let facts = self.facts;
        facts.links.iter().filter(move |link| {
            let other = facts.other_tunnels.iter().any(|other| other.device.as_deref() == Some(link.name.as_str()));
            let ours = facts.tunnel.device.as_deref() == Some(link.name.as_str());
            let inner = link.kind.as_deref().is_some_and(|kind| matches!(kind, "bridge" | "tun"));
            let loopback = ["lo", "loopback0"].contains(&link.name.as_str());
            !other && !ours && !inner && !loopback
        })
    }

    /// Whether an address is on one of the VM's interfaces.
    pub(crate) fn is_own(&self, address: IpAddr) -> bool {
        self.facts.links.iter().flat_map(|link| &link.addresses).any(|own| own.addr() == address)
    }

    /// The default route by WSL's own network, the one for IPv4 first.
    pub(crate) fn default_route(&self) -> Option<&'a Route> {
        let tunnel = self.facts.tunnel.device.as_deref();
        let leads_out = |route: &&Route| {
            route.destination.prefix_len() == 0
                && !route.refuses
                && (route.device.is_none() || route.device.as_deref() != tunnel)
        };
        let routes = self.facts.routes.iter().filter(leads_out);
        routes.min_by_key(|route| (route.destination.addr().is_ipv6(), route.table != MAIN, route.metric))
    }

    /// The router of the default route.
    pub(crate) fn gateway(&self) -> Option<IpAddr> {
        self.default_route()?.gateway
    }

    /// The IPv4 subnet of the interface that leads out.
    pub(crate) fn subnet(&self) -> Option<IpNet> {
        let out = self.default_route().and_then(|route| route.device.as_deref());
        let mut links = self.own_links().filter(|link| out.is_none_or(|out| link.name == out));
        links.find_map(|link| link.addresses.iter().find(|address| address.addr().is_ipv4())).map(IpNet::trunc)
    }

    // ---- what was tried

    pub(crate) fn reached(&self, subject: Subject, whence: Whence) -> impl Iterator<Item = &'a Reach> {
        let tried = move |reach: &&Reach| {
            reach.subject == subject && reach.whence == whence && reach.outcome != Outcome::NotTried
        };
        self.facts.probes.reach.iter().filter(tried)
    }

    /// What came of the attempts by one method: whether one of them succeeded.
    pub(crate) fn reaches(&self, subject: Subject, whence: Whence, method: Method) -> Option<bool> {
        let mut outcomes = self.reached(subject, whence).filter(|reach| reach.method == method).peekable();
        outcomes.peek()?;
        Some(outcomes.any(|reach| is_ok(&reach.outcome)))
    }

    /// Whether programs that need no proxy reach the outside: by TCP, which they need; by ping only where nothing else was tried.
    pub(crate) fn reaches_outside_directly(&self, whence: Whence) -> Option<bool> {
        let by = |method| self.reaches(Subject::Outside, whence, method);
        by(Method::Tcp).or_else(|| by(Method::Icmp))
    }

    /// Whether a proxy that the environment names carries programs' requests to the outside.
    pub(crate) fn reaches_outside_by_proxy(&self) -> bool {
        let carries = |probe: &ProxyProbe| is_ok(&probe.request) && spelling(probe).is_none_or(Spelling::is_taken);
        self.no_host_by_proxy().is_none() && self.proxies_of(Tool::Environment).any(|(_, probe)| carries(probe))
    }

    /// The variable that excepts every host from the environment's proxies: its whole value is `*`, as curl
    /// (`Curl_check_noproxy` in lib/noproxy.c) and Python (`proxy_bypass_environment`) take it.
    pub(crate) fn no_host_by_proxy(&self) -> Option<&'a ProxySetting> {
        let mut settings = self.facts.proxies.iter();
        settings.find(|setting| {
            setting.tool == Tool::Environment && setting.key.eq_ignore_ascii_case("no_proxy") && setting.value == "*"
        })
    }

    /// The outside cannot be reached, not by any proxy either.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.reaches_outside_directly(Whence::Vm) == Some(false) && !self.reaches_outside_by_proxy()
    }

    /// As before, and pings do not come through either: it is the way that is cut, not only connections.
    pub(crate) fn no_packet_gets_out(&self) -> bool {
        self.is_cut_off() && self.reaches(Subject::Outside, Whence::Vm, Method::Icmp) != Some(true)
    }

    /// Whether the gateway is there. Windows' firewall drops pings, so a ping without reply alone proves nothing where its hardware
    /// address is known.
    pub(crate) fn gateway_lives(&self) -> Option<bool> {
        let by = |method| {
            let direct = self.reaches(Subject::Gateway, Whence::AroundTunnel, method);
            direct.or_else(|| self.reaches(Subject::Gateway, Whence::Vm, method))
        };
        let ping = by(Method::Icmp);
        let neighbour = by(Method::Neighbour).or_else(|| {
            let gateway = self.gateway()?;
            let known = self.facts.neighbours.iter().find(|neighbour| neighbour.address == gateway)?;
            Some(known.state == NeighbourState::Known)
        });
        match (ping, neighbour) {
            (Some(true), _) => Some(true),
            (_, Some(neighbour)) => Some(neighbour),
            (ping, None) => ping,
        }
    }

    /// Whether Windows itself reaches the outside.
    pub(crate) fn windows_reaches_outside(&self) -> Option<bool> {
        self.reaches_outside_directly(Whence::Windows)
    }

    pub(crate) fn tunnel_is_up(&self) -> bool {
        self.facts.tunnel.state == TunnelState::Up
    }

    /// VPNs that are connected on Windows.
    pub(crate) fn vpns(&self) -> impl Iterator<Item = &'a Adapter> {
        let adapters = self.windows().map_or(&[][..], |windows| &windows.host.adapters);
        adapters.iter().filter(|adapter| adapter.up && adapter.vpn.is_some())
    }

    /// The adapter by which Windows reaches the internet.
    pub(crate) fn internet_adapter(&self) -> Option<&'a Adapter> {
        let windows = self.windows()?;
        let index = windows.host.internet_adapter?;
        windows.host.adapters.iter().find(|adapter| adapter.index == index)
    }

    // ---- names

    /// The servers of resolv.conf, as the C library takes them.
    pub(crate) fn nameservers(&self) -> Vec<Nameserver> {
        let text = self.facts.resolv_conf.text.as_deref().unwrap_or_default();
        ResolvConf::read(text).servers().to_vec()
    }

    /// Whether resolv.conf names a server.
    pub(crate) fn names_server(&self, address: IpAddr) -> bool {
        self.nameservers().iter().any(|server| server.address == address)
    }

    pub(crate) fn asks(&self, kind: NameKind) -> impl Iterator<Item = &'a Ask> {
        self.facts.probes.dns.iter().filter(move |ask| ask.kind == kind && ask.answer != Answer::NotTried)
    }

    /// Whether somebody of a kind resolved a name of a kind, by any transport.
    pub(crate) fn resolves(&self, kind: NameKind, who: impl Fn(&Asked) -> bool) -> Option<bool> {
        let mut asks = self.asks(kind).filter(|ask| who(&ask.asked)).peekable();
        asks.peek()?;
        Some(asks.any(|ask| has_addresses(&ask.answer)))
    }

    /// Whether a server of resolv.conf resolved the public name over one transport.
    pub(crate) fn server_resolves(&self, server: &Nameserver, transport: Transport) -> Option<bool> {
        let of_server = |ask: &&Ask| {
            matches!(&ask.asked, Asked::Nameserver(asked) if asked == server) && ask.transport == transport
        };
        let mut asks = self.asks(NameKind::Public).filter(of_server).peekable();
        asks.peek()?;
        Some(asks.any(|ask| has_addresses(&ask.answer)))
    }

    /// Whether programs can resolve public names: as the system does it, or else as its servers answer.
    pub(crate) fn names_work(&self) -> Option<bool> {
        let system = self.resolves(NameKind::Public, |asked| *asked == Asked::System);
        system.or_else(|| self.resolves(NameKind::Public, |asked| matches!(asked, Asked::Nameserver(_))))
    }

    // ---- proxies

    /// The proxy settings of a tool that were tried, each with what came of it.
    pub(crate) fn proxies_of(&self, tool: Tool) -> impl Iterator<Item = (&'a ProxySetting, &'a ProxyProbe)> {
        let facts = self.facts;
        facts.proxies.iter().filter(move |setting| setting.tool == tool).filter_map(move |setting| {
            let probe = facts.probes.proxies.iter().find(|probe| probe.value == setting.value)?;
            Some((setting, probe))
        })
    }

    /// Whether the environment names a proxy.
    pub(crate) fn has_proxy_variables(&self) -> bool {
        let names = |setting: &ProxySetting| {
            setting.tool == Tool::Environment
                && !setting.value.is_empty()
                && !setting.key.eq_ignore_ascii_case("no_proxy")
        };
        self.facts.proxies.iter().any(names)
    }

    pub(crate) fn has_tool(&self, tool: Tool) -> bool {
        self.facts.tools.contains(&tool)
    }

    /// Whether an address is Windows' own, as the VM sees it.
    pub(crate) fn is_windows(&self, address: IpAddr) -> bool {
        let on_adapter = |windows: &Windows| {
            let adapters = windows.host.adapters.iter().flat_map(|adapter| &adapter.addresses);
            adapters.filter_map(|text| text.parse::<IpNet>().ok()).any(|net| net.addr() == address)
        };
        self.gateway() == Some(address) || self.windows().is_some_and(on_adapter)
    }
}

/// What is odd about a proxy's setting, so that programs do not take it for what is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// It begins or ends with a blank: curl and others take that for a part of it.
    Blank,
    /// Its scheme is `https`: programs speak TLS to the proxy, and it speaks none.
    Tls,
    /// It has no scheme: curl, git and Go take it for HTTP, apt and npm do not take it.
    NoScheme,
}

impl Spelling {
    /// Whether some programs go by it.
    fn is_taken(self) -> bool {
        self == Self::NoScheme
    }
}

/// See [`Spelling`].
pub(crate) fn spelling(probe: &ProxyProbe) -> Option<Spelling> {
    let value = probe.value.as_str();
    if value.trim() != value {
        Some(Spelling::Blank)
    } else if is_https(value) && has_failed(&probe.tls) {
        Some(Spelling::Tls)
    } else {
        (!value.contains("://")).then_some(Spelling::NoScheme)
    }
}

/// A bridge that Docker made, for a network of its own.
pub(crate) fn is_docker_bridge(link: &Link) -> bool {
    link.name == "docker0" || (link.name.starts_with("br-") && link.name.len() == "br-".len() + 12)
}

pub(crate) fn is_ok(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Ok { .. })
}

pub(crate) fn has_failed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed { .. })
}

pub(crate) fn has_addresses(answer: &Answer) -> bool {
    !addresses(answer).is_empty()
}

/// The addresses of an answer; none where there are none.
pub(crate) fn addresses(answer: &Answer) -> &[IpAddr] {
    match answer {
        Answer::Addresses { addresses, .. } => addresses,
        Answer::NotTried | Answer::NoSuchName { .. } | Answer::ServerError { .. } | Answer::Failed { .. } => &[],
    }
}

/// WSL's spelling of true and false.
fn boolean(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}
