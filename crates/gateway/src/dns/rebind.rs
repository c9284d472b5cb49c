//! DNS answers that must not name the host (DNS rebinding). The owner of any zone may answer with
//! 127.0.0.1, an alias of the tunnel or an address of the host's adapters. A web page of that zone,
//! or a program that trusts the name, then connects to the host's own services. Such records are
//! removed.
//!
//! Only these records are left out, as in unbound (`priv_rrset_bad` in its iterator/iter_priv.c): a
//! name with one node here and others elsewhere keeps the others. dnsmasq (`--stop-dns-rebind`)
//! empties the whole answer. Neither fails the query: an answer without addresses ends it, while
//! after SERVFAIL or REFUSED stub resolvers ask their next server. The name in the question decides
//! about exemptions, as in dnsmasq: an alias (CNAME) in a hostile zone must not borrow the
//! exemption of its target.
//!
//! Other private addresses stay: the names of companies have them.

use super::front::{self, HEADER};
use crate::limits::MAX_REBIND_NAMES;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{Record, RecordType};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use wire::HostFacts;

/// A domain whose names may name the host, without its last dot and in lower case. The root (`.`)
/// has every name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain(String);

/// It is not a domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a domain; give one such as corp.example, or . for every name")]
pub struct NoDomain(String);

impl FromStr for Domain {
    type Err = NoDomain;

    /// `corp.example`, `.corp.example` or `*.corp.example`: the domain and all names below it.
    fn from_str(text: &str) -> Result<Self, NoDomain> {
        let plain = text.trim().to_ascii_lowercase();
        if plain == "." {
            return Ok(Self(String::new()));
        }
        let domain = plain.strip_prefix("*.").or(plain.strip_prefix('.')).unwrap_or(&plain);
        let domain = domain.strip_suffix('.').unwrap_or(domain);
        // RFC 1035 section 2.3.4; underscores are in use as well.
        let is_label = |label: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(plain)
        };
        if domain.len() > 253 || !domain.split('.').all(is_label) {
            return Err(NoDomain(text.to_owned()));
        }
        Ok(Self(domain.to_owned()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "." } else { &self.0 })
    }
}

impl Domain {
    /// Whether a name is the domain or below it. Names are in lower case, without their last dot.
    fn has(&self, name: &str) -> bool {
        let above = name.strip_suffix(self.0.as_str());
        above.is_some_and(|above| above.is_empty() || self.0.is_empty() || above.ends_with('.'))
    }
}

/// Domains that never belong to others: `localhost` (RFC 6761 section 6.3), and `local`, which is
/// mDNS' own (RFC 6762 section 3) and in no public zone.
const PRIVATE: [&str; 2] = ["localhost", "local"];

/// The filter and its counts.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    exempt: Vec<Domain>,
    /// The addresses of the host's adapters.
    host: HashSet<IpAddr>,
    /// The host's own names.
    host_names: Vec<String>,
    /// Answers that lost records.
    pub(crate) count: u64,
    /// The names of these answers, each once, the newest last; at most [`MAX_REBIND_NAMES`].
    pub(crate) names: VecDeque<String>,
}

impl Filter {
    pub(crate) fn new(exempt: Vec<Domain>) -> Self {
        Self { exempt, ..Self::default() }
    }

    /// Sets the host's addresses and names, as its relay has last reported them.
    pub(crate) fn set_host(&mut self, facts: &HostFacts) {
        let addresses = facts.adapters.iter().flat_map(|adapter| &adapter.addresses);
        self.host =
            addresses.filter_map(|address| Some(address.parse::<IpNet>().ok()?.addr())).collect();
        self.host_names = facts
            .names
            .iter()
            .map(|name| name.trim_end_matches('.').to_ascii_lowercase())
            .collect();
    }

    /// The answer without the records that name the host, or `None` if it may stay as it is.
    /// `is_tunnel` recognizes the tunnel's own addresses and the captured ones.
    pub(crate) fn filtered(
        &mut self,
        message: &[u8],
        is_tunnel: impl Fn(IpAddr) -> bool,
    ) -> Option<Vec<u8>> {
        let is_inside = |ip: IpAddr| {
            let ip = embedded(ip);
            names_this_machine(ip) || is_tunnel(ip) || self.host.contains(&ip)
        };
        let found = match first(message, is_inside) {
            Ok(None) => return None,
            Ok(Some(found)) => found,
            // Another parser may find an address where ours finds none.
            Err(Malformed) => return Some(front::failure(message, front::SERVFAIL)),
        };
        let asked = name_asked_for(message);
        if asked.as_ref().is_some_and(|name| self.is_exempt(name)) {
            return None;
        }
        let left = without(message, is_inside);
        self.note(asked.unwrap_or_default(), found);
        Some(left)
    }

