//! Frames: the form of one message in the byte stream. [`crate::decoder`] finds them there.
//!
//! A frame is an 8-byte header (kind, 24-bit payload length, 32-bit id) and its payload. This
//! module knows no session: [`crate::session`] judges whether a frame may come now. It does not
//! know a frame's seal either ([`crate::seal`]).

mod kind;

use crate::codec::{Malformed, Reader, put_maybe_ip, put_socket};
use crate::ids::{BindId, FlowId, RequestId};
use crate::limits::{HEADER, MAX_BUILD_NAME, MAX_NAME, MAX_PAYLOAD, MAX_WINDOW, MAX_WORDS};
use crate::marks;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU8;
use terms::{Fault, FaultKind, Marks};

/// The first bytes of every hello: other programs' output is not taken for a relay's.
pub const MAGIC: [u8; 8] = *b"UNDERPAS";

/// The protocol's version. Two ends work together only if theirs are equal.
pub const VERSION: u16 = 4;

bitflags::bitflags! {
    /// What an end supports beyond TCP. Bits that this version does not know are kept.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Capabilities: u32 {
        /// Real ICMP echo over IPv4.
        const ECHO4 = 1;
        /// Real ICMP echo over IPv6.
        const ECHO6 = 1 << 1;
        /// UDP sockets.
        const UDP = 1 << 2;
        /// DNS queries by the host's resolver.
        const DNS = 1 << 3;
        /// Sends [`Frame::Changed`] when the host's network changes.
        const CHANGES = 1 << 4;
        /// Connects through a proxy that [`Frame::Via`] names.
        const VIA = 1 << 5;
        /// Through the proxies that the host's own settings name, too.
        const VIA_HOST = 1 << 6;
        /// Understands [`Frame::Orphan`].
        const ORPHANS = 1 << 7;
        /// Understands [`Frame::Link`] and [`Frame::Moved`].
        const LINK = 1 << 8;
    }
}

/// First message of each end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The sender's protocol version; anything but [`VERSION`] ends the session.
    pub version: u16,
    /// What the sender can do.
    pub capabilities: Capabilities,
    /// TCP flows that the sender takes at a time.
    pub max_flows: u32,
    /// UDP sockets that the sender takes at a time.
    pub max_binds: u32,
    /// Name and version of the sender's build, for people; at most [`MAX_BUILD_NAME`] bytes.
    pub build: String,
}

/// Why a connect did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectFailure {
    /// The peer answered with a reset.
    Refused,
    /// No answer came as long as the host tried.
    TimedOut,
    /// The host has no route.
    NetworkUnreachable,
    /// The last router could not reach the peer.
    HostUnreachable,
    /// The host's policy forbids it.
    PermissionDenied,
    /// The host has no free port, buffer or descriptor.
    NoResources,
    /// The relay has as many flows as it takes.
    TooManyFlows,
    /// A router, or the peer's host, reported it by an ICMP error.
    Reported(Fault),
    /// Anything else; the operating system's code is beside it in the frame.
    Other,
}

/// Where on the host the answer to a DNS query came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AnsweredBy {
    /// The host's hosts file.
    HostsFile,
    /// Windows' resolver, asked with the whole message (`DnsQueryRaw`).
    RawQuery,
    /// Windows' resolver, asked for records of a type (`DnsQuery_W`).
    RecordQuery,
    /// A DNS server, asked by the relay itself.
    Servers,
}

/// Why a DNS query got no message back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryFailure {
    /// No server answered in time.
    TimedOut,
    /// The host knows no DNS server.
    NoServer,
    /// The query cannot be passed on (malformed, or the relay has too many).
    Refused,
}

/// Why a UDP socket is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnbindReason {
    /// Idle, or pushed out by newer ones: the gateway no longer needs it.
    Done,
    /// The relay has as many sockets as it takes.
    TooMany,
    /// The host gave no socket, or it broke.
    Broken,
}

