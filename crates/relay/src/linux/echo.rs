//! Real pings: echo requests by the kernel's unprivileged ICMP sockets (icmp(7),
//! `net.ipv4.ping_group_range`), one socket per family.
//!
//! The kernel sets the identifier, this module the sequence numbers. Each request has its own,
//! whatever number the VM's program used, and a reply or an error finds its request by it. A
//! missing answer is not reported; a request is dropped after a while.

use super::datagrams::{self, Discovery, refusal};
use crate::echo::Outcome;
use crate::limits::{ECHO_MEMORY, MAX_ECHOES};
use crate::udp::Received;
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use wire::frame::Family;
use wire::{Capabilities, Fault, FaultKind, Marks, RequestId};

/// Messages between the sockets' tasks and the engine: at most 8 MiB when all are of the largest
/// size. Further ones wait in the sockets.
const HEARD: usize = 128;

/// The largest ICMP message: an IP packet's length is at most 65,535 bytes, for IPv6 without its
/// header.
const LARGEST: usize = 65_535;

/// Bytes before an echo's payload (RFC 792, RFC 4443 section 4).
const HEADER: usize = 8;

/// A message that a socket received.
#[derive(Debug)]
pub(crate) struct Heard {
    sequence: u16,
    /// The sender of a reply, or the destination of the request that an error is about.
    address: IpAddr,
    outcome: Outcome,
}

/// The ping sockets, and the requests that wait for an answer.
pub(crate) struct Echoes {
    v4: Option<Pinger>,
    v6: Option<Pinger>,
    waiting: Waiting,
    heard: mpsc::Sender<Heard>,
}

struct Pinger {
    socket: Arc<UdpSocket>,
    discovery: Discovery,
    receiving: AbortHandle,
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

/// The families by which this host lets its users ping.
pub(crate) fn capabilities() -> Capabilities {
    let can = |family, capability| open(family).map_or(Capabilities::default(), |_| capability);
    can(Family::V4, Capabilities::ECHO4) | can(Family::V6, Capabilities::ECHO6)
}

impl Echoes {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Heard>) {
        let (heard, receiver) = mpsc::channel(HEARD);
        (Self { v4: None, v6: None, waiting: Waiting::default(), heard }, receiver)
    }

