//! A socket between two of the gateway's processes: messages as JSON, each after its length and the
//! number of its descriptors, which come with its first byte (SCM_RIGHTS, unix(7)). Knows no
//! message.
//!
//! An attacker may control the process at the other end: a message has a bound, surplus descriptors
//! are closed, and a text that is not a message ends the link.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Bytes of a message. A status with all its lists takes some hundred KiB.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Descriptors of a message: a relay has two.
const MOST_DESCRIPTORS: usize = 2;

/// The bytes before a message: its length, and the number of its descriptors.
const HEADER: usize = size_of::<u32>() + 1;

/// Messages that wait for the other end. There is at most one request for each lane, and a few
/// more.
const QUEUE: usize = 64;

/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;

/// A message and its descriptors.
#[derive(Debug)]
pub(crate) struct Parcel<T> {
    pub(crate) message: T,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl<T> From<T> for Parcel<T> {
    fn from(message: T) -> Self {
        Self { message, descriptors: Vec::new() }
    }
}

/// One end of a link.
#[derive(Debug)]
pub(crate) struct Link<Out, In> {
    /// Closed once the other end is gone.
    pub(crate) out: mpsc::Sender<Parcel<Out>>,
    /// Ends when the other end is gone.
    pub(crate) incoming: mpsc::Receiver<Parcel<In>>,
    /// Ends when the last sender is dropped and everything is sent.
    pub(crate) sent: JoinHandle<()>,
}

impl<Out, In> Link<Out, In>
where
    Out: Serialize + Send + Sync + 'static,
    In: DeserializeOwned + Send + 'static,
{
    /// Serves the socket by tasks of the current runtime.
    ///
    /// # Errors
    /// The runtime does not take it.
    pub(crate) fn open(stream: StdStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = Arc::new(UnixStream::from_std(stream)?);
        let (out, waiting) = mpsc::channel(QUEUE);
        let (found, incoming) = mpsc::channel(QUEUE);
        let sent = tokio::spawn(send_all(Arc::clone(&stream), waiting));
        tokio::spawn(receive_all(stream, found));
        Ok(Self { out, incoming, sent })
    }
}

async fn send_all<T: Serialize>(stream: Arc<UnixStream>, mut waiting: mpsc::Receiver<Parcel<T>>) {
    while let Some(parcel) = waiting.recv().await {
        if let Err(error) = send(&stream, &parcel).await {
            // The supervisor notices the end of the other process.
            return tracing::debug!(%error, "the other process takes no messages");
        }
    }
}

async fn send<T: Serialize>(stream: &UnixStream, parcel: &Parcel<T>) -> io::Result<()> {
    let text = serde_json::to_vec(&parcel.message)?;
    let length = u32::try_from(text.len()).ok().filter(|_| text.len() <= MOST_BYTES);
    let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
    let count = u8::try_from(parcel.descriptors.len()).unwrap_or(u8::MAX);
    let message = [&length.to_le_bytes()[..], &[count], &text].concat();
    let mut written = 0;
    while written < message.len() {
        let descriptors = if written == 0 { &parcel.descriptors[..] } else { &[] };
        let piece = &message[written..];
        written +=
            stream.async_io(Interest::WRITABLE, || send_piece(stream, piece, descriptors)).await?;
    }
    Ok(())
}

fn send_piece(stream: &UnixStream, piece: &[u8], descriptors: &[OwnedFd]) -> io::Result<usize> {
    let borrowed: Vec<BorrowedFd<'_>> =
        descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(stream, &[IoSlice::new(piece)], &mut control, SendFlags::NOSIGNAL)?)
}

async fn receive_all<T: DeserializeOwned>(stream: Arc<UnixStream>, found: mpsc::Sender<Parcel<T>>) {
    let mut reader = Reader::default();
    loop {
        match reader.next(&stream).await {
            Ok(Some(parcel)) => {
                if found.send(parcel).await.is_err() {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => return tracing::debug!(%error, "the other process sends no messages"),
        }
    }
}

/// Bytes and descriptors that were read and not yet used.
#[derive(Default)]
struct Reader {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Reader {
    /// The next message; `None` at the end of the stream.
    async fn next<T: DeserializeOwned>(
        &mut self,
        stream: &UnixStream,
    ) -> io::Result<Option<Parcel<T>>> {
        loop {
            if let Some(parcel) = self.whole()? {
                return Ok(Some(parcel));
            }
            let mut piece = [0; PIECE];
            let (n, descriptors) =
                stream.async_io(Interest::READABLE, || receive_piece(stream, &mut piece)).await?;
            if n == 0 {
                return Ok(None);
            }
            self.bytes.extend_from_slice(&piece[..n]);
            self.descriptors.extend(descriptors);
            // The descriptors of an unfinished message and of the next one.
            if self.descriptors.len() > 2 * MOST_DESCRIPTORS {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
    }

    /// The first message, if it is complete.
    fn whole<T: DeserializeOwned>(&mut self) -> io::Result<Option<Parcel<T>>> {
        let Some((&[a, b, c, d, count], rest)) = self.bytes.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        if length > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let Some(text) = rest.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(text)?;
        if usize::from(count) > self.descriptors.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let descriptors = self.descriptors.drain(..usize::from(count)).collect();
        self.bytes.drain(..HEADER + length);
        Ok(Some(Parcel { message, descriptors }))
    }
}

fn receive_piece(stream: &UnixStream, piece: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(stream, &mut [IoSliceMut::new(piece)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    Ok((received.bytes, descriptors))
}
