//! What the relay needs of Windows. The same names for Linux are in `linux/`. Only [`win32`] calls
//! the system by itself.

pub(crate) mod changes;
pub(crate) mod connect;
pub(crate) mod datagrams;
pub(crate) mod echo;
pub(crate) mod errors;
mod facts;
mod pinger;
pub(crate) mod proxies;
mod resolver;
mod streams;
#[expect(unsafe_code, reason = "Windows' own functions are reached by no other way")]
mod win32;

/// Windows' heap gives whole segments back by itself.
pub(crate) fn give_memory_back() {}

pub use facts::facts;
pub use proxies::for_url as host_proxy;
pub use resolver::Resolver;
pub use streams::{max_flows, streams};
pub use win32::library::only_from_system as harden;
