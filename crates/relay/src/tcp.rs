//! TCP flows: a socket each, and the gateway's bytes that the socket has not taken yet.
//!
//! Bytes for the gateway are never kept here: [`Sockets`] is the session's source and reads a
//! socket at the moment when the pipe can take its bytes and the flow has credit. Bytes from the
//! gateway are kept at most up to the window granted.

use crate::direct;
use crate::limits::{ORPHAN_PATIENCE, SUSPECT_LOOKS};
use crate::os::errors::connect_failure;
use crate::spare::Spare;
use crate::via::{Failed, Health, Via};
use crate::wakers::{Awake, FlowWaker, waker};
use bytes::BufMut;
use socket2::SockRef;
use std::collections::{HashMap, VecDeque};
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroU8;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use wire::session::Way;
use wire::{ConnectFailure, Fault, FlowId, Pull, Source, Then};

/// A connect that ended, with success or failure.
pub(crate) struct Connected {
    pub(crate) flow: FlowId,
    pub(crate) outcome: io::Result<TcpStream>,
    /// The proxy's state, if one was used.
    pub(crate) proxy: Option<Health>,
}

/// All flows of the relay.
pub(crate) struct Sockets {
    flows: HashMap<FlowId, Flow>,
    awake: Arc<Awake>,
    connected: mpsc::UnboundedSender<Connected>,
    /// Flows whose connects have not started, in order. Some may be gone.
    beginning: VecDeque<FlowId>,
    /// Flows that ended while the session pulled, and that must be reported to it.
    ended: Vec<FlowId>,
    /// Flows whose app is gone while its bytes wait: how many there were, and since when.
    orphans: HashMap<FlowId, (usize, Instant)>,
    /// Flows that may fail without an event, and the number of checks left
    /// ([`Sockets::look_over`]).
    suspects: HashMap<FlowId, u8>,
    spare: Spare,
    /// The proxy that flows use.
    via: Option<Arc<Via>>,
}

enum Flow {
    /// May become `Connecting`, or be dropped.
    Beginning {
        to: SocketAddr,
        hops: Option<NonZeroU8>,
        name: Option<Box<str>>,
    },
    /// May become `Open`, or be dropped (which aborts the connect).
    Connecting {
        _attempt: Attempt,
    },
    Open(Open),
}

/// A connect in progress, which does not outlive this value.
struct Attempt(AbortHandle);

impl Drop for Attempt {
    fn drop(&mut self) {
        self.0.abort();
    }
}

struct Open {
    stream: TcpStream,
    notify: Arc<FlowWaker>,
    waker: Waker,
    /// Bytes from the gateway that the socket has not taken; the granted window bounds their
    /// number. Without memory when empty.
    pending: VecDeque<u8>,
    outgoing: Outgoing,
    /// The peer ended its direction, and the session has announced it.
    incoming_finished: bool,
}

/// The direction from the gateway to the socket.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outgoing {
    /// More may come.
    Open,
    /// The gateway sent Fin; `pending` must still be written.
    Finishing,
    /// Written and shut down.
    Finished,
    /// The socket takes no more. The server's earlier data is still read, as an app on the host
    /// could do; then the flow has failed.
    Broken,
}

/// The result of writing the gateway's bytes to a flow's socket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It took that many; the flow continues.
    Taken(usize),
    /// It took that many, and both directions are finished.
    Done(usize),
    /// It broke.
    Broken,
    /// There is no such open flow.
    Unknown,
}

