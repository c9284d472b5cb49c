//! All kinds of load at once, on one thread: the test is about errors, not about speed.

use crate::bulk::{self, Bulk, Pattern};
use crate::connects::{self, Connects};
use crate::datagrams::{self, Counts};
use crate::dns::{self, Queries};
use crate::figures::Micros;
use crate::pingpong;
use crate::work::{Errors, all, now};
use anyhow::Result;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

const CONNECTORS: u16 = 8;
const STREAMS: usize = 4;
const SOCKETS: usize = 16;
const ASKERS: usize = 4;

/// The time between a connector's connections: eight then use 2,700 ports a second, which become
/// free (after a minute) as fast as they are used.
const PACE: Duration = Duration::from_millis(3);

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) connects: u64,
    pub(crate) bytes: u64,
    pub(crate) datagrams: u64,
    pub(crate) datagrams_lost: u64,
    pub(crate) queries: u64,
    pub(crate) queries_lost: u64,
    pub(crate) errors: Vec<String>,
    pub(crate) error_count: u64,
    pub(crate) pingpong_p50_us: Option<Micros>,
    pub(crate) pingpong_p99_us: Option<Micros>,
}

/// # Errors
/// No UDP socket. Later failures are in the report.
pub(crate) async fn run(
    server: SocketAddr,
    nameserver: Option<SocketAddr>,
    lasting: Duration,
) -> Result<Report> {
    let end = now() + lasting;
    let pattern = Arc::new(Pattern::new());
    let load = datagrams::Load { server, bytes: 1200, window: 4 };
    let queries = nameserver.map(|server| dns::Load::new(server, dns::NAME)).transpose()?;
    let (rounds, connects, streams, sockets, queries) = tokio::try_join!(
        all([pingpong::worker(server, end)]),
        all((0..CONNECTORS).map(|number| connects::worker(server, number, PACE, end))),
        all((0..STREAMS).map(|number| bulk::worker(server, Arc::clone(&pattern), number, end))),
        all((0..SOCKETS).map(|_| datagrams::worker(load, end))),
        all(queries.iter().flat_map(|load| (0..ASKERS).map(|_| dns::worker(load.clone(), end)))),
    )?;

    let mut errors = Errors::default();
    let connects = connects.into_iter().fold(
        0,
        |whole, Connects { count, errors: its_errors, no_port, .. }| {
            errors.take_in(its_errors);
            if let Some(error) = no_port {
                errors.note("connection", error);
            }
            whole + count
        },
    );
    let bytes = streams.into_iter().fold(0, |whole, Bulk { bytes, errors: its_errors }| {
        errors.take_in(its_errors);
        whole + bytes
    });
    let mut counts = Counts::default();
    for socket in sockets {
        counts.take_in(socket?);
    }
    let mut asked = Queries::default();
    for socket in queries {
        asked.take_in(socket?);
    }
    errors.take_in(asked.errors);
    let mut samples = crate::figures::Samples::default();
    for (its_samples, its_errors) in rounds {
        samples.take_in(its_samples);
        errors.take_in(its_errors);
    }
    let sorted = samples.sorted();
    Ok(Report {
        connects,
        bytes,
        datagrams: counts.echoed,
        datagrams_lost: counts.lost,
        queries: asked.count,
        queries_lost: asked.lost,
        errors: errors.texts,
        error_count: errors.count,
        pingpong_p50_us: sorted.percentile(50),
        pingpong_p99_us: sorted.percentile(99),
    })
}
