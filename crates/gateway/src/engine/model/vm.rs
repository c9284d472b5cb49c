//! The VM: apps with sockets of smoltcp's, datagrams, pings and queries by hand.

use super::book::{self, Book, Sent, Way};
use super::link::{Link, kernel, trace};
use super::program::{Answering, AppEnd, Dice, Outcome, Reads, Reply, Setting, To};
use super::relay::query;
use super::windows::Windows;
use crate::engine::pretend::Nic;
use crate::engine::pretend::packets::{
    GATEWAY, ICMP, TCP, UDP, VM, checksum, datagram, echo, fragments, frame, two,
};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{RecvError, Socket, SocketBuffer, State};
use smoltcp::time::Instant as SmolInstant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr, Ipv4Address, Ipv6Address};
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// The first local ports of the apps' connections, datagrams and queries.
const FIRST_PORT: u16 = 10_000;
const UDP_PORTS: u16 = 40_000;
const QUERIES: u16 = 50_000;

/// Between two reads of a slow app.
const SLOW: Duration = Duration::from_millis(10);

/// How long Linux keeps what a closed socket leaves behind (`tcp_fin_timeout`).
const FIN_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Wire {
    rx: VecDeque<Vec<u8>>,
    tx: Vec<Vec<u8>>,
    mtu: usize,
}

struct Rx(Vec<u8>);
struct Tx<'a>(&'a mut Vec<Vec<u8>>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, act: F) -> R {
        act(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, act: F) -> R {
        let mut packet = vec![0; length];
        let result = act(&mut packet);
        self.0.push(packet);
        result
    }
}

impl smoltcp::phy::Device for Wire {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: SmolInstant) -> Option<(Rx, Tx<'_>)> {
        Some((Rx(self.rx.pop_front()?), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _: SmolInstant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }
}

/// The purpose of an app's connection.
enum Talk {
    Stream { conn: usize },
    Dns(Dns),
}

struct Dns {
    stream: Vec<u8>,
    sent: usize,
    step: usize,
    answers: Answering,
    asked: usize,
    got: Vec<u8>,
    is_closed: bool,
    saw_fin: bool,
}

struct App {
    talk: Talk,
    handle: SocketHandle,
    next_read: Instant,
    fate: Fate,
}

/// The fate of an app's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Lives,
    /// It sends a reset, and then it is gone.
    Aborts,
    /// Its kernel forgets it at that time.
    ForgottenAt(Instant),
}

pub(super) struct Vm {
    base: Instant,
    setting: Setting,
    iface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    windows: Windows,
    apps: Vec<App>,
    up: Link,
    down: Link,
    dice: Dice,
    is_traced: bool,
    ident: u16,
    next_port: u16,
    next_query: u16,
    next_ping: u16,
    pub(super) dark_until: Instant,
    pub(super) is_released: bool,
    /// DNS connections that must have all their answers.
    pub(super) dns_is_whole: bool,
}

impl Vm {
    pub(super) fn new(setting: Setting, seed: u64, now: Instant) -> Self {
        let mut wire = Wire { mtu: setting.mtu, ..Wire::default() };
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut iface = Interface::new(config, &mut wire, SmolInstant::from_secs(1));
        iface.update_ip_addrs(|all| {
            all.push(IpCidr::new(IpAddress::Ipv4(VM), 28)).unwrap();
            all.push(IpCidr::new(IpAddress::v6(0xfd75, 0x6e64, 0x6572, 0, 0, 0, 0, 2), 64))
                .unwrap();
        });
        iface.routes_mut().add_default_ipv4_route(Ipv4Address::new(10, 99, 0, 17)).unwrap();
        let gateway6 = Ipv6Address::new(0xfd75, 0x6e64, 0x6572, 0, 0, 0, 0, 1);
        iface.routes_mut().add_default_ipv6_route(gateway6).unwrap();
        Self {
            base: now,
            setting,
            iface,
            sockets: SocketSet::new(Vec::new()),
            wire,
            windows: Windows::default(),
            apps: Vec::new(),
            up: Link::default(),
            down: Link::default(),
            dice: Dice(seed),
            is_traced: std::env::var_os("UNDERPASS_MODEL_TRACE").is_some(),
            ident: 0,
            next_port: 0,
            next_query: 0,
            next_ping: 0,
            dark_until: now,
            is_released: false,
            dns_is_whole: true,
        }
    }

