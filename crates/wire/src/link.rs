//! A faster link in place of the relay's standard streams: its offer, its failures, and its
//! secrets, as JSON: rare and extensible (unknown keys and kinds are ignored).

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::hint::black_box;
use std::net::SocketAddr;

/// Bytes of a [`Secret`].
pub const SECRET_BYTES: usize = 32;

/// 256 random bits that went by the standard streams. Each end proves with one of them that it is
/// the end of these streams.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; SECRET_BYTES]);

impl Secret {
    /// A secret of these bytes, which must be random.
    #[must_use]
    pub fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes, as they are sent on a link.
    #[must_use]
    pub fn bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// Whether `bytes` are this secret. The time that this takes says nothing about them.
    #[must_use]
    pub fn is(&self, bytes: &[u8; SECRET_BYTES]) -> bool {
        let differences = self.0.iter().zip(bytes).fold(0, |all, (own, theirs)| {
            // The optimizer knows nothing about the result, so it cannot stop early.
            black_box(all | (own ^ theirs))
        });
        differences == 0
    }
}

/// Without the bytes.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("a secret has 64 hexadecimal digits");
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect();
        let digits = digits.filter(|digits| digits.len() == 2 * SECRET_BYTES).ok_or_else(wrong)?;
        let mut bytes = [0; SECRET_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
        }
        Ok(Self(bytes))
    }
}

/// The kind of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKind {
    /// A Hyper-V socket (AF_VSOCK in the VM).
    Vsock,
    /// TCP over the VM's own network.
    Tcp,
}

impl LinkKind {
    /// Its name, in texts and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Vsock => "vsock",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where the gateway listens for a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Offer {
    /// A Hyper-V socket.
    Vsock {
        /// The VM's id, a GUID such as `1c1b4e2c-0000-4000-8000-000000000000`.
        vm: String,
        /// The port of AF_VSOCK.
        port: u32,
    },
    /// TCP.
    Tcp {
        /// The VM's address and the port.
        address: SocketAddr,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

impl Offer {
    /// The kind of the link; `None` for an unknown one.
    #[must_use]
    pub fn kind(&self) -> Option<LinkKind> {
        match self {
            Self::Vsock { .. } => Some(LinkKind::Vsock),
            Self::Tcp { .. } => Some(LinkKind::Tcp),
            Self::Unknown => None,
        }
    }
}

/// The content of [`crate::Frame::Link`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkOffers {
    /// The first bytes that the relay sends on the link.
    pub nonce: Secret,
    /// The first bytes that the gateway sends on the link, once it has the right nonce.
    pub answer: Secret,
    /// Where to connect, the best first.
    pub offers: Vec<Offer>,
}

/// Why there is no link of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkCause {
    /// The other end's host refused it.
    Refused,
    /// No answer came.
    TimedOut,
    /// There is no way to the other end.
    Unreachable,
    /// A policy or the system's rights forbid it.
    Denied,
    /// The system, or the VM, does not have this kind.
    Unsupported,
    /// WSL's networking mode has no way for it.
    Mode,
    /// The other end did not prove that it is the right one.
    Stranger,
    /// It was up, and broke.
    Broke,
    /// Anything else, and causes that this version does not know.
    #[serde(other)]
    Other,
}

/// A link that did not come up, or broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFailure {
    /// Which.
    pub link: LinkKind,
    /// Why.
    pub cause: LinkCause,
    /// The operating system's code: errno or the Winsock code; 0 without one.
    #[serde(default)]
    pub code: i32,
    /// The same in English words.
    #[serde(default)]
    pub text: String,
}

/// The content of [`crate::Frame::LinkFailed`]: the offers that did not work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkFailures {
    /// In the order of the offers.
    pub failures: Vec<LinkFailure>,
    /// Whether another of the offers works, and the relay waits for the gateway to move.
    pub is_linked: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_equal_to_itself_alone_and_in_no_log() {
        let secret = Secret::new([0xa7; SECRET_BYTES]);
        assert!(secret.is(&[0xa7; SECRET_BYTES]));
        for place in 0..SECRET_BYTES {
            let mut other = [0xa7; SECRET_BYTES];
            other[place] ^= 1;
            assert!(!secret.is(&other), "{place}");
        }
        assert_eq!(format!("{secret:?}"), "Secret");
        let json = serde_json::to_string(&secret).unwrap();
        assert_eq!(json, format!("\"{}\"", "a7".repeat(SECRET_BYTES)));
        assert_eq!(serde_json::from_str::<Secret>(&json).unwrap(), secret);
        for wrong in ["\"a7\"", "\"\"", &json.replacen('a', "g", 1), &json.replacen('a', "+", 1)] {
            assert!(serde_json::from_str::<Secret>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_documents_have_the_form_of_the_specification() {
        let (nonce, answer) = ("01".repeat(32), "02".repeat(32));
        let offered = [
            r#"{"kind":"vsock","vm":"v","port":7}"#,
            r#"{"kind":"tcp","address":"192.0.2.1:443"}"#,
        ]
        .join(",");
        let text = format!(r#"{{"nonce":"{nonce}","answer":"{answer}","offers":[{offered}]}}"#);
        let offers = LinkOffers {
            nonce: Secret::new([1; 32]),
            answer: Secret::new([2; 32]),
            offers: vec![
                Offer::Vsock { vm: "v".to_owned(), port: 7 },
                Offer::Tcp { address: ([192, 0, 2, 1], 443).into() },
            ],
        };
        assert_eq!(serde_json::to_string(&offers).unwrap(), text);
        assert_eq!(serde_json::from_str::<LinkOffers>(&text).unwrap(), offers);
        let later = text.replace(r#""kind":"vsock","#, r#""kind":"shared-memory","#);
        let read: LinkOffers = serde_json::from_str(&later).unwrap();
        assert_eq!(read.offers[0], Offer::Unknown);
        let failed = r#"{"failures":[{"link":"tcp","cause":"cosmic-rays"}]}"#;
        let read: LinkFailures = serde_json::from_str(failed).unwrap();
        assert_eq!(read.failures[0].cause, LinkCause::Other);
        assert!(!read.is_linked);
    }
}
