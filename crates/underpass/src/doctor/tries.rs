//! Makes the doctor's attempts: first all independent ones at once, and then those that depend on
//! Windows' answers.

use super::args;
use super::ports::{USUAL_PORTS, default_ports};
use super::windows::{self, WindowsAnswers};
use super::{Wishes, survey, translate};
use crate::progress::{Progress, Result};
use ::proxy::Target;
use doctor::facts::{
    Ask, Asked, Facts, GitRewrite, Lookup, Method, MtuProbe, NameKind, Outcome, Probes, ProxyProbe,
    ProxySetting, Question, Reach, Route, Rule, Subject, Tool, Transport, Tunnel, TunnelState,
    Whence, Why, Windows,
};
use futures_util::future::join_all;
use messages::doctor_probes as words;
use probe::{Origin, dns, icmp, mtu, proxy, tcp};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use wsl::network::way_out;
use wsl::{Nameserver, ResolvConf};

/// Proxies that are tried, and servers of Windows' adapters that are asked, at most.
const MOST: usize = 8;

/// The port of a company host that is given without a port.
const COMPANY_PORT: u16 = 443;

/// A value that names a proxy.
struct Named {
    value: String,
    /// Where the proxy may listen if the value has no port.
    ports: Vec<u16>,
}

impl Named {
    fn urls(&self) -> Vec<::proxy::ProxyUrl> {
        match proxy::of_command(&self.value) {
            Some(url) => vec![url],
            None => {
                self.ports.iter().filter_map(|port| proxy::parse(&self.value, *port).ok()).collect()
            }
        }
    }
}

/// The attempts to make, and from where.
pub(super) struct Tries {
    /// IPv4 addresses of the internet, the best first.
    outside4: Vec<SocketAddr>,
    outside6: Vec<SocketAddr>,
    company: Vec<Target>,
    /// Names of the company's.
    names: Vec<String>,
    /// The router of the default route around the tunnel.
    pub(super) gateway: Option<IpAddr>,
    /// The VM's address there.
    pub(super) own: Option<IpAddr>,
    /// Where packets start that take the old way, while the tunnel is up.
    around: Option<Origin>,
    /// The device by which packets for the internet leave, and its MTU.
    leaves_by: Option<(String, u32)>,
    has_v6: bool,
    tunnel: Tunnel,
    nameservers: Vec<Nameserver>,
    proxies: Vec<Named>,
    git: bool,
    /// Hosts that git asks instead of others.
    mirrors: Vec<Target>,
}

impl Tries {
    pub(super) fn new(facts: &Facts, wishes: &Wishes, outside: Vec<SocketAddr>) -> Self {
        let tunnel = facts.tunnel.clone();
        let is_up = tunnel.state == TunnelState::Up;
        let way = way_out(&facts.routes, tunnel.device.as_deref());
        let own_device = way.and_then(|route| route.device.clone());
        let own = own_device
            .as_deref()
            .and_then(|device| survey::address_on(&facts.links, device, |one| one.is_ipv4()));
        let leaves_by = if is_up { tunnel.device.clone() } else { own_device.clone() };
        let mtu =
            |device: &str| facts.links.iter().find(|link| link.name == device).map(|link| link.mtu);
        let (outside4, outside6) = outside.into_iter().partition(SocketAddr::is_ipv4);
        let company: Vec<_> =
            wishes.company.iter().filter_map(|text| args::host_of(text, COMPANY_PORT)).collect();
        Self {
            gateway: way.and_then(|route| route.gateway),
            own,
            around: own
                .filter(|_| is_up)
                .map(|address| around(&facts.rules, address, own_device.as_deref())),
            leaves_by: leaves_by.and_then(|device| Some((device.clone(), mtu(&device)?))),
            has_v6: facts.routes.iter().any(leads_to_v6),
            names: company
                .iter()
                .filter(|one| one.address().is_none())
                .map(|one| one.host.bare())
                .collect(),
            nameservers: ResolvConf::read(facts.resolv_conf.text.as_deref().unwrap_or_default())
                .servers()
                .to_vec(),
            proxies: proxies(&facts.proxies),
            mirrors: mirrors(&facts.git_rewrites),
            git: facts.tools.contains(&Tool::Git) && facts.tools.contains(&Tool::Ssh),
            outside4,
            outside6,
            company,
            tunnel,
        }
    }

