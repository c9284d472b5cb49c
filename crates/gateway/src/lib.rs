//! The gateway's shell on Linux: TAP, routes, relay processes, and the loop that joins them.
//!
//! It does the I/O and knows no protocol rule: `stack` knows what packets mean, `wire` what frames
//! mean.
#![deny(unsafe_code)]

pub mod allocator;
mod attempt;
pub mod config;
pub mod control;
mod deploy;
mod dns;
mod engine;
pub mod host;
pub mod host_proxy;
pub mod instance;
pub mod interop;
mod interop_sockets;
pub mod keep_alive;
mod lane;
pub mod limits;
mod link;
mod links;
mod log_budget;
pub mod names;
pub mod net;
mod network;
mod processes;
mod program;
pub mod publish;
mod relay_command;
mod relay_process;
mod relay_streams;
mod relays;
mod start_failure;
pub mod status;
pub mod tap;
#[cfg(test)]
mod testing;
pub mod via;
mod windows;
pub mod wsl_exe;

pub use config::{Placement, RelayProgram, Settings};
pub use deploy::DeployError;
pub use dns::{connections, front, rebind};
pub use engine::EngineError;
#[cfg(any(test, fuzzing))]
pub use engine::hostile;
pub use host::HostError;
pub use instance::InstanceError;
pub use interop::{InteropError, is_wsl};
pub use lane::LaneError;
pub use links::LinkWish;
pub use processes::{Logs, ProcessError, Role, run};
pub use relay_command::{RelayCommand, Whose};
pub use relay_process::SpawnError;
pub use status::Status;
pub use windows::QuestionError;

use std::io;
use tap::TapError;

/// The gateway's Ethernet address, and the VM's; locally administered (IEEE 802). They are alone on
/// their link.
const MACS: ([u8; 6], [u8; 6]) = ([0x02, 0x75, 0x6e, 0x64, 0, 1], [0x02, 0x75, 0x6e, 0x64, 0, 2]);

/// Why the gateway did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another one runs, or the runtime directory cannot be used.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// No TAP.
    #[error(transparent)]
    Tap(#[from] TapError),
    /// No netlink.
    #[error("{0}")]
    Net(String),
    /// A process of the gateway does not run.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// Two of them cannot talk to each other.
    #[error("the gateway's processes cannot talk to each other: {0}")]
    Link(io::Error),
    /// One of them cannot read its settings.
    #[error(transparent)]
    Settings(#[from] via::UnreadableSettings),
    /// No relay at all.
    #[error(transparent)]
    Relay(#[from] SpawnError),
    /// It ran, and cannot continue.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The same, as the engine's process reports it.
    #[error("{0}")]
    Failed(String),
}

/// Random enough for initial sequence numbers: the hasher's key is the system's randomness.
fn seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}
