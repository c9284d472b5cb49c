//! Questions that wait for a relay's answer. All live equally long, so the oldest expires first.
//!
//! DNS questions and pings have a table each. A question cannot be taken back from a relay, so no
//! question makes room for another one. Instead each owner gets a share of what is free: an owner
//! that asks alone may have two thirds of all, and half if all are of one zone. A zone whose
//! servers do not answer leaves the other half.

use crate::limits::{ASKED_LIFETIME, MAX_PINGS};
use stack::{Owner, Waiting};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;
use wire::limits::MAX_QUERIES;

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A DNS query over UDP, and how many bytes its answer may have.
    Udp { request: stack::RequestId, most: u16 },
    /// A DNS query over TCP, with its id: answers over one connection come in any order.
    Tcp { flow: stack::FlowId },
    /// An echo request.
    Echo { request: stack::RequestId },
    /// The gateway itself, for a host's facts.
    Facts,
}

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Dns,
    Echo,
    Facts,
}

impl Asker {
    fn kind(self) -> Kind {
        match self {
            Self::Udp { .. } | Self::Tcp { .. } => Kind::Dns,
            Self::Echo { .. } => Kind::Echo,
            Self::Facts => Kind::Facts,
        }
    }
}

/// The owner of a DNS question, and a number that stands for its zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Share {
    pub(crate) owner: Owner,
    pub(crate) zone: u64,
}

/// A question under way.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) lane: usize,
    pub(crate) asker: Asker,
    /// A DNS query's header and question, from which a failure is made; empty for other questions.
    pub(crate) query: Vec<u8>,
    /// `None` for what came while there was room for all.
    pub(crate) share: Option<Share>,
}

impl Question {
    fn is_dns(&self) -> bool {
        self.asker.kind() == Kind::Dns
    }
}

/// How many are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asking {
    /// DNS questions.
    pub(crate) questions: usize,
    /// Echo requests.
    pub(crate) pings: usize,
}

/// A host's facts that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// The answer has all of them.
    Fresh,
    /// They have changed since the question, perhaps often: one more question follows the answer.
    Stale,
}

impl Freshness {
    pub(crate) fn is_stale(self) -> bool {
        self == Self::Stale
    }
}

/// All questions under way, over all lanes: an id is never on two of them.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// DNS questions, and the gateway's own.
    questions: Waiting<Question>,
    pings: Waiting<Question>,
    held: Held,
    /// The questions for hosts' facts, by lane: at most one for each.
    facts: BTreeMap<usize, Freshness>,
    next: u32,
}

/// How many DNS questions are under way, by lane, owner and share.
#[derive(Debug, Default)]
struct Held {
    all: usize,
    /// By lane.
    lanes: Vec<usize>,
    owners: HashMap<Owner, usize>,
    shares: HashMap<Share, usize>,
    /// Of owners that are sources, all together.
    sources: usize,
}

impl Held {
    fn add(&mut self, question: &Question) {
        if !question.is_dns() {
            return;
        }
        self.all += 1;
        if self.lanes.len() <= question.lane {
            self.lanes.resize(question.lane + 1, 0);
        }
        self.lanes[question.lane] += 1;
        if let Some(share) = question.share {
            *self.owners.entry(share.owner).or_default() += 1;
            *self.shares.entry(share).or_default() += 1;
            self.sources += usize::from(share.owner.is_source());
        }
    }

    fn remove(&mut self, question: &Question) {
        if !question.is_dns() {
            return;
        }
        self.all -= 1;
        self.lanes[question.lane] -= 1;
        if let Some(share) = question.share {
            take_one(&mut self.owners, share.owner);
            take_one(&mut self.shares, share);
            self.sources -= usize::from(share.owner.is_source());
        }
    }

