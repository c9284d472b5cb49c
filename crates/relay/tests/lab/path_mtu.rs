//! Datagrams that may not be fragmented, beyond the host's own MTU, that of a route of the host,
//! and that of a link after a router: each reports its MTU. Datagrams that may be fragmented pass.

use crate::relay::Relay;
use lab::addresses::{ROUTER, ROUTER_V6, SERVER, SERVER_V6};
use lab::scene::{UDP_ECHO, must, udp_server};
use lab::{Lab, Place, lab_or_skip};
use std::net::{IpAddr, SocketAddr};
use wire::frame::Family;
use wire::{BindId, Fault, FaultKind, Fragments, Frame, Marks, RequestId};

/// Both families' server and router, and the bytes that IP and UDP, or IP and ICMP, put before a
/// payload.
const FAMILIES: [(&str, &str, usize); 2] = [(SERVER, ROUTER, 28), (SERVER_V6, ROUTER_V6, 48)];

fn marks(fragments: Fragments) -> Marks {
    Marks { fragments, ..Marks::of_ttl(64) }
}

fn too_big(mtu: u32, router: Option<&str>) -> Fault {
    let router: Option<IpAddr> = router.map(|router| router.parse().unwrap());
    Fault { kind: FaultKind::PacketTooBig { mtu }, router }
}

/// A link after the router with a smaller MTU than the host's.
fn narrow(lab: &Lab) {
    for (place, device) in [(Place::Router, "outer"), (Place::Internet, "uplink")] {
        must(lab, place, &format!("ip link set {device} mtu 1400"));
    }
}

/// Routes of the host itself with a smaller MTU than its link.
fn narrow_routes(lab: &Lab) {
    must(lab, Place::Windows, &format!("ip route add {SERVER} via {ROUTER} mtu 1350"));
    must(lab, Place::Windows, &format!("ip -6 route add {SERVER_V6} via {ROUTER_V6} mtu 1350"));
}

/// A datagram of a bind whose IP packet has that many bytes, and its result.
fn datagram(
    relay: &mut Relay,
    bind: u32,
    (server, header): (&str, usize),
    size: usize,
    fragments: Fragments,
) -> String {
    let peer = SocketAddr::new(server.parse().unwrap(), UDP_ECHO);
    let bytes = vec![7; size - header];
    relay.send(&Frame::Datagram {
        bind: BindId(bind),
        peer,
        marks: marks(fragments),
        bytes: &bytes,
    });
    let answer =
        Frame::Datagram { bind: BindId(bind), peer, marks: Marks::of_ttl(63), bytes: &bytes };
    let got = relay.next_frame();
    if got == format!("{answer:?}") { "answered".to_owned() } else { got }
}

fn error(bind: u32, server: &str, fault: Fault) -> String {
    let peer = SocketAddr::new(server.parse().unwrap(), UDP_ECHO);
    format!("{:?}", Frame::PeerError { bind: BindId(bind), peer, fault })
}

#[test]
fn datagrams_that_may_not_be_fragmented_are_refused_with_the_mtu() {
    let Some(lab) = lab_or_skip() else { return };
    let _server = udp_server(&lab);
    let mut relay = Relay::start(&lab);
    for (bind, (server, router, header)) in (1..).zip(FAMILIES) {
        let to = (server, header);
        relay
            .send(&Frame::Bind { bind: BindId(bind), family: Family::of(server.parse().unwrap()) });
        let mut send = |size, fragments| datagram(&mut relay, bind, to, size, fragments);
        assert_eq!(send(1500, Fragments::Forbidden), "answered");
        assert_eq!(send(1501, Fragments::Forbidden), error(bind, server, too_big(1500, None)));
        assert_eq!(send(1501, Fragments::Allowed), "answered");
        assert_eq!(send(30_000, Fragments::Forbidden), error(bind, server, too_big(1500, None)));
        assert_eq!(send(30_000, Fragments::Allowed), "answered", "the host fragments");
        assert_eq!(send(1500, Fragments::Forbidden), "answered", "an error does not stay");
        narrow(&lab);
        assert_eq!(
            send(1450, Fragments::Forbidden),
            error(bind, server, too_big(1400, Some(router)))
        );
        assert_eq!(
            send(1450, Fragments::Forbidden),
            error(bind, server, too_big(1400, None)),
            "the host knows by now"
        );
        assert_eq!(send(1400, Fragments::Forbidden), "answered");
        assert_eq!(send(1450, Fragments::Allowed), "answered");
        for (place, device) in [(Place::Router, "outer"), (Place::Internet, "uplink")] {
            must(&lab, place, &format!("ip link set {device} mtu 1500"));
        }
    }
    narrow_routes(&lab);
    for (bind, (server, _, header)) in (1..).zip(FAMILIES) {
        let reported = datagram(&mut relay, bind, (server, header), 1351, Fragments::Forbidden);
        assert_eq!(reported, error(bind, server, too_big(1350, None)), "a route's own");
        assert_eq!(
            datagram(&mut relay, bind, (server, header), 1350, Fragments::Forbidden),
            "answered"
        );
        assert_eq!(
            datagram(&mut relay, bind, (server, header), 1351, Fragments::Allowed),
            "answered"
        );
    }
}

