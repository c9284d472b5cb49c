//! The relay: opens ordinary sockets on the host for the gateway in the VM.
//!
//! It speaks frames on a byte stream each way (its standard input and output) and knows nothing of packets, routes or the VM. The
//! protocol's rules live in the `wire` crate; the other end is the gateway.
#![forbid(unsafe_code)]

mod batch;
mod changes;
mod datagrams;
pub mod dns;
mod echo;
pub mod engine;
pub mod facts;
pub mod limits;
mod tcp;
mod udp;
mod wakers;
