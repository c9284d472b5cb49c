//! What a proxy's answer means where it is not "the connection stands".

/// Why a dialog failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DialogError {
    /// Its first bytes are no HTTP.
    #[error("the other side does not speak HTTP{}", .0.hint())]
    NotHttp(Speaker),
    /// Its first bytes are no SOCKS5.
    #[error("the other side does not speak SOCKS5{}", .0.hint())]
    NotSocks(Speaker),
    /// More header than [`crate::MAX_HEADER`].
    #[error("the proxy's answer has no end within {} bytes", crate::MAX_HEADER)]
    HeaderTooLong,
    /// Bytes that its protocol does not allow there.
    #[error("the proxy's answer cannot be understood: {0}")]
    Malformed(&'static str),
    /// It wants to know who asks, and was not told.
    #[error("the proxy wants a user and a password{}: give them in its URL, as USER:PASSWORD@HOST", offers(.schemes))]
    CredentialsNeeded {
        /// The ways that it offers, such as `Basic, Negotiate`; empty where it does not say.
        schemes: String,
    },
    /// It does not take the user and password that it was told.
    #[error("the proxy does not take this user and password{}", offers(.schemes))]
    CredentialsRefused {
        /// The ways that it offers, such as `Negotiate, NTLM`; empty where it does not say.
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
    #[error("the proxy closed the connection {}", if *.heard { "in the middle of its answer" } else { "without an answer" })]
    Closed {
        /// Whether anything came from it.
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
        400 | 404 | 405 | 501 => ": web servers that are no proxy answer so; is the port right?",
        403 => ": it does not allow this destination or port",
        _ => "",
    }
}

/// What a failed dialog says about the destination: what an owner tells whoever wanted the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The proxy said no, or the destination did: trying again brings the same.
    Refused,
    /// The proxy found no way to the destination.
    Unreachable,
    /// The destination did not answer the proxy in time.
    TimedOut,
    /// It is the proxy itself that is not as it should be (no proxy, wrong password, closed): no
    /// destination works.
    ProxyTrouble,
}

impl DialogError {
    /// What it says about the destination.
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
                // General failure is what many answer for "no such host".
                1 | 3 | 4 => Meaning::Unreachable,
                6 => Meaning::TimedOut,
                _ => Meaning::Refused,
            },
        }
    }
}

/// What a SOCKS5 proxy answers (RFC 1928 section 6, REP).
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
            7 => "it does not have this command",
            8 => "it does not have this kind of address",
            _ => return write!(f, "code {}, which RFC 1928 does not know", self.0),
        };
        write!(f, "{words} (code {})", self.0)
    }
}

/// Who it may be that does not speak the expected protocol, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// It may be HTTP.
    Http,
    /// It may be SOCKS5.
    Socks5,
    /// It may be TLS.
    Tls,
    /// Nobody known.
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
            Self::Http => " but, as it seems, HTTP: write http:// in place of socks5://",
            Self::Socks5 => " but, as it seems, SOCKS5: write socks5:// in place of http://",
            Self::Tls => " but, as it seems, TLS: is there a port without TLS?",
            Self::Unknown => ": is it a proxy, and the port right?",
        }
    }
}
