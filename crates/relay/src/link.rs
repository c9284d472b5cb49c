//! The link to the gateway, a faster stream in place of the standard streams
//! (`crates/wire/README.md`, rule 12): the dial, and the move to it. Knows no frame except the
//! offers.
//!
//! The standard streams stay open after the move. The end of standard input is the gateway's wish
//! that this program ends, as without a link. So a link that breaks only stops both directions: the
//! gateway notices it too, and ends this program.

use crate::limits::{LINK_BYTES, LINK_DIAL_PATIENCE};
use crate::os;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use wire::link::{LinkCause, LinkFailure, Offer, SECRET_BYTES};
use wire::{ConnectFailure, LinkFailures, LinkKind, LinkOffers, Session, Violation};

/// The direction of a link from the gateway.
pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
/// The direction of a link to the gateway.
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The dial that the gateway's last offers have started, and its outcome.
#[derive(Default)]
pub(crate) struct Dial {
    under_way: Option<(AbortHandle, oneshot::Receiver<Dialled>)>,
    link: Option<(Reader, Writer)>,
}

struct Dialled {
    link: Option<(Reader, Writer)>,
    failures: Vec<LinkFailure>,
}

impl Dial {
    /// Connects to one of the offers, while frames go on. Ends an earlier dial.
    ///
    /// # Errors
    /// The offers cannot be read.
    pub(crate) fn begin(&mut self, json: &[u8]) -> Result<(), serde_json::Error> {
        let offers: LinkOffers = serde_json::from_slice(json)?;
        self.stop();
        let (done, outcome) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Without an engine the link is of no use.
            let _ = done.send(dial(&offers).await);
        });
        self.under_way = Some((task.abort_handle(), outcome));
        Ok(())
    }

    /// Ready once for each dial that has ended, with its report for the gateway, if it has one.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<LinkFailures>> {
        let Some((_, outcome)) = &mut self.under_way else { return Poll::Pending };
        let Poll::Ready(outcome) = Pin::new(outcome).poll(cx) else { return Poll::Pending };
        self.under_way = None;
        let Dialled { link, failures } =
            outcome.unwrap_or(Dialled { link: None, failures: Vec::new() });
        let is_linked = link.is_some();
        self.link = link;
        let has_report = !is_linked || !failures.is_empty();
        Poll::Ready(has_report.then_some(LinkFailures { failures, is_linked }))
    }

    /// Whether the link is up, or may still come up.
    pub(crate) fn may_link(&self) -> bool {
        self.link.is_some() || self.under_way.is_some()
    }

    /// The link's two directions, once it is up.
    pub(crate) fn take(&mut self) -> Option<(Reader, Writer)> {
        self.link.take()
    }

    fn stop(&mut self) {
        if let Some((task, _)) = self.under_way.take() {
            task.abort();
        }
        self.link = None;
    }
}