/// One message. Bulk payloads are borrowed from the decoder's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are named by their types; each variant says what it is"
)]
pub enum Frame<'a> {
    /// Both: the first frame.
    Hello(Hello),
    /// Gateway: connect to `to`. `window` is how many bytes the relay may send before more credit
    /// comes. `hops` is the time to live of the connection's packets; without it they have the
    /// host's own. `name` is the name for which that address was the answer, for a proxy; only for
    /// a relay that has [`Capabilities::VIA`].
    Open {
        flow: FlowId,
        to: SocketAddr,
        window: u32,
        hops: Option<NonZeroU8>,
        name: Option<&'a str>,
    },
    /// Relay: connected. `window` is how many bytes the gateway may send before more credit comes.
    Opened { flow: FlowId, window: u32 },
    /// Relay: not connected; the flow is over. `os_code` is errno or the Winsock code, or 0 without
    /// a code.
    Failed { flow: FlowId, reason: ConnectFailure, os_code: i32 },
    /// Both: bytes of the stream; spends credit.
    Data { flow: FlowId, bytes: &'a [u8] },
    /// Both: `bytes` bytes were taken from the flow; the same number may follow.
    Credit { flow: FlowId, bytes: u32 },
    /// Both: no more bytes will come in this direction.
    Fin { flow: FlowId },
    /// Both: the flow is over at once, in both directions.
    Reset { flow: FlowId },
    /// Gateway: the app has closed, and its kernel has forgotten the flow. It is over; what was
    /// sent on it still goes to the server, whose connection is then closed, not reset. Only for a
    /// relay that has [`Capabilities::ORPHANS`].
    Orphan { flow: FlowId },
    /// Gateway: open a UDP socket of the given family (4 or 6).
    Bind { bind: BindId, family: Family },
    /// Both: a datagram to (from) `peer`.
    Datagram { bind: BindId, peer: SocketAddr, marks: Marks, bytes: &'a [u8] },
    /// Relay: an error came back about a datagram to `peer`.
    PeerError { bind: BindId, peer: SocketAddr, fault: Fault },
    /// Both: the UDP socket is gone.
    Unbind { bind: BindId, reason: UnbindReason },
    /// Gateway: a whole DNS message (RFC 1035) for the host's resolver.
    Query { request: RequestId, message: &'a [u8] },
    /// Relay: the whole answer, never truncated.
    Answer { request: RequestId, by: AnsweredBy, message: &'a [u8] },
    /// Relay: no answer.
    NoAnswer { request: RequestId, reason: QueryFailure },
    /// Gateway: send an ICMP echo request.
    Echo { request: RequestId, to: IpAddr, marks: Marks, payload: &'a [u8] },
    /// Relay: its reply, with the time to live that it arrived with.
    EchoReply { request: RequestId, ttl: u8, payload: &'a [u8] },
    /// Relay: an error came back about it.
    EchoError { request: RequestId, fault: Fault },
    /// Gateway: send the host's facts.
    AskFacts { request: RequestId },
    /// Relay: the facts, as JSON (see [`crate::HostFacts`]).
    Facts { request: RequestId, json: &'a [u8] },
    /// Relay: the host's network changed; ask again.
    Changed,
    /// Gateway: from now on go through this proxy, as JSON (see [`crate::ViaSettings`]). Holds
    /// secrets.
    Via { json: &'a [u8] },
    /// Gateway: only these ports of the host's own addresses may be reached, as
    /// [`crate::HostAccessSettings`]. Comes before the first connection; without it all ports may
    /// be reached.
    HostAccess { json: &'a [u8] },
    /// Gateway: connect to one of these offers, as JSON (see [`crate::LinkOffers`]). Holds secrets.
    /// Only for a relay that has [`Capabilities::LINK`].
    Link { json: &'a [u8] },
    /// Relay: offers that do not work, as JSON (see [`crate::LinkFailures`]).
    LinkFailed { json: &'a [u8] },
    /// Both: what this end sends after this frame comes by the link.
    Moved,
    /// Relay: what is wrong with the proxy, in words; nothing when it works again.
    ViaTrouble { words: &'a str },
    /// Both: are you there?
    Ping { nonce: u64 },
    /// Both: yes.
    Pong { nonce: u64 },
}

/// The address family of a UDP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Why the byte stream cannot be read on. All except [`FrameError::UnknownKind`] are final: the
/// next frame's start is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The length field is over the limit.
    #[error(
        "a frame of kind {kind} says it has {length} payload bytes, more than the {MAX_PAYLOAD} \
         that are allowed"
    )]
    TooLong {
        /// The kind byte.
        kind: u8,
        /// The length field, in bytes.
        length: usize,
    },
    /// The payload does not have the form that its kind demands.
    #[error("the payload of a frame of kind {kind} ({length} bytes) is malformed")]
    Malformed {
        /// The kind byte.
        kind: u8,
        /// Payload bytes.
        length: usize,
    },
    /// Bytes of the stream were lost or doubled: nothing after them is in its place.
    #[error("bytes were lost or doubled: {part} of frame {frame} is not what was sent")]
    Damaged {
        /// Which frame since the start, the hello being number 0.
        frame: u64,
        /// The damaged part.
        part: Part,
    },
    /// A kind that this version does not know. The frame was skipped whole; reading may go on.
    #[error("a frame of unknown kind {kind} was skipped")]
    UnknownKind {
        /// The kind byte.
        kind: u8,
    },
}

/// A part of a frame on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its header.
    Header,
    /// Its payload.
    Payload,
    /// The missing rest, while bytes came that do not belong to it.
    Rest,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "the header",
            Self::Payload => "the payload",
            Self::Rest => "the rest",
        })
    }
}

/// The header of a data frame whose `length` payload bytes are written by the caller.
pub(crate) fn data_header(flow: FlowId, length: usize) -> [u8; HEADER] {
    header(kind::DATA, length, flow.0)
}

fn header(kind: u8, length: usize, id: u32) -> [u8; HEADER] {
    debug_assert!(length <= MAX_PAYLOAD);
    let [l0, l1, l2, _] = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let [i0, i1, i2, i3] = id.to_le_bytes();
    [kind, l0, l1, l2, i0, i1, i2, i3]
}

impl Frame<'_> {
    /// Appends the frame to `out`.
    ///
    /// # Panics
    /// In debug builds if the payload is longer than [`MAX_PAYLOAD`]: callers limit what they put
    /// into a frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; HEADER]);
        let (kind, id) = self.encode_payload(out);
        let length = out.len() - start - HEADER;
        out[start..start + HEADER].copy_from_slice(&header(kind, length, id));
    }

    fn encode_payload(&self, out: &mut Vec<u8>) -> (u8, u32) {
        match self {
            Frame::Hello(hello) => {
                out.extend_from_slice(&MAGIC);
                out.extend_from_slice(&hello.version.to_le_bytes());
                out.extend_from_slice(&hello.capabilities.bits().to_le_bytes());
                out.extend_from_slice(&hello.max_flows.to_le_bytes());
                out.extend_from_slice(&hello.max_binds.to_le_bytes());
                out.extend_from_slice(
                    &hello.build.as_bytes()[..hello.build.floor_char_boundary(MAX_BUILD_NAME)],
                );
                (kind::HELLO, 0)
            }
            Frame::Open { flow, to, window, hops, name } => {
                out.extend_from_slice(&window.to_le_bytes());
                put_socket(out, *to);
                out.push(hops.map_or(0, NonZeroU8::get));
                // A name that is too long is left out: the address suffices.
                if let Some(name) = name
                    && name.len() <= MAX_NAME
                {
                    out.extend_from_slice(name.as_bytes());
                }
                (kind::OPEN, flow.0)
            }
            Frame::Opened { flow, window } => {
                out.extend_from_slice(&window.to_le_bytes());
                (kind::OPENED, flow.0)
            }
            Frame::Failed { flow, reason, os_code } => {
                out.push(encode_failure(*reason));
                out.extend_from_slice(&os_code.to_le_bytes());
                if let ConnectFailure::Reported(fault) = reason {
                    put_fault(out, *fault);
                }
                (kind::FAILED, flow.0)
            }
            Frame::Data { flow, bytes } => {
                out.extend_from_slice(bytes);
                (kind::DATA, flow.0)
            }
            Frame::Credit { flow, bytes } => {
                out.extend_from_slice(&bytes.to_le_bytes());
                (kind::CREDIT, flow.0)
            }
            Frame::Fin { flow } => (kind::FIN, flow.0),
            Frame::Reset { flow } => (kind::RESET, flow.0),
            Frame::Orphan { flow } => (kind::ORPHAN, flow.0),
            Frame::Bind { bind, family } => {
                out.push(match family {
                    Family::V4 => 4,
                    Family::V6 => 6,
                });
                (kind::BIND, bind.0)
            }
            Frame::Datagram { bind, peer, marks, bytes } => {
                marks::put(*marks, out);
                put_socket(out, *peer);
                out.extend_from_slice(bytes);
                (kind::DATAGRAM, bind.0)
            }
            Frame::PeerError { bind, peer, fault } => {
                put_socket(out, *peer);
                put_fault(out, *fault);
                (kind::PEER_ERROR, bind.0)
            }
            Frame::Unbind { bind, reason } => {
                out.push(match reason {
                    UnbindReason::Done => 0,
                    UnbindReason::TooMany => 1,
                    UnbindReason::Broken => 2,
                });
                (kind::UNBIND, bind.0)
            }
            Frame::Query { request, message } => {
                out.extend_from_slice(message);
                (kind::QUERY, request.0)
            }
            Frame::Answer { request, by, message } => {
                out.push(match by {
                    AnsweredBy::HostsFile => 0,
                    AnsweredBy::RawQuery => 1,
                    AnsweredBy::RecordQuery => 2,
                    AnsweredBy::Servers => 3,
                });
                out.extend_from_slice(message);
                (kind::ANSWER, request.0)
            }
            Frame::NoAnswer { request, reason } => {
                out.push(match reason {
                    QueryFailure::TimedOut => 0,
                    QueryFailure::NoServer => 1,
                    QueryFailure::Refused => 2,
                });
                (kind::NO_ANSWER, request.0)
            }
            Frame::Echo { request, to, marks, payload } => {
                marks::put(*marks, out);
                put_maybe_ip(out, Some(*to));
                out.extend_from_slice(payload);
                (kind::ECHO, request.0)
            }
            Frame::EchoReply { request, ttl, payload } => {
                out.push(*ttl);
                out.extend_from_slice(payload);
                (kind::ECHO_REPLY, request.0)
            }
            Frame::EchoError { request, fault } => {
                put_fault(out, *fault);
                (kind::ECHO_ERROR, request.0)
            }
            Frame::AskFacts { request } => (kind::ASK_FACTS, request.0),
            Frame::Facts { request, json } => {
                out.extend_from_slice(json);
                (kind::FACTS, request.0)
            }
            Frame::Changed => (kind::CHANGED, 0),
            Frame::Via { json } => {
                out.extend_from_slice(json);
                (kind::VIA, 0)
            }
            Frame::HostAccess { json } => {
                out.extend_from_slice(json);
                (kind::HOST_ACCESS, 0)
            }
            Frame::Link { json } => {
                out.extend_from_slice(json);
                (kind::LINK, 0)
            }
            Frame::LinkFailed { json } => {
                out.extend_from_slice(json);
                (kind::LINK_FAILED, 0)
            }
            Frame::Moved => (kind::MOVED, 0),
            Frame::ViaTrouble { words } => {
                out.extend_from_slice(&words.as_bytes()[..words.floor_char_boundary(MAX_WORDS)]);
                (kind::VIA_TROUBLE, 0)
            }
            Frame::Ping { nonce } => {
                out.extend_from_slice(&nonce.to_le_bytes());
                (kind::PING, 0)
            }
            Frame::Pong { nonce } => {
                out.extend_from_slice(&nonce.to_le_bytes());
                (kind::PONG, 0)
            }
        }
    }
}

/// The header of a frame, and the frame without its seal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    kind: u8,
    /// Payload bytes.
    pub(crate) length: usize,
    id: u32,
}

impl Header {
    /// # Errors
    /// [`FrameError::TooLong`].
    pub(crate) fn parse(
        [kind, l0, l1, l2, i0, i1, i2, i3]: [u8; HEADER],
    ) -> Result<Self, FrameError> {
        let length = u32::from_le_bytes([l0, l1, l2, 0]) as usize;
        if length > MAX_PAYLOAD {
            return Err(FrameError::TooLong { kind, length });
        }
        Ok(Self { kind, length, id: u32::from_le_bytes([i0, i1, i2, i3]) })
    }

    pub(crate) fn is_hello(self) -> bool {
        self.kind == kind::HELLO
    }

    /// The frame with this header, of which `payload` is the whole payload.
    ///
    /// # Errors
    /// [`FrameError::Malformed`], [`FrameError::UnknownKind`].
    pub(crate) fn decode(self, payload: &[u8]) -> Result<Frame<'_>, FrameError> {
        let Self { kind, length, id } = self;
        let frame = decode(kind, id, payload)
            .map_err(|Malformed| FrameError::Malformed { kind, length })?;
        frame.ok_or(FrameError::UnknownKind { kind })
    }
}

