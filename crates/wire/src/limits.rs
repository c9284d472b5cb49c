//! All bounds of the protocol.

use std::time::Duration;

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

/// Bytes of the seal before a frame's header: a check of the header and one of the payload.
pub const SEAL: usize = 8;

/// Most bytes of TCP data in one frame: the turn that a flow gets before the next one has its turn.
pub const MAX_DATA: usize = 64 * 1024;

/// Most payload bytes of any frame: a full datagram (65,507 bytes) or DNS message (65,535) with its
/// addresses fits.
pub const MAX_PAYLOAD: usize = MAX_DATA + 64;

/// Bytes that a [`crate::Decoder`] holds: several full frames, so that one read from the pipe
/// brings many.
pub const DECODER_BUFFER: usize = 256 * 1024 + SEAL + HEADER + MAX_PAYLOAD;

/// Most bytes of datagrams that wait for the pipe. UDP has no flow control: what does not fit is
/// dropped and counted.
pub const MAX_QUEUED_DATAGRAM_BYTES: usize = 2 * 1024 * 1024;

/// Bytes of waiting control frames above which [`crate::Session::is_congested`] is true: the owner
/// then takes on no new connects, queries or echoes. Open flows are still served, since credit
/// bounds their control frames.
pub const CONGESTED_CONTROL_BYTES: usize = 1024 * 1024;

/// DNS queries that a relay has under way at a time; it refuses more.
pub const MAX_QUERIES: usize = 512;

/// Most flows that one session takes. A relay's hello states its own, lower, limit.
pub const MAX_FLOWS: usize = 16_384;

/// Flows from which on their tables' memory is worth giving back.
pub const MANY_FLOWS: usize = 256;

/// Most credit that may be outstanding for one flow and direction.
pub const MAX_WINDOW: u32 = 16 * 1024 * 1024;

/// How often each end sends a heartbeat.
pub const PING_EVERY: Duration = Duration::from_secs(2);

/// Silence after which the gateway takes its relay for dead: three pings unanswered. (A relay that
/// was killed is noticed at once, by the end of its stream.)
pub const GATEWAY_DEAD_AFTER: Duration = Duration::from_secs(6);

/// Silence after which a relay takes its gateway for dead and ends. Longer than the gateway's, so
/// that the gateway judges first.
pub const RELAY_DEAD_AFTER: Duration = Duration::from_secs(20);

/// A timer that fires this late shows that this process itself was asleep (suspend, SIGSTOP), which
/// says nothing about the other end.
pub const ASLEEP_AFTER: Duration = Duration::from_secs(1);

/// Longest name of a host, in bytes: what a SOCKS5 request has room for (RFC 1928 section 5), and
/// more than any in the DNS.
pub const MAX_NAME: usize = 255;

/// Longest sentence about a proxy, in bytes.
pub const MAX_WORDS: usize = 512;

/// Longest build name in a hello, in bytes.
pub const MAX_BUILD_NAME: usize = 128;
