//! The owners of the VM's sockets: asks the kernel's `sock_diag` (sock_diag(7)) for one socket by
//! its two ends. That needs no privilege and takes some microseconds: no dump, and no wait.

use std::net::SocketAddr;

use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use rtnetlink::packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;
use rtnetlink::sys::{Socket, SocketAddr as NetlinkAddr};
use stack::{AppSocket, Owners, Transport};

/// An answer about one socket has some hundred bytes; a dump comes in messages of at most 32 KiB
/// (`netlink_dump` in net/netlink/af_netlink.c).
const ANSWER: usize = 32 * 1024;

/// Asks for any socket with these ends (`INET_DIAG_NOCOOKIE` in linux/inet_diag.h).
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// After so many wrong answers in a row the kernel is not asked again.
const STRAY_ANSWERS: usize = 8;

/// The sockets of this network namespace.
#[derive(Debug)]
pub struct Sockets {
    socket: Socket,
    answer: Vec<u8>,
    sequence: u32,
}

impl Sockets {
    /// Opens the way to the kernel.
    ///
    /// # Errors
    /// The kernel's: it may lack `sock_diag`.
    pub fn open() -> std::io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        socket.connect(&NetlinkAddr::new(0, 0))?;
        // The kernel answers before its `send` returns (`netlink_unicast_kernel` in
        // net/netlink/af_netlink.c).
        socket.set_non_blocking(true)?;
        Ok(Self { socket, answer: Vec::with_capacity(ANSWER), sequence: 0 })
    }

    fn ask(&mut self, transport: Transport, app: SocketAddr, to: SocketAddr) -> Option<AppSocket> {
        let (protocol, from, to) = match transport {
            Transport::Tcp => (IPPROTO_TCP, app, to),
            // "src and dst are swapped for historical reasons" (`udp_dump_one` in
            // net/ipv4/udp_diag.c).
            Transport::Udp => (IPPROTO_UDP, to, app),
        };
        let request = InetRequest {
            family: if app.is_ipv4() { AF_INET } else { AF_INET6 },
            protocol,
            extensions: ExtensionFlags::empty(),
            states: StateFlags::all(),
            socket_id: SocketId {
                source_port: from.port(),
                destination_port: to.port(),
                source_address: from.ip(),
                destination_address: to.ip(),
                interface_id: 0,
                cookie: NO_COOKIE,
            },
        };
        self.send(NLM_F_REQUEST, request)?;
        for _ in 0..STRAY_ANSWERS {
            self.answer.clear();
            self.socket.recv(&mut self.answer, 0).ok()?;
            match read_answer(&self.answer, self.sequence) {
                SocketReply::Stray => {}
                SocketReply::Unreadable => return None,
                SocketReply::Socket(found) => return Some(found),
            }
        }
        None
    }
}

/// What a message of the kernel says about a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketReply {
    /// It answers another question.
    Stray,
    /// It is damaged, or of another kind.
    Unreadable,
    /// It names the socket's owner.
    Socket(AppSocket),
}

/// Reads the answer to the question of that number.
#[must_use]
pub fn read_answer(message: &[u8], sequence: u32) -> SocketReply {
    let Ok(answer) = NetlinkMessage::<SockDiagMessage>::deserialize(message) else {
        return SocketReply::Unreadable;
    };
    if answer.header.sequence_number != sequence {
        return SocketReply::Stray;
    }
    match answer.payload {
        // A socket without a process is an orphan, or the kernel's memory of one.
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found))
            if found.header.inode == 0 =>
        {
            SocketReply::Socket(AppSocket::Orphan)
        }
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
            SocketReply::Socket(AppSocket::Of(found.header.uid))
        }
        NetlinkPayload::Error(error) if error.raw_code() == -libc::ENOENT => {
            SocketReply::Socket(AppSocket::Missing)
        }
        _ => SocketReply::Unreadable,
    }
}

/// How far a dump of sockets was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dump {
    /// More messages follow.
    Goes(Seen),
    /// That was its end.
    Ends(Seen),
    /// It is damaged, or the kernel has broken it off.
    Broken,
}

/// Whether a datagram had a socket with the wanted end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It had none.
    No,
    /// It had one.
    Yes,
}

/// Reads a datagram of the dump with that number, and looks for a socket with this end, or bound to
/// any address.
#[must_use]
pub fn read_dump(datagram: &[u8], sequence: u32, end: SocketAddr) -> Dump {
    let mut seen = Seen::No;
    let mut rest = datagram;
    while !rest.is_empty() {
        let Ok(message) = NetlinkMessage::<SockDiagMessage>::deserialize(rest) else {
            return Dump::Broken;
        };
        let is_ours = message.header.sequence_number == sequence;
        match message.payload {
            NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(socket)) if is_ours => {
                let own = socket.header.socket_id.source_address.to_canonical();
                if own == end.ip() || own.is_unspecified() {
                    seen = Seen::Yes;
                }
            }
            NetlinkPayload::Done(_) if is_ours => return Dump::Ends(seen),
            NetlinkPayload::Error(_) | NetlinkPayload::Overrun(_) if is_ours => {
                return Dump::Broken;
            }
            _ => {}
        }
        // Messages begin at multiples of four bytes (NLMSG_ALIGN in linux/netlink.h).
        let Ok(length) = usize::try_from(message.header.length) else { return Dump::Broken };
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Dump::Goes(seen)
}

