//! Every client against the server, on loopback.

use crate::serve::Server;
use crate::work::now;
use crate::{connects, datagrams, dns, hold, net, pingpong, soak};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

const A_WHILE: Duration = Duration::from_millis(300);

/// Expected events have happened long before.
const LONG: Duration = Duration::from_secs(20);

/// The server's tasks without a client: eight listeners, the nameserver's two, the UDP echo.
const SERVER_TASKS: usize = 11;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A server on its own thread, as clients may block.
struct Served {
    at: SocketAddr,
    dns: SocketAddr,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start() -> Self {
        // Below the ephemeral ports; a test continues the search where the last one stopped.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = 10_000 + u16::try_from(std::process::id() % 500).unwrap() * 40;
        let runtime = runtime();
        let entered = runtime.enter();
        let ports = std::iter::repeat_with(|| first + NEXT.fetch_add(10, Ordering::Relaxed));
        let (port, server) = ports
            .take(200)
            .find_map(|port| {
                Some((port, Server::bind(Ipv4Addr::LOCALHOST.into(), port, Some(port + 9)).ok()?))
            })
            .unwrap();
        drop(entered);
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = server.run() => {}
                    _ = stopped => {}
                }
            });
        });
        let at = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        Self {
            at: at(port),
            dns: at(port + 9),
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Whether the server returns to its initial tasks.
    fn comes_to_rest(&self) -> bool {
        let end = now() + LONG;
        while now() < end {
            if self.runtime.metrics().num_alive_tasks() == SERVER_TASKS {
                return true;
            }
            thread::yield_now();
        }
        false
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || thread::panicking());
        }
    }
}

/// An address without a listener.
fn closed_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 1).into()
}

#[test]
fn a_message_goes_back_and_forth() {
    let served = Served::start();
    let rounds = pingpong::Rounds { bytes: 1, warm_up: 20, lasting: A_WHILE };
    for report in [
        pingpong::tcp(served.at, rounds).unwrap(),
        pingpong::tcp(served.at, pingpong::Rounds { bytes: 65_507, ..rounds }).unwrap(),
        pingpong::udp(served.at, rounds).unwrap(),
        pingpong::udp(served.at, pingpong::Rounds { bytes: 1200, ..rounds }).unwrap(),
    ] {
        assert!(report.rounds > 10 && report.lost == 0, "{report:?}");
        assert!(report.p50_us <= report.p90_us && report.p90_us <= report.p99_us, "{report:?}");
        assert!(report.p50_us.is_some() && report.p99_us <= report.max_us, "{report:?}");
    }
    assert!(served.comes_to_rest());
}

#[test]
fn a_message_without_an_answer_is_lost() {
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let rounds = pingpong::Rounds { bytes: 1, warm_up: 100, lasting: A_WHILE };
    let report = pingpong::udp(silent.local_addr().unwrap(), rounds).unwrap();
    assert_eq!((report.rounds, report.lost, report.p50_us), (1, 1, None));
    assert!(pingpong::tcp(closed_port(), rounds).is_err());
    assert!(pingpong::udp(closed_port(), rounds).is_err());
}

#[test]
fn connections_come_and_go() {
    let served = Served::start();
    let report = runtime().block_on(connects::run(served.at, 8, A_WHILE)).unwrap();
    assert!(report.count > 10 && report.failed == 0 && report.per_second > 10.0, "{report:?}");
    assert!(report.p50_us.is_some() && report.p50_us <= report.p99_us, "{report:?}");
    assert!(served.comes_to_rest());
    let refused = runtime().block_on(connects::run(closed_port(), 2, A_WHILE)).unwrap();
    assert!(refused.count == 0 && refused.failed > 0 && refused.p50_us.is_none(), "{refused:?}");
}

#[test]
fn datagrams_come_back() {
    let served = Served::start();
    let load = datagrams::Load { server: served.at, bytes: 1200, window: 4 };
    let report = runtime().block_on(datagrams::run(load, 8, A_WHILE)).unwrap();
    assert!(report.sent > 100 && report.per_second > 100.0, "{report:?}");
    assert!(report.lost == 0 && report.lost_share.abs() < 1e-9, "{report:?}");
}

