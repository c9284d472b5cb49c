//! Pings through a router: the answer is the peer's, the error is the router's, and silence is
//! silence.

use crate::relay::Relay;
use lab::addresses::{ROUTER, ROUTER_V6, SERVER, SERVER_V6};
use lab::{Lab, Place, lab_or_skip};
use std::net::IpAddr;
use wire::{Capabilities, Fault, FaultKind, Frame, Marks, RequestId};

fn ping(relay: &mut Relay, request: u32, to: &str, ttl: u8, payload: &[u8]) {
    relay.send(&Frame::Echo {
        request: RequestId(request),
        to: to.parse().unwrap(),
        marks: Marks::of_ttl(ttl),
        payload,
    });
}

fn reply(request: u32, ttl: u8, payload: &[u8]) -> String {
    format!("{:?}", Frame::EchoReply { request: RequestId(request), ttl, payload })
}

fn error(request: u32, kind: FaultKind, router: Option<&str>) -> String {
    let router: Option<IpAddr> = router.map(|router| router.parse().unwrap());
    format!("{:?}", Frame::EchoError { request: RequestId(request), fault: Fault { kind, router } })
}

fn run(lab: &Lab, place: Place, command: &str) {
    let words: Vec<&str> = command.split_whitespace().collect();
    let finished = lab.run(place, &words).unwrap();
    assert!(finished.succeeded(), "{command}: {}", finished.stderr);
}

fn set_ping_group_range(lab: &Lab, range: &str) {
    let words = ["sh", "-c", "echo $0 > /proc/sys/net/ipv4/ping_group_range", range];
    assert!(lab.run(Place::Windows, &words).unwrap().succeeded());
}

#[test]
fn replies_come_with_their_payload_and_the_time_to_live_they_arrived_with() {
    let Some(lab) = lab_or_skip() else { return };
    let mut relay = Relay::start(&lab);
    assert!(relay.hello.capabilities.contains(Capabilities::ECHO4 | Capabilities::ECHO6));
    for (to, largest) in [(SERVER, 65_507), (SERVER_V6, 65_000)] {
        for (request, length) in (100..).zip([0, 1, 56, 1472, 1473, largest]) {
            let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            ping(&mut relay, request, to, 64, &payload);
            let expected = reply(request, 63, &payload);
            assert!(relay.next_frame() == expected, "{length} bytes to {to}");
        }
    }
}

#[test]
fn many_pings_under_way_each_get_their_own_answer() {
    let Some(lab) = lab_or_skip() else { return };
    let mut relay = Relay::start(&lab);
    let mut expected: Vec<String> = Vec::new();
    for request in 0..200_u32 {
        let to = if request.is_multiple_of(2) { SERVER } else { SERVER_V6 };
        ping(&mut relay, request, to, 64, &request.to_be_bytes());
        expected.push(reply(request, 63, &request.to_be_bytes()));
    }
    let mut got: Vec<String> = expected.iter().map(|_| relay.next_frame()).collect();
    expected.sort();
    got.sort();
    assert_eq!(got, expected);
}

#[test]
fn a_router_where_the_time_to_live_ends_is_named() {
    let Some(lab) = lab_or_skip() else { return };
    let mut relay = Relay::start(&lab);
    for (to, router) in [(SERVER, ROUTER), (SERVER_V6, ROUTER_V6)] {
        // Each request has its own time to live, as in a traceroute.
        for (request, ttl) in [(1, 1), (2, 2), (3, 1)] {
            ping(&mut relay, request, to, ttl, b"hop");
            let ended = if ttl == 1 {
                error(request, FaultKind::TimeExceeded, Some(router))
            } else {
                reply(request, 63, b"hop")
            };
            assert_eq!(relay.next_frame(), ended, "{to}");
        }
    }
}

#[test]
fn errors_name_their_sender_the_router_or_the_host_itself() {
    let Some(lab) = lab_or_skip() else { return };
    let mut relay = Relay::start(&lab);
    // The router has no route there.
    ping(&mut relay, 1, "198.18.0.1", 64, b"x");
    assert_eq!(relay.next_frame(), error(1, FaultKind::NetworkUnreachable, Some(ROUTER)));
    ping(&mut relay, 2, "2001:db8:bad::1", 64, b"x");
    assert_eq!(relay.next_frame(), error(2, FaultKind::NetworkUnreachable, Some(ROUTER_V6)));
    run(&lab, Place::Windows, "ip route add prohibit 198.18.0.2");
    ping(&mut relay, 3, "198.18.0.2", 64, b"x");
    assert_eq!(relay.next_frame(), error(3, FaultKind::Prohibited, None));
    run(&lab, Place::Windows, "ip route del default");
    run(&lab, Place::Windows, "ip -6 route del default");
    for (request, to) in [(4, SERVER), (5, SERVER_V6)] {
        ping(&mut relay, request, to, 64, b"x");
        assert_eq!(relay.next_frame(), error(request, FaultKind::NetworkUnreachable, None));
    }
    // An earlier error of the socket is not the next request's.
    ping(&mut relay, 6, ROUTER, 64, b"still there");
    assert_eq!(relay.next_frame(), reply(6, 64, b"still there"));
}

#[test]
fn a_silent_peer_gives_no_answer_and_delays_no_other() {
    let Some(lab) = lab_or_skip() else { return };
    run(&lab, Place::Router, "ip route add blackhole 198.18.0.0/16");
    let mut relay = Relay::start(&lab);
    ping(&mut relay, 1, "198.18.0.1", 64, b"anyone?");
    ping(&mut relay, 2, SERVER, 64, b"you?");
    assert_eq!(relay.next_frame(), reply(2, 63, b"you?"));
    ping(&mut relay, 3, SERVER, 64, b"still?");
    assert_eq!(relay.next_frame(), reply(3, 63, b"still?"));
}

#[test]
fn a_host_that_forbids_pings_does_not_offer_them_and_refuses() {
    let Some(lab) = lab_or_skip() else { return };
    set_ping_group_range(&lab, "1 0");
    let mut relay = Relay::start(&lab);
    assert!(!relay.hello.capabilities.contains(Capabilities::ECHO4));
    assert!(!relay.hello.capabilities.contains(Capabilities::ECHO6));
    for (request, to) in [(1, SERVER), (2, SERVER_V6)] {
        ping(&mut relay, request, to, 64, b"not offered");
        assert_eq!(relay.next_frame(), error(request, FaultKind::Prohibited, None));
    }
    // As soon as the host allows it, the next request finds a socket.
    set_ping_group_range(&lab, "0 2147483647");
    ping(&mut relay, 3, SERVER, 64, b"now");
    assert_eq!(relay.next_frame(), reply(3, 63, b"now"));
}
