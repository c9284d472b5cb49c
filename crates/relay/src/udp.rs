//! UDP: one unconnected socket per source endpoint of the VM, used for every peer (endpoint-independent mapping, RFC 4787
//! section 4.1), and the ICMP errors that come back about its datagrams.
//!
//! A small task per socket receives; its events go through one bounded channel to the engine. When the engine is behind, the
//! datagrams wait in the sockets' own buffers, and the kernel drops what does not fit there, as UDP allows.

use nix::errno::Errno;
use nix::libc::sock_extended_err;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use wire::frame::Family;
use wire::{BindId, Fault, FaultKind};

/// Datagrams between the sockets' tasks and the engine: at most 16 MiB when all are of the largest size.
const EVENTS: usize = 256;

/// The largest UDP payload over IPv4 (RFC 768, RFC 791), and one byte more to hold the largest over IPv6.
const LARGEST: usize = 65_536;

/// Assumed where the kernel does not tell the time to live of a received datagram.
const USUAL_TTL: u8 = 64;

/// What a socket has for the gateway.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A datagram came in.
    Datagram { bind: BindId, peer: SocketAddr, ttl: u8, bytes: Vec<u8> },
    /// A datagram to `peer` did not arrive.
    Error { bind: BindId, peer: SocketAddr, fault: Fault },
}

/// All UDP sockets of the relay.
pub(crate) struct Binds {
    sockets: HashMap<BindId, Bind>,
    events: mpsc::Sender<Event>,
}

struct Bind {
    socket: Arc<UdpSocket>,
    receiving: AbortHandle,
}

impl Drop for Bind {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

impl Binds {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Event>) {
        let (events, receiver) = mpsc::channel(EVENTS);
        (Self { sockets: HashMap::new(), events }, receiver)
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Opens a socket. One that has the id already is replaced.
    pub(crate) fn bind(&mut self, bind: BindId, family: Family) -> io::Result<()> {
        let socket = Arc::new(UdpSocket::from_std(open(family)?)?);
        let receiving = tokio::spawn(receive(bind, Arc::clone(&socket), self.events.clone())).abort_handle();
        self.sockets.insert(bind, Bind { socket, receiving });
        Ok(())
    }

    pub(crate) fn unbind(&mut self, bind: BindId) {
        self.sockets.remove(&bind);
    }

    /// Sends a datagram. `Some` when the host itself refuses it; a full socket buffer drops it silently, as a full link would.
    pub(crate) fn send(&mut self, bind: BindId, peer: SocketAddr, ttl: u8, bytes: &[u8]) -> Option<Event> {
        let socket = &self.sockets.get(&bind)?.socket;
        // An error that came back about an earlier datagram is reported in place of the send's own outcome, and is cleared by
        // that (ip(7), IP_RECVERR); its details are in the error queue. So one more try says how this datagram fares.
        let outcome = send(socket, peer, ttl, bytes).or_else(|_| send(socket, peer, ttl, bytes));
        let kind = local_fault(outcome.err()?)?;
        Some(Event::Error { bind, peer, fault: Fault { kind, router: None } })
    }
}

fn open(family: Family) -> io::Result<std::net::UdpSocket> {
    let socket = match family {
        Family::V4 => {
            let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
            setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
            setsockopt(&socket, sockopt::Ipv4RecvTtl, &true)?;
            socket
        }
        Family::V6 => {
            let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None)?;
            // The VM's two families are two endpoints; a dual socket would mix them up.
            socket.set_only_v6(true)?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
            let socket = std::net::UdpSocket::from(socket);
            setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
            setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true)?;
            socket
        }
    };
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn send(socket: &UdpSocket, peer: SocketAddr, ttl: u8, bytes: &[u8]) -> nix::Result<usize> {
    let hops = i32::from(ttl);
    let control = match peer {
        SocketAddr::V4(_) => ControlMessage::Ipv4Ttl(&hops),
        SocketAddr::V6(_) => ControlMessage::Ipv6HopLimit(&hops),
    };
    let to = SockaddrStorage::from(peer);
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &[control], MsgFlags::empty(), Some(&to))
}

