//! Datagrams that a server echoes. Each socket keeps a window of them in flight. An echo makes room
//! for the next at once; a missing one is lost and replaced.

use crate::figures::{per_second, share};
use crate::net;
use crate::work::{all, now};
use anyhow::Result;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};

/// A datagram that is not back by then is lost.
const LOST: Duration = Duration::from_millis(200);

/// Time between two searches for lost ones.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Echoes handled before other sockets have their turn.
const BATCH: usize = 64;

/// A datagram begins with its place in the window and its number, four bytes each.
pub(crate) const LEAST_BYTES: u16 = 8;

/// The load of each socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) server: SocketAddr,
    /// Bytes of a datagram, from [`LEAST_BYTES`].
    pub(crate) bytes: usize,
    /// Datagrams in flight at once.
    pub(crate) window: u16,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) lost_share: f64,
}

/// Datagrams in flight at the end count as neither echoed nor lost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) echoed: u64,
    pub(crate) lost: u64,
}

impl Counts {
    pub(crate) fn take_in(&mut self, other: Self) {
        self.sent += other.sent;
        self.echoed += other.echoed;
        self.lost += other.lost;
    }
}

/// # Errors
/// No socket, or no route to the server.
pub(crate) async fn run(load: Load, sockets: u16, lasting: Duration) -> Result<Report> {
    let begun = now();
    let end = begun + lasting;
    let outcomes = all((0..sockets).map(|_| worker(load, end))).await?;
    let took = now() - begun;
    let mut whole = Counts::default();
    for outcome in outcomes {
        whole.take_in(outcome?);
    }
    Ok(Report {
        per_second: per_second(whole.echoed, took),
        sent: whole.sent,
        lost: whole.lost,
        lost_share: share(whole.lost, whole.sent),
    })
}

/// One socket's load until `end`.
///
/// # Errors
/// No socket, or no route to the server.
pub(crate) async fn worker(load: Load, end: Instant) -> Result<Counts> {
    let mut window = Window::new(net::udp_to(load.server).await?, load);
    let mut buffer = vec![0; load.bytes + 1];
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looked = now();
    window.replace(looked);
    loop {
        tokio::select! {
            biased;
            ready = window.socket.readable() => {
                ready?;
                if window.take_echoes(&mut buffer, now()) == BATCH {
                    yield_now().await;
                }
            }
            _ = look.tick() => {}
        }
        let now = now();
        if now >= end {
            return Ok(window.counts);
        }
        // Not by the tick alone, which never comes while there is always an echo.
        if now >= looked + LOOK_EVERY {
            looked = now;
            window.replace(now);
        }
    }
}

struct Window {
    socket: UdpSocket,
    /// The next datagram, except for its first bytes.
    datagram: Vec<u8>,
    places: Vec<Place>,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Place {
    number: u32,
    /// `None` if nothing is in flight.
    sent: Option<Instant>,
}

impl Window {
    fn new(socket: UdpSocket, load: Load) -> Self {
        Self {
            socket,
            datagram: (0..load.bytes).map(|at| at.to_le_bytes()[0] ^ 0x5a).collect(),
            places: vec![Place::default(); load.window.into()],
            counts: Counts::default(),
        }
    }

    /// Sends for lost datagrams, and where nothing is in flight.
    fn replace(&mut self, now: Instant) {
        for at in 0..self.places.len() {
            match self.places[at].sent {
                Some(sent) if now - sent < LOST => {}
                Some(_) => {
                    self.counts.lost += 1;
                    self.send(at, now);
                }
                None => self.send(at, now),
            }
        }
    }

    /// Handles the waiting echoes, at most [`BATCH`], and sends one datagram for each. Returns the
    /// number read.
    fn take_echoes(&mut self, buffer: &mut [u8], now: Instant) -> usize {
        for taken in 0..BATCH {
            // A refusal does not name the datagram, which will count as lost. Without a refusal
            // there is nothing more to read.
            let Ok(length) = self.socket.try_recv(buffer) else { return taken };
            if let Some(at) = self.place_of(&buffer[..length]) {
                self.counts.echoed += 1;
                self.send(at, now);
            }
        }
        BATCH
    }

    /// The place of an echo; `None` if it differs from the datagram sent, or was already counted as
    /// lost.
    fn place_of(&self, echo: &[u8]) -> Option<usize> {
        let (place, rest) = echo.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let at = usize::try_from(u32::from_le_bytes(*place)).ok()?;
        let place = self.places.get(at)?;
        let is_it = place.sent.is_some() && place.number == u32::from_le_bytes(*number);
        (is_it && rest == &self.datagram[LEAST_BYTES.into()..]).then_some(at)
    }

    /// Sends the next datagram of a place; if the system does not take it, the place stays free
    /// until the next look.
    fn send(&mut self, at: usize, now: Instant) {
        let place = &mut self.places[at];
        place.number = place.number.wrapping_add(1);
        // A window is smaller than 64 Ki.
        self.datagram[..2].copy_from_slice(&at.to_le_bytes()[..2]);
        self.datagram[2..4].fill(0);
        self.datagram[4..8].copy_from_slice(&place.number.to_le_bytes());
        place.sent = match self.socket.try_send(&self.datagram) {
            Ok(_) => {
                self.counts.sent += 1;
                Some(now)
            }
            Err(_) => None,
        };
    }
}
