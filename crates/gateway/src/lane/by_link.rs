//! The move of a lane's session from the relay's standard streams to a link, and the end of a link
//! (`crates/wire/README.md`, rule 12).

use super::{LaneError, Running, Why};
use crate::limits::LINK_GRACE;
use crate::relay_streams::{Input, Output};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use wire::{LinkKind, Violation};

/// A link that is up.
pub(super) struct ByLink {
    pub(super) kind: LinkKind,
    input: Input,
    output: Output,
    sends: Sends,
    /// The relay has moved.
    pub(super) receives: bool,
    /// Since when it is up.
    pub(super) since: Instant,
    broken: Option<Broken>,
}

/// How far this end has moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sends {
    /// Moved is the next frame.
    Soon,
    /// Moved is being written to the standard stream.
    Announced,
    ByLink,
}

/// The end of a link, while it is not known whether the relay has ended too.
struct Broken {
    error: io::Error,
    /// When it is known.
    until: Instant,
}

impl ByLink {
    pub(super) fn new(kind: LinkKind, input: Input, output: Output, now: Instant) -> Self {
        let (sends, receives, broken) = (Sends::Soon, false, None);
        Self { kind, input, output, sends, receives, since: now, broken }
    }

    /// Whether frames go by it in both directions.
    pub(super) fn carries(&self) -> bool {
        self.sends == Sends::ByLink && self.receives
    }

    fn breaks(&mut self, now: Instant, error: io::Error) {
        self.broken.get_or_insert(Broken { error, until: now + LINK_GRACE });
    }
}

impl Running {
    /// Called between two frames, with nothing left to write. Stages Moved, or moves.
    pub(super) fn between_frames(&mut self) {
        let Some(link) = &mut self.link else { return };
        match link.sends {
            Sends::Soon => {
                self.session.move_out(&mut self.staging);
                link.sends = Sends::Announced;
            }
            Sends::Announced => link.sends = Sends::ByLink,
            Sends::ByLink => {}
        }
    }

    /// The relay sends by the link from now on.
    ///
    /// # Errors
    /// Bytes have followed its Moved.
    pub(super) fn relay_moved(&mut self) -> Result<(), LaneError> {
        if self.decoder.waiting() > 0 {
            return Err(Violation::AfterMoved.into());
        }
        // The session takes no Moved before this end has sent its own.
        if let Some(link) = &mut self.link {
            link.receives = true;
            tracing::info!(lane = self.lane, link = %link.kind, "the relay has moved to a link");
        }
        Ok(())
    }

    /// Watches the standard stream of a relay that has moved.
    ///
    /// # Errors
    /// It has ended, or brings more bytes.
    pub(super) fn watch_standard_stream(&mut self, cx: &mut Context<'_>) -> Result<(), Why> {
        if !self.link.as_ref().is_some_and(|link| link.receives) {
            return Ok(());
        }
        let mut byte = [0];
        let mut space = ReadBuf::new(&mut byte);
        match Pin::new(&mut self.relay.output).poll_read(cx, &mut space) {
            Poll::Pending => Ok(()),
            Poll::Ready(Ok(())) if !space.filled().is_empty() => {
                Err(Why::Known(Violation::AfterMoved.into()))
            }
            Poll::Ready(Ok(()) | Err(_)) => Err(Why::Gone),
        }
    }

    /// Reads from the stream by which the relay sends. A link that has ended is pending.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<Result<usize, Why>> {
        let mut space = ReadBuf::new(self.decoder.space());
        match self.link.as_mut().filter(|link| link.receives) {
            None => match Pin::new(&mut self.relay.output).poll_read(cx, &mut space) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(Why::Known(LaneError::Pipe(error)))),
                Poll::Ready(Ok(())) if space.filled().is_empty() => Poll::Ready(Err(Why::Gone)),
                Poll::Ready(Ok(())) => Poll::Ready(Ok(space.filled().len())),
            },
            Some(link) if link.broken.is_some() => Poll::Pending,
            Some(link) => match Pin::new(&mut link.output).poll_read(cx, &mut space) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) if !space.filled().is_empty() => {
                    Poll::Ready(Ok(space.filled().len()))
                }
                Poll::Ready(end) => {
                    let ended = || io::Error::from(io::ErrorKind::UnexpectedEof);
                    link.breaks(now, end.err().unwrap_or_else(ended));
                    Poll::Pending
                }
            },
        }
    }

    /// Writes staged bytes to the stream by which this end sends. A link that has ended takes none.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
    ) -> Poll<io::Result<usize>> {
        let bytes = &self.staging[self.written..];
        let Some(link) = self.link.as_mut().filter(|link| link.sends == Sends::ByLink) else {
            let Some(input) = &mut self.relay.input else { return Poll::Pending };
            return Pin::new(input).poll_write(cx, bytes);
        };
        if link.broken.is_some() {
            return Poll::Pending;
        }
        match Pin::new(&mut link.input).poll_write(cx, bytes) {
            Poll::Ready(Err(error)) => {
                link.breaks(now, error);
                Poll::Pending
            }
            other @ (Poll::Ready(Ok(_)) | Poll::Pending) => other,
        }
    }

    /// When it is known whether a relay whose link has ended has ended too.
    pub(super) fn break_deadline(&self) -> Option<Instant> {
        self.link.as_ref()?.broken.as_ref().map(|broken| broken.until)
    }

    /// The end of a link whose relay still runs.
    pub(super) fn broken_link(&mut self, now: Instant) -> Option<LaneError> {
        let link = self.link.as_mut()?;
        let broken = link.broken.take_if(|broken| broken.until <= now)?;
        Some(LaneError::Link { kind: link.kind, source: broken.error })
    }
}