impl<'a> Frame<'a> {
    /// Takes a frame without a seal off the front of `bytes`, as [`Frame::encode`] wrote it, or
    /// gives `None` when more bytes are needed. Returns where the next one begins, too.
    ///
    /// # Errors
    /// See [`FrameError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::parse(*header)?;
        let Some(payload) = rest.get(..header.length) else { return Ok(None) };
        header.decode(payload).map(|frame| Some((frame, HEADER + header.length)))
    }
}

fn decode(kind: u8, id: u32, payload: &[u8]) -> Result<Option<Frame<'_>>, Malformed> {
    let mut r = Reader(payload);
    let (flow, bind, request) = (FlowId(id), BindId(id), RequestId(id));
    let frame = match kind {
        kind::HELLO => Frame::Hello(decode_hello(&mut r)?),
        kind::OPEN => {
            let window = window(&mut r)?;
            Frame::Open {
                flow,
                window,
                to: r.socket()?,
                hops: NonZeroU8::new(r.u8()?),
                name: name(&mut r)?,
            }
        }
        kind::OPENED => Frame::Opened { flow, window: window(&mut r)? },
        kind::FAILED => {
            let (code, os_code) = (r.u8()?, r.i32()?);
            Frame::Failed { flow, reason: decode_failure(code, &mut r)?, os_code }
        }
        kind::DATA => Frame::Data { flow, bytes: r.rest() },
        kind::CREDIT => Frame::Credit { flow, bytes: r.u32()? },
        kind::FIN => Frame::Fin { flow },
        kind::RESET => Frame::Reset { flow },
        kind::ORPHAN => Frame::Orphan { flow },
        kind::BIND => {
            let family = match r.u8()? {
                4 => Family::V4,
                6 => Family::V6,
                _ => return Err(Malformed),
            };
            Frame::Bind { bind, family }
        }
        kind::DATAGRAM => Frame::Datagram {
            bind,
            marks: marks::read(&mut r)?,
            peer: r.socket()?,
            bytes: r.rest(),
        },
        kind::PEER_ERROR => {
            Frame::PeerError { bind, peer: r.socket()?, fault: decode_fault(&mut r)? }
        }
        kind::UNBIND => {
            let reason = match r.u8()? {
                0 => UnbindReason::Done,
                1 => UnbindReason::TooMany,
                2 => UnbindReason::Broken,
                _ => return Err(Malformed),
            };
            Frame::Unbind { bind, reason }
        }
        kind::QUERY => Frame::Query { request, message: r.rest() },
        kind::ANSWER => {
            let by = match r.u8()? {
                0 => AnsweredBy::HostsFile,
                1 => AnsweredBy::RawQuery,
                2 => AnsweredBy::RecordQuery,
                3 => AnsweredBy::Servers,
                _ => return Err(Malformed),
            };
            Frame::Answer { request, by, message: r.rest() }
        }
        kind::NO_ANSWER => {
            let reason = match r.u8()? {
                0 => QueryFailure::TimedOut,
                1 => QueryFailure::NoServer,
                2 => QueryFailure::Refused,
                _ => return Err(Malformed),
            };
            Frame::NoAnswer { request, reason }
        }
        kind::ECHO => {
            Frame::Echo { request, marks: marks::read(&mut r)?, to: r.ip()?, payload: r.rest() }
        }
        kind::ECHO_REPLY => Frame::EchoReply { request, ttl: r.u8()?, payload: r.rest() },
        kind::ECHO_ERROR => Frame::EchoError { request, fault: decode_fault(&mut r)? },
        kind::ASK_FACTS => Frame::AskFacts { request },
        kind::FACTS => Frame::Facts { request, json: r.rest() },
        kind::CHANGED => Frame::Changed,
        kind::VIA => Frame::Via { json: r.rest() },
        kind::HOST_ACCESS => Frame::HostAccess { json: r.rest() },
        kind::LINK => Frame::Link { json: r.rest() },
        kind::LINK_FAILED => Frame::LinkFailed { json: r.rest() },
        kind::MOVED => Frame::Moved,
        kind::VIA_TROUBLE => Frame::ViaTrouble { words: text(&mut r, MAX_WORDS)? },
        kind::PING => Frame::Ping { nonce: r.u64()? },
        kind::PONG => Frame::Pong { nonce: r.u64()? },
        _ => return Ok(None),
    };
    r.end()?;
    Ok(Some(frame))
}

