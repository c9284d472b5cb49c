//! What was seen of each item: plain data.

use probe::Failure;
use probe::resolver::NameSeen;
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
    /// The host that stands for the outside.
    pub outside: ReachSeen,
    /// The service that reports the address by which the outside sees us; `None` if no service is
    /// to be asked.
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
    /// The mode that is in force; `None` outside of WSL.
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
    /// Whether the host that stands for the outside is reached by it.
    pub outside: Result<Duration, Failure>,
    /// The address that the outside then sees; `None` if no service is to be asked.
    pub exit: Option<Result<IpAddr, Failure>>,
}
