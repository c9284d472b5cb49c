//! A pretend relay and the servers that it reaches: the product's session and decoder, with the
//! program's acts in place of sockets.

use super::book::{self, Book, Conn, Sent, Way};
use super::moves::Link;
use super::program::{Answering, Dice, Outcome, Plan, Reads, Reply, ServerEnd, Setting, Speaks};
use crate::engine::pretend::relay::Pipes;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use wire::frame::VERSION;
use wire::{
    AnsweredBy, BindId, Capabilities, ConnectFailure, Decoder, Fault, FaultKind, FlowId, Frame,
    Hello, HostFacts, Marks, Pull, QueryFailure, RequestId, Role, Session, Source, Then,
    UnbindReason,
};

/// Between two reads of a slow server.
const SLOW: Duration = Duration::from_millis(10);

/// How long Windows waits for a connect by default.
const CONNECT_PATIENCE: Duration = Duration::from_secs(21);

struct Socket {
    conn: usize,
    /// Bytes from the gateway that the server has not read.
    held: u64,
    got_fin: bool,
    /// The server's direction has ended.
    is_closed: bool,
    next_read: Instant,
}

pub(super) struct Relay {
    pub(super) lane: usize,
    pipes: Pipes,
    pub(super) link: Link,
    session: Session,
    decoder: Decoder,
    staging: Vec<u8>,
    written: usize,
    sockets: Sockets,
    /// All connections that it ever opened.
    served: Vec<usize>,
    /// Connects under way.
    connecting: BTreeMap<u32, (Instant, usize)>,
    binds: HashMap<u32, SocketAddr>,
    /// It does nothing until then; for ever if it hangs.
    pub(super) asleep: Option<Asleep>,
    pub(super) is_dead: bool,
    setting: Setting,
    dice: Dice,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Asleep {
    Until(Instant),
    ForEver,
}

struct Sockets {
    open: HashMap<u32, Socket>,
    /// Lent for the time of a step.
    book: Book,
    dice: Dice,
    is_released: bool,
}

impl Source for Sockets {
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let Some(socket) = self.open.get_mut(&flow.0) else {
            return Pull { taken: 0, then: Then::Failed };
        };
        let conn = &mut self.book.conns[socket.conn];
        let plan = conn.plan;
        if !may_speak(&plan, conn) {
            return Pull { taken: 0, then: Then::Drained };
        }
        let left = usize::try_from(plan.down - conn.server_sent).unwrap();
        let piece = usize::try_from(self.dice.between(1, 60_000)).unwrap();
        let taken = left.min(max).min(piece);
        out.extend_from_slice(&book::stream(socket.conn, Way::Down, conn.server_sent)[..taken]);
        conn.server_sent += taken as u64;
        if taken < left {
            return Pull { taken, then: Then::More };
        }
        let then = match plan.server.end {
            ServerEnd::AfterSending => Then::Finished,
            ServerEnd::AfterApp if conn.server_saw_fin => Then::Finished,
            ServerEnd::AfterApp | ServerEnd::Never => Then::Drained,
            ServerEnd::Reset => Then::Failed,
        };
        match then {
            Then::Finished => (conn.server_closed, socket.is_closed) = (true, true),
            Then::Failed => {
                conn.server_reset = true;
                self.open.remove(&flow.0);
            }
            Then::More | Then::Drained => {}
        }
        Pull { taken, then }
    }
}

fn may_speak(plan: &Plan, conn: &Conn) -> bool {
    plan.server.speaks == Speaks::AtOnce || conn.server_got == plan.up
}