impl Sockets {
    pub(crate) fn new(awake: Arc<Awake>) -> (Self, mpsc::UnboundedReceiver<Connected>) {
        // Unbounded in type only: each flow sends once, and flows are bounded.
        let (connected, connects) = mpsc::unbounded_channel();
        let sockets = Self {
            flows: HashMap::new(),
            awake,
            connected,
            beginning: VecDeque::new(),
            ended: Vec::new(),
            orphans: HashMap::new(),
            suspects: HashMap::new(),
            spare: Spare::default(),
            via: None,
        };
        (sockets, connects)
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Connects through a proxy from now on.
    pub(crate) fn go_via(&mut self, via: Arc<Via>) {
        self.via = Some(via);
    }

    /// Queues a flow for [`Sockets::begin`]; with its name if a proxy can use it.
    pub(crate) fn connect(&mut self, flow: FlowId, &Way { to, hops, name }: &Way<'_>) {
        self.flows.insert(flow, Flow::Beginning { to, hops, name: name.map(Into::into) });
        self.beginning.push_back(flow);
    }

    /// Starts at most `most` connects, whose outcomes arrive in the channel. Returns whether more
    /// wait.
    pub(crate) fn begin(&mut self, most: usize) -> bool {
        for flow in self.beginning.drain(..most.min(self.beginning.len())) {
            let Some(state) = self.flows.get_mut(&flow) else { continue };
            let Flow::Beginning { to, hops, name } = state else { continue };
            let (to, hops, name) = (*to, *hops, name.take());
            let connected = self.connected.clone();
            // The receiver lives as long as the engine. Without an engine the outcome has no
            // receiver.
            let tell =
                move |outcome, proxy| drop(connected.send(Connected { flow, outcome, proxy }));
            let task = match self.via.clone() {
                None => tokio::spawn(async move { tell(direct::connect(to, hops).await, None) }),
                Some(via) => tokio::spawn(async move {
                    let (outcome, proxy) =
                        via.connect(&Way { to, hops, name: name.as_deref() }).await;
                    tell(outcome, proxy);
                }),
            };
            *state = Flow::Connecting { _attempt: Attempt(task.abort_handle()) };
        }
        !self.beginning.is_empty()
    }

    /// Turns a connecting flow into an open one.
    ///
    /// # Errors
    /// `NotFound` if it was reset meanwhile, otherwise the operating system's error about
    /// the socket.
    pub(crate) fn open(&mut self, flow: FlowId, stream: TcpStream) -> io::Result<()> {
        let Some(Flow::Connecting { .. }) = self.flows.get(&flow) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // The app's own kernel has already decided what goes out together.
        stream.set_nodelay(true)?;
        // Urgent data stays in the stream, as RFC 6093 section 4 recommends.
        SockRef::from(&stream).set_out_of_band_inline(true)?;
        let notify = FlowWaker::new(flow, Arc::clone(&self.awake));
        let waker = waker(&notify);
        let outgoing = Outgoing::Open;
        let open = Open {
            stream,
            notify,
            waker,
            pending: VecDeque::new(),
            outgoing,
            incoming_finished: false,
        };
        self.flows.insert(flow, Flow::Open(open));
        Ok(())
    }

    /// Drops a flow. An open socket is closed according to its state.
    pub(crate) fn remove(&mut self, flow: FlowId) {
        self.orphans.remove(&flow);
        self.suspects.remove(&flow);
        self.flows.remove(&flow);
    }

    /// Drops a flow. The peer of an open socket sees a reset.
    pub(crate) fn abort(&mut self, flow: FlowId) {
        if let Some(Flow::Open(open)) = self.flows.remove(&flow)
            && let Err(error) = SockRef::from(&open.stream).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(%flow, %error, "the peer will see an end instead of a reset");
        }
    }

    /// The app of a flow has closed and is gone, and the session has forgotten the flow. Waiting
    /// bytes are written, and then the socket is closed. The host's kernel does the rest, as the
    /// app's did (FIN-WAIT-2 for a while, and a reset if the server still sends).
    pub(crate) fn orphan(&mut self, now: Instant, flow: FlowId) {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else { return self.remove(flow) };
        if open.outgoing == Outgoing::Open {
            open.outgoing = Outgoing::Finishing;
        }
        open.incoming_finished = true;
        self.orphans.insert(flow, (open.pending.len(), now));
        if let Written::Done(_) | Written::Broken = self.flush(flow) {
            self.remove(flow);
        }
    }

