//! `underpass settings` as people use it: the built program on files of a test's own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod change;
mod dns;

use lab::scene::Scratch;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Files as a machine has them, in a folder of their own.
struct Machine {
    scratch: Scratch,
}

/// The program's output, and its exit code.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

impl Machine {
    /// With these two files; none where the text is empty.
    fn new(wslconfig: &str, wsl_conf: &str) -> Self {
        let machine = Self { scratch: Scratch::new() };
        fs::create_dir(machine.path("etc")).unwrap();
        for (name, text) in [(".wslconfig", wslconfig), ("etc/wsl.conf", wsl_conf)] {
            if !text.is_empty() {
                fs::write(machine.path(name), text).unwrap();
            }
        }
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path(name).into()
    }

    /// The bytes of a file; nothing where there is none.
    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path(name)).ok()
    }

    /// The program with the words and this machine's places, in English.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_underpass"));
        command
            .arg("settings")
            .args(words)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        if let ["undo" | "dns" | "apply", ..] = words {
            command.arg("--state").arg(self.path("state"));
        }
        if words[0] != "undo" {
            command.arg("--etc").arg(self.path("etc"));
        }
        if !["undo", "dns"].contains(&words[0]) {
            command.arg("--wslconfig").arg(self.path(".wslconfig"));
        }
        command
    }

    fn run(&self, words: &[&str]) -> Said {
        self.command(words).output().unwrap().into()
    }

    /// On a Windows 11 23H2 with WSL 2.5.9.
    fn run_on_new(&self, words: &[&str]) -> Said {
        self.run(&[words, &["--windows-version", "10.0.22631", "--wsl-version", "2.5.9"]].concat())
    }

    /// What it prints as JSON.
    fn json(&self, words: &[&str]) -> Value {
        let said = self.run_on_new(&[words, &["--json"]].concat());
        serde_json::from_str(&said.out)
            .unwrap_or_else(|error| panic!("{words:?}: {error}: {said:?}"))
    }
}

const WSLCONFIG: &str = "# ours\r\n[wsl2]\r\nmemory = 8GB # half\r\nnetworkingMode=mirrored\r\n\
                         firewall=false\r\nnosuch=1\r\nswap=x\r\n";

#[test]
fn a_file_is_checked_by_its_path_alone() {
    let machine = Machine::new("[wsl2]\nnosuch=1\n", "");
    fs::write(machine.path("other"), "[wsl2]\nprocessors=4 cores\n").unwrap();
    fs::create_dir(machine.path("distro")).unwrap();
    fs::write(machine.path("distro/wsl.conf"), "[boot]\nsystemd=perhaps\n").unwrap();
    let check = |file: &str, more: &[&str]| -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_underpass"));
        command
            .args(["settings", "check"])
            .arg(machine.path(file))
            .arg("--etc")
            .arg(machine.path("etc"));
        command.args(["--windows-version", "10.0.22631", "--wsl-version", "2.5.9"]).args(more);
        command
            .env("LC_ALL", "C.UTF-8")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .output()
            .unwrap()
            .into()
    };
    let said = check("other", &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.out.contains("other:2: warning") && said.out.contains("a value that WSL accepts: 4\n"),
        "{said:?}"
    );
    assert!(!said.out.contains("nosuch"), "{said:?}");
    // By its name it is known to be a wsl.conf.
    let said = check("distro/wsl.conf", &[]);
    assert!(said.out.contains("wsl.conf:2: warning: boot.systemd cannot be 'perhaps'"), "{said:?}");
    let said = check("nothing", &[]);
    assert!(said.code == Some(1) && said.err.contains("nothing cannot be read"), "{said:?}");
    assert_eq!(check("other", &["--wslconfig", "x"]).code, Some(2));
}