    /// Everything that depends on nothing else. Gives what Windows said.
    pub(super) async fn all(
        &self,
        facts: &mut Facts,
        wishes: &Wishes,
        progress: &Progress,
    ) -> WindowsAnswers {
        let names: Vec<String> =
            [&wishes.public_name].into_iter().chain(&self.names).cloned().collect();
        let of_proxies = self.proxies.iter().flat_map(Named::urls);
        let loopback: BTreeSet<u16> = of_proxies.map(|proxy| proxy.port()).collect();
        let at_loopback = |port: &u16| SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        let by_address = self.outside4.iter().copied().chain(loopback.iter().map(at_loopback));
        let targets: Vec<Target> =
            by_address.map(Target::from).chain(self.company.iter().cloned()).collect();
        let places = self.usual_places(loopback.iter().copied());
        let target = self
            .outside4
            .first()
            .or(self.outside6.first())
            .map(ToString::to_string)
            .unwrap_or_default();
        let reaches =
            |reach: &Vec<Reach>| Result::of_any(reach.iter().map(|reach| works(&reach.outcome)));
        let answers =
            |asks: &Vec<Ask>| Result::of_any(asks.iter().map(|ask| resolves(&ask.answer)));
        let carry = |proxies: &Vec<ProxyProbe>| Result::of_any(proxies.iter().map(carries));
        let fits = |mtu: &Option<MtuProbe>| Result::of_any(mtu.iter().map(|mtu| works(&mtu.large)));
        let tells = |said: &WindowsAnswers| Result::of_any([said.windows.as_ref().map(|_| true)]);
        let (gateway, outside, v6, asks, proxies, listening, large, git, said) = tokio::join!(
            progress.watch(words::DOING_GATEWAY.text(), reaches, self.gateway()),
            progress.watch(words::DOING_OUTSIDE.text(), reaches, self.outside()),
            progress.watch(words::DOING_OUTSIDE_V6.text(), reaches, self.outside6()),
            progress.watch(words::DOING_NAMES.text(), answers, self.names(wishes)),
            progress.watch(
                words::DOING_PROXIES.text(),
                carry,
                join_all(self.proxies.iter().map(|named| proxy::probe_at(
                    &named.value,
                    &named.ports,
                    &target
                )))
            ),
            join_all(places.iter().map(|at| proxy::search(*at, &target))),
            progress.watch(words::DOING_LARGE.text(), fits, self.large_packets()),
            progress.watch(words::DOING_GIT.text(), reaches, self.git()),
            progress.watch(
                words::DOING_WINDOWS.text(),
                tells,
                windows::ask(wishes, &facts.interop, &names, &targets)
            ),
        );
        let listening = listening.into_iter().flatten().collect();
        facts.probes = Probes {
            reach: [gateway, outside, v6, git].concat(),
            dns: asks,
            proxies,
            listening,
            mtu: large,
        };
        said
    }

    /// Adds the attempts of Windows, and makes those that depend on Windows' answers.
    pub(super) async fn after_windows(&self, facts: &mut Facts, said: &WindowsAnswers) {
        let Probes { reach, dns: asks, proxies, listening: _, mtu: _ } = &mut facts.probes;
        if let Some(probe) = &said.probe {
            for answer in &probe.names {
                let kind = if self.names.contains(&answer.name) {
                    NameKind::Company
                } else {
                    NameKind::Public
                };
                let answer_of = translate::name(answer);
                asks.push(ask(Asked::Windows, Transport::Udp, &answer.name, kind, answer_of));
            }
            let outcome = |target: &str| {
                let found = probe.connects.iter().find(|connect| connect.target == target)?;
                Some(translate::connect(found))
            };
            let outside = self.outside4.iter().map(ToString::to_string);
            let tried: Vec<_> =
                outside.filter_map(|target| Some((outcome(&target)?, target))).collect();
            let best = tried.iter().find(|(outcome, _)| is_ok(outcome)).or(tried.first()).cloned();
            reach.extend(best.map(|(outcome, target)| {
                reached(Subject::Outside, Method::Tcp, Whence::Windows, target, outcome)
            }));
            for company in self.company.iter().map(ToString::to_string) {
                let outcome = outcome(&company);
                reach.extend(
                    outcome.map(|o| {
                        reached(Subject::Company, Method::Tcp, Whence::Windows, company, o)
                    }),
                );
            }
            for proxy in proxies.iter_mut() {
                proxy.on_windows_loopback =
                    outcome(&format!("127.0.0.1:{}", proxy.port)).unwrap_or_default();
            }
        }
        let servers = said.windows.as_ref().map(adapter_servers).unwrap_or_default();
        let unknown: Vec<&String> =
            self.names.iter().filter(|name| !is_resolved(asks, Asked::System, name)).collect();
        let of_adapters = servers
            .iter()
            .take(MOST)
            .flat_map(|server| unknown.iter().map(move |name| (*server, *name)));
        let of_adapters = join_all(of_adapters.map(|(server, name)| async move {
            let answer = dns::ask(server, name, Transport::Udp).await;
            ask(Asked::OfAdapter(server), Transport::Udp, name, NameKind::Company, answer)
        }));
        let hosts = self.tunnel.host.filter(|_| self.tunnel.state == TunnelState::Up);
        let at_tunnel = join_all(proxies.iter().map(|proxy| async move {
            match hosts {
                Some(host) if proxy.port != 0 => {
                    tcp::connect((host, proxy.port).into(), None).await
                }
                Some(_) | None => Outcome::NotTried,
            }
        }));
        let (of_adapters, at_tunnel) = tokio::join!(of_adapters, at_tunnel);
        asks.extend(of_adapters);
        for (proxy, outcome) in proxies.iter_mut().zip(at_tunnel) {
            proxy.at_tunnel_host = outcome;
        }
        let asks: &[Ask] = asks;
        let company =
            join_all(self.company.iter().map(|company| self.company(company, asks))).await;
        reach.extend(company.concat());
    }

