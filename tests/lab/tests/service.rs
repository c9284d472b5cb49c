//! `underpass service`: it writes, enables and removes the unit; its service does what systemd
//! expects. Scripts play systemd, and in most tests Windows.

use lab::built::programs;
use lab::helper::{log, peek, pretend_wsl};
use lab::scene::{PATIENCE, Scratch};
use lab::wsl::{Distro, Wsl};
use lab::{Finished, lab_or_skip, until};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::Command;

/// The folders that the command uses, laid over those of the machine: `$1` has them. `/run` is a
/// new one, since all other tests take a machine with `/run/WSL` for a WSL. An entry for Windows
/// programs exists, so that none is written into the machine's own list.
const OVER: &str = r#"
mkdir -p /etc/systemd
mount -t tmpfs run /run
mkdir /run/systemd /run/WSL
mount --bind "$1/etc" /etc/systemd
mount --bind "$1/run" /run/systemd
mount --bind "$1/wsl" /run/WSL
mount --bind "$1/local" /usr/local/lib
mount --bind "$1/binfmt" /proc/sys/fs/binfmt_misc
shift
exec "$@"
"#;

/// The copy of the command that the unit runs.
const COPY: &str = "local/underpass/underpass";

/// WSL's own program that starts Windows programs, as far as a script can be one: its arguments are
/// the program's path, its name, and its arguments.
const INIT: &str = "#!/bin/sh\nprogram=$1\nshift 2\nexec /bin/sh \"$program\" \"$@\"\n";

/// A machine with a pretend systemd, whose `systemctl` records its calls.
struct Machine(Scratch);

impl Machine {
    fn new() -> Self {
        let machine = Self(Scratch::new());
        for folder in ["etc/system", "run/system", "bin", "wsl", "local", "binfmt"] {
            let made = fs::create_dir_all(machine.0.path(folder));
            assert!(made.is_ok(), "{made:?}");
        }
        let init = machine.0.file("bin/init", INIT);
        // The kernel's entry for Windows programs, in the kernel's form.
        let entry = format!("enabled\ninterpreter {init}\nflags: PF\noffset 0\nmagic 4d5a\n");
        let _files = (
            machine.0.file("binfmt/status", "enabled\n"),
            machine.0.file("binfmt/WSLInterop", &entry),
        );
        // Root starts nothing from a folder that every user may write to, which some umasks cause.
        let bin = fs::set_permissions(machine.0.path("bin"), fs::Permissions::from_mode(0o755));
        assert!(bin.is_ok(), "{bin:?}");
        machine.program(
            "systemctl",
            "echo \"$@\" >>\"${0%/*}/../calls\"\n[ \"$1\" = is-active ] && echo active\nexit 0\n",
        );
        machine
    }

