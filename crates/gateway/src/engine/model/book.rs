//! What each app and each server must see. The book knows what both sides of each conversation have
//! done, and judges at once what the other side sees of it.

use super::program::{Answering, AppEnd, Dice, Outcome, Plan, Reply, To};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::OnceLock;

/// The directions of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// A prime, so that a fault that repeats at powers of two does not hide.
const PATTERN: usize = 65_521;

/// The bytes of a stream from `offset` on, at most [`PATTERN`] of them. Each connection and
/// direction begins at another place of one random text.
pub(super) fn stream(conn: usize, way: Way, offset: u64) -> &'static [u8] {
    static TEXT: OnceLock<Vec<u8>> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        let mut dice = Dice(1);
        let once: Vec<u8> = (0..PATTERN).map(|_| dice.roll() as u8).collect();
        [&once[..], &once].concat()
    });
    let salt = conn as u64 * 7919 + if way == Way::Up { 0 } else { 31_337 };
    let at = usize::try_from((offset + salt) % PATTERN as u64).unwrap();
    &text[at..at + PATTERN]
}

/// Whether these are a stream's bytes at `offset`.
fn are_stream(conn: usize, way: Way, mut offset: u64, bytes: &[u8]) -> bool {
    bytes.chunks(PATTERN).all(|piece| {
        let same = stream(conn, way, offset)[..piece.len()] == *piece;
        offset += piece.len() as u64;
        same
    })
}

/// A connection: what each side has done and seen.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) plan: Plan,
    pub(super) is_established: bool,
    pub(super) app_sent: u64,
    pub(super) app_closed: bool,
    /// The app is gone without having waited for the server.
    pub(super) app_gone: bool,
    pub(super) app_read: u64,
    pub(super) app_saw_fin: bool,
    pub(super) app_saw_reset: bool,
    pub(super) app_saw_error: bool,
    pub(super) server_opened: bool,
    pub(super) server_sent: u64,
    pub(super) server_closed: bool,
    pub(super) server_reset: bool,
    pub(super) server_got: u64,
    pub(super) server_saw_fin: bool,
    pub(super) server_saw_reset: bool,
    /// A relay was lost under it, or there was no room for it: it may be reset at any time.
    pub(super) is_excused: bool,
}

/// A datagram or question that waits to be seen at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) app: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) conns: Vec<Conn>,
    /// The relays take so few connections that some are refused.
    pub(super) is_crowded: bool,
    /// Packets of TCP are lost, so that a SYN-ACK may be late.
    pub(super) is_lossy: bool,
    /// Datagrams under way to servers and to apps, by their numbers; each is seen once at most.
    pub(super) to_server: BTreeMap<u64, (Sent, Reply)>,
    pub(super) to_app: BTreeMap<u64, Sent>,
    pub(super) numbers: u64,
    /// Queries over UDP by their ids, with their outcomes; answered queries are removed.
    pub(super) queries: BTreeMap<u16, Answering>,
    /// Echo requests by their sequence numbers, with the host and whether it answers.
    pub(super) pings: BTreeMap<u16, (u8, usize, bool)>,
    /// Datagrams for whose refusal the app waits, by the host's number.
    pub(super) refusals: BTreeMap<u64, SocketAddr>,
    /// Datagrams of strangers, which no app may see.
    pub(super) strangers: Vec<u64>,
}

/// The server of a connection, and its address for the relay.
pub(super) fn server_address(conn: usize, to: To) -> (SocketAddr, SocketAddr) {
    let n = u16::try_from(conn).unwrap();
    match to {
        To::V4 => {
            let [high, low] = n.to_be_bytes();
            let address = SocketAddr::from(([93, 184, high, low], 443));
            (address, address)
        }
        To::V6 => {
            let address =
                SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0x2600, 0, 0, 0, 0, 0, 0, n + 1)), 443);
            (address, address)
        }
        To::Host => (([10, 99, 0, 19], 20_000 + n).into(), ([127, 0, 0, 1], 20_000 + n).into()),
    }
}

