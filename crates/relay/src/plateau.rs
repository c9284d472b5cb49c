//! The MTU to report for a packet that was too big, if the host does not know it or claims one that
//! the packet fits: the next of the sizes that links commonly have. Pure.

/// Common MTUs (RFC 1191 section 7.1), largest first. The last is the smallest that an IPv4 link
/// may have (RFC 791).
const PLATEAUS: [u32; 11] = [65_535, 32_000, 17_914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68];

/// The MTU for a packet of `size` bytes, header included, that was too big. `known` is the host's
/// own knowledge of the path.
pub(crate) fn mtu_below(size: usize, known: Option<u32>) -> u32 {
    let fits = |mtu: &u32| usize::try_from(*mtu).is_ok_and(|mtu| mtu < size);
    let common = || PLATEAUS.into_iter().find(fits);
    known.filter(fits).or_else(common).unwrap_or(0)
}

/// The size of an IP packet without options or extension headers whose UDP or ICMP payload has that
/// many bytes.
pub(crate) fn packet_size(to: std::net::IpAddr, payload: usize) -> usize {
    payload + if to.is_ipv4() { 20 + 8 } else { 40 + 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_knows_is_reported_unless_the_packet_fits_it() {
        assert_eq!(mtu_below(1401, Some(1400)), 1400);
        assert_eq!(
            mtu_below(1401, Some(1500)),
            1006,
            "an adapter's MTU says nothing of the path beyond it"
        );
        assert_eq!(mtu_below(1500, Some(1500)), 1492);
        assert_eq!(mtu_below(9000, None), 8166);
        assert_eq!(mtu_below(60, None), 0);
        assert_eq!(packet_size([192, 0, 2, 1].into(), 1472), 1500);
        assert_eq!(packet_size(std::net::Ipv6Addr::LOCALHOST.into(), 1452), 1500);
    }
}
