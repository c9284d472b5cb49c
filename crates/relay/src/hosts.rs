//! A hosts file (hosts(5)), which takes precedence over all servers. Every host has one, in the
//! same form.

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::net::IpAddr;
use std::str::FromStr as _;

/// Time to live of answers, in seconds: short, since the file may change at any time.
const TTL: u32 = 10;

/// The answer to a query, if the file contains the queried name or address.
#[expect(clippy::wildcard_enum_match_arm, reason = "a hosts file has no records of any other type")]
pub(crate) fn answer(hosts: &str, query: &[u8]) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let [question] = &query.queries[..] else { return None };
    if query.metadata.op_code != OpCode::Query || question.query_class() != DNSClass::IN {
        return None;
    }
    let entries = entries(hosts);
    let records = match question.query_type() {
        RecordType::A | RecordType::AAAA => {
            addresses(&entries, question.name(), question.query_type())?
        }
        RecordType::PTR => vec![names(&entries, question.name())?],
        _ => return None,
    };
    let mut answer = query.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.recursion_available = true;
    answer.metadata.authoritative = true;
    for data in records {
        answer.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
    }
    answer.to_vec().ok()
}

/// Its lines: an address and its names.
fn entries(text: &str) -> Vec<(IpAddr, Vec<Name>)> {
    let entry = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        let names = words.filter_map(|name| Name::from_str(&format!("{name}.")).ok()).collect();
        Some((address, names))
    };
    text.lines().filter_map(entry).collect()
}

/// The addresses of a name. If the file has the name without an address of this family, the list is
/// empty (NODATA).
fn addresses(entries: &[(IpAddr, Vec<Name>)], name: &Name, kind: RecordType) -> Option<Vec<RData>> {
    let mut of_name = entries
        .iter()
        .filter(|(_, names)| names.contains(name))
        .map(|(address, _)| *address)
        .peekable();
    of_name.peek()?;
    let of_family = of_name.filter_map(|address| match address {
        IpAddr::V4(v4) => (kind == RecordType::A).then_some(RData::A(A(v4))),
        IpAddr::V6(v6) => (kind == RecordType::AAAA).then_some(RData::AAAA(AAAA(v6))),
    });
    Some(of_family.collect())
}

/// The first name of the address that a reverse name (RFC 1035 section 3.5, RFC 3596 section 2.5)
/// denotes.
fn names(entries: &[(IpAddr, Vec<Name>)], reverse: &Name) -> Option<RData> {
    let of = entries
        .iter()
        .find(|(address, names)| Name::from(*address) == *reverse && !names.is_empty());
    of.and_then(|(_, names)| names.first()).map(|name| RData::PTR(PTR(name.clone())))
}
