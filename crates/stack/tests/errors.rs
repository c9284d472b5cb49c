//! ICMP: the requests that are carried, the errors that a packet causes, their size, and the
//! packets that are dropped silently.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::{APP, PEER, Rig};
use common::*;
use etherparse::checksum::Sum16BitWords;
use std::net::{IpAddr, Ipv6Addr};
use underpass_stack::*;

const VM6: &str = "fd75:6e64:6572::2";
const PEER6: &str = "2600::1";

/// An ICMP message from the VM whose checksum field is 0.
fn icmp(to: &str, mut message: Vec<u8>) -> Vec<u8> {
    let mut packet = Vec::new();
    match to.parse().unwrap() {
        IpAddr::V4(to) => {
            let sum = Sum16BitWords::new().add_slice(&message).ones_complement();
            message[2..4].copy_from_slice(&sum.to_ne_bytes());
            let ip = etherparse::PacketBuilder::ipv4([10, 99, 0, 18], to.octets(), 64);
            ip.write(&mut packet, etherparse::IpNumber::ICMP, &message).unwrap();
        }
        IpAddr::V6(to) => {
            let from: Ipv6Addr = VM6.parse().unwrap();
            let length = u16::try_from(message.len()).unwrap();
            let sum = Sum16BitWords::new().add_slice(&from.octets()).add_slice(&to.octets());
            let sum = sum.add_2bytes(length.to_be_bytes()).add_2bytes([0, 58]);
            let sum = sum.add_slice(&message).ones_complement();
            message[2..4].copy_from_slice(&sum.to_ne_bytes());
            let ip = etherparse::PacketBuilder::ipv6(from.octets(), to.octets(), 64);
            ip.write(&mut packet, etherparse::IpNumber::IPV6_ICMP, &message).unwrap();
        }
    }
    packet
}

/// An echo request.
fn ping(to: &str) -> Vec<u8> {
    let kind = if to.contains(':') { 128 } else { 8 };
    icmp(to, vec![kind, 0, 0, 0, 0, 77, 0, 3, 1, 2, 3, 4])
}

/// A TCP segment from the VM's port 4000 to port 80.
fn tcp(to: &str, seq: u32, ack: Option<u32>, options: &[u8]) -> Vec<u8> {
    let mut header = etherparse::TcpHeader::new(4000, 80, seq, 0xffff);
    (header.syn, header.ack) = (ack.is_none(), ack.is_some());
    header.acknowledgment_number = ack.unwrap_or(0);
    header.set_options_raw(options).unwrap();
    let ip = match to.parse().unwrap() {
        IpAddr::V4(to) => etherparse::PacketBuilder::ipv4([10, 99, 0, 18], to.octets(), 64),
        IpAddr::V6(to) => {
            let from: Ipv6Addr = VM6.parse().unwrap();
            etherparse::PacketBuilder::ipv6(from.octets(), to.octets(), 64)
        }
    };
    let mut packet = Vec::new();
    ip.tcp_header(header).write(&mut packet, &[]).unwrap();
    packet
}

/// The answer's ICMP type and code, and the reason for the drop.
fn answer(rig: &mut Rig, packet: &[u8]) -> (Option<[u8; 2]>, Vec<DropReason>) {
    let before = rig.stack.stats().clone();
    let (events, sent) = rig.feed(packet);
    assert!(events.is_empty(), "{events:?}");
    let after = rig.stack.stats().clone();
    let grew = |why: &DropReason| after.dropped(*why) > before.dropped(*why);
    let kind = sent.first().map(|sent| {
        let head = if sent[0] >> 4 == 6 { 40 } else { 20 };
        [sent[head], sent[head + 1]]
    });
    (kind, DropReason::ALL.into_iter().filter(grew).collect())
}

/// Addresses that no host of the network has: the app learns at once that nothing is there, or that
/// it may not go there.
#[test]
fn a_ping_or_a_datagram_that_goes_nowhere_is_answered_with_why() {
    let mut closed = plan();
    closed.host_access = HostAccess::Only(Vec::new());
    let mut rig = Rig::new(1500);
    rig.stack.set_addresses(closed);
    let (refused, nowhere) = (DropReason::Refused, DropReason::BadDestination);
    for (packet, kind, why) in [
        // The host's loopback, by its aliases and by a captured address.
        (ping("10.99.0.19"), [3, 13], refused),
        (ping("172.20.0.1"), [3, 13], refused),
        (ping("fd75:6e64:6572::3"), [1, 1], refused),
        (udp(APP, "10.99.0.19:9", 64, b"x"), [3, 13], refused),
        (udp("[fd75:6e64:6572::2]:1", "[fd75:6e64:6572::3]:9", 64, b"x"), [1, 1], refused),
        // Own addresses that no host has.
        (ping("10.99.0.20"), [3, 1], nowhere),
        (ping("fd75:6e64:6572::9"), [1, 3], nowhere),
        (udp(APP, "10.99.0.20:9", 64, b"x"), [3, 1], nowhere),
        (udp("[fd75:6e64:6572::2]:1", "[fd75:6e64:6572::9]:9", 64, b"x"), [1, 3], nowhere),
        (udp(APP, "8.8.4.4:0", 64, b"x"), [3, 3], nowhere),
        (tcp("10.99.0.20", 1, None, &[]), [3, 1], nowhere),
        (tcp("fd75:6e64:6572::9", 1, None, &[]), [1, 3], nowhere),
        (udp(APP, "10.99.0.17:9", 64, b"x"), [3, 3], refused),
    ] {
        assert_eq!(answer(&mut rig, &packet), (Some(kind), vec![why]), "{packet:?}");
    }
}

