//! The names for which addresses were the answer, so that a proxy can be told a name. Learns from DNS answers as they pass; a connection to
//! an address then goes by the name that was asked for last. No clock of its own.

use crate::limits::{MAX_NAMES, NAME_LIFETIME};
use hickory_proto::op::{Message, MessageType};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Names by address. See the module's text.
#[derive(Debug, Default)]
pub struct Names {
    of: HashMap<IpAddr, Entry>,
    /// As they were learned, the oldest first; those that were learned again stand in it twice. At most `2 * MAX_NAMES`.
    order: VecDeque<(IpAddr, u64)>,
    learned: u64,
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    until: Instant,
    /// Which of `order` is this one.
    number: u64,
}

impl Names {
    /// Takes in a DNS answer that an app gets.
    pub fn learn(&mut self, now: Instant, message: &[u8]) {
        let Ok(answer) = Message::from_vec(message) else { return };
        let [question] = &answer.queries[..] else { return };
        if answer.metadata.message_type != MessageType::Response {
            return;
        }
        let name = question.name().to_ascii().to_ascii_lowercase();
        let name = name.trim_end_matches('.');
        if !is_host(name) {
            return;
        }
        for record in &answer.answers {
            if let Some(address) = record.data.ip_addr() {
                self.insert(now, address.to_canonical(), name, Duration::from_secs(record.ttl.into()));
            }
        }
    }

    fn insert(&mut self, now: Instant, address: IpAddr, name: &str, lifetime: Duration) {
        self.learned += 1;
        let until = now + lifetime.clamp(NAME_LIFETIME.0, NAME_LIFETIME.1);
        self.of.insert(address, Entry { name: name.into(), until, number: self.learned });
        self.order.push_back((address, self.learned));
        while self.of.len() > MAX_NAMES {
            let Some((oldest, number)) = self.order.pop_front() else { return };
            if self.of.get(&oldest).is_some_and(|entry| entry.number == number) {
                self.of.remove(&oldest);
            }
        }
        if self.order.len() > 2 * MAX_NAMES {
            let of = &self.of;
            self.order.retain(|(address, number)| of.get(address).is_some_and(|entry| entry.number == *number));
        }
    }

    /// The name for which the address was an answer.
    pub fn get(&self, now: Instant, address: IpAddr) -> Option<&str> {
        let entry = self.of.get(&address.to_canonical())?;
        (now < entry.until).then_some(&*entry.name)
    }

    /// How many are known.
    pub fn count(&self, now: Instant) -> usize {
        self.of.values().filter(|entry| now < entry.until).count()
    }
}

/// Whether a name can be a host's (RFC 1123 section 2.1, and underscores, which some have).
fn is_host(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{OpCode, Query};
    use hickory_proto::rr::rdata::{A, AAAA, CNAME};
    use hickory_proto::rr::{Name, RData, Record, RecordType};
    use std::str::FromStr as _;

    #[expect(clippy::disallowed_methods, reason = "tests start their virtual clock somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    fn answer(name: &str, ttl: u32, addresses: &[&str]) -> Vec<u8> {
        let mut message = Message::new(7, MessageType::Response, OpCode::Query);
        let name = Name::from_str(name).unwrap();
        message.add_query(Query::query(name.clone(), RecordType::A));
        let alias = Name::from_str("alias.test.").unwrap();
        message.add_answer(Record::from_rdata(name, ttl, RData::CNAME(CNAME(alias.clone()))));
        for address in addresses {
            let data = match address.parse().unwrap() {
                IpAddr::V4(v4) => RData::A(A(v4)),
                IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
            };
            message.add_answer(Record::from_rdata(alias.clone(), ttl, data));
        }
        message.to_vec().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_goes_by_the_name_that_was_asked_for_last_until_that_is_old() {
        let now = start();
        let mut names = Names::default();
        names.learn(now, &answer("First.test.", 10, &["192.0.2.1", "2001:db8::1"]));
        assert_eq!(names.get(now, ip("192.0.2.1")), Some("first.test"), "not the alias that it led to");
        assert_eq!(names.get(now, ip("::ffff:192.0.2.1")), Some("first.test"));
        assert_eq!(names.get(now, ip("2001:db8::1")), Some("first.test"));
        assert_eq!(names.get(now, ip("192.0.2.2")), None);
        names.learn(now, &answer("second.test.", 3600, &["192.0.2.1"]));
        assert_eq!((names.get(now, ip("192.0.2.1")), names.count(now)), (Some("second.test"), 2));
        let later = now + NAME_LIFETIME.0;
        assert_eq!(names.get(later, ip("2001:db8::1")), None);
        assert_eq!((names.get(later, ip("192.0.2.1")), names.count(later)), (Some("second.test"), 1));
        assert_eq!(names.get(now + Duration::from_secs(3600), ip("192.0.2.1")), None);
    }

    #[test]
    fn what_is_no_answer_about_a_host_teaches_nothing() {
        let now = start();
        let mut names = Names::default();
        let mut query = answer("a.test.", 10, &["192.0.2.1"]);
        query[2] &= 0x7f;
        for message in [&query[..], b"", &[0; 12], &answer("*.test.", 10, &["192.0.2.1"])] {
            names.learn(now, message);
        }
        assert_eq!(names.count(now), 0);
    }

    #[test]
    fn the_oldest_make_room_and_the_order_stays_bounded() {
        let now = start();
        let mut names = Names::default();
        let address = |n: u32| IpAddr::from(n.to_be_bytes());
        for n in 0..MAX_NAMES as u32 + 10 {
            names.insert(now, address(n), "a.test", Duration::ZERO);
            names.insert(now, address(0), "kept.test", Duration::ZERO);
        }
        assert_eq!(names.of.len(), MAX_NAMES);
        assert!(names.order.len() <= 2 * MAX_NAMES);
        assert_eq!(names.get(now, address(0)), Some("kept.test"), "it was asked for again and again");
        assert_eq!(names.get(now, address(5)), None);
        assert_eq!(names.get(now, address(MAX_NAMES as u32 + 9)), Some("a.test"));
    }
}
