//! `proxy test`: tries what is set, step by step, each with its time. The crate `doctor` judges the
//! steps, the crate `probe` makes the attempts.

use super::args::TestOptions;
use super::status::settings;
use super::{Usage, web_address};
use crate::list::Listing;
use config::tools::{Proxy, ProxySetting, Tool};
use doctor::lists::{ItemState, Judged, proxy_test};
use messages::proxies as words;
use probe::Failure;
use probe::client::{Client, Names, Way, place_of};
use probe::dns::addresses;
use probe::http::Url;
use proxy::{Host, ProxyUrl, Scheme, mask};
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::timeout;

/// For each step. A proxy on the other side of the world that asks a slow server takes some
/// seconds.
const PATIENCE: Duration = Duration::from_secs(8);

/// For the machine's own resolver, which asks a silent server for 5 s and then another.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(4);

/// For a protocol that the proxy need not speak.
const OTHER_PATIENCE: Duration = Duration::from_secs(2);

const CLIENT: Client<'static> = Client { names: Names::System, patience: PATIENCE };

/// The variables by which most programs find the proxy for a page.
const MAIN: [&str; 6] =
    ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

pub(super) async fn test(options: &TestOptions) -> anyhow::Result<ExitCode> {
    let urls = options.urls.iter().map(|url| web_address(url)).collect::<Result<Vec<Url>, _>>()?;
    let mut list = Listing::new(options.json);
    if let Some(proxy) = &options.proxy {
        let proxy = proxy.parse::<Proxy>().map_err(|error| Usage(error.into()))?;
        whole(&mut list, &proxy, &urls).await;
    } else {
        that_are_set(&mut list, &urls).await?;
    }
    list.end()
}

/// A step within its time.
async fn within(step: impl Future<Output = Judged>) -> Judged {
    let late = || Judged::failed(words::NO_ANSWER.with("seconds", PATIENCE.as_secs()));
    timeout(PATIENCE, step).await.unwrap_or_else(|_| late())
}

/// Tries the environment's proxy, and each tool's own setting.
async fn that_are_set(list: &mut Listing, urls: &[Url]) -> anyhow::Result<()> {
    let settings = settings().await?;
    let used = settings
        .tools
        .into_iter()
        .filter_map(|(tool, found)| Some((tool, found.into_iter().next()?)));
    // Of tools without a setting of their own the environment's is tried once, not nine times.
    let has_own = |(_, found): &(Tool, ProxySetting)| {
        found.tool != Tool::Environment && !found.value.is_empty()
    };
    let tools: Vec<(Tool, ProxySetting)> = used.filter(has_own).collect();
    let environment = proxy_test::environment(&settings.variables, !tools.is_empty());
    list.take("environment", words::TEST_ENVIRONMENT.text(), async { environment }).await;
    let main =
        MAIN.iter().find_map(|name| settings.variables.iter().find(|(known, _)| known == name));
    if let Some((name, value)) = main {
        match usable(value) {
            Ok(proxy) => whole(list, &proxy, urls).await,
            Err(failure) => {
                let what = words::TEST_PORT.with("proxy", format!("${name}"));
                list.take("port", what, async { proxy_test::page(&Err(failure)) }).await;
            }
        }
    }
    let Some(url) = urls.first() else { return Ok(()) };
    for (tool, found) in &tools {
        let what = words::TEST_TOOL
            .with("tool", tool)
            .with("proxy", mask(&found.value))
            .with("place", found.place());
        let step = async {
            let page = match usable(&found.value) {
                Ok(proxy) => CLIENT.page(url, &url.target.host, proxy.url()).await,
                Err(failure) => Err(failure),
            };
            proxy_test::page(&page)
        };
        list.take(tool.name(), what, within(step)).await;
    }
    Ok(())
}

fn usable(value: &str) -> Result<Proxy, Failure> {
    value
        .parse::<Proxy>()
        .map_err(|error| Failure::ProxyNotUsable { value: mask(value), why: error.to_string() })
}

/// Every step of one proxy; the first only, where its port takes no connection.
async fn whole(list: &mut Listing, proxy: &Proxy, urls: &[Url]) {
    let place = place_of(proxy.url());
    let port = async { proxy_test::port(&CLIENT.reach(&place, Way::Direct).await) };
    let what = words::TEST_PORT.with("proxy", proxy);
    if list.take("port", what, within(port)).await == ItemState::Failed {
        return;
    }
    // Of pages of one host its name is resolved once.
    let mut hosts: Vec<(&Host, Vec<IpAddr>)> = Vec::new();
    let mut any = false;
    for url in urls {
        let host = &url.target.host;
        if matches!(host, Host::Name(_)) && !hosts.iter().any(|(known, _)| *known == host) {
            let found = resolve(list, host).await;
            hosts.push((host, found));
        }
        let found =
            hosts.iter().find(|(known, _)| *known == host).and_then(|(_, found)| found.first());
        any |= page(list, proxy, url, found.copied()).await;
    }
    if !any && let Some(url) = urls.first() {
        other_protocol(list, proxy, url).await;
    }
}

/// What this machine's resolver answers.
async fn resolve(list: &mut Listing, host: &Host) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let step = async {
        found = timeout(RESOLVER_PATIENCE, addresses(host)).await.unwrap_or_default();
        proxy_test::resolved(host, &found)
    };
    list.take("dns", words::TEST_DNS.with("host", host), step).await;
    found
}

/// A page, as programs ask for it: by its name. Where that fails it is asked for by its address.
async fn page(list: &mut Listing, proxy: &Proxy, url: &Url, address: Option<IpAddr>) -> bool {
    let (host, by) = (&url.target.host, proxy.url());
    let step = async { proxy_test::page(&CLIENT.page(url, host, by).await) };
    let what = words::TEST_REQUEST.with("url", url);
    if list.take("request", what, within(step)).await != ItemState::Failed {
        return true;
    }
    if let Some(address) = address {
        let url = url.at(Host::Address(address));
        let step = async { proxy_test::by_address(&CLIENT.page(&url, host, by).await) };
        list.take("address", words::TEST_ADDRESS.with("url", &url), within(step)).await;
    }
    false
}

/// Whether it speaks the protocol that it is not set as. A good proxy may be silent to that.
async fn other_protocol(list: &mut Listing, proxy: &Proxy, url: &Url) {
    let (other, what) = match proxy.url().scheme() {
        Scheme::Http => (Scheme::Socks5, &words::TEST_SOCKS),
        Scheme::Socks5 => (Scheme::Http, &words::TEST_CONNECT),
    };
    let step = async {
        let other = with_scheme(proxy.url(), other);
        let spoken = match &other {
            Some(other) => {
                let reach = CLIENT.reach(&url.target, Way::Proxy(other));
                matches!(timeout(OTHER_PATIENCE, reach).await, Ok(Ok(_)))
            }
            None => false,
        };
        proxy_test::other_protocol(other.as_ref().filter(|_| spoken))
    };
    list.take("other-protocol", what.with("proxy", proxy), step).await;
}

/// The proxy's URL with another scheme.
fn with_scheme(proxy: &ProxyUrl, scheme: Scheme) -> Option<ProxyUrl> {
    let as_set = proxy.with_secrets();
    let (_, rest) = as_set.split_once("://")?;
    format!("{}://{rest}", scheme.as_str()).parse().ok()
}
