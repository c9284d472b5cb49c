//! Counts what each owner holds of a table, and keeps the order of arrival. A newcomer takes the
//! place of the owner that holds most, and never of one that holds no more than the newcomer's.
//! Knows no clock, and not what the table holds.

use crate::limits::{MAX_SOURCES, RESOLVED_AT_ONCE};
use crate::owner::Owner;
use std::collections::{HashMap, VecDeque};

/// What one owner holds.
#[derive(Debug)]
struct Held<Id> {
    count: usize,
    /// All of the owner's entries, oldest first, and some that are gone.
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

/// The shares of a table. Each entry keeps the owner that [`Shares::add`] returned.
#[derive(Debug)]
pub(crate) struct Shares<Id> {
    unasked: Held<Id>,
    held: HashMap<Owner, Held<Id>>,
    /// The number of sources in `held`.
    sources: usize,
}

impl<Id> Default for Shares<Id> {
    fn default() -> Self {
        Self { unasked: Held::default(), held: HashMap::new(), sources: 0 }
    }
}

impl<Id: Copy> Shares<Id> {
    /// Adds an entry and returns the owner under which it is kept. `is_there` says which entries
    /// the table still has under the owner that they were added with.
    pub(crate) fn add(
        &mut self,
        owner: Owner,
        id: Id,
        is_there: impl Fn(Owner, Id) -> bool,
    ) -> Owner {
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

    /// The owner under which an entry is kept: only a limited number of sources is distinguished.
    fn kept_as(&self, owner: Owner) -> Owner {
        let is_beyond =
            owner.is_source() && self.sources >= MAX_SOURCES && !self.held.contains_key(&owner);
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

    /// The number of entries in all.
    pub(crate) fn len(&self) -> usize {
        self.unasked.count + self.held.values().map(|held| held.count).sum::<usize>()
    }

    pub(crate) fn of(&self, owner: Owner) -> usize {
        if owner == Owner::Unasked {
            return self.unasked.count;
        }
        self.held.get(&self.kept_as(owner)).map_or(0, |held| held.count)
    }

    /// Takes the oldest entry of an owner out of the order. It may be gone already.
    pub(crate) fn pop(&mut self, owner: Owner) -> Option<Id> {
        if owner == Owner::Unasked {
            return self.unasked.order.pop_front();
        }
        self.held.get_mut(&owner)?.order.pop_front()
    }

    /// Like [`Shares::pop`], but skips entries that are gone.
    pub(crate) fn pop_there(&mut self, owner: Owner, is_there: impl Fn(Id) -> bool) -> Option<Id> {
        std::iter::from_fn(|| self.pop(owner)).find(|id| is_there(*id))
    }

    /// Puts a popped entry that stays at the newest place.
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

    /// How many entries without a known owner must be looked up before [`Shares::heaviest`] is
    /// meaningful: those that could make one owner heavier than the heaviest known one. Not all at
    /// once.
    pub(crate) fn to_ask(&self) -> usize {
        let known = self.held.values().map(|held| held.count).max().unwrap_or(0);
        if self.unasked.count > known { RESOLVED_AT_ONCE.min(self.unasked.order.len()) } else { 0 }
    }

    /// The owner that must make room for a newcomer: the one that holds most, if that is more than
    /// the newcomer's owner would then hold. All sources together weigh as one user; among them,
    /// the heaviest makes room.
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
            // Among sources, each counts separately.
            (true, true) => return (self.of(newcomer) + 1 < self.of(heaviest)).then_some(heaviest),
            (true, false) => sources,
            (false, true | false) => self.of(newcomer),
        };
        (weighs + 1 < most).then_some(heaviest)
    }

