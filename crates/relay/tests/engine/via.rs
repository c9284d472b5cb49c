//! Connections and datagrams through a proxy: small proxies on loopback, and destination addresses
//! that no host has.

use crate::gateway::{DEADLINE, Event, Gateway, event};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;
use underpass_relay::engine::RelayError;
use wire::frame::Family;
use wire::session::Way;
use wire::{
    BindId, Capabilities, ConnectFailure, Fault, FaultKind, FlowId, Frame, Marks, Then, ViaSettings,
};

/// One of the documentation's networks (RFC 5737): a direct connection there leads nowhere.
const FAR: &str = "203.0.113.10:443";

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    (listener, at)
}

/// A gateway that has sent its relay a proxy setting.
fn via(proxy: &str, except: &[&str]) -> Gateway {
    let mut gateway = Gateway::start(4096, 100);
    let except = except.iter().map(|text| (*text).to_owned()).collect();
    let json = serde_json::to_vec(&ViaSettings { proxy: proxy.to_owned(), except }).unwrap();
    gateway.session.send(&Frame::Via { json: &json });
    gateway
}

fn open(gateway: &mut Gateway, flow: u32, to: &str, name: Option<&str>) -> FlowId {
    let way = Way { to: to.parse().unwrap(), hops: None, name };
    gateway.session.open_by(FlowId(flow), &way, 65_536);
    FlowId(flow)
}

/// Drives the gateway while something else happens.
async fn meanwhile<T>(gateway: &mut Gateway, other: impl Future<Output = T>) -> T {
    tokio::select! {
        outcome = timeout(DEADLINE, other) => outcome.expect("it did not happen in time"),
        event = gateway.next() => panic!("unexpected {event:?}"),
    }
}

/// Accepts a connection and reads until the data ends with `end`.
async fn asked(listener: &TcpListener, end: &[u8]) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let heard = hear(&mut stream, end).await;
    (stream, heard)
}

async fn hear(stream: &mut TcpStream, end: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    while !heard.ends_with(end) {
        heard.push(stream.read_u8().await.unwrap());
    }
    heard
}

fn trouble(words: &str) -> Event {
    event(&Frame::ViaTrouble { words })
}

