//! How WSL starts the relay for Windows: by which of interop's sockets, from which folder, and the
//! messages when Windows does not let it run.

use lab::addresses::SERVER;
use lab::built::{self, programs};
use lab::interop::{Interop, WslEntry, host_relays};
use lab::scene::{PATIENCE, Scratch, cut_off_lab, http_status, web_server, windows_lab};
use lab::tunnel::send_signal;
use lab::wine::newest_wine;
use lab::wsl::{Distro, Wsl};
use lab::{Place, Tunnel, until};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

#[test]
fn a_session_whose_interop_socket_is_missing_or_goes_is_replaced_by_the_lasting_one() {
    let Some((lab, session)) = windows_lab() else { return };
    let lasting = Interop::start(&lab);
    let _web = web_server(&lab);
    let relay = built::windows_relay().display().to_string();
    let [own, other] = [&session, &lasting].map(|interop| interop.socket().display().to_string());
    // In a separate mount namespace, /run/WSL is as in a WSL with one session besides the first
    // process.
    let wrapper = ["unshare", "--mount", "sh", "-c", SOCKETS, &other, ""];
    for named in ["/run/WSL/4711_interop", &own] {
        let options = ["--relay", relay.as_str()];
        let mut tunnel =
            Tunnel::launch_wrapped(&lab, &[("WSL_INTEROP", named)], &wrapper, &options);
        tunnel.wait_up();
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{named}");
        if named == own {
            fs::remove_file(&own).unwrap_or_else(|error| panic!("{own}: {error}"));
            // That of the previous tunnel ends by itself.
            assert!(until(PATIENCE, || host_relays(&lab).len() == 1), "{:?}", host_relays(&lab));
            send_signal(host_relays(&lab)[0], "KILL");
            let again = || tunnel.status()["relays"][0]["restarts"].as_u64() >= Some(1);
            assert!(until(PATIENCE, again), "{}", tunnel.status());
            assert!(
                until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
                "{}",
                tunnel.status()
            );
        }
    }
}

/// Makes /run/WSL of a mount namespace with a lasting socket and that of a session, if there is
/// one, and becomes the command after them.
const SOCKETS: &str = r#"
set -e
mount -t tmpfs none /run
mkdir /run/WSL
: >/run/WSL/1_interop
mount --bind "$0" /run/WSL/1_interop
if [ -n "$1" ]; then
    : >/run/WSL/4711_interop
    mount --bind "$1" /run/WSL/4711_interop
fi
shift
exec "$@"
"#;

