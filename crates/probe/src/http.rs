//! As much of HTTP/1.1 as a question to a server or a proxy takes: a URL, a request, and an answer
//! (RFC 9112). No I/O.

use proxy::{Host, Target};
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::str::FromStr;

/// Most bytes of an answer, header and all; one with an address in it is far smaller.
pub const MOST_BYTES: usize = 64 * 1024;

/// A web address, in its parts. Displayed without the usual port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Whether it wants TLS.
    pub is_https: bool,
    /// Host and port.
    pub target: Target,
    /// Path and query, never empty.
    path: String,
}

impl Display for Url {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.place(&self.target.host), self.path)
    }
}

/// No URL that could be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither of the two.
    #[error("it must begin with http:// or https://")]
    Scheme,
    /// It has credentials, and URLs are shown to people.
    #[error("a user or password in it would be shown: leave it out")]
    Secret,
    /// The host or port is not valid.
    #[error("its host or port is not valid")]
    Host,
    /// A blank, or one that ASCII does not have.
    #[error("it has a character that is not allowed in a URL: write it as %XX")]
    Character,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(UrlError::Scheme),
        };
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UrlError::Character);
        }
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(UrlError::Secret);
        }
        let (host, port) = Target::read(authority).ok_or(UrlError::Host)?;
        let port = port.unwrap_or(if is_https { 443 } else { 80 });
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { is_https, target: Target { host, port }, path })
    }
}

impl Url {
    /// The same by another host.
    #[must_use]
    pub fn at(&self, host: Host) -> Self {
        Self { target: Target { host, port: self.target.port }, ..self.clone() }
    }

    /// A host, and the port where it is not the usual one.
    fn place(&self, host: &Host) -> String {
        let usual = if self.is_https { 443 } else { 80 };
        match self.target.port {
            port if port == usual => host.to_string(),
            port => format!("{host}:{port}"),
        }
    }

    /// The request. To an HTTP proxy it names the whole URL (RFC 9112 3.2.2), with credentials if
    /// the proxy requires authentication. `name` is the server's, also if the URL has its address.
    #[must_use]
    pub fn request(&self, name: &Host, to: To<'_>) -> Vec<u8> {
        let whole = || format!("http://{}{}", self.place(&self.target.host), self.path);
        let (what, who) = match to {
            To::Server => (self.path.clone(), String::new()),
            To::Proxy(None) => (whole(), String::new()),
            To::Proxy(Some(who)) => (whole(), format!("Proxy-Authorization: {}\r\n", who.basic())),
        };
        let (host, version) = (self.place(name), env!("CARGO_PKG_VERSION"));
        format!(
            "GET {what} HTTP/1.1\r\nHost: {host}\r\n{who}User-Agent: underpass/{version}\r\n\
             Accept: text/plain, */*\r\n\
             Cache-Control: no-cache\r\nConnection: close\r\n\r\n"
        )
        .into_bytes()
    }
}

/// Whom a request is written for.
#[derive(Clone, Copy, Debug)]
pub enum To<'a> {
    /// The host of the URL.
    Server,
    /// A proxy that forwards it.
    Proxy(Option<&'a proxy::Credentials>),
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Of three digits.
    pub status: u16,
    /// Where it sends.
    pub location: Option<String>,
    /// What it says.
    pub body: String,
}

/// How far an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// More may come.
    Open,
    /// The other side has closed.
    Closed,
}

