//! The test programs in the messages that cargo printed, and the tests in each.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// A test program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Package and target: `lab/tcp`, `gateway/net`; for the unit tests of a library just
    /// `gateway`. The package's name is that of its folder.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The package's folder, in which cargo runs its tests.
    pub(crate) folder: PathBuf,
}

/// The test programs of a file with cargo's messages (`--message-format=json`).
///
/// # Errors
/// The file cannot be read, or has no test program.
pub(crate) fn programs(messages: &Path) -> Result<Vec<Program>, String> {
    let text =
        std::fs::read_to_string(messages).map_err(|e| format!("{}: {e}", messages.display()))?;
    let programs: Vec<Program> = text.lines().filter_map(program).collect();
    if programs.is_empty() {
        return Err(format!("{} names no test program", messages.display()));
    }
    Ok(programs)
}

/// The test program of one message (The Cargo Book, "External tools", artifact messages), if it is
/// one.
fn program(line: &str) -> Option<Program> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let path = PathBuf::from(message["executable"].as_str()?);
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    let package = folder.file_name()?.to_str()?.to_owned();
    let target = message["target"]["name"].as_str()?;
    let is_library = message["target"]["kind"].as_array()?.iter().any(|kind| kind == "lib");
    let name = if is_library { package } else { format!("{package}/{target}") };
    Some(Program { name, path, folder })
}

impl Program {
    /// The names of its tests, as `--list` prints them.
    ///
    /// # Errors
    /// It cannot be run, or prints something else.
    pub(crate) fn tests(&self) -> Result<Vec<String>, String> {
        let mut command = Command::new(&self.path);
        command
            .args(["--list", "--format", "terse"])
            .current_dir(&self.folder)
            .stdin(Stdio::null());
        let output = command.output().map_err(|e| format!("{}: {e}", self.path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let names: Option<Vec<String>> =
            text.lines().map(|line| line.strip_suffix(": test").map(str::to_owned)).collect();
        let listed = names.filter(|_| output.status.success());
        listed.ok_or_else(|| format!("{} --list: {output:?}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, target: &str, is_test: bool) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/x/crates/wire/Cargo.toml","executable":"/t/{target}-1",
            "target":{{"kind":["{kind}"],"name":"{target}"}},"profile":{{"test":{is_test}}}}}"#
        )
    }

    #[test]
    fn only_test_programs_are_taken_and_named_after_package_and_target() {
        let name = |line: &str| program(line).map(|program| program.name);
        assert_eq!(name(&message("lib", "underpass_wire", true)).as_deref(), Some("wire"));
        assert_eq!(name(&message("test", "frames", true)).as_deref(), Some("wire/frames"));
        assert_eq!(name(&message("bin", "frames", false)), None, "a program");
        for other in ["", "warning: unused", r#"{"reason":"build-finished","success":true}"#] {
            assert_eq!(name(other), None, "{other}");
        }
    }
}
