//! Socket calls that socket2 lacks: datagrams with their time to live and ECN, the fragmentation
//! setting, the MTU of a path, and switching off errors of unconnected sockets.

use super::addresses::socket_address;
use std::ffi::c_void;
use std::io;
use std::mem::{size_of, size_of_val};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::windows::io::AsRawSocket;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use windows_sys::Win32::Networking::WinSock::{
    AF_INET6, CMSGHDR, IP_DONTFRAGMENT, IP_ECN, IP_MTU, IP_MTU_DISCOVER, IP_PMTUDISC_DO,
    IP_PMTUDISC_DONT, IP_PMTUDISC_NOT_SET, IP_RECVECN, IP_RECVTTL, IP_TTL, IPPROTO_IP,
    IPPROTO_IPV6, IPPROTO_UDP, IPV6_DONTFRAG, IPV6_ECN, IPV6_HOPLIMIT, IPV6_MTU, IPV6_MTU_DISCOVER,
    IPV6_RECVECN, LPFN_WSARECVMSG, SIO_ADDRESS_LIST_CHANGE, SIO_GET_EXTENSION_FUNCTION_POINTER,
    SIO_UDP_CONNRESET, SIO_UDP_NETRESET, SOCKADDR, SOCKADDR_IN6, SOCKADDR_STORAGE, SOCKET,
    UDP_SEND_MSG_SIZE, WSABUF, WSAGetLastError, WSAID_WSARECVMSG, WSAIoctl, WSAMSG, WSASendMsg,
    getsockopt, setsockopt,
};
use wire::Fragments;
use wire::frame::Family;

fn raw(socket: &impl AsRawSocket) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}

fn last_error() -> io::Error {
    // SAFETY: it takes nothing and reads the thread's own error code.
    io::Error::from_raw_os_error(unsafe { WSAGetLastError() })
}

/// Switches off the report of ICMP errors. Otherwise a receive fails when some earlier datagram was
/// refused (`SIO_UDP_CONNRESET`) or ran out of hops (`SIO_UDP_NETRESET`).
///
/// # Errors
/// Windows' error about the first; the second does not exist everywhere.
pub(crate) fn ignore_icmp_errors(socket: &impl AsRawSocket) -> io::Result<()> {
    let set = |code: u32| {
        let (off, mut returned) = (0_u32, 0);
        // SAFETY: the input is a BOOL of 4 bytes that outlives the call, there is no output, and
        // the call is not overlapped.
        let failed = unsafe {
            WSAIoctl(
                raw(socket),
                code,
                (&raw const off).cast(),
                4,
                null_mut(),
                0,
                &raw mut returned,
                null_mut(),
                None,
            )
        };
        if failed == 0 { Ok(()) } else { Err(last_error()) }
    };
    // Only a hint: errors that are still reported are skipped.
    let _ = set(SIO_UDP_NETRESET);
    set(SIO_UDP_CONNRESET)
}

/// Makes each received datagram carry its time to live (`IP_RECVTTL`, `IPV6_HOPLIMIT`).
///
/// # Errors
/// Windows' error.
pub(crate) fn report_ttl(socket: &impl AsRawSocket, family: Family) -> io::Result<()> {
    let (level, option) = match family {
        Family::V4 => (IPPROTO_IP, IP_RECVTTL),
        Family::V6 => (IPPROTO_IPV6, IPV6_HOPLIMIT),
    };
    set_option(socket, level, option, 1)
}

/// Makes each received datagram carry its ECN codepoint (`IP_RECVECN`, `IPV6_RECVECN`, which
/// `WSASetRecvIPEcn` of ws2tcpip.h sets). A Windows that supports these also accepts a codepoint
/// for sending.
///
/// # Errors
/// This Windows is older than Windows 11 and Windows Server 2022.
pub(crate) fn report_ecn(socket: &impl AsRawSocket, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_option(socket, IPPROTO_IP, IP_RECVECN, 1),
        Family::V6 => set_option(socket, IPPROTO_IPV6, IPV6_RECVECN, 1),
    }
}

/// A control message of four bytes of data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ControlMessage {
    level: i32,
    kind: i32,
    data: i32,
}

/// The ECN codepoint of a datagram (RFC 3168 section 5).
pub(crate) fn ecn(peer: SocketAddr, ecn: u8) -> ControlMessage {
    let (level, kind) =
        if peer.is_ipv4() { (IPPROTO_IP, IP_ECN) } else { (IPPROTO_IPV6, IPV6_ECN) };
    ControlMessage { level, kind, data: ecn.into() }
}

/// Bytes of each datagram that a send makes of its bytes; the last may be shorter (Microsoft,
/// "IPPROTO_UDP socket options", UDP_SEND_MSG_SIZE: as a control message for one send).
pub(crate) fn segments(size: u16) -> ControlMessage {
    ControlMessage { level: IPPROTO_UDP, kind: UDP_SEND_MSG_SIZE, data: size.into() }
}

