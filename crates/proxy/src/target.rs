//! The destination of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A host, by name or by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, which the proxy resolves.
    Name(String),
    /// An address.
    Address(IpAddr),
}

impl Host {
    /// Reads an address, also one in brackets, or otherwise treats the text as a name.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        bare.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Address)
    }

    /// Reads a valid host: an address, with brackets if it is IPv6, or a name of letters, digits,
    /// hyphens and underscores (RFC 952, RFC 1123 section 2.1; the underscore is common).
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let host = Self::parse(text);
        let is_sound = match &host {
            // Only brackets show its end (RFC 3986 section 3.2.2).
            Self::Address(address) => address.is_ipv4() || text.starts_with('['),
            Self::Name(name) => {
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
                let mut labels = name.strip_suffix('.').unwrap_or(name).split('.');
                name.len() <= 255
                    && labels.all(|label| !label.is_empty() && label.bytes().all(plain))
            }
        };
        is_sound.then_some(host)
    }

    /// The name, or the address without brackets.
    #[must_use]
    pub fn bare(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Address(address) => address.to_string(),
        }
    }

    /// Whether it is this machine's own loopback, which other machines and containers cannot reach.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
            Self::Address(address) => address.is_loopback(),
        }
    }
}

/// As in a URL: an IPv6 address in brackets (RFC 3986 section 3.2.2).
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(v4)) => write!(f, "{v4}"),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
        }
    }
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// Its TCP or UDP port.
    pub port: u16,
}

/// The text is not a host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be HOST:PORT, such as 192.0.2.1:443, www.example.com:443 or [2001:db8::1]:443")]
pub struct TargetError;

impl Target {
    /// The address, if the host is one.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Address(address) => Some(*address),
            Host::Name(_) => None,
        }
    }

    /// Reads `HOST` or `HOST:PORT`. `None` if the host is not valid, or the port is not a number
    /// from 1 to 65535.
    #[must_use]
    pub fn read(text: &str) -> Option<(Host, Option<u16>)> {
        // The colons of an address in brackets separate nothing.
        let (host, port) = match text.rsplit_once(':').filter(|_| !text.ends_with(']')) {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let number = |port: &str| {
            let port = port.parse().ok().filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()));
            port.filter(|port: &u16| *port != 0)
        };
        let port = match port {
            Some(port) => Some(number(port)?),
            None => None,
        };
        Some((Host::read(host)?, port))
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        match Self::read(text) {
            Some((host, Some(port))) => Ok(Self { host, port }),
            Some((_, None)) | None => Err(TargetError),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl From<SocketAddr> for Target {
    fn from(address: SocketAddr) -> Self {
        Self { host: Host::Address(address.ip()), port: address.port() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port() {
        for text in ["192.0.2.1:443", "www.lab.test:80", "_a.b-c.:1", "[2001:db8::1]:443"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for wrong in [
            "",
            "host",
            ":80",
            "host:",
            "host:0",
            "host:x",
            "host:+1",
            "host:70000",
            "2001:db8::1:443",
            "[2001:db8::1]",
            "[x]:1",
            "http://a:80",
            "a b:1",
            "a..b:1",
            "me@host:1",
        ] {
            assert_eq!(wrong.parse::<Target>(), Err(TargetError), "{wrong}");
        }
    }

    #[test]
    fn a_port_may_be_missing() {
        assert_eq!(Target::read("a.test"), Some((Host::Name("a.test".to_owned()), None)));
        assert_eq!(Target::read("[::1]"), Some((Host::parse("::1"), None)));
        assert_eq!(Target::read("::1"), None);
        assert_eq!(Host::parse("[::1]").bare(), "::1");
    }
}