    /// From now on nothing is lost.
    pub(super) fn heal(&mut self) {
        (self.setting.loss, self.setting.overtaken) = (0, 0);
    }

    fn at(&self, now: Instant) -> SmolInstant {
        SmolInstant::from_micros(i64::try_from((now - self.base).as_micros()).unwrap() + 1_000_000)
    }

    fn dial(&mut self, to: SocketAddr, buffer: usize) -> SocketHandle {
        let ring = || SocketBuffer::new(vec![0; buffer]);
        let mut socket = Socket::new(ring(), ring());
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(None);
        let port = FIRST_PORT + self.next_port;
        self.next_port += 1;
        socket.connect(self.iface.context(), (IpAddress::from(to.ip()), to.port()), port).unwrap();
        self.sockets.add(socket)
    }

    pub(super) fn connect(&mut self, now: Instant, conn: usize, to: To, buffer: usize) {
        let handle = self.dial(book::server_address(conn, to).0, buffer);
        self.add(now, handle, Talk::Stream { conn });
    }

    pub(super) fn ask_by_tcp(&mut self, now: Instant, queries: u8, step: u8, answers: Answering) {
        let handle = self.dial((GATEWAY, 53).into(), 65_536);
        let one = |n: u8| {
            let query = query(n.into(), answers);
            [&u16::try_from(query.len()).unwrap().to_be_bytes()[..], &query].concat()
        };
        let stream = (0..queries).flat_map(one).collect();
        let (step, asked) = (step.into(), queries.into());
        let dns = Dns {
            stream,
            sent: 0,
            step,
            answers,
            asked,
            got: Vec::new(),
            is_closed: false,
            saw_fin: false,
        };
        self.add(now, handle, Talk::Dns(dns));
    }

    fn add(&mut self, now: Instant, handle: SocketHandle, talk: Talk) {
        self.apps.push(App { talk, handle, next_read: now, fate: Fate::Lives });
    }

    pub(super) fn send_datagram(
        &mut self,
        now: Instant,
        port: u8,
        host: u8,
        bytes: u16,
        reply: Reply,
        book: &mut Book,
    ) {
        let (from, to) = (UDP_PORTS + u16::from(port), (book::host(host), 500));
        let sent = Sent { app: (VM, from).into(), peer: to.into(), bytes: bytes.into() };
        let number = book.number();
        book.to_server.insert(number, (sent, reply));
        self.send_udp(now, from, to, &book::datagram(number, bytes.into()));
    }

    pub(super) fn ask(&mut self, now: Instant, answers: Answering, book: &mut Book) {
        let id = self.next_query;
        self.next_query += 1;
        book.queries.insert(id, answers);
        self.send_udp(now, QUERIES + id, (GATEWAY, 53), &query(id, answers));
    }

    pub(super) fn ping(
        &mut self,
        now: Instant,
        host: u8,
        bytes: u16,
        answered: bool,
        book: &mut Book,
    ) {
        let sequence = self.next_ping;
        self.next_ping += 1;
        book.pings.insert(sequence, (host, bytes.into(), answered));
        let [high, low] = sequence.to_be_bytes();
        let mut body = vec![7, 7, high, low, high, low];
        body.resize(4 + usize::from(bytes), 9);
        self.send_ip(now, book::host(host), ICMP, &echo(&body));
    }

    fn send_udp(&mut self, now: Instant, from: u16, to: (Ipv4Addr, u16), payload: &[u8]) {
        self.send_ip(now, to.0, UDP, &datagram(from, to, payload));
    }

