//! What waits for one answer: DNS questions over UDP and echo requests. All live equally long, so the oldest expires first.

use crate::icmp::Echoed;
use crate::limits::{MAX_REQUESTS, REQUEST_LIFETIME};
use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// A DNS question or an echo request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u32);

/// Where the answer goes.
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
        /// The request's start, to be quoted.
        quote: Box<[u8]>,
    },
}

/// The requests that are pending.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    waiting: HashMap<RequestId, Asker>,
    order: VecDeque<(Instant, RequestId)>,
    next: u32,
}

impl Requests {
    /// `None` when there are too many.
    pub(crate) fn insert(&mut self, now: Instant, asker: Asker) -> Option<RequestId> {
        if self.waiting.len() >= MAX_REQUESTS {
            return None;
        }
        // Answered ones leave their place in the order until it is their turn; that is bounded as well.
        while self.order.len() >= 4 * MAX_REQUESTS {
            self.order.retain(|(_, id)| self.waiting.contains_key(id));
        }
        // By 2^32 requests later the first is long forgotten.
        self.next = self.next.wrapping_add(1);
        let id = RequestId(self.next);
        self.waiting.insert(id, asker);
        self.order.push_back((now + REQUEST_LIFETIME, id));
        Some(id)
    }

    pub(crate) fn take(&mut self, id: RequestId) -> Option<Asker> {
        self.waiting.remove(&id)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.order.front().map(|(at, _)| *at)
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, id)) = self.order.pop_front() {
                self.waiting.remove(&id);
            }
        }
    }
}
