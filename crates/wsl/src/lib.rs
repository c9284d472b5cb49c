//! The facts of a machine with WSL: its network, files, filters and other tunnels, each with one
//! type and one reader for every command. Texts are read exactly as by the programs that use them.
#![forbid(unsafe_code)]

pub mod files;
pub mod filter;
pub mod hosts;
pub mod mode;
mod nameserver;
pub mod network;
pub mod program;
mod resolv_conf;
pub mod tunnels;
mod vm_id;
pub mod windows;

pub use mode::{NetworkingMode, wslinfo};
pub use nameserver::{Nameserver, NameserverError};
pub use resolv_conf::{MOST_SERVERS, ResolvConf};
pub use vm_id::{NotAnId, VmId, vm_id};
