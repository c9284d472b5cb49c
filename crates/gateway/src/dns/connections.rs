//! DNS over TCP (RFC 7766): bytes of a connection in, whole queries out; answers in, bytes out.
//! Queries may be pipelined, and answers come in any order (RFC 7766 6.2.1.1, 7).
//!
//! A zone transfer has any number of answers (RFC 5936 2.2), and the client may send queries after
//! it. Once all earlier queries are done, the connection is handed on to a server, from that
//! query's first byte on.

use super::front;
use crate::limits::{DNS_IDLE, MAX_DNS_BACKLOG, MAX_PIPELINED};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

/// Bytes of the length before each message (RFC 1035 4.2.2).
const LENGTH: usize = 2;

/// One connection.
#[derive(Debug)]
pub struct Connection {
    input: Vec<u8>,
    /// Answers with their lengths, which the client has not taken yet.
    pub output: VecDeque<u8>,
    in_flight: usize,
    /// When the last query came or the last answer went.
    last: Instant,
    /// Whether the client's end of stream came.
    pub client: Half,
    /// Whether the gateway's FIN is sent.
    pub server: Half,
    stage: Stage,
}

/// Where answers come from.
#[derive(Debug)]
enum Stage {
    /// The host's resolver, query by query.
    Resolver,
    /// A server, as soon as a connection to it stands. These have not been tried yet, the next one
    /// is the last. Nothing is read meanwhile.
    Server(Vec<SocketAddr>),
}

/// One direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// More bytes may follow.
    Open,
    /// No more bytes follow.
    Finished,
}

/// What the bytes of a connection contain.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// A whole message, without its length.
    Query(Vec<u8>),
    /// A zone transfer, which is not taken: the connection may be handed on.
    Transfer,
    /// No whole message yet, or none that may be accepted now.
    Nothing,
    /// The client does not speak DNS.
    Nonsense,
}

impl Connection {
    /// A connection without a byte either way.
    pub fn new(now: Instant) -> Self {
        Self {
            input: Vec::new(),
            output: VecDeque::new(),
            in_flight: 0,
            last: now,
            client: Half::Open,
            server: Half::Open,
            stage: Stage::Resolver,
        }
    }

    /// How many bytes should be read from the client now: none while enough queries wait for
    /// answers, or enough answers wait for the client.
    pub fn appetite(&self) -> usize {
        if self.is_full() || self.is_handed_on() {
            return 0;
        }
        (LENGTH + usize::from(u16::MAX)).saturating_sub(self.input.len())
    }

    fn is_full(&self) -> bool {
        self.in_flight >= MAX_PIPELINED || self.output.len() >= MAX_DNS_BACKLOG
    }

    /// Takes what the client sent.
    pub fn read(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The next whole query, if one may be accepted.
    pub fn next(&mut self, now: Instant) -> Next {
        if self.is_full() || self.is_handed_on() {
            return Next::Nothing;
        }
        let Some((length, rest)) = self.input.split_first_chunk::<LENGTH>() else {
            return Next::Nothing;
        };
        let length = usize::from(u16::from_be_bytes(*length));
        if length < front::HEADER {
            return Next::Nonsense;
        }
        let Some(query) = rest.get(..length).map(<[u8]>::to_vec) else { return Next::Nothing };
        if front::is_transfer(&query) {
            let is_first = self.in_flight == 0 && self.output.is_empty();
            return if is_first { Next::Transfer } else { Next::Nothing };
        }
        self.input.drain(..LENGTH + length);
        self.in_flight += 1;
        self.last = now;
        Next::Query(query)
    }

    /// Hands the connection on, beginning with the next transfer. The servers are tried in their
    /// order.
    pub fn hand_on(&mut self, mut servers: Vec<SocketAddr>) {
        servers.reverse();
        self.stage = Stage::Server(servers);
    }

    /// Whether it waits for a server's connection.
    pub fn is_handed_on(&self) -> bool {
        matches!(self.stage, Stage::Server(_))
    }

    /// The next server to try.
    pub fn next_server(&mut self) -> Option<SocketAddr> {
        match &mut self.stage {
            Stage::Server(servers) => servers.pop(),
            Stage::Resolver => None,
        }
    }

    /// The bytes that go to the server first.
    #[must_use]
    pub fn into_input(self) -> Vec<u8> {
        self.input
    }

    /// No server can be reached: the transfer fails, and the gateway serves the connection again.
    pub fn take_back(&mut self, now: Instant) {
        self.stage = Stage::Resolver;
        let Some((length, rest)) = self.input.split_first_chunk::<LENGTH>() else { return };
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let answer = front::failure(&rest[..length], front::SERVFAIL);
        self.input.drain(..LENGTH + length);
        self.last = now;
        self.put(&answer);
    }

    /// A query is finished: with its answer, or without one.
    pub fn done(&mut self, now: Instant, answer: Option<&[u8]>) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.last = now;
        if let Some(answer) = answer {
            self.put(answer);
        }
    }

