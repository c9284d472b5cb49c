//! Queries to DNS servers, as a stub resolver sends them. The host decides which servers there are
//! and what it knows without them: `linux/resolver.rs`, `windows/resolver.rs`.
//!
//! A query of any type goes to a server unchanged and its answer returns unchanged, so this module
//! does not depend on record types. Kinds of failure stay apart: a server's own error (SERVFAIL,
//! REFUSED, NXDOMAIN) is passed on, silence is [`QueryFailure::TimedOut`], and a host without
//! servers is [`QueryFailure::NoServer`].

use crate::os::datagrams::receive_connected;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use wire::{AnsweredBy, QueryFailure};

/// Bytes of a DNS message's header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;

/// How long to wait for an answer before the next server is queried as well, or the same one again:
/// UDP loses datagrams, and a stub resolver in the VM gives up after 5 s (resolv.conf(5),
/// `timeout`).
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// How long to wait for each answer. A server that has to query others needs some time.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often each server is queried.
const ROUNDS: usize = 2;

/// An answer, and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The source of the answer.
    pub by: AnsweredBy,
    /// The whole message, never truncated.
    pub message: Vec<u8>,
}

/// Whether a message is a query with one question, as every real query is.
pub(crate) fn is_query(message: &[u8]) -> bool {
    question(message).is_some() && !is_response(message)
}

/// Queries servers in their order, each more than once. The answer has the query's id and is never
/// truncated.
///
/// # Errors
/// See the module's text.
pub(crate) async fn ask_servers(
    servers: &[SocketAddr],
    query: &[u8],
) -> Result<Answer, QueryFailure> {
    let answer = ask_all(servers, query).await?;
    Ok(Answer { by: AnsweredBy::Servers, message: answer })
}

async fn ask_all(servers: &[SocketAddr], query: &[u8]) -> Result<Vec<u8>, QueryFailure> {
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
            let asking = ask(*server, query);
            asked.push(async move { (server, timeout(PATIENCE, asking).await) });
        }
        let wait = if turn.is_some() { ASK_AGAIN } else { PATIENCE };
        match timeout(wait, asked.next()).await {
            Ok(Some((_, Ok(Ok(answer))))) if is_final(&answer) => return Ok(answer),
            Ok(Some((_, Ok(Ok(answer))))) => unhelpful = Some(answer),
            Ok(Some((server, Ok(Err(error))))) => {
                tracing::debug!(%server, %error, "the DNS server cannot be queried")
            }
            Ok(Some((server, Err(_)))) => tracing::debug!(%server, "the DNS server is silent"),
            Ok(None) => return unhelpful.ok_or(QueryFailure::TimedOut),
            Err(_) => {}
        }
    }
}

/// Queries one server, and again over TCP if its answer does not fit UDP (RFC 7766 section 5).
async fn ask(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut asked = query.to_vec();
    // A fresh id and a fresh port each time: a forger has to guess both (RFC 5452). The hasher's
    // key comes from the system's randomness.
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
    let any: IpAddr =
        if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // The kernel drops datagrams from any other sender.
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let length = receive_connected(&socket, &mut buffer).await?;
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

/// Whether an answer is final, so that no other server is needed: any code except SERVFAIL (2),
/// NOTIMP (4) and REFUSED (5).
fn is_final(answer: &[u8]) -> bool {
    !matches!(answer[3] & 0x0f, 2 | 4 | 5)
}

/// Whether `answer` is an answer to `query`: same id, same question, or no question at all (some
/// servers leave it out of errors).
fn answers(query: &[u8], answer: &[u8]) -> bool {
    answer.len() >= HEADER
        && is_response(answer)
        && answer[..2] == query[..2]
        && (answer[4..6] == [0, 0]
            || question(answer)
                .zip(question(query))
                .is_some_and(|(a, q)| a.eq_ignore_ascii_case(q)))
}

/// The bytes of a message's only question: name, type and class. A name in a question is never
/// compressed.
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
