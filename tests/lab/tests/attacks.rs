//! Attacks by an unprivileged user on root, in the places where both may write. Each test is an
//! attack that once worked: that user makes it, in separate mount namespaces, and then root's
//! command runs. `docs/security.md` lists the protections.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "attacks/homes.rs"]
mod homes;

use lab::built::{programs, windows_relay};
use lab::interop::{Interop, host_relays};
use lab::scene::{PATIENCE, Scratch, cut_off_lab, windows_lab};
use lab::tunnel::send_signal;
use lab::wsl::{Distro, Wsl};
use lab::{Finished, Lab, Place, Tunnel, lab_or_skip, until};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A machine whose `/mnt/wsl` is as WSL makes it, and empty: root's words that follow run in it.
/// `$1` is the folder that stands for it, `$2` the attacker's earlier commands in it.
const SHARED: &str = r#"
set -e
mount -t tmpfs none /mnt
mkdir /mnt/wsl
mount --bind "$1" /mnt/wsl
attack=$2
shift 2
if [ -n "$attack" ]; then
    setpriv --reuid 65534 --regid 65534 --clear-groups sh -ec "$attack"
fi
exec "$@"
"#;

/// Serves a false status, and ends with its first client. The status contains dangerous values:
/// escape sequences for a terminal, and an address for proxy settings.
const SERVE: &str = r#"
import json, os, socket, sys
words = 'pwned \x1b]0;pwned\x07\x1b[2J \u009b2J'
status = {"state": "up", "mode": words, "version": "1", "pid": 1, "uptime_s": 0, "captured": [], "relays": [],
    "flows": {"tcp": 0, "tcp_pending": 0, "time_wait": 0, "udp": 0, "echo": 0, "dns": 0},
    "totals": {"tcp": 0, "udp": 0, "dns": 0, "echo": 0}, "dns_answers": {}, "bytes": {"up": 0, "down": 0},
    "packets": {"up": 0, "down": 0}, "drops": {}, "limits": [], "tap": {"name": "lo", "mtu": 1500,
    "offload": False, "ipv4": {"vm": "10.66.6.2", "prefix": 24, "gateway": "10.66.6.1", "host": "10.66.6.6"}}}
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o666)
listener.listen(8)
if os.fork():
    sys.exit(0)
os.setsid()
for fd in (0, 1, 2):
    os.dup2(os.open('/dev/null', os.O_RDWR), fd)
listener.settimeout(20)
try:
    while True:
        peer, _ = listener.accept()
        peer.sendall(json.dumps(status, ensure_ascii=False).encode())
        peer.close()
except OSError:
    pass
"#;

/// Ends the servers of a script on drop: they have no parent that would do it.
struct Servers<'a>(&'a str);

impl Drop for Servers<'_> {
    fn drop(&mut self) {
        for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let is_one = words.split(|byte| *byte == 0).any(|word| word == self.0.as_bytes());
            if let Some(pid) =
                process.file_name().to_str().and_then(|name| name.parse().ok()).filter(|_| is_one)
            {
                send_signal(pid, "KILL");
            }
        }
    }
}

/// A folder that every user may write to, like WSL's shared one.
fn open_to_all(scratch: &Scratch, name: &str) -> String {
    let folder = scratch.path(name);
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
    folder
}

