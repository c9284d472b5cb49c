//! A lane: one relay, the session with it, and its pipes. It has the relay started, and started
//! again after growing waits when it has ended. It moves frames, whose meaning only the engine
//! knows. It knows no packet and no process.

mod by_link;
mod linking;

use self::by_link::ByLink;
use self::linking::{Linking, Step};
use crate::limits::{
    BACK_OFF, BackOff, HEALTHY_AFTER, LANE_TURN, LAST_BACK_OFF_AFTER_HELLO, STAGING,
};
use crate::log_budget::LogBudget;
use crate::relays::{Relay, RelayEnd, RelayEndCause, Relays, Starting};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use wire::frame::VERSION;
use wire::limits::ASLEEP_AFTER;
use wire::session::{Counters, Silent, Source};
use wire::{Capabilities, Decoder, Frame, FrameError, Hello, LinkKind, Role, Session, Violation};

/// Why a relay is given up.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// It could not be started, or is gone; the reason comes from the supervisor.
    #[error("{0}")]
    Process(String),
    /// Its bytes are not frames.
    #[error("what the relay sends cannot be understood: {0}; is --relay an underpass-relay?")]
    Frame(FrameError),
    /// Bytes from it were lost or doubled.
    #[error(
        "the stream from the relay is damaged: {0}. The relay is started again, so that no app \
         gets wrong data; some versions of WSL lose bytes so (microsoft/WSL issue 41063): update \
         it with `wsl --update`"
    )]
    Damaged(FrameError),
    /// It broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// It hangs.
    #[error("the relay hangs: {0}")]
    Silent(#[from] Silent),
    /// The link to it broke, and not the relay.
    #[error("the link to the relay ({kind}) broke: {source}")]
    Link {
        /// Which.
        kind: LinkKind,
        /// What the system says.
        source: io::Error,
    },
    /// The pipe to it broke.
    #[error("the pipe to the relay broke: {0}")]
    Pipe(io::Error),
}

impl From<FrameError> for LaneError {
    fn from(error: FrameError) -> Self {
        if let FrameError::Damaged { .. } = error {
            Self::Damaged(error)
        } else {
            Self::Frame(error)
        }
    }
}

/// The outcome of polling a lane.
#[derive(Debug)]
pub(crate) enum Turn {
    /// There is nothing that the engine must know.
    Quiet,
    /// Its next relay is being started, or a link to it made. The next pass must wait for it.
    Starting,
    /// Most of many flows are gone.
    Ebbed,
    /// The relay is gone, and everything that it held is lost. Holds the counters of its session.
    Died(Counters),
}

/// The state of a lane.
enum LaneState {
    /// The relay is being started.
    Starting(Starting),
    /// The relay runs; ready once its hello came.
    Running(Box<Running>),
    /// The former relay is being reaped, so that the cause of its end is known.
    Ending(Pin<Box<dyn Future<Output = LaneError> + Send>>),
    /// Waits for the next start.
    Waiting(Instant),
}

/// A relay that runs, and the session with it.
pub(crate) struct Running {
    lane: usize,
    relay: Relay,
    /// The link, once one is up.
    link: Option<ByLink>,
    decoder: Decoder,
    pub(crate) session: Session,
    staging: Vec<u8>,
    /// Bytes of `staging` that are written: `written <= staging.len()`.
    written: usize,
    since: Instant,
    /// The deadline for its hello. It moves by the time for which this process itself was asleep.
    hello_by: Instant,
    log: LogBudget,
}

/// What the gateway's hello offers on a lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    pub(crate) flows: u32,
    pub(crate) binds: u32,
}

/// A relay's process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Its start.
    pub(crate) since: Instant,
}

/// One lane.
pub(crate) struct Lane {
    index: usize,
    relays: Relays,
    hello: Hello,
    state: LaneState,
    pub(crate) linking: Linking,
    /// Failed starts in a row.
    failures: u32,
    /// The longest wait before the next start, by how far the last relay came.
    longest_wait: Duration,
    pub(crate) restarts: u64,
    pub(crate) last_error: Option<String>,
}