    /// Sends a packet of IPv4, in fragments where it is larger than the MTU.
    fn send_ip(&mut self, now: Instant, to: Ipv4Addr, protocol: u8, message: &[u8]) {
        self.ident += 1;
        for packet in fragments(self.ident, self.setting.mtu, to, protocol, message) {
            self.up.send(now, packet, &self.setting, &mut self.dice);
        }
    }

    /// Does everything that can happen now on the app's side. Returns whether anything moved.
    pub(super) fn step(&mut self, now: Instant, nic: &mut Nic, book: &mut Book) -> bool {
        let mut moved = false;
        for (frame, meta) in nic.take() {
            moved = true;
            for packet in kernel(&frame, meta) {
                if now >= self.dark_until {
                    self.down.send(now, packet, &self.setting, &mut self.dice);
                }
            }
        }
        while let Some(packet) = self.down.receive(now) {
            moved = true;
            if self.is_traced {
                trace(&packet, now - self.base, "down");
            }
            self.arrive(packet, book);
        }
        let at = self.at(now);
        self.iface.poll(at, &mut self.wire, &mut self.sockets);
        for app in &mut self.apps {
            let socket = self.sockets.get_mut::<Socket<'_>>(app.handle);
            moved |= match &mut app.talk {
                Talk::Stream { conn } => {
                    let mut act = Act { now, is_released: self.is_released, book, conn: *conn };
                    act.stream(socket, &mut app.next_read, &mut app.fate)
                }
                Talk::Dns(dns) => dns.act(socket, self.dns_is_whole),
            };
            if socket.state() == State::Closed && !socket.can_recv() && app.fate == Fate::Lives {
                app.fate = Fate::ForgottenAt(now);
            }
        }
        self.remove(|fate| matches!(fate, Fate::ForgottenAt(at) if at <= now));
        self.iface.poll(at, &mut self.wire, &mut self.sockets);
        self.remove(|fate| fate == Fate::Aborts);
        for packet in std::mem::take(&mut self.wire.tx) {
            self.windows.note(&packet);
            if now >= self.dark_until {
                self.up.send(now, packet, &self.setting, &mut self.dice);
            }
        }
        while let Some(packet) = self.up.receive(now) {
            moved = true;
            if self.is_traced {
                trace(&packet, now - self.base, "up  ");
            }
            nic.put(frame(&packet));
        }
        moved
    }

    pub(super) fn next_deadline(&mut self, now: Instant) -> Option<Instant> {
        let at = self.at(now);
        let sockets = self.iface.poll_at(at, &self.sockets).map(|then| {
            now + Duration::from_micros(
                u64::try_from(then.total_micros() - at.total_micros()).unwrap_or(0),
            )
        });
        let apps = self.apps.iter().filter_map(|app| {
            let read = (app.next_read > now).then_some(app.next_read);
            let forgotten = if let Fate::ForgottenAt(at) = app.fate { Some(at) } else { None };
            [read, forgotten].into_iter().flatten().min()
        });
        let links = [self.up.next(), self.down.next(), sockets];
        links.into_iter().flatten().chain(apps).min()
    }