#[test]
fn a_damaged_packet_is_neither_answered_nor_carried() {
    let mut rig = Rig::new(1500);
    let solicited =
        [&[135, 0, 0, 0, 0, 0, 0, 0][..], &[0xfd, 0x75, 0x6e, 0x64, 0x65, 0x72]].concat();
    let mut solicited = [&solicited[..], &[0; 9], &[1]].concat();
    solicited.extend_from_slice(&[1, 1]);
    solicited.extend_from_slice(&VM_MAC);
    let mut solicitation = icmp("fd75:6e64:6572::1", solicited);
    // Hop limit 255 (RFC 4861 7.1.1).
    solicitation[7] = 255;
    assert_eq!(rig.feed(&solicitation).1.len(), 1, "the whole request is answered");
    for packet in [
        solicitation,
        ping("8.8.8.8"),
        ping(PEER6),
        tcp("8.8.8.8", 1, None, &[]),
        tcp(PEER6, 1, None, &[]),
        udp(APP, PEER, 64, b"x"),
    ] {
        let mut damaged = packet.clone();
        let last = damaged.len() - 1;
        damaged[last] ^= 4;
        assert_eq!(answer(&mut rig, &damaged), (None, vec![DropReason::Checksum]), "{packet:?}");
    }
    assert_eq!(answer(&mut rig, &[0x45; 19]), (None, vec![DropReason::Malformed]));
}

/// Only a whole question asks for an address, and an answer is not a question.
#[test]
fn a_question_for_a_neighbour_that_is_cut_short_or_of_another_kind_is_not_answered() {
    let mut arp = vec![0xff; 6];
    arp.extend_from_slice(&VM_MAC);
    arp.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend_from_slice(&VM_MAC);
    arp.extend_from_slice(&[10, 99, 0, 18, 0, 0, 0, 0, 0, 0, 10, 99, 0, 17]);
    let ask = |arp: &[u8]| {
        let (mut rig, mut sink) = (Rig::new(1500), Sink::default());
        rig.stack.ingest(rig.now, arp, RxMeta::Unverified, &mut sink);
        (sink.0.len(), rig.stack.stats().dropped(DropReason::Malformed))
    };
    assert_eq!(ask(&arp), (1, 0));
    assert_eq!(ask(&[&arp[..], &[0; 18]].concat()), (1, 0), "Ethernet padded it");
    for length in 14..arp.len() {
        assert_eq!(ask(&arp[..length]), (0, 1), "{length} bytes");
    }
    // Another medium, protocol or address length; an answer; another operation.
    for (at, byte, malformed) in
        [(15, 6, 1), (16, 9, 1), (18, 8, 1), (19, 16, 1), (21, 2, 0), (20, 1, 0)]
    {
        let mut other = arp.clone();
        other[at] = byte;
        assert_eq!(ask(&other), (0, malformed), "{at}");
    }
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&"fd75:6e64:6572::1".parse::<Ipv6Addr>().unwrap().octets());
    for length in 8..=message.len() {
        let mut packet = icmp("fd75:6e64:6572::1", message[..length].to_vec());
        packet[7] = 255;
        let mut rig = Rig::new(1500);
        let sent = rig.feed(&packet).1.len();
        let malformed = rig.stack.stats().dropped(DropReason::Malformed);
        let expected = if length == message.len() { (1, 0) } else { (0, 1) };
        assert_eq!((sent, malformed), expected, "{length} bytes");
    }
}

/// A broadcast frame does not justify an answer (RFC 1122 3.2.2).
#[test]
fn a_packet_in_a_broadcast_frame_is_dropped_without_a_word() {
    let mut rig = Rig::new(1500);
    for packet in [ping("10.99.0.20"), ping("8.8.8.8"), udp(APP, PEER, 64, b"x")] {
        let mut frame = frame(&packet);
        frame[..6].fill(0xff);
        let mut sink = Sink::default();
        let before = rig.stack.stats().dropped(DropReason::Group);
        rig.stack.ingest(rig.now, &frame, RxMeta::Unverified, &mut sink);
        assert!(sink.0.is_empty() && rig.stack.poll_event().is_none());
        assert_eq!(rig.stack.stats().dropped(DropReason::Group), before + 1);
    }
}

