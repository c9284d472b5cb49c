//! Datagram sockets on Windows: the time to live of outgoing and incoming datagrams. Windows
//! reports errors to an unconnected socket without naming the datagram, so that is switched off:
//! otherwise one peer's refusal would count as an error of the socket. Knows no frame and no
//! socket's owner.

use super::errors::local_fault;
use super::win32::sockets;
use crate::limits::UDP_BUFFER;
use crate::plateau::{mtu_below, packet_size};
use crate::udp::{Incoming, Received};
use socket2::{Domain, SockRef, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use wire::frame::Family;
use wire::{Fault, FaultKind, Fragments, Marks};

/// Assumed if Windows does not report the time to live of a received datagram.
const USUAL_TTL: u8 = 64;

/// The least MTU of a path, in bytes (RFC 8200 section 5).
const LEAST_MTU: usize = 1280;

/// A UDP socket on its own port, for every peer.
pub(crate) struct Socket {
    socket: UdpSocket,
    receive: sockets::ReceiveMessage,
    /// The socket's current time to live.
    ttl: AtomicU8,
    ecn: Ecn,
    /// Whether the socket allows fragmentation: 0 unset, 1 allowed, 2 forbidden.
    fragments: AtomicU8,
}

/// Whether this Windows carries ECN codepoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ecn {
    Carried,
    Unknown,
}

