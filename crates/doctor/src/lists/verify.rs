//! `settings verify`: whether a change of settings has brought what it should have.

use super::failures::{request_advice, text, time};
use super::item::{Item, Judged};
use crate::facts::Facts;
use crate::view::View;
use messages::{Sentence, Text, verify as words};
use probe::Failure;
use probe::resolver::{NameSeen, Resolution, ServerAnswer};
use std::net::IpAddr;
use std::time::Duration;
use wsl::{MOST_SERVERS, Nameserver, NetworkingMode, ResolvConf};

/// Everything that was looked at and tried.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The machine: its networking mode, interfaces, resolv.conf, and Windows.
    pub facts: Facts,
    /// Why Windows could not be asked.
    pub windows_trouble: Option<String>,
    /// The file that names the DNS servers.
    pub resolv_conf: String,
    /// Public names.
    pub public_names: Vec<NameSeen>,
    /// The host that stands for the outside.
    pub outside: ReachSeen,
    /// The service that reports the address by which the outside sees us; `None` if no service is
    /// to be asked.
    pub exit: Option<ExitSeen>,
    /// The proxies of the environment.
    pub proxies: Vec<ProxySeen>,
    /// The company's hosts.
    pub company_hosts: Vec<ReachSeen>,
    /// The company's names.
    pub company_names: Vec<NameSeen>,
}

/// What was seen of a host.
#[derive(Clone, Debug)]
pub struct ReachSeen {
    /// The host and its port.
    pub target: String,
    /// How long a connection took.
    pub outcome: Result<Duration, Failure>,
}

/// What was seen of the exit.
#[derive(Clone, Debug)]
pub struct ExitSeen {
    /// The service that was asked.
    pub url: String,
    /// The address that it sees.
    pub outcome: Result<IpAddr, Failure>,
}

/// What was seen of a proxy.
#[derive(Clone, Debug)]
pub struct ProxySeen {
    /// The variables that name it.
    pub variables: String,
    /// The proxy, without secrets.
    pub proxy: String,
    /// Whether it is to be on this machine.
    pub is_loopback: bool,
    /// Whether the host that stands for the outside is reached by it.
    pub outside: Result<Duration, Failure>,
    /// The address that the outside then sees; `None` if no service is to be asked.
    pub exit: Option<Result<IpAddr, Failure>>,
}

