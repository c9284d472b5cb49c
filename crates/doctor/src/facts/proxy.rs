//! Where proxies are set.

use serde::{Deserialize, Serialize};

/// A program with proxy settings of its own, or the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// Variables, which most programs follow.
    Environment,
    /// Debian's packages.
    Apt,
    /// git, for `https://` remotes.
    Git,
    /// npm.
    Npm,
    /// yarn.
    Yarn,
    /// pip.
    Pip,
    /// Docker's client and daemon.
    Docker,
    /// curl's own file.
    Curl,
    /// wget's own file.
    Wget,
    /// cargo.
    Cargo,
    /// ssh, which git uses for `git@` remotes: ProxyCommand and ProxyJump.
    Ssh,
}

impl Tool {
    /// Its name, as `underpass proxy` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Apt => "apt",
            Self::Git => "git",
            Self::Npm => "npm",
            Self::Yarn => "yarn",
            Self::Pip => "pip",
            Self::Docker => "docker",
            Self::Curl => "curl",
            Self::Wget => "wget",
            Self::Cargo => "cargo",
            Self::Ssh => "ssh",
        }
    }
}

/// One place where a proxy is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxySetting {
    /// Who reads it.
    pub tool: Tool,
    /// The file, or nothing for a variable.
    #[serde(default)]
    pub file: Option<String>,
    /// The variable or key: `HTTP_PROXY`, `http.proxy`, `Acquire::http::Proxy`.
    pub key: String,
    /// As it is written there; for [`Tool::Ssh`] the command.
    pub value: String,
    /// The line of the file, from 1, if that line holds nothing else.
    #[serde(default)]
    pub line: Option<usize>,
    /// Whether `underpass proxy` set it, so that `proxy off` or `proxy remove` undoes it.
    #[serde(default)]
    pub is_ours: bool,
}

impl ProxySetting {
    /// A setting of which neither the line nor who set it is known.
    #[must_use]
    pub fn new(
        tool: Tool,
        file: Option<String>,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        Self { tool, file, key: key.into(), value: value.into(), line: None, is_ours: false }
    }
}

/// An address that git replaces by another (`url.<base>.insteadOf`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitRewrite {
    /// The file, or nothing for a variable.
    #[serde(default)]
    pub file: Option<String>,
    /// What git asks.
    pub base: String,
    /// What the address began with.
    pub instead_of: String,
}

/// A line of a shell's start file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartLine {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The variable that the line sets.
    pub variable: String,
    /// The line.
    pub text: String,
}
