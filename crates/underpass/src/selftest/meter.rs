//! The near end of the measurements: starts the relay as a meter on the host, and counts how fast
//! bytes go there and back, by its standard streams or through the tunnel. The protocol and the far
//! end are `meter.rs` of the relay.

use super::report::median;
use anyhow::{Context as _, ensure};
use gateway::{RelayProgram, host};
use serde::Deserialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::{TcpStream, UdpSocket};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::{Instant, timeout};

const UP: u8 = 1;
const DOWN: u8 = 2;
const ECHO: u8 = 3;

/// Bytes of a write or read.
const PIECE: usize = 256 * 1024;

/// A byte there and back that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long Windows may take to start a program, on top of what the program does.
pub(super) const START_PATIENCE: Duration = Duration::from_secs(20);

/// A relay that measures on the host; it ends when this is dropped.
pub(super) struct Meter {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Port {
    port: u16,
}

impl Meter {
    /// Starts one that measures its standard streams: on WSL the pipe of interop.
    pub(super) async fn on_pipe(relay: RelayProgram) -> anyhow::Result<Self> {
        let answers = async |input: &mut ChildStdin, output: &mut BufReader<ChildStdout>| {
            Stream { input: output, output: input }.round_trip(1).await.map(drop)
        };
        let (meter, ()) = Self::start(relay, &["meter"], answers).await?;
        Ok(meter)
    }

    /// Starts one that listens on the host's 127.0.0.1; and its port.
    pub(super) async fn on_port(relay: RelayProgram) -> anyhow::Result<(Self, u16)> {
        let port = async |_: &mut ChildStdin, output: &mut BufReader<ChildStdout>| {
            let mut line = String::new();
            output.read_line(&mut line).await.context("the relay's output cannot be read")?;
            let port: Port = serde_json::from_str(&line).with_context(|| {
                format!("the relay answered '{}' instead of a port", line.trim())
            })?;
            Ok(port.port)
        };
        Self::start(relay, &["meter", "--listen"], port).await
    }

    /// Starts one whose first answer `talk` hears.
    async fn start<T>(
        relay: RelayProgram,
        words: &[&str],
        talk: impl AsyncFn(&mut ChildStdin, &mut BufReader<ChildStdout>) -> anyhow::Result<T>,
    ) -> anyhow::Result<(Self, T)> {
        let words = words.iter().map(Into::into).collect();
        let streams = async |child: &mut Child| {
            let mut input = child.stdin.take().context("the relay has no standard input")?;
            let output = child.stdout.take().context("the relay has no standard output")?;
            let mut output = BufReader::with_capacity(PIECE, output);
            let answer = timeout(START_PATIENCE, talk(&mut input, &mut output)).await;
            let found = answer.context("the relay did not answer within 20 s")??;
            anyhow::Ok((input, output, found))
        };
        let (child, (input, output, found)) = host::start(relay, words, streams).await?;
        Ok((Self { child, input, output }, found))
    }

    /// Measures by the standard streams.
    pub(super) fn stream(&mut self) -> Stream<&mut BufReader<ChildStdout>, &mut ChildStdin> {
        Stream { input: &mut self.output, output: &mut self.input }
    }

    /// Ends it and waits for its end.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        drop(self.input);
        let ended = timeout(PATIENCE, self.child.wait())
            .await
            .context("the relay does not exit when its input ends")?;
        ensure!(ended?.success(), "the relay ended with an error");
        Ok(())
    }
}

/// A stream with a meter at its far end.
pub(super) struct Stream<R, W> {
    input: R,
    output: W,
}

/// Connects to a meter's port.
pub(super) async fn connect(
    to: SocketAddr,
) -> anyhow::Result<Stream<tokio::net::tcp::OwnedReadHalf, tokio::net::tcp::OwnedWriteHalf>> {
    let stream = timeout(PATIENCE, TcpStream::connect(to))
        .await
        .with_context(|| format!("no connection to {to} within 5 s"))?
        .with_context(|| format!("no connection to {to}"))?;
    stream.set_nodelay(true)?;
    let (input, output) = stream.into_split();
    Ok(Stream { input, output })
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Stream<R, W> {
    /// Sends `bytes` and waits until the meter has them; how long that took.
    pub(super) async fn up(&mut self, bytes: u64) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.request(UP, bytes).await?;
        let piece = vec![0; PIECE];
        let mut left = bytes;
        while left > 0 {
            let turn = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            self.output.write_all(&piece[..turn]).await?;
            left -= turn as u64;
        }
        self.output.flush().await?;
        let answer = self
            .input
            .read_u8()
            .await
            .context("the measuring service did not confirm what it received")?;
        ensure!(answer == UP, "the measuring service answered {answer}");
        Ok(start.elapsed())
    }

    /// Has the meter send `bytes`; how long that took.
    pub(super) async fn down(&mut self, bytes: u64) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.request(DOWN, bytes).await?;
        let mut piece = vec![0; PIECE];
        let mut left = bytes;
        while left > 0 {
            let turn = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let length = self.input.read(&mut piece[..turn]).await?;
            ensure!(length > 0, "the measuring service stopped {left} bytes early");
            ensure!(piece[..length].iter().all(|byte| *byte == 0), "bytes were damaged on the way");
            left -= length as u64;
        }
        Ok(start.elapsed())
    }

    /// The time that one byte takes there and back, in microseconds: the median of `rounds`.
    pub(super) async fn round_trip(&mut self, rounds: u16) -> anyhow::Result<f64> {
        self.request(ECHO, rounds.into()).await?;
        let mut times = Vec::new();
        for round in 0..rounds {
            let start = Instant::now();
            let [byte, _] = round.to_le_bytes();
            self.output.write_u8(byte).await?;
            self.output.flush().await?;
            let back = timeout(PATIENCE, self.input.read_u8())
                .await
                .context("a byte did not come back within 5 s")??;
            ensure!(back == byte, "byte {byte} came back as {back}");
            times.push(microseconds(start.elapsed()));
        }
        median(times).context("nothing was measured")
    }

    async fn request(&mut self, kind: u8, count: u64) -> anyhow::Result<()> {
        let mut request = [kind; 9];
        request[1..].copy_from_slice(&count.to_be_bytes());
        self.output.write_all(&request).await?;
        self.output.flush().await?;
        Ok(())
    }
}

/// Echoed datagrams: the median time in microseconds, and how many of `rounds` were lost.
pub(super) async fn datagrams(to: SocketAddr, rounds: u16) -> anyhow::Result<(Option<f64>, u16)> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    let mut times = Vec::new();
    for round in 0..rounds {
        let start = Instant::now();
        socket.send(&round.to_le_bytes()).await?;
        let mut back = [0; 2];
        // A late answer to a former round is not this round's.
        let answered = async {
            while socket.recv(&mut back).await? != 2 || back != round.to_le_bytes() {}
            std::io::Result::Ok(())
        };
        if let Ok(Ok(())) = timeout(PATIENCE / 10, answered).await {
            times.push(microseconds(start.elapsed()));
        }
    }
    let lost = rounds - u16::try_from(times.len()).unwrap_or(rounds);
    Ok((median(times), lost))
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