    /// Frees the memory of entries that are gone.
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
    fn the_heaviest_owner_makes_room_but_never_for_one_that_holds_as_much() {
        let (root, another) = (Owner::User(0), Owner::User(65_534));
        let held = shares(&[(root, 10), (another, 12)]);
        assert_eq!(held.heaviest(root), Some(another));
        assert_eq!(held.heaviest(another), None, "its own newcomers");
        assert_eq!(held.heaviest(Owner::User(1)), Some(another));
        assert_eq!(
            shares(&[(root, 11), (another, 12)]).heaviest(root),
            None,
            "an exchange would gain nothing"
        );
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
    #[test]
    fn each_owner_has_a_count_and_an_order_of_its_own() {
        let (root, other) = (Owner::User(0), Owner::User(1));
        for owner in [Owner::Unasked, root, source(1)] {
            let mut held = shares(&[(owner, 3), (other, 2)]);
            assert_eq!((held.len(), held.of(owner), held.of(other)), (5, 3, 2), "{owner:?}");
            assert_eq!(held.of(Owner::User(7)), 0);
            assert_eq!((held.pop(owner), held.pop(owner)), (Some(0), Some(1)), "the oldest first");
            held.put_back(owner, 0);
            held.put_first(owner, 1);
            let order = std::iter::from_fn(|| held.pop(owner)).collect::<Vec<_>>();
            assert_eq!(order, [1, 2, 0], "{owner:?}");
            assert_eq!(
                (held.of(owner), held.of(other)),
                (3, 2),
                "a popped entry still holds its place"
            );
            for left in (0..3).rev() {
                held.remove(owner);
                assert_eq!((held.of(owner), held.len()), (left, left + 2));
            }
            held.remove(owner);
            assert_eq!((held.of(owner), held.len(), held.pop(other)), (0, 2, Some(0)));
        }
        let mut held = shares(&[(root, 5)]);
        assert_eq!(
            held.pop_there(root, |id| id >= 3),
            Some(3),
            "entries that are gone are skipped"
        );
        assert_eq!((held.pop_there(root, |_| false), held.pop(root)), (None, None));
    }

    #[test]
    fn unasked_entries_are_asked_while_they_could_be_the_heaviest_owners() {
        let root = Owner::User(0);
        for (unasked, known, asked) in [(0, 0, 0), (1, 0, 1), (3, 3, 0), (4, 3, 4), (3, 4, 0)] {
            assert_eq!(
                shares(&[(Owner::Unasked, unasked), (root, known)]).to_ask(),
                asked,
                "{unasked} beside {known}"
            );
        }
        let many = shares(&[(Owner::Unasked, RESOLVED_AT_ONCE + 1)]);
        assert_eq!(many.to_ask(), RESOLVED_AT_ONCE, "not all at once");
        assert_eq!(many.heaviest(root), None, "no owner is known to hold any");
    }

    #[test]
    fn a_user_and_all_sources_are_weighed_against_each_other() {
        let (root, new) = (Owner::User(0), Owner::User(1));
        let both = |user, sources: [usize; 2]| {
            shares(&[(root, user), (source(1), sources[0]), (source(2), sources[1])])
        };
        assert_eq!(both(5, [3, 2]).heaviest(new), Some(root), "as many: the user makes room");
        assert_eq!(both(5, [2, 4]).heaviest(new), Some(source(2)));
        assert_eq!(both(5, [4, 2]).heaviest(source(2)), Some(source(1)));
        assert_eq!(
            both(5, [3, 3]).heaviest(source(2)),
            None,
            "among sources, each counts separately"
        );
        assert_eq!(both(5, [2, 1]).heaviest(source(3)), Some(root), "all sources hold 3");
        assert_eq!(both(5, [2, 2]).heaviest(source(3)), None, "then all would hold 5");
        assert_eq!(
            (both(0, [2, 0]).heaviest(root), both(0, [1, 0]).heaviest(root)),
            (Some(source(1)), None)
        );
        assert_eq!(
            (both(2, [0, 0]).heaviest(new), both(1, [0, 0]).heaviest(new)),
            (Some(root), None)
        );
        assert_eq!(both(3, [0, 0]).heaviest(source(1)), Some(root));
    }

    #[test]
    fn an_owner_that_comes_again_counts_once_among_the_sources() {
        let mut held = Shares::default();
        let address = |number: usize| Owner::Source(std::net::Ipv4Addr::from(number as u32).into());
        for number in 0..MAX_SOURCES {
            for _ in 0..2 {
                assert_eq!(held.add(address(number), number, |_, _| true), address(number));
            }
        }
        assert_eq!(held.add(address(MAX_SOURCES), 0, |_, _| true), Owner::OtherSources);
        assert_eq!(held.of(address(MAX_SOURCES + 1)), 1, "all others together");
        assert_eq!(held.add(address(0), 0, |_, _| true), address(0), "a known one keeps its place");
        // A user is not one of them, and a source that is gone makes room.
        assert_eq!(held.add(Owner::User(1), 0, |_, _| true), Owner::User(1));
        held.remove(Owner::OtherSources);
        (0..3).for_each(|_| held.remove(address(0)));
        assert_eq!(held.add(address(MAX_SOURCES), 0, |_, _| true), address(MAX_SOURCES));
        assert_eq!(held.add(address(0), 0, |_, _| true), Owner::OtherSources);
    }

    #[test]
    fn memory_of_gone_entries_is_freed() {
        let root = Owner::User(0);
        let mut held = shares(&[(Owner::Unasked, 1000), (root, 1000)]);
        held.shrink(|owner, id| id == if owner == root { 7 } else { 8 });
        assert!(held.unasked.order.capacity() < 100 && held.held[&root].order.capacity() < 100);
        assert_eq!((held.pop(root), held.pop(root)), (Some(7), None));
        assert_eq!((held.pop(Owner::Unasked), held.pop(Owner::Unasked)), (Some(8), None));
    }

    #[test]
    fn the_order_keeps_existing_entries_however_many_have_gone() {
        let (root, mut held) = (Owner::User(0), Shares::default());
        for id in 0..10 {
            held.add(root, id, |_, _| true);
        }
        for id in 10..10_000u32 {
            held.add(root, id, |owner, known| owner == root && (known < 10 || known == id));
            held.remove(root);
        }
        assert!(held.held[&root].order.len() < 200, "{}", held.held[&root].order.len());
        assert_eq!(
            (0..10).map(|_| held.pop(root).unwrap()).collect::<Vec<_>>(),
            (0..10).collect::<Vec<_>>()
        );
    }
}
