//! A proxy, with the scheme by which tools are to know it.

use proxy::{Host, ProxyUrl, ProxyUrlError};
use std::fmt;
use std::str::FromStr;

/// How a tool speaks to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// HTTP, with CONNECT for https.
    Http,
    /// SOCKS5; some tools then resolve names themselves.
    Socks5,
    /// SOCKS5 whose proxy resolves names.
    Socks5h,
}

impl Scheme {
    /// As URLs begin.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let known = [Self::Http, Self::Socks5, Self::Socks5h]
            .into_iter()
            .find(|scheme| scheme.as_str() == text);
        known.ok_or_else(|| ProxyError::Scheme { given: text.to_owned() })
    }
}

/// Why this is not a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// An unknown scheme.
    #[error("unknown scheme '{given}': --scheme takes http, socks5 or socks5h")]
    Scheme {
        /// What was given.
        given: String,
    },
    /// The URL says no proxy.
    #[error("'{shown}' is not a proxy: {problem}")]
    Url {
        /// The URL without its secrets.
        shown: String,
        /// What is wrong with it.
        problem: ProxyUrlError,
    },
}

/// A proxy. [`fmt::Display`] hides user and password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    url: ProxyUrl,
    scheme: Scheme,
}

impl Proxy {
    /// A proxy by its parts; `host` may be an IPv6 address without brackets.
    ///
    /// # Errors
    /// The host cannot be one.
    pub fn new(scheme: Scheme, host: &str, port: u16) -> Result<Self, ProxyError> {
        // Written by `Host`, an IPv6 address has its brackets.
        format!("{scheme}://{}:{port}", Host::parse(host)).parse()
    }

    /// Its protocol, as the user named it.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Where it is, with user and password.
    #[must_use]
    pub const fn url(&self) -> &ProxyUrl {
        &self.url
    }

    /// The URL that tools are given, **with user and password**.
    #[must_use]
    pub fn with_secrets(&self) -> String {
        self.with_secrets_as(self.scheme)
    }

    /// The same under another scheme.
    #[must_use]
    pub fn with_secrets_as(&self, scheme: Scheme) -> String {
        let url = self.url.with_secrets();
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        format!("{scheme}://{rest}")
    }

    /// Whether it is on this machine's own loopback.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.url.host().is_loopback()
    }

    /// Whether it wants a user.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        self.url.credentials().is_some()
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.to_string();
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        write!(f, "{}://{rest}", self.scheme)
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let url: ProxyUrl = text
            .parse()
            .map_err(|problem| ProxyError::Url { shown: proxy::mask(text), problem })?;
        let has_names_resolved =
            text.trim().get(..8).is_some_and(|head| head.eq_ignore_ascii_case("socks5h:"));
        let scheme = match url.scheme() {
            proxy::Scheme::Http => Scheme::Http,
            proxy::Scheme::Socks5 if has_names_resolved => Scheme::Socks5h,
            proxy::Scheme::Socks5 => Scheme::Socks5,
        };
        Ok(Self { url, scheme })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_kept_and_secrets_are_shown_to_tools_only() {
        let proxy: Proxy = "socks5h://me:s3cret@proxy:1080".parse().unwrap();
        assert_eq!(
            (proxy.scheme(), proxy.to_string().as_str()),
            (Scheme::Socks5h, "socks5h://***@proxy:1080")
        );
        assert_eq!(proxy.with_secrets(), "socks5h://me:s3cret@proxy:1080");
        assert_eq!(proxy.with_secrets_as(Scheme::Socks5), "socks5://me:s3cret@proxy:1080");
        assert!(!format!("{proxy:?}").contains("s3cret"));
        let error = "ftp://me:s3cret@proxy:21".parse::<Proxy>().unwrap_err().to_string();
        assert!(error.contains("ftp") && !error.contains("s3cret"), "{error}");
        assert_eq!("proxy:3128".parse::<Proxy>().unwrap().with_secrets(), "http://proxy:3128");
    }

    #[test]
    fn a_proxy_by_its_parts() {
        assert_eq!(
            Proxy::new(Scheme::Http, "fd00::1", 80).unwrap().with_secrets(),
            "http://[fd00::1]:80"
        );
        assert!(Proxy::new(Scheme::Http, "a b", 80).is_err());
        for own in ["127.0.0.1", "::1", "LocalHost", "localhost."] {
            assert!(Proxy::new(Scheme::Socks5, own, 1).unwrap().is_loopback(), "{own}");
        }
        assert!(!Proxy::new(Scheme::Socks5, "172.28.48.1", 1).unwrap().is_loopback());
        assert!("https".parse::<Scheme>().is_err());
    }
}