    fn is_exempt(&self, name: &str) -> bool {
        // Names of one label are in no public zone: the host's own, and what its search list
        // completes.
        !name.contains('.')
            || PRIVATE.iter().any(|domain| Domain((*domain).to_owned()).has(name))
            || self.host_names.iter().any(|own| own == name)
            || self.exempt.iter().any(|domain| domain.has(name))
    }

    /// Counts an answer. Each name is logged once while it is remembered.
    fn note(&mut self, name: String, address: IpAddr) {
        self.count += 1;
        // Resolvers that block advertisements answer with 0.0.0.0 all day long. Ordinary programs
        // do not look up what cannot be a host's name, and it must not stand in a command that the
        // user is to type.
        if address.is_unspecified() || self.names.contains(&name) || name.parse::<Domain>().is_err()
        {
            return;
        }
        tracing::warn!(
            "dropped from a DNS answer: {name} is {address}, this machine or its host (DNS \
             rebinding); if the name is yours, give `--rebind-domain-ok {name}`"
        );
        if self.names.len() >= MAX_REBIND_NAMES {
            self.names.pop_front();
        }
        self.names.push_back(name);
    }
}

/// The IPv4 address in an IPv6 address that kernels or translators take for it: mapped and
/// compatible (RFC 4291 section 2.5.5), or with NAT64's well-known prefix (RFC 6052 section 2.1).
/// Else the address. `::` and `::1` become 0.0.0.0 and 0.0.0.1, which name this machine as well.
fn embedded(ip: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = ip else { return ip };
    let [.., a, b, c, d] = v6.octets();
    let [prefix @ .., _, _] = v6.segments();
    if [MAPPED, COMPATIBLE, NAT64].contains(&prefix) {
        Ipv4Addr::new(a, b, c, d).into()
    } else {
        ip
    }
}

const MAPPED: [u16; 6] = [0, 0, 0, 0, 0, 0xffff];
const COMPATIBLE: [u16; 6] = [0; 6];
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Whether an address from [`embedded`] is loopback or 'this host on this network' (RFC 1122
/// section 3.2.1.3), which Linux treats as loopback.
fn names_this_machine(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if matches!(v4.octets()[0], 0 | 127))
}

/// The name of a message's only question, in lower case and without its last dot.
fn name_asked_for(message: &[u8]) -> Option<String> {
    if message.get(4..6)? != [0, 1] {
        return None;
    }
    let (mut at, mut labels) = (HEADER, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        match length {
            0 => return Some(labels.join(".")),
            1..=63 => {
                let label = message.get(at + 1..at + 1 + length)?;
                // A dot within a label must not look like one between labels.
                let plain = label.iter().map(|byte| match byte {
                    // In the form of master files (RFC 1035 section 5.1).
                    b'.' | b'\\' => format!("\\{byte:03}"),
                    _ => byte.to_ascii_lowercase().escape_ascii().to_string(),
                });
                labels.push(plain.collect::<String>());
                at += 1 + length;
            }
            _ => return None,
        }
    }
}

/// A message that does not match its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed;