impl Relay {
    pub(super) fn new(
        lane: usize,
        pipes: Pipes,
        setting: Setting,
        seed: u64,
        now: Instant,
    ) -> Self {
        let hello = Hello {
            version: VERSION,
            capabilities: Capabilities::UDP
                | Capabilities::DNS
                | Capabilities::ORPHANS
                | Capabilities::ECHO4
                | Capabilities::ECHO6
                | Capabilities::LINK,
            max_flows: setting.max_flows,
            max_binds: setting.max_binds,
            build: "model".to_owned(),
        };
        let dice = Dice(seed);
        Self {
            lane,
            pipes,
            link: Link::new(setting.pipe),
            session: Session::new(Role::Relay, hello, now),
            decoder: Decoder::default(),
            staging: Vec::new(),
            written: 0,
            sockets: Sockets {
                open: HashMap::new(),
                book: Book::default(),
                dice: dice.clone(),
                is_released: false,
            },
            served: Vec::new(),
            connecting: BTreeMap::new(),
            binds: HashMap::new(),
            asleep: None,
            is_dead: false,
            setting,
            dice,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.session.peer().is_some()
    }

    /// The gateway has closed its ends.
    pub(super) fn is_given_up(&self) -> bool {
        self.pipes.up.is_closed()
    }

    /// Its process ends, and all of its sockets with it.
    pub(super) fn die(&mut self, book: &mut Book) {
        self.excuse(book);
        self.is_dead = true;
        self.link.close();
        self.pipes.down.close();
    }

    /// From here on the end of its connections is not the gateway's fault.
    pub(super) fn excuse(&self, book: &mut Book) {
        // Connections that are over here may still be on their way to the app, and are reset with
        // the others.
        let conns = self.served.iter().copied();
        conns
            .chain(self.connecting.values().map(|(_, conn)| *conn))
            .for_each(|conn| book.conns[conn].is_excused = true);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        match self.asleep {
            Some(Asleep::ForEver) => None,
            Some(Asleep::Until(at)) => Some(at),
            None => {
                let connects = self.connecting.values().map(|(at, _)| *at);
                let reads = self.sockets.open.values().filter(|s| s.held > 0).map(|s| s.next_read);
                let link = self.link.next_deadline();
                connects.chain(reads).chain(link).chain([self.session.next_deadline()]).min()
            }
        }
    }

    /// Returns whether anything moved.
    pub(super) fn step(&mut self, now: Instant, book: &mut Book, is_released: bool) -> bool {
        match self.asleep {
            Some(Asleep::Until(at)) if at <= now => self.asleep = None,
            Some(_) => return false,
            None => {}
        }
        if self.is_dead {
            return false;
        }
        let is_linked = self.link.step(now);
        if self.link.breaks(now) {
            // It lives on until the gateway ends it.
            self.link.close();
            self.excuse(book);
            self.asleep = Some(Asleep::ForEver);
            return true;
        }
        // Lent for the time of this step: the session's source owns what it needs.
        std::mem::swap(&mut self.sockets.book, book);
        self.sockets.is_released = is_released;
        let mut moved = is_linked | self.read(now);
        moved |= self.connect(now);
        moved |= self.serve(now);
        if self.session.next_deadline() <= now {
            self.session
                .handle_timeout(now)
                .unwrap_or_else(|silent| panic!("the gateway was silent: {silent}"));
            self.decoder.tick().unwrap();
        }
        moved |= self.write();
        std::mem::swap(&mut self.sockets.book, book);
        if self.link.kills() {
            self.die(book);
            return true;
        }
        let most = self.setting.max_flows as usize;
        assert!(self.session.flow_count() <= most, "{} flows of {most}", self.session.flow_count());
        assert!(
            self.binds.len() <= self.setting.max_binds as usize,
            "{} UDP sockets",
            self.binds.len()
        );
        assert_eq!(
            self.session.counters().offences,
            0,
            "the gateway sent more than it was allowed"
        );
        moved
    }

    fn read(&mut self, now: Instant) -> bool {
        let mut moved = false;
        loop {
            let piece = usize::try_from(self.dice.between(1, 100_000)).unwrap();
            let space = self.decoder.space();
            let most = piece.min(space.len());
            let taken = self.link.up(&self.pipes).read(&mut space[..most]);
            if taken == 0 {
                return moved;
            }
            moved = true;
            self.decoder.filled(taken);
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                let event = self.session.accept(now, frame).unwrap();
                if event == Some(Frame::Moved) {
                    assert_eq!(self.decoder.waiting(), 0, "bytes after the move");
                    self.link.moved(now);
                    if self.link.kills() {
                        return true;
                    }
                    break;
                }
                if let Some(Frame::Link { .. }) = event {
                    self.link.dial(now);
                    continue;
                }
                if let Some(event) = event {
                    let (session, sockets) = (&mut self.session, &mut self.sockets);
                    let around = Around {
                        now,
                        session,
                        sockets,
                        connecting: &mut self.connecting,
                        binds: &mut self.binds,
                        setting: self.setting,
                    };
                    around.act(event);
                }
            }
        }
    }

