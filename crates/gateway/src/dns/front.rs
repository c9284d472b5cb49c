//! Judges one DNS message at a time: answer it here, pass it on, or drop it.

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bytes of a DNS message's header (RFC 1035 4.1.1).
pub const HEADER: usize = 12;

/// The size that every client over UDP accepts (RFC 1035 4.2.1).
const SMALLEST: u16 = 512;

/// Time to live of the gateway's own names, in seconds: they change when the tunnel restarts with
/// another subnet.
const TTL: u32 = 10;

/// The addresses of the gateway's own names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnAddresses {
    /// The gateway's addresses; the second while IPv6 is carried.
    pub gateway: (Ipv4Addr, Option<Ipv6Addr>),
    /// The host's aliases; the second while IPv6 is carried.
    pub host: (Ipv4Addr, Option<Ipv6Addr>),
}

/// What to do with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this back.
    Answer(Vec<u8>),
    /// Ask the host's resolver. An answer over UDP may have this many bytes.
    Ask {
        /// The size that the client accepts over UDP (RFC 6891 6.2.3).
        most: u16,
    },
    /// It is not a query. There is no answer, so that two servers do not answer each other for
    /// ever.
    Drop,
}

/// Judges a message from the VM.
pub fn judge(message: &[u8], own: &OwnAddresses) -> Action {
    let Some(flags) = message.get(2).filter(|_| message.len() >= HEADER) else {
        return Action::Drop;
    };
    if flags & RESPONSE != 0 {
        return Action::Drop;
    }
    let Ok(query) = Message::from_vec(message) else { return Action::Answer(failure(message, 1)) };
    let most = query.edns.as_ref().map_or(SMALLEST, |edns| edns.max_payload().max(SMALLEST));
    let [question] = &query.queries[..] else { return Action::Ask { most } };
    if query.metadata.op_code != OpCode::Query || question.query_class() != DNSClass::IN {
        return Action::Ask { most };
    }
    match own_name(question.name()) {
        None => Action::Ask { most },
        Some(name) => own_answer(&query, name, own).map_or(Action::Drop, Action::Answer),
    }
}

/// A name for which the gateway answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnName {
    Gateway,
    Host,
    /// The zone itself, which has no addresses.
    Zone,
    /// A name below the zone that does not exist.
    Missing,
}

/// The gateway's own name with these labels, in lower case (RFC 4343).
fn own_name(name: &Name) -> Option<OwnName> {
    let name = name.to_lowercase();
    let labels: Vec<&[u8]> = name.iter().collect();
    match &labels[..] {
        [b"gateway", b"underpass", b"internal"] => Some(OwnName::Gateway),
        // Containers know the host by the second and third.
        [b"host", b"underpass" | b"docker" | b"containers", b"internal"] => Some(OwnName::Host),
        [b"underpass", b"internal"] => Some(OwnName::Zone),
        [.., b"underpass", b"internal"] => Some(OwnName::Missing),
        _ => None,
    }
}

