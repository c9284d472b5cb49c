//! The pool of stand-ins: the name of each, and that name's real addresses.

use crate::limits::{MAX_NAMES, MAX_REAL_ADDRESSES};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::frame::Family;

/// The address before the first IPv4 stand-in: 198.18.0.0/15, which no host of the internet has
/// (RFC 2544 appendix C.2.2, RFC 6890). Proxy programs use it for the same purpose.
const FIRST4: u32 = u32::from_be_bytes([198, 18, 0, 0]);

/// The network of the IPv6 stand-ins: of the tunnel's own unique local prefix (RFC 4193), the
/// second /64, whose last 32 bits are the number.
const FIRST6: u128 = 0xfd75_6e64_6572_0001 << 64;

/// Stand-ins are numbered from 1 up to this, the second-last of the IPv4 network.
const LAST: u32 = (1 << 17) - 2;

/// A number is reused only after all other free ones, so that an app that has kept an old address
/// does not soon reach another name there: at least `LAST - MAX_NAMES` names later.
const _: () = assert!(MAX_NAMES < LAST as usize / 3);

/// The meaning of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// It is not a stand-in.
    Plain,
    /// A stand-in of this name, which has this real address.
    Named(&'a str, IpAddr),
    /// A stand-in that stands for nothing, or no longer stands for anything.
    Unknown,
}

/// The known names, at most [`MAX_NAMES`].
#[derive(Debug)]
pub struct Names {
    numbers: HashMap<Box<str>, u32>,
    entries: HashMap<u32, Entry>,
    /// Names that were resolved and not connected to since then, by time; then names that were
    /// connected to, by time. Each number is in one of the two, with its entry's `since`.
    resolved: BTreeMap<u64, u32>,
    connected: BTreeMap<u64, u32>,
    /// Counts events, in place of time.
    now: u64,
    last: u32,
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    v4: Vec<Ipv4Addr>,
    v6: Vec<Ipv6Addr>,
    since: u64,
    state: NameState,
    /// Connections so far: each takes the next real address.
    turns: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameState {
    Resolved,
    Connected,
}

impl Names {
    /// An empty pool. Its numbers begin after `first`: a restarted gateway begins elsewhere, so
    /// that an app that has kept a stand-in of the former one most likely reaches nothing, and not
    /// another name.
    pub fn new(first: u64) -> Self {
        // It is less than `LAST`, so it fits.
        let last = u32::try_from(first % u64::from(LAST)).unwrap_or_default();
        Self {
            numbers: HashMap::new(),
            entries: HashMap::new(),
            resolved: BTreeMap::new(),
            connected: BTreeMap::new(),
            now: 0,
            last,
        }
    }

    /// The stand-in of a name for which these are the real addresses now. Addresses of the other
    /// family and those beyond [`MAX_REAL_ADDRESSES`] are ignored; `None` if none is left.
    pub fn stand_in(&mut self, name: &str, family: Family, real: &[IpAddr]) -> Option<IpAddr> {
        let real = real.iter().filter(|ip| Family::of(**ip) == family).take(MAX_REAL_ADDRESSES);
        let real: Vec<IpAddr> = real.copied().collect();
        if real.is_empty() {
            return None;
        }
        let number = match self.numbers.get(name) {
            Some(number) => *number,
            None => self.insert(name),
        };
        self.touch(number, NameState::Resolved);
        let entry = self.entries.get_mut(&number)?;
        match family {
            Family::V4 => entry.v4 = real.iter().filter_map(|ip| v4(*ip)).collect(),
            Family::V6 => entry.v6 = real.iter().filter_map(|ip| v6(*ip)).collect(),
        }
        Some(match family {
            Family::V4 => Ipv4Addr::from(FIRST4 + number).into(),
            Family::V6 => Ipv6Addr::from(FIRST6 + u128::from(number)).into(),
        })
    }

    /// The meaning of an address to which an app connects.
    pub fn find(&mut self, address: IpAddr) -> Found<'_> {
        let Some(number) = number(address) else { return Found::Plain };
        self.touch(number, NameState::Connected);
        let Some(entry) = self.entries.get_mut(&number) else { return Found::Unknown };
        let turn = entry.turns;
        entry.turns = entry.turns.wrapping_add(1);
        let real = match address {
            IpAddr::V4(_) => nth(&entry.v4, turn).map(IpAddr::from),
            IpAddr::V6(_) => nth(&entry.v6, turn).map(IpAddr::from),
        };
        real.map_or(Found::Unknown, |real| Found::Named(&entry.name, real))
    }

    /// Whether a stand-in's name has an address now.
    pub fn has(&self, stand_in: IpAddr, real: IpAddr) -> bool {
        let entry = number(stand_in).and_then(|number| self.entries.get(&number));
        entry.is_some_and(|entry| match real {
            IpAddr::V4(real) => entry.v4.contains(&real),
            IpAddr::V6(real) => entry.v6.contains(&real),
        })
    }

