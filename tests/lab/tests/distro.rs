//! The helper distro as it ships: the content of the package, and its service for a pretend WSL
//! with other distros.

use lab::addresses::{NAT_GATEWAY, ROUTER, SERVER, SERVER_NAME, SERVER_V6};
use lab::built::{self, workspace};
use lab::helper::{busybox, log, package, pretend_wsl, status, wait_up};
use lab::interop::host_relays;
use lab::scene::{
    PATIENCE, RECORDS, Scratch, Script, UDP_ECHO, fetch, hops, host_nameserver, http_server,
    http_status, must, python_server, rules, transfer, udp_client, udp_server, way_out, web_server,
    windows_lab,
};
use lab::wsl::{Distro, Running, Wsl, unpack};
use lab::{Place, until};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The output of a program that must succeed.
fn run(program: &Path, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    assert!(output.status.success(), "{} {words:?}: {output:?}", program.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_package_is_small_the_same_each_time_and_says_what_is_in_it() {
    let package = package();
    // An existing package may be of another commit.
    run(&workspace().join("scripts/build-distro"), &[]);
    let size = fs::metadata(&package).map_or(u64::MAX, |file| file.len());
    assert!(size < 9 * 1024 * 1024, "{size} bytes; was scripts/build-distro run?");
    let sum = || run(Path::new("sha256sum"), &[&package.display().to_string()]);
    let before = sum();
    let shown = fs::read_to_string(package.with_extension("wsl.sha256")).unwrap_or_default();
    assert_eq!(shown.split(' ').next(), before.split(' ').next());
    run(&workspace().join("scripts/build-distro"), &[]);
    assert_eq!(sum(), before, "built again it has the same bytes");

    let list = run(
        Path::new("tar"),
        &["--list", "--verbose", "--numeric-owner", "--file", &package.display().to_string()],
    );
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let (mode, owner, name) =
            (words.next().unwrap_or_default(), words.next(), words.nth(3).unwrap_or_default());
        assert_eq!(owner, Some("0/0"), "{line}");
        assert!(
            !mode.contains('s')
                && (mode.starts_with('l') || &mode[7..9] != "rw" || mode.ends_with('t')),
            "{line}"
        );
        assert!(!name.starts_with(['/', '.']), "{line}");
    }
    for file in
        ["bin/sh", "etc/wsl.conf", "etc/wsl-distribution.conf", "etc/passwd", "etc/os-release"]
    {
        assert!(list.lines().any(|line| line.contains(&format!(" {file}"))), "{file}");
    }

    let scratch = Scratch::new();
    let root = PathBuf::from(scratch.path("root"));
    assert!(unpack(&package, &root).is_ok());
    let sbom: Value = serde_json::from_str(
        &fs::read_to_string(root.join("usr/share/underpass.spdx.json")).unwrap_or_default(),
    )
    .unwrap_or_default();
    let parts = sbom["packages"].as_array().cloned().unwrap_or_default();
    for name in [
        "underpass",
        "underpass-relay",
        "smoltcp",
        "tokio",
        "windows-sys",
        "busybox-static",
        "libc6-dev",
        "rust-std",
    ] {
        assert!(
            parts.iter().any(|part| part["name"] == name),
            "{name} is not in the list of its contents"
        );
    }
    for build_only in ["winresource", "clap_derive", "proptest"] {
        assert!(parts.iter().all(|part| part["name"] != build_only), "{build_only}");
    }
    assert!(parts.iter().all(|part| part["licenseDeclared"] != "NOASSERTION"), "{sbom}");
    for license in ["underpass/LICENSE-MIT", "underpass/LICENSE-APACHE", "busybox-static/copyright"]
    {
        assert!(root.join("usr/share/licenses").join(license).exists(), "{license}");
    }
    for program in ["usr/bin/underpass", "usr/bin/underpass-relay.exe"] {
        let bytes = fs::read(root.join(program)).unwrap_or_default();
        for path in [env!("CARGO_MANIFEST_DIR"), "/.cargo/registry"] {
            let found = bytes.windows(path.len()).any(|part| part == path.as_bytes());
            assert!(!found, "{program} names a path of the machine that built it: {path}");
        }
    }
    // Each command of `underpass` is a word that `wsl -d underpass` takes.
    let help = run(&root.join("usr/bin/underpass"), &["--help"]);
    let commands: Vec<&str> = help
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.split_once("  "))
        .map(|(command, _)| command)
        .filter(|command| !command.is_empty() && command.bytes().all(|b| b.is_ascii_lowercase()))
        .collect();
    assert!(["doctor", "up", "proxy", "man"].iter().all(|one| commands.contains(one)), "{help}");
    for command in commands {
        assert!(command == "man" || root.join("usr/bin").join(command).exists(), "{command}");
        let page = root.join(format!("usr/share/man/man1/underpass-{command}.1"));
        assert!(
            fs::read_to_string(&page).is_ok_and(|text| text.contains(".SH NAME")),
            "{}",
            page.display()
        );
    }
    assert!(!root.join("usr/bin/man").exists(), "it is the name of another program");
    assert!(
        root.join("usr/share/man/man1/underpass.1").exists()
            && root.join("usr/share/man/man1/underpass-service-install.1").exists()
    );
    let completions = [
        "bash-completion/completions/underpass",
        "zsh/site-functions/_underpass",
        "fish/vendor_completions.d/underpass.fish",
    ];
    for (file, shell) in completions.into_iter().zip(["bash", "zsh", "fish"]) {
        let text = fs::read_to_string(root.join("usr/share").join(file)).unwrap_or_default();
        assert_eq!(text, run(&root.join("usr/bin/underpass"), &["completions", shell]), "{file}");
    }
}

