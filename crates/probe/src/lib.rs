//! Attempts on the network, each within a deadline: a name asked for, a connection, a request, a
//! ping, a proxy, large packets, the routers on the way. Judges nothing, and changes nothing of the
//! machine.
#![forbid(unsafe_code)]

pub mod client;
pub mod dns;
mod failure;
pub mod http;
pub mod icmp;
pub mod mtu;
mod outcome;
pub mod proxy;
pub mod resolver;
pub mod tcp;
mod tls;
pub mod trace;

pub use failure::Failure;
pub use outcome::{Method, Outcome, Why};

use socket2::SockRef;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long a connection may take: the kernel sends a lost SYN again after 1 s.
pub const CONNECT_PATIENCE: Duration = Duration::from_millis(2300);

/// How long a ping may take; it is sent three times within that.
pub const PING_PATIENCE: Duration = Duration::from_millis(1600);

/// How long a nameserver may take; it is asked twice within that. Those that have to ask others
/// take their time.
pub const DNS_PATIENCE: Duration = Duration::from_millis(2300);

/// How long the system's own resolver may take. By default it asks a silent server for 5 s.
pub const SYSTEM_PATIENCE: Duration = Duration::from_millis(3500);

/// How long a proxy may take for an answer: it connects to another host before.
pub const PROXY_PATIENCE: Duration = Duration::from_millis(3000);

/// Where an attempt starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The own address.
    pub address: IpAddr,
    /// The interface that packets leave by, whatever rules say; it takes Linux 5.7 or root.
    pub device: Option<String>,
}

impl Origin {
    fn bind(&self, socket: &SockRef<'_>) -> io::Result<()> {
        if let Some(device) = &self.device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        socket.bind(&SocketAddr::new(self.address, 0).into())
    }
}

/// The output of a future, and how many milliseconds it took.
#[expect(clippy::disallowed_methods, reason = "how long an answer takes is part of what is asked")]
async fn timed<T>(future: impl Future<Output = T>) -> (T, u64) {
    let start = Instant::now();
    let value = future.await;
    (value, u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// A failure in words.
fn failed(why: Why, detail: impl Into<String>) -> Outcome {
    Outcome::Failed { why, detail: detail.into() }
}

/// What an error of the system means.
fn why(error: &io::Error) -> Why {
    if matches!(error.kind(), io::ErrorKind::TimedOut) {
        return Why::TimedOut;
    }
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED) => Why::Refused,
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT) => {
            Why::Unreachable
        }
        Some(libc::ETIMEDOUT) => Why::TimedOut,
        Some(libc::ECONNRESET | libc::EPIPE | libc::ECONNABORTED) => Why::Closed,
        Some(libc::EPERM | libc::EACCES) => Why::NotPermitted,
        _ if error.kind() == io::ErrorKind::UnexpectedEof => Why::Closed,
        _ => Why::Other,
    }
}

fn failure(error: &io::Error) -> Outcome {
    failed(why(error), error.to_string())
}
