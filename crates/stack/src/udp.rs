//! UDP: one bind a source endpoint of the VM, used for every destination (RFC 4787 REQ-1), with its idle time and the aliases
//! by which the app knows loopback peers. Knows no packet format.

use crate::contacts::Contacts;
use crate::limits::{MAX_ALIASES, UDP_IDLE, UDP_IDLE_SHORT};
use crate::sent::Latest;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

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
    /// The hosts that it has sent to, as the relay knows them.
    pub(crate) contacts: Contacts,
    /// What it sent last.
    pub(crate) latest: Latest,
}

impl Bind {
    /// How long it may be idle.
    fn lifetime(&self) -> Duration {
        match (self.traffic, self.peers) {
            (Traffic::TwoWay, Peers::Any) => UDP_IDLE,
            (Traffic::OneWay, _) | (_, Peers::OnlyDns) => UDP_IDLE_SHORT,
        }
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

/// The least recently used first.
type Queue = BinaryHeap<Reverse<(Instant, BindId)>>;

/// The table of binds.
#[derive(Debug)]
pub(crate) struct Binds {
    slots: Vec<Slot>,
    free: VecDeque<u16>,
    by_app: HashMap<SocketAddr, BindId>,
    /// One entry a bind in one of the two, at or before its last use; `short` may hold one that came to live long since, never
    /// the other way round.
    short: Queue,
    long: Queue,
    max: usize,
}

/// A datagram's bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) bind: BindId,
    /// Whether it is new.
    pub(crate) new: New,
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
            short: Queue::new(),
            long: Queue::new(),
            max: max.clamp(1, usize::from(u16::MAX)),
        }
    }

    /// Takes no more than `max` binds from now on; those that are too many go as new ones come.
    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max.clamp(1, usize::from(u16::MAX));
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// One that is beyond the bound and has to go before another is made: the one that was idle longest.
    pub(crate) fn evict(&mut self, app: SocketAddr) -> Option<BindId> {
        let full = self.by_app.len() >= self.max && !self.by_app.contains_key(&app);
        if full { self.pop_oldest() } else { None }
    }

    /// The bind of a datagram from `app` to `port`, made where there is none.
    pub(crate) fn touch(&mut self, now: Instant, app: SocketAddr, port: u16) -> Option<Used> {
        if let Some(id) = self.by_app.get(&app).copied() {
            let bind = self.get_mut(id)?;
            bind.used = now;
            if port != 53 {
                bind.peers = Peers::Any;
            }
            return Some(Used { bind: id, new: New::No });
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
        let bind = Bind {
            app,
            traffic: Traffic::OneWay,
            peers,
            used: now,
            aliases: VecDeque::new(),
            contacts: Contacts::default(),
            latest: Latest::default(),
        };
        let id = BindId(u32::from(slot.generation) << 16 | u32::from(index));
        self.short.push(Reverse((now, id)));
        slot.bind = Some(bind);
        self.by_app.insert(app, id);
        self.tidy();
        Some(Used { bind: id, new: New::Yes })
    }

    /// Bounds the queues where binds are removed faster than they expire.
    fn tidy(&mut self) {
        if self.short.len() + self.long.len() > 2 * self.by_app.len() + 1024 {
            for mut queue in [std::mem::take(&mut self.short), std::mem::take(&mut self.long)] {
                queue.retain(|Reverse((_, id))| self.get(*id).is_some());
                queue.into_iter().for_each(|Reverse((_, id))| self.queue(id));
            }
        }
    }

    /// Puts a bind where it belongs by its last use, unless it is gone.
    fn queue(&mut self, id: BindId) {
        let Some((used, lifetime)) = self.get(id).map(|bind| (bind.used, bind.lifetime())) else { return };
        let queue = if lifetime == UDP_IDLE { &mut self.long } else { &mut self.short };
        queue.push(Reverse((used, id)));
    }

    /// Brings the least recently used bind of each queue to its front.
    fn sort_fronts(&mut self) {
        for lifetime in [UDP_IDLE_SHORT, UDP_IDLE] {
            while let Some(&Reverse((at, id))) = self.of(lifetime).peek() {
                if self.get(id).is_some_and(|bind| bind.used == at && bind.lifetime() == lifetime) {
                    break;
                }
                self.of_mut(lifetime).pop();
                self.queue(id);
            }
        }
    }

    fn of(&self, lifetime: Duration) -> &Queue {
        if lifetime == UDP_IDLE { &self.long } else { &self.short }
    }

    fn of_mut(&mut self, lifetime: Duration) -> &mut Queue {
        if lifetime == UDP_IDLE { &mut self.long } else { &mut self.short }
    }

    /// Takes out the bind that was idle longest, whatever its lifetime: else a table full of long-lived binds would leave no new one
    /// the time to be answered.
    fn pop_oldest(&mut self) -> Option<BindId> {
        self.sort_fronts();
        let fronts = [self.short.peek(), self.long.peek()];
        let Reverse((_, id)) = *fronts.into_iter().flatten().max()?;
        self.remove(id);
        Some(id)
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

    /// Early where the first entry of a queue is of a bind that was used since, or is gone.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = |lifetime: Duration| self.of(lifetime).peek().map(|Reverse((at, _))| *at + lifetime);
        [first(UDP_IDLE_SHORT), first(UDP_IDLE)].into_iter().flatten().min()
    }

    /// The next bind that was idle too long; it is gone with this.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<BindId> {
        while self.deadline()? <= now {
            self.sort_fronts();
            for lifetime in [UDP_IDLE_SHORT, UDP_IDLE] {
                if let Some(&Reverse((at, id))) = self.of(lifetime).peek()
                    && at + lifetime <= now
                {
                    self.remove(id);
                    self.of_mut(lifetime).pop();
                    return Some(id);
                }
            }
        }
        None
    }

    pub(crate) fn len(&self) -> usize {
        self.by_app.len()
    }
}