#[test]
fn datagrams_that_do_not_come_back_are_lost_and_replaced() {
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for server in [silent.local_addr().unwrap(), closed_port()] {
        let load = datagrams::Load { server, bytes: 8, window: 4 };
        let report = runtime().block_on(datagrams::run(load, 2, A_WHILE)).unwrap();
        assert!(
            report.lost > 0 && report.lost_share > 0.1 && report.sent > report.lost,
            "{report:?}"
        );
        assert!(report.per_second.abs() < 1e-9, "{report:?}");
    }
}

#[test]
fn queries_are_answered() {
    let served = Served::start();
    let report = runtime().block_on(dns::run(served.dns, dns::NAME, 4, A_WHILE)).unwrap();
    assert!(report.count > 10 && report.lost == 0 && report.failed == 0, "{report:?}");
    assert!(runtime().block_on(dns::run(served.dns, "a..b", 4, A_WHILE)).is_err());
    // The echo's answer is still a query, so it is not an answer.
    let echoed = runtime().block_on(dns::run(served.at, dns::NAME, 4, A_WHILE)).unwrap();
    assert!(echoed.count == 0 && echoed.failed == 0, "{echoed:?}");
}

#[test]
fn queries_by_tcp_are_answered_one_after_the_other() {
    let served = Served::start();
    runtime().block_on(async {
        let mut stream = TcpStream::connect(served.dns).await.unwrap();
        let query = crate::message::query(dns::NAME).unwrap();
        for _ in 0..3 {
            stream.write_u16(u16::try_from(query.len()).unwrap()).await.unwrap();
            stream.write_all(&query).await.unwrap();
            let mut answer = vec![0; stream.read_u16().await.unwrap().into()];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(crate::message::judge(&answer, 0), crate::message::Match::Answered);
        }
        // A message that is not a query ends the connection.
        stream.write_all(&[0, 2, 0, 0]).await.unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    });
    assert!(served.comes_to_rest());
}

#[test]
fn connections_are_held() {
    let served = Served::start();
    let runtime = runtime();
    let held = runtime.block_on(hold::open(served.at, 200)).unwrap();
    assert_eq!(held.len(), 200);
    assert!(served.runtime.metrics().num_alive_tasks() >= SERVER_TASKS + 200);
    assert_eq!(runtime.block_on(hold::alive(held)), 200);
    assert!(served.comes_to_rest());

    let held = runtime.block_on(hold::open(served.at, 10)).unwrap();
    drop(served);
    assert_eq!(runtime.block_on(hold::alive(held)), 0);
    assert!(runtime.block_on(hold::open(closed_port(), 10)).unwrap().is_empty());
}

#[test]
fn everything_at_once() {
    let served = Served::start();
    let report = runtime().block_on(soak::run(served.at, Some(served.dns), A_WHILE)).unwrap();
    assert!(report.error_count == 0 && report.errors.is_empty(), "{report:?}");
    assert!(report.datagrams_lost == 0 && report.queries_lost == 0, "{report:?}");
    assert!(report.connects > 10 && report.bytes > 1 << 20 && report.datagrams > 10, "{report:?}");
    assert!(report.queries > 10 && report.pingpong_p50_us.is_some(), "{report:?}");
    assert!(served.comes_to_rest());
}

#[test]
fn errors_are_reported() {
    let report = runtime().block_on(soak::run(closed_port(), None, A_WHILE)).unwrap();
    assert!(report.error_count > 10 && report.errors.len() == 3, "{report:?}");
    assert_eq!((report.connects, report.bytes, report.queries), (0, 0, 0));
}

/// A server that returns another byte.
#[test]
fn a_wrong_byte_is_reported() {
    runtime().block_on(async {
        let listener = net::listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let server = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = vec![0; 100_000];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        buffer[length - 1] ^= 1;
                        if stream.write_all(&buffer[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        let report = soak::run(server, None, A_WHILE).await.unwrap();
        let has = |text: &str| report.errors.iter().any(|error| error.starts_with(text));
        assert!(
            report.error_count > 1 && has("stream: another byte than was sent, at position"),
            "{report:?}"
        );
    });
}
