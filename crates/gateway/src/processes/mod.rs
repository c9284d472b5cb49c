//! The three processes of a running gateway, and their messages.
//!
//! - The *supervisor* is `underpass up` itself, as root: it makes the TAP, starts and ends relays,
//!   publishes, serves the control sockets, and writes the log. It handles no packet and no frame.
//! - The *engine* ([`engine`]) has the TAP and the relays' streams, and so reads everything that
//!   comes from the network. Its user owns nothing, and it has no capability.
//! - The *keeper of the routes* ([`network`]) speaks netlink, with CAP_NET_ADMIN and nothing else.
//!
//! Engine and keeper are this program again, under other names ([`Role`]). Each is confined
//! (`confine.rs`) before it reads anything, and has one link ([`crate::link`]) to the supervisor;
//! another link joins the two. They end with the supervisor, and it ends when one of them does. The
//! kernel then removes the TAP and its routes, and nothing else needs cleaning up.

mod audit;
mod calls;
mod confine;
mod engine;
mod files;
mod launcher;
mod messages;
mod network;
mod privileges;
mod supervisor;
#[cfg(test)]
mod tests;
mod worker;

pub use supervisor::run;
pub use worker::{Logs, ProcessError};

use crate::net::owners::Sockets;
use rustix::thread::CapabilitySet;
use std::ffi::CStr;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// The task of a process of the gateway other than the supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has the TAP and the relays' streams.
    Engine,
    /// It keeps the VM's routes.
    Network,
}

/// The users of the two, which own nothing: numbers that Debian reserves (Policy 9.2.2: 65000 to
/// 65533) and that systemd does not assign (docs/UIDS-GIDS.md: 65520 to 65533 are unused). A number
/// needs no entry in /etc/passwd, and no other program runs under it. Each process has its own, so
/// that neither can send the other a signal.
const ENGINE_USER: u32 = 65_530;
/// See [`ENGINE_USER`].
const NETWORK_USER: u32 = 65_531;

impl Role {
    const ALL: [Self; 2] = [Self::Engine, Self::Network];

    /// The role of this process, from the name that the supervisor gave it.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let name = std::env::args_os().next()?;
        Self::ALL.into_iter().find(|role| name == role.name())
    }

    /// Its name, as `ps` shows it.
    fn name(self) -> &'static str {
        match self {
            Self::Engine => "underpass-engine",
            Self::Network => "underpass-network",
        }
    }

    /// The same within the 15 bytes that the kernel keeps (TASK_COMM_LEN, linux/sched.h).
    fn short_name(self) -> &'static CStr {
        match self {
            Self::Engine => c"underpass-engin",
            Self::Network => c"underpass-netwo",
        }
    }

    fn user(self) -> u32 {
        match self {
            Self::Engine => ENGINE_USER,
            Self::Network => NETWORK_USER,
        }
    }

    fn capabilities(self) -> CapabilitySet {
        match self {
            Self::Engine => CapabilitySet::empty(),
            Self::Network => CapabilitySet::NET_ADMIN,
        }
    }

    /// Runs it to its end. Its standard input is the link to the supervisor.
    ///
    /// # Errors
    /// There is no supervisor at the other end, or no event loop.
    pub fn run(self) -> std::io::Result<ExitCode> {
        let supervisor = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
        supervisor.peer_addr()?;
        let mut confined = confine::give_up(self);
        // Before the filter, which allows no call that makes an event loop.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        match self {
            Self::Engine => {
                // The filter allows no call that makes a socket either.
                let sockets = Sockets::open().and_then(|one| Ok([one, Sockets::open()?]));
                confined.restrict(self);
                Ok(runtime.block_on(engine::serve(supervisor, confined, sockets)))
            }
            Self::Network => {
                confined.restrict(self);
                Ok(runtime.block_on(network::serve(supervisor, confined)))
            }
        }
    }
}
