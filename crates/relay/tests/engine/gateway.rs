//! The gateway's end of the pipe, for tests of the engine: a real session, and sources that send a
//! test's data.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use underpass_relay::engine::{RelayError, run};
use underpass_relay::os::Resolver;
use wire::frame::VERSION;
use wire::{
    Capabilities, ConnectFailure, Decoder, FlowId, Frame, Hello, LinkFailures, Pull, Role, Session,
    Source, Then,
};

/// Longest wait of any test: only a failing one reaches it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// A frame's content, without borrowing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Opened(FlowId),
    Failed(FlowId, ConnectFailure),
    Data(FlowId, Vec<u8>),
    Fin(FlowId),
    Reset(FlowId),
    LinkFailed(LinkFailures),
    Other(String),
}

#[derive(Default)]
pub(crate) struct Sending(pub(crate) HashMap<FlowId, (Vec<u8>, usize, Then)>);

impl Source for Sending {
    fn pull(&mut self, flow: FlowId, max: usize, out: &mut Vec<u8>) -> Pull {
        let (bytes, sent, end) = self.0.get_mut(&flow).unwrap();
        let taken = max.min(bytes.len() - *sent);
        out.extend_from_slice(&bytes[*sent..*sent + taken]);
        *sent += taken;
        Pull { taken, then: if *sent < bytes.len() { Then::More } else { *end } }
    }
}

/// The gateway's end of the pipe.
pub(crate) struct Gateway {
    pub(crate) pipe: DuplexStream,
    pub(crate) session: Session,
    decoder: Decoder,
    pub(crate) sending: Sending,
    pub(crate) relay: JoinHandle<Result<(), RelayError>>,
    pub(crate) link: Option<Link>,
    events: VecDeque<Event>,
}

#[expect(clippy::disallowed_methods, reason = "a test is a shell")]
fn now() -> Instant {
    Instant::now()
}

/// A link, and how far both ends have moved to it.
pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    is_announced: bool,
    sends: bool,
    receives: bool,
}

impl Gateway {
    pub(crate) fn start(pipe_bytes: usize, max_flows: u32) -> Self {
        Self::start_with(pipe_bytes, max_flows, Resolver::default())
    }

    pub(crate) fn start_with(pipe_bytes: usize, max_flows: u32, resolver: Resolver) -> Self {
        let (pipe, far) = tokio::io::duplex(pipe_bytes);
        let (input, output) = tokio::io::split(far);
        let relay = tokio::spawn(async move { run(input, output, max_flows, resolver).await });
        let hello = Hello {
            version: VERSION,
            capabilities: Capabilities::default(),
            max_flows: 0,
            max_binds: 0,
            build: "test".into(),
        };
        let session = Session::new(Role::Gateway, hello, now());
        Self {
            pipe,
            session,
            decoder: Decoder::default(),
            sending: Sending::default(),
            relay,
            link: None,
            events: Default::default(),
        }
    }

    pub(crate) async fn open(&mut self, flow: u32, to: SocketAddr, window: u32) -> FlowId {
        let flow = FlowId(flow);
        self.session.open(flow, to, window);
        flow
    }

    pub(crate) fn send(&mut self, flow: FlowId, bytes: Vec<u8>, then: Then) {
        self.sending.0.insert(flow, (bytes, 0, then));
        self.session.mark_ready(flow);
    }

    /// The next frame is Moved.
    pub(crate) fn move_to(&mut self, stream: TcpStream) {
        self.link = Some(Link { stream, is_announced: false, sends: false, receives: false });
    }

    /// Whether both ends have moved.
    pub(crate) fn has_moved(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.sends && link.receives)
    }

    fn between_frames(&mut self, staged: &mut Vec<u8>) {
        let Some(link) = &mut self.link else { return };
        link.sends = link.is_announced;
        if !link.is_announced {
            link.is_announced = true;
            self.session.move_out(staged);
        }
    }

    /// Moves bytes both ways at the same time (a gateway never stops reading) until the next event
    /// comes.
    pub(crate) async fn next(&mut self) -> Event {
        tokio::time::timeout(DEADLINE, async {
            let mut staged = Vec::new();
            let mut written = 0;
            loop {
                if written == staged.len() {
                    staged.clear();
                    written = 0;
                    self.between_frames(&mut staged);
                    if staged.is_empty() {
                        self.session.fill(&mut staged, 64 * 1024, &mut self.sending);
                    }
                }
                if staged.is_empty()
                    && let Some(event) = self.events.pop_front()
                {
                    return event;
                }
                let (from_pipe, to_pipe) = tokio::io::split(&mut self.pipe);
                let (mut reading, mut writing): (
                    Box<dyn AsyncRead + Send + Unpin>,
                    Box<dyn AsyncWrite + Send + Unpin>,
                ) = (Box::new(from_pipe), Box::new(to_pipe));
                if let Some(link) = &mut self.link {
                    let (from_link, to_link) = link.stream.split();
                    if link.receives {
                        reading = Box::new(from_link);
                    }
                    if link.sends {
                        writing = Box::new(to_link);
                    }
                }
                tokio::select! {
                    read = reading.read(self.decoder.space()) => {
                        let n = read.unwrap();
                        assert!(n > 0, "the relay closed its output");
                        self.decoder.filled(n);
                    }
                    n = writing.write(&staged[written..]), if written < staged.len() => written += n.unwrap(),
                }
                drop((reading, writing));
                while let Some(frame) = self.decoder.next_frame().unwrap() {
                    match self.session.accept(now(), frame).unwrap() {
                        // The machine's own network may change at any time.
                        None | Some(Frame::Hello(_) | Frame::Changed) => {}
                        Some(Frame::Moved) => {
                            assert_eq!(self.decoder.waiting(), 0, "bytes after the move");
                            self.link.as_mut().unwrap().receives = true;
                            break;
                        }
                        Some(frame) => self.events.push_back(event(&frame)),
                    }
                }
            }
        })
        .await
        .expect("no event came in time")
    }

    /// Events until `last`, with the data of `flow` joined and consumed.
    pub(crate) async fn collect(&mut self, flow: FlowId, last: &Event) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.next().await {
                event if event == *last => return all,
                Event::Data(of, bytes) if of == flow => {
                    self.session.consumed(flow, bytes.len());
                    all.extend(bytes);
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

pub(crate) fn event(frame: &Frame<'_>) -> Event {
    match frame {
        Frame::Opened { flow, .. } => Event::Opened(*flow),
        Frame::Failed { flow, reason, .. } => Event::Failed(*flow, *reason),
        Frame::Data { flow, bytes } => Event::Data(*flow, bytes.to_vec()),
        Frame::Fin { flow } => Event::Fin(*flow),
        Frame::Reset { flow } => Event::Reset(*flow),
        Frame::LinkFailed { json } => Event::LinkFailed(serde_json::from_slice(json).unwrap()),
        other => Event::Other(format!("{other:?}")),
    }
}
