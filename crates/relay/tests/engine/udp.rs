//! UDP: datagrams both ways, and the errors that come back instead of one.

use crate::gateway::{DEADLINE, Event, Gateway, event};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrIn, recvmsg, setsockopt, sockopt};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;
use underpass_relay::limits::MAX_BINDS;
use wire::frame::Family;
use wire::session::Sent;
use wire::{BindId, Capabilities, Fault, FaultKind, Frame, Marks, UnbindReason};

async fn server(at: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(at).await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// Whether this machine has an IPv6 loopback; a test that needs it is skipped elsewhere.
fn has_ipv6() -> bool {
    let bound = std::net::UdpSocket::bind("[::1]:0");
    if let Err(error) = &bound {
        // Not `eprintln!`, which the test program swallows.
        let _ = writeln!(std::io::stderr(), "skipped: this machine has no IPv6: {error}");
    }
    bound.is_ok()
}

fn send(gateway: &mut Gateway, bind: u32, peer: SocketAddr, ttl: u8, bytes: &[u8]) {
    let sent = gateway.session.send(&Frame::Datagram {
        bind: BindId(bind),
        peer,
        marks: Marks::of_ttl(ttl),
        bytes,
    });
    assert_eq!(sent, Sent::Queued);
}

/// Drives the gateway while a server waits for a datagram.
async fn received(gateway: &mut Gateway, server: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, from) = tokio::select! {
        received = timeout(DEADLINE, server.recv_from(&mut buffer)) => received.expect("no datagram came").unwrap(),
        event = gateway.next() => panic!("unexpected {event:?}"),
    };
    buffer.truncate(length);
    (buffer, from)
}

fn datagram(bind: u32, peer: SocketAddr, bytes: &[u8]) -> Event {
    // Loopback is one hop: replies arrive with the sender's own time to live.
    event(&Frame::Datagram { bind: BindId(bind), peer, marks: Marks::of_ttl(64), bytes })
}

fn bind(gateway: &mut Gateway, id: u32, family: Family) {
    gateway.session.send(&Frame::Bind { bind: BindId(id), family });
}

#[tokio::test]
async fn one_source_keeps_its_port_for_every_peer_and_each_may_answer() {
    let mut gateway = Gateway::start(4096, 10);
    let ((first, first_at), (second, second_at)) =
        (server("127.0.0.1:0").await, server("127.0.0.1:0").await);
    bind(&mut gateway, 1, Family::V4);
    send(&mut gateway, 1, first_at, 64, b"one");
    let (bytes, from) = received(&mut gateway, &first).await;
    assert_eq!(bytes, b"one");
    send(&mut gateway, 1, second_at, 64, b"two");
    assert_eq!(received(&mut gateway, &second).await, (b"two".to_vec(), from));
    second.send_to(b"answer", from).await.unwrap();
    assert_eq!(gateway.next().await, datagram(1, second_at, b"answer"));
    assert!(gateway.session.peer().unwrap().capabilities.contains(Capabilities::UDP));
}

#[tokio::test]
async fn empty_and_largest_datagrams_pass_both_ways() {
    let mut gateway = Gateway::start(4096, 10);
    let (server, at) = server("127.0.0.1:0").await;
    bind(&mut gateway, 1, Family::V4);
    for length in [0, 1, 1472, 65_507] {
        let sent: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        send(&mut gateway, 1, at, 64, &sent);
        let (bytes, from) = received(&mut gateway, &server).await;
        assert!(bytes == sent, "{length} bytes went out, {} arrived", bytes.len());
        server.send_to(&sent, from).await.unwrap();
        assert!(
            gateway.next().await == datagram(1, at, &sent),
            "the answer of {length} bytes differs"
        );
    }
}

#[tokio::test]
async fn ipv6_has_sockets_of_its_own() {
    if !has_ipv6() {
        return;
    }
    let mut gateway = Gateway::start(4096, 10);
    let (server, at) = server("[::1]:0").await;
    bind(&mut gateway, 6, Family::V6);
    send(&mut gateway, 6, at, 64, b"six");
    let (bytes, from) = received(&mut gateway, &server).await;
    assert_eq!(bytes, b"six");
    server.send_to(b"back", from).await.unwrap();
    assert_eq!(gateway.next().await, datagram(6, at, b"back"));
}

#[tokio::test]
async fn the_time_to_live_is_carried_out() {
    let mut gateway = Gateway::start(4096, 10);
    let (server, at) = server("127.0.0.1:0").await;
    setsockopt(&server, sockopt::Ipv4RecvTtl, &true).unwrap();
    bind(&mut gateway, 1, Family::V4);
    for ttl in [7, 200] {
        send(&mut gateway, 1, at, ttl, b"hop");
        let arrived = tokio::select! {
            arrived = timeout(DEADLINE, server.async_io(Interest::READABLE, || received_ttl(&server))) => arrived,
            event = gateway.next() => panic!("unexpected {event:?}"),
        };
        assert_eq!(arrived.expect("no datagram came").unwrap(), i32::from(ttl));
    }
}

