//! Datagram sockets on Linux: the time to live of outgoing and incoming datagrams, and the error
//! queue (ip(7), `IP_RECVERR`), which says what happened to a datagram and who reported it. Knows
//! no frame and no socket's owner.

use crate::icmp;
use crate::limits::UDP_BUFFER;
use crate::plateau::{mtu_below, packet_size};
use crate::udp::{Incoming, Received};
use libc::sock_extended_err;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recv, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use rustix::net::sockopt::{self as mtu, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use wire::frame::Family;
use wire::{Fault, FaultKind, Fragments, Marks};

/// A UDP socket on its own port, for every peer.
pub(crate) struct Socket(UdpSocket, Discovery);

impl Socket {
    /// # Errors
    /// The host's error.
    pub(crate) fn open(family: Family) -> io::Result<Self> {
        let socket = match family {
            Family::V4 => std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?,
            Family::V6 => {
                let socket =
                    socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::DGRAM, None)?;
                // The VM's two families are two endpoints; a dual socket would mix them up.
                socket.set_only_v6(true)?;
                socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())?;
                socket.into()
            }
        };
        report_all(&socket, family)?;
        // The host may allow less. With less, more of a burst is lost.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(UDP_BUFFER);
        // Datagrams that came together are received together (Linux 5.0 and newer).
        if let Err(error) = setsockopt(&socket, sockopt::UdpGroSegment, &true) {
            tracing::debug!(%error, "each datagram is received by itself");
        }
        socket.set_nonblocking(true)?;
        Ok(Self(UdpSocket::from_std(socket)?, Discovery::default()))
    }

    /// Waits until [`Socket::receive`] has something.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        self.0.ready(Interest::READABLE | Interest::ERROR).await.map(drop)
    }

    /// # Errors
    /// `WouldBlock` when there is nothing. Any other is the pending error of an earlier
    /// datagram, which this clears: its details were, or will be, in the error queue.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Incoming> {
        let lost = self.0.try_io(Interest::ERROR, || Ok(receive_error(&self.0, buffer)?));
        if let Ok(lost) = lost {
            return Ok(lost.map_or(Incoming::Nothing, |Lost { peer, fault, .. }| Incoming::Lost {
                peer,
                fault,
            }));
        }
        let received = self.0.try_io(Interest::READABLE, || Ok(receive(&self.0, buffer)?))?;
        Ok(received.map_or(Incoming::Nothing, Incoming::Datagram))
    }

    /// Sends a datagram. One without room in a full buffer is lost, as on a full link.
    ///
    /// # Errors
    /// The host's own error about the path.
    pub(crate) fn send(&self, peer: SocketAddr, marks: Marks, bytes: &[u8]) -> Result<(), Fault> {
        self.1.set(&self.0, Family::of(peer.ip()), marks.fragments);
        match send(&self.0, peer, marks, bytes) {
            Ok(_) => Ok(()),
            Err(error) => refusal(error, (peer.ip(), bytes.len()), marks).map_or(Ok(()), Err),
        }
    }

    /// Sends `bytes` as datagrams of `segment` bytes each (the last may be shorter) in one call
    /// (udp(7), `UDP_SEGMENT`).
    ///
    /// # Errors
    /// No datagram was sent: the path to the peer does not take datagrams of this size
    /// whole, the kernel does not support this, or a single datagram would fail as well.
    pub(crate) fn send_segments(
        &self,
        peer: SocketAddr,
        marks: Marks,
        bytes: &[u8],
        segment: u16,
    ) -> io::Result<()> {
        self.1.set(&self.0, Family::of(peer.ip()), marks.fragments);
        send_with(&self.0, peer, marks, Some(&segment), bytes)?;
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// Waits for a datagram on a connected socket. A refusal that came back (ICMP) is an error.
///
/// # Errors
/// The socket's error.
pub(crate) async fn receive_connected(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        // A refusal wakes only tasks that wait for errors too. The receive then reports it.
        socket.ready(Interest::READABLE | Interest::ERROR).await?;
        match try_receive(socket, || recv(socket.as_raw_fd(), buffer, MsgFlags::empty())) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            received => return received,
        }
    }
}

