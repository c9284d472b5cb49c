//! Packets from an uplink address: the stack serves those that start a conversation. It reports,
//! and does not answer, those that answer a peer that did not come through the tunnel.

mod common;
use common::raw::*;
use std::net::{IpAddr, SocketAddr};
use underpass_stack::*;

/// The source of [`segment`].
const OWN: [u8; 4] = [10, 99, 0, 18];

fn uplink() -> Raw {
    let mut raw = Raw::new(Offload::None);
    raw.stack.set_uplink(&[IpAddr::from(OWN)], Strays::Elsewhere);
    raw
}

fn elsewhere(port: u16) -> Event {
    Event::Elsewhere(Elsewhere::Tcp(SocketAddr::from((OWN, port))))
}

#[test]
fn an_answer_to_a_peer_that_came_in_elsewhere_is_reported_and_not_reset() {
    let mut raw = uplink();
    for (port, flags) in [(22, SYN | ACK), (23, ACK), (24, RST | ACK), (25, FIN | ACK), (26, RST)] {
        raw.feed(&segment(port, 1000, 2000, flags, &[], b""));
        assert!(raw.turn().is_empty(), "{flags}");
        assert_eq!(raw.events.drain(..).collect::<Vec<_>>(), [elsewhere(port)], "{flags}");
    }
    assert_eq!(raw.stack.stats().dropped(DropReason::Elsewhere), 5);
    raw.stack.set_uplink(&[], Strays::Elsewhere);
    raw.feed(&segment(23, 1000, 2000, ACK, &[], b""));
    assert_eq!(raw.turn()[0].flags, RST, "from another address it is an error");
    assert!(raw.events.is_empty());
}

#[test]
fn a_connection_that_began_here_is_served_and_what_follows_its_end_is_reset() {
    let mut raw = uplink();
    let conn = raw.half(4000, 1000);
    raw.feed(&segment(4000, conn.seq, 0, RST, &[], &[]));
    assert!(raw.turn().is_empty());
    assert!(raw.saw(&conn, Changes::RESET));
    raw.events.clear();
    raw.feed(&segment(4000, conn.seq, conn.ack, ACK, &[], b"late"));
    assert_eq!(raw.turn()[0].flags, RST);
    assert!(raw.events.is_empty(), "{:?}", raw.events);
    // A server may take the port later.
    raw.feed(&segment(4000, 1000, 2000, SYN | ACK, &[], b""));
    assert!(raw.turn().is_empty());
    assert_eq!(raw.events, [elsewhere(4000)]);
}

#[test]
fn an_echo_reply_reports_its_peer_and_a_request_is_served() {
    let mut raw = uplink();
    let peer = [192, 0, 2, 2];
    let echo = |kind: fn(etherparse::PacketBuilderStep<etherparse::IpHeaders>) -> Step| {
        let mut packet = Vec::new();
        kind(etherparse::PacketBuilder::ipv4(OWN, peer, 64))
            .write(&mut packet, b"payload")
            .unwrap();
        packet
    };
    raw.feed(&echo(|ip| ip.icmpv4_echo_reply(77, 3)));
    raw.turn();
    let ping = Elsewhere::Ping { own: OWN.into(), peer: peer.into() };
    assert_eq!(raw.events.drain(..).collect::<Vec<_>>(), [Event::Elsewhere(ping)]);
    raw.feed(&echo(|ip| ip.icmpv4_echo_request(77, 4)));
    raw.turn();
    assert!(matches!(raw.events[..], [Event::Echo { .. }]), "{:?}", raw.events);
}

type Step = etherparse::PacketBuilderStep<etherparse::Icmpv4Header>;