fn decode_hello(r: &mut Reader<'_>) -> Result<Hello, Malformed> {
    if r.bytes(MAGIC.len())? != MAGIC {
        return Err(Malformed);
    }
    let (version, capabilities) = (r.u16()?, Capabilities::from_bits_retain(r.u32()?));
    let (max_flows, max_binds) = (r.u32()?, r.u32()?);
    let build = r.rest();
    if build.len() > MAX_BUILD_NAME {
        return Err(Malformed);
    }
    let mut build = String::from_utf8_lossy(build).into_owned();
    // A replacement character has three bytes.
    build.truncate(build.floor_char_boundary(MAX_BUILD_NAME));
    Ok(Hello { version, capabilities, max_flows, max_binds, build })
}

fn window(r: &mut Reader<'_>) -> Result<u32, Malformed> {
    r.u32().and_then(|w| if w <= MAX_WINDOW { Ok(w) } else { Err(Malformed) })
}

/// The rest of a payload as text of at most `most` bytes.
fn text<'a>(r: &mut Reader<'a>, most: usize) -> Result<&'a str, Malformed> {
    let bytes = r.rest();
    if bytes.len() > most {
        Err(Malformed)
    } else {
        std::str::from_utf8(bytes).map_err(|_| Malformed)
    }
}

