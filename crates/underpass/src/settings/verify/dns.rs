//! Asks each nameserver by itself for a name's addresses. Which answer counts is `config::settings::verify`'s to say.

use config::settings::verify::{Answer, NameSeen};
use futures_util::future::join_all;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use wsl::ResolvConf;

/// The port of DNS (RFC 1035 4.2).
const PORT: u16 = 53;

/// A lost datagram is sent again this many times within the patience.
const TRIES: u32 = 3;

/// Room for an answer over UDP; without EDNS servers send at most 512 bytes (RFC 1035 4.2.1), and some mind it not.
const ANSWER_BYTES: usize = 4096;

/// The names that are asked for when a program wants `name`, in their order (`ndots:1`).
fn candidates(conf: &ResolvConf, name: &str) -> Vec<String> {
    if name.ends_with('.') {
        return vec![name.to_owned()];
    }
    let searched = conf.search.iter().map(|domain| format!("{name}.{}", domain.trim_matches('.')));
    let itself = std::iter::once(name.to_owned());
    if name.contains('.') { itself.chain(searched).collect() } else { searched.chain(itself).collect() }
}

/// Resolves names by a resolv.conf and a hosts file.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) conf: ResolvConf,
    hosts: String,
    patience: Duration,
}

impl Resolver {
    /// `hosts` is what /etc/hosts says.
    pub(super) fn new(conf: ResolvConf, hosts: String, patience: Duration) -> Self {
        Self { conf, hosts, patience }
    }

    /// Asks the servers that count, all at once.
    pub(super) async fn look_up(&self, name: &str) -> NameSeen {
        let hosts = in_hosts(&self.hosts, name);
        let candidates = candidates(&self.conf, name);
        let servers = self.conf.servers().iter().map(|server| server.address);
        let ask = |server| {
            let candidates = &candidates;
            async move { (server, self.ask(server, candidates).await) }
        };
        NameSeen { name: name.to_owned(), hosts, answers: join_all(servers.map(ask)).await }
    }

    /// The first of the names for which the server has addresses; else its answer to the first.
    async fn ask(&self, server: IpAddr, names: &[String]) -> Answer {
        let mut first = None;
        for name in names {
            let answer = match Name::from_utf8(name) {
                Ok(mut name) => {
                    name.set_fqdn(true);
                    self.ask_both_families(server, &name).await
                }
                // Nobody can have such a name.
                Err(_) => Answer::NoName,
            };
            match answer {
                Answer::Addresses { .. } => return answer,
                // Who is silent is not asked for more.
                Answer::Silent(_) | Answer::NotAsked(_) => return first.unwrap_or(answer),
                Answer::NoName | Answer::NoAddress | Answer::Error(_) => first = first.or(Some(answer)),
            }
        }
        first.unwrap_or(Answer::NoName)
    }

    async fn ask_both_families(&self, server: IpAddr, name: &Name) -> Answer {
        match self.question(server, name, RecordType::A).await {
            Answer::NoAddress => self.question(server, name, RecordType::AAAA).await,
            answer @ (Answer::Addresses { .. }
            | Answer::NoName
            | Answer::Error(_)
            | Answer::Silent(_)
            | Answer::NotAsked(_)) => answer,
        }
    }

    #[expect(clippy::disallowed_methods, reason = "how long a server took is told to people")]
    async fn question(&self, server: IpAddr, name: &Name, kind: RecordType) -> Answer {
        let start = Instant::now();
        match timeout(self.patience, exchange(SocketAddr::new(server, PORT), name, kind, self.patience / TRIES)).await {
            Ok(Ok(message)) => judge(&message, start.elapsed()),
            Ok(Err(error)) => Answer::NotAsked(error.to_string()),
            Err(_) => Answer::Silent(self.patience),
        }
    }
}

fn judge(message: &Message, took: Duration) -> Answer {
    let code = message.metadata.response_code;
    if code == ResponseCode::NXDomain {
        return Answer::NoName;
    }
    if code != ResponseCode::NoError {
        return Answer::Error(code_name(code));
    }
    let found: Vec<IpAddr> = message.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
    if found.is_empty() { Answer::NoAddress } else { Answer::Addresses { found, took } }
}

/// As dig and resolv.h write it.
fn code_name(code: ResponseCode) -> String {
    format!("{code:?}").to_uppercase()
}

/// One question by UDP, sent again every `again`; by TCP where the answer does not fit.
async fn exchange(server: SocketAddr, name: &Name, kind: RecordType, again: Duration) -> io::Result<Message> {
    let id = id();
    let mut query = Message::new(id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name.clone(), kind));
    let query = query.to_vec().map_err(io::Error::other)?;
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    loop {
        socket.send(&query).await?;
        let Ok(message) = timeout(again, receive(&socket, id)).await else { continue };
        let message = message?;
        let is_whole =
            !message.metadata.truncation || message.answers.iter().any(|record| record.data.ip_addr().is_some());
        return if is_whole { Ok(message) } else { exchange_by_tcp(server, &query).await };
    }
}

/// The answer to the question `id`; what else comes is somebody else's.
async fn receive(socket: &UdpSocket, id: u16) -> io::Result<Message> {
    let mut answer = [0; ANSWER_BYTES];
    loop {
        let length = socket.recv(&mut answer).await?;
        if let Some(message) = Message::from_vec(&answer[..length]).ok().filter(|message| message.metadata.id == id) {
            return Ok(message);
        }
    }
}

/// RFC 1035 4.2.2.
async fn exchange_by_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Message> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(query.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
    let mut answer = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut answer).await?;
    Message::from_vec(&answer).map_err(io::Error::other)
}

/// Hard to guess: the hasher's key is the system's randomness.
fn id() -> u16 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    (RandomState::new().build_hasher().finish() & 0xffff) as u16
}

/// The addresses that a hosts file has for a name (hosts(5)), each once.
fn in_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let name = name.trim_end_matches('.');
    let mut seen = HashSet::new();
    let addresses = hosts.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|word| word.eq_ignore_ascii_case(name)).then_some(address)
    });
    addresses.filter(|address| seen.insert(*address)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_searched_as_the_c_library_does() {
        let conf = ResolvConf::read("domain old.example\nsearch corp.example. lab.corp.example\noptions ndots:1\n");
        assert_eq!(candidates(&conf, "git"), ["git.corp.example", "git.lab.corp.example", "git"]);
        assert_eq!(candidates(&conf, "git.x"), ["git.x", "git.x.corp.example", "git.x.lab.corp.example"]);
        assert_eq!(candidates(&conf, "git."), ["git."]);
        assert_eq!(candidates(&ResolvConf::default(), "git"), ["git"]);
    }

    #[test]
    fn hosts_are_found_by_any_of_their_names() {
        let hosts = "127.0.0.1 localhost # not this one: git\n10.1.2.3\tgit.corp.example GIT\n10.1.2.4 git\n10.1.2.3 git\nx git\n";
        assert_eq!(in_hosts(hosts, "git"), ["10.1.2.3", "10.1.2.4"].map(|text| text.parse::<IpAddr>().unwrap()));
        assert_eq!(in_hosts(hosts, "git.corp.example."), ["10.1.2.3".parse::<IpAddr>().unwrap()]);
        assert_eq!(in_hosts(hosts, "gi"), Vec::<IpAddr>::new());
    }

    #[test]
    fn codes_are_called_as_everybody_calls_them() {
        let codes = [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp, ResponseCode::FormErr];
        assert_eq!(codes.map(code_name), ["SERVFAIL", "REFUSED", "NOTIMP", "FORMERR"]);
    }
}
