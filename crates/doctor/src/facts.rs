//! Everything that the doctor looks at, as plain data: probes fill it in, checks judge it, nothing
//! here does either. Facts that could not be looked at are left out (`None`, an empty list,
//! [`Outcome::NotTried`]), and no check takes that for a fault.
//!
//! Texts are as found, secrets included. Code that shows facts shows [`Facts::masked`].

pub use config::tools::{GitRewrite, ProxySetting, Tool};
pub use probe::dns::{Lookup, Transport};
pub use probe::mtu::MtuProbe;
pub use probe::proxy::ProxyProbe;
pub use probe::{Method, Outcome, Why};
pub use wsl::files::ResolvConf;
pub use wsl::filter::Filter;
pub use wsl::network::{Link, Neighbour, NeighbourState, Route, Rule};
pub use wsl::tunnels::OtherTunnel;
pub use wsl::windows::{Distro, PortProxy};

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr};
use wire::facts::HostFacts;
use wsl::{Nameserver, NetworkingMode};

/// All that is known of this machine's network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// What the user wants to reach.
    pub question: Question,
    /// This command, for the fixes that run it.
    pub program: Program,
    /// WSL's networking mode.
    pub mode: Mode,
    /// The VM's interfaces, `lo` among them.
    pub links: Vec<Link>,
    /// Routes of all tables but `local`.
    pub routes: Vec<Route>,
    /// Routing policy rules.
    pub rules: Vec<Rule>,
    /// Neighbours (ARP, ND), above all the gateway's.
    pub neighbours: Vec<Neighbour>,
    /// `/etc/resolv.conf`.
    pub resolv_conf: ResolvConf,
    /// `/etc/wsl.conf`; `None` if there is no such file.
    pub wsl_conf: Option<String>,
    /// `/etc/nsswitch.conf`.
    pub nsswitch: Option<String>,
    /// `/etc/hosts`.
    pub hosts: Option<String>,
    /// `/etc/gai.conf`, the order in which programs try addresses.
    pub gai_conf: Option<String>,
    /// Tools that are installed.
    pub tools: Vec<Tool>,
    /// Proxy settings: of the environment, and of each tool.
    pub proxies: Vec<ProxySetting>,
    /// Addresses that git replaces.
    pub git_rewrites: Vec<GitRewrite>,
    /// Lines of shells' start files that set a proxy variable, or that read resolv.conf.
    pub start_lines: Vec<StartLine>,
    /// The clock.
    pub clock: Clock,
    /// The kernel's features.
    pub kernel: Kernel,
    /// How Windows programs are started.
    pub interop: Interop,
    /// Other programs that carry WSL's traffic elsewhere.
    pub other_tunnels: Vec<OtherTunnel>,
    /// Packet filters of the VM.
    pub filter: Filter,
    /// Underpass' own tunnel.
    pub tunnel: Tunnel,
    /// Windows, as the relay reports it; `None` if the relay could not be asked.
    pub windows: Option<Windows>,
    /// Addresses of an earlier run.
    pub remembered: Remembered,
    /// The attempts, and their outcomes.
    pub probes: Probes,
}

/// This command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Program {
    /// Its path; empty if not known.
    pub path: String,
    /// Whether the user's shell finds it by its name.
    pub in_path: bool,
}

/// What the user wants to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Question {
    /// The address that stands for the internet, such as `1.1.1.1:443`.
    pub outside: String,
    /// The name that stands for the internet's, such as `www.msftconnecttest.com`.
    pub public_name: String,
    /// The company's hosts, by name or address, each perhaps with a port.
    pub company: Vec<String>,
}

/// WSL's networking mode, from three sides that need not agree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mode {
    /// The output of `wslinfo --networking-mode`, unchanged.
    pub by_wslinfo: Option<String>,
    /// The mode that interfaces, addresses and rules look like.
    pub by_signs: Option<NetworkingMode>,
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

/// The VM's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Clock {
    /// By how many milliseconds it is ahead of Windows' (negative: behind).
    pub ahead_of_windows_ms: Option<i64>,
}

/// The features of the VM's kernel that a tunnel needs; `None` if that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kernel {
    /// The TUN driver.
    pub tun: Option<bool>,
    /// Routing rules for IPv6; also `None` if IPv6 is off.
    pub ipv6_rules: Option<bool>,
}

/// How Windows programs are started from Linux.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Interop {
    /// Whether this is a WSL at all; elsewhere nothing is expected.
    pub is_wsl: bool,
    /// The kernel's entry for Windows programs; `None` if it could not be looked at.
    pub entry: Option<Entry>,
    /// What WSL_INTEROP names.
    pub socket: Option<String>,
    /// Whether there is a socket at that place.
    pub socket_lives: bool,
    /// Sockets in `/run/WSL`, in all.
    pub sockets: usize,
    /// A Windows program, run.
    pub run: Outcome,
}

/// The kernel's entry for Windows programs (binfmt_misc).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// It is there.
    Present,
    /// It is there and switched off.
    Disabled,
    /// It is not there.
    Missing,
}

