//! The VM's own addresses on its old network. The tunnel takes the conversations that apps start
//! from them. The same addresses answer peers that came in there, and such an answer looks
//! different: a TCP segment of a connection whose SYN never came here, or an echo reply. It is
//! reported, never answered. Knows no route.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// A conversation that did not begin through the tunnel, although its packets come here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Elsewhere {
    /// TCP connections of this end. Its port distinguishes them from those that the tunnel serves.
    Tcp(SocketAddr),
    /// Echo requests of a peer to one of the VM's addresses.
    Ping {
        /// The address that was pinged.
        own: IpAddr,
        /// The peer that pinged it.
        peer: IpAddr,
    },
}

impl Elsewhere {
    /// The VM's own address.
    #[must_use]
    pub fn own(self) -> IpAddr {
        match self {
            Self::Tcp(end) => end.ip(),
            Self::Ping { own, .. } => own,
        }
    }
}

/// How to treat a segment of a connection whose SYN never came here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strays {
    /// The connection began elsewhere and continues there.
    #[default]
    Elsewhere,
    /// The connection is unknown: it is reset, as on any other address. A connection that the
    /// tunnel once served must not continue past a proxy.
    Unknown,
}

/// The addresses, each with the TCP ports from which a SYN came here since it was set.
#[derive(Default)]
pub(crate) struct Uplink {
    addresses: HashMap<IpAddr, Ports>,
    strays: Strays,
}

impl Uplink {
    /// Sets other addresses from now on. Addresses that stay keep their ports.
    pub(crate) fn set(&mut self, addresses: &[IpAddr], strays: Strays) {
        self.strays = strays;
        self.addresses.retain(|known, _| addresses.contains(known));
        for address in addresses {
            self.addresses.entry(*address).or_default();
        }
    }

    /// A SYN came here: the connections of this port are the tunnel's, even after one is forgotten.
    pub(crate) fn note_opening(&mut self, app: SocketAddr) {
        if let Some(ports) = self.addresses.get_mut(&app.ip()) {
            ports.insert(app.port());
        }
    }

    /// The conversation that a segment of no connection answers, if it is an answer.
    pub(crate) fn answer(&mut self, app: SocketAddr, segment: Kind) -> Option<Elsewhere> {
        let ports = self.addresses.get_mut(&app.ip())?;
        let is_elsewhere = match segment {
            Kind::Accepting => {
                // A server's port from now on: later segments of its connections belong to it,
                // whatever was tried from this port before.
                ports.remove(app.port());
                true
            }
            Kind::Other => self.strays == Strays::Elsewhere && !ports.contains(app.port()),
        };
        is_elsewhere.then_some(Elsewhere::Tcp(app))
    }

    /// The conversation that an echo reply answers, if it comes from one of the addresses. The
    /// tunnel sends no requests.
    pub(crate) fn echo_reply(&self, own: IpAddr, peer: IpAddr) -> Option<Elsewhere> {
        self.addresses.contains_key(&own).then_some(Elsewhere::Ping { own, peer })
    }
}

/// The kind of a segment that belongs to no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// SYN and ACK: a server accepts a connection. None enters the VM through the tunnel.
    Accepting,
    Other,
}

/// A set of ports, 8 KiB.
struct Ports(Box<[u64; 1024]>);

impl Default for Ports {
    fn default() -> Self {
        Self(Box::new([0; 1024]))
    }
}

impl Ports {
    fn insert(&mut self, port: u16) {
        self.0[usize::from(port / 64)] |= 1 << (port % 64);
    }

    fn remove(&mut self, port: u16) {
        self.0[usize::from(port / 64)] &= !(1 << (port % 64));
    }

    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)] & 1 << (port % 64) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_the_tunnel_s_from_its_first_syn_until_its_address_goes() {
        let (own, other) = ("172.28.48.2".parse().unwrap(), "10.0.0.2".parse().unwrap());
        let end = |ip, port| SocketAddr::new(ip, port);
        let mut uplink = Uplink::default();
        assert_eq!(uplink.answer(end(own, 22), Kind::Accepting), None);
        uplink.set(&[own], Strays::Elsewhere);
        for port in [0, 22, 63, 64, u16::MAX] {
            assert_eq!(
                uplink.answer(end(own, port), Kind::Other),
                Some(Elsewhere::Tcp(end(own, port)))
            );
            uplink.note_opening(end(own, port));
            uplink.note_opening(end(other, port));
            assert_eq!(uplink.answer(end(own, port), Kind::Other), None, "{port}");
            assert_eq!(
                uplink.answer(end(own, port), Kind::Accepting),
                Some(Elsewhere::Tcp(end(own, port)))
            );
            let server = uplink.answer(end(own, port), Kind::Other);
            assert_eq!(
                server,
                Some(Elsewhere::Tcp(end(own, port))),
                "a server's port once it has accepted"
            );
            assert_eq!(uplink.answer(end(other, port), Kind::Accepting), None);
            uplink.note_opening(end(own, port));
        }
        assert_eq!(uplink.answer(end(own, 23), Kind::Other), Some(Elsewhere::Tcp(end(own, 23))));
        uplink.set(&[own, other], Strays::Elsewhere);
        assert_eq!(uplink.answer(end(own, 22), Kind::Other), None, "what is known stays");
        uplink.set(&[own, other], Strays::Unknown);
        assert_eq!(uplink.answer(end(own, 23), Kind::Other), None, "it is reset");
        assert_eq!(
            uplink.answer(end(own, 23), Kind::Accepting),
            Some(Elsewhere::Tcp(end(own, 23)))
        );
        uplink.set(&[other], Strays::Elsewhere);
        uplink.set(&[own], Strays::Elsewhere);
        assert_eq!(uplink.answer(end(own, 22), Kind::Other), Some(Elsewhere::Tcp(end(own, 22))));
    }

    #[test]
    fn a_conversation_elsewhere_names_the_own_address_that_it_belongs_to() {
        let (own, peer) = (IpAddr::from([172, 28, 48, 2]), IpAddr::from([192, 0, 2, 2]));
        let mut uplink = Uplink::default();
        assert_eq!(uplink.echo_reply(own, peer), None);
        uplink.set(&[own], Strays::Unknown);
        let ping = uplink.echo_reply(own, peer).unwrap();
        assert_eq!((ping, ping.own()), (Elsewhere::Ping { own, peer }, own));
        assert_eq!(uplink.echo_reply(peer, own), None);
        assert_eq!(Elsewhere::Tcp(SocketAddr::new(own, 22)).own(), own);
    }
}