/// Whether this Windows makes several datagrams of one send (Windows 10 version 2004 and newer).
/// An older one would ignore the control message, and send one datagram.
pub(crate) fn takes_segments() -> bool {
    static TAKES: OnceLock<bool> = OnceLock::new();
    *TAKES.get_or_init(|| {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        socket.is_ok_and(|socket| set_option(&socket, IPPROTO_UDP, UDP_SEND_MSG_SIZE, 1200).is_ok())
    })
}

/// Sends bytes with control messages, at most two, on a non-blocking socket.
///
/// # Errors
/// Windows' error.
pub(crate) fn send_with(
    socket: &impl AsRawSocket,
    peer: SocketAddr,
    messages: &[ControlMessage],
    bytes: &[u8],
) -> io::Result<()> {
    let address = socket2::SockAddr::from(peer);
    let mut control = Control([0; 64]);
    let length = put_controls(&mut control, messages);
    let mut buffers = [WSABUF {
        len: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        buf: bytes.as_ptr().cast_mut(),
    }];
    let message = WSAMSG {
        name: address.as_ptr().cast_mut().cast::<SOCKADDR>(),
        namelen: address.len(),
        lpBuffers: buffers.as_mut_ptr(),
        dwBufferCount: 1,
        Control: WSABUF { len: length, buf: control.0.as_mut_ptr() },
        dwFlags: 0,
    };
    let mut sent = 0;
    // SAFETY: everything that `message` points to is valid for the lengths given, is only read, and
    // outlives the call, which is not overlapped.
    let failed =
        unsafe { WSASendMsg(raw(socket), &raw const message, 0, &raw mut sent, null_mut(), None) };
    if failed == 0 { Ok(()) } else { Err(last_error()) }
}

/// Writes control messages, as many as there is room for; returns their size.
fn put_controls(control: &mut Control, messages: &[ControlMessage]) -> u32 {
    const HEADER: usize = size_of::<CMSGHDR>();
    let size = (HEADER + 4).next_multiple_of(align_of::<CMSGHDR>());
    let mut filled = 0;
    for (place, message) in control.0.chunks_exact_mut(size).zip(messages) {
        let length = (HEADER + 4).to_ne_bytes();
        place[..length.len()].copy_from_slice(&length);
        let ControlMessage { level, kind, data } = *message;
        for (at, word) in [(length.len(), level), (length.len() + 4, kind), (HEADER, data)] {
            place[at..at + 4].copy_from_slice(&word.to_ne_bytes());
        }
        filled += size as u32;
    }
    filled
}

fn set_option(socket: &impl AsRawSocket, level: i32, option: i32, value: i32) -> io::Result<()> {
    let value = value.to_ne_bytes();
    // SAFETY: the value is 4 bytes that outlive the call.
    let failed = unsafe { setsockopt(raw(socket), level, option, value.as_ptr(), 4) };
    if failed == 0 { Ok(()) } else { Err(last_error()) }
}

/// Sets whether the socket's datagrams may be fragmented. If not, a send of more than the path's
/// MTU fails with WSAEMSGSIZE (Microsoft: "IPPROTO_IP socket options", "IPPROTO_IPV6 socket
/// options").
///
/// # Errors
/// Windows' error about `IP_DONTFRAGMENT` or `IPV6_DONTFRAG`. `IP_MTU_DISCOVER` is
/// younger: without it a send fails only if the adapter's own MTU is smaller.
pub(crate) fn set_fragments(
    socket: &impl AsRawSocket,
    family: Family,
    fragments: Fragments,
) -> io::Result<()> {
    let (level, ban, discover) = match family {
        Family::V4 => (IPPROTO_IP, IP_DONTFRAGMENT, IP_MTU_DISCOVER),
        Family::V6 => (IPPROTO_IPV6, IPV6_DONTFRAG, IPV6_MTU_DISCOVER),
    };
    let (banned, state) = match (fragments, family) {
        (Fragments::Forbidden, _) => (1, IP_PMTUDISC_DO),
        (Fragments::Allowed, Family::V4) => (0, IP_PMTUDISC_DONT),
        // Only the host fragments, by its knowledge of the path.
        (Fragments::Allowed, Family::V6) => (0, IP_PMTUDISC_NOT_SET),
    };
    let set = set_option(socket, level, ban, banned);
    let _ = set_option(socket, level, discover, state);
    set
}

