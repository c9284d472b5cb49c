//! The host's network changes under the relay, and the relay reports it: soon, and not too often.

use crate::relay::{Event, Relay};
use lab::addresses::ROUTER_V6;
use lab::{Lab, Place, lab_or_skip};
use std::time::{Duration, Instant};
use wire::Capabilities;

/// Longer than the time between two reports.
const SETTLED: Duration = Duration::from_millis(2500);

fn ip(lab: &Lab, words: &str) {
    let words: Vec<&str> = ["ip"].into_iter().chain(words.split_whitespace()).collect();
    let finished = lab.run(Place::Windows, &words).unwrap();
    assert!(finished.succeeded(), "{words:?}: {}", finished.stderr);
}

/// Waits until nothing more changes, and returns the number of reports until then.
fn settle(relay: &Relay) -> usize {
    std::iter::from_fn(|| relay.next_within(SETTLED))
        .filter(|event| matches!(event, Event::Changed))
        .count()
}

#[test]
fn changes_of_routes_and_addresses_are_reported_and_the_facts_are_new() {
    let Some(lab) = lab_or_skip() else { return };
    let mut relay = Relay::start(&lab);
    assert!(relay.hello.capabilities.contains(Capabilities::CHANGES));
    assert!(relay.facts().ipv6);
    assert_eq!(settle(&relay), 0, "nothing changed yet");
    ip(&lab, "-6 route del default");
    assert!(settle(&relay) > 0, "a route that goes is reported");
    assert!(!relay.facts().ipv6);
    ip(&lab, &format!("-6 route add default via {ROUTER_V6}"));
    assert!(settle(&relay) > 0, "a route that comes is reported");
    assert!(relay.facts().ipv6);
    ip(&lab, "addr add 10.99.0.1/24 dev uplink");
    assert!(settle(&relay) > 0, "an address is reported");
    assert!(relay.facts().routes.contains(&"10.99.0.0/24".to_owned()));
    ip(&lab, "link set uplink down");
    assert!(settle(&relay) > 0, "a link is reported");
    assert!(!relay.facts().ipv6, "the default route went with its link");
}

#[test]
fn another_dns_server_is_reported() {
    let Some(lab) = lab_or_skip() else { return };
    let file = format!("/etc/netns/{}/resolv.conf", lab.namespace(Place::Windows));
    let mut relay = Relay::start(&lab);
    let before = relay.facts().dns_servers;
    assert_eq!(settle(&relay), 0, "nothing changed yet");
    std::fs::write(&file, "nameserver 192.0.2.53\n").unwrap();
    assert!(settle(&relay) > 0, "the file is reported");
    assert_ne!(relay.facts().dns_servers, before);
    assert_eq!(relay.facts().dns_servers, ["192.0.2.53"]);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test is about how often, in time")]
fn a_burst_is_reported_at_once_then_once_a_second_with_its_last_change() {
    let Some(lab) = lab_or_skip() else { return };
    let mut relay = Relay::start(&lab);
    assert_eq!(settle(&relay), 0, "nothing changed yet");
    let begin = Instant::now();
    for i in 1..=30 {
        ip(&lab, &format!("route add 10.98.{i}.0/24 dev uplink"));
    }
    let seconds = begin.elapsed().as_secs() as usize;
    let seen = settle(&relay);
    assert!((1..=seconds + 3).contains(&seen), "{seen} reports about changes of {seconds} s");
    assert!(relay.facts().routes.contains(&"10.98.30.0/24".to_owned()));
}
