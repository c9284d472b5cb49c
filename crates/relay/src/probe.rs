//! Tests for the doctor of the host's own connectivity at this moment: the names that its resolver
//! finds, and the addresses to which it connects. Everything at once, each within a deadline.
//! Leaves nothing open.

use crate::limits::{PROBE_PATIENCE, PROBE_QUESTIONS};
use crate::os::{self, Resolver};
use futures_util::future::join_all;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use proxy::{Host, Target, TargetError};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wire::QueryFailure;
use wire::facts::{ConnectAnswer, HostProbe, NameAnswer};

/// Resolves all names, and connects to all targets (`HOST:PORT`). More than [`PROBE_QUESTIONS`] of
/// each are left out.
pub async fn run(names: &[String], targets: &[String], resolver: &Resolver) -> HostProbe {
    let names = join_all(names.iter().take(PROBE_QUESTIONS).map(|name| ask(name, resolver)));
    let connects =
        join_all(targets.iter().take(PROBE_QUESTIONS).map(|target| connect(target, resolver)));
    let (names, connects) = tokio::join!(names, connects);
    HostProbe { facts: os::facts(), unix_ms: unix_ms(), names, connects }
}

#[expect(clippy::disallowed_methods, reason = "it measures the host's clock")]
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

async fn ask(name: &str, resolver: &Resolver) -> NameAnswer {
    let (found, ms) = timed(addresses(name, resolver)).await;
    let (addresses, failure) = found.unwrap_or_else(|| Err("timed-out".to_owned())).map_or_else(
        |failure| (Vec::new(), Some(failure)),
        |addresses| (addresses.iter().map(ToString::to_string).collect(), None),
    );
    NameAnswer { name: name.to_owned(), addresses, failure, ms }
}

async fn connect(target: &str, resolver: &Resolver) -> ConnectAnswer {
    let connected = async {
        let Target { host, port } =
            target.parse().map_err(|error: TargetError| error.to_string())?;
        let found = match &host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => addresses(name, resolver).await?,
        };
        let mut last = "no-address".to_owned();
        for address in found {
            match TcpStream::connect(SocketAddr::new(address, port)).await {
                Ok(_) => return Ok(()),
                Err(error) => last = words(&error),
            }
        }
        Err(last)
    };
    let (connected, ms) = timed(connected).await;
    let failure = connected.unwrap_or_else(|| Err("timed-out".to_owned())).err();
    ConnectAnswer { target: target.to_owned(), failure, ms }
}

/// The result of a future within the patience, and the time that it took.
#[expect(clippy::disallowed_methods, reason = "the host's time is one of the answers")]
async fn timed<T>(future: impl Future<Output = T>) -> (Option<T>, u64) {
    let start = Instant::now();
    let done = timeout(PROBE_PATIENCE, future).await.ok();
    (done, milliseconds(start.elapsed()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The addresses of a name, IPv4 first. If there are none, the answer for IPv4 holds the reason.
pub(crate) async fn addresses(name: &str, resolver: &Resolver) -> Result<Vec<IpAddr>, String> {
    let one = |kind| async move {
        let query = query(name, kind)?;
        let answer =
            resolver.resolve(&query).await.map_err(|failure| failure_word(failure).to_owned())?;
        let answer = Message::from_vec(&answer.message).map_err(|error| error.to_string())?;
        let addresses: Vec<_> =
            answer.answers.iter().filter_map(|record| record.data.ip_addr()).collect();
        if addresses.is_empty() {
            Err(code_word(answer.metadata.response_code))
        } else {
            Ok(addresses)
        }
    };
    match tokio::join!(one(RecordType::A), one(RecordType::AAAA)) {
        (Ok(mut v4), v6) => {
            v4.extend(v6.unwrap_or_default());
            Ok(v4)
        }
        (Err(_), Ok(v6)) => Ok(v6),
        (Err(failure), Err(_)) => Err(failure),
    }
}

fn query(name: &str, kind: RecordType) -> Result<Vec<u8>, String> {
    let mut name = Name::from_str(name).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    let mut query = Message::new(1, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name, kind));
    query.to_vec().map_err(|error| error.to_string())
}

fn failure_word(failure: QueryFailure) -> &'static str {
    match failure {
        QueryFailure::TimedOut => "timed-out",
        QueryFailure::NoServer => "no-server",
        QueryFailure::Refused => "refused",
    }
}

fn code_word(code: ResponseCode) -> String {
    match u16::from(code) {
        0 => "no-address".to_owned(),
        2 => "servfail".to_owned(),
        3 => "nxdomain".to_owned(),
        5 => "refused".to_owned(),
        other => format!("rcode {other}"),
    }
}

fn words(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        return "refused".to_owned();
    }
    if error.kind() == io::ErrorKind::TimedOut { "timed-out".to_owned() } else { error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn connections_are_made_refused_and_reported() {
        let open = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shut = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [open_at, shut_at] =
            [&open, &shut].map(|listener| listener.local_addr().unwrap().to_string());
        drop(shut);
        let targets =
            [open_at.clone(), shut_at.clone(), "nonsense".to_owned(), "127.0.0.1:x".to_owned()];
        let probe = run(&[], &targets, &Resolver::default()).await;
        let failures: Vec<_> =
            probe.connects.iter().map(|answer| answer.failure.as_deref()).collect();
        let neither = TargetError.to_string();
        assert_eq!(failures, [None, Some("refused"), Some(&*neither), Some(&*neither)]);
        assert_eq!(probe.connects[0].target, open_at);
        assert!(probe.unix_ms > 1_700_000_000_000, "{}", probe.unix_ms);
        assert_eq!(probe.facts.system, os::facts().system);
    }

    #[tokio::test]
    async fn names_of_the_hosts_file_are_found_and_others_say_why_not() {
        let hosts = std::env::temp_dir().join(format!("underpass-probe-{}", std::process::id()));
        std::fs::write(
            &hosts,
            "192.0.2.9 name.test\n2001:db8::9 name.test\n2001:db8::7 six.test\n",
        )
        .unwrap();
        let resolver = resolver(hosts.clone());
        let names = ["name.test", "six.test", "other.test", "a..b"].map(str::to_owned);
        let answers = run(&names, &["six.test:x".to_owned()], &resolver).await.names;
        std::fs::remove_file(hosts).unwrap();
        assert_eq!(answers[0].addresses, ["192.0.2.9", "2001:db8::9"]);
        assert_eq!(answers[1].addresses, ["2001:db8::7"]);
        assert!(
            answers[2].addresses.is_empty() && answers[2].failure.is_some(),
            "{:?}",
            answers[2]
        );
        assert!(answers[3].failure.is_some(), "{:?}", answers[3]);
    }

    /// A resolver with this hosts file and, if the system allows it, without a server.
    #[cfg(unix)]
    fn resolver(hosts: std::path::PathBuf) -> Resolver {
        Resolver { hosts, resolv_conf: "/nonexistent".into(), port: 53 }
    }

    #[cfg(windows)]
    fn resolver(hosts: std::path::PathBuf) -> Resolver {
        Resolver { hosts, ..Resolver::default() }
    }
}
