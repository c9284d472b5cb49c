//! Conversations whose packets came to the tunnel although they did not begin there: rules keep
//! them off the tunnel while they are known. Knows no rule; [`crate::network`] sets them.
//!
//! A packet that a rule keeps off the tunnel is not seen here. So when a conversation's time is
//! over, the kernel is asked whether it still has a socket at that port: removing the rule while a
//! server listens would cost each new peer a lost answer.

use crate::limits::{ELSEWHERE_LIFETIME, MAX_ELSEWHERE};
use crate::net::owners::Sockets;
use crate::network::Wish;
use stack::Elsewhere;
use std::collections::VecDeque;
use std::time::Instant;
use tokio::sync::watch;

/// The known conversations, the most recent one at the end.
#[derive(Debug)]
pub(super) struct Conversations {
    known: VecDeque<(Instant, Elsewhere)>,
    /// The VM's sockets; `None` if its kernel does not report them.
    sockets: Option<Sockets>,
}

impl Conversations {
    pub(super) fn new(sockets: Option<Sockets>) -> Self {
        Self { known: VecDeque::new(), sockets }
    }

    /// A packet of a conversation came.
    pub(super) fn note(&mut self, now: Instant, one: Elsewhere, wish: &watch::Sender<Wish>) {
        let known = self.known.iter().position(|(_, known)| *known == one);
        match known {
            Some(at) => drop(self.known.remove(at)),
            None => tracing::debug!(?one, "it began by the VM's own network, and goes on there"),
        }
        while self.known.len() >= MAX_ELSEWHERE {
            self.known.pop_front();
        }
        self.known.push_back((now, one));
        if known.is_none() {
            self.publish(wish);
        }
    }

    /// Forgets conversations whose time is over and whose port has no socket any more; the others
    /// get more time. A ping that continues is noticed again.
    pub(super) fn expire(&mut self, now: Instant, wish: &watch::Sender<Wish>) {
        let before = self.known.len();
        for _ in 0..before {
            let Some((at, one)) = self.known.pop_front() else { break };
            if at + ELSEWHERE_LIFETIME > now {
                self.known.push_front((at, one));
                break;
            }
            let is_alive = match (one, &mut self.sockets) {
                (Elsewhere::Tcp(end), Some(sockets)) => sockets.has_one_at(end),
                (Elsewhere::Tcp(_), None) | (Elsewhere::Ping { .. }, _) => false,
            };
            if is_alive {
                self.known.push_back((now, one));
            }
        }
        if self.known.len() != before {
            self.publish(wish);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.known.front().map(|(at, _)| *at + ELSEWHERE_LIFETIME)
    }

    fn publish(&self, wish: &watch::Sender<Wish>) {
        let all = self.known.iter().map(|(_, one)| *one).collect();
        wish.send_modify(|wish| wish.elsewhere = all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpListener};
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn they_are_bounded_and_expire_and_changes_are_passed_on() {
        let start = Instant::now();
        let (wish, mut heard) = watch::channel(Wish::default());
        let port = |port: usize| {
            Elsewhere::Tcp(SocketAddr::from(([172, 28, 48, 2], u16::try_from(port).unwrap())))
        };
        let mut known = Conversations::new(None);
        assert_eq!(known.deadline(), None);
        for second in 0..=MAX_ELSEWHERE {
            known.note(start + Duration::from_secs(second as u64), port(second), &wish);
            assert!(heard.has_changed().unwrap());
            heard.mark_unchanged();
        }
        let all =
            |known: &Conversations| known.known.iter().map(|(_, one)| *one).collect::<Vec<_>>();
        assert_eq!(
            all(&known),
            (1..=MAX_ELSEWHERE).map(port).collect::<Vec<_>>(),
            "the oldest made room"
        );
        assert_eq!(wish.borrow().elsewhere, all(&known));
        // A known conversation becomes the newest; its rule exists already.
        let now = start + Duration::from_secs(1000);
        known.note(now, port(1), &wish);
        assert_eq!(
            (known.known.len(), known.known.back().unwrap()),
            (MAX_ELSEWHERE, &(now, port(1)))
        );
        known.expire(start + ELSEWHERE_LIFETIME, &wish);
        assert!(!heard.has_changed().unwrap());
        known.expire(start + ELSEWHERE_LIFETIME + Duration::from_secs(999), &wish);
        assert_eq!((all(&known), wish.borrow().elsewhere.clone()), (vec![port(1)], vec![port(1)]));
        assert_eq!(known.deadline(), Some(now + ELSEWHERE_LIFETIME));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn a_servers_rule_stays_as_long_as_it_listens() {
        let (wish, _heard) = watch::channel(Wish::default());
        let mut known = Conversations::new(Some(Sockets::open().unwrap()));
        let servers =
            ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"].map(|at| TcpListener::bind(at).unwrap());
        let ports = servers.each_ref().map(|server| server.local_addr().unwrap().port());
        let at = |ip: &str, port| Elsewhere::Tcp(SocketAddr::new(ip.parse().unwrap(), port));
        let live =
            [at("127.0.0.1", ports[0]), at("172.28.48.2", ports[1]), at("172.28.48.2", ports[2])];
        let own = "172.28.48.2".parse().unwrap();
        let dead = [at("172.28.48.2", ports[0]), Elsewhere::Ping { own, peer: own }];
        let mut now = Instant::now();
        for one in live.into_iter().chain(dead) {
            known.note(now, one, &wish);
        }
        for _ in 0..3 {
            now += ELSEWHERE_LIFETIME;
            known.expire(now, &wish);
            assert_eq!(wish.borrow().elsewhere, live);
            assert_eq!(known.deadline(), Some(now + ELSEWHERE_LIFETIME));
        }
        drop(servers);
        known.expire(now + ELSEWHERE_LIFETIME, &wish);
        assert_eq!((wish.borrow().elsewhere.len(), known.deadline()), (0, None));
    }
}
