//! The privileges of the gateway's processes, as the kernel shows them to the supervisor
//! (/proc/PID/status, proc(5)), for `underpass status`.

use super::Role;
use super::confine::Confined;
use crate::status::ProcessPrivileges;
use rustix::thread::CapabilitySet;
use std::fs;

/// Of a confined process.
pub(super) fn of(role: Role, pid: u32, confined: &Confined) -> ProcessPrivileges {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let seen = read(&text, role.name().to_owned(), pid);
    ProcessPrivileges { landlock: confined.landlock, missing: confined.missing.clone(), ..seen }
}

/// Of this process.
pub(super) fn of_supervisor() -> ProcessPrivileges {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    read(&text, "underpass".to_owned(), std::process::id())
}

/// The privileges in a text of /proc/PID/status.
fn read(text: &str, process: String, pid: u32) -> ProcessPrivileges {
    let words = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().split_whitespace().collect::<Vec<_>>()
    };
    let first = |name: &str| words(name).first().copied().unwrap_or_default();
    let effective = u64::from_str_radix(first("CapEff"), 16).unwrap_or_default();
    let capabilities = CapabilitySet::from_bits_retain(effective);
    ProcessPrivileges {
        process,
        pid,
        // The second of the four is the effective one.
        user: words("Uid").get(1).and_then(|user| user.parse().ok()).unwrap_or_default(),
        capabilities: capabilities.iter_names().map(|(name, _)| name.to_owned()).collect(),
        no_new_privs: first("NoNewPrivs") == "1",
        // SECCOMP_MODE_FILTER.
        seccomp: first("Seccomp") == "2",
        landlock: None,
        missing: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_text_is_read_by_its_names() {
        let text = "Name:\tunderpass\nUid:\t7\t65531\t8\t9\nNoNewPrivs:\t1\n\
                    CapPrm:\t000001ffffffffff\n\
                    CapEff:\t0000000000001000\nSeccomp:\t2\nSeccomp_filters:\t1\n";
        let seen = read(text, "x".to_owned(), 3);
        assert_eq!((seen.user, seen.no_new_privs, seen.seccomp), (65_531, true, true));
        assert_eq!(seen.capabilities, ["NET_ADMIN"]);
        let open =
            read("Uid:\t0\t0\t0\t0\nNoNewPrivs:\t0\nCapEff:\t0\nSeccomp:\t0\n", "x".to_owned(), 3);
        assert_eq!((open.user, open.no_new_privs, open.seccomp), (0, false, false));
        assert_eq!(open.capabilities, [""; 0]);
    }
}