    /// Sends an echo request. `Some` when the host itself refuses it.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        request: RequestId,
        to: IpAddr,
        marks: Marks,
        payload: &[u8],
    ) -> Option<Fault> {
        let socket = match self.pinger(Family::of(to)) {
            Ok(pinger) => {
                pinger.discovery.set(&pinger.socket, Family::of(to), marks.fragments);
                Arc::clone(&pinger.socket)
            }
            Err(error) => {
                tracing::warn!(%error, "no ping socket; does net.ipv4.ping_group_range allow this user's group?");
                return Some(Fault { kind: FaultKind::Prohibited, router: None });
            }
        };
        let sequence = self.waiting.add(now, request, to);
        let message = message(to, sequence, payload);
        // No packet with a time to live of 0 arrives anywhere. The kernel takes 1 and more.
        let marks = Marks { ttl: marks.ttl.max(1), ..marks };
        let error = datagrams::send(&*socket, SocketAddr::new(to, 0), marks, &message).err()?;
        tracing::debug!(%to, %error, "an echo request was not sent");
        let fault = refusal(error, (to, payload.len()), marks);
        if fault.is_some() {
            self.waiting.take(now, sequence, to);
        }
        fault
    }

    /// The request that a message belongs to, and how it ended; `None` for one that is answered or
    /// dropped.
    pub(crate) fn claim(&mut self, now: Instant, heard: Heard) -> Option<(RequestId, Outcome)> {
        let id = self.waiting.take(now, heard.sequence, heard.address)?;
        Some((id, heard.outcome))
    }

    /// The family's socket, opened at the first use, and again if it failed.
    fn pinger(&mut self, family: Family) -> io::Result<&Pinger> {
        let place = match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        if place.as_ref().is_none_or(|pinger| pinger.receiving.is_finished()) {
            let socket = Arc::new(UdpSocket::from_std(open(family)?)?);
            let receiving = tokio::spawn(receive(family, Arc::clone(&socket), self.heard.clone()))
                .abort_handle();
            *place = Some(Pinger { socket, discovery: Discovery::default(), receiving });
        }
        place.as_ref().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

/// A ping socket is a datagram socket like a UDP socket and gets its type: reads and writes here
/// use its descriptor.
fn open(family: Family) -> io::Result<std::net::UdpSocket> {
    let (domain, protocol) = match family {
        Family::V4 => (Domain::IPV4, Protocol::ICMPV4),
        Family::V6 => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))?;
    datagrams::report_all(&socket, family)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// An echo request (RFC 792; RFC 4443 section 4.1); the kernel fills in identifier and checksum.
fn message(to: IpAddr, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let [high, low] = sequence.to_be_bytes();
    [&[request_type(Family::of(to)), 0, 0, 0, 0, 0, high, low], payload].concat()
}

fn request_type(family: Family) -> u8 {
    match family {
        Family::V4 => 8,
        Family::V6 => 128,
    }
}

fn reply_type(family: Family) -> u8 {
    match family {
        Family::V4 => 0,
        Family::V6 => 129,
    }
}

/// The sequence number of a message of type `kind`, and its payload.
fn parse(message: &[u8], kind: u8) -> Option<(u16, &[u8])> {
    let (header, payload) = message.split_first_chunk::<HEADER>()?;
    (header[0] == kind).then(|| (u16::from_be_bytes([header[6], header[7]]), payload))
}

/// Ends when the socket has a lasting error. The next request then opens another.
async fn receive(family: Family, socket: Arc<UdpSocket>, heard: mpsc::Sender<Heard>) {
    while socket.ready(Interest::READABLE | Interest::ERROR).await.is_ok() {
        // Kept only as long as there is something to receive.
        let mut buffer = vec![0; LARGEST];
        let mut errors = 0;
        loop {
            let error =
                socket.try_io(Interest::ERROR, || Ok(receive_error(family, &socket, &mut buffer)?));
            let outcome = error.or_else(|_| {
                socket
                    .try_io(Interest::READABLE, || Ok(receive_reply(family, &socket, &mut buffer)?))
            });
            match outcome {
                Ok(Some(message)) => {
                    if heard.send(message).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // A receive reports the pending error of an earlier request, and thereby clears it;
                // its details were, or will be, in the error queue. An error that stays is the
                // socket's own.
                Err(error) => {
                    errors += 1;
                    if errors > LASTING_ERRORS {
                        tracing::warn!(%error, "the ping socket broke");
                        return;
                    }
                }
            }
        }
    }
}

/// Consecutive errors that only a broken socket has: each request has one at most, and there are no
/// more unsent ones.
const LASTING_ERRORS: usize = MAX_ECHOES;

fn receive_reply(
    family: Family,
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> nix::Result<Option<Heard>> {
    let Some(Received { peer, marks, length, .. }) = datagrams::receive(socket, buffer)? else {
        return Ok(None);
    };
    Ok(parse(&buffer[..length], reply_type(family)).map(|(sequence, payload)| {
        let outcome = Outcome::Reply { ttl: marks.ttl, payload: payload.to_vec() };
        Heard { sequence, address: peer.ip(), outcome }
    }))
}

/// The queue holds the request itself, as far as the error quoted it.
fn receive_error(
    family: Family,
    socket: &UdpSocket,
    buffer: &mut [u8],
) -> nix::Result<Option<Heard>> {
    let lost = datagrams::receive_error(socket, buffer)?;
    Ok(lost.and_then(|lost| {
        let (sequence, _) = parse(&buffer[..lost.length], request_type(family))?;
        Some(Heard { sequence, address: lost.peer.ip(), outcome: Outcome::Error(lost.fault) })
    }))
}

/// Requests without an answer, in the order of their sequence numbers.
#[derive(Default)]
struct Waiting {
    /// The sequence number of the front of `requests`; the others follow it without a gap.
    first: u16,
    /// `None` stands for an answered request. `requests.len() <= MAX_ECHOES`.
    requests: VecDeque<Option<Request>>,
}

struct Request {
    id: RequestId,
    to: IpAddr,
    sent: Instant,
}

impl Waiting {
    /// The sequence number for a new request.
    fn add(&mut self, now: Instant, id: RequestId, to: IpAddr) -> u16 {
        self.forget(now);
        if self.requests.len() >= MAX_ECHOES {
            self.pop();
        }
        let index = self.requests.len();
        self.requests.push_back(Some(Request { id, to, sent: now }));
        // Below 65,536, like MAX_ECHOES.
        self.first.wrapping_add(index as u16)
    }

    /// Takes the request with this number, if it was one for `address` and still waits.
    fn take(&mut self, now: Instant, sequence: u16, address: IpAddr) -> Option<RequestId> {
        self.forget(now);
        let place = self.requests.get_mut(usize::from(sequence.wrapping_sub(self.first)))?;
        // A host pinged by a multicast or unspecified address answers from its own.
        let request = place.take_if(|request| {
            request.to == address || request.to.is_multicast() || request.to.is_unspecified()
        })?;
        self.forget(now);
        Some(request.id)
    }

    fn forget(&mut self, now: Instant) {
        let over = |request: &Request| now.saturating_duration_since(request.sent) >= ECHO_MEMORY;
        while self.requests.front().is_some_and(|request| request.as_ref().is_none_or(over)) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        self.requests.pop_front();
        self.first = self.first.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    #[expect(clippy::disallowed_methods, reason = "a test needs some instant to count from")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn each_request_is_found_once_by_its_own_number_whatever_the_order() {
        let (mut waiting, now) = (Waiting { first: u16::MAX - 2, ..Waiting::default() }, start());
        let sequences: Vec<u16> = (0..6).map(|id| waiting.add(now, RequestId(id), PEER)).collect();
        assert_eq!(sequences, [65_533, 65_534, 65_535, 0, 1, 2], "the numbers wrap");
        for id in [3, 0, 5, 1, 2, 4] {
            assert_eq!(waiting.take(now, sequences[id], PEER), Some(RequestId(id as u32)));
            assert_eq!(waiting.take(now, sequences[id], PEER), None, "a duplicate has no request");
        }
        assert!(waiting.requests.is_empty());
    }

    #[test]
    fn a_reply_from_somebody_else_does_not_count_but_for_a_group() {
        let (mut waiting, now) = (Waiting::default(), start());
        let (one, group) = (waiting.add(now, RequestId(1), PEER), [224, 0, 0, 1].into());
        let all = waiting.add(now, RequestId(2), group);
        assert_eq!(waiting.take(now, one, [192, 0, 2, 8].into()), None);
        assert_eq!(waiting.take(now, all, PEER), Some(RequestId(2)));
        assert_eq!(waiting.take(now, one, PEER), Some(RequestId(1)));
    }

    #[test]
    fn old_requests_are_forgotten_and_the_oldest_makes_room() {
        let (mut waiting, now) = (Waiting::default(), start());
        let old = waiting.add(now, RequestId(1), PEER);
        let late = now + ECHO_MEMORY;
        let young = waiting.add(late - Duration::from_millis(1), RequestId(2), PEER);
        assert_eq!(waiting.take(late, old, PEER), None);
        assert_eq!(waiting.take(late, young, PEER), Some(RequestId(2)));
        let first = waiting.add(late, RequestId(3), PEER);
        let second = waiting.add(late, RequestId(4), PEER);
        for id in 0..MAX_ECHOES - 1 {
            waiting.add(late, RequestId(id as u32), PEER);
        }
        assert_eq!(waiting.requests.len(), MAX_ECHOES);
        assert_eq!(waiting.take(late, first, PEER), None);
        assert_eq!(waiting.take(late, second, PEER), Some(RequestId(4)));
    }
}
