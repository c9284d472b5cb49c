//! Finds processes by a variable in their environment, which their children inherit: also those
//! with their own session, whose parents have ended. Programs started with another environment are
//! not found.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::run::plain;
use crate::wait::until;

/// A killed process is gone long before this.
const PATIENCE: Duration = Duration::from_secs(5);

/// The processes that have a variable with this value: their ids and the beginnings of their
/// command lines. Zombies have no environment any more.
#[must_use]
pub fn processes(variable: &str, value: &str) -> Vec<(u32, String)> {
    let wanted = format!("{variable}={value}");
    let is_marked = |pid: &u32| {
        let environment = fs::read(Path::new("/proc").join(pid.to_string()).join("environ"));
        let environment = environment.unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let line = |pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (pid, line.chars().take(200).collect())
    };
    pids.filter(is_marked).map(line).collect()
}

/// Kills all of them, and those that they start meanwhile. Returns whether all are gone.
pub fn end(variable: &str, value: &str) -> bool {
    until(PATIENCE, || {
        let pids: Vec<String> =
            processes(variable, value).iter().map(|(pid, _)| pid.to_string()).collect();
        if !pids.is_empty() {
            // `kill` complains about a process that has ended since.
            let _ = plain("kill").arg("-KILL").args(&pids).stderr(Stdio::null()).status();
        }
        pids.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_is_found_by_what_its_parent_had_and_ended() {
        let value = std::process::id().to_string();
        let mut child = Command::new("sh");
        child.args(["-c", "setsid sleep 1000 & wait"]).env("UNDERPASS_LAB_MARK", &value);
        let mut child = child.spawn().unwrap();
        let found = || processes("UNDERPASS_LAB_MARK", &value);
        assert!(
            until(PATIENCE, || found().iter().any(|(_, line)| line == "sleep 1000 ")),
            "{:?}",
            found()
        );
        assert!(processes("UNDERPASS_LAB_MARK", "").is_empty());
        assert!(end("UNDERPASS_LAB_MARK", &value));
        assert_eq!(found(), []);
        assert!(!child.wait().unwrap().success());
    }
}
