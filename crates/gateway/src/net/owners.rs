//! Whose a socket of the VM is: the kernel's `sock_diag` (sock_diag(7)), asked for one socket by its two ends.
//! That needs no right, and takes some microseconds: no dump, and no wait.

use std::net::SocketAddr;

use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use rtnetlink::packet_core::{NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;
use rtnetlink::sys::{Socket, SocketAddr as NetlinkAddr};
use stack::{AppSocket, Owners, Transport};

/// An answer has some hundred bytes.
const ANSWER: usize = 4096;

/// Asks for any socket with these ends (`INET_DIAG_NOCOOKIE` in linux/inet_diag.h).
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// A kernel that answers something else than was asked, so often in a row, is asked no more.
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
        // The kernel answers before its `send` returns (`netlink_unicast_kernel` in net/netlink/af_netlink.c).
        socket.set_non_blocking(true)?;
        Ok(Self { socket, answer: Vec::with_capacity(ANSWER), sequence: 0 })
    }

    fn ask(&mut self, transport: Transport, app: SocketAddr, to: SocketAddr) -> Option<AppSocket> {
        let (protocol, from, to) = match transport {
            Transport::Tcp => (IPPROTO_TCP, app, to),
            // "src and dst are swapped for historical reasons" (`udp_dump_one` in net/ipv4/udp_diag.c).
            Transport::Udp => (IPPROTO_UDP, to, app),
        };
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (NLM_F_REQUEST, self.sequence);
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
        let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).ok()?;
        for _ in 0..STRAY_ANSWERS {
            self.answer.clear();
            self.socket.recv(&mut self.answer, 0).ok()?;
            let answer = NetlinkMessage::<SockDiagMessage>::deserialize(&self.answer).ok()?;
            if answer.header.sequence_number != self.sequence {
                continue;
            }
            return match answer.payload {
                // One that no process has any more is an orphan, or the kernel's memory of one.
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) if found.header.inode == 0 => {
                    Some(AppSocket::Orphan)
                }
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(found)) => {
                    Some(AppSocket::Of(found.header.uid))
                }
                NetlinkPayload::Error(error) if error.raw_code() == -libc::ENOENT => Some(AppSocket::Missing),
                _ => None,
            };
        }
        None
    }
}

impl Owners for Sockets {
    fn look_up(&mut self, transport: Transport, app: SocketAddr, to: SocketAddr) -> Option<AppSocket> {
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
            assert_eq!(sockets.look_up(Transport::Tcp, app, to), Some(AppSocket::Of(own_uid())), "{app} {to}");
            // The server's end stays open: what the kernel keeps is an orphan.
            let _server = listener.accept().unwrap();
            drop(stream);
            assert_eq!(sockets.look_up(Transport::Tcp, app, to), Some(AppSocket::Orphan), "{app} {to}");
            let nobody = SocketAddr::new(any, 1);
            assert_eq!(sockets.look_up(Transport::Tcp, nobody, to), Some(AppSocket::Missing));
        }
    }

    #[test]
    fn a_datagrams_socket_is_found_whatever_it_is_bound_to() {
        let mut sockets = Sockets::open().unwrap();
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        for bound in [Ipv4Addr::UNSPECIFIED, Ipv4Addr::LOCALHOST] {
            let socket = UdpSocket::bind((bound, 0)).unwrap();
            let app = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), socket.local_addr().unwrap().port());
            assert_eq!(sockets.look_up(Transport::Udp, app, peer), Some(AppSocket::Of(own_uid())), "{bound}");
            socket.connect(peer).unwrap();
            assert_eq!(sockets.look_up(Transport::Udp, app, peer), Some(AppSocket::Of(own_uid())), "{bound}");
            drop(socket);
            assert_eq!(sockets.look_up(Transport::Udp, app, peer), Some(AppSocket::Missing), "{bound}");
        }
    }
}