/// A request for a page of a host and port, headers included.
type Request = fn(&str, u16) -> String;

/// A request by busybox's programs.
fn by_nc(host: &str, port: u16) -> String {
    format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 10 {host} {port}")
}

/// A request by curl.
fn by_curl(host: &str, port: u16) -> String {
    format!("curl -s -i -m 10 http://{host}:{port}/")
}

#[test]
fn started_by_its_boot_command_it_serves_every_distro() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let (_web, _dns) = (web_server(&lab), host_nameserver(&lab));
    let _host = http_server(&lab, Place::Windows, "127.0.0.1", 8080, "of the host");
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let busybox = busybox(scratch.path("busybox").as_ref());
    // An unprivileged user was there first, with that user's own files.
    let squatter = wsl
        .start(&busybox)
        .sh_unprivileged("mkdir /mnt/wsl/underpass && touch /mnt/wsl/underpass/underpass");
    assert!(squatter.succeeded(), "{squatter:?}");
    let helper = wsl.start(&package);
    let first = wait_up(&helper);
    // Run from Windows' disk.
    let copy = interop
        .local_app_data()
        .join("underpass")
        .join(env!("CARGO_PKG_VERSION"))
        .join("underpass-relay.exe");
    assert_eq!(fs::read(copy).ok(), fs::read(built::windows_relay()).ok());

    let debian = Distro::new("debian", &workspace().join("target/debian-root"));
    let others: [(Distro, Request); 2] = [(busybox, by_nc), (debian, by_curl)];
    for (other, fetch) in others {
        let running = wsl.start(&other);
        for host in [SERVER, SERVER_NAME] {
            let page = running.sh(&fetch(host, 80));
            assert!(page.stdout.contains(" 200 OK"), "{other:?} {host}: {page:?}");
        }
        let ping = running.sh(&format!("ping -c 2 -W 5 {SERVER}"));
        assert!(ping.succeeded(), "{other:?}: {ping:?}");
        // The published status for that user.
        let shown = running.sh_unprivileged("/mnt/wsl/underpass/underpass status");
        assert!(shown.succeeded() && shown.stdout.contains("up"), "{other:?}: {shown:?}");
        let by_env = fetch("$UNDERPASS_HOST", 8080);
        let by_env = running
            .sh(&format!(". /mnt/wsl/underpass/env.sh && underpass status --json && {by_env}"));
        assert!(by_env.stdout.ends_with("of the host"), "{other:?}: {by_env:?}");
        let published = "/mnt/wsl/underpass";
        for harm in [
            format!("touch {published}/x"),
            format!("rm {published}/control.sock"),
            format!("mv {published} /mnt/wsl/x"),
        ] {
            let done = running.sh_unprivileged(&harm);
            assert!(!done.succeeded(), "{other:?} {harm}: {done:?}");
        }
    }

    // A gateway that dies is started again, and closed connections are opened again.
    let killed = helper.sh(&format!("kill -9 {first}"));
    assert!(killed.succeeded(), "{killed:?}");
    assert!(
        until(PATIENCE, || status(&helper)["pid"].as_u64().is_some_and(|pid| pid != first)),
        "{}",
        log(&helper)
    );
    wait_up(&helper);
    assert!(until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"), "{}", log(&helper));
    assert!(log(&helper).contains("ended with exit code 137"), "{}", log(&helper));
}