impl Lane {
    /// A lane whose first relay is being started.
    pub(crate) fn new(index: usize, relays: Relays, first: Starting, limits: LaneLimits) -> Self {
        let hello = Hello {
            version: VERSION,
            capabilities: Capabilities::ECHO4
                | Capabilities::ECHO6
                | Capabilities::UDP
                | Capabilities::DNS
                | Capabilities::CHANGES
                | Capabilities::LINK,
            max_flows: limits.flows,
            max_binds: limits.binds,
            build: concat!("underpass ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        Self {
            index,
            relays,
            hello,
            state: LaneState::Starting(first),
            linking: Linking::default(),
            failures: 0,
            longest_wait: BACK_OFF.longest,
            restarts: 0,
            last_error: None,
        }
    }

    /// The relay has started.
    fn begin(&mut self, relay: Relay, now: Instant) {
        self.longest_wait = BACK_OFF.longest;
        let hello_by = now + relay.patience;
        self.state = LaneState::Running(Box::new(Running {
            lane: self.index,
            relay,
            link: None,
            decoder: Decoder::default(),
            session: Session::new(Role::Gateway, self.hello.clone(), now),
            staging: Vec::new(),
            written: 0,
            since: now,
            hello_by,
            log: LogBudget::default(),
        }));
    }

    /// The session with a relay that has said hello.
    pub(crate) fn ready(&mut self) -> Option<&mut Session> {
        self.running_mut()
            .map(|running| &mut running.session)
            .filter(|session| session.peer().is_some())
    }

    /// The link that carries all frames, if one does.
    pub(crate) fn link(&self) -> Option<LinkKind> {
        match &self.state {
            LaneState::Running(running) => {
                running.link.as_ref().filter(|link| link.carries()).map(|link| link.kind)
            }
            LaneState::Starting(_) | LaneState::Ending(_) | LaneState::Waiting(_) => None,
        }
    }

    /// The session with a relay, also before its hello.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.state {
            LaneState::Running(running) => Some(&running.session),
            LaneState::Starting(_) | LaneState::Ending(_) | LaneState::Waiting(_) => None,
        }
    }

    fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.state {
            LaneState::Running(running) => Some(running),
            LaneState::Starting(_) | LaneState::Ending(_) | LaneState::Waiting(_) => None,
        }
    }

    /// The relay's process, while it runs.
    pub(crate) fn process(&self) -> Option<Process> {
        match &self.state {
            LaneState::Running(running) => {
                Some(Process { pid: running.relay.pid, since: running.since })
            }
            LaneState::Starting(_) | LaneState::Ending(_) | LaneState::Waiting(_) => None,
        }
    }

    /// When [`Lane::keep_time`] has something to do; `None` while a relay is being started or
    /// reaped.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            LaneState::Running(running) => {
                let others = [self.linking.next_deadline(), running.break_deadline()];
                others.into_iter().flatten().chain([running.next_deadline()]).min()
            }
            LaneState::Starting(_) | LaneState::Ending(_) => None,
            LaneState::Waiting(until) => Some(*until),
        }
    }

    /// Keeps the heartbeat, and begins starts that are due.
    pub(crate) fn keep_time(&mut self, now: Instant) -> Turn {
        match &mut self.state {
            LaneState::Running(running) => {
                let due = running.next_deadline();
                if now > due + ASLEEP_AFTER {
                    running.hello_by += now - due;
                }
                if running.hello_deadline().is_some_and(|deadline| deadline <= now) {
                    return self.end_relay(now, Why::NoHello);
                }
                if let Some(error) = running.broken_link(now) {
                    return self.end_relay(now, Why::Known(error));
                }
                if self.linking.is_due(now) {
                    self.linking.tries(self.relays.link(self.index));
                    return Turn::Starting;
                }
                if running.session.next_deadline() > now {
                    return Turn::Quiet;
                }
                if let Err(damaged) = running.decoder.tick() {
                    return self.end_relay(now, Why::Known(damaged.into()));
                }
                if let Err(silent) = running.session.handle_timeout(now) {
                    return self.end_relay(now, Why::Known(silent.into()));
                }
                if running.session.shrink() { Turn::Ebbed } else { Turn::Quiet }
            }
            LaneState::Starting(_) | LaneState::Ending(_) => Turn::Quiet,
            LaneState::Waiting(until) if *until <= now => {
                self.restarts += 1;
                self.state = LaneState::Starting(self.relays.start(self.index));
                Turn::Starting
            }
            LaneState::Waiting(_) => Turn::Quiet,
        }
    }

    /// Reads at most a turn of what the relay sent, and passes its frames to `act`. Wakes by `cx`
    /// if there is more.
    pub(crate) fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        mut act: impl FnMut(&mut Session, Frame<'_>),
    ) -> Turn {
        if let LaneState::Starting(starting) = &mut self.state {
            let Poll::Ready(started) = Pin::new(starting).poll(cx) else { return Turn::Quiet };
            match started.unwrap_or_else(|_| Err(UNANSWERED.to_owned())) {
                Ok(relay) => self.begin(relay, now),
                Err(why) => {
                    self.complain(&LaneError::Process(why));
                    self.longest_wait = BACK_OFF.longest;
                    self.wait(now);
                }
            }
        }
        if let LaneState::Ending(end) = &mut self.state {
            let Poll::Ready(error) = end.as_mut().poll(cx) else { return Turn::Quiet };
            self.complain(&error);
            self.wait(now);
            return Turn::Quiet;
        }
        let LaneState::Running(running) = &mut self.state else { return Turn::Quiet };
        while let Some(step) = self.linking.poll(cx, now) {
            running.take_step(step, now);
        }
        match running.read(cx, now, &mut self.linking, &mut act) {
            Ok(()) => Turn::Quiet,
            Err(why) => {
                // The next pass must wait for its end.
                cx.waker().wake_by_ref();
                self.end_relay(now, why)
            }
        }
    }

    /// Writes as much of the session's output as the pipe takes.
    pub(crate) fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        source: &mut impl Source,
    ) -> Turn {
        let LaneState::Running(running) = &mut self.state else { return Turn::Quiet };
        let why = match running.write(cx, now, source) {
            Ok(()) => return Turn::Quiet,
            // Its end, which follows, shows why it reads no more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Why::Gone,
            Err(error) => Why::Known(LaneError::Pipe(error)),
        };
        // The next pass must wait for its end.
        cx.waker().wake_by_ref();
        self.end_relay(now, why)
    }

    fn end_relay(&mut self, now: Instant, why: Why) -> Turn {
        let LaneState::Running(running) =
            std::mem::replace(&mut self.state, LaneState::Waiting(now))
        else {
            return Turn::Quiet;
        };
        let said_hello = running.session.peer().is_some();
        if said_hello && now.saturating_duration_since(running.since) >= HEALTHY_AFTER {
            self.failures = 0;
        }
        if said_hello {
            self.longest_wait = LAST_BACK_OFF_AFTER_HELLO;
        }
        self.linking.stop();
        // Another cause than the relay's own end may lie in the link.
        if let (Some(link), Why::Known(error)) = (&running.link, &why) {
            let lived = now.saturating_duration_since(link.since);
            self.linking.broke(now, link.kind, lived, error);
        }
        let counters = running.session.counters();
        let age = now.saturating_duration_since(running.since);
        let (cause, known) = match why {
            Why::Gone => (RelayEndCause::Gone, None),
            Why::NoHello => (RelayEndCause::NoHello, None),
            Why::Known(error) => (RelayEndCause::Known, Some(error)),
        };
        let Running { mut relay, link, .. } = *running;
        drop(relay.input.take());
        let ended = self.relays.end(self.index, RelayEnd { cause, said_hello, age });
        self.state = LaneState::Ending(Box::pin(async move {
            let reported = ended.await.ok().flatten();
            // Kept until now, so that the relay does not end because its output is closed.
            drop((relay, link));
            known.unwrap_or_else(|| {
                LaneError::Process(reported.unwrap_or_else(|| UNANSWERED.to_owned()))
            })
        }));
        Turn::Died(counters)
    }

    fn complain(&mut self, error: &LaneError) {
        let text = error.to_string();
        tracing::warn!(lane = self.index, "{text}");
        self.last_error = Some(text);
    }

    /// Plans the next start: the first at once, later ones after waits that double.
    fn wait(&mut self, now: Instant) {
        let waits = BackOff { longest: self.longest_wait, ..BACK_OFF };
        let wait = back_off(self.failures, waits);
        self.failures = self.failures.saturating_add(1);
        self.state = LaneState::Waiting(now + wait);
    }
}