/// A socket that accepts connections and never answers. Once dropped it is a file that accepts
/// none.
fn dead_socket(path: &str) -> UnixListener {
    UnixListener::bind(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn where_the_lasting_socket_is_dead_a_relay_is_started_by_a_live_sessions() {
    let Some((lab, session)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let relay = built::windows_relay().display().to_string();
    let live = session.socket().display().to_string();
    let scratch = Scratch::new();
    let [dead, stale] = ["dead", "stale"].map(|name| scratch.path(name));
    let _dead = dead_socket(&dead);
    // The file of a process that has ended: it accepts no connection.
    drop(dead_socket(&stale));
    // The first ends with WSL's own words after a second, the second is still silent after a
    // relay's time-out of 5 s, the third ends at once.
    for (lasting, timeout, words) in [
        (&dead, "1000", "accept4 failed 110"),
        (&dead, "60000", "not said hello within 5 s"),
        (&stale, "60000", "UtilConnectUnix:543: connect failed 111"),
    ] {
        let wrapper = ["unshare", "--mount", "sh", "-c", SOCKETS, lasting, &live];
        let variables =
            [("INTEROP_MODEL_ACCEPT_TIMEOUT_MS", timeout), ("WSL_DISTRO_NAME", "Debian")];
        let mut tunnel = Tunnel::launch_wrapped(&lab, &variables, &wrapper, &["--relay", &relay]);
        tunnel.wait_up();
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{timeout}");
        complains(
            &tunnel,
            &[words, "/run/WSL/1_interop", "wsl --terminate Debian", "another session's socket"],
        );
        let failed = |tunnel: &Tunnel| tunnel.complained().matches("/run/WSL/1_interop").count();
        let (before, restarts) =
            (failed(&tunnel), tunnel.status()["relays"][0]["restarts"].as_u64());
        // The one that works starts the next relay at once.
        assert!(until(PATIENCE, || host_relays(&lab).len() == 1), "{:?}", host_relays(&lab));
        send_signal(host_relays(&lab)[0], "KILL");
        let again = || tunnel.status()["relays"][0]["restarts"].as_u64() > restarts;
        assert!(until(PATIENCE, again), "{}", tunnel.status());
        assert!(
            until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
            "{}",
            tunnel.status()
        );
        assert_eq!(failed(&tunnel), before, "{}", tunnel.complained());
        drop(tunnel);
        assert!(until(PATIENCE, || host_relays(&lab).is_empty()), "{:?}", host_relays(&lab));
    }
}

#[test]
fn where_the_lasting_socket_is_dead_the_pipe_is_measured_by_a_live_sessions() {
    let Some((lab, session)) = windows_lab() else { return };
    let live = session.socket().display().to_string();
    let [relay, program] =
        [built::windows_relay(), programs().join("underpass")].map(|p| p.display().to_string());
    let scratch = Scratch::new();
    let [dead, stale] = ["dead", "stale"].map(|name| scratch.path(name));
    let _dead = dead_socket(&dead);
    drop(dead_socket(&stale));
    for lasting in [&dead, &stale] {
        let wrapper = ["unshare", "--mount", "sh", "-c", SOCKETS, lasting, &live];
        let words = [
            "env",
            "INTEROP_MODEL_ACCEPT_TIMEOUT_MS=1000",
            &program,
            "selftest",
            "pipe",
            "--mebibytes",
            "1",
        ];
        let done = lab.run(Place::Wsl, &[&wrapper[..], &words, &["--relay", &relay]].concat());
        let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(done.succeeded(), "{lasting}: {done:?}");
        assert!(
            done.stderr.contains("no Windows program by /run/WSL/1_interop"),
            "{lasting}: {done:?}"
        );
    }
}

#[test]
fn where_the_lasting_socket_is_dead_windows_is_asked_by_a_live_sessions() {
    let Some((lab, interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let _dead = dead_socket(&wsl.shared().join("1_interop").display().to_string());
    let mut tunnel = wsl.launch(&Distro::machine(), &[]);
    tunnel.wait_up();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    complains(&tunnel, &["/run/WSL/1_interop", "wsl --terminate"]);
    assert!(copy_of(&interop).exists(), "{}", tunnel.complained());
    assert!(!tunnel.complained().contains("from the distro's disk"), "{}", tunnel.complained());
}

#[test]
fn if_a_policy_forbids_cmd_other_programs_report_windows_folder() {
    let Some((lab, interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    const POWERSHELL: &str = "/mnt/c/Windows/System32/WindowsPowerShell";
    for (forbidden, is_copied) in [
        (&[][..], true),
        (&[POWERSHELL][..], true),
        (&[POWERSHELL, "/tmp/", "/mnt/c/users/"][..], false),
    ] {
        interop.forbid_cmd(forbidden);
        let _ = fs::remove_file(copy_of(&interop));
        let mut tunnel = wsl.launch(&Distro::machine(), &[]);
        if is_copied {
            tunnel.wait_up();
            assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{forbidden:?}");
            assert_eq!(tunnel.complained(), "", "{forbidden:?}");
        } else {
            let tried = [
                "%LOCALAPPDATA%",
                "cmd.exe",
                "disabled by your administrator",
                "powershell.exe",
                "underpass-relay.exe variable",
                "Invalid argument",
                "Prevent access to the command prompt",
            ];
            complains(&tunnel, &tried);
            complains(&tunnel, &["Windows refuses to start", "Smart App Control"]);
        }
        assert_eq!(copy_of(&interop).exists(), is_copied, "{forbidden:?}");
        drop(tunnel);
        assert!(until(PATIENCE, || host_relays(&lab).is_empty()), "{:?}", host_relays(&lab));
    }
}

#[test]
fn a_windows_program_is_reported_if_the_kernel_has_no_entry_and_this_is_not_a_wsl() {
    // The kernel's list belongs to the machine: no other test may have an entry in it now, so this
    // one runs alone.
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let program = scratch.file("windows.exe", "MZ\0\0 this is not for Linux");
    let mut tunnel = Tunnel::launch_bare(&lab, &["--relay", &program]);
    assert_eq!(tunnel.process().exit_code(PATIENCE), Some(1), "{}", tunnel.complained());
    assert!(tunnel.complained().contains("exec format error"), "{}", tunnel.complained());
}

#[test]
fn the_kernels_entry_for_windows_programs_is_written_again_when_it_is_gone() {
    let Some(entry) = WslEntry::claim() else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: this is a WSL, and a test must not change its own entry"
        );
        return;
    };
    let Some((lab, interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let relay = built::windows_relay().display().to_string();
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let off = Distro::machine().with_conf("[interop]\nenabled=false\n");
    interop.forget_entry();
    let options = ["--relay", relay.as_str()];
    let mut off = wsl.launch(&off, &options);
    assert_eq!(off.process().exit_code(PATIENCE), Some(1), "{}", off.complained());
    assert!(
        off.complained().contains("switched off by 'enabled' of [interop]"),
        "{}",
        off.complained()
    );
    let mut tunnel = wsl.launch(&Distro::machine(), &options);
    tunnel.wait_up();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    // Again, while it runs.
    entry.remove();
    send_signal(host_relays(&lab)[0], "KILL");
    assert!(
        until(PATIENCE, || tunnel.status()["relays"][0]["restarts"].as_u64() >= Some(1)),
        "{}",
        tunnel.status()
    );
    assert!(
        until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
        "{}",
        tunnel.status()
    );
    assert!(
        tunnel.complained().contains("entry for Windows programs is gone"),
        "{}",
        tunnel.complained()
    );
    // And switched off: registering another of its name would fail (EEXIST).
    let written = fs::write(WslEntry::file(), "0");
    assert!(written.is_ok(), "{written:?}");
    send_signal(host_relays(&lab)[0], "KILL");
    assert!(
        until(PATIENCE, || tunnel.status()["relays"][0]["restarts"].as_u64() >= Some(2)),
        "{}",
        tunnel.status()
    );
    assert!(
        until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
        "{}",
        tunnel.status()
    );
    complains(&tunnel, &["entry for Windows programs is switched off"]);
    assert!(fs::read_to_string(WslEntry::file()).is_ok_and(|entry| entry.starts_with("enabled")));
    drop((tunnel, entry));
}

/// The relay's place on Windows' disk.
fn copy_of(interop: &Interop) -> std::path::PathBuf {
    interop
        .local_app_data()
        .join("underpass")
        .join(env!("CARGO_PKG_VERSION"))
        .join("underpass-relay.exe")
}

/// Whether a tunnel's standard error contains all of this, now or soon.
fn complains(tunnel: &Tunnel, parts: &[&str]) {
    let said = || parts.iter().all(|part| tunnel.complained().contains(part));
    assert!(until(PATIENCE, said), "not all of {parts:?} in: {}", tunnel.complained());
}

#[test]
fn the_relay_is_run_from_windows_disk_where_other_versions_are_removed() {
    let Some((lab, interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let (scratch, folder) = (Scratch::new(), interop.local_app_data().join("underpass"));
    let write = |path: &Path, text: &str| {
        let written =
            fs::create_dir_all(path.parent().unwrap_or(path)).and_then(|()| fs::write(path, text));
        assert!(written.is_ok(), "{}: {written:?}", path.display());
    };
    write(&folder.join("0.0.1/underpass-relay.exe"), "an older one");
    // Windows keeps the file of a running program, which Linux does not; both keep a folder of that
    // name.
    write(&folder.join("0.0.2/underpass-relay.exe/runs"), "");
    write(&copy_of(&interop), "of the same version, and damaged");
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let mut tunnel = wsl.launch(&Distro::machine(), &[]);
    tunnel.wait_up();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    let [relay] = host_relays(&lab)[..] else { panic!("not one relay: {:?}", host_relays(&lab)) };
    let directory = fs::read_link(format!("/proc/{relay}/cwd")).unwrap_or_default();
    let copy = copy_of(&interop);
    assert_eq!(Some(directory.as_path()), copy.parent(), "it works in a folder of Windows");
    assert_eq!(fs::read(&copy).ok(), fs::read(built::windows_relay()).ok(), "byte for byte");
    let mut left: Vec<_> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["0.0.2", env!("CARGO_PKG_VERSION")]);
    assert_eq!(tunnel.complained(), "");
}

#[test]
fn a_relay_removed_by_an_antivirus_program_is_named_and_copied_again() {
    let Some((lab, interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let mut tunnel = wsl.launch(&Distro::machine(), &[]);
    tunnel.wait_up();
    let copy = copy_of(&interop);
    let restarted = |least: u64| {
        let restarts = || tunnel.status()["relays"][0]["restarts"].as_u64();
        assert!(until(PATIENCE, || restarts() >= Some(least)), "{}", tunnel.status());
        assert!(
            until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
            "{}",
            tunnel.status()
        );
    };
    send_signal(host_relays(&lab)[0], "KILL");
    restarted(1);
    complains(
        &tunnel,
        &["it was ended from outside, and said nothing", "antivirus", "Protection history"],
    );
    assert!(!tunnel.complained().contains("is gone"), "{}", tunnel.complained());
    assert!(fs::remove_file(&copy).is_ok());
    send_signal(host_relays(&lab)[0], "KILL");
    restarted(2);
    complains(
        &tunnel,
        &["underpass-relay.exe is gone: an antivirus program took it", "it is copied again"],
    );
    assert_eq!(fs::read(&copy).ok(), fs::read(built::windows_relay()).ok());
}

#[test]
fn a_relay_that_windows_refuses_to_start_is_reported_with_a_remedy_and_tried_again() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    interop.forbid("/mnt/c/users");
    let mut tunnel = wsl.launch(&Distro::machine(), &[]);
    complains(
        &tunnel,
        &["Windows refuses to start /mnt/c/users/", "AppLocker", "--relay", "Invalid argument"],
    );
    assert!(!tunnel.said().contains("underpass: up"));
    interop.forbid("/nothing");
    tunnel.wait_up();
}

#[test]
fn a_relay_for_another_processor_is_reported_with_windows_own_words() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let mut program = fs::read(built::windows_relay()).unwrap_or_default();
    let header = usize::from(u16::from_le_bytes([program[0x3c], program[0x3d]]));
    program[header + 4..header + 6].copy_from_slice(&0xaa64_u16.to_le_bytes());
    let file = interop.drive_c().join("arm.exe");
    let executable = fs::Permissions::from_mode(0o755);
    let written = fs::write(&file, program).and_then(|()| fs::set_permissions(&file, executable));
    assert!(written.is_ok(), "{written:?}");
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    // If a policy forbids cmd.exe, PowerShell gives the reason.
    let words = ["'Can't recognize", "'Program 'arm.exe' failed to run"];
    // The cmd.exe of Wine 10 does not say why.
    let words = if newest_wine() { &words[1..] } else { &words };
    for words in words {
        let tunnel = wsl.launch(&Distro::machine(), &["--relay", "/mnt/c/arm.exe"]);
        let cause =
            "/mnt/c/arm.exe is built for aarch64, and this machine is x86_64 (Windows' own words: ";
        complains(&tunnel, &[&format!("{cause}{words}")]);
        interop.forbid_cmd(&[]);
    }
}

#[test]
fn where_windows_disk_cannot_be_had_the_relay_is_run_from_where_it_lies() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    // A file in the place of the folder.
    let blocked = fs::write(interop.local_app_data().join("underpass"), "");
    assert!(blocked.is_ok(), "{blocked:?}");
    let mut tunnel =
        Wsl::new(&lab, &interop, scratch.path("wsl").as_ref()).launch(&Distro::machine(), &[]);
    tunnel.wait_up();
    complains(&tunnel, &["is run from the distro's disk", "Not a directory", "--relay"]);
}
