//! Files of this distro that describe its network.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags, statx};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// `/etc/resolv.conf`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvConf {
    /// Its text; `None` if there is no such file, or the link leads nowhere.
    pub text: Option<String>,
    /// Its target, if it is a symbolic link.
    pub link: Option<String>,
    /// Whether the file has the immutable bit (`chattr +i`).
    pub immutable: bool,
    /// Whether the file's mode lets only its owner and group read it.
    pub private: bool,
}

/// Most bytes of a file that are read: none of these files needs more.
const MOST: u64 = 256 * 1024;

/// The text of a file, if it exists and this user may read it. Links are followed, as other
/// programs do; a pipe does not block.
#[must_use]
pub fn text(path: &Path) -> Option<String> {
    let file = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let file = fs::File::from(file.ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MOST).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

/// `/etc/resolv.conf`, or another file in its place.
#[must_use]
pub fn resolv_conf(path: &Path) -> ResolvConf {
    ResolvConf {
        text: text(path),
        link: fs::read_link(path).ok().map(|to| to.display().to_string()),
        immutable: is_immutable(path),
        private: fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 == 0),
    }
}

/// Whether a file, or the target of a link, has the immutable bit. False if the file system does
/// not say.
fn is_immutable(path: &Path) -> bool {
    let attributes = statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS);
    attributes.is_ok_and(|file| file.stx_attributes.contains(StatxAttributes::IMMUTABLE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_resolv_conf_is_read_through_its_link_and_a_dangling_one_is_reported() {
        let folder =
            std::env::temp_dir().join(format!("underpass-doctor-files-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (link, file) = (folder.join("resolv.conf"), folder.join("real"));
        symlink("real", &link).unwrap();
        let dangling = resolv_conf(&link);
        assert_eq!(
            (dangling.text, dangling.link.as_deref(), dangling.immutable),
            (None, Some("real"), false)
        );
        fs::write(&file, "nameserver 192.0.2.1\n").unwrap();
        assert_eq!(resolv_conf(&link).text.as_deref(), Some("nameserver 192.0.2.1\n"));
        assert_eq!(resolv_conf(&file).link, None);
        for (mode, private) in [(0o600, true), (0o640, true), (0o644, false)] {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(resolv_conf(&link).private, private, "{mode:o}");
        }
        // The bit needs root and a file system that supports it.
        let set = std::process::Command::new("chattr").arg("+i").arg(&file).status();
        if set.is_ok_and(|status| status.success()) {
            let immutable = resolv_conf(&link).immutable;
            let cleared = std::process::Command::new("chattr").arg("-i").arg(&file).status();
            assert!(cleared.is_ok_and(|status| status.success()));
            assert!(immutable);
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}