/// The MTU of the path to an address, in bytes, as Windows estimates it (`IP_MTU`, `IPV6_MTU`: of a
/// connected socket), or else the MTU of the adapter. `None` if neither is known.
pub(crate) fn path_mtu(to: IpAddr) -> Option<u32> {
    let any: IpAddr =
        if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = std::net::UdpSocket::bind((any, 0)).ok()?;
    // Sends nothing. Any port will do.
    socket.connect((to, 9)).ok()?;
    let (level, option) =
        if to.is_ipv4() { (IPPROTO_IP, IP_MTU) } else { (IPPROTO_IPV6, IPV6_MTU) };
    let (mut mtu, mut size) = (0_u32, 4);
    // SAFETY: the value has the 4 bytes that `size` says, and both outlive the call.
    let failed =
        unsafe { getsockopt(raw(&socket), level, option, (&raw mut mtu).cast(), &raw mut size) };
    if failed == 0 && mtu > 0 { Some(mtu) } else { adapter_mtu(socket.local_addr().ok()?.ip()) }
}

/// The MTU of the adapter that has an address.
fn adapter_mtu(address: IpAddr) -> Option<u32> {
    let adapters = super::adapters::adapters().ok()?;
    let has =
        |adapter: &super::adapters::Adapter| adapter.addresses.iter().any(|(of, _)| *of == address);
    adapters.into_iter().find(has).map(|adapter| adapter.mtu)
}

/// Waits until the list of the host's addresses changes (`SIO_ADDRESS_LIST_CHANGE`) on a blocking
/// socket.
///
/// # Errors
/// Windows' error. Then it reports no changes.
pub(crate) fn wait_for_address_change(socket: &impl AsRawSocket) -> io::Result<()> {
    let mut returned = 0;
    // SAFETY: neither input nor output; the socket blocks, and the call is not overlapped.
    let failed = unsafe {
        WSAIoctl(
            raw(socket),
            SIO_ADDRESS_LIST_CHANGE,
            null(),
            0,
            null_mut(),
            0,
            &raw mut returned,
            null_mut(),
            None,
        )
    };
    if failed == 0 { Ok(()) } else { Err(last_error()) }
}

/// A received datagram.
pub(crate) struct Message {
    pub(crate) peer: SocketAddr,
    /// If Windows reports it.
    pub(crate) ttl: Option<u8>,
    /// The ECN codepoint; 0 if Windows does not report it.
    pub(crate) ecn: u8,
    pub(crate) length: usize,
}

/// `WSARecvMsg`, which the socket itself returns.
#[derive(Clone, Copy)]
pub(crate) struct ReceiveMessage(LPFN_WSARECVMSG);

/// Room for the two control messages requested.
#[repr(C, align(8))]
struct Control([u8; 64]);

impl ReceiveMessage {
    /// # Errors
    /// The socket's provider has no such function.
    pub(crate) fn of(socket: &impl AsRawSocket) -> io::Result<Self> {
        let (id, mut function, mut returned) = (WSAID_WSARECVMSG, None, 0);
        let function_size = size_of::<LPFN_WSARECVMSG>() as u32;
        // SAFETY: the input is a GUID and the output a function pointer (null is `None`), both of
        // the sizes given; the call is not overlapped.
        let failed = unsafe {
            WSAIoctl(
                raw(socket),
                SIO_GET_EXTENSION_FUNCTION_POINTER,
                (&raw const id).cast(),
                size_of_val(&id) as u32,
                (&raw mut function).cast::<c_void>(),
                function_size,
                &raw mut returned,
                null_mut(),
                None,
            )
        };
        if failed == 0 { Ok(Self(function)) } else { Err(last_error()) }
    }

    /// Takes a datagram off a non-blocking socket.
    ///
    /// # Errors
    /// Windows' error: `WouldBlock` when there is none.
    pub(crate) fn call(self, socket: &impl AsRawSocket, buffer: &mut [u8]) -> io::Result<Message> {
        let Some(receive) = self.0 else { return Err(io::ErrorKind::Unsupported.into()) };
        let mut address = SOCKADDR_STORAGE::default();
        let mut control = Control([0; 64]);
        let mut buffers = [WSABUF {
            len: u32::try_from(buffer.len()).unwrap_or(u32::MAX),
            buf: buffer.as_mut_ptr(),
        }];
        let mut message = WSAMSG {
            name: (&raw mut address).cast::<SOCKADDR>(),
            namelen: size_of::<SOCKADDR_STORAGE>() as i32,
            lpBuffers: buffers.as_mut_ptr(),
            dwBufferCount: 1,
            Control: WSABUF { len: control.0.len() as u32, buf: control.0.as_mut_ptr() },
            dwFlags: 0,
        };
        let mut length = 0;
        // SAFETY: everything that `message` points to is valid for the lengths given and outlives
        // the call, which is not overlapped.
        let failed =
            unsafe { receive(raw(socket), &raw mut message, &raw mut length, null_mut(), None) };
        if failed != 0 {
            return Err(last_error());
        }
        let filled = (message.Control.len as usize).min(control.0.len());
        // SAFETY: every bit pattern is a valid SOCKADDR_STORAGE, and so is every address laid over
        // it.
        let peer = unsafe { socket_address((&raw const address).cast()) };
        let peer = peer.ok_or(io::ErrorKind::InvalidData)?;
        let (ttl, ecn) = marks_in(&control.0[..filled]);
        Ok(Message { peer, ttl, ecn, length: length as usize })
    }
}

