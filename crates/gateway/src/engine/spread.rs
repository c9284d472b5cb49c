//! How connections, UDP sockets and questions are spread over the relays. No relay is asked for
//! more than its hello offers.

use crate::lane::Lane;
use stack::BindId;
use std::collections::HashMap;
use wire::limits::MAX_QUERIES;
use wire::{Hello, Session};

/// What this shell drops by itself; the stack and the sessions count theirs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShellDrops {
    /// Connects, questions and UDP binds while no relay was ready.
    pub(crate) no_relay: u64,
    /// The same while a relay took no more, or too many questions waited.
    pub(crate) congested: u64,
    /// Connects that were refused, since no relay takes more connections.
    pub(crate) relays_full: u64,
    /// UDP binds that a relay refused or lost.
    pub(crate) unbound: u64,
    /// Packets to stand-ins that stand for no name.
    pub(crate) stand_ins: u64,
    /// DNS messages that are not queries, and DNS connections beyond the limit.
    pub(crate) dns: u64,
    /// DNS questions of an owner that has too many under way.
    pub(crate) dns_share: u64,
    /// Idle DNS connections that made room for another.
    pub(crate) dns_displaced: u64,
}

/// The UDP sockets of all lanes.
#[derive(Debug, Default)]
pub(crate) struct Binds {
    lane_of: HashMap<BindId, usize>,
    /// By lane: `lane_of` holds as many of it.
    counts: Vec<usize>,
}

impl Binds {
    pub(crate) fn insert(&mut self, bind: BindId, lane: usize) {
        self.remove(bind);
        self.lane_of.insert(bind, lane);
        if self.counts.len() <= lane {
            self.counts.resize(lane + 1, 0);
        }
        self.counts[lane] += 1;
    }

    pub(crate) fn lane(&self, bind: BindId) -> Option<usize> {
        self.lane_of.get(&bind).copied()
    }

    pub(crate) fn remove(&mut self, bind: BindId) -> Option<usize> {
        let lane = self.lane_of.remove(&bind)?;
        self.counts[lane] -= 1;
        Some(lane)
    }

    /// Takes out all of a lane.
    pub(crate) fn take_lane(&mut self, lane: usize) -> Vec<BindId> {
        if let Some(count) = self.counts.get_mut(lane) {
            *count = 0;
        }
        self.lane_of.extract_if(|_, of| *of == lane).map(|(bind, _)| bind).collect()
    }

    pub(crate) fn count(&self, lane: usize) -> usize {
        self.counts.get(lane).copied().unwrap_or(0)
    }
}

/// What relays take together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RelayCapacity {
    /// TCP flows.
    pub(crate) flows: usize,
    /// UDP sockets.
    pub(crate) binds: usize,
}

/// The capacity of all ready relays together; `None` if no relay is ready.
pub(crate) fn capacity(lanes: &mut [Lane]) -> Option<RelayCapacity> {
    let peers = lanes.iter_mut().filter_map(|lane| lane.ready()?.peer());
    peers
        .map(|hello| RelayCapacity {
            flows: hello.max_flows as usize,
            binds: hello.max_binds as usize,
        })
        .reduce(|a, b| RelayCapacity { flows: a.flows + b.flows, binds: a.binds + b.binds })
}

/// DNS questions that the relays that are ready take together.
pub(crate) fn questions(lanes: &mut [Lane]) -> usize {
    lanes.iter_mut().filter_map(Lane::ready).count() * MAX_QUERIES
}

/// A bound that the relay's hello states.
pub(crate) fn limit(session: &Session, of: impl FnOnce(&Hello) -> u32) -> usize {
    session.peer().map_or(0, of) as usize
}

/// Whether the relay takes another TCP flow.
pub(crate) fn has_room(session: &Session) -> bool {
    session.flow_count() < limit(session, |hello| hello.max_flows)
}

/// A ready lane for a hash that has room: its own, or the next.
pub(crate) fn pick<'a>(
    lanes: &'a mut [Lane],
    hash: u32,
    drops: &mut ShellDrops,
    room: impl Fn(usize, &Session) -> bool,
) -> Option<(usize, &'a mut Session)> {
    let count = lanes.len();
    let first = hash as usize % count.max(1);
    let fits =
        |lanes: &mut [Lane], n: usize| lanes[n].ready().is_some_and(|session| room(n, session));
    let index = (0..count).map(|n| (first + n) % count).find(|n| fits(lanes, *n));
    let Some(index) = index else {
        drops.no_relay += 1;
        return None;
    };
    let session = lanes[index].ready()?;
    if session.is_congested() {
        drops.congested += 1;
        return None;
    }
    Some((index, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_is_counted_for_itself() {
        let mut binds = Binds::default();
        for (bind, lane) in [(1, 0), (2, 2), (3, 2), (3, 0), (4, 2)] {
            binds.insert(BindId(bind), lane);
        }
        assert_eq!(
            [0, 1, 2, 3].map(|lane| binds.count(lane)),
            [2, 0, 2, 0],
            "one moved from lane 2 to 0"
        );
        assert_eq!((binds.remove(BindId(1)), binds.remove(BindId(1))), (Some(0), None));
        let mut lost = binds.take_lane(2);
        lost.sort_unstable();
        assert_eq!(lost, [BindId(2), BindId(4)]);
        assert_eq!([0, 2].map(|lane| binds.count(lane)), [1, 0]);
        assert_eq!((binds.lane(BindId(3)), binds.lane(BindId(4))), (Some(0), None));
    }
}
