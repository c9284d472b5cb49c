//! UDP: one unconnected socket per source endpoint of the VM, used for every peer
//! (endpoint-independent mapping, RFC 4787 section 4.1), and the ICMP errors that come back about
//! its datagrams.
//!
//! A small task per socket waits for it. The engine receives its datagrams in its own turn,
//! straight into its own buffers, so that a flood costs little and its sender's turn ends like any
//! other's. When the engine lags, or the pipe is full, the datagrams wait in the sockets' own
//! buffers. The kernel drops what does not fit there, as UDP allows.

use crate::batch::{Batch, Way};
use crate::limits::UDP_TURN;
use crate::os::datagrams::Socket;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use wire::frame::Family;
use wire::{BindId, Fault, Marks};

/// The largest UDP payload over IPv4 (RFC 768, RFC 791), and one byte more to hold the largest over
/// IPv6.
const LARGEST: usize = 65_536;

/// The overhead that counts for each datagram: receiving an empty one is work too.
const OVERHEAD: usize = 512;

/// An event of a socket for the gateway.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    /// A datagram came in.
    Datagram { bind: BindId, peer: SocketAddr, marks: Marks, bytes: &'a [u8] },
    /// A datagram to `peer` did not arrive.
    Error { bind: BindId, peer: SocketAddr, fault: Fault },
    /// The socket broke, and is gone.
    Broken { bind: BindId },
}

/// An item that a host's socket receives.
pub(crate) enum Incoming {
    /// A datagram.
    Datagram(Received),
    /// A datagram that was sent to `peer` did not arrive.
    #[cfg_attr(windows, expect(dead_code, reason = "Windows does not say which datagram it means"))]
    Lost { peer: SocketAddr, fault: Fault },
    /// Something without consequence.
    Nothing,
}

/// A datagram that came in, or several from one sender that came together. The bytes are in the
/// caller's buffer.
pub(crate) struct Received {
    /// The sender.
    pub(crate) peer: SocketAddr,
    /// The marks on arrival.
    pub(crate) marks: Marks,
    /// Bytes of the buffer that they fill.
    pub(crate) length: usize,
    /// Bytes of each datagram except the last, which may be shorter.
    pub(crate) segment: usize,
}

impl Received {
    /// The datagrams in the caller's buffer.
    fn datagrams<'a>(&self, buffer: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        let (first, rest) = buffer[..self.length].split_at(self.segment.min(self.length));
        std::iter::once(first).chain(rest.chunks(self.segment.max(1)))
    }
}

/// All UDP sockets of the relay.
pub(crate) struct Binds {
    sockets: HashMap<BindId, Bind>,
    /// Sockets that woke up; each appears once until it is drained.
    awake: mpsc::UnboundedReceiver<BindId>,
    wake: mpsc::UnboundedSender<BindId>,
    /// Sockets that may have something, in the order of their turns.
    turns: VecDeque<BindId>,
    buffer: Vec<u8>,
    /// Datagrams that wait for more of their kind, until [`Binds::flush`].
    batch: Option<Batch>,
}

struct Bind {
    socket: Arc<Socket>,
    drained: Arc<Notify>,
    waiting: AbortHandle,
}

impl Drop for Bind {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

impl Binds {
    pub(crate) fn new() -> Self {
        let (wake, awake) = mpsc::unbounded_channel();
        // Only the pages that datagrams reach are ever touched.
        Self {
            sockets: HashMap::new(),
            awake,
            wake,
            turns: VecDeque::new(),
            buffer: vec![0; LARGEST],
            batch: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Opens a socket. It replaces one with the same id.
    pub(crate) fn bind(&mut self, bind: BindId, family: Family) -> io::Result<()> {
        let socket = Arc::new(Socket::open(family)?);
        let drained = Arc::new(Notify::new());
        let waiting = wait(bind, Arc::clone(&socket), Arc::clone(&drained), self.wake.clone());
        let waiting = tokio::spawn(waiting).abort_handle();
        self.sockets.insert(bind, Bind { socket, drained, waiting });
        Ok(())
    }

    pub(crate) fn unbind(&mut self, bind: BindId) {
        // The socket that would report a refusal of its last datagrams is gone.
        let _ = self.flush();
        self.sockets.remove(&bind);
    }

    /// Sends a datagram, by [`Binds::flush`] at the latest. `Some` when the host itself refused
    /// this one or those before it. A full socket buffer drops silently, as a full link would.
    pub(crate) fn send(
        &mut self,
        bind: BindId,
        peer: SocketAddr,
        marks: Marks,
        bytes: &[u8],
    ) -> Option<Event<'static>> {
        let way = Way { bind, peer, marks };
        if self.batch.as_mut().is_some_and(|batch| batch.add(way, bytes)) {
            return None;
        }
        let refused = self.flush();
        self.batch = Batch::begin(way, bytes);
        match self.batch {
            Some(_) => refused,
            None => refused.or(self.send_now(way, bytes)),
        }
    }

    /// Sends the datagrams that wait for others.
    pub(crate) fn flush(&mut self) -> Option<Event<'static>> {
        let batch = self.batch.take()?;
        if batch.datagrams().len() > 1 {
            let socket = &self.sockets.get(&batch.way.bind)?.socket;
            let Way { peer, marks, .. } = batch.way;
            if socket.send_segments(peer, marks, &batch.bytes, batch.segment).is_ok() {
                return None;
            }
        }
        // The reason that they could not go together may not apply to a single one.
        batch.datagrams().map(|bytes| self.send_now(batch.way, bytes)).fold(None, Option::or)
    }

