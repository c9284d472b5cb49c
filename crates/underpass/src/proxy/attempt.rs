//! One try of a proxy: a connection, a dialog, a request. Callers set the time limit.

use super::Voice;
use messages::{Text, proxies as words, reasons};
use probe::client::status_line;
use probe::dns::addresses;
use probe::http::{To, Url};
use proxy::{Host, ProxyUrl, Scheme, Target};
use std::io;
use tokio::net::TcpStream;

/// What a try showed.
#[derive(Clone, Debug)]
pub(super) enum Attempt {
    Passed(Text),
    Failed(Said),
    /// It does not show whether the proxy works.
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
            Self::Plain(said) => reasons::in_words(said, voice.language).into_owned(),
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

/// Whether the proxy's port takes connections.
pub(super) async fn port(proxy: &ProxyUrl) -> Attempt {
    match connect(proxy).await {
        Ok(_) => Attempt::Passed(words::PORT_OPEN.text()),
        Err(error) => Attempt::Failed(Said::Text(words::HINT_PORT.with("problem", error))),
    }
}

/// The proxy's URL with another scheme, if it speaks that protocol: also where it refuses this
/// target.
pub(super) async fn speaks(proxy: &ProxyUrl, scheme: Scheme, target: &Target) -> Option<ProxyUrl> {
    let as_set = proxy.with_secrets();
    let (_, rest) = as_set.split_once("://")?;
    let other: ProxyUrl = format!("{}://{rest}", scheme.as_str()).parse().ok()?;
    tunnel(&other, target).await.ok().map(|_| other)
}

/// A request through the proxy; `name` is the server's, also where it is asked for by its address.
pub(super) async fn by(proxy: &ProxyUrl, url: &Url, name: &Host) -> Attempt {
    let tried = if proxy.scheme() == Scheme::Http && !url.is_https {
        // Not by CONNECT: many proxies allow that for port 443 alone.
        match connect(proxy).await {
            Ok(stream) => answer(stream, &url.request(name, To::Proxy(proxy.credentials()))).await,
            Err(error) => Err(error.to_string()),
        }
    } else {
        match tunnel(proxy, &url.target).await {
            // What follows would be TLS.
            Ok(_) if url.is_https => {
                return Attempt::Passed(words::TUNNEL_STANDS.with("target", &url.target));
            }
            Ok(stream) => answer(stream, &url.request(name, To::Server)).await,
            Err(problem) => Err(problem),
        }
    };
    match tried {
        Ok(line) => judge(&line),
        Err(problem) => failed(problem),
    }
}

/// A connection through the proxy.
async fn tunnel(proxy: &ProxyUrl, target: &Target) -> Result<TcpStream, String> {
    let mut stream = connect(proxy).await.map_err(|error| error.to_string())?;
    proxy::tunnel(&mut stream, proxy, target).await.map_err(|error| error.to_string())?;
    Ok(stream)
}

/// Sends a request, and gives the answer's first line.
async fn answer(stream: TcpStream, request: &[u8]) -> Result<String, String> {
    status_line(stream, request).await.map_err(|error| error.to_string())
}

/// Any page will do, except those that proxies show in its place: authentication required, not
/// allowed, no answer from the server.
fn judge(line: &str) -> Attempt {
    let status: Option<u16> = line
        .strip_prefix("HTTP/")
        .and_then(|rest| rest.split(' ').nth(1))
        .and_then(|code| code.parse().ok());
    match status {
        Some(407) => failed(format!(
            "{line}: the proxy requires a user and password, in its URL as USER:PASSWORD@HOST"
        )),
        Some(100..=402 | 404..=499) => Attempt::Passed(words::ANSWERED.with("status", line)),
        Some(403) => failed(format!("{line}: the proxy or the server does not allow it")),
        Some(_) => failed(line),
        None => failed(format!("the answer is not HTTP: {}", line.escape_debug())),
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
