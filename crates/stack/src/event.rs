//! Events that the stack reports to its user.

use crate::addresses::Target;
use crate::requests::RequestId;
use crate::tcp::FlowId;
use crate::tcp::flow::Changes;
use crate::udp::BindId;
use crate::uplink::Elsewhere;
use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU8, NonZeroU16};
use terms::Marks;

/// Something for the user of [`crate::Stack`] to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An app requests a TCP connection. Answer with [`crate::Stack::accept`] or
    /// [`crate::Stack::refuse`].
    Connect {
        /// The connection.
        flow: FlowId,
        /// The destination: [`Target::Remote`], [`Target::Host`] or [`Target::Dns`].
        to: Target,
        /// The app's end.
        app: SocketAddr,
        /// The address that the app used.
        used: SocketAddr,
        /// The time to live for the connection's packets if the app chose a small one (traceroute).
        /// Fewer than 48 hops.
        hops: Option<NonZeroU8>,
        /// A hash of the two ends, the same for every connection between them. It chooses the lane.
        tuple_hash: u32,
    },
    /// The app gave up a pending connection, or it made room for another one. Its id is free.
    ConnectAbandoned {
        /// The connection.
        flow: FlowId,
    },
    /// An open connection changed.
    Flow {
        /// The connection.
        flow: FlowId,
        /// What changed.
        changes: Changes,
    },
    /// A new UDP source endpoint. Its datagrams follow.
    Bind {
        /// The endpoint.
        bind: BindId,
        /// The app's end.
        app: SocketAddr,
    },
    /// A datagram from the VM.
    Datagram {
        /// Its source endpoint.
        bind: BindId,
        /// The destination, with loopback aliases resolved.
        peer: SocketAddr,
        /// The marks of the real datagram.
        marks: Marks,
        /// The payload.
        bytes: Vec<u8>,
    },
    /// Datagrams from the VM that an app sent together. Each is as large as the first, except for
    /// the last, which may be shorter.
    Datagrams {
        /// Their source endpoint.
        bind: BindId,
        /// Their destination, with loopback aliases resolved.
        peer: SocketAddr,
        /// The marks of each of them.
        marks: Marks,
        /// Payload bytes of the first.
        size: NonZeroU16,
        /// The payloads, one after the other.
        bytes: Vec<u8>,
    },
    /// A UDP source endpoint is gone (idle, or displaced).
    Unbind {
        /// The endpoint.
        bind: BindId,
    },
    /// A DNS message over UDP. Answer with [`crate::Stack::answer_query`].
    Query {
        /// The question.
        request: RequestId,
        /// The whole message (RFC 1035).
        message: Vec<u8>,
    },
    /// An ICMP echo request.
    Echo {
        /// The request.
        request: RequestId,
        /// The destination, with loopback aliases resolved.
        to: IpAddr,
        /// The marks of the real request.
        marks: Marks,
        /// The payload.
        payload: Vec<u8>,
    },
    /// A packet from an uplink address ([`crate::Stack::set_uplink`]) belongs to a conversation
    /// that did not begin through the tunnel. It should return the way that its peer came. Repeated
    /// for each packet.
    Elsewhere(Elsewhere),
}

impl Event {
    /// Bytes of the packet in this event.
    pub(crate) fn payload(&self) -> usize {
        match self {
            Self::Datagram { bytes, .. } | Self::Datagrams { bytes, .. } => bytes.len(),
            Self::Query { message, .. } => message.len(),
            Self::Echo { payload, .. } => payload.len(),
            Self::Connect { .. }
            | Self::ConnectAbandoned { .. }
            | Self::Flow { .. }
            | Self::Bind { .. }
            | Self::Unbind { .. }
            | Self::Elsewhere(_) => 0,
        }
    }
}

/// How a pending connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// RST: nothing listens there.
    Reset,
    /// An ICMP error that quotes the SYN.
    Unreachable(terms::Fault),
    /// No answer: the peer did not answer either.
    Silent,
}
