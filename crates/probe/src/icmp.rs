//! Echo requests (RFC 792, RFC 4443), by the kernel's ping socket, by a raw one where only root
//! may, or by the program `ping`.

use crate::{Origin, Outcome, PING_PATIENCE, Why, failed, failure, timed, why};
use nix::sys::socket::{getsockopt, sockopt::IpMtu};
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};
use wsl::program::run_within;

/// After how long another request is sent: each, and what comes back, may be lost once.
const AGAIN: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(400), Duration::from_millis(1000)];

/// Bytes of the headers before the payload: IP and ICMP.
fn headers(to: IpAddr) -> u32 {
    if to.is_ipv4() { 20 + 8 } else { 40 + 8 }
}

/// Payload if no size is requested, the same as that of `ping`.
const PAYLOAD: u32 = 56;

/// Longest IP packet that is received here.
const BUFFER: usize = 66_000;

/// The outcome of a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    /// Whether a reply came.
    pub outcome: Outcome,
    /// The largest IP packet that fits the way, where a router has said so, or else the first
    /// interface.
    pub fits: Option<u32>,
}

/// Pings, from an origin if one is given. With a `size` the request is an IP packet of that many
/// bytes that may not be fragmented.
pub async fn ping(to: IpAddr, from: Option<&Origin>, size: Option<u32>) -> Echo {
    let (outcome, fits) = match open(to, from, size) {
        Ok((socket, kind)) => by_socket(socket, kind, to, size).await,
        Err(error) if matches!(why(&error), Why::NotPermitted) => by_program(to, from, size).await,
        Err(error) => return Echo { outcome: failure(&error), fits: None },
    };
    Echo { outcome, fits }
}

/// How much of the packet a socket shows and wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The kernel sets the identifier and the checksum, and gives only this socket's replies.
    Ping,
    /// Everything is ours, and every reply of the machine comes, those of IPv4 with their IP
    /// header.
    Raw,
}

fn open(to: IpAddr, from: Option<&Origin>, size: Option<u32>) -> io::Result<(Socket, Kind)> {
    let (domain, protocol) = if to.is_ipv4() {
        (Domain::IPV4, Protocol::ICMPV4)
    } else {
        (Domain::IPV6, Protocol::ICMPV6)
    };
    let (socket, kind) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, Kind::Ping),
        Err(error) if matches!(why(&error), Why::NotPermitted) => {
            (Socket::new(domain, Type::RAW, Some(protocol))?, Kind::Raw)
        }
        Err(error) => return Err(error),
    };
    socket.set_nonblocking(true)?;
    if size.is_some() {
        if to.is_ipv4() {
            set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO)?;
        } else {
            set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::DO)?;
        }
    }
    if let Some(from) = from {
        from.bind(&SockRef::from(&socket))?;
    }
    socket.connect(&SocketAddr::new(to, 0).into())?;
    Ok((socket, kind))
}

async fn by_socket(
    socket: Socket,
    kind: Kind,
    to: IpAddr,
    size: Option<u32>,
) -> (Outcome, Option<u32>) {
    // To tokio a connected socket of datagrams is one, whatever its protocol.
    let socket = match UdpSocket::from_std(socket.into()) {
        Ok(socket) => socket,
        Err(error) => return (failure(&error), None),
    };
    let (replied, ms) = timed(exchange(&socket, kind, to, size)).await;
    let outcome = match replied {
        Ok(()) => Outcome::Ok { ms },
        Err(error) => failure(&error),
    };
    let fits = if to.is_ipv4() { getsockopt(&socket, IpMtu).ok() } else { None };
    (outcome, fits.and_then(|mtu| u32::try_from(mtu).ok()))
}

