//! An early end by Ctrl-C: waits give up, and everything is removed as at a normal end.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

static ASKED: AtomicBool = AtomicBool::new(false);

/// Processes whose end makes a command in the guest fail at once.
static PROCESSES: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Whether the end was requested.
#[must_use]
pub fn is_asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}

/// Registers this process to be killed when the end is requested.
pub(crate) fn with(pid: u32) {
    PROCESSES.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
}

/// Requests the end.
pub fn ask() {
    ASKED.store(true, Ordering::Relaxed);
    for pid in PROCESSES.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        if let Ok(pid) = i32::try_from(pid) {
            // It may have ended already.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// [`lab::until`], which gives up when the end is requested.
pub(crate) fn until(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    lab::until(patience, || is_asked() || holds()) && !is_asked()
}
