//! Datagrams towards the VM: joined for a kernel that takes super-packets, and one by one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::{Sink, config, frame, start, udp};
use etherparse::checksum::Sum16BitWords;
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};
use underpass_stack::*;

const APPS: [&str; 3] = ["10.99.0.18:5000", "10.99.0.18:5001", "[fd75:6e64:6572::2]:5000"];
const PEERS: [[&str; 2]; 2] =
    [["8.8.4.4:9999", "8.8.4.4:9998"], ["[2600::1]:9999", "[2600::1]:9998"]];

fn address(packet: &[u8], at: usize) -> IpAddr {
    if packet[0] >> 4 == 6 {
        IpAddr::from(<[u8; 16]>::try_from(&packet[8 + 16 * at..24 + 16 * at]).unwrap())
    } else {
        IpAddr::from(<[u8; 4]>::try_from(&packet[12 + 4 * at..16 + 4 * at]).unwrap())
    }
}

/// The sum over the pseudo-header of UDP (RFC 768, RFC 8200 8.1).
fn pseudo(packet: &[u8], length: usize) -> Sum16BitWords {
    let mut sum = Sum16BitWords::new();
    for at in [0, 1] {
        sum = match address(packet, at) {
            IpAddr::V4(ip) => sum.add_4bytes(ip.octets()),
            IpAddr::V6(ip) => sum.add_16bytes(ip.octets()),
        };
    }
    sum.add_4bytes(u32::try_from(length).unwrap().to_be_bytes()).add_2bytes([0, 17])
}

/// The packets that Linux makes of a frame: it completes a checksum, and cuts a super-packet
/// (`__udp_gso_segment` in net/ipv4/udp_offload.c, `inet_gso_segment` in net/ipv4/af_inet.c).
fn kernel(frame: &[u8], meta: TxMeta) -> Vec<Vec<u8>> {
    let packet = &frame[14..];
    let Some(partial) = meta.checksum else {
        assert_eq!(meta.gso, None, "a super-packet without a checksum to complete");
        return vec![packet.to_vec()];
    };
    let head = usize::from(partial.start) - 14;
    assert_eq!((head, partial.offset), (if packet[0] >> 4 == 6 { 40 } else { 20 }, 6));
    let (headers, bytes) = packet.split_at(head + 8);
    // It corrects this sum by the lengths of the segments.
    let field = (!pseudo(packet, packet.len() - head).ones_complement()).to_ne_bytes();
    assert_eq!(headers[head + 6..], field);
    let size = meta.gso.map_or(bytes.len().max(1), |gso| {
        assert_eq!((gso.kind, usize::from(gso.header_len)), (GsoKind::Udp, head + 8 + 14));
        assert!(bytes.len() > usize::from(gso.size) && gso.size > 0, "a single segment");
        gso.size.into()
    });
    let parts: Vec<&[u8]> =
        if bytes.is_empty() { vec![bytes] } else { bytes.chunks(size).collect() };
    let cut = |(place, part): (usize, &[u8])| {
        let mut packet = [headers, part].concat();
        let length = u16::try_from(8 + part.len()).unwrap();
        if packet[0] >> 4 == 6 {
            packet[4..6].copy_from_slice(&length.to_be_bytes());
        } else {
            packet[2..4].copy_from_slice(&(length + 20).to_be_bytes());
            let id = u16::from_be_bytes([packet[4], packet[5]]);
            let id = id.wrapping_add(u16::try_from(place).unwrap());
            packet[4..6].copy_from_slice(&id.to_be_bytes());
            packet[10..12].fill(0);
            let sum = Sum16BitWords::new().add_slice(&packet[..20]).ones_complement();
            packet[10..12].copy_from_slice(&sum.to_ne_bytes());
        }
        packet[head + 4..head + 6].copy_from_slice(&length.to_be_bytes());
        packet[head + 6..head + 8].fill(0);
        let sum = pseudo(&packet, length.into()).add_slice(&packet[head..]);
        let sum = sum.to_ones_complement_with_no_zero().to_ne_bytes();
        packet[head + 6..head + 8].copy_from_slice(&sum);
        packet
    };
    parts.into_iter().enumerate().map(cut).collect()
}

/// A datagram for an app: which app, which of its peers, its marks and its size.
type Delivery = (usize, usize, u8, usize);

/// The packets that the VM gets, and the number of frames.
fn delivered(offload: Offload, mtu: usize, deliveries: &[Delivery]) -> (Vec<Vec<u8>>, usize) {
    let now = start();
    let mut stack = Stack::new(config(offload, mtu), now);
    let mut sink = Sink::default();
    let family = |app: usize| usize::from(app == 2);
    let binds = [0, 1, 2].map(|app| {
        for peer in PEERS[family(app)] {
            let packet = frame(&udp(APPS[app], peer, 64, b"x"));
            stack.ingest(now, &packet, RxMeta::Unverified, &mut sink);
        }
        let events = std::iter::from_fn(|| stack.poll_event()).collect::<Vec<_>>();
        let [Event::Bind { bind, .. }, ..] = events[..] else { panic!("{events:?}") };
        bind
    });
    for (number, (app, peer, class, size)) in deliveries.iter().enumerate() {
        let peer: SocketAddr = PEERS[family(*app)][*peer].parse().unwrap();
        let marks = Marks { traffic_class: *class, ..Marks::of_ttl(60) };
        let bytes: Vec<u8> = (0..*size).map(|at| (at + number) as u8).collect();
        stack.deliver_datagram(now, binds[*app], peer, &bytes, marks, &mut sink);
        if offload != Offload::Datagrams {
            assert!(!stack.wants_service(), "nothing waits");
        }
    }
    if stack.wants_service() {
        stack.service(now, &mut sink);
    }
    assert!(!stack.wants_service());
    let frames = sink.0.len();
    (sink.0.iter().flat_map(|(frame, meta)| kernel(frame, *meta)).collect(), frames)
}

proptest! {
    #[test]
    fn every_datagram_is_the_same_packet_whatever_the_kernel_takes(
        mtu in prop_oneof![Just(1500usize), Just(65_520)],
        deliveries in prop::collection::vec(
            (
                prop_oneof![8 => Just(0usize), 1 => 0..3usize],
                prop_oneof![8 => Just(0usize), 1 => Just(1)],
                prop_oneof![8 => Just(0u8), 1 => Just(1)],
                prop_oneof![6 => Just(1400usize), 1 => 0..1500usize, 1 => 0..20_000usize],
            ),
            0..150,
        ),
    ) {
        let (plain, _) = delivered(Offload::None, mtu, &deliveries);
        for offload in [Offload::Vnet, Offload::Datagrams] {
            prop_assert_eq!(&delivered(offload, mtu, &deliveries).0, &plain);
        }
    }
}

#[test]
fn datagrams_that_are_alike_are_one_frame() {
    let alike = [(0, 0, 0, 1400); 20];
    for (offload, frames) in [(Offload::Vnet, 20), (Offload::Datagrams, 1)] {
        let (packets, sent) = delivered(offload, 65_520, &alike);
        assert_eq!((packets.len(), sent), (20, frames));
    }
}