impl Socket {
    /// # Errors
    /// The host's error.
    pub(crate) fn open(family: Family) -> io::Result<Self> {
        let (domain, any) = match family {
            Family::V4 => (Domain::IPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            Family::V6 => (Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let socket = socket2::Socket::new(domain, Type::DGRAM, None)?;
        if family == Family::V6 {
            // The VM's two families are two endpoints; a dual socket would mix them up.
            socket.set_only_v6(true)?;
        }
        sockets::ignore_icmp_errors(&socket)?;
        // Without it each datagram seems to have the usual time to live.
        if let Err(error) = sockets::report_ttl(&socket, family) {
            tracing::debug!(%error, "the time to live of received datagrams is not reported");
        }
        let ecn = match sockets::report_ecn(&socket, family) {
            Ok(()) => Ecn::Carried,
            Err(_) => Ecn::Unknown,
        };
        // The host may allow less. With less, more of a burst is lost.
        let _ = socket.set_recv_buffer_size(UDP_BUFFER);
        socket.bind(&any.into())?;
        socket.set_nonblocking(true)?;
        let receive = sockets::ReceiveMessage::of(&socket)?;
        Ok(Self {
            socket: UdpSocket::from_std(socket.into())?,
            receive,
            ttl: AtomicU8::new(0),
            ecn,
            fragments: AtomicU8::new(0),
        })
    }

    /// Waits until [`Socket::receive`] has something.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        self.socket.ready(Interest::READABLE | Interest::ERROR).await.map(drop)
    }

    /// # Errors
    /// `WouldBlock` when there is nothing, otherwise the socket's error.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Incoming> {
        let received =
            self.socket.try_io(Interest::READABLE, || self.receive.call(&self.socket, buffer));
        match received {
            Ok(message) => Ok(Incoming::Datagram(Received {
                peer: message.peer,
                marks: Marks {
                    traffic_class: message.ecn,
                    ..Marks::of_ttl(message.ttl.unwrap_or(USUAL_TTL))
                },
                length: message.length,
                segment: message.length,
            })),
            // WSAECONNRESET, WSAENETRESET: an ICMP error, if switching them off had no effect.
            // WSAEMSGSIZE: larger than any datagram.
            Err(error) if matches!(error.raw_os_error(), Some(10054 | 10052 | 10040)) => {
                Ok(Incoming::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    /// Sends a datagram. One without room in a full buffer is lost, as on a full link.
    ///
    /// # Errors
    /// The host's own error about the path.
    pub(crate) fn send(&self, peer: SocketAddr, marks: Marks, bytes: &[u8]) -> Result<(), Fault> {
        self.prepare(peer, marks);
        // Windows leaves the DSCP to policies and to qWAVE.
        let sent = match (self.ecn, marks.traffic_class & 3) {
            (Ecn::Unknown, _) | (Ecn::Carried, 0) => {
                SockRef::from(&self.socket).send_to(bytes, &peer.into()).map(drop)
            }
            (Ecn::Carried, ecn) => {
                sockets::send_with(&self.socket, peer, &[sockets::ecn(peer, ecn)], bytes)
            }
        };
        match sent {
            Ok(()) => Ok(()),
            Err(error) => error
                .raw_os_error()
                .and_then(|code| refusal(code, (peer.ip(), bytes.len()), marks))
                .map_or(Ok(()), Err),
        }
    }

    /// Sets the marks that are the socket's own.
    fn prepare(&self, peer: SocketAddr, marks: Marks) {
        let (socket, ttl) = (SockRef::from(&self.socket), marks.ttl);
        self.set_fragments(Family::of(peer.ip()), marks.fragments);
        if self.ttl.swap(ttl, Ordering::Relaxed) != ttl {
            let hops = u32::from(ttl.max(1));
            let set = if peer.is_ipv4() {
                socket.set_ttl_v4(hops)
            } else {
                socket.set_unicast_hops_v6(hops)
            };
            if let Err(error) = set {
                tracing::debug!(%error, ttl, "the time to live cannot be set");
            }
        }
    }

    fn set_fragments(&self, family: Family, fragments: Fragments) {
        let wanted = match fragments {
            Fragments::Allowed => 1,
            Fragments::Forbidden => 2,
        };
        if self.fragments.swap(wanted, Ordering::Relaxed) != wanted
            && let Err(error) = sockets::set_fragments(&self.socket, family, fragments)
        {
            tracing::debug!(%error, ?fragments, "whether datagrams may be fragmented cannot be set");
        }
    }

    /// Sends `bytes` as datagrams of `segment` bytes each (the last may be shorter) in one call, if
    /// they are so small that no path needs to fragment them.
    ///
    /// # Errors
    /// No datagram was sent: this Windows does not support it, or a single datagram would fail as
    /// well.
    pub(crate) fn send_segments(
        &self,
        peer: SocketAddr,
        marks: Marks,
        bytes: &[u8],
        segment: u16,
    ) -> io::Result<()> {
        if packet_size(peer.ip(), segment.into()) > LEAST_MTU || !sockets::takes_segments() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.prepare(peer, marks);
        let segments = sockets::segments(segment);
        match (self.ecn, marks.traffic_class & 3) {
            (Ecn::Unknown, _) | (Ecn::Carried, 0) => {
                sockets::send_with(&self.socket, peer, &[segments], bytes)
            }
            (Ecn::Carried, ecn) => {
                let ecn = sockets::ecn(peer, ecn);
                sockets::send_with(&self.socket, peer, &[segments, ecn], bytes)
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }
}

/// WSAEMSGSIZE
const TOO_BIG: i32 = 10040;

/// The fault to report when the host itself does not send a datagram: that of [`local_fault`], or
/// the path's MTU. A datagram that may be fragmented can only be too big for IP itself, which is
/// not a fault of the path.
fn refusal(code: i32, (to, payload): (IpAddr, usize), marks: Marks) -> Option<Fault> {
    if code != TOO_BIG {
        return local_fault(code);
    }
    let mtu = mtu_below(packet_size(to, payload), sockets::path_mtu(to));
    (marks.fragments == Fragments::Forbidden)
        .then_some(Fault { kind: FaultKind::PacketTooBig { mtu }, router: None })
}

/// Waits for a datagram on a connected socket. A refusal that came back (ICMP) is an error.
///
/// # Errors
/// The socket's error.
pub(crate) async fn receive_connected(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    socket.recv(buffer).await
}