/// Runs root's command after the attacker's commands.
fn after(shared: &str, attack: &str, words: &[&str]) -> Finished {
    let program = programs().join("underpass").display().to_string();
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        SHARED,
        "sh",
        shared,
        attack,
        &program,
    ]);
    command.args(words).env("UNDERPASS_RUNTIME_DIR", "/nonexistent").env("LC_ALL", "C.UTF-8");
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Finished {
        code: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

fn owner_and_kind(path: impl AsRef<Path>) -> Option<(u32, bool)> {
    use std::os::unix::fs::MetadataExt as _;
    fs::symlink_metadata(path).ok().map(|found| (found.uid(), found.is_dir()))
}

/// The ways to make root find the attacker's socket in the published place while no gateway runs.
fn squats(serve: &str) -> [(&'static str, String); 2] {
    let serve_at = |path: &str| format!("/usr/bin/python3 {serve} {path}");
    [
        (
            "a folder of the attacker's",
            format!("mkdir /mnt/wsl/underpass; {}", serve_at("/mnt/wsl/underpass/control.sock")),
        ),
        // The folder that it leads to is root's, and open to all.
        (
            "a link to a folder of root's",
            format!("ln -s . /mnt/wsl/underpass; {}", serve_at("/mnt/wsl/control.sock")),
        ),
    ]
}

#[test]
fn a_squatted_place_gives_root_no_false_status_and_no_false_proxy() {
    if lab_or_skip().is_none() {
        return;
    }
    let scratch = Scratch::new();
    let serve = scratch.file("serve.py", SERVE);
    let _servers = Servers(&serve);
    for (number, (name, attack)) in squats(&serve).into_iter().enumerate() {
        let shared = open_to_all(&scratch, &format!("shared-{number}"));
        let shown = after(&shared, &attack, &["status"]);
        // It still listens.
        let proxy = after(&shared, "", &["proxy", "on", "--shell", "sh"]);
        assert!(!proxy.stdout.contains("10.66.6.6"), "{name}: a false proxy: {proxy:?} {shown:?}");
        assert!(!shown.stdout.contains("pwned"), "{name}: a false status: {shown:?}");
        assert!(shown.code == Some(1) && shown.stderr.contains("not running"), "{name}: {shown:?}");
    }
}

#[test]
fn what_a_status_says_is_shown_and_not_obeyed_by_a_terminal() {
    if lab_or_skip().is_none() {
        return;
    }
    let scratch = Scratch::new();
    let serve = scratch.file("serve.py", SERVE);
    let _servers = Servers(&serve);
    fs::create_dir(scratch.path("run")).unwrap();
    // Root's own server, for the case where a status repeats the words of a host or a proxy.
    let served = Command::new("/usr/bin/python3")
        .args([&serve, &scratch.path("run/control.sock")])
        .status()
        .unwrap();
    assert!(served.success());
    for words in [&["status"][..], &["status", "--json"]] {
        let mut command = Command::new(programs().join("underpass"));
        let shown =
            command.args(words).env("UNDERPASS_RUNTIME_DIR", scratch.path("run")).output().unwrap();
        let text = String::from_utf8_lossy(&shown.stdout);
        assert!(text.contains("pwned"), "{words:?}: {shown:?}");
        let obeyed = |letter: char| letter.is_control() && letter != '\n';
        assert!(!text.contains(obeyed), "{words:?}: {text:?}");
    }
}

/// Repeatedly fills the places where a gateway once made its files, and the place itself.
const FILL: &str = r#"
import os, sys
number = sys.argv[1]
while True:
    for folder in ('.underpass.new', '.underpass.old', 'underpass'):
        try:
            os.mkdir(folder)
        except OSError:
            pass
        for name in (number, number + 'b', number + 'c'):
            try:
                os.close(os.open(folder + '/' + name, os.O_CREAT | os.O_WRONLY))
            except OSError:
                pass
"#;

/// Starts `underpass up` with `shared` as WSL's shared folder.
fn up(lab: &Lab, shared: &str, options: &[&str]) -> Tunnel {
    let wrapper =
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", SHARED, "sh", shared, ""];
    let [relay, host] =
        [programs().join("underpass-relay").display().to_string(), lab.namespace(Place::Windows)];
    let words = ["netns", "exec", &host, &relay].into_iter().flat_map(|word| ["--relay-arg", word]);
    let relay = [&["--relay", "ip"], &words.collect::<Vec<_>>()[..]].concat();
    Tunnel::launch_wrapped(lab, &[], &wrapper, &[&relay, options].concat())
}

/// A script that the attacker runs until this is dropped.
struct Attacker(Child);

impl Attacker {
    fn start(script: &str) -> Self {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["sh", "-c", script]);
        Self(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_place_that_is_filled_again_and_again_stops_no_tunnel_and_is_roots_at_last() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let shared = open_to_all(&scratch, "shared");
    // Long before there is a gateway, and as fast as possible.
    let fill = scratch.file("fill.py", FILL);
    let attackers: Vec<Attacker> = (0..3)
        .map(|number| {
            Attacker::start(&format!("cd {shared}; exec /usr/bin/python3 {fill} {number}"))
        })
        .collect();
    assert!(until(PATIENCE, || Path::new(&shared).join("underpass").exists()));
    let mut tunnel = up(&lab, &shared, &[]);
    tunnel.wait_up();
    let published = Path::new(&shared).join("underpass");
    assert_eq!(owner_and_kind(&published), Some((0, true)), "{}", tunnel.complained());
    let own = fs::read(programs().join("underpass")).unwrap();
    assert!(
        fs::read(published.join("underpass")).unwrap() == own,
        "root owns the program that others run"
    );
    let shown = after(&shared, "", &["status"]);
    assert!(shown.succeeded() && shown.stdout.contains("state     up"), "{shown:?}");
    drop(attackers);
    // When the gateway ends the place stays root's.
    send_signal(tunnel.process().pid(), "TERM");
    assert_eq!(tunnel.process().exit_code(PATIENCE), Some(0), "{}", tunnel.complained());
    assert_eq!(owner_and_kind(&published), Some((0, true)));
    assert_eq!(fs::read_dir(&published).unwrap().count(), 0, "no executable is left");
    for harm in
        ["rmdir underpass", "mv underpass x", "touch underpass/underpass", "ln -sfT / underpass"]
    {
        let done = after(&shared, &format!("cd /mnt/wsl; {harm}"), &["--version"]);
        assert!(!done.succeeded(), "{harm}: {done:?}");
    }
    // The next gateway takes the place, and leaves nothing else.
    let mut next = up(&lab, &shared, &[]);
    next.wait_up();
    assert!(fs::read(published.join("underpass")).unwrap() == own);
    let strangers = |name: &str| {
        name.starts_with(".underpass.") && !name.ends_with("new") && !name.ends_with("old")
    };
    let names = fs::read_dir(&shared)
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| strangers(name)).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn where_nothing_can_be_published_the_tunnel_comes_up_and_says_so() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let shared = open_to_all(&scratch, "shared");
    let file = scratch.file("file", "");
    let mut tunnel = up(&lab, &shared, &["--publish", &format!("{file}/below")]);
    tunnel.wait_up();
    assert!(tunnel.complained().contains("--no-publish"), "{}", tunnel.complained());
    // Root does not follow another user's link, and leaves its target alone.
    let stranger = format!("ln -s {} {shared}/link", scratch.path(""));
    assert!(
        Command::new("setpriv")
            .args(["--reuid", "65534", "--clear-groups", "sh", "-c", &stranger])
            .status()
            .unwrap()
            .success()
    );
    drop(tunnel);
    let mut tunnel = up(&lab, &shared, &["--publish", &format!("{shared}/link/underpass")]);
    tunnel.wait_up();
    assert!(tunnel.complained().contains("a link of user 65534"), "{}", tunnel.complained());
    assert!(!Path::new(&scratch.path("underpass")).exists());
}

#[test]
fn no_document_advises_root_to_run_files_of_the_shared_folder() {
    let root = lab::built::workspace();
    let folders = ["", "docs", "scripts", "distro/rootfs/etc"];
    let files =
        folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap().flatten());
    let mut read = 0;
    for file in files.map(|entry| entry.path()).filter(|path| path.is_file()) {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        read += 1;
        for (number, line) in text.lines().enumerate() {
            let runs = line.contains("/mnt/wsl/underpass/underpass")
                || line.contains("/mnt/wsl/underpass/env.sh");
            let as_root = ["sudo", "service", "'root'", "-u root", "as root in"]
                .iter()
                .any(|word| line.contains(word));
            assert!(!(runs && as_root), "{}:{}: {line}", file.display(), number + 1);
        }
    }
    assert!(read > 20, "{read} files");
}

/// The place of the relay's copy, in Windows' folder that every Linux user may write to.
fn open_local_app_data(interop: &Interop) -> PathBuf {
    let folder = interop.local_app_data();
    // WSL shows a drive's files to all users as writable, if a distro asks for no metadata (`umask`
    // is 0 by default: WSL's documentation, "Advanced settings configuration", automount options).
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    folder
}

/// Makes the attacker act on Windows' files, as this machine sees them.
fn as_stranger(script: &str) {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-ec", script]);
    let done = command.env("PATH", "/usr/bin:/bin").output().unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
}

/// A script that records its user.
const WHOAMI: &str = "#!/bin/sh\n/usr/bin/id -u >>/mnt/wsl/pwned\n";

#[test]
fn a_script_in_the_place_of_a_windows_program_is_not_run_by_the_doctor_of_root() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    fs::copy(programs().join("underpass"), wsl.shared().join("command")).unwrap();
    let (local, script) = (open_local_app_data(&interop), scratch.file("script", WHOAMI));
    let relay = format!("underpass/{}/underpass-relay.exe", env!("CARGO_PKG_VERSION"));
    let plant = |path: &str| {
        let path = local.join(path);
        as_stranger(&format!(
            "install -D -m 755 {script} '{0}' && chmod 777 '{0}'",
            path.display()
        ));
    };
    plant(&relay);
    // A folder that WSL adds to `PATH`, like Windows' own folders.
    for name in ["netsh.exe", "git", "apt-config", "nft"] {
        plant(&format!("Microsoft/WindowsApps/{name}"));
    }
    let apps = "/mnt/c/users/*/AppData/Local/Microsoft/WindowsApps";
    let distro = wsl.start(&Distro::machine());
    let doctor =
        format!("cd / && PATH=$(echo {apps}):$PATH HOME=/tmp /mnt/wsl/command doctor --json");
    let done = distro.sh(&doctor);
    let pwned = fs::read_to_string(wsl.shared().join("pwned")).unwrap_or_default();
    assert_eq!(pwned, "", "ran as these users: {done:?}");
    assert!(serde_json::from_str::<serde_json::Value>(&done.stdout).is_ok(), "{done:?}");
}

