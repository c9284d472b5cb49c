//! The proxy that a relay goes through, as JSON: rare and extensible (an unknown key is ignored).

use serde::{Deserialize, Serialize};
use std::fmt;

/// In place of a proxy's URL: whatever the host's own settings say for each destination.
pub const HOSTS_OWN: &str = "windows";

/// What a gateway tells its relay in [`crate::Frame::Via`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ViaSettings {
    /// The proxy's URL, with user and password if it needs them, or [`HOSTS_OWN`].
    pub proxy: String,
    /// What does not go through it: networks, `.domain`s and names.
    pub except: Vec<String>,
}

/// Without the URL, which may hold a password.
impl fmt::Debug for ViaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViaSettings").field("except", &self.except).finish_non_exhaustive()
    }
}

/// Which proxies the host's own settings name for a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostProxy {
    /// The URL that was asked about.
    pub url: String,
    /// The proxies, in the order in which they are tried, such as `http://proxy.corp.test:8080`;
    /// none: the connection is made directly.
    pub proxies: Vec<String>,
    /// Which setting says so: `script` (PAC), `setting`, `bypass` or `none`.
    pub by: String,
    /// Why a script that is set could not be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxys_password_is_in_no_log() {
        let settings = ViaSettings {
            proxy: "http://me:secret@proxy.corp.test:8080".into(),
            except: vec![".corp.test".into()],
        };
        for words in [format!("{settings:?}"), format!("{settings:#?}")] {
            assert!(words.contains(".corp.test\""), "{words}");
            for hidden in ["me:", "secret", "8080"] {
                assert!(!words.contains(hidden), "{hidden} in {words}");
            }
        }
    }
}
