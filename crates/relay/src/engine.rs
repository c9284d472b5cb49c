//! The relay's only loop: frames in, sockets served, frames out.
//!
//! It reads its input whatever its output does: credit bounds the bytes that cannot be written yet,
//! and a relay that stopped reading would deadlock with WSL's stdio. It does not know how the
//! streams are made or what a flow's socket is.

use crate::access::Access;
use crate::dns::Answer;
use crate::echo::Outcome;
use crate::facts;
use crate::limits::{
    CONNECTS_TURN, INPUT_TURN, MAX_BINDS, MAX_QUERIES, OUTPUT_TURN, STAGING, window,
};
use crate::link::{Dial, Input as In, Output as Out};
use crate::os::echo::{self, Echoes};
use crate::os::{self, Resolver, changes, proxies};
use crate::run::Run;
use crate::tcp::{Connected, Sockets, Written, failure};
use crate::udp::{self, Binds, Go};
use crate::via::datagrams::Datagrams;
use crate::via::{Health, Via, ViaError};
use crate::wakers::Awake;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::task::unconstrained;
use tokio::time::Sleep;
use wire::frame::{Family, VERSION};
use wire::session::{Silent, Way};
use wire::{
    BindId, Capabilities, ConnectFailure, Decoder, Fault, FaultKind, FlowId, Frame, FrameError,
    Hello, QueryFailure, RequestId, Role, Session, UnbindReason, Violation,
};

