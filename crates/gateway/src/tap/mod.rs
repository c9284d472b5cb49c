//! The TAP device: Ethernet frames out of the kernel and into it, with checksum and segment offload
//! if the kernel has them. Knows no packet; addresses and routes of the interface are `net`'s. How
//! the device is opened is in `open`; the virtio-net header (struct `virtio_net_hdr`, virtio 1.2
//! section 5.1.6) is read and written here.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::File;
use std::io;
use std::io::IoSlice;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::sys::uio::writev;
use stack::{Gso, GsoKind, Offload, PartialChecksum, RxMeta, Transmit, TxMeta};
use tokio::io::Interest;
use tokio::net::unix::pipe;

mod open;

type Removal = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Bytes of a buffer for [`Tap::read`]: Ethernet's header, the largest IP packet, and the
/// virtio-net header.
pub const READ_BUFFER: usize = 14 + 65_535 + 12;

/// The virtio-net header without `num_buffers`: a TAP's default.
const HEADER: usize = 10;

const FLAG_NEEDS_CHECKSUM: u8 = 1;
const FLAG_DATA_VALID: u8 = 2;
const GSO_TCP_V4: u8 = 1;
const GSO_TCP_V6: u8 = 4;
/// Linux 6.2 and newer.
const GSO_UDP_L4: u8 = 5;
/// A bit of the kind: some of the segments carry CWR.
const GSO_ECN: u8 = 0x80;

/// Most bytes of an interface's name: IFNAMSIZ without the final zero.
const NAME_LIMIT: usize = 15;

/// Whether the kernel is to do checksums and segmentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffloadWish {
    /// If it can.
    Auto,
    /// No: plain frames.
    Off,
}