/// The items, in the order in which a packet depends on them.
static ITEMS: [fn(&Seen, &View<'_>) -> Vec<Item>; 8] = [
    |seen, view| vec![mode(seen, view)],
    servers,
    |seen, _| seen.public_names.iter().map(public_name).collect(),
    |seen, _| vec![outside(seen)],
    |seen, _| seen.exit.iter().map(|exit| exit_address(exit, &seen.proxies)).collect(),
    proxies,
    |seen, _| seen.company_hosts.iter().map(company_host).collect(),
    |seen, _| seen.company_names.iter().map(company_name).collect(),
];

/// The check list. No secret of the facts is in it.
#[must_use]
pub fn judge(seen: &Seen) -> Vec<Item> {
    let facts = seen.facts.masked();
    let view = View::new(&facts);
    ITEMS.iter().flat_map(|of| of(seen, &view)).collect()
}

fn mode(seen: &Seen, view: &View<'_>) -> Item {
    Item::new("mode", words::MODE.text(), mode_in_force(seen, view))
}

fn mode_in_force(seen: &Seen, view: &View<'_>) -> Judged {
    let Some(mode) = in_force(view) else { return Judged::skipped(words::NOT_WSL.text()) };
    let Some(windows) = view.windows() else {
        let why = seen.windows_trouble.as_deref().unwrap_or_default();
        let said = words::MODE_NOT_COMPARED.with("mode", mode.name()).with("why", why);
        return Judged::skipped(said);
    };
    // A name that WSL does not know leaves the default, as it does in WSL.
    let asked = view.mode_asked_for().and_then(NetworkingMode::by_name);
    let asked = asked.unwrap_or(NetworkingMode::Nat);
    if asked != mode {
        let said = words::MODE_DIFFERS.with("asked", asked.name()).with("mode", mode.name());
        let advice = match (asked, mode) {
            (NetworkingMode::Mirrored, _) => &words::MIRRORED_NOT_IN_FORCE,
            (NetworkingMode::Nat, NetworkingMode::VirtioProxy | NetworkingMode::None) => {
                &words::NAT_FELL_BACK
            }
            _ => &words::RESTART_WSL,
        };
        return Judged::failed(said).advise([advice.text()]);
    }
    let own = own(view);
    if mode != NetworkingMode::Mirrored {
        return Judged::passed(
            words::MODE_AS_ASKED.with("mode", mode.name()).with("own", list(&own)),
        );
    }
    let up = windows.host.adapters.iter().filter(|adapter| adapter.up);
    let addresses = up.flat_map(|adapter| &adapter.addresses);
    let windows: Vec<IpAddr> =
        addresses.filter_map(|net| net.split('/').next()?.parse().ok()).collect();
    let shared: Vec<_> = own.iter().copied().filter(|own| windows.contains(own)).collect();
    if shared.is_empty() {
        let said = words::NOT_SHARED.with("own", list(&own)).with("windows", list(&windows));
        return Judged::failed(said).advise([words::MIRRORED_NOT_IN_FORCE.text()]);
    }
    Judged::passed(words::MIRRORED_AS_ASKED.with("shared", list(&shared)))
}

/// The mode that is in force; `None` outside of WSL, where interfaces may look like one.
fn in_force(view: &View<'_>) -> Option<NetworkingMode> {
    let facts = view.facts;
    view.mode().filter(|_| facts.interop.is_wsl || facts.mode.by_wslinfo.is_some())
}

/// The addresses by which the VM is known: not those of loopback (DNS tunneling has one there),
/// tunnels, container bridges and IPv6's links.
fn own(view: &View<'_>) -> Vec<IpAddr> {
    let addresses = view.own_links().flat_map(|link| &link.addresses).map(|net| net.addr());
    let is_local = |address: &IpAddr| match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    addresses.filter(|address| !is_local(address)).collect()
}

fn servers(seen: &Seen, view: &View<'_>) -> Vec<Item> {
    const KEY: &str = "dns-server";
    let text = view.facts.resolv_conf.text.as_deref().unwrap_or_default();
    let servers = ResolvConf::read(text).named;
    if servers.is_empty() {
        let said = words::NO_SERVER.with("file", &seen.resolv_conf);
        let judged = Judged::failed(said).advise([words::ADVISE_DNS_AUTO.text()]);
        return vec![Item::new(KEY, words::SERVERS.text(), judged)];
    }
    let item = |(n, server)| {
        let judged = if n < MOST_SERVERS {
            answers(seen, server)
        } else {
            Judged::skipped(words::NOT_USED.with("count", MOST_SERVERS))
        };
        Item::new(KEY, words::SERVER.with("server", server), judged)
    };
    servers.iter().enumerate().map(item).collect()
}

/// Whether a server answers. One of the names may be gone; a server that knows another works.
fn answers(seen: &Seen, server: &Nameserver) -> Judged {
    let answers = seen.public_names.iter().filter_map(|name| {
        let answer = name.answers.iter().find(|(of, _)| of == server);
        answer.map(|(_, answer)| (name.name.as_str(), answer))
    });
    let is_good = |answer: &ServerAnswer| matches!(answer, ServerAnswer::Addresses { .. });
    let answers: Vec<_> = answers.collect();
    let telling = answers.iter().find(|(_, answer)| is_good(answer)).or_else(|| answers.first());
    let Some((name, answer)) = telling else {
        return Judged::skipped(words::NOTHING_ASKED.text());
    };
    let said = answer_text(name, answer);
    if is_good(answer) {
        Judged::passed(said)
    } else {
        Judged::failed(said).advise([words::ADVISE_DNS.text()])
    }
}

fn answer_text(name: &str, answer: &ServerAnswer) -> Text {
    match answer {
        ServerAnswer::Addresses { found, took } => words::ANSWERS
            .with("name", name)
            .with("time", time(*took))
            .with("addresses", list(found)),
        ServerAnswer::NoName => words::SAYS_NO_NAME.with("name", name),
        ServerAnswer::NoAddress => words::SAYS_NO_ADDRESS.with("name", name),
        ServerAnswer::Error(code) => words::ANSWERS_ERROR.with("name", name).with("code", code),
        ServerAnswer::Silent(patience) => words::SILENT.with("time", time(*patience)),
        ServerAnswer::NotAsked(why) => words::CANNOT_BE_ASKED.with("why", why),
    }
}

fn public_name(name: &NameSeen) -> Item {
    let judged = resolved(name, &words::ADVISE_DNS);
    Item::new("public-name", words::PUBLIC_NAME.with("name", &name.name), judged)
}

fn company_name(name: &NameSeen) -> Item {
    let judged = resolved(name, &words::ADVISE_COMPANY_DNS);
    Item::new("company-name", words::COMPANY_NAME.with("name", &name.name), judged)
}

fn resolved(name: &NameSeen, advice: &'static Sentence) -> Judged {
    // Some other server may know what the first one that answers denies.
    let order = |denier: &Nameserver| {
        let knows = name
            .answers
            .iter()
            .find(|(of, answer)| of != denier && matches!(answer, ServerAnswer::Addresses { .. }));
        knows
            .map_or_else(|| advice.text(), |(server, _)| words::ADVISE_ORDER.with("server", server))
    };
    match name.resolve() {
        Resolution::Hosts(found) => Judged::passed(words::IN_HOSTS.with("addresses", list(found))),
        Resolution::Server(server, found) => {
            Judged::passed(words::RESOLVED.with("server", server).with("addresses", list(found)))
        }
        Resolution::NoName(server) => {
            Judged::failed(words::DENIED.with("server", server)).advise([order(server)])
        }
        Resolution::NoAddress(server) => {
            Judged::failed(words::WITHOUT_ADDRESS.with("server", server)).advise([order(server)])
        }
        Resolution::Nobody => {
            Judged::failed(words::NO_SERVER_ANSWERS.text()).advise([advice.text()])
        }
    }
}

fn connected(took: Duration) -> Judged {
    Judged::passed(words::CONNECTED.with("time", time(took)))
}

/// An attempt that fails directly passes if a proxy carries it: a company may let nothing else
/// through, and programs that follow the variables work.
fn by_proxy_only(failure: &Failure, proxy: &ProxySeen) -> Judged {
    Judged::passed(text(failure)).and(words::BY_PROXY_ONLY.with("variables", &proxy.variables))
}

fn outside(seen: &Seen) -> Item {
    let judged = match &seen.outside.outcome {
        Ok(took) => connected(*took),
        Err(failure) => match seen.proxies.iter().find(|proxy| proxy.outside.is_ok()) {
            Some(proxy) => by_proxy_only(failure, proxy),
            None => Judged::failed(text(failure)).advise([words::ADVISE_DOCTOR.text()]),
        },
    };
    Item::new("outside", words::OUTSIDE.with("target", &seen.outside.target), judged)
}

fn exit_address(exit: &ExitSeen, proxies: &[ProxySeen]) -> Item {
    let judged = match &exit.outcome {
        Ok(address) => {
            Judged::passed(words::EXIT_SEEN.with("url", &exit.url).with("address", address))
        }
        Err(failure) => match proxies.iter().find(|proxy| matches!(proxy.exit, Some(Ok(_)))) {
            Some(proxy) => by_proxy_only(failure, proxy),
            None => {
                Judged::failed(text(failure)).advise(request_advice(failure).map(Sentence::text))
            }
        },
    };
    Item::new("exit", words::EXIT.text(), judged)
}

fn proxies(seen: &Seen, view: &View<'_>) -> Vec<Item> {
    const KEY: &str = "proxy";
    if seen.proxies.is_empty() {
        let judged = Judged::skipped(words::PROXY_NOT_SET.text());
        return vec![Item::new(KEY, words::PROXIES.text(), judged)];
    }
    let item = |proxy: &ProxySeen| {
        let subject = words::PROXY.with("variables", &proxy.variables);
        Item::new(KEY, subject, proxy_in_force(seen, proxy, in_force(view)))
    };
    seen.proxies.iter().map(item).collect()
}

/// Whether a proxy works, and whether it is in force, which shows by the address that the outside
/// sees.
fn proxy_in_force(seen: &Seen, proxy: &ProxySeen, mode: Option<NetworkingMode>) -> Judged {
    // A service that the proxy reaches says more than the outside, which its rules may bar.
    if let (Some(exit), Some(Ok(address))) = (&seen.exit, &proxy.exit) {
        let text = |sentence: &'static Sentence| {
            sentence.with("proxy", &proxy.proxy).with("url", &exit.url).with("address", address)
        };
        return match &exit.outcome {
            Ok(direct) if direct == address => {
                Judged::passed(text(&words::SAME_EXIT)).advise([words::ADVISE_SAME_EXIT.text()])
            }
            Ok(direct) => Judged::passed(text(&words::OTHER_EXIT).with("direct", direct)),
            Err(_) => Judged::passed(text(&words::ONLY_EXIT)),
        };
    }
    match (&proxy.outside, &proxy.exit) {
        (Err(failure), _) => {
            Judged::failed(text(failure)).advise(proxy_advice(failure, proxy, mode))
        }
        (Ok(_), Some(Err(failure))) => {
            Judged::failed(text(failure)).advise(request_advice(failure).map(Sentence::text))
        }
        (Ok(_), Some(Ok(_)) | None) => Judged::passed(
            words::PROXY_REACHES.with("proxy", &proxy.proxy).with("target", &seen.outside.target),
        ),
    }
}

