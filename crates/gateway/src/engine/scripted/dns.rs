//! DNS: how connections end and make room, how many questions a user may ask, and what answers
//! them.

use super::*;
use crate::limits::{ASKED_LIFETIME, DNS_IDLE, DNS_TIDY_EVERY, MAX_DNS_CONNECTIONS};
use crate::status::RebindStatus;
use wire::limits::MAX_QUERIES;
use wire::{AnsweredBy, ConnectFailure, QueryFailure};

const ONE: Setting = Setting { lanes: 1, via: false };
const SERVER: (Ipv4Addr, u16) = (GATEWAY, 53);

const A: u8 = 1;
const SOA: u8 = 6;
const AAAA: u8 = 28;
const AXFR: u8 = 252;

/// A query with that id, for a name of two labels.
fn query(id: u16, labels: [&str; 2], kind: u8) -> Vec<u8> {
    let mut message = [&id.to_be_bytes()[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]].concat();
    for label in labels {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.bytes());
    }
    message.extend([0, 0, kind, 0, 1]);
    message
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// A server's answer with one address.
fn answer(query: &[u8], address: [u8; 4]) -> Vec<u8> {
    let mut message = query.to_vec();
    (message[2], message[3], message[7]) = (0x81, 0x80, 1);
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
    message.extend(address);
    message
}

fn world() -> World {
    World::ready(&ONE, &HostFacts::default())
}

fn with_servers(servers: &[&str]) -> World {
    let dns_servers = servers.iter().map(|server| (*server).to_owned()).collect();
    World::ready(&ONE, &HostFacts { dns_servers, ..HostFacts::default() })
}

/// An app whose connection to the gateway's DNS stands.
fn open(world: &mut World, port: u16) {
    world.connect(port, SERVER);
    assert_eq!(world.flags(port), SYN | ACK, "{port}");
}

#[test]
fn an_idle_client_gets_a_fin_and_a_reset_if_it_stays() {
    // No relay's heartbeat wakes the engine.
    let mut world = World::ready(&Setting::default(), &HostFacts::default());
    open(&mut world, 10_000);
    let second = Duration::from_secs(1);
    world.wait(DNS_IDLE - second);
    let until_tidied = world.gateway.engine.armed.saturating_duration_since(world.gateway.now);
    assert!((second / 1000..=DNS_TIDY_EVERY).contains(&until_tidied), "{until_tidied:?}");
    assert_eq!(world.flags(10_000) & FIN, 0);
    world.wait(7 * second);
    assert_eq!(world.flags(10_000) & (FIN | RST), FIN);
    world.wait(DNS_IDLE - 7 * second);
    assert_eq!(world.flags(10_000) & RST, 0);
    world.wait(7 * second);
    assert_eq!(world.flags(10_000) & RST, RST);
    assert_eq!(world.report().flows.tcp, 0);
    let core = &mut world.gateway.engine.core;
    assert_eq!((core.open().dns_connections, core.expiry()), (0, None));
}

#[test]
fn what_is_no_query_is_dropped_or_reset_and_counted() {
    let mut world = world();
    let mut response = query(1, ["a", "test"], A);
    response[2] |= 0x80;
    world.datagram(10_000, SERVER, &response);
    assert_eq!((world.received(10_000).len(), world.dropped("dns")), (0, 1));
    open(&mut world, 10_001);
    world.say(10_001, &framed(&[0; 11]));
    assert_eq!((world.flags(10_001) & RST, world.dropped("dns")), (RST, 2));
    assert_eq!((world.report().totals.dns, world.heard(0)), (1, Vec::new()));
}

#[test]
fn a_new_connection_displaces_the_idlest_one_of_the_user_with_most() {
    let mut world = world();
    let (most, few) = (MAX_DNS_CONNECTIONS - 200, 200);
    let ports = |user: u16, count: usize| (0..count).map(move |n| user * 1000 + n as u16);
    ports(11, few).for_each(|port| open(&mut world, port));
    world.wait(Duration::from_millis(10));
    ports(10, most).for_each(|port| open(&mut world, port));
    assert_eq!(world.dropped("dns-displaced"), 0, "there is room for all");
    // The idlest one is busy now.
    world.say(10_000, &framed(&query(1, ["a", "test"], A)));
    let mut gone = Vec::new();
    // Another user, the user with few, and the user with most.
    for newcomer in [12_000, 11_900, 10_900] {
        open(&mut world, newcomer);
        let reset = |port: &u16| world.flags(*port) & RST != 0;
        let all: Vec<u16> = ports(10, most).chain(ports(11, few)).filter(reset).collect();
        gone.push(all.last().copied());
        assert_eq!(all.len(), gone.len(), "{all:?}");
    }
    assert_eq!(gone, [Some(10_001), Some(10_002), Some(10_003)]);
    assert_eq!(world.dropped("dns-displaced"), 3);
    let limit = world.report().limits.into_iter().find(|limit| limit.name == "dns-connections");
    assert_eq!(limit.map(|limit| limit.now), Some(MAX_DNS_CONNECTIONS as u64));
}

