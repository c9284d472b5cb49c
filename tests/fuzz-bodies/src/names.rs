//! DNS answers of any zone, and the stand-ins that apps get from them (`--via`): no answer gives an
//! app another name's stand-in, and no connection goes to a name that its own user did not query.

use crate::Bytes;
use gateway::limits::MAX_NAMES;
use gateway::names::{Found, Names, Peers, is_stand_in, with_stand_ins};
use hickory_proto::op::Message;
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::svcb::{SVCB, SvcParamKey};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use underpass_stack::BindId;

const USERS: usize = 3;

/// Bytes of a DNS message's header.
const HEADER: usize = 12;

const A: u16 = 1;
const AAAA: u16 = 28;
const HTTPS: u16 = 65;

/// The name with that number, in letters that the fuzzer chooses: DNS ignores case.
fn name(which: u8) -> Vec<u8> {
    let letter = if which & 8 == 0 { b'a' } else { b'A' } + (which & 7);
    [&[1, letter, 4][..], b"test", &[0]].concat()
}

/// Few addresses, so that zones meet: servers', stand-ins of others, and addresses inside.
fn address(which: u8, input: &mut Bytes<'_>) -> IpAddr {
    let n = input.byte();
    match which & 7 {
        0 | 1 => Ipv4Addr::new(192, 0, 2, n & 3).into(),
        2 => Ipv4Addr::new(198, 18, 0, n & 7).into(),
        3 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n & 3)).into(),
        4 => Ipv6Addr::new(0xfd75, 0x6e64, 0x6572, 1, 0, 0, 0, u16::from(n & 7)).into(),
        5 => Ipv4Addr::new(198, 18, 0, n & 7).to_ipv6_mapped().into(),
        6 => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv4Addr::from(input.four()).into(),
    }
}

fn record(message: &mut Vec<u8>, input: &mut Bytes<'_>) {
    let what = input.byte();
    // The owner: the question's name, or any.
    if what & 1 == 0 {
        message.extend([0xc0, 12]);
    } else {
        message.extend(name(input.byte()));
    }
    let address = address(what >> 1, input);
    let (kind, data) = match (what >> 4, address) {
        (0, _) => (HTTPS, [&[0, 1, 0, 0, 4, 0, 4][..], &[198, 18, 0, what & 7]].concat()),
        (1, _) => (5, name(input.byte())),
        (2, _) => (15, [&[0, 10][..], &name(input.byte())].concat()),
        (3, _) => (input.two(), input.take(12).to_vec()),
        (_, IpAddr::V4(v4)) => (A, v4.octets().to_vec()),
        (_, IpAddr::V6(v6)) => (AAAA, v6.octets().to_vec()),
    };
    message.extend(kind.to_be_bytes());
    message.extend([0, 1, 0, 0, 0, 60]);
    message.extend(u16::try_from(data.len()).unwrap_or(0).to_be_bytes());
    message.extend(data);
}

/// The answer of a zone's owner, perhaps damaged.
fn answer(input: &mut Bytes<'_>) -> Vec<u8> {
    let (shape, counts) = (input.byte(), input.byte());
    let records =
        usize::from(counts & 3) + usize::from(counts >> 2 & 1) + usize::from(counts >> 3 & 1);
    let code = if shape & 0x70 == 0x70 { 2 } else { 0 };
    let mut message =
        vec![0, 7, 0x81, 0xa0 | code, 0, 1, 0, counts & 3, 0, counts >> 2 & 1, 0, counts >> 3 & 1];
    message.extend(name(input.byte()));
    message.extend([A, AAAA, HTTPS, A][usize::from(shape & 3)].to_be_bytes());
    message.extend([0, 1]);
    for _ in 0..records {
        record(&mut message, input);
    }
    for _ in 0..shape >> 2 & 3 {
        let at = usize::from(input.byte()) % message.len();
        message[at] = input.byte();
    }
    if shape & 0x80 != 0 {
        message.truncate(usize::from(input.byte()));
    }
    message
}

/// The end of a name in a message. A pointer ends it (RFC 1035 section 4.1.4).
fn end_of_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*message.get(at)?);
        match length >> 6 {
            0 if length == 0 => return Some(at + 1),
            0 => at += 1 + length,
            3 => return Some(at + 2),
            _ => return None,
        }
    }
}

