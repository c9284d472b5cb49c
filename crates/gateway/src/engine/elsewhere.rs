//! Conversations that did not begin by the tunnel although their packets came to it: rules keep these off
//! it while they are known. Knows no rule; [`crate::network`] sets them.

use crate::limits::{ELSEWHERE_LIFETIME, MAX_ELSEWHERE};
use crate::network::Wish;
use stack::Elsewhere;
use std::collections::VecDeque;
use std::time::Instant;
use tokio::sync::watch;

/// Those that are known, the one heard of last at the end.
#[derive(Debug, Default)]
pub(super) struct Conversations(VecDeque<(Instant, Elsewhere)>);

impl Conversations {
    /// A packet of one came.
    pub(super) fn note(&mut self, now: Instant, one: Elsewhere, wish: &watch::Sender<Wish>) {
        let known = self.0.iter().position(|(_, known)| *known == one);
        match known {
            Some(at) => drop(self.0.remove(at)),
            None => tracing::debug!(?one, "it began by the VM's own network, and goes on there"),
        }
        while self.0.len() >= MAX_ELSEWHERE {
            self.0.pop_front();
        }
        self.0.push_back((now, one));
        if known.is_none() {
            self.tell(wish);
        }
    }

    /// Forgets those whose time is over. One that is still open is heard of again.
    pub(super) fn expire(&mut self, now: Instant, wish: &watch::Sender<Wish>) {
        let before = self.0.len();
        while self.deadline().is_some_and(|at| at <= now) {
            self.0.pop_front();
        }
        if self.0.len() != before {
            self.tell(wish);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.front().map(|(at, _)| *at + ELSEWHERE_LIFETIME)
    }

    fn tell(&self, wish: &watch::Sender<Wish>) {
        let all = self.0.iter().map(|(_, one)| *one).collect();
        wish.send_modify(|wish| wish.elsewhere = all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn they_are_bounded_and_expire_and_changes_are_passed_on() {
        let start = Instant::now();
        let (wish, mut heard) = watch::channel(Wish::default());
        let port = |port: usize| Elsewhere::Tcp(SocketAddr::from(([172, 28, 48, 2], u16::try_from(port).unwrap())));
        let mut known = Conversations::default();
        assert_eq!(known.deadline(), None);
        for second in 0..=MAX_ELSEWHERE {
            known.note(start + Duration::from_secs(second as u64), port(second), &wish);
            assert!(heard.has_changed().unwrap());
            heard.mark_unchanged();
        }
        let all = |known: &Conversations| known.0.iter().map(|(_, one)| *one).collect::<Vec<_>>();
        assert_eq!(all(&known), (1..=MAX_ELSEWHERE).map(port).collect::<Vec<_>>(), "the oldest made room");
        assert_eq!(wish.borrow().elsewhere, all(&known));
        // One that is known becomes the newest; its rule is there already.
        let now = start + Duration::from_secs(1000);
        known.note(now, port(1), &wish);
        assert_eq!((known.0.len(), known.0.back().unwrap()), (MAX_ELSEWHERE, &(now, port(1))));
        known.expire(start + ELSEWHERE_LIFETIME, &wish);
        assert!(!heard.has_changed().unwrap());
        known.expire(start + ELSEWHERE_LIFETIME + Duration::from_secs(999), &wish);
        assert_eq!((all(&known), wish.borrow().elsewhere.clone()), (vec![port(1)], vec![port(1)]));
        assert_eq!(known.deadline(), Some(now + ELSEWHERE_LIFETIME));
    }
}