    fn send_now(&self, Way { bind, peer, marks }: Way, bytes: &[u8]) -> Option<Event<'static>> {
        let socket = &self.sockets.get(&bind)?.socket;
        let fault = socket.send(peer, marks, bytes).err()?;
        Some(Event::Error { bind, peer, fault })
    }

    /// Notes the sockets that woke up. Those that wake up later wake `cx`.
    pub(crate) fn poll_awake(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(bind)) = self.awake.poll_recv(cx) {
            self.turns.push_back(bind);
        }
    }

    /// Passes the sockets' events to `tell`, one socket per turn, until it says to stop. Call it
    /// again for sockets that [have more](Binds::has_more).
    pub(crate) fn receive(&mut self, mut tell: impl FnMut(Event<'_>) -> Go) {
        for _ in 0..self.turns.len() {
            let Some(id) = self.turns.pop_front() else { return };
            let Some(bind) = self.sockets.get(&id) else { continue };
            match receive_turn(id, &bind.socket, &mut self.buffer, &mut tell) {
                Turn::Drained => bind.drained.notify_one(),
                Turn::Over => self.turns.push_back(id),
                Turn::Broken => {
                    self.sockets.remove(&id);
                    if tell(Event::Broken { bind: id }) == Go::Stop {
                        return;
                    }
                }
                // The socket goes to the end as well. Otherwise a flooded socket would be first
                // each time there is room.
                Turn::Stopped => return self.turns.push_back(id),
            }
        }
    }

    /// Whether a socket may have unreceived data.
    pub(crate) fn has_more(&self) -> bool {
        !self.turns.is_empty()
    }
}

/// Whether [`Binds::receive`] continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// There is room for more.
    On,
    /// Everything else waits in its socket.
    Stop,
}

enum Turn {
    /// The socket has nothing.
    Drained,
    /// It may have more.
    Over,
    /// [`Go::Stop`].
    Stopped,
    /// It has only errors.
    Broken,
}

/// Reports each time that the socket has something, and waits until it is drained.
async fn wait(
    bind: BindId,
    socket: Arc<Socket>,
    drained: Arc<Notify>,
    wake: mpsc::UnboundedSender<BindId>,
) {
    while socket.ready().await.is_ok() && wake.send(bind).is_ok() {
        drained.notified().await;
    }
}

