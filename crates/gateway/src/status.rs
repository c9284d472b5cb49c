//! The content of `underpass status` as plain data: the engine fills it in, the control socket
//! carries it as JSON, the command prints it. Keys are only ever added, so that programs that read
//! them keep working.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wire::link::LinkFailure;

/// The state of a running gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Whether traffic flows.
    pub state: GatewayState,
    /// WSL's networking mode.
    pub mode: String,
    /// The gateway's version.
    pub version: String,
    /// The gateway's process id.
    pub pid: u32,
    /// Seconds since its start.
    pub uptime_s: u64,
    /// The device, once its addresses are chosen.
    pub tap: Option<TapStatus>,
    /// The VM's nameservers and former gateways for which the tunnel answers.
    pub captured: Vec<IpAddr>,
    /// Prefixes that the VM reaches by its own routes, as without the tunnel.
    #[serde(default)]
    pub direct: Vec<DirectPrefix>,
    /// Prefixes of Windows' routes that mirrored mode puts into the VM's main table and that go
    /// through the tunnel.
    #[serde(default)]
    pub mirrored: Vec<String>,
    /// One per lane.
    pub relays: Vec<RelayStatus>,
    /// What is open now.
    pub flows: FlowCounts,
    /// What was opened since the start.
    pub totals: Totals,
    /// DNS answers by their source on the relay's host: `hosts-file`, Windows' `raw-query` and
    /// `record-query`, or `servers`. The gateway's own answers are not included.
    pub dns_answers: BTreeMap<String, u64>,
    /// Bytes of TCP streams.
    pub bytes: UpDown,
    /// Frames on the TAP.
    pub packets: UpDown,
    /// Drops by reason; reasons without drops are left out.
    pub drops: BTreeMap<String, u64>,
    /// All limits and their current use.
    pub limits: Vec<Limit>,
    /// Connections that were refused because there was room for no more, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refused>,
    /// Connections that made room for others because their user holds most of a full table, if any
    /// did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub displaced: Option<Displaced>,
    /// DNS answers that lost records, since these named loopback, the tunnel's own addresses or the
    /// host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebind: Option<RebindStatus>,
    /// The last error with the VM's routes, while they are not as they should be.
    pub network_error: Option<String>,
    /// Why the tunnel carries no IPv6 although the relay's host has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_ipv6: Option<String>,
    /// The proxy that connections go through, with `--via`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<ViaStatus>,
    /// The privileges of each of the gateway's processes.
    #[serde(default)]
    pub privileges: Vec<ProcessPrivileges>,
    /// The client that keeps the helper distro running; `None` if this command does not start one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<KeepAlive>,
}

/// The privileges of one of the gateway's processes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPrivileges {
    /// Which process.
    pub process: String,
    /// Its process id.
    pub pid: u32,
    /// Its user.
    pub user: u32,
    /// Its capabilities, without `CAP_`.
    pub capabilities: Vec<String>,
    /// Whether it and its children can gain no privileges (PR_SET_NO_NEW_PRIVS).
    pub no_new_privs: bool,
    /// Whether a system call that is not in its list kills it.
    pub seccomp: bool,
    /// The version of Landlock that keeps it from files.
    pub landlock: Option<u32>,
    /// The steps of this that the machine refused, and why.
    pub missing: Vec<String>,
}

/// The client of WSL that keeps the helper distro running; see [`crate::keep_alive`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepAlive {
    /// Whether it runs.
    pub state: KeepAliveState,
    /// Why the last one ended.
    pub last_error: Option<String>,
}

/// See [`KeepAlive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepAliveState {
    /// It was started and has not answered yet.
    Starting,
    /// It runs: WSL does not end the distro by itself.
    Held,
    /// It ended and waits for its next start.
    Waiting,
}

/// The way out by a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViaStatus {
    /// The proxy, without user and password, or `windows`.
    pub proxy: String,
    /// What goes directly.
    pub except: Vec<String>,
    /// Addresses whose names are known.
    pub names: usize,
    /// Why nothing goes through the proxy, while nothing does.
    pub last_error: Option<String>,
}

/// The gateway's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayState {
    /// No relay has answered yet.
    Starting,
    /// Traffic flows.
    Up,
    /// No relay runs: the VM uses its own network until one does.
    NoRelay,
}

impl std::fmt::Display for GatewayState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Up => "up",
            Self::NoRelay => "no-relay",
        })
    }
}

