//! TCP: every way in which a flow starts, runs and ends.

use crate::gateway::{DEADLINE, Event, Gateway, event};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use underpass_relay::engine::RelayError;
use wire::{ConnectFailure, FlowId, Frame, HostFacts, RequestId, Then};

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    listener.accept().await.unwrap().0
}

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// A flow that is open at both ends, and its server's side.
async fn opened(gateway: &mut Gateway, id: u32, window: u32) -> (FlowId, TcpStream) {
    let (listener, address) = listener().await;
    let flow = gateway.open(id, address, window).await;
    assert_eq!(gateway.next().await, Event::Opened(flow));
    (flow, accept(&listener).await)
}

#[tokio::test]
async fn an_echo_server_gives_every_byte_back_and_both_directions_end_on_their_own() {
    for pipe in [512, 4096, 65_536] {
        let mut gateway = Gateway::start(pipe, 10);
        let (flow, mut server) = opened(&mut gateway, 1, 100_000).await;
        tokio::spawn(async move {
            let (mut reading, mut writing) = server.split();
            tokio::io::copy(&mut reading, &mut writing).await.unwrap();
            // Only after the app's end does the server send its own last data.
            writing.write_all(b"bye").await.unwrap();
        });
        let sent = pattern(3_000_000);
        gateway.send(flow, sent.clone(), Then::Finished);
        let mut back = gateway.collect(flow, &Event::Fin(flow)).await;
        assert_eq!(back.split_off(back.len() - 3), b"bye");
        assert!(back == sent, "the bytes differ");
    }
}

#[tokio::test]
async fn a_refusal_is_reported_as_one() {
    let mut gateway = Gateway::start(4096, 10);
    let (listener, address) = listener().await;
    drop(listener);
    let flow = gateway.open(1, address, 1000).await;
    assert_eq!(gateway.next().await, Event::Failed(flow, ConnectFailure::Refused));
}

#[tokio::test]
async fn a_network_without_a_route_is_reported_as_such() {
    let mut gateway = Gateway::start(4096, 10);
    // No TCP connection goes to the broadcast address: the host itself refuses, and sends nothing.
    let flow = gateway.open(1, "255.255.255.255:9".parse().unwrap(), 1000).await;
    let event = gateway.next().await;
    let reasons = [ConnectFailure::NetworkUnreachable, ConnectFailure::PermissionDenied];
    assert!(reasons.iter().any(|reason| event == Event::Failed(flow, *reason)), "{event:?}");
}

#[tokio::test]
async fn more_flows_than_allowed_are_refused_and_a_closed_one_makes_room() {
    let mut gateway = Gateway::start(4096, 1);
    let (flow, server) = opened(&mut gateway, 1, 1000).await;
    let (_listener, address) = listener().await;
    let second = gateway.open(2, address, 1000).await;
    assert_eq!(gateway.next().await, Event::Failed(second, ConnectFailure::TooManyFlows));
    drop(server);
    gateway.send(flow, Vec::new(), Then::Finished);
    assert_eq!(gateway.next().await, Event::Fin(flow));
    let third = gateway.open(3, address, 1000).await;
    assert_eq!(gateway.next().await, Event::Opened(third));
}

#[tokio::test]
async fn a_reset_by_the_app_reaches_the_server_as_a_reset() {
    let mut gateway = Gateway::start(4096, 10);
    let (flow, mut server) = opened(&mut gateway, 1, 1000).await;
    gateway.session.reset(flow);
    gateway.open(2, "127.0.0.1:1".parse().unwrap(), 1000).await;
    gateway.next().await;
    let error = server.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_app_that_its_kernel_forgot_leaves_the_server_its_bytes_and_no_reset() {
    let mut gateway = Gateway::start(1 << 16, 10);
    let (flow, mut server) = opened(&mut gateway, 1, 1000).await;
    gateway.send(flow, b"all of it".to_vec(), Then::Finished);
    // Another flow shows that earlier requests are done.
    let (_, _other) = opened(&mut gateway, 2, 1000).await;
    gateway.session.orphan(flow);
    let (_, _third) = opened(&mut gateway, 3, 1000).await;
    let mut all = Vec::new();
    server.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"all of it");
    // The host's kernel resets the server's data now, as the app's would have done.
    let reset = async {
        while server.write_all(b"anyone?").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, reset).await.expect("its bytes have a receiver");
}

#[tokio::test]
async fn a_reset_by_the_server_reaches_the_app() {
    let mut gateway = Gateway::start(4096, 10);
    let (flow, server) = opened(&mut gateway, 1, 1000).await;
    socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    assert_eq!(gateway.next().await, Event::Reset(flow));
}

