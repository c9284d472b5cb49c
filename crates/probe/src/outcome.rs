//! The outcome of an attempt.

use serde::{Deserialize, Serialize};

/// The outcome of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was not tried, or could not be tried.
    #[default]
    NotTried,
    /// It worked.
    Ok {
        /// How long it took.
        ms: u64,
    },
    /// It did not work.
    Failed {
        /// In what way.
        why: Why,
        /// In the words of the program that failed, for people; may be empty.
        detail: String,
    },
}

/// In what way something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No answer came in time.
    TimedOut,
    /// The other end, or a firewall in its name, refused (RST, port unreachable).
    Refused,
    /// No way there: no route, or a router said so.
    Unreachable,
    /// The name is not known to the resolver.
    NameUnknown,
    /// The answer belongs to another protocol.
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

/// How a target is tried.
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
