//! Interprets ICMP errors about a packet by type and code. How a host receives one is in its own
//! module.

use wire::FaultKind;

/// RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1. `mtu` is the MTU in a
/// 'fragmentation needed'.
pub(crate) fn fault4(kind: u8, code: u8, mtu: u32) -> Option<FaultKind> {
    Some(match (kind, code) {
        (3, 0 | 6 | 8 | 11) => FaultKind::NetworkUnreachable,
        (3, 1 | 5 | 7 | 12) => FaultKind::HostUnreachable,
        (3, 2) => FaultKind::ProtocolUnreachable,
        (3, 3) => FaultKind::PortUnreachable,
        (3, 4) => FaultKind::PacketTooBig { mtu },
        (3, _) => FaultKind::Prohibited,
        (11, _) => FaultKind::TimeExceeded,
        _ => return None,
    })
}

/// RFC 4443 section 3. `mtu` is the MTU in a 'packet too big'.
pub(crate) fn fault6(kind: u8, code: u8, mtu: u32) -> Option<FaultKind> {
    Some(match (kind, code) {
        (1, 0) => FaultKind::NetworkUnreachable,
        (1, 2 | 3) => FaultKind::HostUnreachable,
        (1, 4) => FaultKind::PortUnreachable,
        (1, _) => FaultKind::Prohibited,
        (2, _) => FaultKind::PacketTooBig { mtu },
        (3, _) => FaultKind::TimeExceeded,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_keep_their_meaning() {
        assert_eq!(fault4(3, 3, 0), Some(FaultKind::PortUnreachable));
        assert_eq!(fault4(3, 4, 1400), Some(FaultKind::PacketTooBig { mtu: 1400 }));
        assert_eq!(fault4(3, 13, 0), Some(FaultKind::Prohibited));
        assert_eq!(fault4(11, 0, 0), Some(FaultKind::TimeExceeded));
        assert_eq!(fault4(12, 0, 0), None);
        assert_eq!(fault6(1, 0, 0), Some(FaultKind::NetworkUnreachable));
        assert_eq!(fault6(1, 4, 0), Some(FaultKind::PortUnreachable));
        assert_eq!(fault6(2, 0, 1280), Some(FaultKind::PacketTooBig { mtu: 1280 }));
        assert_eq!(fault6(3, 0, 0), Some(FaultKind::TimeExceeded));
    }
}
