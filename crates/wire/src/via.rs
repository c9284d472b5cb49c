//! The proxy of a relay, as JSON: rare and extensible (unknown keys are ignored).

use serde::{Deserialize, Serialize};
use std::fmt;

/// In place of a proxy's URL: the host's own settings for each destination.
pub const HOSTS_OWN: &str = "windows";

/// The content of [`crate::Frame::Via`].
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ViaSettings {
    /// The proxy's URL, with user and password if it needs them, or [`HOSTS_OWN`].
    pub proxy: String,
    /// The destinations that bypass it: networks, `.domain`s and names.
    pub except: Vec<String>,
}

/// Without the URL, which may hold a password.
impl fmt::Debug for ViaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ViaSettings").field("except", &self.except).finish_non_exhaustive()
    }
}

/// The proxies that the host's own settings name for a URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostProxy {
    /// The URL.
    pub url: String,
    /// The proxies, in the order in which they are tried, such as `http://proxy.corp.test:8080`.
    /// Empty: the connection is made directly.
    pub proxies: Vec<String>,
    /// The deciding setting: `script` (PAC), `setting`, `bypass` or `none`.
    pub by: String,
    /// Why a configured script could not be evaluated.
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
