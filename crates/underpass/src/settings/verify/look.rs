//! Looks at every item at once, so that the slowest one is all that one waits for.

use super::VerifyOptions;
use crate::windows::Relay;
use doctor::verify::{ExitSeen, ModeSeen, ProxySeen, ReachSeen, Seen, WindowsSeen};
use futures_util::future::join_all;
use gateway::net::Net;
use probe::Failure;
use probe::client::{Client, Way};
use probe::http::Url;
use probe::resolver::Resolver;
use proxy::{ProxyUrl, Target, mask};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use wsl::network::Link;
use wsl::{NetworkingMode, ResolvConf};

/// Variables that name a proxy, in the order in which they are shown.
const VARIABLES: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Looks at everything; `echo` is the service that shows the exit.
pub(super) async fn look(options: &VerifyOptions, echo: Option<&Url>) -> Seen {
    let patience = Duration::from_secs(options.timeout);
    // Without such a file there is no server, and an item says so.
    let conf = ResolvConf::read(&std::fs::read_to_string(&options.resolv_conf).unwrap_or_default());
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let servers = conf.named.clone();
    let resolver = Resolver::new(conf, hosts, patience);
    let client = Client { resolver: &resolver, patience };
    let names = |names: &[String]| {
        let names = names.to_vec();
        let resolver = &resolver;
        async move { join_all(names.iter().map(|name| resolver.look_up(name))).await }
    };
    let exit = async {
        let url = echo?;
        Some(ExitSeen { url: url.to_string(), outcome: client.exit(url, Way::Direct).await })
    };
    let settings = proxies(|name| std::env::var(name).ok());
    let proxies = join_all(
        settings.into_iter().map(|setting| proxy(client, &options.outside, echo, setting)),
    );
    let company_hosts = join_all(options.company_host.iter().map(|host| async move {
        ReachSeen { target: host.to_string(), outcome: client.reach(host, Way::Direct).await }
    }));
    let (mode, public_names, outside, exit, proxies, company_hosts, company_names) = tokio::join!(
        mode(options.relay.clone()),
        names(&options.public_name),
        client.reach(&options.outside, Way::Direct),
        exit,
        proxies,
        company_hosts,
        names(&options.company_name),
    );
    Seen {
        mode,
        resolv_conf: options.resolv_conf.display().to_string(),
        servers,
        public_names,
        outside: ReachSeen { target: options.outside.to_string(), outcome: outside },
        exit,
        proxies,
        company_hosts,
        company_names,
    }
}

/// A proxy that the environment names.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    /// The variables that have this value.
    variables: Vec<&'static str>,
    value: String,
}

/// The proxies of the environment, each once.
fn proxies(variable: impl Fn(&str) -> Option<String>) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for name in VARIABLES {
        let Some(value) = variable(name).filter(|value| !value.trim().is_empty()) else { continue };
        match settings.iter_mut().find(|setting| setting.value == value) {
            Some(setting) => setting.variables.push(name),
            None => settings.push(Setting { variables: vec![name], value }),
        }
    }
    settings
}

async fn proxy(
    client: Client<'_>,
    outside: &Target,
    echo: Option<&Url>,
    setting: Setting,
) -> ProxySeen {
    let variables = setting.variables.join(", ");
    let proxy = match setting.value.parse::<ProxyUrl>() {
        Ok(proxy) => proxy,
        Err(error) => {
            let value = mask(&setting.value);
            let failure = Failure::ProxyNotUsable { value: value.clone(), why: error.to_string() };
            return ProxySeen {
                variables,
                proxy: value,
                is_loopback: false,
                outside: Err(failure),
                exit: None,
            };
        }
    };
    let way = Way::Proxy(&proxy);
    let exit = async { Some(client.exit(echo?, way).await) };
    let (outside, exit) = tokio::join!(client.reach(outside, way), exit);
    ProxySeen {
        variables,
        proxy: proxy.to_string(),
        is_loopback: proxy.host().is_loopback(),
        outside,
        exit,
    }
}

async fn mode(relay: Option<PathBuf>) -> ModeSeen {
    let survey = async { Net::open()?.survey().await }.await;
    let survey = match survey {
        Ok(survey) => survey,
        Err(error) => {
            tracing::warn!(%error, "the kernel's network cannot be read");
            return ModeSeen { in_force: None, own: Vec::new(), windows: Err(String::new()) };
        }
    };
    let in_force = match survey.wslinfo {
        Some(name) => NetworkingMode::by_name(&name),
        None if gateway::is_wsl() => survey.signs,
        None => None,
    };
    let windows = match in_force {
        Some(_) => windows(relay).await,
        None => Err(String::new()),
    };
    ModeSeen { in_force, own: own(&survey.links), windows }
}

/// The addresses by which the VM is known: not those of loopback (DNS tunneling has one there),
/// tunnels, container bridges and IPv6's links.
fn own(links: &[Link]) -> Vec<IpAddr> {
    let is_special =
        |link: &&Link| link.name == "lo" || matches!(link.kind.as_deref(), Some("tun" | "bridge"));
    let addresses = links.iter().filter(|link| !is_special(link)).flat_map(|link| &link.addresses);
    let is_local = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    addresses.map(|net| net.addr()).filter(|address| !is_local(*address)).collect()
}

async fn windows(relay: Option<PathBuf>) -> Result<WindowsSeen, String> {
    let facts = Relay::find(relay).await.facts().await.outcome;
    let facts = facts.map_err(|error| error.to_string())?;
    let addresses =
        facts.adapters.iter().filter(|adapter| adapter.up).flat_map(|adapter| &adapter.addresses);
    let addresses = addresses.filter_map(|net| net.split('/').next()?.parse().ok()).collect();
    let wslconfig = facts.wslconfig.and_then(|file| file.text).unwrap_or_default();
    Ok(WindowsSeen { addresses, wslconfig })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_proxy_of_the_environment_is_tried_once() {
        let set = [
            ("HTTPS_PROXY", "http://p:1"),
            ("http_proxy", "http://p:1"),
            ("ALL_PROXY", "socks5://p:2"),
            ("all_proxy", " "),
        ];
        let found = proxies(|name| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        });
        let setting = |variables: &[&'static str], value: &str| Setting {
            variables: variables.to_vec(),
            value: value.to_owned(),
        };
        assert_eq!(
            found,
            [
                setting(&["http_proxy", "HTTPS_PROXY"], "http://p:1"),
                setting(&["ALL_PROXY"], "socks5://p:2")
            ]
        );
    }

    #[test]
    fn the_vms_addresses_are_those_of_its_adapters() {
        let link = |name: &str, kind: Option<&str>, addresses: &[&str]| Link {
            name: name.to_owned(),
            kind: kind.map(ToOwned::to_owned),
            up: true,
            mtu: 1500,
            addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        };
        let links = [
            link("lo", None, &["127.0.0.1/8", "10.255.255.254/32", "::1/128"]),
            link("eth0", None, &["172.28.48.2/20", "fe80::1/64", "2001:db8::2/64"]),
            link("underpass0", Some("tun"), &["192.168.127.2/28"]),
            link("docker0", Some("bridge"), &["172.17.0.1/16"]),
        ];
        let expected = ["172.28.48.2", "2001:db8::2"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(own(&links), expected);
    }
}
