//! Datagrams, DNS and ping through the stack; and the front that each DNS query meets after it.

use crate::frames::{self, GATEWAY, PEER};
use crate::scenario::{Scenario, Work};
use crate::vm::{MTU, Vm};
use gateway::front::{Action, OwnAddresses, judge};
use stack::{Event, Marks, Offload};
use std::net::Ipv4Addr;

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "udp_out", unit: "1,200 bytes", units: 1, calls: 5000, set_up: udp_out },
    Scenario { name: "udp_in", unit: "1,200 bytes", units: 1, calls: 5000, set_up: udp_in },
    Scenario { name: "dns", unit: "query, answer", units: 1, calls: 2000, set_up: dns },
    Scenario { name: "dns_front", unit: "query", units: 1, calls: 2000, set_up: dns_front },
    Scenario { name: "ping", unit: "echo, reply", units: 1, calls: 2000, set_up: ping },
];

const DATAGRAM: usize = 1200;

fn udp_out() -> Work {
    let mut vm = Vm::new(Offload::Vnet, MTU);
    let frame = frames::udp((PEER, 443), &[7; DATAGRAM]);
    Box::new(move || {
        vm.feed(&frame);
        vm.turn();
        let Some(Event::Datagram { bytes, .. }) = vm.events.last() else {
            panic!("no datagram: {:?}", vm.events)
        };
        assert_eq!(bytes.len(), DATAGRAM);
    })
}

fn udp_in() -> Work {
    let mut vm = Vm::new(Offload::Vnet, MTU);
    vm.feed(&frames::udp((PEER, 443), &[7]));
    vm.turn();
    let [Event::Bind { bind, .. }, Event::Datagram { peer, .. }] = vm.events[..] else {
        panic!("no bind: {:?}", vm.events)
    };
    Box::new(move || {
        let before = vm.out.frames;
        vm.stack.deliver_datagram(
            vm.now(),
            bind,
            peer,
            &[7; DATAGRAM],
            Marks::of_ttl(64),
            &mut vm.out,
        );
        vm.turn();
        assert_eq!(vm.out.frames, before + 1);
    })
}

fn dns() -> Work {
    let mut vm = Vm::new(Offload::Vnet, MTU);
    let frame = frames::udp((GATEWAY, 53), &[7; 40]);
    Box::new(move || {
        let before = vm.out.frames;
        vm.feed(&frame);
        vm.turn();
        let [Event::Query { request, .. }] = vm.events[..] else {
            panic!("no query: {:?}", vm.events)
        };
        vm.stack.answer_query(request, &[7; 200], &mut vm.out);
        assert_eq!(vm.out.frames, before + 1);
    })
}

fn dns_front() -> Work {
    // RFC 1035 4.1: one question, www.example.com A, and an OPT record for 1,232 bytes (RFC 6891).
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    query.extend_from_slice(b"\x03www\x07example\x03com\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0");
    let own = OwnAddresses { gateway: (GATEWAY, None), host: (Ipv4Addr::new(10, 99, 0, 19), None) };
    Box::new(move || assert_eq!(judge(&query, &own), Action::Ask { most: 1232 }))
}

fn ping() -> Work {
    let mut vm = Vm::new(Offload::Vnet, MTU);
    let frame = frames::echo_request();
    Box::new(move || {
        let before = vm.out.frames;
        vm.feed(&frame);
        vm.turn();
        let [Event::Echo { request, .. }] = vm.events[..] else {
            panic!("no echo: {:?}", vm.events)
        };
        vm.stack.echo_reply(request, 64, &[7; 56], &mut vm.out);
        assert_eq!(vm.out.frames, before + 1);
    })
}