    fn admits(&self, share: Share, capacity: usize) -> bool {
        let free = capacity.saturating_sub(self.all);
        let of = |owner| self.owners.get(&owner).copied().unwrap_or(0);
        let of_zone = self.shares.get(&share).copied().unwrap_or(0);
        // All sources together count as one user: a container may make up its address.
        let of_owner = if share.owner.is_source() {
            self.sources.max(2 * of(share.owner))
        } else {
            of(share.owner)
        };
        of_owner < 2 * free && of_zone < free
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, usize>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

impl Asked {
    /// Whether the DNS questions under way fill so much of `capacity` that each further one needs
    /// an owner.
    pub(crate) fn is_crowded(&self, capacity: usize) -> bool {
        self.held.all * 4 >= capacity
    }

    /// Whether one more of that share may be asked.
    pub(crate) fn admits(&self, share: Option<Share>, capacity: usize) -> bool {
        share.map_or(self.held.all < capacity, |share| self.held.admits(share, capacity))
    }

    /// Whether the relay of a lane takes another DNS question.
    pub(crate) fn has_room(&self, lane: usize) -> bool {
        self.held.lanes.get(lane).is_none_or(|count| *count < MAX_QUERIES)
    }

    /// The id for the wire. A ping that is one too many takes the oldest one's place.
    pub(crate) fn insert(&mut self, now: Instant, question: Question) -> wire::RequestId {
        // When the numbers start over, the first is long forgotten.
        self.next = self.next.wrapping_add(1);
        self.held.add(&question);
        if let Asker::Echo { .. } = question.asker {
            if self.pings.len() >= MAX_PINGS {
                self.pings.remove_oldest();
            }
            self.pings.insert(now + ASKED_LIFETIME, self.next, question);
        } else {
            self.questions.insert(now + ASKED_LIFETIME, self.next, question);
        }
        wire::RequestId(self.next)
    }

    /// Asks for the facts of a lane's host. `None` while there is such a question, however often
    /// the relay says that something has changed: its answer is then [`Freshness::Stale`].
    pub(crate) fn ask_facts(&mut self, now: Instant, lane: usize) -> Option<wire::RequestId> {
        if let Some(freshness) = self.facts.get_mut(&lane) {
            *freshness = Freshness::Stale;
            return None;
        }
        self.facts.insert(lane, Freshness::Fresh);
        let asker = Asker::Facts;
        Some(self.insert(now, Question { lane, asker, query: Vec::new(), share: None }))
    }

    /// The facts of a lane's host have come.
    pub(crate) fn take_facts(
        &mut self,
        lane: usize,
        request: wire::RequestId,
    ) -> Option<Freshness> {
        let freshness = self.facts.get(&lane).copied()?;
        self.take(lane, request, Kind::Facts).map(|_| freshness)
    }

    /// The question that an answer of that kind, from the relay of `lane`, is for. A question of
    /// another kind waits on.
    pub(crate) fn take(
        &mut self,
        lane: usize,
        request: wire::RequestId,
        kind: Kind,
    ) -> Option<Question> {
        let table = if kind == Kind::Echo { &mut self.pings } else { &mut self.questions };
        table
            .get(request.0)
            .filter(|question| question.lane == lane && question.asker.kind() == kind)?;
        let question = table.remove(request.0)?;
        self.forget(&question);
        Some(question)
    }

    /// A question is under way no longer.
    fn forget(&mut self, question: &Question) {
        self.held.remove(question);
        if question.asker == Asker::Facts {
            self.facts.remove(&question.lane);
        }
    }

    /// Questions of a lane whose relay died.
    pub(crate) fn take_lane(&mut self, lane: usize) -> Vec<Question> {
        let mut taken = Vec::new();
        for table in [&mut self.questions, &mut self.pings] {
            taken.extend(table.remove_all(|question| question.lane == lane));
        }
        taken.iter().for_each(|question| self.forget(question));
        taken
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        [&self.questions, &self.pings].into_iter().filter_map(Waiting::deadline).min()
    }

    /// The next question that waited too long.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Question> {
        let question = [&mut self.questions, &mut self.pings]
            .into_iter()
            .find_map(|table| table.expire(now))?;
        self.forget(&question);
        Some(question)
    }

    pub(crate) fn count(&self) -> Asking {
        Asking { questions: self.held.all, pings: self.pings.len() }
    }

    /// Questions of the gateway's own.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn own(&self) -> usize {
        self.questions.len() - self.held.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stack::RequestId;

    const ROOT: Owner = Owner::User(0);
    const OTHER: Owner = Owner::User(65_534);

    fn asking(questions: usize, pings: usize) -> Asking {
        Asking { questions, pings }
    }

    #[expect(clippy::disallowed_methods, reason = "tests start their virtual clock somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    fn dns(lane: usize, share: Option<Share>) -> Question {
        Question {
            lane,
            asker: Asker::Udp { request: RequestId(0), most: 512 },
            query: Vec::new(),
            share,
        }
    }

