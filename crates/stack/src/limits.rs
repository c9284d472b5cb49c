//! Every bound of the stack in one place, with its reason.

use std::time::Duration;

/// Connections that wait for the relay's connect. A SYN over it is dropped; the app's kernel sends
/// it again.
pub const MAX_HALF_OPEN: usize = 4096;

/// How long the relay's connect is waited for after the app's last SYN. An app whose kernel asks
/// again later begins anew: as on the kernel's own path, its next SYN may be answered. Linux
/// repeats one after 1, 3, 7, 15 and 31 s (`tcp_syn_retries` in tcp(7)), so a connect is waited for
/// up to 35 s.
pub const HALF_OPEN: Duration = Duration::from_secs(20);

/// From this part of a table on, each newcomer's owner is looked up: the table is at most a quarter
/// full of entries whose owner is not known.
pub const ASKED_FROM_QUARTER: usize = 4;

/// A half-open connection of one who holds most of them gives way to the next of the same owner
/// only after so long, so that a crowd of connects does not push itself out.
pub const HALF_OPEN_AT_LEAST: Duration = Duration::from_secs(2);

/// What part of half-open connections one owner may have to one address: one silent host leaves its
/// user's other connects the rest.
pub const HALF_OPEN_TO_ONE: usize = 2;

/// Entries that are looked at in one go for one that may make room, each by a look-up of its
/// socket.
pub const LOOKED_AT: usize = 16;

/// Entries without a known owner that are looked up in one go when a table is full: about a
/// millisecond.
pub const RESOLVED_AT_ONCE: usize = 256;

/// Source addresses that a table tells apart. Containers may make up theirs.
pub const MAX_SOURCES: usize = 256;

/// A SYN with at least so many hops left comes from an app that does not care: stacks begin with 64
/// or more (RFC 1700, "IP time to live parameter"), of which the networks inside the VM take a few.
/// Traceroutes end at 30.
pub const ORDINARY_HOPS: u8 = 48;

/// TCP connections in all. Windows has 16,384 dynamic ports, so more would find no port there.
pub const MAX_FLOWS: usize = 16_384;

/// UDP source endpoints at a time; each holds a socket of the relay.
pub const MAX_BINDS: usize = 4096;

/// Hosts that a UDP source endpoint has sent to and is remembered for, and as many before them. A
/// peer of a distributed hash table talks to about a hundred others a second, each of which answers
/// within a second or two; more would let one user hold megabytes with its endpoints.
pub const MAX_CONTACTS: usize = 256;

/// DNS questions and echo requests that wait for an answer, each.
pub const MAX_REQUESTS: usize = 4096;

/// Events that wait to be fetched. A shell fetches after each batch of frames, so more come only
/// when it is stuck.
pub const MAX_EVENTS: usize = 16_384;

/// Payload bytes in them.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// How long a question or an echo request is remembered: resolvers and ping have given up by then.
pub const REQUEST_LIFETIME: Duration = Duration::from_secs(30);

/// Ring bytes (each way) of a new flow by the number of flows open: many flows share what few may
/// have alone.
pub const RING_STEPS: [(usize, usize); 3] =
    [(64, 1024 * 1024), (512, 256 * 1024), (4096, 64 * 1024)];

/// Ring bytes of a new flow beyond the last step.
pub const SMALLEST_RING: usize = 16 * 1024;

/// Bytes that apps may have under way to the stack in all, by the windows that busy flows are told:
/// what a packet of another flow may have to wait for, 2 ms at 1 GB/s. A single flow may have as
/// much as its ring.
pub const UNDER_WAY: usize = 2 * 1024 * 1024;

/// What each busy flow may have of that, however many there are: a super-packet.
pub const SMALLEST_SHARE: usize = 64 * 1024;

/// How long a flow must be idle until the memory that its rings have touched is given back: two
/// pages at the least. Long enough that no one who still talks notices (RFC 5681 4.1 starts slowly
/// after less).
pub const IDLE_RINGS: Duration = Duration::from_secs(5);

/// How long an ended connection's last ACK is kept (smoltcp's own TIME-WAIT has the same length).
pub const TIME_WAIT: Duration = Duration::from_secs(10);

/// TIME-WAIT records; the oldest goes first.
pub const MAX_TIME_WAIT: usize = 16_384;

/// An app that owes us an ACK and says nothing for this long is gone (Linux's `tcp_retries2` gives
/// about as long).
pub const NO_PROGRESS: Duration = Duration::from_secs(15 * 60);