#[test]
fn another_program_in_the_place_of_the_relays_copy_is_not_started_and_is_replaced() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let local = open_local_app_data(&interop);
    let mut tunnel = wsl.launch(&Distro::machine(), &[]);
    tunnel.wait_up();
    let copy = local.join("underpass").join(env!("CARGO_PKG_VERSION")).join("underpass-relay.exe");
    let own = fs::read(windows_relay()).unwrap();
    // Like a drive without metadata shows root's files.
    for path in [copy.parent().unwrap(), &copy] {
        std::os::unix::fs::chown(path, Some(65534), Some(65534)).unwrap();
    }
    let mut script = WHOAMI.as_bytes().to_vec();
    script.resize(own.len(), b'\n');
    fs::write(scratch.path("script"), script).unwrap();
    for restarts in 1..3 {
        as_stranger(&format!(
            "cp {0} '{1}.x' && chmod 755 '{1}.x' && mv '{1}.x' '{1}'",
            scratch.path("script"),
            copy.display()
        ));
        send_signal(host_relays(&lab)[0], "KILL");
        let again = || tunnel.status()["relays"][0]["restarts"].as_u64() >= Some(restarts);
        assert!(until(PATIENCE, again), "{}", tunnel.complained());
        let ready = || {
            tunnel.status()["relays"][0]["state"] == "ready" || wsl.shared().join("pwned").exists()
        };
        assert!(until(PATIENCE, ready), "{} {}", tunnel.status(), tunnel.complained());
        assert!(
            !wsl.shared().join("pwned").exists(),
            "it ran: {:?}",
            fs::read_to_string(wsl.shared().join("pwned"))
        );
        assert!(fs::read(&copy).unwrap() == own, "it is still there");
    }
}

