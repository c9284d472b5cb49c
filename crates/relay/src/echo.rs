//! The outcome of an echo request. How a host sends one is in `linux/echo.rs` and
//! `windows/echo.rs`.

use wire::Fault;

/// How a request ended. A request without an answer does not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The peer's answer, with the time to live on arrival.
    Reply {
        /// Hops left.
        ttl: u8,
        /// The request's payload.
        payload: Vec<u8>,
    },
    /// A host on the path reports an error.
    Error(Fault),
}
