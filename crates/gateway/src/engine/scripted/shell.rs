//! The facts that the network's process and the status get from relays, and the fate of traffic
//! that cannot be carried.

use super::*;
use crate::limits::{DNS_TIDY_EVERY, WITHDRAW_AFTER};
use crate::net::ways::{Direct, Ways};
use crate::status::DirectPrefix;
use wire::limits::MAX_QUEUED_DATAGRAM_BYTES;
use wire::{Marks, UnbindReason};

const ONE: Setting = Setting { lanes: 1, via: false };
const HOST: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);

fn named(name: &str) -> HostFacts {
    HostFacts { names: vec![name.to_owned()], ..HostFacts::default() }
}

#[test]
fn the_networks_process_gets_a_hosts_facts_and_their_changes() {
    let mut world = World::new(&ONE);
    assert_eq!(*world.gateway.wishes.borrow(), Wish::default());
    world.settle();
    // Changes before the answer cause one more question after it.
    world.send(0, &Frame::Changed);
    world.send(0, &Frame::Changed);
    world.tell_facts(0, &named("first"));
    let wish = |name| Wish { carry: true, host: Some(named(name)), elsewhere: Vec::new() };
    assert_eq!(*world.gateway.wishes.borrow_and_update(), wish("first"));
    world.tell_facts(0, &named("second"));
    assert_eq!(*world.gateway.wishes.borrow_and_update(), wish("second"));
    assert_eq!(world.heard(0), [], "the facts are up to date");
    for (json, expected) in [
        (serde_json::to_vec(&named("second")).unwrap(), "second"),
        (b"nonsense".to_vec(), "second"),
    ] {
        world.send(0, &Frame::Changed);
        world.tell_json(0, &json);
        assert!(!world.gateway.wishes.has_changed().unwrap(), "{json:?}");
        assert_eq!(*world.gateway.wishes.borrow(), wish(expected));
    }
    world.send(0, &Frame::Changed);
    world.tell_facts(0, &named("third"));
    assert!(world.gateway.wishes.has_changed().unwrap());
    assert_eq!(*world.gateway.wishes.borrow(), wish("third"));
}

#[test]
fn without_a_relay_for_some_time_the_vm_gets_its_own_network_back() {
    let mut world = World::ready(&ONE, &named("host"));
    world.wait(4 * WITHDRAW_AFTER);
    assert!(world.gateway.wishes.borrow().carry, "while there is a relay");
    world.can_start = false;
    world.relays[&0].end.down.close();
    world.settle();
    // The next start is due first, and takes for ever.
    let gone = world.gateway.now;
    let moment = Duration::from_millis(1);
    world.wait(WITHDRAW_AFTER / 2);
    assert_eq!(world.gateway.engine.armed, gone + WITHDRAW_AFTER, "the engine wakes by itself");
    world.wait(WITHDRAW_AFTER / 2 - moment);
    assert!(world.gateway.wishes.borrow().carry);
    world.wait(moment);
    assert!(!world.gateway.wishes.borrow_and_update().carry);
    // Until a relay runs again.
    world.wait(10 * WITHDRAW_AFTER);
    assert!(!world.gateway.wishes.has_changed().unwrap());
    world.can_start = true;
    world.settle();
    world.tell_facts(0, &named("host"));
    assert!(world.gateway.wishes.borrow().carry);
}

#[test]
fn an_earlier_deadline_moves_the_timer_forward() {
    let mut world = World::ready(&Setting::default(), &HostFacts::default());
    world.connect(10_000, (GATEWAY, 53));
    world.wait(DNS_TIDY_EVERY / 3);
    assert!(world.gateway.engine.armed > world.gateway.now + DNS_TIDY_EVERY / 3);
    // Its SYN-ACK is sent again first (RFC 6298 section 2: after a second).
    world.acknowledges = false;
    world.connect(10_001, (GATEWAY, 53));
    assert!(world.gateway.engine.armed > world.gateway.now);
    assert!(world.gateway.engine.armed <= world.gateway.now + Duration::from_millis(1100));
}

