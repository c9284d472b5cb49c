//! Room in the table, shared among owners ([`Shares`]). A newcomer to a full table takes the place
//! of, in this order: a connection whose app is gone, the heaviest owner's oldest half-open one,
//! and that owner's idlest one. An owner that holds no more than the newcomer's owner loses nothing
//! to it.
//!
//! A half-open connection is dropped silently: its app's kernel sends the SYN again, which starts a
//! new attempt. An open one is reset. Nothing here examines more than a few entries at a time.

use super::flow::{Changes, Flow, Phase};
use super::{Around, Entry, FlowId, Pending, Slot, Tcp, Tuple, entry, entry_mut};
use crate::limits::{
    ASKED_FROM_QUARTER, HALF_OPEN, HALF_OPEN_AT_LEAST, HALF_OPEN_TO_ONE, LOOKED_AT,
    RESOLVED_AT_ONCE, SWEEP_SILENT,
};
use crate::owner::{Owner, Owners, Transport, is_gone, owner};
use crate::shares::Shares;
use crate::stats::{DropReason, Stats};
use smoltcp::socket::tcp::State;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

/// A displaced connection, for the stack's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Displaced {
    HalfOpen(FlowId),
    Open(FlowId, Changes),
}

/// Queue places that dead entries may hold, even for a small table.
const SPARE: usize = 1024;

/// What each owner holds of the table.
#[derive(Debug, Default)]
pub(super) struct Room {
    all: Shares<FlowId>,
    half_open: Shares<FlowId>,
    /// Half-open connections of known owners, by owner and address.
    to_one: HashMap<(Owner, IpAddr), usize>,
    /// When half-open ones expire, earliest first. An entry counts if it belongs to the app's last
    /// SYN.
    waiting: VecDeque<(Instant, FlowId)>,
    /// Connections whose app has sent FIN, oldest first, and some that are gone.
    half_closed: VecDeque<FlowId>,
    displaced: Vec<Displaced>,
}

impl Entry {
    fn owner(&self) -> Owner {
        match self {
            Self::Pending(pending) => pending.owner,
            Self::Open(flow) => flow.owner,
        }
    }

    fn tuple(&self) -> Tuple {
        match self {
            Self::Pending(pending) => pending.tuple,
            Self::Open(flow) => flow.tuple,
        }
    }
}

impl Flow {
    /// Whether its end would lose no byte.
    fn carries_nothing(&self) -> bool {
        self.phase == Phase::Live && self.readable() == 0 && self.unsent() == 0
    }
}

fn is_of(slots: &[Slot], id: FlowId, owner: Owner) -> bool {
    entry(slots, id).is_some_and(|entry| entry.owner() == owner)
}

fn is_pending_of(slots: &[Slot], id: FlowId, owner: Owner) -> bool {
    matches!(entry(slots, id), Some(Entry::Pending(pending)) if pending.owner == owner)
}

impl Room {
    /// A half-open connection enters the table.
    pub(super) fn enter(
        &mut self,
        slots: &mut [Slot],
        now: Instant,
        id: FlowId,
        owner: Owner,
        to: IpAddr,
    ) {
        let kept = self.all.add(owner, id, |owner, id| is_of(slots, id, owner));
        if let Some(Entry::Pending(pending)) = entry_mut(slots, id) {
            pending.owner = kept;
        }
        self.enter_half_open(slots, id, kept, to);
        self.wait(slots, now, id);
    }

    fn enter_half_open(&mut self, slots: &[Slot], id: FlowId, owner: Owner, to: IpAddr) {
        self.half_open.add(owner, id, |owner, id| is_pending_of(slots, id, owner));
        if owner != Owner::Unasked {
            *self.to_one.entry((owner, to)).or_default() += 1;
        }
    }

    /// The app's kernel has just asked for it.
    pub(super) fn wait(&mut self, slots: &[Slot], now: Instant, id: FlowId) {
        let is_late = |(at, id): &(Instant, FlowId)| match entry(slots, *id) {
            Some(Entry::Pending(pending)) => pending.heard + HALF_OPEN <= *at,
            Some(Entry::Open(_)) | None => false,
        };
        if self.waiting.len() > SPARE.max(4 * self.half_open.len()) {
            self.waiting.retain(is_late);
        }
        self.waiting.push_back((now + HALF_OPEN, id));
    }

    /// It is no longer half-open.
    pub(super) fn leave_half_open(&mut self, pending: &Pending) {
        self.half_open.remove(pending.owner);
        let key = (pending.owner, pending.tuple.to.ip());
        if pending.owner != Owner::Unasked
            && let Some(count) = self.to_one.get_mut(&key)
        {
            *count -= 1;
            if *count == 0 {
                self.to_one.remove(&key);
            }
        }
    }

