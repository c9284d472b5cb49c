//! UDP, DNS, ICMP, ARP, fragments: one packet at a time.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::{APP, PEER, Rig};
use common::*;
use std::net::SocketAddr;
use std::time::Duration;
use underpass_stack::*;

#[test]
fn a_source_endpoint_has_one_bind_for_all_peers() {
    let mut rig = Rig::new(1500);
    let (events, _) = rig.feed(&udp(APP, PEER, 64, b""));
    let [Event::Bind { bind, .. }, Event::Datagram { bytes, marks, peer, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(bytes.is_empty());
    assert_eq!((*peer, marks.ttl), (PEER.parse().unwrap(), 63));
    let bind = *bind;
    assert_eq!(rig.bind(APP, "1.1.1.1:1"), bind);
    assert_ne!(rig.bind("10.99.0.18:5001", PEER), bind);
    // Another port of a host to which the app has sent (RFC 4787 section 5).
    let from = |rig: &mut Rig, peer: &str| {
        let peer = peer.parse().unwrap();
        rig.out(|s, now, out| s.deliver_datagram(now, bind, peer, b"hi", Marks::of_ttl(50), out))
    };
    assert_eq!(from(&mut rig, "1.1.1.1:7").len(), 1);
    assert!(from(&mut rig, "7.7.7.7:7").is_empty(), "a host to which it has not sent");
    assert_eq!(rig.stack.stats().dropped(DropReason::Stranger), 1);
    rig.bind(APP, "7.7.7.7:9");
    let sent = from(&mut rig, "7.7.7.7:7");
    let sliced = etherparse::SlicedPacket::from_ip(&sent[0]).unwrap();
    let Some(etherparse::TransportSlice::Udp(u)) = sliced.transport else { panic!("no UDP") };
    assert_eq!((u.source_port(), u.destination_port(), u.payload()), (7, 5000, &b"hi"[..]));
    assert_eq!(
        u.checksum(),
        u.to_header().calc_checksum_ipv4_raw([7, 7, 7, 7], [10, 99, 0, 18], b"hi").unwrap()
    );
}

#[test]
fn binds_end_when_idle_and_the_oldest_goes_first() {
    let mut rig = Rig::new(1500);
    let one_way = rig.bind(APP, PEER);
    let two_way = rig.bind("10.99.0.18:5001", PEER);
    let dns = rig.bind("10.99.0.18:5002", "8.8.8.8:53");
    for bind in [two_way, dns] {
        rig.out(|s, now, out| {
            s.deliver_datagram(now, bind, PEER.parse().unwrap(), b"r", Marks::of_ttl(64), out)
        });
    }
    assert!(rig.wait(Duration::from_secs(29)).is_empty());
    let mut gone = rig.wait(Duration::from_secs(2));
    gone.sort_by_key(|e| format!("{e:?}"));
    assert_eq!(gone, [Event::Unbind { bind: one_way }, Event::Unbind { bind: dns }]);
    assert!(rig.wait(Duration::from_secs(260)).is_empty());
    assert_eq!(rig.wait(Duration::from_secs(20)), [Event::Unbind { bind: two_way }]);

    let mut config = config(Offload::None, 1500);
    config.capacity.binds = 2;
    rig.stack = Stack::new(config, rig.now);
    let first = rig.bind(APP, PEER);
    rig.now += Duration::from_secs(1);
    rig.bind("10.99.0.18:5001", PEER);
    let (events, _) = rig.feed(&udp("10.99.0.18:5002", PEER, 64, b"x"));
    assert_eq!(events[0], Event::Unbind { bind: first });
}

#[test]
fn a_full_table_displaces_the_idlest_bind_whatever_its_lifetime() {
    let mut rig = Rig::new(1500);
    let app = |n: u16| format!("10.99.0.18:{}", 5000 + n);
    let answer = |rig: &mut Rig, bind| {
        rig.out(|s, now, out| {
            s.deliver_datagram(now, bind, PEER.parse().unwrap(), b"r", Marks::of_ttl(64), out)
        });
    };
    rig.stack.set_max_binds(3);
    let answered: Vec<BindId> = (0..3).map(|n| rig.bind(&app(n), PEER)).collect();
    for bind in &answered {
        rig.now += Duration::from_secs(1);
        answer(&mut rig, *bind);
    }
    // Each newcomer waits longer for its answer than the next one would leave it, if newcomers
    // displaced each other.
    for (n, old) in answered.iter().enumerate().take(2) {
        let app = app(3 + n as u16);
        let (events, _) = rig.feed(&udp(&app, PEER, 64, b"x"));
        assert_eq!(events[0], Event::Unbind { bind: *old });
        rig.now += Duration::from_secs(1);
    }
    rig.bind(&app(3), PEER);
    rig.now += Duration::from_secs(1);
    // One surplus bind goes for each newcomer; then all surplus binds at once.
    rig.stack.set_max_binds(2);
    let (events, _) = rig.feed(&udp(&app(6), PEER, 64, b"x"));
    let unbinds = events.iter().filter(|event| matches!(event, Event::Unbind { .. })).count();
    assert_eq!((unbinds, rig.stack.stats().binds), (2, 2), "{events:?}");
    assert_eq!(rig.stack.stats().binds_evicted, 4);
    let (events, _) = rig.feed(&udp(&app(3), PEER, 64, b"x"));
    assert!(matches!(events[..], [Event::Datagram { .. }]), "the last used stays: {events:?}");
}

#[test]
fn an_unanswered_bind_ends_by_its_last_datagram_out_and_an_answered_one_by_its_last_either_way() {
    let mut rig = Rig::new(1500);
    let (one_way, two_way) = (rig.bind(APP, PEER), rig.bind("10.99.0.18:5001", PEER));
    rig.out(|s, now, out| {
        s.deliver_datagram(now, two_way, PEER.parse().unwrap(), b"r", Marks::of_ttl(64), out)
    });
    assert!(rig.wait(Duration::from_secs(20)).is_empty());
    assert_eq!(rig.bind(APP, PEER), one_way);
    assert!(rig.wait(Duration::from_secs(29)).is_empty(), "one more datagram is 30 s more");
    assert_eq!(rig.wait(Duration::from_secs(1)), [Event::Unbind { bind: one_way }]);
    assert!(rig.wait(Duration::from_secs(200)).is_empty());
    rig.out(|s, now, out| {
        s.deliver_datagram(now, two_way, PEER.parse().unwrap(), b"r", Marks::of_ttl(64), out)
    });
    assert!(rig.wait(Duration::from_secs(299)).is_empty());
    assert_eq!(rig.wait(Duration::from_secs(1)), [Event::Unbind { bind: two_way }]);
}

#[test]
fn the_hosts_loopback_answers_by_the_alias_that_was_asked() {
    let mut rig = Rig::new(1500);
    let (events, _) = rig.feed(&udp(APP, "172.20.0.1:7000", 64, b"x"));
    let [.., Event::Datagram { bind, peer, .. }] = events[..] else { panic!("{events:?}") };
    assert_eq!(peer, "127.0.0.1:7000".parse::<SocketAddr>().unwrap());
    let sent =
        rig.out(|s, now, out| s.deliver_datagram(now, bind, peer, b"r", Marks::of_ttl(64), out));
    assert_eq!(sent[0][12..16], [172, 20, 0, 1]);
    let mut refusing = plan();
    refusing.host_access = HostAccess::Only(Vec::new());
    rig.stack.set_addresses(refusing);
    let (events, sent) = rig.feed(&udp(APP, "10.99.0.19:7000", 64, b"x"));
    assert!(events.is_empty());
    assert_eq!(sent[0][20..22], [3, 13]);
}

#[test]
fn the_largest_datagram_passes_in_fragments_both_ways() {
    for (mtu, app, peer) in
        [(1500, APP, PEER), (65_520, APP, PEER), (1500, "[fd75:6e64:6572::2]:1", "[2600::1]:2")]
    {
        let mut rig = Rig::new(mtu);
        let bind = rig.bind(app, peer);
        let bytes: Vec<u8> = (0..65_507u32).map(|i| (i % 251) as u8).collect();
        let mut parts = rig.out(|s, now, out| {
            s.deliver_datagram(now, bind, peer.parse().unwrap(), &bytes, Marks::of_ttl(64), out)
        });
        assert!(parts.iter().all(|p| p.len() <= mtu));
        // The same fragments, sent back with exchanged ends and in the wrong order, give the
        // datagram again.
        parts.reverse();
        let mut got = Vec::new();
        for part in &mut parts {
            if part[0] >> 4 == 4 {
                let (src, dst): ([u8; 4], [u8; 4]) =
                    (part[12..16].try_into().unwrap(), part[16..20].try_into().unwrap());
                part[12..16].copy_from_slice(&dst);
                part[16..20].copy_from_slice(&src);
            } else {
                let (src, dst): ([u8; 16], [u8; 16]) =
                    (part[8..24].try_into().unwrap(), part[24..40].try_into().unwrap());
                part[8..24].copy_from_slice(&dst);
                part[24..40].copy_from_slice(&src);
            }
            got.extend(rig.feed(part).0);
        }
        // The ports are not exchanged, so it is another source endpoint.
        let Some(Event::Datagram { bytes: back, .. }) = got.last() else {
            panic!("{mtu}: {} events", got.len())
        };
        assert!(*back == bytes);
    }
}

#[test]
fn overlapping_fragments_are_dropped_and_old_ones_forgotten() {
    let mut rig = Rig::new(1500);
    let whole = udp(APP, PEER, 64, &[1; 64]);
    let part = |offset: usize, len: usize, more: u16| {
        let mut p = whole[..20].to_vec();
        p.extend_from_slice(&whole[20 + offset..20 + offset + len]);
        let total = u16::try_from(p.len()).unwrap();
        p[2..4].copy_from_slice(&total.to_be_bytes());
        p[6..8].copy_from_slice(&(u16::try_from(offset / 8).unwrap() | more << 13).to_be_bytes());
        p[10..12].copy_from_slice(&[0, 0]);
        let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&p[..20]).ones_complement();
        p[10..12].copy_from_slice(&sum.to_ne_bytes());
        p
    };
    rig.feed(&part(0, 40, 1));
    rig.feed(&part(32, 16, 1));
    let (events, _) = rig.feed(&part(40, 32, 0));
    assert!(events.is_empty());
    assert_eq!(rig.stack.stats().dropped(DropReason::Fragment), 2, "{:?}", rig.stack.stats());
    rig.wait(Duration::from_secs(31));
    rig.feed(&part(0, 40, 1));
    rig.feed(&part(0, 40, 1));
    let (events, _) = rig.feed(&part(40, 32, 0));
    assert_eq!(events.len(), 2, "a repeated fragment does no harm");
    rig.feed(&part(0, 40, 1));
    rig.wait(Duration::from_secs(31));
    assert_eq!(rig.stack.stats().dropped(DropReason::ReassemblyExpired), 1);
}

#[test]
fn dns_is_a_question_with_one_answer() {
    let mut rig = Rig::new(1500);
    let (events, _) = rig.feed(&udp(APP, "172.20.0.1:53", 1, b"question"));
    let [Event::Query { request, ref message }] = events[..] else { panic!("{events:?}") };
    assert_eq!(message, b"question");
    let sent = rig.out(|s, _, out| s.answer_query(request, b"answer", out));
    assert_eq!((&sent[0][12..16], &sent[0][28..]), (&[172, 20, 0, 1][..], &b"answer"[..]));
    assert!(rig.out(|s, _, out| s.answer_query(request, b"answer", out)).is_empty());
}

#[test]
fn a_router_hop_is_seen() {
    let mut rig = Rig::new(1500);
    let (events, sent) = rig.feed(&udp(APP, PEER, 1, b"probe"));
    assert!(events.is_empty());
    assert_eq!((&sent[0][12..16], &sent[0][20..22]), (&[10, 99, 0, 17][..], &[11, 0][..]));
    let (_, sent) = rig.feed(&udp("[fd75:6e64:6572::2]:1", "[2600::1]:2", 1, b"probe"));
    assert_eq!((sent[0][23], &sent[0][40..42]), (1, &[3, 0][..]));
    // The hops beyond: an error about a datagram, from the router that sent it.
    let bind = rig.bind(APP, PEER);
    let fault = Fault { kind: FaultKind::TimeExceeded, router: Some("9.9.9.9".parse().unwrap()) };
    let sent =
        rig.out(|s, now, out| s.deliver_peer_error(now, bind, PEER.parse().unwrap(), fault, out));
    assert_eq!((&sent[0][12..16], &sent[0][20..22]), (&[9, 9, 9, 9][..], &[11, 0][..]));
    assert_eq!(sent[0][28 + 12..28 + 20], [10, 99, 0, 18, 8, 8, 4, 4]);
    assert_eq!(sent[0][28 + 20..28 + 24], [5000u16.to_be_bytes(), 9999u16.to_be_bytes()].concat());
}

#[test]
fn an_error_quotes_the_datagram_that_it_is_about() {
    let mut rig = Rig::new(1500);
    let peer = |port| SocketAddr::new("8.8.4.4".parse().unwrap(), port);
    let mut sent = Vec::new();
    for port in 33434..33450 {
        let mut packet = udp(APP, &peer(port).to_string(), 64, &[7; 32][..usize::from(port % 32)]);
        packet[1] = 0xb8;
        packet[4..6].copy_from_slice(&port.to_be_bytes());
        packet[10..12].fill(0);
        let sum =
            etherparse::checksum::Sum16BitWords::new().add_slice(&packet[..20]).ones_complement();
        packet[10..12].copy_from_slice(&sum.to_ne_bytes());
        sent.push(packet);
    }
    let mut bind = None;
    for packet in &sent {
        let (events, _) = rig.feed(packet);
        let Some(Event::Datagram { bind: of, .. }) = events.last() else { panic!("{events:?}") };
        bind = Some(*of);
    }
    let fault = Fault { kind: FaultKind::TimeExceeded, router: Some("9.9.9.9".parse().unwrap()) };
    for (port, packet) in (33434..33450).zip(&sent) {
        let seen =
            rig.out(|s, now, out| s.deliver_peer_error(now, bind.unwrap(), peer(port), fault, out));
        let quote = &seen[0][28..];
        // Everything except the remaining hops and the checksum over them.
        assert_eq!(
            (&quote[..8], &quote[9..10], &quote[12..]),
            (&packet[..8], &packet[9..10], &packet[12..28])
        );
        assert_eq!(
            etherparse::checksum::Sum16BitWords::new().add_slice(&quote[..20]).ones_complement(),
            0
        );
    }
    // The kernel left the checksum to a network card.
    let mut partial = sent[5].clone();
    partial[26..28].fill(0xee);
    let mut sink = Sink::default();
    rig.stack.ingest(rig.now, &frame(&partial), RxMeta::ChecksumTrusted, &mut sink);
    let seen =
        rig.out(|s, now, out| s.deliver_peer_error(now, bind.unwrap(), peer(33439), fault, out));
    assert_eq!(seen[0][28 + 26..28 + 28], sent[5][26..28]);
    // Also over IPv6, with its flow label.
    let mut packet = udp("[fd75:6e64:6572::2]:1", "[2600::1]:2", 64, b"probe");
    packet[..4].copy_from_slice(&[0x62, 0xe1, 0x23, 0x45]);
    let (events, _) = rig.feed(&packet);
    let Some(Event::Datagram { bind, .. }) = events.last() else { panic!("{events:?}") };
    let to = "[2600::1]:2".parse().unwrap();
    let seen = rig.out(|s, now, out| s.deliver_peer_error(now, *bind, to, fault, out));
    assert_eq!((&seen[0][48..55], &seen[0][56..]), (&packet[..7], &packet[8..48]));
}

#[test]
fn echo_is_carried_and_the_gateway_answers_for_itself() {
    let mut rig = Rig::new(1500);
    let ping = |to: [u8; 4], ttl| {
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv4([10, 99, 0, 18], to, ttl)
            .icmpv4_echo_request(77, 3)
            .write(&mut packet, b"payload")
            .unwrap();
        packet
    };
    let (events, sent) = rig.feed(&ping([10, 99, 0, 17], 1));
    assert!(events.is_empty());
    assert_eq!(
        (sent[0][20], &sent[0][24..28], &sent[0][28..]),
        (0, &[0, 77, 0, 3][..], &b"payload"[..])
    );
    let (events, _) = rig.feed(&ping([8, 8, 8, 8], 9));
    let [Event::Echo { request, marks: Marks { ttl: 8, .. }, .. }] = events[..] else {
        panic!("{events:?}")
    };
    let sent = rig.out(|s, _, out| s.echo_reply(request, 55, b"payload", out));
    assert_eq!((sent[0][8], &sent[0][12..16], sent[0][20]), (55, &[8, 8, 8, 8][..], 0));
    let (events, _) = rig.feed(&ping([10, 99, 0, 19], 64));
    let [Event::Echo { request, to, .. }] = events[..] else { panic!("{events:?}") };
    assert!(to.is_loopback());
    let fault = Fault { kind: FaultKind::HostUnreachable, router: None };
    let sent = rig.out(|s, now, out| s.echo_error(now, request, fault, out));
    assert_eq!(sent[0][20..22], [3, 1]);
}

/// An IPv4 packet from the VM with this ICMP message, whose checksum field is 0.
fn icmp4(to: [u8; 4], mut message: Vec<u8>) -> Vec<u8> {
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&message).ones_complement();
    message[2..4].copy_from_slice(&sum.to_ne_bytes());
    let mut packet = Vec::new();
    let to = etherparse::PacketBuilder::ipv4([10, 99, 0, 18], to, 64);
    to.write(&mut packet, etherparse::IpNumber::ICMP, &message).unwrap();
    packet
}

