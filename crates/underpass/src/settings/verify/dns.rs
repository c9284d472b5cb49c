//! Asks each nameserver by itself for a name's addresses. Which answer counts is `config::settings::verify`'s to say.

use config::settings::verify::{Answer, NameSeen};
use futures_util::future::join_all;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RecordType};
use probe::dns::{Asking, Reply, query};
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::time::timeout;
use wsl::hosts::lines_for;
use wsl::{Nameserver, ResolvConf};

/// A lost datagram is sent again this many times within the patience.
const TRIES: u32 = 3;

/// The names that are asked for when a program wants `name`, in their order (`ndots:1`).
fn candidates(conf: &ResolvConf, name: &str) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let searched = conf.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
    let itself = std::iter::once(name.to_owned());
    if name.contains('.') { itself.chain(searched).collect() } else { searched.chain(itself).collect() }
}

/// Resolves names by a resolv.conf and a hosts file.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) conf: ResolvConf,
    hosts: String,
    patience: Duration,
}

impl Resolver {
    /// `hosts` is what /etc/hosts says.
    pub(super) fn new(conf: ResolvConf, hosts: String, patience: Duration) -> Self {
        Self { conf, hosts, patience }
    }

    /// Asks the servers that count, all at once.
    pub(super) async fn look_up(&self, name: &str) -> NameSeen {
        let hosts = in_hosts(&self.hosts, name);
        let candidates = candidates(&self.conf, name);
        let ask = |server: &Nameserver| {
            let (server, candidates) = (server.clone(), &candidates);
            async move {
                let answer = self.ask(&server, candidates).await;
                (server, answer)
            }
        };
        NameSeen { name: name.to_owned(), hosts, answers: join_all(self.conf.servers().iter().map(ask)).await }
    }

    /// The first of the names for which the server has addresses; else its answer to the first.
    async fn ask(&self, server: &Nameserver, names: &[String]) -> Answer {
        let mut first = None;
        for name in names {
            let answer = match Name::from_utf8(name) {
                Ok(mut name) => {
                    name.set_fqdn(true);
                    self.ask_both_families(server, &name).await
                }
                // Nobody can have such a name.
                Err(_) => Answer::NoName,
            };
            match answer {
                Answer::Addresses { .. } => return answer,
                // Who is silent is not asked for more.
                Answer::Silent(_) | Answer::NotAsked(_) => return first.unwrap_or(answer),
                Answer::NoName | Answer::NoAddress | Answer::Error(_) => first = first.or(Some(answer)),
            }
        }
        first.unwrap_or(Answer::NoName)
    }

    async fn ask_both_families(&self, server: &Nameserver, name: &Name) -> Answer {
        match self.question(server, name, RecordType::A).await {
            Answer::NoAddress => self.question(server, name, RecordType::AAAA).await,
            answer @ (Answer::Addresses { .. }
            | Answer::NoName
            | Answer::Error(_)
            | Answer::Silent(_)
            | Answer::NotAsked(_)) => answer,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "how long a server took is told to people")]
    async fn question(&self, server: &Nameserver, name: &Name, kind: RecordType) -> Answer {
        let start = Instant::now();
        let asking = Asking { again: self.patience / TRIES, ..Asking::default() };
        match timeout(self.patience, query(server, name, kind, asking)).await {
            Ok(Ok(reply)) => judge(reply, start.elapsed()),
            Ok(Err(error)) => Answer::NotAsked(error.to_string()),
            Err(_) => Answer::Silent(self.patience),
        }
    }
}

fn judge(reply: Reply, took: Duration) -> Answer {
    match reply.code {
        ResponseCode::NXDomain => Answer::NoName,
        ResponseCode::NoError if reply.addresses.is_empty() => Answer::NoAddress,
        ResponseCode::NoError => Answer::Addresses { found: reply.addresses, took },
        code => Answer::Error(code_name(code)),
    }
}

/// As dig and resolv.h write it.
fn code_name(code: ResponseCode) -> String {
    format!("{code:?}").to_uppercase()
}

/// The addresses that a hosts file has for a name, each once.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let mut seen = HashSet::new();
    lines_for(hosts, name).map(|(_, address)| address).filter(|address| seen.insert(*address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_searched_as_the_c_library_does() {
        let conf = ResolvConf::read("domain old.example\nsearch corp.example. lab.corp.example\noptions ndots:1\n");
        assert_eq!(candidates(&conf, "git"), ["git.corp.example", "git.lab.corp.example", "git"]);
        assert_eq!(candidates(&conf, "git.x"), ["git.x", "git.x.corp.example", "git.x.lab.corp.example"]);
        assert_eq!(candidates(&conf, "git."), ["git."]);
        assert_eq!(candidates(&ResolvConf::default(), "git"), ["git"]);
    }

    #[test]
    fn an_address_of_hosts_counts_once() {
        let hosts = "10.1.2.3 git.corp.example GIT\n10.1.2.4 git\n10.1.2.3 git\n";
        assert_eq!(in_hosts(hosts, "git"), ["10.1.2.3", "10.1.2.4"].map(|text| text.parse::<IpAddr>().unwrap()));
    }

    #[test]
    fn codes_are_called_as_everybody_calls_them() {
        let codes = [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp, ResponseCode::FormErr];
        assert_eq!(codes.map(code_name), ["SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"]);
    }
}