/// While its events are not fetched, no packet leads to more events, and none is answered.
#[test]
fn a_stack_whose_events_are_not_fetched_takes_nothing_new() {
    let mut rig = Rig::new(1500);
    rig.stack.set_uplink(&["10.99.0.18".parse().unwrap()], Strays::Elsewhere);
    let datagram = frame(&udp(APP, PEER, 64, b"x"));
    for _ in 0..limits::MAX_EVENTS {
        rig.stack.ingest(rig.now, &datagram, RxMeta::Unverified, &mut Sink::default());
    }
    for packet in [
        tcp("8.8.8.8", 1, Some(1), &[]),
        tcp("8.8.8.8", 1, None, &[]),
        udp(APP, PEER, 64, b"x"),
        udp(APP, "10.99.0.17:53", 64, b"x"),
        ping("8.8.8.8"),
        icmp("8.8.8.8", vec![0, 0, 0, 0, 0, 77, 0, 3]),
    ] {
        let before = rig.stack.stats().dropped(DropReason::EventsFull);
        let mut sink = Sink::default();
        rig.stack.ingest(rig.now, &frame(&packet), RxMeta::Unverified, &mut sink);
        assert!(sink.0.is_empty());
        assert_eq!(rig.stack.stats().dropped(DropReason::EventsFull), before + 1, "{packet:?}");
    }
    assert_eq!((rig.stack.stats().half_open, rig.stack.stats().binds), (0, 1));
}

#[test]
fn an_icmp_message_that_is_neither_a_request_nor_an_error_is_dropped_as_such() {
    let mut rig = Rig::new(1500);
    let message = |kind: u8| [&[kind, 0, 0, 0, 0, 77, 0, 3][..], &[0; 28]].concat();
    for kind in 0..=u8::MAX {
        let error = [3, 4, 5, 11, 12].contains(&kind);
        let expected = match kind {
            8 => continue,
            // A request that no program can send for the app.
            13 => (Some([3, 13]), vec![DropReason::Icmp]),
            _ if error => (None, vec![DropReason::IcmpError]),
            _ => (None, vec![DropReason::Icmp]),
        };
        assert_eq!(answer(&mut rig, &icmp("8.8.8.8", message(kind))), expected, "type {kind}");
    }
    for kind in 0..=u8::MAX {
        let expected = match kind {
            // An echo request, and neighbour discovery.
            128 | 135 => continue,
            1..=127 => DropReason::IcmpError,
            _ => DropReason::Icmp,
        };
        let (sent, why) = answer(&mut rig, &icmp(PEER6, message(kind)));
        assert_eq!((sent, why), (None, vec![expected]), "type {kind}");
    }
}

