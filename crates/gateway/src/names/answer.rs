//! DNS answers with stand-ins in place of real addresses.

use super::pool::{Names, is_stand_in};
use crate::dns::front;
use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::svcb::SvcParamKey;
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use std::net::IpAddr;
use wire::frame::Family;

/// Time to live of a stand-in, in seconds: it means nothing once the gateway has ended.
const TTL: u32 = 1;

/// A DNS answer for an app of a gateway with a proxy, or `None` if the answer may stay as it is. An
/// answer with addresses becomes one with the name's stand-in; other addresses in an answer (hints
/// of HTTPS records, addresses of mail and name servers) are left out, since an app that used them
/// would connect without the name. `is_outside` decides which addresses can be reached through the
/// tunnel; an answer without such addresses stays. No answer gives an app another name's stand-in:
/// an answer that cannot be read becomes a failure.
pub fn with_stand_ins(
    names: &mut Names,
    message: &[u8],
    is_outside: impl Fn(IpAddr) -> bool,
) -> Option<Vec<u8>> {
    let Ok(answer) = Message::from_vec(message) else {
        return Some(front::failure(message, front::SERVFAIL));
    };
    let family = family_asked_for(&answer);
    if let Some(family) = family
        && let Some(named) = named(names, answer.clone(), family, is_outside)
    {
        return named.to_vec().ok();
    }
    let is_left_out = |ip| family.is_none() || is_stand_in(ip);
    without_addresses(answer, is_left_out)?.to_vec().ok()
}

/// The family of addresses that a message asks for.
fn family_asked_for(message: &Message) -> Option<Family> {
    let [question] = &message.queries[..] else { return None };
    if question.query_type() == RecordType::A {
        Some(Family::V4)
    } else if question.query_type() == RecordType::AAAA {
        Some(Family::V6)
    } else {
        None
    }
}

