//! The tools that have a proxy setting of their own: which schemes they take, where the setting
//! lies, and what it says.

use crate::tools::format::Format;
use crate::tools::proxy::{Proxy, Scheme};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

mod command;
mod files;

pub use command::OwnCommand;
pub use files::{APT_FILE, DOCKER_DAEMON, DOCKER_DROP_IN};
pub(crate) use files::{files, user_file};

/// A program with proxy settings of its own, or the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tool {
    /// Variables, which most programs follow.
    Environment,
    /// git, over http and https.
    Git,
    /// Debian's package manager.
    Apt,
    /// npm.
    Npm,
    /// Yarn, of either generation.
    Yarn,
    /// pip.
    Pip,
    /// Docker: its daemon, and the containers that it starts.
    Docker,
    /// curl.
    Curl,
    /// wget.
    Wget,
    /// cargo.
    Cargo,
    /// ssh, which git uses for `git@` remotes: ProxyCommand and ProxyJump.
    Ssh,
}

impl Tool {
    /// The tools that `proxy apply` sets, by the names that `--tools` takes.
    pub const APPLIED: [Self; 9] = [
        Self::Git,
        Self::Apt,
        Self::Npm,
        Self::Yarn,
        Self::Pip,
        Self::Docker,
        Self::Curl,
        Self::Wget,
        Self::Cargo,
    ];

    /// Its name, as users type it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Git => "git",
            Self::Apt => "apt",
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

    /// The programs of which one is there where the tool is installed.
    #[must_use]
    pub const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Environment => &[],
            Self::Git => &["git"],
            Self::Apt => &["apt-get"],
            Self::Npm => &["npm"],
            Self::Yarn => &["yarn", "yarnpkg"],
            Self::Pip => &["pip", "pip3"],
            Self::Docker => &["docker", "dockerd"],
            Self::Curl => &["curl"],
            Self::Wget => &["wget"],
            Self::Cargo => &["cargo"],
            Self::Ssh => &["ssh"],
        }
    }

    /// The scheme that the tool takes for a proxy that `scheme` names.
    ///
    /// # Errors
    /// [`Refusal::Scheme`]: it cannot use such a proxy.
    pub const fn scheme(self, scheme: Scheme) -> Result<Scheme, Refusal> {
        match (self, scheme) {
            // apt-transport-http(1): socks5h, http and https; names always go to the proxy.
            (Self::Apt, Scheme::Socks5 | Scheme::Socks5h) => Ok(Scheme::Socks5h),
            // Go's net/http has long known socks5 alone, by which it sends names to the proxy.
            (Self::Docker, Scheme::Socks5 | Scheme::Socks5h) => Ok(Scheme::Socks5),
            // Wget has no SOCKS at all; neither generation of Yarn has (yarnpkg/yarn#6525,
            // yarnpkg/berry#358).
            (Self::Wget | Self::Yarn, Scheme::Socks5 | Scheme::Socks5h) => {
                Err(Refusal::Scheme { tool: self, scheme })
            }
            // libcurl and npm's agents know all of them; pip does with PySocks.
            (
                Self::Environment
                | Self::Git
                | Self::Npm
                | Self::Pip
                | Self::Curl
                | Self::Cargo
                | Self::Ssh,
                scheme,
            )
            | (_, scheme @ Scheme::Http) => Ok(scheme),
        }
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `proxy apply` sets no such tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown tool '{name}': --tools takes git, apt, npm, yarn, pip, docker, curl, wget and cargo"
)]
pub struct UnknownTool {
    /// What was asked for.
    pub name: String,
}

impl FromStr for Tool {
    type Err = UnknownTool;

    fn from_str(name: &str) -> Result<Self, UnknownTool> {
        Self::APPLIED
            .into_iter()
            .find(|tool| tool.name() == name)
            .ok_or_else(|| UnknownTool { name: name.to_owned() })
    }
}

/// Why a tool's proxy cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not speak that protocol.
    #[error(
        "{tool} cannot use a {scheme} proxy: give an http one (--scheme http), if the proxy program has such a port"
    )]
    Scheme {
        /// The tool.
        tool: Tool,
        /// The requested scheme.
        scheme: Scheme,
    },
    /// It has no setting that could be made here.
    #[error("'{tool}' cannot be set here: --tools takes the names of other tools")]
    NoSetting {
        /// The tool.
        tool: Tool,
    },
    /// Its setting is the machine's.
    #[error("{tool}'s setting is for the whole machine: run this as root, with sudo")]
    NeedsRoot {
        /// The tool.
        tool: Tool,
    },
}

/// The facts by which a tool finds its files.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The user's home.
    pub home: &'a Path,
    /// The environment.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Whether there is something at a path.
    pub exists: &'a dyn Fn(&Path) -> bool,
    /// Whether the machine's files may be written.
    pub is_root: bool,
    /// Whether the Yarn here is of version 2 or later.
    pub has_new_yarn: bool,
}

impl fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("home", &self.home)
            .field("is_root", &self.is_root)
            .finish_non_exhaustive()
    }
}

