//! Packets of the VM's apps, made and read by hand.

use std::net::Ipv4Addr;

pub(crate) const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const VM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The tunnel's subnet, and the addresses in it.
pub(crate) const SUBNET: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 16);
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 17);
pub(crate) const VM: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 18);

/// Protocols of IP.
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;

/// Flags of TCP.
pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

/// Two bytes of a packet as a number.
pub(crate) fn two(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// Four bytes of a packet as a number.
pub(crate) fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from(two(bytes, at)) << 16 | u32::from(two(bytes, at + 2))
}

/// How many bytes of data a TCP segment has.
pub(crate) fn data_length(tcp: &[u8]) -> usize {
    tcp.len() - 4 * usize::from(tcp[12] >> 4)
}

/// A packet of the VM in its frame.
pub(crate) fn frame(packet: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
    [&GATEWAY_MAC[..], &VM_MAC, &kind, packet].concat()
}

/// The Internet checksum of parts of even length (RFC 1071): 0 where they hold their own.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u64 =
        words.map(|two| u64::from(two[0]) << 8 | u64::from(two.get(1).copied().unwrap_or(0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}

/// Where TCP's header begins in a packet without options or extension headers; `None` for other
/// protocols.
#[cfg(test)]
pub(crate) fn tcp_at(packet: &[u8]) -> Option<usize> {
    match (packet[0] >> 4, packet[9], packet[6]) {
        (4, TCP, _) => Some(20),
        (6, _, TCP) => Some(40),
        _ => None,
    }
}

/// A length as it stands in a header.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).expect("it fits into a packet").to_be_bytes()
}

/// A message of TCP or UDP from the VM, with its checksum.
fn summed(to: Ipv4Addr, protocol: u8, mut message: Vec<u8>) -> Vec<u8> {
    let at = if protocol == TCP { 16 } else { 6 };
    let (from, to) = (VM.octets(), to.octets());
    let sum = checksum(&[&from, &to, &[0, protocol], &length(message.len()), &message]);
    message[at..at + 2].copy_from_slice(&(if sum == 0 { 0xffff } else { sum }).to_be_bytes());
    message
}

/// The packets of a message from the VM: fragments if it is larger than the MTU.
pub(crate) fn fragments(
    ident: u16,
    mtu: usize,
    to: Ipv4Addr,
    protocol: u8,
    message: &[u8],
) -> Vec<Vec<u8>> {
    let most = (mtu - 20) / 8 * 8;
    let count = message.len().div_ceil(most);
    let fragment = |(n, piece): (usize, &[u8])| {
        let more = if n + 1 < count { 0x2000 } else { 0 };
        let place = more | u16::try_from(n * most / 8).expect("it fits into a packet");
        let mut packet = [&[0x45, 0][..], &length(20 + piece.len())].concat();
        packet.extend([ident, place].map(u16::to_be_bytes).concat());
        packet.extend([64, protocol, 0, 0]);
        packet.extend([VM, to].map(|address| address.octets()).concat());
        let sum = checksum(&[&packet]).to_be_bytes();
        packet[10..12].copy_from_slice(&sum);
        packet.extend(piece);
        packet
    };
    message.chunks(most).enumerate().map(fragment).collect()
}

/// A packet of the VM.
pub(crate) fn ip(to: Ipv4Addr, protocol: u8, message: &[u8]) -> Vec<u8> {
    fragments(7, usize::from(u16::MAX), to, protocol, message).concat()
}

/// A segment from a port of the VM, without options.
pub(crate) fn tcp(
    from: u16,
    to: (Ipv4Addr, u16),
    (seq, ack): (u32, u32),
    flags: u8,
    data: &[u8],
) -> Vec<u8> {
    let mut tcp = [from, to.1].map(u16::to_be_bytes).concat();
    tcp.extend([seq, ack].map(u32::to_be_bytes).concat());
    tcp.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
    tcp.extend(data);
    ip(to.0, TCP, &summed(to.0, TCP, tcp))
}

/// A datagram from a port of the VM, without the header of IP.
pub(crate) fn datagram(from: u16, to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let ports = [from, to.1].map(u16::to_be_bytes).concat();
    let head = [&ports[..], &length(8 + payload.len()), &[0, 0]].concat();
    summed(to.0, UDP, [&head, payload].concat())
}

/// A datagram from a port of the VM.
pub(crate) fn udp(from: u16, to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    ip(to.0, UDP, &datagram(from, to, payload))
}

/// An echo request; its identifier and sequence number are at the head of `body`.
pub(crate) fn echo(body: &[u8]) -> Vec<u8> {
    let mut message = [&[8, 0, 0, 0][..], body].concat();
    let sum = checksum(&[&message]).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    message
}
