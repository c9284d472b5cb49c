//! Ports at which a proxy may listen that no setting names.

use doctor::facts::Tool;
use probe::proxy::is_https;

/// Where proxy programs listen by default: Clash (7890), Clash Verge (7897), v2rayN (10808, 10809),
/// SOCKS5 and HTTP proxies in general.
pub(super) const USUAL_PORTS: [u16; 6] = [7890, 7897, 10808, 10809, 1080, 8080];

/// Where a proxy listens whose setting has no port, in the order in which it is tried. Tools
/// differ: libcurl, and so git and cargo, takes 1080 (`CURL_DEFAULT_PROXY_PORT` in lib/urldata.h);
/// Go, Python, Node and wget take the scheme's own.
pub(super) fn default_ports(tools: &[Tool], value: &str) -> Vec<u16> {
    let is_of_libcurl = |tool: &Tool| matches!(tool, Tool::Curl | Tool::Git | Tool::Cargo);
    let is_socks =
        value.trim_start().get(..5).is_some_and(|head| head.eq_ignore_ascii_case("socks"));
    let own = if is_socks {
        1080
    } else if is_https(value) {
        443
    } else {
        80
    };
    let libcurl = if is_https(value) { 443 } else { 1080 };
    // Each variable is read by both.
    let by = |tool: &Tool| if is_of_libcurl(tool) { vec![libcurl] } else { vec![own] };
    let of_all = tools
        .iter()
        .flat_map(|tool| if *tool == Tool::Environment { vec![own, libcurl] } else { by(tool) });
    let mut ports: Vec<u16> = Vec::new();
    of_all.for_each(|port| {
        if !ports.contains(&port) {
            ports.push(port);
        }
    });
    if ports.is_empty() { vec![own] } else { ports }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_port_each_tool_has_its_own() {
        for (tools, value, ports) in [
            (&[Tool::Git][..], "http://proxy", &[1080][..]),
            (&[Tool::Apt, Tool::Npm], "proxy", &[80]),
            (&[Tool::Environment], "http://proxy", &[80, 1080]),
            (&[Tool::Environment], "https://proxy", &[443]),
            (&[Tool::Curl, Tool::Pip], "http://proxy", &[1080, 80]),
            (&[Tool::Environment], "socks5h://proxy", &[1080]),
        ] {
            assert_eq!(default_ports(tools, value), ports, "{tools:?} {value}");
        }
    }
}