/// The TAP device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TapStatus {
    /// Its name.
    pub name: String,
    /// Bytes of the largest IP packet.
    pub mtu: u32,
    /// The same for everything except TCP, as on the host's way out; `None` if it is the TAP's.
    pub way_mtu: Option<u32>,
    /// Whether the kernel cuts segments and completes checksums.
    pub offload: bool,
    /// Addresses of the subnet.
    pub ipv4: Addresses4,
    /// IPv6 addresses, while the relay's host has IPv6.
    pub ipv6: Option<Addresses6>,
}

/// IPv4 addresses of the TAP's subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses4 {
    /// The gateway: nameserver and router.
    pub gateway: Ipv4Addr,
    /// The VM's own.
    pub vm: Ipv4Addr,
    /// Stands for the host's 127.0.0.1.
    pub host: Ipv4Addr,
    /// Length of the prefix.
    pub prefix: u8,
}

/// IPv6 addresses of the TAP's subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses6 {
    /// The gateway: nameserver and router.
    pub gateway: Ipv6Addr,
    /// The VM's own.
    pub vm: Ipv6Addr,
    /// Stands for the host's ::1.
    pub host: Ipv6Addr,
    /// Length of the prefix.
    pub prefix: u8,
}

/// A prefix that the VM reaches by a route of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectPrefix {
    /// The prefix, in CIDR form.
    pub prefix: String,
    /// The interface that the route leaves by.
    pub device: String,
}

/// One relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayStatus {
    /// Its lane, from 0.
    pub lane: usize,
    /// Its process id in the VM; `None` while it is not running.
    pub pid: Option<u32>,
    /// Seconds since its start.
    pub age_s: Option<u64>,
    /// How often it was restarted.
    pub restarts: u64,
    /// `starting`, `ready` or `waiting` (for its next start).
    pub state: String,
    /// Why the last one ended.
    pub last_error: Option<String>,
    /// Its name and version, as its hello says.
    pub version: Option<String>,
    /// Its capabilities beyond TCP.
    pub can: Vec<String>,
    /// What carries its frames; `None` while it is not ready.
    #[serde(default)]
    pub link: Option<LinkStatus>,
}

/// What carries a relay's frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// `stdio`, `vsock` or `tcp`.
    pub carries: String,
    /// Why no better link does, one entry for each.
    pub failures: Vec<LinkFailure>,
    /// Seconds until the next try for a link, if there is one.
    pub next_try_s: Option<u64>,
}

/// Open flows by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowCounts {
    /// TCP connections.
    pub tcp: usize,
    /// TCP connections that wait for the relay's connect.
    pub tcp_pending: usize,
    /// Ended connections in TIME-WAIT.
    pub time_wait: usize,
    /// Connections, since the start, that an app had closed and its kernel had forgotten.
    #[serde(default)]
    pub forgotten: u64,
    /// UDP source endpoints.
    pub udp: usize,
    /// Echo requests that wait for their reply.
    pub echo: usize,
    /// DNS queries that wait for their answer.
    pub dns: usize,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// TCP connections.
    pub tcp: u64,
    /// UDP source endpoints.
    pub udp: u64,
    /// DNS queries.
    pub dns: u64,
    /// Echo requests.
    pub echo: u64,
}

/// A count in each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpDown {
    /// From the VM.
    pub up: u64,
    /// To the VM.
    pub down: u64,
}

/// TCP connections for which there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// How many, since the start.
    pub count: u64,
    /// Seconds since the last one.
    pub last_s: u64,
}

/// TCP connections that made room for other users'.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Displaced {
    /// How many, since the start; half-open ones are among them.
    pub count: u64,
    /// The owner of the last one: `user 1000`, or a container's address.
    pub last_of: String,
    /// Seconds since the last one.
    pub last_s: u64,
}

/// DNS answers that named the host; see [`crate::dns::rebind`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebindStatus {
    /// How many, since the start.
    pub answers: u64,
    /// The names in the questions, each once, the newest last. Names with the answer 0.0.0.0 or
    /// `::` are left out: resolvers that block advertisements answer so.
    pub names: Vec<String>,
}

/// A limit and its current use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// What it limits.
    pub name: String,
    /// How many there are.
    pub now: u64,
    /// How many there may be.
    pub max: u64,
}
