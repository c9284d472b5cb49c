//! The host's resolver, as far as Linux has one without a library: the hosts file, and the servers
//! of `resolv.conf`. It reads both files for each query: they are small, and always current.

use crate::dns::{self, Answer};
use crate::hosts;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use wire::{AnsweredBy, QueryFailure};

/// Most servers that are queried, as in resolv.conf(5) (`MAXNS`).
const MOST_SERVERS: usize = 3;

/// The sources of answers.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The file with the servers, `/etc/resolv.conf`.
    pub resolv_conf: PathBuf,
    /// The file with the host's own names, `/etc/hosts`.
    pub hosts: PathBuf,
    /// The port that servers listen on, 53.
    pub port: u16,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into(), port: 53 }
    }
}

impl Resolver {
    /// Answers a whole DNS message with a whole one, under the same id and never truncated.
    ///
    /// # Errors
    /// Silence is [`QueryFailure::TimedOut`], a host without servers
    /// [`QueryFailure::NoServer`], and a message that is not a query [`QueryFailure::Refused`].
    pub async fn resolve(&self, query: &[u8]) -> Result<Answer, QueryFailure> {
        if !dns::is_query(query) {
            return Err(QueryFailure::Refused);
        }
        if let Some(message) =
            fs::read_to_string(&self.hosts).ok().and_then(|hosts| hosts::answer(&hosts, query))
        {
            return Ok(Answer { by: AnsweredBy::HostsFile, message });
        }
        let servers = nameservers(&fs::read_to_string(&self.resolv_conf).unwrap_or_default());
        let servers: Vec<_> =
            servers.into_iter().map(|server| SocketAddr::new(server, self.port)).collect();
        dns::ask_servers(&servers, query).await
    }
}

/// The servers that a `resolv.conf` names.
pub(crate) fn nameservers(resolv_conf: &str) -> Vec<IpAddr> {
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next()? == "nameserver").then(|| words.next())??.parse().ok()
    };
    resolv_conf.lines().filter_map(server).take(MOST_SERVERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameservers_are_taken_in_order() {
        let text = "# x\nnameserver 10.0.0.1\nsearch a\n nameserver  fd00::1 # y\nnameserver\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n";
        let servers: Vec<_> = nameservers(text).iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1", "fd00::1", "10.0.0.2"], "at most three");
    }
}
