//! Listens for the link of a relay, a faster stream in place of its standard streams
//! (`crates/wire/README.md`, rule 12). The supervisor does this, since it may make sockets; of a
//! connection it reads only the nonce, and then gives it to the engine. Knows no frame.
//!
//! Any program of the VM, and any of the host, may connect. So a connection counts only with the
//! nonce that went by the relay's standard streams, and costs little until then: few may owe it at
//! a time, and for a short time. The first one with the nonce ends the listening.

pub(crate) mod stream;
mod tcp;
mod vsock;
mod wish;

pub use wish::LinkWish;

use crate::limits::{LINK_LISTEN, LINK_NONCE_PATIENCE, MAX_LINK_CALLERS};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use wire::link::{LinkCause, LinkFailure, Offer, SECRET_BYTES, Secret};
use wire::{LinkKind, LinkOffers};
use wsl::NetworkingMode;

/// What the ways to listen depend on.
#[derive(Clone, Debug)]
pub(crate) struct Around {
    /// The TAP's name.
    pub(crate) tap: String,
    /// The networking mode that `wslinfo` reports, if it has.
    pub(crate) mode: Option<NetworkingMode>,
}

/// A socket that listens for one kind of link.
enum Listener {
    Tcp(tcp::Listener),
    Vsock(vsock::Listener),
}

impl Listener {
    /// The next connection of a peer that may be the host. Closes others at once. A stream socket
    /// of any family counts as [`TcpStream`] here, which only reads and writes.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        match self {
            Self::Tcp(listener) => listener.poll_next(cx),
            Self::Vsock(listener) => listener.poll_next(cx),
        }
    }
}

/// A try for a link, while the relay does not know of it yet.
pub(crate) struct Attempt {
    listeners: Vec<(LinkKind, Listener)>,
    pub(crate) offers: LinkOffers,
    /// Why there is no listener of a kind.
    pub(crate) failures: Vec<LinkFailure>,
}

impl Attempt {
    /// Begins to listen for links of these kinds. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) async fn begin(kinds: &[LinkKind], around: &Around) -> io::Result<Self> {
        let offers = LinkOffers { nonce: secret()?, answer: secret()?, offers: Vec::new() };
        let mut attempt = Self { listeners: Vec::new(), offers, failures: Vec::new() };
        for &kind in kinds {
            match listen(kind, around).await {
                Ok((listener, offer)) => {
                    attempt.listeners.push((kind, listener));
                    attempt.offers.offers.push(offer);
                }
                Err(failure) => attempt.failures.push(failure),
            }
        }
        Ok(attempt)
    }

    /// The first connection that brings the nonce; `None` without one within [`LINK_LISTEN`].
    /// Nothing listens after that.
    pub(crate) async fn connected(self) -> Option<(LinkKind, OwnedFd)> {
        let Self { mut listeners, offers, .. } = self;
        let door = Arc::new(Door { offers, is_taken: AtomicBool::new(false) });
        let mut greeted = JoinSet::new();
        let mut waiting: VecDeque<AbortHandle> = VecDeque::new();
        let mut end = std::pin::pin!(sleep(LINK_LISTEN));
        loop {
            tokio::select! {
                biased;
                () = &mut end => return None,
                Some(outcome) = greeted.join_next() => {
                    if let Ok(Some((kind, stream))) = outcome {
                        return Some((kind, stream));
                    }
                }
                (kind, stream) = poll_fn(|cx| poll_any(&mut listeners, cx)) => {
                    waiting.retain(|caller| !caller.is_finished());
                    if waiting.len() >= MAX_LINK_CALLERS
                        && let Some(oldest) = waiting.pop_front()
                    {
                        oldest.abort();
                    }
                    let door = Arc::clone(&door);
                    waiting.push_back(greeted.spawn(async move {
                        let welcomed = timeout(LINK_NONCE_PATIENCE, door.greet(stream)).await;
                        Some((kind, welcomed.ok()?.ok()??))
                    }));
                }
            }
        }
    }
}

/// The next connection of any listener. One that fails is closed.
fn poll_any(
    listeners: &mut Vec<(LinkKind, Listener)>,
    cx: &mut Context<'_>,
) -> Poll<(LinkKind, TcpStream)> {
    let mut place = 0;
    while let Some((kind, listener)) = listeners.get_mut(place) {
        match listener.poll_next(cx) {
            Poll::Ready(Ok(stream)) => return Poll::Ready((*kind, stream)),
            Poll::Ready(Err(error)) => {
                tracing::warn!(%error, link = %kind, "no more connections are accepted");
                listeners.remove(place);
            }
            Poll::Pending => place += 1,
        }
    }
    Poll::Pending
}

/// What a connection must know.
struct Door {
    offers: LinkOffers,
    /// A connection has brought the nonce.
    is_taken: AtomicBool,
}

impl Door {
    /// Reads the nonce, and answers it; `None` for a connection that does not have it, or is not
    /// the first.
    async fn greet(&self, mut stream: TcpStream) -> io::Result<Option<OwnedFd>> {
        let mut nonce = [0; SECRET_BYTES];
        stream.read_exact(&mut nonce).await?;
        if !self.offers.nonce.is(&nonce) || self.is_taken.swap(true, Ordering::Relaxed) {
            return Ok(None);
        }
        stream.write_all(self.offers.answer.bytes()).await?;
        Ok(Some(stream.into_std()?.into()))
    }
}

async fn listen(kind: LinkKind, around: &Around) -> Result<(Listener, Offer), LinkFailure> {
    match kind {
        LinkKind::Tcp => {
            tcp::listen(around).await.map(|(listener, offer)| (Listener::Tcp(listener), offer))
        }
        LinkKind::Vsock => {
            vsock::listen().await.map(|(listener, offer)| (Listener::Vsock(listener), offer))
        }
    }
}

