//! The gateway's end of the pipe, for tests of the engine: a real session, and sources that send a
//! test's data.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use underpass_relay::engine::{RelayError, run};
use underpass_relay::os::Resolver;
use wire::frame::VERSION;
use wire::{
    Capabilities, ConnectFailure, Decoder, FlowId, Frame, Hello, Pull, Role, Session, Source, Then,
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
    events: VecDeque<Event>,
}

#[expect(clippy::disallowed_methods, reason = "a test is a shell")]
fn now() -> Instant {
    Instant::now()
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
                    self.session.fill(&mut staged, 64 * 1024, &mut self.sending);
                }
                if staged.is_empty()
                    && let Some(event) = self.events.pop_front()
                {
                    return event;
                }
                let (mut reading, mut writing) = tokio::io::split(&mut self.pipe);
                tokio::select! {
                    read = reading.read(self.decoder.space()) => {
                        let n = read.unwrap();
                        assert!(n > 0, "the relay closed its output");
                        self.decoder.filled(n);
                    }
                    n = writing.write(&staged[written..]), if written < staged.len() => written += n.unwrap(),
                }
                while let Some(frame) = self.decoder.next_frame().unwrap() {
                    match self.session.accept(now(), frame).unwrap() {
                        // The machine's own network may change at any time.
                        None | Some(Frame::Hello(_) | Frame::Changed) => {}
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
        other => Event::Other(format!("{other:?}")),
    }
}