    /// Asks as the engine does, and returns how many questions were admitted.
    fn fill(asked: &mut Asked, owner: Owner, zone: impl Fn(usize) -> u64) -> usize {
        let ask = |number| {
            let share =
                asked.is_crowded(MAX_QUERIES).then_some(Share { owner, zone: zone(number) });
            asked.admits(share, MAX_QUERIES) && asked.has_room(0) && {
                asked.insert(start(), dns(0, share));
                true
            }
        };
        (0..2 * MAX_QUERIES).map(ask).filter(|taken| *taken).count()
    }

    #[test]
    fn an_owner_that_asks_much_leaves_room_and_so_does_the_next() {
        let mut asked = Asked::default();
        let first = fill(&mut asked, OTHER, |number| number as u64);
        assert!((MAX_QUERIES * 2 / 3..MAX_QUERIES * 4 / 5).contains(&first), "{first}");
        let second = fill(&mut asked, Owner::User(1), |number| number as u64);
        assert!(second > 50 && first + second < MAX_QUERIES - 30, "{second}");
        assert!(asked.admits(Some(Share { owner: ROOT, zone: 1 }), MAX_QUERIES));
    }

    #[test]
    fn a_silent_zone_leaves_room_for_its_askers_other_questions() {
        let mut asked = Asked::default();
        let silent = fill(&mut asked, ROOT, |_| 7);
        assert!((MAX_QUERIES / 2..MAX_QUERIES * 2 / 3).contains(&silent), "{silent}");
        assert!(asked.admits(Some(Share { owner: ROOT, zone: 8 }), MAX_QUERIES));
        assert!(!asked.admits(Some(Share { owner: ROOT, zone: 7 }), MAX_QUERIES));
        // An answer makes room.
        for id in 0..silent {
            assert!(asked.take(0, wire::RequestId(1 + id as u32), Kind::Dns).is_some());
        }
        assert_eq!(
            (asked.count(), asked.held.owners.len(), asked.held.shares.len()),
            (asking(0, 0), 0, 0)
        );
    }

    #[test]
    fn made_up_addresses_are_as_one_user() {
        let mut asked = Asked::default();
        let mut taken = 0;
        for number in 0..1000u32 {
            let owner = Owner::Source(std::net::Ipv4Addr::from(number).into());
            taken +=
                usize::from(asked.admits(Some(Share { owner, zone: number.into() }), MAX_QUERIES));
            if taken > asked.count().questions {
                asked.insert(start(), dns(0, Some(Share { owner, zone: number.into() })));
            }
        }
        assert!(taken <= MAX_QUERIES * 2 / 3 + 1, "{taken}");
        assert!(asked.admits(Some(Share { owner: ROOT, zone: 1 }), MAX_QUERIES));
    }

    #[test]
    fn pings_take_no_place_of_questions() {
        let (now, mut asked) = (start(), Asked::default());
        let ping = || Question {
            lane: 0,
            asker: Asker::Echo { request: RequestId(0) },
            query: Vec::new(),
            share: None,
        };
        let first = asked.insert(now, ping());
        let ids: Vec<_> = (0..MAX_PINGS).map(|_| asked.insert(now, ping())).collect();
        assert_eq!(asked.count(), asking(0, MAX_PINGS));
        assert!(asked.take(0, first, Kind::Echo).is_none(), "the oldest gave way");
        assert!(asked.take(0, ids[0], Kind::Echo).is_some());
        assert!(!asked.is_crowded(MAX_QUERIES) && asked.admits(None, MAX_QUERIES));
    }

    #[test]
    fn a_question_is_taken_once_by_its_own_lane_or_expires() {
        let now = start();
        let mut asked = Asked::default();
        let ids: Vec<_> = (0..3).map(|lane| asked.insert(now, dns(lane, None))).collect();
        assert!(asked.take(1, ids[0], Kind::Dns).is_none(), "another lane's");
        for other in [Kind::Echo, Kind::Facts] {
            assert!(asked.take(0, ids[0], other).is_none(), "an answer to something else");
        }
        assert!(
            asked.take(0, ids[0], Kind::Dns).is_some()
                && asked.take(0, ids[0], Kind::Dns).is_none()
        );
        assert_eq!(asked.take_lane(1).len(), 1);
        assert!(asked.expire(now).is_none());
        assert_eq!(asked.expire(now + ASKED_LIFETIME).map(|question| question.lane), Some(2));
        assert!(asked.expire(now + ASKED_LIFETIME).is_none() && asked.deadline().is_none());
        assert_eq!(asked.held.lanes, [0, 0, 0]);
        for _ in 0..MAX_QUERIES {
            asked.insert(now, dns(1, None));
        }
        assert!(!asked.has_room(1) && asked.has_room(0) && asked.has_room(7));
    }

