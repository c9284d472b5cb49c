//! TCP flows: a socket each, and what the gateway sent that the socket has not taken yet.
//!
//! Bytes towards the gateway are never kept here: [`Sockets`] is the session's source and reads a socket at the moment when the
//! pipe can take its bytes and the flow has credit. Bytes from the gateway are kept at most up to the window granted.

use crate::wakers::{Awake, FlowWaker, waker};
use bytes::BufMut;
use socket2::SockRef;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use wire::{ConnectFailure, FlowId, Pull, Source, Then};

/// A connect that ended, one way or the other.
pub(crate) type Connected = (FlowId, io::Result<TcpStream>);

/// All flows of the relay.
pub(crate) struct Sockets {
    flows: HashMap<FlowId, Flow>,
    awake: Arc<Awake>,
    connected: mpsc::UnboundedSender<Connected>,
    /// Flows that ended while the session pulled, and that it must be told of.
    ended: Vec<FlowId>,
}

enum Flow {
    /// May become `Open`, or be dropped (which aborts the connect).
    Connecting {
        _attempt: Attempt,
    },
    Open(Open),
}

/// A connect under way; it does not outlive this.
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
    /// From the gateway, not yet taken by the socket; its length is bounded by the window granted.
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
    /// The gateway said Fin; `pending` is still to be written.
    Finishing,
    /// Written and shut down.
    Finished,
}

/// What a flow's socket did with the gateway's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// It took that many; the flow lives on.
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
        (Self { flows: HashMap::new(), awake, connected, ended: Vec::new() }, connects)
    }

    pub(crate) fn len(&self) -> usize {
        self.flows.len()
    }

    /// Starts to connect; the outcome comes out of the channel.
    pub(crate) fn connect(&mut self, flow: FlowId, to: SocketAddr) {
        let connected = self.connected.clone();
        let task = tokio::spawn(async move {
            let outcome = TcpStream::connect(to).await;
            // The receiver lives as long as the engine; without an engine nobody waits for the outcome.
            let _ = connected.send((flow, outcome));
        });
        self.flows.insert(flow, Flow::Connecting { _attempt: Attempt(task.abort_handle()) });
    }

    /// Turns a connecting flow into an open one.
    ///
    /// # Errors
    /// `NotFound` if it was reset meanwhile, else what the operating system says of the socket.
    pub(crate) fn open(&mut self, flow: FlowId, stream: TcpStream) -> io::Result<()> {
        let Some(Flow::Connecting { .. }) = self.flows.get(&flow) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        // The app's own kernel has decided already what goes out together.
        stream.set_nodelay(true)?;
        // Urgent data stays in the stream, as RFC 6093 section 4 recommends.
        SockRef::from(&stream).set_out_of_band_inline(true)?;
        let notify = FlowWaker::new(flow, Arc::clone(&self.awake));
        let waker = waker(&notify);
        let outgoing = Outgoing::Open;
        let open = Open { stream, notify, waker, pending: VecDeque::new(), outgoing, incoming_finished: false };
        self.flows.insert(flow, Flow::Open(open));
        Ok(())
    }

    /// Drops a flow; an open socket is closed as its state has it.
    pub(crate) fn remove(&mut self, flow: FlowId) {
        self.flows.remove(&flow);
    }

    /// Drops a flow, and an open socket's peer sees a reset.
    pub(crate) fn abort(&mut self, flow: FlowId) {
        if let Some(Flow::Open(open)) = self.flows.remove(&flow)
            && let Err(error) = SockRef::from(&open.stream).set_linger(Some(Duration::ZERO))
        {
            tracing::debug!(%flow, %error, "the peer will see an end instead of a reset");
        }
    }

    /// Bytes from the gateway.
    pub(crate) fn write(&mut self, flow: FlowId, bytes: &[u8]) -> Written {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else { return Written::Unknown };
        let outcome = if open.pending.is_empty() { open.write_through(bytes) } else { Ok(0) };
        match outcome {
            Ok(taken) => {
                open.pending.extend(&bytes[taken..]);
                open.arm_write();
                Written::Taken(taken)
            }
            Err(_) => Written::Broken,
        }
    }

    /// The gateway's direction has ended.
    pub(crate) fn finish(&mut self, flow: FlowId) -> Written {
        if let Some(Flow::Open(open)) = self.flows.get_mut(&flow) {
            open.outgoing = Outgoing::Finishing;
        }
        self.flush(flow)
    }

    /// The flow's socket woke up, or there is new to write.
    pub(crate) fn flush(&mut self, flow: FlowId) -> Written {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else { return Written::Unknown };
        open.notify.rearm();
        match open.flush() {
            Ok(taken) if open.is_done() => Written::Done(taken),
            Ok(taken) => Written::Taken(taken),
            Err(_) => Written::Broken,
        }
    }

    /// Flows that ended during pulls since the last call; they are gone from here.
    pub(crate) fn take_ended(&mut self) -> Vec<FlowId> {
        std::mem::take(&mut self.ended)
    }
}

