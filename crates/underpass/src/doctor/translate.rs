//! The relay's words, and git's, as the doctor's facts.

use super::args;
use doctor::facts::{Lookup, Outcome, Why};
use proxy::{Host, Target};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::timeout;
use wire::facts::{ConnectAnswer, NameAnswer};

/// Where git goes by ssh mostly.
const GIT_HOST: (&str, u16) = ("github.com", 22);

/// How long git may take to say where this folder's remotes are.
const GIT_PATIENCE: Duration = Duration::from_millis(1000);

/// What Windows' resolver said.
pub(super) fn name(answer: &NameAnswer) -> Lookup {
    let ms = answer.ms;
    match answer.failure.as_deref() {
        None => Lookup::Addresses {
            addresses: answer.addresses.iter().filter_map(|one| one.parse().ok()).collect(),
            ms,
        },
        Some("nxdomain" | "no-address") => Lookup::NoSuchName { ms },
        Some("timed-out") => Lookup::Failed { why: Why::TimedOut, detail: String::new() },
        Some("no-server") => {
            Lookup::Failed { why: Why::Unreachable, detail: "no-server".to_owned() }
        }
        Some(code) => Lookup::ServerError { code: code.to_uppercase() },
    }
}

/// The outcome of Windows' connection.
pub(super) fn connect(answer: &ConnectAnswer) -> Outcome {
    let failed = |why, detail: &str| Outcome::Failed { why, detail: detail.to_owned() };
    match answer.failure.as_deref() {
        None => Outcome::Ok { ms: answer.ms },
        Some("refused") => failed(Why::Refused, ""),
        Some("timed-out") => failed(Why::TimedOut, ""),
        Some(code @ ("nxdomain" | "no-address" | "servfail" | "no-server")) => {
            failed(Why::NameUnknown, code)
        }
        Some(words) if words.contains("unreachable") => failed(Why::Unreachable, words),
        Some(words) => failed(Why::Other, words),
    }
}

/// Where git goes by ssh in this folder, or else mostly.
pub(super) async fn git_host() -> Target {
    let mut command = Command::new("git");
    command.env("PATH", foreign::trusted_path());
    command
        .args(["config", "--get-regexp", r"^remote\..*\.url$"])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let said = timeout(GIT_PATIENCE, command.output()).await;
    let text = said
        .map(|output| output.map(|output| output.stdout).unwrap_or_default())
        .unwrap_or_default();
    let remotes =
        String::from_utf8_lossy(&text).lines().find_map(|line| ssh_host(line.split_once(' ')?.1));
    remotes.unwrap_or_else(|| Target { host: Host::Name(GIT_HOST.0.to_owned()), port: GIT_HOST.1 })
}

/// The host and port of an address that git asks, by whatever it goes there; none for a folder.
pub(super) fn url_host(url: &str) -> Option<Target> {
    let Some((scheme, rest)) = url.split_once("://") else { return ssh_host(url) };
    let port = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" => 80,
        "git" => 9418,
        "ssh" => return ssh_host(url),
        _ => return None,
    };
    let place = rest.split('/').next()?;
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    args::host_of(place, port)
}

/// The host of `git@host:path` or `ssh://git@host:port/path` (git-clone(1), 'GIT URLS').
fn ssh_host(url: &str) -> Option<Target> {
    let host_of = |text: &str| {
        args::host_of(text.rsplit_once('@').map_or(text, |(_, host)| host), GIT_HOST.1)
    };
    if let Some(rest) = url.strip_prefix("ssh://") {
        return host_of(rest.split('/').next()?);
    }
    let (place, _) = url
        .split_once(':')
        .filter(|(place, rest)| !rest.starts_with("//") && !place.contains('/'))?;
    host_of(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_git_asks_have_hosts() {
        for (url, host) in [
            ("https://mirror.test/https://github.com/", Some("mirror.test:443")),
            ("http://me@mirror.test:8080/x", Some("mirror.test:8080")),
            ("ssh://git@mirror.test/", Some("mirror.test:22")),
            ("git@mirror.test:", Some("mirror.test:22")),
            ("file:///srv/", None),
            ("/srv/", None),
        ] {
            assert_eq!(url_host(url).map(|host| host.to_string()).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn git_remotes_by_ssh_are_known() {
        for (url, host) in [
            ("git@git.corp.test:team/repo.git", Some("git.corp.test:22")),
            ("git.corp.test:repo", Some("git.corp.test:22")),
            ("ssh://git@git.corp.test:7999/repo", Some("git.corp.test:7999")),
            ("ssh://git.corp.test/repo", Some("git.corp.test:22")),
            ("https://git.corp.test/repo", None),
            ("/srv/repo:x", None),
        ] {
            assert_eq!(ssh_host(url).map(|host| host.to_string()).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn the_relays_words_keep_their_kind() {
        let name_of = |failure: Option<&str>| {
            name(&NameAnswer {
                failure: failure.map(str::to_owned),
                addresses: vec!["192.0.2.1".to_owned()],
                ..NameAnswer::default()
            })
        };
        assert!(
            matches!(name_of(None), Lookup::Addresses { addresses, .. } if addresses.len() == 1)
        );
        assert!(matches!(name_of(Some("nxdomain")), Lookup::NoSuchName { .. }));
        assert!(
            matches!(name_of(Some("servfail")), Lookup::ServerError { code } if code == "SERVFAIL")
        );
        assert!(matches!(name_of(Some("timed-out")), Lookup::Failed { why: Why::TimedOut, .. }));
        let connect_of = |failure: &str| {
            connect(&ConnectAnswer {
                failure: Some(failure.to_owned()),
                ..ConnectAnswer::default()
            })
        };
        assert!(matches!(connect_of("refused"), Outcome::Failed { why: Why::Refused, .. }));
        assert!(matches!(
            connect_of("Network is unreachable (os error 101)"),
            Outcome::Failed { why: Why::Unreachable, .. }
        ));
        assert!(matches!(connect(&ConnectAnswer::default()), Outcome::Ok { .. }));
    }
}