    /// How many names are known.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    fn insert(&mut self, name: &str) -> u32 {
        while self.entries.len() >= MAX_NAMES {
            self.evict();
        }
        // Ends, since there are more numbers than entries.
        loop {
            self.last = self.last % LAST + 1;
            if !self.entries.contains_key(&self.last) {
                break;
            }
        }
        let entry = Entry {
            name: name.into(),
            v4: Vec::new(),
            v6: Vec::new(),
            since: 0,
            state: NameState::Resolved,
            turns: 0,
        };
        self.entries.insert(self.last, entry);
        self.numbers.insert(name.into(), self.last);
        self.last
    }

    /// Records the use of a number, if it stands for a name. A name that was once connected to
    /// stays in that group.
    fn touch(&mut self, number: u32, state: NameState) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        self.now += 1;
        match entry.state {
            NameState::Resolved => self.resolved.remove(&entry.since),
            NameState::Connected => self.connected.remove(&entry.since),
        };
        if state == NameState::Connected {
            entry.state = state;
        }
        entry.since = self.now;
        match entry.state {
            NameState::Resolved => self.resolved.insert(self.now, number),
            NameState::Connected => self.connected.insert(self.now, number),
        };
    }

    /// Forgets the least used name: a flood of questions pushes out names that were resolved and
    /// never used, and a name in use only if a quarter of the table has such names.
    fn evict(&mut self) {
        let many_unused = self.resolved.len() > MAX_NAMES / 4;
        let queue = if many_unused { &mut self.resolved } else { &mut self.connected };
        let Some((_, number)) = queue.pop_first() else { return };
        if let Some(entry) = self.entries.remove(&number) {
            self.numbers.remove(&entry.name);
        }
    }
}

/// The number of a stand-in; `None` for another address.
fn number(address: IpAddr) -> Option<u32> {
    let number = match address {
        IpAddr::V4(v4) => u32::from(v4).checked_sub(FIRST4)?,
        IpAddr::V6(v6) => u32::try_from(u128::from(v6).checked_sub(FIRST6)?).ok()?,
    };
    (number <= LAST + 1).then_some(number)
}

/// Whether an address can be a stand-in.
pub fn is_stand_in(address: IpAddr) -> bool {
    number(address.to_canonical()).is_some()
}