impl Open {
    fn write_through(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let all = bytes.len();
        while !bytes.is_empty() {
            match self.stream.try_write(bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(all - bytes.len())
    }

    fn flush(&mut self) -> io::Result<usize> {
        let mut taken = 0;
        loop {
            let mut pending = std::mem::take(&mut self.pending);
            let n = self.write_through(pending.as_slices().0);
            pending.drain(..*n.as_ref().unwrap_or(&0));
            self.pending = pending;
            match n? {
                0 => break,
                n => taken += n,
            }
        }
        if self.pending.is_empty() {
            // A burst must not cost its memory for as long as the flow lives.
            self.pending.shrink_to(0);
            if self.outgoing == Outgoing::Finishing {
                self.outgoing = Outgoing::Finished;
                SockRef::from(&self.stream).shutdown(Shutdown::Write)?;
            }
        }
        self.arm_write();
        Ok(taken)
    }

    /// Has the engine woken when the socket takes more, if there is more.
    fn arm_write(&mut self) {
        if !self.pending.is_empty() && self.stream.poll_write_ready(&mut Context::from_waker(&self.waker)).is_ready() {
            self.waker.wake_by_ref();
        }
    }

    fn is_done(&self) -> bool {
        self.incoming_finished && self.outgoing == Outgoing::Finished
    }
}

impl Source for Sockets {
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let Some(Flow::Open(open)) = self.flows.get_mut(&flow) else { return Pull { taken: 0, then: Then::Failed } };
        out.reserve(max);
        match open.stream.try_read_buf(&mut out.limit(max)) {
            Ok(0) => {
                open.incoming_finished = true;
                if open.is_done() {
                    self.flows.remove(&flow);
                    self.ended.push(flow);
                }
                Pull { taken: 0, then: Then::Finished }
            }
            Ok(taken) => Pull { taken, then: Then::More },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                match open.stream.poll_read_ready(&mut Context::from_waker(&open.waker)) {
                    Poll::Pending => Pull { taken: 0, then: Then::Drained },
                    Poll::Ready(_) => Pull { taken: 0, then: Then::More },
                }
            }
            Err(_) => {
                self.flows.remove(&flow);
                Pull { taken: 0, then: Then::Failed }
            }
        }
    }
}

/// What the gateway is told of a connect that did not succeed, and the operating system's code.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other code has the same meaning here")]
pub(crate) fn failure(error: &io::Error) -> (ConnectFailure, i32) {
    use nix::errno::Errno;
    let code = error.raw_os_error().unwrap_or(0);
    let reason = match Errno::from_raw(code) {
        Errno::ECONNREFUSED => ConnectFailure::Refused,
        Errno::ETIMEDOUT => ConnectFailure::TimedOut,
        Errno::ENETUNREACH | Errno::EAFNOSUPPORT => ConnectFailure::NetworkUnreachable,
        Errno::EHOSTUNREACH | Errno::EHOSTDOWN => ConnectFailure::HostUnreachable,
        Errno::EACCES | Errno::EPERM => ConnectFailure::PermissionDenied,
        Errno::EADDRNOTAVAIL | Errno::EMFILE | Errno::ENFILE | Errno::ENOBUFS | Errno::ENOMEM => {
            ConnectFailure::NoResources
        }
        _ => ConnectFailure::Other,
    };
    (reason, code)
}
