//! Connections by TCP, and the little that is said over them to see whether bytes come back.

use crate::{CONNECT_PATIENCE, Origin, Outcome, Why, failed, failure, timed};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Connects, from an own address where one is given, and closes again.
pub async fn connect(to: SocketAddr, from: Option<&Origin>) -> Outcome {
    let (opened, ms) = timed(open(to, from)).await;
    match opened {
        Ok(_) => Outcome::Ok { ms },
        Err(outcome) => outcome,
    }
}

/// A connection from an origin, or from where the kernel chooses. The caller has the patience.
///
/// # Errors
/// The system's.
pub async fn connect_from(to: SocketAddr, from: Option<&Origin>) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        from.bind(&SockRef::from(&socket))?;
    }
    socket.connect(to).await
}

/// The connection, or why there is none.
pub(super) async fn open(to: SocketAddr, from: Option<&Origin>) -> Result<TcpStream, Outcome> {
    match timeout(CONNECT_PATIENCE, connect_from(to, from)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(failure(&error)),
        Err(_) => Err(failed(Why::TimedOut, "")),
    }
}

/// Sends what servers on that port answer to, padded to about `size` bytes, and waits for the first
/// byte of an answer. Servers that speak first are sent nothing.
pub(super) async fn exchange(
    stream: &mut TcpStream,
    port: u16,
    host: &str,
    size: usize,
    patience: Duration,
) -> Outcome {
    let asking = async {
        let request = match port {
            443 | 853 | 993 | 8443 => client_hello(size),
            21 | 22 | 25 => Vec::new(),
            _ => http_request(host, size),
        };
        stream.write_all(&request).await?;
        let mut byte = [0];
        match stream.read(&mut byte).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    };
    let (answered, ms) = timed(timeout(patience, asking)).await;
    match answered {
        Ok(Ok(())) => Outcome::Ok { ms },
        Ok(Err(error)) => failure(&error),
        Err(_) => failed(Why::TimedOut, ""),
    }
}

/// Begins a TLS handshake, and looks whether a record of TLS comes back: a handshake's or an alert
/// (RFC 8446 section 5.1).
pub(super) async fn greet_by_tls(stream: &mut TcpStream, patience: Duration) -> Outcome {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    let asking = async {
        stream.write_all(&client_hello(0)).await?;
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        io::Result::Ok(matches!(head, [ALERT | HANDSHAKE, 3]))
    };
    let (answered, ms) = timed(timeout(patience, asking)).await;
    match answered {
        Ok(Ok(true)) => Outcome::Ok { ms },
        Ok(Ok(false)) => failed(Why::WrongProtocol, ""),
        Ok(Err(error)) => failure(&error),
        Err(_) => failed(Why::TimedOut, ""),
    }
}

fn http_request(host: &str, size: usize) -> Vec<u8> {
    let head = format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: underpass-doctor\r\nConnection: close\r\n"
    );
    let padding = size.saturating_sub(head.len() + 2 + "X-Padding: \r\n".len());
    if padding == 0 {
        return format!("{head}\r\n").into_bytes();
    }
    format!("{head}X-Padding: {}\r\n\r\n", "x".repeat(padding)).into_bytes()
}

/// A TLS handshake's first message (RFC 8446 section 4.1.2, as one of TLS 1.2 that names no
/// server): the answer is a certificate or an alert, and either is one.
fn client_hello(size: usize) -> Vec<u8> {
    // TLS_ECDHE_{ECDSA,RSA}_WITH_AES_128_GCM_SHA256 and the RSA one of old servers (RFC 5289, RFC
    // 5288).
    const SUITES: [u8; 6] = [0xc0, 0x2b, 0xc0, 0x2f, 0x00, 0x9c];
    // supported_groups: x25519, secp256r1; ec_point_formats: uncompressed; signature_algorithms:
    // ECDSA and RSA with SHA-256, RSA-PSS.
    const EXTENSIONS: [u8; 30] = [
        0, 10, 0, 6, 0, 4, 0, 0x1d, 0, 0x17, 0, 11, 0, 2, 1, 0, 0, 13, 0, 10, 0, 8, 4, 3, 4, 1, 8,
        4, 8, 9,
    ];
    let mut extensions = EXTENSIONS.to_vec();
    // 9 + 2 + 32 + 1 + 2 + 6 + 2 + 2 bytes stand around the extensions; RFC 7685 pads.
    let around = 56;
    if let Some(padding) = size.checked_sub(around + extensions.len() + 4) {
        extensions.extend([0, 21]);
        extensions.extend(length16(padding));
        extensions.resize(extensions.len() + padding, 0);
    }
    let mut hello = vec![3, 3];
    hello.extend([0x75; 32]);
    hello.push(0);
    hello.extend(length16(SUITES.len()));
    hello.extend(SUITES);
    hello.extend([1, 0]);
    hello.extend(length16(extensions.len()));
    hello.extend(extensions);
    let [_, high, middle, low] = u32::try_from(hello.len()).unwrap_or_default().to_be_bytes();
    let mut message = vec![22, 3, 1];
    message.extend(length16(hello.len() + 4));
    message.extend([1, high, middle, low]);
    message.extend(hello);
    message
}

fn length16(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn connections_say_how_they_failed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open_at = listener.local_addr().unwrap();
        assert!(matches!(connect(open_at, None).await, Outcome::Ok { .. }));
        let from = |address: &str, device: Option<&str>| Origin {
            address: address.parse().unwrap(),
            device: device.map(str::to_owned),
        };
        for device in [None, Some("lo")] {
            let outcome = connect(open_at, Some(&from("127.0.0.2", device))).await;
            assert!(matches!(outcome, Outcome::Ok { .. }), "{device:?}: {outcome:?}");
        }
        drop(listener);
        let Outcome::Failed { why, .. } = connect(open_at, None).await else {
            panic!("nobody listens")
        };
        assert_eq!(why, Why::Refused);
        let elsewhere = from("192.0.2.77", None);
        let Outcome::Failed { why, .. } = connect(open_at, Some(&elsewhere)).await else {
            panic!("a strange address")
        };
        assert_eq!(why, Why::Unreachable);
    }

    #[tokio::test]
    async fn an_exchange_wants_a_byte() {
        for (answer, expected) in [(&b"x"[..], None), (b"", Some(Why::Closed))] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let length = client.read(&mut request).await.unwrap();
                client.write_all(answer).await.unwrap();
                request.truncate(length);
                request
            });
            let mut stream = open(address, None).await.unwrap();
            let outcome =
                exchange(&mut stream, address.port(), "name.test", 0, Duration::from_secs(10))
                    .await;
            let why = match outcome {
                Outcome::Failed { why, .. } => Some(why),
                Outcome::Ok { .. } | Outcome::NotTried => None,
            };
            assert_eq!(why, expected);
            let request = String::from_utf8(server.await.unwrap()).unwrap();
            assert!(request.starts_with("GET / HTTP/1.1\r\nHost: name.test\r\n"), "{request}");
        }
    }

    #[test]
    fn requests_are_as_large_as_they_are_to_be() {
        for size in [300, 1400, 3000] {
            let hello = client_hello(size);
            assert_eq!(hello.len(), size);
            assert_eq!(
                usize::from(u16::from_be_bytes([hello[3], hello[4]])),
                size - 5,
                "the record's own length"
            );
            assert_eq!(http_request("name.test", size).len(), size);
        }
        assert_eq!(client_hello(0).len(), 86);
        assert!(http_request("a", 0).ends_with(b"close\r\n\r\n"));
    }
}
