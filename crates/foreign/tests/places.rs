//! The links that are followed, the files that are read, and the entries that are left alone.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use foreign::{FileTraits, Folder, Removal, located, trusted_folders, write_output};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("underpass-foreign-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Gives a path to an unprivileged user; false if that is impossible.
fn given_away(path: &Path) -> bool {
    let given = lchown(path, Some(65534), Some(65534)).is_ok();
    assert!(
        given || std::env::var("CI").as_deref() != Ok("true"),
        "only root can give a file away"
    );
    given
}

#[test]
fn ones_own_links_are_followed_and_those_of_others_are_not() {
    let scratch = Scratch::new("links");
    fs::create_dir_all(scratch.path("real/sub")).unwrap();
    symlink("real", scratch.path("link")).unwrap();
    symlink(scratch.path("real/../link"), scratch.path("again")).unwrap();
    let real = fs::canonicalize(scratch.path("real/sub")).unwrap();
    for way in ["real/sub", "link/sub", "again/sub", "real/./sub/../sub"] {
        assert_eq!(Folder::open(&scratch.path(way)).unwrap().path(), real, "{way}");
    }
    symlink("loop", scratch.path("loop")).unwrap();
    assert!(Folder::open(&scratch.path("loop")).is_err());
    fs::write(scratch.path("real/file"), "one").unwrap();
    symlink("../real/file", scratch.path("real/named")).unwrap();
    let (folder, name) = located(&scratch.path("link/named")).unwrap();
    assert_eq!((folder.path(), name.to_str()), (real.parent().unwrap(), Some("file")));
    assert!(
        matches!(folder.read("named", 10), Err(error) if error.raw_os_error() == Some(40)),
        "never by reading"
    );
    if given_away(&scratch.path("link")) && given_away(&scratch.path("real/named")) {
        for way in ["link/sub", "again/sub"] {
            let refused = Folder::open(&scratch.path(way)).unwrap_err().to_string();
            assert!(refused.contains("a link of user 65534"), "{refused}");
        }
        assert!(located(&scratch.path("real/named")).is_err());
        // A report replaces it.
        write_output(&scratch.path("real/named"), b"two").unwrap();
        assert_eq!(fs::read_to_string(scratch.path("real/file")).unwrap(), "one");
        assert_eq!(fs::read_to_string(scratch.path("real/named")).unwrap(), "two");
    }
}

