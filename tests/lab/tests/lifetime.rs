//! The lifetime of the helper distro under WSL's own rule, which ends a distro after its last
//! client (`tests/interop/src/wsl`): it runs until it is ended, and not a moment longer.

use lab::helper::{busybox, log, peek, pretend_wsl, wait_up};
use lab::interop::{host_processes, host_relays};
use lab::scene::{PATIENCE, Scratch, http_status, must, way_out, web_server, windows_lab};
use lab::tunnel::send_signal;
use lab::wsl::{Timeouts, Wsl};
use lab::{Place, Process, addresses::SERVER, until};
use std::time::Duration;

/// Short compared with a test's patience, long compared with the start of a client.
const IDLE: Duration = Duration::from_secs(3);

fn timeouts() -> Timeouts {
    Timeouts { instance: Some(IDLE), vm: Some(IDLE) }
}

/// The first process of a running distro, and the clients that hold it.
fn instance(wsl: &Wsl<'_>, name: &str) -> Option<(u32, u64)> {
    let found = wsl.running().into_iter().find(|instance| instance.name == name);
    found.map(|instance| (instance.pid, instance.clients))
}

/// The visible parts of a gateway and its distro that exist: the distro, a process of it, the
/// relay, the device.
fn left(wsl: &Wsl<'_>, lab: &lab::Lab, first: u32) -> Vec<String> {
    let mut left = Vec::new();
    left.extend(instance(wsl, "underpass").map(|instance| format!("the distro: {instance:?}")));
    left.extend(
        std::path::Path::new(&format!("/proc/{first}"))
            .exists()
            .then(|| format!("process {first}")),
    );
    left.extend(host_relays(lab).iter().map(|pid| format!("the relay {pid}")));
    left.extend(
        must(lab, Place::Wsl, "ip link").contains("underpass0").then(|| "the device".to_owned()),
    );
    left
}

#[test]
fn a_distro_ends_after_its_last_client_and_nothing_inside_of_it_holds_it() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wsl = Wsl::with_timeouts(&lab, &interop, scratch.path("wsl").as_ref(), timeouts());
    let distro = wsl.start(&busybox(scratch.path("busybox").as_ref()));
    let held = distro.start("sleep 1000");
    // A client holds it, for however long.
    assert!(until(PATIENCE, || instance(&wsl, "busybox").is_some_and(|(_, clients)| clients == 1)));
    assert!(!until(IDLE * 2, || instance(&wsl, "busybox").is_none()), "a client holds it");
    // A process of the distro does not hold it, nor does a Windows program started from it.
    let background = "cd /mnt/c && export WSL_INTEROP=/run/WSL/1_interop && \
        (sleep 1000 | ./Windows/System32/cmd.exe & sleep 1000 &) >/dev/null 2>&1";
    let done = distro.sh(background);
    assert!(done.succeeded(), "{done:?}");
    let first = instance(&wsl, "busybox").map_or(0, |(first, _)| first);
    drop(held);
    assert!(until(IDLE + PATIENCE, || instance(&wsl, "busybox").is_none()), "{:?}", wsl.running());
    assert!(
        !std::path::Path::new(&format!("/proc/{first}")).exists(),
        "all of its processes are gone"
    );
    // A command starts it again, with the shared folder of a new VM.
    assert!(until(IDLE + PATIENCE, || !wsl.shared().join("mark").exists()));
    let again = distro.sh("touch /mnt/wsl/mark");
    assert!(again.succeeded(), "{again:?}");
    assert!(
        until(IDLE * 2 + PATIENCE, || !wsl.shared().join("mark").exists()),
        "the VM ended after its last distro"
    );
}

#[test]
fn the_tunnel_outlives_its_last_command_until_it_is_ended() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let _web = web_server(&lab);
    let wsl = Wsl::with_timeouts(&lab, &interop, scratch.path("wsl").as_ref(), timeouts());
    for end in [&["--terminate", "underpass"][..], &["--shutdown"]] {
        let helper = wsl.start(&package);
        let gateway = wait_up(&helper);
        let first = instance(&wsl, "underpass").map(|(first, _)| first).unwrap_or_default();
        // No request goes to WSL from here on.
        let gone = || instance(&wsl, "underpass").is_none_or(|(now, _)| now != first);
        assert!(
            !until(IDLE * 10, gone),
            "{end:?}: it ended after its last command, with the tunnel"
        );
        assert_eq!(peek(&helper)["pid"].as_u64(), Some(gateway), "{}", log(&helper));
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
        let done = wsl.client().run(end);
        assert!(done.succeeded(), "{end:?}: {done:?}");
        assert!(
            until(PATIENCE, || left(&wsl, &lab, first).is_empty()),
            "{end:?}: {:?}",
            left(&wsl, &lab, first)
        );
        assert!(
            until(PATIENCE, || way_out(&lab, SERVER) == "eth0"),
            "{end:?}: {}",
            way_out(&lab, SERVER)
        );
        // Its keeper does not bring it back.
        assert!(
            !until(IDLE * 3, || instance(&wsl, "underpass").is_some()),
            "{end:?}: it came back by itself"
        );
        assert_eq!(left(&wsl, &lab, first), Vec::<String>::new(), "{end:?}");
    }
}