    pub(super) fn of_gateway(&self, method: Method, outcome: Outcome) -> Reach {
        let target = self.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
        let whence = if self.around.is_some() { Whence::AroundTunnel } else { Whence::Vm };
        reached(Subject::Gateway, method, whence, target, outcome)
    }

    /// Where a proxy may listen that no setting names. Without any setting no proxy is expected.
    fn usual_places(&self, ports: impl Iterator<Item = u16>) -> Vec<SocketAddr> {
        if self.proxies.is_empty() {
            return Vec::new();
        }
        let ports: BTreeSet<u16> = ports.chain(USUAL_PORTS).filter(|port| *port != 0).collect();
        let tunnel =
            self.tunnel.host.filter(|_| self.tunnel.state == TunnelState::Up).map(IpAddr::V4);
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let hosts = [tunnel, self.gateway, Some(loopback)].into_iter().flatten();
        let places =
            hosts.flat_map(|host| ports.iter().map(move |port| SocketAddr::new(host, *port)));
        let named = |at: &SocketAddr| {
            let mut known = self.proxies.iter().flat_map(Named::urls);
            known.any(|proxy| {
                proxy.host().to_string() == at.ip().to_string() && proxy.port() == at.port()
            })
        };
        places.filter(|at| !named(at)).collect()
    }

    async fn gateway(&self) -> Vec<Reach> {
        let Some(gateway) = self.gateway else { return Vec::new() };
        let echo = icmp::ping(gateway, self.around.as_ref(), None).await;
        vec![self.of_gateway(Method::Icmp, echo.outcome)]
    }

    /// The first of the addresses that can be reached, or the first of all: others are spares.
    async fn outside(&self) -> Vec<Reach> {
        let tries = self.outside4.iter().map(|at| async move {
            let around = async {
                match &self.around {
                    Some(from) => tcp::connect(*at, Some(from)).await,
                    None => Outcome::NotTried,
                }
            };
            let (ping, tcp, around) =
                tokio::join!(icmp::ping(at.ip(), None, None), tcp::connect(*at, None), around);
            (at, ping.outcome, tcp, around)
        });
        let tried = join_all(tries).await;
        let by_tcp = tried.iter().find(|(_, _, tcp, _)| is_ok(tcp));
        let best =
            by_tcp.or_else(|| tried.iter().find(|(_, ping, _, _)| is_ok(ping))).or(tried.first());
        let Some((at, ping, tcp, around)) = best.cloned() else { return Vec::new() };
        vec![
            reached(Subject::Outside, Method::Icmp, Whence::Vm, at.ip().to_string(), ping),
            reached(Subject::Outside, Method::Tcp, Whence::Vm, at.to_string(), tcp),
            reached(Subject::Outside, Method::Tcp, Whence::AroundTunnel, at.to_string(), around),
        ]
    }

