//! A lane: one relay, the session with it, and its pipes. It starts the relay, starts it anew when it ended, with growing waits,
//! and moves frames. What frames mean is the engine's; nothing here knows a packet.

use crate::interop::{self, Failure};
use crate::limits::{
    BACK_OFF, HEALTHY_AFTER, HELLO_PATIENCE, LANE_TURN, LAST_BACK_OFF_AFTER_HELLO, SOCKET_PATIENCE, STAGING,
    STOP_PATIENCE,
};
use crate::relay_process::{RelayCommand, RelayProcess, SpawnError};
use crate::verdict::{self, Ending};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wire::frame::VERSION;
use wire::limits::ASLEEP_AFTER;
use wire::session::{Counters, Silent, Source};
use wire::{Capabilities, Decoder, Frame, FrameError, Hello, Role, Session, Violation};

/// Why a relay is given up.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// It could not be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// Its process ended, or at least its output.
    #[error("the relay ended ({status}){hint}{last_words}")]
    Ended {
        /// How, in words.
        status: String,
        /// Why, as far as that can be told, and what to try, after a colon; or nothing.
        hint: String,
        /// Its last lines, each on a line of its own, after a colon; or nothing.
        last_words: String,
    },
    /// Its bytes are no frames.
    #[error("what the relay sends cannot be understood: {0}; is --relay an underpass-relay?")]
    Frame(FrameError),
    /// Bytes from it were lost or doubled.
    #[error(
        "the stream from the relay is damaged: {0}. The relay is started again, so that no app gets wrong data; some versions of WSL \
         lose bytes so (microsoft/WSL issue 41063): update it with `wsl --update`"
    )]
    Damaged(FrameError),
    /// It broke the protocol.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// It hangs.
    #[error("the relay hangs: {0}")]
    Silent(#[from] Silent),
    /// It never said hello.
    #[error("the relay has not said hello within {} s", HELLO_PATIENCE.as_secs())]
    NoHello,
    /// It never said hello, and there is another socket to start it by.
    #[error("the relay has not said hello within {} s: {socket}", SOCKET_PATIENCE.as_secs())]
    SilentSocket {
        /// Which socket it was started by, and what helps.
        socket: String,
    },
    /// The pipe to it broke.
    #[error("the pipe to the relay broke: {0}")]
    Pipe(io::Error),
}

impl From<FrameError> for LaneError {
    fn from(error: FrameError) -> Self {
        if let FrameError::Damaged { .. } = error { Self::Damaged(error) } else { Self::Frame(error) }
    }
}

/// What became of a lane that was polled.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing that the engine must know.
    Quiet,
    /// Most of many flows are gone.
    Ebbed,
    /// The relay is gone, and everything that it held is lost; what its session counted.
    Died(Counters),
}

/// Where a lane stands.
enum State {
    /// The relay runs; ready once its hello came.
    Running(Box<Running>),
    /// The former relay is being reaped, so that its end can be told.
    Ending(Pin<Box<dyn Future<Output = LaneError> + Send>>),
    /// Waits for the next start.
    Waiting(Instant),
}

/// A relay that runs, and the session with it.
pub(crate) struct Running {
    process: RelayProcess,
    decoder: Decoder,
    pub(crate) session: Session,
    staging: Vec<u8>,
    /// Bytes of `staging` that are written: `written <= staging.len()`.
    written: usize,
    since: Instant,
    /// Until when it must say hello. What this process itself was asleep for is added to it.
    hello_by: Instant,
}

/// One lane.
pub(crate) struct Lane {
    index: usize,
    command: RelayCommand,
    hello: Hello,
    state: State,
    /// Starts in a row that led to nothing.
    failures: u32,
    /// The longest wait before the next start, by how far the last relay came.
    longest_wait: Duration,
    pub(crate) restarts: u64,
    pub(crate) last_error: Option<String>,
}