#[test]
fn an_echo_request_with_another_code_is_answered_with_that_code() {
    let mut rig = Rig::new(1500);
    let message = [&[8, 9, 0, 0, 0, 77, 0, 3][..], b"payload"].concat();
    let (events, _) = rig.feed(&icmp4([8, 8, 8, 8], message.clone()));
    let [Event::Echo { request, .. }] = events[..] else { panic!("{events:?}") };
    let sent = rig.out(|s, _, out| s.echo_reply(request, 55, b"payload", out));
    assert_eq!((&sent[0][20..22], &sent[0][24..28]), (&[0, 9][..], &[0, 77, 0, 3][..]));
    let (_, sent) = rig.feed(&icmp4([10, 99, 0, 17], message));
    assert_eq!(&sent[0][20..22], [0, 9], "the gateway itself");
}

#[test]
fn requests_that_no_socket_can_carry_are_refused_at_once() {
    let mut rig = Rig::new(1500);
    let (events, sent) =
        rig.feed(&icmp4([8, 8, 8, 8], [&[13, 0, 0, 0, 0, 77, 0, 3][..], &[0; 12]].concat()));
    assert_eq!((events.len(), &sent[0][20..22]), (0, &[3, 13][..]), "a timestamp");
    let (events, sent) = rig.feed(&udp(APP, "8.8.4.4:0", 64, b"x"));
    assert_eq!((events.len(), &sent[0][20..22]), (0, &[3, 3][..]), "UDP to port 0");
    let mut syn = Vec::new();
    etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [8, 8, 4, 4], 64)
        .tcp(5000, 0, 100, 8000)
        .syn()
        .write(&mut syn, b"")
        .unwrap();
    let (events, sent) = rig.feed(&syn);
    // RST and ACK, of the SYN.
    assert_eq!(
        (events.len(), sent[0][33], &sent[0][28..32]),
        (0, 0x14, &101u32.to_be_bytes()[..]),
        "TCP to port 0"
    );
}

