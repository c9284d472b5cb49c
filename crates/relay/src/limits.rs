//! Every limit of the relay in one place.

use std::time::Duration;

/// Most concurrent TCP flows. Windows has 16,384 dynamic ports by default, and UDP sockets and the
/// host's own programs need some of them.
pub const MAX_FLOWS: u32 = 12_288;

/// How long the last bytes of an app that is gone wait for a server that takes none. (Linux gives
/// up such a connection after 8 retries, about 100 s: `tcp_orphan_retries`.)
pub const ORPHAN_PATIENCE: Duration = Duration::from_secs(120);

/// How often the relay checks a flow that wrote after its server's FIN, with 2 s between checks. A
/// server that has closed answers with a reset within that time.
pub const SUSPECT_LOOKS: u8 = 5;

/// Most concurrent UDP sockets. Together with [`MAX_FLOWS`] it stays below Windows' dynamic ports.
pub const MAX_BINDS: u32 = 2048;

/// Most concurrent DNS queries.
pub const MAX_QUERIES: usize = wire::limits::MAX_QUERIES;

/// Sockets of one DNS query: the relay queries a server every second, and waits 3 s for each answer
/// (see `dns.rs`).
pub const QUERY_SOCKETS: usize = 3;

/// Bytes that the system holds for the link to the gateway, in each direction.
pub const LINK_BYTES: u32 = 1024 * 1024;

/// The same for a Hyper-V socket: the most that Linux gives its rings (`RINGBUFFER_HVS_MAX_SIZE` in
/// the kernel's `net/vmw_vsock/hyperv_transport.c`).
pub const VSOCK_BYTES: usize = 256 * 1024;

/// How long an offer of a link may take, from its connect to the gateway's answer.
pub const LINK_DIAL_PATIENCE: Duration = Duration::from_secs(2);

/// How long `probe` waits for each answer. The doctor waits for all of them and must finish within
/// 10 s on a broken machine.
pub const PROBE_PATIENCE: Duration = Duration::from_millis(3500);

/// Most names, and most connections, of one `probe`.
pub const PROBE_QUESTIONS: usize = 16;

/// Most pings remembered at a time; a newer one displaces the oldest. Fewer than the 65,536
/// sequence numbers, so that each number is unambiguous.
pub const MAX_ECHOES: usize = 8192;

/// Limits of pings where the system keeps each of them until it is answered (Windows).
#[cfg(windows)]
#[derive(Clone, Copy, Debug)]
pub struct PingLimits {
    /// Requests that may still be answered. One more displaces the oldest.
    pub waiting: usize,
    /// Requests to one destination. Further ones are lost.
    pub to_one: usize,
    /// Requests that the system holds, including displaced ones that it has not released.
    pub held: usize,
    /// Bytes of the requests that may still be answered. The system holds at most twice as many.
    pub bytes: usize,
    /// Requests of one handle, which are displaced together.
    pub batch: usize,
    /// How long to wait for a reply.
    pub patience: Duration,
}

/// A sweep of 400 addresses a second displaces no other ping. `ping` waits 10 s after its last
/// request.
#[cfg(windows)]
pub const PINGS: PingLimits = PingLimits {
    waiting: 4096,
    to_one: 256,
    held: 8192,
    bytes: 32 * 1024 * 1024,
    batch: 128,
    patience: Duration::from_secs(10),
};

/// How long one attempt of a connect with a low hop limit lasts. A traceroute waits 5 s for each of
/// its probes and then drops it silently. An app that waits longer sends its SYN again, which
/// starts a new attempt.
pub const HOPS_WITHIN: Duration = Duration::from_secs(10);

/// Most concurrent connects whose hops the relay determines by pings, on a Windows that does not
/// report them: twice as many as traceroute has in flight. Further ones go without.
pub const MAX_HOP_PINGS: usize = 32;

/// How long a ping is remembered. Its sender has given up long before (`ping` waits 10 s at most by
/// default).
pub const ECHO_MEMORY: Duration = Duration::from_secs(30);

/// How long to wait for a connection to a proxy itself: it is near, or it does not exist.
pub const PROXY_CONNECTS_WITHIN: Duration = Duration::from_secs(10);

