//! What of the host's own a relay may reach, as JSON: rare and extensible (an unknown key is
//! ignored).

use serde::{Deserialize, Serialize};

/// What a gateway tells its relay in [`crate::Frame::HostAccess`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostAccessSettings {
    /// The TCP and UDP ports of the host's own addresses (loopback and those of its adapters) that
    /// may be reached; all others may not.
    pub ports: Vec<u16>,
}
