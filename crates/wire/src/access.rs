//! Which services of the host itself a relay may reach, as JSON: rare and extensible (unknown keys
//! are ignored).

use serde::{Deserialize, Serialize};

/// The content of [`crate::Frame::HostAccess`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostAccessSettings {
    /// The TCP and UDP ports of the host's own addresses (loopback and those of its adapters) that
    /// may be reached; no others may.
    pub ports: Vec<u16>,
}
