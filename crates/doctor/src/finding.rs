//! The parts of a finding: its place, severity, evidence, cause and fix.

use messages::{Sentence, Text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A part of the ground that the doctor covers; `--only` chooses one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Interfaces, routes, gateway, outside, large packets, IPv6.
    Network,
    /// Names.
    Dns,
    /// Proxies.
    Proxy,
    /// Windows: VPNs, versions.
    Windows,
    /// WSL: its settings, interop, clock.
    Wsl,
    /// apt, git, ssh, Docker and the like.
    Tools,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Network, Self::Dns, Self::Proxy, Self::Windows, Self::Wsl, Self::Tools];

    /// Its name, as `--only` takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Dns => "dns",
            Self::Proxy => "proxy",
            Self::Windows => "windows",
            Self::Wsl => "wsl",
            Self::Tools => "tools",
        }
    }

    /// The area of a check: the first word of its name.
    pub(crate) const fn of_id(id: &str) -> Self {
        let mut rest = Self::ALL.as_slice();
        while let [area, others @ ..] = rest {
            let (name, id) = (area.as_str().as_bytes(), id.as_bytes());
            let mut same = 0;
            while same < name.len() && same < id.len() && name[same] == id[same] {
                same += 1;
            }
            if same == name.len() && same < id.len() && id[same] == b'-' {
                return *area;
            }
            rest = others;
        }
        panic!("the name of a check begins with its area")
    }
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Area {
    type Err = UnknownArea;

    fn from_str(name: &str) -> Result<Self, UnknownArea> {
        Self::ALL
            .into_iter()
            .find(|area| area.as_str() == name)
            .ok_or_else(|| UnknownArea(name.to_owned()))
    }
}

/// There is no such area.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown area {0:?}: it is one of network, dns, proxy, windows, wsl, tools")]
pub struct UnknownArea(pub String);

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works now, but will break or costs time.
    Hint,
    /// Something does not work.
    Problem,
    /// It does not work, and nothing beyond it can work either: checks that need it are skipped.
    Fatal,
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Finding {
    /// [`crate::checks::Check::id`].
    pub id: &'static str,
    /// [`crate::checks::Check::area`].
    pub area: Area,
    /// [`crate::checks::Check::severity`].
    pub severity: Severity,
    /// [`crate::checks::Check::title`].
    pub title: &'static Sentence,
    /// What was seen.
    pub evidence: Vec<Text>,
    /// Why it is so, as far as known.
    pub cause: Text,
    /// How to fix it, in order; of several ways the best comes first.
    pub fix: Vec<FixStep>,
}

/// A step of a fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FixStep {
    /// Words.
    Say(Text),
    /// Commands, each a line.
    Run {
        /// Where they are typed.
        shell: Shell,
        /// The commands.
        lines: Vec<String>,
    },
    /// Lines of a file.
    Lines {
        /// The file, as its owner calls it.
        file: String,
        /// The lines.
        lines: Vec<String>,
    },
}

/// Where commands are typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shell {
    /// A shell of the distro.
    Linux,
    /// PowerShell.
    Powershell,
    /// PowerShell as administrator.
    AdminPowershell,
}