#[test]
fn datagrams_that_leave_together_are_refused_together() {
    let Some(lab) = lab_or_skip() else { return };
    let _server = udp_server(&lab);
    narrow_routes(&lab);
    let mut relay = Relay::start(&lab);
    let peer = SocketAddr::new(SERVER.parse().unwrap(), UDP_ECHO);
    relay.send(&Frame::Bind { bind: BindId(1), family: Family::V4 });
    // In one write, so that the relay gets them in one turn.
    let frame = |size: usize| {
        let bytes = vec![7; size - 28];
        Frame::Datagram {
            bind: BindId(1),
            peer,
            marks: marks(Fragments::Forbidden),
            bytes: bytes.leak(),
        }
    };
    relay.send_all(&[frame(1400), frame(1400), frame(1400), frame(1350)]);
    assert_eq!(relay.next_frame(), error(1, SERVER, too_big(1350, None)));
    let answer =
        Frame::Datagram { bind: BindId(1), peer, marks: Marks::of_ttl(63), bytes: &[7; 1350 - 28] };
    assert_eq!(relay.next_frame(), format!("{answer:?}"), "one that fits arrives");
}

#[test]
fn pings_that_may_not_be_fragmented_are_refused_with_the_mtu() {
    let Some(lab) = lab_or_skip() else { return };
    let mut relay = Relay::start(&lab);
    let mut request = 0;
    for (server, router, header) in FAMILIES {
        let mut send = |size: usize, fragments| {
            request += 1;
            let payload = vec![7; size - header];
            let (id, to) = (RequestId(request), server.parse().unwrap());
            relay.send(&Frame::Echo {
                request: id,
                to,
                marks: marks(fragments),
                payload: &payload,
            });
            let reply = Frame::EchoReply { request: id, ttl: 63, payload: &payload };
            let got = relay.next_frame();
            if got == format!("{reply:?}") {
                return Ok(());
            }
            let error = |fault| format!("{:?}", Frame::EchoError { request: id, fault });
            let faults = [too_big(1500, None), too_big(1400, Some(router)), too_big(1400, None)];
            Err(faults
                .into_iter()
                .find(|fault| error(*fault) == got)
                .unwrap_or_else(|| panic!("{got}")))
        };
        assert_eq!(send(1500, Fragments::Forbidden), Ok(()));
        assert_eq!(send(1501, Fragments::Forbidden), Err(too_big(1500, None)));
        assert_eq!(send(1501, Fragments::Allowed), Ok(()));
        narrow(&lab);
        assert_eq!(send(1450, Fragments::Forbidden), Err(too_big(1400, Some(router))));
        assert_eq!(send(1450, Fragments::Forbidden), Err(too_big(1400, None)));
        assert_eq!(send(1400, Fragments::Forbidden), Ok(()));
        assert_eq!(send(1450, Fragments::Allowed), Ok(()));
        for (place, device) in [(Place::Router, "outer"), (Place::Internet, "uplink")] {
            must(&lab, place, &format!("ip link set {device} mtu 1500"));
        }
    }
}
