//! What the relay tells of the host that it runs on, as JSON: small, rare and extensible (an unknown key is ignored).

use serde::{Deserialize, Serialize};

/// Facts about the relay's host that the gateway decides by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostFacts {
    /// Name and version of the operating system, for people.
    pub system: String,
    /// Whether the host has a route to the IPv6 internet.
    pub ipv6: bool,
    /// The host's routes and connected subnets in CIDR form (`10.0.0.0/8`), without default routes.
    pub routes: Vec<String>,
    /// Addresses of the DNS servers that the host's resolver asks.
    pub dns_servers: Vec<String>,
}
