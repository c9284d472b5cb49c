//! The host's facts, fitted into one frame. Each host collects them in `linux/facts.rs` or
//! `windows/facts.rs`.

use std::net::Ipv6Addr;
use wire::HostFacts;
use wire::limits::MAX_PAYLOAD;

/// The facts as JSON, at most [`MAX_PAYLOAD`] bytes. Facts that are too large lose the least
/// important parts: the settings file, then adapters and routes from the end of their lists.
pub(crate) fn to_json(mut facts: HostFacts) -> Vec<u8> {
    loop {
        let json = serde_json::to_vec(&facts).unwrap_or_default();
        if json.len() <= MAX_PAYLOAD {
            return json;
        }
        tracing::debug!(bytes = json.len(), "the host's facts do not fit into a frame");
        if facts.wslconfig.take().is_none() {
            facts.adapters.truncate(facts.adapters.len() / 2);
            facts.routes.truncate(facts.routes.len() / 2);
            facts.dns_servers.truncate(8);
            facts.system.truncate(facts.system.floor_char_boundary(100));
        }
    }
}

/// The addresses of the IPv6 internet, `2000::/3`, which IANA has set aside for global unicast.
const INTERNET6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Full-tunnel VPNs halve a default route, once or twice. Shorter pieces are subnets.
const LONGEST_PIECE: u32 = 8;

/// Whether routes, each with its prefix length, together cover the whole IPv6 internet: `::/0`,
/// `2000::/3`, or halves such as `::/1` and `8000::/1`, by which VPNs take all traffic without
/// touching the real default route.
pub(crate) fn covers_internet6(routes: impl IntoIterator<Item = (Ipv6Addr, u32)>) -> bool {
    let routes = routes.into_iter().filter(|(_, length)| *length <= LONGEST_PIECE);
    let routes: Vec<(u128, u32)> = routes.map(|(to, length)| (to.to_bits(), length)).collect();
    covers(&routes, INTERNET6.0.to_bits(), INTERNET6.1)
}

/// Whether routes cover the prefix of `length` bits that begins at `first`.
fn covers(routes: &[(u128, u32)], first: u128, length: u32) -> bool {
    // A shift by all bits leaves no difference.
    let contains = |(to, bits): &(u128, u32)| {
        *bits <= length && (to ^ first).checked_shr(128 - bits).unwrap_or(0) == 0
    };
    routes.iter().any(contains)
        || length < LONGEST_PIECE
            && covers(routes, first, length + 1)
            && covers(routes, first | 1 << (127 - length), length + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipv6_internet_is_covered_by_one_route_or_by_pieces() {
        let covered = |routes: &[&str]| {
            let parsed = routes.iter().map(|route| {
                let (to, length) = route.split_once('/').unwrap();
                (to.parse().unwrap(), length.parse().unwrap())
            });
            covers_internet6(parsed)
        };
        for routes in [
            &["::/0"][..],
            &["::/1"],
            &["::/2"],
            &["2000::/3"],
            &["::/1", "8000::/1"],
            &["2000::/4", "3000::/4"],
            &["2000::/4", "3000::/5", "3800::/5"],
        ] {
            assert!(covered(routes), "{routes:?}");
        }
        for routes in [
            &[][..],
            &["8000::/1"],
            &["4000::/2"],
            &["fc00::/7"],
            &["2000::/4"],
            &["2000::/4", "3800::/5"],
            &["2001:db8::/32"],
        ] {
            assert!(!covered(routes), "{routes:?}");
        }
    }
    use wire::facts::WslConfig;

    #[test]
    fn any_host_fits_a_frame() {
        let many = HostFacts {
            system: "x".repeat(100_000),
            routes: (0..20_000).map(|n| format!("10.{}.{}.0/24", n / 256, n % 256)).collect(),
            wslconfig: Some(WslConfig {
                path: "C:".to_owned(),
                text: Some("\u{1}".repeat(16 * 1024)),
            }),
            ..HostFacts::default()
        };
        let json = to_json(many);
        assert!(json.len() <= MAX_PAYLOAD);
        let read: HostFacts = serde_json::from_slice(&json).unwrap();
        assert!(read.routes.len() > 1000 && read.wslconfig.is_none());
        let few = HostFacts { routes: vec!["10.0.0.0/8".to_owned()], ..HostFacts::default() };
        assert_eq!(serde_json::from_slice::<HostFacts>(&to_json(few.clone())).unwrap(), few);
    }
}
