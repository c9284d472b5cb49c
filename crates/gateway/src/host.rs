//! Questions of other commands to the host, without a tunnel: the relay's facts, and some
//! properties of Windows and WSL. Each question is a process on the host that answers once and
//! ends. Dropping the future ends the process.

use crate::attempt::{self, Attempt, RunError};
use crate::config::{Placement, RelayProgram};
use crate::deploy;
use crate::interop::{self, Start};
use crate::limits::{STOP_PATIENCE, WINDOWS_PATIENCE};
use crate::relay_command::{RelayCommand, Whose};
use crate::relay_process::SpawnError;
use crate::windows::{self, QuestionError};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Child;
use wire::HostFacts;
use wire::facts::HostProbe;
use wsl::windows::{Distro, PortProxy};

/// Why the relay reports nothing about its host.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// It cannot be started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// It did not answer in time.
    #[error(
        "the relay {} did not answer within {} s: Windows, or an antivirus program, holds up its \
         start; try again",
        .program.display(), .patience.as_secs()
    )]
    Silent {
        /// The program.
        program: PathBuf,
        /// The time limit.
        patience: Duration,
    },
    /// It ended without an answer.
    #[error("the relay {} ended without an answer ({ending}): {words}", .program.display())]
    Ended {
        /// The program.
        program: PathBuf,
        /// Its exit status.
        ending: String,
        /// Its standard error.
        words: String,
    },
    /// Its output is not an answer.
    #[error(
        "the relay {} answered something else than JSON ({source}): is it the relay of this \
         version? Give another with --relay",
        .program.display()
    )]
    Nonsense {
        /// The program.
        program: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// What the relay knows of its host.
///
/// # Errors
/// See [`HostError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn facts(relay: RelayProgram) -> Result<HostFacts, HostError> {
    ask(relay, vec!["facts".into()]).await
}

/// The host's facts, and what it can do by itself now: resolve `names`, connect to `targets`
/// (`HOST:PORT`).
///
/// # Errors
/// See [`HostError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn probe(
    relay: RelayProgram,
    names: &[String],
    targets: &[String],
) -> Result<HostProbe, HostError> {
    let names = names.iter().flat_map(|name| ["--resolve".into(), name.into()]);
    let targets = targets.iter().flat_map(|target| ["--connect".into(), target.into()]);
    ask(relay, ["probe".into()].into_iter().chain(names).chain(targets).collect()).await
}

/// Runs the relay with these arguments to its end, and reads what it prints as JSON.
///
/// # Errors
/// See [`HostError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn ask<T: DeserializeOwned>(
    relay: RelayProgram,
    words: Vec<OsString>,
) -> Result<T, HostError> {
    ask_within(WINDOWS_PATIENCE, relay, words).await
}

/// As [`ask`], for a relay that takes longer to answer.
///
/// # Errors
/// See [`HostError`].
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn ask_within<T: DeserializeOwned>(
    patience: Duration,
    relay: RelayProgram,
    words: Vec<OsString>,
) -> Result<T, HostError> {
    let relay = placed(relay, words).await;
    let program = || relay.program.clone();
    let prepare = || relay.prepare().map(|(start, _)| start);
    let output = attempt::output(patience, prepare).await.map_err(|error| match error {
        RunError::Prepare(error) => error.into(),
        RunError::Spawn(source) => SpawnError::new(program(), source).into(),
        RunError::Silent => HostError::Silent { program: program(), patience },
    })?;
    if !output.status.success() {
        let (ending, words) = (output.status.to_string(), windows::message_of(&output));
        return Err(HostError::Ended { program: program(), ending, words });
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|source| HostError::Nonsense { program: program(), source })
}

