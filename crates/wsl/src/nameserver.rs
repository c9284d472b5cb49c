//! A nameserver by its address.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A nameserver in the form of `resolv.conf`. A link-local address may have a zone, its interface
/// (RFC 4007 section 11): `fe80::1%eth0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Nameserver {
    /// Its address.
    pub address: IpAddr,
    /// The interface's name, or its number.
    pub zone: Option<String>,
}

/// A text is not the address of a nameserver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an IP address")]
pub struct NameserverError(pub String);

impl From<IpAddr> for Nameserver {
    fn from(address: IpAddr) -> Self {
        Self { address, zone: None }
    }
}

impl fmt::Display for Nameserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.zone {
            Some(zone) => write!(f, "{}%{zone}", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl FromStr for Nameserver {
    type Err = NameserverError;

    fn from_str(text: &str) -> Result<Self, NameserverError> {
        let error = || NameserverError(text.to_owned());
        let (address, zone) =
            text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        // An IPv4 address has no zone.
        if zone.is_some() && address.is_ipv4() {
            return Err(error());
        }
        Ok(Self { address, zone: zone.filter(|zone| !zone.is_empty()).map(str::to_owned) })
    }
}

impl From<Nameserver> for String {
    fn from(server: Nameserver) -> Self {
        server.to_string()
    }
}

impl TryFrom<String> for Nameserver {
    type Error = NameserverError;

    fn try_from(text: String) -> Result<Self, NameserverError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_belongs_to_an_ipv6_address() {
        let read = |text: &str| text.parse::<Nameserver>();
        let linked = read("fe80::1%eth0").unwrap();
        assert_eq!(
            (linked.address, linked.zone.as_deref()),
            ("fe80::1".parse().unwrap(), Some("eth0"))
        );
        assert_eq!(read("fe80::1%").unwrap().zone, None);
        for text in ["192.0.2.1", "fe80::1%eth0", "2001:db8::53"] {
            assert_eq!(read(text).unwrap().to_string(), text);
            let json = serde_json::to_string(&read(text).unwrap()).unwrap();
            assert_eq!(
                (json.as_str(), serde_json::from_str(&json).ok()),
                (format!("\"{text}\"").as_str(), read(text).ok())
            );
        }
        for text in ["", "x", "192.0.2.1%eth0", "192.0.2.1\r", " 192.0.2.1"] {
            assert_eq!(read(text), Err(NameserverError(text.to_owned())));
        }
    }
}
