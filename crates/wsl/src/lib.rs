//! What a machine with WSL is: its files and names, read once for every command, as the programs read
//! them that go by them. No I/O.
#![forbid(unsafe_code)]

mod nameserver;
mod resolv_conf;

pub use nameserver::{Nameserver, NameserverError};
pub use resolv_conf::{MOST_SERVERS, ResolvConf};
