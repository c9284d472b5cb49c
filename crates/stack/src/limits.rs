//! Every limit of the stack in one place, with its reason.

use std::time::Duration;

/// Connections that wait for the relay's connect. A SYN beyond this limit is dropped, and the app's
/// kernel sends it again.
pub const MAX_HALF_OPEN: usize = 4096;

/// How long the stack waits for the relay's connect after the app's last SYN. A kernel that asks
/// again later starts a new attempt. As without a tunnel, its next SYN may be answered. Linux
/// repeats a SYN after 1, 3, 7, 15 and 31 s (`tcp_syn_retries` in tcp(7)), so a connect may take up
/// to 35 s.
pub const HALF_OPEN: Duration = Duration::from_secs(20);

/// The stack looks up the owner of each newcomer once a table is this full. At most a quarter of
/// the table's entries have an unknown owner.
pub const ASKED_FROM_QUARTER: usize = 4;

/// How old a half-open connection of the heaviest owner must be before the same owner's next one
/// displaces it. Otherwise a crowd of connects would displace itself.
pub const HALF_OPEN_AT_LEAST: Duration = Duration::from_secs(2);

/// The share of half-open connections that one owner may have to one address. One silent host
/// leaves room for its user's other connects.
pub const HALF_OPEN_TO_ONE: usize = 2;

/// Entries that the stack examines at once for one that may make room. Each needs a look-up of its
/// socket.
pub const LOOKED_AT: usize = 16;

/// Entries without a known owner that the stack looks up at once when a table is full. They take
/// about a millisecond.
pub const RESOLVED_AT_ONCE: usize = 256;

/// Source addresses that a table distinguishes. Containers may make up theirs.
pub const MAX_SOURCES: usize = 256;

/// A SYN with at least this many hops left comes from an app that did not choose a hop limit.
/// Stacks begin with 64 or more (RFC 1700, "IP time to live parameter"), and the networks inside
/// the VM take a few. Traceroutes end at 30.
pub const ORDINARY_HOPS: u8 = 48;

/// TCP connections in all. Windows has 16,384 dynamic ports, so further connections would find no
/// port.
pub const MAX_FLOWS: usize = 16_384;

/// Concurrent UDP source endpoints. Each holds a socket of the relay.
pub const MAX_BINDS: usize = 4096;

/// Hosts that a UDP source endpoint has sent to and that it remembers, and as many before them. A
/// peer of a distributed hash table talks to about a hundred others a second, and each answers
/// within a second or two. A larger limit would let one user hold megabytes with its endpoints.
pub const MAX_CONTACTS: usize = 256;

/// DNS questions that wait for an answer, and echo requests that do.
pub const MAX_REQUESTS: usize = 4096;

/// Events that wait for the shell. A shell fetches after each batch of frames, so it exceeds this
/// only when it is stuck.
pub const MAX_EVENTS: usize = 16_384;

/// Payload bytes in those events.
pub const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// How long a question or an echo request is remembered. Resolvers and ping have given up by then.
pub const REQUEST_LIFETIME: Duration = Duration::from_secs(30);

/// Ring bytes (each way) of a new flow by the number of open flows. Many flows share the memory
/// that a few may have alone.
pub const RING_STEPS: [(usize, usize); 3] =
    [(64, 1024 * 1024), (512, 256 * 1024), (4096, 64 * 1024)];

/// Ring bytes of a new flow beyond the last step.
pub const SMALLEST_RING: usize = 16 * 1024;

/// Bytes that all apps together may have in flight to the stack, limited by the windows that busy
/// flows advertise. A packet of another flow may have to wait for them: 2 ms at 1 GB/s. A single
/// flow may have as much as its ring holds.
pub const UNDER_WAY: usize = 2 * 1024 * 1024;

/// The share of each busy flow, however many there are: a super-packet.
pub const SMALLEST_SHARE: usize = 64 * 1024;

/// How long a flow must be idle until the stack frees the memory that its rings have touched (two
/// pages at least). It is long enough that an active app does not notice (RFC 5681 4.1 starts
/// slowly after less).
pub const IDLE_RINGS: Duration = Duration::from_secs(5);

/// How long an ended connection's last ACK is kept (smoltcp's own TIME-WAIT has the same length).
pub const TIME_WAIT: Duration = Duration::from_secs(10);

/// TIME-WAIT records. The oldest is dropped first.
pub const MAX_TIME_WAIT: usize = 16_384;

/// An app that owes us an ACK and stays silent for this long is gone (Linux's `tcp_retries2` is
/// about as long).
pub const NO_PROGRESS: Duration = Duration::from_secs(15 * 60);

