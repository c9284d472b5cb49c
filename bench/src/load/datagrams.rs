//! Datagrams that a server echoes. Each socket keeps a window of them under way; an echo makes room
//! for the next at once, and what does not come back is lost and replaced.

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

/// What is not back by then is lost.
const LOST: Duration = Duration::from_millis(200);

/// Between two looks for what is lost.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Echoes that are taken before other sockets have their turn.
const BATCH: usize = 64;

/// A datagram begins with its place in the window and its number, four bytes each.
pub(crate) const LEAST_BYTES: u16 = 8;

/// What each socket does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) server: SocketAddr,
    /// Of a datagram, from [`LEAST_BYTES`].
    pub(crate) bytes: usize,
    /// Datagrams under way at once.
    pub(crate) window: u16,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) lost_share: f64,
}

/// What is under way at the end is neither echoed nor lost.
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
/// No socket, or no way to the server.
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
/// No socket, or no way to the server.
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
        // Not by the tick alone, which never comes where there is always an echo.
        if now >= looked + LOOK_EVERY {
            looked = now;
            window.replace(now);
        }
    }
}

struct Window {
    socket: UdpSocket,
    /// What is sent next, but for its first bytes.
    datagram: Vec<u8>,
    places: Vec<Place>,
    counts: Counts,
}

#[derive(Clone, Copy, Default)]
struct Place {
    number: u32,
    /// Nothing is under way where it is missing.
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

    /// Sends for what is lost, and where nothing is under way.
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

    /// Takes the echoes that are there, at most [`BATCH`], and sends one datagram for each. How
    /// many were read.
    fn take_echoes(&mut self, buffer: &mut [u8], now: Instant) -> usize {
        for taken in 0..BATCH {
            // A refusal says nothing about which datagram: that will be lost. Without one there is
            // nothing more to read.
            let Ok(length) = self.socket.try_recv(buffer) else { return taken };
            if let Some(at) = self.place_of(&buffer[..length]) {
                self.counts.echoed += 1;
                self.send(at, now);
            }
        }
        BATCH
    }

    /// The place of an echo. What is not exactly what was sent, or was counted as lost before, has
    /// none.
    fn place_of(&self, echo: &[u8]) -> Option<usize> {
        let (place, rest) = echo.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let at = usize::try_from(u32::from_le_bytes(*place)).ok()?;
        let place = self.places.get(at)?;
        let is_it = place.sent.is_some() && place.number == u32::from_le_bytes(*number);
        (is_it && rest == &self.datagram[LEAST_BYTES.into()..]).then_some(at)
    }

    /// Sends the next of a place; where the system does not take it, the place stays free until the
    /// next look.
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
