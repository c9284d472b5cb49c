//! What was seen of each item: plain data, and how the C library would read a nameserver's answers.

use std::net::IpAddr;
use std::time::Duration;
use wsl::{Nameserver, NetworkingMode};

/// Everything that was looked at.
#[derive(Clone, Debug)]
pub struct Seen {
    /// WSL's networking mode.
    pub mode: ModeSeen,
    /// The file that names the DNS servers.
    pub resolv_conf: String,
    /// Its servers, in its order.
    pub servers: Vec<Nameserver>,
    /// Public names.
    pub public_names: Vec<NameSeen>,
    /// Who stands for the outside.
    pub outside: ReachSeen,
    /// Who tells by which address the outside sees us; nothing where nobody is to be asked.
    pub exit: Option<ExitSeen>,
    /// The proxies of the environment.
    pub proxies: Vec<ProxySeen>,
    /// The company's hosts.
    pub company_hosts: Vec<ReachSeen>,
    /// The company's names.
    pub company_names: Vec<NameSeen>,
}

/// What was seen of the mode.
#[derive(Clone, Debug)]
pub struct ModeSeen {
    /// The mode that is in force; nothing where this is not WSL.
    pub in_force: Option<NetworkingMode>,
    /// The VM's addresses, those of loopback and tunnel left out.
    pub own: Vec<IpAddr>,
    /// Windows' side, or why it could not be asked.
    pub windows: Result<WindowsSeen, String>,
}

/// Windows' side.
#[derive(Clone, Debug)]
pub struct WindowsSeen {
    /// The addresses of its adapters.
    pub addresses: Vec<IpAddr>,
    /// `.wslconfig`; empty without one.
    pub wslconfig: String,
}

/// What was seen of a name.
#[derive(Clone, Debug)]
pub struct NameSeen {
    /// The name, as the user wrote it.
    pub name: String,
    /// What /etc/hosts has for it.
    pub hosts: Vec<IpAddr>,
    /// What each server that counts said, in resolv.conf's order.
    pub answers: Vec<(Nameserver, Answer)>,
}

/// A server's answer to a question for a name's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
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
    /// Goes through the answers as the C library does: one after the other, until one is an answer. An error is none.
    #[must_use]
    pub fn resolve(&self) -> Resolution<'_> {
        if !self.hosts.is_empty() {
            return Resolution::Hosts(&self.hosts);
        }
        let mut answers = self.answers.iter().filter_map(|(server, answer)| match answer {
            Answer::Addresses { found, .. } => Some(Resolution::Server(server, found)),
            Answer::NoName => Some(Resolution::NoName(server)),
            Answer::NoAddress => Some(Resolution::NoAddress(server)),
            Answer::Error(_) | Answer::Silent(_) | Answer::NotAsked(_) => None,
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

/// What was seen of a host.
#[derive(Clone, Debug)]
pub struct ReachSeen {
    /// The host and its port.
    pub target: String,
    /// How long a connection took.
    pub outcome: Result<Duration, Failure>,
}

/// What was seen of the exit.
#[derive(Clone, Debug)]
pub struct ExitSeen {
    /// The service that was asked.
    pub url: String,
    /// The address that it sees.
    pub outcome: Result<IpAddr, Failure>,
}

/// What was seen of a proxy.
#[derive(Clone, Debug)]
pub struct ProxySeen {
    /// The variables that name it.
    pub variables: String,
    /// The proxy, without secrets.
    pub proxy: String,
    /// Whether it is to be on this machine.
    pub is_loopback: bool,
    /// Whether who stands for the outside is reached by it.
    pub outside: Result<Duration, Failure>,
    /// The address that the outside then sees; nothing where nobody is to be asked.
    pub exit: Option<Result<IpAddr, Failure>>,
}

/// Why a connection or a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name has no address here.
    Unresolved {
        /// The name.
        name: String,
    },
    /// The host says no.
    Refused {
        /// Address and port.
        address: String,
    },
    /// No answer.
    TimedOut {
        /// Address and port, or the URL.
        address: String,
        /// Within this time.
        patience: Duration,
    },
    /// The system says no.
    Unreachable {
        /// Address and port.
        address: String,
        /// Its words.
        why: String,
    },
    /// The proxy's setting is of no use.
    ProxyNotUsable {
        /// The setting, without secrets.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The proxy does not pass on.
    Proxy {
        /// The proxy, without secrets.
        proxy: String,
        /// What it says.
        why: String,
    },
    /// The connection was closed.
    Closed {
        /// By whom.
        who: String,
    },
    /// No TLS.
    Tls {
        /// With whom.
        host: String,
        /// Why.
        why: String,
    },
    /// An answer that is none.
    Status {
        /// Of whom.
        url: String,
        /// The code.
        status: u16,
    },
    /// The answer is elsewhere.
    SendsOn {
        /// Who says so.
        url: String,
        /// Where.
        location: String,
    },
    /// An answer without an address.
    NoAddress {
        /// Of whom.
        url: String,
    },
    /// Not the protocol.
    NotHttp {
        /// Of whom.
        url: String,
    },
}