    /// A script that comes before the machine's own programs.
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
        Finished {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    fn service(&self, words: &[&str]) -> Finished {
        let program = programs().join("underpass").display().to_string();
        self.run(&[&[program.as_str(), "service"], words].concat())
    }

    fn unit(&self) -> String {
        self.0.read("etc/system/underpass.service")
    }

    /// The command of a unit's line, as systemd reads it.
    fn command(&self, key: &str) -> String {
        let unit = self.unit();
        let line =
            unit.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap_or_default();
        line.trim_start_matches('-').replace("$$", "$")
    }

    /// Runs the unit's command, with `script` as `wsl.exe`, and returns its notifications to
    /// systemd, too.
    fn run_service(&self, script: &str) -> (Finished, Vec<String>) {
        // It begins like a Windows program, which a shell takes for a variable.
        let _path = self.0.file("bin/wsl.exe", &format!("MZ=\n{script}"));
        let socket = self.0.path("notify");
        let systemd =
            UnixDatagram::bind(&socket).unwrap_or_else(|error| panic!("{socket}: {error}"));
        let done = self.run(&[
            "sh",
            "-c",
            &format!("NOTIFY_SOCKET={socket} {}", self.command("ExecStart")),
        ]);
        assert!(systemd.set_nonblocking(true).is_ok());
        let mut piece = [0; 64];
        let received =
            std::iter::from_fn(|| systemd.recv(&mut piece).ok().map(|n| piece[..n].to_vec()));
        let received = received.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect();
        assert!(fs::remove_file(socket).is_ok());
        (done, received)
    }
}

#[test]
fn a_service_is_installed_shown_and_removed() {
    if lab_or_skip().is_none() {
        return;
    }
    let machine = Machine::new();
    assert_eq!(machine.service(&["status"]).code, Some(1), "there is no unit yet");
    let installed = machine.service(&["install", "--distro", "helper-2"]);
    assert!(installed.succeeded() && installed.stdout.contains("installed"), "{installed:?}");
    assert!(machine.unit().contains("--distro \"helper-2\""), "{}", machine.unit());
    let copy = || fs::read(machine.0.path(COPY)).unwrap_or_default();
    assert!(
        copy() == fs::read(programs().join("underpass")).unwrap_or_default(),
        "the unit's program is this one"
    );
    assert!(machine.run(&["test", "-x", "/usr/local/lib/underpass/underpass"]).succeeded());
    let _older = machine.0.file(COPY, "an older one");
    assert!(machine.service(&["install"]).succeeded(), "again, with another distro");
    assert!(machine.unit().contains("--distro \"underpass\""), "{}", machine.unit());
    assert_ne!(copy(), b"an older one");
    let by_the_copy = machine.run(&["/usr/local/lib/underpass/underpass", "service", "install"]);
    assert!(by_the_copy.succeeded(), "{by_the_copy:?}");
    assert!(copy().starts_with(b"\x7fELF"), "a program that copies itself stays whole");
    let shown = machine.service(&["status"]);
    assert!(shown.succeeded() && shown.stdout.contains("active"), "{shown:?}");
    let calls = machine.0.read("calls");
    assert!(
        calls.contains("daemon-reload\nenable --now --no-block underpass.service\n"),
        "{calls}"
    );
    let removed = machine.service(&["remove"]);
    assert!(removed.succeeded(), "{removed:?}");
    assert_eq!(machine.unit(), "");
    assert_eq!(
        fs::read_dir(machine.0.path("local")).map_or(9, Iterator::count),
        0,
        "the copy is gone"
    );
    assert!(
        machine.0.read("calls").ends_with("disable --now underpass.service\ndaemon-reload\n"),
        "{}",
        machine.0.read("calls")
    );
    let again = machine.service(&["remove"]);
    assert!(again.code == Some(1) && again.stderr.contains("not installed"), "{again:?}");
}

#[test]
fn failures_are_reported_and_foreign_files_stay() {
    if lab_or_skip().is_none() {
        return;
    }
    let machine = Machine::new();
    let foreign = "[Unit]\nDescription=of somebody else\n";
    let written = fs::write(machine.0.path("etc/system/underpass.service"), foreign);
    assert!(written.is_ok(), "{written:?}");
    for (words, why) in [
        (&["install"][..], "exists and was not written"),
        (&["remove"], "was not written by this command"),
        (&["install", "--distro", "a b\"; reboot"], "not the name of a distro"),
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
        done.code == Some(1)
            && done.stderr.contains("`systemctl daemon-reload` failed: Access denied"),
        "{done:?}"
    );
}

#[test]
fn the_unit_notifies_systemd_when_traffic_flows_and_ends_with_the_tunnel() {
    if lab_or_skip().is_none() {
        return;
    }
    let machine = Machine::new();
    assert!(machine.service(&["install"]).succeeded());
    let script = "echo \"$@\" >>\"${0%/*}/../asked\"\necho 'a warning' >&2\necho 'underpass: up on underpass0'\n\
        echo 'and more'\nexit 3\n";
    let (done, notified) = machine.run_service(script);
    // systemd starts it again.
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(done.stdout, "underpass: up on underpass0\nand more\n", "the journal has all of it");
    assert!(
        done.stderr.starts_with("a warning\n") && done.stderr.contains("ended (exit status: 3)"),
        "{done:?}"
    );
    assert_eq!(notified, ["READY=1"], "once, and by that line");
    assert_eq!(
        machine.0.read("asked"),
        "-d underpass --cd / --exec /usr/bin/underpass up --attach\n"
    );
    // systemd ends all processes of a unit at once by default: a stop is not a failure, whichever
    // ends first.
    for _ in 0..20 {
        let (done, _) = machine.run_service("kill -TERM $PPID; exit 143\n");
        assert!(done.succeeded(), "{done:?}");
    }
    // The repair of the kernel's entry, for a machine without one.
    let entries = machine.0.path("entries");
    assert!(fs::create_dir(&entries).is_ok());
    let repair = machine.command("ExecStartPre").replace("/proc/sys/fs/binfmt_misc", &entries);
    assert!(machine.run(&["sh", "-c", &repair]).succeeded());
    assert_eq!(
        fs::read_to_string(Path::new(&entries).join("register")).ok().as_deref(),
        Some(":WSLInterop:M::MZ::/init:FP\n")
    );
    // An existing entry is switched on, and not registered again: the kernel would refuse that.
    let entry = Path::new(&entries).join("WSLInterop");
    assert!(
        fs::write(&entry, "")
            .and_then(|()| fs::remove_file(Path::new(&entries).join("register")))
            .is_ok()
    );
    assert!(machine.run(&["sh", "-c", &repair]).succeeded());
    assert_eq!(fs::read_to_string(entry).ok().as_deref(), Some("1\n"));
    assert!(!Path::new(&entries).join("register").exists());
}

#[test]
fn the_unit_starts_wsl_by_another_socket_where_the_lasting_one_is_dead() {
    if lab_or_skip().is_none() {
        return;
    }
    let machine = Machine::new();
    assert!(machine.service(&["install"]).succeeded());
    let listen = |name: &str| UnixListener::bind(machine.0.path(&format!("wsl/{name}")));
    let (lasting, session) = (listen("1_interop"), listen("4711_interop"));
    assert!(lasting.is_ok() && session.is_ok(), "{lasting:?} {session:?}");
    for words in
        ["UtilAcceptVsock:281: accept4 failed 110", "UtilConnectUnix:543: connect failed 111"]
    {
        let script = format!(
            "case $WSL_INTEROP in */1_interop) echo '<3>WSL (9 - ) ERROR: {words}' >&2; exit 1;; esac\n\
             echo \"underpass: up by $WSL_INTEROP\"\n"
        );
        let (done, notified) = machine.run_service(&script);
        assert_eq!(done.stdout, "underpass: up by /run/WSL/4711_interop\n", "{done:?}");
        assert_eq!(notified, ["READY=1"], "{done:?}");
        assert!(done.stderr.contains(words), "{done:?}");
        assert!(done.stderr.contains("no Windows program by /run/WSL/1_interop"), "{done:?}");
    }
    // If all sockets fail, it ends, and systemd starts it again.
    let script = "echo '<3>WSL (9 - ) ERROR: UtilConnectUnix:543: connect failed 111' >&2; exit 1";
    let (done, notified) = machine.run_service(script);
    assert!(done.code == Some(1) && done.stderr.contains("no other socket"), "{done:?}");
    assert_eq!((done.stderr.matches("connect failed").count(), notified.len()), (2, 0), "{done:?}");
}

#[test]
fn the_helper_distro_is_started_where_the_lasting_socket_is_stale() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    // The file of a socket whose process has ended.
    let lasting = UnixListener::bind(wsl.shared().join("1_interop"));
    assert!(lasting.is_ok(), "{lasting:?}");
    drop(lasting);
    let copied = fs::copy(programs().join("underpass"), wsl.shared().join("command"));
    assert!(copied.is_ok(), "{copied:?}");
    let socket = wsl.shared().join("notify");
    let systemd =
        UnixDatagram::bind(&socket).unwrap_or_else(|error| panic!("{}: {error}", socket.display()));
    assert!(systemd.set_read_timeout(Some(PATIENCE * 3)).is_ok());
    wsl.import(&package);
    let own = wsl.start(&Distro::machine());
    let service = own.start(
        "NOTIFY_SOCKET=/mnt/wsl/notify exec /mnt/wsl/command service run --distro underpass",
    );
    let mut said = [0; 64];
    let length = systemd.recv(&mut said).unwrap_or_else(|error| {
        panic!("{error}: {}{}\n{}", service.stdout(), service.stderr(), log(&wsl.start(&package)))
    });
    assert_eq!(&said[..length], b"READY=1", "{}", service.stderr());
    assert!(
        service.stderr().contains("UtilConnectUnix:543: connect failed 111"),
        "{}",
        service.stderr()
    );
    assert!(
        service.stderr().contains("no Windows program by /run/WSL/1_interop"),
        "{}",
        service.stderr()
    );
    let helper = wsl.start(&package);
    assert_eq!(peek(&helper)["state"], "up");
    // Without it the client of the helper distro that it started is gone.
    let clients =
        || wsl.running().iter().find(|one| one.name == "underpass").map_or(0, |one| one.clients);
    let before = clients();
    drop(service);
    assert!(until(PATIENCE, || clients() < before), "{before} {:?}", wsl.running());
}