fn receive_turn(
    bind: BindId,
    socket: &Socket,
    buffer: &mut [u8],
    tell: &mut impl FnMut(Event<'_>) -> Go,
) -> Turn {
    let (mut turn, mut only_errors, mut go) = (0, true, Go::On);
    while turn < UDP_TURN {
        turn += OVERHEAD;
        match socket.receive(buffer) {
            Ok(Incoming::Datagram(received)) => {
                turn += received.length;
                let Received { peer, marks, .. } = received;
                let events = received.datagrams(buffer).map(|bytes| Event::Datagram {
                    bind,
                    peer,
                    marks,
                    bytes,
                });
                // There is room for all that one call receives.
                go = events.map(&mut *tell).fold(Go::On, |_, go| go);
            }
            Ok(Incoming::Lost { peer, fault }) => go = tell(Event::Error { bind, peer, fault }),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Drained,
            Ok(Incoming::Nothing) => {}
            Err(_) => continue,
        }
        only_errors = false;
        if go == Go::Stop {
            return Turn::Stopped;
        }
    }
    if only_errors { Turn::Broken } else { Turn::Over }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks::of_ttl(64);

    #[tokio::test]
    async fn an_earlier_datagrams_error_does_not_eat_the_next_datagram() {
        let mut binds = Binds::new();
        binds.bind(BindId(1), Family::V4).unwrap();
        let live = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        live.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        // No await lies between the two, so the receiving task cannot take the error away first.
        assert_eq!(binds.send(BindId(1), closed, MARKS, b"lost"), None);
        assert_eq!(binds.flush(), None);
        assert_eq!(binds.send(BindId(1), live.local_addr().unwrap(), MARKS, b"kept"), None);
        assert_eq!(binds.flush(), None);
        let mut buffer = [0; 10];
        assert_eq!(live.recv(&mut buffer).unwrap(), 4);
    }

    #[tokio::test]
    async fn datagrams_that_leave_together_arrive_apart() {
        let mut binds = Binds::new();
        binds.bind(BindId(1), Family::V4).unwrap();
        let there = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        there.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        let sizes = [1000, 1000, 1000, 7, 1000, 0, 60_000, 1472, 1472];
        for size in sizes {
            assert_eq!(
                binds.send(BindId(1), there.local_addr().unwrap(), MARKS, &vec![1; size]),
                None
            );
        }
        assert_eq!(binds.flush(), None);
        let mut buffer = vec![0; LARGEST];
        assert_eq!(sizes.map(|_| there.recv(&mut buffer).unwrap()), sizes);
    }

    #[tokio::test]
    async fn datagrams_that_come_together_are_reported_apart() {
        let mut binds = Binds::new();
        let mut port = |id| {
            binds.bind(BindId(id), Family::V4).unwrap();
            binds.sockets[&BindId(id)].socket.local_addr().port()
        };
        let (from, to) = (port(1), port(2));
        let peer = SocketAddr::from(([127, 0, 0, 1], to));
        let sent: Vec<Vec<u8>> =
            (0..30).map(|n| vec![n; if n % 10 == 9 { 7 } else { 1000 }]).collect();
        let marks = Marks { traffic_class: 2, ..Marks::of_ttl(33) };
        for bytes in &sent {
            assert_eq!(binds.send(BindId(1), peer, marks, bytes), None);
        }
        assert_eq!(binds.flush(), None);
        let mut got = Vec::new();
        let receive = std::future::poll_fn(|cx| {
            binds.poll_awake(cx);
            binds.receive(|event| {
                let Event::Datagram { bind, peer, marks, bytes } = event else {
                    panic!("{event:?}")
                };
                assert_eq!((bind, peer.port()), (BindId(2), from));
                if cfg!(target_os = "linux") {
                    assert_eq!((marks.ttl, marks.traffic_class), (33, 2));
                }
                got.push(bytes.to_vec());
                // What came together is not lost for want of room.
                Go::Stop
            });
            if binds.has_more() {
                cx.waker().wake_by_ref();
            }
            if got.len() < sent.len() { Poll::Pending } else { Poll::Ready(()) }
        });
        tokio::time::timeout(std::time::Duration::from_secs(10), receive).await.unwrap();
        assert_eq!(got, sent);
    }

    #[test]
    fn what_came_together_is_cut_where_its_datagrams_end() {
        let cut = |length: usize, segment: usize| -> Vec<usize> {
            let received =
                Received { peer: ([127, 0, 0, 1], 1).into(), marks: MARKS, length, segment };
            received.datagrams(&[0; 5000]).map(<[u8]>::len).collect()
        };
        assert_eq!(cut(5000, 1200), [1200, 1200, 1200, 1200, 200]);
        assert_eq!(cut(2400, 1200), [1200, 1200]);
        for (length, segment) in [(0, 0), (0, 9), (9, 9), (9, 10)] {
            assert_eq!(cut(length, segment), [length]);
        }
    }

    #[tokio::test]
    async fn a_flooded_socket_gives_others_their_turns_and_waits_while_there_is_no_room() {
        let mut binds = Binds::new();
        let mut fill = |id: u32, count: usize| {
            binds.bind(BindId(id), Family::V4).unwrap();
            let port = binds.sockets[&BindId(id)].socket.local_addr().port();
            let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..count {
                sender.send_to(&[id as u8], ("127.0.0.1", port)).unwrap();
            }
        };
        fill(1, 200);
        fill(2, 1);
        let (mut order, mut room) = (Vec::new(), 0);
        let receive = std::future::poll_fn(|cx| {
            binds.poll_awake(cx);
            room = 50;
            binds.receive(|event| {
                let Event::Datagram { bind, bytes, .. } = event else { panic!("{event:?}") };
                assert_eq!(bytes, [bind.0 as u8]);
                order.push(bind.0);
                room -= 1;
                if room == 0 { Go::Stop } else { Go::On }
            });
            assert!(room > 0 || binds.has_more(), "a datagram without room is not forgotten");
            if binds.has_more() {
                cx.waker().wake_by_ref();
            }
            if order.len() < 201 { Poll::Pending } else { Poll::Ready(()) }
        });
        tokio::time::timeout(std::time::Duration::from_secs(10), receive).await.unwrap();
        let place = order.iter().position(|id| *id == 2).unwrap();
        assert!(
            place < 200 && order.iter().filter(|id| **id == 1).count() == 200,
            "{place}: {order:?}"
        );
    }
}
