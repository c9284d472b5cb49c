//! Why a connection or a request did not succeed.

use std::time::Duration;

/// Why a connection or a request did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name has no address here.
    Unresolved {
        /// The name.
        name: String,
    },
    /// The host says no.
    Refused {
        /// Address and port.
        address: String,
    },
    /// No answer.
    TimedOut {
        /// Address and port, or the URL.
        address: String,
        /// Within this time.
        patience: Duration,
    },
    /// The system says no.
    Unreachable {
        /// Address and port.
        address: String,
        /// Its words.
        why: String,
    },
    /// The proxy's setting is of no use.
    ProxyNotUsable {
        /// The setting, without secrets.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// The proxy does not pass on.
    Proxy {
        /// The proxy, without secrets.
        proxy: String,
        /// What it says.
        why: String,
    },
    /// The connection was closed.
    Closed {
        /// The host that closed it.
        who: String,
    },
    /// No TLS.
    Tls {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// The server answered with an error.
    Status {
        /// The server.
        url: String,
        /// The code.
        status: u16,
    },
    /// The answer is elsewhere.
    SendsOn {
        /// The server that answers.
        url: String,
        /// Where.
        location: String,
    },
    /// An answer without an address.
    NoAddress {
        /// The server.
        url: String,
    },
    /// Not the protocol.
    NotHttp {
        /// The server.
        url: String,
    },
}