fn name<'a>(r: &mut Reader<'a>) -> Result<Option<&'a str>, Malformed> {
    text(r, MAX_NAME).map(|name| (!name.is_empty()).then_some(name))
}

fn encode_failure(reason: ConnectFailure) -> u8 {
    match reason {
        ConnectFailure::Refused => 1,
        ConnectFailure::TimedOut => 2,
        ConnectFailure::NetworkUnreachable => 3,
        ConnectFailure::HostUnreachable => 4,
        ConnectFailure::PermissionDenied => 5,
        ConnectFailure::NoResources => 6,
        ConnectFailure::TooManyFlows => 7,
        ConnectFailure::Other => 8,
        ConnectFailure::Reported(_) => 9,
    }
}

fn decode_failure(code: u8, rest: &mut Reader<'_>) -> Result<ConnectFailure, Malformed> {
    Ok(match code {
        1 => ConnectFailure::Refused,
        2 => ConnectFailure::TimedOut,
        3 => ConnectFailure::NetworkUnreachable,
        4 => ConnectFailure::HostUnreachable,
        5 => ConnectFailure::PermissionDenied,
        6 => ConnectFailure::NoResources,
        7 => ConnectFailure::TooManyFlows,
        8 => ConnectFailure::Other,
        9 => ConnectFailure::Reported(decode_fault(rest)?),
        _ => return Err(Malformed),
    })
}