    /// A packet from the gateway.
    fn arrive(&mut self, mut packet: Vec<u8>, book: &mut Book) {
        self.windows.filter(&mut packet);
        if packet[0] >> 4 == 6 && packet[6] == 58 {
            let message = &packet[40..];
            assert_eq!(
                checksum(&[&packet[8..40], &[0, 58], &packet[4..6], message]),
                0,
                "a wrong ICMPv6 checksum"
            );
            assert_eq!(
                (message[0], message[1], message[8 + 6]),
                (1, 3, 6),
                "another ICMPv6 message"
            );
            return self.note_error(two(message, 8 + 40), book);
        }
        if packet[0] >> 4 == 6 || packet[9] == TCP {
            return self.wire.rx.push_back(packet);
        }
        assert_eq!(checksum(&[&packet[..20]]), 0, "a wrong checksum in an IP header");
        assert_eq!(packet[6..8], [0, 0], "a fragment of a small packet");
        let from = Ipv4Addr::from(*packet[12..].first_chunk().unwrap());
        let message = &packet[20..];
        let two = |at| two(message, at);
        if packet[9] == UDP {
            let sum = checksum(&[&packet[12..20], &[0, UDP], &message[4..6], message]);
            assert_eq!(sum, 0, "a wrong checksum in a datagram");
            let (peer, app) = (SocketAddr::from((from, two(0))), SocketAddr::from((VM, two(2))));
            let payload = &message[8..];
            if app.port() < QUERIES {
                return book.app_gets_datagram(app, peer, payload);
            }
            assert_eq!(peer, (GATEWAY, 53).into(), "an answer from somewhere else");
            self.take_answer(app.port() - QUERIES, payload, book);
        } else {
            let sum = (packet[9], checksum(&[message]));
            assert_eq!(sum, (ICMP, 0), "a wrong checksum in an ICMP message");
            match (message[0], message[1]) {
                (0, 0) => {
                    let sequence = two(6);
                    let known = book.pings.remove(&sequence);
                    let (host, bytes, is_answered) =
                        known.unwrap_or_else(|| panic!("a reply to nothing: {sequence}"));
                    assert!(is_answered, "a reply that no host sent");
                    assert_eq!((from, message.len()), (book::host(host), 8 + bytes));
                }
                (3, 3) => {
                    let peer = SocketAddr::from((
                        Ipv4Addr::from(*message[8 + 16..].first_chunk().unwrap()),
                        two(8 + 20 + 2),
                    ));
                    let number = book
                        .refusals
                        .iter()
                        .find(|(_, refused)| **refused == peer)
                        .map(|(number, _)| *number);
                    let number =
                        number.unwrap_or_else(|| panic!("a refusal that no host made: {peer}"));
                    book.refusals.remove(&number);
                }
                (3, 1) if message[8 + 9] == 1 => {
                    let sequence = two(8 + 20 + 6);
                    let (host, _, is_answered) =
                        book.pings.remove(&sequence).unwrap_or_else(|| panic!("{sequence}"));
                    assert!(!is_answered && host & 1 == 1, "an error that no host made");
                }
                (3, 1) if message[8 + 9] == 6 => self.note_error(two(8 + 20), book),
                other => panic!("an ICMP message of type and code {other:?}"),
            }
        }
    }

    /// An error came about the SYN of the app with that port.
    fn note_error(&mut self, port: u16, book: &mut Book) {
        let has_port = |app: &&App| {
            let end = self.sockets.get::<Socket<'_>>(app.handle).local_endpoint();
            end.is_some_and(|end| end.port == port)
        };
        if let Some(App { talk: Talk::Stream { conn }, .. }) = self.apps.iter().find(has_port) {
            let it = &mut book.conns[*conn];
            assert_eq!(
                it.plan.outcome,
                Outcome::Unreachable,
                "connection {conn}: an error that no host made"
            );
            it.app_saw_error = true;
        }
    }

    fn take_answer(&mut self, id: u16, payload: &[u8], book: &mut Book) {
        let answers =
            book.queries.remove(&id).unwrap_or_else(|| panic!("an answer to nothing: {id}"));
        assert!(
            is_answer(payload, &query(id, answers), answers),
            "a wrong answer: {payload:?} to {answers:?}"
        );
    }

    fn remove(&mut self, is_over: impl Fn(Fate) -> bool) {
        self.apps.retain(|app| {
            if is_over(app.fate) {
                self.sockets.remove(app.handle);
            }
            !is_over(app.fate)
        });
    }