/// A host that answers datagrams and pings.
pub(super) fn host(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, number)
}

impl Conn {
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            is_established: false,
            app_sent: 0,
            app_closed: false,
            app_gone: false,
            app_read: 0,
            app_saw_fin: false,
            app_saw_reset: false,
            app_saw_error: false,
            server_opened: false,
            server_sent: 0,
            server_closed: false,
            server_reset: false,
            server_got: 0,
            server_saw_fin: false,
            server_saw_reset: false,
            is_excused: false,
        }
    }

    /// Whether both sides have seen all that there is to see of an orderly connection.
    fn is_complete(&self) -> bool {
        self.is_established
            && (self.app_read, self.server_got) == (self.plan.down, self.plan.up)
            && self.app_saw_fin
            && self.server_saw_fin
            && !self.app_saw_reset
            && !self.server_saw_reset
    }
}

impl Book {
    fn conn(&mut self, conn: usize) -> &mut Conn {
        &mut self.conns[conn]
    }

    pub(super) fn app_is_established(&mut self, conn: usize) {
        let it = self.conn(conn);
        assert!(
            it.server_opened,
            "connection {conn}: the app's SYN was answered before the server's"
        );
        it.is_established = true;
    }

    pub(super) fn app_reads(&mut self, conn: usize, bytes: &[u8]) {
        let it = self.conn(conn);
        assert!(!it.app_saw_fin, "connection {conn}: bytes after the end");
        let (from, sent) = (it.app_read, it.server_sent);
        it.app_read += bytes.len() as u64;
        assert!(
            it.app_read <= sent,
            "connection {conn}: the app read {} bytes of {sent}",
            it.app_read
        );
        assert!(
            are_stream(conn, Way::Down, from, bytes),
            "connection {conn}: other bytes for the app at {from}"
        );
    }

    pub(super) fn app_sees_fin(&mut self, conn: usize) {
        let it = self.conn(conn);
        assert!(it.server_closed, "connection {conn}: an end that the server did not make");
        assert_eq!(it.app_read, it.server_sent, "connection {conn}: the end came before all bytes");
        it.app_saw_fin = true;
    }

    pub(super) fn app_sees_reset(&mut self, conn: usize) {
        let is_crowded = self.is_crowded;
        let it = self.conn(conn);
        let is_refused = is_crowded || it.plan.outcome == Outcome::Refused;
        assert!(
            it.server_reset || it.is_excused || (is_refused && !it.is_established),
            "connection {conn}: a reset for the app that no side made: {it:?}"
        );
        it.app_saw_reset = true;
    }

    pub(super) fn server_gets(&mut self, conn: usize, bytes: &[u8]) {
        let it = self.conn(conn);
        assert!(
            !it.server_saw_fin && !it.server_saw_reset,
            "connection {conn}: bytes after the end"
        );
        let (from, sent) = (it.server_got, it.app_sent);
        it.server_got += bytes.len() as u64;
        assert!(
            it.server_got <= sent,
            "connection {conn}: the server got {} bytes of {sent}",
            it.server_got
        );
        assert!(
            are_stream(conn, Way::Up, from, bytes),
            "connection {conn}: other bytes for the server at {from}"
        );
    }

    pub(super) fn server_sees_fin(&mut self, conn: usize) {
        let it = self.conn(conn);
        assert!(it.app_closed, "connection {conn}: an end that the app did not make");
        assert_eq!(it.server_got, it.app_sent, "connection {conn}: the end came before all bytes");
        it.server_saw_fin = true;
    }

