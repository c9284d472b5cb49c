//! Every bound of the relay in one place.

use std::time::Duration;

/// Most TCP flows at a time. Windows gives out 16,384 dynamic ports by default, and UDP sockets and
/// the host's own programs need theirs.
pub const MAX_FLOWS: u32 = 12_288;

/// How long the last bytes of an app that is gone wait for a server that takes none. (Linux gives
/// such a connection up after 8 retries, some 100 s: `tcp_orphan_retries`.)
pub const ORPHAN_PATIENCE: Duration = Duration::from_secs(120);

/// How often, with 2 s between, a flow is checked that wrote after its server's FIN. A server that
/// has closed answers with a reset within that time.
pub const SUSPECT_LOOKS: u8 = 5;

/// Most UDP sockets at a time: with [`MAX_FLOWS`] it stays below Windows' dynamic ports.
pub const MAX_BINDS: u32 = 2048;

/// Most DNS queries under way at a time.
pub const MAX_QUERIES: usize = wire::limits::MAX_QUERIES;

/// Sockets of one DNS query: a server is asked every second, and each answer is waited for 3 s (see
/// `dns.rs`).
pub const QUERY_SOCKETS: usize = 3;

/// How long each answer of `probe` is waited for: the doctor, who waits for all of them, is to be
/// done within 10 s on a broken machine.
pub const PROBE_PATIENCE: Duration = Duration::from_millis(3500);

/// Names, and connections, that one `probe` asks for at most.
pub const PROBE_QUESTIONS: usize = 16;

/// Pings that are remembered at a time; a newer one than that pushes out the oldest. Less than the
/// 65,536 sequence numbers, so that each names one.
pub const MAX_ECHOES: usize = 8192;

/// Bounds of pings where the system keeps each of them until it is answered (Windows).
#[cfg(windows)]
#[derive(Clone, Copy, Debug)]
pub struct PingLimits {
    /// Requests that may still be answered. One more displaces the oldest.
    pub waiting: usize,
    /// Those to one destination. Further ones are lost.
    pub to_one: usize,
    /// Requests that the system holds, with those that were displaced and that it has not let go
    /// of.
    pub held: usize,
    /// Bytes of those that may still be answered; the system holds at most twice as many.
    pub bytes: usize,
    /// Requests of one handle, which are displaced together.
    pub batch: usize,
    /// How long a reply is waited for.
    pub patience: Duration,
}

/// A sweep of 400 addresses a second displaces nothing. `ping` waits 10 s after its last request.
#[cfg(windows)]
pub const PINGS: PingLimits = PingLimits {
    waiting: 4096,
    to_one: 256,
    held: 8192,
    bytes: 32 * 1024 * 1024,
    batch: 128,
    patience: Duration::from_secs(10),
};

/// How long a connect by few hops is tried at a time. A traceroute waits 5 s for each of its probes
/// and then forgets it without a word; an app that wants to wait longer sends its SYN again, which
/// is tried anew.
pub const HOPS_WITHIN: Duration = Duration::from_secs(10);

/// Connects whose hops are asked for by pings at a time, on a Windows that does not tell: as many
/// as traceroute has under way, twice. One more goes without.
pub const MAX_HOP_PINGS: usize = 32;

/// How long a ping is remembered. Its sender has long given up by then (`ping` waits 10 s at most
/// by itself).
pub const ECHO_MEMORY: Duration = Duration::from_secs(30);

/// How long a connection to a proxy itself is waited for: it is near, or it is not there.
pub const PROXY_CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// How long a proxy's answer is waited for, which in its turn waits for the destination. Apps have
/// given up by then (Linux tries 127 s).
pub const PROXY_ANSWERS_WITHIN: Duration = Duration::from_secs(130);

/// How long the addresses of a proxy's name are kept, so that not every connection asks for them.
pub const PROXY_ADDRESSES_KEPT: Duration = Duration::from_secs(30);

/// Names of proxies whose addresses are kept.
pub const PROXY_ADDRESSES: usize = 32;

/// SOCKS associations for datagrams at a time, each with a connection to the proxy.
pub const MAX_ASSOCIATIONS: usize = 256;

/// Datagrams, and their bytes, that wait for an association.
pub const ASSOCIATION_BACKLOG: (usize, usize) = (16, 64 * 1024);

