//! The relay's Windows code. The same names for Linux are in `linux/`. Only [`win32`] calls the
//! system itself.

pub(crate) mod changes;
pub(crate) mod connect;
pub(crate) mod datagrams;
pub(crate) mod echo;
pub(crate) mod errors;
mod facts;
mod install;
mod pinger;
pub(crate) mod proxies;
mod resolver;
mod streams;
pub(crate) mod vsock;
#[expect(unsafe_code, reason = "there is no other way to call Windows' own functions")]
mod win32;

/// Windows' heap returns whole segments by itself.
pub(crate) fn give_memory_back() {}

pub use facts::facts;
pub use install::{InstallError, install};
pub use proxies::for_url as host_proxy;
pub use resolver::Resolver;
pub use streams::{max_flows, streams};
pub use win32::library::only_from_system as harden;
