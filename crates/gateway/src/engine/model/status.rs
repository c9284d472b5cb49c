//! The status of the tunnel in each state, and how full its tables are.

use super::World;
use super::program::{
    Act, Answering, AppEnd, AppSide, Outcome, Plan, Program, Reads, Reply, ServerEnd, ServerSide,
    Setting, Speaks, To, What,
};
use crate::engine::pretend::world::World as _;
use crate::status::{GatewayState, RelayStatus, Status};
use stack::limits::{MAX_FLOWS, MAX_HALF_OPEN};
use std::time::Duration;
use wire::limits::MAX_QUERIES;

/// A world without acts, whose relays offer so many connections each.
pub(super) fn world(max_flows: u32) -> World {
    let setting = Setting { offload: true, lanes: 2, max_flows, max_binds: 5, ..Setting::PLAIN };
    World::new(&Program { seed: 1, setting, acts: Vec::new() }, crate::engine::now())
}

/// A connection that stays open when all bytes are across.
fn connect(up: u64, down: u64) -> What {
    let app = AppSide { buffer: 65_536, end: AppEnd::AfterServer, reads: Reads::Eagerly };
    let server =
        ServerSide { speaks: Speaks::AtOnce, end: ServerEnd::Never, reads: Reads::Eagerly };
    What::Connect(Plan {
        to: To::V4,
        outcome: Outcome::Opened,
        connect_ms: 0,
        up,
        down,
        app,
        server,
    })
}

fn pass(world: &mut World, acts: &[What], seconds: u64) -> Status {
    for what in acts {
        world.act(Act { at_ms: 0, what: *what });
    }
    world.run_until(world.gateway.now + Duration::from_secs(seconds));
    world.gateway.report()
}

fn limit(status: &Status, name: &str) -> (u64, u64) {
    let found = status.limits.iter().find(|limit| limit.name == name);
    found.map(|limit| (limit.now, limit.max)).unwrap()
}

fn each<T>(status: &Status, of: impl Fn(&RelayStatus) -> T) -> Vec<T> {
    status.relays.iter().map(of).collect()
}

#[test]
fn a_gateway_starts_is_up_and_says_so_when_its_relays_are_gone() {
    let mut world = world(10);
    let before = world.gateway.report();
    assert_eq!(
        (before.state, before.tap.is_none(), before.uptime_s),
        (GatewayState::Starting, true, 0)
    );
    assert_eq!(each(&before, |relay| relay.state.clone()), ["waiting", "waiting"]);
    assert_eq!(limit(&before, "relay-tcp"), (0, 0));

    let up = pass(&mut world, &[], 3);
    assert_eq!((up.state, up.uptime_s), (GatewayState::Up, 3));
    let tap = up.tap.clone().unwrap();
    assert_eq!((tap.name.as_str(), tap.mtu, tap.offload), ("model", 1500, true));
    assert_eq!(tap.ipv4.gateway.to_string(), "10.99.0.17");
    assert_eq!(tap.ipv6.map(|six| six.host.to_string()).as_deref(), Some("fd75:6e64:6572::3"));
    let relay = |relay: &RelayStatus| {
        (relay.lane, relay.state.clone(), relay.pid, relay.age_s, relay.restarts)
    };
    assert_eq!(
        each(&up, relay),
        [0, 1].map(|lane| (lane, "ready".to_owned(), Some(0), Some(3), 0))
    );
    assert_eq!(up.relays[1].can, ["udp", "dns", "ping", "ping6"]);
    assert_eq!(up.relays[1].version.as_deref(), Some("model"));
    assert_eq!((limit(&up, "relay-tcp"), limit(&up, "udp")), ((0, 20), (0, 10)));
    assert_eq!(limit(&up, "questions"), (0, 2 * MAX_QUERIES as u64));

    world.act(Act { at_ms: 0, what: What::Dies { lane: 1 } });
    world.settle();
    let again = pass(&mut world, &[], 2);
    assert_eq!(each(&again, |relay| relay.restarts), [0, 1]);
    assert_eq!(each(&again, |relay| relay.last_error.is_some()), [false, true]);
    assert_eq!(
        (again.state, each(&again, |relay| relay.age_s)),
        (GatewayState::Up, vec![Some(5), Some(2)])
    );

    // Both at once; the supervisor has not answered yet.
    for lane in 0..2 {
        world.act(Act { at_ms: 0, what: What::Dies { lane } });
    }
    for _ in 0..3 {
        world.gateway.pass().unwrap();
    }
    assert_eq!(world.gateway.report().state, GatewayState::NoRelay);
    assert_eq!(pass(&mut world, &[], 2).state, GatewayState::Up);
}

#[test]
fn a_status_counts_what_is_open_and_what_has_passed() {
    let mut world = world(10);
    pass(&mut world, &[], 1);
    let acts = [
        connect(1000, 5000),
        connect(7, 0),
        What::Datagram { port: 1, host: 0, bytes: 100, reply: Reply::Echo(1) },
        What::Query(Answering::Answer),
        What::Query(Answering::Silence),
        What::Ping { host: 0, bytes: 56, answered: false },
    ];
    let status = pass(&mut world, &acts, 1);
    let flows = status.flows;
    assert_eq!(
        (flows.tcp, flows.tcp_pending, flows.udp, flows.dns, flows.echo),
        (2, 0, 1, 1, 1),
        "{flows:?}"
    );
    let totals = status.totals;
    assert_eq!((totals.tcp, totals.dns, totals.echo), (2, 2, 1), "{totals:?}");
    assert_eq!((status.bytes.up, status.bytes.down), (1007, 5000));
    assert!(
        status.packets.up > 4 && status.packets.down > 4 && status.drops.is_empty(),
        "{status:?}"
    );
    assert_eq!(status.dns_answers.values().sum::<u64>(), 1);
    assert_eq!(
        (limit(&status, "relay-tcp"), limit(&status, "tcp")),
        ((2, 20), (2, MAX_FLOWS as u64))
    );
    assert_eq!(limit(&status, "tcp-pending"), (0, MAX_HALF_OPEN as u64));
    assert_eq!((limit(&status, "questions").0, limit(&status, "pings").0), (1, 1));
    // The traffic of a relay stays counted after the relay is gone.
    for lane in 0..2 {
        world.act(Act { at_ms: 0, what: What::Dies { lane } });
    }
    let after = pass(&mut world, &[], 2);
    assert_eq!((after.bytes, after.flows.tcp, after.flows.dns), (status.bytes, 0, 0));
}

#[test]
fn connections_beyond_what_the_relays_offer_are_refused_and_counted() {
    let mut world = world(1);
    assert_eq!(pass(&mut world, &[], 1).refused, None);
    let status = pass(&mut world, &[connect(1, 1), connect(1, 1), connect(1, 1)], 2);
    assert_eq!((status.flows.tcp, limit(&status, "relay-tcp")), (2, (2, 2)));
    assert_eq!(status.drops.get("relays-full"), Some(&1), "{:?}", status.drops);
    assert_eq!(status.refused.map(|refused| (refused.count, refused.last_s)), Some((1, 2)));
}