/// The addresses of all records, as the simplest stub resolver reads them: it ignores all
/// unnecessary fields, and takes the records before the place where it can read no further.
fn addresses(message: &[u8]) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let two = |at: usize| Some(u16::from_be_bytes(*message.get(at..)?.first_chunk()?));
    let mut read = || {
        let mut at = HEADER;
        for _ in 0..two(4)? {
            at = end_of_name(message, at)? + 4;
        }
        let records = [6, 8, 10]
            .into_iter()
            .map(|count| Some(usize::from(two(count)?)))
            .sum::<Option<usize>>()?;
        for _ in 0..records {
            at = end_of_name(message, at)?;
            let (kind, length) = (two(at)?, usize::from(two(at + 8)?));
            let data = message.get(at + 10..at + 10 + length)?;
            match (kind, data.first_chunk::<4>(), data.first_chunk::<16>()) {
                (A, Some(v4), _) => found.push(IpAddr::from(*v4)),
                (AAAA, _, Some(v6)) => found.push(IpAddr::from(*v6)),
                _ => {}
            }
            at += 10 + length;
        }
        Some(())
    };
    let _ = read();
    found
}

fn has_hints(message: &Message) -> bool {
    let of = |service: &SVCB| {
        service
            .svc_params
            .iter()
            .any(|(key, _)| matches!(key, SvcParamKey::Ipv4Hint | SvcParamKey::Ipv6Hint))
    };
    let mut records =
        [&message.answers, &message.authorities, &message.additionals].into_iter().flatten();
    records.any(|record| {
        if let RData::SVCB(service) = &record.data {
            of(service)
        } else if let RData::HTTPS(https) = &record.data {
            of(&https.0)
        } else {
            false
        }
    })
}

/// Any bytes, read as answers of zones and as apps' actions with them. Returns the number of
/// connections to names.
pub fn names(data: &[u8]) -> usize {
    let mut input = Bytes(data);
    let (mut names, mut peers) = (Names::new(u64::from(input.byte() & 1)), Peers::default());
    let mut asked: [HashSet<String>; USERS] = Default::default();
    let mut got: [Vec<IpAddr>; USERS] = Default::default();
    let mut reached = 0;
    for _ in 0..64 {
        if input.0.is_empty() {
            break;
        }
        let op = input.byte();
        let user = usize::from(op >> 4) % USERS;
        match op & 3 {
            0 | 1 => {
                let message = answer(&mut input);
                let given = with_stand_ins(&mut names, &message, |ip| !ip.is_loopback());
                let given = given.unwrap_or(message);
                let read =
                    Message::from_vec(&given).unwrap_or_else(|error| panic!("{error}: {given:?}"));
                assert!(
                    !has_hints(&read),
                    "an app that takes the hint connects without the name: {read}"
                );
                let question =
                    read.queries.first().map(|query| query.name().to_ascii().to_ascii_lowercase());
                let question = question.unwrap_or_default().trim_end_matches('.').to_owned();
                for ip in addresses(&given) {
                    if is_stand_in(ip) {
                        let Found::Named(owner, _) = names.find(ip) else {
                            panic!("{ip} stands for no name: {read}")
                        };
                        assert_eq!(owner, question, "{ip} in the answer {read}");
                    }
                    got[user].push(ip);
                }
                asked[user].insert(question);
            }
            2 => {
                let Some(to) = got[user].get(usize::from(input.byte())) else { continue };
                if let Found::Named(name, _) = names.find(*to) {
                    assert!(asked[user].contains(name), "{user} was led to {name} by {to}");
                    reached += 1;
                }
            }
            _ => {
                let (Some(ip), port) = (got[user].get(usize::from(input.byte())), input.byte() & 1)
                else {
                    continue;
                };
                let (bind, to) =
                    (BindId(u32::from(op >> 2 & 3)), SocketAddr::new(*ip, port.into()));
                match names.find(*ip) {
                    Found::Plain => peers.sent_plainly(bind, to),
                    Found::Unknown => {}
                    Found::Named(_, real) => {
                        let real = peers.sent(bind, to, real, |known| names.has(*ip, known));
                        assert!(
                            names.has(*ip, real.ip()) && real.port() == to.port(),
                            "{to} is not at {real}"
                        );
                        assert_eq!(
                            peers.known_as(bind, real),
                            to,
                            "its reply comes from another address"
                        );
                    }
                }
                if op & 0x40 != 0 {
                    peers.forget(bind);
                    assert_eq!(peers.known_as(bind, to), to, "a forgotten name is known");
                }
            }
        }
        assert!(names.count() <= MAX_NAMES);
    }
    reached
}