/// The answer with the stand-in of the requested name; `None` if the name gets no stand-in.
fn named(
    names: &mut Names,
    mut answer: Message,
    family: Family,
    is_outside: impl Fn(IpAddr) -> bool,
) -> Option<Message> {
    let question = answer.queries.first()?;
    let plain = answer.metadata.message_type == MessageType::Response
        && answer.metadata.op_code == OpCode::Query
        && answer.metadata.response_code == ResponseCode::NoError
        && question.query_class() == DNSClass::IN;
    let asked = question.name().clone();
    let name = asked.to_ascii().to_ascii_lowercase();
    let name = name.trim_end_matches('.');
    if !plain || !is_host(name) {
        return None;
    }
    let real = answer.answers.iter().filter_map(|record| record.data.ip_addr());
    let real: Vec<IpAddr> = real.map(|ip| ip.to_canonical()).filter(|ip| is_outside(*ip)).collect();
    let data = match names.stand_in(name, family, &real)? {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    answer.answers = vec![Record::from_rdata(asked, TTL, data)];
    answer.authorities.clear();
    answer.additionals.clear();
    answer.metadata.authoritative = false;
    answer.metadata.authentic_data = false;
    Some(answer)
}

/// The same answer without such addresses and without hints; `None` if it has neither.
fn without_addresses(mut answer: Message, is_left_out: impl Fn(IpAddr) -> bool) -> Option<Message> {
    let mut changed = false;
    for section in [&mut answer.answers, &mut answer.authorities, &mut answer.additionals] {
        let before = section.len();
        section.retain(|record| !record.data.ip_addr().is_some_and(&is_left_out));
        changed |= section.len() < before;
        for record in section {
            let params = if let RData::SVCB(service) = &mut record.data {
                &mut service.svc_params
            } else if let RData::HTTPS(https) = &mut record.data {
                &mut https.0.svc_params
            } else {
                continue;
            };
            let before = params.len();
            params.retain(|(key, _)| !matches!(key, SvcParamKey::Ipv4Hint | SvcParamKey::Ipv6Hint));
            changed |= params.len() < before;
        }
    }
    answer.metadata.authentic_data &= !changed;
    changed.then_some(answer)
}

/// Whether a name can be a host's (RFC 1123 section 2.1, and underscores, which some have).
fn is_host(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=253).contains(&name.len()) && name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::super::pool::Found;
    use super::*;
    use crate::testing::{data, ip, response};
    use hickory_proto::op::Query;
    use hickory_proto::rr::Name;
    use hickory_proto::rr::rdata::svcb::{Alpn, IpHint, SVCB, SvcParamValue};
    use hickory_proto::rr::rdata::{CNAME, HTTPS, MX};
    use proptest::prelude::*;
    use std::collections::HashSet;
    use std::str::FromStr as _;

    fn rewritten(names: &mut Names, message: &Message) -> Option<Message> {
        let outside = |ip: IpAddr| !ip.is_loopback();
        with_stand_ins(names, &message.to_vec().unwrap(), outside)
            .map(|bytes| Message::from_vec(&bytes).unwrap())
    }

    #[test]
    fn an_address_becomes_the_names_stand_in_whatever_alias_led_to_it() {
        let mut names = Names::new(0);
        let alias = RData::CNAME(CNAME(Name::from_str("alias.test.").unwrap()));
        let records = vec![
            ("First.test.", alias.clone()),
            ("alias.test.", data(ip("192.0.2.1"))),
            ("alias.test.", data(ip("192.0.2.2"))),
        ];
        let answer =
            rewritten(&mut names, &response("First.test.", RecordType::A, records)).unwrap();
        assert_eq!(
            answer.answers,
            [Record::from_rdata(
                Name::from_str("First.test.").unwrap(),
                TTL,
                data(ip("198.18.0.1"))
            )]
        );
        assert!(!answer.metadata.authentic_data, "the signatures are gone");
        assert_eq!(names.find(ip("198.18.0.1")), Found::Named("first.test", ip("192.0.2.1")));
        let six = vec![("First.test.", data(ip("2001:db8::1")))];
        let answer =
            rewritten(&mut names, &response("First.test.", RecordType::AAAA, six)).unwrap();
        assert_eq!(answer.answers[0].data, data(ip("fd75:6e64:6572:1::1")));
    }

    #[test]
    fn what_has_no_address_outside_stays_as_it_came() {
        let mut names = Names::new(0);
        let mut query =
            response("a.test.", RecordType::A, vec![("a.test.", data(ip("192.0.2.1")))]);
        query.metadata.message_type = MessageType::Query;
        let mut gone = response("a.test.", RecordType::A, Vec::new());
        gone.metadata.response_code = ResponseCode::NXDomain;
        let loopback = response("a.test.", RecordType::A, vec![("a.test.", data(ip("127.0.0.1")))]);
        let wildcard = response("*.test.", RecordType::A, vec![("*.test.", data(ip("192.0.2.1")))]);
        let empty = response("a.test.", RecordType::AAAA, Vec::new());
        for message in [query, gone, loopback, wildcard, empty] {
            assert_eq!(rewritten(&mut names, &message), None, "{message}");
        }
        assert_eq!(with_stand_ins(&mut names, &[0; 12], |_| true), None, "no question");
        assert_eq!(names.count(), 0);
    }

    #[test]
    fn no_answer_gives_another_names_stand_in() {
        let mut names = Names::new(0);
        let mine = response("a.test.", RecordType::A, vec![("a.test.", data(ip("192.0.2.1")))]);
        let stand_in = rewritten(&mut names, &mine).unwrap().answers[0].data.ip_addr().unwrap();
        let bait = |name: &str, records: &[IpAddr]| {
            response(name, RecordType::A, records.iter().map(|ip| ("x.test.", data(*ip))))
        };
        let mut failed = bait("b.test.", &[stand_in]);
        failed.metadata.response_code = ResponseCode::ServFail;
        let mut two = bait("b.test.", &[stand_in]);
        two.add_query(Query::query(Name::from_str("c.test.").unwrap(), RecordType::A));
        let odd = bait("*.test.", &[ip("127.0.0.1"), stand_in]);
        for message in [failed, two, odd] {
            let left = rewritten(&mut names, &message).unwrap();
            assert!(
                left.answers.iter().all(|record| record.data.ip_addr() != Some(stand_in)),
                "{left}"
            );
        }
        // An answer that another parser may read and ours does not: its last record is cut off.
        let whole = bait("b.test.", &[stand_in, ip("192.0.2.1")]).to_vec().unwrap();
        for broken in [&whole[..whole.len() - 2], b"", &[0xff; 40]] {
            let failure = with_stand_ins(&mut names, broken, |_| true).unwrap();
            let failure = Message::from_vec(&failure).unwrap();
            assert!(
                failure.answers.is_empty()
                    && failure.metadata.response_code == ResponseCode::ServFail
            );
        }
    }

    #[test]
    fn other_records_lose_their_addresses_and_nothing_else() {
        let mut names = Names::new(0);
        let alpn = (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(vec!["h2".to_owned()])));
        let hints = [
            (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)]))),
            (
                SvcParamKey::Ipv6Hint,
                SvcParamValue::Ipv6Hint(IpHint(vec![AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1)])),
            ),
        ];
        let service = |params| SVCB::new(1, Name::root(), params);
        for hint in hints {
            let with = service(vec![alpn.clone(), hint]);
            for (kind, data) in [
                (RecordType::HTTPS, RData::HTTPS(HTTPS(with.clone()))),
                (RecordType::SVCB, RData::SVCB(with)),
            ] {
                let answer =
                    rewritten(&mut names, &response("a.test.", kind, vec![("a.test.", data)]))
                        .unwrap();
                assert!(!answer.metadata.authentic_data, "the signatures are gone");
                let (RData::HTTPS(HTTPS(left)) | RData::SVCB(left)) = &answer.answers[0].data
                else {
                    panic!("{answer}")
                };
                assert_eq!(left.svc_params, std::slice::from_ref(&alpn));
            }
        }
        let without = RData::HTTPS(HTTPS(service(vec![alpn])));
        let https = response("a.test.", RecordType::HTTPS, vec![("a.test.", without)]);
        assert_eq!(rewritten(&mut names, &https), None, "it has no hints");

        let mx = RData::MX(MX::new(10, Name::from_str("mail.test.").unwrap()));
        let mut mail = response("a.test.", RecordType::MX, vec![("a.test.", mx)]);
        assert_eq!(rewritten(&mut names, &mail), None, "nothing to leave out");
        let address =
            Record::from_rdata(Name::from_str("mail.test.").unwrap(), 60, data(ip("192.0.2.1")));
        mail.additionals.push(address);
        let answer = rewritten(&mut names, &mail).unwrap();
        assert_eq!((answer.answers.len(), answer.additionals.len()), (1, 0));
        assert!(!answer.metadata.authentic_data);
        assert_eq!(names.count(), 0);
    }

    /// An app's action.
    #[derive(Clone, Debug)]
    enum Act {
        /// It asks for a name; the zone's owner answers with these addresses.
        Ask(usize, u8, Vec<IpAddr>),
        /// It connects to an address of one of its answers, or to any address.
        Connect(usize, usize),
        ConnectTo(usize, IpAddr),
    }

    fn act() -> impl Strategy<Value = Act> {
        // Few addresses, so that zones share them: the servers', a company's, and stand-ins of
        // other users.
        let address = prop_oneof![
            (0..4_u8).prop_map(|n| IpAddr::from([192, 0, 2, n])),
            (0..8_u8).prop_map(|n| IpAddr::from([198, 18, 0, n])),
            Just(IpAddr::from([127, 0, 0, 1])),
        ];
        prop_oneof![
            (0..3_usize, 0..6_u8, proptest::collection::vec(address.clone(), 0..4))
                .prop_map(|(u, n, a)| Act::Ask(u, n, a)),
            (0..3_usize, 0..16_usize).prop_map(|(user, nth)| Act::Connect(user, nth)),
            (0..3_usize, (0..4_u8).prop_map(|n| IpAddr::from([192, 0, 2, n])))
                .prop_map(|(u, to)| Act::ConnectTo(u, to)),
        ]
    }

    fn connections_stay_with_their_users(acts: Vec<Act>) {
        let mut names = Names::new(0);
        let mut asked: [HashSet<String>; 3] = Default::default();
        let mut got: [Vec<IpAddr>; 3] = Default::default();
        for act in acts {
            let (user, to) = match act {
                Act::Ask(user, name, addresses) => {
                    let name = format!("{name}.test");
                    let records = addresses.iter().map(|ip| ("x.test.", data(*ip)));
                    let message = response(&format!("{name}."), RecordType::A, records);
                    let answer = rewritten(&mut names, &message).unwrap_or(message);
                    let records = answer.answers.iter();
                    got[user].extend(records.filter_map(|record| record.data.ip_addr()));
                    asked[user].insert(name);
                    continue;
                }
                Act::Connect(user, nth) => {
                    let Some(to) = got[user].get(nth) else { continue };
                    (user, *to)
                }
                Act::ConnectTo(user, to) => (user, to),
            };
            if let Found::Named(name, _) = names.find(to) {
                assert!(asked[user].contains(name), "{user} was led to {name} by {to}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases()))]

        /// Three users and six names, two of which are of hostile zones: whatever those answer, no
        /// user's connection goes to a name that this user has not resolved.
        #[test]
        fn no_connection_goes_to_a_name_that_its_own_user_has_not_asked_for(
            acts in proptest::collection::vec(act(), 1..24)
        ) {
            connections_stay_with_their_users(acts);
        }
    }

    /// A million in `scripts/fuzz`, or as many as the variable says; some thousands by default.
    fn cases() -> u32 {
        std::env::var("UNDERPASS_NAME_CASES")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(4096)
    }
}