#[test]
fn icmp_errors_are_limited_and_noise_is_silent() {
    let mut rig = Rig::new(1500);
    let sent: usize = (0..400).map(|_| rig.feed(&udp(APP, "10.99.0.17:7", 64, b"x")).1.len()).sum();
    assert_eq!(sent, 250);
    rig.now += Duration::from_millis(100);
    let sent: usize = (0..400).map(|_| rig.feed(&udp(APP, "10.99.0.17:7", 64, b"x")).1.len()).sum();
    assert_eq!(sent, 100);
    for noise in ["224.0.0.251:5353", "239.255.255.250:1900", "255.255.255.255:67"] {
        let (events, sent) = rig.feed(&udp(APP, noise, 1, b"x"));
        assert!(events.is_empty() && sent.is_empty());
    }
    assert_eq!(rig.stack.stats().dropped(DropReason::Group), 3);
}

#[test]
fn neighbours_get_our_address() {
    let mut rig = Rig::new(1500);
    let mut arp = vec![0xff; 6];
    arp.extend_from_slice(&VM_MAC);
    arp.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend_from_slice(&VM_MAC);
    arp.extend_from_slice(&[10, 99, 0, 18, 0, 0, 0, 0, 0, 0, 10, 99, 0, 17]);
    let mut sink = Sink::default();
    rig.stack.ingest(rig.now, &arp, RxMeta::Unverified, &mut sink);
    assert_eq!(sink.0[0].0[20..32], [&[0, 2][..], &GATEWAY_MAC, &[10, 99, 0, 17]].concat());
    let last = arp.len() - 1;
    arp[last] = 18;
    let mut sink = Sink::default();
    rig.stack.ingest(rig.now, &arp, RxMeta::Unverified, &mut sink);
    assert!(sink.0.is_empty(), "the VM's own address is its own");
}

