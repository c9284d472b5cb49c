//! The kernel's addresses, routes and rules, by netlink: what exists ([`observe`], [`survey`]),
//! which parts of it matter ([`capture`], [`subnet`], [`mod@uplink`], [`mod@ways`]), and what
//! routes traffic to the TAP ([`routing`], `rules`). The only module that names netlink. Knows no
//! frame.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "netlink's messages and attributes are long open lists, of which each place here \
              wants one or two"
)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, ready};

use rtnetlink::packet_core::{NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkFlags, LinkMessage};
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, SocketAddr, TokioSocket};
use rtnetlink::{Handle, MulticastGroup};

pub mod capture;
mod ipv6;
mod link;
pub mod observe;
pub mod owners;
mod plan;
pub mod routing;
mod rules;
pub mod subnet;
pub mod survey;
pub mod uplink;
pub mod ways;

pub use ipnet::{IpNet, Ipv4Net};

pub use capture::captured;
pub use ipv6::NoIpv6;
pub use observe::Observed;
pub use plan::{Plan, Tap6};
pub use subnet::{SubnetError, choose_subnet};
pub use survey::Survey;
pub use uplink::uplink;
pub use ways::{Families, Ways, ways};

/// Our routing table: "un" in ASCII.
pub const TABLE: u32 = 0x756e;

/// The same for TCP alone, used while the routes of [`TABLE`] carry an MTU.
pub const TABLE_TCP: u32 = TABLE + 1;

/// A notification larger than this counts as a change without being read; the kernel's have some
/// hundred bytes.
const CHANGE_BUFFER: usize = 8 * 1024;

const GROUPS: [MulticastGroup; 7] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// Why the kernel's network could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// No netlink.
    #[error("no netlink socket, so the kernel's routes can be neither read nor set: {source}")]
    Socket {
        /// The system's reason.
        source: io::Error,
    },
    /// Not root.
    #[error("no permission for {step}: run as root (it takes CAP_NET_ADMIN)")]
    NoPermission {
        /// The step.
        step: &'static str,
    },
    /// The TAP does not exist.
    #[error(
        "there is no interface {name}: another program has removed it; start the gateway again"
    )]
    NoInterface {
        /// Its name.
        name: String,
    },
    /// The kernel refused a request.
    #[error("{step} failed: {source}")]
    Refused {
        /// The step.
        step: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl NetError {
    /// The error of one request.
    fn of(step: &'static str, error: rtnetlink::Error) -> Self {
        let source = match error {
            rtnetlink::Error::NetlinkError(refusal) => refusal.to_io(),
            other => io::Error::other(other),
        };
        match source.raw_os_error() {
            Some(libc::EPERM) => Self::NoPermission { step },
            _ => Self::Refused { step, source },
        }
    }

    /// The error number, if the kernel gave one.
    fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { source, .. } | Self::Socket { source } => source.raw_os_error(),
            Self::NoPermission { .. } => Some(libc::EPERM),
            Self::NoInterface { .. } => None,
        }
    }
}

/// The network of the namespace in which this was opened.
#[derive(Clone, Debug)]
pub struct Net {
    handle: Handle,
    /// The TAP's index since [`Net::prepare_link`], 0 before: by it [`Changes`] recognizes our own
    /// changes.
    tap: Arc<AtomicU32>,
}

impl Net {
    /// Opens a netlink socket. A task of the current runtime serves it until the last clone is
    /// dropped.
    ///
    /// # Errors
    /// [`NetError::Socket`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub fn open() -> Result<Self, NetError> {
        Self::open_by::<TokioSocket>()
    }

    /// As [`Net::open`], with another kind of socket: tests connect it to another kernel.
    ///
    /// # Errors
    /// [`NetError::Socket`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub fn open_by<S: AsyncSocket + Send + 'static>() -> Result<Self, NetError> {
        let opened = rtnetlink::new_connection_with_socket::<S>();
        let (connection, handle, _) = opened.map_err(|source| NetError::Socket { source })?;
        tokio::spawn(connection);
        Ok(Self { handle, tap: Arc::default() })
    }

    /// Reports changes from now on.
    ///
    /// # Errors
    /// [`NetError::Socket`].
    pub fn changes(&self) -> Result<Changes, NetError> {
        let open = || {
            let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
            let groups = GROUPS.iter().fold(0, |groups, &group| groups | 1 << (group as u32 - 1));
            socket.socket_mut().bind(&SocketAddr::new(0, groups))?;
            Ok(socket)
        };
        let socket = open().map_err(|source| NetError::Socket { source })?;
        Ok(Changes {
            socket: Some(socket),
            buffer: Vec::with_capacity(CHANGE_BUFFER),
            tap: Arc::clone(&self.tap),
        })
    }
}

/// Reports that links, addresses, routes or rules changed, but not what changed. The receiver
/// observes and applies everything again, which changes nothing if everything is in place. What the
/// gateway itself adds is not reported.
pub struct Changes {
    /// `None` after a permanent error.
    socket: Option<TokioSocket>,
    buffer: Vec<u8>,
    tap: Arc<AtomicU32>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Changes")
            .field("broken", &self.socket.is_none())
            .finish_non_exhaustive()
    }
}

impl Changes {
    /// Ready once for all changes since the last time. First takes everything that waits in the
    /// kernel, so that a storm of changes counts once. Broken netlink is reported as a last change.
    pub fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut changed = false;
        loop {
            match self.poll_one(cx) {
                Poll::Ready(matters) => changed |= matters,
                Poll::Pending if changed => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Reads one datagram. Returns whether it matters.
    fn poll_one(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(socket) = &self.socket else { return Poll::Pending };
        self.buffer.clear();
        match ready!(socket.poll_recv(cx, &mut self.buffer)) {
            Ok(_) => Poll::Ready(matters(&self.buffer, self.tap.load(Ordering::Relaxed))),
            // The kernel dropped notifications, so something changed.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Poll::Ready(true),
            Err(error) => {
                tracing::warn!(%error, "no more news of the kernel's routes");
                self.socket = None;
                Poll::Ready(true)
            }
        }
    }
}

/// Whether a notification may be about a change by another program; `tap` is the TAP's index.
#[must_use]
pub fn matters(datagram: &[u8], tap: u32) -> bool {
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(datagram) else {
        return true;
    };
    let NetlinkPayload::InnerMessage(message) = message.payload else { return true };
    match message {
        RouteNetlinkMessage::NewLink(link) => link.header.index != tap || !is_up(&link),
        RouteNetlinkMessage::NewAddress(address) => address.header.index != tap,
        RouteNetlinkMessage::NewRoute(route) => !observe::leaves_by(&route, tap),
        RouteNetlinkMessage::NewRule(rule) => !rules::is_ours(&rule),
        _ => true,
    }
}

fn is_up(link: &LinkMessage) -> bool {
    link.header.flags.contains(LinkFlags::Up)
}