#[test]
fn all_kinds_of_traffic_go_through_the_packaged_tunnel() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let (_web, _udp, _dns) = (web_server(&lab), udp_server(&lab), host_nameserver(&lab));
    let _transfers =
        python_server(&lab, Place::Internet, Script::Transfer.text(), &["serve", "5001"], 5001);
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let helper = wsl.start(&package);
    wait_up(&helper);
    for how in ["upload", "download", "echo"] {
        let done = transfer(&lab, 5001, how, (16 << 20, 4), 0);
        assert_eq!(done["exact"], true, "{how}: {done}");
    }
    let echo = "
s = udp()
for size in [0, 1, 1400, 30000]:
    data = os.urandom(size)
    assert ask(s, (sys.argv[1], int(sys.argv[2])), data)[0] == data, size
print('echoed')
";
    assert_eq!(udp_client(&lab, echo, &[SERVER, &UDP_ECHO.to_string()]), "echoed");
    for (name, kind, answer) in RECORDS {
        // The VM's own nameserver, whose answers the VPN cuts off.
        let said = must(&lab, Place::Wsl, &format!("dig +short +tries=1 +timeout=8 {name} {kind}"));
        assert_eq!(said.trim(), answer, "{name} {kind}");
    }
    assert_eq!(http_status(&lab, Place::Wsl, &format!("[{SERVER_V6}]")), "200");
    let gateway = status(&helper)["tap"]["ipv4"]["gateway"].as_str().unwrap_or_default().to_owned();
    assert_eq!(hops(&lab, &["-I"], SERVER), [gateway.as_str(), ROUTER, SERVER]);
    assert_eq!(status(&helper)["relays"][0]["restarts"], 0);
}

#[test]
fn a_second_up_stays_with_the_first_and_removal_leaves_nothing_that_matters() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let _web = web_server(&lab);
    let before = (rules(&lab), way_out(&lab, SERVER), must(&lab, Place::Wsl, "ip link"));
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let helper = wsl.start(&package);
    let gateway = wait_up(&helper);
    let mut second = helper.start("up");
    let says = |second: &lab::Process, text: &str| {
        assert!(until(PATIENCE, || second.stdout().contains(text)), "{text}: {second:?}")
    };
    says(&second, &format!("already running as process {gateway}"));
    says(&second, "underpass: up on underpass0");
    // It follows the next gateway.
    assert!(helper.sh(&format!("kill -9 {gateway}")).succeeded());
    says(&second, &format!("process {gateway} has ended"));
    let next = || {
        second
            .stdout()
            .lines()
            .filter(|line| line.starts_with("underpass: up on underpass0"))
            .count()
            == 2
    };
    assert!(until(PATIENCE * 2, next), "{}\n{}", second.stdout(), log(&helper));
    assert!(second.is_running());
    assert_ne!(wait_up(&helper), gateway);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");

    // Like `wsl --unregister`: everything in the distro is killed.
    drop(helper);
    assert!(until(PATIENCE, || host_relays(&lab).is_empty()), "{:?}", host_relays(&lab));
    assert!(until(PATIENCE, || way_out(&lab, SERVER) == before.1), "{}", way_out(&lab, SERVER));
    assert_eq!(must(&lab, Place::Wsl, "ip link"), before.2);
    // Rules of a killed gateway lead to its tables, which are empty, or to the earlier routes.
    let left = rules(&lab);
    let mut ours = left.lines().filter(|rule| !before.0.contains(rule));
    let tables = ["30062", "30063"];
    let leads_nowhere =
        |rule: &str| tables.iter().any(|table| rule.contains(&format!("lookup {table} ")));
    assert!(ours.all(|rule| leads_nowhere(rule) || rule.contains("lookup main")), "{left}");
    for table in tables {
        assert_eq!(must(&lab, Place::Wsl, &format!("ip route show table {table}")), "");
    }
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "000", "the VPN cuts the VM off again");
    // The remains of a killed gateway are harmless, and the status says that none runs.
    let other = wsl.start(&busybox(scratch.path("busybox").as_ref()));
    assert_eq!(
        fs::read_dir(wsl.shared()).map_or(0, Iterator::count),
        2,
        "resolv.conf, and what was published"
    );
    let shown = other.sh("/mnt/wsl/underpass/underpass status");
    assert!(shown.code == Some(1) && shown.stderr.contains("not running"), "{shown:?}");
}

