//! The engine's way to its relays, which the supervisor starts and ends: a request goes to the task
//! that has the link to the supervisor, and its answer comes back to the lane.

use crate::relay_streams::{self, Input, Output, Streams};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use wire::link::LinkFailure;
use wire::{LinkKind, LinkOffers};

/// Requests that wait: for each lane one about its relay, and one for a link.
const QUEUE: usize = 2 * crate::limits::MAX_LANES;

/// News of a link: its offers, and whether it is up.
const NEWS: usize = 2;

/// A relay that was started.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct StartedRelay {
    pub(crate) pid: u32,
    pub(crate) streams: Streams,
    /// How long it may take to say hello.
    pub(crate) patience: Duration,
}

/// A relay that the engine needs no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayEnd {
    pub(crate) cause: RelayEndCause,
    pub(crate) said_hello: bool,
    /// The time since its start.
    pub(crate) age: Duration,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum RelayEndCause {
    /// Its output ended, or its input broke: its own end shows why.
    Gone,
    /// It never said hello.
    NoHello,
    /// The engine knows the reason.
    Known,
}

/// A running relay.
pub(crate) struct Relay {
    pub(crate) pid: u32,
    /// How long it may take to say hello.
    pub(crate) patience: Duration,
    /// `None` once the relay is to end.
    pub(crate) input: Option<Input>,
    pub(crate) output: Output,
}

impl Relay {
    /// A relay with these streams. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The runtime does not take them.
    pub(crate) fn new(
        pid: u32,
        patience: Duration,
        streams: Streams,
        ends: [OwnedFd; 2],
    ) -> io::Result<Self> {
        let (input, output) = relay_streams::open(streams, ends)?;
        Ok(Self { pid, patience, input: Some(input), output })
    }
}

/// The outcome of a start: a relay, or the reason of the failure.
pub(crate) type Starting = oneshot::Receiver<Result<Relay, String>>;

/// The outcome of an end: why the relay is gone, if the lane did not know.
pub(crate) type Ending = oneshot::Receiver<Option<String>>;

/// News of a try for a link.
pub(crate) enum LinkNews {
    /// Where the supervisor listens, if it does, and why there is no link of a kind.
    Offers(Option<LinkOffers>, Vec<LinkFailure>),
    /// The link.
    Up(LinkKind, Input, Output),
    /// No relay came in time.
    Late,
}

/// A request to the supervisor.
pub(crate) enum Request {
    Start { lane: usize, answer: oneshot::Sender<Result<Relay, String>> },
    End { lane: usize, end: RelayEnd, answer: oneshot::Sender<Option<String>> },
    Link { lane: usize, news: mpsc::Sender<LinkNews> },
}

/// The sending end of the requests.
#[derive(Clone, Debug)]
pub(crate) struct Relays(mpsc::Sender<Request>);

impl Relays {
    /// A new one, and the receiving end of its requests.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (ask, requests) = mpsc::channel(QUEUE);
        (Self(ask), requests)
    }

    /// Has the relay of a lane started.
    pub(crate) fn start(&self, lane: usize) -> Starting {
        let (answer, starting) = oneshot::channel();
        self.ask(Request::Start { lane, answer });
        starting
    }

    /// Has the relay of a lane ended.
    pub(crate) fn end(&self, lane: usize, end: RelayEnd) -> Ending {
        let (answer, ending) = oneshot::channel();
        self.ask(Request::End { lane, end, answer });
        ending
    }

    /// Has a link to the relay of a lane made.
    pub(crate) fn link(&self, lane: usize) -> mpsc::Receiver<LinkNews> {
        let (news, linking) = mpsc::channel(NEWS);
        self.ask(Request::Link { lane, news });
        linking
    }

    fn ask(&self, request: Request) {
        if self.0.try_send(request).is_err() {
            // The lane notices that its answer does not come.
            tracing::warn!("the supervisor takes no requests");
        }
    }
}
