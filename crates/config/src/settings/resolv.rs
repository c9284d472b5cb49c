//! `resolv.conf` taken over by hand, in the format of `resolv.conf(5)`.

use std::fmt::Write as _;
use std::net::IpAddr;

/// Where WSL writes what it generates, and where the link of a distro leads by default.
pub const GENERATED: &str = "/mnt/wsl/resolv.conf";

/// The first line, by which this program knows a file as its own.
pub const FIRST_LINE: &str = "# Written by `underpass settings dns manual`; `underpass settings \
                              dns auto` gives it back to WSL.";

/// The text for these servers and search domains, in this order.
#[must_use]
pub fn text(servers: &[IpAddr], search: &[String]) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    // Writing to a string cannot fail.
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}

/// A server of a private range that follows a public one, and the public one. The public server
/// does not know the company's names, and its answer that a name does not exist ends the search.
#[must_use]
pub fn behind_public(servers: &[IpAddr]) -> Option<(IpAddr, IpAddr)> {
    let public = servers.iter().position(|server| !is_private(*server))?;
    let private = servers[public..].iter().find(|server| is_private(**server))?;
    Some((*private, servers[public]))
}

/// RFC 1918, 6598 (behind a carrier's NAT), 4193; loopback and link-local addresses are private,
/// too.
fn is_private(server: IpAddr) -> bool {
    match server {
        IpAddr::V4(v4) => {
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || is_shared
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

/// Whether a name can be a search domain (RFC 1123 section 2.1, and `_`, which many companies use).
#[must_use]
pub fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    name.len() <= 253 && name.strip_suffix('.').unwrap_or(name).split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_kept() {
        let servers = ["10.1.2.3", "fd00::53", "9.9.9.9"].map(|server| server.parse().unwrap());
        let text = text(&servers, &["corp.example".to_owned(), "example".to_owned()]);
        let expected = format!(
            "{FIRST_LINE}\nsearch corp.example example\nnameserver 10.1.2.3\nnameserver fd00::53\nnameserver 9.9.9.9\n"
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_company_server_behind_a_public_one_is_found() {
        let find = |servers: &[&str]| {
            let servers: Vec<IpAddr> =
                servers.iter().map(|server| server.parse().unwrap()).collect();
            behind_public(&servers).map(|(private, public)| format!("{private} {public}"))
        };
        assert_eq!(find(&["10.1.2.3", "172.16.0.1", "223.5.5.5"]), None);
        assert_eq!(find(&["8.8.8.8", "1.1.1.1"]), None);
        assert_eq!(find(&["223.5.5.5", "10.1.2.3"]).as_deref(), Some("10.1.2.3 223.5.5.5"));
        assert_eq!(
            find(&["192.168.1.1", "2620:fe::fe", "fd00::53"]).as_deref(),
            Some("fd00::53 2620:fe::fe")
        );
        assert_eq!(find(&["9.9.9.9", "100.64.0.1"]).as_deref(), Some("100.64.0.1 9.9.9.9"));
    }

    #[test]
    fn domains_are_names() {
        assert!(is_domain("corp.example") && is_domain("_dc.example.") && is_domain("a"));
        for bad in ["", ".", "a..b", "a b", "a\nnameserver 1.2.3.4", "http://a"] {
            assert!(!is_domain(bad), "{bad}");
        }
    }
}
