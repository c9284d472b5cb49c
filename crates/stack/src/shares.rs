//! Who holds how much of a table, and in which order it came: so that a newcomer takes the place of whoever
//! holds most, and never of somebody who holds no more than itself. Knows no clock, and not what the table holds.

use crate::limits::{MAX_SOURCES, RESOLVED_AT_ONCE};
use crate::owner::Owner;
use std::collections::{HashMap, VecDeque};

/// What one owner holds.
#[derive(Debug)]
struct Held<Id> {
    count: usize,
    /// All of it, the oldest first, and some that are gone.
    order: VecDeque<Id>,
}

impl<Id> Default for Held<Id> {
    fn default() -> Self {
        Self { count: 0, order: VecDeque::new() }
    }
}

impl<Id: Copy> Held<Id> {
    fn add(&mut self, id: Id, is_there: impl Fn(Id) -> bool) {
        self.count += 1;
        if self.order.len() > 2 * self.count + 64 {
            self.order.retain(|id| is_there(*id));
        }
        self.order.push_back(id);
    }
}

/// The shares of a table. Each entry keeps its owner, as [`Shares::add`] gave it.
#[derive(Debug)]
pub(crate) struct Shares<Id> {
    unasked: Held<Id>,
    held: HashMap<Owner, Held<Id>>,
    /// How many of `held` are sources.
    sources: usize,
}

impl<Id> Default for Shares<Id> {
    fn default() -> Self {
        Self { unasked: Held::default(), held: HashMap::new(), sources: 0 }
    }
}

impl<Id: Copy> Shares<Id> {
    /// Adds an entry; gives the owner that it is kept under. `is_there` tells which entries the table
    /// still has under the owner that they were added with.
    pub(crate) fn add(&mut self, owner: Owner, id: Id, is_there: impl Fn(Owner, Id) -> bool) -> Owner {
        if owner == Owner::Unasked {
            self.unasked.add(id, |id| is_there(owner, id));
            return owner;
        }
        let owner = self.kept_as(owner);
        let held = self.held.entry(owner).or_default();
        self.sources += usize::from(held.count == 0 && owner.is_source());
        held.add(id, |id| is_there(owner, id));
        owner
    }

    /// How an owner is kept: so many sources are told apart, and no more.
    fn kept_as(&self, owner: Owner) -> Owner {
        let is_beyond = owner.is_source() && self.sources >= MAX_SOURCES && !self.held.contains_key(&owner);
        if is_beyond { Owner::OtherSources } else { owner }
    }

    /// An entry is gone from the table.
    pub(crate) fn remove(&mut self, owner: Owner) {
        if owner == Owner::Unasked {
            self.unasked.count = self.unasked.count.saturating_sub(1);
            return;
        }
        let Some(held) = self.held.get_mut(&owner) else { return };
        held.count = held.count.saturating_sub(1);
        if held.count == 0 {
            self.held.remove(&owner);
            self.sources -= usize::from(owner.is_source());
        }
    }

    /// How many entries there are in all.
    pub(crate) fn len(&self) -> usize {
        self.unasked.count + self.held.values().map(|held| held.count).sum::<usize>()
    }

    pub(crate) fn of(&self, owner: Owner) -> usize {
        if owner == Owner::Unasked {
            return self.unasked.count;
        }
        self.held.get(&self.kept_as(owner)).map_or(0, |held| held.count)
    }

    /// The oldest entry of an owner, which has no place in the order any more. It may be gone.
    pub(crate) fn pop(&mut self, owner: Owner) -> Option<Id> {
        if owner == Owner::Unasked {
            return self.unasked.order.pop_front();
        }
        self.held.get_mut(&owner)?.order.pop_front()
    }

    /// As [`Shares::pop`], and what is gone is passed over.
    pub(crate) fn pop_there(&mut self, owner: Owner, is_there: impl Fn(Id) -> bool) -> Option<Id> {
        std::iter::from_fn(|| self.pop(owner)).find(|id| is_there(*id))
    }

    /// An entry that was popped and stays gets the newest place.
    pub(crate) fn put_back(&mut self, owner: Owner, id: Id) {
        if owner == Owner::Unasked {
            self.unasked.order.push_back(id);
        } else if let Some(held) = self.held.get_mut(&owner) {
            held.order.push_back(id);
        }
    }

    /// Undoes [`Shares::pop`].
    pub(crate) fn put_first(&mut self, owner: Owner, id: Id) {
        if owner == Owner::Unasked {
            self.unasked.order.push_front(id);
        } else if let Some(held) = self.held.get_mut(&owner) {
            held.order.push_front(id);
        }
    }

