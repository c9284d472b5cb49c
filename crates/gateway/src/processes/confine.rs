//! How one of the gateway's processes gives up what it does not need: user, capabilities, and the
//! way back to them. A step that the machine does not support is reported; the others still apply.

use super::{Role, calls, files};
use nix::sys::prctl::{set_dumpable, set_name, set_pdeathsig};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_keep_capabilities, set_no_new_privs,
};
use serde::{Deserialize, Serialize};
use std::fmt::Display;

/// The confinement of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confined {
    /// The version of Landlock that keeps it from files.
    pub(crate) landlock: Option<u32>,
    /// The rights that could not be given up, and why.
    pub(crate) missing: Vec<String>,
}

impl Confined {
    /// The last steps: no files for writing, and a list of system calls.
    pub(super) fn restrict(&mut self, role: Role) {
        match files::restrict(role) {
            Ok(version) => self.landlock = Some(version),
            Err(error) => self.missing.push(format!("files: {error}")),
        }
        self.note("system calls", calls::allow_only(role));
    }

    fn note(&mut self, step: &str, outcome: Result<(), impl Display>) {
        if let Err(error) = outcome {
            self.missing.push(format!("{step}: {error}"));
        }
    }
}

/// Reduces this process to the capabilities of its role, without a way to others. It must have no
/// other thread yet, since the kernel keeps all of this for each thread.
pub(super) fn give_up(role: Role) -> Confined {
    let mut confined = Confined::default();
    // The supervisor ends this process; a terminal's Ctrl-C and a stop by systemd reach all of its
    // group.
    let ends = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];
    confined.note("ignoring signals", ends.into_iter().collect::<SigSet>().thread_block());
    confined.note("its name", set_name(role.short_name()));
    confined.note("core dumps", setrlimit(Resource::RLIMIT_CORE, 0, 0));
    confined.note("capabilities (bounding set)", empty_bounding_set());
    // Otherwise the change of the user drops the capabilities (capabilities(7)).
    confined.note("keeping capabilities", set_keep_capabilities(true));
    confined.note("user", change_user(role));
    let own = role.capabilities();
    let sets =
        CapabilitySets { effective: own, permitted: own, inheritable: CapabilitySet::empty() };
    confined.note("capabilities", set_capabilities(None, sets));
    confined.note("capabilities (ambient set)", clear_ambient_capability_set());
    confined.note("no new privileges", set_no_new_privs(true));
    // It holds a proxy's password and all users' traffic: no core dump, and no access by other
    // processes of its user (PR_SET_DUMPABLE in prctl(2)).
    confined.note("secrecy of its memory", set_dumpable(false));
    // After the change of the user, which clears it (prctl(2)).
    confined.note("ending with the supervisor", set_pdeathsig(Signal::SIGKILL));
    confined
}

fn empty_bounding_set() -> rustix::io::Result<()> {
    for capability in CapabilitySet::all() {
        // The kernel has no capability of that number.
        let Ok(is_there) = capability_is_in_bounding_set(capability) else { continue };
        if is_there {
            remove_capability_from_bounding_set(capability)?;
        }
    }
    Ok(())
}

fn change_user(role: Role) -> nix::Result<()> {
    let (user, group) = (Uid::from_raw(role.user()), Gid::from_raw(role.user()));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)
}
