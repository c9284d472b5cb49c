//! The memory of idle connections. The kernel's own count of a process is the measure, so the test
//! starts itself again with the gateway's settings of the allocator. Large blocks then come fresh
//! from the kernel, never from the end of the heap, which `calloc` would have to clear and thereby
//! touch.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
use common::raw::*;
use std::process::Command;
use std::time::Duration;
use underpass_stack::*;

const FLOWS: u16 = 2000;
const CHILD: &str = "UNDERPASS_MEMORY_CHILD";

fn resident_kib() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends one request of `bytes` on each of many connections and reads its answer, then idles.
/// Returns KiB per connection.
fn idle_cost(bytes: usize) -> usize {
    let mut raw = Raw::new(Offload::Vnet);
    let before = resident_kib();
    for port in 0..FLOWS {
        let mut conn = raw.open(10_000 + port, 1000);
        for part in vec![1; bytes].chunks(16_000) {
            raw.say(&mut conn, ACK, part);
            assert_eq!(raw.read(&conn), part);
            assert_eq!(raw.stack.write(conn.flow, part), part.len());
            raw.turn();
            conn.ack = conn.ack.wrapping_add(u32::try_from(part.len()).unwrap());
            raw.say(&mut conn, ACK, &[]);
        }
        raw.events.clear();
    }
    for _ in 0..2 {
        raw.wait(limits::IDLE_RINGS + Duration::from_millis(1));
        raw.turn();
    }
    assert_eq!(raw.stack.stats().flows, usize::from(FLOWS));
    resident_kib().saturating_sub(before) / usize::from(FLOWS)
}

#[test]
fn idle_connections_cost_little() {
    if let Ok(bytes) = std::env::var(CHILD) {
        println!("cost={}", idle_cost(bytes.parse().unwrap()));
        return;
    }
    for bytes in ["500", "60000"] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "idle_connections_cost_little", "--nocapture"])
            .env(CHILD, bytes)
            .env("MALLOC_MMAP_THRESHOLD_", "16384")
            .env("MALLOC_TOP_PAD_", "0")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let cost = text
            .split("cost=")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next()?.parse::<usize>().ok());
        // 8 KiB are the two pages with glibc's own headers of the rings. The gateway's allocator
        // has no such headers.
        assert!(
            cost.is_some_and(|kib| (1..=10).contains(&kib)),
            "{bytes} bytes: {cost:?} KiB a flow; {text}"
        );
    }
}