#[tokio::test]
async fn the_traffic_class_is_carried_both_ways_and_keeps_to_its_own_datagrams() {
    let mut gateway = Gateway::start(4096, 10);
    let (server, at) = server("127.0.0.1:0").await;
    setsockopt(&server, sockopt::IpRecvTos, &true).unwrap();
    bind(&mut gateway, 1, Family::V4);
    let mut from = None;
    // Alike except for their class. They may leave together only with their own kind.
    let classes = [0, 0xb9, 0xb9, 0, 0x22, 0xff, 0];
    for class in classes {
        let marks = Marks { traffic_class: class, ..Marks::of_ttl(64) };
        let sent = gateway.session.send(&Frame::Datagram {
            bind: BindId(1),
            peer: at,
            marks,
            bytes: b"class",
        });
        assert_eq!(sent, Sent::Queued);
    }
    for class in classes {
        let arrived = tokio::select! {
            arrived = timeout(DEADLINE, server.async_io(Interest::READABLE, || received_class(&server))) => arrived,
            event = gateway.next() => panic!("unexpected {event:?}"),
        };
        let (seen, peer) = arrived.expect("no datagram came").unwrap();
        assert_eq!(seen, class);
        from = Some(peer);
    }
    for class in [0x22, 0xff, 0] {
        setsockopt(&server, sockopt::Ipv4Tos, &class).unwrap();
        server.send_to(b"back", from.unwrap()).await.unwrap();
        let marks = Marks { traffic_class: class as u8, ..Marks::of_ttl(64) };
        assert_eq!(
            gateway.next().await,
            event(&Frame::Datagram { bind: BindId(1), peer: at, marks, bytes: b"back" })
        );
    }
}

fn received_class(socket: &UdpSocket) -> std::io::Result<(u8, SocketAddr)> {
    let mut space = nix::cmsg_space!(i32);
    let mut buffer = [0; 10];
    let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
    let message =
        recvmsg::<SockaddrIn>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let Some(ControlMessageOwned::Ipv4Tos(class)) = message.cmsgs()?.next() else {
        panic!("no traffic class")
    };
    Ok((class, SocketAddr::V4(message.address.unwrap().into())))
}

fn received_ttl(socket: &UdpSocket) -> std::io::Result<i32> {
    let mut space = nix::cmsg_space!(i32);
    let mut buffer = [0; 10];
    let mut parts = [std::io::IoSliceMut::new(&mut buffer)];
    let message =
        recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let Some(ControlMessageOwned::Ipv4Ttl(ttl)) = message.cmsgs()?.next() else {
        panic!("no time to live")
    };
    Ok(ttl)
}

#[tokio::test]
async fn a_closed_port_is_reported_with_its_sender_and_the_socket_stays_open() {
    let families = [(Family::V4, "127.0.0.1:0"), (Family::V6, "[::1]:0")];
    for (family, loopback) in
        families.into_iter().filter(|(family, _)| *family == Family::V4 || has_ipv6())
    {
        let mut gateway = Gateway::start(4096, 10);
        let (closed, closed_at) = server(loopback).await;
        drop(closed);
        bind(&mut gateway, 1, family);
        send(&mut gateway, 1, closed_at, 64, b"anyone?");
        let fault = Fault { kind: FaultKind::PortUnreachable, router: Some(closed_at.ip()) };
        assert_eq!(
            gateway.next().await,
            event(&Frame::PeerError { bind: BindId(1), peer: closed_at, fault })
        );
        let (server, at) = server(loopback).await;
        send(&mut gateway, 1, at, 64, b"still there");
        let (bytes, from) = received(&mut gateway, &server).await;
        assert_eq!(bytes, b"still there");
        server.send_to(b"yes", from).await.unwrap();
        assert_eq!(gateway.next().await, datagram(1, at, b"yes"));
    }
}

#[tokio::test]
async fn a_socket_that_is_unbound_hears_nothing_more() {
    let mut gateway = Gateway::start(4096, 10);
    let (server, at) = server("127.0.0.1:0").await;
    bind(&mut gateway, 1, Family::V4);
    send(&mut gateway, 1, at, 64, b"x");
    let (_, from) = received(&mut gateway, &server).await;
    gateway.session.send(&Frame::Unbind { bind: BindId(1), reason: UnbindReason::Done });
    bind(&mut gateway, 2, Family::V4);
    send(&mut gateway, 2, at, 64, b"y");
    assert_ne!(received(&mut gateway, &server).await.1, from);
    // The port is free again: only a closed socket frees it.
    UdpSocket::bind(("127.0.0.1", from.port())).await.unwrap();
}

#[tokio::test]
async fn more_sockets_than_allowed_are_refused() {
    let mut gateway = Gateway::start(1 << 20, 10);
    for id in 0..=MAX_BINDS {
        bind(&mut gateway, id, Family::V4);
    }
    let refused = Frame::Unbind { bind: BindId(MAX_BINDS), reason: UnbindReason::TooMany };
    assert_eq!(gateway.next().await, event(&refused));
}
