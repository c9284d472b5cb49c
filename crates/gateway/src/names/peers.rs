//! UDP and stand-ins: which stand-in an app sent to, for the replies of the real address.

use crate::limits::MAX_STAND_IN_PEERS;
use stack::BindId;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// The real peers of UDP source endpoints that sent to stand-ins, of each the latest
/// [`MAX_STAND_IN_PEERS`].
#[derive(Debug, Default)]
pub(crate) struct Peers {
    of: HashMap<BindId, VecDeque<(SocketAddr, IpAddr)>>,
}

impl Peers {
    /// The real peer of what is sent to a stand-in: that of the former datagrams, else `real`, which is
    /// remembered.
    pub(crate) fn sent(&mut self, bind: BindId, to: SocketAddr, real: IpAddr) -> SocketAddr {
        let peers = self.of.entry(bind).or_default();
        let known = peers.iter().find(|(peer, stand_in)| *stand_in == to.ip() && peer.port() == to.port());
        if let Some((peer, _)) = known {
            return *peer;
        }
        let peer = SocketAddr::new(real, to.port());
        // Two names may have one address: its replies are the latest name's.
        peers.retain(|(known, _)| *known != peer);
        if peers.len() >= MAX_STAND_IN_PEERS {
            peers.pop_front();
        }
        peers.push_back((peer, to.ip()));
        peer
    }

    /// By which address the app knows a peer.
    pub(crate) fn known_as(&self, bind: BindId, peer: SocketAddr) -> SocketAddr {
        let peers = self.of.get(&bind).into_iter().flatten();
        let by_port = peers.clone().find(|(known, _)| *known == peer);
        // Another port of the same host (RFC 4787 section 5).
        let stand_in = by_port.or_else(|| peers.clone().find(|(known, _)| known.ip() == peer.ip()));
        stand_in.map_or(peer, |(_, stand_in)| SocketAddr::new(*stand_in, peer.port()))
    }

    pub(crate) fn forget(&mut self, bind: BindId) {
        self.of.remove(&bind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn replies_come_from_the_stand_in_that_was_sent_to() {
        let mut peers = Peers::default();
        let bind = BindId(7);
        let real = peers.sent(bind, at("198.18.0.1:443"), at("192.0.2.1:0").ip());
        assert_eq!(real, at("192.0.2.1:443"));
        // The next of the name's addresses does not move a conversation.
        assert_eq!(peers.sent(bind, at("198.18.0.1:443"), at("192.0.2.2:0").ip()), real);
        assert_eq!(peers.known_as(bind, real), at("198.18.0.1:443"));
        assert_eq!(peers.known_as(bind, at("192.0.2.1:9")), at("198.18.0.1:9"));
        assert_eq!(peers.known_as(bind, at("192.0.2.3:443")), at("192.0.2.3:443"));
        assert_eq!(peers.known_as(BindId(8), real), real, "another source endpoint's");
        peers.forget(bind);
        assert_eq!(peers.known_as(bind, real), real);
    }

    #[test]
    fn peers_of_a_source_endpoint_have_a_bound() {
        let mut peers = Peers::default();
        let stand_in = |n: usize| SocketAddr::new(IpAddr::from([198, 18, 1, u8::try_from(n % 251).unwrap()]), 9);
        for n in 0..3 * MAX_STAND_IN_PEERS {
            let real = IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
            peers.sent(BindId(1), stand_in(n), real);
            assert!(peers.of[&BindId(1)].len() <= MAX_STAND_IN_PEERS);
        }
    }
}
