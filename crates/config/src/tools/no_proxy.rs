//! What goes without the proxy: `NO_PROXY`.

use ipnet::IpNet;

/// Loopback, this machine's link, and the ranges that no proxy of the internet can reach (RFC 1918,
/// RFC 4193, RFC 3927), in the forms that most tools know; `.internal` has the names that the
/// tunnel and Docker give the host.
const ALWAYS: [&str; 11] = [
    "localhost",
    "127.0.0.1",
    "127.0.0.0/8",
    "::1",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "fc00::/7",
    "fe80::/10",
    ".internal",
];

/// A value for `NO_PROXY`: first what is there already, then loopback and private ranges, then the
/// subnets of this machine; nothing twice.
#[must_use]
pub fn no_proxy(already: &[&str], subnets: &[IpNet]) -> String {
    let subnets: Vec<String> = subnets.iter().map(|net| net.trunc().to_string()).collect();
    let mut all: Vec<&str> = Vec::new();
    let there = already
        .iter()
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .filter(|part| !part.is_empty());
    for part in there.chain(ALWAYS).chain(subnets.iter().map(String::as_str)) {
        if !all.contains(&part) {
            all.push(part);
        }
    }
    all.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_parts_come_first_and_nothing_comes_twice() {
        let subnets: [IpNet; 2] =
            ["172.28.48.2/20".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let value = no_proxy(&[".corp.test, 10.0.0.0/8", ".corp.test"], &subnets);
        let parts: Vec<&str> = value.split(',').collect();
        assert_eq!(parts[..3], [".corp.test", "10.0.0.0/8", "localhost"]);
        assert_eq!(parts.last(), Some(&"172.28.48.0/20"));
        for range in ALWAYS {
            assert_eq!(parts.iter().filter(|part| **part == range).count(), 1, "{range}");
        }
        // A second time nothing is added.
        assert_eq!(no_proxy(&[&value], &subnets), value);
    }
}
