//! Servers and clients of the lab in Python, as text: started by `python3 -c`, so that they need
//! nothing of the checkout at run time.

/// A nameserver with records of every type under `lab.test`: `ADDRESS`.
pub const DNS_SERVER: &str = include_str!("dns_server.py");
/// A web server: `ADDRESS PORT TEXT`.
pub const HTTP_SERVER: &str = include_str!("http_server.py");
/// An echo by UDP: `ADDRESS PORT [TEXT]`.
pub const UDP_ECHO: &str = include_str!("udp_echo.py");
/// Sends a datagram and prints the answer: `ADDRESS PORT SIZE`.
pub const UDP_ASK: &str = include_str!("udp_ask.py");
/// An HTTP proxy that supports CONNECT only: `ADDRESS PORT`.
pub const HTTP_PROXY: &str = include_str!("http_proxy.py");
/// Sends datagrams that no router may fragment, and prints their fates: `ADDRESS PORT SIZE...`.
pub const PATH_MTU: &str = include_str!("path_mtu.py");
