//! A proxy's URL, and hiding secrets in URLs.

use crate::target::Host;
use std::fmt;
use std::str::FromStr;

/// The replacement of user and password.
const HIDDEN: &str = "***";

/// The protocol that a proxy speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// HTTP, of which CONNECT is used.
    Http,
    /// SOCKS version 5.
    Socks5,
}

impl Scheme {
    /// Its name in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Socks5 => "socks5",
        }
    }
}

/// A user and a password, without a URL's escapes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// The user's name.
    pub user: String,
    /// The password; may be empty.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Why a text does not name a proxy. No variant contains a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyUrlError {
    /// The text is empty.
    #[error("it is empty: write http://HOST:PORT or socks5://HOST:PORT")]
    Empty,
    /// Another protocol.
    #[error("'{0}' is not supported for proxies: write http://HOST:PORT or socks5://HOST:PORT")]
    Scheme(String),
    /// `https://`, by which some mean "for https".
    #[error(
        "TLS to the proxy itself is not supported: write http://HOST:PORT, which carries https as well"
    )]
    Tls,
    /// There is no port.
    #[error("it has no port, and tools assume different ones: write HOST:PORT")]
    NoPort,
    /// The port is not a number from 1 to 65535. Contains the text.
    #[error("its port '{0}' is not a number from 1 to 65535: write HOST:PORT")]
    Port(String),
    /// The host is missing, or not valid.
    #[error("its host is missing or has an invalid character (an IPv6 address stands in brackets)")]
    Host,
    /// There is more after the port.
    #[error("there is text after the port: a proxy has no path")]
    Path,
    /// A `%` without two hexadecimal digits, or the digits do not give UTF-8.
    #[error(
        "its user or password has a '%' that is not followed by two hexadecimal digits, or is not \
         UTF-8: write '%25' for '%'"
    )]
    Escape,
    /// A colon, a line's end, or more bytes than the protocol has room for.
    #[error(
        "its user or password cannot be sent by this protocol: it is empty, too long (255 bytes), \
         or has a control character"
    )]
    Credentials,
}

/// The address of a proxy, its protocol, and the credentials. [`fmt::Display`] and [`fmt::Debug`]
/// hide the credentials.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ProxyUrl {
    scheme: Scheme,
    host: Host,
    port: u16,
    credentials: Option<Credentials>,
}

impl ProxyUrl {
    /// A proxy without authentication.
    #[must_use]
    pub fn new(scheme: Scheme, host: Host, port: u16) -> Self {
        Self { scheme, host, port, credentials: None }
    }

    /// Its protocol.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Its TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The credentials.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The whole URL, **with user and password**: for programs that need them, never for people's
    /// eyes, logs or command lines.
    #[must_use]
    pub fn with_secrets(&self) -> String {
        let who =
            self.credentials.as_ref().map_or_else(String::new, |Credentials { user, password }| {
                if password.is_empty() {
                    format!("{}@", escape(user))
                } else {
                    format!("{}:{}@", escape(user), escape(password))
                }
            });
        format!("{}://{who}{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.credentials.is_some() { "***@" } else { "" };
        write!(f, "{}://{who}{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ProxyUrl {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, ProxyUrlError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ProxyUrlError::Empty);
        }
        let (scheme, rest) = match text.split_once("://") {
            None => (Scheme::Http, text),
            Some((scheme, rest)) => match scheme.to_ascii_lowercase().as_str() {
                "http" => (Scheme::Http, rest),
                // The last letter means that the proxy resolves names, which is always so here.
                "socks5" | "socks5h" => (Scheme::Socks5, rest),
                "https" => return Err(ProxyUrlError::Tls),
                other if other.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                    return Err(ProxyUrlError::Scheme(other.chars().take(20).collect()));
                }
                _ => return Err(ProxyUrlError::Host),
            },
        };
        // A password may contain an '@' that should have been escaped, a host cannot.
        let (who, place) =
            rest.rsplit_once('@').map_or((None, rest), |(who, place)| (Some(who), place));
        let (place, path) = place.split_once(['/', '?', '#']).unwrap_or((place, ""));
        if !path.is_empty() {
            return Err(ProxyUrlError::Path);
        }
        // The colons of an address in brackets separate nothing.
        let (host, port) = place
            .rsplit_once(':')
            .filter(|_| !place.ends_with(']'))
            .ok_or(ProxyUrlError::NoPort)?;
        if port.is_empty() {
            return Err(ProxyUrlError::NoPort);
        }
        let number = port
            .parse::<u16>()
            .ok()
            .filter(|number| *number != 0 && port.as_bytes()[0].is_ascii_digit());
        let port = number.ok_or_else(|| ProxyUrlError::Port(port.chars().take(20).collect()))?;
        let host = Host::read(host).ok_or(ProxyUrlError::Host)?;
        let credentials = who.map(|who| credentials(who, scheme)).transpose()?;
        Ok(Self { scheme, host, port, credentials })
    }
}

