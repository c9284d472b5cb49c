//! Starts and ends relays for the engine, and finds out why one is gone. Reads no frame.

use super::messages::ToEngine;
use crate::interop::{self, Failure};
use crate::limits::{HELLO_PATIENCE, SOCKET_PATIENCE};
use crate::link::Parcel;
use crate::links::{Around, Attempt, LinkWish};
use crate::relay_command::RelayCommand;
use crate::relay_process::{RelayProcess, SpawnError};
use crate::relays::{RelayEnd, RelayEndCause};
use crate::start_failure::{self, Ending};
use std::os::fd::OwnedFd;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use wire::LinkKind;
use wsl::NetworkingMode;

/// The relays that run, by lane.
pub(super) struct Launcher {
    command: RelayCommand,
    running: Vec<Option<RelayProcess>>,
    linking: Linking,
    to_engine: mpsc::Sender<Parcel<ToEngine>>,
}

/// The tries for links.
pub(super) struct Linking {
    wish: LinkWish,
    tap: String,
    /// The networking mode that `wslinfo` reports, once it has.
    mode: watch::Receiver<Option<NetworkingMode>>,
    /// The one of each lane.
    under_way: Vec<Option<AbortHandle>>,
}

impl Linking {
    pub(super) fn new(
        wish: LinkWish,
        tap: String,
        mode: watch::Receiver<Option<NetworkingMode>>,
    ) -> Self {
        Self { wish, tap, mode, under_way: Vec::new() }
    }

    /// Ends the try of a lane, and what listens for it.
    fn end(&mut self, lane: usize) {
        if let Some(attempt) = self.under_way.get_mut(lane).and_then(Option::take) {
            attempt.abort();
        }
    }
}

impl Drop for Linking {
    fn drop(&mut self) {
        self.under_way.iter().flatten().for_each(AbortHandle::abort);
    }
}

impl Launcher {
    pub(super) fn new(
        command: RelayCommand,
        lanes: usize,
        mut linking: Linking,
        to_engine: mpsc::Sender<Parcel<ToEngine>>,
    ) -> Self {
        linking.under_way = (0..lanes).map(|_| None).collect();
        Self { command, running: (0..lanes).map(|_| None).collect(), linking, to_engine }
    }

    /// Starts a lane's relay, and returns what the engine needs to know of it.
    ///
    /// # Errors
    /// See [`SpawnError`].
    pub(super) fn start(&mut self, lane: usize) -> Result<Parcel<ToEngine>, SpawnError> {
        let (process, started, streams) = RelayProcess::start(&self.command, lane)?;
        if let Some(place) = self.running.get_mut(lane) {
            *place = Some(process);
        }
        Ok(Parcel {
            message: ToEngine::Relay { lane, started: Ok(started) },
            descriptors: streams.into(),
        })
    }

    /// The same as an answer to the engine. Even an engine under an attacker's control gets only
    /// one relay for each lane.
    pub(super) fn answer(&mut self, lane: usize) -> Parcel<ToEngine> {
        let started = match self.running.get(lane) {
            Some(None) => self.start(lane).map_err(|error| error.to_string()),
            Some(Some(_)) => Err("the lane has a relay".to_owned()),
            None => Err("there is no such lane".to_owned()),
        };
        started.unwrap_or_else(|why| ToEngine::Relay { lane, started: Err(why) }.into())
    }

    /// Tries for a link to a lane's relay, and reports it to the engine. A later try ends an
    /// earlier one, so that an engine under an attacker's control gets only one for each lane.
    pub(super) fn link(&mut self, lane: usize) {
        self.linking.end(lane);
        let Some(Some(process)) = self.running.get(lane) else { return };
        let kinds = self.linking.wish.kinds(process.kind);
        let around = Around { tap: self.linking.tap.clone(), mode: *self.linking.mode.borrow() };
        let to_engine = self.to_engine.clone();
        let attempt = tokio::spawn(async move {
            // An engine that is gone needs no link.
            let _ = link(lane, kinds, &around, &to_engine).await;
        });
        if let Some(place) = self.linking.under_way.get_mut(lane) {
            *place = Some(attempt.abort_handle());
        }
    }

