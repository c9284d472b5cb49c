//! DNS: queries through the engine to small servers on loopback addresses, each with its own
//! behaviour.

use crate::gateway::{DEADLINE, Event, Gateway, event};
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::time::timeout;
use underpass_relay::os::Resolver;
use wire::{AnsweredBy, Frame, QueryFailure, RequestId};

/// A server's behaviour at each query.
#[derive(Clone, Copy)]
enum Manner {
    /// Answers with one TXT record of that many bytes, truncated over UDP if it is more than 512.
    Text(usize),
    /// Answers with a code and no record.
    Code(ResponseCode),
    /// Never answers.
    Silent,
    /// Loses every other query, including the first, and answers the rest with a TXT record of that
    /// many bytes.
    Lossy(usize),
    /// First sends an answer with a wrong id and one to another question.
    Forged,
}

/// A DNS server over UDP and TCP that counts its queries.
struct Server {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Server {
    async fn start(ip: &str, port: u16, manner: Manner) -> Self {
        let ip: IpAddr = ip.parse().unwrap();
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind((ip, port)).await.unwrap();
            match TcpListener::bind(udp.local_addr().unwrap()).await {
                Ok(tcp) => break (udp, tcp),
                // UDP's port may be taken for TCP.
                Err(error) => assert_eq!(port, 0, "{error}"),
            }
        };
        let address = udp.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
                let before = count.fetch_add(1, Ordering::Relaxed);
                if matches!(manner, Manner::Lossy(_)) && before.is_multiple_of(2) {
                    continue;
                }
                for reply in replies(&buffer[..length], manner) {
                    let fits =
                        if reply.len() <= 512 { reply } else { truncated(&buffer[..length]) };
                    udp.send_to(&fits, from).await.unwrap();
                }
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = tcp.accept().await.unwrap();
                let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
                stream.read_exact(&mut query).await.unwrap();
                for reply in replies(&query, manner) {
                    stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
                    stream.write_all(&reply).await.unwrap();
                }
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn replies(query: &[u8], manner: Manner) -> Vec<Vec<u8>> {
    let mut reply = Message::from_vec(query).unwrap();
    reply.metadata.message_type = MessageType::Response;
    let name = reply.queries[0].name().clone();
    match manner {
        Manner::Silent => return Vec::new(),
        Manner::Code(code) => reply.metadata.response_code = code,
        Manner::Text(bytes) | Manner::Lossy(bytes) => {
            let strings = vec!["x".repeat(100); bytes.div_ceil(100)];
            reply.add_answer(Record::from_rdata(name, 60, RData::TXT(TXT::new(strings))));
        }
        Manner::Forged => {
            let mut wrong_id = reply.clone();
            wrong_id.metadata.id = reply.metadata.id.wrapping_add(1);
            let mut wrong_question = reply.clone();
            wrong_question.queries =
                vec![Query::query(Name::from_str("other.test.").unwrap(), RecordType::TXT)];
            reply.metadata.authoritative = true;
            return [wrong_id, wrong_question, reply].iter().map(|m| m.to_vec().unwrap()).collect();
        }
    }
    vec![reply.to_vec().unwrap()]
}

fn truncated(query: &[u8]) -> Vec<u8> {
    let mut reply = Message::from_vec(query).unwrap();
    reply.metadata.message_type = MessageType::Response;
    reply.metadata.truncation = true;
    reply.to_vec().unwrap()
}

/// A resolver's two files, removed at the end.
struct Files(PathBuf);

impl Files {
    fn new(servers: &[&Server], hosts: &str) -> (Self, Resolver) {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let unique = format!(
            "underpass-dns-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = std::env::temp_dir().join(unique);
        std::fs::create_dir(&folder).unwrap();
        let lines: Vec<String> =
            servers.iter().map(|s| format!("nameserver {}\n", s.address.ip())).collect();
        std::fs::write(folder.join("resolv.conf"), lines.concat()).unwrap();
        std::fs::write(folder.join("hosts"), hosts).unwrap();
        let port = servers.first().map_or(53, |s| s.address.port());
        let resolver =
            Resolver { resolv_conf: folder.join("resolv.conf"), hosts: folder.join("hosts"), port };
        (Self(folder), resolver)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut query = Message::new(0x1234, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    query
}

async fn resolve(resolver: &Resolver, query: &Message) -> Result<Message, QueryFailure> {
    let answer =
        timeout(DEADLINE, resolver.resolve(&query.to_vec().unwrap())).await.expect("no end")?;
    let answer = Message::from_vec(&answer.message).unwrap();
    assert_eq!(answer.metadata.id, 0x1234, "the asker's own id comes back");
    Ok(answer)
}

#[tokio::test]
async fn a_query_of_any_type_goes_through_the_engine() {
    let server = Server::start("127.0.0.1", 0, Manner::Text(40)).await;
    let (_files, resolver) = Files::new(&[&server], "");
    let mut gateway = Gateway::start_with(4096, 1, resolver);
    let query = query("name.test.", RecordType::Unknown(65_280)).to_vec().unwrap();
    gateway.session.send(&Frame::Query { request: RequestId(5), message: &query });
    let answer = &replies(&query, Manner::Text(40))[0];
    assert_eq!(
        gateway.next().await,
        event(&Frame::Answer { request: RequestId(5), by: AnsweredBy::Servers, message: answer })
    );
    gateway.session.send(&Frame::Query { request: RequestId(6), message: b"no query" });
    let refused = Frame::NoAnswer { request: RequestId(6), reason: QueryFailure::Refused };
    assert_eq!(gateway.next().await, event(&refused));
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_whole_over_tcp() {
    let server = Server::start("127.0.0.1", 0, Manner::Text(5000)).await;
    let (_files, resolver) = Files::new(&[&server], "");
    let answer = resolve(&resolver, &query("big.test.", RecordType::TXT)).await.unwrap();
    assert!(!answer.metadata.truncation);
    assert!(answer.to_vec().unwrap().len() > 5000);
}

#[tokio::test]
async fn a_servers_no_keeps_its_kind() {
    for code in [
        ResponseCode::NXDomain,
        ResponseCode::NoError,
        ResponseCode::ServFail,
        ResponseCode::Refused,
    ] {
        let server = Server::start("127.0.0.1", 0, Manner::Code(code)).await;
        let (_files, resolver) = Files::new(&[&server], "");
        let answer = resolve(&resolver, &query("name.test.", RecordType::A)).await.unwrap();
        assert_eq!((answer.metadata.response_code, answer.answers.len()), (code, 0));
        assert_eq!(server.asked(), 1, "{code}: an answer is not requested again");
    }
}

#[tokio::test]
async fn a_server_that_fails_is_followed_by_the_next_and_nxdomain_is_not() {
    for (code, next_is_asked) in [(ResponseCode::ServFail, 1), (ResponseCode::NXDomain, 0)] {
        let first = Server::start("127.0.0.2", 0, Manner::Code(code)).await;
        let second = Server::start("127.0.0.3", first.address.port(), Manner::Text(10)).await;
        let (_files, resolver) = Files::new(&[&first, &second], "");
        resolve(&resolver, &query("name.test.", RecordType::TXT)).await.unwrap();
        assert_eq!((first.asked(), second.asked()), (1, next_is_asked));
    }
}

#[tokio::test]
async fn a_server_that_refuses_costs_no_time() {
    let second = Server::start("127.0.0.3", 0, Manner::Text(10)).await;
    // No server listens on this address.
    let refusing = Server {
        address: SocketAddr::new([127, 0, 0, 2].into(), second.address.port()),
        asked: Arc::default(),
    };
    let (_files, resolver) = Files::new(&[&refusing, &second], "");
    let asked = query("name.test.", RecordType::TXT);
    // The relay waits 1 s for a silent server before it queries the next.
    let answer = timeout(Duration::from_millis(900), resolve(&resolver, &asked))
        .await
        .expect("it waits for the refusing one");
    assert_eq!(answer.unwrap().answers.len(), 1);
    let (_files, resolver) = Files::new(&[&refusing], "");
    let outcome =
        timeout(Duration::from_millis(900), resolve(&resolver, &asked)).await.expect("it waits");
    assert_eq!(outcome.unwrap_err(), QueryFailure::TimedOut);
}

#[tokio::test]
async fn silence_is_a_time_out_and_no_server_is_no_server() {
    let server = Server::start("127.0.0.1", 0, Manner::Silent).await;
    let (_files, resolver) = Files::new(&[&server], "");
    let outcome = resolve(&resolver, &query("name.test.", RecordType::A)).await;
    assert_eq!(outcome.unwrap_err(), QueryFailure::TimedOut);
    assert_eq!(server.asked(), 2, "UDP may lose a datagram, so each is asked twice");
    let (_files, resolver) = Files::new(&[], "");
    let outcome = resolve(&resolver, &query("name.test.", RecordType::A)).await;
    assert_eq!(outcome.unwrap_err(), QueryFailure::NoServer);
}

#[tokio::test]
async fn a_lost_datagram_costs_a_second_and_a_slow_answer_is_still_taken() {
    let server = Server::start("127.0.0.1", 0, Manner::Lossy(10)).await;
    let (_files, resolver) = Files::new(&[&server], "");
    let asked = query("name.test.", RecordType::TXT);
    let answer = timeout(Duration::from_secs(3), resolve(&resolver, &asked)).await;
    assert_eq!(answer.expect("before the first one is given up").unwrap().answers.len(), 1);
    assert_eq!(server.asked(), 2);
    // A server that answers only the first query, after the second came.
    let asked = Arc::new(AtomicUsize::new(0));
    let slow = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = Server { address: slow.local_addr().unwrap(), asked: Arc::clone(&asked) };
    tokio::spawn(async move {
        let (mut first, mut second) = ([0; 512], [0; 512]);
        let (length, from) = slow.recv_from(&mut first).await.unwrap();
        slow.recv_from(&mut second).await.unwrap();
        asked.store(2, Ordering::Relaxed);
        let answers = replies(&first[..length], Manner::Code(ResponseCode::NXDomain));
        slow.send_to(&answers[0], from).await.unwrap();
    });
    let (_files, resolver) = Files::new(&[&server], "");
    let answer = resolve(&resolver, &query("name.test.", RecordType::A)).await.unwrap();
    assert_eq!((answer.metadata.response_code, server.asked()), (ResponseCode::NXDomain, 2));
}

#[tokio::test]
async fn forged_answers_are_passed_over() {
    let server = Server::start("127.0.0.1", 0, Manner::Forged).await;
    let (_files, resolver) = Files::new(&[&server], "");
    let answer = resolve(&resolver, &query("name.test.", RecordType::TXT)).await.unwrap();
    assert!(answer.metadata.authoritative, "only the last of the three answers the question");
}

#[tokio::test]
async fn the_hosts_file_comes_first_in_both_directions() {
    let server = Server::start("127.0.0.1", 0, Manner::Code(ResponseCode::NXDomain)).await;
    let hosts =
        "192.0.2.7 Printer.test printer # in the corner\n2001:db8::7 printer.test\nbroken\n";
    let (_files, resolver) = Files::new(&[&server], hosts);
    let data =
        |answer: Message| answer.answers.into_iter().map(|record| record.data).collect::<Vec<_>>();
    let v4 = resolve(&resolver, &query("printer.TEST.", RecordType::A)).await.unwrap();
    assert_eq!(data(v4), [RData::A(A::new(192, 0, 2, 7))]);
    let v6 = resolve(&resolver, &query("printer.test.", RecordType::AAAA)).await.unwrap();
    assert_eq!(data(v6), [RData::AAAA(AAAA("2001:db8::7".parse().unwrap()))]);
    let none = resolve(&resolver, &query("printer.", RecordType::AAAA)).await.unwrap();
    assert_eq!((none.metadata.response_code, none.answers.len()), (ResponseCode::NoError, 0));
    let reverse =
        resolve(&resolver, &query("7.2.0.192.in-addr.arpa.", RecordType::PTR)).await.unwrap();
    assert_eq!(data(reverse), [RData::PTR(PTR(Name::from_str("Printer.test.").unwrap()))]);
    assert_eq!(server.asked(), 0);
    // The servers answer any other type of the same name.
    resolve(&resolver, &query("printer.test.", RecordType::MX)).await.unwrap();
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn a_slow_server_holds_up_no_other_query() {
    let server = Server::start("127.0.0.1", 0, Manner::Silent).await;
    let (_files, resolver) = Files::new(&[&server], "192.0.2.1 quick.test\n");
    let mut gateway = Gateway::start_with(4096, 1, resolver);
    for request in 0..100 {
        let slow = query("slow.test.", RecordType::A).to_vec().unwrap();
        gateway.session.send(&Frame::Query { request: RequestId(request), message: &slow });
    }
    let quick = query("quick.test.", RecordType::A).to_vec().unwrap();
    gateway.session.send(&Frame::Query { request: RequestId(777), message: &quick });
    let Event::Other(first) = gateway.next().await else { panic!("not an answer") };
    assert!(first.starts_with("Answer { request: RequestId(777)"), "{first}");
}