    fn put(&mut self, answer: &[u8]) {
        let Ok(length) = u16::try_from(answer.len()) else { return };
        self.output.extend(length.to_be_bytes());
        self.output.extend(answer);
    }

    /// Whether the gateway should close its side: the client has, and has all its answers; or it is
    /// idle.
    pub fn is_over(&self, now: Instant) -> bool {
        let answered = self.in_flight == 0 && self.output.is_empty() && !self.has_query();
        let nothing_left = answered && !self.is_handed_on();
        nothing_left && (self.client == Half::Finished || now >= self.last + DNS_IDLE)
    }

    /// An order by use, the least used first: whether something is under way, and when something
    /// last was.
    pub fn use_of(&self) -> (bool, Instant) {
        let is_idle = self.in_flight == 0 && self.output.is_empty() && !self.is_handed_on();
        (!is_idle, self.last)
    }

    /// Whether a whole query waits, such as a transfer that follows answers still on their way.
    fn has_query(&self) -> bool {
        let length = self.input.split_first_chunk::<LENGTH>();
        length.is_some_and(|(length, rest)| rest.len() >= usize::from(u16::from_be_bytes(*length)))
    }

    /// Whether a client that asks nothing and takes nothing holds it.
    pub fn is_stuck(&self, now: Instant) -> bool {
        !self.is_handed_on() && now >= self.last + 2 * DNS_IDLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[expect(clippy::disallowed_methods, reason = "tests start their virtual clock somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    fn framed(query: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(query.len()).unwrap_or(0).to_be_bytes().to_vec();
        bytes.extend_from_slice(query);
        bytes
    }

    #[test]
    fn queries_come_out_whole_however_they_are_cut() {
        let now = start();
        let (first, second) = (vec![1; 30], vec![2; 300]);
        let bytes = [framed(&first), framed(&second)].concat();
        let mut connection = Connection::new(now);
        let mut queries = Vec::new();
        for byte in bytes {
            connection.read(&[byte]);
            while let Next::Query(query) = connection.next(now) {
                queries.push(query);
            }
        }
        assert_eq!(queries, [first, second]);
        connection.client = Half::Finished;
        assert!(!connection.is_over(now), "two answers are owed");
        connection.done(now, Some(&[7; 3]));
        connection.done(now, None);
        assert_eq!(connection.output, [0, 3, 7, 7, 7]);
        connection.output.clear();
        assert!(connection.is_over(now));
    }

    #[test]
    fn pipelining_has_a_bound_that_answers_lift() {
        let now = start();
        let mut connection = Connection::new(now);
        for _ in 0..=MAX_PIPELINED {
            connection.read(&framed(&[0; 12]));
        }
        let mut taken = 0;
        while let Next::Query(_) = connection.next(now) {
            taken += 1;
        }
        assert_eq!((taken, connection.appetite()), (MAX_PIPELINED, 0));
        connection.done(now, Some(&[0; 12]));
        assert!(matches!(connection.next(now), Next::Query(_)));
    }

    #[test]
    fn a_client_that_takes_no_answers_is_read_no_further() {
        let now = start();
        let mut connection = Connection::new(now);
        // As many bytes as the longest message, so that it comes whole.
        assert_eq!(connection.appetite(), 65_537);
        connection.read(&framed(&[0; 12]));
        assert_eq!(connection.appetite(), 65_537 - 14);
        let answer = vec![7; 65_535];
        for _ in 0..4 {
            assert!(connection.output.len() < MAX_DNS_BACKLOG && connection.appetite() > 0);
            assert!(matches!(connection.next(now), Next::Query(_)));
            connection.done(now, Some(&answer));
            connection.read(&framed(&[0; 12]));
        }
        assert_eq!((connection.next(now), connection.appetite()), (Next::Nothing, 0));
        connection.output.drain(..65_537);
        assert!(matches!(connection.next(now), Next::Query(_)) && connection.appetite() > 0);
        // No length field describes this one.
        connection.output.clear();
        connection.done(now, Some(&[7; 65_536]));
        assert!(connection.output.is_empty());
    }

    #[test]
    fn an_idle_client_is_missed_least_and_a_stuck_one_goes() {
        let begin = start();
        let now = begin + Duration::from_secs(1);
        let mut connection = Connection::new(begin);
        assert_eq!(connection.use_of(), (false, begin));
        assert!(!connection.is_over(begin) && !connection.is_over(now + DNS_IDLE / 2));
        connection.read(&framed(&query(1, 6)));
        assert!(matches!(connection.next(now), Next::Query(_)));
        assert_eq!(connection.use_of(), (true, now), "a query is under way");
        let late = now + Duration::from_secs(1);
        connection.done(late, Some(&[7; 12]));
        assert_eq!(connection.use_of(), (true, late), "its answer is not taken");
        let moment = Duration::from_millis(1);
        assert!(!connection.is_over(late + 2 * DNS_IDLE), "it owes an answer");
        assert!(!connection.is_stuck(late + 2 * DNS_IDLE - moment));
        assert!(connection.is_stuck(late + 2 * DNS_IDLE));
        connection.output.clear();
        assert_eq!(connection.use_of(), (false, late));
        assert!(!connection.is_over(late + DNS_IDLE - moment));
        assert!(connection.is_over(late + DNS_IDLE));

        connection.read(&framed(&query(2, 252)));
        assert_eq!(connection.next(late), Next::Transfer);
        connection.client = Half::Finished;
        assert!(!connection.is_over(late + 9 * DNS_IDLE), "a transfer waits for its turn");
        connection.hand_on(Vec::new());
        assert_eq!(connection.use_of(), (true, late), "a server is being tried");
        let end = late + Duration::from_secs(1);
        connection.take_back(end);
        assert_eq!(connection.use_of(), (true, end), "the failure is not taken");
        connection.output.clear();
        assert!(connection.is_over(end));
    }

    /// A query with an id for the zone `x`.
    fn query(id: u8, kind: u8) -> Vec<u8> {
        vec![0, id, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, kind, 0, 1]
    }

    #[test]
    fn a_transfer_waits_for_all_before_it_and_takes_all_behind_it_along() {
        let now = start();
        let mut connection = Connection::new(now);
        let (transfer, behind) = (framed(&query(2, 252)), framed(&query(3, 6)));
        connection.read(&[framed(&query(1, 6)), transfer.clone(), behind.clone()].concat());
        assert_eq!(connection.next(now), Next::Query(query(1, 6)));
        assert_eq!(connection.next(now), Next::Nothing, "the first is not answered");
        connection.done(now, Some(&[7; 12]));
        assert_eq!(connection.next(now), Next::Nothing, "the client has not got the answer");
        connection.output.clear();
        assert_eq!((connection.next(now), connection.next(now)), (Next::Transfer, Next::Transfer));
        let servers: [SocketAddr; 2] =
            ["192.0.2.1:53".parse().unwrap(), "192.0.2.2:53".parse().unwrap()];
        connection.hand_on(servers.to_vec());
        connection.client = Half::Finished;
        let later = now + 3 * DNS_IDLE;
        assert!(
            !connection.is_over(later) && !connection.is_stuck(later) && connection.appetite() == 0
        );
        assert_eq!(
            (connection.next(now), connection.next_server()),
            (Next::Nothing, Some(servers[0]))
        );
        assert_eq!((connection.next_server(), connection.next_server()), (Some(servers[1]), None));
        assert_eq!(connection.into_input(), [transfer, behind].concat());
    }

    #[test]
    fn a_transfer_without_a_server_fails_and_what_is_behind_it_is_answered() {
        let now = start();
        let mut connection = Connection::new(now);
        connection.read(&[framed(&query(2, 251)), framed(&query(3, 6))].concat());
        assert_eq!(connection.next(now), Next::Transfer);
        connection.hand_on(Vec::new());
        assert_eq!(connection.next_server(), None);
        connection.take_back(now);
        let answer: Vec<u8> = connection.output.drain(..).collect();
        assert_eq!(
            (answer[3], answer[5] & 15, answer.len()),
            (2, front::SERVFAIL, 21),
            "{answer:?}"
        );
        assert_eq!(connection.next(now), Next::Query(query(3, 6)));
    }

    #[test]
    fn a_message_shorter_than_a_header_is_nonsense() {
        let now = start();
        let mut connection = Connection::new(now);
        connection.read(&framed(&[0; 11]));
        assert_eq!(connection.next(now), Next::Nonsense);
    }
}
