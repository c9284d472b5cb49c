//! A proxy, tried step by step: its name, its port, what it speaks, and a request through it. Knows
//! what to say to it from [`proxy`].

use crate::dns::Lookup;
use crate::{Outcome, PROXY_PATIENCE, Why, dns, failed, failure, tcp, timed};
use proxy::{DialogError, Host, ProxyUrl, Scheme, Target, TunnelError};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A proxy, tried step by step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyProbe {
    /// The setting's value, by which it is found.
    pub value: String,
    /// Its host as written.
    pub host: String,
    /// What that host resolves to; itself if it is an address.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// The host's name was resolved.
    pub resolved: Outcome,
    /// The port took a connection.
    pub opened: Outcome,
    /// It speaks TLS; tried where the setting says `https://`. What else it speaks is not tried
    /// then.
    pub tls: Outcome,
    /// It speaks HTTP CONNECT.
    pub http: Outcome,
    /// It speaks SOCKS5.
    pub socks5: Outcome,
    /// A request to the outside by it, in the scheme that the setting names.
    pub request: Outcome,
    /// A connection to the same port at the tunnel's address for Windows' loopback, while the
    /// tunnel is up.
    pub at_tunnel_host: Outcome,
    /// A connection to the same port on Windows' own 127.0.0.1, tried by Windows. Open there and
    /// shut from here means that the proxy program listens for Windows only.
    pub on_windows_loopback: Outcome,
}

/// Whether a setting says the proxy's port.
#[must_use]
pub fn has_port(value: &str) -> bool {
    let rest = value.split_once("://").map_or(value, |(_, rest)| rest).trim();
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place).trim_end_matches('/');
    place.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty() && !place.ends_with(']'))
}

/// A proxy as a setting names it, or why it names none. `port` is that of a setting without one.
///
/// # Errors
/// What is wrong with the text; it says no secret.
pub fn parse(value: &str, port: u16) -> Result<ProxyUrl, String> {
    let value = value.trim().trim_end_matches('/');
    // Some write `https://` where they mean 'for https'; whether it speaks TLS is tried.
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "https" => "http".to_owned(),
        "socks" | "socks4" | "socks4a" => "socks5".to_owned(),
        other => other.to_owned(),
    };
    let url = format!("{scheme}://{rest}");
    let parsed: Result<ProxyUrl, _> = url.parse();
    match parsed {
        Err(proxy::ProxyUrlError::NoPort) => {
            format!("{}:{port}", url.trim_end_matches(':')).parse()
        }
        other => other,
    }
    .map_err(|error| error.to_string())
}

/// The proxy that a command for ssh's `ProxyCommand` goes by: `nc -X 5 -x HOST:PORT`, `ncat --proxy
/// HOST:PORT --proxy-type socks5`, `connect -S HOST:PORT`, `corkscrew HOST PORT`. None where it is
/// something else, such as another ssh.
#[must_use]
pub fn of_command(command: &str) -> Option<ProxyUrl> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let after = |option: &str| words.windows(2).find(|pair| pair[0] == option).map(|pair| pair[1]);
    let program = words.first()?.rsplit('/').next()?;
    let (place, is_http) = match program {
        // nc(1) of OpenBSD: SOCKS5 unless another protocol is named, at port 1080 unless there is
        // one.
        "nc" | "netcat" => (after("-x")?.to_owned(), after("-X") == Some("connect")),
        "ncat" => {
            (after("--proxy")?.to_owned(), after("--proxy-type").is_none_or(|kind| kind == "http"))
        }
        "connect" | "connect-proxy" => match after("-H") {
            Some(place) => (place.to_owned(), true),
            None => (after("-S")?.to_owned(), false),
        },
        "corkscrew" => (format!("{}:{}", words.get(1)?, words.get(2)?), true),
        _ => return None,
    };
    parse(&format!("{}://{place}", if is_http { "http" } else { "socks5" }), 1080).ok()
}