#[tokio::test]
async fn a_write_that_fails_after_the_fin_is_reported_as_a_reset() {
    let mut gateway = Gateway::start(65_536, 10);
    let (flow, server) = opened(&mut gateway, 1, 1000).await;
    // More than the sockets' buffers hold, so that the Fin arrives while bytes are pending.
    socket2::SockRef::from(&server).set_recv_buffer_size(4096).unwrap();
    gateway.send(flow, pattern(900_000), Then::Finished);
    let (listener, address) = listener().await;
    // When this later flow answers, everything before it has reached the relay or waits for credit.
    let probe = gateway.open(2, address, 1000).await;
    assert_eq!(gateway.next().await, Event::Opened(probe));
    accept(&listener).await;
    socket2::SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
    drop(server);
    loop {
        match gateway.next().await {
            Event::Reset(of) if of == flow => break,
            Event::Fin(of) if of == probe => {}
            other => panic!("unexpected {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_blocks_no_other_flow() {
    let mut gateway = Gateway::start(4096, 10);
    let (stalled, _silent_server) = opened(&mut gateway, 1, 1000).await;
    gateway.send(stalled, pattern(20_000_000), Then::Finished);
    let (flow, mut server) = opened(&mut gateway, 2, 100_000).await;
    tokio::spawn(async move {
        let (mut reading, mut writing) = server.split();
        tokio::io::copy(&mut reading, &mut writing).await.unwrap();
    });
    let sent = pattern(1_000_000);
    gateway.send(flow, sent.clone(), Then::Finished);
    let back = gateway.collect(flow, &Event::Fin(flow)).await;
    assert!(back == sent, "the bytes differ");
    let taken = gateway.sending.0[&stalled].1;
    assert!(taken < 20_000_000, "credit holds the stalled flow back, {taken} bytes left");
}

#[tokio::test]
async fn an_app_that_does_not_read_gets_no_more_than_its_credit() {
    let mut gateway = Gateway::start(4096, 10);
    let (flow, mut server) = opened(&mut gateway, 1, 5000).await;
    tokio::spawn(async move { server.write_all(&pattern(1_000_000)).await });
    let mut got = 0;
    while got < 5000 {
        match gateway.next().await {
            Event::Data(_, bytes) => got += bytes.len(),
            other => panic!("unexpected {other:?}"),
        }
    }
    // A later flow is served, and nothing of the first came in between.
    let (_later, _server) = opened(&mut gateway, 2, 1000).await;
    assert_eq!(got, 5000);
    gateway.session.consumed(flow, got);
    assert!(matches!(gateway.next().await, Event::Data(of, _) if of == flow));
}

#[tokio::test]
async fn very_many_connects_at_once_do_not_hold_up_the_pipe() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(1024).unwrap();
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true).unwrap();
    let mut gateway = Gateway::start(1024 * 1024, 2000);
    for flow in 0..300 {
        gateway.open(flow, listener.local_addr().unwrap(), 1000).await;
    }
    // Relay and gateway share this thread: at the first report, the relay has connected no more
    // than this.
    assert!(matches!(gateway.next().await, Event::Opened(_)));
    let connected: Vec<_> = std::iter::from_fn(|| listener.accept().ok()).collect();
    assert!(
        connected.len() < 200,
        "{} of 300 were connected before the first report",
        connected.len()
    );
    for _ in 1..300 {
        assert!(matches!(gateway.next().await, Event::Opened(_)));
    }
}

#[tokio::test]
async fn the_end_of_the_input_ends_the_relay() {
    let gateway = Gateway::start(4096, 10);
    drop(gateway.pipe);
    let ended = tokio::time::timeout(DEADLINE, gateway.relay).await.expect("it continues").unwrap();
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test]
async fn the_end_of_the_input_resets_the_connections_that_are_not_finished() {
    let mut gateway = Gateway::start(65_536, 10);
    let (finished, mut whole) = opened(&mut gateway, 1, 1000).await;
    gateway.send(finished, pattern(100), Then::Finished);
    let (unfinished, mut part) = opened(&mut gateway, 2, 1000).await;
    gateway.send(unfinished, pattern(100), Then::Drained);
    let mut bytes = Vec::new();
    tokio::select! {
        read = whole.read_to_end(&mut bytes) => assert_eq!(read.unwrap(), 100),
        event = gateway.next() => panic!("unexpected {event:?}"),
    }
    tokio::select! {
        read = part.read_exact(&mut bytes) => assert_eq!(read.unwrap(), 100),
        event = gateway.next() => panic!("unexpected {event:?}"),
    }
    drop(gateway.pipe);
    tokio::time::timeout(DEADLINE, gateway.relay).await.expect("it continues").unwrap().unwrap();
    let error = part.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn garbage_ends_the_relay_with_its_reason() {
    let mut gateway = Gateway::start(4096, 10);
    gateway.pipe.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let ended = tokio::time::timeout(DEADLINE, gateway.relay).await.expect("it continues").unwrap();
    assert!(matches!(ended, Err(RelayError::Frame(_))), "{ended:?}");
}

#[tokio::test]
async fn facts_are_reported() {
    let mut gateway = Gateway::start(4096, 10);
    gateway.session.send(&Frame::AskFacts { request: RequestId(4) });
    let facts = gateway.next().await;
    let here = serde_json::to_vec(&underpass_relay::os::facts()).unwrap();
    assert_eq!(facts, event(&Frame::Facts { request: RequestId(4), json: &here }));
    assert!(serde_json::from_slice::<HostFacts>(&here).unwrap().system.starts_with("Linux "));
}
