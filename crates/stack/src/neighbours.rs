//! ARP (RFC 826) and neighbour discovery (RFC 4861): the gateway answers for its own addresses and
//! for all addresses beyond it.

use crate::addresses::{AddressPlan, VM6, may_be_remote};
use crate::icmp::{self, Ends};
use crate::link::{ETHER_ARP, ETHERNET, Link};
use crate::offload::{Transmit, TxMeta};
use crate::packet::Packet;
use crate::stats::{DropReason, Stats};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Answers an ARP request for an address that is ours or lies beyond us.
pub(crate) fn arp(
    link: &mut Link,
    plan: &AddressPlan,
    stats: &mut Stats,
    bytes: &[u8],
    out: &mut dyn Transmit,
) {
    let Some(bytes) = bytes.get(..28) else { return stats.drop(DropReason::Malformed) };
    if bytes[..6] != [0, 1, 8, 0, 6, 4] {
        return stats.drop(DropReason::Malformed);
    }
    let target = Ipv4Addr::new(bytes[24], bytes[25], bytes[26], bytes[27]);
    let ours = target == plan.gateway() || target == plan.host();
    // A kernel asks for an address outside the subnet only if a route says 'on this link', and then
    // the address lies beyond us. A station that has no address yet (RFC 5227 2.1.1) or asks for
    // its own expects no answer.
    let probe = bytes[14..18] == [0; 4] || bytes[14..18] == bytes[24..28];
    let beyond = !plan.is_own(target.into()) && may_be_remote(target.into()) && !probe;
    if bytes[6..8] != [0, 1] || !(ours || beyond) {
        return;
    }
    let mut frame = [0u8; ETHERNET + 28];
    frame[..ETHERNET].copy_from_slice(&link.ethernet(ETHER_ARP));
    let reply = &mut frame[ETHERNET..];
    reply[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 2]);
    reply[8..14].copy_from_slice(&link.gateway_mac);
    reply[14..18].copy_from_slice(&target.octets());
    reply[18..28].copy_from_slice(&bytes[8..18]);
    stats.frames_out += 1;
    stats.bytes_out += frame.len() as u64;
    out.transmit(&frame, TxMeta::default());
}

/// Answers a neighbour solicitation; other discovery messages need no answer.
pub(crate) fn solicited(
    link: &mut Link,
    plan: &AddressPlan,
    stats: &mut Stats,
    packet: &Packet<'_>,
    out: &mut dyn Transmit,
) {
    let Some(target) =
        packet.payload.get(8..24).and_then(|b| <[u8; 16]>::try_from(b).ok()).map(Ipv6Addr::from)
    else {
        return stats.drop(DropReason::Malformed);
    };
    // RFC 4861 7.1.1: a hop limit below 255 means that a router forwarded it.
    if packet.marks.ttl != 255 || target == VM6 || target.is_multicast() {
        return stats.drop(DropReason::Icmp);
    }
    let IpAddr::V6(asker) = packet.src else { return };
    // A station that checks its own new address (RFC 4862 5.4.2) asks from the unspecified address.
    // An answer would take the address from it. Another station's link-local address does not lie
    // beyond us either.
    let beyond =
        !plan.is_own(target.into()) && may_be_remote(target.into()) && !asker.is_unspecified();
    if !plan.is_alias(target.into()) && !beyond {
        return;
    }
    let everyone = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let to = if asker.is_unspecified() { everyone } else { asker };
    // Router, solicited, override.
    let flags = if asker.is_unspecified() { 0xa0 } else { 0xe0 };
    let mut message = vec![136, 0, 0, 0, flags, 0, 0, 0];
    message.extend_from_slice(&target.octets());
    message.extend_from_slice(&[2, 1]);
    message.extend_from_slice(&link.gateway_mac);
    let ends = Ends { from: target.into(), app: to.into(), ttl: 255 };
    icmp::send(link, stats, out, ends, message);
}
