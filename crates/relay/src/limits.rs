//! Every bound of the relay in one place.

/// Most TCP flows at a time. Windows gives out 16,384 dynamic ports by default, and UDP sockets and the host's own programs
/// need theirs.
pub const MAX_FLOWS: u32 = 12_288;

/// Most UDP sockets at a time: with [`MAX_FLOWS`] it stays below Windows' dynamic ports.
pub const MAX_BINDS: u32 = 2048;

/// Most DNS queries under way at a time: each has a socket for as long as its servers are waited for.
pub const MAX_QUERIES: usize = 512;

/// File descriptors kept free of flows: UDP sockets, DNS queries, standard streams, the event queue, files read for facts.
pub const RESERVED_DESCRIPTORS: u64 = MAX_BINDS as u64 + MAX_QUERIES as u64 + 256;

/// Bytes staged for one write to the pipe. Two full turns: enough to amortise the write, little enough that a control frame
/// behind it does not wait long.
pub const STAGING: usize = 128 * 1024;

/// Bytes read from the pipe before the other work gets its turn.
pub const INPUT_TURN: usize = 1024 * 1024;

/// Bytes that the gateway may have under way for one flow, by how many flows there are: what a stalled socket can hold here. The
/// steps keep the sum under 1 GiB at the worst, and full speed for as many flows as can have full speed.
pub fn window(flows: usize) -> u32 {
    match flows {
        0..64 => 1024 * 1024,
        64..512 => 256 * 1024,
        512..4096 => 64 * 1024,
        _ => 16 * 1024,
    }
}