/// The error for a relay whose supervisor does not answer.
const UNANSWERED: &str = "the supervisor does not answer";

/// Why a relay is ended.
enum Why {
    /// Its own end shows the reason.
    Gone,
    /// It never said hello.
    NoHello,
    /// The lane knows the reason.
    Known(LaneError),
}

fn back_off(failures: u32, waits: BackOff) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => waits.first.saturating_mul(1 << (n - 1).min(16)).min(waits.longest),
    }
}

impl Running {
    /// The deadline for its hello; `None` once it has come.
    fn hello_deadline(&self) -> Option<Instant> {
        self.session.peer().is_none().then_some(self.hello_by)
    }

    /// The earlier deadline of heartbeat and hello.
    fn next_deadline(&self) -> Instant {
        let heartbeat = self.session.next_deadline();
        self.hello_deadline().map_or(heartbeat, |hello| hello.min(heartbeat))
    }

    /// Reads a turn. An error ends the relay.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        linking: &mut Linking,
        act: &mut impl FnMut(&mut Session, Frame<'_>),
    ) -> Result<(), Why> {
        self.watch_standard_stream(cx)?;
        let mut turn = 0;
        while turn < LANE_TURN {
            let n = match self.poll_read(cx, now) {
                Poll::Pending => return Ok(()),
                Poll::Ready(read) => read?,
            };
            turn += n;
            self.decoder.filled(n);
            self.act_on_frames(now, linking, act).map_err(Why::Known)?;
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn act_on_frames(
        &mut self,
        now: Instant,
        linking: &mut Linking,
        act: &mut impl FnMut(&mut Session, Frame<'_>),
    ) -> Result<(), LaneError> {
        loop {
            let frame = match self.decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error @ FrameError::UnknownKind { .. }) => {
                    if self.log.take(now).is_some() {
                        tracing::warn!(%error);
                    }
                    continue;
                }
                Err(
                    error @ (FrameError::TooLong { .. }
                    | FrameError::Malformed { .. }
                    | FrameError::Damaged { .. }),
                ) => return Err(error.into()),
            };
            match self.session.accept(now, frame)? {
                None => {}
                Some(Frame::Moved) => self.relay_moved()?,
                Some(Frame::LinkFailed { json }) => linking.hear(now, json),
                Some(event) => {
                    if let Frame::Hello(hello) = &event
                        && hello.capabilities.contains(Capabilities::LINK)
                    {
                        linking.begin(now);
                    }
                    act(&mut self.session, event);
                }
            }
        }
    }

    fn take_step(&mut self, step: Step, now: Instant) {
        match step {
            Step::Offer(offers) => {
                // Secrets and addresses always have their JSON.
                let json = serde_json::to_vec(&offers).unwrap_or_default();
                self.session.send(&Frame::Link { json: &json });
            }
            Step::Move(kind, input, output) => {
                self.link = Some(ByLink::new(kind, input, output, now));
            }
        }
    }

    fn write(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        source: &mut impl Source,
    ) -> io::Result<()> {
        loop {
            if self.written == self.staging.len() {
                self.staging.clear();
                self.written = 0;
                self.between_frames();
                if self.staging.is_empty() {
                    // Before the hello only control frames can wait, its own hello first.
                    self.session.fill(&mut self.staging, STAGING, source);
                }
                if self.staging.is_empty() {
                    if self.session.has_output() {
                        continue;
                    }
                    return Ok(());
                }
            }
            match self.poll_write(cx, now) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => self.written += n,
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HELLO_PATIENCE;
    use crate::relay_streams::Streams;
    use std::os::unix::net::UnixStream;

    #[tokio::test]
    async fn the_time_that_the_machine_sleeps_is_not_the_hellos() {
        let begin = crate::engine::now();
        let (relays, _requests) = Relays::new();
        let mut lane =
            Lane::new(0, relays.clone(), relays.start(0), LaneLimits { flows: 1, binds: 1 });
        let (input, output) = UnixStream::pair().unwrap();
        let ends = [input.into(), output.into()];
        lane.begin(Relay::new(1, HELLO_PATIENCE, Streams::Sockets, ends).unwrap(), begin);
        let mut wakes = |from: Instant, until: Instant| {
            let mut now = from;
            while now < until {
                now = lane.next_deadline().unwrap();
                if let Turn::Died(_) = lane.keep_time(now) {
                    return Some(now);
                }
            }
            // As after a suspend: the timer fires an hour late.
            now = lane.next_deadline().unwrap() + Duration::from_secs(3600);
            matches!(lane.keep_time(now), Turn::Died(_)).then_some(now)
        };
        let half = begin + HELLO_PATIENCE / 2;
        assert_eq!(wakes(begin, half), None, "it wakes late, and its relay may still be starting");
        // The time awake counts.
        let ended = wakes(half, begin + Duration::from_secs(10_000)).unwrap();
        let awake = ended - begin - Duration::from_secs(3600);
        assert!(awake >= HELLO_PATIENCE && awake <= HELLO_PATIENCE + ASLEEP_AFTER, "{awake:?}");
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<_> = (0..10).map(|n| back_off(n, BACK_OFF).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(back_off(u32::MAX, BACK_OFF), BACK_OFF.longest);
        let after_hello = BackOff { longest: LAST_BACK_OFF_AFTER_HELLO, ..BACK_OFF };
        assert_eq!(back_off(9, after_hello), LAST_BACK_OFF_AFTER_HELLO);
    }
}
