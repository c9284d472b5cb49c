//! DF, DSCP and ECN: of datagrams both ways. TCP has no ECN.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::raw::{ACK, Raw, SYN, SYN_OPTIONS};
use common::rig::{APP, PEER, Rig};
use common::*;
use underpass_stack::*;

/// A datagram to [`PEER`] or its IPv6 counterpart, with a traffic class, and with or without DF
/// over IPv4.
fn marked(v6: bool, class: u8, df: bool) -> Vec<u8> {
    if v6 {
        let mut packet = udp("[fd75:6e64:6572::2]:1", "[2600::1]:2", 64, &[1; 64]);
        packet[..2].copy_from_slice(&[0x60 | class >> 4, class << 4]);
        return packet;
    }
    let mut packet = udp(APP, PEER, 64, &[1; 64]);
    packet[1] = class;
    packet[6] = if df { 0x40 } else { 0 };
    sum4(&mut packet);
    packet
}

fn sum4(packet: &mut [u8]) {
    packet[10..12].copy_from_slice(&[0, 0]);
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&packet[..20]).ones_complement();
    packet[10..12].copy_from_slice(&sum.to_ne_bytes());
}

/// Two fragments of a packet. The second one has congestion marked if the packet's sender supports
/// ECN.
fn in_two(packet: &[u8]) -> [Vec<u8>; 2] {
    let v6 = packet[0] >> 4 == 6;
    let header = if v6 { 40 } else { 20 };
    [(0, 40, 1u16), (40, packet.len() - header, 0)].map(|(start, end, more)| {
        let mut part = packet[..header].to_vec();
        if v6 {
            part[6] = 44;
            part[4..6].copy_from_slice(&u16::try_from(8 + end - start).unwrap().to_be_bytes());
            part.extend_from_slice(&[17, 0]);
            part.extend_from_slice(&(u16::try_from(start).unwrap() | more).to_be_bytes());
            part.extend_from_slice(&[0, 0, 0, 9]);
        }
        part.extend_from_slice(&packet[header + start..header + end]);
        if !v6 {
            part[1] |= if more == 0 && part[1] & 3 != 0 { 3 } else { 0 };
            let length = u16::try_from(part.len()).unwrap();
            part[2..4].copy_from_slice(&length.to_be_bytes());
            part[6..8]
                .copy_from_slice(&(u16::try_from(start / 8).unwrap() | more << 13).to_be_bytes());
            sum4(&mut part);
        }
        part
    })
}

#[test]
fn traffic_class_and_the_ban_on_fragments_are_carried() {
    let mut rig = Rig::new(1500);
    let mut marks_of = |packets: &[Vec<u8>]| {
        let events: Vec<Event> = packets.iter().flat_map(|packet| rig.feed(packet).0).collect();
        let Some(Event::Datagram { marks, .. }) = events.last() else { panic!("{events:?}") };
        (marks.traffic_class, marks.fragments)
    };
    for class in [0, 0xb9, 0xff] {
        assert_eq!(marks_of(&[marked(false, class, true)]), (class, Fragments::Forbidden));
        assert_eq!(marks_of(&[marked(false, class, false)]), (class, Fragments::Allowed));
        assert_eq!(
            marks_of(&[marked(true, class, true)]),
            (class, Fragments::Forbidden),
            "no router fragments it"
        );
        assert_eq!(marks_of(&in_two(&marked(true, class, true))), (class, Fragments::Allowed));
    }
    assert_eq!(marks_of(&in_two(&marked(false, 0xb8, false))), (0xb8, Fragments::Allowed));
    // RFC 3168 5.3: one fragment experienced congestion.
    assert_eq!(marks_of(&in_two(&marked(false, 0xb9, false))), (0xbb, Fragments::Allowed));
}

#[test]
fn a_datagram_comes_with_its_traffic_class() {
    for (app, peer) in [(APP, PEER), ("[fd75:6e64:6572::2]:1", "[2600::1]:2")] {
        let mut rig = Rig::new(1500);
        let bind = rig.bind(app, peer);
        for (class, length) in [(0, 10), (0xb9, 10), (0xff, 10), (0xb9, 3000)] {
            let (bytes, marks) =
                (vec![7; length], Marks { traffic_class: class, ..Marks::of_ttl(9) });
            let sent = rig.out(|s, now, out| {
                s.deliver_datagram(now, bind, peer.parse().unwrap(), &bytes, marks, out)
            });
            assert_eq!(sent.len(), if length > 1500 { 3 } else { 1 });
            for part in &sent {
                let (found, ttl) = if part[0] >> 4 == 4 {
                    (part[1], part[8])
                } else {
                    (part[0] << 4 | part[1] >> 4, part[7])
                };
                assert_eq!((found, ttl), (class, 9));
            }
        }
    }
}

#[test]
fn too_big_packets_are_reported_with_the_links_mtu() {
    for (app, peer) in [(APP, PEER), ("[fd75:6e64:6572::2]:1", "[2600::1]:2")] {
        let mut rig = Rig::new(65_520);
        let bind = rig.bind(app, peer);
        for (mtu, reported) in [(1400, 1400), (1280, 1280), (0, 1280)] {
            let fault = Fault { kind: FaultKind::PacketTooBig { mtu }, router: None };
            let sent = rig.out(|s, now, out| {
                s.deliver_peer_error(now, bind, peer.parse().unwrap(), fault, out)
            });
            let [packet] = &sent[..] else { panic!("{sent:?}") };
            let icmp = &packet[if packet[0] >> 4 == 4 { 20 } else { 40 }..];
            let kind = if packet[0] >> 4 == 4 { [3, 4] } else { [2, 0] };
            assert_eq!(
                (&icmp[..2], u32::from_be_bytes(icmp[4..8].try_into().unwrap())),
                (&kind[..], reported),
                "{mtu}"
            );
        }
    }
}

#[test]
fn tcp_refuses_ecn() {
    const ECE: u8 = 0x40;
    for offload in [Offload::None, Offload::Vnet] {
        for ecn in [false, true] {
            let mut header = etherparse::TcpHeader::new(5000, 80, 7, 0xffff);
            (header.syn, header.ece, header.cwr) = (true, ecn, ecn);
            header.set_options_raw(&SYN_OPTIONS).unwrap();
            let mut packet = Vec::new();
            let ip = etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [93, 184, 216, 34], 64);
            ip.tcp_header(header).write(&mut packet, &[]).unwrap();
            let mut raw = Raw::new(offload);
            raw.feed(&packet);
            assert!(raw.turn().is_empty());
            let flow = raw.connecting();
            raw.stack.accept(raw.now, flow, &mut raw.sink);
            let [answer] = &raw.turn()[..] else { panic!("not one segment") };
            // RFC 3168 6.1.1: ECE in the SYN-ACK would accept ECN.
            assert_eq!((answer.flags, answer.flags & ECE), (SYN | ACK, 0), "{offload:?}, {ecn}");
        }
    }
}
