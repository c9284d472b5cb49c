//! Super-packets of UDP, beside the single packets that the kernel makes of them.

mod common;
use common::rig::Rig;
use common::{Sink, config, frame, start, udp};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use underpass_stack::*;

const APPS: [&str; 2] = ["10.99.0.18:5000", "[fd75:6e64:6572::2]:5000"];
const PEERS: [&str; 2] = ["8.8.4.4:9999", "[2600::1]:9999"];

/// A packet with an IPv4 identification and a traffic class.
fn packet(app: &str, peer: &str, (ttl, class, id): (u8, u8, u16), payload: &[u8]) -> Vec<u8> {
    let mut bytes = udp(app, peer, ttl, payload);
    if bytes[0] >> 4 == 6 {
        bytes[0] = 0x60 | class >> 4;
        bytes[1] = class << 4;
        return bytes;
    }
    bytes[1] = class;
    bytes[4..6].copy_from_slice(&id.to_be_bytes());
    bytes[10..12].fill(0);
    let sum = etherparse::checksum::Sum16BitWords::new().add_slice(&bytes[..20]).ones_complement();
    bytes[10..12].copy_from_slice(&sum.to_ne_bytes());
    bytes
}

/// Everything that a stack makes of frames: events with each datagram by itself, packets to the VM,
/// and counters.
#[derive(Debug, PartialEq)]
struct Seen {
    events: Vec<Event>,
    sent: Vec<Vec<u8>>,
    dropped: Vec<u64>,
    /// The packets that quote the datagram that the app sent last.
    quotes: Vec<Vec<u8>>,
}

fn seen(frames: &[(Vec<u8>, RxMeta)], peer: SocketAddr) -> Seen {
    let now = start();
    let mut stack = Stack::new(config(Offload::Vnet, 65_520), now);
    let (mut sink, mut events) = (Sink::default(), Vec::new());
    for (packet, meta) in frames {
        stack.ingest(now, &frame(packet), *meta, &mut sink);
    }
    while let Some(event) = stack.poll_event() {
        if let Event::Datagrams { bind, peer, marks, size, bytes } = event {
            let parts = bytes.chunks(size.get().into());
            let parts = parts.map(|bytes| bytes.to_vec());
            events.extend(parts.map(|bytes| Event::Datagram { bind, peer, marks, bytes }));
        } else {
            events.push(event);
        }
    }
    let mut quotes = Sink::default();
    if let Some(Event::Bind { bind, .. }) = events.first() {
        let fault = Fault { kind: FaultKind::PortUnreachable, router: None };
        stack.deliver_peer_error(now, *bind, peer, fault, &mut quotes);
    }
    let packets = |sink: Sink| sink.0.into_iter().map(|(bytes, _)| bytes[14..].to_vec()).collect();
    Seen {
        events,
        sent: packets(sink),
        dropped: DropReason::ALL.map(|why| stack.stats().dropped(why)).to_vec(),
        quotes: packets(quotes),
    }
}

proptest! {
    #[test]
    fn a_super_packet_is_its_datagrams(
        is_v6: bool,
        (ttl, class, id) in (1..=64u8, any::<u8>(), any::<u16>()),
        (size, length) in (1..=1500u16, 2..20_000usize),
        port in prop_oneof![4 => Just(9999u16), 1 => Just(0), 1 => Just(53)],
        to in prop_oneof![4 => Just(None), 1 => Just(Some(["10.99.0.17", "fd75:6e64:6572::1"]))],
    ) {
        let family = usize::from(is_v6);
        let length = length.min(usize::from(size) * 60).max(usize::from(size) + 1);
        let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let host: SocketAddr = PEERS[family].parse().unwrap();
        let host = to.map_or(host.ip(), |to: [&str; 2]| to[family].parse().unwrap());
        let peer = SocketAddr::new(host, port);
        let text = peer.to_string();
        let single: Vec<_> = payload
            .chunks(size.into())
            .zip(0u16..)
            .map(|(part, place)| {
                let id = id.wrapping_add(place);
                (packet(APPS[family], &text, (ttl, class, id), part), RxMeta::ChecksumTrusted)
            })
            .collect();
        // The header has the sum over the pseudo-header only, which is another one.
        let mut whole = packet(APPS[family], &text, (ttl, class, id), &payload);
        let checksum = if is_v6 { 46 } else { 26 };
        whole[checksum..checksum + 2].copy_from_slice(&[0x12, 0x34]);
        let meta = RxMeta::Datagrams { size: NonZeroU16::new(size).unwrap() };
        let (got, expected) = (seen(&[(whole, meta)], peer), seen(&single, peer));
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn a_single_packet_with_the_mark_of_a_super_packet_is_one_datagram() {
    let size = NonZeroU16::new(4).unwrap();
    for payload in [&b""[..], b"abc", b"abcd"] {
        let mut rig = Rig::new(1500);
        let bytes = frame(&udp(APPS[0], PEERS[0], 64, payload));
        rig.stack.ingest(rig.now, &bytes, RxMeta::Datagrams { size }, &mut Sink::default());
        let events: Vec<Event> = std::iter::from_fn(|| rig.stack.poll_event()).collect();
        let [Event::Bind { .. }, Event::Datagram { bytes, .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert_eq!(bytes, payload);
    }
}

#[test]
fn a_burst_waits_within_the_bounds() {
    let mut rig = Rig::new(65_520);
    let whole = frame(&udp(APPS[0], PEERS[0], 64, &[7; 60_000]));
    let meta = RxMeta::Datagrams { size: NonZeroU16::new(1400).unwrap() };
    for _ in 0..1000 {
        rig.stack.ingest(rig.now, &whole, meta, &mut Sink::default());
    }
    let most = limits::MAX_EVENT_BYTES / 60_000 + 1;
    assert_eq!(rig.stack.stats().dropped(DropReason::EventsFull), 1000 - most as u64);
    let events = std::iter::from_fn(|| rig.stack.poll_event());
    assert_eq!(events.filter(|event| matches!(event, Event::Datagrams { .. })).count(), most);
}