/// Data for which smoltcp has no timer are sent again after this: as long as its first
/// retransmission takes.
pub const STALLED: Duration = Duration::from_secs(1);

/// How often that time is doubled for an app that says nothing: up to about a minute (RFC 6298
/// 2.5).
pub const STALLED_DOUBLINGS: u32 = 6;

/// How long what a server said before it reset a connection may take to the app: longer than a
/// retransmission (smoltcp's first comes after a second).
pub const DRAIN: Duration = Duration::from_millis(1500);

/// Shortest time between two challenge ACKs of one connection (RFC 5961 section 7; Linux's
/// `tcp_invalid_ratelimit`). They have no common bound: a shared one tells a stranger of others'
/// connections (CVE-2016-5696), and Linux has none by default (`tcp_challenge_ack_limit`).
pub const CHALLENGE_EVERY: Duration = Duration::from_millis(500);

/// How often an app that has sent FIN and is silent is asked whether it is still there. Linux
/// forgets one that has closed altogether after `tcp_fin_timeout`, 60 s, so it is gone here 30 s
/// later.
pub const HALF_CLOSED_PROBE: Duration = Duration::from_secs(30);

/// How often an idle app that has not sent FIN is asked. Its kernel tells by itself when it ends;
/// only one whose network namespace was removed is gone without a word.
pub const IDLE_PROBE: Duration = Duration::from_secs(15 * 60);

/// Probes are put off to the next multiple of this, of half-closed and of idle connections, so that
/// many share a wake-up.
pub const PROBE_STEPS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// Unanswered probes after which a connection is given up: 4 minutes of a half-closed one, 2 hours
/// of an idle one (Linux's keepalive takes 2 h 11 min). The kernel of an app that is gone answers
/// the first; only an app behind a filter, or in a machine that is suspended, is silent.
pub const PROBES_UNANSWERED: u32 = 8;

/// A deadline that is met so late tells that the gateway did not run: answers may wait to be read.
pub const LATE: Duration = Duration::from_secs(1);

/// From this part of the table on, in quarters, room is made before it is needed.
pub const CROWDED_QUARTERS: usize = 3;

/// Table entries that are looked at in one go, and the time until the next: all in about a second.
pub const SWEEP: (usize, Duration) = (256, Duration::from_millis(20));

/// Time until a crowded table is looked over again: while there is room, and when there is none. (A
/// full one of which nobody could be asked is looked over again after [`SWEEP_ANSWERS`].)
pub const SWEEP_AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));

/// Such a look leaves alone whoever said something so short a time ago, or was asked in half of it:
/// while there is room, and when there is none.
pub const SWEEP_SILENT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

/// How long its answers are waited for; a SYN without room is neither taken nor refused meanwhile.
pub const SWEEP_ANSWERS: Duration = Duration::from_secs(1);

/// Unanswered probes after which a connection gives way to a new one.
pub const SWEEP_UNANSWERED: u32 = 3;

/// A SYN-ACK that nobody answers for this long is given up.
pub const HANDSHAKE: Duration = Duration::from_secs(60);

/// Idle time of a UDP bind with traffic both ways (RFC 4787 REQ-5).
pub const UDP_IDLE: Duration = Duration::from_secs(5 * 60);

/// Idle time of a UDP bind that nobody answered, or that only talks to port 53.
pub const UDP_IDLE_SHORT: Duration = Duration::from_secs(30);

/// Loopback ports per bind whose alias is remembered.
pub const MAX_ALIASES: usize = 64;

/// Datagrams that are being put together from fragments.
pub const MAX_REASSEMBLIES: usize = 64;

/// Parts of one datagram: 64 KiB in pieces of the smallest usual size (IPv4's 576 bytes) are fewer.
pub const MAX_FRAGMENTS: usize = 128;

/// How long a datagram's fragments are waited for.
pub const REASSEMBLY: Duration = Duration::from_secs(30);

/// ICMP errors a second, and how many at once (RFC 1812 4.3.2.8, RFC 4443 2.4 f).
pub const ICMP_RATE: u32 = 1000;
/// Burst of ICMP errors.
pub const ICMP_BURST: u32 = 250;

/// The MSS that smoltcp is told where the kernel cuts segments for us: super-packets stay below
/// 65,535 bytes with all headers.
pub const OFFLOAD_MSS: u16 = 65_000;
