//! Connections of one byte: connect, send it, receive it, close. All of that is a round.

use crate::figures::{Micros, Samples, per_second};
use crate::net::{self, CONNECT_PORTS};
use crate::work::{Errors, PATIENCE, PAUSE, all, now};
use anyhow::{Result, bail};
use serde::Serialize;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout_at};

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) per_second: f64,
    pub(crate) count: u64,
    pub(crate) failed: u64,
    pub(crate) p50_us: Option<Micros>,
    pub(crate) p99_us: Option<Micros>,
}

/// The work of one worker.
#[derive(Debug, Default)]
pub(crate) struct Connects {
    pub(crate) count: u64,
    pub(crate) samples: Samples,
    pub(crate) errors: Errors,
    /// The error with which our own ports ran out, which ends the run.
    pub(crate) no_port: Option<io::Error>,
}

/// # Errors
/// Our own ports run out.
pub(crate) async fn run(server: SocketAddr, parallel: u16, lasting: Duration) -> Result<Report> {
    let begun = now();
    let end = begun + lasting;
    let workers = (0..parallel).map(|number| worker(server, number, Duration::ZERO, end));
    let outcomes = all(workers).await?;
    let took = now() - begun;
    let mut whole = Connects::default();
    for outcome in outcomes {
        if let Some(error) = outcome.no_port {
            bail!(
                "no local port is left ({error}): closed connections keep theirs for a minute, so wait, widen net.ipv4.ip_local_port_range or take fewer --seconds"
            );
        }
        whole.count += outcome.count;
        whole.samples.take_in(outcome.samples);
        whole.errors.take_in(outcome.errors);
    }
    whole.errors.tell();
    let sorted = whole.samples.sorted();
    Ok(Report {
        per_second: per_second(whole.count, took),
        count: whole.count,
        failed: whole.errors.count,
        p50_us: sorted.percentile(50),
        p99_us: sorted.percentile(99),
    })
}

/// Connects until `end`, to one port after the other, at most once every `pace`.
pub(crate) async fn worker(
    server: SocketAddr,
    number: u16,
    pace: Duration,
    end: Instant,
) -> Connects {
    let mut done = Connects::default();
    let mut turn = number;
    loop {
        let begun = now();
        if begun >= end {
            return done;
        }
        let give_up = begun + PATIENCE;
        turn = turn.wrapping_add(1);
        match timeout_at(give_up.min(end).into(), once(server, turn % CONNECT_PORTS)).await {
            Ok(Ok(())) => {
                done.count += 1;
                done.samples.record(now() - begun);
                if !pace.is_zero() {
                    tokio::time::sleep_until((begun + pace).min(end).into()).await;
                }
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                done.no_port = Some(error);
                return done;
            }
            Ok(Err(error)) => {
                done.errors.note("connection", error);
                sleep(PAUSE).await;
            }
            Err(_) if give_up <= end => done.errors.note("connection", "it took more than 10 s"),
            Err(_) => return done,
        }
    }
}

async fn once(server: SocketAddr, port: u16) -> io::Result<()> {
    let port = server
        .port()
        .checked_add(1 + port)
        .ok_or_else(|| net::other("the server's port has no eight after it"))?;
    let mut stream = net::connect(SocketAddr::new(server.ip(), port)).await?;
    net::echo_byte(&mut stream, 0x5a).await
}