#[test]
fn a_new_connection_of_the_user_with_most_displaces_no_busy_one() {
    let mut world = World::ready(&Setting { lanes: 3, via: false }, &HostFacts::default());
    for n in 0..MAX_DNS_CONNECTIONS as u16 {
        open(&mut world, 10_000 + n);
        world.say(10_000 + n, &framed(&query(n, [&format!("z{n}"), "test"], A)));
    }
    world.connect(10_900, SERVER);
    assert_eq!(world.flags(10_900), RST | ACK);
    assert!((10_000..10_000 + MAX_DNS_CONNECTIONS as u16).all(|port| world.flags(port) & RST == 0));
    assert_eq!((world.dropped("dns-displaced"), world.dropped("dns")), (0, 1));
    // Another user's displaces even a busy one.
    open(&mut world, 11_000);
    assert_eq!((world.flags(10_000) & RST, world.dropped("dns-displaced")), (RST, 1));
}

/// Asks one more question. Returns whether it reached the relay.
fn is_asked(world: &mut World, port: u16, id: u16) -> bool {
    world.datagram(port, SERVER, &query(id, [&format!("n{id}"), &format!("z{id}")], A));
    !world.heard(0).is_empty()
}

#[test]
fn a_user_who_asks_more_than_a_share_leaves_room_for_others() {
    let mut world = world();
    let asked = (0..MAX_QUERIES as u16).filter(|n| is_asked(&mut world, 10_000, *n)).count();
    // The first quarter has no owner; of the rest a user gets two thirds.
    assert_eq!(asked, MAX_QUERIES * 3 / 4);
    assert_eq!(world.dropped("dns-share"), (MAX_QUERIES - asked) as u64);
    assert!(is_asked(&mut world, 11_000, 900));
    let report = world.report();
    let limit = report.limits.iter().find(|limit| limit.name == "questions").unwrap();
    assert_eq!((limit.now, limit.max), (asked as u64 + 1, MAX_QUERIES as u64));
    assert_eq!(report.totals.dns, MAX_QUERIES as u64 + 1);
    // Over TCP the failure is an answer.
    open(&mut world, 10_001);
    world.say(10_001, &framed(&query(7, ["a", "test"], A)));
    assert_eq!(world.apps[&10_001].got[4..6], [0x81, 0x82]);
    // No answer comes: all expire in time, and not before.
    assert_eq!(world.gateway.engine.core.expiry(), Some(world.gateway.now + ASKED_LIFETIME));
    world.wait(ASKED_LIFETIME - Duration::from_millis(1));
    assert_eq!(world.report().flows.dns, report.flows.dns);
    world.wait(Duration::from_millis(1));
    assert_eq!(world.report().flows.dns, 0);
}

#[test]
fn without_a_relay_questions_are_dropped_for_that_reason() {
    let mut world = World::new(&ONE);
    world.can_start = false;
    world.datagram(10_000, SERVER, &query(1, ["a", "test"], A));
    assert_eq!((world.dropped("no-relay"), world.dropped("dns-share")), (1, 0));
}

#[test]
fn questions_are_spread_over_all_relays_by_their_ids() {
    let mut world = World::ready(&Setting { lanes: 2, via: false }, &HostFacts::default());
    for id in 0..20 {
        world.datagram(10_000, SERVER, &query(id, ["a", "test"], A));
    }
    assert_eq!([0, 1].map(|lane| world.heard(lane).len()), [10, 10]);
    let mut world = World::ready(&Setting { lanes: 3, via: false }, &HostFacts::default());
    for id in (0..60).map(|n| n << 8) {
        world.datagram(10_000, SERVER, &query(id, ["a", "test"], A));
    }
    assert_eq!([0, 1, 2].map(|lane| world.heard(lane).len()), [20; 3], "the high byte counts");
}

#[test]
fn the_gateways_name_has_an_ipv6_address_while_ipv6_is_carried() {
    let mut world = world();
    let mut query = query(1, ["gateway", "underpass"], AAAA);
    query.splice(query.len() - 5.., [&b"\x08internal"[..], &[0, 0, AAAA, 0, 1]].concat());
    for (ipv6, expected) in [(true, 1), (false, 0), (true, 1)] {
        world.gateway.set_network(network_state(ipv6));
        world.datagram(10_000, SERVER, &query);
        let [answer] = &world.received(10_000)[..] else { panic!("an answer") };
        assert_eq!((answer[3] & 15, answer[7]), (0, expected), "IPv6 is carried: {ipv6}");
        assert_eq!(world.report().tap.unwrap().ipv6.is_some(), ipv6);
    }
}

