//! The decision of Windows' proxy settings for a destination, in the order in which Windows' own
//! programs apply them: script, setting, bypass list. Knows no Windows: the settings are data, and
//! the caller supplies the function that runs a script.

use super::Route;
use proxy::{Host, ProxyUrl, Target, windows};
use std::net::{IpAddr, SocketAddr};
use wire::HostProxy;
use wire::facts::Proxy;

/// The destination in question.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked {
    /// Its URL, for scripts and people.
    pub(crate) url: String,
    name: Option<String>,
    address: Option<IpAddr>,
    port: u16,
}

impl Asked {
    /// A connection. Only its port indicates its purpose: port 80 counts as a web page's, all
    /// others as one that needs a tunnel.
    pub(crate) fn connection(to: SocketAddr, name: Option<&str>) -> Self {
        let address = to.ip().to_canonical();
        let host = name.map_or_else(|| Host::Address(address).to_string(), ToOwned::to_owned);
        let url = match to.port() {
            80 => format!("http://{host}/"),
            443 => format!("https://{host}/"),
            port => format!("https://{host}:{port}/"),
        };
        Self { url, name: name.map(ToOwned::to_owned), address: Some(address), port: to.port() }
    }

    /// A URL with a host; `None` if it has no host.
    pub(crate) fn url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = Target::read(place)?;
        let port = port.unwrap_or(if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 });
        let (name, address) = match host {
            Host::Name(name) => (Some(name), None),
            Host::Address(address) => (None, Some(address)),
        };
        Some(Self { url: url.to_owned(), name, address, port })
    }
}

/// The decision of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Empty: directly.
    pub(crate) proxies: Vec<ProxyUrl>,
    /// The setting that decided; see [`HostProxy::by`].
    by: &'static str,
    /// Why the script could not be run.
    pub(crate) trouble: Option<String>,
}

impl Decision {
    pub(crate) fn route(&self) -> Route {
        if self.proxies.is_empty() { Route::Direct } else { Route::Through(self.proxies.clone()) }
    }

    pub(crate) fn report(&self, asked: &Asked) -> HostProxy {
        HostProxy {
            url: proxy::mask(&asked.url),
            proxies: self.proxies.iter().map(ToString::to_string).collect(),
            by: self.by.to_owned(),
            trouble: self.trouble.clone(),
        }
    }
}

/// Applies the settings. `script` runs the script that they name or search for, and returns its
/// list of proxies, or nothing for a direct connection.
pub(crate) fn decide(
    settings: &Proxy,
    asked: &Asked,
    script: impl FnOnce(&str) -> Result<Option<String>, String>,
) -> Decision {
    let decision = |proxies, by| Decision { proxies, by, trouble: None };
    let mut trouble = None;
    if settings.auto_detect || settings.pac_url.is_some() {
        match script(&asked.url) {
            Ok(list) => {
                return decision(windows::proxies(&list.unwrap_or_default(), asked.port), "script");
            }
            // If the settings only search for a script, a network without one is usual.
            Err(why) => trouble = settings.pac_url.is_some().then_some(why),
        }
    }
    let found = match &settings.proxy {
        None => decision(Vec::new(), "none"),
        Some(_)
            if windows::bypasses(
                settings.bypass.as_deref().unwrap_or_default(),
                asked.name.as_deref(),
                asked.address,
                asked.port,
            ) =>
        {
            decision(Vec::new(), "bypass")
        }
        Some(setting) => decision(windows::proxies(setting, asked.port), "setting"),
    };
    Decision { trouble, ..found }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(
        settings: &Proxy,
        url: &str,
        script: Result<Option<&str>, &str>,
    ) -> (Vec<String>, String, Option<String>) {
        let asked = Asked::url(url).unwrap();
        let answer = |_: &str| script.map(|list| list.map(str::to_owned)).map_err(str::to_owned);
        let HostProxy { proxies, by, trouble, .. } =
            decide(settings, &asked, answer).report(&asked);
        (proxies, by, trouble)
    }

    fn settings(pac: Option<&str>, proxy: Option<&str>) -> Proxy {
        Proxy {
            auto_detect: false,
            pac_url: pac.map(str::to_owned),
            proxy: proxy.map(str::to_owned),
            bypass: Some("<local>;*.corp.test;10.*".to_owned()),
        }
    }

    #[test]
    fn a_script_goes_first_and_a_broken_one_leaves_it_to_the_setting() {
        let both = settings(Some("http://x/pac"), Some("proxy:3128"));
        let one = |proxy: &str, by: &str| (vec![proxy.to_owned()], by.to_owned(), None);
        assert_eq!(report(&both, "https://a.test/", Ok(Some("s:1"))), one("http://s:1", "script"));
        let asked = Asked::url("https://a.test/").unwrap();
        assert_eq!(decide(&both, &asked, |_| Ok(None)).route(), Route::Direct);
        let through = decide(&both, &asked, |_| Ok(Some("s:1".to_owned()))).route();
        assert_eq!(through, Route::Through(vec!["http://s:1".parse().unwrap()]));
        assert_eq!(report(&both, "https://a.test/", Ok(None)), (vec![], "script".to_owned(), None));
        let broken = report(&both, "https://a.test/", Err("away"));
        assert_eq!(
            broken,
            (vec!["http://proxy:3128".to_owned()], "setting".to_owned(), Some("away".to_owned()))
        );
        let searched = Proxy { auto_detect: true, ..settings(None, None) };
        assert_eq!(
            report(&searched, "https://a.test/", Err("none")),
            (vec![], "none".to_owned(), None)
        );
    }

    #[test]
    fn the_bypass_list_is_followed_and_without_a_setting_there_is_no_proxy() {
        let fixed = settings(None, Some("http=a:1;https=b:2"));
        let must_not = Err("no script is run");
        assert_eq!(report(&fixed, "http://x.test/p", must_not).0, ["http://a:1"]);
        assert_eq!(report(&fixed, "https://x.test", must_not).0, ["http://b:2"]);
        for direct in ["https://intranet/", "https://me@a.corp.test:8443/?x", "https://10.0.0.1/"] {
            assert_eq!(
                report(&fixed, direct, must_not),
                (vec![], "bypass".to_owned(), None),
                "{direct}"
            );
        }
        assert_eq!(
            report(&settings(None, None), "https://x.test", must_not),
            (vec![], "none".to_owned(), None)
        );
    }

    #[test]
    fn connections_are_asked_about_as_urls() {
        let url = |to: &str, name| Asked::connection(to.parse().unwrap(), name).url;
        assert_eq!(url("192.0.2.1:443", Some("a.test")), "https://a.test/");
        assert_eq!(url("192.0.2.1:80", Some("a.test")), "http://a.test/");
        assert_eq!(url("[2001:db8::1]:22", None), "https://[2001:db8::1]:22/");
        assert_eq!(Asked::url("a.test:443"), None);
        assert_eq!(Asked::url("https:///x"), None);
        let secret = Asked::url("https://me:secret@a.test/").unwrap();
        assert!(
            !decide(&Proxy::default(), &secret, |_| Ok(None))
                .report(&secret)
                .url
                .contains("secret")
        );
    }
}