/// 256 bits of the kernel's randomness.
fn secret() -> io::Result<Secret> {
    let mut bytes = [0; SECRET_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(Secret::new(bytes))
}

/// A failure by an error of the system.
fn failed(link: LinkKind, what: &str, error: &io::Error) -> LinkFailure {
    let code = error.raw_os_error().unwrap_or_default();
    let cause = match code {
        libc::EACCES | libc::EPERM => LinkCause::Denied,
        libc::EAFNOSUPPORT | libc::ESOCKTNOSUPPORT | libc::EOPNOTSUPP => LinkCause::Unsupported,
        _ => LinkCause::Other,
    };
    LinkFailure { link, cause, code, text: format!("{what}: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, SocketAddr};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    const NONCE: [u8; SECRET_BYTES] = [1; SECRET_BYTES];
    const ANSWER: [u8; SECRET_BYTES] = [2; SECRET_BYTES];

    type Outcome = JoinHandle<Option<(LinkKind, OwnedFd)>>;

    /// Listens on loopback for one peer.
    async fn listening(host: Ipv4Addr) -> (SocketAddr, Outcome) {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = socket.local_addr().unwrap();
        let (nonce, answer) = (Secret::new(NONCE), Secret::new(ANSWER));
        let attempt = Attempt {
            listeners: vec![(LinkKind::Tcp, Listener::Tcp(tcp::Listener { socket, host }))],
            offers: LinkOffers { nonce, answer, offers: Vec::new() },
            failures: Vec::new(),
        };
        (address, tokio::spawn(attempt.connected()))
    }

    /// What a connection that sends these bytes gets back until its end.
    async fn told(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // It may be closed already.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = timeout(LINK_LISTEN, stream.read_to_end(&mut answer)).await.expect("it is closed");
        answer
    }

    async fn linked(address: SocketAddr) -> TcpStream {
        let mut relay = TcpStream::connect(address).await.unwrap();
        relay.write_all(&NONCE).await.unwrap();
        let mut answer = [0; SECRET_BYTES];
        relay.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, ANSWER);
        relay
    }

    #[tokio::test]
    async fn the_first_connection_with_the_nonce_is_the_link_and_nothing_listens_afterwards() {
        let (address, outcome) = listening(Ipv4Addr::LOCALHOST).await;
        // More than may wait, none of which sends anything, and one that sends a part.
        let mut silent = Vec::new();
        for _ in 0..3 * MAX_LINK_CALLERS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut part = TcpStream::connect(address).await.unwrap();
        part.write_all(&NONCE[1..]).await.unwrap();
        for wrong in [[1, 0], [0, 1]] {
            let wrong: Vec<u8> = wrong.into_iter().cycle().take(SECRET_BYTES).collect();
            assert!(told(address, &wrong).await.is_empty(), "a stranger got an answer");
        }
        let mut relay = linked(address).await;
        let (kind, link) = outcome.await.unwrap().unwrap();
        assert_eq!(kind, LinkKind::Tcp);
        let mut link = TcpStream::from_std(link.into()).unwrap();
        relay.write_all(b"from the relay").await.unwrap();
        link.write_all(b"from the engine").await.unwrap();
        let (mut here, mut there) = ([0; 14], [0; 15]);
        link.read_exact(&mut here).await.unwrap();
        relay.read_exact(&mut there).await.unwrap();
        assert_eq!((&here, &there), (b"from the relay", b"from the engine"));
        // The nonce is of no use to another one.
        let again = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::ConnectionRefused);
        for mut stream in silent.into_iter().chain([part]) {
            let mut byte = [0];
            let end = timeout(LINK_NONCE_PATIENCE / 2, stream.read(&mut byte)).await;
            assert!(matches!(end, Ok(Ok(0) | Err(_))), "{end:?}");
        }
    }

    #[tokio::test]
    async fn only_the_first_of_two_that_know_the_nonce_is_answered() {
        let (nonce, answer) = (Secret::new(NONCE), Secret::new(ANSWER));
        let offers = LinkOffers { nonce, answer, offers: Vec::new() };
        let door = Door { offers, is_taken: AtomicBool::new(false) };
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        for is_first in [true, false] {
            let mut relay = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
            relay.write_all(&NONCE).await.unwrap();
            let greeted = door.greet(socket.accept().await.unwrap().0).await.unwrap();
            assert_eq!(greeted.is_some(), is_first);
        }
    }

    #[tokio::test]
    async fn another_peer_than_the_host_is_closed_at_once() {
        let (address, outcome) = listening(Ipv4Addr::new(127, 0, 0, 2)).await;
        assert!(told(address, &[]).await.is_empty());
        assert!(told(address, &NONCE).await.is_empty(), "the nonce alone does not suffice");
        assert!(!outcome.is_finished());
        outcome.abort();
    }

    #[test]
    fn secrets_differ() {
        assert_ne!(secret().unwrap(), secret().unwrap());
    }

    #[test]
    fn only_windows_programs_are_offered_links_by_themselves() {
        use crate::program::Kind;
        let (vsock, tcp) = (&[LinkKind::Vsock][..], &[LinkKind::Tcp][..]);
        for (wish, windows, linux) in [
            ("auto", vsock, &[][..]),
            ("stdio", &[], &[]),
            ("tcp", tcp, tcp),
            ("vsock", vsock, vsock),
        ] {
            let wish: LinkWish = wish.parse().unwrap();
            assert_eq!(wish.kinds(Kind::Windows(None)), windows);
            assert_eq!(wish.kinds(Kind::Linux(None)), linux);
            assert_eq!(wish.kinds(Kind::Other), linux);
        }
    }
}