fn put_fault(out: &mut Vec<u8>, fault: Fault) {
    let (code, mtu) = match fault.kind {
        FaultKind::NetworkUnreachable => (1, 0),
        FaultKind::HostUnreachable => (2, 0),
        FaultKind::ProtocolUnreachable => (3, 0),
        FaultKind::PortUnreachable => (4, 0),
        FaultKind::Prohibited => (5, 0),
        FaultKind::TimeExceeded => (6, 0),
        FaultKind::PacketTooBig { mtu } => (7, mtu),
    };
    out.push(code);
    out.extend_from_slice(&mtu.to_le_bytes());
    put_maybe_ip(out, fault.router);
}

fn decode_fault(r: &mut Reader<'_>) -> Result<Fault, Malformed> {
    let (code, mtu) = (r.u8()?, r.u32()?);
    let kind = match code {
        1 => FaultKind::NetworkUnreachable,
        2 => FaultKind::HostUnreachable,
        3 => FaultKind::ProtocolUnreachable,
        4 => FaultKind::PortUnreachable,
        5 => FaultKind::Prohibited,
        6 => FaultKind::TimeExceeded,
        7 => FaultKind::PacketTooBig { mtu },
        _ => return Err(Malformed),
    };
    Ok(Fault { kind, router: r.maybe_ip()? })
}
