//! The kernel's netlink messages: news of its network, dumps of it, and the owner of a socket. The
//! kernel is trusted not to lie. Data that it received from others (names of interfaces, a router's
//! addresses, attributes of kinds that are newer than this program) may be anything.

use crate::Bytes;
use bytes::BufMut;
use gateway::net::owners::{Dump, Seen, SocketReply, read_answer, read_dump};
use gateway::net::{Families, Net, captured, choose_subnet, matters, uplink, ways};
use rtnetlink::sys::{AsyncSocket, Socket, SocketAddr as NetlinkAddr};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::runtime::{Builder, Runtime};
use wsl::NetworkingMode;

const HEADER: usize = 16;

const DONE: u16 = 3;
const SOCKET: u16 = 20;

/// Kinds of messages (linux/rtnetlink.h, linux/sock_diag.h): links, addresses, routes, neighbours,
/// rules, sockets, errors, ends.
const KINDS: [u16; 8] = [16, 20, 24, 28, 32, SOCKET, 2, DONE];

/// Bytes before the attributes of each of them.
const FIXED: [usize; 8] = [16, 8, 12, 12, 12, 72, 20, 4];

/// The number of the request.
const SEQUENCE: u32 = 7;

/// The TAP's index and name.
const TAP: u32 = 3;
const TAP_NAME: &str = "up0";

/// The dumps that one look at the network may request.
const DUMPS: usize = 8;

thread_local! {
    static RUNTIME: Runtime = match Builder::new_current_thread().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("a runtime without drivers needs nothing: {error}"),
    };
    /// The kernel's answers: a list of datagrams for each request.
    static ANSWERS: RefCell<VecDeque<Vec<Vec<u8>>>> = const { RefCell::new(VecDeque::new()) };
}

/// A kernel message: a kind, the bytes before its attributes, and attributes.
fn message(input: &mut Bytes<'_>) -> Vec<u8> {
    let shape = input.byte();
    let which = usize::from(shape & 7);
    let mut body = input.take(FIXED[which]).to_vec();
    body.resize(FIXED[which], 0);
    // The family, since the reading of most fields depends on it.
    body[0] = if shape & 8 == 0 { 2 } else { 10 };
    for _ in 0..input.byte() & 7 {
        let (kind, length) = (input.byte(), usize::from(input.byte() & 0x3f));
        let value = input.take(length);
        let size = u16::try_from(4 + value.len()).unwrap_or(4);
        // Some have a wrong length.
        let size = if kind & 0x80 == 0 { size } else { u16::from(input.byte()) };
        body.extend(size.to_ne_bytes());
        body.extend([kind & 0x7f, 0]);
        body.extend(value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    let sequence = if shape & 0x10 == 0 { SEQUENCE } else { input.four() };
    wrap(KINDS[which], sequence, &body, if shape & 0xe0 == 0xe0 { input.byte() } else { 0 })
}

/// A message with its header; `off` is added to its length.
fn wrap(kind: u16, sequence: u32, body: &[u8], off: u8) -> Vec<u8> {
    let length = u32::try_from(HEADER + body.len()).unwrap_or(0).wrapping_add(u32::from(off));
    let mut message = length.to_ne_bytes().to_vec();
    message.extend([kind, 2].map(u16::to_ne_bytes).concat());
    message.extend(sequence.to_ne_bytes());
    message.extend([0; 4]);
    message.extend(body);
    message
}

fn datagram(input: &mut Bytes<'_>) -> Vec<u8> {
    let shape = input.byte();
    if shape & 0xf == 0xf {
        return input.take(usize::from(shape)).to_vec();
    }
    (0..=shape >> 6).flat_map(|_| message(input)).collect()
}

/// A kernel that answers from the list.
struct Scripted {
    socket: Socket,
    waiting: RefCell<VecDeque<Vec<u8>>>,
}

impl AsyncSocket for Scripted {
    fn socket_ref(&self) -> &Socket {
        &self.socket
    }

    fn socket_mut(&mut self) -> &mut Socket {
        &mut self.socket
    }

    fn new(protocol: isize) -> io::Result<Self> {
        Ok(Self { socket: Socket::new(protocol)?, waiting: RefCell::default() })
    }

    fn poll_send(&self, cx: &mut Context<'_>, request: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send_to(cx, request, &NetlinkAddr::new(0, 0))
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        request: &[u8],
        _: &NetlinkAddr,
    ) -> Poll<io::Result<usize>> {
        let answers = ANSWERS.with_borrow_mut(VecDeque::pop_front).unwrap_or_default();
        let mut waiting = self.waiting.borrow_mut();
        for mut datagram in answers {
            number(&mut datagram, request);
            waiting.push_back(datagram);
        }
        let mut end = wrap(DONE, 0, &[0; 4], 0);
        number(&mut end, request);
        waiting.push_back(end);
        // The connection reads before it sends.
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(request.len()))
    }

    fn poll_recv<B: BufMut>(&self, cx: &mut Context<'_>, buffer: &mut B) -> Poll<io::Result<()>> {
        self.poll_recv_from(cx, buffer).map_ok(drop)
    }

    fn poll_recv_from<B: BufMut>(
        &self,
        _: &mut Context<'_>,
        buffer: &mut B,
    ) -> Poll<io::Result<NetlinkAddr>> {
        let Some(answer) = self.waiting.borrow_mut().pop_front() else { return Poll::Pending };
        buffer.put_slice(&answer);
        Poll::Ready(Ok(NetlinkAddr::new(0, 0)))
    }

    fn poll_recv_from_full(&self, _: &mut Context<'_>) -> Poll<io::Result<(Vec<u8>, NetlinkAddr)>> {
        match self.waiting.borrow_mut().pop_front() {
            Some(answer) => Poll::Ready(Ok((answer, NetlinkAddr::new(0, 0)))),
            None => Poll::Pending,
        }
    }
}

/// Puts the request's number into the messages of a datagram that have [`SEQUENCE`].
fn number(datagram: &mut [u8], request: &[u8]) {
    let mut at = 0;
    while let Some(header) = datagram.get_mut(at..at + HEADER) {
        if header[8..12] == SEQUENCE.to_ne_bytes() || header[8..12] == [0; 4] {
            header[8..12].copy_from_slice(&request[8..12]);
        }
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]);
        at += usize::try_from(length).unwrap_or(0).max(HEADER).next_multiple_of(4);
    }
}