impl Lane {
    /// A lane whose relay is started at the next poll.
    pub(crate) fn new(index: usize, command: RelayCommand, limits: (u32, u32), now: Instant) -> Self {
        let hello = Hello {
            version: VERSION,
            capabilities: Capabilities::ECHO4
                .with(Capabilities::ECHO6)
                .with(Capabilities::UDP)
                .with(Capabilities::DNS)
                .with(Capabilities::CHANGES),
            max_flows: limits.0,
            max_binds: limits.1,
            build: concat!("underpass ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        Self {
            index,
            command,
            hello,
            state: State::Waiting(now),
            failures: 0,
            longest_wait: BACK_OFF.1,
            restarts: 0,
            last_error: None,
        }
    }

    /// Starts the relay now.
    ///
    /// # Errors
    /// See [`SpawnError`]; the lane then waits for its next try.
    pub(crate) fn start(&mut self, now: Instant) -> Result<(), SpawnError> {
        self.longest_wait = BACK_OFF.1;
        match RelayProcess::start(&self.command, self.index) {
            Ok(process) => {
                tracing::debug!(lane = self.index, pid = process.pid, "relay started");
                let patience = if process.way.has_other { SOCKET_PATIENCE } else { HELLO_PATIENCE };
                self.state = State::Running(Box::new(Running {
                    process,
                    decoder: Decoder::default(),
                    session: Session::new(Role::Gateway, self.hello.clone(), now),
                    staging: Vec::new(),
                    written: 0,
                    since: now,
                    hello_by: now + patience,
                }));
                Ok(())
            }
            Err(error) => {
                self.wait(now);
                Err(error)
            }
        }
    }

    /// The session with a relay that has said hello.
    pub(crate) fn ready(&mut self) -> Option<&mut Session> {
        self.running_mut().map(|running| &mut running.session).filter(|session| session.peer().is_some())
    }

    /// The session with a relay, also before its hello.
    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Running(running) => Some(&running.session),
            State::Ending(_) | State::Waiting(_) => None,
        }
    }

    fn running_mut(&mut self) -> Option<&mut Running> {
        match &mut self.state {
            State::Running(running) => Some(running),
            State::Ending(_) | State::Waiting(_) => None,
        }
    }

    /// The relay's process id and start, while it runs.
    pub(crate) fn process(&self) -> Option<(u32, Instant)> {
        match &self.state {
            State::Running(running) => Some((running.process.pid, running.since)),
            State::Ending(_) | State::Waiting(_) => None,
        }
    }

    /// When [`Lane::keep_time`] wants to be called; none while a relay is being reaped.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Running(running) => Some(running.next_deadline()),
            State::Ending(_) => None,
            State::Waiting(until) => Some(*until),
        }
    }

    /// Heartbeat, and starts that are due.
    pub(crate) fn keep_time(&mut self, now: Instant) -> Turn {
        match &mut self.state {
            State::Running(running) => {
                let due = running.next_deadline();
                if now > due + ASLEEP_AFTER {
                    running.hello_by += now - due;
                }
                if running.hello_deadline().is_some_and(|deadline| deadline <= now) {
                    let why = running.without_hello(now);
                    return self.end_relay(now, Some(why));
                }
                if running.session.next_deadline() > now {
                    return Turn::Quiet;
                }
                if let Err(damaged) = running.decoder.tick() {
                    return self.end_relay(now, Some(damaged.into()));
                }
                if let Err(silent) = running.session.handle_timeout(now) {
                    return self.end_relay(now, Some(silent.into()));
                }
                if running.session.shrink() { Turn::Ebbed } else { Turn::Quiet }
            }
            State::Ending(_) => Turn::Quiet,
            State::Waiting(until) => {
                if *until <= now {
                    self.restarts += 1;
                    if let Err(error) = self.start(now) {
                        self.complain(&error.into());
                    }
                }
                Turn::Quiet
            }
        }
    }

    /// Reads what the relay sent, at most a turn, into `frames`' hands. Wakes by `cx` when there is more.
    pub(crate) fn poll_input(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        mut act: impl FnMut(&mut Session, Frame<'_>),
    ) -> Turn {
        if let State::Ending(end) = &mut self.state {
            let Poll::Ready(error) = end.as_mut().poll(cx) else { return Turn::Quiet };
            self.complain(&error);
            self.wait(now);
            return Turn::Quiet;
        }
        let State::Running(running) = &mut self.state else { return Turn::Quiet };
        match running.read(cx, now, &mut act) {
            Ok(()) => Turn::Quiet,
            Err(why) => self.end_relay(now, why),
        }
    }

    /// Writes what the session has to say, as much as the pipe takes.
    pub(crate) fn poll_output(&mut self, cx: &mut Context<'_>, now: Instant, source: &mut impl Source) -> Turn {
        let State::Running(running) = &mut self.state else { return Turn::Quiet };
        match running.write(cx, source) {
            Ok(()) => Turn::Quiet,
            // Why it reads no more is told by its end, which follows.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.end_relay(now, None),
            Err(error) => self.end_relay(now, Some(LaneError::Pipe(error))),
        }
    }

    /// `why` is none where the relay's own end will tell.
    fn end_relay(&mut self, now: Instant, why: Option<LaneError>) -> Turn {
        let State::Running(running) = std::mem::replace(&mut self.state, State::Waiting(now)) else {
            return Turn::Quiet;
        };
        if running.session.peer().is_some() && now.saturating_duration_since(running.since) >= HEALTHY_AFTER {
            self.failures = 0;
        }
        if running.session.peer().is_some() {
            self.longest_wait = LAST_BACK_OFF_AFTER_HELLO;
        }
        let counters = running.session.counters();
        let age = now.saturating_duration_since(running.since);
        self.state = State::Ending(Box::pin(end(running, self.command.clone(), age, why)));
        Turn::Died(counters)
    }

    fn complain(&mut self, error: &LaneError) {
        let text = error.to_string();
        tracing::warn!(lane = self.index, "{text}");
        self.last_error = Some(text);
    }

    /// The next start: the first at once, then after waits that double.
    fn wait(&mut self, now: Instant) {
        let wait = back_off(self.failures, self.longest_wait);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Waiting(now + wait);
    }

    /// Ends the relay for good.
    pub(crate) async fn stop(self) {
        match self.state {
            State::Running(running) => drop(running.process.end().await),
            State::Ending(end) => {
                // What is still asked about its end is of no use any more.
                let _ = tokio::time::timeout(STOP_PATIENCE, end).await;
            }
            State::Waiting(_) => {}
        }
    }
}