    /// Connects whose time has come.
    fn connect(&mut self, now: Instant) -> bool {
        let due: Vec<(u32, usize)> = self
            .connecting
            .iter()
            .filter(|(_, (at, _))| *at <= now)
            .map(|(flow, (_, conn))| (*flow, *conn))
            .collect();
        for (flow, conn) in &due {
            self.connecting.remove(flow);
            let (flow, it) = (FlowId(*flow), &mut self.sockets.book.conns[*conn]);
            match it.plan.outcome {
                Outcome::Opened => {
                    // The SYN was sent twice, and the rest of the connection has overtaken the
                    // second one.
                    if it.app_saw_fin && it.server_saw_fin && self.setting.overtaken > 0 {
                        self.session.failed(flow, ConnectFailure::Refused, 111);
                        continue;
                    }
                    if it.server_opened {
                        // A relay was lost after its connect, or the server's reset on its way, and
                        // the app has asked again.
                        let may_ask = (it.is_excused || it.server_reset) && !it.is_established;
                        assert!(may_ask, "a second connect for one connection: {it:?}");
                        *it = Conn { is_excused: true, ..Conn::new(it.plan) };
                    }
                    it.server_opened = true;
                    self.served.push(*conn);
                    let socket = Socket {
                        conn: *conn,
                        held: 0,
                        got_fin: false,
                        is_closed: false,
                        next_read: now,
                    };
                    self.sockets.open.insert(flow.0, socket);
                    self.session.opened(flow, self.setting.window);
                    self.session.mark_ready(flow);
                }
                Outcome::Refused => self.session.failed(flow, ConnectFailure::Refused, 111),
                Outcome::Unreachable => {
                    self.session.failed(flow, ConnectFailure::HostUnreachable, 113)
                }
                Outcome::TimedOut => self.session.failed(flow, ConnectFailure::TimedOut, 110),
            }
        }
        !due.is_empty()
    }

    /// The servers read what they may, and see the end after it.
    fn serve(&mut self, now: Instant) -> bool {
        let mut moved = false;
        let Sockets { open, book, is_released, .. } = &mut self.sockets;
        open.retain(|flow, socket| {
            let conn = &mut book.conns[socket.conn];
            let flow = FlowId(*flow);
            let most = match conn.plan.server.reads {
                Reads::NotUntilTheEnd if !*is_released => 0,
                Reads::Slowly(bytes) if socket.next_read <= now => bytes.into(),
                Reads::Slowly(_) => 0,
                Reads::Eagerly | Reads::NotUntilTheEnd => u64::MAX,
            };
            let taken = socket.held.min(most);
            if taken > 0 {
                moved = true;
                socket.held -= taken;
                socket.next_read = now + SLOW;
                self.session.consumed(flow, usize::try_from(taken).unwrap());
            } else if most == 0 && conn.plan.server.reads == Reads::NotUntilTheEnd {
                socket.next_read = now + Duration::from_secs(1);
            }
            if socket.got_fin && socket.held == 0 && !conn.server_saw_fin {
                moved = true;
                book.server_sees_fin(socket.conn);
                self.session.mark_ready(flow);
            }
            let is_done = socket.is_closed && book.conns[socket.conn].server_saw_fin;
            if is_done {
                self.session.forget(flow);
            }
            !is_done
        });
        moved
    }

    fn write(&mut self) -> bool {
        let mut moved = false;
        loop {
            if self.written == self.staging.len() {
                self.staging.clear();
                self.written = 0;
                self.link.between_frames(&mut self.session, &mut self.staging);
                if self.staging.is_empty() {
                    self.session.fill(&mut self.staging, 64 * 1024, &mut self.sockets);
                }
                if self.staging.is_empty() {
                    return moved;
                }
            }
            let taken = self.link.down(&self.pipes).write(&self.staging[self.written..]);
            self.written += taken;
            moved |= taken > 0;
            if self.written < self.staging.len() {
                return moved;
            }
        }
    }