    /// Only where a route for IPv6 leads out: without one programs do not try it.
    async fn outside6(&self) -> Vec<Reach> {
        let Some(at) = self.outside6.first().filter(|_| self.has_v6) else { return Vec::new() };
        let (ping, tcp) = tokio::join!(icmp::ping(at.ip(), None, None), tcp::connect(*at, None));
        vec![
            reached(
                Subject::OutsideV6,
                Method::Icmp,
                Whence::Vm,
                at.ip().to_string(),
                ping.outcome,
            ),
            reached(Subject::OutsideV6, Method::Tcp, Whence::Vm, at.to_string(), tcp),
        ]
    }

    async fn names(&self, wishes: &Wishes) -> Vec<Ask> {
        let public = [(&wishes.public_name, NameKind::Public)].into_iter();
        let names: Vec<_> =
            public.chain(self.names.iter().map(|name| (name, NameKind::Company))).collect();
        let mut questions = Vec::new();
        for (name, kind) in names {
            questions.push((Asked::System, Transport::Udp, name, kind));
            let servers = self.nameservers.iter().cloned().map(Asked::Nameserver);
            questions.extend(servers.map(|server| (server, Transport::Udp, name, kind)));
            if kind == NameKind::Public {
                let servers = self.nameservers.iter().cloned().map(Asked::Nameserver);
                let public = wishes.public_dns.iter().copied().map(Asked::Public);
                questions.extend(servers.map(|server| (server, Transport::Tcp, name, kind)));
                questions.extend(public.map(|server| (server, Transport::Udp, name, kind)));
            }
        }
        let mut asks =
            join_all(questions.into_iter().map(|(asked, transport, name, kind)| async move {
                let answer = match asked {
                    Asked::Nameserver(ref server) => {
                        dns::ask(server.clone(), name, transport).await
                    }
                    Asked::Public(server) | Asked::OfAdapter(server) => {
                        dns::ask(server, name, transport).await
                    }
                    Asked::System => dns::ask_system(name).await,
                    Asked::Windows => Lookup::NotTried,
                };
                ask(asked, transport, name, kind, answer)
            }))
            .await;
        silence(&mut asks);
        asks
    }

    async fn large_packets(&self) -> Option<MtuProbe> {
        let (device, size) = self.leaves_by.as_ref()?;
        Some(mtu::probe(*self.outside4.first()?, device, *size).await)
    }

    /// Where git goes by ssh in this folder, or else usually; and the hosts that it asks instead of
    /// others.
    async fn git(&self) -> Vec<Reach> {
        let by_ssh = async {
            if !self.git {
                return None;
            }
            let host = translate::git_host().await;
            let address =
                addresses(&[dns::ask_system(&host.host.bare()).await]).first().copied()?;
            let outcome = tcp::connect(SocketAddr::new(address, host.port), None).await;
            Some(reached(Subject::GitSsh, Method::Tcp, Whence::Vm, host.to_string(), outcome))
        };
        let mirrors = join_all(self.mirrors.iter().map(|host| async move {
            let answer = match host.address() {
                Some(address) => Lookup::Addresses { addresses: vec![address], ms: 0 },
                None => dns::ask_system(&host.host.bare()).await,
            };
            let outcome = match addresses(&[answer]).first() {
                Some(address) => tcp::connect(SocketAddr::new(*address, host.port), None).await,
                None => Outcome::Failed { why: Why::NameUnknown, detail: String::new() },
            };
            reached(Subject::GitMirror, Method::Tcp, Whence::Vm, host.to_string(), outcome)
        }));
        let (by_ssh, mirrors) = tokio::join!(by_ssh, mirrors);
        by_ssh.into_iter().chain(mirrors).collect()
    }

    /// A host of the company's, by an address that was found for it.
    async fn company(&self, host: &Target, asks: &[Ask]) -> Vec<Reach> {
        let name = host.host.bare();
        let known = |wanted: fn(&Asked) -> bool| {
            let of_host = asks.iter().filter(|ask| ask.name == name && wanted(&ask.asked));
            addresses(&of_host.map(|ask| ask.answer.clone()).collect::<Vec<_>>()).first().copied()
        };
        let address = host
            .address()
            .or_else(|| known(|asked| matches!(asked, Asked::System)))
            .or_else(|| known(|asked| matches!(asked, Asked::Nameserver(_))))
            .or_else(|| known(|_| true));
        let Some(address) = address else { return Vec::new() };
        let at = SocketAddr::new(address, host.port);
        let (ping, tcp) = tokio::join!(icmp::ping(address, None, None), tcp::connect(at, None));
        vec![
            reached(Subject::Company, Method::Icmp, Whence::Vm, name, ping.outcome),
            reached(Subject::Company, Method::Tcp, Whence::Vm, host.to_string(), tcp),
        ]
    }

