//! UDP: one bind per source endpoint of the VM, used for every destination (RFC 4787 REQ-1), with
//! its idle time and the aliases by which the app knows loopback peers. Knows no packet format.

use crate::contacts::Contacts;
use crate::limits::{
    ASKED_FROM_QUARTER, LOOKED_AT, MAX_ALIASES, RESOLVED_AT_ONCE, UDP_IDLE, UDP_IDLE_SHORT,
};
use crate::owner::{Owner, Owners, Transport, owner};
use crate::sent::Latest;
use crate::shares::Shares;
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
    /// Its owner at the last look-up.
    owner: Owner,
    traffic: Traffic,
    peers: Peers,
    used: Instant,
    /// Loopback ports and the address by which the app knows them, newest last.
    aliases: VecDeque<(u16, IpAddr)>,
    /// The hosts that it has sent to, as the relay knows them.
    pub(crate) contacts: Contacts,
    /// Its latest datagrams.
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

    /// Remembers the address by which the app reaches a loopback port.
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

fn bind(slots: &[Slot], id: BindId) -> Option<&Bind> {
    let slot = slots.get((id.0 & 0xffff) as usize)?;
    (u32::from(slot.generation) == id.0 >> 16).then_some(slot.bind.as_ref()).flatten()
}

/// The table of binds.
#[derive(Debug)]
pub(crate) struct Binds {
    slots: Vec<Slot>,
    free: VecDeque<u16>,
    by_app: HashMap<SocketAddr, BindId>,
    /// Each bind has one entry in one of the two queues, at or before its last use. `short` may
    /// hold a bind whose lifetime has become long, never the other way round.
    short: Queue,
    long: Queue,
    shares: Shares<BindId>,
    max: usize,
}

/// The bind of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) bind: BindId,
    pub(crate) is_new: bool,
}