/// As [`probe`], at each of these ports where the setting has none, until one is open.
pub async fn probe_at(value: &str, ports: &[u16], outside: &str) -> ProxyProbe {
    let mut last = ProxyProbe::default();
    for port in ports {
        last = probe(value, *port, outside).await;
        if has_port(value) || matches!(last.opened, Outcome::Ok { .. } | Outcome::NotTried) {
            break;
        }
    }
    last
}

/// Tries the proxy that a setting names; the setting may be a command of ssh's. `port` is that of a
/// setting without one, `outside` the destination of the request (`HOST:PORT`).
pub async fn probe(value: &str, port: u16, outside: &str) -> ProxyProbe {
    let mut probe = ProxyProbe { value: value.to_owned(), ..ProxyProbe::default() };
    let proxy = match of_command(value).map_or_else(|| parse(value, port), Ok) {
        Ok(proxy) => proxy,
        Err(words) => {
            probe.resolved = failed(Why::Other, words);
            return probe;
        }
    };
    probe.host = proxy.host().to_string();
    probe.port = proxy.port();
    (probe.address, probe.resolved) = resolve(proxy.host()).await;
    let Some(address) = probe.address else { return probe };
    let at = SocketAddr::new(address, proxy.port());
    probe.opened = tcp::connect(at, None).await;
    if !matches!(probe.opened, Outcome::Ok { .. }) {
        return probe;
    }
    if is_https(value) {
        probe.tls = speaks_tls(at).await;
        if matches!(probe.tls, Outcome::Ok { .. }) {
            return probe;
        }
    }
    let Ok(target) = outside.parse::<Target>() else { return probe };
    // Both protocols are tried, without the user's credentials: a refusal is an answer, too.
    let speaks = |scheme| {
        let plain = ProxyUrl::new(scheme, proxy.host().clone(), proxy.port());
        let target = target.clone();
        async move { speaks(at, &plain, &target).await }
    };
    let (http, socks5, request) =
        tokio::join!(speaks(Scheme::Http), speaks(Scheme::Socks5), request(at, &proxy, &target));
    (probe.http, probe.socks5, probe.request) = (http, socks5, request);
    probe
}

/// The proxy that listens at an address, if one there carries a request.
pub async fn search(at: SocketAddr, outside: &str) -> Option<ProxyProbe> {
    let Outcome::Ok { .. } = tcp::connect(at, None).await else { return None };
    let carries = |probe: &ProxyProbe| matches!(probe.request, Outcome::Ok { .. });
    let http = probe(&format!("http://{at}"), at.port(), outside).await;
    if carries(&http) {
        return Some(http);
    }
    let Outcome::Ok { .. } = http.socks5 else { return None };
    Some(probe(&format!("socks5://{at}"), at.port(), outside).await).filter(carries)
}

async fn resolve(host: &Host) -> (Option<IpAddr>, Outcome) {
    let name = match host {
        Host::Address(address) => return (Some(*address), Outcome::Ok { ms: 0 }),
        Host::Name(name) => name,
    };
    match dns::ask_system(name).await {
        Lookup::Addresses { addresses, ms } => (addresses.first().copied(), Outcome::Ok { ms }),
        Lookup::NoSuchName { .. } => (None, failed(Why::NameUnknown, "")),
        Lookup::ServerError { code } => (None, failed(Why::NameUnknown, code)),
        Lookup::Failed { why, detail } => (None, failed(why, detail)),
        Lookup::NotTried => (None, failed(Why::NotPermitted, "getent is missing")),
    }
}

/// Whether a setting names a proxy to which programs speak TLS.
#[must_use]
pub fn is_https(value: &str) -> bool {
    value
        .trim_start()
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("https"))
}

async fn speaks_tls(at: SocketAddr) -> Outcome {
    match tcp::open(at, None).await {
        Ok(mut stream) => tcp::greet_by_tls(&mut stream, PROXY_PATIENCE).await,
        Err(outcome) => outcome,
    }
}

