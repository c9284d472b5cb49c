//! Facts that Windows' own programs print: distros, forwarded ports.

use serde::{Deserialize, Serialize};

/// A distro, as `wsl.exe --list --verbose` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distro {
    /// Its name.
    pub name: String,
    /// Whether it is the one that `wsl` starts.
    pub is_default: bool,
    /// Its state, in the user's language.
    pub state: String,
    /// Its version of WSL: 1 or 2.
    pub version: u32,
}

/// A port that Windows forwards (`netsh interface portproxy`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortProxy {
    /// Where Windows listens, `ADDRESS:PORT`; the address may be `*`.
    pub listen: String,
    /// The address to which it forwards.
    pub to: String,
    /// The port to which it forwards.
    pub port: u16,
}