    /// How many of the unasked entries are to be asked before [`Shares::heaviest`] means something: those
    /// that could make one owner heavier than the heaviest that is known, and not all at once.
    pub(crate) fn to_ask(&self) -> usize {
        let known = self.held.values().map(|held| held.count).max().unwrap_or(0);
        if self.unasked.count > known { RESOLVED_AT_ONCE.min(self.unasked.order.len()) } else { 0 }
    }

    /// Who has to make room for a newcomer: who holds most, if that is more than the newcomer's owner
    /// would then hold. All sources together weigh as one user; among them the heaviest one has to.
    pub(crate) fn heaviest(&self, newcomer: Owner) -> Option<Owner> {
        let newcomer = self.kept_as(newcomer);
        let (mut user, mut source, mut sources) = (None, None, 0);
        for (owner, held) in &self.held {
            let most = if owner.is_source() {
                sources += held.count;
                &mut source
            } else {
                &mut user
            };
            *most = (*most).max(Some((held.count, *owner)));
        }
        let (most, heaviest) = match (user, source) {
            (Some((count, _)), Some((_, owner))) if sources > count => (sources, owner),
            (Some((count, owner)), _) => (count, owner),
            (None, Some((_, owner))) => (sources, owner),
            (None, None) => return None,
        };
        let weighs = match (newcomer.is_source(), heaviest.is_source()) {
            // Among sources each counts for itself.
            (true, true) => return (self.of(newcomer) + 1 < self.of(heaviest)).then_some(heaviest),
            (true, false) => sources,
            (false, true | false) => self.of(newcomer),
        };
        (weighs + 1 < most).then_some(heaviest)
    }

    /// Gives back what it holds for entries that are gone.
    pub(crate) fn shrink(&mut self, is_there: impl Fn(Owner, Id) -> bool) {
        self.unasked.order.retain(|id| is_there(Owner::Unasked, *id));
        self.unasked.order.shrink_to_fit();
        for (owner, held) in &mut self.held {
            held.order.retain(|id| is_there(*owner, *id));
            held.order.shrink_to_fit();
        }
        self.held.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(held: &[(Owner, usize)]) -> Shares<u32> {
        let mut shares = Shares::default();
        for (owner, count) in held {
            for id in 0..*count {
                shares.add(*owner, id as u32, |_, _| true);
            }
        }
        shares
    }

    fn source(number: u8) -> Owner {
        Owner::Source([172, 17, 0, number].into())
    }

    #[test]
    fn whoever_holds_most_makes_room_and_never_for_one_who_holds_as_much() {
        let (root, nobody) = (Owner::User(0), Owner::User(65_534));
        let held = shares(&[(root, 10), (nobody, 12)]);
        assert_eq!(held.heaviest(root), Some(nobody));
        assert_eq!(held.heaviest(nobody), None, "its own newcomers");
        assert_eq!(held.heaviest(Owner::User(1)), Some(nobody));
        assert_eq!(shares(&[(root, 11), (nobody, 12)]).heaviest(root), None, "it would only turn round");
    }

    #[test]
    fn sources_weigh_as_one_user_however_many_they_are() {
        let root = Owner::User(0);
        let mut all: Vec<_> = (0..200).map(|number| (source(number), 1)).collect();
        all.extend([(root, 50), (source(201), 3)]);
        let held = shares(&all);
        assert_eq!(held.heaviest(root), Some(source(201)));
        assert_eq!(held.heaviest(source(250)), Some(source(201)));
        assert_eq!(held.heaviest(source(201)), None);
        assert_eq!(shares(&[(root, 50), (source(1), 20)]).heaviest(source(2)), Some(root));
    }

    #[test]
    fn made_up_sources_share_one_place_beyond_a_number() {
        let mut held = Shares::default();
        for number in 0..4 * MAX_SOURCES {
            let owner = Owner::Source(std::net::Ipv4Addr::from(number as u32).into());
            let kept = held.add(owner, number, |_, _| true);
            assert_eq!(kept == owner, number < MAX_SOURCES);
        }
        assert!(held.held.len() <= MAX_SOURCES + 1);
        assert_eq!(held.heaviest(Owner::User(0)), Some(Owner::OtherSources));
        (0..4 * MAX_SOURCES).for_each(|_| held.remove(Owner::OtherSources));
        assert!(!held.held.contains_key(&Owner::OtherSources));
    }

    #[test]
    fn entries_that_are_gone_do_not_pile_up() {
        let mut held = Shares::default();
        for id in 0..100_000u32 {
            held.add(Owner::Unasked, id, |_, known| known == id);
            held.remove(Owner::Unasked);
        }
        assert!(held.unasked.order.len() < 100, "{}", held.unasked.order.len());
    }
}