    /// All apps end, and their connections are reset.
    pub(super) fn kill_all(&mut self, book: &mut Book) {
        for app in &mut self.apps {
            if let Talk::Stream { conn } = app.talk {
                book.conns[conn].app_gone = true;
            }
            self.sockets.get_mut::<Socket<'_>>(app.handle).abort();
            app.fate = Fate::Aborts;
        }
    }

    /// DNS connections that are still there.
    pub(super) fn assert_dns_over(&self) {
        for app in &self.apps {
            assert!(!matches!(app.talk, Talk::Dns(_)), "a DNS connection does not end");
        }
    }
}

struct Act<'a> {
    now: Instant,
    is_released: bool,
    book: &'a mut Book,
    conn: usize,
}

impl Act<'_> {
    /// The app does what it can. Returns whether anything changed.
    fn stream(
        &mut self,
        socket: &mut Socket<'static>,
        next_read: &mut Instant,
        fate: &mut Fate,
    ) -> bool {
        let (now, conn) = (self.now, self.conn);
        let plan = self.book.conns[conn].plan;
        let mut moved = false;
        if socket.state() == State::SynSent || *fate != Fate::Lives {
            return false;
        }
        if !self.book.conns[conn].is_established && socket.may_send() {
            self.book.app_is_established(conn);
            moved = true;
        }
        // What it has to say.
        while socket.can_send() && self.book.conns[conn].app_sent < plan.up {
            let it = &mut self.book.conns[conn];
            let left = usize::try_from(plan.up - it.app_sent).unwrap();
            let bytes = book::stream(conn, Way::Up, it.app_sent);
            it.app_sent += socket.send_slice(&bytes[..left.min(bytes.len())]).unwrap() as u64;
            moved = true;
        }
        // What it reads.
        let most = match plan.app.reads {
            // At the end of TIME-WAIT smoltcp discards unread bytes, and with them the end of the
            // stream.
            _ if socket.state() == State::TimeWait => usize::MAX,
            Reads::NotUntilTheEnd if !self.is_released => 0,
            Reads::Slowly(_) if *next_read > now => 0,
            Reads::Slowly(bytes) => usize::from(bytes),
            Reads::Eagerly | Reads::NotUntilTheEnd => usize::MAX,
        };
        let most = match plan.app.end {
            AppEnd::Exit if self.book.conns[conn].app_closed => 0,
            AppEnd::Abort { read } | AppEnd::Vanish { read } => {
                most.min(usize::try_from(read - self.book.conns[conn].app_read.min(read)).unwrap())
            }
            AppEnd::AfterSending | AppEnd::AfterServer | AppEnd::Exit => most,
        };
        let mut taken = 0;
        let end = loop {
            let left = most - taken;
            if left == 0 {
                break None;
            }
            let piece = socket.recv(|bytes| {
                let n = bytes.len().min(left);
                self.book.app_reads(conn, &bytes[..n]);
                (n, n)
            });
            match piece {
                Ok(0) => break None,
                Ok(n) => taken += n,
                Err(error) => break Some(error),
            }
        };
        if taken > 0 {
            moved = true;
            if matches!(plan.app.reads, Reads::Slowly(_)) {
                *next_read = now + SLOW;
            }
        }
        if end == Some(RecvError::Finished) && !self.book.conns[conn].app_saw_fin {
            self.book.app_sees_fin(conn);
            moved = true;
        }
        // Unread bytes hide the end that follows them.
        let is_over = socket.state() == State::Closed && !socket.can_recv();
        if is_over
            && !self.book.conns[conn].app_saw_fin
            && socket.recv(|_| (0, ())) == Err(RecvError::Finished)
        {
            self.book.app_sees_fin(conn);
        }
        let it = &mut self.book.conns[conn];
        let was_reset = is_over && !(it.app_saw_fin && it.app_closed) && !it.app_gone;
        if was_reset {
            if !it.app_saw_reset {
                self.book.app_sees_reset(conn);
                return true;
            }
            return moved;
        }
        let all_sent = it.is_established && it.app_sent == plan.up;
        let closes = match plan.app.end {
            AppEnd::AfterSending | AppEnd::Exit => all_sent,
            AppEnd::AfterServer => all_sent && it.app_saw_fin,
            AppEnd::Abort { .. } | AppEnd::Vanish { .. } => false,
        };
        if closes && !it.app_closed {
            it.app_closed = true;
            socket.close();
            moved = true;
        }
        match plan.app.end {
            AppEnd::Exit if it.app_closed => {
                it.app_gone = true;
                // Bytes for a closed socket are answered with a reset.
                if socket.can_recv() {
                    socket.abort();
                    *fate = Fate::Aborts;
                    moved = true;
                } else if socket.state() == State::FinWait2 && *fate == Fate::Lives {
                    *fate = Fate::ForgottenAt(now + FIN_TIMEOUT);
                }
            }
            AppEnd::Abort { read } if it.is_established && it.app_read >= read => {
                it.app_gone = true;
                socket.abort();
                *fate = Fate::Aborts;
                moved = true;
            }
            AppEnd::Vanish { read } if it.is_established && it.app_read >= read => {
                it.app_gone = true;
                *fate = Fate::ForgottenAt(now);
                moved = true;
            }
            AppEnd::AfterSending
            | AppEnd::AfterServer
            | AppEnd::Exit
            | AppEnd::Abort { .. }
            | AppEnd::Vanish { .. } => {}
        }
        moved
    }
}