#[test]
fn only_regular_files_of_a_bounded_size_are_read() {
    let scratch = Scratch::new("read");
    fs::write(scratch.path("file"), "12345").unwrap();
    fs::create_dir(scratch.path("folder")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scratch.path("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let folder = Folder::open(&scratch.0).unwrap();
    assert_eq!(folder.read("file", 5).unwrap().unwrap().bytes, b"12345");
    assert_eq!(folder.read("file", 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
    assert_eq!(folder.read("none", 4).unwrap(), None);
    // Opening a pipe without a writer would block forever.
    assert!(folder.read("pipe", 4).is_err() && folder.read("folder", 4).is_err());
}

#[test]
fn a_file_is_replaced_with_its_traits_and_nothing_is_left_where_that_fails() {
    let scratch = Scratch::new("replace");
    let folder = Folder::open(&scratch.0).unwrap();
    folder.replace("file", FileTraits::of_mode(0o640), |file| file.write_all(b"one")).unwrap();
    assert_eq!(fs::metadata(scratch.path("file")).unwrap().mode() & 0o7777, 0o640);
    let failed =
        folder.replace("file", FileTraits::of_mode(0o600), |_| Err(ErrorKind::StorageFull.into()));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(scratch.path("file")).unwrap(), "one");
    // A report keeps the permissions that a file had, and a person's link.
    symlink("file", scratch.path("link")).unwrap();
    write_output(&scratch.path("link"), b"two").unwrap();
    assert_eq!(fs::read_to_string(scratch.path("file")).unwrap(), "two");
    assert_eq!(fs::metadata(scratch.path("file")).unwrap().mode() & 0o7777, 0o640);
    write_output(Path::new("/dev/null"), b"two").unwrap();
    assert!(!fs::symlink_metadata("/dev/null").unwrap().is_file());
}

#[test]
fn root_uses_nothing_that_may_have_been_given_a_second_name() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scratch = Scratch::new("names");
    let folder = Folder::open(&scratch.0).unwrap();
    fs::write(scratch.path("secret"), "one").unwrap();
    symlink("secret", scratch.path("link")).unwrap();
    assert!(folder.append("secret").is_ok() && located(&scratch.path("link")).is_ok());
    for (old, new) in [("secret", "log"), ("link", "settings")] {
        fs::hard_link(scratch.path(old), scratch.path(new)).unwrap();
    }
    assert_eq!(folder.append("log").unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(located(&scratch.path("settings")).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn a_pipe_does_not_block_and_a_device_is_not_replaced() {
    let scratch = Scratch::new("pipe");
    let folder = Folder::open(&scratch.0).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(scratch.path("pipe")).status();
    assert!(pipe.unwrap().success());
    assert!(folder.append("pipe").is_err() && folder.open_file("pipe").is_err());
    symlink("/dev/null", scratch.path("report")).unwrap();
    write_output(&scratch.path("report"), b"two").unwrap();
    assert!(!fs::symlink_metadata("/dev/null").unwrap().is_file());
    assert!(fs::symlink_metadata(scratch.path("report")).unwrap().is_symlink());
}

#[test]
fn a_tree_is_removed_up_to_a_bound() {
    let scratch = Scratch::new("remove");
    fs::create_dir_all(scratch.path("tree/a/b/c")).unwrap();
    fs::write(scratch.path("tree/a/file"), "").unwrap();
    fs::create_dir(scratch.path("kept")).unwrap();
    symlink("../../kept", scratch.path("tree/a/link")).unwrap();
    let folder = Folder::open(&scratch.0).unwrap();
    for mut most in [Removal { entries: 3, depth: 9 }, Removal { entries: 99, depth: 2 }] {
        assert_eq!(
            folder.remove_all("tree", &mut most).unwrap_err().kind(),
            ErrorKind::QuotaExceeded
        );
    }
    folder.remove_all("tree", &mut Removal::default()).unwrap();
    folder.remove_all("tree", &mut Removal::default()).unwrap();
    assert_eq!(folder.names().unwrap(), ["kept"]);
}

#[test]
fn a_folder_is_trusted_that_no_other_user_can_write_to() {
    let scratch = Scratch::new("trust");
    let trusted = || Folder::open(&scratch.0).unwrap().is_trusted().unwrap();
    for (mode, is) in [(0o755, true), (0o700, true), (0o777, false), (0o1777, false)] {
        fs::set_permissions(&scratch.0, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(trusted(), is, "{mode:o}");
        if rustix::process::geteuid().is_root() {
            let path =
                std::env::join_paths([Path::new("relative"), &scratch.0, Path::new("/usr/bin")])
                    .unwrap();
            let kept = trusted_folders(&path);
            let own = if is {
                format!("{}:/usr/bin", scratch.0.display())
            } else {
                "/usr/bin".to_owned()
            };
            assert_eq!(kept.to_str(), Some(own.as_str()), "{mode:o}");
        }
    }
    fs::set_permissions(&scratch.0, fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        // Root's own link in a folder where every user can replace it.
        let inner = scratch.path("open/inner");
        fs::create_dir_all(&inner).unwrap();
        let kept = |mode| {
            fs::set_permissions(scratch.path("open"), fs::Permissions::from_mode(mode)).unwrap();
            trusted_folders(inner.as_os_str())
        };
        assert_eq!(kept(0o1777), inner);
        assert_eq!(
            kept(0o777),
            "/usr/sbin:/usr/bin:/sbin:/bin",
            "not the current folder, which an empty PATH means"
        );
    }
    if given_away(&scratch.0) {
        assert!(!trusted());
    }
}