#[tokio::test]
async fn the_proxy_gets_the_name_and_its_first_bytes_are_the_flows() {
    let (listener, at) = listener().await;
    let mut gateway = via(&format!("http://me:s3cret@{at}"), &[]);
    let flow = open(&mut gateway, 1, FAR, Some("www.far.test"));
    let (mut stream, request) = meanwhile(&mut gateway, asked(&listener, b"\r\n\r\n")).await;
    let request = String::from_utf8(request).unwrap();
    assert!(request.starts_with("CONNECT www.far.test:443 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("Proxy-Authorization: Basic bWU6czNjcmV0\r\n"), "{request}");
    // The answer and the server's greeting come in one piece.
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n220 hello\r\n").await.unwrap();
    assert_eq!(gateway.next().await, Event::Opened(flow));
    assert_eq!(gateway.next().await, Event::Data(flow, b"220 hello\r\n".to_vec()));
    gateway.send(flow, b"HELO".to_vec(), Then::Finished);
    assert_eq!(meanwhile(&mut gateway, hear(&mut stream, b"HELO")).await, b"HELO");
    drop(stream);
    assert_eq!(gateway.next().await, Event::Fin(flow));
    assert!(gateway.session.peer().unwrap().capabilities.contains(Capabilities::VIA));
}

#[tokio::test]
async fn socks_gets_the_address_if_there_is_no_name() {
    let (listener, at) = listener().await;
    let mut gateway = via(&format!("socks5://{at}"), &[]);
    let flow = open(&mut gateway, 1, FAR, None);
    let (mut stream, _) = meanwhile(&mut gateway, asked(&listener, &[5, 1, 0])).await;
    stream.write_all(&[5, 0]).await.unwrap();
    let request = [5, 1, 0, 1, 203, 0, 113, 10, 1, 0xbb];
    assert_eq!(meanwhile(&mut gateway, hear(&mut stream, &request)).await, request);
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(gateway.next().await, Event::Opened(flow));
}

#[tokio::test]
async fn a_refusal_is_the_destinations_and_a_broken_proxy_is_reported_once() {
    let (listener, at) = listener().await;
    let mut gateway = via(&format!("http://me:s3cret@{at}"), &[]);
    for (flow, answer, reason) in [
        (1, "403 Forbidden", ConnectFailure::Refused),
        (2, "503 Away", ConnectFailure::HostUnreachable),
        (3, "504 Late", ConnectFailure::TimedOut),
    ] {
        let flow = open(&mut gateway, flow, FAR, None);
        let (mut stream, _) = meanwhile(&mut gateway, asked(&listener, b"\r\n\r\n")).await;
        stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
        assert_eq!(gateway.next().await, Event::Failed(flow, reason), "{answer}");
    }
    // Twice: the second time is not news.
    for flow in [4, 5] {
        let flow = open(&mut gateway, flow, FAR, None);
        let (mut stream, _) = meanwhile(&mut gateway, asked(&listener, b"\r\n\r\n")).await;
        stream
            .write_all(b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Negotiate\r\n\r\n")
            .await
            .unwrap();
        if flow == FlowId(4) {
            let words = format!(
                "http://***@{at}: the proxy rejects this user and password (it offers Negotiate)"
            );
            assert_eq!(gateway.next().await, trouble(&words));
        }
        assert_eq!(gateway.next().await, Event::Failed(flow, ConnectFailure::HostUnreachable));
    }
    let flow = open(&mut gateway, 6, FAR, None);
    let (mut stream, _) = meanwhile(&mut gateway, asked(&listener, b"\r\n\r\n")).await;
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    assert_eq!(gateway.next().await, trouble(""));
    assert_eq!(gateway.next().await, Event::Opened(flow));
    drop((stream, listener));
    assert_eq!(gateway.next().await, Event::Fin(flow));
    let flow = open(&mut gateway, 7, FAR, None);
    let Event::Other(words) = gateway.next().await else {
        panic!("the dead proxy was not reported")
    };
    assert!(words.contains("refused") && !words.contains("s3cret"), "{words}");
    assert_eq!(gateway.next().await, Event::Failed(flow, ConnectFailure::HostUnreachable));
}

#[tokio::test]
async fn excepted_destinations_go_directly() {
    let (proxy, at) = listener().await;
    let (server, here) = listener().await;
    let mut gateway = via(&format!("http://{at}"), &["203.0.113.0/25", ".near.test"]);
    let flow = open(&mut gateway, 1, &here, Some("www.far.test"));
    let _near = meanwhile(&mut gateway, async { server.accept().await.unwrap() }).await;
    assert_eq!(gateway.next().await, Event::Opened(flow), "the host's own loopback");
    // No host is there, and a route may be missing; the proxy must not see it.
    open(&mut gateway, 2, FAR, Some("www.far.test"));
    open(&mut gateway, 3, "203.0.113.200:443", Some("www.near.test"));
    // An app that uses the same proxy by itself.
    let flow = open(&mut gateway, 4, &at, None);
    let (mut opened, mut accepted) = (false, None);
    while !opened || accepted.is_none() {
        tokio::select! {
            stream = proxy.accept(), if accepted.is_none() => accepted = Some(stream.unwrap()),
            event = gateway.next() => match event {
                Event::Opened(of) if of == flow => opened = true,
                Event::Failed(of, _) if of != flow => {}
                other => panic!("unexpected {other:?}"),
            },
        }
    }
    let flow = open(&mut gateway, 5, "203.0.113.200:443", Some("www.nearnear.test"));
    let (mut stream, request) = loop {
        tokio::select! {
            asked = asked(&proxy, b"\r\n\r\n") => break asked,
            event = gateway.next() => assert!(matches!(event, Event::Failed(failed, _) if failed != flow), "{event:?}"),
        }
    };
    assert!(
        request.starts_with(b"CONNECT www.nearnear.test:443 "),
        "{}",
        String::from_utf8_lossy(&request)
    );
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
}

const PEER: &str = "203.0.113.10:3478";

fn send(gateway: &mut Gateway, bytes: &[u8]) {
    gateway.session.send(&Frame::Datagram {
        bind: BindId(1),
        peer: PEER.parse().unwrap(),
        marks: Marks::of_ttl(64),
        bytes,
    });
}

fn unreachable() -> Event {
    let fault = Fault { kind: FaultKind::PortUnreachable, router: None };
    event(&Frame::PeerError { bind: BindId(1), peer: PEER.parse().unwrap(), fault })
}

#[tokio::test]
async fn without_socks_datagrams_are_refused_but_for_the_hosts_own() {
    let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut gateway = via("http://127.0.0.1:9", &[]);
    gateway.session.send(&Frame::Bind { bind: BindId(1), family: Family::V4 });
    send(&mut gateway, b"QUIC");
    assert_eq!(gateway.next().await, unreachable());
    let peer = server.local_addr().unwrap();
    gateway.session.send(&Frame::Datagram {
        bind: BindId(1),
        peer,
        marks: Marks::of_ttl(64),
        bytes: b"near",
    });
    let mut buffer = [0; 10];
    let length = meanwhile(&mut gateway, async { server.recv(&mut buffer).await.unwrap() }).await;
    assert_eq!(&buffer[..length], b"near");
}

/// Accepts an association, and returns the address of the proxy's UDP socket to it.
async fn association(listener: &TcpListener, udp: &UdpSocket) -> TcpStream {
    let (mut stream, _) = asked(listener, &[5, 1, 0]).await;
    stream.write_all(&[5, 0]).await.unwrap();
    hear(&mut stream, &[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await;
    let [high, low] = udp.local_addr().unwrap().port().to_be_bytes();
    // No address: it stands for the proxy's own.
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, high, low]).await.unwrap();
    stream
}

async fn datagram(udp: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 100];
    let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
    (buffer[..length].to_vec(), from)
}

#[tokio::test]
async fn socks_carries_datagrams_both_ways_and_a_new_association_follows_a_lost_one() {
    let (listener, at) = listener().await;
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut gateway = via(&format!("socks5://{at}"), &[]);
    gateway.session.send(&Frame::Bind { bind: BindId(1), family: Family::V4 });
    let header = [0, 0, 0, 1, 203, 0, 113, 10, 0x0d, 0x96];
    let mut held = Vec::new();
    for round in [&b"one"[..], b"two"] {
        send(&mut gateway, round);
        let stream = meanwhile(&mut gateway, association(&listener, &udp)).await;
        let (bytes, from) = meanwhile(&mut gateway, datagram(&udp)).await;
        assert_eq!(
            bytes,
            [&header, round].concat(),
            "the datagrams that waited for the association"
        );
        send(&mut gateway, b"more");
        assert_eq!(
            meanwhile(&mut gateway, datagram(&udp)).await,
            ([&header[..], b"more"].concat(), from)
        );
        udp.send_to(&[&header[..], b"answer"].concat(), from).await.unwrap();
        udp.send_to(b"no header", from).await.unwrap();
        udp.send_to(&[&[0, 0, 1][..], &header[3..], b"a fragment"].concat(), from).await.unwrap();
        udp.send_to(&[&header[..], b"last"].concat(), from).await.unwrap();
        for bytes in [&b"answer"[..], b"last"] {
            let expected = Frame::Datagram {
                bind: BindId(1),
                peer: PEER.parse().unwrap(),
                marks: Marks::of_ttl(64),
                bytes,
            };
            assert_eq!(gateway.next().await, event(&expected));
        }
        // Once the relay has seen the end, nothing more comes by the old association. Probes show
        // that.
        drop(stream);
        let mut probes = 0;
        loop {
            send(&mut gateway, b"probe");
            probes += 1;
            assert!(probes < 1000, "the association is used after its end");
            let news = meanwhile(&mut gateway, async {
                tokio::select! {
                    accepted = listener.accept() => Some(accepted.unwrap().0),
                    _ = datagram(&udp) => None,
                }
            })
            .await;
            if let Some(asking) = news {
                // Its end would be news as well.
                held.push(asking);
                break;
            }
        }
        gateway.session.send(&Frame::Unbind { bind: BindId(1), reason: wire::UnbindReason::Done });
        gateway.session.send(&Frame::Bind { bind: BindId(1), family: Family::V4 });
    }
}

#[tokio::test]
async fn a_socks_proxy_without_udp_is_asked_once() {
    let (listener, at) = listener().await;
    let mut gateway = via(&format!("socks5://{at}"), &[]);
    gateway.session.send(&Frame::Bind { bind: BindId(1), family: Family::V4 });
    send(&mut gateway, b"QUIC");
    send(&mut gateway, b"again");
    let refusal = async {
        let (mut stream, _) = asked(&listener, &[5, 1, 0]).await;
        stream.write_all(&[5, 0]).await.unwrap();
        hear(&mut stream, &[5, 3, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        stream.write_all(&[5, 7, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
    };
    meanwhile(&mut gateway, refusal).await;
    // Those that waited, and a later one, without another request.
    assert_eq!([gateway.next().await, gateway.next().await], [unreachable(), unreachable()]);
    send(&mut gateway, b"later");
    tokio::select! {
        event = gateway.next() => assert_eq!(event, unreachable()),
        _ = listener.accept() => panic!("it is requested again"),
    }
}

#[tokio::test]
async fn an_unusable_proxy_ends_the_relay() {
    for proxy in ["windows", "ftp://proxy:1", ""] {
        let mut gateway = via(proxy, &[]);
        let mut bytes = Vec::new();
        gateway.session.fill(&mut bytes, 65_536, &mut gateway.sending);
        gateway.pipe.write_all(&bytes).await.unwrap();
        let end = timeout(DEADLINE, &mut gateway.relay).await.expect("it continues").unwrap();
        assert!(matches!(end, Err(RelayError::Via(_))), "{proxy}: {end:?}");
    }
}
