//! The far end of `underpass selftest`'s measurements: counts, sends and echoes bytes on request,
//! over standard input and output (WSL's pipe by itself) or on a port of 127.0.0.1 (the whole
//! tunnel).
//!
//! A request is one byte for the action and eight for the number of bytes (big endian):
//!
//! | byte | then the client | and the meter |
//! |---|---|---|
//! | [`UP`] | sends that many bytes | answers one byte when all have come |
//! | [`DOWN`] | reads | sends that many zeros |
//! | [`ECHO`] | sends and reads | sends back what it reads, as it comes |
//!
//! The other half, the client, is in the command `underpass`. Only one side sends at a time, except
//! in `ECHO`, whose client never has more than one piece in flight: WSL's pipes hold 4 KiB.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

/// Bytes go to the host.
pub const UP: u8 = 1;
/// Bytes come from the host.
pub const DOWN: u8 = 2;
/// Bytes go to the host and come back.
pub const ECHO: u8 = 3;

/// Bytes per read or write. Large enough that the pipe is the limit, not the calls.
const PIECE: usize = 256 * 1024;

/// Most concurrent connections; others wait. The client opens eight.
const CONNECTIONS: usize = 32;

/// How many ports are tried to find one that is free for TCP and UDP.
const PORTS_TRIED: usize = 16;

/// Consecutive errors of a port that are tolerated, such as too many open files. After each its
/// thread waits twice as long as before; one more ends it.
const ERRORS: u32 = 10;

/// The first of these waits, so that all of them take 1 s.
const FIRST_WAIT: Duration = Duration::from_millis(1);

/// Bytes of the largest datagram.
const DATAGRAM: usize = 65_535;

/// Serves requests until the input ends.
///
/// # Errors
/// The streams fail, or a request is malformed.
pub fn serve(mut input: impl Read, mut output: impl Write) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let mut request = [0; 9];
        match input.read_exact(&mut request[..1]) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            outcome => outcome?,
        }
        input.read_exact(&mut request[1..])?;
        let [kind, count @ ..] = request;
        let mut left = u64::from_be_bytes(count);
        let turn = |left: u64| usize::try_from(left).unwrap_or(PIECE).min(PIECE);
        match kind {
            UP => {
                while left > 0 {
                    left -= received(&mut input, &mut piece[..turn(left)])? as u64;
                }
                output.write_all(&[UP])?;
            }
            DOWN => {
                piece.fill(0);
                while left > 0 {
                    output.write_all(&piece[..turn(left)])?;
                    left -= turn(left) as u64;
                }
            }
            ECHO => {
                while left > 0 {
                    let length = received(&mut input, &mut piece[..turn(left)])?;
                    output.write_all(&piece[..length])?;
                    output.flush()?;
                    left -= length as u64;
                }
            }
            other => {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    format!("{other} is not a request"),
                ));
            }
        }
        output.flush()?;
    }
}

/// Reads at least one byte.
fn received(input: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    match input.read(piece)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        length => Ok(length),
    }
}

/// Serves requests on a port of 127.0.0.1, and echoes datagrams on the same port, in threads that
/// run as long as the process. Returns the port.
///
/// # Errors
/// No port is free for both, or no thread can be started.
pub fn listen() -> io::Result<u16> {
    let (listener, datagrams) = bind()?;
    let port = listener.local_addr()?.port();
    thread::Builder::new()
        .name("datagrams".to_owned())
        .spawn(move || echo_datagrams(&datagrams))?;
    for number in 0..CONNECTIONS {
        let listener = listener.try_clone()?;
        let accept = move || {
            let ended = each(
                wait,
                || listener.accept(),
                |(connection, _)| {
                    let served =
                        connection.set_nodelay(true).and_then(|()| serve(&connection, &connection));
                    if let Err(error) = served {
                        tracing::debug!(%error, "a measured connection ended early");
                    }
                },
            );
            tracing::warn!("no more connections are measured here: {ended}");
        };
        thread::Builder::new().name(format!("meter-{number}")).spawn(accept)?;
    }
    Ok(port)
}