fn back_off(failures: u32, longest: Duration) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => BACK_OFF.0.saturating_mul(1 << (n - 1).min(16)).min(longest),
    }
}

/// Ends the relay's process, and gives why it is gone: `why`, or else what its own end tells.
async fn end(relay: Box<Running>, command: RelayCommand, age: Duration, why: Option<LaneError>) -> LaneError {
    let (words, kind, said_hello) =
        (relay.process.last_words.clone(), relay.process.kind, relay.session.peer().is_some());
    let way = relay.process.way.clone();
    let status = relay.process.end().await;
    if let Some(why) = why {
        return why;
    }
    let words = words.text();
    let ending = Ending { program: &command.program, kind, words: &words, said_hello, age };
    let failure = if said_hello { None } else { interop::failure_in(&words) };
    let hint = match failure {
        Some(failure) => {
            way.failed(interop::now());
            Some(failure.text(&way))
        }
        None => verdict::hint(ending).await,
    };
    let hint = hint.map_or_else(String::new, |hint| format!(": {hint}"));
    let last_words = if words.is_empty() { String::new() } else { format!(":\n  {}", words.replace('\n', "\n  ")) };
    let status = status.map_or_else(|| "it closed its output and had to be killed".to_owned(), |s| s.to_string());
    LaneError::Ended { status, hint, last_words }
}

impl Running {
    /// Until when it must say hello; none once it has.
    fn hello_deadline(&self) -> Option<Instant> {
        self.session.peer().is_none().then_some(self.hello_by)
    }