    pub(super) fn question(&self, wishes: &Wishes, facts: &Facts) -> Question {
        let tried =
            |reach: &&Reach| reach.subject == Subject::Outside && reach.method == Method::Tcp;
        let outside = facts.probes.reach.iter().find(tried).map(|reach| reach.target.clone());
        Question {
            outside: outside.unwrap_or_default(),
            public_name: wishes.public_name.clone(),
            company: wishes.company.clone(),
        }
    }
}

/// A rule of the tunnel's may keep all packets of the address on the old way. Where only answers
/// stay there, the socket has to be bound to the interface.
fn around(rules: &[Rule], address: IpAddr, device: Option<&str>) -> Origin {
    let stays = format!("from {address} lookup main");
    let device = device.filter(|_| rules.iter().all(|rule| rule.text != stays));
    Origin { address, device: device.map(str::to_owned) }
}

fn leads_to_v6(route: &Route) -> bool {
    route.destination.prefix_len() == 0 && route.destination.addr().is_ipv6() && !route.refuses
}

/// `getent` does not say why it knows no address: if none of the servers answered, that is the
/// reason.
fn silence(asks: &mut [Ask]) {
    let is_server =
        |ask: &&Ask| matches!(ask.asked, Asked::Nameserver(_)) && ask.transport == Transport::Udp;
    let silent = |answer: &Lookup| matches!(answer, Lookup::Failed { .. });
    let names: BTreeSet<String> = asks.iter().map(|ask| ask.name.clone()).collect();
    for name in names {
        let of_servers: Vec<_> = asks
            .iter()
            .filter(|ask| ask.name == name)
            .filter(is_server)
            .map(|ask| &ask.answer)
            .collect();
        let Some(Lookup::Failed { why, detail }) = of_servers.first().copied().cloned() else {
            continue;
        };
        if !of_servers.iter().all(|answer| silent(answer)) {
            continue;
        }
        let of_system =
            asks.iter_mut().filter(|ask| ask.name == name && ask.asked == Asked::System);
        for ask in of_system.filter(|ask| matches!(ask.answer, Lookup::NoSuchName { .. })) {
            ask.answer = Lookup::Failed { why, detail: detail.clone() };
        }
    }
}

pub(super) fn has_addresses(answer: &Lookup) -> bool {
    matches!(answer, Lookup::Addresses { .. })
}

pub(super) fn addresses(answers: &[Lookup]) -> Vec<IpAddr> {
    let found = answers.iter().filter_map(|answer| match answer {
        Lookup::Addresses { addresses, .. } => Some(addresses.as_slice()),
        Lookup::NotTried
        | Lookup::NoSuchName { .. }
        | Lookup::ServerError { .. }
        | Lookup::Failed { .. } => None,
    });
    found.flatten().copied().collect()
}

fn is_resolved(asks: &[Ask], asked: Asked, name: &str) -> bool {
    asks.iter().any(|ask| ask.asked == asked && ask.name == name && has_addresses(&ask.answer))
}

fn ask(asked: Asked, transport: Transport, name: &str, kind: NameKind, answer: Lookup) -> Ask {
    Ask { asked, transport, name: name.to_owned(), kind, answer }
}

fn reached(
    subject: Subject,
    method: Method,
    whence: Whence,
    target: String,
    outcome: Outcome,
) -> Reach {
    Reach { subject, method, whence, target, outcome }
}

/// Whether it works, if it was tried.
fn works(outcome: &Outcome) -> Option<bool> {
    (*outcome != Outcome::NotTried).then(|| is_ok(outcome))
}

fn resolves(answer: &Lookup) -> Option<bool> {
    (*answer != Lookup::NotTried).then(|| has_addresses(answer))
}

fn carries(probe: &ProxyProbe) -> Option<bool> {
    Some(is_ok(&probe.request))
}

fn is_ok(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Ok { .. })
}

/// The hosts of addresses that git asks instead of others, each once.
fn mirrors(rewrites: &[GitRewrite]) -> Vec<Target> {
    let mut hosts: Vec<Target> = Vec::new();
    for host in rewrites.iter().filter_map(|rewrite| translate::url_host(&rewrite.base)) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.truncate(MOST);
    hosts
}

