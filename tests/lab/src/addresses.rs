//! The lab's addresses. All are private or documentation addresses (RFC 1918, RFC 5737, RFC 3849),
//! so that a mistake in the lab can reach no real host.

/// The VM's address on its NAT network, a /20 as WSL makes it.
pub const VM: &str = "172.28.48.2";
/// The host's address on the VM's network: the VM's default gateway and nameserver.
pub const NAT_GATEWAY: &str = "172.28.48.1";
/// The VM's NAT network.
pub const NAT_NETWORK: &str = "172.28.48.0/20";
/// The host's address towards the router.
pub const HOST: &str = "192.0.2.2";
/// The host's IPv6 address towards the router.
pub const HOST_V6: &str = "2001:db8:1::2";
/// The router's address towards the host: the first hop of a traceroute from the host.
pub const ROUTER: &str = "192.0.2.1";
/// The router's IPv6 address towards the host.
pub const ROUTER_V6: &str = "2001:db8:1::1";
/// A server on the internet, beyond the router.
pub const SERVER: &str = "203.0.113.10";
/// The same server's IPv6 address.
pub const SERVER_V6: &str = "2001:db8:f::10";
/// The server's name in the lab's DNS.
pub const SERVER_NAME: &str = "www.lab.test";
