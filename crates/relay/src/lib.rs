//! The relay: opens ordinary sockets on the host for the gateway in the VM.
//!
//! It exchanges frames on a byte stream each way (its standard input and output) and knows nothing
//! of packets, routes or the VM. The `wire` crate holds the protocol's rules; the other end is the
//! gateway.
#![deny(unsafe_code)]

mod access;
mod batch;
mod direct;
pub mod dns;
mod echo;
pub mod engine;
mod facts;
mod hosts;
#[cfg(any(windows, test))]
mod hyperv;
mod icmp;
pub mod limits;
mod link;
pub mod meter;
#[cfg_attr(windows, path = "windows/mod.rs")]
#[cfg_attr(not(windows), path = "linux/mod.rs")]
pub mod os;
mod plateau;
pub mod probe;
mod pump;
mod run;
mod spare;
mod tcp;
mod udp;
pub mod via;
mod wakers;
pub mod watch;
