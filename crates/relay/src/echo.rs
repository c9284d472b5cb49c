//! What becomes of an echo request. How a host sends one is its own affair: `linux/echo.rs`,
//! `windows/echo.rs`.

use wire::Fault;

/// How a request ended. One that nobody answers does not end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The peer's answer, with the time to live that it arrived with.
    Reply {
        /// Hops left.
        ttl: u8,
        /// What the request carried.
        payload: Vec<u8>,
    },
    /// Somebody on the way says why not.
    Error(Fault),
}