    pub(super) fn server_sees_reset(&mut self, conn: usize) {
        let it = self.conn(conn);
        assert!(
            it.app_gone || it.app_saw_reset || it.is_excused,
            "connection {conn}: a reset for the server that no side made: {it:?}"
        );
        it.server_saw_reset = true;
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A host's datagram reaches an app.
    pub(super) fn app_gets_datagram(&mut self, app: SocketAddr, peer: SocketAddr, bytes: &[u8]) {
        let number = number_in(bytes);
        assert!(!self.strangers.contains(&number), "a stranger's datagram reached the app");
        let sent = self
            .to_app
            .remove(&number)
            .unwrap_or_else(|| panic!("a datagram that was not sent, or was seen: {number}"));
        assert_eq!((app, peer, bytes.len()), (sent.app, sent.peer, sent.bytes));
        assert!(is_datagram(number, bytes), "other bytes in a datagram for the app");
    }

    /// An app's datagram reaches a host; returns what the host sends back.
    pub(super) fn server_gets_datagram(&mut self, peer: SocketAddr, bytes: &[u8]) -> (Sent, Reply) {
        let number = number_in(bytes);
        let (sent, reply) = self
            .to_server
            .remove(&number)
            .unwrap_or_else(|| panic!("a datagram that was not sent, or was seen: {number}"));
        assert_eq!((peer, bytes.len()), (sent.peer, sent.bytes));
        assert!(is_datagram(number, bytes), "other bytes in a datagram for the server");
        (sent, reply)
    }

    /// Everything that must end by itself has ended.
    pub(super) fn assert_complete(&self, with_stalled: bool) {
        for (n, it) in self.conns.iter().enumerate() {
            let plan = it.plan;
            if it.is_excused || self.is_crowded || (plan.stalls() && !with_stalled) {
                continue;
            }
            if plan.ends_in_order() {
                assert!(it.is_complete(), "connection {n} never came to its end: {it:?}");
            }
            match plan.outcome {
                // A server that resets at once has accepted, which the app sees as well.
                Outcome::Opened => {
                    let came_too_late = self.is_lossy && it.app_saw_reset;
                    assert!(
                        it.is_established || came_too_late,
                        "connection {n} was never opened: {it:?}"
                    );
                }
                Outcome::Refused => {
                    assert!(it.app_saw_reset, "connection {n}: its refusal was never seen: {it:?}")
                }
                Outcome::Unreachable => {
                    assert!(it.app_saw_error, "connection {n}: no error was seen: {it:?}")
                }
                Outcome::TimedOut => {}
            }
            let reads_all = matches!(plan.app.end, AppEnd::AfterSending | AppEnd::AfterServer);
            // A lost RST is sent again when the app sends something, and not before.
            if it.server_reset && reads_all && !self.is_lossy {
                assert!(
                    it.app_saw_reset,
                    "connection {n}: the server's reset was never seen: {it:?}"
                );
            }
        }
    }

    /// The outcome once no app is left.
    pub(super) fn assert_over(&self, is_whole: bool) {
        for (n, it) in self.conns.iter().enumerate() {
            let is_over =
                it.server_saw_fin || it.server_saw_reset || it.server_reset || it.is_excused;
            assert!(
                !it.server_opened || is_over,
                "connection {n}: its server never saw its end: {it:?}"
            );
        }
        if is_whole {
            assert!(self.to_server.is_empty(), "datagrams were lost: {:?}", self.to_server);
            assert!(self.to_app.is_empty(), "datagrams were lost: {:?}", self.to_app);
            let answered = |a: &Answering| !matches!(a, Answering::TimedOut | Answering::Silence);
            assert!(
                !self.queries.values().any(answered),
                "queries were not answered: {:?}",
                self.queries
            );
            assert!(
                !self.pings.values().any(|(_, _, is)| *is),
                "pings were not answered: {:?}",
                self.pings
            );
            assert!(
                self.refusals.is_empty(),
                "refusals of datagrams never came: {:?}",
                self.refusals
            );
        }
    }
}

/// A datagram's payload: its number, and bytes derived from it.
pub(super) fn datagram(number: u64, bytes: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload
        .extend(stream(usize::try_from(number).unwrap(), Way::Up, 0).iter().take(bytes.max(8) - 8));
    payload
}

fn number_in(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(*bytes.first_chunk().unwrap_or_else(|| panic!("a datagram was cut")))
}

fn is_datagram(number: u64, bytes: &[u8]) -> bool {
    datagram(number, bytes.len()) == bytes
}