/// Assumed if the kernel does not report the time to live of a received datagram.
const USUAL_TTL: u8 = 64;

/// The error about a datagram. The quoted part of the datagram is in the caller's buffer.
#[derive(Clone, Copy)]
pub(crate) struct Lost {
    /// The datagram's destination.
    pub(crate) peer: SocketAddr,
    /// The fault, and the host that reported it.
    pub(crate) fault: Fault,
    /// Quoted bytes in the buffer, from the header of the socket's own protocol (UDP has none here)
    /// on.
    pub(crate) length: usize,
}

/// Whether the kernel may fragment a socket's datagrams (ip(7) and ipv6(7), `IP_MTU_DISCOVER`). Set
/// only on a change, since one socket serves datagrams of both kinds.
#[derive(Default)]
pub(crate) struct Discovery(AtomicU8);

impl Discovery {
    const ALLOWED: u8 = 1;
    const FORBIDDEN: u8 = 2;

    pub(crate) fn set(&self, socket: &impl AsFd, family: Family, fragments: Fragments) {
        let wanted = match fragments {
            Fragments::Allowed => Self::ALLOWED,
            Fragments::Forbidden => Self::FORBIDDEN,
        };
        if self.0.swap(wanted, Ordering::Relaxed) == wanted {
            return;
        }
        let set = match (family, fragments) {
            // Without DF, as the VM sent it, so that any router may fragment it too.
            (Family::V4, Fragments::Allowed) => {
                mtu::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DONT)
            }
            (Family::V4, Fragments::Forbidden) => {
                mtu::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::DO)
            }
            // Only the host fragments, by the path's MTU as far as it knows it.
            (Family::V6, Fragments::Allowed) => {
                mtu::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT)
            }
            (Family::V6, Fragments::Forbidden) => {
                mtu::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::DO)
            }
        };
        if let Err(error) = set {
            tracing::debug!(%error, "whether datagrams may be fragmented cannot be set");
        }
    }
}

/// The MTU of the path to an address, as far as the kernel knows it, in bytes (ip(7), `IP_MTU`: of
/// a connected socket). Looked up only when a datagram was too big for it.
fn path_mtu(to: IpAddr) -> Option<u32> {
    let any: IpAddr =
        if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    // Sends nothing. Any port will do.
    socket.connect((to, 9)).ok()?;
    if to.is_ipv4() { mtu::ip_mtu(&socket) } else { mtu::ipv6_mtu(&socket) }.ok()
}

/// The fault to report when the host itself does not send a datagram or a ping: that of
/// [`local_fault`], or the path's MTU. A datagram that may be fragmented can only be too big for IP
/// itself, which is not a fault of the path.
pub(crate) fn refusal(error: Errno, (to, payload): (IpAddr, usize), marks: Marks) -> Option<Fault> {
    if error != Errno::EMSGSIZE {
        return local_fault(error);
    }
    let mtu = mtu_below(packet_size(to, payload), path_mtu(to));
    (marks.fragments == Fragments::Forbidden)
        .then_some(Fault { kind: FaultKind::PacketTooBig { mtu }, router: None })
}

/// Makes the kernel report the time to live and the traffic class of each datagram, and keep errors
/// in the queue.
pub(crate) fn report_all(socket: &impl AsFd, family: Family) -> nix::Result<()> {
    match family {
        Family::V4 => {
            setsockopt(socket, sockopt::Ipv4RecvErr, &true)?;
            setsockopt(socket, sockopt::IpRecvTos, &true)?;
            setsockopt(socket, sockopt::Ipv4RecvTtl, &true)
        }
        Family::V6 => {
            setsockopt(socket, sockopt::Ipv6RecvErr, &true)?;
            setsockopt(socket, sockopt::Ipv6RecvTClass, &true)?;
            setsockopt(socket, sockopt::Ipv6RecvHopLimit, &true)
        }
    }
}

