//! A model of WSL's service: which distros run, which clients hold them, and when they end.
//!
//! [`service`] is the service, [`client`] is `wsl.exe`. They follow microsoft/WSL at 3e27a6a
//! (2026-08):
//!
//! - Each process that asks for a distro is registered as its client
//!   (`service/exe/LxssUserSession.cpp`, `_CreateInstance`: `RegisterCallback` with the calling
//!   process). Starts and ends happen under one lock (`m_instanceLock`).
//! - When the last client process has ended, a timer starts (`service/exe/Lifetime.cpp`,
//!   `s_OnClientProcessTerminated`); it ends the distro unless a new client came meanwhile
//!   (`s_OnTimeout`, `_TerminateInstanceInternal`). Its length is `general.instanceIdleTimeout`
//!   (15 s); a negative one registers no timer at all.
//! - A Windows program that interop started is not a client, and neither is a Linux process:
//!   `wslhost/main.cpp` registers only with a distro id, and the `wslhost.exe` of
//!   `/run/WSL/1_interop` has none.
//! - `wsl --terminate` and `--shutdown` end a distro regardless of its clients
//!   (`_TerminateInstance` with `CheckForClients == false`). Init calls `reboot(RB_POWER_OFF)` in
//!   its pid namespace, which kills every process of the distro at once (`linux/init/init.cpp`,
//!   `InitTerminateInstanceInternal`).
//! - The VM ends `wsl2.vmIdleTimeout` (60 s) after the last distro (`_VmCheckIdle`).
//!
//! Stricter than WSL: background processes of a session hold nothing here, while WSL's
//! `wslhost.exe` of that session stays registered until they end.

pub mod client;
pub mod service;

use serde::{Deserialize, Serialize};

/// The requests to the service, one per connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Registers a distro: the words that set it up and become the command after them.
    Import {
        /// Its name.
        name: String,
        /// The words.
        layout: Vec<String>,
    },
    /// Registers the caller as a client of a distro, which is started if it is not running. The
    /// caller stays a client until it closes the connection.
    Open {
        /// The distro's name.
        name: String,
    },
    /// Lists the running distros. Registers no client.
    Running,
    /// Ends a distro.
    Terminate {
        /// Its name.
        name: String,
    },
    /// Ends all distros and the VM.
    Shutdown,
}

/// The service's answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The distro runs; this is its first process, as the service sees it.
    Opened(u32),
    /// The running distros.
    Running(Vec<Instance>),
    /// It is done.
    Done,
    /// It failed, with the reason.
    Failed(String),
}

/// A running distro.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Its first process, as the service sees it.
    pub pid: u32,
    /// Its registered clients.
    pub clients: usize,
}