impl Dns {
    fn act(&mut self, socket: &mut Socket<'static>, is_whole: bool) -> bool {
        let mut moved = false;
        if socket.can_send() && self.sent < self.stream.len() {
            let end = self.stream.len().min(self.sent + self.step);
            self.sent += socket.send_slice(&self.stream[self.sent..end]).unwrap();
            moved = true;
        }
        if socket.may_send() && self.sent == self.stream.len() && !self.is_closed {
            self.is_closed = true;
            socket.close();
            moved = true;
        }
        while socket.can_recv() {
            let got = &mut self.got;
            socket.recv(|bytes| (bytes.len(), got.extend_from_slice(bytes))).unwrap();
            moved = true;
        }
        let ended = self.is_closed && !self.saw_fin && !socket.may_recv();
        if ended {
            self.saw_fin = true;
            moved = true;
            self.judge(is_whole);
        }
        moved
    }

    /// The connection has ended.
    fn judge(&self, is_whole: bool) {
        let mut rest = &self.got[..];
        let mut ids = Vec::new();
        while let Some((length, behind)) = rest.split_first_chunk::<2>() {
            let (answer, behind) = behind.split_at(usize::from(u16::from_be_bytes(*length)));
            let id = u16::from_be_bytes(*answer.first_chunk().unwrap());
            assert!(
                usize::from(id) < self.asked && !ids.contains(&id),
                "an answer twice, or to nothing: {id}"
            );
            let is_right = is_answer(answer, &query(id, self.answers), self.answers);
            assert!(is_right || !is_whole, "a wrong answer: {answer:?} to {:?}", self.answers);
            ids.push(id);
            rest = behind;
        }
        let expected = match self.answers {
            Answering::TimedOut | Answering::Silence => 0,
            Answering::Answer | Answering::NoServer | Answering::Refused => self.asked,
        };
        assert!(
            !is_whole || ids.len() == expected,
            "{} answers of {expected} to {:?}",
            ids.len(),
            self.answers
        );
    }
}

/// Whether this is the right answer to a query.
fn is_answer(answer: &[u8], query: &[u8], answers: Answering) -> bool {
    let code = match answers {
        Answering::Answer => 0,
        Answering::NoServer => 2,
        Answering::Refused => 5,
        Answering::TimedOut | Answering::Silence => return false,
    };
    answer[..2] == query[..2]
        && answer[2] & 0x80 != 0
        && answer[3] & 15 == code
        && answer[12..] == query[12..]
}