impl Drop for Dial {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Tries the offers in their order.
async fn dial(offers: &LinkOffers) -> Dialled {
    let mut failures = Vec::new();
    for offer in &offers.offers {
        let Some(kind) = offer.kind() else { continue };
        let late = |_| LinkFailure {
            link: kind,
            cause: LinkCause::TimedOut,
            code: 0,
            text: format!("no answer within {} s", LINK_DIAL_PATIENCE.as_secs()),
        };
        let outcome = timeout(LINK_DIAL_PATIENCE, try_offer(kind, offer, offers)).await;
        match outcome.map_err(late).flatten() {
            Ok(link) => return Dialled { link: Some(link), failures },
            Err(failure) => {
                tracing::debug!(link = %kind, "no link: {}", failure.text);
                failures.push(failure);
            }
        }
    }
    Dialled { link: None, failures }
}

async fn try_offer(
    kind: LinkKind,
    offer: &Offer,
    secrets: &LinkOffers,
) -> Result<(Reader, Writer), LinkFailure> {
    let error = |error: io::Error| failed(kind, &error);
    let (mut from, mut to): (Reader, Writer) = match offer {
        Offer::Tcp { address } => {
            let (from, to) = connect(*address).await.map_err(error)?.into_split();
            (Box::new(from), Box::new(to))
        }
        Offer::Vsock { vm, port } => {
            let (from, to) = os::vsock::dial(vm, *port).await.map_err(error)?;
            (Box::new(from), Box::new(to))
        }
        Offer::Unknown => return Err(failed(kind, &io::ErrorKind::Unsupported.into())),
    };
    to.write_all(secrets.nonce.bytes()).await.map_err(error)?;
    let mut answer = [0; SECRET_BYTES];
    from.read_exact(&mut answer).await.map_err(error)?;
    if secrets.answer.is(&answer) {
        return Ok((from, to));
    }
    Err(LinkFailure {
        link: kind,
        cause: LinkCause::Stranger,
        code: 0,
        text: "the answer is not the gateway's".to_owned(),
    })
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Before the connect, since the window's scale is chosen then (RFC 7323 section 2.2).
    socket.set_send_buffer_size(LINK_BYTES)?;
    socket.set_recv_buffer_size(LINK_BYTES)?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn failed(link: LinkKind, error: &io::Error) -> LinkFailure {
    let code = error.raw_os_error().unwrap_or_default();
    let cause = match (error.kind(), os::errors::connect_failure(code)) {
        _ if link == LinkKind::Vsock && os::vsock::is_missing(code) => LinkCause::Unsupported,
        (io::ErrorKind::Unsupported, _) => LinkCause::Unsupported,
        (io::ErrorKind::ConnectionRefused, _) => LinkCause::Refused,
        // The gateway closes a connection of a stranger.
        (io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset, _) => LinkCause::Stranger,
        (_, ConnectFailure::Refused) => LinkCause::Refused,
        (_, ConnectFailure::TimedOut) => LinkCause::TimedOut,
        (_, ConnectFailure::NetworkUnreachable | ConnectFailure::HostUnreachable) => {
            LinkCause::Unreachable
        }
        (_, ConnectFailure::PermissionDenied) => LinkCause::Denied,
        (
            _,
            ConnectFailure::NoResources
            | ConnectFailure::TooManyFlows
            | ConnectFailure::Reported(_)
            | ConnectFailure::Other,
        ) => LinkCause::Other,
    };
    LinkFailure { link, cause, code, text: error.to_string() }
}

/// The stream of the gateway's frames: standard input, and after the move the link.
pub(crate) struct Input<R> {
    stdin: R,
    from: From,
}

enum From {
    Stdin,
    /// The gateway has moved, and this program's dial has not ended.
    Soon,
    Link(Reader),
    Broken,
}

impl<R> Input<R> {
    pub(crate) fn new(stdin: R) -> Self {
        Self { stdin, from: From::Stdin }
    }

    /// The gateway has moved: no more comes by standard input.
    pub(crate) fn leave_stdin(&mut self) {
        self.from = From::Soon;
    }

    /// Whether the gateway has moved to a link that is missing here.
    pub(crate) fn awaits_link(&self) -> bool {
        matches!(self.from, From::Soon)
    }

    pub(crate) fn use_link(&mut self, link: Reader) {
        self.from = From::Link(link);
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stdin, from } = self.get_mut();
        if let From::Stdin = from {
            return Pin::new(stdin).poll_read(cx, out);
        }
        let mut byte = [0];
        let mut rest = ReadBuf::new(&mut byte);
        match Pin::new(stdin).poll_read(cx, &mut rest) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) if !rest.filled().is_empty() => {
                let more = io::Error::new(io::ErrorKind::InvalidData, Violation::AfterMoved);
                return Poll::Ready(Err(more));
            }
            Poll::Ready(end) => return Poll::Ready(end),
        }
        let From::Link(link) = from else { return Poll::Pending };
        let before = out.filled().len();
        match Pin::new(link).poll_read(cx, out) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if out.filled().len() > before => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => tracing::warn!("the link to the gateway has ended"),
            Poll::Ready(Err(error)) => tracing::warn!(%error, "the link to the gateway broke"),
        }
        *from = From::Broken;
        Poll::Pending
    }
}

/// The stream of this program's frames: standard output, and after the move the link.
pub(crate) struct Output<W> {
    stdout: W,
    to: To,
}

enum To {
    Stdout,
    /// Moved is the next frame.
    Soon(Writer),
    /// Moved is being written to standard output.
    Announced(Writer),
    Link(Writer),
    Broken,
}

impl<W> Output<W> {
    pub(crate) fn new(stdout: W) -> Self {
        Self { stdout, to: To::Stdout }
    }

    pub(crate) fn use_link(&mut self, link: Writer) {
        self.to = To::Soon(link);
    }

