//! Sockets with the settings that all clients and servers need.

use anyhow::{Context as _, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

/// Ports after the first that `connects` uses: with a single one the ephemeral ports would run out
/// in seconds.
pub(crate) const CONNECT_PORTS: u16 = 8;

/// The largest payload of a datagram over IPv4.
pub(crate) const DATAGRAM_BYTES: u16 = 65_507;

/// The requested size of a UDP socket's buffers; the kernel caps it (`net.core.rmem_max`).
const BUFFER_BYTES: usize = 4 << 20;

/// Connections that wait to be accepted; the kernel caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// A client that vanished silently is noticed after this time; shorter tests send no keepalive.
const KEEPALIVE: Duration = Duration::from_secs(600);

/// A listener, whose connections inherit its options.
pub(crate) fn listen(at: SocketAddr) -> Result<TcpListener> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
        socket.set_nonblocking(true)?;
        socket.bind(&at.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().with_context(|| format!("cannot listen at TCP {at}"))
}

/// A UDP socket at an address.
pub(crate) fn udp_at(at: SocketAddr) -> Result<UdpSocket> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        socket.set_send_buffer_size(BUFFER_BYTES)?;
        socket.set_nonblocking(true)?;
        socket.bind(&at.into())?;
        UdpSocket::from_std(socket.into())
    };
    bind().with_context(|| format!("cannot bind UDP {at}"))
}

/// A UDP socket that receives only from `server`.
pub(crate) async fn udp_to(server: SocketAddr) -> Result<UdpSocket> {
    let socket = udp_at(any(server))?;
    socket.connect(server).await.with_context(|| format!("no route to {server}"))?;
    Ok(socket)
}

/// Any address of the server's family.
pub(crate) fn any(server: SocketAddr) -> SocketAddr {
    if server.is_ipv4() {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (Ipv6Addr::UNSPECIFIED, 0).into()
    }
}

/// Connects by TCP.
pub(crate) async fn connect(server: SocketAddr) -> io::Result<TcpStream> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.connect(server).await
}

/// Sends one byte, which must come back.
pub(crate) async fn echo_byte(stream: &mut TcpStream, byte: u8) -> io::Result<()> {
    stream.write_all(&[byte]).await?;
    expect_byte(stream, byte).await
}

/// Reads one byte, which must be this.
pub(crate) async fn expect_byte(stream: &mut TcpStream, byte: u8) -> io::Result<()> {
    let mut back = [0];
    stream.read_exact(&mut back).await?;
    if back == [byte] { Ok(()) } else { Err(other("another byte came back")) }
}

/// An error that is ours, not the system's.
pub(crate) fn other(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// As many descriptors as the system allows us.
pub(crate) fn raise_descriptors() -> Result<()> {
    let (_, hard) =
        getrlimit(Resource::RLIMIT_NOFILE).context("the limit of descriptors is not known")?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .context("the limit of descriptors cannot be raised")
}