/// After a failed association its source's datagrams are refused for so long before the proxy is
/// asked again.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A proxy that said that it carries no datagrams is not asked again for so long.
pub const NO_UDP_FOR: Duration = Duration::from_secs(300);

/// Peers of datagrams of which is kept whether they go without the proxy.
pub const MAX_EXCEPTED: usize = 1024;

/// Destinations for which the answer of Windows' proxy settings is kept, and for how long: a
/// script's answer may depend on the time of day.
pub const MAX_PROXY_ANSWERS: usize = 1024;
/// See [`MAX_PROXY_ANSWERS`].
pub const PROXY_ANSWERS_KEPT: Duration = Duration::from_secs(60);

/// Questions to Windows' proxy settings under way at a time: each may hold a thread while a script
/// is fetched.
pub const PROXY_QUESTIONS: usize = 8;

/// After a script could not be asked it is left alone for so long: each try may take seconds.
pub const SCRIPT_RETRY_AFTER: Duration = Duration::from_secs(60);

/// File descriptors that no flow, UDP socket or DNS query gets: standard streams, the event queue,
/// ping and netlink sockets, files read for facts.
pub const SPARE_DESCRIPTORS: u64 = 256;

/// How many flows fit below a limit of open files. UDP sockets and DNS queries keep what they may
/// need, or a quarter where the limit is low.
#[must_use]
pub fn flows_below(descriptors: u64) -> u32 {
    let usable = descriptors.saturating_sub(SPARE_DESCRIPTORS);
    let others = (u64::from(MAX_BINDS) + (MAX_QUERIES * QUERY_SOCKETS) as u64).min(usable / 4);
    u32::try_from(usable - others).unwrap_or(u32::MAX).clamp(1, MAX_FLOWS)
}

/// Memory of drained buffers that is kept for the next flow that has to wait: busy flows fill and
/// drain theirs many times a second, idle flows have none.
pub const SPARE_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that a UDP socket receives, each datagram counted with some overhead, before the next
/// socket has its turn.
pub const UDP_TURN: usize = 64 * 1024;

/// Bytes that the host is asked to keep for a UDP socket that is not received from: a few
/// milliseconds of a fast sender, which is how long this process may have to wait for its turn on a
/// busy machine. Hosts may allow less.
pub const UDP_BUFFER: usize = 1024 * 1024;

/// Bytes staged for one write to the pipe. Two full turns: enough to amortise the write, little
/// enough that a control frame behind it does not wait long.
pub const STAGING: usize = 128 * 1024;

/// Connects that are begun, and as many that are taken in, before the other work gets its turn: a
/// few milliseconds on a slow host.
pub const CONNECTS_TURN: usize = 32;

/// Bytes read from the pipe before the other work gets its turn.
pub const INPUT_TURN: usize = 1024 * 1024;

/// Bytes written to the pipe before the other work gets its turn.
pub const OUTPUT_TURN: usize = 1024 * 1024;

/// Bytes that the gateway may have under way for one flow, by how many flows there are: what a
/// stalled socket can hold here. The steps keep the sum under 1 GiB at the worst, and full speed
/// for as many flows as can have full speed.
pub fn window(flows: usize) -> u32 {
    match flows {
        0..64 => 1024 * 1024,
        64..512 => 256 * 1024,
        512..4096 => 64 * 1024,
        _ => 16 * 1024,
    }
}

/// Addresses of which a relay with a restriction of its host's own services knows whether they are
/// the host's; they are looked at anew where there are more, some ten microseconds each.
pub const MAX_ACCESS_PEERS: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sockets_together_are_fewer_than_windows_dynamic_ports() {
        assert!(
            MAX_FLOWS + MAX_BINDS + (MAX_QUERIES * QUERY_SOCKETS + MAX_ASSOCIATIONS) as u32
                <= 16_384 - 256
        );
    }

    #[test]
    fn flows_leave_room_for_everything_else_under_every_limit() {
        assert_eq!(flows_below(0), 1);
        assert_eq!(flows_below(1024), 576);
        assert_eq!(flows_below(4096), 2880);
        assert_eq!(flows_below(1 << 20), MAX_FLOWS);
        assert_eq!(flows_below(u64::MAX), MAX_FLOWS);
        for limit in 300..20_000 {
            assert!(u64::from(flows_below(limit)) + SPARE_DESCRIPTORS <= limit, "{limit}");
        }
    }
}
