//! What came of an attempt.

use serde::{Deserialize, Serialize};

/// What came of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nobody tried, or nothing could be tried.
    #[default]
    NotTried,
    /// It worked, in so many milliseconds.
    Ok {
        /// How long it took.
        ms: u64,
    },
    /// It did not.
    Failed {
        /// In what way.
        why: Why,
        /// In words of who failed, for people; may be empty.
        detail: String,
    },
}

/// In what way something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Nobody answered in time.
    TimedOut,
    /// The other end, or a firewall in its name, refused (RST, port unreachable).
    Refused,
    /// No way there: no route, or a router said so.
    Unreachable,
    /// The name is not known to the resolver.
    NameUnknown,
    /// Somebody answered who speaks another protocol.
    WrongProtocol,
    /// The proxy wants a user name and password, or others.
    Authentication,
    /// The proxy understood and would not.
    ProxyRefused,
    /// The other end closed or reset what had begun.
    Closed,
    /// Not allowed to try, or no such program.
    NotPermitted,
    /// Something else; the detail says what.
    Other,
}

/// How somebody is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// An echo request.
    Icmp,
    /// A connection to the target's port.
    Tcp,
    /// A question for its hardware address (ARP, ND): Windows' firewall often drops pings, never
    /// these.
    Neighbour,
}
