//! A lab's namespace entered by a thread, and an address plan for tests.
#![allow(dead_code, clippy::allow_attributes, reason = "each test program uses a part of this")]

pub(crate) mod old_kernel;

use std::fs::File;
use std::future::poll_fn;
use std::time::Duration;

use gateway::tap::{READ_BUFFER, Tap};
use lab::{Lab, Place};
use nix::sched::{CloneFlags, setns};
use stack::RxMeta;

/// For anything that must happen at once on a healthy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const VM_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
pub(crate) const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Runs `act` on a thread of its own inside the lab's VM, with a runtime; a panic there fails the
/// test.
pub(crate) fn in_vm(lab: &Lab, act: impl AsyncFnOnce() + Send) {
    let namespace = File::open(format!("/run/netns/{}", lab.namespace(Place::Wsl))).unwrap();
    std::thread::scope(|scope| {
        let thread = scope.spawn(move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::time::timeout(3 * PATIENCE, act()).await.expect("the test hangs")
            });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs a program in the VM and returns its output.
pub(crate) fn vm(lab: &Lab, words: &str) -> String {
    let finished = lab.run(Place::Wsl, &words.split_whitespace().collect::<Vec<_>>()).unwrap();
    assert!(finished.succeeded(), "{words}: {}", finished.stderr);
    finished.stdout
}

/// Writes a sysctl in the VM.
pub(crate) fn sysctl(lab: &Lab, key: &str, value: &str) {
    let words = ["sh", "-c", "echo \"$1\" > \"/proc/sys/$0\"", key, value];
    let finished = lab.run(Place::Wsl, &words).unwrap();
    assert!(finished.succeeded(), "{key}: {}", finished.stderr);
}

/// The result of `wanted` for the next frame that it accepts; the others are dropped.
pub(crate) async fn frame<T>(tap: &Tap, mut wanted: impl FnMut(&[u8], RxMeta) -> Option<T>) -> T {
    let mut buffer = vec![0; READ_BUFFER];
    let search = async {
        loop {
            match tap.read(&mut buffer).unwrap() {
                Some((bytes, meta)) => {
                    if let Some(found) = wanted(bytes, meta) {
                        return found;
                    }
                }
                None => poll_fn(|cx| tap.poll_readable(cx)).await.unwrap(),
            }
        }
    };
    tokio::time::timeout(PATIENCE, search).await.expect("the frame never came")
}
