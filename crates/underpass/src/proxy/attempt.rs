//! One try of a proxy: a connection, a dialog, a request. Whoever calls has the patience.

use super::Voice;
use super::target::WebUrl;
use messages::{Text, proxies as words};
use proxy::{Dialog, Host, Progress, ProxyUrl, Scheme, Target};
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

/// Of an answer only the first line is looked at.
const MAX_LINE: usize = 4096;

/// What a try showed.
#[derive(Clone, Debug)]
pub(super) enum Attempt {
    Passed(Text),
    Failed(Said),
    /// It says nothing of whether the proxy works.
    Skipped(Said),
}

/// A sentence of ours, or what a system or a proxy says.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Text(Text),
    Plain(String),
}

impl Said {
    pub(super) fn say(&self, voice: Voice) -> String {
        match self {
            Self::Text(text) => voice.say(text),
            Self::Plain(said) => said.clone(),
        }
    }
}

fn failed(problem: impl std::fmt::Display) -> Attempt {
    Attempt::Failed(Said::Plain(problem.to_string()))
}

async fn connect(proxy: &ProxyUrl) -> io::Result<TcpStream> {
    let mut outcome = Err(io::Error::other(format!("{} cannot be resolved", proxy.host())));
    for address in addresses(proxy.host()).await {
        outcome = TcpStream::connect((address, proxy.port())).await;
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

/// What this machine's own resolver says, IPv4 first, since a proxy may have no IPv6. By the system's program: this one is static, and cannot
/// load what the machine resolves names with.
pub(super) async fn addresses(host: &Host) -> Vec<IpAddr> {
    let name = match host {
        Host::Address(address) => return vec![*address],
        // RFC 6761 section 6.3.
        Host::Name(name) if name.eq_ignore_ascii_case("localhost") => return vec![Ipv4Addr::LOCALHOST.into()],
        Host::Name(name) => name,
    };
    let mut getent = Command::new("getent");
    getent.env("PATH", foreign::trusted_path());
    getent.args(["ahosts", name]).stdin(Stdio::null()).kill_on_drop(true);
    let said = getent.output().await.map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said).into_owned();
    let mut addresses: Vec<IpAddr> = said.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses.dedup();
    addresses
}

/// Whether somebody serves the proxy's port.
pub(super) async fn port(proxy: &ProxyUrl) -> Attempt {
    match connect(proxy).await {
        Ok(_) => Attempt::Passed(words::PORT_OPEN.text()),
        Err(error) => Attempt::Failed(Said::Text(words::HINT_PORT.with("problem", error))),
    }
}

/// The proxy's URL with another scheme, if it speaks that protocol: also where it refuses this target.
pub(super) async fn speaks(proxy: &ProxyUrl, scheme: Scheme, target: &Target) -> Option<ProxyUrl> {
    let as_set = proxy.with_secrets();
    let (_, rest) = as_set.split_once("://")?;
    let other: ProxyUrl = format!("{}://{rest}", scheme.as_str()).parse().ok()?;
    tunnel(&other, target).await.ok().map(|_| other)
}

/// A request through the proxy; `name` is the server's, also where it is asked for by its address.
pub(super) async fn by(proxy: &ProxyUrl, url: &WebUrl, name: &Host) -> Attempt {
    let tried = if proxy.scheme() == Scheme::Http && !url.is_https {
        // Not by CONNECT: many proxies allow that for port 443 alone.
        match connect(proxy).await {
            Ok(stream) => answer(stream, Vec::new(), url.request_to(proxy, name)).await,
            Err(error) => Err(error.to_string()),
        }
    } else {
        match tunnel(proxy, &url.target).await {
            // What lies behind would be TLS' affair.
            Ok(_) if url.is_https => return Attempt::Passed(words::TUNNEL_STANDS.with("target", &url.target)),
            Ok((stream, rest)) => answer(stream, rest, url.request_in_tunnel(name)).await,
            Err(problem) => Err(problem),
        }
    };
    match tried {
        Ok(line) => judge(&line),
        Err(problem) => failed(problem),
    }
}

/// A connection through the proxy, and what came of it already.
async fn tunnel(proxy: &ProxyUrl, target: &Target) -> Result<(TcpStream, Vec<u8>), String> {
    let mut stream = connect(proxy).await.map_err(|error| error.to_string())?;
    let mut dialog = Dialog::new(proxy, target);
    let mut buffer = [0; MAX_LINE];
    loop {
        stream.write_all(&dialog.output()).await.map_err(|error| error.to_string())?;
        let count = match stream.read(&mut buffer).await {
            Ok(0) => return Err(dialog.closed().to_string()),
            Ok(count) => count,
            Err(error) => return Err(error.to_string()),
        };
        match dialog.input(&buffer[..count]) {
            Ok(Progress::More) => {}
            Ok(Progress::Done { rest }) => return Ok((stream, rest)),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Sends a request, and gives the answer's first line.
async fn answer(mut stream: TcpStream, mut heard: Vec<u8>, request: Vec<u8>) -> Result<String, String> {
    stream.write_all(&request).await.map_err(|error| error.to_string())?;
    let mut buffer = [0; MAX_LINE];
    loop {
        if let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            return Ok(String::from_utf8_lossy(&heard[..end]).trim_end().to_owned());
        }
        match stream.read(&mut buffer).await {
            Ok(0) => return Err("the connection was closed without an answer".to_owned()),
            Ok(_) if heard.len() >= MAX_LINE => return Err("the answer is no HTTP".to_owned()),
            Ok(count) => heard.extend_from_slice(&buffer[..count]),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Any page will do, but none that proxies show in place of it: 'who are you', 'not allowed', 'nobody there'.
fn judge(line: &str) -> Attempt {
    let status: Option<u16> =
        line.strip_prefix("HTTP/").and_then(|rest| rest.split(' ').nth(1)).and_then(|code| code.parse().ok());
    match status {
        Some(407) => failed(format!("{line}: the proxy wants a user and a password, in its URL as USER:PASSWORD@HOST")),
        Some(100..=402 | 404..=499) => Attempt::Passed(words::ANSWERED.with("status", line)),
        Some(403) => failed(format!("{line}: the proxy, or the server, does not allow it")),
        Some(_) => failed(line),
        None => failed(format!("the answer is no HTTP: {}", line.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proxies_answer_in_place_of_a_page_is_no_success() {
        for (line, is_well) in [
            ("HTTP/1.1 200 OK", true),
            ("HTTP/1.0 404 Not Found", true),
            ("HTTP/1.1 407 Proxy Authentication Required", false),
            ("HTTP/1.1 403 Forbidden", false),
            ("HTTP/1.1 503 Service Unavailable", false),
            ("SSH-2.0-OpenSSH", false),
        ] {
            assert_eq!(matches!(judge(line), Attempt::Passed(_)), is_well, "{line}");
        }
    }
}
