//! What a URL asks for. Knows no socket.

use proxy::{Dialog, Host, ProxyUrl, Target};

/// A web address, in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebUrl {
    /// Whether it wants TLS.
    pub(super) is_https: bool,
    /// Host and port.
    pub(super) target: Target,
    path: String,
}

/// Why a URL cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{shown}' is no web address: --url takes http://HOST[:PORT]/… or https://HOST[:PORT]/…")]
pub(super) struct UrlError {
    shown: String,
}

impl std::str::FromStr for WebUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::read(text).ok_or_else(|| UrlError { shown: proxy::mask(text) })
    }
}

impl WebUrl {
    fn read(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        let path = path.split('#').next().unwrap_or_default();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port != 0)?),
            _ => (place, if is_https { 443 } else { 80 }),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let is_clean = path.bytes().all(|byte| byte.is_ascii_graphic());
        (!host.is_empty() && host.bytes().all(plain) && is_clean).then(|| Self {
            is_https,
            target: Target { host: Host::parse(host), port },
            path,
        })
    }

    /// The same by another host.
    pub(super) fn at(&self, host: Host) -> Self {
        Self { target: Target { host, port: self.target.port }, ..self.clone() }
    }

    /// What is sent to an HTTP proxy for a page without TLS: the whole address (RFC 9112 section 3.2.2), and who asks.
    pub(super) fn request_to(&self, proxy: &ProxyUrl, name: &Host) -> Vec<u8> {
        // `Dialog` knows how to say who asks.
        let connect = String::from_utf8_lossy(&Dialog::new(proxy, &self.target).output()).into_owned();
        let is_who = |line: &&str| line.to_ascii_lowercase().starts_with("proxy-authorization:");
        let who = connect.lines().find(is_who).map(|line| format!("{line}\r\n")).unwrap_or_default();
        self.request(&format!("http://{}{}", self.target, self.path), name, &who)
    }

    /// What is sent to the server itself.
    pub(super) fn request_in_tunnel(&self, name: &Host) -> Vec<u8> {
        self.request(&self.path, name, "")
    }

    fn request(&self, what: &str, name: &Host, who: &str) -> Vec<u8> {
        let (usual, port) = (if self.is_https { 443 } else { 80 }, self.target.port);
        let port = if port == usual { String::new() } else { format!(":{port}") };
        format!(
            "GET {what} HTTP/1.1\r\nHost: {name}{port}\r\n{who}User-Agent: underpass/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            env!("CARGO_PKG_VERSION")
        )
        .into_bytes()
    }
}

/// As a person writes it, without the path.
impl std::fmt::Display for WebUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, usual) = if self.is_https { ("https", 443) } else { ("http", 80) };
        let port = if self.target.port == usual { String::new() } else { format!(":{}", self.target.port) };
        write!(f, "{scheme}://{}{port}{}", self.target.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn web_addresses_are_read() {
        for (text, shown, target) in [
            ("http://a.test", "http://a.test/", "a.test:80"),
            ("HTTPS://a.test:8443/x?y#z", "https://a.test:8443/x?y", "a.test:8443"),
            ("http://[::1]:8080?q", "http://[::1]:8080/?q", "[::1]:8080"),
            ("https://203.0.113.1/", "https://203.0.113.1/", "203.0.113.1:443"),
        ] {
            let url: WebUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.target.to_string().as_str()), (shown, target));
        }
        for text in ["a.test", "ftp://a.test", "http://", "http://a.test:0/", "http://a b/", "http://a/\r\nX: y"] {
            assert!(text.parse::<WebUrl>().is_err(), "{text}");
        }
        let error = "http://u:s3cret@a.test/".parse::<WebUrl>().unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn a_proxy_is_asked_for_the_whole_address_and_told_who_asks() {
        let url: WebUrl = "http://a.test:8080/x".parse().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let proxy: ProxyUrl = "http://me:pw@proxy:1".parse().unwrap();
        let by_address = url.at(Host::parse("203.0.113.1"));
        let request = text(by_address.request_to(&proxy, &url.target.host));
        assert!(request.starts_with("GET http://203.0.113.1:8080/x HTTP/1.1\r\nHost: a.test:8080\r\n"), "{request}");
        assert!(request.contains("\r\nProxy-Authorization: Basic bWU6cHc=\r\n"), "{request}");
        let request = text(url.request_in_tunnel(&url.target.host));
        assert!(
            request.starts_with("GET /x HTTP/1.1\r\nHost: a.test:8080\r\n") && !request.contains("Proxy-"),
            "{request}"
        );
    }
}
