//! The system calls that a confined process may make, as a filter for the kernel (seccomp(2)): any
//! other call kills the process at once. The lists follow from what the process does; each group
//! has a comment. The tests show that they are complete with the C library of Debian.
//!
//! They cover what the process does after its start. So the event loop is made before, and the
//! supervisor starts Windows programs, which would inherit such a filter.

use super::Role;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    /// It cannot be built.
    #[error(transparent)]
    Backend(#[from] seccompiler::BackendError),
    /// The kernel refuses it.
    #[error(transparent)]
    Kernel(#[from] seccompiler::Error),
}

/// A call that is allowed only with certain arguments: the number of the argument, a mask, and its
/// value under that mask.
type Narrow = (libc::c_long, u8, u64, u64);

/// Both roles: sockets, the event loop, memory, time, and an end with or without a panic.
const COMMON: &[libc::c_long] = &[
    // The links, and standard error.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_getsockopt,
    libc::SYS_shutdown,
    libc::SYS_close,
    // The event loop; registering a descriptor looks at its kind and its flags.
    libc::SYS_epoll_ctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    // Memory.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Time, if the vDSO lacks it; locks; the hasher's keys.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    // The end, also by a panic, and the backtrace of one.
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_lseek,
    libc::SYS_getcwd,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    libc::SYS_readlinkat,
];

/// In addition, for the keeper of the routes: netlink.
const NETWORK: &[libc::c_long] =
    &[libc::SYS_bind, libc::SYS_getsockname, libc::SYS_setsockopt, libc::SYS_openat];

/// The flags of opening for writing and of making files, with and without a name.
const WRITING: u64 =
    (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | 0o20_000_000) as u64;

/// Memory is never made code.
const NARROW: &[Narrow] = &[
    (libc::SYS_mmap, 2, libc::PROT_EXEC as u64, 0),
    (libc::SYS_mprotect, 2, libc::PROT_EXEC as u64, 0),
    // How the standard library makes a socket non-blocking.
    (libc::SYS_ioctl, 1, u32::MAX as u64, libc::FIONBIO),
];

/// The engine opens files only for a backtrace.
const NARROW_ENGINE: &[Narrow] = &[(libc::SYS_openat, 2, WRITING, 0)];

const NARROW_NETWORK: &[Narrow] =
    &[(libc::SYS_socket, 0, u32::MAX as u64, libc::AF_NETLINK as u64)];

fn lists(role: Role) -> (Vec<libc::c_long>, Vec<Narrow>) {
    let (calls, narrow) = match role {
        Role::Engine => (&[][..], NARROW_ENGINE),
        Role::Network => (NETWORK, NARROW_NETWORK),
    };
    ([COMMON, calls].concat(), [NARROW, narrow].concat())
}

/// Has the kernel kill this process at any call that is not in its role's lists.
///
/// # Errors
/// See [`FilterError`].
pub(super) fn allow_only(role: Role) -> Result<(), FilterError> {
    let (calls, narrow) = lists(role);
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        calls.into_iter().map(|call| (call, Vec::new())).collect();
    for (call, argument, mask, value) in narrow {
        let length = SeccompCmpArgLen::Qword;
        let condition =
            SeccompCondition::new(argument, length, SeccompCmpOp::MaskedEq(mask), value)?;
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let (other, listed) = (SeccompAction::KillProcess, SeccompAction::Allow);
    let filter = SeccompFilter::new(rules, other, listed, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_role_has_more_than_sixty_calls_and_none_that_starts_a_program() {
        for role in Role::ALL {
            let (calls, narrow) = lists(role);
            let all: Vec<_> =
                calls.iter().copied().chain(narrow.iter().map(|(call, ..)| *call)).collect();
            assert_eq!(
                all.iter().collect::<BTreeSet<_>>().len(),
                all.len(),
                "{role:?}: a call is in it twice"
            );
            assert!(all.len() <= 60, "{role:?}: {}", all.len());
            for forbidden in [
                libc::SYS_execve,
                libc::SYS_execveat,
                libc::SYS_clone,
                libc::SYS_clone3,
                libc::SYS_ptrace,
            ] {
                assert!(!all.contains(&forbidden), "{role:?}: {forbidden}");
            }
        }
    }
}
