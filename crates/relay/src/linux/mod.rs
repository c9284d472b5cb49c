//! The relay's Linux code. The same names for Windows are in `windows/`.

mod adapters;
mod allocator;
pub(crate) mod changes;
pub(crate) mod connect;
pub(crate) mod datagrams;
pub(crate) mod echo;
pub(crate) mod errors;
mod facts;
pub(crate) mod proxies;
pub(crate) mod resolver;
mod streams;
pub(crate) mod vsock;

pub(crate) use allocator::give_memory_back;
use std::path::Path;
use wire::HostFacts;

pub use proxies::for_url as host_proxy;
pub use resolver::Resolver;
pub use streams::{max_flows, streams};

/// Guards this process against other processes: it leaves no core dump, and no other process of its
/// user can read its memory (PR_SET_DUMPABLE in prctl(2)).
///
/// # Errors
/// The kernel's error.
pub fn harden() -> std::io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}

/// This host's current facts.
#[must_use]
pub fn facts() -> HostFacts {
    facts::read(Path::new("/"))
}
