#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::wildcard_enum_match_arm, reason = "a test may panic")]
//! The program itself on the host of a lab: behaviour that needs routers on the path, or a network
//! that changes.

mod changes;
mod cost;
mod echo;
mod path_mtu;
mod relay;
