//! The routers on the way to an address, by echo requests of growing time to live (RFC 792). By a raw
//! socket, so as root; busybox's `traceroute` knows datagrams only, and no ICMP error about a datagram
//! passes Windows.

use super::icmp::request;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

/// How long a hop may take.
const HOP_PATIENCE: Duration = Duration::from_millis(1500);

/// Bytes of the payload, as in `traceroute`.
const PAYLOAD: u32 = 32;

/// What a packet says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// The destination replied, or its side refuses: the way ends here.
    End,
    /// A router let the request go.
    Hop,
}

/// The address of each hop, none for a silent one; the last is the destination where it answers.
///
/// # Errors
/// Raw sockets are for root, or nothing can be sent.
pub async fn trace(to: Ipv4Addr, most: u8) -> io::Result<Vec<Option<Ipv4Addr>>> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_nonblocking(true)?;
    // To tokio a socket of datagrams is one, whatever its protocol.
    let socket = UdpSocket::from_std(socket.into())?;
    let [low, high, ..] = std::process::id().to_ne_bytes();
    let id = [low, high];
    let mut hops = Vec::new();
    for ttl in 1..=most {
        SockRef::from(&socket).set_ttl_v4(ttl.into())?;
        let sequence = u16::from(ttl);
        let packet = request(IpAddr::V4(to), id, sequence, PAYLOAD);
        socket.send_to(&packet, SocketAddr::new(IpAddr::V4(to), 0)).await?;
        let heard = timeout_at(Instant::now() + HOP_PATIENCE, hear(&socket, id, sequence)).await;
        match heard {
            Ok(heard) => {
                let (from, heard) = heard?;
                hops.push(Some(from));
                if heard == Heard::End {
                    return Ok(hops);
                }
            }
            Err(_) => hops.push(None),
        }
    }
    Ok(hops)
}

async fn hear(socket: &UdpSocket, id: [u8; 2], sequence: u16) -> io::Result<(Ipv4Addr, Heard)> {
    let mut packet = [0; 1500];
    loop {
        let length = socket.recv(&mut packet).await?;
        if let Some(heard) = read(&packet[..length], id, sequence) {
            return Ok(heard);
        }
    }
}

/// What an IPv4 packet with an ICMP message says of the request of this id and sequence number.
fn read(packet: &[u8], id: [u8; 2], sequence: u16) -> Option<(Ipv4Addr, Heard)> {
    let message = payload(packet)?;
    let from = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?);
    let is_ours = |echo: &[u8]| echo.get(4..6) == Some(&id) && echo.get(6..8) == Some(&sequence.to_be_bytes());
    match *message.first()? {
        0 => is_ours(message).then_some((from, Heard::End)),
        // Destination unreachable and time exceeded quote the request.
        kind @ (3 | 11) => {
            let quoted = payload(message.get(8..)?)?;
            let heard = if kind == 11 { Heard::Hop } else { Heard::End };
            (quoted.first() == Some(&8) && is_ours(quoted)).then_some((from, heard))
        }
        _ => None,
    }
}

/// What follows the header of an IPv4 packet.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    packet.get(length..)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 packet from 192.0.2.1 with these bytes.
    fn packet(bytes: &[u8]) -> Vec<u8> {
        let header = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        [&header, bytes].concat()
    }

    #[test]
    fn replies_and_quotes_are_told_apart_from_what_is_anothers() {
        let from = Ipv4Addr::new(192, 0, 2, 1);
        let echo = |kind, sequence| [kind, 0, 0, 0, 1, 2, 0, sequence];
        let quote = |kind, sequence| [&[kind, 0, 0, 0, 0, 0, 0, 0], &packet(&echo(8, sequence))[..]].concat();
        assert_eq!(read(&packet(&echo(0, 7)), [1, 2], 7), Some((from, Heard::End)));
        assert_eq!(read(&packet(&quote(11, 7)), [1, 2], 7), Some((from, Heard::Hop)));
        assert_eq!(read(&packet(&quote(3, 7)), [1, 2], 7), Some((from, Heard::End)));
        for other in [packet(&echo(0, 6)), packet(&echo(8, 7)), packet(&quote(11, 6)), packet(&[11]), Vec::new()] {
            assert_eq!(read(&other, [1, 2], 7), None, "{other:?}");
        }
    }
}
