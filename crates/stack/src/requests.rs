//! Requests that wait for one answer: DNS questions over UDP and echo requests. All live equally
//! long, so the oldest expires first.

use crate::icmp::Echoed;
use crate::limits::{MAX_REQUESTS, REQUEST_LIFETIME};
use crate::waiting::Waiting;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// A DNS question or an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u32);

/// The destination of the answer.
#[derive(Debug)]
pub(crate) enum Asker {
    Dns {
        app: SocketAddr,
        server: SocketAddr,
    },
    Echo {
        app: IpAddr,
        to: IpAddr,
        echoed: Echoed,
        /// The request's start, for quoting.
        quote: Box<[u8]>,
    },
}

/// The pending requests. Each kind has a table of its own, so that one cannot fill the other's.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    questions: Waiting<Asker>,
    echoes: Waiting<Asker>,
    next: u32,
}

impl Requests {
    /// `None` when too many questions wait. With too many echo requests, the oldest one is dropped:
    /// it is the least likely to get an answer.
    pub(crate) fn insert(&mut self, now: Instant, asker: Asker) -> Option<RequestId> {
        let is_question = matches!(asker, Asker::Dns { .. });
        let table = if is_question { &mut self.questions } else { &mut self.echoes };
        if table.len() >= MAX_REQUESTS {
            if is_question {
                return None;
            }
            table.remove_oldest();
        }
        // The first request has expired long before the id wraps after 2^32 requests.
        self.next = self.next.wrapping_add(1);
        let id = RequestId(self.next);
        table.insert(now + REQUEST_LIFETIME, id.0, asker);
        Some(id)
    }

    pub(crate) fn get(&self, id: RequestId) -> Option<&Asker> {
        self.questions.get(id.0).or_else(|| self.echoes.get(id.0))
    }

    pub(crate) fn take_question(&mut self, id: RequestId) -> Option<Asker> {
        self.questions.remove(id.0)
    }

    pub(crate) fn take_echo(&mut self, id: RequestId) -> Option<Asker> {
        self.echoes.remove(id.0)
    }

    pub(crate) fn forget(&mut self, id: RequestId) {
        if self.take_question(id).is_none() {
            self.take_echo(id);
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        [&self.questions, &self.echoes].into_iter().filter_map(Waiting::deadline).min()
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        for table in [&mut self.questions, &mut self.echoes] {
            while table.expire(now).is_some() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn pings_take_no_place_of_questions_and_the_oldest_gives_way() {
        let now = Instant::now();
        let mut requests = Requests::default();
        let ip = IpAddr::from([10, 0, 0, 1]);
        let ping = || Asker::Echo {
            app: ip,
            to: ip,
            echoed: Echoed { code: 0, ident: [0; 4] },
            quote: Box::default(),
        };
        let question =
            || Asker::Dns { app: SocketAddr::new(ip, 1), server: SocketAddr::new(ip, 53) };
        let first = requests.insert(now, ping()).unwrap();
        let pings: Vec<_> =
            (0..MAX_REQUESTS).map(|_| requests.insert(now, ping()).unwrap()).collect();
        assert!(requests.take_echo(first).is_none(), "the oldest made room");
        assert!(requests.take_echo(pings[0]).is_some());
        assert_eq!(
            (0..=MAX_REQUESTS).filter(|_| requests.insert(now, question()).is_some()).count(),
            MAX_REQUESTS
        );
        requests.take_question(RequestId(1 + MAX_REQUESTS as u32 + 1));
        let late = now + REQUEST_LIFETIME / 2;
        let second = requests.insert(late, question()).unwrap();
        requests.expire(now + REQUEST_LIFETIME);
        assert!(requests.get(second).is_some(), "it is not due yet");
        requests.expire(late + REQUEST_LIFETIME);
        assert!(requests.deadline().is_none() && requests.insert(now, question()).is_some());
    }
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn each_request_is_answered_once_by_its_kind_or_forgotten_or_expires() {
        let now = Instant::now();
        let mut requests = Requests::default();
        let ip = IpAddr::from([10, 0, 0, 1]);
        let ping = || Asker::Echo {
            app: ip,
            to: ip,
            echoed: Echoed { code: 0, ident: [0; 4] },
            quote: Box::default(),
        };
        let question =
            || Asker::Dns { app: SocketAddr::new(ip, 1), server: SocketAddr::new(ip, 53) };
        assert_eq!(requests.deadline(), None);
        let pinged = requests.insert(now, ping()).unwrap();
        let asked = requests.insert(now + REQUEST_LIFETIME / 4, question()).unwrap();
        assert_ne!(pinged, asked);
        assert_eq!(requests.deadline(), Some(now + REQUEST_LIFETIME), "that of the first one");
        assert!(matches!(requests.get(pinged), Some(Asker::Echo { .. })));
        assert!(matches!(requests.get(asked), Some(Asker::Dns { .. })));
        assert!(requests.take_question(pinged).is_none() && requests.take_echo(asked).is_none());
        assert!(requests.take_question(asked).is_some() && requests.take_question(asked).is_none());
        assert!(requests.take_echo(pinged).is_some() && requests.get(pinged).is_none());
        for asker in [ping(), question()] {
            let id = requests.insert(now, asker).unwrap();
            requests.forget(id);
            assert!(requests.get(id).is_none());
        }
        let late = requests.insert(now + REQUEST_LIFETIME / 2, question()).unwrap();
        requests.expire(now + REQUEST_LIFETIME + REQUEST_LIFETIME / 4);
        assert!(requests.get(late).is_some());
        assert_eq!(requests.deadline(), Some(now + REQUEST_LIFETIME + REQUEST_LIFETIME / 2));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn answered_requests_make_room_and_waiting_ones_stay() {
        let now = Instant::now();
        let mut requests = Requests::default();
        let ip = IpAddr::from([10, 0, 0, 1]);
        let question =
            || Asker::Dns { app: SocketAddr::new(ip, 1), server: SocketAddr::new(ip, 53) };
        let first = requests.insert(now, question()).unwrap();
        for _ in 0..20 * MAX_REQUESTS {
            let id = requests.insert(now, question()).unwrap();
            assert!(requests.take_question(id).is_some());
        }
        assert!(requests.get(first).is_some(), "requests that wait stay");
        requests.expire(now + REQUEST_LIFETIME);
        assert!(requests.get(first).is_none() && requests.deadline().is_none());
    }
}
