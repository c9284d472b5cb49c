//! Names resolved as the C library resolves them, with each nameserver's answer kept: by a hosts
//! file, and by the servers and search domains of a resolv.conf.

use crate::dns::{Asking, Reply, query};
use futures_util::future::join_all;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use wsl::hosts::lines_for;
use wsl::{Nameserver, ResolvConf};

/// A lost datagram is sent again this many times within the patience.
const TRIES: u32 = 3;

/// What was seen of a name.
#[derive(Clone, Debug)]
pub struct NameSeen {
    /// The name, as the user wrote it.
    pub name: String,
    /// What /etc/hosts has for it.
    pub hosts: Vec<IpAddr>,
    /// The answer of each server that counts, in resolv.conf's order.
    pub answers: Vec<(Nameserver, ServerAnswer)>,
}

/// A server's answer to a question for a name's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAnswer {
    /// Here they are.
    Addresses {
        /// At least one.
        found: Vec<IpAddr>,
        /// How long it took.
        took: Duration,
    },
    /// There is no such name.
    NoName,
    /// The name has no address.
    NoAddress,
    /// An error, by its name in RFC 1035.
    Error(String),
    /// Nothing within that time.
    Silent(Duration),
    /// It could not be asked, in the system's words.
    NotAsked(String),
}

/// How the C library resolves a name with such answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution<'a> {
    /// By /etc/hosts.
    Hosts(&'a [IpAddr]),
    /// By this server.
    Server(&'a Nameserver, &'a [IpAddr]),
    /// This server says that the name does not exist, and no other is asked.
    NoName(&'a Nameserver),
    /// This server says that it has no address, and no other is asked.
    NoAddress(&'a Nameserver),
    /// No server gives an answer.
    Nobody,
}

impl NameSeen {
    /// Goes through the answers as the C library does: one after the other, until one is an answer.
    /// An error is not an answer.
    #[must_use]
    pub fn resolve(&self) -> Resolution<'_> {
        if !self.hosts.is_empty() {
            return Resolution::Hosts(&self.hosts);
        }
        let mut answers = self.answers.iter().filter_map(|(server, answer)| match answer {
            ServerAnswer::Addresses { found, .. } => Some(Resolution::Server(server, found)),
            ServerAnswer::NoName => Some(Resolution::NoName(server)),
            ServerAnswer::NoAddress => Some(Resolution::NoAddress(server)),
            ServerAnswer::Error(_) | ServerAnswer::Silent(_) | ServerAnswer::NotAsked(_) => None,
        });
        answers.next().unwrap_or(Resolution::Nobody)
    }

    /// Its addresses, as programs get them.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        match self.resolve() {
            Resolution::Hosts(found) | Resolution::Server(_, found) => found,
            Resolution::NoName(_) | Resolution::NoAddress(_) | Resolution::Nobody => &[],
        }
    }
}

/// The names that are asked for when a program wants `name`, in their order (`ndots:1`).
fn candidates(conf: &ResolvConf, name: &str) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let searched = conf.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
    let itself = std::iter::once(name.to_owned());
    if name.contains('.') {
        itself.chain(searched).collect()
    } else {
        searched.chain(itself).collect()
    }
}

/// Resolves names by a resolv.conf and a hosts file.
#[derive(Clone, Debug)]
pub struct Resolver {
    conf: ResolvConf,
    hosts: String,
    patience: Duration,
}

impl Resolver {
    /// `hosts` is what /etc/hosts says.
    #[must_use]
    pub fn new(conf: ResolvConf, hosts: String, patience: Duration) -> Self {
        Self { conf, hosts, patience }
    }

    /// Asks the servers that count, all at once.
    pub async fn look_up(&self, name: &str) -> NameSeen {
        let hosts = in_hosts(&self.hosts, name);
        let candidates = candidates(&self.conf, name);
        let ask = |server: &Nameserver| {
            let (server, candidates) = (server.clone(), &candidates);
            async move {
                let answer = self.ask(&server, candidates).await;
                (server, answer)
            }
        };
        NameSeen {
            name: name.to_owned(),
            hosts,
            answers: join_all(self.conf.servers().iter().map(ask)).await,
        }
    }