/// Starts the relay with these arguments and piped streams. `talk` finds out whether it runs. If
/// interop did not start it, it is started by another interop socket, and `talk` is called again.
/// Returns the process, which is killed when it is dropped, and the result of `talk`. A separate
/// task reads the standard error.
///
/// # Errors
/// The relay cannot be started, or the error of the last `talk`.
///
/// # Panics
/// Outside of a tokio runtime with I/O and time.
pub async fn start<T, E: From<SpawnError>>(
    relay: RelayProgram,
    words: Vec<OsString>,
    talk: impl AsyncFn(&mut Child) -> Result<T, E>,
) -> Result<(Child, T), E> {
    let relay = placed(relay, words).await;
    let outcome: Result<_, E> = attempt::by_each_socket(async || {
        let (Start { mut command, way }, _) = relay.prepare()?;
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child =
            command.spawn().map_err(|source| SpawnError::new(relay.program.clone(), source))?;
        let errors = tokio::spawn(attempt::beginning(child.stderr.take()));
        let error = match talk(&mut child).await {
            Ok(found) => return Ok(Attempt { way, outcome: Ok((child, found)), failure: None }),
            Err(error) => error,
        };
        // Its standard error ends with it.
        drop(child);
        let said = tokio::time::timeout(STOP_PATIENCE, errors).await;
        let said = said.ok().and_then(Result::ok).unwrap_or_default();
        Ok(Attempt { way, outcome: Err(error), failure: interop::failure_in(&said) })
    })
    .await;
    outcome?
}

/// The relay in the place where it runs; it is copied there first if its placement says so.
async fn placed(relay: RelayProgram, args: Vec<OsString>) -> RelayCommand {
    let RelayProgram { path: program, placement } = relay;
    let file = if placement == Placement::Deployed { Whose::Deployed } else { Whose::Given };
    let relay = RelayCommand { program, args, file };
    match placement {
        Placement::OnWindowsDisk => deploy::deploy(relay).await,
        Placement::AsItLies | Placement::Deployed => relay,
    }
}

/// The relay on Windows' disk, copied there by another distro's gateway: other distros have only
/// the command.
pub async fn deployed_relay() -> Option<PathBuf> {
    deploy::deployed().await
}

/// Windows' folder of the user (`%USERPROFILE%`), as this distro sees it.
///
/// # Errors
/// Windows does not answer.
pub async fn user_profile() -> Result<PathBuf, QuestionError> {
    windows::folder("USERPROFILE", None).await
}

/// The version of WSL, such as `2.5.9.0`.
///
/// # Errors
/// Windows does not answer, or has its inbox WSL, which does not know `--version`.
pub async fn wsl_version() -> Result<String, QuestionError> {
    let said = windows::wsl(&["--version"]).await?;
    version_in(&said).map(ToOwned::to_owned).ok_or_else(|| QuestionError::Answer {
        question: "wsl.exe --version".to_owned(),
        answer: format!(
            "its first line has no version: '{}'",
            said.lines().next().unwrap_or_default()
        ),
    })
}

/// The version at the end of the first line; the words before it are in the user's language.
fn version_in(said: &str) -> Option<&str> {
    let line = said.lines().next()?.trim();
    let version = line.rsplit(|letter: char| !letter.is_ascii_digit() && letter != '.').next()?;
    (version.contains('.') && version.starts_with(|first: char| first.is_ascii_digit()))
        .then_some(version)
}

/// The names of the running distros, this one included.
///
/// # Errors
/// Windows does not answer.
pub async fn running_distros() -> Result<Vec<String>, QuestionError> {
    let said = windows::wsl(&["--list", "--running", "--quiet"]).await?;
    Ok(said.lines().map(str::trim).filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect())
}

/// All distros of this user.
///
/// # Errors
/// Windows does not answer.
pub async fn distros() -> Result<Vec<Distro>, QuestionError> {
    Ok(distros_in(&windows::wsl(&["--list", "--verbose"]).await?))
}

/// The rows of the table, whose heading is in the user's language. No distro's name has a space.
fn distros_in(said: &str) -> Vec<Distro> {
    let row = |line: &str| {
        let row = line.trim();
        let bare = row.strip_prefix('*').unwrap_or(row);
        let words: Vec<&str> = bare.split_whitespace().collect();
        let [name, state @ .., version] = &words[..] else { return None };
        let version = version.parse().ok()?;
        Some(Distro {
            name: (*name).to_owned(),
            is_default: bare != row,
            state: state.join(" "),
            version,
        })
    };
    said.lines().filter_map(row).collect()
}

