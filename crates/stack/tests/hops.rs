//! The hop limit of a SYN: the report to the relay, and the app's answer when a router ends it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::rig::Rig;
use std::net::IpAddr;
use underpass_stack::*;

/// A SYN from the VM with this many hops left, to a server or to the address given.
fn syn(v6: bool, to: Option<IpAddr>, hops: u8, seq: u32) -> Vec<u8> {
    let mut header = etherparse::TcpHeader::new(5000, 80, seq, 1000);
    header.syn = true;
    let (from, to): (IpAddr, IpAddr) = if v6 {
        ("fd75:6e64:6572::2".parse().unwrap(), to.unwrap_or("2600::1".parse().unwrap()))
    } else {
        ("10.99.0.18".parse().unwrap(), to.unwrap_or("8.8.4.4".parse().unwrap()))
    };
    let mut packet = Vec::new();
    let ip = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            etherparse::PacketBuilder::ipv4(from.octets(), to.octets(), hops)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            etherparse::PacketBuilder::ipv6(from.octets(), to.octets(), hops)
        }
        _ => panic!("two families"),
    };
    ip.tcp_header(header).write(&mut packet, &[]).unwrap();
    packet
}

fn reported(events: &[Event]) -> Option<u8> {
    let [.., Event::Connect { hops, .. }] = events else { panic!("{events:?}") };
    hops.map(std::num::NonZeroU8::get)
}

#[test]
fn a_small_time_to_live_is_reported_less_a_hop_and_an_ordinary_one_is_not() {
    for v6 in [false, true] {
        for (hops, limit) in
            [(2, Some(1)), (30, Some(29)), (48, Some(47)), (49, None), (64, None), (255, None)]
        {
            let mut rig = Rig::new(1500);
            assert_eq!(reported(&rig.feed(&syn(v6, None, hops, 1)).0), limit, "{hops}");
        }
        let mut rig = Rig::new(1500);
        let (events, sent) = rig.feed(&syn(v6, None, 1, 1));
        let at = if v6 { 40 } else { 20 };
        assert!(events.is_empty());
        assert_eq!(
            sent[0][at..at + 2],
            if v6 { [3, 0] } else { [11, 0] },
            "the gateway is the first hop"
        );
    }
    // No router leads to the host's own addresses.
    let mut rig = Rig::new(1500);
    assert_eq!(reported(&rig.feed(&syn(false, Some("10.99.0.19".parse().unwrap()), 5, 1)).0), None);
}

#[test]
fn the_router_that_ended_a_syn_quotes_it_with_its_last_hop() {
    for (v6, router) in [(false, "192.0.2.1"), (true, "2001:db8::1")] {
        let mut rig = Rig::new(1500);
        let asked = syn(v6, None, 7, 1);
        let (events, _) = rig.feed(&asked);
        let Event::Connect { flow, .. } = events[0] else { panic!("{events:?}") };
        let router: IpAddr = router.parse().unwrap();
        let fault = Fault { kind: FaultKind::TimeExceeded, router: Some(router) };
        let sent = rig.out(|s, now, out| s.refuse(now, flow, Refusal::Unreachable(fault), out));
        let [error] = &sent[..] else { panic!("{sent:?}") };
        let (header, from) = if v6 {
            (40, IpAddr::from(<[u8; 16]>::try_from(&error[8..24]).unwrap()))
        } else {
            (20, IpAddr::from(<[u8; 4]>::try_from(&error[12..16]).unwrap()))
        };
        let (kind, quote) = (&error[header..header + 2], &error[header + 8..]);
        assert_eq!((kind, from), (if v6 { &[3, 0][..] } else { &[11, 0][..] }, router));
        // Except for the hops it is the app's own SYN, and its checksum is right.
        assert_eq!(quote, syn(v6, None, 1, 1));
    }
}

#[test]
fn a_pending_connection_starts_again_with_another_number_of_hops() {
    let mut rig = Rig::new(1500);
    let (events, _) = rig.feed(&syn(false, None, 5, 1));
    let Event::Connect { flow: first, .. } = events[0] else { panic!("{events:?}") };
    assert!(rig.feed(&syn(false, None, 5, 1)).0.is_empty(), "the same again");
    assert!(rig.feed(&syn(false, None, 5, 9)).0.is_empty(), "another one by the same path");
    let (events, _) = rig.feed(&syn(false, None, 6, 9));
    let [Event::ConnectAbandoned { flow }, Event::Connect { flow: second, .. }] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((flow, reported(&events)), (first, Some(5)));
    let answer = rig.out(|s, now, out| {
        s.accept(now, second, out);
        s.service(now, out);
    });
    assert_eq!(answer[0][33] & 0x12, 0x12, "SYN, ACK");
    // Ordinary SYNs are one kind, however many hops they have.
    let mut rig = Rig::new(1500);
    rig.feed(&syn(false, None, 64, 1));
    assert!(rig.feed(&syn(false, None, 255, 1)).0.is_empty());
    assert_eq!(rig.stack.stats().half_open, 1);
}
