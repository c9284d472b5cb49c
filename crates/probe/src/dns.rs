//! Questions for names: to one server by its address, or to the system as programs ask it.

use crate::{DNS_PATIENCE, SYSTEM_PATIENCE, Why, timed, why};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;
use wsl::Nameserver;
use wsl::program::run_within;

/// How a server is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// As usual; also where the system or Windows is asked, which choose themselves.
    #[default]
    Udp,
    /// Over TCP.
    Tcp,
}

/// What came of a question for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Nobody asked.
    #[default]
    NotTried,
    /// Addresses.
    Addresses {
        /// Which.
        addresses: Vec<IpAddr>,
        /// How long it took.
        ms: u64,
    },
    /// There is no such name, or it has no address.
    NoSuchName {
        /// How long it took.
        ms: u64,
    },
    /// The server says that it cannot (SERVFAIL, REFUSED).
    ServerError {
        /// The code in words.
        code: String,
    },
    /// No answer.
    Failed {
        /// In what way.
        why: Why,
        /// In words, for people; may be empty.
        detail: String,
    },
}

/// When a question is asked again over UDP, which loses datagrams.
const AGAIN: Duration = Duration::from_millis(1000);

/// Bytes of an answer over UDP without EDNS (RFC 1035 section 2.3.4), and some more for servers that do not mind.
const ANSWER_BYTES: usize = 4096;

/// Asks one server for the addresses of a name, from an own address where one is given.
pub async fn ask(server: impl Into<Nameserver>, name: &str, transport: Transport, from: Option<IpAddr>) -> Answer {
    let server = server.into();
    let asking = async {
        let server = at(&server)?;
        let v4 = ask_kind(server, name, RecordType::A, transport, from).await?;
        // A name may have IPv6 addresses only.
        if v4.1 == ResponseCode::NoError && v4.0.is_empty() {
            return ask_kind(server, name, RecordType::AAAA, transport, from).await;
        }
        io::Result::Ok(v4)
    };
    let (answered, ms) = timed(timeout(DNS_PATIENCE, asking)).await;
    match answered {
        Ok(Ok((addresses, ResponseCode::NoError))) if !addresses.is_empty() => Answer::Addresses { addresses, ms },
        Ok(Ok((_, ResponseCode::NoError | ResponseCode::NXDomain))) => Answer::NoSuchName { ms },
        Ok(Ok((_, code))) => Answer::ServerError { code: code.to_string() },
        Ok(Err(error)) => Answer::Failed { why: why(&error), detail: error.to_string() },
        Err(_) => Answer::Failed { why: Why::TimedOut, detail: String::new() },
    }
}

/// Where a server is asked. A zone is an interface's name or its number (RFC 4007 section 11.2).
fn at(server: &Nameserver) -> io::Result<SocketAddr> {
    const PORT: u16 = 53;
    match (server.address, &server.zone) {
        (IpAddr::V6(address), Some(zone)) => {
            let scope = nix::net::if_::if_nametoindex(zone.as_str()).ok().or_else(|| zone.parse().ok());
            let scope = scope.ok_or_else(|| {
                io::Error::new(io::ErrorKind::AddrNotAvailable, format!("there is no interface {zone}"))
            })?;
            Ok(SocketAddrV6::new(address, PORT, 0, scope).into())
        }
        (address, _) => Ok(SocketAddr::new(address, PORT)),
    }
}

type Told = (Vec<IpAddr>, ResponseCode);

async fn ask_kind(
    server: SocketAddr,
    name: &str,
    kind: RecordType,
    transport: Transport,
    from: Option<IpAddr>,
) -> io::Result<Told> {
    // The hasher's key is the system's randomness.
    let [id0, id1, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    let id = u16::from_ne_bytes([id0, id1]);
    let query = query(id, name, kind)?;
    let answer = match transport {
        Transport::Udp => {
            let answer = by_udp(server, &query, from).await?;
            // RFC 7766 section 5: what is cut is asked for again over TCP. The addresses that came do as well.
            if answer.metadata.truncation && answer.answers.is_empty() {
                by_tcp(server, &query, from).await?
            } else {
                answer
            }
        }
        Transport::Tcp => by_tcp(server, &query, from).await?,
    };
    if answer.metadata.id != id {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is to another question"));
    }
    let addresses = answer.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
    Ok((addresses, answer.metadata.response_code))
}

fn query(id: u16, name: &str, kind: RecordType) -> io::Result<Vec<u8>> {
    let mut name = Name::from_str(name).map_err(io::Error::other)?;
    name.set_fqdn(true);
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name, kind));
    query.to_vec().map_err(io::Error::other)
}

async fn by_udp(server: SocketAddr, query: &[u8], from: Option<IpAddr>) -> io::Result<Message> {
    let any = || if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((from.unwrap_or_else(any), 0)).await?;
    socket.connect(server).await?;
    let mut answer = vec![0; ANSWER_BYTES];
    loop {
        socket.send(query).await?;
        if let Ok(length) = timeout(AGAIN, socket.recv(&mut answer)).await {
            return Message::from_vec(&answer[..length?]).map_err(io::Error::other);
        }
    }
}

async fn by_tcp(server: SocketAddr, query: &[u8], from: Option<IpAddr>) -> io::Result<Message> {
    let socket = if server.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let mut stream = socket.connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(io::Error::other)
}

/// Asks the system as programs do: `getent` goes by nsswitch.conf, hosts and resolv.conf, with the distro's own C library.
pub async fn ask_system(name: &str) -> Answer {
    let (output, ms) =
        timed(timeout(SYSTEM_PATIENCE, run_within("getent", &["ahosts", name], SYSTEM_PATIENCE * 2))).await;
    match output {
        Err(_) => Answer::Failed { why: Why::TimedOut, detail: String::new() },
        Ok(None) => Answer::NotTried,
        Ok(Some(output)) => {
            let addresses = addresses_in(&String::from_utf8_lossy(&output.stdout));
            if addresses.is_empty() { Answer::NoSuchName { ms } } else { Answer::Addresses { addresses, ms } }
        }
    }
}

/// `getent ahosts` writes a line for each kind of socket.
fn addresses_in(text: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_knows_its_own_name() {
        let Answer::Addresses { addresses, .. } = ask_system("localhost").await else { panic!("no localhost") };
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        assert!(matches!(ask_system("").await, Answer::NoSuchName { .. } | Answer::Failed { .. }));
    }

    #[test]
    fn each_address_counts_once() {
        let text = "192.0.2.1    STREAM name.test\n192.0.2.1    DGRAM\n2001:db8::1  STREAM\nnonsense\n\n";
        let addresses: Vec<String> = addresses_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1", "2001:db8::1"]);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_as_the_kernel_tells_it() {
        // Nobody listens at port 53 of this loopback address.
        let server: Nameserver = "127.94.76.1".parse().unwrap();
        for transport in [Transport::Udp, Transport::Tcp] {
            let answer = ask(server.clone(), "name.test", transport, None).await;
            assert!(matches!(answer, Answer::Failed { why: Why::Refused, .. }), "{transport:?}: {answer:?}");
        }
        let answer = ask(server, "a..b", Transport::Udp, None).await;
        assert!(matches!(answer, Answer::Failed { why: Why::Other, .. }), "{answer:?}");
    }
}
