//! Ethernet frames of the VM, made before the count begins.

use etherparse::{PacketBuilder, TcpHeader};
use std::net::Ipv4Addr;

pub(crate) const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const VM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// The VM on the TAP.
pub(crate) const VM: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 18);
/// The gateway there, which is also its nameserver.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 17);
/// A host in the network.
pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

/// Where IP and TCP begin.
pub(crate) const IP: usize = 14;
pub(crate) const TCP: usize = IP + 20;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

/// Linux's options in a SYN on a link of the product's MTU: MSS 65,480, window scale 7, selective
/// acknowledgements.
const SYN_OPTIONS: [u8; 12] = [2, 4, 0xff, 0xc8, 1, 3, 3, 7, 1, 1, 4, 2];

/// A segment to [`PEER`]'s port 80 with right checksums; [`place`] assigns it to a connection.
pub(crate) fn tcp(flags: u8, data: &[u8]) -> Vec<u8> {
    let mut header = TcpHeader::new(0, 80, 0, 0xffff);
    (header.fin, header.syn, header.ack) = (flags & FIN != 0, flags & SYN != 0, flags & ACK != 0);
    if header.syn && header.set_options_raw(&SYN_OPTIONS).is_err() {
        unreachable!("12 bytes of options fit");
    }
    let builder =
        PacketBuilder::ethernet2(VM_MAC, GATEWAY_MAC).ipv4(VM.octets(), PEER.octets(), 64);
    let mut frame = Vec::new();
    written(builder.tcp_header(header).write(&mut frame, data));
    frame
}

/// Assigns a prepared segment to another connection and place in its stream. It adjusts the
/// checksum (RFC 1624 3) instead of computing it again, so that this costs little compared with the
/// measured work.
pub(crate) fn place(frame: &mut [u8], port: u16, (seq, ack): (u32, u32)) {
    let tcp = &mut frame[TCP..TCP + 20];
    let before = changing(tcp);
    tcp[..2].copy_from_slice(&port.to_be_bytes());
    tcp[4..8].copy_from_slice(&seq.to_be_bytes());
    tcp[8..12].copy_from_slice(&ack.to_be_bytes());
    let old = u32::from(u16::from_be_bytes([tcp[16], tcp[17]]));
    // Adding the complement removes each of the five words.
    let mut sum = (0xffff - old) + (5 * 0xffff - before) + changing(tcp);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (0xffff - sum).to_be_bytes();
    tcp[16..18].copy_from_slice(&[high, low]);
}

/// The sum of the words of a TCP header that [`place`] changes.
fn changing(tcp: &[u8]) -> u32 {
    let word = |at: usize| u32::from(u16::from_be_bytes([tcp[at], tcp[at + 1]]));
    word(0) + word(4) + word(6) + word(8) + word(10)
}

/// A datagram of the VM's port 40000.
pub(crate) fn udp(to: (Ipv4Addr, u16), payload: &[u8]) -> Vec<u8> {
    let builder =
        PacketBuilder::ethernet2(VM_MAC, GATEWAY_MAC).ipv4(VM.octets(), to.0.octets(), 64);
    let mut frame = Vec::new();
    written(builder.udp(40_000, to.1).write(&mut frame, payload));
    frame
}

/// An echo request to [`PEER`] with ping's payload size.
pub(crate) fn echo_request() -> Vec<u8> {
    let builder =
        PacketBuilder::ethernet2(VM_MAC, GATEWAY_MAC).ipv4(VM.octets(), PEER.octets(), 64);
    let mut frame = Vec::new();
    written(builder.icmpv4_echo_request(1, 1).write(&mut frame, &[7; 56]));
    frame
}

fn written<E: std::fmt::Debug>(result: Result<(), E>) {
    if let Err(error) = result {
        unreachable!("an impossible packet in a scenario: {error:?}");
    }
}
