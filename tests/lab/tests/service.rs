//! `underpass service`: the unit is written, enabled and removed; what it runs does what systemd expects. systemd itself is played by scripts.

use lab::scene::Scratch;
use lab::tunnel::programs;
use lab::{Finished, lab_or_skip};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The folders that the command uses, laid over those of the machine: `$1` has them.
const OVER: &str = r#"
mkdir -p /etc/systemd /run/systemd
mount --bind "$1/etc" /etc/systemd
mount --bind "$1/run" /run/systemd
shift
exec "$@"
"#;

/// A machine with a pretend systemd, whose `systemctl` writes down how it is called.
struct Machine(Scratch);

impl Machine {
    fn new() -> Self {
        let machine = Self(Scratch::new());
        for folder in ["etc/system", "run/system", "bin"] {
            let made = fs::create_dir_all(machine.0.path(folder));
            assert!(made.is_ok(), "{made:?}");
        }
        machine.program(
            "systemctl",
            "echo \"$@\" >>\"${0%/*}/../calls\"\n[ \"$1\" = is-active ] && echo active\nexit 0\n",
        );
        machine
    }

    /// A script that is found before the machine's own programs.
    fn program(&self, name: &str, text: &str) {
        let _path = self.0.file(&format!("bin/{name}"), &format!("#!/bin/sh\n{text}"));
    }

    fn run(&self, words: &[&str]) -> Finished {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", OVER, "sh", &self.0.path("")]).args(words);
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}:/usr/sbin:/sbin", self.0.path("bin")));
        let output = command.output().unwrap_or_else(|error| panic!("{words:?}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Finished { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    fn service(&self, words: &[&str]) -> Finished {
        let program = programs().join("underpass").display().to_string();
        self.run(&[&[program.as_str(), "service"], words].concat())
    }

    fn unit(&self) -> String {
        self.0.read("etc/system/underpass.service")
    }

    /// What a line of the unit runs, as systemd reads it.
    fn command(&self, key: &str) -> String {
        let unit = self.unit();
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap_or_default();
        line.trim_start_matches('-').replace("$$", "$")
    }
}

#[test]
fn a_service_is_installed_told_and_removed() {
    if lab_or_skip().is_none() {
        return;
    }
    let machine = Machine::new();
    assert_eq!(machine.service(&["status"]).code, Some(1), "there is none yet");
    let installed = machine.service(&["install", "--distro", "helper-2"]);
    assert!(installed.succeeded() && installed.stdout.contains("installed"), "{installed:?}");
    assert!(machine.unit().contains("-d \"helper-2\""), "{}", machine.unit());
    assert!(machine.service(&["install"]).succeeded(), "again, with another distro");
    assert!(machine.unit().contains("-d \"underpass\""), "{}", machine.unit());
    let told = machine.service(&["status"]);
    assert!(told.succeeded() && told.stdout.contains("active"), "{told:?}");
    let calls = machine.0.read("calls");
    assert!(calls.contains("daemon-reload\nenable --now --no-block underpass.service\n"), "{calls}");
    let removed = machine.service(&["remove"]);
    assert!(removed.succeeded(), "{removed:?}");
    assert_eq!(machine.unit(), "");
    assert!(
        machine.0.read("calls").ends_with("disable --now underpass.service\ndaemon-reload\n"),
        "{}",
        machine.0.read("calls")
    );
    let again = machine.service(&["remove"]);
    assert!(again.code == Some(1) && again.stderr.contains("not installed"), "{again:?}");
}

#[test]
fn what_cannot_be_done_is_told_and_nothing_of_others_is_touched() {
    if lab_or_skip().is_none() {
        return;
    }
    let machine = Machine::new();
    let foreign = "[Unit]\nDescription=of somebody else\n";
    let written = fs::write(machine.0.path("etc/system/underpass.service"), foreign);
    assert!(written.is_ok(), "{written:?}");
    for (words, why) in [
        (&["install"][..], "is there already"),
        (&["remove"], "was not written by this command"),
        (&["install", "--distro", "a b\"; reboot"], "no name of a distro"),
    ] {
        let done = machine.service(words);
        assert!(done.code == Some(1) && done.stderr.contains(why), "{words:?}: {done:?}");
        assert_eq!(machine.unit(), foreign, "{words:?}");
    }
    let none = Machine::new();
    assert!(fs::remove_dir(none.0.path("run/system")).is_ok());
    let done = none.service(&["install"]);
    assert!(done.code == Some(1) && done.stderr.contains("systemd=true"), "{done:?}");
    assert_eq!(none.unit(), "");
    none.program("systemctl", "echo 'Access denied' >&2\nexit 1\n");
    assert!(fs::create_dir(none.0.path("run/system")).is_ok());
    let done = none.service(&["install"]);
    assert!(
        done.code == Some(1) && done.stderr.contains("`systemctl daemon-reload` failed: Access denied"),
        "{done:?}"
    );
}

#[test]
fn the_unit_tells_systemd_when_traffic_flows_and_ends_with_the_tunnel() {
    if lab_or_skip().is_none() {
        return;
    }
    let machine = Machine::new();
    assert!(machine.service(&["install"]).succeeded());
    machine.program("systemd-notify", "echo \"$@\" >>\"${0%/*}/../notified\"\n");
    let wsl = machine.0.file(
        "wsl.exe",
        "#!/bin/sh\necho \"$@\" >>\"${0%/*}/asked\"\necho 'a warning' >&2\necho 'underpass: up on underpass0'\necho 'and more'\n",
    );
    let command = machine.command("ExecStart").replace("/mnt/c/Windows/System32/wsl.exe", &wsl);
    assert!(command.contains(&wsl), "{}", machine.unit());
    let done = machine.run(&["sh", "-c", &command]);
    assert!(done.succeeded(), "{done:?}");
    assert_eq!(done.stdout, "a warning\nunderpass: up on underpass0\nand more\n", "the journal has all of it");
    assert_eq!(machine.0.read("notified"), "--ready\n", "once, and by that line");
    assert_eq!(machine.0.read("asked"), "-d underpass --cd / --exec /usr/bin/underpass up --attach\n");
    // The repair of the kernel's entry, for a machine that has none.
    let entries = machine.0.path("binfmt");
    assert!(fs::create_dir(&entries).is_ok());
    let repair = machine.command("ExecStartPre").replace("/proc/sys/fs/binfmt_misc", &entries);
    assert!(machine.run(&["sh", "-c", &repair]).succeeded());
    assert_eq!(
        fs::read_to_string(Path::new(&entries).join("register")).ok().as_deref(),
        Some(":WSLInterop:M::MZ::/init:FP\n")
    );
    // One that is there is switched on, and not registered again: the kernel would refuse that.
    let entry = Path::new(&entries).join("WSLInterop");
    assert!(fs::write(&entry, "").and_then(|()| fs::remove_file(Path::new(&entries).join("register"))).is_ok());
    assert!(machine.run(&["sh", "-c", &repair]).succeeded());
    assert_eq!(fs::read_to_string(entry).ok().as_deref(), Some("1\n"));
    assert!(!Path::new(&entries).join("register").exists());
}