/// The ports that Windows forwards by IPv4. They are not adjusted when WSL's address changes.
///
/// # Errors
/// Windows does not answer.
pub async fn port_proxies() -> Result<Vec<PortProxy>, QuestionError> {
    let said = windows::said("netsh.exe", &["interface", "portproxy", "show", "v4tov4"]).await?;
    Ok(port_proxies_in(&said))
}

/// The rows of netsh's table: address, port, address, port. Only the numbers are the same in every
/// language.
fn port_proxies_in(said: &str) -> Vec<PortProxy> {
    let row = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [address, listen, to, port] = words[..] else { return None };
        let listen: u16 = listen.parse().ok()?;
        Some(PortProxy {
            listen: format!("{address}:{listen}"),
            to: to.to_owned(),
            port: port.parse().ok()?,
        })
    };
    said.lines().filter_map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;

    /// A relay that prints the output of a script.
    async fn facts_from(name: &str, script: &str) -> Result<HostFacts, HostError> {
        let scratch = Scratch::new(&format!("host-{name}"));
        facts(RelayProgram::given(scratch.script("relay", script))).await
    }

    #[tokio::test]
    async fn the_relay_is_asked_and_its_failures_have_words() {
        let facts = facts_from(
            "good",
            r#"[ "$1" = facts ] && echo '{"system": "Windows 11", "ipv6": true}'"#,
        )
        .await
        .unwrap();
        assert_eq!((facts.system.as_str(), facts.ipv6), ("Windows 11", true));
        let said =
            facts_from("ended", "echo no such thing >&2; exit 3").await.unwrap_err().to_string();
        assert!(said.contains("no such thing") && said.contains('3'), "{said}");
        let said = facts_from("nonsense", "echo hello").await.unwrap_err().to_string();
        assert!(said.contains("JSON") && said.contains("--relay"), "{said}");
        let missing = facts_of_no_relay().await.to_string();
        assert!(missing.contains("was not found"), "{missing}");
    }

    async fn facts_of_no_relay() -> HostError {
        facts(RelayProgram::given("/nonexistent/relay")).await.unwrap_err()
    }

    #[test]
    fn ports_handed_on_are_read_in_any_language() {
        let said = "\r\n侦听 ipv4:                 连接到 ipv4:\r\n\r\n\
                    地址            端口        地址            端口\r\n\
                    --------------- ----------  --------------- ----------\r\n\
                    0.0.0.0         2222        172.28.48.2     22\r\n\
                    *               80          127.0.0.1       8080\r\n\r\n";
        let found: Vec<_> =
            port_proxies_in(said).into_iter().map(|one| (one.listen, one.to, one.port)).collect();
        let row = |listen: &str, to: &str, port| (listen.to_owned(), to.to_owned(), port);
        assert_eq!(found, [row("0.0.0.0:2222", "172.28.48.2", 22), row("*:80", "127.0.0.1", 8080)]);
    }

    #[test]
    fn distros_are_read_in_any_language() {
        let said = concat!(
            "  名称            状态            版本\r\n",
            "* Ubuntu-24.04    正在运行        2\r\n",
            "  old             Stopped         1\r\n"
        );
        let distro = |name: &str, is_default, state: &str, version| Distro {
            name: name.to_owned(),
            is_default,
            state: state.to_owned(),
            version,
        };
        let expected =
            [distro("Ubuntu-24.04", true, "正在运行", 2), distro("old", false, "Stopped", 1)];
        assert_eq!(distros_in(said), expected);
        assert_eq!(distros_in("Windows Subsystem for Linux has no installed distributions."), []);
    }

    #[test]
    fn the_version_is_found_in_any_language() {
        assert_eq!(
            version_in("WSL version: 2.5.9.0\r\nKernel version: 6.6.87.2-1\r\n"),
            Some("2.5.9.0")
        );
        assert_eq!(version_in("WSL 版本： 2.4.13.0\n内核版本： 5.15"), Some("2.4.13.0"));
        assert_eq!(version_in("2.0.0.0"), Some("2.0.0.0"));
        assert_eq!(version_in("Invalid command line option: --version"), None);
        assert_eq!(version_in("Copyright 2"), None);
        assert_eq!(version_in(""), None);
    }
}
