//! WSL's networking modes.

use crate::program::{Silent, ask};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long `wslinfo` may take before the kernel's own facts must suffice.
const WSLINFO_PATIENCE: Duration = Duration::from_secs(2);

/// A networking mode of WSL's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkingMode {
    /// WSL's own network behind Windows' NAT.
    Nat,
    /// Windows' adapters and addresses.
    Mirrored,
    /// Microsoft's user-mode NAT; also called `consomme`.
    VirtioProxy,
    /// A Hyper-V switch of the user's.
    Bridged,
    /// No network.
    None,
}

impl NetworkingMode {
    /// The mode with a name in the form of `.wslconfig` and `wslinfo`; case and surrounding blanks
    /// are ignored.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name.trim().to_ascii_lowercase().as_str() {
            "nat" => Self::Nat,
            "mirrored" => Self::Mirrored,
            "virtioproxy" | "consomme" => Self::VirtioProxy,
            "bridged" => Self::Bridged,
            "none" => Self::None,
            _ => return None,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Nat => "nat",
            Self::Mirrored => "mirrored",
            Self::VirtioProxy => "virtioproxy",
            Self::Bridged => "bridged",
            Self::None => "none",
        }
    }
}

/// The networking mode according to `wslinfo`; `None` if this is not a WSL.
///
/// # Errors
/// It did not answer in time: it asks a Windows process.
pub async fn wslinfo() -> Result<Option<String>, Silent> {
    let output = ask("wslinfo", &["--networking-mode"], WSLINFO_PATIENCE).await?;
    Ok(output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_has_one_name_in_texts_and_in_json() {
        for mode in [
            NetworkingMode::Nat,
            NetworkingMode::Mirrored,
            NetworkingMode::VirtioProxy,
            NetworkingMode::Bridged,
            NetworkingMode::None,
        ] {
            assert_eq!(NetworkingMode::by_name(&mode.name().to_uppercase()), Some(mode));
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{}\"", mode.name()));
        }
        assert_eq!(NetworkingMode::by_name("consomme\n"), Some(NetworkingMode::VirtioProxy));
        assert_eq!(NetworkingMode::by_name("Usage: wslinfo"), None);
    }
}
