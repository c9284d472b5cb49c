//! DNS from the VM in the gateway: messages over UDP judged, failed and made to fit; bytes over TCP
//! cut into queries, with answers in any order. A plain reading of the same bytes gives the
//! expected result.

use crate::Bytes;
use gateway::connections::{Connection, Half, Next};
use gateway::front::{self, Action, HEADER, OwnAddresses};
use gateway::limits::{MAX_DNS_BACKLOG, MAX_PIPELINED};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

const OWN: OwnAddresses = OwnAddresses {
    gateway: (Ipv4Addr::new(10, 0, 0, 1), Some(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1))),
    host: (Ipv4Addr::new(10, 0, 0, 3), None),
};

/// A query for one of the special names; the fuzzer damages it.
fn query(which: u8, kind: u16) -> Vec<u8> {
    let labels: &[&str] = match which & 3 {
        0 => &["www", "example", "com"],
        1 => &["HOST", "docker", "internal"],
        2 => &["gateway", "underpass", "internal"],
        _ => &["nobody", "underpass", "internal"],
    };
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    for label in labels {
        message.push(u8::try_from(label.len()).unwrap_or(0));
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    message
}

fn damaged(input: &mut Bytes<'_>) -> Vec<u8> {
    let which = input.byte();
    let mut message = query(which, [1, 28, 252, 255][usize::from(which >> 2 & 3)]);
    for _ in 0..which >> 6 {
        let at = usize::from(input.byte()) % message.len();
        message[at] = input.byte();
    }
    if which & 0x20 != 0 {
        let extra = usize::from(input.byte());
        message.extend_from_slice(input.take(extra));
    }
    if which & 0x10 != 0 {
        message.truncate(usize::from(input.byte()));
    }
    message
}

/// Whether it is an answer to `asked`: marked as one, with the same id.
fn is_answer(answer: &[u8], asked: &[u8]) -> bool {
    answer.len() >= HEADER && answer[2] & 0x80 != 0 && answer[..2] == asked[..2]
}

fn over_udp(message: &[u8], answer: Vec<u8>, most: u16) {
    match front::judge(message, &OWN) {
        Action::Answer(own) => assert!(is_answer(&own, message), "{message:?} -> {own:?}"),
        Action::Ask { most } => {
            assert!(most >= 512 && message.len() >= HEADER);
            for code in [front::SERVFAIL, front::REFUSED] {
                let failure = front::failure(message, code);
                assert!(
                    is_answer(&failure, message) && failure[3] & 15 == code,
                    "{message:?} -> {failure:?}"
                );
                assert!(failure.len() <= message.len());
            }
        }
        Action::Drop => {}
    }
    let most = most.max(512);
    let fitted = front::fit(answer.clone(), most);
    assert!(fitted.len() <= usize::from(most), "{} bytes for {most}", fitted.len());
    if answer.len() <= usize::from(most) {
        assert_eq!(fitted, answer, "an answer that fits is unchanged");
    } else {
        assert!(
            fitted.len() >= HEADER && fitted[2] & 2 != 0 && fitted[..2] == answer[..2],
            "cut without TC"
        );
    }
}

/// The queries in a stream, up to the first one that is too short.
fn whole_queries(stream: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut queries) = (stream, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        if length < HEADER || after.len() < length {
            break;
        }
        queries.push(&after[..length]);
        rest = &after[length..];
    }
    queries
}

struct Client<'a> {
    now: Instant,
    /// All pending queries.
    asks: Vec<&'a [u8]>,
    connection: Connection,
    queries: Vec<Vec<u8>>,
    waiting: usize,
    answers: Vec<u8>,
    taken: Vec<u8>,
}