#[test]
fn the_modes_are_explained_for_this_machine() {
    let machine = Machine::new("", "");
    let said = machine.run_on_new(&["recommend", "--explain"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    for part in [
        "NAT and mirrored mode\n",
        "  NAT: ",
        "  mirrored: ",
        "WSL uses NAT mode",
        "This Windows supports both",
    ] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    let old =
        machine.run(&["recommend", "--explain", "--lang", "zh", "--windows-version", "10.0.19045"]);
    assert!(old.out.contains("镜像模式") && old.out.contains("没有镜像模式"), "{old:?}");
}

#[test]
fn show_tells_what_is_in_force_where_it_comes_from_and_the_default() {
    let machine = Machine::new(WSLCONFIG, "[network]\ngenerateResolvConf=false\n");
    fs::write(machine.path("etc/resolv.conf"), "# mine\nnameserver 10.1.2.3\n").unwrap();
    let said = machine.run_on_new(&["show"]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    let line = |key: &str| {
        let line = said.out.lines().find(|line| line.trim_start().starts_with(key));
        line.unwrap_or_else(|| panic!("no {key} in {}", said.out))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("memory"), "memory 8GB line 3 (default: 50%)");
    assert_eq!(line("networkingMode"), "networkingMode mirrored line 4 (default: nat)");
    assert_eq!(
        line("firewall"),
        "firewall true set by wsl2.networkingMode=mirrored; line 5 has no effect"
    );
    assert_eq!(line("swap "), "swap 25% default, because line 7 cannot be read");
    assert_eq!(line("dnsTunneling "), "dnsTunneling true default");
    assert_eq!(line("generateResolvConf"), "generateResolvConf false line 2 (default: true)");
    assert!(
        said.out.contains("a file of the distro's own\n  nameserver 10.1.2.3\n"),
        "{}",
        said.out
    );
    let changed = machine.run_on_new(&["show", "--changed", "--lang", "zh"]).out;
    assert!(changed.contains("第 3 行") && !changed.contains("dnsTunneling "), "{changed}");
}

#[test]
fn show_gives_the_same_as_json() {
    let machine = Machine::new(WSLCONFIG, "");
    std::os::unix::fs::symlink("/mnt/wsl/resolv.conf", machine.path("etc/resolv.conf")).unwrap();
    let shown = machine.json(&["show"]);
    let of = |key: &str| {
        shown["settings"].as_array().unwrap().iter().find(|s| s["key"] == key).unwrap().clone()
    };
    let firewall = of("wsl2.firewall");
    assert_eq!(
        (&firewall["value"], &firewall["origin"], &firewall["line"]),
        (&"true".into(), &"forced".into(), &5.into())
    );
    assert_eq!(of("wsl2.memory")["default"], "50%");
    assert_eq!(of("boot.systemd")["origin"], "default");
    assert_eq!((&shown["windows"], &shown["wsl"]), (&22_631.into(), &"2.5.9".into()));
    assert_eq!(shown["resolv.conf"]["link"], "/mnt/wsl/resolv.conf");
    assert_eq!(shown["settings"].as_array().unwrap().len(), 80);
    // On an older Windows other defaults count.
    let said = machine
        .run(&["show", "--json", "--windows-version", "19045", "--wsl-version", "2.5.9"])
        .out;
    let old: Value = serde_json::from_str(&said).unwrap();
    let mode = old["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["key"] == "wsl2.networkingMode")
        .unwrap();
    assert_eq!((&mode["value"], &mode["because"]), (&"nat".into(), &"Windows 10 (19045)".into()));
}

#[test]
fn check_tells_each_mistake_with_its_line_and_what_to_do() {
    let machine = Machine::new(WSLCONFIG, "[network]\ngenerateResolvConf=false\n");
    let said = machine.run_on_new(&["check"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let (wslconfig, wsl_conf) = (machine.path(".wslconfig"), machine.path("etc/wsl.conf"));
    for (path, line, what) in [
        (&wslconfig, 5, "wsl2.networkingMode=mirrored overrides it"),
        (&wslconfig, 6, "WSL has no key wsl2.nosuch"),
        (&wslconfig, 7, "wsl2.swap cannot be 'x': WSL uses the default, 25%"),
        (
            &wsl_conf,
            2,
            "networkingMode=mirrored and generateResolvConf=false contradict each other",
        ),
    ] {
        let start = format!("{}:{line}: warning: ", path.display());
        let found = said.out.lines().any(|line| line.starts_with(&start) && line.contains(what));
        assert!(found, "{start}{what}: {}", said.out);
    }
    let codes: Vec<_> =
        machine.json(&["check"]).as_array().unwrap().iter().map(|f| f["code"].clone()).collect();
    assert_eq!(codes, ["overruled", "unknown", "bad-value", "resolv-conf-and-mode"]);
    let chinese = machine.run_on_new(&["check", "--lang", "zh"]).out;
    assert!(chinese.contains("警告: ") && chinese.contains("相互冲突"), "{chinese}");
}

#[test]
fn check_is_content_with_good_files_and_with_none() {
    let good =
        "[wsl2]\nnetworkingMode=mirrored\ndnsTunneling=true\nautoProxy=true\nfirewall=true\n";
    for (wslconfig, wsl_conf) in [(good, "[boot]\nsystemd=true\n"), ("", "")] {
        let said = Machine::new(wslconfig, wsl_conf).run_on_new(&["check"]);
        assert_eq!(
            (said.code, said.out.as_str()),
            (Some(0), "No problems found in the settings.\n"),
            "{said:?}"
        );
    }
    // A note alone is not a problem.
    let note = Machine::new("[experimental]\nautoProxy=true\n", "").run_on_new(&["check"]);
    assert!(note.code == Some(0) && note.out.contains("note: "), "{note:?}");
    let old = Machine::new(good, "").run(&[
        "check",
        "--windows-version",
        "10.0.19045",
        "--wsl-version",
        "2.5.9",
    ]);
    assert!(old.code == Some(1) && old.out.contains("needs Windows 11 22H2 (22621)"), "{old:?}");
}

#[test]
fn what_cannot_be_known_or_read_is_said() {
    let machine = Machine::new("[wsl2]\nmemory=1GB\n", "");
    let mut bare = Command::new(env!("CARGO_BIN_EXE_underpass"));
    bare.args(["settings", "check", "--etc"]).arg(machine.path("etc")).env("LC_ALL", "C.UTF-8");
    let said: Said = bare.output().unwrap().into();
    assert_eq!(said.code, Some(0), "{said:?}");
    for option in ["--wslconfig", "--windows-version", "--wsl-version"] {
        assert!(said.err.contains(option), "{option}: {}", said.err);
    }
    fs::write(machine.path(".wslconfig"), b"[wsl2]\nswapFile=\xb5\n").unwrap();
    let bad = machine.run_on_new(&["check"]);
    assert!(
        bad.code == Some(1) && bad.err.contains(".wslconfig") && bad.err.contains("UTF-8"),
        "{bad:?}"
    );
    let usage = machine.run(&["check", "--windows-version", "eleven"]);
    assert!(usage.code == Some(2) && usage.err.contains("10.0.22631"), "{usage:?}");
}

#[test]
fn recommend_gives_each_line_with_its_reason() {
    let machine = Machine::new("[wsl2]\nfirewall=true\n", "");
    let said = machine.run_on_new(&["recommend"]);
    assert_eq!(said.code, Some(0));
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines[0], ".wslconfig: wsl2.networkingMode=mirrored");
    assert!(lines[1].starts_with("    WSL uses Windows' own adapters"), "{}", said.out);
    assert!(said.out.contains("wsl2.firewall=true  (already set)"), "{}", said.out);
    assert!(said.out.contains("`underpass settings apply --goal default`"), "{}", said.out);
    fs::write(machine.path("etc/wsl.conf"), "[network]\ngenerateResolvConf=false\n").unwrap();
    let chinese = machine.run_on_new(&["recommend", "--lang", "zh"]).out;
    assert!(chinese.contains("VPN 在 Windows 上生效"), "{chinese}");
    assert!(chinese.contains("wsl.conf: network.generateResolvConf（应删除）\n"), "{chinese}");
    let wrong = machine.run_on_new(&["recommend", "--goal", "wan"]);
    assert!(wrong.code == Some(2) && wrong.err.contains("vpn"), "{wrong:?}");
}

/// An old Windows with AnyConnect, as the relay tells it.
const OLD_HOST: &str = r#"{"system": "Windows 10.0.19045", "routes": [
    "192.168.0.0/16", "172.16.0.0/12", "172.28.48.0/20"
], "adapters": [
    {"index": 5, "name": "Ethernet 3", "description": "Cisco AnyConnect Virtual Miniport Adapter",
     "up": true, "metric": 1, "vpn": "its description"},
    {"index": 9, "name": "vEthernet (WSL)", "description": "Hyper-V Virtual Ethernet Adapter",
     "up": true, "addresses": ["172.28.48.1/20"]}
]}"#;

#[test]
fn recommend_gives_an_old_windows_a_free_subnet_and_the_metric_of_anyconnect() {
    let machine = Machine::new("", "");
    let facts = machine.scratch.file("facts.json", OLD_HOST);
    let said = machine.run(&[
        "recommend",
        "--goal",
        "vpn",
        "--host-facts",
        &facts,
        "--wsl-version",
        "2.5.9",
    ]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for line in [
        "Windows 10 (19045) has no mirrored mode",
        "in PowerShell as administrator:",
        "-Name NatNetwork -Type String -Value '10.254.240.0/24'",
        "-Name NatGatewayIpAddress -Type String -Value '10.254.240.1'",
        "-Name NatIpAddress -ErrorAction SilentlyContinue",
        "  Get-HnsNetwork | Where-Object Name -like 'WSL*' | Remove-HnsNetwork",
        "let nothing start WSL in between",
        "WSL's subnet 172.28.48.0/20 lies in 172.16.0.0/12",
        "  Set-NetIPInterface -InterfaceAlias 'Ethernet 3' -InterfaceMetric 6000",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    let other =
        machine.scratch.file("other.json", &OLD_HOST.replace("Cisco AnyConnect", "Fortinet SSL"));
    let said = machine.run(&["recommend", "--host-facts", &other, "--wsl-version", "2.5.9"]).out;
    assert!(said.contains("in a distro:\n  underpass up\n"), "{said}");
}

/// A newer Windows whose administrator decided some things, as the relay reports it.
const MANAGED_HOST: &str = r#"{"system": "Windows 10.0.26100", "wsl": {"dns_query_raw": false,
    "ipv6_disabled_components": 255, "policies": {"AllowFirewallUserSetting": 0}}}"#;

#[test]
fn what_windows_decides_is_shown_and_checked_by_the_facts_of_the_host() {
    let machine =
        Machine::new("[wsl2]\nnetworkingMode=mirrored\ndnsTunneling=true\nfirewall=false\n", "");
    let facts = machine.scratch.file("facts.json", MANAGED_HOST);
    let on = |words: &[&str]| {
        let host = ["--host-facts", &facts, "--wsl-version", "2.9.4"];
        machine.run(&[words, &host].concat())
    };
    let shown = on(&["show"]).out;
    for line in [
        "nat              set by DisabledComponents=0xFF in the registry; line 2 has no effect",
        "false            set by a Windows without a working DnsQueryRaw; line 3 has no effect",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
    let checked = on(&["check"]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.out.contains("DisabledComponents is 0xFF"), "{}", checked.out);
    assert!(
        checked.out.contains("DnsQueryRaw, which WSL needs to resolve names through Windows"),
        "{}",
        checked.out
    );
    let chinese = on(&["show", "--lang", "zh"]).out;
    assert!(chinese.contains("由当前系统（缺少可用的 DnsQueryRaw）决定"), "{chinese}");
    // The facts of an older relay say nothing of it.
    let older = machine.scratch.file("older.json", r#"{"system": "Windows 10.0.26100"}"#);
    let said = machine.run(&["check", "--host-facts", &older, "--wsl-version", "2.9.4"]);
    assert_eq!(said.out.matches("warning").count(), 1, "{said:?}");
}

#[test]
fn utf_16_in_wsl_conf_is_told_and_never_written() {
    let machine = Machine::new("", "");
    let text: Vec<u8> =
        "\u{feff}[boot]\r\nsystemd=true\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(machine.path("etc/wsl.conf"), &text).unwrap();
    let said = machine.run_on_new(&["check"]);
    let start = format!("{}:1: error: The file is UTF-16", machine.path("etc/wsl.conf").display());
    assert!(said.code == Some(1) && said.out.starts_with(&start), "{said:?}");
    let changes: [&[&str]; 2] = [&["--set", "boot.systemd=false"], &["--unset", "boot.systemd"]];
    for change in changes {
        let refused = machine.run(&[&["apply", "--yes"], change].concat());
        assert!(
            refused.code != Some(0) && refused.err.contains("UTF-16"),
            "{change:?}: {refused:?}"
        );
        assert_eq!(fs::read(machine.path("etc/wsl.conf")).unwrap(), text);
    }
    // .wslconfig in UTF-16 is read by Windows, and so here.
    fs::write(machine.path(".wslconfig"), &text).unwrap();
    fs::remove_file(machine.path("etc/wsl.conf")).unwrap();
    let said = machine.run_on_new(&["check"]);
    assert!(said.out.contains("boot.systemd is not a key of .wslconfig"), "{said:?}");
}

#[test]
fn passwords_are_hidden_wherever_they_stand() {
    let line = "command=curl -x http://anna:geheim@proxy.corp.example:8080 http://a/";
    let machine = Machine::new("", &format!("[boot]\n{line}\n[x]\n{line}\n"));
    let words: [&[&str]; 5] = [
        &["show"],
        &["show", "--json"],
        &["check"],
        &["check", "--json"],
        &["apply", "--dry-run", "--set", "boot.systemd=true"],
    ];
    for words in words {
        let said = machine.run_on_new(words);
        assert!(!format!("{said:?}").contains("geheim"), "{words:?}: {said:?}");
        let is_shown = said.out.contains("***@proxy.corp.example:8080");
        assert_eq!(is_shown, words[0] != "check", "{words:?}: {said:?}");
    }
    fs::write(machine.path("etc/wsl.conf"), format!("[boot]\n; {line}\n")).unwrap();
    let refused = machine.run(&["apply", "--yes", "--set", "boot.systemd=true"]);
    assert!(refused.err.contains("***@") && !refused.err.contains("geheim"), "{refused:?}");
}
