//! The relay's messages about a bind, question, ping or connection. The stack counts and drops
//! those for one that is gone, of another family or too long. Also: the sender of an error, and
//! messages without an answer.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::raw::Raw;
use common::rig::{APP, PEER, Rig};
use common::*;
use std::net::{IpAddr, SocketAddr};
use underpass_stack::*;

const APP6: &str = "[fd75:6e64:6572::2]:5000";
const PEER6: &str = "[2600::1]:9999";

/// A rig whose apps accept datagrams from every host.
fn open_rig() -> Rig {
    let mut rig = Rig::new(1500);
    let mut config = config(Offload::None, 1500);
    config.udp_filtering = Filtering::EndpointIndependent;
    rig.stack = Stack::new(config, rig.now);
    rig
}

fn fault(kind: FaultKind, router: Option<&str>) -> Fault {
    Fault { kind, router: router.map(|ip| ip.parse().unwrap()) }
}

/// Sends nothing to the app and counts one more late message.
#[track_caller]
fn drops(rig: &mut Rig, act: impl FnOnce(&mut Stack, std::time::Instant, &mut Sink)) {
    let before = rig.stack.stats().dropped(DropReason::Late);
    assert_eq!(rig.out(act), Vec::<Vec<u8>>::new());
    assert_eq!(rig.stack.stats().dropped(DropReason::Late), before + 1);
}

/// An echo request from the VM.
fn ping() -> Vec<u8> {
    let mut packet = Vec::new();
    etherparse::PacketBuilder::ipv4([10, 99, 0, 18], [8, 8, 8, 8], 64)
        .icmpv4_echo_request(77, 3)
        .write(&mut packet, b"payload")
        .unwrap();
    packet
}

fn pinged(rig: &mut Rig) -> RequestId {
    let (events, _) = rig.feed(&ping());
    let [Event::Echo { request, .. }] = events[..] else { panic!("{events:?}") };
    request
}

fn asked(rig: &mut Rig) -> RequestId {
    let (events, _) = rig.feed(&udp(APP, "10.99.0.17:53", 64, b"question"));
    let [Event::Query { request, .. }] = events[..] else { panic!("{events:?}") };
    request
}

#[test]
fn a_datagram_for_a_bind_that_is_gone_of_another_family_or_too_long_is_dropped() {
    let marks = Marks::of_ttl(64);
    for (app, peer, other) in [(APP, PEER, PEER6), (APP6, PEER6, PEER)] {
        let mut rig = open_rig();
        let bind = rig.bind(app, peer);
        let [peer, other] = [peer, other].map(|peer| peer.parse::<SocketAddr>().unwrap());
        let unreachable = fault(FaultKind::HostUnreachable, None);
        drops(&mut rig, |s, now, out| s.deliver_datagram(now, bind, other, b"r", marks, out));
        drops(&mut rig, |s, now, out| s.deliver_peer_error(now, bind, other, unreachable, out));
        let long = vec![7; 65_508];
        drops(&mut rig, |s, now, out| s.deliver_datagram(now, bind, peer, &long, marks, out));
        let most = &long[..65_507];
        let sent = rig.out(|s, now, out| s.deliver_datagram(now, bind, peer, most, marks, out));
        assert!(sent.len() > 1, "the largest one goes in fragments");
        rig.stack.bind_failed(bind);
        assert_eq!(rig.stack.stats().binds, 0);
        drops(&mut rig, |s, now, out| s.deliver_datagram(now, bind, peer, b"r", marks, out));
        drops(&mut rig, |s, now, out| s.deliver_peer_error(now, bind, peer, unreachable, out));
        assert_ne!(rig.bind(app, &peer.to_string()), bind, "the next datagram makes another");
    }
}