    /// Ends the orphans whose server takes nothing. Call it now and then.
    pub(crate) fn tend_orphans(&mut self, now: Instant) {
        let mut stuck = Vec::new();
        self.orphans.retain(|flow, (left, since)| {
            let Some(Flow::Open(open)) = self.flows.get(flow) else { return false };
            if open.pending.len() < *left {
                (*left, *since) = (open.pending.len(), now);
            } else if now >= *since + ORPHAN_PATIENCE {
                stuck.push(*flow);
            }
            true
        });
        stuck.into_iter().for_each(|flow| self.abort(flow));
    }

    /// Resets every connection whose app has not finished, or whose last bytes still wait.
    pub(crate) fn abort_unfinished(&mut self) {
        let is_unfinished =
            |flow: &Flow| matches!(flow, Flow::Open(open) if open.outgoing != Outgoing::Finished);
        let unfinished =
            self.flows.iter().filter(|(_, flow)| is_unfinished(flow)).map(|(id, _)| *id);
        unfinished.collect::<Vec<_>>().into_iter().for_each(|flow| self.abort(flow));
    }

    /// Writes bytes from the gateway.
    pub(crate) fn write(&mut self, flow: FlowId, mut bytes: &mut [IoSlice<'_>]) -> Written {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else { return Written::Unknown };
        if open.outgoing == Outgoing::Broken {
            return Written::Taken(bytes.iter().map(|piece| piece.len()).sum());
        }
        let outcome = if open.pending.is_empty() {
            write_through(&mut open.stream, &open.waker, &mut bytes)
        } else {
            Ok(0)
        };
        match outcome {
            Ok(taken) => {
                if open.pending.is_empty() && !bytes.is_empty() {
                    open.pending = self.spare.take();
                }
                bytes.iter().for_each(|piece| open.pending.extend(&**piece));
                if open.incoming_finished {
                    self.suspects.insert(flow, SUSPECT_LOOKS);
                }
                Written::Taken(taken)
            }
            Err(_) => self.broke(flow),
        }
    }

    /// Ends the gateway's direction.
    pub(crate) fn finish(&mut self, flow: FlowId) -> Written {
        if let Some(Flow::Open(open)) = self.flows.get_mut(&flow)
            && open.outgoing != Outgoing::Broken
        {
            open.outgoing = Outgoing::Finishing;
        }
        self.flush(flow)
    }

    /// The flow's socket woke up, or there is new data to write.
    pub(crate) fn flush(&mut self, flow: FlowId) -> Written {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else { return Written::Unknown };
        open.notify.rearm();
        match open.flush(&mut self.spare) {
            Ok(taken) if open.is_done() => Written::Done(taken),
            Ok(taken) => Written::Taken(taken),
            Err(_) => self.broke(flow),
        }
    }

    /// The socket of a flow takes no more.
    fn broke(&mut self, flow: FlowId) -> Written {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else { return Written::Unknown };
        if open.incoming_finished {
            return Written::Broken;
        }
        // The socket may still hold the server's last data, such as the reason for its refusal.
        open.outgoing = Outgoing::Broken;
        open.pending = VecDeque::new();
        open.waker.wake_by_ref();
        self.suspects.insert(flow, SUSPECT_LOOKS);
        Written::Taken(0)
    }

    /// Returns flows that have failed without an event. A server that has closed completely answers
    /// data after its FIN with a reset; one that has reset may have sent more than the app has room
    /// for. Call it now and then.
    pub(crate) fn look_over(&mut self) -> Vec<FlowId> {
        let mut failed = Vec::new();
        self.suspects.retain(|flow, left| {
            let Some(Flow::Open(open)) = self.flows.get(flow) else { return false };
            *left = left.saturating_sub(1);
            // A broken flow has that long for the rest in its socket. A read of it shows its end
            // earlier.
            let is_broken = open.outgoing == Outgoing::Broken;
            if (is_broken && *left == 0)
                || (!is_broken && !matches!(open.stream.take_error(), Ok(None)))
            {
                failed.push(*flow);
                return false;
            }
            *left > 0
        });
        failed
    }

    /// Frees the memory that tables hold for flows that are gone.
    pub(crate) fn shrink(&mut self) {
        self.flows.shrink_to_fit();
        self.beginning.shrink_to_fit();
        self.orphans.shrink_to_fit();
        self.suspects.shrink_to_fit();
        self.spare = Spare::default();
    }

    /// Takes the flows that ended during pulls since the last call. They no longer exist here.
    pub(crate) fn take_ended(&mut self) -> Vec<FlowId> {
        std::mem::take(&mut self.ended)
    }
}

/// Writes as much as the socket takes, and leaves the rest in `bytes`. If there is a rest, `waker`
/// is woken when the socket takes more.
fn write_through(
    stream: &mut TcpStream,
    waker: &Waker,
    bytes: &mut &mut [IoSlice<'_>],
) -> io::Result<usize> {
    let (mut cx, mut stream) = (Context::from_waker(waker), Pin::new(stream));
    let mut taken = 0;
    // Removes empty pieces as well.
    IoSlice::advance_slices(bytes, 0);
    loop {
        let written = match &**bytes {
            [] => return Ok(taken),
            // The runtime knows that the socket is full when it took a part of one piece.
            [piece] => stream.as_mut().poll_write(&mut cx, piece),
            pieces => stream.as_mut().poll_write_vectored(&mut cx, pieces),
        };
        let Poll::Ready(n) = written else { return Ok(taken) };
        let n = n?;
        IoSlice::advance_slices(bytes, n);
        taken += n;
    }
}

impl Open {
    fn flush(&mut self, spare: &mut Spare) -> io::Result<usize> {
        let mut taken = 0;
        while !self.pending.is_empty() {
            let (front, back) = self.pending.as_slices();
            let mut pieces = [IoSlice::new(front), IoSlice::new(back)];
            let n = write_through(&mut self.stream, &self.waker, &mut &mut pieces[..])?;
            self.pending.drain(..n);
            taken += n;
            if n == 0 {
                return Ok(taken);
            }
        }
        spare.put(&mut self.pending);
        if self.outgoing == Outgoing::Finishing {
            self.outgoing = Outgoing::Finished;
            SockRef::from(&self.stream).shutdown(Shutdown::Write)?;
        }
        Ok(taken)
    }

    fn is_done(&self) -> bool {
        self.incoming_finished && self.outgoing == Outgoing::Finished
    }
}

impl Source for Sockets {
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else {
            return Pull { taken: 0, then: Then::Failed };
        };
        out.reserve(max);
        let mut space = out.limit(max);
        // After a read that left the buffer unfilled, the next one gives `Pending` without a system
        // call.
        let read =
            pin!(open.stream.read_buf(&mut space)).poll(&mut Context::from_waker(&open.waker));
        match read {
            // The failed write has taken the error, and a read shows an end in its place.
            Poll::Ready(Ok(0)) if open.outgoing == Outgoing::Broken => {
                self.flows.remove(&flow);
                Pull { taken: 0, then: Then::Failed }
            }
            Poll::Ready(Ok(0)) => {
                open.incoming_finished = true;
                if open.is_done() {
                    self.flows.remove(&flow);
                    self.ended.push(flow);
                }
                Pull { taken: 0, then: Then::Finished }
            }
            Poll::Ready(Ok(taken)) => Pull { taken, then: Then::More },
            Poll::Pending => Pull { taken: 0, then: Then::Drained },
            Poll::Ready(Err(_)) => {
                self.flows.remove(&flow);
                Pull { taken: 0, then: Then::Failed }
            }
        }
    }
}

/// A connect that failed by an ICMP error: its content, and the router that sent it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("an ICMP error came: {0:?}")]
pub(crate) struct Reported(pub(crate) Fault);

/// How a connect failed, as reported to the gateway, and the operating system's code.
pub(crate) fn failure(error: &io::Error) -> (ConnectFailure, i32) {
    if let Some(failed) = error.get_ref().and_then(|inner| inner.downcast_ref::<Failed>()) {
        return (failed.reason, 0);
    }
    if let Some(Reported(fault)) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        return (ConnectFailure::Reported(*fault), 0);
    }
    match error.raw_os_error() {
        None if error.kind() == io::ErrorKind::TimedOut => (ConnectFailure::TimedOut, 0),
        code => (connect_failure(code.unwrap_or(0)), code.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    const FLOW: FlowId = FlowId(1);
    /// Bytes that wait in a stalled flow.
    const WAITING: usize = 200_000;

    async fn open_flow() -> (Sockets, TcpStream) {
        let (mut sockets, mut connects) = Sockets::new(Arc::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Way { to: listener.local_addr().unwrap(), hops: None, name: None };
        sockets.connect(FLOW, &way);
        assert!(!sockets.begin(1));
        let Connected { flow, outcome, proxy } = connects.recv().await.unwrap();
        assert_eq!(proxy, None, "no connect was reported");
        sockets.open(flow, outcome.unwrap()).unwrap();
        (sockets, listener.accept().await.unwrap().0)
    }

    fn write(sockets: &mut Sockets, bytes: &[u8]) -> Written {
        sockets.write(FLOW, &mut [IoSlice::new(bytes)])
    }

    fn pending(sockets: &Sockets) -> &VecDeque<u8> {
        let Some(Flow::Open(open)) = sockets.flows.get(&FLOW) else { panic!("no flow") };
        &open.pending
    }

    /// Writes until exactly [`WAITING`] bytes wait in the flow, and returns how many it wrote. How
    /// much of that the socket takes first depends on the machine (congestion control, `tcp_wmem`,
    /// `tcp_rmem`), so no figure of a test may depend on it.
    fn stall(sockets: &mut Sockets) -> usize {
        let mut written = 0;
        while pending(sockets).len() < WAITING {
            let piece = (WAITING - pending(sockets).len()).min(50_000);
            assert!(matches!(write(sockets, &[7; 50_000][..piece]), Written::Taken(_)));
            written += piece;
        }
        written
    }

    async fn drain(sockets: &mut Sockets, server: &mut TcpStream, mut bytes: usize) {
        let mut buffer = vec![0; 65_536];
        while bytes > 0 {
            let read = poll_fn(|cx| {
                sockets.awake.engine.register(cx.waker());
                assert!(matches!(sockets.flush(FLOW), Written::Taken(_)));
                pin!(server.read(&mut buffer)).poll(cx)
            });
            bytes -= timeout(Duration::from_secs(20), read).await.expect("it stalls").unwrap();
        }
    }

    #[tokio::test]
    async fn a_drained_flow_has_no_memory_and_its_next_burst_needs_no_new_one() {
        let (mut sockets, mut server) = open_flow().await;
        let written = stall(&mut sockets);
        let memory = pending(&sockets).capacity();
        drain(&mut sockets, &mut server, written).await;
        assert_eq!((pending(&sockets).capacity(), sockets.spare.bytes), (0, memory));
        let written = stall(&mut sockets);
        assert_eq!(
            (pending(&sockets).capacity(), sockets.spare.bytes),
            (memory, 0),
            "the same memory again"
        );
        drain(&mut sockets, &mut server, written).await;
        assert_eq!(sockets.spare.buffers.len(), 1);
    }

    fn end_of(server: &TcpStream) -> io::Result<usize> {
        let mut buffer = [0; 65_536];
        loop {
            match server.try_read(&mut buffer) {
                Ok(0) => return Ok(0),
                Ok(_) => {}
                other => return other,
            }
        }
    }

    #[tokio::test]
    async fn an_orphan_is_written_out_and_closed_without_a_reset() {
        let now = crate::engine::now();
        let (mut sockets, mut server) = open_flow().await;
        let written = stall(&mut sockets);
        sockets.orphan(now, FLOW);
        assert_eq!(sockets.len(), 1, "bytes of it wait");
        let (mut buffer, mut got) = (vec![0; 65_536], 0);
        while got < written {
            let read = poll_fn(|cx| {
                sockets.awake.engine.register(cx.waker());
                if let Written::Done(_) = sockets.flush(FLOW) {
                    sockets.remove(FLOW);
                }
                pin!(server.read(&mut buffer)).poll(cx)
            });
            got += timeout(Duration::from_secs(20), read).await.expect("it stalls").unwrap();
        }
        assert_eq!(server.read(&mut buffer).await.unwrap(), 0, "the end, not a reset");
        assert_eq!((sockets.len(), sockets.orphans.len()), (0, 0));
        // One without bytes goes at once.
        let (mut sockets, server) = open_flow().await;
        sockets.finish(FLOW);
        sockets.orphan(now, FLOW);
        assert_eq!(sockets.len(), 0);
        server.readable().await.unwrap();
        assert_eq!(end_of(&server).unwrap(), 0);
    }

    #[tokio::test]
    async fn an_orphan_whose_server_takes_nothing_is_given_up() {
        let start = crate::engine::now();
        let (mut sockets, server) = open_flow().await;
        stall(&mut sockets);
        sockets.orphan(start, FLOW);
        let almost = start + ORPHAN_PATIENCE - Duration::from_millis(1);
        sockets.tend_orphans(almost);
        assert_eq!(sockets.len(), 1);
        // It takes some.
        let Some(Flow::Open(open)) = sockets.flows.get_mut(&FLOW) else { panic!("no flow") };
        open.pending.pop_front();
        sockets.tend_orphans(almost);
        sockets.tend_orphans(start + ORPHAN_PATIENCE);
        assert_eq!(sockets.len(), 1);
        sockets.tend_orphans(almost + ORPHAN_PATIENCE);
        assert_eq!(sockets.len(), 0);
        server.readable().await.unwrap();
        let reset = timeout(Duration::from_secs(20), async {
            loop {
                match end_of(&server) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        server.readable().await.unwrap()
                    }
                    other => return other,
                }
            }
        });
        let reset = reset.await.expect("it receives nothing");
        // Wine 8 shows the reset of an idle connection as its end, Wine 10 as a reset
        // (docs/wine.md).
        if cfg!(unix) {
            assert_eq!(
                reset.unwrap_err().kind(),
                io::ErrorKind::ConnectionReset,
                "its stream was incomplete"
            );
        }
        sockets.tend_orphans(almost + ORPHAN_PATIENCE);
        assert_eq!(sockets.orphans.len(), 0);
    }

    /// Lets the runtime run until a condition holds.
    async fn until(mut so: impl FnMut() -> bool) {
        let end = crate::engine::now() + Duration::from_secs(20);
        while !so() {
            assert!(crate::engine::now() < end, "it never happens");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn pull(sockets: &mut Sockets) -> (Vec<u8>, Then) {
        let mut got = Vec::new();
        loop {
            let Pull { taken, then } = sockets.pull(FLOW, 65_536, &mut got);
            if taken == 0 {
                return (got, then);
            }
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_reset_for_what_came_after_the_servers_end_is_noticed() {
        let (mut sockets, server) = open_flow().await;
        drop(server);
        until(|| pull(&mut sockets).1 == Then::Finished).await;
        assert_eq!(sockets.look_over(), []);
        assert_eq!(write(&mut sockets, b"late"), Written::Taken(4));
        until(|| sockets.look_over() == [FLOW]).await;
        sockets.remove(FLOW);
        assert!(sockets.look_over().is_empty() && sockets.suspects.is_empty());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn the_data_of_a_server_before_its_reset_is_read() {
        let (mut sockets, server) = open_flow().await;
        // It closes with bytes unread: a reset.
        assert_eq!(write(&mut sockets, b"a long upload"), Written::Taken(13));
        until(|| server.try_io(tokio::io::Interest::READABLE, || Ok(())).is_ok()).await;
        assert_eq!(server.try_write(b"too long").unwrap(), 8);
        drop(server);
        until(|| {
            assert!(matches!(write(&mut sockets, b"more"), Written::Taken(_)), "the flow is gone");
            sockets.suspects.contains_key(&FLOW)
        })
        .await;
        // Later bytes are dropped.
        assert_eq!(write(&mut sockets, b"more"), Written::Taken(4));
        assert!(matches!(sockets.finish(FLOW), Written::Taken(_)));
        let mut said = Vec::new();
        until(|| {
            let (got, then) = pull(&mut sockets);
            said.extend(got);
            then == Then::Failed
        })
        .await;
        assert_eq!(said, b"too long");
        assert_eq!((sockets.len(), sockets.look_over()), (0, vec![]));
    }
}
