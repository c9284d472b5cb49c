//! UDP: one bind a source endpoint of the VM, used for every destination (RFC 4787 REQ-1), with its idle time and the aliases
//! by which the app knows loopback peers. Knows no packet format.

use crate::limits::{MAX_ALIASES, UDP_IDLE, UDP_IDLE_SHORT};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// One UDP source endpoint of the VM: a table index and its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindId(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Traffic {
    OneWay,
    TwoWay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peers {
    OnlyDns,
    Any,
}

#[derive(Debug)]
pub(crate) struct Bind {
    pub(crate) app: SocketAddr,
    traffic: Traffic,
    peers: Peers,
    used: Instant,
    /// Loopback ports and the address by which the app knows them; the newest last.
    aliases: VecDeque<(u16, IpAddr)>,
}

impl Bind {
    fn expires(&self) -> Instant {
        let idle = match (self.traffic, self.peers) {
            (Traffic::TwoWay, Peers::Any) => UDP_IDLE,
            (Traffic::OneWay, _) | (_, Peers::OnlyDns) => UDP_IDLE_SHORT,
        };
        self.used + idle
    }

    /// Remembers by which address the app reaches a loopback port.
    pub(crate) fn remember_alias(&mut self, port: u16, alias: IpAddr) {
        if self.aliases.back() == Some(&(port, alias)) {
            return;
        }
        self.aliases.retain(|(known, _)| *known != port);
        if self.aliases.len() >= MAX_ALIASES {
            self.aliases.pop_front();
        }
        self.aliases.push_back((port, alias));
    }

    pub(crate) fn alias(&self, port: u16) -> Option<IpAddr> {
        self.aliases.iter().find(|(known, _)| *known == port).map(|(_, ip)| *ip)
    }
}

#[derive(Debug, Default)]
struct Slot {
    generation: u16,
    bind: Option<Bind>,
}

/// The table of binds.
#[derive(Debug)]
pub(crate) struct Binds {
    slots: Vec<Slot>,
    free: VecDeque<u16>,
    by_app: HashMap<SocketAddr, BindId>,
    /// One entry a bind, at or before its expiry.
    heap: BinaryHeap<Reverse<(Instant, BindId)>>,
    max: usize,
}

/// A datagram's bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) bind: BindId,
    /// Whether it is new.
    pub(crate) new: New,
    /// The one that had to go for it.
    pub(crate) evicted: Option<BindId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum New {
    Yes,
    No,
}

impl Binds {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: VecDeque::new(),
            by_app: HashMap::new(),
            heap: BinaryHeap::new(),
            max: max.clamp(1, usize::from(u16::MAX)),
        }
    }

    /// The bind of a datagram from `app` to `port`, made where there is none.
    pub(crate) fn touch(&mut self, now: Instant, app: SocketAddr, port: u16) -> Option<Used> {
        if let Some(id) = self.by_app.get(&app).copied() {
            let bind = self.get_mut(id)?;
            bind.used = now;
            let was = bind.expires();
            if port != 53 {
                bind.peers = Peers::Any;
            }
            debug_assert!(was <= bind.expires());
            return Some(Used { bind: id, new: New::No, evicted: None });
        }
        let evicted = if self.by_app.len() >= self.max { self.oldest() } else { None };
        if let Some(id) = evicted {
            self.remove(id);
        }
        let index = match self.free.pop_front() {
            Some(index) => index,
            None => {
                self.slots.push(Slot::default());
                u16::try_from(self.slots.len() - 1).ok()?
            }
        };
        let slot = &mut self.slots[usize::from(index)];
        let peers = if port == 53 { Peers::OnlyDns } else { Peers::Any };
        let bind = Bind { app, traffic: Traffic::OneWay, peers, used: now, aliases: VecDeque::new() };
        let id = BindId(u32::from(slot.generation) << 16 | u32::from(index));
        self.heap.push(Reverse((bind.expires(), id)));
        slot.bind = Some(bind);
        self.by_app.insert(app, id);
        Some(Used { bind: id, new: New::Yes, evicted })
    }

    /// A scan, but only of a full table, and of few thousand entries.
    fn oldest(&self) -> Option<BindId> {
        self.by_app.values().copied().min_by_key(|id| self.get(*id).map(|bind| bind.used))
    }

    pub(crate) fn get(&self, id: BindId) -> Option<&Bind> {
        let slot = self.slots.get((id.0 & 0xffff) as usize)?;
        (u32::from(slot.generation) == id.0 >> 16).then_some(slot.bind.as_ref()).flatten()
    }

    pub(crate) fn get_mut(&mut self, id: BindId) -> Option<&mut Bind> {
        let slot = self.slots.get_mut((id.0 & 0xffff) as usize)?;
        (u32::from(slot.generation) == id.0 >> 16).then_some(slot.bind.as_mut()).flatten()
    }

    /// A datagram came back for it.
    pub(crate) fn answered(&mut self, now: Instant, id: BindId) -> Option<&Bind> {
        let bind = self.get_mut(id)?;
        bind.used = now;
        bind.traffic = Traffic::TwoWay;
        Some(bind)
    }

    pub(crate) fn remove(&mut self, id: BindId) {
        let Some(bind) = self.get(id) else { return };
        let app = bind.app;
        self.by_app.remove(&app);
        let slot = &mut self.slots[(id.0 & 0xffff) as usize];
        slot.bind = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push_back((id.0 & 0xffff) as u16);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next bind that was idle too long; it is gone with this.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<BindId> {
        loop {
            let &Reverse((at, id)) = self.heap.peek()?;
            if at > now {
                return None;
            }
            self.heap.pop();
            let Some(bind) = self.get(id) else { continue };
            let expires = bind.expires();
            if expires > now {
                self.heap.push(Reverse((expires, id)));
                continue;
            }
            self.remove(id);
            return Some(id);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_app.len()
    }
}
