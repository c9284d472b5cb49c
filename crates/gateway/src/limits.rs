//! All bounds of the gateway's shell. `stack` has those of packets, `wire` those of the pipe.

use std::time::Duration;

/// Waits that double.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// The first one.
    pub first: Duration,
    /// The longest one.
    pub longest: Duration,
}

/// Relays at a time. Each has a process on the host; more than the cores of any such machine bring
/// nothing.
pub const MAX_LANES: usize = 16;

/// The bytes that a relay may send on a new flow before the app's side of it is set up; see
/// [`wire::Session::widen`].
pub const FIRST_WINDOW: u32 = 16 * 1024;

/// Bytes staged for one write to a relay: two full turns. More would delay the control frames that
/// follow.
pub const STAGING: usize = 128 * 1024;

/// Bytes that a stream to or from a relay holds: as many as the kernel allows an unprivileged pipe.
pub const STREAM_BYTES: usize = 1024 * 1024;

/// Bytes that the kernel holds for a link to a relay, in each direction.
pub const LINK_BYTES: usize = 1024 * 1024;

/// The same for a Hyper-V socket: the most that its rings may have (`RINGBUFFER_HVS_MAX_SIZE` in
/// the kernel's `net/vmw_vsock/hyperv_transport.c`).
pub const VSOCK_BYTES: usize = 256 * 1024;

/// How long the gateway listens for a relay's link.
pub const LINK_LISTEN: Duration = Duration::from_secs(10);

/// How long a connection may take to send its nonce.
pub const LINK_NONCE_PATIENCE: Duration = Duration::from_secs(2);

/// Connections that may owe their nonce at a time. One more takes the oldest one's place: the
/// relay's nonce comes right after its connect.
pub const MAX_LINK_CALLERS: usize = 8;

/// Waits before the next try for a link, after links that did not come up or broke.
pub const LINK_BACK_OFF: BackOff =
    BackOff { first: Duration::from_secs(30), longest: Duration::from_secs(600) };

/// After a link that lived this long the next wait is the shortest again.
pub const LINK_HEALTHY_AFTER: Duration = Duration::from_secs(600);

/// How long a relay's standard streams may take to end after its link: if they do, the relay has
/// ended, and not its link alone.
pub const LINK_GRACE: Duration = Duration::from_millis(200);

/// Bytes read from a relay before other sources have their turn.
pub const LANE_TURN: usize = 512 * 1024;

/// Frames, and their bytes, read from the TAP before other sources have their turn.
pub const TAP_TURN_FRAMES: usize = 256;
/// See [`TAP_TURN_FRAMES`].
pub const TAP_TURN_BYTES: usize = 512 * 1024;

/// Names that have stand-ins, for a proxy: some 10 MB where all are long. An app that keeps
/// addresses for days (some servers resolve a name only at their start) reaches its name as long as
/// others ask for fewer names than this.
pub const MAX_NAMES: usize = 32_768;

/// Real addresses of a name that are kept, of each family: more than any client tries.
pub const MAX_REAL_ADDRESSES: usize = 8;

/// Peers of a UDP source endpoint whose replies are translated back to stand-ins. Few apps talk to
/// more by name.
pub const MAX_STAND_IN_PEERS: usize = 64;

/// Log lines that a relay may cause in a burst.
pub const RELAY_LOG_BURST: u32 = 100;
/// After a burst, one more line in each such period.
pub const RELAY_LOG_EVERY: Duration = Duration::from_secs(2);

/// The time after which the same trouble with a proxy is logged again.
pub const LOG_AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Prefixes of Windows in mirrored mode that the tunnel takes. Each is a route of our table;
/// setting this many takes some tenths of a second.
pub const MAX_MIRRORED: usize = 2048;

/// Conversations of the VM's own network that are kept off the tunnel. Each is a rule, which every
/// look-up of a route passes; peers from beyond that network are few.
pub const MAX_ELSEWHERE: usize = 64;

/// How long a conversation is kept off the tunnel after its last packet came here, or its socket
/// was last seen. A connection whose socket is elsewhere loses one packet when its time is over.
pub const ELSEWHERE_LIFETIME: Duration = Duration::from_secs(3600);

/// Pings that wait for a relay's answer: as many as the stack remembers. One more takes the oldest
/// one's place.
pub const MAX_PINGS: usize = 4096;

/// How long a question waits for its answer. Stub resolvers and ping have given up by then.
pub const ASKED_LIFETIME: Duration = Duration::from_secs(30);

/// DNS connections over TCP. One more takes the place of one that is idle (RFC 7766 section 6.2.3).
pub const MAX_DNS_CONNECTIONS: usize = 512;

/// Queries of one DNS connection that wait for an answer (RFC 7766 6.2.1.1 asks for pipelining, not
/// for a number).
pub const MAX_PIPELINED: usize = 64;

/// Answer bytes of one DNS connection that its client has not taken; beyond, no further query of it
/// is read.
pub const MAX_DNS_BACKLOG: usize = 256 * 1024;

/// How many names are remembered whose answers named the host.
pub const MAX_REBIND_NAMES: usize = 16;

/// A DNS connection without a query is closed after this long (RFC 7766 6.2.3).
pub const DNS_IDLE: Duration = Duration::from_secs(60);
/// Between two looks for idle DNS connections.
pub const DNS_TIDY_EVERY: Duration = Duration::from_secs(5);

/// Waits between starts of a relay that keeps ending: the first and the longest; each is twice the
/// one before.
pub const BACK_OFF: BackOff =
    BackOff { first: Duration::from_millis(100), longest: Duration::from_secs(10) };

/// The longest of these waits after a relay that had said hello: it can start, so a dead one is
/// replaced in under 2 s however often it dies.
pub const LAST_BACK_OFF_AFTER_HELLO: Duration = Duration::from_secs(1);

/// After a relay that lived this long the next wait is the shortest again.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(10);

/// A relay that has not said hello by then is started again. An antivirus program may hold a first
/// start up for long (up to 75 s were reported for programs started from the distro's own disk).
pub const HELLO_PATIENCE: Duration = Duration::from_secs(90);

/// A relay that has not said hello by then is started by another of interop's sockets, if there is
/// one: a start takes a second, and a socket whose side on Windows is gone never answers.
pub const SOCKET_PATIENCE: Duration = Duration::from_secs(5);

/// A relay for Windows that ends within this time without a message was killed: antivirus programs
/// take up to a minute.
pub const SHORT_LIFE: Duration = Duration::from_secs(60);

/// Waits between starts of the client that keeps the helper distro running, doubling. The first is
/// long compared with the end of a distro, so that nothing starts it again meanwhile; the last is
/// shorter than the 15 s (`general.instanceIdleTimeout`) after which WSL ends a distro without a
/// client.
pub const KEEP_ALIVE_BACK_OFF: BackOff =
    BackOff { first: Duration::from_secs(2), longest: Duration::from_secs(10) };

/// After a client that ran this long the next wait is the shortest again.
pub const KEEP_ALIVE_HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// How long a Windows program may take to answer a question.
pub const WINDOWS_PATIENCE: Duration = Duration::from_secs(20);

/// Without any relay for this long the VM gets its own network back until there is one.
pub const WITHDRAW_AFTER: Duration = Duration::from_secs(5);

/// How many of the last lines of a relay's standard error are kept.
pub const STDERR_LINES: usize = 10;

/// A longer line of a relay's standard error is cut.
pub const STDERR_LINE_BYTES: usize = 1024;

/// How long relays may take to end by themselves at shutdown.
pub const STOP_PATIENCE: Duration = Duration::from_millis(500);
