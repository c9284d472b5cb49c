//! Questions for names: to one server by its address, or to the system as programs ask it.

use crate::tcp::connect_from as connect;
use crate::{DNS_PATIENCE, Origin, SYSTEM_PATIENCE, Why, timed, why};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use proxy::Host;
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockRef, Socket, Type};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::str::FromStr as _;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
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

/// The answer to a question for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lookup {
    /// The question was not asked.
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

/// Bytes of an answer over UDP without EDNS (RFC 1035 section 2.3.4), and some more for servers
/// that ignore it.
const ANSWER_BYTES: usize = 4096;

/// How a question is put to a server.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// By what.
    pub transport: Transport,
    /// The source; by default the kernel chooses.
    pub from: Option<&'a Origin>,
    /// When a question is asked again over UDP, which loses datagrams.
    pub again: Duration,
}

impl Default for Asking<'_> {
    fn default() -> Self {
        Self { transport: Transport::Udp, from: None, again: Duration::from_millis(1000) }
    }
}

/// A server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What it says of the question.
    pub code: ResponseCode,
    /// The addresses that it gives.
    pub addresses: Vec<IpAddr>,
}

/// Asks one server for the addresses of a name.
pub async fn ask(server: impl Into<Nameserver>, name: &str, transport: Transport) -> Lookup {
    let server = server.into();
    let asking = async {
        let mut name = Name::from_str(name).map_err(io::Error::other)?;
        name.set_fqdn(true);
        let asking = Asking { transport, ..Asking::default() };
        let v4 = query(&server, &name, RecordType::A, asking).await?;
        // A name may have IPv6 addresses only.
        if v4.code == ResponseCode::NoError && v4.addresses.is_empty() {
            return query(&server, &name, RecordType::AAAA, asking).await;
        }
        Ok(v4)
    };
    let (answered, ms) = timed(timeout(DNS_PATIENCE, asking)).await;
    match answered {
        Ok(Ok(Reply { code: ResponseCode::NoError, addresses })) if !addresses.is_empty() => {
            Lookup::Addresses { addresses, ms }
        }
        Ok(Ok(Reply { code: ResponseCode::NoError | ResponseCode::NXDomain, .. })) => {
            Lookup::NoSuchName { ms }
        }
        Ok(Ok(Reply { code, .. })) => Lookup::ServerError { code: code.to_string() },
        Ok(Err(error)) => Lookup::Failed { why: why(&error), detail: error.to_string() },
        Err(_) => Lookup::Failed { why: Why::TimedOut, detail: String::new() },
    }
}

/// Puts one question to one server, again and again until it answers; the caller has the patience.
///
/// # Errors
/// The server cannot be asked, or its answer is not DNS.
pub async fn query(
    server: &Nameserver,
    name: &Name,
    kind: RecordType,
    asking: Asking<'_>,
) -> io::Result<Reply> {
    let server = at(server)?;
    let question = question(name, kind)?;
    let answer = match asking.transport {
        Transport::Udp => {
            let answer = by_udp(server, &question, asking).await?;
            // RFC 7766 section 5: what is cut is asked for again over TCP. The addresses that came
            // do as well.
            if answer.metadata.truncation && addresses_of(&answer).is_empty() {
                by_tcp(server, &question, asking.from).await?
            } else {
                answer
            }
        }
        Transport::Tcp => by_tcp(server, &question, asking.from).await?,
    };
    Ok(Reply { code: answer.metadata.response_code, addresses: addresses_of(&answer) })
}

fn addresses_of(answer: &Message) -> Vec<IpAddr> {
    answer.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// A question as it is sent.
struct Question {
    id: u16,
    bytes: Vec<u8>,
}

fn question(name: &Name, kind: RecordType) -> io::Result<Question> {
    // The hasher's key is the system's randomness.
    let [id0, id1, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    let id = u16::from_ne_bytes([id0, id1]);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    Ok(Question { id, bytes: message.to_vec().map_err(io::Error::other)? })
}

/// Where a server is asked. A zone is an interface's name or its number (RFC 4007 section 11.2).
fn at(server: &Nameserver) -> io::Result<SocketAddr> {
    const PORT: u16 = 53;
    match (server.address, &server.zone) {
        (IpAddr::V6(address), Some(zone)) => {
            let scope =
                nix::net::if_::if_nametoindex(zone.as_str()).ok().or_else(|| zone.parse().ok());
            let scope = scope.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::AddrNotAvailable,
                    format!("there is no interface {zone}"),
                )
            })?;
            Ok(SocketAddrV6::new(address, PORT, 0, scope).into())
        }
        (address, _) => Ok(SocketAddr::new(address, PORT)),
    }
}

async fn by_udp(
    server: SocketAddr,
    question: &Question,
    asking: Asking<'_>,
) -> io::Result<Message> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM.nonblocking(), None)?;
    if let Some(from) = asking.from {
        from.bind(&SockRef::from(&socket))?;
    }
    let socket = UdpSocket::from_std(socket.into())?;
    socket.connect(server).await?;
    loop {
        socket.send(&question.bytes).await?;
        if let Ok(answer) = timeout(asking.again, receive(&socket, question.id)).await {
            return answer;
        }
    }
}

