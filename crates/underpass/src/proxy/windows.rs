//! Windows' own proxy setting, which the relay reports.

use super::host::{self, View};
use crate::windows::Relay;
use anyhow::Context as _;
use config::tools::{Proxy, Scheme};
use messages::Text;
use probe::http::Url;
use proxy::{Host, ProxyUrl, mask};

/// The proxy that Windows uses for a URL, by its address here, and how its host was found if that
/// is Windows itself; nothing where Windows goes there directly.
pub(super) async fn proxy(url: &Url, view: &View) -> anyhow::Result<Option<(Proxy, Option<Text>)>> {
    let said = Relay::find(None).await.proxy_for(&url.to_string()).await.outcome;
    let said = said.context(
        "Windows' proxy setting cannot be read; give the proxy with --proxy or --host and --port",
    )?;
    if let Some(trouble) = &said.trouble {
        anyhow::bail!(
            "Windows' proxy script cannot be evaluated: {}; give the proxy with --proxy",
            mask(trouble)
        );
    }
    let Some(first) = said.proxies.first() else { return Ok(None) };
    let proxy: Proxy = first.parse().context("Windows' proxy cannot be used")?;
    let is_own = proxy.is_loopback();
    if !is_own {
        return Ok(Some((proxy, None)));
    }
    // Windows' 127.0.0.1 has another address here.
    let (host, how) = host::auto(view)?;
    Ok(Some((moved(proxy.url(), proxy.scheme(), &host)?, Some(how))))
}

/// The same proxy at another address.
fn moved(url: &ProxyUrl, scheme: Scheme, host: &str) -> anyhow::Result<Proxy> {
    let whole = url.with_secrets();
    let who = whole
        .rsplit_once('@')
        .and_then(|(who, _)| who.split_once("://"))
        .map(|(_, who)| format!("{who}@"));
    Ok(format!("{scheme}://{}{}:{}", who.unwrap_or_default(), Host::parse(host), url.port())
        .parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_of_windows_own_loopback_is_moved_with_its_user() {
        let url: ProxyUrl = "http://me:p%40w@127.0.0.1:7890".parse().unwrap();
        let moved = moved(&url, Scheme::Http, "172.28.48.1").unwrap();
        assert_eq!(moved.with_secrets(), "http://me:p%40w@172.28.48.1:7890");
        assert_eq!(moved.to_string(), "http://***@172.28.48.1:7890");
    }
}
