//! How far a file system's statements about its files can be trusted.

use crate::is_own;
use rustix::fs::fstatfs;
use std::fs;
use std::os::fd::{AsFd, AsRawFd as _};

/// The users that may have chosen the content of a file system, and its statements about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileSystem {
    /// The stated owners of files are real.
    Plain,
    /// A Windows drive: every user may have written anything on it.
    Drive,
    /// FUSE that another user mounted, whose program may state anything.
    OfStranger,
}

/// 9p and FUSE (Linux, `include/uapi/linux/magic.h`: `V9FS_MAGIC`, `FUSE_SUPER_MAGIC`).
const V9FS: u32 = 0x0102_1997;
const FUSE: u32 = 0x6573_5546;

/// The file system that a file is on. WSL shows Windows' drives by 9p or virtiofs (microsoft/WSL,
/// `src/linux/init/drvfs.cpp`), which only root can mount. virtiofs has FUSE's number, and so has a
/// mount of any user by fusermount3(1).
pub(crate) fn file_system(fd: impl AsFd) -> FileSystem {
    match fstatfs(&fd).map(|found| u32::try_from(found.f_type)) {
        Ok(Ok(V9FS)) => FileSystem::Drive,
        Ok(Ok(FUSE)) => {
            // proc_pid_fdinfo(5), proc_pid_mountinfo(5)
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))
                .unwrap_or_default();
            let mount = info
                .lines()
                .find_map(|line| line.strip_prefix("mnt_id:"))
                .unwrap_or_default()
                .trim();
            of_mount(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(), mount)
        }
        Ok(_) => FileSystem::Plain,
        Err(_) => FileSystem::OfStranger,
    }
}

/// The kind of a FUSE mount, by its number in a mountinfo: its type is between a dash and its
/// source, and the options of the file system follow.
fn of_mount(mountinfo: &str, id: &str) -> FileSystem {
    let line = mountinfo.lines().find(|line| line.split(' ').next() == Some(id));
    let mut words =
        line.and_then(|line| line.split_once(" - ")).map_or("", |(_, words)| words).split(' ');
    let (kind, options) = (words.next(), words.nth(1).unwrap_or_default());
    // Linux' Documentation/filesystems/fuse.rst: `user_id` is the user who mounted it.
    let owner = options.split(',').find_map(|option| option.strip_prefix("user_id=")?.parse().ok());
    match (kind, owner) {
        (Some("virtiofs"), _) => FileSystem::Drive,
        (Some(_), Some(owner)) if is_own(owner) => FileSystem::Plain,
        _ => FileSystem::OfStranger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_root_mounts_as_wsl_does_is_a_drive() {
        let me = rustix::process::geteuid().as_raw();
        let mounts = format!(
            "30 1 0:5 / / rw - ext4 /dev/sdc rw\n\
             41 30 0:40 / /mnt/c rw,noatime - virtiofs drvfsaC rw\n\
             42 30 0:41 / /tmp/a rw,nosuid,nodev - fuse.sshfs a: \
             rw,user_id=65534,group_id=65534,allow_other\n\
             43 30 0:42 / /tmp/b rw - fuse.virtiofs b rw,user_id=65534,group_id=0,allow_other\n\
             44 30 0:43 / /tmp/virtiofs\\040-\\040virtiofs rw - fuse virtiofs \
             rw,user_id=65534,group_id=0\n\
             45 30 0:44 / /mnt/d rw - fuseblk /dev/sdd \
             rw,user_id=0,group_id=0,allow_other,blksize=4096\n\
             46 30 0:45 / /home/me/far rw - fuse.sshfs b: rw,user_id={me},group_id=0\n\
             47 30 0:46 / /odd rw - fuse\n"
        );
        for (id, expected) in [
            ("41", FileSystem::Drive),
            ("42", FileSystem::OfStranger),
            ("43", FileSystem::OfStranger),
            ("44", FileSystem::OfStranger),
            ("45", FileSystem::Plain),
            ("46", FileSystem::Plain),
            ("47", FileSystem::OfStranger),
            ("4", FileSystem::OfStranger),
            ("", FileSystem::OfStranger),
        ] {
            assert_eq!(of_mount(&mounts, id), expected, "{id}");
        }
    }

    #[test]
    fn an_ordinary_folder_is_plain_and_its_mount_is_found() {
        let folder = fs::File::open("/proc/self").unwrap();
        assert_eq!(file_system(&folder), FileSystem::Plain);
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", folder.as_raw_fd())).unwrap();
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).unwrap().trim();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(
            mounts
                .lines()
                .any(|line| line.starts_with(&format!("{id} ")) && line.contains(" - proc ")),
            "{mounts}"
        );
    }
}