#[test]
fn a_newer_one_says_why_it_waits_and_takes_over_when_the_older_goes() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let _web = web_server(&lab);
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let older = wsl.start(&package);
    let gateway = wait_up(&older);
    let newer = unpack(&self::package(), scratch.path("newer").as_ref())
        .map(|distro| distro.named("newer"));
    let newer = wsl.start(&newer.unwrap_or_else(|error| panic!("{error}")));
    let why = ["underpass0", "underpass of another distro"];
    assert!(
        until(PATIENCE, || why.iter().all(|part| log(&newer).contains(part))),
        "{}",
        log(&newer)
    );
    assert_eq!(status(&older)["pid"].as_u64(), Some(gateway), "the older one is not disturbed");
    let published = older.sh("/mnt/wsl/underpass/underpass status --json");
    assert!(published.succeeded(), "{published:?}");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    drop(older);
    wait_up(&newer);
    assert!(until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"), "{}", log(&newer));
}

/// The commands for Windows below a heading of a page, without their comments.
fn commands_below(page: &str, heading: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join(page)).unwrap_or_default();
    let part = text.split_once(&format!("\n## {heading}\n")).map_or("", |(_, rest)| rest);
    let part = part.split("\n## ").next().unwrap_or_default();
    let lines = part.lines().filter_map(|line| line.strip_prefix("    wsl "));
    lines.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()).collect()
}

#[test]
fn the_commands_of_the_readme_and_of_the_guide_do_what_they_say() {
    run_in_turn(&commands_below("README.md", "Install"), 3);
    run_in_turn(&commands_below("docs/install.md", "Install it by hand"), 5);
}

fn run_in_turn(commands: &[String], expected: usize) {
    let Some((lab, interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    let scratch = Scratch::new();
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let (mut installed, mut running, mut stays) = (None, None, None);
    assert_eq!(commands.len(), expected, "{commands:?}");
    for command in commands {
        match command.as_str() {
            "--install --from-file underpass.wsl" => {
                installed = unpack(&package(), scratch.path("files").as_ref()).ok();
            }
            "-d underpass status" => {
                // For any command, WSL starts the distro first.
                let helper = installed.as_ref().map(|distro| wsl.start(distro));
                let helper = helper.unwrap_or_else(|| panic!("{command}: nothing is installed"));
                wait_up(&helper);
                let shown = helper.sh("status");
                assert!(shown.succeeded() && shown.stdout.contains("up"), "{shown:?}");
                assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
                running = Some(helper);
            }
            "-d underpass up" => {
                let helper = running.as_ref().unwrap_or_else(|| panic!("{command}: nothing runs"));
                let up = helper.start("up");
                assert!(
                    until(PATIENCE, || up.stdout().contains("underpass: up on underpass0")),
                    "{up:?}"
                );
                stays = Some(up);
            }
            "--terminate underpass" => {
                assert!(running.is_some(), "{command}: nothing runs");
                assert!(
                    stays.as_mut().is_none_or(lab::Process::is_running),
                    "`up` stays with the tunnel"
                );
                drop((running.take(), stays.take()));
                assert!(
                    until(PATIENCE, || way_out(&lab, SERVER) == "eth0"),
                    "{}",
                    way_out(&lab, SERVER)
                );
            }
            "--unregister underpass" => {
                assert!(installed.is_some() && fs::remove_dir_all(scratch.path("files")).is_ok());
                assert!(
                    interop.local_app_data().join("underpass").exists(),
                    "Windows' folder that stays"
                );
            }
            other => panic!("no test runs `wsl {other}`"),
        }
    }
}

#[test]
fn an_unusable_configuration_is_reported_once_and_not_tried_again() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let config =
        |text: &str| fs::write(Path::new(&scratch.path("files")).join("etc/underpass.toml"), text);
    assert!(config("mtu = 9\n").is_ok());
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let helper = wsl.start(&package);
    assert!(
        until(PATIENCE, || log(&helper).contains("ended with exit code 2")),
        "{}",
        log(&helper)
    );
    assert!(log(&helper).contains("mtu"), "{}", log(&helper));
    let keepers = || helper.sh("ps").stdout.matches("keep-up").count();
    assert!(until(PATIENCE, || keepers() == 0), "{}", helper.sh("ps").stdout);
    assert_eq!(log(&helper).matches("ended with").count(), 1, "{}", log(&helper));
    // Repaired, and the distro started again.
    drop(helper);
    assert!(config("mtu = 1500\n").is_ok());
    let helper = wsl.start(&package);
    wait_up(&helper);
    assert_eq!(status(&helper)["tap"]["mtu"], 1500);
    assert_eq!(
        helper.sh("ps").stdout.matches("keep-up").count(),
        1,
        "the keeper is seen by its name"
    );
}

#[test]
fn a_resolv_conf_that_is_taken_over_or_damaged_is_its_own_distros_matter() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let (_web, _dns) = (web_server(&lab), host_nameserver(&lab));
    let _outside = python_server(&lab, Place::Internet, lab::programs::DNS_SERVER, &[SERVER], 53);
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let helper = wsl.start(&package);
    wait_up(&helper);
    let debian = Distro::new("debian", &workspace().join("target/debian-root"));
    let other = wsl.start(&debian.clone().named("other"));
    let debian = wsl.start(&debian);
    let page =
        |running: &Running, host: &str| running.sh(&by_curl(host, 80)).stdout.contains(" 200 OK");
    let resolv_conf = |running: &Running, text: &str| {
        let done =
            running.sh(&format!("rm -f /etc/resolv.conf; printf '{text}' >/etc/resolv.conf"));
        assert!(done.succeeded(), "{done:?}");
    };
    // By hand, with a server on the internet that the VPN would cut off.
    resolv_conf(&debian, &format!("nameserver {SERVER}\\n"));
    assert!(page(&debian, SERVER_NAME));
    for damaged in ["", "\\377\\000nameserver 172.28.48.1", "nameserver nonsense\\nnameserver\\n"] {
        resolv_conf(&debian, damaged);
        assert!(!page(&debian, SERVER_NAME), "the test's file is damaged: {damaged}");
        assert!(page(&debian, SERVER), "{damaged}");
        // The helper distro's own, too.
        resolv_conf(&helper, damaged);
        assert!(page(&other, SERVER_NAME), "{damaged}");
        let captured = || status(&helper)["captured"] == serde_json::json!([NAT_GATEWAY]);
        assert!(until(PATIENCE, captured), "{damaged}: {}", status(&helper));
    }
    let gateway = status(&helper)["tap"]["ipv4"]["gateway"].as_str().unwrap_or_default().to_owned();
    resolv_conf(&debian, &format!("nameserver {gateway}\\n"));
    assert!(page(&debian, SERVER_NAME), "the gateway is a nameserver for every client");
}

