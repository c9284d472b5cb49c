//! HTTP CONNECT: the request (RFC 9110 section 9.3.6), with Basic credentials (RFC 7617), and the
//! header of its answer (RFC 9112).

use crate::MAX_HEADER;
use crate::error::{DialogError, Speaker};
use crate::target::{Host, Target};
use crate::url::Credentials;

/// The beginning of every answer (RFC 9112 section 2.3).
const START: &[u8] = b"HTTP/";

/// Most characters of a proxy's own words that are passed on.
const MOST_WORDS: usize = 100;

/// The request, and the reader of its answer.
pub(crate) fn connect(
    target: &Target,
    credentials: Option<&Credentials>,
) -> (Vec<u8>, AnswerReader) {
    // The request's target is in authority form, and Host says the same (RFC 9112 sections 3.2.3
    // and 3.2).
    let authority = authority(target);
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n");
    if let Some(credentials) = credentials {
        request += &format!("Proxy-Authorization: {}\r\n", credentials.basic());
    }
    request += "\r\n";
    (
        request.into_bytes(),
        AnswerReader { header: Vec::new(), seen: 0, has_credentials: credentials.is_some() },
    )
}

impl Credentials {
    /// The value of an HTTP header field, `Basic …` (RFC 7617 section 2): **user and password**,
    /// readable by everyone who sees it.
    #[must_use]
    pub fn basic(&self) -> String {
        let Self { user, password } = self;
        format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
    }
}

/// Each byte of a name that a host in a URL may not contain is escaped (RFC 3986 section 3.2.2):
/// none of them can end the line.
fn authority(target: &Target) -> String {
    let Host::Name(name) = &target.host else { return target.to_string() };
    let mut text = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                text.push(char::from(byte))
            }
            _ => text += &format!("%{byte:02X}"),
        }
    }
    format!("{text}:{}", target.port)
}

/// Reads the answer's header.
#[derive(Debug)]
pub(crate) struct AnswerReader {
    /// The header of the current answer.
    header: Vec<u8>,
    /// Bytes of all answers: `seen <= MAX_HEADER`.
    seen: usize,
    has_credentials: bool,
}

impl AnswerReader {
    pub(crate) fn heard(&self) -> bool {
        self.seen > 0
    }

    /// Takes a byte; returns true with the last one of a positive answer.
    pub(crate) fn take(&mut self, byte: u8) -> Result<bool, DialogError> {
        let at = self.header.len();
        if START.get(at).is_some_and(|expected| *expected != byte) {
            let speaker = if at == 0 { Speaker::of(byte) } else { Speaker::Unknown };
            return Err(DialogError::NotHttp(speaker));
        }
        if self.seen == MAX_HEADER {
            return Err(DialogError::HeaderTooLong);
        }
        self.seen += 1;
        self.header.push(byte);
        // A line may end without CR (RFC 9112 section 2.2).
        if !self.header.ends_with(b"\n\r\n") && !self.header.ends_with(b"\n\n") {
            return Ok(false);
        }
        self.judge()
    }

    fn judge(&mut self) -> Result<bool, DialogError> {
        let header = std::mem::take(&mut self.header);
        let (status, reason) = status_line(&header)?;
        match status {
            // Other fields of such a header, such as a length, do not count (RFC 9110 section
            // 9.3.6).
            200..=299 => Ok(true),
            // Interim answers come before the final one (RFC 9110 section 15.2); 101 would change
            // the protocol without a request.
            100 | 102..=199 => Ok(false),
            // 401 is an origin server's code (RFC 9110 section 15.5.2), but tinyproxy returns it
            // for a wrong password.
            401 | 407 if self.has_credentials => {
                Err(DialogError::CredentialsRefused { schemes: schemes(&header) })
            }
            401 | 407 => Err(DialogError::CredentialsNeeded { schemes: schemes(&header) }),
            _ => Err(DialogError::Status { status, reason }),
        }
    }
}

/// The code and its words (RFC 9112 section 4).
fn status_line(header: &[u8]) -> Result<(u16, String), DialogError> {
    let line = lines(header).next().unwrap_or_default();
    let mut parts = line.splitn(3, ' ');
    let version = parts.next().unwrap_or_default().strip_prefix("HTTP/");
    let code = parts.next().unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let known = version
        .and_then(|version| version.split_once('.'))
        .is_some_and(|(a, b)| digits(a) && digits(b));
    if !known || code.len() != 3 || !digits(code) {
        return Err(DialogError::Malformed("its first line is not a status line of HTTP/1"));
    }
    let status = code.parse().unwrap_or_default();
    Ok((status, shown(parts.next().unwrap_or_default())))
}

fn lines(header: &[u8]) -> impl Iterator<Item = String> {
    header
        .split(|byte| *byte == b'\n')
        .map(|line| String::from_utf8_lossy(line.trim_ascii_end()).into_owned())
}

/// The authentication schemes that the proxy offers (RFC 9110 section 11.7.1), each by its first
/// word.
fn schemes(header: &[u8]) -> String {
    let mut names: Vec<String> = Vec::new();
    for line in lines(header).skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if !["proxy-authenticate", "www-authenticate"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
        {
            continue;
        }
        for challenge in value.split(',') {
            let word = shown(challenge.split_whitespace().next().unwrap_or_default());
            // Commas also separate the parameters of a challenge (`realm="a, b"`).
            if !word.is_empty() && !word.contains(['=', '"']) && !names.contains(&word) {
                names.push(word);
            }
        }
    }
    shown(&names.join(", "))
}

/// The text without characters that a terminal might act on, and not too long.
fn shown(text: &str) -> String {
    messages::printable_line(text.trim()).chars().take(MOST_WORDS).collect()
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4_usize {
            let letter = LETTERS[(bits >> (18 - 6 * n)) as usize & 63];
            text.push(if n <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648_section_10() {
        let texts =
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
        assert_eq!(
            base64(b"Aladdin:open sesame"),
            "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "RFC 7617 section 2"
        );
    }

    #[test]
    fn no_name_can_end_the_line() {
        let target = Target { host: Host::Name("a\r\nX: y.test".to_owned()), port: 1 };
        assert_eq!(authority(&target), "a%0D%0AX%3A%20y.test:1");
    }
}
