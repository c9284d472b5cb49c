//! Opens a TAP, plain or with a virtio-net header before each frame. The only module that uses
//! `ioctl` on the driver (linux/if_tun.h). Knows neither frames nor the runtime.
//!
//! tun-tap cannot ask for the header (IFF_VNET_HDR) and needs a C compiler; the rest of it is the
//! call in `attach`, so it is not used.
#![expect(unsafe_code, reason = "the driver's ioctls have no safe form")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use libc::{c_int, c_short, c_uint, c_ulong};
use nix::errno::Errno;
use stack::Offload;

use super::{Failure, HEADER, Opened};

/// No TUN_F_TSO_ECN: the stack does not know CWR, which only a super-packet's first segment may
/// carry.
const FEATURES: c_uint = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;

/// TUN_F_USO4 and TUN_F_USO6 (linux/if_tun.h): super-packets of UDP. Linux takes them from 6.2 on,
/// and only both together (`set_offload` in drivers/net/tun.c).
const DATAGRAMS: c_uint = 0x20 | 0x40;

/// `struct ifreq` as TUNSETIFF reads and writes it: the name, the flags, and what is left of the
/// union.
#[repr(C)]
struct Request {
    name: [u8; libc::IFNAMSIZ],
    flags: c_short,
    rest: [u8; size_of::<libc::ifreq>() - libc::IFNAMSIZ - size_of::<c_short>()],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>());

/// The TAP with the offload that this kernel has, or `None` if it has none.
pub(super) fn with_offload(name: &str) -> Result<Option<(Opened, Offload)>, Failure> {
    let opened = match attach(name, libc::IFF_VNET_HDR) {
        Ok(opened) => opened,
        // The driver does not know a flag: a plain TAP may work. A plain one also shows whether the
        // name is a bridge's.
        Err(Failure { step: ATTACH, source }) if source.raw_os_error() == Some(libc::EINVAL) => {
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    if set_header_size(&opened.file, HEADER).is_err() {
        return Ok(None);
    }
    // A kernel refuses all features if it does not know one.
    let offload = if set_features(&opened.file, FEATURES | DATAGRAMS).is_ok() {
        Offload::Datagrams
    } else if set_features(&opened.file, FEATURES).is_ok() {
        Offload::Vnet
    } else {
        return Ok(None);
    };
    forget_on_close(&opened.file)?;
    Ok(Some((opened, offload)))
}

/// The TAP of plain frames.
pub(super) fn plain(name: &str) -> Result<Opened, Failure> {
    let opened = attach(name, 0)?;
    // Offload belongs to the device, and a former owner may have set it.
    set_features(&opened.file, 0).map_err(|source| Failure { step: "TUNSETOFFLOAD", source })?;
    forget_on_close(&opened.file)?;
    Ok(opened)
}

/// The step name for making the interface, in a [`Failure`].
const ATTACH: &str = "TUNSETIFF";

/// Makes the interface, or takes it over if it has no owner. Non-blocking.
fn attach(name: &str, flags: c_int) -> Result<Opened, Failure> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(|source| Failure { step: "opening /dev/net/tun", source })?;
    let mut request = Request { name: [0; _], flags: 0, rest: [0; _] };
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    request.flags = (libc::IFF_TAP | libc::IFF_NO_PI | flags) as c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq` (linux/if_tun.h, drivers/net/tun.c), which
    // `request` has the size and layout of; it outlives the call.
    let attached = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    Errno::result(attached).map_err(|errno| Failure { step: ATTACH, source: errno.into() })?;
    let length = request.name.iter().position(|&byte| byte == 0).unwrap_or(request.name.len());
    Ok(Opened { file, name: String::from_utf8_lossy(&request.name[..length]).into_owned() })
}

/// A device that a user made persistent would outlive us, with its routes.
fn forget_on_close(file: &File) -> Result<(), Failure> {
    // SAFETY: TUNSETPERSIST takes a number by value (drivers/net/tun.c) and touches no memory of
    // ours.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETPERSIST, 0 as c_ulong) };
    Errno::result(done)
        .map(drop)
        .map_err(|errno| Failure { step: "TUNSETPERSIST", source: errno.into() })
}

fn set_features(file: &File, features: c_uint) -> io::Result<()> {
    // SAFETY: TUNSETOFFLOAD takes a number by value (drivers/net/tun.c) and touches no memory of
    // ours.
    let done =
        unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, c_ulong::from(features)) };
    Ok(Errno::result(done).map(drop)?)
}

fn set_header_size(file: &File, size: usize) -> io::Result<()> {
    let size = size as c_int;
    // SAFETY: TUNSETVNETHDRSZ reads one int (drivers/net/tun.c), which lives until the call has
    // returned.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const size) };
    Ok(Errno::result(done).map(drop)?)
}