fn credentials(text: &str, scheme: Scheme) -> Result<Credentials, ProxyUrlError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (unescape(user)?, unescape(password)?);
    let clean = |text: &str| !text.chars().any(char::is_control);
    let sound = match scheme {
        // The user ends with the first colon (RFC 7617 section 2).
        Scheme::Http => !user.contains(':') && user.len() + password.len() <= 1024,
        // One byte each holds their lengths (RFC 1929 section 2).
        Scheme::Socks5 => user.len() <= 255 && password.len() <= 255,
    };
    if user.is_empty() || !clean(&user) || !clean(&password) || !sound {
        return Err(ProxyUrlError::Credentials);
    }
    Ok(Credentials { user, password })
}

/// RFC 3986 section 2.1.
fn unescape(text: &str) -> Result<String, ProxyUrlError> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or(ProxyUrlError::Escape)?;
        let value =
            |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        let (Some(high), Some(low)) = (value(digits[0]), value(digits[1])) else {
            return Err(ProxyUrlError::Escape);
        };
        bytes.push(high << 4 | low);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| ProxyUrlError::Escape)
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped += &format!("%{byte:02X}");
        }
    }
    escaped
}

/// Replaces the user and password of every URL in the text (also of one without a scheme,
/// `USER:PASSWORD@HOST`), and the query of every URL with a scheme, by `***`. If the text is not
/// well-formed, it hides too much rather than too little.
#[must_use]
pub fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for word in text.split_inclusive(is_end) {
        mask_word(word, &mut masked);
    }
    masked
}

/// A word may be a list of URLs (`http=http://…;https=http://…`).
fn mask_word(word: &str, masked: &mut String) {
    const SIGN: &str = "://";
    let of_scheme = |letter: char| letter.is_ascii_alphanumeric() || "+-.".contains(letter);
    let start_of_next =
        |text: &str| text.find(SIGN).map(|sign| text[..sign].trim_end_matches(of_scheme).len());
    let (bare, mut rest) = word.split_at(start_of_next(word).unwrap_or(word.len()));
    mask_bare(bare, masked);
    while let Some((scheme, after)) = rest.split_once(SIGN) {
        let (url, next) = after.split_at(start_of_next(after).unwrap_or(after.len()));
        *masked += scheme;
        *masked += SIGN;
        mask_url(url, masked);
        rest = next;
    }
}

/// The part after a scheme.
fn mask_url(url: &str, masked: &mut String) {
    let Some((who, sign, place)) = split_credentials(url) else { return mask_query(url, masked) };
    let authority = who.split(['/', '?', '#']).next().unwrap_or_default();
    // An '@' in a path, after a part that looks like a host, does not end a secret.
    if authority.len() < who.len() && !authority.contains('@') && is_place(authority) {
        return mask_query(url, masked);
    }
    *masked += HIDDEN;
    *masked += sign;
    mask_query(place, masked);
}

/// User and password, the sign after them, and the rest. An '@' that someone forgot to escape is
/// still part of the password.
fn split_credentials(text: &str) -> Option<(&str, &str, &str)> {
    let sign = if text.contains('@') { "@" } else { "%40" };
    let (who, place) = text.rsplit_once(sign)?;
    Some((who, sign, place))
}

/// A query may hold a token (RFC 6750 section 2.3), and no name says which of its values is one.
fn mask_query(url: &str, masked: &mut String) {
    let Some((place, query)) = url.split_once('?') else { return *masked += url };
    let end = query.trim_end_matches(is_end).len();
    *masked += place;
    masked.push('?');
    if end > 0 {
        *masked += HIDDEN;
    }
    *masked += &query[end..];
}

/// The end of a URL in a line of a file, a shell or a sentence, which no unescaped password
/// contains.
fn is_end(letter: char) -> bool {
    letter.is_whitespace() || "\"'`<>".contains(letter)
}

/// A text without a scheme: hidden if it has a password, since an address of mail or of git has
/// none.
fn mask_bare(text: &str, masked: &mut String) {
    let name = text.find('=').map_or("", |equals| &text[..=equals]);
    let name = if name.contains(':') { "" } else { name };
    match split_credentials(&text[name.len()..]) {
        Some((who, sign, place)) if who.contains(':') => {
            *masked += name;
            *masked += HIDDEN;
            *masked += sign;
            *masked += place;
        }
        _ => *masked += text,
    }
}