/// The answer to the question `id`. Another datagram is a late one, or forged.
async fn receive(socket: &UdpSocket, id: u16) -> io::Result<Message> {
    let mut answer = [0; ANSWER_BYTES];
    loop {
        let length = socket.recv(&mut answer).await?;
        if let Some(answer) =
            Message::from_vec(&answer[..length]).ok().filter(|answer| answer.metadata.id == id)
        {
            return Ok(answer);
        }
    }
}

/// RFC 1035 section 4.2.2.
async fn by_tcp(
    server: SocketAddr,
    question: &Question,
    from: Option<&Origin>,
) -> io::Result<Message> {
    let mut stream = connect(server, from).await?;
    let length = u16::try_from(question.bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question.bytes.as_slice()].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    let answer = Message::from_vec(&answer).map_err(io::Error::other)?;
    if answer.metadata.id != question.id {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the answer is to another question",
        ));
    }
    Ok(answer)
}

/// Asks the system as programs do: `getent` goes by nsswitch.conf, hosts and resolv.conf, with the
/// distro's own C library.
pub async fn ask_system(name: &str) -> Lookup {
    let (found, ms) = timed(timeout(SYSTEM_PATIENCE, getent(name))).await;
    match found {
        Err(_) => Lookup::Failed { why: Why::TimedOut, detail: String::new() },
        Ok(None) => Lookup::NotTried,
        Ok(Some(addresses)) if addresses.is_empty() => Lookup::NoSuchName { ms },
        Ok(Some(addresses)) => Lookup::Addresses { addresses, ms },
    }
}

/// Where the system's own resolver knows a host, IPv4 first, since a proxy may have no IPv6.
pub async fn addresses(host: &Host) -> Vec<IpAddr> {
    let name = match host {
        Host::Address(address) => return vec![*address],
        // RFC 6761 section 6.3.
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => {
            return vec![Ipv4Addr::LOCALHOST.into()];
        }
        Host::Name(name) => name,
    };
    let mut addresses = getent(name).await.unwrap_or_default();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

/// By the system's program: this one is static, and cannot load what the machine resolves names
/// with. `None` where that is missing, or silent.
async fn getent(name: &str) -> Option<Vec<IpAddr>> {
    let output = run_within("getent", &["ahosts", name], SYSTEM_PATIENCE * 2).await?;
    Some(addresses_in(&String::from_utf8_lossy(&output.stdout)))
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
        let Lookup::Addresses { addresses, .. } = ask_system("localhost").await else {
            panic!("no localhost")
        };
        assert!(addresses.iter().all(IpAddr::is_loopback), "{addresses:?}");
        assert!(matches!(ask_system("").await, Lookup::NoSuchName { .. } | Lookup::Failed { .. }));
    }

    #[test]
    fn each_address_counts_once() {
        let text =
            "192.0.2.1    STREAM name.test\n192.0.2.1    DGRAM\n2001:db8::1  STREAM\nnonsense\n\n";
        let addresses: Vec<String> = addresses_in(text).iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.1", "2001:db8::1"]);
    }

    /// Answers the first datagram with another question's id, with nonsense, and then as it should.
    #[tokio::test]
    async fn a_datagram_that_is_not_the_answer_is_passed_over() {
        let server = UdpSocket::bind("127.94.76.3:0").await.unwrap();
        let at = server.local_addr().unwrap();
        tokio::spawn(async move {
            let mut question = [0; 512];
            let (length, from) = server.recv_from(&mut question).await.unwrap();
            let mut answer = Message::from_vec(&question[..length]).unwrap();
            answer.metadata.message_type = MessageType::Response;
            answer.metadata.response_code = ResponseCode::Refused;
            let right = answer.to_vec().unwrap();
            answer.metadata.id ^= 1;
            for datagram in [answer.to_vec().unwrap(), b"nonsense".to_vec(), right] {
                server.send_to(&datagram, from).await.unwrap();
            }
        });
        let name = Name::from_str("name.test.").unwrap();
        let question = question(&name, RecordType::A).unwrap();
        let answer =
            timeout(DNS_PATIENCE, by_udp(at, &question, Asking::default())).await.unwrap().unwrap();
        assert_eq!(
            (answer.metadata.id, answer.metadata.response_code),
            (question.id, ResponseCode::Refused)
        );
    }

    #[tokio::test]
    async fn a_missing_server_is_reported_with_the_error_of_the_kernel() {
        // No program listens on port 53 of this loopback address.
        let server: Nameserver = "127.94.76.1".parse().unwrap();
        for transport in [Transport::Udp, Transport::Tcp] {
            let answer = ask(server.clone(), "name.test", transport).await;
            assert!(
                matches!(answer, Lookup::Failed { why: Why::Refused, .. }),
                "{transport:?}: {answer:?}"
            );
        }
        let answer = ask(server, "a..b", Transport::Udp).await;
        assert!(matches!(answer, Lookup::Failed { why: Why::Other, .. }), "{answer:?}");
    }
}
