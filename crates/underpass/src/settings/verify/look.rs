//! Looks at every item at once, so that the slowest one is all that one waits for.

use super::VerifyOptions;
use crate::doctor::machine::{self, Machine};
use crate::doctor::windows;
use crate::progress::{Progress, Result as Outcome};
use doctor::facts::Windows;
use doctor::lists::verify::{ExitSeen, ProxySeen, ReachSeen, Seen};
use futures_util::future::join_all;
use messages::doctor_probes::DOING_WINDOWS;
use messages::verify as words;
use probe::Failure;
use probe::client::{Client, Names, Way};
use probe::http::Url;
use probe::resolver::{NameSeen, Resolver};
use proxy::{ProxyUrl, Target, mask};
use std::time::Duration;
use wsl::ResolvConf;

/// Variables that name a proxy, in the order in which they are shown.
const VARIABLES: [&str; 6] =
    ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/// Looks at everything; `echo` is the service that shows the exit.
pub(super) async fn look(options: &VerifyOptions, echo: Option<&Url>, progress: &Progress) -> Seen {
    let patience = Duration::from_secs(options.timeout);
    let found = progress.watch(
        words::MODE.text(),
        |found: &Machine| any([found.trouble.is_none()]),
        machine::look(&options.resolv_conf),
    );
    let Machine { mut facts, trouble, .. } = found.await;
    if let Some(error) = trouble {
        tracing::warn!(%error, "the kernel's network cannot be read");
    }
    // Without such a file there is no server, and an item says so.
    let conf = ResolvConf::read(facts.resolv_conf.text.as_deref().unwrap_or_default());
    let resolver = Resolver::new(conf, facts.hosts.clone().unwrap_or_default(), patience);
    let client = Client { names: Names::By(&resolver), patience };
    let names = |names: &[String]| {
        let names = names.to_vec();
        let resolver = &resolver;
        async move { join_all(names.iter().map(|name| resolver.look_up(name))).await }
    };
    let exit = async {
        let url = echo?;
        let exit = client.exit(url, Way::Direct);
        let outcome = progress.watch(words::EXIT.text(), |seen| any([seen.is_ok()]), exit).await;
        Some(ExitSeen { url: url.to_string(), outcome })
    };
    let settings = proxies(|name| std::env::var(name).ok());
    let proxies = join_all(
        settings.into_iter().map(|setting| proxy(client, &options.outside, echo, setting)),
    );
    let company = async {
        let hosts = join_all(options.company_host.iter().map(|host| async move {
            ReachSeen { target: host.to_string(), outcome: client.reach(host, Way::Direct).await }
        }));
        tokio::join!(hosts, names(&options.company_name))
    };
    let windows = async {
        if !facts.interop.is_wsl && facts.mode.by_wslinfo.is_none() {
            return None;
        }
        let facts = windows::facts(options.relay.clone());
        let is_known = |windows: &Result<Windows, String>| any([windows.is_ok()]);
        Some(progress.watch(DOING_WINDOWS.text(), is_known, facts).await)
    };
    let (windows, public_names, outside, exit, proxies, company) = tokio::join!(
        windows,
        progress.watch(
            words::SERVERS.text(),
            |seen: &Vec<NameSeen>| any(seen.iter().map(|name| !name.addresses().is_empty())),
            names(&options.public_name)
        ),
        progress.watch(
            words::OUTSIDE.with("target", &options.outside),
            |outcome| any([outcome.is_ok()]),
            client.reach(&options.outside, Way::Direct)
        ),
        exit,
        progress.watch(
            words::PROXIES.text(),
            |seen: &Vec<ProxySeen>| any(seen.iter().map(|proxy| proxy.outside.is_ok())),
            proxies
        ),
        company,
    );
    let (windows, windows_trouble) = match windows {
        Some(Ok(windows)) => (Some(windows), None),
        Some(Err(trouble)) => (None, Some(trouble)),
        None => (None, None),
    };
    machine::add_windows(&mut facts, windows);
    Seen {
        facts,
        windows_trouble,
        resolv_conf: options.resolv_conf.display().to_string(),
        public_names,
        outside: ReachSeen { target: options.outside.to_string(), outcome: outside },
        exit,
        proxies,
        company_hosts: company.0,
        company_names: company.1,
    }
}

fn any(outcomes: impl IntoIterator<Item = bool>) -> Outcome {
    Outcome::of_any(outcomes.into_iter().map(Some))
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
}
