//! The host's resolver, as far as Linux has one without a library: the hosts file, and the servers of `resolv.conf`.
//!
//! A query of any type goes to a server as it came and its answer comes back as it is, so nothing here has to know a record type.
//! Kinds of failure stay apart: a server's own word (SERVFAIL, REFUSED, NXDOMAIN) is passed on, silence is
//! [`QueryFailure::TimedOut`], and a host without servers is [`QueryFailure::NoServer`]. Both files are read for each query:
//! they are small, and always as they are now.

use crate::datagrams::try_receive;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use nix::sys::socket::{MsgFlags, recv};
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use wire::QueryFailure;

/// Bytes of a DNS message's header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// How long an answer is waited for before the next server is asked as well, or the same one once more: UDP loses datagrams, and a
/// stub resolver in the VM gives up after 5 s (resolv.conf(5), `timeout`).
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long each answer is waited for: a server that has to ask others itself takes its time.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often each server is asked.
const ROUNDS: usize = 2;

/// Servers that are asked at most, as in resolv.conf(5) (`MAXNS`).
const MOST_SERVERS: usize = 3;

/// Time to live of answers from the hosts file, in seconds: short, since the file may change at any time.
const HOSTS_TTL: u32 = 10;

/// Where the answers come from.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The file with the servers, `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// The file with the host's own names, `/etc/hosts`.
    pub hosts: PathBuf,
    /// The port that servers listen on, 53.
    pub port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into(), port: 53 }
    }
}

impl Resolver {
    /// Answers a whole DNS message with a whole one, under the same id and never truncated.
    ///
    /// # Errors
    /// See the module's text; [`QueryFailure::Refused`] is a message that is no query.
    pub async fn resolve(&self, query: &[u8]) -> Result<Vec<u8>, QueryFailure> {
        if question(query).is_none() || is_response(query) {
            return Err(QueryFailure::Refused);
        }
        if let Some(answer) = self.hosts_answer(query) {
            return Ok(answer);
        }
        let servers = nameservers(&fs::read_to_string(&self.resolv_conf).unwrap_or_default());
        if servers.is_empty() {
            return Err(QueryFailure::NoServer);
        }
        let first_round = servers.len();
        let mut turns = servers.iter().cycle().take(ROUNDS * servers.len()).enumerate();
        let mut asked = FuturesUnordered::new();
        let mut unhelpful = None;
        loop {
            let turn = turns.next().filter(|(n, _)| *n < first_round || unhelpful.is_none());
            if let Some((_, server)) = turn {
                let asking = ask(SocketAddr::new(*server, self.port), query);
                asked.push(async move { (server, timeout(PATIENCE, asking).await) });
            }
            let wait = if turn.is_some() { ASK_AGAIN } else { PATIENCE };
            match timeout(wait, asked.next()).await {
                Ok(Some((_, Ok(Ok(answer))))) if is_final(&answer) => return Ok(answer),
                Ok(Some((_, Ok(Ok(answer))))) => unhelpful = Some(answer),
                Ok(Some((server, Ok(Err(error))))) => {
                    tracing::debug!(%server, %error, "the DNS server cannot be asked")
                }
                Ok(Some((server, Err(_)))) => tracing::debug!(%server, "the DNS server is silent"),
                Ok(None) => return unhelpful.ok_or(QueryFailure::TimedOut),
                Err(_) => {}
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a hosts file has nothing of any other type")]
    fn hosts_answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        let [question] = &query.queries[..] else { return None };
        if query.metadata.op_code != OpCode::Query || question.query_class() != DNSClass::IN {
            return None;
        }
        let entries = hosts_entries(&fs::read_to_string(&self.hosts).ok()?);
        let records = match question.query_type() {
            RecordType::A | RecordType::AAAA => addresses(&entries, question.name(), question.query_type())?,
            RecordType::PTR => vec![names(&entries, question.name())?],
            _ => return None,
        };
        let mut answer = query.clone();
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = true;
        for data in records {
            answer.add_answer(Record::from_rdata(question.name().clone(), HOSTS_TTL, data));
        }
        answer.to_vec().ok()
    }
}

/// Lines of a hosts file: an address and its names (hosts(5)).
fn hosts_entries(text: &str) -> Vec<(IpAddr, Vec<Name>)> {
    let entry = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        let names = words.filter_map(|name| Name::from_str(&format!("{name}.")).ok()).collect();
        Some((address, names))
    };
    text.lines().filter_map(entry).collect()
}

/// The addresses of a name. A name that the file has, but not with an address of this family, has none: an empty list (NODATA).
fn addresses(entries: &[(IpAddr, Vec<Name>)], name: &Name, kind: RecordType) -> Option<Vec<RData>> {
    let mut of_name = entries.iter().filter(|(_, names)| names.contains(name)).map(|(address, _)| *address).peekable();
    of_name.peek()?;
    let of_family = of_name.filter_map(|address| match address {
        IpAddr::V4(v4) => (kind == RecordType::A).then_some(RData::A(A(v4))),
        IpAddr::V6(v6) => (kind == RecordType::AAAA).then_some(RData::AAAA(AAAA(v6))),
    });
    Some(of_family.collect())
}

/// The first name of the address that a reverse name (RFC 1035 section 3.5, RFC 3596 section 2.5) stands for.
fn names(entries: &[(IpAddr, Vec<Name>)], reverse: &Name) -> Option<RData> {
    let of = entries.iter().find(|(address, names)| Name::from(*address) == *reverse && !names.is_empty());
    of.and_then(|(_, names)| names.first()).map(|name| RData::PTR(PTR(name.clone())))
}

fn nameservers(resolv_conf: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())??.parse().ok()
    };
    resolv_conf.lines().filter_map(server).take(MOST_SERVERS).collect()
}