#[test]
fn an_answer_that_names_the_host_is_filtered_and_in_the_status() {
    let mut world = world();
    assert_eq!(world.report().rebind, None);
    let ask = |world: &mut World, by| {
        let query = query(1, ["evil", "test"], A);
        world.datagram(10_000, SERVER, &query);
        let asked = world.heard(0);
        let [Heard::Query(request, message)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(*message, query);
        let message = answer(message, [127, 0, 0, 1]);
        world.send(0, &Frame::Answer { request: *request, by, message: &message });
        let [answer] = &world.received(10_000)[..] else { panic!("an answer") };
        answer[7]
    };
    assert_eq!(ask(&mut world, AnsweredBy::HostsFile), 1, "the host's own file may name it");
    assert_eq!(world.report().rebind, None);
    assert_eq!(ask(&mut world, AnsweredBy::Servers), 0);
    assert_eq!(ask(&mut world, AnsweredBy::Servers), 0);
    let names = vec!["evil.test".to_owned()];
    assert_eq!(world.report().rebind, Some(RebindStatus { answers: 2, names }));
    assert_eq!(world.dropped("rebind"), 2);
    let by: Vec<(String, u64)> = world.report().dns_answers.into_iter().collect();
    assert_eq!(by, [("hosts-file".to_owned(), 1), ("servers".to_owned(), 2)]);
}

#[test]
fn a_zone_transfer_is_a_servers_connection_behind_all_answers() {
    let mut world = with_servers(&["192.0.2.53", "nonsense", "2001:db8::53"]);
    open(&mut world, 10_000);
    let (first, transfer) = (query(1, ["corp", "test"], SOA), query(2, ["corp", "test"], AXFR));
    let behind = query(3, ["corp", "test"], SOA);
    let rest = [framed(&transfer), framed(&behind)].concat();
    world.say(10_000, &[framed(&first), rest.clone()].concat());
    let asked = world.heard(0);
    let [Heard::Query(request, _)] = asked[..] else { panic!("{asked:?}") };
    world.acknowledges = false;
    world.send(0, &Frame::NoAnswer { request, reason: QueryFailure::NoServer });
    assert_eq!(world.heard(0), [], "the app has not acknowledged the answer");
    world.acknowledges = true;
    world.say(10_000, b"");
    let asked = world.heard(0);
    let [Heard::Open(flow, to)] = asked[..] else { panic!("{asked:?}") };
    assert_eq!(to, "192.0.2.53:53".parse().unwrap());
    world.send(0, &Frame::Failed { flow, reason: ConnectFailure::Refused, os_code: 0 });
    let asked = world.heard(0);
    assert_eq!(asked, [Heard::Open(flow, "[2001:db8::53]:53".parse().unwrap())]);
    world.send(0, &Frame::Opened { flow, window: 65_536 });
    assert_eq!(world.heard(0), [Heard::Data(flow, rest)]);
    let before = world.apps[&10_000].got.len();
    assert_eq!(before, 2 + first.len());
    world.send(0, &Frame::Data { flow, bytes: b"the zone" });
    assert_eq!(world.apps[&10_000].got[before..], *b"the zone");
    world.say(10_000, b"more");
    assert_eq!(world.heard(0), [Heard::Data(flow, b"more".to_vec())]);
    assert_eq!(world.report().totals.dns, 2);
    world.segment(10_000, RST | ACK, b"");
    assert_eq!(world.heard(0), [Heard::Reset(flow)]);
}

#[test]
fn a_zone_transfer_without_a_server_fails_and_the_next_query_is_asked() {
    for servers in [&[][..], &["192.0.2.53"]] {
        let mut world = with_servers(servers);
        open(&mut world, 10_000);
        let (transfer, behind) = (query(2, ["corp", "test"], AXFR), query(3, ["a", "test"], A));
        world.say(10_000, &[framed(&transfer), framed(&behind)].concat());
        if !servers.is_empty() {
            let asked = world.heard(0);
            let [Heard::Open(flow, _)] = asked[..] else { panic!("{asked:?}") };
            world.send(0, &Frame::Failed { flow, reason: ConnectFailure::TimedOut, os_code: 0 });
        }
        let got = &world.apps[&10_000].got;
        assert_eq!((&got[2..4], got[5] & 15, got.len()), (&[0, 2][..], 2, 2 + transfer.len()));
        let asked = world.heard(0);
        assert!(matches!(&asked[..], [Heard::Query(_, query)] if *query == behind), "{asked:?}");
        assert_eq!(world.gateway.engine.core.open().flows, 0, "it is the gateway's own again");
    }
}

#[test]
fn a_reset_of_the_app_reaches_the_relay_while_a_server_is_tried() {
    let mut world = with_servers(&["192.0.2.53"]);
    open(&mut world, 10_000);
    world.say(10_000, &framed(&query(2, ["corp", "test"], AXFR)));
    let asked = world.heard(0);
    let [Heard::Open(flow, _)] = asked[..] else { panic!("{asked:?}") };
    world.segment(10_000, RST | ACK, b"");
    assert_eq!(world.heard(0), [Heard::Reset(flow)]);
    let open = world.gateway.engine.core.open();
    assert_eq!((open.dns_connections, open.flows), (0, 0));
}
