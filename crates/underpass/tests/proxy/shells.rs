//! `on` and `off`: what shells make of the lines, and which proxy is meant.

use crate::common::{Home, Said, binary, is_root, is_there};
use std::net::TcpListener;

const NAMES: [&str; 8] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Writes the environment down before, while and after a proxy is on; `EVAL` is the shell's way to
/// evaluate a command's output.
const SCRIPT: &str = r#"
env | grep -v '^_=' | sort >before
EVAL(on --proxy 'http://m%27e:p%40w@proxy.test:8080')
EVAL(on --port 7891 --scheme SCHEME)
env | grep -v '^_=' | sort >while
EVAL(off)
env | grep -v '^_=' | sort >after
"#;

fn evaluated(shell: &str, eval: &str) {
    if !is_there(shell) {
        return;
    }
    for scheme in ["http", "socks5"] {
        let home = Home::with_programs()
            .with("http_proxy", "http://old:1")
            .with("NO_PROXY", "it's \\ $HOME,.corp.test");
        let mut script = SCRIPT.replace("SCHEME", scheme);
        while let Some((before, rest)) = script.split_once("EVAL(") {
            let (words, after) = rest.split_once(")\n").unwrap();
            script = format!("{before}{}\n{after}", eval.replace("WORDS", words));
        }
        let said = Said::of(home.command(shell).args(["-c", &script])).well();
        assert!(said.err.contains("127.0.0.1:7891") && !said.err.contains("p%40w"), "{said:?}");
        let [before, during, after] =
            ["before", "while", "after"].map(|name| home.read(name).unwrap());
        assert_eq!(before, after, "{shell}: {said:?}");
        let value = |name: &str| {
            let line = during.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            line.unwrap_or_else(|| panic!("{shell}: no {name} in {during}"))
        };
        for name in &NAMES[..6] {
            assert_eq!(value(name), format!("{scheme}://127.0.0.1:7891"), "{shell}");
        }
        for name in &NAMES[6..] {
            assert!(
                value(name).starts_with("it's \\ $HOME,.corp.test,localhost,"),
                "{shell}: {}",
                value(name)
            );
            for part in ["127.0.0.1", "::1", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"] {
                assert!(value(name).split(',').any(|known| known == part), "{shell}: {part}");
            }
        }
    }
}