/// Values that name a proxy, each once.
fn proxies(settings: &[ProxySetting]) -> Vec<Named> {
    let named = |value: String| {
        let tools: Vec<Tool> =
            settings.iter().filter(|other| other.value == value).map(|one| one.tool).collect();
        Named { ports: default_ports(&tools, &value), value }
    };
    values(settings).into_iter().map(named).collect()
}

fn values(settings: &[ProxySetting]) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for setting in settings {
        let is_list = setting.key.eq_ignore_ascii_case("no_proxy");
        let is_direct =
            ["direct", "none", "false"].iter().any(|word| setting.value.eq_ignore_ascii_case(word));
        let is_other = setting.tool == Tool::Ssh && proxy::of_command(&setting.value).is_none();
        if !setting.value.is_empty()
            && !is_other
            && !is_list
            && !is_direct
            && !values.contains(&setting.value)
        {
            values.push(setting.value.clone());
        }
    }
    values.truncate(MOST);
    values
}

/// The DNS servers of Windows' adapters that are up, each once, those of VPNs first.
fn adapter_servers(windows: &Windows) -> Vec<IpAddr> {
    let mut adapters: Vec<_> = windows.host.adapters.iter().filter(|adapter| adapter.up).collect();
    adapters.sort_by_key(|adapter| adapter.vpn.is_none());
    let of_adapters = adapters.into_iter().flat_map(|adapter| &adapter.dns_servers);
    let mut servers = Vec::new();
    for server in of_adapters
        .chain(&windows.host.dns_servers)
        .filter_map(|server| server.parse::<IpAddr>().ok())
    {
        if server.is_ipv4() && !server.is_loopback() && !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_name_no_proxy_are_not_tried_and_others_once() {
        let setting = |tool, key: &str, value: &str| ProxySetting::new(tool, None, key, value);
        let settings = [
            setting(Tool::Environment, "http_proxy", "http://a:1"),
            setting(Tool::Environment, "NO_PROXY", "localhost"),
            setting(Tool::Apt, "Acquire::http::Proxy", "http://a:1"),
            setting(Tool::Apt, "Acquire::http::Proxy::x", "DIRECT"),
            setting(Tool::Ssh, "ProxyCommand (*)", "nc -x b:1 %h %p"),
            setting(Tool::Ssh, "ProxyJump (*)", "jump"),
            setting(Tool::Git, "http.proxy", "socks5h://c:1"),
        ];
        assert_eq!(values(&settings), ["http://a:1", "nc -x b:1 %h %p", "socks5h://c:1"]);
    }

    #[test]
    fn around_the_tunnel_goes_what_is_bound_to_the_interface_or_to_an_address_that_stays() {
        let rule = |text: &str| Rule { priority: 30_060, table: Some(254), text: text.to_owned() };
        let address = "172.28.48.2".parse().unwrap();
        let device = |rules: &[Rule]| around(rules, address, Some("eth0")).device;
        let answers = rule("from 172.28.48.2 ipproto udp sport 1-32767 lookup main");
        assert_eq!(
            device(&[answers.clone(), rule("from all lookup main")]).as_deref(),
            Some("eth0")
        );
        assert_eq!(device(&[answers, rule("from 172.28.48.2 lookup main")]), None);
    }

    #[test]
    fn where_no_server_answers_the_system_has_no_answer_either() {
        let server = |last: u8| Asked::Nameserver(IpAddr::from([192, 0, 2, last]).into());
        let asks = |second: Lookup| {
            let mut asks = vec![
                ask(
                    Asked::System,
                    Transport::Udp,
                    "n.test",
                    NameKind::Public,
                    Lookup::NoSuchName { ms: 9 },
                ),
                ask(
                    server(1),
                    Transport::Udp,
                    "n.test",
                    NameKind::Public,
                    Lookup::Failed { why: Why::TimedOut, detail: String::new() },
                ),
                ask(server(2), Transport::Udp, "n.test", NameKind::Public, second),
            ];
            silence(&mut asks);
            asks.swap_remove(0).answer
        };
        let refused = Lookup::Failed { why: Why::Refused, detail: "no".to_owned() };
        assert!(matches!(asks(refused), Lookup::Failed { why: Why::TimedOut, .. }));
        assert_eq!(asks(Lookup::NoSuchName { ms: 1 }), Lookup::NoSuchName { ms: 9 });
    }
}