    /// The first of the names for which the server has addresses; else its answer to the first.
    async fn ask(&self, server: &Nameserver, names: &[String]) -> ServerAnswer {
        let mut first = None;
        for name in names {
            let answer = match Name::from_utf8(name) {
                Ok(mut name) => {
                    name.set_fqdn(true);
                    self.ask_both_families(server, &name).await
                }
                // Such a name cannot exist.
                Err(_) => ServerAnswer::NoName,
            };
            match answer {
                ServerAnswer::Addresses { .. } => return answer,
                // A silent server is not asked again.
                ServerAnswer::Silent(_) | ServerAnswer::NotAsked(_) => {
                    return first.unwrap_or(answer);
                }
                ServerAnswer::NoName | ServerAnswer::NoAddress | ServerAnswer::Error(_) => {
                    first = first.or(Some(answer))
                }
            }
        }
        first.unwrap_or(ServerAnswer::NoName)
    }

    async fn ask_both_families(&self, server: &Nameserver, name: &Name) -> ServerAnswer {
        match self.question(server, name, RecordType::A).await {
            ServerAnswer::NoAddress => self.question(server, name, RecordType::AAAA).await,
            answer @ (ServerAnswer::Addresses { .. }
            | ServerAnswer::NoName
            | ServerAnswer::Error(_)
            | ServerAnswer::Silent(_)
            | ServerAnswer::NotAsked(_)) => answer,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "people see how long a server took")]
    async fn question(&self, server: &Nameserver, name: &Name, kind: RecordType) -> ServerAnswer {
        let start = Instant::now();
        let asking = Asking { again: self.patience / TRIES, ..Asking::default() };
        match timeout(self.patience, query(server, name, kind, asking)).await {
            Ok(Ok(reply)) => judge(reply, start.elapsed()),
            Ok(Err(error)) => ServerAnswer::NotAsked(error.to_string()),
            Err(_) => ServerAnswer::Silent(self.patience),
        }
    }
}

fn judge(reply: Reply, took: Duration) -> ServerAnswer {
    if reply.code == ResponseCode::NXDomain {
        return ServerAnswer::NoName;
    }
    if reply.code != ResponseCode::NoError {
        return ServerAnswer::Error(code_name(reply.code));
    }
    match reply.addresses {
        none if none.is_empty() => ServerAnswer::NoAddress,
        found => ServerAnswer::Addresses { found, took },
    }
}

/// As dig and resolv.h write it.
fn code_name(code: ResponseCode) -> String {
    format!("{code:?}").to_uppercase()
}

/// The addresses that a hosts file has for a name, each once.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let mut seen = HashSet::new();
    lines_for(hosts, name)
        .map(|(_, address)| address)
        .filter(|address| seen.insert(*address))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_searched_as_the_c_library_does() {
        let conf = ResolvConf::read(
            "domain old.example\nsearch corp.example. lab.corp.example\noptions ndots:1\n",
        );
        assert_eq!(candidates(&conf, "git"), ["git.corp.example", "git.lab.corp.example", "git"]);
        assert_eq!(
            candidates(&conf, "git.x"),
            ["git.x", "git.x.corp.example", "git.x.lab.corp.example"]
        );
        assert_eq!(candidates(&conf, "git."), ["git."]);
        assert_eq!(candidates(&ResolvConf::default(), "git"), ["git"]);
    }

    #[test]
    fn an_address_of_hosts_counts_once() {
        let hosts = "10.1.2.3 git.corp.example GIT\n10.1.2.4 git\n10.1.2.3 git\n";
        assert_eq!(
            in_hosts(hosts, "git"),
            ["10.1.2.3", "10.1.2.4"].map(|text| text.parse::<IpAddr>().unwrap())
        );
    }

    #[test]
    fn codes_are_called_as_everybody_calls_them() {
        let codes = [
            ResponseCode::ServFail,
            ResponseCode::Refused,
            ResponseCode::NotImp,
            ResponseCode::FormErr,
        ];
        assert_eq!(codes.map(code_name), ["SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"]);
    }
}