/// Why there is no TAP.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// The kernel has no TUN driver. WSL loads it when its VM starts (`WslCoreConfig.cpp`: tun is
    /// one of the default modules; `main.cpp` of init: from the disk of modules alone), a distro
    /// cannot.
    #[error(
        "there is no /dev/net/tun, so no TAP can be made: the kernel's TUN driver is not loaded, \
         and WSL alone can load it, when its VM starts. In %UserProfile%\\.wslconfig, under \
         [wsl2], take out loadDefaultKernelModules=false (the default is true); with a kernel of \
         your own (kernel=) set kernelModules= to the disk with its modules, or build it with \
         CONFIG_TUN=y. Then run `wsl --shutdown` in Windows"
    )]
    NoDriver,
    /// Not root.
    #[error("no permission to make the TAP {name}: run as root (it takes CAP_NET_ADMIN)")]
    NoPermission {
        /// The requested name.
        name: String,
    },
    /// Another program owns it, or it is not a TAP.
    #[error(
        "the interface {name} belongs to another program or is not a TAP: end that program (an \
         underpass of another distro?) or choose another name with --tap"
    )]
    Busy {
        /// The requested name.
        name: String,
    },
    /// No interface can have that name.
    #[error(
        "{name:?} cannot be an interface's name: choose one of 1 to 15 letters, digits, '-', '_' \
         or '.' with --tap (one %d stands for a free number)"
    )]
    InvalidName {
        /// The requested name.
        name: String,
    },
    /// Anything else.
    #[error("the TAP {name} could not be made, {step} failed: {source}")]
    System {
        /// The requested name.
        name: String,
        /// What failed.
        step: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// A source and sink of Ethernet frames: the TAP, or its stand-in in a test of the whole engine.
pub(crate) trait Device: Transmit {
    /// See [`Tap::poll_readable`].
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
    /// See [`Tap::read`].
    fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<(&'a [u8], RxMeta)>>;
    /// See [`Tap::name`].
    fn name(&self) -> &str;
    /// See [`Tap::offload`].
    fn offload(&self) -> Offload;
    /// See [`Tap::lost`].
    fn lost(&self) -> u64;
}

/// A TAP device. It is not persistent: interface and routes vanish with it, however the process
/// ends.
pub struct Tap {
    /// A pipe's type, for its readiness by the runtime; `try_read` clears that only when there is
    /// nothing left to read.
    device: Arc<pipe::Receiver>,
    /// Ends when the interface is removed: the driver then reports only an error, which wakes no
    /// reader.
    removal: RefCell<Removal>,
    name: String,
    offload: Offload,
    /// The interface was removed: every further read would fail at once.
    gone: Cell<bool>,
    lost: u64,
}

/// The interface itself, which another process may use.
#[derive(Debug)]
pub struct Queue {
    /// The device for frames.
    pub file: File,
    /// Its name, with the number filled in.
    pub name: String,
    /// What the kernel does for checksums and segmentation.
    pub offload: Offload,
}

impl Queue {
    /// Makes the interface. `name` may hold one `%d`, for a free number.
    ///
    /// # Errors
    /// See [`TapError`]. A kernel without offload is not an error: the TAP is plain then.
    pub fn open(name: &str, wish: OffloadWish) -> Result<Self, TapError> {
        if !name_is_valid(name) {
            return Err(TapError::InvalidName { name: name.to_owned() });
        }
        let with_offload = match wish {
            OffloadWish::Auto => {
                open::with_offload(name).map_err(|failure| failure.explain(name))?
            }
            OffloadWish::Off => None,
        };
        let (opened, offload) = match with_offload {
            Some(opened) => opened,
            None => (open::plain(name).map_err(|failure| failure.explain(name))?, Offload::None),
        };
        Ok(Self { file: opened.file, name: opened.name, offload })
    }
}

impl Tap {
    /// Makes the interface and registers it with the running runtime: [`Queue::open`] and
    /// [`Tap::new`].
    ///
    /// # Errors
    /// See [`TapError`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub fn open(name: &str, wish: OffloadWish) -> Result<Self, TapError> {
        Self::new(Queue::open(name, wish)?)
    }

    /// Registers an interface with the running runtime.
    ///
    /// # Errors
    /// [`TapError::System`].
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O.
    pub fn new(queue: Queue) -> Result<Self, TapError> {
        let Queue { file, name, offload } = queue;
        let device = pipe::Receiver::from_file_unchecked(file).map_err(|source| {
            Failure { step: "registering it with the event loop", source }.explain(&name)
        })?;
        let device = Arc::new(device);
        let watched = Arc::clone(&device);
        let removal: Removal = Box::pin(async move {
            // If the runtime ends first, no reader is left.
            let _ = watched.ready(Interest::ERROR).await;
        });
        let (removal, gone) = (RefCell::new(removal), Cell::new(false));
        Ok(Self { device, removal, name, offload, gone, lost: 0 })
    }

    /// The interface's name, with its number filled in.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the kernel does for checksums and segmentation.
    #[must_use]
    pub fn offload(&self) -> Offload {
        self.offload
    }

    /// Ready when there may be a frame to read; pending for ever once this or [`Tap::read`] has
    /// failed.
    ///
    /// # Errors
    /// The interface is gone; reported once.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gone.get() {
            return Poll::Pending;
        }
        if self.removal.borrow_mut().as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(self.removed(Errno::EBADFD.into())));
        }
        let readiness = ready!(self.device.poll_read_ready(cx));
        self.gone.set(readiness.is_err());
        Poll::Ready(readiness)
    }

    /// One frame, or `None` when there is none now. `buffer` holds [`READ_BUFFER`] bytes or more; a
    /// frame that does not fit is cut off.
    ///
    /// # Errors
    /// The interface is gone; reported once. An interface that is only down has no frames.
    pub fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<(&'a [u8], RxMeta)>> {
        if self.gone.get() {
            return Ok(None);
        }
        let length = match self.device.try_read(buffer) {
            Ok(length) => length,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(self.removed(error)),
        };
        let bytes = &buffer[..length.min(buffer.len())];
        Ok(Some(match self.offload {
            Offload::None => (bytes, RxMeta::Unverified),
            Offload::Vnet | Offload::Datagrams => match bytes.split_first_chunk::<HEADER>() {
                Some((header, frame)) => (frame, received(header)),
                None => (&[], RxMeta::Unverified),
            },
        }))
    }

    /// Remembers that the interface is gone, and returns the error.
    fn removed(&self, error: io::Error) -> io::Error {
        self.gone.set(true);
        io::Error::new(
            error.kind(),
            format!("the interface {} is gone (was it deleted?): {error}", self.name),
        )
    }

    /// Frames that the kernel did not take.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = formatter.debug_struct("Tap");
        fields
            .field("name", &self.name)
            .field("offload", &self.offload)
            .field("gone", &self.gone.get());
        fields.field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl Device for Tap {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Self::poll_readable(self, cx)
    }

    fn read<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<(&'a [u8], RxMeta)>> {
        Self::read(self, buffer)
    }

    fn name(&self) -> &str {
        Self::name(self)
    }

    fn offload(&self) -> Offload {
        Self::offload(self)
    }

    fn lost(&self) -> u64 {
        Self::lost(self)
    }
}

impl Transmit for Tap {
    fn transmit(&mut self, frame: &[u8], meta: TxMeta) {
        let sent = match self.offload {
            Offload::Vnet | Offload::Datagrams => {
                writev(&*self.device, &[IoSlice::new(&header(meta)), IoSlice::new(frame)])
            }
            Offload::None if meta == TxMeta::default() => {
                writev(&*self.device, &[IoSlice::new(frame)])
            }
            // Without a header the kernel cannot learn what is left to do: the frame would go out
            // broken.
            Offload::None => Err(Errno::EOPNOTSUPP),
        };
        if sent.is_err() {
            self.lost += 1;
        }
    }
}

/// An opened device and the name that the kernel gave it.
struct Opened {
    file: File,
    name: String,
}

/// A step of opening that failed.
struct Failure {
    step: &'static str,
    source: io::Error,
}

impl Failure {
    /// The error for the user that requested `name`.
    fn explain(self, name: &str) -> TapError {
        let name = name.to_owned();
        // The errors of a missing file or driver, and of TUNSETIFF (drivers/net/tun.c).
        match self.source.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => TapError::NoDriver,
            Some(Errno::EPERM | Errno::EACCES) => TapError::NoPermission { name },
            Some(Errno::EBUSY | Errno::EEXIST | Errno::EINVAL) => TapError::Busy { name },
            _ => TapError::System { name, step: self.step, source: self.source },
        }
    }
}

