//! How connections and questions are spread over relays that are ready, and over those that are
//! not.

use super::status::world;
use crate::engine::pretend::Nic;
use crate::engine::spread::{
    RelayCapacity, ShellDrops, capacity, has_room, limit, pick, questions,
};
use crate::lane::Lane;
use crate::limits::{TAP_TURN_BYTES, TAP_TURN_FRAMES};
use stack::Offload;
use std::task::{Context, Waker};
use std::time::Duration;
use wire::FlowId;
use wire::limits::MAX_QUERIES;

/// The lane that a hash leads to.
fn lane_of(lanes: &mut [Lane], hash: u32, drops: &mut ShellDrops) -> Option<usize> {
    pick(lanes, hash, drops, |_, session| has_room(session)).map(|(lane, _)| lane)
}

#[test]
fn a_hash_leads_to_its_lane_or_to_the_next_that_has_room() {
    let mut world = world(2);
    let mut drops = ShellDrops::default();
    let lanes = &mut world.gateway.engine.lanes;
    assert_eq!((capacity(lanes), questions(lanes)), (None, 0));
    assert_eq!((lane_of(lanes, 0, &mut drops), drops.no_relay), (None, 1));
    assert_eq!((lane_of(&mut [], 0, &mut drops), drops.no_relay), (None, 2));

    world.run_until(world.gateway.now + Duration::from_secs(1));
    let lanes = &mut world.gateway.engine.lanes;
    let offered = RelayCapacity { flows: 4, binds: 10 };
    assert_eq!((capacity(lanes), questions(lanes)), (Some(offered), 2 * MAX_QUERIES));
    let found: Vec<_> = (0..5).map(|hash| lane_of(lanes, hash, &mut drops).unwrap()).collect();
    assert_eq!(found, [0, 1, 0, 1, 0]);
    let to = "192.0.2.1:80".parse().unwrap();
    for flow in [1, 2] {
        let session = lanes[0].ready().unwrap();
        assert!(has_room(session) && limit(session, |hello| hello.max_binds) == 5);
        session.open(FlowId(flow), to, 1000);
    }
    assert!(!has_room(lanes[0].ready().unwrap()));
    assert_eq!([0, 1, 2].map(|hash| lane_of(lanes, hash, &mut drops)), [Some(1); 3]);
    lanes[1].ready().unwrap().open(FlowId(3), to, 1000);
    lanes[1].ready().unwrap().open(FlowId(4), to, 1000);
    assert_eq!((lane_of(lanes, 1, &mut drops), drops.no_relay, drops.congested), (None, 3, 0));
    let any = |lanes: &mut [Lane], drops: &mut ShellDrops| {
        pick(lanes, 1, drops, |_, _| true).map(|(lane, _)| lane)
    };
    assert_eq!(any(lanes, &mut drops), Some(1));
    let session = lanes[1].ready().unwrap();
    while !session.is_congested() {
        session.send(&wire::Frame::Changed);
    }
    assert_eq!(
        (any(lanes, &mut drops), drops.no_relay, drops.congested),
        (None, 3, 1),
        "its pipe takes no more now"
    );
}

#[test]
fn the_tap_is_read_by_turns_of_so_many_frames_and_bytes() {
    let mut world = world(1);
    // Frames of no protocol, which the stack drops.
    let mut read = |count: usize, bytes: usize| {
        let core = &mut world.gateway.engine.core;
        *core.tap() = Nic::new(Offload::Datagrams);
        (0..count).for_each(|_| core.tap().put(vec![0; bytes]));
        core.read_tap(&mut Context::from_waker(Waker::noop()), world.gateway.now).unwrap();
        count - core.tap().unread()
    };
    assert_eq!(read(10, 60), 10);
    assert_eq!(read(2 * TAP_TURN_FRAMES, 60), TAP_TURN_FRAMES);
    assert_eq!(read(TAP_TURN_FRAMES, 60_000), TAP_TURN_BYTES.div_ceil(60_000));
}
