//! How long a distro lives under WSL's own rule, which ends it after its last client
//! (`tests/interop/src/wsl`).

use lab::helper::busybox;
use lab::scene::{PATIENCE, Scratch, windows_lab};
use lab::until;
use lab::wsl::{Timeouts, Wsl};
use std::time::Duration;

/// Short against a test's patience, long against the start of a client.
const IDLE: Duration = Duration::from_secs(3);

fn timeouts() -> Timeouts {
    Timeouts { instance: Some(IDLE), vm: Some(IDLE) }
}

/// The first process of a distro that runs, and the clients that hold it.
fn instance(wsl: &Wsl<'_>, name: &str) -> Option<(u32, u64)> {
    let found = wsl.running().into_iter().find(|instance| instance.name == name);
    found.map(|instance| (instance.pid, instance.clients))
}

#[test]
fn a_distro_ends_after_its_last_client_and_nothing_inside_of_it_holds_it() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wsl = Wsl::with_timeouts(&lab, &interop, scratch.path("wsl").as_ref(), timeouts());
    let distro = wsl.start(&busybox(scratch.path("busybox").as_ref()));
    let held = distro.start("sleep 1000");
    // A client holds it, for however long.
    assert!(until(PATIENCE, || instance(&wsl, "busybox").is_some_and(|(_, clients)| clients == 1)));
    assert!(!until(IDLE * 2, || instance(&wsl, "busybox").is_none()), "a client holds it");
    // A process of it does not, nor does a Windows program that was started from it.
    let background = "cd /mnt/c && export WSL_INTEROP=/run/WSL/1_interop && \
        (sleep 1000 | ./Windows/System32/cmd.exe & sleep 1000 &) >/dev/null 2>&1";
    let done = distro.sh(background);
    assert!(done.succeeded(), "{done:?}");
    let first = instance(&wsl, "busybox").map_or(0, |(first, _)| first);
    drop(held);
    assert!(until(IDLE + PATIENCE, || instance(&wsl, "busybox").is_none()), "{:?}", wsl.running());
    assert!(!std::path::Path::new(&format!("/proc/{first}")).exists(), "all of its processes are gone");
    // A command starts it again, with the shared folder of a new VM.
    assert!(until(IDLE + PATIENCE, || !wsl.shared().join("mark").exists()));
    let again = distro.sh("touch /mnt/wsl/mark");
    assert!(again.succeeded(), "{again:?}");
    assert!(until(IDLE * 2 + PATIENCE, || !wsl.shared().join("mark").exists()), "the VM ended after its last distro");
}