#[test]
fn bash_zsh_and_sh_switch_it_on_and_back_exactly() {
    for shell in ["bash", "zsh", "sh"] {
        evaluated(shell, r#"eval "$("$UNDERPASS" proxy WORDS)""#);
    }
}

#[test]
fn fish_does_in_each_of_its_ways() {
    for eval in ["\"$UNDERPASS\" proxy WORDS | source", "eval (\"$UNDERPASS\" proxy WORDS)"] {
        evaluated("fish", eval);
    }
}

#[test]
fn where_something_is_wrong_the_shell_gets_nothing() {
    for (words, mode, code, problem) in [
        (&["on", "--scheme", "ftp"][..], "mirrored", 2, "--scheme"),
        (&["on", "--port", "0"], "mirrored", 2, "--port"),
        (&["on", "--proxy", "http://me:s3cret@host"], "mirrored", 2, "port"),
        (&["on", "--proxy", "http://h:1", "--port", "2"], "mirrored", 2, "--port"),
        (&["on", "--host", "a b"], "mirrored", 2, "host"),
        (&["on", "--shell", "tcsh"], "mirrored", 2, "tcsh"),
        (&["on"], "bridged", 1, "--host"),
        (&["on", "--from", "windows"], "mirrored", 1, "--proxy"),
        (&["off", "--shell", "nu"], "mirrored", 2, "nu"),
    ] {
        let said = Home::new().with("WSL_MODE", mode).proxy(words);
        assert_eq!((said.code, said.out.as_str()), (Some(code), ""), "{words:?}: {said:?}");
        assert!(said.err.contains(problem) && !said.err.contains("s3cret"), "{words:?}: {said:?}");
    }
    // By the name of the shell alone.
    let said = Home::new().with("SHELL", "/bin/tcsh").proxy(&["on"]);
    assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
    let said = Home::new().with("SHELL", "/usr/bin/fish").proxy(&["on"]).well();
    assert!(said.out.starts_with("set -gx HTTP_PROXY 'http://127.0.0.1:7890';\n"), "{said:?}");
}

#[test]
fn every_command_shows_an_example() {
    for command in ["on", "off", "apply", "remove", "status", "shell-init", "test"] {
        let said = Home::new().proxy(&[command, "--help"]).well();
        let examples =
            said.out.split_once("Examples:\n").unwrap_or_else(|| panic!("{command}: {said:?}")).1;
        assert!(examples.contains(&format!("underpass proxy {command}")), "{command}: {said:?}");
    }
}

#[test]
fn off_says_what_it_leaves_and_can_take_all() {
    let home = Home::new();
    let said = home.proxy(&["off"]).well();
    assert!(said.out.is_empty() && said.err.contains("--all"), "{said:?}");
    let on = home.proxy(&["on", "--shell", "sh", "--host", "192.0.2.9"]).well().out;
    let memory =
        on.lines().find_map(|line| line.strip_prefix("export UNDERPASS_PROXY_BEFORE='")).unwrap();
    let memory = memory.strip_suffix("';").unwrap();
    let home = home.with("UNDERPASS_PROXY_BEFORE", memory).with("http_proxy", "http://mine:1");
    let said = home.proxy(&["off", "--shell", "sh"]).well();
    assert!(said.err.contains("http_proxy") && !said.out.contains("http_proxy"), "{said:?}");
    let said = home.proxy(&["off", "--all", "--shell", "sh"]).well();
    for name in NAMES {
        assert!(said.out.contains(&format!("unset {name};\n")), "{said:?}");
    }
    let said = home.proxy(&["--lang", "zh", "off"]).well();
    assert!(said.err.contains("保持不变"), "{said:?}");
}

/// Runs words of `sh` in a network namespace that looks like WSL in NAT mode.
fn in_nat(home: &Home, words: &str) -> Said {
    let network = "ip link set lo up && ip link add eth0 type veth peer name host0 && ip link set \
                   host0 up && \
                   ip addr add 172.28.48.2/20 dev eth0 && ip link set eth0 up && ip route add \
                   default via 172.28.48.1";
    Said::of(home.command("unshare").args(["--net", "sh", "-c", &format!("{network} && {words}")]))
}

#[test]
fn the_host_is_found_by_mode_and_the_subnet_goes_without() {
    if !is_root() || !is_there("unshare") || !is_there("ip") {
        return;
    }
    for mode in ["nat", "virtioproxy", "Usage: wslinfo"] {
        let home = Home::with_programs().with("WSL_MODE", mode);
        let said = in_nat(&home, "\"$UNDERPASS\" proxy on --shell sh").well();
        assert!(
            said.out.contains("export https_proxy='http://172.28.48.1:7890';\n"),
            "{mode}: {said:?}"
        );
        assert!(said.out.contains(",172.28.48.0/20"), "{mode}: {said:?}");
        assert!(said.err.contains("Allow LAN"), "{mode}: {said:?}");
    }
    let home = Home::with_programs().with("WSL_MODE", "mirrored");
    let said = in_nat(&home, "\"$UNDERPASS\" proxy on --shell sh").well();
    assert!(
        said.out.contains("'http://127.0.0.1:7890'") && !said.err.contains("Allow LAN"),
        "{said:?}"
    );
    let home = Home::with_programs().with("WSL_MODE", "nat");
    let said =
        Said::of(home.command("unshare").args(["--net", "sh", "-c", "\"$UNDERPASS\" proxy on"]));
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.err.contains("no default route") && said.err.contains("--host"), "{said:?}");
}

/// The command with a relay beside it that answers as the one for Windows does.
fn with_relay(home: &Home, answer: &str) -> String {
    home.script("bin/underpass-relay", &format!("[ \"$1\" = proxy ] && echo '{answer}'"));
    home.install(binary(), "bin/underpass").display().to_string()
}

