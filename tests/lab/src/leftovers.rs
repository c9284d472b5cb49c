//! Removes the remains of labs whose processes are dead. Their names carry the maker's pid. A
//! killed lab could not remove them itself.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::built::BINFMT;
use crate::run::{Finished, plain};

/// The beginning of the name of every lab namespace.
const PREFIX: &str = "upl";

/// The name of a namespace: `upl-<pid>-<number>-<place>`.
pub(crate) fn name(number: u32, place: &str) -> String {
    format!("{PREFIX}-{}-{number}-{place}", std::process::id())
}

/// The folder whose files `ip netns exec` lays over /etc.
pub(crate) fn overlay(namespace: &str) -> PathBuf {
    Path::new("/etc/netns").join(namespace)
}

/// Writes a file of a namespace's overlay, which every user may read, whatever the umask is.
pub(crate) fn write_for_all(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

/// Removes one namespace and its overlay, if they exist. Its processes have ended, or their parent
/// ends them.
pub(crate) fn remove(namespace: &str) {
    let mut delete = plain("ip");
    delete.args(["netns", "delete", namespace]);
    // Existing or not, it is gone now. The next lab's sweep shows a failure.
    let _ = Finished::of(delete);
    let _ = fs::remove_dir_all(overlay(namespace));
}

/// The name of WSL's own entry in the kernel's list, which a gateway under test writes again.
pub(crate) const WSL_ENTRY: &str = "WSLInterop";

/// The end of the name of a folder whose lab may have an entry of WSL's name.
const WSL_ENTRY_MARK: &str = "-wsl-entry";

/// Makes a folder by which a later sweep recognises an entry of WSL's name as this process's.
pub(crate) fn mark_wsl_entry() -> io::Result<PathBuf> {
    let mark = std::env::temp_dir().join(name(0, &WSL_ENTRY_MARK[1..]));
    fs::create_dir_all(&mark)?;
    Ok(mark)
}

/// Removes all remains of labs of dead processes: namespaces, entries in the kernel's list of
/// interpreters, temporary folders.
pub(crate) fn sweep() {
    let temporary = std::env::temp_dir();
    sweep_in(&[Path::new("/run/netns"), Path::new("/etc/netns")], BINFMT.as_ref(), &temporary);
}

/// See [`sweep`]: the folders with a file for each namespace, the kernel's list of interpreters,
/// and the folder of temporary files.
fn sweep_in(namespaces: &[&Path], binfmt: &Path, temporary: &Path) {
    for folder in namespaces.iter().copied().chain([binfmt, temporary]) {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str() else { continue };
            if maker(name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
                remove(name);
                // It is in one of the places only.
                unregister(&binfmt.join(name));
                if name.ends_with(WSL_ENTRY_MARK) {
                    unregister(&binfmt.join(WSL_ENTRY));
                }
                let _ = fs::remove_dir_all(temporary.join(name));
            }
        }
    }
}

/// Removes an entry from the kernel's list of interpreters, if it is there.
pub(crate) fn unregister(entry: &Path) {
    // Nothing is created, where the list is a folder of a test.
    let _ = OpenOptions::new().write(true).open(entry).and_then(|mut file| file.write_all(b"-1"));
}

/// The pid in a namespace's name, if a lab gave it that name.
fn maker(name: &str) -> Option<u32> {
    let mut parts = name.split('-');
    (parts.next() == Some(PREFIX)).then(|| parts.next()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_a_lab_gave_have_a_maker() {
        assert_eq!(maker(&name(3, "wsl")), Some(std::process::id()));
        for foreign in ["", "upl", "upl-", "upl-x-1-wsl", "docker-12-1", "uplink-12-1-wsl"] {
            assert_eq!(maker(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_sweep_removes_the_entries_of_dead_labs_alone() {
        let folder = crate::scene::Scratch::new();
        let place = |path: &str| PathBuf::from(folder.path(path));
        let (binfmt, temporary) = (place("binfmt"), place("tmp"));
        for folder in [&binfmt, &temporary] {
            fs::create_dir_all(folder).unwrap();
        }
        // No process has the number of the largest one and one more (proc(5), pid_max).
        let dead = format!("{PREFIX}-{}", (1 << 22) + 1);
        let entries = [WSL_ENTRY.to_owned(), format!("{dead}-0-interop-0"), name(0, "interop-0")];
        let write = |entry: &String| fs::write(binfmt.join(entry), "enabled").unwrap();
        entries.iter().for_each(write);
        let shown = || {
            let read = |entry: &String| fs::read_to_string(binfmt.join(entry)).unwrap();
            entries.each_ref().map(|entry| read(entry).starts_with("-1"))
        };
        sweep_in(&[], &binfmt, &temporary);
        assert_eq!(shown(), [false, true, false], "without a mark, it is this machine's own");
        for (maker, goes) in [(name(0, "wsl-entry"), false), (format!("{dead}-0-wsl-entry"), true)]
        {
            fs::create_dir(temporary.join(&maker)).unwrap();
            sweep_in(&[], &binfmt, &temporary);
            assert_eq!(shown()[0], goes, "{maker}");
            assert_eq!(temporary.join(&maker).exists(), !goes, "{maker}");
        }
    }
}