/// The clients of WSL on the host that the boot command's keeper has started.
fn keepers(lab: &lab::Lab) -> Vec<u32> {
    let is_keeper = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.ends_with(b"-d\0underpass\0--exec\0/bin/cat\0")
    };
    host_processes(lab).into_iter().filter(is_keeper).collect()
}

#[test]
fn the_client_that_holds_the_distro_is_started_again_and_its_absence_is_reported_once() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    // Windows does not start this program, as with a policy.
    interop.forbid("/mnt/c/Windows/System32/wsl.exe");
    let helper = wsl.start(&package);
    let own = helper.start("sleep 1000");
    let gateway = wait_up(&helper);
    let keep_alive = || peek(&helper)["keep_alive"].clone();
    let waits = || keep_alive()["state"] == "waiting";
    assert!(until(PATIENCE, waits), "{}\n{}", keep_alive(), log(&helper));
    let shown = helper.sh("status").stdout;
    assert!(
        shown.contains("nothing keeps this distro running") && shown.contains("Invalid argument"),
        "{shown}"
    );
    // At least three starts have failed by then, after 2, 4 and 8 s.
    assert!(!until(Duration::from_secs(16), || !keepers(&lab).is_empty()));
    let lines = log(&helper).matches("nothing keeps this distro running").count();
    assert_eq!(lines, 1, "{}", log(&helper));
    interop.forbid("/nothing");
    let held = || keep_alive()["state"] == "held" && keepers(&lab).len() == 1;
    assert!(until(PATIENCE, held), "{}\n{}", keep_alive(), log(&helper));
    assert!(helper.sh("status").stdout.contains("by a wsl.exe of its own"));
    drop(own);
    // Ended on Windows, for example with the Task Manager.
    let first = keepers(&lab)[0];
    send_signal(first, "KILL");
    assert!(
        until(PATIENCE, || held() && keepers(&lab) != [first]),
        "{}\n{}",
        keep_alive(),
        log(&helper)
    );
    assert_eq!(peek(&helper)["pid"].as_u64(), Some(gateway), "the tunnel is not disturbed");
    // A keeper that is killed takes its client along.
    let second = keepers(&lab)[0];
    let killed =
        helper.sh("kill -9 $(ps | sed -n 's/^ *\\([0-9]*\\) .*[u]nderpass keep-alive.*/\\1/p')");
    assert!(killed.succeeded(), "{killed:?}");
    assert!(until(PATIENCE, || !keepers(&lab).contains(&second)), "{:?}", keepers(&lab));
    assert!(
        until(PATIENCE, || held() && keepers(&lab) != [second]),
        "{}\n{}",
        keep_alive(),
        log(&helper)
    );
}

#[test]
fn what_the_task_runs_starts_the_tunnel_follows_its_gateways_and_ends_with_the_distro() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let config = std::fs::write(scratch.path("files/etc/underpass.toml"), "mtu = 1500\n");
    assert!(config.is_ok(), "{config:?}");
    let wsl = Wsl::with_timeouts(&lab, &interop, scratch.path("wsl").as_ref(), timeouts());
    wsl.import(&package);
    // The second time as the task's second trigger starts it after `wsl --shutdown`.
    for _ in 0..2 {
        let mut task = wsl.client().start(&[
            "-d",
            "underpass",
            "--exec",
            "/usr/bin/underpass",
            "up",
            "--attach",
        ]);
        let ups = |task: &Process| task.stdout().matches("underpass: up on underpass0").count();
        assert!(until(PATIENCE * 2, || ups(&task) == 1), "{task:?} {}", task.stdout());
        let helper = wsl.start(&package);
        let gateway = peek(&helper);
        assert_eq!(
            gateway["tap"]["mtu"], 1500,
            "it is the boot command's gateway, with its configuration"
        );
        assert!(helper.sh(&format!("kill -9 {}", gateway["pid"])).succeeded());
        assert!(until(PATIENCE * 2, || ups(&task) == 2), "{}\n{}", task.stdout(), log(&helper));
        assert!(task.is_running());
        let done = wsl.client().run(&["--shutdown"]);
        assert!(done.succeeded(), "{done:?}");
        assert_eq!(task.exit_code(PATIENCE), Some(1), "{}", task.stdout());
    }
}