/// Underpass' own tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tunnel {
    /// Whether it carries traffic.
    pub state: TunnelState,
    /// Its device.
    pub device: Option<String>,
    /// Its subnet.
    pub subnet: Option<Ipv4Net>,
    /// Its gateway and nameserver.
    pub gateway: Option<Ipv4Addr>,
    /// The address that stands for Windows' 127.0.0.1.
    pub host: Option<Ipv4Addr>,
    /// The last thing that went wrong with its relays or routes, in its own words.
    pub last_error: Option<String>,
    /// Connections that are open, where it refuses new ones because there is room for no more.
    pub full: Option<u64>,
    /// Connections that had to make room for other users' a moment ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub displaced: Option<Displaced>,
    /// The steps that the machine refused when the processes gave up their rights, each with the
    /// process.
    pub unconfined: Vec<String>,
    /// Names whose DNS answers named the host and lost these addresses, the newest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rebind: Vec<String>,
}

/// See [`Tunnel::displaced`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Displaced {
    /// How many, since the tunnel came up.
    pub count: u64,
    /// The owner of the last one: `user 1000`, or a container's address.
    pub last_of: String,
}

/// See [`Tunnel::state`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TunnelState {
    /// None runs.
    #[default]
    Down,
    /// It waits for its relay.
    Starting,
    /// It carries traffic.
    Up,
    /// It runs, but its relay does not.
    NoRelay,
}

/// Windows, as the relay and `wsl.exe` report it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Windows {
    /// Adapters, routes, DNS servers, proxies, `.wslconfig`.
    pub host: HostFacts,
    /// Windows' build number: 22621 is Windows 11 22H2.
    pub build: Option<u32>,
    /// WSL's version, such as `2.5.9.0`.
    pub wsl_version: Option<String>,
    /// Distros that run.
    pub running_distros: Vec<String>,
    /// All distros (`wsl --list --verbose`).
    pub distros: Vec<Distro>,
    /// Ports that Windows hands on (`netsh interface portproxy`).
    pub port_proxies: Vec<PortProxy>,
}

/// The observations of an earlier run of the doctor, or of the tunnel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Remembered {
    /// The VM's addresses then; empty where nothing is remembered.
    pub vm: Vec<IpAddr>,
    /// Its gateways then.
    pub gateways: Vec<IpAddr>,
    /// Files besides those in [`Facts`] that name one of them: shells' start files and the like.
    pub mentions: Vec<Mention>,
}

/// A line that names an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mention {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: usize,
    /// The address.
    pub address: IpAddr,
}

/// What was tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probes {
    /// Hosts that were to be reached.
    pub reach: Vec<Reach>,
    /// Names that were asked for.
    pub dns: Vec<Ask>,
    /// Each proxy of [`Facts::proxies`], once.
    pub proxies: Vec<ProxyProbe>,
    /// Proxies that no setting names, found at usual ports: each carried a request.
    pub listening: Vec<ProxyProbe>,
    /// Large packets.
    pub mtu: Option<MtuProbe>,
}

/// An attempt to reach a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// What the target stands for.
    pub subject: Subject,
    /// By what.
    pub method: Method,
    /// From where, and by which way.
    pub whence: Whence,
    /// The target, as the user would write it: `1.1.1.1`, `1.1.1.1:443`, `git.corp.example:443`.
    pub target: String,
    /// The outcome.
    pub outcome: Outcome,
}

/// What the target of an attempt stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The router of the VM's default route (around the tunnel).
    Gateway,
    /// [`Question::outside`].
    Outside,
    /// The same over IPv6, by a well-known address.
    OutsideV6,
    /// One of [`Question::company`], by address or by a name that a server could resolve.
    Company,
    /// Where git goes by ssh, such as `github.com:22`.
    GitSsh,
    /// A host that git asks instead of another; see [`GitRewrite`].
    GitMirror,
}

/// The side from which a target is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whence {
    /// From the VM, as every program goes: by the tunnel while it is up.
    #[default]
    Vm,
    /// From the VM by WSL's own network, though the tunnel is up.
    AroundTunnel,
    /// From Windows, by the relay.
    Windows,
}

/// A question for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Who was asked.
    pub asked: Asked,
    /// By what.
    pub transport: Transport,
    /// What for.
    pub name: String,
    /// Whose name that is.
    pub kind: NameKind,
    /// What came back.
    pub answer: Lookup,
}

/// Who is asked for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// The system as programs ask it (getaddrinfo: nsswitch, hosts, resolv.conf).
    System,
    /// A nameserver of resolv.conf.
    Nameserver(Nameserver),
    /// A public server.
    Public(IpAddr),
    /// A DNS server of one of Windows' adapters, asked from the VM.
    OfAdapter(IpAddr),
    /// Windows' own resolver, by the relay.
    Windows,
}

/// Whose a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameKind {
    /// [`Question::public_name`].
    Public,
    /// One of [`Question::company`].
    Company,
}
