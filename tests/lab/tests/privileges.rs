//! Root is given up: the rights of each process of a gateway while traffic flows. The end of any of
//! them restores the old network.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::scene::{PATIENCE, http_status, tunnelled_lab, web_server};
use lab::tunnel::send_signal;
use lab::{Place, Tunnel, Vpn, until};
use std::fs;

/// CAP_NET_ADMIN as the kernel writes it (linux/capability.h: number 12).
const NET_ADMIN: &str = "0000000000001000";
const NO_CAPABILITY: &str = "0000000000000000";

/// A line of /proc/PID/status, without its name.
fn line(pid: u32, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {status}"))
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// The user of a process, which must be its only user and group.
fn only_user(pid: u32) -> u32 {
    let (users, groups) = (line(pid, "Uid"), line(pid, "Gid"));
    assert_eq!(line(pid, "Groups"), "", "process {pid} keeps other groups");
    let first = users.split(' ').next().unwrap().to_owned();
    assert_eq!(
        (users, groups),
        ([first.as_str(); 4].join(" "), [first.as_str(); 4].join(" ")),
        "process {pid}"
    );
    first.parse().unwrap()
}

fn assert_capabilities(pid: u32, effective: &str) {
    for (set, expected) in [
        ("CapEff", effective),
        ("CapPrm", effective),
        ("CapInh", NO_CAPABILITY),
        ("CapBnd", NO_CAPABILITY),
        ("CapAmb", NO_CAPABILITY),
    ] {
        assert_eq!(line(pid, set), expected, "process {pid}, {set}");
    }
}

#[test]
fn the_process_that_reads_from_the_network_is_not_root_and_has_no_capability() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    let (engine, network) = (tunnel.engine(), tunnel.network());
    let users = [only_user(engine), only_user(network)];
    // They are not root, not the user that other programs share, and not the same.
    assert!(
        users.iter().all(|user| ![0, 65_534].contains(user)) && users[0] != users[1],
        "{users:?}"
    );
    assert_capabilities(engine, NO_CAPABILITY);
    assert_capabilities(network, NET_ADMIN);
    for pid in [engine, network] {
        assert_eq!(line(pid, "NoNewPrivs"), "1", "process {pid}");
        assert_eq!(line(pid, "Seccomp"), "2", "process {pid}: no list of system calls");
        // In /proc a process that is not dumpable belongs to root (proc(5)).
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(
            fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(),
            0,
            "process {pid} can be dumped"
        );
        let environment = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        let others: Vec<&str> =
            environment.split_terminator('\0').filter(|line| !line.starts_with("RUST_")).collect();
        assert_eq!(others, [""; 0], "process {pid}: a password may be in the environment");
    }
    // Windows programs keep their earlier rights.
    for relay in tunnel.relays() {
        assert_eq!(
            (line(relay, "NoNewPrivs"), line(relay, "Seccomp")),
            (line(1, "NoNewPrivs"), line(1, "Seccomp"))
        );
    }
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert_eq!(tunnel.complained(), "");
    assert_status(&mut tunnel, users);
}

/// `underpass status` agrees with the kernel about them.
fn assert_status(tunnel: &mut Tunnel, users: [u32; 2]) {
    let (up, status) = (tunnel.process().pid(), tunnel.status());
    let seen = &status["privileges"];
    assert_eq!((&seen[0]["pid"], &seen[0]["user"]), (&up.into(), &0.into()), "{seen}");
    let others = [(tunnel.engine(), &[][..]), (tunnel.network(), &["NET_ADMIN"][..])];
    for (index, ((pid, capabilities), user)) in others.into_iter().zip(users).enumerate() {
        let process = &seen[index + 1];
        assert_eq!((&process["pid"], &process["user"]), (&pid.into(), &user.into()), "{process}");
        assert_eq!(process["capabilities"], serde_json::json!(capabilities), "{process}");
        assert_eq!(
            (&process["seccomp"], &process["no_new_privs"]),
            (&true.into(), &true.into()),
            "{process}"
        );
        // The kernel of this machine may have no Landlock: then the status says so.
        let said =
            process["landlock"].is_u64() || process["missing"].to_string().contains("Landlock");
        assert!(said, "{process}");
    }
    let text = tunnel.command(&["status"]).unwrap().stdout;
    assert!(text.contains(": user 65531, CAP_NET_ADMIN, no new privileges, seccomp"), "{text}");
}

#[test]
fn the_end_of_any_process_gives_the_old_network_back_and_ends_the_others() {
    type PidOf = fn(&mut Tunnel) -> u32;
    let which: [(&str, PidOf, &str, &str); 4] = [
        ("underpass-engine", Tunnel::engine, "KILL", "SIGKILL"),
        // As the kernel ends it for a forbidden system call.
        ("underpass-engine", Tunnel::engine, "SYS", "not in its list (seccomp)"),
        ("underpass-network", Tunnel::network, "KILL", "SIGKILL"),
        ("up", |tunnel| tunnel.process().pid(), "KILL", ""),
    ];
    for (name, process, signal, words) in which {
        let Some((mut lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
        let _web = web_server(&lab);
        let all =
            [&[tunnel.process().pid(), tunnel.engine(), tunnel.network()], &tunnel.relays()[..]]
                .concat();
        lab.set_vpn(Vpn::Off).unwrap();
        send_signal(process(&mut tunnel), signal);
        let code = tunnel.process().exit_code(PATIENCE);
        assert_eq!(code, (name != "up").then_some(1), "{name}: {}", tunnel.complained());
        if name != "up" {
            let said = tunnel.complained();
            assert!(
                said.contains(&format!("{name} of the gateway")) && said.contains(words),
                "{name}: {said}"
            );
        }
        let links = || lab.run(Place::Wsl, &["ip", "link"]).unwrap().stdout;
        assert!(until(PATIENCE, || !links().contains("underpass0")), "{name}: {}", links());
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{name}: the old network is back");
        let ended = |pid: &u32| !std::path::Path::new(&format!("/proc/{pid}/exe")).exists();
        assert!(until(PATIENCE, || all.iter().all(ended)), "{name}: one of {all:?} is left");
        let again = Tunnel::up(&lab, &[]);
        assert_eq!(
            http_status(&lab, Place::Wsl, SERVER),
            "200",
            "{name}: a second start finds no obstacle"
        );
        drop(again);
    }
}