/// What to try where the proxy itself gives no connection.
fn proxy_advice(
    failure: &Failure,
    proxy: &ProxySeen,
    mode: Option<NetworkingMode>,
) -> Option<Text> {
    // A proxy's own words say it.
    if matches!(failure, Failure::ProxyNotUsable { .. } | Failure::Proxy { .. }) {
        return None;
    }
    Some(match mode {
        Some(NetworkingMode::Mirrored) | None => words::ADVISE_PROXY_STARTED.text(),
        Some(mode) if proxy.is_loopback => words::ADVISE_OWN_LOOPBACK.with("mode", mode.name()),
        Some(_) => words::ADVISE_ALLOW_LAN.text(),
    })
}

fn company_host(host: &ReachSeen) -> Item {
    let judged = match &host.outcome {
        Ok(took) => connected(*took),
        Err(failure @ Failure::Unresolved { .. }) => {
            Judged::failed(text(failure)).advise([words::ADVISE_COMPANY_DNS.text()])
        }
        Err(failure) => Judged::failed(text(failure)).advise([words::ADVISE_COMPANY_HOST.text()]),
    };
    Item::new("company-host", words::COMPANY_HOST.with("target", &host.target), judged)
}

fn list(addresses: &[IpAddr]) -> String {
    if addresses.is_empty() {
        return "-".to_owned();
    }
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