#[test]
fn ipv6_can_be_off() {
    let mut rig = Rig::new(1500);
    rig.stack.set_ipv6(Ipv6::Disabled);
    let (events, sent) = rig.feed(&udp("[fd75:6e64:6572::2]:1", "[2600::1]:2", 64, b"x"));
    assert!(events.is_empty() && sent.is_empty());
    assert_eq!(rig.stack.stats().dropped(DropReason::Ipv6Off), 1);
}

/// A neighbour solicitation (RFC 4861 4.3) for `target`.
fn solicitation(src: &str, target: &str, hops: u8) -> Vec<u8> {
    let (src, target): (std::net::Ipv6Addr, std::net::Ipv6Addr) =
        (src.parse().unwrap(), target.parse().unwrap());
    let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    group[13..].copy_from_slice(&target.octets()[13..]);
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&target.octets());
    if !src.is_unspecified() {
        message.extend_from_slice(&[1, 1]);
        message.extend_from_slice(&VM_MAC);
    }
    let sum = etherparse::checksum::Sum16BitWords::new()
        .add_slice(&src.octets())
        .add_slice(&group)
        .add_2bytes(u16::try_from(message.len()).unwrap().to_be_bytes())
        .add_2bytes([0, 58])
        .add_slice(&message)
        .ones_complement();
    message[2..4].copy_from_slice(&sum.to_ne_bytes());
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ipv6(src.octets(), group, hops)
        .write(&mut packet, etherparse::IpNumber::IPV6_ICMP, &message)
        .unwrap();
    packet
}

