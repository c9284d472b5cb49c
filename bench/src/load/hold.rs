//! Many idle connections: opened, and tested once more later.

use crate::net;
use crate::work::{Errors, PATIENCE, all, now, within};
use anyhow::Result;
use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout_at;

/// Connections being opened at once.
const AT_ONCE: usize = 64;

/// Connections that are not open by then count as failed: with a silent server, ten thousand would
/// take half an hour.
const OPENED: Duration = Duration::from_secs(120);

/// All live ones have echoed by then.
const ECHOED: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize)]
pub(crate) struct Open {
    pub(crate) open: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct Alive {
    pub(crate) alive: usize,
}

/// Opens connections and sends a byte through each; returns those that worked.
///
/// # Errors
/// A worker panicked.
pub(crate) async fn open(server: SocketAddr, connections: usize) -> Result<Vec<TcpStream>> {
    let (begun, end) = (Arc::new(AtomicUsize::new(0)), now() + OPENED);
    let workers = (0..AT_ONCE.min(connections)).map(|_| {
        let begun = Arc::clone(&begun);
        async move {
            let (mut held, mut errors) = (Vec::new(), Errors::default());
            while begun.fetch_add(1, Ordering::Relaxed) < connections && now() < end {
                let opened = async {
                    let mut stream = net::connect(server).await?;
                    net::echo_byte(&mut stream, 1).await?;
                    Ok(stream)
                };
                match within(PATIENCE, "a connection's first byte", opened).await {
                    Ok(stream) => held.push(stream),
                    Err(error) => errors.note("connection", error),
                }
            }
            (held, errors)
        }
    });
    let (mut held, mut errors) = (Vec::with_capacity(connections), Errors::default());
    for (of_worker, its_errors) in all(workers).await? {
        held.extend(of_worker);
        errors.take_in(its_errors);
    }
    errors.tell();
    Ok(held)
}

/// Sends a byte through all of them, and counts the echoes.
pub(crate) async fn alive(mut held: Vec<TcpStream>) -> usize {
    let (mut alive, mut errors, end) = (0, Errors::default(), now() + ECHOED);
    for stream in &mut held {
        // It has room for a byte; reading shows one that is dead.
        let _ = timeout_at(end.into(), stream.write_all(&[2])).await;
    }
    for stream in &mut held {
        match timeout_at(end.into(), net::expect_byte(stream, 2)).await {
            Ok(Ok(())) => alive += 1,
            Ok(Err(error)) => errors.note("connection", error),
            Err(_) => errors.note("connection", "silence"),
        }
    }
    errors.tell();
    alive
}
