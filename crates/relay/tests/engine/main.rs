#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
//! The engine between a gateway's session and real sockets on loopback.

mod dns;
mod gateway;
mod link;
mod tcp;
mod udp;
mod via;
