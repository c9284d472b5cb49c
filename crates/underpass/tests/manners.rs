//! How the command behaves towards people: its language, its version, and what it writes to a
//! terminal and nowhere else. A terminal is made by `script` of util-linux.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "../build.rs"]
#[expect(dead_code, clippy::print_stdout, reason = "only its date is tested here")]
mod build;

use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_underpass");

/// Runs without the environment's variables for languages, colours and tunnels.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in ["LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG", "NO_COLOR"] {
        command.env_remove(name);
    }
    let nowhere = std::env::temp_dir().join("underpass-manners-no-tunnel");
    command.env("UNDERPASS_RUNTIME_DIR", nowhere).env("TERM", "xterm").stdin(Stdio::null());
    command
}

fn run(words: &[&str], variables: &[(&str, &str)]) -> Output {
    command(PROGRAM).args(words).envs(variables.iter().copied()).output().unwrap()
}

/// What a terminal gets from the command.
fn on_terminal(line: &str, variables: &[(&str, &str)]) -> String {
    let mut script = command("script");
    script.args(["-qec", &format!("{PROGRAM} {line}"), "/dev/null"]);
    let output = script.envs(variables.iter().copied()).output().expect("script (util-linux) runs");
    String::from_utf8(output.stdout).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn the_option_goes_over_the_environment_and_both_over_english() {
    let not_running = |variables: &[_], words: &[&str]| err(&run(words, variables));
    let english = "underpass: underpass is not running: start it with `underpass up`\n";
    let chinese = "underpass：underpass 没有运行：请用 `underpass up` 启动\n";
    assert_eq!(not_running(&[], &["status"]), english);
    for variables in [
        &[("LANG", "zh_CN.UTF-8")][..],
        &[("LANG", "zh_TW")],
        &[("LANG", "en_US.UTF-8"), ("LC_ALL", "zh_CN.UTF-8")],
        &[("LANG", "en_US.UTF-8"), ("LANGUAGE", "zh_CN:en")],
    ] {
        assert_eq!(not_running(variables, &["status"]), chinese, "{variables:?}");
        assert_eq!(not_running(variables, &["--lang", "en", "status"]), english, "{variables:?}");
    }
    assert_eq!(not_running(&[], &["status", "--lang=zh"]), chinese);
    assert_eq!(not_running(&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], &["status"]), english);
    let unknown = run(&["status", "--lang", "fr"], &[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("unknown language \"fr\""), "{unknown:?}");
}

#[test]
fn commands_speak_chinese_and_their_documents_do_not() {
    let zh = [("LANG", "zh_CN.UTF-8"), ("HOME", "/nonexistent")];
    let said = run(&["proxy", "status"], &zh);
    assert!(out(&said).contains("环境变量\n  没有设置代理变量\n"), "{said:?}");
    // A relay may lie beside the command.
    let windows = ["未查询：本命令所在目录中没有中继程序", "系统服务 未获取到", "未知："];
    assert!(windows.iter().any(|line| out(&said).contains(line)), "{said:?}");
    let plain = run(&["proxy", "status", "--json"], &[("HOME", "/nonexistent")]);
    let document = run(&["proxy", "status", "--json"], &zh);
    assert_eq!((out(&document), document.status.code()), (out(&plain), Some(0)));
    let service = run(&["service", "remove"], &zh);
    assert!(
        err(&service).starts_with("underpass：服务没有安装：/etc/systemd/system/"),
        "{service:?}"
    );
    let up = run(&["up", "--config", "/nonexistent/underpass.toml"], &zh);
    let text = err(&up);
    assert!(text.starts_with("underpass：无法读取配置文件 /nonexistent/underpass.toml"), "{text}");
    assert!(text.contains("没有该文件或目录") && up.status.code() == Some(2), "{text}");
    let wrong = run(&["status", "--jsn"], &zh);
    let text = err(&wrong);
    assert!(text.starts_with("错误：未知的选项或参数“--jsn”\n"), "{text}");
    assert!(text.contains("`underpass status --help`") && wrong.status.code() == Some(2), "{text}");
}

#[test]
fn help_is_in_the_persons_language_and_the_doctor_comes_first() {
    let english = out(&run(&["--help"], &[]));
    assert!(english.starts_with("The network for WSL 2"), "{english}");
    let chinese = run(&["help", "up"], &[("LANG", "zh_CN.UTF-8")]);
    assert_eq!(chinese.status.code(), Some(0));
    let text = out(&chinese);
    assert!(text.contains("用法：underpass up [选项]\n\n示例："), "{text}");
    for page in [&english, &text] {
        let first = page.lines().find(|line| line.starts_with("  underpass ")).unwrap();
        assert!(first.ends_with(if page == &english { "doctor" } else { "up" }), "{page}");
        assert!(!page.contains('\x1b'), "{page}");
    }
}

#[test]
fn the_version_names_commit_and_date_of_the_source() {
    let said = out(&run(&["--version"], &[]));
    let own = format!("underpass {}", env!("CARGO_PKG_VERSION"));
    let rest = said.strip_prefix(&own).unwrap_or_else(|| panic!("{said}")).trim_end();
    if let Some(source) = rest.strip_prefix(" (").and_then(|rest| rest.strip_suffix(')')) {
        let (commit, date) = source.split_once(' ').unwrap();
        assert!(commit.len() >= 9 && commit.chars().all(|one| one.is_ascii_hexdigit()), "{said}");
        let shape: String =
            date.chars().map(|one| if one.is_ascii_digit() { '0' } else { one }).collect();
        assert_eq!(shape, "0000-00-00", "{said}");
    } else {
        // A source without git has neither.
        assert_eq!(rest, "", "{said}");
    }
    assert_eq!(build::date(0), "1970-01-01");
    assert_eq!(build::date(951_782_400), "2000-02-29");
    assert_eq!(build::date(1_796_083_199), "2026-11-30");
    assert_eq!(build::date(1_796_083_200), "2026-12-01");
}

#[test]
fn styles_are_for_a_terminal_that_wants_them() {
    assert!(on_terminal("--help", &[]).contains("\x1b[1m\x1b[4mUsage:\x1b[0m"));
    assert!(!on_terminal("--help", &[("NO_COLOR", "1")]).contains("\x1b["));
    assert!(!out(&run(&["--help"], &[])).contains('\x1b'));
}

#[test]
fn a_command_that_takes_long_says_so_on_a_terminal_and_clears_the_line() {
    // No tunnel comes up.
    let line = "selftest start --wait 2";
    let shown = on_terminal(line, &[]);
    assert!(shown.contains("\r\x1b[2K| trying start"), "{shown:?}");
    let (_, after) = shown.rsplit_once("trying start").unwrap();
    assert!(after.starts_with("\r\x1b[2K"), "{shown:?}");
    let dumb = on_terminal(line, &[("TERM", "dumb")]);
    assert!(!dumb.contains("trying"), "{dumb:?}");
    assert!(!err(&run(&["selftest", "start", "--wait", "2"], &[])).contains("trying"));
}

#[test]
fn a_check_list_shows_what_it_tries_on_a_terminal_and_then_its_items_instead() {
    // It takes connections and answers none of them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let servers = std::env::temp_dir().join(format!("underpass-manners-{}", std::process::id()));
    std::fs::write(&servers, "").unwrap();
    let line = format!(
        "settings verify --timeout 1 --echo http://{address}/ --outside {address} --public-name \
         localhost --resolv-conf {}",
        servers.display()
    );
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lists = [line, format!("proxy test --proxy http://{closed} --url http://127.0.0.1/")];
    for (line, last) in lists.iter().zip(["exit address", "the port of"]) {
        let shown = on_terminal(line, &[("HOME", "/nonexistent")]);
        let (progress, item) = shown.rsplit_once("\x1b[0J").unwrap();
        assert!(progress.contains(&format!("\x1b[90m…\x1b[0m {last}")), "{shown:?}");
        assert!(!item.contains('…') && item.contains("failed"), "{shown:?}");
        let dumb = on_terminal(line, &[("HOME", "/nonexistent"), ("TERM", "dumb")]);
        assert!(dumb.contains("failed") && !dumb.contains('…'), "{dumb:?}");
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(err(&run(&words, &[("HOME", "/nonexistent")])), "");
    }
    std::fs::remove_file(servers).unwrap();
}