    /// Nothing is left.
    pub(super) fn assert_empty(&self) {
        let left = (
            self.session.flow_count(),
            self.sockets.open.len(),
            self.connecting.len(),
            self.binds.len(),
        );
        assert_eq!(
            left,
            (0, 0, 0, 0),
            "flows, sockets, connects and UDP sockets are left in the relay"
        );
    }
}

/// What a frame may change.
struct Around<'a> {
    now: Instant,
    session: &'a mut Session,
    sockets: &'a mut Sockets,
    connecting: &'a mut BTreeMap<u32, (Instant, usize)>,
    binds: &'a mut HashMap<u32, SocketAddr>,
    setting: Setting,
}

impl Around<'_> {
    fn act(self, frame: Frame<'_>) {
        let (now, session, sockets) = (self.now, self.session, self.sockets);
        match frame {
            Frame::Hello(_) | Frame::Credit { .. } => {}
            Frame::Open { flow, to, .. } => {
                let conn = conn_of(to);
                let plan = sockets.book.conns[conn].plan;
                assert_eq!(to, book::server_address(conn, plan.to).1, "another server");
                if sockets.open.len() + self.connecting.len() >= self.setting.max_flows as usize {
                    sockets.book.conns[conn].is_excused = true;
                    return session.failed(flow, ConnectFailure::TooManyFlows, 0);
                }
                let wait = match plan.outcome {
                    Outcome::TimedOut => CONNECT_PATIENCE,
                    Outcome::Opened | Outcome::Refused | Outcome::Unreachable => {
                        Duration::from_millis(plan.connect_ms)
                    }
                };
                self.connecting.insert(flow.0, (now + wait, conn));
            }
            Frame::Data { flow, bytes } => {
                let socket = sockets.open.get_mut(&flow.0).expect("data for an open flow");
                sockets.book.server_gets(socket.conn, bytes);
                socket.held += bytes.len() as u64;
                assert!(
                    socket.held <= self.setting.window.into(),
                    "{flow}: more than the window is held"
                );
                session.mark_ready(flow);
            }
            Frame::Fin { flow } => {
                if let Some(socket) = sockets.open.get_mut(&flow.0) {
                    socket.got_fin = true;
                }
            }
            Frame::Reset { flow } => {
                self.connecting.remove(&flow.0);
                if let Some(socket) = sockets.open.remove(&flow.0) {
                    sockets.book.server_sees_reset(socket.conn);
                }
            }
            Frame::Orphan { flow } => {
                let socket = sockets.open.remove(&flow.0).expect("an orphan of an open flow");
                let conn = &sockets.book.conns[socket.conn];
                assert!(conn.app_gone, "an orphan whose app is there");
                if !conn.server_saw_fin {
                    sockets.book.server_sees_fin(socket.conn);
                }
            }
            Frame::Bind { bind, .. } => {
                let was = self.binds.insert(bind.0, ([0, 0, 0, 0], 0).into());
                assert_eq!(was, None, "a UDP socket twice");
                if self.binds.len() > self.setting.max_binds as usize {
                    self.binds.remove(&bind.0);
                    session.send(&Frame::Unbind { bind, reason: UnbindReason::TooMany });
                }
            }
            Frame::Unbind { bind, .. } => {
                self.binds.remove(&bind.0);
            }
            Frame::Datagram { bind, peer, bytes, .. } => {
                let (sent, reply) = sockets.book.server_gets_datagram(peer, bytes);
                // When a UDP socket makes room for another, its Unbind overtakes its last
                // datagrams.
                let Some(app) = self.binds.get_mut(&bind.0) else { return };
                assert!(app.port() == 0 || *app == sent.app, "two apps share one UDP socket");
                *app = sent.app;
                answer_datagram(session, &mut sockets.book, bind, sent, reply);
            }
            Frame::Query { request, message } => answer_query(session, request, message),
            Frame::Echo { request, to, payload, .. } => {
                let sequence = u16::from_be_bytes(*payload.first_chunk().unwrap());
                let (host, bytes, is_answered) = sockets.book.pings[&sequence];
                assert_eq!((to, payload.len()), (book::host(host).into(), bytes));
                if is_answered {
                    session.send(&Frame::EchoReply { request, ttl: 50, payload });
                } else if host & 1 == 1 {
                    let fault = Fault { kind: FaultKind::HostUnreachable, router: None };
                    session.send(&Frame::EchoError { request, fault });
                }
            }
            Frame::AskFacts { request } => {
                let json =
                    serde_json::to_vec(&HostFacts { ipv6: true, ..HostFacts::default() }).unwrap();
                session.send(&Frame::Facts { request, json: &json });
            }
            other @ (Frame::Opened { .. }
            | Frame::Failed { .. }
            | Frame::PeerError { .. }
            | Frame::Answer { .. }
            | Frame::NoAnswer { .. }
            | Frame::EchoReply { .. }
            | Frame::EchoError { .. }
            | Frame::Facts { .. }
            | Frame::Changed
            | Frame::Via { .. }
            | Frame::HostAccess { .. }
            | Frame::Link { .. }
            | Frame::LinkFailed { .. }
            | Frame::Moved
            | Frame::ViaTrouble { .. }
            | Frame::Ping { .. }
            | Frame::Pong { .. }) => panic!("unexpected: {other:?}"),
        }
    }
}

