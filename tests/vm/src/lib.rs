//! A virtual machine with a real kernel, systemd and dockerd, beside the lab's 'Windows' and its
//! VPN: for behaviour that namespaces on one kernel cannot show. `scripts/vm` prepares it and runs
//! the checks; docs/virtual-machine.md describes the model.
//!
//! It builds nothing and knows nothing of the crates under test: the packaged helper distro is
//! started, never linked.
#![forbid(unsafe_code)]

pub mod bridge;
pub mod checks;
pub mod machine;
mod monitor;
pub mod report;
pub mod stop;
