//! The streams between the gateway and a relay's standard input and output: the supervisor makes
//! them, the engine uses them. Knows neither frames nor processes.
//!
//! A Linux program gets sockets, a pair for each direction. The kernel holds a pipe's lock while it
//! copies, so that its two ends take turns, and allocates new pages; a socket moves the same bytes
//! for less than half of the CPU time. A Windows program gets pipes: WSL's own program stands
//! between, and whether it takes sockets is not documented.

use crate::limits::STREAM_BYTES;
use crate::links;
use crate::program::Kind;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{setsockopt, sockopt};
use serde::{Deserialize, Serialize};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::unix::pipe;
use tokio::process::Child;
use wire::LinkKind;

/// The kind of a relay's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Streams {
    Pipes,
    Sockets,
}

/// The stream into which the gateway writes.
pub(crate) type Input = Box<dyn AsyncWrite + Send + Unpin>;
/// The stream from which the gateway reads.
pub(crate) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// The gateway's ends, while the relay is being started.
pub(crate) enum Ends {
    /// The child's ends.
    Pipes,
    Sockets {
        input: UnixStream,
        output: UnixStream,
    },
}

/// Standard input and output for a program of that kind, and the gateway's ends.
///
/// # Errors
/// The system makes no socket.
pub(crate) fn make(kind: Kind) -> io::Result<(Stdio, Stdio, Ends)> {
    if let Kind::Windows(_) = kind {
        return Ok((Stdio::piped(), Stdio::piped(), Ends::Pipes));
    }
    let (input, stdin) = UnixStream::pair()?;
    let (output, stdout) = UnixStream::pair()?;
    enlarge_socket(&input);
    enlarge_socket(&stdout);
    let ends = Ends::Sockets { input, output };
    Ok((OwnedFd::from(stdin).into(), OwnedFd::from(stdout).into(), ends))
}

impl Ends {
    /// The gateway's ends of the streams of `child`: its input and its output.
    ///
    /// # Errors
    /// The child has no such pipes, or the system refuses them.
    pub(crate) fn of(self, child: &mut Child) -> io::Result<(Streams, [OwnedFd; 2])> {
        match self {
            Self::Pipes => {
                let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
                let input = child.stdin.take().ok_or_else(missing)?;
                let output = child.stdout.take().ok_or_else(missing)?;
                enlarge_pipe(&input);
                enlarge_pipe(&output);
                Ok((Streams::Pipes, [input.into_owned_fd()?, output.into_owned_fd()?]))
            }
            Self::Sockets { input, output } => {
                Ok((Streams::Sockets, [input.into(), output.into()]))
            }
        }
    }
}

/// A relay's input and output, ready for use. Must be called within a tokio runtime.
///
/// # Errors
/// The runtime does not take them.
pub(crate) fn open(streams: Streams, [input, output]: [OwnedFd; 2]) -> io::Result<(Input, Output)> {
    match streams {
        Streams::Pipes => {
            let input = pipe::Sender::from_owned_fd(input)?;
            Ok((Box::new(input), Box::new(pipe::Receiver::from_owned_fd(output)?)))
        }
        Streams::Sockets => {
            let socket = |descriptor| {
                let socket = UnixStream::from(descriptor);
                socket.set_nonblocking(true)?;
                tokio::net::UnixStream::from_std(socket)
            };
            Ok((Box::new(socket(input)?), Box::new(socket(output)?)))
        }
    }
}

/// A link's two directions, ready for use. Must be called within a tokio runtime.
///
/// # Errors
/// The runtime does not take it.
pub(crate) fn open_link(kind: LinkKind, descriptor: OwnedFd) -> io::Result<(Input, Output)> {
    let socket = std::net::TcpStream::from(descriptor);
    socket.set_nonblocking(true)?;
    let stream = tokio::net::TcpStream::from_std(socket)?;
    Ok(match kind {
        LinkKind::Tcp => {
            let (output, input) = stream.into_split();
            (Box::new(input), Box::new(output))
        }
        LinkKind::Vsock => {
            let (input, output) = links::stream::split(stream);
            (Box::new(input), Box::new(output))
        }
    })
}

/// `sending` is the end into which is written.
fn enlarge_socket(sending: &UnixStream) {
    // A size beyond the machine's limit (net.core.wmem_max) takes CAP_NET_ADMIN; a smaller one
    // works, but slower.
    let forced = setsockopt(sending, sockopt::SndBufForce, &STREAM_BYTES);
    if let Err(error) = forced.or_else(|_| setsockopt(sending, sockopt::SndBuf, &STREAM_BYTES)) {
        tracing::debug!(%error, "the socket keeps its size");
    }
}

fn enlarge_pipe(pipe: &impl AsFd) {
    // As above; the kernel allows an unprivileged pipe 1 MiB.
    let size = i32::try_from(STREAM_BYTES).unwrap_or(i32::MAX);
    if let Err(error) = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(size)) {
        tracing::debug!(%error, "the pipe keeps its size");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::process::Command;

    /// Starts a shell as a program of that kind, which reports the kind of its streams and then
    /// repeats its input.
    async fn said(kind: Kind, text: &str) -> String {
        let (stdin, stdout, ends) = make(kind).unwrap();
        let script = "stat -L -c %F /proc/self/fd/0; stat -L -c %F /proc/self/fd/1; exec cat";
        let mut shell = Command::new("sh");
        let mut child = shell.args(["-c", script]).stdin(stdin).stdout(stdout).spawn().unwrap();
        drop(shell);
        let (streams, ends) = ends.of(&mut child).unwrap();
        let (mut input, mut output) = open(streams, ends).unwrap();
        let mut heard = String::new();
        let write = async {
            input.write_all(text.as_bytes()).await.unwrap();
            // Only the end of the input ends the program.
            drop(input);
        };
        tokio::join!(write, async { output.read_to_string(&mut heard).await.unwrap() });
        assert!(child.wait().await.unwrap().success());
        heard
    }

    #[tokio::test]
    async fn a_linux_program_gets_sockets_and_a_windows_program_pipes_and_both_see_the_end() {
        let text = "x".repeat(3 * STREAM_BYTES);
        for (kind, streams) in
            [(Kind::Linux(None), "socket\nsocket\n"), (Kind::Windows(None), "fifo\nfifo\n")]
        {
            let heard = tokio::time::timeout(std::time::Duration::from_secs(60), said(kind, &text))
                .await
                .unwrap();
            assert!(heard.starts_with(streams), "{}", &heard[..40]);
            assert_eq!(heard.len(), streams.len() + text.len());
        }
    }
}