fn bind() -> io::Result<(TcpListener, UdpSocket)> {
    let mut last = ErrorKind::AddrInUse.into();
    for _ in 0..PORTS_TRIED {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        match UdpSocket::bind(listener.local_addr()?) {
            Ok(datagrams) => return Ok((listener, datagrams)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Windows reports an ICMP error about an earlier datagram at the next receive. The socket still
/// works.
fn echo_datagrams(socket: &UdpSocket) {
    let mut datagram = vec![0; DATAGRAM];
    let echo = || {
        let (length, peer) = socket.recv_from(&mut datagram)?;
        if let Err(error) = socket.send_to(&datagram[..length], peer) {
            tracing::debug!(%error, "a datagram could not be echoed");
        }
        Ok(())
    };
    let ended = each(wait, echo, |()| ());
    tracing::warn!("no more datagrams are echoed: {ended}");
}

/// Takes one after another until too many in a row fail, and returns the last error. It waits
/// between failures, so that a lasting one does not occupy a processor.
fn each<T>(
    mut wait: impl FnMut(Duration),
    mut take: impl FnMut() -> io::Result<T>,
    mut act: impl FnMut(T),
) -> io::Error {
    let mut failures = 0;
    loop {
        match take() {
            Ok(one) => {
                failures = 0;
                act(one);
            }
            Err(error) if failures == ERRORS => return error,
            Err(_) => {
                wait(FIRST_WAIT * (1 << failures));
                failures += 1;
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no event tells the end of a socket's error")]
fn wait(duration: Duration) {
    thread::sleep(duration);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    fn request(kind: u8, count: u64) -> Vec<u8> {
        [&[kind][..], &count.to_be_bytes()].concat()
    }

    #[test]
    fn each_request_is_answered_and_the_end_of_input_ends_it() {
        let mut input = request(UP, 3);
        input.extend(b"abc");
        input.extend(request(DOWN, 5));
        input.extend(request(ECHO, 2));
        input.extend(b"xy");
        let mut output = Vec::new();
        serve(&input[..], &mut output).unwrap();
        assert_eq!(output, [&[UP][..], &[0; 5], b"xy"].concat());
    }

    #[test]
    fn a_malformed_or_cut_request_is_an_error() {
        let kind = |input: &[u8]| serve(input, io::sink()).unwrap_err().kind();
        assert_eq!(kind(&request(9, 0)), ErrorKind::InvalidData);
        assert_eq!(kind(&request(UP, 1)), ErrorKind::UnexpectedEof);
        assert_eq!(kind(&[UP, 0]), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn errors_that_last_end_it_after_waits_and_single_ones_do_not() {
        // An error three times, then a success, and then errors for good.
        let (mut count, mut acts, mut waits) = (0, 0, Vec::new());
        let take = || {
            count += 1;
            if count == 4 { Ok(()) } else { Err(io::Error::other(format!("error {count}"))) }
        };
        let ended = each(|duration| waits.push(duration.as_millis()), take, |()| acts += 1);
        assert_eq!((ended.to_string().as_str(), acts), ("error 15", 1));
        assert_eq!(waits, [1, 2, 4, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    }

    #[test]
    fn a_port_serves_connections_and_datagrams() {
        let port = listen().unwrap();
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        connection.write_all(&request(DOWN, 1 << 20)).unwrap();
        let mut answer = vec![1; 1 << 20];
        connection.read_exact(&mut answer).unwrap();
        assert!(answer.iter().all(|byte| *byte == 0));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.send_to(b"there", (Ipv4Addr::LOCALHOST, port)).unwrap();
        let mut back = [0; 16];
        assert_eq!(socket.recv(&mut back).unwrap(), 5);
        assert_eq!(&back[..5], b"there");
    }
}
