//! Removes the remains of labs whose processes are dead. Their names carry the maker's pid. A
//! killed lab could not remove them itself.

use std::fs;
use std::io;
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

/// Removes all remains of labs of dead processes: namespaces, entries in the kernel's list of
/// interpreters, temporary folders.
pub(crate) fn sweep() {
    let temporary = std::env::temp_dir();
    for folder in [Path::new("/run/netns"), Path::new("/etc/netns"), Path::new(BINFMT), &temporary]
    {
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let file_name = entry.file_name();
            let Some(name) = file_name.to_str() else { continue };
            if maker(name).is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
                remove(name);
                // It is in one of the places only.
                let _ = fs::write(Path::new(BINFMT).join(name), "-1");
                let _ = fs::remove_dir_all(temporary.join(name));
            }
        }
    }
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
}