/// The users that may read a file that Underpass creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone.
    Owner,
    /// All users: the tool reads it also as another user, and fails if it cannot.
    Everybody,
}

/// A file in which a setting lies, and what it is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The tool that the setting is for.
    pub tool: Tool,
    /// The file.
    pub path: PathBuf,
    /// Its kind.
    pub format: Format,
    /// Keys and their values.
    pub wanted: Vec<(String, String)>,
    /// The users that may read it, if Underpass creates it.
    pub readers: Readers,
}

/// The places of a tool's setting for this proxy; `exceptions` as in `NO_PROXY`.
///
/// # Errors
/// See [`Refusal`].
pub fn places(
    tool: Tool,
    proxy: &Proxy,
    exceptions: &str,
    surroundings: &Surroundings<'_>,
) -> Result<Vec<Place>, Refusal> {
    let url = proxy.with_secrets_as(tool.scheme(proxy.scheme())?);
    files::places(tool, &url, &plain(exceptions), surroundings)
}

/// Whether a file may be one in which a tool's setting lies, whichever of its files are there.
/// `exists` of the surroundings is not asked.
#[must_use]
pub fn is_place(tool: Tool, path: &Path, surroundings: &Surroundings<'_>) -> bool {
    let of_machine = match tool {
        Tool::Apt => &[APT_FILE][..],
        Tool::Docker => &[DOCKER_DROP_IN, DOCKER_DAEMON],
        Tool::Environment
        | Tool::Git
        | Tool::Npm
        | Tool::Yarn
        | Tool::Pip
        | Tool::Curl
        | Tool::Wget
        | Tool::Cargo
        | Tool::Ssh => &[],
    };
    let of_user = |exists: &dyn Fn(&Path) -> bool, has_new_yarn: bool| {
        let file = user_file(tool, &Surroundings { exists, has_new_yarn, ..*surroundings });
        file.is_some_and(|(file, _)| file == path)
    };
    let (nothing, only_it) = (|_: &Path| false, |candidate: &Path| candidate == path);
    of_machine.iter().any(|file| path == Path::new(file))
        || [false, true].iter().any(|new| of_user(&nothing, *new) || of_user(&only_it, *new))
}

/// The parts that have a meaning in every file as they are: hosts, suffixes and networks.
fn plain(exceptions: &str) -> String {
    let is_plain = |part: &&str| {
        part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:/*-_[]".contains(&byte))
    };
    exceptions.split(',').filter(is_plain).collect::<Vec<_>>().join(",")
}

/// What a user should know after a tool's proxy was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Containers have a loopback of their own.
    ContainersLoopback,
    /// The daemon reads its setting when it starts.
    RestartDocker,
    /// Pulls are the daemon's, whose setting is root's.
    DaemonNeedsRoot,
    /// pip needs another package for SOCKS.
    PipSocks,
    /// A password lies in a file that every user may read.
    Readable,
    /// git's setting is not for ssh.
    GitSsh,
}

/// The notes on what [`places`] gave.
#[must_use]
pub fn notes(
    tool: Tool,
    proxy: &Proxy,
    places: &[Place],
    surroundings: &Surroundings<'_>,
) -> Vec<Note> {
    let mut notes = Vec::new();
    let mut add = |note, holds: bool| notes.extend(holds.then_some(note));
    let sets_daemon =
        places.iter().any(|place| place.path.starts_with("/etc") && tool == Tool::Docker);
    add(Note::ContainersLoopback, tool == Tool::Docker && proxy.is_loopback());
    add(Note::RestartDocker, sets_daemon);
    add(
        Note::DaemonNeedsRoot,
        tool == Tool::Docker && !surroundings.is_root && files::has_daemon(surroundings),
    );
    add(Note::PipSocks, tool == Tool::Pip && proxy.scheme() != Scheme::Http);
    add(
        Note::Readable,
        proxy.has_secrets() && places.iter().any(|place| place.readers == Readers::Everybody),
    );
    add(Note::GitSsh, tool == Tool::Git);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_says_which_schemes_it_takes() {
        for tool in Tool::APPLIED {
            assert_eq!(tool.name().parse(), Ok(tool));
            assert_eq!(tool.scheme(Scheme::Http), Ok(Scheme::Http));
        }
        assert_eq!(Tool::Apt.scheme(Scheme::Socks5), Ok(Scheme::Socks5h));
        assert_eq!(Tool::Git.scheme(Scheme::Socks5), Ok(Scheme::Socks5));
        assert_eq!(Tool::Docker.scheme(Scheme::Socks5h), Ok(Scheme::Socks5));
        for tool in [Tool::Wget, Tool::Yarn] {
            let why = tool.scheme(Scheme::Socks5).unwrap_err().to_string();
            assert!(why.contains(tool.name()) && why.contains("--scheme http"), "{why}");
        }
        assert!("svn".parse::<Tool>().unwrap_err().to_string().contains("svn"));
    }

    #[test]
    fn what_would_break_a_file_is_not_written_into_it() {
        assert_eq!(plain("a.test,10.0.0.0/8,\"x\",b;c,[::1]"), "a.test,10.0.0.0/8,[::1]");
    }
}