/// Reads an answer; `None` while it is not whole.
///
/// # Errors
/// The bytes are not HTTP.
pub fn read(bytes: &[u8], end: End) -> Result<Option<Response>, NotHttp> {
    const START: &[u8] = b"HTTP/1.";
    let begins = bytes.len().min(START.len());
    if bytes[..begins] != START[..begins] {
        return Err(NotHttp);
    }
    let Some(header_end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if end == End::Open { Ok(None) } else { Err(NotHttp) };
    };
    let header = String::from_utf8_lossy(&bytes[..header_end]);
    let mut lines = header.split("\r\n");
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).ok_or(NotHttp)?;
    let fields: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(':')).collect();
    let field = |name: &str| {
        let found = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    };
    let body = &bytes[header_end + 4..];
    // An interim answer is not the answer (RFC 9110 15.2).
    if (100..200).contains(&status) {
        return read(body, end);
    }
    let is_chunked = field("transfer-encoding")
        .is_some_and(|value| value.to_ascii_lowercase().ends_with("chunked"));
    let length = field("content-length").and_then(|value| value.parse::<usize>().ok());
    // RFC 9112 6.3.
    let (body, is_whole) = if is_chunked {
        unchunk(body)
    } else if let Some(length) = length {
        (body[..length.min(body.len())].to_vec(), body.len() >= length)
    } else {
        (body.to_vec(), false)
    };
    if !is_whole && end == End::Open {
        return Ok(None);
    }
    let location = field("location").map(ToOwned::to_owned);
    Ok(Some(Response { status, location, body: String::from_utf8_lossy(&body).into_owned() }))
}

/// It does not speak HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHttp;

/// The content of chunks (RFC 9112 7.1), and whether the last one is there.
fn unchunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    loop {
        let Some(line_end) = bytes.windows(2).position(|two| two == b"\r\n") else {
            return (content, false);
        };
        let line = String::from_utf8_lossy(&bytes[..line_end]);
        let Ok(length) =
            usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16)
        else {
            return (content, false);
        };
        if length == 0 {
            return (content, true);
        }
        bytes = &bytes[line_end + 2..];
        content.extend_from_slice(&bytes[..length.min(bytes.len())]);
        // A line's end follows the chunk.
        let Some(rest) = length.checked_add(2).and_then(|next| bytes.get(next..)) else {
            return (content, false);
        };
        bytes = rest;
    }
}