/// Why the relay ended, other than at the end of its input.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The gateway's bytes are not frames.
    #[error("the gateway's bytes cannot be read as frames")]
    Frame(#[source] FrameError),
    /// Bytes from the gateway were lost or duplicated.
    #[error(
        "the stream from the gateway is damaged, and this relay ends so that no server gets \
            wrong data; some versions of WSL lose bytes so (microsoft/WSL issue 41063): update \
            it with `wsl --update`"
    )]
    Damaged(#[source] FrameError),
    /// The gateway broke the protocol.
    #[error("the gateway broke the protocol")]
    Violation(#[from] Violation),
    /// The gateway is dead or hangs.
    #[error("the gateway is gone")]
    Silent(#[from] Silent),
    /// The gateway no longer reads.
    #[error("nothing more can be written to the gateway")]
    Write(#[source] io::Error),
    /// The gateway names a proxy that this relay cannot use.
    #[error("the gateway's proxy cannot be used: {0}")]
    Via(#[from] ViaError),
    /// The gateway's restriction of this host's own services cannot be read.
    #[error("the gateway's restriction of this host's own services cannot be read")]
    HostAccess(#[source] serde_json::Error),
    /// The gateway's offers of a link cannot be read.
    #[error("the gateway's offers of a link cannot be read")]
    Offers(#[source] serde_json::Error),
    /// The gateway has moved to a link that this relay does not have.
    #[error("the gateway has moved to a link that this relay does not have")]
    NoLink,
    /// Reading from the gateway failed.
    #[error("nothing more can be read from the gateway")]
    Read(#[source] io::Error),
}

impl From<FrameError> for RelayError {
    fn from(error: FrameError) -> Self {
        if let FrameError::Damaged { .. } = error {
            Self::Damaged(error)
        } else {
            Self::Frame(error)
        }
    }
}

/// Serves the gateway at the other end of `input` and `output` until `input` ends. Takes at most
/// `max_flows` TCP flows, and resolves the VM's queries with `resolver`.
///
/// # Errors
/// See [`RelayError`].
pub async fn run<R, W>(
    input: R,
    output: W,
    max_flows: u32,
    resolver: Resolver,
) -> Result<(), RelayError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let awake = Arc::new(Awake::default());
    let (sockets, connects) = Sockets::new(Arc::clone(&awake));
    let (answered, answers) = mpsc::channel(MAX_QUERIES);
    let (echoes, heard) = Echoes::new();
    let changes = changes::watch(&resolver)
        .inspect_err(
            |error| tracing::warn!(%error, "changes of the host's network will not be noticed"),
        )
        .ok();
    let queries = Queries { resolver: resolver.clone(), answered, under_way: 0 };
    let tells_changes = changes.as_ref().map_or(Capabilities::default(), |_| Capabilities::CHANGES);
    let hello = Hello {
        version: VERSION,
        capabilities: Capabilities::UDP
            | Capabilities::DNS
            | Capabilities::VIA
            | Capabilities::ORPHANS
            | Capabilities::LINK
            | proxies::CAPABILITIES
            | echo::capabilities()
            | tells_changes,
        max_flows,
        max_binds: MAX_BINDS,
        build: concat!("underpass-relay ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    let session = Session::new(Role::Relay, hello, now());
    let timer = Box::pin(tokio::time::sleep_until(session.next_deadline().into()));
    let mut engine = Engine {
        input: In::new(input),
        output: Out::new(output),
        dial: Dial::default(),
        decoder: Decoder::default(),
        session,
        sockets,
        connects,
        binds: Binds::new(),
        queries,
        answers,
        echoes,
        heard,
        changes,
        awake,
        run: Run::default(),
        staging: Vec::new(),
        written: 0,
        timer,
        max_flows,
        resolver,
        way_out: None,
        access: Access::default(),
    };
    // The engine bounds its own turns, in bytes. A bound by the number of socket calls would cut
    // them at any point.
    let outcome = unconstrained(poll_fn(|cx| engine.poll(cx))).await;
    // Without the gateway the rest of a stream never comes. An orderly end would claim that it was
    // complete.
    engine.sockets.abort_unfinished();
    outcome
}

#[expect(clippy::disallowed_methods, reason = "the relay's shell reads the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

struct Engine<R, W> {
    input: In<R>,
    output: Out<W>,
    dial: Dial,
    decoder: Decoder,
    session: Session,
    sockets: Sockets,
    connects: mpsc::UnboundedReceiver<Connected>,
    binds: Binds,
    queries: Queries,
    answers: mpsc::Receiver<Answered>,
    echoes: Echoes,
    heard: mpsc::Receiver<echo::Heard>,
    /// `None` if the host does not report changes.
    changes: Option<mpsc::Receiver<()>>,
    awake: Arc<Awake>,
    run: Run,
    staging: Vec<u8>,
    /// Bytes of `staging` already written: `written <= staging.len()`.
    written: usize,
    timer: Pin<Box<Sleep>>,
    max_flows: u32,
    resolver: Resolver,
    /// The proxy, if the gateway uses one.
    way_out: Option<Box<WayOut>>,
    access: Access,
}

/// The connections and datagrams that use a proxy, and the proxy's state.
struct WayOut {
    via: Arc<Via>,
    datagrams: Datagrams,
    /// The trouble last reported to the gateway; empty while the proxy works.
    trouble: String,
}

impl WayOut {
    fn note(&mut self, session: &mut Session, health: Health) {
        let words = match health {
            Health::Well => String::new(),
            Health::Trouble(words) => words,
        };
        if words != self.trouble {
            session.send(&Frame::ViaTrouble { words: &words });
            self.trouble = words;
        }
    }
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Engine<R, W> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), RelayError>> {
        self.awake.engine.register(cx.waker());
        if self.read_input(cx)? == Input::Ended {
            return Poll::Ready(Ok(()));
        }
        self.tend_link(cx)?;
        self.connect_some(cx);
        self.receive_datagrams(cx);
        self.hear_associations(cx);
        while let Poll::Ready(Some(answered)) = self.answers.poll_recv(cx) {
            self.queries.under_way -= 1;
            give_answer(&mut self.session, &answered);
        }
        while let Poll::Ready(Some(heard)) = self.heard.poll_recv(cx) {
            self.answer_echo(heard);
        }
        if let Some(changes) = &mut self.changes
            && changes.poll_recv(cx) == Poll::Ready(Some(()))
        {
            self.session.send(&Frame::Changed);
            self.access.refresh();
            if let Some(way_out) = &mut self.way_out {
                way_out.via.refresh();
                way_out.datagrams.refresh();
            }
            // The next one comes at least a second later. This registers for it.
            cx.waker().wake_by_ref();
        }
        for flow in self.awake.take() {
            let written = self.sockets.flush(flow);
            self.settle(flow, written);
            self.session.mark_ready(flow);
        }
        self.keep_time(cx)?;
        if let Poll::Ready(Err(error)) = self.write_output(cx) {
            return Poll::Ready(Err(RelayError::Write(error)));
        }
        if self.binds.has_more() && takes_datagrams(&self.session) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// Reports a dial that has ended, and moves to the link where the gateway has.
    fn tend_link(&mut self, cx: &mut Context<'_>) -> Result<(), RelayError> {
        if let Poll::Ready(Some(report)) = self.dial.poll(cx) {
            // Plain texts and numbers always have their JSON.
            let json = serde_json::to_vec(&report).unwrap_or_default();
            self.session.send(&Frame::LinkFailed { json: &json });
        }
        if !self.input.awaits_link() {
            return Ok(());
        }
        if let Some((from, to)) = self.dial.take() {
            self.input.use_link(from);
            self.output.use_link(to);
            cx.waker().wake_by_ref();
        } else if !self.dial.may_link() {
            return Err(RelayError::NoLink);
        }
        Ok(())
    }

    /// Starts connects and handles those that ended, a limited number of each. On a host where a
    /// connect takes a while, handling all at once would delay everything else, the heartbeat too.
    fn connect_some(&mut self, cx: &mut Context<'_>) {
        let more = self.sockets.begin(CONNECTS_TURN);
        for _ in 0..CONNECTS_TURN {
            let Poll::Ready(Some(connected)) = self.connects.poll_recv(cx) else {
                if more {
                    cx.waker().wake_by_ref();
                }
                return;
            };
            self.connected(connected);
        }
        cx.waker().wake_by_ref();
    }

    /// A datagram without room waits in its socket until something is written.
    fn receive_datagrams(&mut self, cx: &mut Context<'_>) {
        self.binds.poll_awake(cx);
        if !takes_datagrams(&self.session) {
            return;
        }
        let session = &mut self.session;
        match &mut self.way_out {
            None => self.binds.receive(|event| {
                tell(session, &event);
                if takes_datagrams(session) { Go::On } else { Go::Stop }
            }),
            Some(way_out) => self.binds.receive(|event| {
                if let Some(event) = way_out.datagrams.incoming(event) {
                    tell(session, &event);
                }
                if takes_datagrams(session) { Go::On } else { Go::Stop }
            }),
        }
    }

    fn hear_associations(&mut self, cx: &mut Context<'_>) {
        let Some(way_out) = &mut self.way_out else { return };
        let (session, mut healths) = (&mut self.session, Vec::new());
        way_out.datagrams.poll(cx, now(), &mut self.binds, |event, health| {
            healths.extend(health);
            if let Some(event) = event {
                tell(session, &event);
            }
        });
        for health in healths {
            way_out.note(&mut self.session, health);
        }
    }

    fn read_input(&mut self, cx: &mut Context<'_>) -> Result<Input, RelayError> {
        let mut turn = 0;
        while turn < INPUT_TURN {
            let mut space = ReadBuf::new(self.decoder.space());
            match Pin::new(&mut self.input).poll_read(cx, &mut space) {
                Poll::Pending => return Ok(Input::Drained),
                Poll::Ready(Err(error)) => return Err(RelayError::Read(error)),
                Poll::Ready(Ok(())) => {}
            }
            let n = space.filled().len();
            if n == 0 {
                return Ok(Input::Ended);
            }
            turn += n;
            self.decoder.filled(n);
            let acted = self.act_on_frames();
            pass_on(&mut self.session, &mut self.sockets, &self.decoder, &mut self.run);
            acted?;
        }
        cx.waker().wake_by_ref();
        Ok(Input::MayHaveMore)
    }

    fn act_on_frames(&mut self) -> Result<(), RelayError> {
        let now = now();
        loop {
            let Some(taken) = self.decoder.take()? else {
                if let Some(event) = self.binds.flush() {
                    tell(&mut self.session, &event);
                }
                return Ok(());
            };
            let frame = match self.decoder.frame(&taken) {
                Ok(frame) => frame,
                Err(error @ FrameError::UnknownKind { .. }) => {
                    tracing::warn!(%error);
                    continue;
                }
                Err(
                    error @ (FrameError::TooLong { .. }
                    | FrameError::Malformed { .. }
                    | FrameError::Damaged { .. }),
                ) => return Err(error.into()),
            };
            let Some(event) = self.session.accept(now, frame)? else { continue };
            if event == Frame::Moved {
                if self.decoder.waiting() > 0 {
                    return Err(Violation::AfterMoved.into());
                }
                self.input.leave_stdin();
                continue;
            }
            let (session, sockets, binds) = (&mut self.session, &mut self.sockets, &mut self.binds);
            if !self.run.continues(&event) {
                pass_on(session, sockets, &self.decoder, &mut self.run);
            }
            match event {
                Frame::Open { flow, to, .. } if self.access.forbids(to) => {
                    session.failed(flow, ConnectFailure::PermissionDenied, 0);
                }
                Frame::Open { flow, to, hops, name, .. }
                    if sockets.len() < self.max_flows as usize =>
                {
                    sockets.connect(flow, &Way { to, hops, name });
                }
                Frame::Open { flow, .. } => session.failed(flow, ConnectFailure::TooManyFlows, 0),
                Frame::Data { flow, .. } => self.run.add(flow, taken),
                Frame::Fin { flow } => {
                    let written = sockets.finish(flow);
                    settle(session, sockets, flow, written);
                }
                Frame::Reset { flow } => sockets.abort(flow),
                Frame::Orphan { flow } => sockets.orphan(now, flow),
                Frame::Bind { bind, family } => {
                    open_bind(session, binds, bind, family);
                    if let Some(way_out) = &mut self.way_out {
                        way_out.datagrams.bound(bind, family);
                    }
                }
                Frame::Datagram { bind, peer, .. } if self.access.forbids(peer) => {
                    let fault = Fault { kind: FaultKind::Prohibited, router: None };
                    session.send(&Frame::PeerError { bind, peer, fault });
                }
                Frame::Datagram { bind, peer, marks, bytes } => {
                    let refused = match &mut self.way_out {
                        None => binds.send(bind, peer, marks, bytes),
                        Some(way_out) => {
                            way_out.datagrams.send(now, binds, bind, peer, marks, bytes)
                        }
                    };
                    if let Some(event) = refused {
                        tell(session, &event);
                    }
                }
                Frame::Unbind { bind, .. } => {
                    binds.unbind(bind);
                    if let Some(way_out) = &mut self.way_out {
                        way_out.datagrams.unbound(bind);
                    }
                }
                Frame::Via { json } => {
                    let via = Arc::new(Via::new(json, self.resolver.clone())?);
                    sockets.go_via(Arc::clone(&via));
                    let datagrams = Datagrams::new(Arc::clone(&via));
                    self.way_out =
                        Some(Box::new(WayOut { via, datagrams, trouble: String::new() }));
                }
                Frame::HostAccess { json } => {
                    self.access.restrict(json).map_err(RelayError::HostAccess)?
                }
                Frame::Link { json } => self.dial.begin(json).map_err(RelayError::Offers)?,
                Frame::Query { request, message } => self.queries.ask(session, request, message),
                // While the pipe is stuck no answer could be sent: the request is lost, like a
                // packet on a full link.
                Frame::Echo { .. } if session.is_congested() => {}
                Frame::Echo { request, to, marks, payload } => {
                    if let Some(fault) = self.echoes.send(now, request, to, marks, payload) {
                        session.send(&Frame::EchoError { request, fault });
                    }
                }
                Frame::AskFacts { request } => {
                    session.send(&Frame::Facts { request, json: &facts::to_json(os::facts()) });
                }
                Frame::Hello(_)
                | Frame::Opened { .. }
                | Frame::Failed { .. }
                | Frame::Credit { .. }
                | Frame::PeerError { .. }
                | Frame::Answer { .. }
                | Frame::NoAnswer { .. }
                | Frame::EchoReply { .. }
                | Frame::EchoError { .. }
                | Frame::Facts { .. }
                | Frame::Changed
                | Frame::LinkFailed { .. }
                | Frame::Moved
                | Frame::ViaTrouble { .. }
                | Frame::Ping { .. }
                | Frame::Pong { .. } => {}
            }
        }
    }

    fn answer_echo(&mut self, heard: echo::Heard) {
        let Some((request, outcome)) = self.echoes.claim(now(), heard) else { return };
        if self.session.is_congested() {
            return;
        }
        match outcome {
            Outcome::Reply { ttl, payload } => {
                self.session.send(&Frame::EchoReply { request, ttl, payload: &payload })
            }
            Outcome::Error(fault) => self.session.send(&Frame::EchoError { request, fault }),
        };
    }

    fn connected(&mut self, Connected { flow, outcome, proxy }: Connected) {
        if let Some((way_out, health)) = self.way_out.as_mut().zip(proxy) {
            way_out.note(&mut self.session, health);
        }
        let opened = outcome.and_then(|stream| self.sockets.open(flow, stream));
        match opened {
            Ok(()) => {
                self.session.opened(flow, window(self.sockets.len()));
                self.session.mark_ready(flow);
            }
            Err(error) => {
                let (reason, code) = failure(&error);
                tracing::debug!(%flow, %error, "connect failed");
                self.sockets.remove(flow);
                self.session.failed(flow, reason, code);
            }
        }
    }

    fn settle(&mut self, flow: FlowId, written: Written) {
        settle(&mut self.session, &mut self.sockets, flow, written);
    }

    fn keep_time(&mut self, cx: &mut Context<'_>) -> Result<(), RelayError> {
        while self.timer.as_mut().poll(cx).is_ready() {
            self.decoder.tick()?;
            self.session.handle_timeout(now())?;
            self.sockets.tend_orphans(now());
            for flow in self.sockets.look_over() {
                self.settle(flow, Written::Broken);
            }
            if self.session.shrink() {
                self.sockets.shrink();
                os::give_memory_back();
            }
            self.timer.as_mut().reset(self.session.next_deadline().into());
        }
        Ok(())
    }

    /// Ready only with an error. Otherwise the output is full, there is nothing to write, or it is
    /// the others' turn.
    fn write_output(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut turn = 0;
        while turn < OUTPUT_TURN {
            if self.written == self.staging.len() {
                self.staging.clear();
                self.written = 0;
                self.output.between_frames(&mut self.session, &mut self.staging);
                if self.staging.is_empty() {
                    self.session.fill(&mut self.staging, STAGING, &mut self.sockets);
                }
                for flow in self.sockets.take_ended() {
                    self.session.forget(flow);
                }
                if self.staging.is_empty() {
                    if self.session.has_output() {
                        continue;
                    }
                    ready!(Pin::new(&mut self.output).poll_flush(cx))?;
                    return Poll::Pending;
                }
            }
            match ready!(Pin::new(&mut self.output).poll_write(cx, &self.staging[self.written..]))?
            {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => {
                    self.written += n;
                    turn += n;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[derive(PartialEq, Eq)]
enum Input {
    Drained,
    MayHaveMore,
    Ended,
}

/// Writes what was collected for one flow.
fn pass_on(session: &mut Session, sockets: &mut Sockets, decoder: &Decoder, run: &mut Run) {
    let Some(flow) = run.flow() else { return };
    let written = run.with_pieces(decoder, |pieces| sockets.write(flow, pieces));
    run.clear();
    settle(session, sockets, flow, written);
}

fn settle(session: &mut Session, sockets: &mut Sockets, flow: FlowId, written: Written) {
    match written {
        Written::Taken(n) => session.consumed(flow, n),
        Written::Done(_) => {
            sockets.remove(flow);
            session.forget(flow);
        }
        // Also after a Fin: the app learns that part of its data did not arrive.
        Written::Broken => {
            sockets.remove(flow);
            session.reset(flow);
        }
        Written::Unknown => {}
    }
}

/// A query that ended, with success or failure.
type Answered = (RequestId, Result<Answer, QueryFailure>);

/// DNS queries in progress: a task each, since the servers' time-outs bound it.
struct Queries {
    resolver: Resolver,
    answered: mpsc::Sender<Answered>,
    under_way: usize,
}

impl Queries {
    fn ask(&mut self, session: &mut Session, request: RequestId, message: &[u8]) {
        if self.under_way >= MAX_QUERIES {
            session.send(&Frame::NoAnswer { request, reason: QueryFailure::Refused });
            return;
        }
        self.under_way += 1;
        let (resolver, answered, message) =
            (self.resolver.clone(), self.answered.clone(), message.to_vec());
        tokio::spawn(async move {
            let outcome = resolver.resolve(&message).await;
            // Without an engine the answer has no receiver.
            let _ = answered.send((request, outcome)).await;
        });
    }
}

fn give_answer(session: &mut Session, (request, outcome): &Answered) {
    let request = *request;
    match outcome {
        Ok(Answer { by, message }) => session.send(&Frame::Answer { request, by: *by, message }),
        Err(reason) => session.send(&Frame::NoAnswer { request, reason: *reason }),
    };
}

fn open_bind(session: &mut Session, binds: &mut Binds, bind: BindId, family: Family) {
    if binds.len() >= MAX_BINDS as usize {
        session.send(&Frame::Unbind { bind, reason: UnbindReason::TooMany });
    } else if let Err(error) = binds.bind(bind, family) {
        tracing::warn!(%bind, %error, "no UDP socket");
        session.send(&Frame::Unbind { bind, reason: UnbindReason::Broken });
    }
}

fn takes_datagrams(session: &Session) -> bool {
    session.takes_bursts() && !session.is_congested()
}

fn tell(session: &mut Session, event: &udp::Event<'_>) {
    match event {
        udp::Event::Datagram { bind, peer, marks, bytes } => {
            session.send(&Frame::Datagram { bind: *bind, peer: *peer, marks: *marks, bytes });
        }
        udp::Event::Error { bind, peer, fault } => {
            session.send(&Frame::PeerError { bind: *bind, peer: *peer, fault: *fault });
        }
        udp::Event::Broken { bind } => {
            tracing::warn!(%bind, "a UDP socket broke");
            session.send(&Frame::Unbind { bind: *bind, reason: UnbindReason::Broken });
        }
    }
}