fn own_answer(query: &Message, name: OwnName, own: &OwnAddresses) -> Option<Vec<u8>> {
    let question = query.queries.first()?;
    let addresses = match name {
        OwnName::Gateway => Some(own.gateway),
        OwnName::Host => Some(own.host),
        OwnName::Zone | OwnName::Missing => None,
    };
    let data = match (addresses, question.query_type()) {
        (Some((v4, _)), RecordType::A) => Some(RData::A(A(v4))),
        (Some((_, Some(v6))), RecordType::AAAA) => Some(RData::AAAA(AAAA(v6))),
        // The name exists and has no record of that type.
        (Some(_) | None, _) => None,
    };
    let mut answer = query.clone();
    answer.metadata.message_type = MessageType::Response;
    answer.metadata.recursion_available = true;
    answer.metadata.authoritative = true;
    if name == OwnName::Missing {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    if let Some(data) = data {
        answer.add_answer(Record::from_rdata(question.name().clone(), TTL, data));
    }
    answer.to_vec().ok()
}

/// An answer without records: the query's header and question with a response code (RFC 1035
/// 4.1.1).
pub fn failure(query: &[u8], code: u8) -> Vec<u8> {
    let question = question_end(query);
    let mut answer = query[..question.unwrap_or(HEADER).min(query.len())].to_vec();
    answer.resize(answer.len().max(HEADER), 0);
    // The opcode and RD stay.
    answer[2] &= 0x79;
    answer[2] |= RESPONSE;
    answer[3] = code & 0x0f;
    answer[3] |= RECURSION_AVAILABLE;
    answer[4..HEADER].fill(0);
    answer[5] = u8::from(question.is_some());
    answer
}

/// The QR bit in the header's third byte.
const RESPONSE: u8 = 0x80;
/// The TC bit in the header's third byte.
const TRUNCATED: u8 = 0x02;
/// The RA bit in the header's fourth byte.
const RECURSION_AVAILABLE: u8 = 0x80;

/// Response code of an answer (RFC 1035 4.1.1).
pub const NO_ERROR: u8 = 0;
/// Response code of a server that failed (RFC 1035 4.1.1).
pub const SERVFAIL: u8 = 2;
/// Response code of a refusal (RFC 1035 4.1.1).
pub const REFUSED: u8 = 5;

/// An answer as it may go over UDP: whole if it fits `most` bytes, else without its records and
/// with TC set, so that the client asks again over TCP (RFC 2181 9). `most` is 512 or more.
pub fn fit(answer: Vec<u8>, most: u16) -> Vec<u8> {
    if answer.len() <= usize::from(most.max(SMALLEST)) {
        return answer;
    }
    if let Ok(parsed) = Message::from_vec(&answer)
        && let Ok(short) = parsed.truncate().to_vec()
        && short.len() <= usize::from(most)
    {
        return short;
    }
    let mut short = failure(&answer, answer[3]);
    short[2] = answer[2] | TRUNCATED;
    short
}

/// Types of a zone transfer (RFC 1995 2, RFC 1035 3.2.3).
const IXFR: u16 = 251;
const AXFR: u16 = 252;

/// Whether a message asks for the transfer of a zone that is not the gateway's own. Its answer has
/// any number of messages (RFC 5936 2.2), so it is passed on as a stream.
pub fn is_transfer(message: &[u8]) -> bool {
    let Some(end) = question_end(message) else { return false };
    let kind = u16::from_be_bytes([message[end - 4], message[end - 3]]);
    if ![IXFR, AXFR].contains(&kind) || message[2] & RESPONSE != 0 {
        return false;
    }
    // Our own zone has nothing to transfer.
    let is_ours =
        |query: Message| query.queries.iter().any(|question| own_name(question.name()).is_some());
    Message::from_vec(message)
        .is_ok_and(|query| query.metadata.op_code == OpCode::Query && !is_ours(query))
}

/// A number for the zone of the message's only question: the last two labels of its name. They may
/// be a public suffix, whose names then share servers. 0 if there is no such question.
pub fn zone(message: &[u8]) -> u64 {
    let Some(end) = question_end(message) else { return 0 };
    let name = &message[HEADER..end - 4];
    let (mut labels, mut at) = ([0, 0], 0);
    while name[at] != 0 {
        labels = [labels[1], at];
        at += 1 + usize::from(name[at]);
    }
    let mut hasher = DefaultHasher::new();
    name[labels[0]..].to_ascii_lowercase().hash(&mut hasher);
    hasher.finish()
}

/// Where the message's only question ends. A name in a question is never compressed.
fn question_end(message: &[u8]) -> Option<usize> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let mut end = HEADER;
    loop {
        match *message.get(end)? {
            0 => break,
            label @ 1..=63 => end += 1 + usize::from(label),
            _ => return None,
        }
    }
    (message.len() >= end + 5).then_some(end + 5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hickory_proto::op::{Edns, Query};
    use hickory_proto::rr::rdata::opt::EdnsOption;
    use proptest::prelude::*;
    use std::str::FromStr as _;

    const OWN: OwnAddresses = OwnAddresses {
        gateway: (Ipv4Addr::new(10, 0, 0, 1), Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1))),
        host: (Ipv4Addr::new(10, 0, 0, 3), None),
    };

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
        message
    }

    fn answered(name: &str, kind: RecordType) -> Message {
        match judge(&query(name, kind).to_vec().unwrap(), &OWN) {
            Action::Answer(bytes) => Message::from_vec(&bytes).unwrap(),
            other @ (Action::Ask { .. } | Action::Drop) => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn own_names_have_their_addresses_and_no_more() {
        for name in
            ["host.underpass.internal.", "HOST.docker.Internal.", "host.containers.internal."]
        {
            let answer = answered(name, RecordType::A);
            assert_eq!(answer.answers[0].data, RData::A(A(OWN.host.0)), "{name}");
            assert_eq!(answer.metadata.id, 4711);
            let none = answered(name, RecordType::AAAA);
            assert!(
                none.answers.is_empty() && none.metadata.response_code == ResponseCode::NoError
            );
        }
        assert_eq!(
            answered("gateway.underpass.internal.", RecordType::A).answers[0].data,
            RData::A(A(OWN.gateway.0))
        );
        let v6 = answered("gateway.underpass.internal.", RecordType::AAAA);
        assert_eq!(v6.answers[0].data, RData::AAAA(AAAA(OWN.gateway.1.unwrap())));
        assert!(answered("gateway.underpass.internal.", RecordType::MX).answers.is_empty());
        for (name, code) in [
            ("UNDERPASS.internal.", ResponseCode::NoError),
            ("missing.underpass.internal.", ResponseCode::NXDomain),
            ("a.gateway.underpass.internal.", ResponseCode::NXDomain),
        ] {
            let empty = answered(name, RecordType::A);
            assert_eq!((empty.answers.len(), empty.metadata.response_code), (0, code), "{name}");
            let flags = &empty.metadata;
            assert!(flags.authoritative && flags.recursion_available && flags.recursion_desired);
        }
    }

    #[test]
    fn everything_else_is_the_hosts_with_the_askers_size() {
        let ask = |message: &Message| judge(&message.to_vec().unwrap(), &OWN);
        assert_eq!(ask(&query("example.com.", RecordType::A)), Action::Ask { most: 512 });
        for name in [
            ".",
            "internal.",
            "docker.internal.",
            "host.internal.",
            "a.host.docker.internal.",
            "gateway.docker.internal.",
            "xunderpass.internal.",
            "underpass.internal.evil.",
            // A dot within a label.
            "a\\.underpass.internal.",
        ] {
            assert_eq!(ask(&query(name, RecordType::A)), Action::Ask { most: 512 }, "{name}");
        }
        // The gateway's names in another class, in an update, and beside another question.
        let own = query("host.docker.internal.", RecordType::A);
        let (mut chaos, mut update, mut two) = (own.clone(), own.clone(), own);
        chaos.queries[0].set_query_class(DNSClass::CH);
        update.metadata.op_code = OpCode::Update;
        two.add_query(two.queries[0].clone());
        for message in [chaos, update, two] {
            assert_eq!(ask(&message), Action::Ask { most: 512 }, "{message}");
        }
        assert_eq!(
            ask(&query("example.com.", RecordType::Unknown(65280))),
            Action::Ask { most: 512 }
        );
        let mut with_edns = query("example.com.", RecordType::TXT);
        let mut edns = Edns::new();
        edns.set_max_payload(1232);
        with_edns.set_edns(edns.clone());
        assert_eq!(ask(&with_edns), Action::Ask { most: 1232 });
        edns.set_max_payload(100);
        with_edns.set_edns(edns);
        assert_eq!(ask(&with_edns), Action::Ask { most: 512 }, "less counts as 512");
    }

    #[test]
    fn no_query_gets_no_answer_and_a_broken_one_a_format_error() {
        assert_eq!(judge(&[0; 5], &OWN), Action::Drop);
        let mut response = query("example.com.", RecordType::A).to_vec().unwrap();
        response[2] |= 0x80;
        assert_eq!(judge(&response, &OWN), Action::Drop);
        let whole = query("example.com.", RecordType::A).to_vec().unwrap();
        for length in 0..whole.len() {
            let broken = &whole[..length];
            let error = [&whole[..2], &[0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
            let expected = if length < HEADER { Action::Drop } else { Action::Answer(error) };
            assert_eq!(judge(broken, &OWN), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_transfer_is_a_query_for_a_whole_zone_of_others() {
        let asks = |name, kind| is_transfer(&query(name, kind).to_vec().unwrap());
        assert!(asks("example.com.", RecordType::AXFR) && asks("example.com.", RecordType::IXFR));
        assert!(!asks("example.com.", RecordType::SOA) && !asks("example.com.", RecordType::ANY));
        assert!(
            !asks("underpass.internal.", RecordType::AXFR)
                && !asks("host.docker.internal.", RecordType::AXFR)
        );
        let mut response = query("example.com.", RecordType::AXFR).to_vec().unwrap();
        response[2] |= 0x80;
        assert!(!is_transfer(&response) && !is_transfer(&response[..20]) && !is_transfer(&[]));
        let long = "departments.and.offices.of.a.company.example.com.";
        assert!(asks(long, RecordType::AXFR) && asks(long, RecordType::IXFR));
        // Types whose lower byte is that of a transfer.
        assert!(!asks(long, RecordType::Unknown(0x01fb)));
        assert!(!asks(long, RecordType::Unknown(0x01fc)));
        let mut notice = query(long, RecordType::AXFR);
        notice.metadata.op_code = OpCode::Notify;
        assert!(!is_transfer(&notice.to_vec().unwrap()));
    }

    #[test]
    fn a_zone_is_the_last_two_labels_whatever_their_case() {
        let of = |name| zone(&query(name, RecordType::A).to_vec().unwrap());
        assert_eq!(of("www.example.com."), of("a.b.EXAMPLE.com."));
        assert_eq!(of("example.com."), of("www.example.com."));
        assert_ne!(of("www.example.com."), of("www.example.org."));
        assert_ne!(of("com."), of("example.com."));
        assert_eq!((zone(&[]), zone(&[0; 12])), (0, 0));
        of(".");
    }

    #[test]
    fn a_failure_keeps_id_and_question() {
        let asked = query("example.com.", RecordType::SRV);
        let failed = Message::from_vec(&failure(&asked.to_vec().unwrap(), SERVFAIL)).unwrap();
        assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
        assert_eq!((failed.metadata.id, failed.metadata.recursion_desired), (4711, true));
        assert_eq!(failed.queries, asked.queries);
    }

    #[test]
    fn a_failure_keeps_the_opcode_and_rd_and_clears_all_other_flags() {
        for (flags, code, expected) in [
            ([0, 0], SERVFAIL, [0x80, 0x82]),
            ([1, 0x10], REFUSED, [0x81, 0x85]),
            // AA and TC, then AD, CD and a code set by the client.
            ([0x06, 0x3f], NO_ERROR, [0x80, 0x80]),
            ([0x21, 0], SERVFAIL, [0xa1, 0x82]),
            // A response with unreadable records.
            ([0x81, 0x80], 0xf2, [0x81, 0x82]),
        ] {
            let query = [0x12, 0x34, flags[0], flags[1], 0, 1, 0, 2, 0, 3, 0, 4, 0, 0, 1, 0, 1, 9];
            let answer = failure(&query, code);
            let head = [0x12, 0x34, expected[0], expected[1], 0, 1, 0, 0, 0, 0, 0, 0];
            assert_eq!(answer, [&head[..], &query[HEADER..17]].concat(), "{flags:?}");
        }
        assert_eq!(failure(&[7], REFUSED), [7, 0, 0x80, 0x85, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    /// An answer with so many addresses.
    fn large(addresses: u8) -> Message {
        let mut large = query("example.com.", RecordType::A);
        large.metadata.message_type = MessageType::Response;
        for n in 0..addresses {
            let data = RData::A(A(Ipv4Addr::new(192, 0, 2, n)));
            large.add_answer(Record::from_rdata(Name::from_str("example.com.").unwrap(), 60, data));
        }
        large
    }

    #[test]
    fn what_does_not_fit_is_cut_to_its_question_with_tc() {
        let mut large = large(100);
        large.edns = Some(Edns::new());
        let bytes = large.to_vec().unwrap();
        let length = u16::try_from(bytes.len()).unwrap();
        assert_eq!(fit(bytes.clone(), length), bytes, "it fits");
        for most in [length - 1, 512] {
            let short = Message::from_vec(&fit(bytes.clone(), most)).unwrap();
            assert!(short.metadata.truncation && short.answers.is_empty());
            assert_eq!(short.queries, large.queries);
            assert_eq!(short.edns, large.edns, "RFC 6891 section 7");
        }
    }

    #[test]
    fn what_does_not_fit_and_cannot_be_read_is_cut_to_its_question_with_tc() {
        let mut large = large(100);
        let bytes = large.to_vec().unwrap();
        let cut = bytes[..bytes.len() - 1].to_vec();
        // An OPT record that does not fit is left out with the others.
        let mut edns = Edns::new();
        edns.options_mut().insert(EdnsOption::Unknown(65_001, vec![0; 600]));
        large.edns = Some(edns);
        large.metadata.truncation = true;
        large.metadata.response_code = ResponseCode::NXDomain;
        for (bytes, code) in
            [(cut, ResponseCode::NoError), (large.to_vec().unwrap(), ResponseCode::NXDomain)]
        {
            let short = fit(bytes, 512);
            assert_eq!(short.len(), 29);
            let short = Message::from_vec(&short).unwrap();
            let flags = &short.metadata;
            assert!(flags.truncation && flags.recursion_desired, "{short}");
            assert_eq!((flags.id, flags.response_code), (4711, code));
            assert_eq!((&short.queries, short.answers.len()), (&large.queries, 0));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_and_fitted(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
            most in 512u16..2000,
        ) {
            if let Action::Answer(answer) = judge(&bytes, &OWN) {
                prop_assert!(answer.len() >= HEADER && answer[2] & 0x80 != 0);
            }
            zone(&bytes);
            fit(bytes, most);
        }

        #[test]
        fn damaged_queries_are_judged(at in 0usize..60, with in any::<u8>(), own in any::<bool>()) {
            let name = if own { "host.docker.internal." } else { "www.example.com." };
            let mut bytes = query(name, RecordType::A).to_vec().unwrap();
            let at = at % bytes.len();
            bytes[at] = with;
            judge(&bytes, &OWN);
        }
    }
}