/// Data for which smoltcp has no timer is sent again after this time, which is smoltcp's first
/// retransmission time.
pub const STALLED: Duration = Duration::from_secs(1);

/// How often that time doubles for an app that stays silent: up to about a minute (RFC 6298 2.5).
pub const STALLED_DOUBLINGS: u32 = 6;

/// How long the data that a server sent before its reset may take to reach the app. Longer than a
/// retransmission (smoltcp's first comes after a second).
pub const DRAIN: Duration = Duration::from_millis(1500);

/// Shortest time between two challenge ACKs of one connection (RFC 5961 section 7; Linux's
/// `tcp_invalid_ratelimit`). There is no global limit. A shared limit would reveal other
/// connections to a stranger (CVE-2016-5696), and Linux has none by default
/// (`tcp_challenge_ack_limit`).
pub const CHALLENGE_EVERY: Duration = Duration::from_millis(500);

/// Interval of keepalive probes to an app that has sent FIN and is silent. Linux forgets a fully
/// closed connection after `tcp_fin_timeout`, 60 s, so it is gone here 30 s later.
pub const HALF_CLOSED_PROBE: Duration = Duration::from_secs(30);

/// Interval of probes to an idle app that has not sent FIN. Its kernel reports its end. Only an app
/// whose network namespace was removed goes silently.
pub const IDLE_PROBE: Duration = Duration::from_secs(15 * 60);

/// Probes of half-closed and of idle connections wait for the next multiple of these times, so that
/// many share a wake-up.
pub const PROBE_STEPS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(15));

/// Unanswered probes after which the stack gives up a connection: 4 minutes for a half-closed one,
/// 2 hours for an idle one (Linux's keepalive takes 2 h 11 min). The kernel of an app that is gone
/// answers the first probe. Only an app behind a filter, or in a suspended machine, stays silent.
pub const PROBES_UNANSWERED: u32 = 8;

/// A deadline met this late shows that the gateway did not run. Answers may still wait in the TAP's
/// queue.
pub const LATE: Duration = Duration::from_secs(1);

/// From this part of the table on, in quarters, the stack makes room in advance.
pub const CROWDED_QUARTERS: usize = 3;

/// Table entries that the stack examines at once, and the time until the next ones. The whole table
/// takes about a second.
pub const SWEEP: (usize, Duration) = (256, Duration::from_millis(20));

/// Time until the stack examines a crowded table again: while there is room, and when it is full.
/// (A full table in which no connection could be probed is examined again after [`SWEEP_ANSWERS`].)
pub const SWEEP_AGAIN: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(5));

/// A sweep skips connections whose app sent something within this time, or that were probed within
/// half of it: while there is room, and when the table is full.
pub const SWEEP_SILENT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1));

/// How long a sweep waits for answers. Meanwhile a SYN without room is neither accepted nor
/// refused.
pub const SWEEP_ANSWERS: Duration = Duration::from_secs(1);

/// Unanswered probes after which a connection gives way to a new one.
pub const SWEEP_UNANSWERED: u32 = 3;

/// How long the stack waits for an answer to a SYN-ACK.
pub const HANDSHAKE: Duration = Duration::from_secs(60);

/// Idle time of a UDP bind with traffic both ways (RFC 4787 REQ-5).
pub const UDP_IDLE: Duration = Duration::from_secs(5 * 60);

/// Idle time of a UDP bind without an answer, or one that talks to port 53 only.
pub const UDP_IDLE_SHORT: Duration = Duration::from_secs(30);

/// Loopback ports per bind whose alias is remembered.
pub const MAX_ALIASES: usize = 64;

/// Datagrams that are being reassembled.
pub const MAX_REASSEMBLIES: usize = 64;

/// Parts of one datagram. 64 KiB in pieces of the smallest usual size (IPv4's 576 bytes) need
/// fewer.
pub const MAX_FRAGMENTS: usize = 128;

/// How long a reassembly waits for fragments.
pub const REASSEMBLY: Duration = Duration::from_secs(30);

/// ICMP errors per second (RFC 1812 4.3.2.8, RFC 4443 2.4 f).
pub const ICMP_RATE: u32 = 1000;
/// Burst of ICMP errors.
pub const ICMP_BURST: u32 = 250;

/// The MSS that smoltcp uses where the kernel cuts segments for us. Super-packets stay below 65,535
/// bytes with all headers.
pub const OFFLOAD_MSS: u16 = 65_000;
