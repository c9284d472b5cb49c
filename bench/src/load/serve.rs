//! The servers: echo by TCP and UDP, ports for `connects`, and a nameserver with one answer. A
//! connection is a task without a buffer of its own, so that ten thousand may be idle.

use crate::{message, net};
use anyhow::{Context as _, Result};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::yield_now;
use tokio::time::timeout;

/// The bytes read at once, from a stream or a datagram; more than a DNS message and its length.
const PIECE: usize = 66 << 10;

/// Datagrams answered before others have their turn.
const BATCH: usize = 64;

/// A client of the nameserver that stays silent for this long is gone.
const DNS_PATIENCE: Duration = Duration::from_secs(10);

/// The time until the next try when no connection can be accepted (no descriptors).
const ACCEPT_AGAIN: Duration = Duration::from_millis(10);

thread_local! {
    /// Shared by all connections: it holds nothing while one waits.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; PIECE]);
}

/// Sockets that already listen.
#[derive(Debug)]
pub(crate) struct Server {
    streams: TcpListener,
    datagrams: UdpSocket,
    connects: Vec<TcpListener>,
    dns: Option<(TcpListener, UdpSocket)>,
}

impl Server {
    /// Listens at `port`, the [`net::CONNECT_PORTS`] after it and the nameserver's.
    ///
    /// # Errors
    /// One of them is in use.
    pub(crate) fn bind(address: IpAddr, port: u16, dns_port: Option<u16>) -> Result<Self> {
        let at = |port| SocketAddr::new(address, port);
        let last = port.checked_add(net::CONNECT_PORTS).context("no room for nine ports")?;
        Ok(Self {
            streams: net::listen(at(port))?,
            datagrams: net::udp_at(at(port))?,
            connects: (port + 1..=last).map(|port| net::listen(at(port))).collect::<Result<_>>()?,
            dns: match dns_port {
                Some(port) => Some((net::listen(at(port))?, net::udp_at(at(port))?)),
                None => None,
            },
        })
    }

    /// Serves forever.
    pub(crate) async fn run(self) {
        for listener in self.connects {
            tokio::spawn(accept(listener, answer_once));
        }
        if let Some((streams, datagrams)) = self.dns {
            tokio::spawn(accept(streams, answer_queries));
            tokio::spawn(answer_datagrams(datagrams, message::answer));
        }
        tokio::spawn(answer_datagrams(self.datagrams, |_, length| Some(length)));
        accept(self.streams, echo).await;
    }
}

/// Serves each connection in its own task, which ends with it.
async fn accept<S: Future<Output = io::Result<()>> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> S,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let connection = serve(stream);
                // A client that aborts affects no other.
                tokio::spawn(async move { connection.await.unwrap_or_default() });
            }
            Err(_) => tokio::time::sleep(ACCEPT_AGAIN).await,
        }
    }
}

/// Echoes until the client's end.
async fn echo(mut stream: TcpStream) -> io::Result<()> {
    loop {
        stream.readable().await?;
        let rest = BUFFER.with_borrow_mut(|buffer| {
            let read = match stream.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Some(Vec::new()));
                }
                Err(error) => return Err(error),
                Ok(0) => return Ok(None),
                Ok(read) => read,
            };
            let written = match stream.try_write(&buffer[..read]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                written => written?,
            };
            Ok(Some(buffer[written..read].to_vec()))
        })?;
        match rest {
            None => return Ok(()),
            // No more is read before this is out.
            Some(rest) if !rest.is_empty() => stream.write_all(&rest).await?,
            Some(_) => {}
        }
        // A stream that is always ready would have megabytes echoed before the next one's byte.
        yield_now().await;
    }
}

/// One byte for one byte; then the client closes, so that the wait for old segments is on its side.
async fn answer_once(mut stream: TcpStream) -> io::Result<()> {
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    stream.write_all(&byte).await?;
    stream.read(&mut byte).await.map(drop)
}

/// Answers datagrams in place: `answer` takes the buffer and the datagram's length, and returns
/// that of its answer, if there is one.
async fn answer_datagrams(socket: UdpSocket, answer: impl Fn(&mut [u8], usize) -> Option<usize>) {
    let mut buffer = vec![0; PIECE];
    'ready: loop {
        if socket.readable().await.is_err() {
            return;
        }
        for _ in 0..BATCH {
            match socket.try_recv_from(&mut buffer) {
                Ok((length, from)) => {
                    let Some(length) = answer(&mut buffer, length) else { continue };
                    let sent = socket.try_send_to(&buffer[..length], from);
                    if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                        // An answer that cannot be sent is lost, like any datagram.
                        let _ = socket.send_to(&buffer[..length], from).await;
                    }
                }
                Err(_) => continue 'ready,
            }
        }
        yield_now().await;
    }
}

/// DNS over TCP: each message has its length before it (RFC 1035 4.2.2).
async fn answer_queries(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let length: usize = timeout(DNS_PATIENCE, stream.read_u16()).await??.into();
        timeout(DNS_PATIENCE, stream.read_exact(&mut buffer[2..2 + length])).await??;
        let Some(length) = message::answer(&mut buffer[2..], length) else { return Ok(()) };
        let Ok(prefix) = u16::try_from(length) else { return Ok(()) };
        buffer[..2].copy_from_slice(&prefix.to_be_bytes());
        stream.write_all(&buffer[..2 + length]).await?;
    }
}
