//! Errors of a dialog with a proxy, and their meaning for the destination.

/// Why a dialog failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// Its first bytes are not HTTP.
    #[error("the other side does not speak HTTP{}", .0.hint())]
    NotHttp(Speaker),
    /// Its first bytes are not SOCKS5.
    #[error("the other side does not speak SOCKS5{}", .0.hint())]
    NotSocks(Speaker),
    /// More header than [`crate::MAX_HEADER`].
    #[error("the proxy's answer is longer than {} bytes", crate::MAX_HEADER)]
    HeaderTooLong,
    /// Bytes that its protocol does not allow at this point.
    #[error("the proxy's answer cannot be understood: {0}")]
    Malformed(&'static str),
    /// It requires authentication, and has received no credentials.
    #[error(
        "the proxy requires a user and password{}: give them in its URL, as USER:PASSWORD@HOST",
        offers(.schemes)
    )]
    CredentialsNeeded {
        /// The schemes that it offers, such as `Basic, Negotiate`; empty if it names none.
        schemes: String,
    },
    /// It rejects the user and password.
    #[error("the proxy rejects this user and password{}", offers(.schemes))]
    CredentialsRefused {
        /// The schemes that it offers, such as `Negotiate, NTLM`; empty if it names none.
        schemes: String,
    },
    /// An HTTP proxy's refusal.
    #[error("the proxy answers {status}{}{}", reason_after_space(.reason), http_hint(*.status))]
    Status {
        /// The code of three digits.
        status: u16,
        /// Its own words; may be empty.
        reason: String,
    },
    /// A SOCKS5 proxy's refusal.
    #[error("the proxy answers: {0}")]
    Socks(SocksCode),
    /// A name of more than 255 bytes, which SOCKS5 cannot carry, or none at all.
    #[error("a name of {length} bytes cannot be sent to a SOCKS5 proxy, which takes 1 to 255")]
    NameLength {
        /// Its bytes.
        length: usize,
    },
    /// It closed the connection before its answer was whole.
    #[error(
        "the proxy closed the connection {}",
        if *.heard { "in the middle of its answer" } else { "without an answer" }
    )]
    Closed {
        /// Whether the proxy sent anything.
        heard: bool,
    },
}

fn offers(schemes: &str) -> String {
    if schemes.is_empty() { String::new() } else { format!(" (it offers {schemes})") }
}

fn reason_after_space(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(" {reason}") }
}

fn http_hint(status: u16) -> &'static str {
    match status {
        400 | 404 | 405 | 501 => ": web servers that are not proxies answer so; is the port right?",
        403 => ": it does not allow this destination or port",
        _ => "",
    }
}

/// The meaning of a failed dialog for the destination, for the owner to report to its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The proxy or the destination refused: trying again gives the same result.
    Refused,
    /// The proxy found no route to the destination.
    Unreachable,
    /// The destination did not answer the proxy in time.
    TimedOut,
    /// The fault is in the proxy itself (not a proxy, wrong password, closed): no destination
    /// works.
    ProxyTrouble,
}

impl DialogError {
    /// The meaning for the destination.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        match self {
            Self::NotHttp(_)
            | Self::NotSocks(_)
            | Self::HeaderTooLong
            | Self::Malformed(_)
            | Self::CredentialsNeeded { .. }
            | Self::CredentialsRefused { .. }
            | Self::Closed { .. }
            | Self::Status { status: 400 | 404 | 405 | 501, .. } => Meaning::ProxyTrouble,
            Self::Status { status: 502 | 503, .. } => Meaning::Unreachable,
            Self::Status { status: 504, .. } => Meaning::TimedOut,
            Self::Status { .. } | Self::NameLength { .. } => Meaning::Refused,
            Self::Socks(code) => match code.0 {
                // Many proxies answer "no such host" with a general failure.
                1 | 3 | 4 => Meaning::Unreachable,
                6 => Meaning::TimedOut,
                _ => Meaning::Refused,
            },
        }
    }
}

/// A SOCKS5 proxy's reply code (RFC 1928 section 6, REP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocksCode(pub u8);

impl SocksCode {
    /// "Command not supported".
    pub const NO_SUCH_COMMAND: Self = Self(7);
}

impl std::fmt::Display for SocksCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match self.0 {
            1 => "general failure",
            2 => "its rules do not allow this connection",
            3 => "network unreachable",
            4 => "host unreachable",
            5 => "connection refused",
            6 => "the time to live ran out",
            7 => "it does not support this command",
            8 => "it does not support this kind of address",
            _ => return write!(f, "code {}, which RFC 1928 does not know", self.0),
        };
        write!(f, "{words} (code {})", self.0)
    }
}

/// The probable protocol of a peer that does not speak the expected one, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// It may be HTTP.
    Http,
    /// It may be SOCKS5.
    Socks5,
    /// It may be TLS.
    Tls,
    /// Unknown.
    Unknown,
}

impl Speaker {
    pub(crate) fn of(first: u8) -> Self {
        match first {
            b'H' => Self::Http,
            5 => Self::Socks5,
            // An alert or a handshake (RFC 8446 section 5.1).
            0x15 | 0x16 => Self::Tls,
            _ => Self::Unknown,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Http => " but probably HTTP: write http:// instead of socks5://",
            Self::Socks5 => " but probably SOCKS5: write socks5:// instead of http://",
            Self::Tls => " but probably TLS: is there a port without TLS?",
            Self::Unknown => ": is it a proxy, and is the port right?",
        }
    }
}
