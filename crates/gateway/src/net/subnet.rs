//! Which subnet the TAP gets: one that neither the VM nor the relay's host has a route into. Pure.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};

/// Prefix length of the TAP's subnet.
pub const PREFIX: u8 = 28;

/// In the order of trial: home networks rarely reach 214, companies use all of 10/8, WSL and Docker
/// the low ends of 172.16/12; then shared (RFC 6598) and link-local space (RFC 3927), for which a
/// VPN seldom has routes.
const CANDIDATES: [Ipv4Addr; 5] = [
    Ipv4Addr::new(192, 168, 214, 0),
    Ipv4Addr::new(10, 214, 214, 0),
    Ipv4Addr::new(172, 30, 214, 0),
    Ipv4Addr::new(100, 127, 214, 0),
    Ipv4Addr::new(169, 254, 214, 0),
];

/// Shorter routes are defaults in disguise (a VPN's 0.0.0.0/1 and 128.0.0.0/1) and show nothing
/// about the networks there.
const SHORTEST_THAT_COUNTS: u8 = 7;

/// Why there is no subnet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubnetError {
    /// The wish is not a /28, has host bits set, or cannot have hosts.
    #[error(
        "{wish} cannot be the TAP's subnet: it must be a /28 of unicast addresses and end on a \
         multiple of 16, like 192.168.214.0/28"
    )]
    NotASubnet {
        /// The wish.
        wish: Ipv4Net,
    },
    /// A route overlaps it.
    #[error(
        "the subnet {wish} overlaps the route to {route}: choose one that no route of Linux or \
         Windows covers"
    )]
    Overlap {
        /// The wish.
        wish: Ipv4Net,
        /// The overlapping route.
        route: IpNet,
    },
    /// All candidates are taken.
    #[error(
        "every subnet that is tried by itself overlaps a route of Linux or Windows: name a free \
         /28 in the settings, the last one tried met the route to {route}"
    )]
    NoneFree {
        /// The route that overlaps the last candidate.
        route: IpNet,
    },
}

/// The first address of a /28 that no route of `taken` covers: the wish, or the first free
/// candidate.
///
/// # Errors
/// See [`SubnetError`].
pub fn choose_subnet(taken: &[IpNet], wish: Option<Ipv4Net>) -> Result<Ipv4Addr, SubnetError> {
    if let Some(wish) = wish {
        let first = wish.network();
        let unicast = !first.is_multicast() && !first.is_broadcast() && first.octets()[0] != 0;
        if wish.prefix_len() != PREFIX || wish.addr() != first || !unicast {
            return Err(SubnetError::NotASubnet { wish });
        }
        return match in_the_way(taken, wish) {
            Some(route) => Err(SubnetError::Overlap { wish, route }),
            None => Ok(first),
        };
    }
    let mut last = None;
    for first in CANDIDATES {
        last = in_the_way(taken, Ipv4Net::new_assert(first, PREFIX));
        if last.is_none() {
            return Ok(first);
        }
    }
    match last {
        Some(route) => Err(SubnetError::NoneFree { route }),
        None => Ok(CANDIDATES[0]),
    }
}

fn in_the_way(taken: &[IpNet], subnet: Ipv4Net) -> Option<IpNet> {
    let overlaps = |route: &&IpNet| match route {
        IpNet::V4(net) => {
            net.prefix_len() >= SHORTEST_THAT_COUNTS
                && (net.contains(&subnet.network()) || subnet.contains(net))
        }
        IpNet::V6(_) => false,
    };
    taken.iter().find(overlaps).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(text: &str) -> Vec<IpNet> {
        text.split_whitespace().map(|net| net.parse().unwrap()).collect()
    }

    fn chosen(taken: &str) -> String {
        choose_subnet(&nets(taken), None).unwrap().to_string()
    }

    #[test]
    fn the_first_candidate_that_no_route_meets() {
        assert_eq!(chosen(""), "192.168.214.0");
        assert_eq!(chosen("192.168.1.0/24 192.168.213.0/24 192.168.214.16/28"), "192.168.214.0");
        assert_eq!(chosen("192.168.214.15/32"), "10.214.214.0");
        assert_eq!(chosen("192.168.0.0/16 10.0.0.0/8"), "172.30.214.0");
        assert_eq!(chosen("192.168.0.0/16 10.0.0.0/8 172.16.0.0/12"), "100.127.214.0");
        assert_eq!(
            chosen("192.168.0.0/16 10.0.0.0/8 172.16.0.0/12 100.64.0.0/10"),
            "169.254.214.0"
        );
        let all = nets("192.168.0.0/16 10.0.0.0/8 172.16.0.0/12 100.64.0.0/10 169.254.0.0/16");
        assert_eq!(choose_subnet(&all, None), Err(SubnetError::NoneFree { route: all[4] }));
    }

    #[test]
    fn defaults_in_whatever_disguise_take_nothing() {
        assert_eq!(
            chosen("0.0.0.0/0 0.0.0.0/1 128.0.0.0/1 192.0.0.0/6 ::/0 fd00::/8"),
            "192.168.214.0"
        );
        assert_eq!(chosen("192.0.0.0/7"), "10.214.214.0");
    }

    #[test]
    fn a_wish_is_kept_or_refused_by_name() {
        let wish =
            |text: &str, taken: &str| choose_subnet(&nets(taken), Some(text.parse().unwrap()));
        assert_eq!(
            wish("198.18.7.16/28", "10.0.0.0/8 0.0.0.0/0"),
            Ok(Ipv4Addr::new(198, 18, 7, 16))
        );
        let refusal = wish("10.1.1.0/28", "192.168.0.0/16 10.0.0.0/8").unwrap_err();
        assert!(refusal.to_string().contains("10.0.0.0/8"), "{refusal}");
        for bad in ["10.1.1.0/24", "10.1.1.1/28", "10.1.1.0/29", "224.0.0.0/28", "0.0.0.0/28"] {
            assert!(matches!(wish(bad, ""), Err(SubnetError::NotASubnet { .. })), "{bad}");
        }
    }
}