/// Calls the receiving function if the socket has something, an error included. The caller must
/// wait for both first.
///
/// # Errors
/// `WouldBlock` when there was nothing, otherwise the error of `call`.
pub(crate) fn try_receive<T>(
    socket: &UdpSocket,
    mut call: impl FnMut() -> nix::Result<T>,
) -> io::Result<T> {
    // `try_io` with two interests at once finds nothing ready.
    match socket.try_io(Interest::ERROR, || Ok(call()?)) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            socket.try_io(Interest::READABLE, || Ok(call()?))
        }
        outcome => outcome,
    }
}

/// Sends a datagram with its own time to live and traffic class.
///
/// An error that came back about an earlier datagram replaces the send's own outcome, and is
/// cleared by that (ip(7), `IP_RECVERR`); its details are in the error queue. So a second try shows
/// the result for this datagram.
pub(crate) fn send(
    socket: &impl AsRawFd,
    peer: SocketAddr,
    marks: Marks,
    bytes: &[u8],
) -> nix::Result<usize> {
    send_with(socket, peer, marks, None, bytes)
}

fn send_with(
    socket: &impl AsRawFd,
    peer: SocketAddr,
    marks: Marks,
    segment: Option<&u16>,
    bytes: &[u8],
) -> nix::Result<usize> {
    let (hops, class) = (i32::from(marks.ttl), i32::from(marks.traffic_class));
    let (hop_limit, traffic_class) = match peer {
        SocketAddr::V4(_) => {
            (ControlMessage::Ipv4Ttl(&hops), ControlMessage::Ipv4Tos(&marks.traffic_class))
        }
        SocketAddr::V6(_) => {
            (ControlMessage::Ipv6HopLimit(&hops), ControlMessage::Ipv6TClass(&class))
        }
    };
    // The kernel reads each control message, so empty ones are left out.
    match (segment, class) {
        (None, 0) => send_by(socket, peer, &[hop_limit], bytes),
        (None, _) => send_by(socket, peer, &[hop_limit, traffic_class], bytes),
        (Some(size), 0) => {
            send_by(socket, peer, &[hop_limit, ControlMessage::UdpGsoSegments(size)], bytes)
        }
        (Some(size), _) => send_by(
            socket,
            peer,
            &[hop_limit, traffic_class, ControlMessage::UdpGsoSegments(size)],
            bytes,
        ),
    }
}

fn send_by(
    socket: &impl AsRawFd,
    peer: SocketAddr,
    controls: &[ControlMessage<'_>],
    bytes: &[u8],
) -> nix::Result<usize> {
    let to = SockaddrStorage::from(peer);
    let send = || {
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], controls, MsgFlags::empty(), Some(&to))
    };
    send().or_else(|_| send())
}

/// Takes one datagram off the socket, or several that came together. `None` if the sender's address
/// is of a kind that no IP socket has.
pub(crate) fn receive(socket: &impl AsRawFd, buffer: &mut [u8]) -> nix::Result<Option<Received>> {
    let mut space = nix::cmsg_space!(i32, i32, i32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::empty(),
    )?;
    let (mut marks, length) = (Marks::of_ttl(USUAL_TTL), message.bytes);
    let mut segment = length;
    for control in message.cmsgs()? {
        note(&mut marks, &mut segment, &control);
    }
    let peer = message.address.as_ref().and_then(socket_address);
    Ok(peer.map(|peer| Received { peer, marks, length, segment }))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "other control messages were not requested")]
fn note(marks: &mut Marks, segment: &mut usize, control: &ControlMessageOwned) {
    match control {
        // The kernel joins only datagrams with the same marks (`inet_gro_receive` in
        // net/ipv4/af_inet.c, `ipv6_gro_receive` in net/ipv6/ip6_offload.c).
        ControlMessageOwned::UdpGroSegments(size) => {
            *segment = usize::try_from(*size).unwrap_or(*segment);
        }
        ControlMessageOwned::Ipv4Ttl(hops) | ControlMessageOwned::Ipv6HopLimit(hops) => {
            marks.ttl = u8::try_from(*hops).unwrap_or(USUAL_TTL);
        }
        ControlMessageOwned::Ipv4Tos(class) => marks.traffic_class = *class,
        ControlMessageOwned::Ipv6TClass(class) => {
            marks.traffic_class = u8::try_from(*class).unwrap_or(0)
        }
        _ => {}
    }
}

