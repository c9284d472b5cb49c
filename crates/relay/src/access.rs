//! Restricts the VM's access to this host's own services, if its gateway asks for that
//! ([`wire::Frame::HostAccess`]). A port of one of this host's own addresses, loopback or an
//! adapter's, is open to a connection or datagram only if the gateway named it. The gateway cannot
//! distinguish these addresses from others, and they change.

use crate::limits::MAX_ACCESS_PEERS;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use wire::HostAccessSettings;

/// The restriction. Without one, everything may be reached.
#[derive(Debug, Default)]
pub(crate) struct Access {
    settings: Option<HostAccessSettings>,
    /// Addresses examined so far, and whether each is this host's; at most [`MAX_ACCESS_PEERS`].
    own: HashMap<IpAddr, bool>,
}

impl Access {
    /// Sets the restriction.
    ///
    /// # Errors
    /// The JSON is invalid.
    pub(crate) fn restrict(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        self.settings = Some(serde_json::from_slice(json)?);
        Ok(())
    }

    /// The host's addresses may have changed.
    pub(crate) fn refresh(&mut self) {
        self.own.clear();
    }

    /// Whether the VM may not reach this address.
    pub(crate) fn forbids(&mut self, to: SocketAddr) -> bool {
        let Some(settings) = &self.settings else { return false };
        if settings.ports.contains(&to.port()) {
            return false;
        }
        let ip = to.ip().to_canonical();
        if let Some(own) = self.own.get(&ip) {
            return *own;
        }
        // If the look-up fails, the address is forbidden and looked up again the next time.
        let Ok(own) = looked_up(ip) else { return true };
        if self.own.len() >= MAX_ACCESS_PEERS {
            self.own.clear();
        }
        self.own.insert(ip, own);
        own
    }
}

/// Whether the address is one of this host's, as far as a look-up works now.
pub(crate) fn is_own(to: IpAddr) -> bool {
    looked_up(to).unwrap_or_default()
}

/// Whether the address is one of this host's: loopback, "this host" (RFC 1122 section 3.2.1.3), or
/// one that the host itself would use as the source to reach it. Nothing is sent.
///
/// # Errors
/// The host gives no socket for that.
fn looked_up(to: IpAddr) -> io::Result<bool> {
    if to.is_loopback() || to.is_unspecified() {
        return Ok(true);
    }
    let any: IpAddr =
        if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    match socket.connect((to, 9)) {
        Ok(()) => Ok(socket.local_addr()?.ip() == to),
        // The host has no route there, so the address is another host's.
        Err(error) if NO_WAY.contains(&error.kind()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The errors of a connect to an address without a route.
const NO_WAY: [io::ErrorKind; 3] = [
    io::ErrorKind::NetworkUnreachable,
    io::ErrorKind::HostUnreachable,
    io::ErrorKind::PermissionDenied,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn without_a_restriction_everything_may_be_reached() {
        let mut access = Access::default();
        assert!(!access.forbids(at("127.0.0.1:80")) && access.own.is_empty());
    }

    #[test]
    fn a_restriction_leaves_the_named_ports_and_other_hosts() {
        let mut access = Access::default();
        access.restrict(br#"{"ports":[8080],"later":1}"#).unwrap();
        for (to, forbidden) in [
            ("127.0.0.1:80", true),
            ("127.9.9.9:80", true),
            ("[::1]:80", true),
            ("[::ffff:127.0.0.1]:80", true),
            ("0.0.0.0:80", true),
            ("127.0.0.1:8080", false),
            ("[::1]:8080", false),
            ("203.0.113.1:80", false),
        ] {
            assert_eq!(access.forbids(at(to)), forbidden, "{to}");
            assert_eq!(access.forbids(at(to)), forbidden, "{to} again");
        }
        access.refresh();
        assert!(access.own.is_empty());
        assert!(access.restrict(b"no").is_err());
    }

    #[test]
    fn the_cache_of_addresses_is_bounded() {
        let mut access = Access::default();
        access.restrict(b"{}").unwrap();
        for n in 0..2 * MAX_ACCESS_PEERS {
            let [.., a, b] = u32::try_from(n).unwrap().to_be_bytes();
            access.forbids(SocketAddr::from(([127, 1, a, b], 80)));
            assert!(access.own.len() <= MAX_ACCESS_PEERS);
        }
    }
}
