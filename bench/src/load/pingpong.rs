//! One message back and forth. The measurement blocks in the system's calls, so that nothing is
//! between them and the network; the soak's, which is one of many, is a task.

use crate::figures::{Micros, Samples};
use crate::net;
use crate::work::{Errors, PATIENCE, PAUSE, now, within};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout_at};

/// A datagram that is not back by then is lost.
const LOST: Duration = Duration::from_millis(500);

/// The measurement's settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    /// Bytes of a message, from 1.
    pub(crate) bytes: usize,
    /// Rounds that do not count.
    pub(crate) warm_up: u64,
    pub(crate) lasting: Duration,
}

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) rounds: u64,
    pub(crate) p50_us: Option<Micros>,
    pub(crate) p90_us: Option<Micros>,
    pub(crate) p99_us: Option<Micros>,
    pub(crate) max_us: Option<Micros>,
    pub(crate) lost: u64,
}

/// The result of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Back,
    Lost,
}

/// # Errors
/// No connection, or it breaks.
pub(crate) fn tcp(server: SocketAddr, rounds: Rounds) -> Result<Report> {
    let connect = || {
        let stream = TcpStream::connect_timeout(&server, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok::<_, io::Error>(stream)
    };
    let mut stream = connect().with_context(|| format!("no connection to {server}"))?;
    let mut back = vec![0; rounds.bytes];
    measure(rounds, |message| {
        stream.write_all(message)?;
        stream.read_exact(&mut back)?;
        if back == message {
            Ok(Message::Back)
        } else {
            Err(net::other("another message came back"))
        }
    })
    .context("the connection broke")
}

/// # Errors
/// No socket, or it is refused.
pub(crate) fn udp(server: SocketAddr, rounds: Rounds) -> Result<Report> {
    let connect = || {
        let socket = UdpSocket::bind(net::any(server))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(LOST))?;
        Ok::<_, io::Error>(socket)
    };
    let socket = connect().with_context(|| format!("no route to {server}"))?;
    let mut back = vec![0; rounds.bytes + 1];
    measure(rounds, |message| {
        socket.send(message)?;
        let sent = now();
        loop {
            match socket.recv(&mut back) {
                Ok(length) if &back[..length] == message => return Ok(Message::Back),
                // One that already counted as lost.
                Ok(_) if now() - sent < LOST => {}
                Ok(_) => return Ok(Message::Lost),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Message::Lost);
                }
                Err(error) => return Err(error),
            }
        }
    })
    .with_context(|| format!("{server} is not reached"))
}

/// Calls `round` with one message after the other.
fn measure(
    rounds: Rounds,
    mut round: impl FnMut(&[u8]) -> io::Result<Message>,
) -> io::Result<Report> {
    let mut samples = Samples::roomy();
    let mut messages = Messages::new(rounds.bytes);
    let end = now() + rounds.lasting;
    for _ in 0..rounds.warm_up {
        round(messages.next())?;
        if now() >= end {
            break;
        }
    }
    let (mut begun, mut count, mut lost) = (now(), 0, 0);
    let end = begun + rounds.lasting;
    while begun < end {
        let outcome = round(messages.next())?;
        let ended = now();
        count += 1;
        match outcome {
            Message::Back => samples.record(ended - begun),
            Message::Lost => lost += 1,
        }
        begun = ended;
    }
    let sorted = samples.sorted();
    Ok(Report {
        rounds: count,
        p50_us: sorted.percentile(50),
        p90_us: sorted.percentile(90),
        p99_us: sorted.percentile(99),
        max_us: sorted.max(),
        lost,
    })
}

/// Messages that differ from the one before, as far as their size allows.
struct Messages {
    number: u64,
    bytes: Vec<u8>,
}

impl Messages {
    fn new(bytes: usize) -> Self {
        Self { number: 0, bytes: vec![0x5a; bytes] }
    }

    fn next(&mut self) -> &[u8] {
        self.number += 1;
        for (byte, number) in self.bytes.iter_mut().zip(self.number.to_le_bytes()) {
            *byte = number;
        }
        &self.bytes
    }
}

/// Rounds of one byte by TCP until `end`, with a new connection after a failure.
pub(crate) async fn worker(server: SocketAddr, end: Instant) -> (Samples, Errors) {
    let (mut samples, mut errors) = (Samples::default(), Errors::default());
    let rounds = async {
        loop {
            let error = broken(server, &mut samples).await;
            errors.note("ping-pong", error);
            sleep(PAUSE).await;
        }
    };
    // Only the clock ends it.
    let _: Result<(), _> = timeout_at(end.into(), rounds).await;
    (samples, errors)
}

/// Runs until something fails.
async fn broken(server: SocketAddr, samples: &mut Samples) -> io::Error {
    let mut stream = match within(PATIENCE, "connecting", net::connect(server)).await {
        Ok(stream) => stream,
        Err(error) => return error,
    };
    for byte in (0..=u8::MAX).cycle() {
        let begun = now();
        match within(PATIENCE, "a round", net::echo_byte(&mut stream, byte)).await {
            Ok(()) => samples.record(now() - begun),
            Err(error) => return error,
        }
    }
    // A cycle has no end.
    net::other("no more bytes")
}
