//! Queries for a name, one at a time from each socket.

use crate::figures::{Micros, Samples, per_second};
use crate::message::{self, Match};
use crate::net;
use crate::work::{Errors, PAUSE, all, now};
use anyhow::Result;
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::time::{sleep, timeout_at};

/// The name to query.
pub(crate) const NAME: &str = "www.lab.test";

/// A query without an answer by then is lost.
const LOST: Duration = Duration::from_secs(2);

/// Room for an answer.
const ANSWER_BYTES: usize = 4096;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) count: u64,
    pub(crate) lost: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: Option<Micros>,
    pub(crate) p99_us: Option<Micros>,
}

/// The parts shared by all sockets.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    server: SocketAddr,
    query: Vec<u8>,
    /// Shared by all sockets, so that no two pending queries have the same.
    next_id: Arc<AtomicU16>,
}

impl Load {
    /// # Errors
    /// The name is not valid.
    pub(crate) fn new(server: SocketAddr, name: &str) -> io::Result<Self> {
        Ok(Self { server, query: message::query(name)?, next_id: Arc::default() })
    }
}

/// The work of one socket.
#[derive(Debug, Default)]
pub(crate) struct Queries {
    pub(crate) count: u64,
    pub(crate) lost: u64,
    pub(crate) samples: Samples,
    /// Answers without an address, and refusals.
    pub(crate) errors: Errors,
}

impl Queries {
    pub(crate) fn take_in(&mut self, others: Self) {
        self.count += others.count;
        self.lost += others.lost;
        self.samples.take_in(others.samples);
        self.errors.take_in(others.errors);
    }
}

/// # Errors
/// No socket, no route to the server, or no valid name.
pub(crate) async fn run(
    server: SocketAddr,
    name: &str,
    parallel: u16,
    lasting: Duration,
) -> Result<Report> {
    let load = Load::new(server, name)?;
    let begun = now();
    let end = begun + lasting;
    let outcomes = all((0..parallel).map(|_| worker(load.clone(), end))).await?;
    let took = now() - begun;
    let mut whole = Queries::default();
    for outcome in outcomes {
        whole.take_in(outcome?);
    }
    whole.errors.tell();
    let sorted = whole.samples.sorted();
    Ok(Report {
        per_second: per_second(whole.count, took),
        count: whole.count,
        lost: whole.lost,
        failed: whole.errors.count,
        p50_us: sorted.percentile(50),
        p99_us: sorted.percentile(99),
    })
}

/// One socket's queries until `end`.
///
/// # Errors
/// No socket, or no route to the server.
pub(crate) async fn worker(load: Load, end: Instant) -> Result<Queries> {
    let Load { server, mut query, next_id } = load;
    let socket = net::udp_to(server).await?;
    let mut buffer = vec![0; ANSWER_BYTES];
    let mut done = Queries::default();
    loop {
        let begun = now();
        if begun >= end {
            return Ok(done);
        }
        let give_up = begun + LOST;
        let id = next_id.fetch_add(1, Ordering::Relaxed);
        query[..2].copy_from_slice(&id.to_be_bytes());
        match timeout_at(give_up.min(end).into(), ask(&socket, &query, id, &mut buffer)).await {
            Ok(Ok(None)) => {
                done.count += 1;
                done.samples.record(now() - begun);
            }
            Ok(Ok(Some(code))) => {
                done.errors.note("query", format_args!("an answer without an address, code {code}"))
            }
            Ok(Err(error)) => {
                done.errors.note("query", error);
                sleep(PAUSE).await;
            }
            Err(_) if give_up <= end => done.lost += 1,
            Err(_) => return Ok(done),
        }
    }
}

/// Sends a query and waits for its answer; returns the code of an answer without an address.
async fn ask(
    socket: &UdpSocket,
    query: &[u8],
    id: u16,
    buffer: &mut [u8],
) -> io::Result<Option<u8>> {
    socket.send(query).await?;
    loop {
        let length = socket.recv(buffer).await?;
        match message::judge(&buffer[..length], id) {
            Match::Answered => return Ok(None),
            Match::Failed(code) => return Ok(Some(code)),
            // An answer to a query that was given up.
            Match::Foreign => {}
        }
    }
}
