//! Servers on loopback that stand for DNS, the outside, an echo service, proxies. Each ends with
//! the test's process.

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{RData, Record, RecordType};
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;

/// From where the proxies leave.
pub(crate) const PROXY_EXIT: &str = "127.0.0.2";

/// The answer of a DNS server for a name.
#[derive(Clone, Copy)]
pub(crate) enum Says {
    /// It is on 127.0.0.1.
    Here,
    NoName,
    Fails,
    Nothing,
}

/// A DNS server on an address of loopback; `says` is asked with the name, without its last point.
pub(crate) fn dns(address: &str, says: impl Fn(&str) -> Says + Send + 'static) {
    let socket =
        UdpSocket::bind((address, 53)).expect("port 53 of an address of loopback, as root");
    thread::spawn(move || {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            let query = Message::from_vec(&buffer[..length]).unwrap();
            let question = query.queries[0].clone();
            let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
            answer.add_query(question.clone());
            match says(question.name().to_utf8().trim_end_matches('.')) {
                Says::Here if question.query_type() == RecordType::A => {
                    let data = RData::A(A(Ipv4Addr::LOCALHOST));
                    answer.add_answer(Record::from_rdata(question.name().clone(), 60, data));
                }
                Says::Here => {}
                Says::NoName => answer.metadata.response_code = ResponseCode::NXDomain,
                Says::Fails => answer.metadata.response_code = ResponseCode::ServFail,
                Says::Nothing => continue,
            }
            socket.send_to(&answer.to_vec().unwrap(), from).unwrap();
        }
    });
}

/// A server on 127.0.0.1, a thread a connection; its port.
fn serve(each: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = each.clone();
            thread::spawn(move || each(stream));
        }
    });
    port
}

/// Takes connections, and does nothing with them.
pub(crate) fn listener() -> u16 {
    serve(|mut stream| drop(stream.read(&mut [0])))
}

/// A port without a listener.
pub(crate) fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Answers each client with its address, and with a status.
pub(crate) fn echo(status: &'static str) -> u16 {
    serve(move |stream| {
        let peer = stream.peer_addr().unwrap();
        tell_address(stream, peer.ip(), status);
    })
}

/// The same over whatever carries the stream.
pub(crate) fn tell_address(mut stream: impl Read + Write, address: IpAddr, status: &str) {
    if head(&mut stream).is_empty() {
        return;
    }
    let body = format!("{address}\n");
    let header =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    // A client that does not trust the server is gone by now.
    let _ = stream.write_all((header + &body).as_bytes()).and_then(|()| stream.flush());
}

/// Speaks TLS with the certificate's key before it tells.
pub(crate) fn tls_echo(config: std::sync::Arc<tokio_rustls::rustls::ServerConfig>) -> u16 {
    serve(move |stream| {
        let address = stream.peer_addr().unwrap().ip();
        let session = tokio_rustls::rustls::ServerConnection::new(config.clone()).unwrap();
        tell_address(tokio_rustls::rustls::StreamOwned::new(session, stream), address, "200 OK");
    })
}

/// The header of a request; empty where none comes.
fn head(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

/// A connection that leaves from [`PROXY_EXIT`]. Every name is on this machine.
fn leave(port: u16) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(PROXY_EXIT.parse().unwrap(), 0).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    Ok(socket.into())
}

fn pump(client: TcpStream, server: TcpStream) {
    let (mut up, mut down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut client, mut server) = (client, server);
    let there = thread::spawn(move || {
        let _ = std::io::copy(&mut up, &mut server);
        let _ = server.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut down, &mut client);
    let _ = client.shutdown(std::net::Shutdown::Both);
    there.join().unwrap();
}

/// An HTTP proxy that wants these words in a request's header, and gives connections to port 443
/// and ports above 1023 only.
pub(crate) fn http_proxy(wants: &'static str) -> u16 {
    serve(move |mut client| {
        // A request that is not HTTP has no header to wait for.
        if is_socks(&client) {
            let _ = client.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
            return;
        }
        let request = head(&mut client);
        let mut words = request.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !request.contains(wants) {
            let _ = client.write_all(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n\
                             Proxy-Authenticate: Basic realm=x\r\n\r\n",
            );
            return;
        }
        let authority = target.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let port = authority.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
        let Ok(mut server) = leave(port) else {
            let _ = client.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
            return;
        };
        if method == "CONNECT" {
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
        } else {
            server
                .write_all(request.replace(&format!("http://{authority}"), "").as_bytes())
                .unwrap();
        }
        pump(client, server);
    })
}

fn is_socks(client: &TcpStream) -> bool {
    let mut first = [0];
    client.peek(&mut first).is_ok() && first == [5]
}

/// A SOCKS5 proxy without authentication (RFC 1928).
pub(crate) fn socks_proxy() -> u16 {
    serve(move |mut client| {
        let mut read = |length: usize| {
            let mut bytes = vec![0; length];
            client.read_exact(&mut bytes).map(|()| bytes)
        };
        let Ok(methods) = read(2).and_then(|head| read(head[1].into())) else { return };
        assert!(methods.contains(&0));
        client.write_all(&[5, 0]).unwrap();
        let mut read = |length: usize| {
            let mut bytes = vec![0; length];
            client.read_exact(&mut bytes).map(|()| bytes)
        };
        let Ok(request) = read(4) else { return };
        let length = match request[3] {
            1 => 4,
            3 => read(1).unwrap()[0].into(),
            _ => 16,
        };
        read(length).unwrap();
        let port = read(2).unwrap();
        let server = leave(u16::from_be_bytes([port[0], port[1]]));
        let code = if server.is_ok() { 0 } else { 5 };
        client.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).unwrap();
        if let Ok(server) = server {
            pump(client, server);
        }
    })
}