/// A host, with or without a port.
fn is_place(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, port),
        _ => (text, "0"),
    };
    port.bytes().all(|byte| byte.is_ascii_digit()) && Host::read(host).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<ProxyUrl, ProxyUrlError> {
        text.parse()
    }

    #[test]
    fn the_forms_that_people_write_are_read() {
        for (text, shown) in [
            ("http://proxy.corp.test:8080", "http://proxy.corp.test:8080"),
            ("HTTP://127.0.0.1:7890/", "http://127.0.0.1:7890"),
            ("proxy:3128", "http://proxy:3128"),
            ("127.0.0.1:3128", "http://127.0.0.1:3128"),
            ("socks5://[::1]:1080", "socks5://[::1]:1080"),
            ("socks5h://proxy:1080", "socks5://proxy:1080"),
            ("socks5://me:secret@proxy:1080", "socks5://***@proxy:1080"),
            ("me:secret@proxy:1080", "http://***@proxy:1080"),
        ] {
            let url = url(text).unwrap();
            assert_eq!(
                (url.to_string().as_str(), format!("{url:?}").as_str()),
                (shown, shown),
                "{text}"
            );
        }
        let with = url("http://d%6Fm%40in:p%3Aa%2Fss%25@proxy:8080").unwrap();
        assert_eq!(
            with.credentials(),
            Some(&Credentials { user: "dom@in".into(), password: "p:a/ss%".into() })
        );
        assert_eq!(url(&with.with_secrets()), Ok(with));
        assert_eq!(url("http://me:p@ss@proxy:1").unwrap().credentials().unwrap().password, "p@ss");
    }

    #[test]
    fn a_text_that_names_no_proxy_is_refused_without_a_secret_in_the_message() {
        use ProxyUrlError as E;
        for (text, error) in [
            (" ", E::Empty),
            ("https://s3cret:s3cret@proxy:443", E::Tls),
            ("ftp://s3cret@proxy:21", E::Scheme("ftp".into())),
            ("socks4://proxy:1080", E::Scheme("socks4".into())),
            ("http://proxy", E::NoPort),
            ("http://proxy:", E::NoPort),
            ("http://[::1]", E::NoPort),
            ("http://proxy:+80", E::Port("+80".into())),
            ("http://proxy:0", E::Port("0".into())),
            ("http://proxy:78900", E::Port("78900".into())),
            ("http://proxy:65536", E::Port("65536".into())),
            ("http://:80", E::Host),
            ("http://::1:80", E::Host),
            ("http://a b:80", E::Host),
            ("http://proxy:80/pac", E::Path),
            ("http://s3cret:%zz@proxy:80", E::Escape),
            ("http://s3cret:%ff@proxy:80", E::Escape),
            ("http://@proxy:80", E::Credentials),
            ("http://a%3As3cret@proxy:80", E::Credentials),
            ("http://a:s3cret%0D%0A@proxy:80", E::Credentials),
        ] {
            let got = url(text).unwrap_err();
            assert_eq!(got, error, "{text}");
            assert!(!got.to_string().contains("s3cret"));
        }
        assert_eq!(url(&format!("socks5://u:{}@proxy:1", "p".repeat(256))), Err(E::Credentials));
    }

    #[test]
    fn secrets_in_any_text_are_hidden_and_the_rest_is_as_it_was() {
        for (text, masked) in [
            ("http_proxy=http://u:p@h:80 no", "http_proxy=http://***@h:80 no"),
            ("a \"socks5://u@h:1\", http://v:w@i:2/x", "a \"socks5://***@h:1\", http://***@i:2/x"),
            ("proxy = u:p@h:80", "proxy = ***@h:80"),
            ("proxy=u:p@h:80", "proxy=***@h:80"),
            ("http://u:p@ss/w@h:80", "http://***@h:80"),
            ("http://u:p/w@h:80", "http://***@h:80"),
            ("http://u:p,w@h:80", "http://***@h:80"),
            ("u:p=w@h:80", "***@h:80"),
            (
                "http=http://u:p@h:80;https=http://v:w@i:2",
                "http=http://***@h:80;https=http://***@i:2",
            ),
            ("http=u:p@h:80;https=http://v:w@i:2", "http=***@h:80;https=http://***@i:2"),
            ("https://registry.test/@scope/pkg", "https://registry.test/@scope/pkg"),
            ("https://registry.test:8080/@scope/pkg", "https://registry.test:8080/@scope/pkg"),
            ("me@example.test", "me@example.test"),
            ("git@github.test:me/repo", "git@github.test:me/repo"),
            ("http://plain:80", "http://plain:80"),
            ("see https://h/x?token=s3cret&a=b now", "see https://h/x?*** now"),
            ("{\"url\":\"https://u:p@h/x?sig=s3cret\"}", "{\"url\":\"https://***@h/x?***\"}"),
            ("https://h/?", "https://h/?"),
            ("https://h/x%40y?z=1", "https://h/x%40y?***"),
            ("http://me:pw%40h:80", "http://***%40h:80"),
            ("me:pw%40h", "***%40h"),
            ("why? because", "why? because"),
            ("", ""),
        ] {
            assert_eq!(mask(text), masked);
        }
    }
}
