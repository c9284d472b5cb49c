//! Connections that make room for others, in moments that a random program hardly ever hits.

use super::World;
use super::program::{
    Act, AppEnd, AppSide, Outcome, Plan, Program, Reads, ServerEnd, ServerSide, Setting, Speaks,
    To, What,
};
use super::relay::Asleep;
use crate::engine::now;
use stack::{AppSocket, Owners, Transport};
use std::net::SocketAddr;
use std::time::Duration;

/// Every app has closed its socket.
#[derive(Debug)]
struct Closed;

impl Owners for Closed {
    fn look_up(&mut self, _: Transport, _: SocketAddr, _: SocketAddr) -> Option<AppSocket> {
        Some(AppSocket::Orphan)
    }
}

/// A relay of two connections hangs for a while, and what one app sends fills the pipe. The other
/// app closes, which cannot reach the relay yet, and its user connects again.
#[test]
fn what_an_app_closed_makes_room_before_the_relay_heard_of_its_end() {
    let setting = Setting { max_flows: 2, pipe: 4096, ..Setting::PLAIN };
    let start = now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut world = World::new(&Program { seed: 1, setting, acts: Vec::new() }, start);
    world.book.is_crowded = false;
    world.gateway.engine.core.stack().set_owners(Box::new(Closed));
    let connect = || {
        let app = AppSide { buffer: 65_536, end: AppEnd::AfterServer, reads: Reads::Eagerly };
        let speaks = Speaks::AfterApp;
        let server = ServerSide { speaks, end: ServerEnd::Never, reads: Reads::Eagerly };
        let (to, outcome) = (To::V4, Outcome::Opened);
        let plan = Plan { to, outcome, connect_ms: 0, up: 0, down: 0, app, server };
        Act { at_ms: 0, what: What::Connect(plan) }
    };
    world.run_until(at(1000));
    world.act(connect());
    world.act(connect());
    world.run_until(at(1010));
    assert!(world.book.conns.iter().all(|conn| conn.is_established));
    world.relays[0].asleep = Some(Asleep::Until(at(3000)));
    world.book.conns[0].plan.up = 10_000_000;
    world.run_until(at(2000));
    world.book.conns[1].plan.app.end = AppEnd::AfterSending;
    world.run_until(at(2100));
    assert!(world.book.conns[1].app_closed && !world.book.conns[1].server_saw_fin);
    // The app is gone, so its reset does not count.
    (world.book.conns[1].app_gone, world.book.conns[1].is_excused) = (true, true);
    world.act(connect());
    // Before its kernel would send the SYN again.
    world.run_until(at(3050));
    let drops = world.gateway.report().drops;
    let displaced = (drops.get("tcp-gone-displaced"), drops.get("relays-full"));
    assert_eq!(displaced, (Some(&1), None));
    assert!(world.book.conns[2].is_established, "{:?}", world.book.conns[2]);
    let closed = &world.book.conns[1];
    assert!(closed.server_saw_fin && !closed.server_saw_reset, "{closed:?}");
}
