//! The relay's report on its host, as JSON: small, rare and extensible (unknown keys are ignored).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Facts about the relay's host: for the gateway's decisions, and for a person who looks for a
/// broken hop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Name and version of the operating system, for people.
    pub system: String,
    /// The host's own names, with the DNS suffixes that it has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Whether the host has a route to the IPv6 internet.
    pub ipv6: bool,
    /// The host's routes and connected subnets in CIDR form (`10.0.0.0/8`), without default routes.
    pub routes: Vec<String>,
    /// Addresses of the DNS servers that the host's resolver asks, in its order.
    pub dns_servers: Vec<String>,
    /// The host's adapters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub adapters: Vec<Adapter>,
    /// The index of the adapter by which the host would reach a public IPv4 address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internet_adapter: Option<u32>,
    /// Proxy settings of the user whose program the relay is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_proxy: Option<Proxy>,
    /// Proxy settings of the machine's services (WinHTTP).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_proxy: Option<Proxy>,
    /// The user's `.wslconfig`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wslconfig: Option<WslConfig>,
    /// What else WSL's networking depends on; `None` on hosts other than Windows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wsl: Option<WslHost>,
}

/// The settings of Windows by which WSL decides on its networking mode, its DNS and its firewall. A
/// field that could not be read is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WslHost {
    /// Whether `DnsQueryRaw` works, without which WSL has no DNS tunneling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_query_raw: Option<bool>,
    /// Whether the service `GlobalSecureAccessTunnelingService` runs, beside which WSL has no DNS
    /// tunneling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub global_secure_access: Option<bool>,
    /// `DisabledComponents` of IPv6 in the registry: 0xFF switches IPv6 off, without which WSL has
    /// no mirrored mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6_disabled_components: Option<u32>,
    /// Numbers in `HKLM\Software\Policies\WSL`, by name: what an administrator decided for WSL.
    /// Empty where nothing is decided.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, u32>,
}

/// An adapter of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Adapter {
    /// The index by which routes name it.
    pub index: u32,
    /// The name that its user sees, such as `Wi-Fi`.
    pub name: String,
    /// Its driver's description.
    pub description: String,
    /// Its kind in words: `ethernet`, `wi-fi`, `ppp`, `tunnel`, `virtual`, `loopback`, `mobile`, or
    /// `other` with the number that IANA gives it (ifType).
    pub kind: String,
    /// Whether it carries packets now.
    pub up: bool,
    /// Its addresses in CIDR form.
    pub addresses: Vec<String>,
    /// Its gateways.
    pub gateways: Vec<String>,
    /// DNS servers set for it.
    pub dns_servers: Vec<String>,
    /// The metric that it adds to its IPv4 routes (on Linux, where adapters have no metric, that of
    /// its default route); 0 if it is unknown.
    pub metric: u32,
    /// Largest IP packet in bytes.
    pub mtu: u32,
    /// Why it counts as a VPN's; `None` for other adapters.
    pub vpn: Option<String>,
}

/// Proxy settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Proxy {
    /// Whether Windows looks for a script in the network (WPAD).
    pub auto_detect: bool,
    /// The URL of the script (PAC).
    pub pac_url: Option<String>,
    /// The proxy, as Windows writes it: `host:port`, or `http=host:port;https=host:port`.
    pub proxy: Option<String>,
    /// The destinations that bypass it, separated by semicolons.
    pub bypass: Option<String>,
}

/// The settings file of WSL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WslConfig {
    /// Its path on the host.
    pub path: String,
    /// Its content, at most 16 KiB; `None` if there is no such file.
    pub text: Option<String>,
}

/// The output of a relay with `probe`: what its host is, and what it can do by itself now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostProbe {
    /// The host's facts.
    pub facts: HostFacts,
    /// The host's clock, in milliseconds since 1970 (UTC).
    pub unix_ms: u64,
    /// The resolver's result for each name.
    pub names: Vec<NameAnswer>,
    /// The outcome of each connection.
    pub connects: Vec<ConnectAnswer>,
}

/// A resolver's result for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameAnswer {
    /// The name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Why there are none: `no-address`, `nxdomain`, `servfail`, `refused`, `timed-out`,
    /// `no-server`, or `rcode` and a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How long it took.
    pub ms: u64,
}

/// The outcome of a TCP connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectAnswer {
    /// `HOST:PORT`, as it was asked for.
    pub target: String,
    /// Why it failed: `refused`, `timed-out`, `no-address`, or the system's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// How long it took.
    pub ms: u64,
}

/// The output of a relay with `watch`: the first change of its host's network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostChange {
    /// After how many milliseconds the system reported one; `None` if none came in time.
    pub after_ms: Option<u64>,
    /// Whether the facts about the host differ from those before.
    pub facts_differ: bool,
}