/// Stricter than the kernel, which takes any byte but '/', ':' and space: names appear in paths and
/// in shell commands.
fn name_is_valid(name: &str) -> bool {
    let stem = name.replacen("%d", "0", 1);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=NAME_LIMIT).contains(&name.len())
        && stem.bytes().all(plain)
        && !matches!(name, "." | ".." | "all" | "default")
}

/// The header's fields are in the machine's own byte order, as TUNSETVNETLE is not set.
fn header(meta: TxMeta) -> [u8; HEADER] {
    let (flags, start, offset) = match meta.checksum {
        Some(PartialChecksum { start, offset }) => (FLAG_NEEDS_CHECKSUM, start, offset),
        None => (0, 0, 0),
    };
    let (kind, header_len, size) = match meta.gso {
        Some(Gso { kind: GsoKind::TcpV4, size, header_len }) => (GSO_TCP_V4, header_len, size),
        Some(Gso { kind: GsoKind::TcpV6, size, header_len }) => (GSO_TCP_V6, header_len, size),
        Some(Gso { kind: GsoKind::Udp, size, header_len }) => (GSO_UDP_L4, header_len, size),
        None => (0, 0, 0),
    };
    let mut bytes = [flags, kind, 0, 0, 0, 0, 0, 0, 0, 0];
    for (place, field) in bytes[2..].chunks_exact_mut(2).zip([header_len, size, start, offset]) {
        place.copy_from_slice(&field.to_ne_bytes());
    }
    bytes
}

fn received(header: &[u8; HEADER]) -> RxMeta {
    let &[flags, kind, _, _, size_0, size_1, ..] = header;
    let size = NonZeroU16::new(u16::from_ne_bytes([size_0, size_1]));
    match (flags & (FLAG_NEEDS_CHECKSUM | FLAG_DATA_VALID), kind & !GSO_ECN, size) {
        (0, _, _) => RxMeta::Unverified,
        (_, GSO_UDP_L4, Some(size)) => RxMeta::Datagrams { size },
        _ => RxMeta::ChecksumTrusted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["underpass", "underpass%d", "up-0_a.b", "abcdefghijklmno"] {
            assert!(name_is_valid(good), "{good}");
        }
        for bad in [
            "",
            "abcdefghijklmnop",
            "a/b",
            "a b",
            "a:b",
            "..",
            "up%d%d",
            "up%s",
            "%",
            "ü",
            "all",
            "a\0b",
        ] {
            assert!(!name_is_valid(bad), "{bad:?}");
        }
    }

    #[test]
    fn the_header_says_what_the_kernel_must_do() {
        let meta = TxMeta {
            checksum: Some(PartialChecksum { start: 34, offset: 16 }),
            gso: Some(Gso { kind: GsoKind::TcpV6, size: 1400, header_len: 74 }),
        };
        let field = |value: u16| value.to_ne_bytes();
        assert_eq!(
            header(meta),
            *[[1, 4], field(74), field(1400), field(34), field(16)].as_flattened()
        );
        assert_eq!(header(TxMeta::default()), [0; HEADER]);
        assert_eq!(received(&header(meta)), RxMeta::ChecksumTrusted);
        assert_eq!(
            received(&[FLAG_DATA_VALID, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            RxMeta::ChecksumTrusted
        );
        assert_eq!(received(&[0, 1, 1, 1, 1, 1, 1, 1, 1, 1]), RxMeta::Unverified);
        let [high, low] = 1200_u16.to_ne_bytes();
        let of_udp = |flags, high, low| received(&[flags, 5, 42, 0, high, low, 34, 0, 6, 0]);
        let size = NonZeroU16::new(1200).unwrap();
        assert_eq!(of_udp(FLAG_NEEDS_CHECKSUM, high, low), RxMeta::Datagrams { size });
        assert_eq!(of_udp(FLAG_NEEDS_CHECKSUM, 0, 0), RxMeta::ChecksumTrusted);
        assert_eq!(of_udp(0, high, low), RxMeta::Unverified, "no kernel sends it");
    }

    #[test]
    fn a_failure_says_what_to_try() {
        let shown =
            |code: Errno| Failure { step: "x", source: code.into() }.explain("up0").to_string();
        for (code, advice) in [
            (Errno::ENOENT, "loadDefaultKernelModules"),
            (Errno::ENODEV, "kernelModules="),
            (Errno::ENXIO, "wsl --shutdown"),
            (Errno::EPERM, "run as root"),
            (Errno::EBUSY, "--tap"),
            (Errno::EINVAL, "--tap"),
        ] {
            assert!(shown(code).contains(advice), "{}", shown(code));
            assert!(
                !shown(code).contains("modprobe"),
                "modprobe finds no modules in a distro: {}",
                shown(code)
            );
        }
        assert!(shown(Errno::ENOMEM).contains("x failed: "), "{}", shown(Errno::ENOMEM));
    }
}