async fn exchange(socket: &UdpSocket, kind: Kind, to: IpAddr, size: Option<u32>) -> io::Result<()> {
    let start = Instant::now();
    // The hasher's key is the system's randomness.
    let [id0, id1, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    let id = [id0, id1];
    let payload = size.map_or(PAYLOAD, |size| size.saturating_sub(headers(to)));
    for number in 0..AGAIN.len() {
        let sequence = u16::try_from(number + 1).unwrap_or(1);
        // Too large for the way as it is known by now, or what an earlier request brought: the next
        // one would not fare better.
        socket.send(&request(to, id, sequence, payload)).await?;
        let next = AGAIN.get(number + 1).copied().unwrap_or(PING_PATIENCE);
        if let Ok(replied) = timeout_at(start + next, reply(socket, kind, to, id)).await {
            return replied;
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

async fn reply(socket: &UdpSocket, kind: Kind, to: IpAddr, id: [u8; 2]) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if is_reply(&buffer[..length], kind, to, id) {
            return Ok(());
        }
    }
}

pub(super) fn request(to: IpAddr, id: [u8; 2], sequence: u16, payload: u32) -> Vec<u8> {
    let kind = if to.is_ipv4() { 8 } else { 128 };
    let mut message = vec![kind, 0, 0, 0, id[0], id[1]];
    message.extend(sequence.to_be_bytes());
    message.extend((0..payload).map(|n| (n & 0xff) as u8));
    // The kernel fills ICMPv6's in, which is over addresses that it chooses (RFC 3542 section 3.1).
    if to.is_ipv4() {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum);
    }
    message
}

fn is_reply(packet: &[u8], kind: Kind, to: IpAddr, id: [u8; 2]) -> bool {
    let skip = match (kind, to.is_ipv4(), packet.first()) {
        // RFC 791 section 3.1, IHL.
        (Kind::Raw, true, Some(first)) => usize::from(first & 0x0f) * 4,
        (Kind::Raw | Kind::Ping, _, _) => 0,
    };
    let Some([kind_of_message, 0, _, _, id0, id1, ..]) = packet.get(skip..) else { return false };
    let wanted = if to.is_ipv4() { 0 } else { 129 };
    *kind_of_message == wanted && (kind == Kind::Ping || [*id0, *id1] == id)
}

/// RFC 1071.
fn checksum(message: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = message.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

/// By `ping`, which may more than we may.
async fn by_program(
    to: IpAddr,
    from: Option<&Origin>,
    size: Option<u32>,
) -> (Outcome, Option<u32>) {
    let to_text = to.to_string();
    // ping(8): an address and an interface may both be given.
    let from = from.map(|from| (from.address.to_string(), from.device.clone()));
    let payload = size.map(|size| size.saturating_sub(headers(to)).to_string());
    let mut words = vec!["-n", "-q", "-c", "1", "-W", "2"];
    if let Some((address, device)) = &from {
        words.extend(["-I", address]);
        words.extend(device.iter().flat_map(|device| ["-I", device]));
    }
    if let Some(payload) = &payload {
        words.extend(["-M", "do", "-s", payload]);
    }
    words.push(&to_text);
    let (output, ms) =
        timed(run_within("ping", &words, PING_PATIENCE + Duration::from_secs(1))).await;
    let outcome = match output {
        Some(output) if output.status.success() => Outcome::Ok { ms },
        // ping(8): no reply at all is 1, anything else 2.
        Some(output) if output.status.code() == Some(1) => failed(Why::TimedOut, ""),
        Some(output) => {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let why = if words.contains("unreachable") { Why::Unreachable } else { Why::Other };
            failed(why, words)
        }
        None => failed(
            Why::NotPermitted,
            "no ping socket for this user, and no program `ping` that answers",
        ),
    };
    (outcome, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_answers_itself_and_a_documentation_address_does_not_answer() {
        for to in ["127.0.0.1", "::1"] {
            let echo = ping(to.parse().unwrap(), None, None).await;
            // A container may have no IPv6.
            if to == "127.0.0.1"
                || std::fs::metadata("/proc/net/if_inet6").is_ok_and(|_| has_v6_loopback())
            {
                assert!(matches!(echo.outcome, Outcome::Ok { .. }), "{to}: {echo:?}");
            }
        }
        let large = ping("127.0.0.1".parse().unwrap(), None, Some(60_000)).await;
        assert!(matches!(large.outcome, Outcome::Ok { .. }), "{large:?}");
        let strange = Origin { address: "192.0.2.7".parse().unwrap(), device: None };
        let elsewhere = ping("127.0.0.1".parse().unwrap(), Some(&strange), None).await;
        assert!(
            matches!(elsewhere.outcome, Outcome::Failed { why: Why::Unreachable, .. }),
            "{elsewhere:?}"
        );
    }

    fn has_v6_loopback() -> bool {
        std::fs::read_to_string("/proc/net/if_inet6").is_ok_and(|text| text.contains(" lo"))
    }

    #[test]
    fn checksums_are_those_of_rfc_1071() {
        // Section 3 of the RFC: the sum of these is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), [0x22, 0x0d]);
        let message = request("192.0.2.1".parse().unwrap(), [1, 2], 3, 5);
        assert_eq!(checksum(&message), [0, 0], "with its checksum it sums to nothing");
        assert_eq!(message.len(), 13);
    }

    #[test]
    fn only_replies_to_our_own_requests_count() {
        let (v4, v6) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
        let id = [1, 2];
        let raw = |kind: u8, id: [u8; 2]| {
            [&[0x45][..], &[0; 19], &[kind, 0, 0, 0, id[0], id[1], 0, 1]].concat()
        };
        assert!(is_reply(&raw(0, id), Kind::Raw, v4, id));
        assert!(!is_reply(&raw(0, [9, 9]), Kind::Raw, v4, id));
        assert!(!is_reply(&raw(8, id), Kind::Raw, v4, id), "our own request, on loopback");
        assert!(is_reply(&[0, 0, 0, 0, 7, 7, 0, 1], Kind::Ping, v4, id));
        assert!(is_reply(&[129, 0, 0, 0, 1, 2, 0, 1], Kind::Raw, v6, id));
        assert!(!is_reply(&[], Kind::Raw, v4, id) && !is_reply(&[0x4f], Kind::Raw, v4, id));
    }
}