    /// Ends a lane's relay, and reports the end to the engine.
    pub(super) fn end(&mut self, lane: usize, end: RelayEnd) {
        self.linking.end(lane);
        let process = self.running.get_mut(lane).and_then(Option::take);
        let (command, to_engine) = (self.command.clone(), self.to_engine.clone());
        tokio::spawn(async move {
            let why = match process {
                Some(process) => why_gone(process, &command, end).await,
                None => None,
            };
            // An engine that is gone needs no answer.
            let _ = to_engine.send(ToEngine::RelayEnded { lane, why }.into()).await;
        });
    }

    /// Ends all.
    pub(super) async fn stop(self) {
        futures_util::future::join_all(self.running.into_iter().flatten().map(RelayProcess::end))
            .await;
    }
}

/// Listens for a link to the relay of a lane until it is up or late.
async fn link(
    lane: usize,
    kinds: &[LinkKind],
    around: &Around,
    to_engine: &mpsc::Sender<Parcel<ToEngine>>,
) -> Result<(), mpsc::error::SendError<Parcel<ToEngine>>> {
    let mut attempt = match Attempt::begin(kinds, around).await {
        Ok(attempt) => attempt,
        Err(error) => {
            tracing::warn!(%error, "there are no secrets for a link to the relay");
            return to_engine.send(ToEngine::NotLinked { lane }.into()).await;
        }
    };
    let failures = std::mem::take(&mut attempt.failures);
    let offers = (!attempt.offers.offers.is_empty()).then(|| attempt.offers.clone());
    let has_offers = offers.is_some();
    to_engine.send(ToEngine::LinkOffers { lane, offers, failures }.into()).await?;
    if !has_offers {
        return Ok(());
    }
    let (message, descriptors): (_, Vec<OwnedFd>) = match attempt.connected().await {
        Some((kind, link)) => (ToEngine::Linked { lane, kind }, vec![link]),
        None => (ToEngine::NotLinked { lane }, Vec::new()),
    };
    to_engine.send(Parcel { message, descriptors }).await
}

/// Why a relay is gone.
#[derive(Debug, thiserror::Error)]
enum Gone {
    /// Its process or its output ended.
    #[error("the relay ended ({status}){hint}{last_words}")]
    Ended {
        /// Its exit status, in words.
        status: String,
        /// The likely cause and what to try, after a colon; or nothing.
        hint: String,
        /// Its last lines, each on a line of its own, after a colon; or nothing.
        last_words: String,
    },
    /// It never said hello.
    #[error("the relay has not said hello within {} s", HELLO_PATIENCE.as_secs())]
    NoHello,
    /// It never said hello, and another socket can start it.
    #[error("the relay has not said hello within {} s: {socket}", SOCKET_PATIENCE.as_secs())]
    SilentSocket {
        /// The socket that started it, and what to try.
        socket: String,
    },
}

/// Ends the relay's process, and returns the cause that its own end shows, unless the engine knows
/// the cause.
async fn why_gone(process: RelayProcess, command: &RelayCommand, end: RelayEnd) -> Option<String> {
    let (words, kind, way) = (process.last_words.clone(), process.kind, process.way.clone());
    let status = process.end().await;
    let gone = match end.cause {
        RelayEndCause::Known => return None,
        RelayEndCause::NoHello if way.has_other => {
            way.failed(interop::now());
            Gone::SilentSocket { socket: Failure::Silent.text(&way) }
        }
        RelayEndCause::NoHello => Gone::NoHello,
        RelayEndCause::Gone => {
            let words = words.text();
            let said_hello = end.said_hello;
            let ending =
                Ending { program: &command.program, kind, words: &words, said_hello, age: end.age };
            let failure = if said_hello { None } else { interop::failure_in(&words) };
            let hint = match failure {
                Some(failure) => {
                    way.failed(interop::now());
                    Some(failure.text(&way))
                }
                None => start_failure::hint(ending).await,
            };
            let hint = hint.map_or_else(String::new, |hint| format!(": {hint}"));
            let last_words = if words.is_empty() {
                String::new()
            } else {
                format!(":\n  {}", words.replace('\n', "\n  "))
            };
            let status = status.map_or_else(
                || "it closed its output and had to be killed".to_owned(),
                |s| s.to_string(),
            );
            Gone::Ended { status, hint, last_words }
        }
    };
    Some(gone.to_string())
}