/// Takes one error off the socket's queue. `None` for an entry that says nothing about a datagram's
/// path.
#[expect(clippy::wildcard_enum_match_arm, reason = "other control messages were not requested")]
pub(crate) fn receive_error(socket: &impl AsRawFd, buffer: &mut [u8]) -> nix::Result<Option<Lost>> {
    let mut space = nix::cmsg_space!(sock_extended_err, libc::sockaddr_in6, i32, i32);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_ERRQUEUE,
    )?;
    let fault = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4RecvErr(error, offender) => {
            let router =
                offender.map(|address| IpAddr::from(address.sin_addr.s_addr.to_ne_bytes()));
            Some((queued_fault(&error, icmp::fault4)?, router))
        }
        ControlMessageOwned::Ipv6RecvErr(error, offender) => {
            let router = offender.map(|address| IpAddr::from(address.sin6_addr.s6_addr));
            Some((queued_fault(&error, icmp::fault6)?, router))
        }
        _ => None,
    });
    let (peer, length) = (message.address.as_ref().and_then(socket_address), message.bytes);
    Ok(fault.zip(peer).map(|((kind, router), peer)| {
        let router = router.filter(|address| !address.is_unspecified());
        Lost { peer, fault: Fault { kind, router }, length }
    }))
}

/// The fault that the gateway receives when the host itself does not send a datagram; `None` if
/// nothing is known about its path.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code has the same meaning here")]
pub(crate) fn local_fault(error: Errno) -> Option<Fault> {
    let kind = match error {
        Errno::ENETUNREACH | Errno::EAFNOSUPPORT => FaultKind::NetworkUnreachable,
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => FaultKind::HostUnreachable,
        Errno::EPERM | Errno::EACCES => FaultKind::Prohibited,
        _ => return None,
    };
    Some(Fault { kind, router: None })
}

fn queued_fault(
    error: &sock_extended_err,
    of: impl Fn(u8, u8, u32) -> Option<FaultKind>,
) -> Option<FaultKind> {
    if error.ee_origin == libc::SO_EE_ORIGIN_LOCAL {
        return queued_local_fault(error);
    }
    of(error.ee_type, error.ee_code, error.ee_info)
}

/// A datagram that was too big for the host itself is in the queue as well, without its port
/// (ip_local_error in net/ipv4/ip_sockglue.c). The send has already reported it.
fn queued_local_fault(error: &sock_extended_err) -> Option<FaultKind> {
    if error.ee_errno == libc::EMSGSIZE as u32 {
        return None;
    }
    local_fault(Errno::from_raw(i32::try_from(error.ee_errno).ok()?)).map(|fault| fault.kind)
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

    fn local(errno: u32) -> sock_extended_err {
        sock_extended_err {
            ee_errno: errno,
            ee_origin: libc::SO_EE_ORIGIN_LOCAL,
            ee_type: 0,
            ee_code: 0,
            ee_pad: 0,
            ee_info: 1400,
            ee_data: 0,
        }
    }

    #[tokio::test]
    async fn datagrams_that_leave_together_are_received_together() {
        let (from, to) = (Socket::open(Family::V4).unwrap(), Socket::open(Family::V4).unwrap());
        let peer = SocketAddr::from(([127, 0, 0, 1], to.local_addr().port()));
        from.send_segments(peer, Marks::of_ttl(64), &[7; 5000], 1200).unwrap();
        to.ready().await.unwrap();
        let Ok(Incoming::Datagram(received)) = to.receive(&mut [0; 65_536]) else {
            panic!("no datagram")
        };
        assert_eq!((received.length, received.segment), (5000, 1200));
    }

    #[test]
    fn errors_of_the_host_itself_are_reported_by_errno() {
        let unreachable = local(Errno::ENETUNREACH as u32);
        assert_eq!(queued_fault(&unreachable, icmp::fault4), Some(FaultKind::NetworkUnreachable));
        let too_big = local(libc::EMSGSIZE as u32);
        let faults = (queued_fault(&too_big, icmp::fault4), queued_fault(&too_big, icmp::fault6));
        assert_eq!(faults, (None, None), "the send has reported it");
        assert_eq!(local_fault(Errno::EAGAIN), None);
    }
}