/// The time to live and the ECN codepoint among control messages. Each consists of a header, four
/// bytes of padding where they are due, and its data.
fn marks_in(mut control: &[u8]) -> (Option<u8>, u8) {
    let (mut ttl, mut ecn) = (None, 0);
    const HEADER: usize = size_of::<CMSGHDR>();
    while control.len() >= HEADER + 4 {
        let word = |at: usize| i32::from_ne_bytes(std::array::from_fn(|n| control[at + n]));
        let length = usize::from_ne_bytes(std::array::from_fn(|n| control[n]));
        let (level, kind) = (word(size_of::<usize>()), word(size_of::<usize>() + 4));
        match (level, kind) {
            (IPPROTO_IP, IP_TTL | IP_RECVTTL) | (IPPROTO_IPV6, IPV6_HOPLIMIT) => {
                ttl = u8::try_from(word(HEADER)).ok()
            }
            (IPPROTO_IP, IP_ECN) | (IPPROTO_IPV6, IPV6_ECN) => ecn = (word(HEADER) & 3) as u8,
            _ => {}
        }
        let next = length.max(HEADER).checked_next_multiple_of(align_of::<CMSGHDR>());
        let Some(rest) = next.and_then(|next| control.get(next..)) else { break };
        control = rest;
    }
    (ttl, ecn)
}

/// An IPv6 socket address in Windows' form.
pub(super) fn to_sockaddr6(address: Ipv6Addr) -> SOCKADDR_IN6 {
    let mut sockaddr = SOCKADDR_IN6 { sin6_family: AF_INET6, ..SOCKADDR_IN6::default() };
    sockaddr.sin6_addr.u.Byte = address.octets();
    sockaddr
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: i32) -> Vec<u8> {
        let mut control = Control([0; 64]);
        let length = put_controls(&mut control, &[ControlMessage { level, kind, data }]);
        control.0[..length as usize].to_vec()
    }

    fn hops(control: &[u8]) -> Option<u8> {
        marks_in(control).0
    }

    #[test]
    fn the_codepoint_is_found_beside_the_time_to_live_and_one_that_is_sent_has_the_same_form() {
        let (hops, ecn) = (message(IPPROTO_IP, IP_TTL, 57), message(IPPROTO_IP, IP_ECN, 3));
        assert_eq!(marks_in(&[hops.clone(), ecn.clone()].concat()), (Some(57), 3));
        assert_eq!(marks_in(&[ecn, hops].concat()), (Some(57), 3));
        assert_eq!(marks_in(&message(IPPROTO_IPV6, IPV6_ECN, 2)), (None, 2));
        // Length, level, kind, data, padding: the layout of CMSGHDR and WSA_CMSG_SPACE in ws2def.h.
        let mut words = (size_of::<CMSGHDR>() + 4).to_ne_bytes().to_vec();
        for word in [IPPROTO_IP, IP_TTL, 57, 0] {
            words.extend(word.to_ne_bytes());
        }
        assert_eq!(message(IPPROTO_IP, IP_TTL, 57), words);
    }

    #[test]
    fn two_messages_follow_each_other() {
        let mut control = Control([0; 64]);
        let peer = ([192, 0, 2, 1], 1).into();
        let length = put_controls(&mut control, &[segments(1200), ecn(peer, 2)]);
        let expected =
            [message(IPPROTO_UDP, UDP_SEND_MSG_SIZE, 1200), message(IPPROTO_IP, IP_ECN, 2)];
        assert_eq!(control.0[..length as usize], expected.concat());
    }

    #[test]
    fn the_time_to_live_is_found_among_other_messages_and_in_no_damaged_one() {
        let other = message(IPPROTO_IP, 19, 1);
        assert_eq!(hops(&[other.clone(), message(IPPROTO_IP, IP_TTL, 57)].concat()), Some(57));
        assert_eq!(hops(&message(IPPROTO_IPV6, IPV6_HOPLIMIT, 3)), Some(3));
        assert_eq!(hops(&other), None);
        for length in 0..other.len() {
            assert_eq!(hops(&other[..length]), None);
        }
        let mut huge = other;
        huge[..8].fill(0xff);
        assert_eq!(hops(&huge), None);
    }
}