impl Client<'_> {
    /// Handles the connection's queries. Returns false if one is invalid.
    fn serve(&mut self) -> bool {
        loop {
            match self.connection.next(self.now) {
                Next::Query(query) => {
                    self.queries.push(query);
                    self.waiting += 1;
                    assert!(self.waiting <= MAX_PIPELINED);
                }
                Next::Transfer => self.fail_transfer(),
                Next::Nothing => return true,
                Next::Nonsense => return false,
            }
        }
    }

    /// No server can be reached for a zone transfer, which is alone.
    fn fail_transfer(&mut self) {
        let query = self.asks[self.queries.len()];
        assert!(
            front::is_transfer(query) && self.waiting == 0 && self.connection.output.is_empty()
        );
        self.connection.hand_on(Vec::new());
        assert!(self.connection.is_handed_on() && self.connection.appetite() == 0);
        assert_eq!(self.connection.next_server(), None);
        self.connection.take_back(self.now);
        self.queries.push(query.to_vec());
        self.note(&front::failure(query, front::SERVFAIL));
    }

    fn note(&mut self, answer: &[u8]) {
        self.answers.extend_from_slice(&u16::try_from(answer.len()).unwrap_or(0).to_be_bytes());
        self.answers.extend_from_slice(answer);
    }

    fn answer(&mut self, answer: Option<&[u8]>) {
        if self.waiting == 0 {
            return;
        }
        self.waiting -= 1;
        self.connection.done(self.now, answer);
        if let Some(answer) = answer {
            self.note(answer);
        }
    }

    fn take(&mut self, most: usize) {
        let count = most.min(self.connection.output.len());
        self.taken.extend(self.connection.output.drain(..count));
    }
}

/// Feeds the stream to the connection in pieces, answers its queries, and returns their number.
fn over_tcp(stream: &[u8], input: &mut Bytes<'_>) -> usize {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do; the result does not depend on it"
    )]
    let now = Instant::now();
    let connection = Connection::new(now);
    let asks = whole_queries(stream);
    let mut client = Client {
        now,
        asks,
        connection,
        queries: Vec::new(),
        waiting: 0,
        answers: Vec::new(),
        taken: Vec::new(),
    };
    let (mut rest, mut sane) = (stream, true);
    while sane && !(rest.is_empty() && client.waiting == 0 && client.connection.output.is_empty()) {
        let (op, size) = (input.byte(), usize::from(input.byte()));
        // At the input's end everything continues: all read, all answered, all taken.
        let (reads, answers, takes) = (op & 3 == 0, op & 12 == 0, op & 16 == 0);
        if reads {
            let most = client.connection.appetite().min(rest.len());
            let (piece, after) = rest.split_at(if op & 32 == 0 { most } else { most.min(size) });
            client.connection.read(piece);
            rest = after;
        }
        sane = client.serve();
        if answers {
            let answer = vec![op; if op & 64 == 0 { size } else { size << 8 }];
            client.answer((op & 128 == 0).then_some(&answer));
        }
        if takes {
            client.take(if op & 32 == 0 { usize::MAX } else { size << 4 });
        }
        client.now += Duration::from_millis(u64::from(op));
        let bound = MAX_DNS_BACKLOG + (MAX_PIPELINED + 1) * (2 + usize::from(u16::MAX));
        assert!(client.connection.output.len() <= bound);
        assert!(!client.connection.is_over(client.now) || client.connection.output.is_empty());
    }
    loop {
        let served = client.queries.len();
        sane = sane && client.serve();
        while client.waiting > 0 {
            client.answer(None);
            sane = sane && client.serve();
        }
        client.take(usize::MAX);
        // A transfer waits until everything before it is taken.
        if client.queries.len() == served {
            break;
        }
    }
    assert_eq!(client.queries, whole_queries(stream), "every query once, whole and in order");
    assert_eq!(client.taken, client.answers, "every answer once, whole and in order");
    client.connection.client = Half::Finished;
    assert!(!sane || client.connection.is_over(client.now), "it stays open without reason");
    client.queries.len()
}

/// Any bytes, read as messages over UDP and as a stream over TCP. Returns the number of queries in
/// the stream.
pub fn dns_path(data: &[u8]) -> usize {
    let mut input = Bytes(data);
    let mut stream = Vec::new();
    for _ in 0..input.byte() & 63 {
        let kind = input.byte();
        let message = if kind & 1 == 0 {
            damaged(&mut input)
        } else {
            let length = usize::from(input.byte());
            input.take(length).to_vec()
        };
        let mut answer = message.clone();
        answer.resize(message.len().max(HEADER) + usize::from(input.byte()) * 16, kind);
        over_udp(&message, answer, input.two());
        let length = if kind & 0x1e == 0x1e {
            input.two()
        } else {
            u16::try_from(message.len()).unwrap_or(0)
        };
        stream.extend_from_slice(&length.to_be_bytes());
        stream.extend_from_slice(&message);
    }
    over_tcp(&stream, &mut input)
}