fn nth<T: Copy>(list: &[T], turn: usize) -> Option<T> {
    list.get(turn.checked_rem(list.len())?).copied()
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

fn v6(address: IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn resolve(names: &mut Names, name: &str, real: &str) -> IpAddr {
        let real = ip(real);
        names.stand_in(name, Family::of(real), &[real]).unwrap()
    }

    #[test]
    fn a_name_has_one_stand_in_of_each_family_and_two_names_on_one_address_have_two() {
        let mut names = Names::new(0);
        let first = resolve(&mut names, "a.test", "192.0.2.1");
        assert_eq!(first, ip("198.18.0.1"));
        assert_eq!(resolve(&mut names, "a.test", "2001:db8::1"), ip("fd75:6e64:6572:1::1"));
        let second = resolve(&mut names, "b.test", "192.0.2.1");
        assert_eq!(names.find(first), Found::Named("a.test", ip("192.0.2.1")));
        assert_eq!(names.find(second), Found::Named("b.test", ip("192.0.2.1")));
        assert_eq!(
            names.find(ip("fd75:6e64:6572:1::1")),
            Found::Named("a.test", ip("2001:db8::1"))
        );
        // A later answer moves the name, not the stand-in.
        assert_eq!(resolve(&mut names, "a.test", "192.0.2.9"), first);
        assert_eq!(names.find(first), Found::Named("a.test", ip("192.0.2.9")));
        assert_eq!(names.count(), 2);
    }

    #[test]
    fn connections_take_a_names_addresses_in_turn_up_to_a_bound() {
        let mut names = Names::new(0);
        let real: Vec<IpAddr> = (0..200).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        let stand_in = names.stand_in("a.test", Family::V4, &real).unwrap();
        let mut seen = Vec::new();
        for _ in 0..2 * MAX_REAL_ADDRESSES {
            let Found::Named(_, address) = names.find(stand_in) else { panic!() };
            seen.push(address);
        }
        assert_eq!(seen[..MAX_REAL_ADDRESSES], real[..MAX_REAL_ADDRESSES]);
        assert_eq!(seen[..MAX_REAL_ADDRESSES], seen[MAX_REAL_ADDRESSES..]);
    }

    #[test]
    fn what_stands_for_nothing_is_neither_a_name_nor_an_address_outside() {
        let mut names = Names::new(0);
        resolve(&mut names, "a.test", "192.0.2.1");
        for unknown in [
            "198.18.0.0",
            "198.18.0.2",
            "198.19.255.255",
            "fd75:6e64:6572:1::",
            "fd75:6e64:6572:1::1",
        ] {
            assert_eq!(names.find(ip(unknown)), Found::Unknown, "{unknown}");
        }
        for plain in [
            "198.17.255.255",
            "198.20.0.0",
            "192.0.2.1",
            "fd75:6e64:6572::1",
            "fd75:6e64:6572:1:1::1",
        ] {
            assert_eq!(names.find(ip(plain)), Found::Plain, "{plain}");
        }
        assert_eq!(names.stand_in("b.test", Family::V6, &[ip("192.0.2.1")]), None);
    }

    #[test]
    fn a_flood_of_questions_pushes_out_no_name_in_use_and_gives_no_number_anew_soon() {
        let mut names = Names::new(0);
        let used: Vec<_> = (0..MAX_NAMES / 2)
            .map(|n| {
                let stand_in = resolve(&mut names, &format!("used{n}.test"), "192.0.2.1");
                assert!(matches!(names.find(stand_in), Found::Named(..)));
                stand_in
            })
            .collect();
        let flood = LAST as usize - MAX_NAMES;
        for n in 0..flood {
            let stand_in = resolve(&mut names, &format!("flood{n}.test"), "192.0.2.2");
            assert!(!used.contains(&stand_in) || n > flood, "{n}");
            assert!(names.count() <= MAX_NAMES);
        }
        for (n, stand_in) in used.iter().enumerate() {
            assert_eq!(
                names.find(*stand_in),
                Found::Named(&format!("used{n}.test"), ip("192.0.2.1"))
            );
        }
        assert_eq!(names.resolved.len() + names.connected.len(), names.count());
        assert_eq!(names.numbers.len(), names.count());
    }

    #[test]
    fn where_all_names_are_in_use_the_one_that_was_used_longest_ago_goes() {
        let mut names = Names::new(0);
        let mut stand_ins = Vec::new();
        for n in 0..=MAX_NAMES {
            let stand_in = resolve(&mut names, &format!("{n}.test"), "192.0.2.1");
            names.find(stand_in);
            names.find(*stand_ins.first().unwrap_or(&stand_in));
            stand_ins.push(stand_in);
        }
        assert!(matches!(names.find(stand_ins[0]), Found::Named(..)));
        assert_eq!(names.find(stand_ins[1]), Found::Unknown);
    }

    #[test]
    fn unused_names_have_a_quarter_of_the_table_before_they_make_room_themselves() {
        let mut names = Names::new(0);
        let mut all = Vec::new();
        for n in 0..MAX_NAMES {
            let stand_in = resolve(&mut names, &format!("{n}.test"), "192.0.2.1");
            if n < MAX_NAMES / 4 * 3 {
                names.find(stand_in);
            }
            all.push(stand_in);
        }
        let is_known = |names: &Names, nth: usize| names.has(all[nth], ip("192.0.2.1"));
        let oldest_unused = MAX_NAMES / 4 * 3;
        for (name, expected) in [("first", [false, true, true]), ("second", [false, false, true])] {
            resolve(&mut names, name, "192.0.2.1");
            let left = [0, oldest_unused, 1].map(|nth| is_known(&names, nth));
            assert_eq!((left, names.count()), (expected, MAX_NAMES), "after the {name}");
        }
    }

    #[test]
    fn a_name_has_the_addresses_of_its_last_answers_and_no_others() {
        let mut names = Names::new(0);
        let stand_in = resolve(&mut names, "a.test", "192.0.2.1");
        let six = resolve(&mut names, "a.test", "2001:db8::1");
        for (of, real, expected) in [
            (stand_in, "192.0.2.1", true),
            (stand_in, "2001:db8::1", true),
            (six, "192.0.2.1", true),
            (stand_in, "192.0.2.2", false),
            (stand_in, "2001:db8::2", false),
            (ip("198.18.0.2"), "192.0.2.1", false),
            (ip("192.0.2.1"), "192.0.2.1", false),
        ] {
            assert_eq!(names.has(of, ip(real)), expected, "{of} {real}");
        }
        resolve(&mut names, "a.test", "192.0.2.2");
        assert!(!names.has(stand_in, ip("192.0.2.1")) && names.has(stand_in, ip("192.0.2.2")));
    }

    #[test]
    fn numbers_begin_behind_the_first_and_start_over_behind_the_last() {
        for (first, expected) in [
            (u64::from(LAST) - 2, ["198.19.255.253", "198.19.255.254", "198.18.0.1"]),
            (7 * u64::from(LAST) + 5, ["198.18.0.6", "198.18.0.7", "198.18.0.8"]),
        ] {
            let mut names = Names::new(first);
            let given = ["a", "b", "c"].map(|name| resolve(&mut names, name, "192.0.2.1"));
            assert_eq!(given, expected.map(ip), "{first}");
        }
    }
}