/// Sockets: an answer about one, and a dump of all, read datagram by datagram.
fn sockets(input: &mut Bytes<'_>) {
    let end = SocketAddr::from(([0, 0, 0, 0], 80));
    let datagram = datagram(input);
    let answer = read_answer(&datagram, SEQUENCE);
    if let SocketReply::Socket(_) = answer {
        assert_ne!(read_answer(&datagram, SEQUENCE ^ 1), answer, "an answer to two questions");
    }
    let whole = read_dump(&datagram, SEQUENCE, end);
    let twice = read_dump(&[&datagram[..], &datagram].concat(), SEQUENCE, end);
    match whole {
        // A dump without an end continues: the same datagram again does not end it sooner, and
        // finds nothing else.
        Dump::Goes(seen) if datagram.len().is_multiple_of(4) => assert_eq!(twice, Dump::Goes(seen)),
        // More bytes may make a whole message of a cut one.
        Dump::Goes(_) | Dump::Broken => {}
        Dump::Ends(_) => assert_eq!(twice, whole, "bytes after the end are read"),
    }
    assert!(!datagram.is_empty() || whole == Dump::Goes(Seen::No), "a socket of nothing");
}

/// The network derived from such answers.
fn network(input: &mut Bytes<'_>) {
    let modes = [
        NetworkingMode::Nat,
        NetworkingMode::Mirrored,
        NetworkingMode::VirtioProxy,
        NetworkingMode::Bridged,
        NetworkingMode::None,
    ];
    let mode = modes.get(usize::from(input.byte() & 7)).copied();
    let mut answers: VecDeque<Vec<Vec<u8>>> = VecDeque::new();
    for _ in 0..DUMPS {
        answers.push_back((0..input.byte() & 3).map(|_| datagram(input)).collect());
    }
    let vpn = input.take(4).first_chunk::<4>().map(|address| (*address).into());
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let Ok(net) = Net::open_by::<Scripted>() else { return };
            ANSWERS.set(answers.clone());
            if let Ok(observed) = net.observe_in(TAP_NAME, mode).await {
                assert!(
                    observed.routes.iter().all(|route| route.prefix_len() > 0),
                    "a default route among the others"
                );
                let gateways: HashSet<_> = observed.gateways.iter().collect();
                assert_eq!(gateways.len(), observed.gateways.len(), "a gateway twice");
                let ways = ways(&observed, vpn.as_slice(), Families::V4AndV6);
                assert!(
                    ways.mirrored
                        .iter()
                        .all(|to| !ways.direct.iter().any(|direct| direct.to == *to)),
                    "both ways"
                );
                let led: HashSet<_> =
                    captured(&observed, &ways, "nameserver 10.0.0.1\n").into_iter().collect();
                assert!(
                    observed.own.iter().all(|own| !led.contains(own)),
                    "an own address leads to the TAP"
                );
                assert!(uplink(&observed).iter().all(|own| observed.own.contains(own)));
                if let Ok(subnet) = choose_subnet(&observed.routes, None) {
                    let is_there = |route: &gateway::net::IpNet| {
                        route.prefix_len() >= 7 && route.contains(&std::net::IpAddr::from(subnet))
                    };
                    assert!(!observed.routes.iter().any(is_there), "{subnet} is in use");
                }
            }
            ANSWERS.set(answers);
            if let Ok(survey) = net.survey_in(None).await {
                for rule in &survey.rules {
                    assert!(rule.text.contains("from "), "{rule:?}");
                }
            }
            drop(net);
            // The connection ends in its turn.
            tokio::task::yield_now().await;
        });
    });
}

/// Any bytes, read as kernel messages.
pub fn netlink(data: &[u8]) {
    let mut input = Bytes(data);
    match input.byte() & 3 {
        0 => {
            let datagram = datagram(&mut input);
            let _ = matters(&datagram, TAP);
        }
        1 => sockets(&mut input),
        _ => network(&mut input),
    }
}