#[test]
fn links_in_the_place_of_the_relays_copy_lead_root_nowhere() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let local = open_local_app_data(&interop);
    fs::create_dir(scratch.path("victim")).unwrap();
    let (version, victim) =
        (env!("CARGO_PKG_VERSION"), scratch.file("victim/precious", "precious"));
    for (number, links) in [
        format!("mkdir -p underpass/{version} && ln -s {victim} underpass/{version}/underpass-relay.exe.new"),
        format!("mkdir -p underpass/{version} && ln -s {victim} underpass/{version}/underpass-relay.exe"),
        format!("mkdir underpass && ln -s {} underpass/{version}", scratch.path("victim")),
        format!("ln -s {} underpass", scratch.path("victim")),
    ]
    .iter()
    .enumerate()
    {
        let _ = fs::remove_file(local.join("underpass")).or_else(|_| fs::remove_dir_all(local.join("underpass")));
        as_stranger(&format!("cd '{}' && {links}", local.display()));
        let mut tunnel = wsl.launch(&Distro::machine(), &[]);
        tunnel.wait_up();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{links}");
        assert_eq!(fs::read_dir(scratch.path("victim")).unwrap().count(), 1, "{links}");
        let is_refused = number > 1;
        assert_eq!(
            tunnel.complained().contains("is run from the distro's disk"),
            is_refused,
            "{}",
            tunnel.complained()
        );
        drop(tunnel);
        assert!(until(PATIENCE, || host_relays(&lab).is_empty()), "{:?}", host_relays(&lab));
    }
}