    /// Called between two frames, with nothing left to write. Stages Moved, or moves.
    pub(crate) fn between_frames(&mut self, session: &mut Session, staging: &mut Vec<u8>) {
        self.to = match std::mem::replace(&mut self.to, To::Broken) {
            To::Soon(link) => {
                session.move_out(staging);
                To::Announced(link)
            }
            To::Announced(link) => To::Link(link),
            other @ (To::Stdout | To::Link(_) | To::Broken) => other,
        };
    }
}

impl<W: AsyncWrite + Unpin> Output<W> {
    /// The stream that takes the bytes, as far as the link has not broken.
    fn stream(&mut self) -> Option<Pin<&mut (dyn AsyncWrite + Unpin)>> {
        let stream: &mut (dyn AsyncWrite + Unpin) = match &mut self.to {
            To::Stdout | To::Soon(_) | To::Announced(_) => &mut self.stdout,
            To::Link(link) => link,
            To::Broken => return None,
        };
        Some(Pin::new(stream))
    }

    /// The outcome of a call of that stream. A link that breaks is pending.
    fn settle<T>(&mut self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match outcome {
            Poll::Ready(Err(error)) if matches!(self.to, To::Link(_)) => {
                tracing::warn!(%error, "the link to the gateway broke");
                self.to = To::Broken;
                Poll::Pending
            }
            other @ (Poll::Ready(_) | Poll::Pending) => other,
        }
    }
}

impl<W: AsyncWrite + Unpin> AsyncWrite for Output<W> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let outcome = own.stream().map_or(Poll::Pending, |stream| stream.poll_write(cx, bytes));
        own.settle(outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let own = self.get_mut();
        let outcome =
            own.stream().map_or(Poll::Pending, |stream| stream.poll_write_vectored(cx, slices));
        own.settle(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.to {
            To::Link(link) => link.is_write_vectored(),
            To::Stdout | To::Soon(_) | To::Announced(_) | To::Broken => {
                self.stdout.is_write_vectored()
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let outcome = own.stream().map_or(Poll::Pending, |stream| stream.poll_flush(cx));
        own.settle(outcome)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let own = self.get_mut();
        let outcome = own.stream().map_or(Poll::Pending, |stream| stream.poll_shutdown(cx));
        own.settle(outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use wire::link::Secret;

    fn offers(offers: Vec<Offer>) -> LinkOffers {
        LinkOffers { nonce: Secret::new([1; 32]), answer: Secret::new([2; 32]), offers }
    }

    /// A Hyper-V socket of a VM that does not exist, where the system has such sockets at all.
    fn nowhere() -> Offer {
        Offer::Vsock { vm: "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".to_owned(), port: 5000 }
    }

    #[tokio::test]
    async fn without_a_hyperv_socket_the_next_offer_is_taken_and_the_first_is_reported() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let gateway = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut nonce = [0; SECRET_BYTES];
            stream.read_exact(&mut nonce).await.unwrap();
            stream.write_all(&[2; 32]).await.unwrap();
            (stream, nonce)
        };
        let all = offers(vec![nowhere(), Offer::Tcp { address }]);
        let (dialled, (_stream, nonce)) = tokio::join!(dial(&all), gateway);
        assert!(dialled.link.is_some());
        assert_eq!(nonce, [1; 32]);
        let [failure] = &dialled.failures[..] else { panic!("{:?}", dialled.failures) };
        assert_eq!(failure.link, LinkKind::Vsock);
        // Wine and a Linux without the variable lack such sockets. A Windows finds no VM.
        let expected = [LinkCause::Unsupported, LinkCause::TimedOut, LinkCause::Refused];
        assert!(expected.contains(&failure.cause), "{failure:?}");
    }

    #[tokio::test]
    async fn without_any_link_both_failures_are_reported_and_the_standard_streams_stay() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let dialled = dial(&offers(vec![nowhere(), Offer::Tcp { address }])).await;
        assert!(dialled.link.is_none());
        let kinds: Vec<LinkKind> = dialled.failures.iter().map(|failure| failure.link).collect();
        assert_eq!(kinds, [LinkKind::Vsock, LinkKind::Tcp]);
    }

    #[test]
    fn a_policy_of_windows_is_a_denial() {
        // WSAEACCES and EACCES.
        let code = if cfg!(windows) { 10013 } else { 13 };
        let failure = failed(LinkKind::Vsock, &io::Error::from_raw_os_error(code));
        assert_eq!((failure.cause, failure.code), (LinkCause::Denied, code));
    }
}