/// How long to wait for a proxy's answer. The proxy in turn waits for the destination. Apps have
/// given up by then (Linux tries for 127 s).
pub const PROXY_ANSWERS_WITHIN: Duration = Duration::from_secs(130);

/// How long the addresses of a proxy's name are cached, so that not every connection looks them up.
pub const PROXY_ADDRESSES_KEPT: Duration = Duration::from_secs(30);

/// Most proxy names whose addresses are cached.
pub const PROXY_ADDRESSES: usize = 32;

/// Most concurrent SOCKS associations for datagrams, each with a connection to the proxy.
pub const MAX_ASSOCIATIONS: usize = 256;

/// Datagrams, and their bytes, that wait for an association.
pub const ASSOCIATION_BACKLOG: (usize, usize) = (16, 64 * 1024);

/// How long a source's datagrams are refused after a failed association before the next attempt.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long to wait before another attempt at a proxy that reported that it carries no datagrams.
pub const NO_UDP_FOR: Duration = Duration::from_secs(300);

/// Peers of datagrams for which the relay remembers whether they bypass the proxy.
pub const MAX_EXCEPTED: usize = 1024;

/// Destinations for which the answer of Windows' proxy settings is cached, and for how long: a
/// script's answer may depend on the time of day.
pub const MAX_PROXY_ANSWERS: usize = 1024;
/// See [`MAX_PROXY_ANSWERS`].
pub const PROXY_ANSWERS_KEPT: Duration = Duration::from_secs(60);

/// Concurrent questions to Windows' proxy settings: each may hold a thread while a script is
/// fetched.
pub const PROXY_QUESTIONS: usize = 8;

/// How long to leave a script alone after a failed question: each try may take seconds.
pub const SCRIPT_RETRY_AFTER: Duration = Duration::from_secs(60);

/// File descriptors that no flow, UDP socket or DNS query may use: standard streams, the event
/// queue, ping and netlink sockets, files read for facts.
pub const SPARE_DESCRIPTORS: u64 = 256;

/// The number of flows that fit below a limit of open files. UDP sockets and DNS queries keep what
/// they may need, or a quarter if the limit is low.
#[must_use]
pub fn flows_below(descriptors: u64) -> u32 {
    let usable = descriptors.saturating_sub(SPARE_DESCRIPTORS);
    let others = (u64::from(MAX_BINDS) + (MAX_QUERIES * QUERY_SOCKETS) as u64).min(usable / 4);
    u32::try_from(usable - others).unwrap_or(u32::MAX).clamp(1, MAX_FLOWS)
}

/// Memory of drained buffers that is kept for the next flow that has to wait. Busy flows fill and
/// drain theirs many times a second; idle flows have no buffer.
pub const SPARE_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// Bytes that a UDP socket receives per turn, each datagram counted with some overhead.
pub const UDP_TURN: usize = 64 * 1024;

/// Receive buffer that the relay requests for a UDP socket: a few milliseconds of a fast sender,
/// which is how long this process may have to wait for its turn on a busy machine. Hosts may allow
/// less.
pub const UDP_BUFFER: usize = 1024 * 1024;

/// Bytes staged for one write to the pipe: two full turns. That is enough to amortise the write,
/// and little enough that a control frame after it does not wait long.
pub const STAGING: usize = 128 * 1024;

/// Connects started, and connects handled, before the other work gets its turn: a few milliseconds
/// on a slow host.
pub const CONNECTS_TURN: usize = 32;

/// Bytes read from the pipe before the other work gets its turn.
pub const INPUT_TURN: usize = 1024 * 1024;

/// Bytes written to the pipe before the other work gets its turn.
pub const OUTPUT_TURN: usize = 1024 * 1024;

/// Bytes that the gateway may have in flight for one flow, by the number of flows: the most that a
/// stalled socket can hold here. The steps keep the sum under 1 GiB at worst, and allow full speed
/// for as many flows as can have full speed.
pub fn window(flows: usize) -> u32 {
    match flows {
        0..64 => 1024 * 1024,
        64..512 => 256 * 1024,
        512..4096 => 64 * 1024,
        _ => 16 * 1024,
    }
}

/// Addresses for which a relay with a restriction of its host's own services caches whether they
/// are the host's. With more addresses it looks them up again, about ten microseconds each.
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