fn conn_of(to: SocketAddr) -> usize {
    match to {
        SocketAddr::V4(v4) if v4.ip().is_loopback() => usize::from(v4.port() - 20_000),
        SocketAddr::V4(v4) => {
            usize::from(u16::from_be_bytes([v4.ip().octets()[2], v4.ip().octets()[3]]))
        }
        SocketAddr::V6(v6) => usize::from(v6.ip().segments()[7] - 1),
    }
}

fn answer_datagram(session: &mut Session, book: &mut Book, bind: BindId, sent: Sent, reply: Reply) {
    let mut send = |book: &mut Book, peer: SocketAddr, bytes: usize| {
        let number = book.number();
        let payload = book::datagram(number, bytes);
        session.send(&Frame::Datagram { bind, peer, marks: Marks::of_ttl(60), bytes: &payload });
        number
    };
    match reply {
        Reply::Nothing => {}
        Reply::Echo(times) => {
            for _ in 0..times {
                let bytes = sent.bytes.min(1400);
                let number = send(book, sent.peer, bytes);
                book.to_app.insert(number, Sent { bytes, ..sent });
            }
        }
        Reply::FromStranger => {
            let number = send(book, ([203, 0, 113, 99], 99).into(), 100);
            book.strangers.push(number);
        }
        Reply::PortUnreachable => {
            let number = book.number();
            book.refusals.insert(number, sent.peer);
            let fault = Fault { kind: FaultKind::PortUnreachable, router: None };
            session.send(&Frame::PeerError { bind, peer: sent.peer, fault });
        }
    }
}

/// The first letter of a query's name decides about its answer.
fn answer_query(session: &mut Session, request: RequestId, message: &[u8]) {
    let what = message[13];
    match what {
        b'a' => {
            let mut answer = message.to_vec();
            answer[2] |= 0x80;
            session.send(&Frame::Answer { request, by: AnsweredBy::Servers, message: &answer });
        }
        b'n' => drop(session.send(&Frame::NoAnswer { request, reason: QueryFailure::NoServer })),
        b'r' => drop(session.send(&Frame::NoAnswer { request, reason: QueryFailure::Refused })),
        b't' => drop(session.send(&Frame::NoAnswer { request, reason: QueryFailure::TimedOut })),
        _ => {}
    }
}

/// A query whose name decides about its answer.
pub(super) fn query(id: u16, answers: Answering) -> Vec<u8> {
    let what = match answers {
        Answering::Answer => b'a',
        Answering::NoServer => b'n',
        Answering::Refused => b'r',
        Answering::TimedOut => b't',
        Answering::Silence => b's',
    };
    let [high, low] = id.to_be_bytes();
    [&[high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, what, 4][..], b"test", &[0, 0, 1, 0, 1]].concat()
}
