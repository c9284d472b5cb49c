//! The helper distro in a pretend WSL, and its reports.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::built::workspace;
use crate::interop::Interop;
use crate::scene::{PATIENCE, Scratch, windows_lab};
use crate::topology::Lab;
use crate::wait::until;
use crate::wsl::{Distro, Running, unpack};

/// The package built by `scripts/build-distro`.
#[must_use]
pub fn package() -> PathBuf {
    workspace().join("dist/underpass.wsl")
}

/// A lab with a Windows, the unpacked helper distro, and a folder for all of it. If no lab can be
/// made, prints the reason and returns `None`.
///
/// # Panics
/// The package was not built.
#[must_use]
pub fn pretend_wsl() -> Option<(Lab, Interop, Scratch, Distro)> {
    let (lab, interop) = windows_lab()?;
    let scratch = Scratch::new();
    let distro = unpack(&package(), scratch.path("files").as_ref());
    let distro = distro.unwrap_or_else(|error| panic!("{error}; was scripts/build-distro run?"));
    Some((lab, interop, scratch, distro))
}

/// A distro that consists of busybox only, laid out in a folder.
///
/// # Panics
/// The folder cannot be written.
#[must_use]
pub fn busybox(folder: &Path) -> Distro {
    let bin = folder.join("bin");
    let made = fs::create_dir_all(&bin).and_then(|()| {
        fs::copy("/bin/busybox", bin.join("busybox"))?;
        for applet in ["sh", "sleep", "nc", "ping", "mkdir", "touch", "rm", "mv"] {
            symlink("busybox", bin.join(applet))?;
        }
        fs::create_dir_all(folder.join("etc"))?;
        fs::write(folder.join("etc/passwd"), "nobody:x:65534:65534::/:/bin/sh\n")
    });
    assert!(made.is_ok(), "{made:?}");
    Distro::new("busybox", folder)
}

/// The output of `wsl -d underpass status --json`; empty while no gateway runs. It is a client of
/// the distro and starts it, like any `wsl.exe`.
#[must_use]
pub fn status(helper: &Running) -> Value {
    serde_json::from_str(&helper.sh("status --json").stdout).unwrap_or_default()
}

/// The same, read from the gateway's socket without a client: empty while the distro is down.
#[must_use]
pub fn peek(helper: &Running) -> Value {
    let mut text = String::new();
    let read = UnixStream::connect(helper.path("/run/underpass/control.sock"))
        .and_then(|mut stream| stream.read_to_string(&mut text));
    read.ok().and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Waits until the tunnel is up. Returns its gateway's process.
///
/// # Panics
/// It does not come up.
pub fn wait_up(helper: &Running) -> u64 {
    let up = || status(helper)["state"] == "up";
    assert!(until(PATIENCE * 2, up), "{:?}\n{}", status(helper), log(helper));
    status(helper)["pid"].as_u64().unwrap_or_default()
}

/// The log of the gateway and its keeper.
#[must_use]
pub fn log(helper: &Running) -> String {
    fs::read_to_string(helper.path("/var/log/underpass.log")).unwrap_or_default()
}