impl Binds {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: VecDeque::new(),
            by_app: HashMap::new(),
            short: Queue::new(),
            long: Queue::new(),
            shares: Shares::default(),
            max: max.clamp(1, usize::from(u16::MAX)),
        }
    }

    /// Limits the binds to `max` from now on. Surplus ones go as new ones come.
    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max.clamp(1, usize::from(u16::MAX));
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// A bind beyond the limit that must go before another is made: one of the heaviest owner's.
    pub(crate) fn evict(
        &mut self,
        app: SocketAddr,
        to: SocketAddr,
        owners: &mut dyn Owners,
    ) -> Option<BindId> {
        if self.by_app.len() < self.max || self.by_app.contains_key(&app) {
            return None;
        }
        let newcomer = owner(owners, Transport::Udp, app, to);
        self.ask_some(self.shares.to_ask(), owners);
        if self.shares.heaviest(newcomer).is_none() {
            self.ask_some(RESOLVED_AT_ONCE, owners);
        }
        let id = self.of_the_heaviest(newcomer, owners).or_else(|| self.oldest())?;
        self.remove(id);
        Some(id)
    }

    fn of_the_heaviest(&mut self, newcomer: Owner, owners: &mut dyn Owners) -> Option<BindId> {
        for _ in 0..LOOKED_AT {
            let heaviest = self.shares.heaviest(newcomer).unwrap_or(newcomer);
            let id = self.idlest(heaviest, owners)?;
            // An app may have closed its socket since, and another user's app may have taken the
            // port.
            self.ask(id, owners);
            if self.get(id).is_some_and(|bind| bind.owner == heaviest) {
                return Some(id);
            }
        }
        None
    }

    fn ask_some(&mut self, most: usize, owners: &mut dyn Owners) {
        for _ in 0..most {
            let Some(id) = self.shares.pop(Owner::Unasked) else { return };
            self.ask(id, owners);
        }
    }

    /// Looks up the current owner of a bind.
    fn ask(&mut self, id: BindId, owners: &mut dyn Owners) {
        let Some((app, to, before)) =
            self.get(id).and_then(|bind| Some((bind.app, bind.latest.last()?, bind.owner)))
        else {
            return;
        };
        let now = owner(owners, Transport::Udp, app, to);
        // Without a socket, the bind stays with its former owner, which still holds it.
        let is_known = !matches!(before, Owner::Unasked) && now.is_source();
        if now != before && !is_known {
            self.shares.remove(before);
            let kept = self.share(now, id);
            if let Some(bind) = self.get_mut(id) {
                bind.owner = kept;
            }
        }
    }

    fn share(&mut self, owner: Owner, id: BindId) -> Owner {
        let slots = &self.slots;
        self.shares
            .add(owner, id, |owner, id| bind(slots, id).is_some_and(|bind| bind.owner == owner))
    }

    /// The bind of an owner that was idle longest; one of several, if the oldest of all is another
    /// owner's.
    fn idlest(&mut self, owner: Owner, owners: &mut dyn Owners) -> Option<BindId> {
        let oldest = self.oldest()?;
        if self.get(oldest).is_some_and(|bind| bind.owner == Owner::Unasked) {
            self.ask(oldest, owners);
        }
        if self.get(oldest).is_some_and(|bind| bind.owner == owner) {
            return Some(oldest);
        }
        let mut idlest: Option<(Instant, BindId)> = None;
        for _ in 0..LOOKED_AT.min(self.shares.of(owner)) {
            let slots = &self.slots;
            let is_there = |id| bind(slots, id).is_some_and(|bind| bind.owner == owner);
            let Some(id) = self.shares.pop_there(owner, is_there) else { break };
            self.shares.put_back(owner, id);
            if let Some(bind) = self.get(id)
                && idlest.is_none_or(|(used, _)| bind.used < used)
            {
                idlest = Some((bind.used, id));
            }
        }
        idlest.map(|(_, id)| id)
    }

    /// The bind of a datagram from `app`, created if there is none.
    pub(crate) fn touch(
        &mut self,
        now: Instant,
        app: SocketAddr,
        to: SocketAddr,
        owners: &mut dyn Owners,
    ) -> Option<Used> {
        let port = to.port();
        if let Some(id) = self.by_app.get(&app).copied() {
            let bind = self.get_mut(id)?;
            bind.used = now;
            if port != 53 {
                bind.peers = Peers::Any;
            }
            return Some(Used { bind: id, is_new: false });
        }
        let is_crowded = self.by_app.len() * ASKED_FROM_QUARTER >= self.max;
        let owner =
            if is_crowded { owner(owners, Transport::Udp, app, to) } else { Owner::Unasked };
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
            owner,
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
        let kept = self.share(owner, id);
        if let Some(bind) = self.get_mut(id) {
            bind.owner = kept;
        }
        self.tidy();
        Some(Used { bind: id, is_new: true })
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

    /// Queues a bind by its last use, unless it is gone.
    fn queue(&mut self, id: BindId) {
        let Some((used, lifetime)) = self.get(id).map(|bind| (bind.used, bind.lifetime())) else {
            return;
        };
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

    /// The bind that was idle longest, whatever its lifetime. Otherwise a table full of long-lived
    /// binds would leave a new one no time for its answer.
    fn oldest(&mut self) -> Option<BindId> {
        self.sort_fronts();
        let fronts = [self.short.peek(), self.long.peek()];
        fronts.into_iter().flatten().max().map(|Reverse((_, id))| *id)
    }

    pub(crate) fn get(&self, id: BindId) -> Option<&Bind> {
        bind(&self.slots, id)
    }

    pub(crate) fn get_mut(&mut self, id: BindId) -> Option<&mut Bind> {
        let slot = self.slots.get_mut((id.0 & 0xffff) as usize)?;
        (u32::from(slot.generation) == id.0 >> 16).then_some(slot.bind.as_mut()).flatten()
    }

    /// A datagram came back for the bind.
    pub(crate) fn answered(&mut self, now: Instant, id: BindId) -> Option<&Bind> {
        let bind = self.get_mut(id)?;
        bind.used = now;
        bind.traffic = Traffic::TwoWay;
        Some(bind)
    }

    pub(crate) fn remove(&mut self, id: BindId) {
        let Some(bind) = self.get(id) else { return };
        let (app, owner) = (bind.app, bind.owner);
        self.shares.remove(owner);
        self.by_app.remove(&app);
        let slot = &mut self.slots[(id.0 & 0xffff) as usize];
        slot.bind = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push_back((id.0 & 0xffff) as u16);
    }

    /// Early if the first entry of a queue belongs to a bind that was used since or is gone.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first =
            |lifetime: Duration| self.of(lifetime).peek().map(|Reverse((at, _))| *at + lifetime);
        [first(UDP_IDLE_SHORT), first(UDP_IDLE)].into_iter().flatten().min()
    }

    /// Removes and returns the next bind that was idle too long.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owner::AppSocket;

    /// The kernel's answer for every socket.
    struct Says(AppSocket);

    impl Owners for Says {
        fn look_up(&mut self, _: Transport, _: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
            Some(self.0)
        }
    }

    fn end(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 99, 0, 18], port))
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn a_bind_stays_its_owners_when_the_socket_is_gone_and_goes_over_with_the_port() {
        let (now, to) = (Instant::now(), SocketAddr::from(([192, 0, 2, 1], 9)));
        let mut binds = Binds::new(4);
        let ids: Vec<_> = (1..=4)
            .map(|port| binds.touch(now, end(port), to, &mut Says(AppSocket::Of(7))).unwrap().bind)
            .collect();
        let latest = |binds: &mut Binds, id| {
            if let Some(bind) = binds.get_mut(id) {
                bind.latest.push(crate::sent::Sent::unknown(to));
            }
        };
        ids.iter().for_each(|id| latest(&mut binds, *id));
        let owners =
            |binds: &Binds| ids.iter().map(|id| binds.get(*id).unwrap().owner).collect::<Vec<_>>();
        assert_eq!(owners(&binds)[0], Owner::Unasked, "there was room for all");
        for (says, owner) in [
            (AppSocket::Of(7), Owner::User(7)),
            (AppSocket::Missing, Owner::User(7)),
            (AppSocket::Of(8), Owner::User(8)),
            (AppSocket::Orphan, Owner::User(8)),
        ] {
            ids.iter().for_each(|id| binds.ask(*id, &mut Says(says)));
            assert_eq!(owners(&binds), [owner; 4], "{says:?}");
            assert_eq!((binds.shares.of(owner), binds.shares.len()), (4, 4));
        }
    }

    /// A relay without sockets gives each bind back at once.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn the_memory_of_gone_binds_is_bounded() {
        let (now, to) = (Instant::now(), SocketAddr::from(([192, 0, 2, 1], 9)));
        let mut binds = Binds::new(4000);
        let make = |binds: &mut Binds, at, port| {
            binds.touch(at, end(port), to, &mut Says(AppSocket::Of(7))).unwrap().bind
        };
        let kept = make(&mut binds, now, 1);
        binds.answered(now, kept);
        let all: Vec<_> = (2..3000).map(|port| make(&mut binds, now, port)).collect();
        all.into_iter().for_each(|id| binds.remove(id));
        for port in (2..3000).cycle().take(10_000) {
            let id = make(&mut binds, now + UDP_IDLE_SHORT, port);
            let held = binds.short.len() + binds.long.len();
            assert!(held <= 2 * binds.len() + 1024, "{held}");
            binds.remove(id);
        }
        // Those that are left have their own time.
        assert_eq!(binds.expire(now + UDP_IDLE - Duration::from_millis(1)), None);
        assert_eq!(binds.expire(now + UDP_IDLE), Some(kept));
        assert_eq!((binds.len(), binds.shares.len()), (0, 0));
    }
}
