//! The only code that calls Windows itself. Each part turns Windows' data into safe values, and
//! decides nothing.

pub(crate) mod adapters;
mod addresses;
pub(crate) mod connect_errors;
pub(crate) mod dns;
pub(crate) mod hyperv;
pub(crate) mod icmp;
pub(crate) mod library;
pub(crate) mod proxy;
pub(crate) mod raw_query;
pub(crate) mod sockets;
mod text;
pub(crate) mod wsl;
