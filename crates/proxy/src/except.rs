//! Exceptions from a proxy: networks, domains and names, in the forms that people write.

use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Except {
    /// A network, or a single address.
    Network(IpNet),
    /// A domain with everything below it, in lower case, without dots around it.
    Domain(String),
    /// A single name, in lower case.
    Name(String),
}

/// Why a text is not an exception.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{text}' is neither a network (10.0.0.0/8), nor an address, nor a domain (.corp.example), nor a name (host.corp.example)"
)]
pub struct ExceptError {
    /// The given text.
    pub text: String,
}

impl Except {
    /// Whether it covers an address, or the name that resolved to it.
    #[must_use]
    pub fn covers(&self, address: IpAddr, name: Option<&str>) -> bool {
        match self {
            Self::Network(network) => network.contains(&address.to_canonical()),
            Self::Name(own) => name.is_some_and(|name| name.eq_ignore_ascii_case(own)),
            Self::Domain(domain) => name.is_some_and(|name| {
                let name = name.to_ascii_lowercase();
                name.strip_suffix(domain.as_str())
                    .is_some_and(|front| front.is_empty() || front.ends_with('.'))
            }),
        }
    }
}

impl FromStr for Except {
    type Err = ExceptError;

    fn from_str(text: &str) -> Result<Self, ExceptError> {
        let text = text.trim();
        if let Ok(network) = text.parse::<IpNet>() {
            return Ok(Self::Network(network.trunc()));
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return Ok(Self::Network(address.to_canonical().into()));
        }
        let lower = text.to_ascii_lowercase();
        let domain = lower.strip_prefix("*.").or_else(|| lower.strip_prefix('.'));
        let name = domain.unwrap_or(&lower).trim_end_matches('.');
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        // A text that ends in a number is a broken address, not a name (as in the WHATWG's URL
        // standard).
        let last = name.rsplit('.').next().unwrap_or_default();
        let number = last.bytes().all(|byte| byte.is_ascii_digit());
        if name.len() > 253
            || number
            || name.starts_with('.')
            || name.contains("..")
            || !name.chars().all(plain)
        {
            return Err(ExceptError { text: text.chars().take(100).collect() });
        }
        Ok(if domain.is_some() {
            Self::Domain(name.to_owned())
        } else {
            Self::Name(name.to_owned())
        })
    }
}

impl fmt::Display for Except {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Domain(domain) => write!(f, ".{domain}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(except: &str, address: &str, name: Option<&str>) -> bool {
        except.parse::<Except>().unwrap().covers(address.parse().unwrap(), name)
    }

    #[test]
    fn networks_cover_addresses_and_domains_cover_names() {
        assert!(
            covers("10.0.0.0/8", "10.1.2.3", None)
                && !covers("10.0.0.0/8", "11.0.0.1", Some("corp.test"))
        );
        assert!(covers("192.0.2.9", "192.0.2.9", None) && !covers("192.0.2.9", "192.0.2.8", None));
        assert!(
            covers("fd00::/8", "fd12::1", None) && covers("10.0.0.0/8", "::ffff:10.0.0.1", None)
        );
        for domain in [".corp.test", "*.corp.test", ".Corp.Test."] {
            assert!(covers(domain, "192.0.2.1", Some("a.b.CORP.test")), "{domain}");
            assert!(covers(domain, "192.0.2.1", Some("corp.test")), "{domain}");
            assert!(
                !covers(domain, "192.0.2.1", Some("xcorp.test"))
                    && !covers(domain, "192.0.2.1", None)
            );
        }
        assert!(covers("host.corp.test", "192.0.2.1", Some("Host.corp.test")));
        assert!(
            !covers("corp.test", "192.0.2.1", Some("host.corp.test")),
            "a name alone covers only that name"
        );
    }

    #[test]
    fn they_read_back_as_they_are_shown_and_nonsense_is_refused() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("[::1]", "::1/128"),
            ("*.A.test", ".a.test"),
            ("b", "b"),
        ] {
            let except: Except = text.parse().unwrap();
            assert_eq!(
                (except.to_string().as_str(), except.to_string().parse()),
                (shown, Ok(except))
            );
        }
        for text in ["", ".", "*", "10.0.0.0/33", "10.0.0", "a..b", "http://a", "a b", "1.2.3.4.5"]
        {
            assert!(text.parse::<Except>().is_err(), "{text}");
        }
    }
}