    /// The heartbeat's or the hello's, whichever comes first.
    fn next_deadline(&self) -> Instant {
        let heartbeat = self.session.next_deadline();
        self.hello_deadline().map_or(heartbeat, |hello| hello.min(heartbeat))
    }

    /// Why it is given up without a hello.
    fn without_hello(&self, now: Instant) -> LaneError {
        let way = &self.process.way;
        if !way.has_other {
            return LaneError::NoHello;
        }
        way.failed(now);
        LaneError::SilentSocket { socket: Failure::Silent.text(way) }
    }

    /// Err when the relay must end; with nothing in it when its output ended.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        act: &mut impl FnMut(&mut Session, Frame<'_>),
    ) -> Result<(), Option<LaneError>> {
        let mut turn = 0;
        while turn < LANE_TURN {
            let mut space = ReadBuf::new(self.decoder.space());
            match Pin::new(&mut self.process.output).poll_read(cx, &mut space) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(Some(LaneError::Pipe(error))),
                Poll::Ready(Ok(())) => {}
            }
            let n = space.filled().len();
            if n == 0 {
                return Err(None);
            }
            turn += n;
            self.decoder.filled(n);
            self.act_on_frames(now, act).map_err(Some)?;
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn act_on_frames(&mut self, now: Instant, act: &mut impl FnMut(&mut Session, Frame<'_>)) -> Result<(), LaneError> {
        loop {
            let frame = match self.decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error @ FrameError::UnknownKind { .. }) => {
                    tracing::warn!(%error);
                    continue;
                }
                Err(
                    error @ (FrameError::TooLong { .. } | FrameError::Malformed { .. } | FrameError::Damaged { .. }),
                ) => return Err(error.into()),
            };
            if let Some(event) = self.session.accept(now, frame)? {
                act(&mut self.session, event);
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, source: &mut impl Source) -> io::Result<()> {
        let Some(input) = &mut self.process.input else { return Ok(()) };
        loop {
            if self.written == self.staging.len() {
                self.staging.clear();
                self.written = 0;
                // Before the hello only control frames can wait, its own hello first.
                self.session.fill(&mut self.staging, STAGING, source);
                if self.staging.is_empty() {
                    if self.session.has_output() {
                        continue;
                    }
                    return Ok(());
                }
            }
            match Pin::new(&mut *input).poll_write(cx, &self.staging[self.written..]) {
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
    use crate::relay_process::Whose;

    #[tokio::test]
    async fn the_time_that_the_machine_sleeps_is_not_the_hellos() {
        let command = RelayCommand { program: "sleep".into(), args: vec!["1000".into()], file: Whose::Given };
        let begin = interop::now();
        let mut lane = Lane::new(0, command, (1, 1), begin);
        lane.start(begin).unwrap();
        let mut wakes = |from: Instant, until: Instant| {
            let mut now = from;
            while now < until {
                now = lane.next_deadline().unwrap();
                if let Turn::Died(_) = lane.keep_time(now) {
                    return Some(now);
                }
            }
            // As after a suspend: an hour later than the timer asked for.
            now = lane.next_deadline().unwrap() + Duration::from_secs(3600);
            matches!(lane.keep_time(now), Turn::Died(_)).then_some(now)
        };
        let half = begin + HELLO_PATIENCE / 2;
        assert_eq!(wakes(begin, half), None, "it wakes late, and its relay may still be starting");
        // What it was awake for counts.
        let ended = wakes(half, begin + Duration::from_secs(10_000)).unwrap();
        let awake = ended - begin - Duration::from_secs(3600);
        assert!(awake >= HELLO_PATIENCE && awake <= HELLO_PATIENCE + ASLEEP_AFTER, "{awake:?}");
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<_> = (0..10).map(|n| back_off(n, BACK_OFF.1).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert_eq!(back_off(u32::MAX, BACK_OFF.1), BACK_OFF.1);
        assert_eq!(back_off(9, LAST_BACK_OFF_AFTER_HELLO), LAST_BACK_OFF_AFTER_HELLO);
    }
}