    #[test]
    fn an_owner_gets_twice_what_is_free_and_one_zone_as_much_as_is_free() {
        let own = |zone| Some(Share { owner: ROOT, zone });
        let with = |questions: &[(usize, Option<Share>)]| {
            let mut asked = Asked::default();
            for (count, share) in questions {
                for _ in 0..*count {
                    asked.insert(start(), dns(0, *share));
                }
            }
            asked
        };
        // Of 12: an owner that has twice what is free gets no more.
        assert!(with(&[(4, own(1)), (3, own(2))]).admits(own(3), 12));
        assert!(!with(&[(4, own(1)), (4, own(2))]).admits(own(3), 12));
        assert!(
            with(&[(5, own(1))]).admits(own(1), 12) && !with(&[(6, own(1))]).admits(own(1), 12)
        );
        let sources = |number: u8| {
            Some(Share { owner: Owner::Source([10, 0, 0, number].into()), zone: number.into() })
        };
        // Each source has at most half of what all have together.
        assert!(with(&[(3, sources(1)), (4, sources(2))]).admits(sources(3), 12));
        assert!(!with(&[(4, sources(1)), (4, sources(2))]).admits(sources(3), 12));
        let other = Some(Share { zone: 9, ..sources(1).unwrap() });
        for zone in [sources(1), other] {
            assert!(with(&[(3, sources(1))]).admits(zone, 8));
            assert!(!with(&[(4, sources(1))]).admits(zone, 8), "half of eight");
        }
        let few = with(&[(3, None)]);
        assert!(few.is_crowded(12) && !few.is_crowded(13));
        assert!(few.admits(None, 4) && !few.admits(None, 3));
        assert!(!few.admits(own(1), 3), "nothing is free");
    }

    #[test]
    fn what_is_answered_or_lost_makes_room_for_its_owner() {
        let (now, share) =
            (start(), Some(Share { owner: Owner::Source([10, 0, 0, 1].into()), zone: 7 }));
        let mut asked = Asked::default();
        let facts = Question { asker: Asker::Facts, ..dns(1, None) };
        let ids: Vec<_> = (0..3).map(|_| asked.insert(now, dns(1, share))).collect();
        asked.insert(now, facts);
        assert_eq!(
            (asked.count(), asked.held.sources, asked.held.lanes.clone()),
            (asking(3, 0), 3, vec![0, 3])
        );
        assert_eq!(asked.own(), 1);
        assert!(asked.take(1, ids[1], Kind::Dns).is_some());
        assert_eq!(
            (asked.count().questions, asked.held.sources, asked.held.shares[&share.unwrap()]),
            (2, 2, 2)
        );
        assert_eq!(asked.take_lane(1).len(), 3, "the gateway's own question, too");
        assert_eq!(
            (asked.count().questions, asked.held.sources, asked.held.owners.len()),
            (0, 0, 0)
        );
    }

    #[test]
    fn the_first_of_all_questions_expires_first() {
        let now = start();
        let mut asked = Asked::default();
        let ping = || Question { asker: Asker::Echo { request: RequestId(0) }, ..dns(0, None) };
        let later = now + ASKED_LIFETIME / 2;
        asked.insert(later, dns(0, None));
        asked.insert(now, ping());
        assert_eq!(asked.deadline(), Some(now + ASKED_LIFETIME));
        assert_eq!(asked.count(), asking(1, 1));
        assert!(asked.expire(now + ASKED_LIFETIME).is_some_and(|question| !question.is_dns()));
        assert_eq!((asked.count(), asked.deadline()), (asking(1, 0), Some(later + ASKED_LIFETIME)));
        for _ in 0..20 * MAX_PINGS {
            let id = asked.insert(later, dns(0, None));
            assert!(asked.take(0, id, Kind::Dns).is_some());
        }
        assert!(
            asked.expire(later + ASKED_LIFETIME).is_some()
                && asked.expire(later + ASKED_LIFETIME).is_none()
        );
    }
}