/// What the gateway is told when the host itself does not send a datagram; `None` where nothing is known of its way.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code has the same meaning here")]
fn local_fault(error: Errno) -> Option<FaultKind> {
    match error {
        Errno::ENETUNREACH | Errno::EAFNOSUPPORT => Some(FaultKind::NetworkUnreachable),
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => Some(FaultKind::HostUnreachable),
        Errno::EPERM | Errno::EACCES => Some(FaultKind::Prohibited),
        Errno::EMSGSIZE => Some(FaultKind::PacketTooBig { mtu: 0 }),
        _ => None,
    }
}

async fn receive(bind: BindId, socket: Arc<UdpSocket>, events: mpsc::Sender<Event>) {
    while socket.ready(Interest::READABLE | Interest::ERROR).await.is_ok() {
        // An idle socket keeps nothing but itself: the buffer lives as long as there is something to receive.
        let mut buffer = vec![0; LARGEST];
        loop {
            let error = socket.try_io(Interest::ERROR, || Ok(receive_error(bind, &socket, &mut buffer)?));
            // What a receive reports besides "nothing more" is the pending error of an earlier datagram, which this clears: its
            // details were, or will be, in the error queue.
            let event = match error
                .or_else(|_| socket.try_io(Interest::READABLE, || Ok(receive_datagram(bind, &socket, &mut buffer)?)))
            {
                Ok(event) => event,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => continue,
            };
            if let Some(event) = event
                && events.send(event).await.is_err()
            {
                return;
            }
        }
    }
}

fn receive_datagram(bind: BindId, socket: &UdpSocket, buffer: &mut [u8]) -> nix::Result<Option<Event>> {
    let mut space = nix::cmsg_space!(i32, i32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let ttl = message.cmsgs()?.find_map(|control| hops(&control)).unwrap_or(USUAL_TTL);
    let (peer, length) = (message.address.as_ref().and_then(socket_address), message.bytes);
    Ok(peer.map(|peer| Event::Datagram { bind, peer, ttl, bytes: buffer[..length].to_vec() }))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other control messages were not asked for")]
fn hops(control: &ControlMessageOwned) -> Option<u8> {
    match control {
        ControlMessageOwned::Ipv4Ttl(hops) | ControlMessageOwned::Ipv6HopLimit(hops) => u8::try_from(*hops).ok(),
        _ => None,
    }
}

/// Takes one error off the socket's queue: the address that the datagram went to, what happened, and who said so. `None` is an
/// entry that says nothing about a datagram's way.
#[expect(clippy::wildcard_enum_match_arm, reason = "other control messages were not asked for")]
fn receive_error(bind: BindId, socket: &UdpSocket, buffer: &mut [u8]) -> nix::Result<Option<Event>> {
    let mut space = nix::cmsg_space!(sock_extended_err, nix::libc::sockaddr_in6, i32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_ERRQUEUE)?;
    let fault = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, offender) => {
            let router = offender.map(|address| IpAddr::from(address.sin_addr.s_addr.to_ne_bytes()));
            Some((icmp4_fault(&error)?, router))
        }
        ControlMessageOwned::Ipv6RecvErr(error, offender) => {
            let router = offender.map(|address| IpAddr::from(address.sin6_addr.s6_addr));
            Some((icmp6_fault(&error)?, router))
        }
        _ => None,
    });
    let peer = message.address.as_ref().and_then(socket_address);
    Ok(fault.zip(peer).map(|((kind, router), peer)| {
        let router = router.filter(|address| !address.is_unspecified());
        Event::Error { bind, peer, fault: Fault { kind, router } }
    }))
}

/// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1.
fn icmp4_fault(error: &sock_extended_err) -> Option<FaultKind> {
    if error.ee_origin == nix::libc::SO_EE_ORIGIN_LOCAL {
        return local_fault(Errno::from_raw(i32::try_from(error.ee_errno).ok()?));
    }
    Some(match (error.ee_type, error.ee_code) {
        (3, 0 | 6 | 8 | 11) => FaultKind::NetworkUnreachable,
        (3, 1 | 5 | 7 | 12) => FaultKind::HostUnreachable,
        (3, 2) => FaultKind::ProtocolUnreachable,
        (3, 3) => FaultKind::PortUnreachable,
        (3, 4) => FaultKind::PacketTooBig { mtu: error.ee_info },
        (3, _) => FaultKind::Prohibited,
        (11, _) => FaultKind::TimeExceeded,
        _ => return None,
    })
}

/// RFC 4443 section 3.
fn icmp6_fault(error: &sock_extended_err) -> Option<FaultKind> {
    if error.ee_origin == nix::libc::SO_EE_ORIGIN_LOCAL {
        return local_fault(Errno::from_raw(i32::try_from(error.ee_errno).ok()?));
    }
    Some(match (error.ee_type, error.ee_code) {
        (1, 0) => FaultKind::NetworkUnreachable,
        (1, 2 | 3) => FaultKind::HostUnreachable,
        (1, 4) => FaultKind::PortUnreachable,
        (1, _) => FaultKind::Prohibited,
        (2, _) => FaultKind::PacketTooBig { mtu: error.ee_info },
        (3, _) => FaultKind::TimeExceeded,
        _ => return None,
    })
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    match address.as_sockaddr_in() {
        Some(v4) => Some(SocketAddr::V4((*v4).into())),
        None => address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn icmp(kind: u8, code: u8, info: u32) -> sock_extended_err {
        sock_extended_err {
            ee_errno: 0,
            ee_origin: 2,
            ee_type: kind,
            ee_code: code,
            ee_pad: 0,
            ee_info: info,
            ee_data: 0,
        }
    }

    #[test]
    fn icmp_codes_keep_their_meaning() {
        assert_eq!(icmp4_fault(&icmp(3, 3, 0)), Some(FaultKind::PortUnreachable));
        assert_eq!(icmp4_fault(&icmp(3, 4, 1400)), Some(FaultKind::PacketTooBig { mtu: 1400 }));
        assert_eq!(icmp4_fault(&icmp(3, 13, 0)), Some(FaultKind::Prohibited));
        assert_eq!(icmp4_fault(&icmp(11, 0, 0)), Some(FaultKind::TimeExceeded));
        assert_eq!(icmp4_fault(&icmp(12, 0, 0)), None);
        assert_eq!(icmp6_fault(&icmp(1, 0, 0)), Some(FaultKind::NetworkUnreachable));
        assert_eq!(icmp6_fault(&icmp(1, 4, 0)), Some(FaultKind::PortUnreachable));
        assert_eq!(icmp6_fault(&icmp(2, 0, 1280)), Some(FaultKind::PacketTooBig { mtu: 1280 }));
        assert_eq!(icmp6_fault(&icmp(3, 0, 0)), Some(FaultKind::TimeExceeded));
    }

    #[test]
    fn errors_of_the_host_itself_are_told_by_their_errno() {
        let local = sock_extended_err { ee_origin: 1, ee_errno: Errno::ENETUNREACH as u32, ..icmp(0, 0, 0) };
        assert_eq!(icmp4_fault(&local), Some(FaultKind::NetworkUnreachable));
        assert_eq!(local_fault(Errno::EAGAIN), None);
    }

    #[tokio::test]
    async fn an_earlier_datagrams_error_does_not_eat_the_next_datagram() {
        let (mut binds, _events) = Binds::new();
        binds.bind(BindId(1), Family::V4).unwrap();
        let live = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        live.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // Nothing is awaited between the two, so the receiving task cannot take the error away first.
        assert_eq!(binds.send(BindId(1), closed, 64, b"lost"), None);
        assert_eq!(binds.send(BindId(1), live.local_addr().unwrap(), 64, b"kept"), None);
        let mut buffer = [0; 10];
        assert_eq!(live.recv(&mut buffer).unwrap(), 4);
    }
}