#[test]
fn no_script_of_the_distro_reads_a_clock_that_can_jump() {
    // The programs do not either: clippy's list of disallowed methods has SystemTime::now.
    for script in ["boot", "welcome"] {
        let text =
            fs::read_to_string(workspace().join("distro/rootfs/usr/lib/underpass").join(script));
        let text = text.unwrap_or_else(|error| panic!("{script}: {error}"));
        assert!(
            !text.split(|c: char| !c.is_alphanumeric()).any(|word| word == "date"),
            "{script}: {text}"
        );
    }
}

#[test]
fn the_first_words_and_the_shell_are_as_documented() {
    let Some((lab, interop, scratch, package)) = pretend_wsl() else { return };
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    // The boot command follows the distro's own configuration.
    let config =
        fs::write(Path::new(&scratch.path("files")).join("etc/underpass.toml"), "tap = 'other0'\n");
    assert!(config.is_ok(), "{config:?}");
    let helper = wsl.start(&package);
    wait_up(&helper);
    assert_eq!(status(&helper)["tap"]["name"], "other0");
    let distribution =
        fs::read_to_string(helper.path("/etc/wsl-distribution.conf")).unwrap_or_default();
    let welcome =
        distribution.lines().find_map(|line| line.strip_prefix("command = ")).unwrap_or_default();
    let welcome = helper.sh(welcome);
    assert!(welcome.succeeded() && welcome.stdout.lines().count() == 5, "{welcome:?}");
    assert!(helper.sh("underpass --help").stdout.contains("Usage: underpass"));
    assert!(helper.sh("status --help").stdout.contains("Usage: underpass status"));
    let version = helper.sh("underpass --version");
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{version:?}");
    assert_eq!(fetch(&lab, Place::Wsl, "http://127.0.0.1:1/").code, Some(7));
    for (file, mode) in [("/tmp", 0o1777), ("/root", 0o700), ("/usr/bin/underpass", 0o755)] {
        let file =
            fs::metadata(helper.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!((file.permissions().mode() & 0o7777, file.uid()), (mode, 0));
    }
}