#[test]
fn windows_own_setting_is_taken_as_it_is_reached_from_here() {
    let home = Home::with_programs();
    let by_script =
        r#"{"url": "'$2'", "proxies": ["http://me:s3cret@proxy.corp.test:8080"], "by": "script"}"#;
    let program = with_relay(&home, by_script);
    let words =
        ["proxy", "on", "--shell", "sh", "--from", "windows", "--url", "https://github.com/x"];
    let said = Said::of(home.command(&program).args(words)).well();
    assert!(
        said.out.contains("export https_proxy='http://me:s3cret@proxy.corp.test:8080';\n"),
        "{said:?}"
    );
    assert!(!said.err.contains("s3cret"), "{said:?}");
    with_relay(&home, r#"{"proxies": [], "by": "bypass"}"#);
    let said = Said::of(home.command(&program).args(words)).well();
    assert!(said.out.is_empty() && said.err.contains("https://github.com/x"), "{said:?}");
    with_relay(
        &home,
        r#"{"proxies": [], "by": "none", "trouble": "the script cannot be fetched"}"#,
    );
    let said = Said::of(home.command(&program).args(words));
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    assert!(said.err.contains("the script cannot be fetched"), "{said:?}");
    // What the proxy program on Windows set is Windows' own loopback.
    with_relay(&home, r#"{"proxies": ["http://127.0.0.1:7897"], "by": "setting"}"#);
    let said = Said::of(home.command(&program).args(words)).well();
    assert!(said.out.contains("'http://127.0.0.1:7897'"), "mirrored: {said:?}");
    if is_root() {
        let home = home.with("WSL_MODE", "nat");
        let said = in_nat(&home, "underpass proxy on --shell sh --from windows").well();
        assert!(said.out.contains("'http://172.28.48.1:7897'"), "{said:?}");
    }
}

/// A line of a start file.
#[test]
fn quietly_on_sets_nothing_and_says_nothing_where_no_proxy_listens() {
    let home = Home::new().with("SHELL", "/bin/bash");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let words = ["on", "--quiet", "--shell", "sh", "--port", &port];
    let said = home.proxy(&words).well();
    assert!(
        said.out.contains(&format!("export https_proxy='http://127.0.0.1:{port}';\n")),
        "{said:?}"
    );
    assert_eq!(said.err, "");
    drop(listener);
    let quiet = |said: Said| {
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(0), "", ""))
    };
    quiet(home.proxy(&words));
    // The command is also silent where the host or a name is not known.
    quiet(Home::new().with("WSL_MODE", "bridged").proxy(&words));
    quiet(home.proxy(&[
        "on",
        "--quiet",
        "--shell",
        "sh",
        "--proxy",
        "http://no-such-host.invalid:1",
    ]));
    // A wrong value is an error.
    assert_eq!(home.proxy(&["on", "--quiet", "--scheme", "ftp"]).code, Some(2));
}

#[test]
fn functions_of_a_start_file_hand_their_words_on() {
    for (shell, init) in [
        ("bash", r#"eval "$("$UNDERPASS" proxy shell-init bash)""#),
        ("zsh", r#"eval "$("$UNDERPASS" proxy shell-init zsh)""#),
        ("sh", r#"eval "$("$UNDERPASS" proxy shell-init sh)""#),
        ("fish", r#""$UNDERPASS" proxy shell-init fish | source"#),
    ] {
        if !is_there(shell) {
            continue;
        }
        let home = Home::with_programs();
        let script = format!(
            "{init}\nproxy_on --host 192.0.2.9 --port 7891\nenv | grep '^http_proxy=' >on\n\
             proxy_on --port 0\necho $status$? >code\n\
             env | grep '^http_proxy=' >kept\nproxy_off\nenv | grep -c '^http_proxy=' >off\n\
             proxy_test --help >help\ntrue"
        );
        let script = if shell == "fish" {
            script.replace("$status$?", "$status")
        } else {
            script.replace("$status$?", "$?")
        };
        let said = Said::of(home.command(shell).args(["-c", &script])).well();
        assert_eq!(
            home.read("on").as_deref(),
            Some("http_proxy=http://192.0.2.9:7891\n"),
            "{shell}: {said:?}"
        );
        // One that fails changes nothing, and says so.
        assert_eq!(
            (home.read("kept"), home.read("code").as_deref()),
            (home.read("on"), Some("2\n")),
            "{shell}: {said:?}"
        );
        assert_eq!(home.read("off").as_deref(), Some("0\n"), "{shell}: {said:?}");
        assert!(home.read("help").unwrap().contains("--url"), "{shell}");
    }
}

#[test]
fn the_host_is_told_in_one_word() {
    if !is_root() || !is_there("unshare") || !is_there("ip") {
        return;
    }
    for (mode, host) in [("nat", "172.28.48.1\n"), ("mirrored", "127.0.0.1\n")] {
        let home = Home::with_programs().with("WSL_MODE", mode);
        assert_eq!(in_nat(&home, "\"$UNDERPASS\" host").well().out, host);
    }
    let home = Home::with_programs().with("WSL_MODE", "bridged");
    let said = in_nat(&home, "\"$UNDERPASS\" host");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
}
