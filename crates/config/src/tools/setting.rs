//! Settings that were found: a proxy for a tool, an address that git replaces.

use crate::tools::places::Tool;
use serde::{Deserialize, Serialize};

/// Variables that most programs follow. Most know the small letters, some the large ones only.
pub(crate) const VARIABLES: [&str; 8] = [
    "http_proxy",
    "HTTP_PROXY",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
];

/// One place where a proxy is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySetting {
    /// The tool that reads it.
    pub tool: Tool,
    /// The file, or nothing for a variable.
    #[serde(default)]
    pub file: Option<String>,
    /// The variable or key: `HTTP_PROXY`, `http.proxy`, `Acquire::http::Proxy`.
    pub key: String,
    /// As it is written there, **with user and password**; for [`Tool::Ssh`] the command.
    pub value: String,
    /// The line of the file, from 1, if that line holds nothing else.
    #[serde(default)]
    pub line: Option<usize>,
    /// Whether `underpass proxy` set it, so that `proxy off` or `proxy remove` undoes it.
    #[serde(default)]
    pub is_ours: bool,
}

impl ProxySetting {
    /// A setting whose line and author are unknown.
    #[must_use]
    pub fn new(
        tool: Tool,
        file: Option<String>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        Self { tool, file, key: key.into(), value: value.into(), line: None, is_ours: false }
    }

    /// Where it is, for people: a file with the key, or a variable as `$NAME`.
    #[must_use]
    pub fn place(&self) -> String {
        let Self { tool, file, key, .. } = self;
        match (file, tool) {
            (Some(file), _) => format!("{file} ({key})"),
            (None, Tool::Apt) => format!("apt-config ({key})"),
            // No variable has a dot in its name: git says it of its own variables.
            (None, _) if key.contains('.') => format!("git config ({key})"),
            (None, _) => format!("${key}"),
        }
    }
}

/// An address that git replaces by another (`url.<base>.insteadOf`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitRewrite {
    /// The file, or nothing for a variable.
    #[serde(default)]
    pub file: Option<String>,
    /// The address that git asks.
    pub base: String,
    /// How the replaced address begins.
    pub instead_of: String,
}
