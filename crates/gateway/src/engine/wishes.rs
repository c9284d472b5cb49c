//! What the engine asks of the process that sets the VM's addresses and routes
//! ([`crate::network`]).

use super::elsewhere::Conversations;
use crate::net::owners::Sockets;
use crate::network::Wish;
use stack::Elsewhere;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::sync::watch;
use wire::HostFacts;

/// Where DNS servers listen (RFC 1035 4.2).
const DNS_PORT: u16 = 53;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Wishes {
    current: watch::Sender<Wish>,
    elsewhere: Conversations,
}

impl Wishes {
    pub(super) fn new(current: watch::Sender<Wish>, sockets: Option<Sockets>) -> Self {
        Self { current, elsewhere: Conversations::new(sockets) }
    }

    /// A relay serves, and its host's facts are these.
    pub(super) fn carry(&self, facts: HostFacts) {
        self.current.send_if_modified(|wish| {
            let new = Wish { carry: true, host: Some(facts), elsewhere: wish.elsewhere.clone() };
            let changed = *wish != new;
            *wish = new;
            changed
        });
    }

    /// No relay serves: the VM gets its own network back.
    pub(super) fn withdraw(&self) {
        self.current.send_if_modified(|wish| std::mem::replace(&mut wish.carry, false));
    }

    pub(super) fn carries(&self) -> bool {
        self.current.borrow().carry
    }

    /// The DNS servers of the relay's host.
    pub(super) fn dns_servers(&self) -> Vec<SocketAddr> {
        let wish = self.current.borrow();
        let servers = wish.host.iter().flat_map(|host| &host.dns_servers);
        servers.filter_map(|server| Some(SocketAddr::new(server.parse().ok()?, DNS_PORT))).collect()
    }

    /// A packet came of a conversation that did not begin by the tunnel.
    pub(super) fn keep_off(&mut self, now: Instant, one: Elsewhere) {
        self.elsewhere.note(now, one, &self.current);
    }

    /// When [`Wishes::expire`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.elsewhere.deadline()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.elsewhere.expire(now, &self.current);
    }
}
