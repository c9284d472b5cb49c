//! Which hosts may send datagrams to an app (RFC 4787 section 5).

mod common;
use common::rig::{APP, PEER, Rig};
use common::*;
use std::net::SocketAddr;
use std::time::Duration;
use underpass_stack::*;

#[test]
fn strangers_neither_reach_an_app_nor_keep_its_bind_unless_the_filtering_lets_them() {
    let stranger: SocketAddr = "7.7.7.7:7".parse().unwrap();
    let mut rig = Rig::new(1500);
    let bind = rig.bind(APP, PEER);
    rig.wait(Duration::from_secs(20));
    rig.out(|s, now, out| s.deliver_datagram(now, bind, stranger, b"hi", Marks::of_ttl(50), out));
    assert_eq!(rig.wait(Duration::from_secs(11)), [Event::Unbind { bind }]);

    let mut config = config(Offload::None, 1500);
    config.udp_filtering = Filtering::EndpointIndependent;
    rig.stack = Stack::new(config, rig.now);
    let bind = rig.bind(APP, PEER);
    let sent = rig
        .out(|s, now, out| s.deliver_datagram(now, bind, stranger, b"hi", Marks::of_ttl(50), out));
    assert_eq!(sent.len(), 1);
}