/// Asks one server, over TCP as well when its answer does not fit UDP (RFC 7766 section 5).
async fn ask(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut asked = query.to_vec();
    // A fresh id and a fresh port each time: a forger has to guess both (RFC 5452). The hasher's key is the system's randomness.
    let [id0, id1, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    asked[..2].copy_from_slice(&[id0, id1]);
    let mut answer = ask_udp(server, &asked).await?;
    if answer[2] & TRUNCATED != 0 {
        answer = ask_tcp(server, &asked).await?;
    }
    answer[..2].copy_from_slice(&query[..2]);
    Ok(answer)
}

async fn ask_udp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // The kernel drops what comes from anybody else.
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        // A refusal (ICMP) wakes only who waits for errors too; the receive then tells it.
        socket.ready(Interest::READABLE | Interest::ERROR).await?;
        let received = try_receive(&socket, || recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()));
        let length = match received {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            received => received?,
        };
        if answers(query, &buffer[..length]) {
            buffer.truncate(length);
            return Ok(buffer);
        }
    }
}

async fn ask_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write, so that length and message travel together (RFC 7766 section 8).
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    if answers(query, &answer) { Ok(answer) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// The TC bit, in the header's third byte.
const TRUNCATED: u8 = 0x02;

fn is_response(message: &[u8]) -> bool {
    message[2] & 0x80 != 0
}

/// Whether another server need not be asked: anything but SERVFAIL (2), NOTIMP (4) and REFUSED (5).
fn is_final(answer: &[u8]) -> bool {
    !matches!(answer[3] & 0x0f, 2 | 4 | 5)
}

/// Whether `answer` is an answer to `query`: same id, same question, or no question at all (some servers leave it out of errors).
fn answers(query: &[u8], answer: &[u8]) -> bool {
    answer.len() >= HEADER
        && is_response(answer)
        && answer[..2] == query[..2]
        && (answer[4..6] == [0, 0]
            || question(answer).zip(question(query)).is_some_and(|(a, q)| a.eq_ignore_ascii_case(q)))
}

/// The bytes of a message's only question: name, type and class. A name in a question is never compressed.
fn question(message: &[u8]) -> Option<&[u8]> {
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
    message.get(HEADER..end + 5)
}