/// Whether it speaks the protocol: also where it refuses.
async fn speaks(at: SocketAddr, proxy: &ProxyUrl, target: &Target) -> Outcome {
    let (stream, ms) = timed(tunnel(at, proxy, target)).await;
    match stream {
        Ok(_) => Outcome::Ok { ms },
        Err(Trouble::Proxy(TunnelError::Dialog(error))) if is_refusal(&error) => Outcome::Ok { ms },
        Err(trouble) => trouble.outcome(),
    }
}

/// A whole request, with its answer: some proxies say that the connection stands before they have
/// tried it.
async fn request(at: SocketAddr, proxy: &ProxyUrl, target: &Target) -> Outcome {
    let asking = async {
        match tunnel(at, proxy, target).await {
            Ok(mut stream) => {
                let host = target.host.to_string();
                tcp::exchange(&mut stream, target.port, &host, 0, PROXY_PATIENCE).await
            }
            Err(trouble) => trouble.outcome(),
        }
    };
    let (outcome, all) = timed(asking).await;
    if matches!(outcome, Outcome::Ok { .. }) { Outcome::Ok { ms: all } } else { outcome }
}

/// Why there is no connection through the proxy.
enum Trouble {
    Connect(Outcome),
    Proxy(TunnelError),
    Silent,
}

impl Trouble {
    fn outcome(self) -> Outcome {
        match self {
            Self::Connect(outcome) => outcome,
            Self::Proxy(TunnelError::Stream(error)) => failure(&error),
            Self::Silent => failed(Why::TimedOut, ""),
            Self::Proxy(TunnelError::Dialog(error)) => failed(meaning(&error), error.to_string()),
        }
    }
}

fn meaning(error: &DialogError) -> Why {
    match error {
        DialogError::NotHttp(_)
        | DialogError::NotSocks(_)
        | DialogError::HeaderTooLong
        | DialogError::Malformed(_)
        | DialogError::Status { status: 400 | 404 | 405 | 501, .. } => Why::WrongProtocol,
        DialogError::CredentialsNeeded { .. } | DialogError::CredentialsRefused { .. } => {
            Why::Authentication
        }
        DialogError::Status { .. } | DialogError::Socks(_) => Why::ProxyRefused,
        DialogError::NameLength { .. } => Why::Other,
        DialogError::Closed { .. } => Why::Closed,
    }
}

/// Whether an answer is one of that protocol, though not the one that was hoped for.
fn is_refusal(error: &DialogError) -> bool {
    matches!(meaning(error), Why::Authentication | Why::ProxyRefused)
}