#[test]
fn traffic_to_a_stand_in_without_a_name_fails_at_once() {
    let setting = Setting { lanes: 1, via: true };
    let mut world = World::ready(&setting, &HostFacts::default());
    let nowhere = Ipv4Addr::new(198, 18, 0, 9);
    world.connect(10_000, (nowhere, 443));
    world.ping(nowhere);
    world.datagram(10_001, (nowhere, 443), b"hello");
    assert_eq!(world.icmp, [(3, 1); 3], "host unreachable");
    assert_eq!(world.dropped("stand-ins"), 3);
    let heard = world.heard(0);
    assert!(matches!(heard[..], [Heard::Bind(_)]), "{heard:?}");
    assert_eq!((world.report().totals.tcp, world.report().totals.udp), (1, 1));
}

#[test]
fn a_udp_socket_that_a_relay_loses_is_counted_and_made_anew() {
    let mut world = World::ready(&ONE, &HostFacts::default());
    world.datagram(10_000, (HOST, 500), b"hello");
    let heard = world.heard(0);
    let [Heard::Bind(bind)] = heard[..] else { panic!("{heard:?}") };
    let peer = SocketAddr::from((HOST, 500));
    let reply = |bind| Frame::Datagram { bind, peer, marks: Marks::of_ttl(9), bytes: b"world" };
    world.send(0, &reply(bind));
    assert_eq!(world.received(10_000), [b"world"]);
    world.send(0, &Frame::Unbind { bind, reason: UnbindReason::Broken });
    assert_eq!((world.dropped("unbound"), world.report().flows.udp), (1, 0));
    world.datagram(10_000, (HOST, 500), b"hello");
    let heard = world.heard(0);
    let [Heard::Bind(again)] = heard[..] else { panic!("{heard:?}") };
    world.send(0, &reply(again));
    assert_eq!(world.received(10_000), [b"world"]);
    assert_eq!((world.report().totals.udp, world.report().flows.udp), (2, 1));
}

#[test]
fn offences_of_relays_and_datagrams_that_they_do_not_take_are_counted() {
    let mut world = World::ready(&Setting { lanes: 2, via: false }, &HostFacts::default());
    for port in 10_000..10_003 {
        world.connect(port, (HOST, 80));
        for lane in 0..2 {
            for heard in world.heard(lane) {
                if let Heard::Open(flow, _) = heard {
                    // Bytes before the connection is open.
                    world.send(lane, &Frame::Data { flow, bytes: b"early" });
                }
            }
        }
    }
    assert_eq!(world.dropped("relay-offences"), 3);
    for relay in world.relays.values_mut() {
        relay.end.is_deaf = true;
    }
    assert_eq!(world.dropped("relay-datagrams"), 0);
    // More than the pipe and the queue hold.
    let sent = 3 * MAX_QUEUED_DATAGRAM_BYTES / 1400;
    for _ in 0..sent {
        world.datagram(10_000, (HOST, 500), &[7; 1400]);
    }
    let dropped = usize::try_from(world.dropped("relay-datagrams")).unwrap();
    for relay in world.relays.values_mut() {
        relay.end.is_deaf = false;
    }
    world.settle();
    let came: usize = world.relays.values().map(|relay| relay.datagrams).sum();
    assert!(came > MAX_QUEUED_DATAGRAM_BYTES / 1400 && dropped > 0);
    assert_eq!(came + dropped, sent);
}

#[test]
fn the_status_shows_what_goes_directly() {
    let mut world = World::ready(&ONE, &HostFacts::default());
    let way = Direct { to: "10.8.0.0/16".parse().unwrap(), device: "eth1".to_owned() };
    let ways = Ways { direct: vec![way], ..Ways::default() };
    world.gateway.set_network(NetworkState { ways, ..network_state(true) });
    world.settle();
    let expected = DirectPrefix { prefix: "10.8.0.0/16".to_owned(), device: "eth1".to_owned() };
    assert_eq!(world.report().direct, [expected]);
}

#[test]
fn at_its_end_the_gateway_resets_all_connections() {
    let mut world = World::ready(&ONE, &HostFacts::default());
    world.connect(10_000, (HOST, 80));
    let heard = world.heard(0);
    let [Heard::Open(flow, _)] = heard[..] else { panic!("{heard:?}") };
    world.send(0, &Frame::Opened { flow, window: 65_536 });
    world.connect(10_001, (GATEWAY, 53));
    assert_eq!([10_000, 10_001].map(|port| world.flags(port)), [SYN | ACK; 2]);
    world.gateway.engine.core.reset_all(world.gateway.now);
    world.take_frames();
    assert_eq!([10_000, 10_001].map(|port| world.flags(port) & RST), [RST; 2]);
}