/// RFC 8201 section 4: a router's report about a segment in flight, and about no other, makes later
/// segments smaller, down to the size that every link carries.
#[test]
fn segments_over_ipv6_shrink_when_a_router_says_so() {
    // The MTU that a router reports, the byte in flight that it quotes, and the next segments.
    for (mtu, about, next) in [
        (1400u32, 0, [1340, 660]),
        (1300, 1499, [1240, 760]),
        (1280, 0, [1220, 780]),
        (0, 0, [1220, 780]),
        (100_000, 0, [1440, 560]),
        (1300, -1, [1440, 560]),
        (1300, 1500, [1440, 560]),
    ] {
        let mut rig = Rig::new(1500);
        rig.stack = Stack::new(config(Offload::Vnet, 1500), rig.now);
        let (events, _) = rig.feed(&tcp(PEER6, 1, None, &[2, 4, 5, 0xa0]));
        let [Event::Connect { flow, .. }] = events[..] else { panic!("{events:?}") };
        let sent = rig.out(|s, now, out| {
            s.accept(now, flow, out);
            s.service(now, out);
        });
        let mut first = be32(&sent[0], 44).wrapping_add(1);
        let say = |rig: &mut Rig, bytes: usize| {
            let mut sink = Sink::default();
            rig.stack.write(flow, &vec![7; bytes]);
            rig.stack.service(rig.now, &mut sink);
            let packets = sink.0.iter().flat_map(|(frame, meta)| kernel(frame, *meta));
            packets.map(|packet| packet.len() - 60).collect::<Vec<_>>()
        };
        rig.feed(&tcp(PEER6, 2, Some(first), &[]));
        assert_eq!(say(&mut rig, 1500), [1440, 60]);
        let mut quoted = Vec::new();
        let [from, to]: [Ipv6Addr; 2] = [PEER6, VM6].map(|ip| ip.parse().unwrap());
        etherparse::PacketBuilder::ipv6(from.octets(), to.octets(), 60)
            .tcp(80, 4000, first.wrapping_add_signed(about), 1)
            .write(&mut quoted, &[])
            .unwrap();
        let [a, b, c, d] = mtu.to_be_bytes();
        let too_big = icmp(PEER6, [&[2, 0, 0, 0, a, b, c, d][..], &quoted[..48]].concat());
        assert_eq!(answer(&mut rig, &too_big), (None, vec![DropReason::IcmpError]));
        first = first.wrapping_add(1500);
        rig.feed(&tcp(PEER6, 2, Some(first), &[]));
        assert_eq!(say(&mut rig, 2000), next, "MTU {mtu} about byte {about}");
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// If IPv6 is switched off while a connection is pending, the connection ends when its app starts
/// it again.
#[test]
fn a_pending_connection_over_ipv6_does_not_start_again_when_ipv6_is_off() {
    let mut rig = Rig::new(1500);
    let (events, _) = rig.feed(&tcp(PEER6, 1, None, &[]));
    let [Event::Connect { flow, .. }] = events[..] else { panic!("{events:?}") };
    rig.stack.set_ipv6(Ipv6::Disabled);
    let mut anew = tcp(PEER6, 9, None, &[]);
    // With another number of hops.
    anew[7] = 5;
    let (events, sent) = rig.feed(&anew);
    assert_eq!((&events[..], sent.len()), (&[Event::ConnectAbandoned { flow }][..], 0));
    assert_eq!(rig.stack.stats().dropped(DropReason::Ipv6Off), 1);
    assert_eq!(rig.stack.stats().half_open, 0);
}

/// A packet of an unsupported protocol with this many bytes after its header.
fn unknown(is_v6: bool, bytes: usize) -> Vec<u8> {
    let mut packet = Vec::new();
    let payload = vec![7; bytes];
    if is_v6 {
        let own = [0xfd, 0x75, 0x6e, 0x64, 0x65, 0x72, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        let head = etherparse::Ipv6Header {
            payload_length: u16::try_from(bytes).unwrap(),
            next_header: etherparse::IpNumber(132),
            hop_limit: 64,
            source: own,
            destination: [0x26; 16],
            ..Default::default()
        };
        head.write(&mut packet).unwrap();
    } else {
        let length = u16::try_from(bytes).unwrap();
        let head = etherparse::Ipv4Header::new(
            length,
            64,
            etherparse::IpNumber(132),
            [10, 99, 0, 18],
            [8, 8, 4, 4],
        )
        .unwrap();
        head.write(&mut packet).unwrap();
    }
    packet.extend_from_slice(&payload);
    packet
}

/// RFC 1812 section 4.3.2.3 and RFC 4443 section 2.4 (c): as much as fits into 576 and 1280 bytes.
#[test]
fn an_error_quotes_as_much_as_every_link_takes() {
    for (is_v6, head, most) in [(false, 20, 576), (true, 40, 1280)] {
        let overhead = head + 8;
        for bytes in [
            0,
            8,
            most - overhead - head - 1,
            most - overhead - head,
            most - overhead - head + 1,
            1400,
        ] {
            let packet = unknown(is_v6, bytes);
            let (events, sent) = Rig::new(1500).feed(&packet);
            assert_eq!((events.len(), sent.len()), (0, 1), "{bytes} bytes");
            assert_eq!(sent[0].len(), most.min(packet.len() + overhead));
            let quote = &sent[0][overhead..];
            assert_eq!(quote, &packet[..quote.len()]);
        }
    }
}

/// RFC 792: the header alone is a valid echo request.
#[test]
fn an_echo_request_needs_no_payload_but_a_whole_header() {
    for length in [7, 8, 9] {
        let mut message = vec![8, 0, 0, 0, 0, 77, 0, 3, 9];
        message.truncate(length);
        let sum = Sum16BitWords::new().add_slice(&message).ones_complement();
        message[2..4].copy_from_slice(&sum.to_ne_bytes());
        let mut packet = Vec::new();
        let to = etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [8, 8, 8, 8], 64);
        to.write(&mut packet, etherparse::IpNumber::ICMP, &message).unwrap();
        let mut rig = Rig::new(1500);
        let (events, sent) = rig.feed(&packet);
        assert!(sent.is_empty());
        let dropped = rig.stack.stats().dropped(DropReason::Malformed);
        match &events[..] {
            [Event::Echo { payload, .. }] => assert_eq!((payload.len(), dropped), (length - 8, 0)),
            other => assert_eq!((other.len(), length, dropped), (0, 7, 1)),
        }
    }
}
