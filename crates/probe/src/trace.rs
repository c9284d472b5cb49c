//! The routers on the way to an address, by echo requests or connections of growing time to live
//! (RFC 792). By a raw socket, so as root; busybox's `traceroute` knows datagrams only, and no ICMP
//! error about a datagram passes Windows.

use super::icmp::request;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;
use tokio::net::{TcpSocket, UdpSocket};
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
    let socket = raw()?;
    let [low, high, ..] = std::process::id().to_ne_bytes();
    let id = [low, high];
    let mut hops = Vec::new();
    for ttl in 1..=most {
        SockRef::from(&socket).set_ttl_v4(ttl.into())?;
        let sequence = u16::from(ttl);
        let packet = request(IpAddr::V4(to), id, sequence, PAYLOAD);
        socket.send_to(&packet, SocketAddr::new(IpAddr::V4(to), 0)).await?;
        let hop = hear(&socket, |packet| read(packet, id, sequence));
        if note(&mut hops, timeout_at(Instant::now() + HOP_PATIENCE, hop).await)? == Heard::End {
            break;
        }
    }
    Ok(hops)
}

/// As [`trace`], by connections to a port.
///
/// # Errors
/// As [`trace`]'s.
pub async fn trace_tcp(to: SocketAddrV4, most: u8) -> io::Result<Vec<Option<Ipv4Addr>>> {
    let errors = raw()?;
    let mut hops = Vec::new();
    for ttl in 1..=most {
        let socket = TcpSocket::new_v4()?;
        SockRef::from(&socket).set_ttl_v4(ttl.into())?;
        socket.bind((Ipv4Addr::UNSPECIFIED, 0).into())?;
        let port = socket.local_addr()?.port();
        let error = hear(&errors, |packet| read_tcp(packet, port, to));
        let hop = async {
            tokio::select! {
                error = error => error,
                () = reaches(socket, to) => Ok((*to.ip(), Heard::End)),
            }
        };
        if note(&mut hops, timeout_at(Instant::now() + HOP_PATIENCE, hop).await)? == Heard::End {
            break;
        }
    }
    Ok(hops)
}

/// Ends when the target answers, also by a refusal.
async fn reaches(socket: TcpSocket, to: SocketAddrV4) {
    match socket.connect(to.into()).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // Who ended it is heard by the other socket.
        Err(_) => std::future::pending().await,
    }
}

/// A socket that gets every ICMP message.
fn raw() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))?;
    socket.set_nonblocking(true)?;
    // To tokio a socket of datagrams is one, whatever its protocol.
    UdpSocket::from_std(socket.into())
}

/// Adds what was heard of a hop, or that it is silent.
fn note(
    hops: &mut Vec<Option<Ipv4Addr>>,
    heard: Result<io::Result<(Ipv4Addr, Heard)>, tokio::time::error::Elapsed>,
) -> io::Result<Heard> {
    let heard = heard.ok().transpose()?;
    hops.push(heard.map(|(from, _)| from));
    Ok(heard.map_or(Heard::Hop, |(_, heard)| heard))
}

async fn hear(
    socket: &UdpSocket,
    read: impl Fn(&[u8]) -> Option<(Ipv4Addr, Heard)>,
) -> io::Result<(Ipv4Addr, Heard)> {
    let mut packet = [0; 1500];
    loop {
        let length = socket.recv(&mut packet).await?;
        if let Some(heard) = read(&packet[..length]) {
            return Ok(heard);
        }
    }
}

/// What an IPv4 packet with an ICMP message says of the request of this id and sequence number.
fn read(packet: &[u8], id: [u8; 2], sequence: u16) -> Option<(Ipv4Addr, Heard)> {
    let message = payload(packet)?;
    let from = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?);
    let is_ours = |echo: &[u8]| {
        echo.get(4..6) == Some(&id) && echo.get(6..8) == Some(&sequence.to_be_bytes())
    };
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

/// What an IPv4 packet with an ICMP error says of the connection from this port.
fn read_tcp(packet: &[u8], port: u16, to: SocketAddrV4) -> Option<(Ipv4Addr, Heard)> {
    let message = payload(packet)?;
    let from = Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(12..16)?).ok()?);
    let heard = match *message.first()? {
        11 => Heard::Hop,
        3 => Heard::End,
        _ => return None,
    };
    let quoted = message.get(8..)?;
    let is_tcp = quoted.get(9) == Some(&6) && quoted.get(16..20) == Some(&to.ip().octets());
    let ports = [port.to_be_bytes(), to.port().to_be_bytes()].concat();
    (is_tcp && payload(quoted)?.get(..4) == Some(&ports)).then_some((from, heard))
}

/// What follows the header of an IPv4 packet.
fn payload(packet: &[u8]) -> Option<&[u8]> {
    let length = usize::from(packet.first()? & 0x0f) * 4;
    packet.get(length..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_heard_of_the_connection_that_it_quotes() {
        let (from, to) =
            (Ipv4Addr::new(192, 0, 2, 1), SocketAddrV4::new(Ipv4Addr::new(203, 0, 113, 10), 80));
        let quote = |kind, protocol, to: u8, port: u8| {
            let header =
                [0x45, 0, 0, 48, 0, 0, 0, 0, 1, protocol, 0, 0, 192, 0, 2, 2, 203, 0, 113, to];
            let segment = [0x12, port, 0, 80, 0, 0, 0, 0];
            packet(&[&[kind, 0, 0, 0, 0, 0, 0, 0], &header[..], &segment].concat())
        };
        assert_eq!(read_tcp(&quote(11, 6, 10, 0x34), 0x1234, to), Some((from, Heard::Hop)));
        assert_eq!(read_tcp(&quote(3, 6, 10, 0x34), 0x1234, to), Some((from, Heard::End)));
        let others = [
            quote(0, 6, 10, 0x34),
            quote(11, 17, 10, 0x34),
            quote(11, 6, 11, 0x34),
            quote(11, 6, 10, 0x35),
        ];
        for other in others.into_iter().chain([packet(&[11]), Vec::new()]) {
            assert_eq!(read_tcp(&other, 0x1234, to), None, "{other:?}");
        }
    }

    /// An IPv4 packet from 192.0.2.1 with these bytes.
    fn packet(bytes: &[u8]) -> Vec<u8> {
        let header = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        [&header, bytes].concat()
    }

    #[test]
    fn replies_and_quotes_are_distinguished_from_those_of_other_programs() {
        let from = Ipv4Addr::new(192, 0, 2, 1);
        let echo = |kind, sequence| [kind, 0, 0, 0, 1, 2, 0, sequence];
        let quote = |kind, sequence| {
            [&[kind, 0, 0, 0, 0, 0, 0, 0], &packet(&echo(8, sequence))[..]].concat()
        };
        assert_eq!(read(&packet(&echo(0, 7)), [1, 2], 7), Some((from, Heard::End)));
        assert_eq!(read(&packet(&quote(11, 7)), [1, 2], 7), Some((from, Heard::Hop)));
        assert_eq!(read(&packet(&quote(3, 7)), [1, 2], 7), Some((from, Heard::End)));
        for other in [
            packet(&echo(0, 6)),
            packet(&echo(8, 7)),
            packet(&quote(11, 6)),
            packet(&[11]),
            Vec::new(),
        ] {
            assert_eq!(read(&other, [1, 2], 7), None, "{other:?}");
        }
    }
}