/// The first inside address that a message's records name. Read here byte by byte, since the
/// library refuses a message for bad data of a type without addresses.
fn first(message: &[u8], is_inside: impl Fn(IpAddr) -> bool) -> Result<Option<IpAddr>, Malformed> {
    let count = |at: usize| message.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let counts: Option<Vec<u16>> = [4, 6, 8, 10].into_iter().map(count).collect();
    let Some([questions, answers, authorities, additionals]) = counts.as_deref() else {
        return Err(Malformed);
    };
    let mut at = HEADER;
    for _ in 0..*questions {
        at = name_end(message, at)?.checked_add(4).ok_or(Malformed)?;
    }
    for _ in 0..u32::from(*answers) + u32::from(*authorities) + u32::from(*additionals) {
        at = name_end(message, at)?;
        let head = message.get(at..at + 10).ok_or(Malformed)?;
        let kind = RecordType::from(u16::from_be_bytes([head[0], head[1]]));
        let length = usize::from(u16::from_be_bytes([head[8], head[9]]));
        at += 10;
        let data = message.get(at..at + length).ok_or(Malformed)?;
        at += length;
        if let Some(found) = addresses(kind, data).into_iter().find(|ip| is_inside(*ip)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The end of the name that begins at `at` (RFC 1035 section 4.1.4).
fn name_end(message: &[u8], mut at: usize) -> Result<usize, Malformed> {
    loop {
        match *message.get(at).ok_or(Malformed)? {
            0 => return Ok(at + 1),
            label @ 1..=63 => at += 1 + usize::from(label),
            192..=255 => return Ok(at + 2),
            64..=191 => return Err(Malformed),
        }
    }
}

/// The addresses in a record's data: of A, of AAAA, and the hints of SVCB and HTTPS (RFC 9460
/// section 7.3).
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "no other type has addresses that clients connect to"
)]
fn addresses(kind: RecordType, data: &[u8]) -> Vec<IpAddr> {
    match kind {
        RecordType::A => of_size::<4, Ipv4Addr>(data),
        RecordType::AAAA => of_size::<16, Ipv6Addr>(data),
        RecordType::SVCB | RecordType::HTTPS => hints(data).unwrap_or_default(),
        _ => Vec::new(),
    }
}

/// Addresses of one size, one after the other.
fn of_size<const SIZE: usize, Ip: From<[u8; SIZE]> + Into<IpAddr>>(data: &[u8]) -> Vec<IpAddr> {
    data.as_chunks::<SIZE>().0.iter().map(|bytes| Ip::from(*bytes).into()).collect()
}

/// The keys of hints (RFC 9460 section 14.3.2).
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

/// The hints of a record (RFC 9460 section 2.2): a priority, a target, and keys with their values.
/// `None` for a record that is broken before its first key; hints before a broken key count.
fn hints(data: &[u8]) -> Option<Vec<IpAddr>> {
    let mut rest = data.get(name_end(data, 2).ok()?..)?;
    let mut found = Vec::new();
    while let Some((head, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let Some((value, behind)) = behind.split_at_checked(length) else { break };
        match u16::from_be_bytes([head[0], head[1]]) {
            IPV4_HINT => found.extend(of_size::<4, Ipv4Addr>(value)),
            IPV6_HINT => found.extend(of_size::<16, Ipv6Addr>(value)),
            _ => {}
        }
        rest = behind;
    }
    Some(found)
}

/// A message without the records that name an inside address, and without signatures, since what
/// they sign is gone. An HTTPS record is removed as a whole: its client then connects by A and
/// AAAA.
fn without(message: &[u8], is_inside: impl Fn(IpAddr) -> bool) -> Vec<u8> {
    let kept = Message::from_vec(message).ok().and_then(|mut answer| {
        for section in [&mut answer.answers, &mut answer.authorities, &mut answer.additionals] {
            section.retain(|record| {
                record.record_type() != RecordType::RRSIG && !names(record, &is_inside)
            });
        }
        answer.metadata.authentic_data = false;
        if let Some(edns) = &mut answer.edns {
            edns.options_mut()
                .insert(EdnsOption::Unknown(EXTENDED_ERROR, BLOCKED.to_be_bytes().to_vec()));
        }
        answer.to_vec().ok()
    });
    // If the library and `first` read a message differently, none of its records stays.
    kept.filter(|kept| first(kept, &is_inside) == Ok(None))
        .unwrap_or_else(|| front::failure(message, front::NO_ERROR))
}

/// The option for a reason, and the reason that dnsmasq gives here (RFC 8914 sections 2 and 4.16).
const EXTENDED_ERROR: u16 = 15;
const BLOCKED: u16 = 15;

fn names(record: &Record, is_inside: impl Fn(IpAddr) -> bool) -> bool {
    use hickory_proto::serialize::binary::{BinEncodable as _, BinEncoder};
    let mut data = Vec::new();
    // A record that cannot be written cannot be sent.
    let written = record.data.emit(&mut BinEncoder::new(&mut data));
    written.is_err() || addresses(record.record_type(), &data).into_iter().any(is_inside)
}

#[cfg(test)]
mod tests;