impl Sockets {
    /// Whether a program has a TCP socket with this end, bound to its address or to any. The kernel
    /// walks over all sockets for this, which takes milliseconds if there are ten thousand. `false`
    /// if it does not answer.
    pub fn has_one_at(&mut self, end: SocketAddr) -> bool {
        [AF_INET, AF_INET6].into_iter().any(|family| self.dump_has(family, end).unwrap_or_default())
    }

    fn dump_has(&mut self, family: u8, end: SocketAddr) -> Option<bool> {
        // In the other states no program has the socket (net/tcp_states.h).
        let states = StateFlags::all() - StateFlags::TIME_WAIT - StateFlags::CLOSE;
        self.send(
            NLM_F_REQUEST | NLM_F_DUMP,
            InetRequest {
                family,
                protocol: IPPROTO_TCP,
                extensions: ExtensionFlags::empty(),
                states,
                // A dump has only the port's sockets (`inet_diag_dump_icsk` in
                // net/ipv4/inet_diag.c).
                socket_id: SocketId { source_port: end.port(), ..any_socket(family) },
            },
        )?;
        let mut found = false;
        loop {
            self.answer.clear();
            self.socket.recv(&mut self.answer, 0).ok()?;
            match read_dump(&self.answer, self.sequence, end) {
                Dump::Goes(seen) => found |= seen == Seen::Yes,
                Dump::Ends(seen) => return Some(found || seen == Seen::Yes),
                Dump::Broken => return None,
            }
        }
    }

    fn send(&mut self, flags: u16, request: InetRequest) -> Option<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (flags, self.sequence);
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).ok().map(drop)
    }
}

/// No address and no port.
fn any_socket(family: u8) -> SocketId {
    if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() }
}

impl Owners for Sockets {
    fn look_up(
        &mut self,
        transport: Transport,
        app: SocketAddr,
        to: SocketAddr,
    ) -> Option<AppSocket> {
        self.ask(transport, app, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
    use std::os::unix::fs::MetadataExt as _;

    fn own_uid() -> u32 {
        std::fs::metadata("/proc/self").unwrap().uid()
    }

    #[test]
    fn a_socket_has_its_users_id_until_it_is_closed() {
        let mut sockets = Sockets::open().unwrap();
        for any in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let Ok(listener) = TcpListener::bind((any, 0)) else { continue };
            let to = listener.local_addr().unwrap();
            let stream = TcpStream::connect(to).unwrap();
            let app = stream.local_addr().unwrap();
            assert_eq!(
                sockets.look_up(Transport::Tcp, app, to),
                Some(AppSocket::Of(own_uid())),
                "{app} {to}"
            );
            // The server's end stays open: what the kernel keeps is an orphan.
            let _server = listener.accept().unwrap();
            drop(stream);
            assert_eq!(
                sockets.look_up(Transport::Tcp, app, to),
                Some(AppSocket::Orphan),
                "{app} {to}"
            );
            let missing = SocketAddr::new(any, 1);
            assert_eq!(sockets.look_up(Transport::Tcp, missing, to), Some(AppSocket::Missing));
        }
    }

    #[test]
    fn a_port_has_a_socket_as_long_as_somebody_listens_or_is_connected() {
        let mut sockets = Sockets::open().unwrap();
        let at = |ip: &str, port| SocketAddr::new(ip.parse().unwrap(), port);
        for (bound, asked, other) in [
            ("127.0.0.1:0", "127.0.0.1", Some("127.0.0.2")),
            ("0.0.0.0:0", "172.28.48.2", None),
            ("[::]:0", "172.28.48.2", None),
            ("[::1]:0", "::1", Some("127.0.0.1")),
        ] {
            let Ok(listener) = TcpListener::bind(bound) else { continue };
            let port = listener.local_addr().unwrap().port();
            assert!(sockets.has_one_at(at(asked, port)), "{bound}");
            assert!(other.is_none_or(|other| !sockets.has_one_at(at(other, port))), "{bound}");
            let client = TcpStream::connect(listener.local_addr().unwrap()).ok();
            let server = client.as_ref().map(|_| listener.accept().unwrap().0);
            drop(listener);
            let connected_to =
                server.as_ref().map(|server| server.local_addr().unwrap().ip().to_canonical());
            if let Some(own) = connected_to {
                assert!(
                    sockets.has_one_at(SocketAddr::new(own, port)),
                    "{bound}: a connection is left"
                );
            }
            // The client closes first, so that its own port is left in TIME_WAIT.
            drop(client);
            drop(server);
            let is_gone = (0..1000).any(|_| {
                std::thread::yield_now();
                !sockets.has_one_at(at(asked, port))
            });
            assert!(is_gone, "{bound}");
        }
    }

    #[test]
    fn a_datagrams_socket_is_found_whatever_it_is_bound_to() {
        let mut sockets = Sockets::open().unwrap();
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        for bound in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST] {
            let socket = UdpSocket::bind((bound, 0)).unwrap();
            let app =
                SocketAddr::new(Ipv4Addr::LOCALHOST.into(), socket.local_addr().unwrap().port());
            assert_eq!(
                sockets.look_up(Transport::Udp, app, peer),
                Some(AppSocket::Of(own_uid())),
                "{bound}"
            );
            socket.connect(peer).unwrap();
            assert_eq!(
                sockets.look_up(Transport::Udp, app, peer),
                Some(AppSocket::Of(own_uid())),
                "{bound}"
            );
            drop(socket);
            assert_eq!(
                sockets.look_up(Transport::Udp, app, peer),
                Some(AppSocket::Missing),
                "{bound}"
            );
        }
    }
}