/// The first IP address in a text: an answer may be the address alone, JSON, or a sentence.
#[must_use]
pub fn address_in(text: &str) -> Option<IpAddr> {
    let words =
        text.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '.' && letter != ':');
    words.filter(|word| word.len() > 2).find_map(|word| {
        let plain = word.trim_end_matches(['.', ':']);
        plain.parse().ok().or_else(|| plain.trim_start_matches(':').parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_url_is_read_and_asked_for() {
        let asked = |text: &str, to: To<'_>| {
            let url = url(text);
            String::from_utf8(url.request(&url.target.host, to)).unwrap()
        };
        let request = asked("http://echo.example/ip?x=1#y", To::Server);
        assert!(
            request.starts_with("GET /ip?x=1 HTTP/1.1\r\nHost: echo.example\r\n")
                && request.ends_with("\r\n\r\n")
        );
        assert!(
            asked("HTTPS://echo.example?x", To::Server)
                .starts_with("GET /?x HTTP/1.1\r\nHost: echo.example\r\n")
        );
        assert!(
            asked("http://[2001:db8::1]:8080", To::Server)
                .starts_with("GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n")
        );
        assert!(
            asked("http://e.example:81/a", To::Proxy(None))
                .starts_with("GET http://e.example:81/a HTTP/1.1\r\nHost: e.example:81\r\nUser")
        );
        let who =
            proxy::Credentials { user: "Aladdin".to_owned(), password: "open sesame".to_owned() };
        let request = asked("http://e.example/", To::Proxy(Some(&who)));
        assert!(
            request.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"),
            "{request}"
        );
        assert_eq!(
            (url("https://e.example/").target.port, url("http://e.example").target.port),
            (443, 80)
        );
    }

    #[test]
    fn a_url_is_shown_with_its_port_and_without_its_end() {
        for (text, shown, target) in [
            ("http://a.test", "http://a.test/", "a.test:80"),
            ("HTTPS://a.test:8443/x?y#z", "https://a.test:8443/x?y", "a.test:8443"),
            ("http://[::1]:8080?q", "http://[::1]:8080/?q", "[::1]:8080"),
            ("https://203.0.113.1/", "https://203.0.113.1/", "203.0.113.1:443"),
        ] {
            let url = url(text);
            assert_eq!(
                (url.to_string().as_str(), url.target.to_string().as_str()),
                (shown, target)
            );
        }
    }

    #[test]
    fn a_server_is_asked_by_its_address_with_its_name() {
        let url = url("http://a.test:8080/x");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let who = proxy::Credentials { user: "me".to_owned(), password: "pw".to_owned() };
        let by_address = url.at(Host::parse("203.0.113.1"));
        let request = text(by_address.request(&url.target.host, To::Proxy(Some(&who))));
        assert!(
            request.starts_with("GET http://203.0.113.1:8080/x HTTP/1.1\r\nHost: a.test:8080\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\nProxy-Authorization: Basic bWU6cHc=\r\n"), "{request}");
        let request = text(url.request(&url.target.host, To::Server));
        assert!(request.starts_with("GET /x HTTP/1.1\r\nHost: a.test:8080\r\n"), "{request}");
        assert!(!request.contains("Proxy-"), "{request}");
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (text, error) in [
            ("echo.example", UrlError::Scheme),
            ("ftp://echo.example", UrlError::Scheme),
            ("http://user:secret@echo.example/", UrlError::Secret),
            ("http://", UrlError::Host),
            ("http://echo.example:x", UrlError::Host),
            ("http://echo.example:0", UrlError::Host),
            ("http://2001:db8::1/", UrlError::Host),
            ("http://echo.example/a b", UrlError::Character),
            ("http://echo.example/\r\nX: y", UrlError::Character),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
    }

    #[test]
    fn an_answer_is_whole_when_its_header_says_so_or_the_connection_ends() {
        let whole = |text: &str, body: &str| {
            for cut in 0..text.len() {
                assert_eq!(read(&text.as_bytes()[..cut], End::Open), Ok(None), "{}", &text[..cut]);
            }
            assert_eq!(read(text.as_bytes(), End::Open).unwrap().unwrap().body, body);
        };
        whole("HTTP/1.1 200 OK\r\ncontent-LENGTH: 7\r\n\r\n1.2.3.4", "1.2.3.4");
        whole(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n1.2\r\n4\r\n.3.4\r\n0\r\n",
            "1.2.3.4",
        );
        whole("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x");
        let until_close = b"HTTP/1.0 301 Moved\r\nLocation: https://e.example/\r\n\r\nbody";
        assert_eq!(read(until_close, End::Open), Ok(None));
        let response = read(until_close, End::Closed).unwrap().unwrap();
        assert_eq!(
            (response.status, response.location.as_deref(), response.body.as_str()),
            (301, Some("https://e.example/"), "body")
        );
    }

    #[test]
    fn other_protocols_than_http_are_reported_at_once_and_nothing_makes_it_fall_over() {
        assert_eq!(read(b"SSH-2.0", End::Open), Err(NotHttp));
        assert_eq!(read(b"HTTP/1.1 x\r\n\r\n", End::Open), Err(NotHttp));
        assert_eq!(read(b"HTTP/1.1 200", End::Closed), Err(NotHttp));
        assert_eq!(read(b"", End::Closed), Err(NotHttp));
        let huge = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx";
        assert_eq!(read(huge, End::Closed).unwrap().unwrap().body, "x");
    }

    #[test]
    fn an_address_is_found_in_whatever_a_service_says() {
        for (text, address) in [
            ("203.0.113.5\n", Some("203.0.113.5")),
            (r#"{"ip":"2001:db8::5"}"#, Some("2001:db8::5")),
            ("当前 IP：203.0.113.5  来自于：中国", Some("203.0.113.5")),
            ("ip=203.0.113.5\nts=1", Some("203.0.113.5")),
            ("Your IP:203.0.113.5.", Some("203.0.113.5")),
            ("bad 1.2.3 face: no address", None),
            ("", None),
        ] {
            assert_eq!(address_in(text), address.map(|text| text.parse().unwrap()), "{text}");
        }
    }
}
