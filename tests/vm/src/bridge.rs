//! Carries connections between a Unix socket and the link between guest and host, which is TCP on
//! its own adapter. WSL has hvsockets there; like them, TCP carries bytes, half-closes, and ends
//! with either side.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::str::FromStr;
use std::thread;

/// Bytes of one copy, as in WSL's interop.
const PIECE: usize = 4096;

/// The source of connections, or their destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `unix:PATH`.
    Unix(PathBuf),
    /// `tcp:ADDRESS:PORT`.
    Tcp(SocketAddr),
}

/// The text does not name an endpoint.
#[derive(Debug)]
pub struct NoEndpoint;

impl FromStr for Endpoint {
    type Err = NoEndpoint;

    fn from_str(text: &str) -> Result<Self, NoEndpoint> {
        match text.split_once(':') {
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("tcp", address)) => address.parse().map(Self::Tcp).map_err(|_| NoEndpoint),
            _ => Err(NoEndpoint),
        }
    }
}

impl Endpoint {
    fn connect(&self) -> io::Result<UnixStream> {
        match self {
            Self::Unix(path) => UnixStream::connect(path),
            Self::Tcp(address) => TcpStream::connect(address).and_then(stream),
        }
    }
}

/// Reading, writing and shutting down are the same calls for every stream socket, so one type
/// serves both kinds.
fn stream(tcp: TcpStream) -> io::Result<UnixStream> {
    tcp.set_nodelay(true)?;
    Ok(UnixStream::from(OwnedFd::from(tcp)))
}

/// Serves forever: each connection to `from` goes to `to`.
///
/// # Errors
/// `from` cannot be listened at.
pub fn serve(from: &Endpoint, to: &Endpoint) -> io::Result<()> {
    let start = |accepted: UnixStream| {
        let to = to.clone();
        thread::spawn(move || {
            // If the other end cannot be reached, the connection is dropped, and its client sees
            // its end. Both ends see how a carried connection ended.
            let _ = to.connect().and_then(|other| join(&accepted, &other));
        });
    };
    match from {
        Endpoint::Unix(path) => {
            UnixListener::bind(path)?.incoming().try_for_each(|accepted| accepted.map(start))
        }
        Endpoint::Tcp(address) => TcpListener::bind(address)?
            .incoming()
            .try_for_each(|accepted| accepted.and_then(stream).map(start)),
    }
}

/// Carries one connection until both of its directions have ended.
fn join(one: &UnixStream, other: &UnixStream) -> io::Result<()> {
    let (back_from, back_to) = (other.try_clone()?, one.try_clone()?);
    let back = thread::spawn(move || copy(&back_from, &back_to));
    copy(one, other);
    // It does not panic.
    let _ = back.join();
    Ok(())
}

/// One direction, until its end; a failure ends the other one too.
fn copy(mut from: &UnixStream, mut to: &UnixStream) {
    let mut piece = [0; PIECE];
    let failed = loop {
        match from.read(&mut piece) {
            Ok(0) => break false,
            Ok(n) if to.write_all(&piece[..n]).is_ok() => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => break true,
        }
    };
    let how = if failed { Shutdown::Both } else { Shutdown::Write };
    // Either may have ended already.
    let _ = to.shutdown(how);
    if failed {
        let _ = from.shutdown(how);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Both ends of a connection that two bridges carry, and the link between them.
    fn bridged() -> (UnixStream, UnixStream, UnixStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link_near =
            stream(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
        let link_far = stream(listener.accept().unwrap().0).unwrap();
        let ((app, near), (far, server)) =
            (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        let link = link_near.try_clone().unwrap();
        thread::spawn(move || join(&near, &link_near));
        thread::spawn(move || join(&far, &link_far));
        for end in [&app, &server] {
            end.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        }
        (app, server, link)
    }

    fn rest(mut stream: &UnixStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_half_closed_connection_still_carries_the_other_direction() {
        let (mut app, mut server, _link) = bridged();
        let request = vec![7; 3 * PIECE + 1];
        app.write_all(&request).unwrap();
        app.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&server), request);
        server.write_all(b"an answer after the request's end").unwrap();
        drop(server);
        assert_eq!(rest(&app), b"an answer after the request's end");
    }

    #[test]
    fn a_broken_link_ends_both_ends() {
        let (mut app, mut server, link) = bridged();
        app.write_all(b"x").unwrap();
        server.read_exact(&mut [0]).unwrap();
        link.shutdown(Shutdown::Both).unwrap();
        assert_eq!((rest(&app), rest(&server)), (Vec::new(), Vec::new()));
    }

    #[test]
    fn a_program_that_goes_is_noticed_at_the_other_end() {
        let (app, mut server, _link) = bridged();
        drop(app);
        assert_eq!(rest(&server), b"");
        let failed = (0..10_000).any(|_| server.write_all(&[0; PIECE]).is_err());
        assert!(failed, "what is written there is not read");
    }

    #[test]
    fn endpoints_are_read_from_words() {
        let read = |text: &str| text.parse::<Endpoint>().ok();
        assert_eq!(read("unix:/a:b"), Some(Endpoint::Unix("/a:b".into())));
        assert_eq!(read("tcp:10.0.0.1:5000"), Some(Endpoint::Tcp(([10, 0, 0, 1], 5000).into())));
        for wrong in ["", "unix", "tcp:x:1", "udp:10.0.0.1:1"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
