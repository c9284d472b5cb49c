//! The link: the dial, the move to it while bytes are under way, and its end.

use crate::gateway::{DEADLINE, Event, Gateway};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use underpass_relay::engine::RelayError;
use wire::link::{LinkCause, Offer, Secret};
use wire::{Frame, LinkKind, LinkOffers, Then};

const NONCE: [u8; 32] = [1; 32];
const ANSWER: [u8; 32] = [2; 32];

fn offer(gateway: &mut Gateway, to: &[SocketAddr]) {
    let offers = to.iter().map(|address| Offer::Tcp { address: *address }).collect();
    let (nonce, answer) = (Secret::new(NONCE), Secret::new(ANSWER));
    let json = serde_json::to_vec(&LinkOffers { nonce, answer, offers }).unwrap();
    gateway.session.send(&Frame::Link { json: &json });
}

/// Accepts a connection that must bring the nonce, and answers it.
async fn accept(listener: &TcpListener, answer: [u8; 32]) -> TcpStream {
    let (mut stream, _) =
        tokio::time::timeout(DEADLINE, listener.accept()).await.expect("no dial").unwrap();
    let mut nonce = [0; 32];
    stream.read_exact(&mut nonce).await.unwrap();
    assert_eq!(nonce, NONCE);
    stream.write_all(&answer).await.unwrap();
    stream
}

async fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap()
}

/// A port on which nothing listens.
async fn closed() -> SocketAddr {
    listener().await.local_addr().unwrap()
}

/// A server that repeats what it gets.
async fn echo() -> SocketAddr {
    let server = listener().await;
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                to.shutdown().await.unwrap();
            });
        }
    });
    address
}

/// A relay whose link is up, with an open flow, so that all earlier frames have arrived.
async fn linked() -> (Gateway, TcpStream, wire::FlowId) {
    let mut gateway = Gateway::start(64 * 1024, 10);
    let listener = listener().await;
    offer(&mut gateway, &[listener.local_addr().unwrap()]);
    let flow = gateway.open(1, echo().await, 1 << 20).await;
    assert_eq!(gateway.next().await, Event::Opened(flow));
    let link = accept(&listener, ANSWER).await;
    (gateway, link, flow)
}

#[tokio::test]
async fn nothing_is_lost_where_the_frames_move_to_the_link_in_the_middle_of_a_stream() {
    let (mut gateway, link, flow) = linked().await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    gateway.send(flow, sent.clone(), Then::Finished);
    let mut got = Vec::new();
    let mut link = Some(link);
    loop {
        match gateway.next().await {
            Event::Data(of, bytes) if of == flow => {
                gateway.session.consumed(flow, bytes.len());
                got.extend(bytes);
                if got.len() > sent.len() / 3
                    && let Some(link) = link.take()
                {
                    gateway.move_to(link);
                }
            }
            Event::Fin(of) if of == flow => break,
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    assert!(gateway.has_moved());
    // The end of standard input ends the relay, also after the move.
    let Gateway { pipe, relay, .. } = gateway;
    drop(pipe);
    assert!(tokio::time::timeout(DEADLINE, relay).await.unwrap().unwrap().is_ok());
}

/// Moves, and proves it by a byte that comes back by the link.
async fn moved() -> Gateway {
    let (mut gateway, link, flow) = linked().await;
    gateway.move_to(link);
    gateway.send(flow, b"x".to_vec(), Then::Drained);
    assert_eq!(gateway.next().await, Event::Data(flow, b"x".to_vec()));
    assert!(gateway.has_moved());
    gateway
}

#[tokio::test]
async fn bytes_on_standard_input_after_the_move_end_the_relay() {
    let Gateway { mut pipe, relay, .. } = moved().await;
    pipe.write_all(&[0]).await.unwrap();
    let ended = tokio::time::timeout(DEADLINE, relay).await.unwrap().unwrap();
    assert!(matches!(ended, Err(RelayError::Read(_))), "{ended:?}");
}

#[tokio::test]
async fn a_relay_whose_link_breaks_waits_for_the_end_of_its_input() {
    let Gateway { pipe, mut relay, link, .. } = moved().await;
    drop(link);
    let waiting = tokio::time::timeout(Duration::from_millis(300), &mut relay).await;
    assert!(waiting.is_err(), "it has ended by itself: {waiting:?}");
    drop(pipe);
    assert!(tokio::time::timeout(DEADLINE, relay).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn offers_are_tried_in_their_order_and_failures_are_reported() {
    let mut gateway = Gateway::start(64 * 1024, 10);
    let (stranger, real) = (listener().await, listener().await);
    let [at_stranger, at_real] = [&stranger, &real].map(|one| one.local_addr().unwrap());
    offer(&mut gateway, &[closed().await, at_stranger]);
    let (event, _) = tokio::join!(gateway.next(), accept(&stranger, [3; 32]));
    let Event::LinkFailed(report) = event else { panic!("unexpected {event:?}") };
    let causes: Vec<_> = report.failures.iter().map(|failure| failure.cause).collect();
    assert_eq!((causes, report.is_linked), (vec![LinkCause::Refused, LinkCause::Stranger], false));
    assert!(report.failures.iter().all(|failure| failure.link == LinkKind::Tcp));
    // The gateway may try again.
    offer(&mut gateway, &[closed().await, at_real]);
    let (event, link) = tokio::join!(gateway.next(), accept(&real, ANSWER));
    let Event::LinkFailed(report) = event else { panic!("unexpected {event:?}") };
    assert_eq!((report.failures.len(), report.is_linked), (1, true));
    gateway.move_to(link);
    let flow = gateway.open(1, echo().await, 1 << 20).await;
    assert_eq!(gateway.next().await, Event::Opened(flow));
    assert!(gateway.has_moved());
}

#[tokio::test]
async fn a_move_to_a_link_that_is_missing_ends_the_relay() {
    let mut gateway = Gateway::start(64 * 1024, 10);
    offer(&mut gateway, &[closed().await]);
    assert!(matches!(gateway.next().await, Event::LinkFailed(_)));
    let other = listener().await;
    let stream = TcpStream::connect(other.local_addr().unwrap()).await.unwrap();
    gateway.move_to(stream);
    let relay = std::mem::replace(&mut gateway.relay, tokio::spawn(async { Ok(()) }));
    let serving = tokio::spawn(async move { gateway.next().await });
    let ended = tokio::time::timeout(DEADLINE, relay).await.unwrap().unwrap();
    serving.abort();
    assert!(matches!(ended, Err(RelayError::NoLink)), "{ended:?}");
}