#[test]
fn a_question_and_a_ping_have_one_end() {
    let mut rig = Rig::new(1500);
    let unreachable = fault(FaultKind::HostUnreachable, None);
    let ends: [fn(&mut Stack, std::time::Instant, RequestId, &mut Sink); 3] = [
        |s, _, request, out| s.answer_query(request, b"answer", out),
        |s, _, request, out| s.echo_reply(request, 64, b"payload", out),
        |s, now, request, out| {
            let fault = fault(FaultKind::HostUnreachable, None);
            s.echo_error(now, request, fault, out);
        },
    ];
    let request = asked(&mut rig);
    // A ping's answers are not answers to a question, which still waits.
    drops(&mut rig, |s, _, out| s.echo_reply(request, 64, b"payload", out));
    drops(&mut rig, |s, now, out| s.echo_error(now, request, unreachable, out));
    let sent = rig.out(|s, _, out| s.answer_query(request, b"answer", out));
    assert_eq!((sent.len(), &sent[0][28..]), (1, &b"answer"[..]));
    let [replied, failed, forgotten] = [(); 3].map(|()| pinged(&mut rig));
    drops(&mut rig, |s, _, out| s.answer_query(replied, b"answer", out));
    assert_eq!(rig.out(|s, _, out| s.echo_reply(replied, 64, b"payload", out)).len(), 1);
    assert_eq!(rig.out(|s, now, out| s.echo_error(now, failed, unreachable, out)).len(), 1);
    rig.stack.forget_request(forgotten);
    let given_up = asked(&mut rig);
    rig.stack.forget_request(given_up);
    for request in [request, replied, failed, forgotten, given_up] {
        for end in ends {
            drops(&mut rig, |s, now, out| end(s, now, request, out));
        }
    }
    // A reply that no packet has room for.
    for (length, sent) in [(65_507, true), (65_508, false)] {
        let request = pinged(&mut rig);
        let reply = vec![1; length];
        let packets = rig.out(|s, _, out| s.echo_reply(request, 64, &reply, out));
        assert_eq!(!packets.is_empty(), sent, "{length} bytes");
    }
}

/// A router's error comes from that router, and 'port unreachable' from the peer. Errors of the
/// relay's host come from the gateway, and so does an error that no router of the app's family can
/// have sent.
#[test]
fn an_error_comes_from_the_host_that_reported_it() {
    let gateway = ["10.99.0.17", "fd75:6e64:6572::1"];
    let (port, host) = (FaultKind::PortUnreachable, FaultKind::HostUnreachable);
    for (n, (app, peer)) in [(APP, PEER), (APP6, PEER6)].into_iter().enumerate() {
        let [own, other] = if n == 0 { ["9.9.9.9", "2600::9"] } else { ["2600::9", "9.9.9.9"] };
        let loopback = ["127.0.0.1", "::1"][n];
        let peer: SocketAddr = peer.parse().unwrap();
        let remote = peer.ip().to_string();
        for (kind, router, from) in [
            (port, Some(own), own),
            (port, None, remote.as_str()),
            (port, Some(other), remote.as_str()),
            (port, Some(loopback), remote.as_str()),
            (host, Some(own), own),
            (host, None, gateway[n]),
            (host, Some(other), gateway[n]),
            (host, Some(loopback), gateway[n]),
        ] {
            let mut rig = Rig::new(1500);
            let bind = rig.bind(app, &peer.to_string());
            let fault = fault(kind, router);
            let sent = rig.out(|s, now, out| s.deliver_peer_error(now, bind, peer, fault, out));
            assert_eq!(source(&sent[0]), from.parse::<IpAddr>().unwrap(), "{fault:?}");
        }
    }
}

/// The source of a packet.
fn source(packet: &[u8]) -> IpAddr {
    if packet[0] >> 4 == 4 {
        <[u8; 4]>::try_from(&packet[12..16]).unwrap().into()
    } else {
        <[u8; 16]>::try_from(&packet[8..24]).unwrap().into()
    }
}

/// A SYN that no server answered: its app's kernel sends it again, and is connected in a new
/// attempt.
#[test]
fn silence_is_passed_on_as_silence() {
    let mut raw = Raw::new(Offload::None);
    assert!(raw.syn(4000, 1000).is_empty());
    let flow = raw.connecting();
    raw.stack.refuse(raw.now, flow, Refusal::Silent, &mut raw.sink);
    assert!(raw.turn().is_empty() && raw.sink.0.is_empty());
    assert_eq!(raw.stack.stats().half_open, 0);
    // The relay's second answer about it.
    raw.stack.refuse(raw.now, flow, Refusal::Reset, &mut raw.sink);
    raw.stack.accept(raw.now, flow, &mut raw.sink);
    assert!(raw.turn().is_empty());
    raw.syn(4000, 1000);
    assert_ne!(raw.connecting(), flow);
}