async fn tunnel(at: SocketAddr, proxy: &ProxyUrl, target: &Target) -> Result<TcpStream, Trouble> {
    let mut stream = tcp::open(at, None).await.map_err(Trouble::Connect)?;
    match timeout(PROXY_PATIENCE, proxy::tunnel(&mut stream, proxy, target)).await {
        Ok(Ok(())) => Ok(stream),
        Ok(Err(error)) => Err(Trouble::Proxy(error)),
        Err(_) => Err(Trouble::Silent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn why(outcome: &Outcome) -> Option<Why> {
        match outcome {
            Outcome::Failed { why, .. } => Some(*why),
            Outcome::Ok { .. } | Outcome::NotTried => None,
        }
    }

    /// A server that answers a first line as `answer` says; its port.
    async fn server(answer: fn(&[u8]) -> &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    while let Ok(length @ 1..) = client.read(&mut buffer).await {
                        let answer = answer(&buffer[..length]);
                        if answer.is_empty() || client.write_all(answer).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        port
    }

    /// An HTTP proxy whose every destination answers.
    fn http(said: &[u8]) -> &'static [u8] {
        match said {
            [b'C', ..] => b"HTTP/1.1 200 Connection established\r\n\r\n",
            [b'G', ..] => b"HTTP/1.1 204 No Content\r\n\r\n",
            _ => b"HTTP/1.1 400 Bad Request\r\n\r\n",
        }
    }

    #[tokio::test]
    async fn a_proxy_is_tried_step_by_step() {
        let port = server(http).await;
        let good = probe(&format!("http://me:secret@127.0.0.1:{port}/"), 80, "192.0.2.1:80").await;
        assert_eq!(
            (good.host.as_str(), good.port, good.address),
            ("127.0.0.1", port, "127.0.0.1".parse().ok())
        );
        assert!(matches!(good.request, Outcome::Ok { .. }), "{good:?}");
        assert!(matches!(good.http, Outcome::Ok { .. }), "{good:?}");
        assert_eq!(why(&good.socks5), Some(Why::WrongProtocol), "{good:?}");
        let wrong = probe(&format!("socks5://127.0.0.1:{port}"), 80, "192.0.2.1:80").await;
        assert_eq!(why(&wrong.request), Some(Why::WrongProtocol), "{wrong:?}");
        let port = server(|_| {
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"
        })
        .await;
        let locked = probe(&format!("127.0.0.1:{port}"), 80, "192.0.2.1:80").await;
        assert_eq!(
            (why(&locked.http), why(&locked.request)),
            (None, Some(Why::Authentication)),
            "{locked:?}"
        );
        let port = server(|_| b"").await;
        let mute = probe(&format!("127.0.0.1:{port}"), 80, "192.0.2.1:80").await;
        assert_eq!(
            (why(&mute.http), why(&mute.request)),
            (Some(Why::Closed), Some(Why::Closed)),
            "{mute:?}"
        );
        let closed = probe("http://127.94.76.2:9", 80, "192.0.2.1:80").await;
        assert_eq!((why(&closed.opened), closed.request), (Some(Why::Refused), Outcome::NotTried));
        let nonsense = probe("http://me:secret@a b:1", 80, "192.0.2.1:80").await;
        let Outcome::Failed { detail, .. } = &nonsense.resolved else { panic!("{nonsense:?}") };
        assert!(!detail.contains("secret"), "{detail}");
    }

    #[test]
    fn commands_of_ssh_name_their_proxies() {
        for (command, proxy) in [
            ("nc -X connect -x 127.0.0.1:7890 %h %p", Some("http://127.0.0.1:7890")),
            ("/usr/bin/nc -X 5 -x proxy:1080 %h %p", Some("socks5://proxy:1080")),
            ("nc -x proxy %h %p", Some("socks5://proxy:1080")),
            ("ncat --proxy proxy:3128 --proxy-type http %h %p", Some("http://proxy:3128")),
            ("connect -S proxy:1080 %h %p", Some("socks5://proxy:1080")),
            ("corkscrew proxy 8080 %h %p", Some("http://proxy:8080")),
            ("ssh -W %h:%p jump", None),
            ("nc %h %p", None),
            ("", None),
        ] {
            assert_eq!(
                of_command(command).map(|proxy| proxy.to_string()).as_deref(),
                proxy,
                "{command}"
            );
        }
    }

    #[test]
    fn settings_are_taken_as_tools_take_them() {
        for (value, read) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("https://proxy:3128/", "http://proxy:3128"),
            ("proxy:3128", "http://proxy:3128"),
            ("http://proxy", "http://proxy:80"),
            ("socks5h://proxy", "socks5://proxy:1080"),
            ("SOCKS5://u:p@[::1]:1", "socks5://***@[::1]:1"),
        ] {
            assert_eq!(
                parse(value, if value.to_lowercase().starts_with("socks") { 1080 } else { 80 })
                    .map(|proxy| proxy.to_string())
                    .as_deref(),
                Ok(read),
                "{value}"
            );
        }
        assert!(parse("", 80).is_err() && parse("ftp://proxy:21", 80).is_err());
        // The error for a bad port names the port.
        assert!(parse("http://proxy:78900", 80).unwrap_err().contains("'78900'"));
    }

    #[test]
    fn a_port_is_written_or_not() {
        for (value, has) in [
            ("http://proxy", false),
            ("proxy:1", true),
            ("http://me:pw@proxy", false),
            ("http://[::1]/", false),
            ("[::1]:1", true),
            ("http://proxy:", false),
        ] {
            assert_eq!(has_port(value), has, "{value}");
        }
    }
}
