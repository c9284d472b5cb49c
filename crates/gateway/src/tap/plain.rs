//! Opens a TAP of plain frames by the tun-tap crate: for kernels without offload, and for who doubts it.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tun_tap::{Iface, Mode};

use super::{Failure, Opened, offload};

/// The TAP without offload, non-blocking.
pub(super) fn open(name: &str) -> Result<Opened, Failure> {
    let interface =
        Iface::without_packet_info(name, Mode::Tap).map_err(|source| Failure { step: "opening", source })?;
    let name = interface.name().to_owned();
    let file = offload::adopt(interface);
    offload::set_plain(&file)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
        .map_err(|errno| Failure { step: "O_NONBLOCK", source: errno.into() })?;
    Ok(Opened { file, name })
}