    /// It has left the table.
    pub(super) fn leave(&mut self, owner: Owner) {
        self.all.remove(owner);
    }

    /// Its app has sent FIN.
    pub(super) fn note_half_closed(&mut self, slots: &[Slot], id: FlowId) {
        if self.half_closed.len() > SPARE.max(2 * self.all.len()) {
            self.half_closed.retain(|id| entry(slots, *id).is_some());
        }
        self.half_closed.push_back(id);
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|(at, _)| *at)
    }

    pub(super) fn shrink(&mut self, slots: &[Slot]) {
        self.all.shrink(|owner, id| is_of(slots, id, owner));
        self.half_open.shrink(|owner, id| is_pending_of(slots, id, owner));
        self.to_one.shrink_to_fit();
        self.half_closed.retain(|id| entry(slots, *id).is_some());
        self.half_closed.shrink_to_fit();
        self.waiting.shrink_to_fit();
    }
}

impl Tcp {
    /// Whether there is room for a newcomer, and its owner. A connection that must make room goes
    /// at once and comes out of [`Tcp::next_displaced`], even if that was not enough.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        tuple: Tuple,
        around: &mut Around<'_>,
        owners: &mut dyn Owners,
    ) -> Result<Owner, DropReason> {
        let most = self.max_flows.min(self.expected);
        let is_crowded = (self.open + self.half_open) * ASKED_FROM_QUARTER >= most
            || self.half_open * ASKED_FROM_QUARTER >= self.max_half_open;
        if !is_crowded {
            return Ok(Owner::Unasked);
        }
        let newcomer = owner(owners, Transport::Tcp, tuple.app, tuple.to);
        let to_one = self.room.to_one.get(&(newcomer, tuple.to.ip())).copied().unwrap_or(0);
        if to_one * HALF_OPEN_TO_ONE >= self.max_half_open {
            return Err(DropReason::HalfOpenFull);
        }
        if self.half_open >= self.max_half_open
            && !self.displace_half_open(now, newcomer, around.stats, owners)
        {
            return Err(DropReason::HalfOpenFull);
        }
        if self.open + self.half_open >= most
            && !self.displace(now, newcomer, around, owners)
            && self.open + self.half_open >= self.max_flows
        {
            return Err(DropReason::FlowsFull);
        }
        Ok(newcomer)
    }

    /// The next connection displaced since the last call.
    pub(crate) fn next_displaced(&mut self) -> Option<Displaced> {
        self.room.displaced.pop()
    }

    /// Removes and returns the next half-open connection that took too long.
    pub(crate) fn expire_half_open(&mut self, now: Instant) -> Option<FlowId> {
        while self.room.deadline().is_some_and(|at| at <= now) {
            let (at, id) = self.room.waiting.pop_front()?;
            if matches!(entry(&self.slots, id), Some(Entry::Pending(pending)) if pending.heard + HALF_OPEN <= at)
            {
                self.remove(id);
                return Some(id);
            }
        }
        None
    }

    /// Makes room among half-open connections.
    fn displace_half_open(
        &mut self,
        now: Instant,
        newcomer: Owner,
        stats: &mut Stats,
        owners: &mut dyn Owners,
    ) -> bool {
        let heaviest = |tcp: &Self| tcp.room.half_open.heaviest(newcomer);
        let next = |tcp: &mut Self| tcp.room.half_open.pop(Owner::Unasked);
        self.ask_some(self.room.half_open.to_ask(), next, owners);
        if heaviest(self).is_none() {
            self.ask_some(RESOLVED_AT_ONCE, next, owners);
        }
        if let Some(heaviest) = heaviest(self) {
            return self.displace_oldest_half_open(heaviest, stats);
        }
        // The owner's own oldest one. Its host may never answer.
        let Some(id) = self.oldest_half_open(newcomer) else { return false };
        let is_old = |entry: &Entry| matches!(entry, Entry::Pending(one) if one.since + HALF_OPEN_AT_LEAST <= now);
        let is_old = entry(&self.slots, id).is_some_and(is_old);
        self.room.half_open.put_first(newcomer, id);
        is_old && self.displace_oldest_half_open(newcomer, stats)
    }

    fn displace_oldest_half_open(&mut self, owner: Owner, stats: &mut Stats) -> bool {
        let Some(id) = self.oldest_half_open(owner) else { return false };
        self.remove(id);
        self.room.displaced.push(Displaced::HalfOpen(id));
        stats.half_open_displaced += 1;
        stats.last_displaced = Some(owner);
        true
    }

    /// Takes the oldest half-open connection of an owner out of the order.
    fn oldest_half_open(&mut self, owner: Owner) -> Option<FlowId> {
        let slots = &self.slots;
        self.room.half_open.pop_there(owner, |id| is_pending_of(slots, id, owner))
    }

    /// Makes room among all connections.
    fn displace(
        &mut self,
        now: Instant,
        newcomer: Owner,
        around: &mut Around<'_>,
        owners: &mut dyn Owners,
    ) -> bool {
        if let Some(id) =
            self.half_closed_and_gone(owners).or_else(|| self.own_and_gone(now, newcomer, owners))
        {
            around.stats.gone_displaced += 1;
            self.end_at_once(now, id, around);
            return true;
        }
        let heaviest = |tcp: &Self| tcp.room.all.heaviest(newcomer);
        let next = |tcp: &mut Self| tcp.room.all.pop(Owner::Unasked);
        self.ask_some(self.room.all.to_ask(), next, owners);
        if heaviest(self).is_none() {
            self.ask_some(RESOLVED_AT_ONCE, next, owners);
        }
        let Some(heaviest) = heaviest(self) else { return false };
        if self.displace_oldest_half_open(heaviest, around.stats) {
            return true;
        }
        let Some(id) = self.idlest(heaviest) else { return false };
        around.stats.idle_displaced += 1;
        around.stats.last_displaced = Some(heaviest);
        self.end_at_once(now, id, around);
        true
    }

    fn ask_some(
        &mut self,
        most: usize,
        next: impl Fn(&mut Self) -> Option<FlowId>,
        owners: &mut dyn Owners,
    ) {
        for _ in 0..most {
            let Some(id) = next(self) else { return };
            self.ask(id, owners);
        }
    }

    /// Looks up the owner of a connection that has no known owner.
    fn ask(&mut self, id: FlowId, owners: &mut dyn Owners) {
        let Some(entry) = entry(&self.slots, id).filter(|entry| entry.owner() == Owner::Unasked)
        else {
            return;
        };
        let tuple = entry.tuple();
        let owner = owner(owners, Transport::Tcp, tuple.app, tuple.to);
        self.room.all.remove(Owner::Unasked);
        let slots = &self.slots;
        let owner = self.room.all.add(owner, id, |owner, id| is_of(slots, id, owner));
        match entry_mut(&mut self.slots, id) {
            Some(Entry::Pending(pending)) => {
                pending.owner = owner;
                self.room.half_open.remove(Owner::Unasked);
                self.room.enter_half_open(&self.slots, id, owner, tuple.to.ip());
            }
            Some(Entry::Open(flow)) => flow.owner = owner,
            None => {}
        }
    }

    /// The owner of a connection, looked up if it is not known yet.
    pub(crate) fn owner_of(&mut self, id: FlowId, owners: &mut dyn Owners) -> Owner {
        self.ask(id, owners);
        entry(&self.slots, id).map_or(Owner::Unasked, Entry::owner)
    }

    /// A connection that its app has closed, but its server has kept open. Linux keeps such an
    /// orphan for `tcp_fin_timeout`, and many of them could fill the table within that time.
    fn half_closed_and_gone(&mut self, owners: &mut dyn Owners) -> Option<FlowId> {
        let mut looked_at = 0;
        while looked_at < LOOKED_AT.min(self.room.half_closed.len()) {
            let id = self.room.half_closed.pop_front()?;
            let Some(flow) = self.flow(id) else { continue };
            if flow.socket().state() != State::CloseWait {
                continue;
            }
            looked_at += 1;
            if flow.carries_nothing()
                && is_gone(owners, Transport::Tcp, flow.tuple.app, flow.tuple.to, flow.owner)
            {
                return Some(id);
            }
            self.room.half_closed.push_back(id);
        }
        None
    }

    /// A connection of the newcomer's own owner that the kernel has forgotten silently.
    fn own_and_gone(
        &mut self,
        now: Instant,
        newcomer: Owner,
        owners: &mut dyn Owners,
    ) -> Option<FlowId> {
        let is_silent =
            |flow: &&Flow| flow.carries_nothing() && flow.idle_since() + SWEEP_SILENT.1 <= now;
        for _ in 0..LOOKED_AT.min(self.room.all.of(newcomer)) {
            let slots = &self.slots;
            let id = self.room.all.pop_there(newcomer, |id| is_of(slots, id, newcomer))?;
            if let Some(flow) = self.flow(id).filter(is_silent)
                && is_gone(owners, Transport::Tcp, flow.tuple.app, flow.tuple.to, newcomer)
            {
                return Some(id);
            }
            self.room.all.put_back(newcomer, id);
        }
        None
    }

    /// The connection that was idle longest, among some of an owner's oldest open connections.
    fn idlest(&mut self, owner: Owner) -> Option<FlowId> {
        let mut idlest: Option<(Instant, FlowId)> = None;
        for _ in 0..LOOKED_AT.min(self.room.all.of(owner)) {
            let slots = &self.slots;
            let Some(id) = self.room.all.pop_there(owner, |id| is_of(slots, id, owner)) else {
                break;
            };
            self.room.all.put_back(owner, id);
            if let Some(flow) = self.flow(id).filter(|flow| flow.phase == Phase::Live)
                && idlest.is_none_or(|(since, _)| flow.idle_since() < since)
            {
                idlest = Some((flow.idle_since(), id));
            }
        }
        idlest.map(|(_, id)| id)
    }

    /// Resets an open connection now.
    fn end_at_once(&mut self, now: Instant, id: FlowId, around: &mut Around<'_>) {
        let Some(flow) = self.flow_mut(id) else { return };
        let is_orphan = flow.socket().state() == State::CloseWait && flow.carries_nothing();
        flow.abort();
        self.turn(now, id, around);
        // No queue that it waits in matters any more.
        self.remove(id);
        let changes =
            if is_orphan { Changes::FORGOTTEN.union(Changes::CLOSED) } else { Changes::RESET };
        self.room.displaced.push(Displaced::Open(id, changes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn the_memory_of_gone_connections_is_bounded() {
        for held in [0, 1000] {
            let (now, mut room) = (Instant::now(), Room::default());
            for id in (0..held).map(FlowId) {
                room.all.add(Owner::Unasked, id, |_, _| true);
                room.half_open.add(Owner::Unasked, id, |_, _| true);
            }
            let mut most = (0, 0);
            for id in (0..10_000).map(FlowId) {
                room.note_half_closed(&[], id);
                room.wait(&[], now, id);
                most = (room.half_closed.len().max(most.0), room.waiting.len().max(most.1));
            }
            // They are examined rarely, and in time.
            let held = held as usize;
            assert_eq!(most, (SPARE.max(2 * held) + 1, SPARE.max(4 * held) + 1));
            assert_eq!(
                (room.deadline(), room.half_closed.back()),
                (Some(now + HALF_OPEN), Some(&FlowId(9999)))
            );
            // Most of their connections go at once.
            (0..held).for_each(|_| {
                room.leave(Owner::Unasked);
                room.half_open.remove(Owner::Unasked);
            });
            (0..1500).map(FlowId).for_each(|id| {
                room.note_half_closed(&[], id);
                room.wait(&[], now, id);
            });
            assert!(room.half_closed.len() <= SPARE + 1 && room.waiting.len() <= SPARE + 1);
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn a_room_that_shrinks_gives_back_what_was_held_for_connections_that_are_gone() {
        let (now, mut room) = (Instant::now(), Room::default());
        for id in (0..1000).map(FlowId) {
            let to = IpAddr::from(id.0.to_be_bytes());
            room.all.add(Owner::User(1), id, |_, _| true);
            room.enter_half_open(&[], id, Owner::User(1), to);
            room.note_half_closed(&[], id);
            room.wait(&[], now, id);
        }
        while room.waiting.pop_front().is_some() {}
        room.to_one.clear();
        room.shrink(&[]);
        assert_eq!((room.half_closed.capacity(), room.waiting.capacity()), (0, 0));
        assert_eq!(room.to_one.capacity(), 0);
        assert_eq!(
            (room.all.pop(Owner::User(1)), room.half_open.pop(Owner::User(1))),
            (None, None)
        );
    }

    /// A kernel repeats its SYN. Only the last one's deadline counts.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do; time is an argument")]
    fn the_memory_of_a_repeated_syn_is_bounded_and_its_last_deadline_stays() {
        let (start, mut room, id) = (Instant::now(), Room::default(), FlowId(0));
        let tuple = Tuple { app: ([10, 99, 0, 18], 1).into(), to: ([192, 0, 2, 1], 80).into() };
        let pending = Pending {
            tuple,
            syn: Box::default(),
            seq: 1,
            hops: None,
            header_at: 20,
            owner: Owner::Unasked,
            since: start,
            heard: start,
        };
        let mut slots = [Slot { generation: 0, entry: Some(Entry::Pending(Box::new(pending))) }];
        room.enter(&mut slots, start, id, Owner::Unasked, tuple.to.ip());
        for now in (1..5000).map(|ms| start + std::time::Duration::from_millis(ms)) {
            if let Some(Entry::Pending(pending)) = &mut slots[0].entry {
                pending.heard = now;
            }
            room.wait(&slots, now, id);
            assert!(room.waiting.len() <= SPARE + 1);
            assert_eq!(room.waiting.back(), Some(&(now + HALF_OPEN, id)));
        }
        // It also stays when others come.
        let last = room.waiting.back().copied();
        (1..3000).for_each(|other| room.wait(&slots, start, FlowId(other)));
        assert!(room.waiting.iter().any(|entry| Some(*entry) == last));
    }
}
