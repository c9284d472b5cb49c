//! Who stands for the outside, where somebody is to tell whether it is reached.

use hickory_proto::rr::Name;
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// What Windows itself connects to when it wants to know whether it is online (Network Connectivity
/// Status Indicator).
const DEFAULT: (&str, u16) = ("www.msftconnecttest.com", 80);

/// Who is to be reached, by TCP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Target {
    /// As it was written.
    text: String,
    /// By name or address.
    pub host: Host,
    /// Of TCP.
    pub port: u16,
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// By its address.
    Address(IpAddr),
    /// By its name.
    Name(Name),
}

impl TryFrom<String> for Target {
    type Error = TargetError;

    fn try_from(text: String) -> Result<Self, TargetError> {
        text.parse()
    }
}

impl Default for Target {
    fn default() -> Self {
        let (host, port) = DEFAULT;
        let name = Name::from_labels(host.split('.').map(str::as_bytes)).unwrap_or_default();
        Self { text: format!("{host}:{port}"), host: Host::Name(name), port }
    }
}

/// No host and port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be HOST:PORT, such as {}:{} or [2001:db8::1]:443", DEFAULT.0, DEFAULT.1)]
pub struct TargetError;

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self {
                text: text.to_owned(),
                host: Host::Address(address.ip()),
                port: address.port(),
            });
        }
        let (host, port) = text.rsplit_once(':').ok_or(TargetError)?;
        let port = port.parse().map_err(|_| TargetError)?;
        // An IPv6 address without brackets is no name.
        if host.is_empty() || host.contains(':') {
            return Err(TargetError);
        }
        let mut name = Name::from_str(host).map_err(|_| TargetError)?;
        name.set_fqdn(true);
        Ok(Self { text: text.to_owned(), host: Host::Name(name), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_host_and_a_port() {
        let target = |text: &str| text.parse::<Target>();
        assert_eq!(
            target("192.0.2.1:443").unwrap().host,
            Host::Address("192.0.2.1".parse().unwrap())
        );
        assert_eq!(
            target("[2001:db8::1]:443").unwrap().host,
            Host::Address("2001:db8::1".parse().unwrap())
        );
        assert_eq!(target("www.msftconnecttest.com:80").unwrap(), Target::default());
        for wrong in
            ["", "host", ":80", "host:", "host:x", "host:70000", "2001:db8::1:443", "a..b:1"]
        {
            assert_eq!(target(wrong), Err(TargetError), "{wrong}");
        }
    }
}
