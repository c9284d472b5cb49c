//! The folders in which the workspace's scripts put their results.

use std::path::{Path, PathBuf};

/// Where the kernel keeps its list of interpreters.
pub(crate) const BINFMT: &str = "/proc/sys/fs/binfmt_misc";

/// The workspace's folder.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The folder of the built programs: `UNDERPASS_BIN_DIR`, or that of `scripts/static-cargo`. They
/// are static, so that they run in every distro, like WSL's own.
#[must_use]
pub fn programs() -> PathBuf {
    let built = || {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        workspace().join("target/static").join(target).join("release")
    };
    std::env::var_os("UNDERPASS_BIN_DIR").map_or_else(built, PathBuf::from)
}

/// The relay for Windows, which `scripts/build-relay-windows` builds.
#[must_use]
pub fn windows_relay() -> PathBuf {
    workspace().join("dist/underpass-relay.exe")
}