/// Functions that follow any path. Root's commands use `foreign` in their place, except in these
/// files.
const BY_PATH: [&str; 7] = [
    "fs::write(",
    "fs::copy(",
    "set_permissions(",
    "chown(",
    "OpenOptions",
    "File::create(",
    "fs::rename(",
];

/// Files that write only where root alone may: `/etc/systemd`, `/usr/local/lib`, `/run/underpass`,
/// `/proc/sys`, `/dev/net/tun`.
const ROOTS_OWN: [&str; 6] = [
    "crates/gateway/src/instance.rs",
    "crates/gateway/src/interop.rs",
    "crates/gateway/src/keep_alive.rs",
    "crates/gateway/src/net/link.rs",
    "crates/gateway/src/tap/open.rs",
    "crates/underpass/src/service.rs",
];

#[test]
fn nothing_else_is_written_copied_or_given_away_by_path() {
    let root = lab::built::workspace();
    let (mut folders, mut read) = (vec![root.join("crates")], 0);
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path()) {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            // Code that runs as root: the relay does not, and tests may do anything.
            if path.is_dir()
                && !["tests", "relay", "target"].iter().any(|other| path.ends_with(other))
            {
                folders.push(path);
                continue;
            }
            if !name.ends_with(".rs")
                || name.ends_with("/tests.rs")
                || name.ends_with("/testing.rs")
                || name.starts_with("crates/foreign/")
            {
                continue;
            }
            read += 1;
            let text = fs::read_to_string(&path).unwrap();
            let own = text.split("#[cfg(test)]").next().unwrap_or_default();
            if !ROOTS_OWN.contains(&name.as_str()) {
                for (number, line) in
                    own.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
                {
                    let by_path = BY_PATH.iter().find(|function| line.contains(*function));
                    assert_eq!(by_path, None, "{name}:{}: {line}: see crates/foreign", number + 1);
                }
            }
        }
    }
    assert!(read > 150, "{read} files");
    for file in ROOTS_OWN {
        assert!(root.join(file).exists(), "{file}");
    }
}
