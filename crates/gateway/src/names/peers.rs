//! UDP and stand-ins: remembers the stand-in to which an app sent, for the replies of the real
//! address.

use crate::limits::MAX_STAND_IN_PEERS;
use stack::BindId;
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// The real peers of UDP source endpoints that sent to stand-ins; of each endpoint the latest
/// [`MAX_STAND_IN_PEERS`].
#[derive(Debug, Default)]
pub struct Peers {
    of: HashMap<BindId, VecDeque<(SocketAddr, IpAddr)>>,
}

impl Peers {
    /// The real peer for a datagram to a stand-in: the peer of former datagrams while the name
    /// still has its address (`is_current`), otherwise `real`, which is remembered.
    pub fn sent(
        &mut self,
        bind: BindId,
        to: SocketAddr,
        real: IpAddr,
        is_current: impl Fn(IpAddr) -> bool,
    ) -> SocketAddr {
        let peers = self.of.entry(bind).or_default();
        let known =
            peers.iter().find(|(peer, stand_in)| *stand_in == to.ip() && peer.port() == to.port());
        if let Some((peer, _)) = known.filter(|(peer, _)| is_current(peer.ip())) {
            return *peer;
        }
        let peer = SocketAddr::new(real, to.port());
        Self::remember(peers, peer, to.ip());
        peer
    }

    /// An app sends to a real address: replies then come from that address, even if the app has
    /// sent to a stand-in of the same host.
    pub fn sent_plainly(&mut self, bind: BindId, to: SocketAddr) {
        if let Some(peers) = self.of.get_mut(&bind)
            && peers.iter().any(|(peer, _)| peer.ip() == to.ip())
            && !peers.contains(&(to, to.ip()))
        {
            Self::remember(peers, to, to.ip());
        }
    }

    /// Two names may have one address: its replies come from the latest stand-in to which the app
    /// sent.
    fn remember(peers: &mut VecDeque<(SocketAddr, IpAddr)>, peer: SocketAddr, known_as: IpAddr) {
        peers.retain(|(known, _)| *known != peer);
        if peers.len() >= MAX_STAND_IN_PEERS {
            peers.pop_front();
        }
        peers.push_back((peer, known_as));
    }

    /// The address by which the app knows a peer.
    pub fn known_as(&self, bind: BindId, peer: SocketAddr) -> SocketAddr {
        let peers = self.of.get(&bind).into_iter().flatten();
        let by_port = peers.clone().find(|(known, _)| *known == peer);
        // Another port of the same host (RFC 4787 section 5).
        let stand_in = by_port.or_else(|| peers.clone().find(|(known, _)| known.ip() == peer.ip()));
        stand_in.map_or(peer, |(_, stand_in)| SocketAddr::new(*stand_in, peer.port()))
    }

    /// A UDP source endpoint has ended.
    pub fn forget(&mut self, bind: BindId) {
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
        let real = peers.sent(bind, at("198.18.0.1:443"), at("192.0.2.1:0").ip(), |_| true);
        assert_eq!(real, at("192.0.2.1:443"));
        // The next of the name's addresses does not move a conversation.
        assert_eq!(peers.sent(bind, at("198.18.0.1:443"), at("192.0.2.2:0").ip(), |_| true), real);
        assert_eq!(peers.known_as(bind, real), at("198.18.0.1:443"));
        assert_eq!(peers.known_as(bind, at("192.0.2.1:9")), at("198.18.0.1:9"));
        assert_eq!(peers.known_as(bind, at("192.0.2.3:443")), at("192.0.2.3:443"));
        assert_eq!(peers.known_as(BindId(8), real), real, "another source endpoint's");
        // The same host by its address, at a port of its own.
        peers.sent_plainly(bind, at("192.0.2.1:49152"));
        assert_eq!(peers.known_as(bind, at("192.0.2.1:49152")), at("192.0.2.1:49152"));
        assert_eq!(peers.known_as(bind, real), at("198.18.0.1:443"));
        // The name has moved.
        let moved = peers.sent(bind, at("198.18.0.1:443"), at("192.0.2.9:0").ip(), |_| false);
        assert_eq!(
            (moved, peers.known_as(bind, moved)),
            (at("192.0.2.9:443"), at("198.18.0.1:443"))
        );
        // Another port of the name, and another name with the same port.
        let other = peers.sent(bind, at("198.18.0.1:80"), at("192.0.2.2:0").ip(), |_| true);
        assert_eq!(other, at("192.0.2.2:80"));
        let other = peers.sent(bind, at("198.18.0.2:443"), at("192.0.2.3:0").ip(), |_| true);
        assert_eq!(other, at("192.0.2.3:443"));
        peers.forget(bind);
        assert_eq!(peers.known_as(bind, real), real);
        peers.sent_plainly(bind, real);
        assert!(peers.of.is_empty(), "nothing is kept for apps that use no names");
    }

    #[test]
    fn peers_of_a_source_endpoint_have_a_bound() {
        let mut peers = Peers::default();
        let stand_in = |n: usize| {
            SocketAddr::new(IpAddr::from([198, 18, 1, u8::try_from(n % 251).unwrap()]), 9)
        };
        for n in 0..3 * MAX_STAND_IN_PEERS {
            let real = IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
            peers.sent(BindId(1), stand_in(n), real, |_| false);
            assert!(peers.of[&BindId(1)].len() <= MAX_STAND_IN_PEERS);
        }
    }
}