#[test]
fn neighbour_solicitations_are_answered_but_no_address_is_taken_from_its_owner() {
    let mut rig = Rig::new(1500);
    let vm = "fd75:6e64:6572::2";
    for target in ["fd75:6e64:6572::1", "fd75:6e64:6572::3", "2600::1"] {
        let (_, sent) = rig.feed(&solicitation(vm, target, 255));
        let [advert] = &sent[..] else { panic!("{target}: {sent:?}") };
        let address: std::net::Ipv6Addr = target.parse().unwrap();
        // Solicited and override, to the asker, hop limit 255, with our link-layer address.
        assert_eq!((advert[7], advert[40], advert[44] & 0x60), (255, 136, 0x60));
        assert_eq!(advert[24..40], vm.parse::<std::net::Ipv6Addr>().unwrap().octets());
        assert_eq!(advert[48..64], address.octets());
        assert_eq!(advert[64..72], [&[2, 1][..], &GATEWAY_MAC].concat());
    }
    let (_, sent) = rig.feed(&solicitation("::", "fd75:6e64:6572::1", 255));
    assert_eq!((sent.len(), sent[0][44] & 0x40), (1, 0), "our own address is defended");
    for (src, target, hops) in [
        // Duplicate address detection of the VM's own addresses.
        ("::", "fe80::1234", 255),
        ("::", vm, 255),
        ("::", "2600::7", 255),
        (vm, "fe80::1", 255),
        (vm, "fd75:6e64:6572::9", 255),
        // Forwarded.
        (vm, "fd75:6e64:6572::1", 254),
    ] {
        assert!(rig.feed(&solicitation(src, target, hops)).1.is_empty(), "{src} {target} {hops}");
    }
    // The same for ARP (RFC 5227): a probe for an address that is not ours.
    let mut arp = vec![0xff; 6];
    arp.extend_from_slice(&VM_MAC);
    arp.extend_from_slice(&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    arp.extend_from_slice(&VM_MAC);
    arp.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
    let mut sink = Sink::default();
    rig.stack.ingest(rig.now, &arp, RxMeta::Unverified, &mut sink);
    assert!(sink.0.is_empty());
}

/// Puts extension headers (the kind of the first, their bytes) into an IPv6 packet. The last must
/// name UDP or TCP itself.
fn extended(packet: &[u8], first: u8, headers: &[u8]) -> Vec<u8> {
    let mut with = packet[..40].to_vec();
    let len = u16::try_from(packet.len() - 40 + headers.len()).unwrap();
    with[4..6].copy_from_slice(&len.to_be_bytes());
    with[6] = first;
    with.extend_from_slice(headers);
    with.extend_from_slice(&packet[40..]);
    with
}

#[test]
fn ipv6_extension_headers_are_walked_by_their_rules() {
    let (app, peer) = ("[fd75:6e64:6572::2]:1000", "[2600::1]:80");
    let plain = udp(app, peer, 64, b"payload");
    let passes: [(u8, &[u8]); 6] = [
        // Hop-by-hop with PadN; destination options of 16 bytes; router alert.
        (0, &[17, 0, 1, 4, 0, 0, 0, 0]),
        (60, &[17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (0, &[17, 0, 5, 2, 0, 0, 1, 0]),
        // A routing header that is used up (of any type); an atomic fragment; hop-by-hop, then
        // destination options with Pad1.
        (43, &[17, 0, 99, 0, 0, 0, 0, 0]),
        (44, &[17, 0, 0, 0, 1, 2, 3, 4]),
        (0, &[60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let mut rig = Rig::new(1500);
    for (first, headers) in passes {
        let (events, _) = rig.feed(&extended(&plain, first, headers));
        let Some(Event::Datagram { bytes, .. }) = events.last() else {
            panic!("{first} {headers:?}: {events:?}")
        };
        assert_eq!(bytes, b"payload");
    }
    // Dropped packets, and the code and pointer of the parameter problem (RFC 4443 3.4).
    type Pointed = Option<(u8, u8)>;
    let drops: [(u8, &[u8], Pointed); 9] = [
        // A routing header with segments left.
        (43, &[17, 0, 0, 1, 0, 0, 0, 0], Some((0, 42))),
        // Hop-by-hop options that do not come first.
        (60, &[0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0], Some((1, 40))),
        // Unknown options, by the requested action: report, report for a single host, silence.
        (60, &[17, 0, 0x80, 4, 0, 0, 0, 0], Some((2, 42))),
        (0, &[17, 0, 1, 0, 0xc9, 2, 0, 0], Some((2, 44))),
        (60, &[17, 0, 0x40, 4, 0, 0, 0, 0], None),
        // An option that is longer than its header.
        (60, &[17, 0, 1, 40, 0, 0, 0, 0], None),
        // No next header, and two that no socket takes: AH, mobility.
        (59, &[], None),
        (51, &[17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], Some((1, 6))),
        (60, &[135, 0, 1, 4, 0, 0, 0, 0], Some((1, 40))),
    ];
    for (n, (first, headers, problem)) in drops.into_iter().enumerate() {
        let packet = extended(&plain, first, headers);
        let (events, sent) = rig.feed(&packet);
        assert!(events.is_empty(), "{first} {headers:?}: {events:?}");
        let reported = sent.first().map(|sent| {
            assert_eq!(
                (sent[6], sent[40], &sent[44..47], &sent[48..]),
                (58, 4, &[0; 3][..], &packet[..])
            );
            (sent[41], sent[47])
        });
        assert_eq!(
            (reported, sent.len()),
            (problem, usize::from(problem.is_some())),
            "{first} {headers:?}"
        );
        let dropped = rig.stack.stats().dropped(DropReason::ExtensionHeader);
        assert_eq!(dropped, n as u64 + 1, "{first} {headers:?}");
    }
    // A packet to a group gets no error.
    let mut to_a_group = extended(&plain, 60, &[17, 0, 0x80, 4, 0, 0, 0, 0]);
    to_a_group[24] = 0xff;
    assert_eq!(rig.feed(&to_a_group).1, [[0u8; 0]; 0]);
    let (events, _) = rig.feed(&extended(&plain, 60, &[17, 200, 1, 4, 0, 0, 0, 0]));
    assert!(events.is_empty());
    assert_eq!(rig.stack.stats().dropped(DropReason::Malformed), 1);
}

#[test]
fn a_protocol_that_is_not_carried_is_named_where_the_packet_names_it() {
    let mut rig = Rig::new(1500);
    let plain = udp("[fd75:6e64:6572::2]:1000", "[2600::1]:80", 64, b"payload");
    // SCTP's number, in the fixed header and after options.
    let mut bare = plain.clone();
    bare[6] = 132;
    let behind = extended(&plain, 60, &[132, 0, 1, 4, 0, 0, 0, 0]);
    for (packet, pointer) in [(bare, 6), (behind, 40)] {
        let (_, sent) = rig.feed(&packet);
        assert_eq!(
            (sent.len(), &sent[0][40..42], &sent[0][44..48]),
            (1, &[4, 1][..], &[0, 0, 0, pointer][..])
        );
    }
}

#[test]
fn a_connection_lives_with_extension_headers() {
    let mut rig = Rig::new(1500);
    let tcp = |seq, ack: u32, syn: bool, data: &[u8]| {
        let mut header = etherparse::TcpHeader::new(1000, 80, seq, 8000);
        (header.syn, header.ack, header.acknowledgment_number) = (syn, !syn, ack);
        let (src, dst): (std::net::Ipv6Addr, std::net::Ipv6Addr) =
            ("fd75:6e64:6572::2".parse().unwrap(), "2600::1".parse().unwrap());
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv6(src.octets(), dst.octets(), 64)
            .tcp_header(header)
            .write(&mut packet, data)
            .unwrap();
        extended(&packet, 60, &[6, 0, 1, 4, 0, 0, 0, 0])
    };
    let (events, _) = rig.feed(&tcp(1, 0, true, b""));
    let [Event::Connect { flow, .. }] = events[..] else { panic!("{events:?}") };
    let sent = rig.out(|s, now, out| {
        s.accept(now, flow, out);
        s.service(now, out);
    });
    let seq = u32::from_be_bytes(sent[0][44..48].try_into().unwrap());
    rig.feed(&tcp(2, seq.wrapping_add(1), false, b"data"));
    assert_eq!(rig.stack.readable(flow), 4);
    // After IPv6 is switched off, an open connection continues; a new one does not begin.
    rig.stack.set_ipv6(Ipv6::Disabled);
    rig.feed(&tcp(6, seq.wrapping_add(1), false, b"more"));
    assert_eq!(rig.stack.readable(flow), 8);
    rig.out(|s, now, out| {
        s.abort(flow);
        s.service(now, out);
    });
    assert!(rig.feed(&tcp(1, 0, true, b"")).0.is_empty());
    assert_eq!(rig.stack.stats().dropped(DropReason::Ipv6Off), 1);
}

#[test]
fn unfetched_events_are_bounded() {
    let mut rig = Rig::new(1500);
    let mut sink = Sink::default();
    let datagram = frame(&udp(APP, PEER, 64, b"x"));
    for _ in 0..2 * limits::MAX_EVENTS {
        rig.stack.ingest(rig.now, &datagram, RxMeta::Unverified, &mut sink);
    }
    assert!(rig.stack.stats().dropped(DropReason::EventsFull) > limits::MAX_EVENTS as u64 / 2);
    let events: Vec<_> = std::iter::from_fn(|| rig.stack.poll_event()).collect();
    assert!(events.len() <= limits::MAX_EVENTS + 2, "{}", events.len());
    let large = frame(&udp(APP, PEER, 64, &[1; 60_000]));
    for _ in 0..1000 {
        rig.stack.ingest(rig.now, &large, RxMeta::Unverified, &mut sink);
    }
    let events: Vec<_> = std::iter::from_fn(|| rig.stack.poll_event()).collect();
    assert!(events.len() * 60_000 < limits::MAX_EVENT_BYTES + 120_000, "{}", events.len());
    // After the events are fetched, it continues.
    assert_eq!(rig.feed(&udp(APP, PEER, 64, b"x")).0.len(), 1);
}
