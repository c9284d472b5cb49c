//! The system call for which a process was killed, from the kernel's log: a record of type
//! AUDIT_SECCOMP (linux/audit.h: 1326), which the kernel writes there if no audit daemon runs.

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::read;
use std::time::Duration;

/// The kernel's log, a record for each read (Documentation/ABI/testing/dev-kmsg).
const LOG: &str = "/dev/kmsg";

/// Bytes of the longest record (PRINTK_MESSAGE_MAX in kernel/printk).
const RECORD: usize = 2048;

/// How often the log is read, and after what pauses: another thread of the kernel writes the
/// record.
const LOOKS: (u32, Duration) = (10, Duration::from_millis(20));

/// The number of the call for which a process was killed, if the log has it.
pub(super) async fn call_of(pid: u32) -> Option<u32> {
    for _ in 0..LOOKS.0 {
        if let Some(call) = look(pid) {
            return Some(call);
        }
        tokio::time::sleep(LOOKS.1).await;
    }
    None
}

fn look(pid: u32) -> Option<u32> {
    let log =
        open(LOG, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut last = None;
    let mut record = [0; RECORD];
    loop {
        match read(&log, &mut record) {
            Ok(0) => return last,
            Ok(n) => last = call_in(&String::from_utf8_lossy(&record[..n]), pid).or(last),
            // The record was overwritten before it was read.
            Err(Errno::EPIPE | Errno::EINTR) => {}
            // No more records, or no right to read them.
            Err(_) => return last,
        }
    }
}

fn call_in(record: &str, pid: u32) -> Option<u32> {
    let of = |name: &str| {
        record.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    if of("type") != Some("1326") || of("pid")?.parse() != Ok(pid) {
        return None;
    }
    of("syscall")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_is_read_from_the_record_of_that_process_alone() {
        let record = "5,812,41678000176,-;audit: type=1326 audit(1796023796.537:9): \
                      auid=4294967295 uid=0 gid=0 ses=7 pid=10003 comm=\"a b\" exe=\"/x\" sig=31 \
                      arch=c000003e syscall=41 compat=0 ip=0x7f code=0x80000000\n";
        assert_eq!((call_in(record, 10_003), call_in(record, 1000)), (Some(41), None));
        assert_eq!(call_in(&record.replace("1326", "1327"), 10_003), None);
    }
}
