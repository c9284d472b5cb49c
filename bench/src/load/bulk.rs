//! Streams of bytes that a server echoes, compared byte for byte.

use crate::net;
use crate::work::{Errors, PATIENCE, PAUSE, now, within};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::yield_now;
use tokio::time::{sleep, timeout_at};

/// The bytes after which a stream is closed and another opened.
const STREAM_BYTES: usize = 16 << 20;

/// The bytes written at once.
const PIECE: usize = 64 << 10;

/// The pattern repeats after this many bytes: a prime, so that no piece, window or buffer looks
/// like the one before.
const PERIOD: usize = 65_521;

/// Bytes that identify their position.
#[derive(Debug)]
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new() -> Self {
        // Marsaglia's xorshift.
        let mut state = 0x2545_f491_u32;
        let mut bytes: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .take(PERIOD)
        .collect();
        // Room for a piece from any position.
        bytes.extend_from_within(..);
        bytes.extend_from_within(..PIECE);
        Self(bytes)
    }

    /// At most [`PIECE`] bytes from a position on.
    fn at(&self, position: usize, length: usize) -> &[u8] {
        &self.0[position % PERIOD..][..length]
    }
}

/// The bytes that came back unchanged, and the errors.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    pub(crate) bytes: u64,
    pub(crate) errors: Errors,
}

/// One stream after the other until `end`; those of another `number` begin elsewhere in the
/// pattern.
pub(crate) async fn worker(
    server: SocketAddr,
    pattern: Arc<Pattern>,
    number: usize,
    end: Instant,
) -> Bulk {
    let mut done = Bulk::default();
    let mut start = number * 7919;
    while now() < end {
        match timeout_at(end.into(), stream(server, &pattern, start, &mut done.bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                done.errors.note("stream", error);
                sleep(PAUSE).await;
            }
            Err(_) => break,
        }
        start += 104_729;
    }
    done
}

/// Sends a whole stream and reads it back.
async fn stream(
    server: SocketAddr,
    pattern: &Pattern,
    start: usize,
    bytes: &mut u64,
) -> io::Result<()> {
    let mut stream = within(PATIENCE, "connecting", net::connect(server)).await?;
    let (mut reader, mut writer) = stream.split();
    let write = async {
        for position in (0..STREAM_BYTES).step_by(PIECE) {
            writer.write_all(pattern.at(start + position, PIECE)).await?;
            // Others have their turn, however ready this stream is.
            yield_now().await;
        }
        writer.shutdown().await
    };
    let read = async {
        let (mut buffer, mut position) = (vec![0; PIECE], 0);
        loop {
            let length = within(PATIENCE, "the next byte", reader.read(&mut buffer)).await?;
            if length == 0 {
                break;
            }
            let (came, expected) = (&buffer[..length], pattern.at(start + position, length));
            if came != expected {
                let wrong = came
                    .iter()
                    .zip(expected)
                    .take_while(|(came, expected)| came == expected)
                    .count();
                return Err(net::other(format!(
                    "another byte than was sent, at position {}",
                    position + wrong
                )));
            }
            position += length;
            *bytes += u64::try_from(length).unwrap_or_default();
            yield_now().await;
        }
        if position == STREAM_BYTES {
            Ok(())
        } else {
            Err(net::other(format!("it ended after {position} bytes of {STREAM_BYTES}")))
        }
    };
    tokio::try_join!(write, read).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_like_no_other_near_it() {
        let pattern = Pattern::new();
        assert_eq!(pattern.at(PERIOD - 1, PIECE).len(), PIECE);
        assert_eq!(pattern.at(0, PIECE), pattern.at(PERIOD, PIECE));
        for shift in [1, 31, 1448, 4096, PIECE, 1 << 20] {
            assert_ne!(pattern.at(0, PIECE), pattern.at(shift, PIECE), "{shift}");
        }
    }
}
