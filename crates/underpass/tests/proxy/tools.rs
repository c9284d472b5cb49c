//! `apply`, `remove` and `status`: what lies in which file, what real tools make of it, and that
//! nothing else changes.

use crate::common::{Home, Said, binary, is_root, is_there};
use crate::tiny_proxy::{Speaks, TinyProxy};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

const URL: &str = "http://192.0.2.9:8080";
const ALL: &str = "git,npm,yarn,pip,docker,curl,wget,cargo";

/// Each tool's file, what its user has there, and a line that `apply` makes of it.
const FILES: [(&str, &str, &str); 8] = [
    (
        ".gitconfig",
        "[user]\n\tname = x\n[http]\n\tproxy = http://old:1 \n\tsslVerify = true\n",
        "\tproxy = http://192.0.2.9:8080\n",
    ),
    (
        ".npmrc",
        "; mine\nregistry=https://r.test/\nproxy = http://old:1",
        "https-proxy=http://192.0.2.9:8080\n",
    ),
    (".yarnrc", "lastUpdateCheck 1\n", "https-proxy \"http://192.0.2.9:8080\"\n"),
    (
        ".config/pip/pip.conf",
        "[global]\ntimeout = 3\n\n[install]\nuser = no\n",
        "timeout = 3\nproxy = http://192.0.2.9:8080\n",
    ),
    (
        ".docker/config.json",
        "{\n\t\"auths\": {\n\t\t\"r.test\": {\"auth\": \"eA==\"}\n\t}\n}",
        "\"httpsProxy\": \"http://192.0.2.9:8080\"",
    ),
    (".curlrc", "silent # mine\n-x http://old:1\n", "proxy = \"http://192.0.2.9:8080\"\n"),
    (".wgetrc", "Https-Proxy=http://old:1\ntries = 3", "https_proxy = http://192.0.2.9:8080\n"),
    (
        ".cargo/config.toml",
        "# mine\n[net]\nretry = 3 # often\n",
        "[http]\nproxy = \"http://192.0.2.9:8080\"\n",
    ),
];

#[test]
fn files_are_changed_in_one_place_and_given_back_byte_by_byte() {
    for is_empty in [false, true] {
        let home = Home::isolated();
        for (path, text, _) in FILES.iter().filter(|_| !is_empty) {
            home.write(path, text);
            fs::set_permissions(home.file(path), fs::Permissions::from_mode(0o640)).unwrap();
        }
        let before = home.files();
        let apply = |url: &str| home.proxy(&["apply", "--tools", ALL, "--proxy", url]).well();
        // Another one first, and twice: what is given back is what was there before all of them.
        apply("http://me:s3cret@192.0.2.9:1");
        apply(URL);
        let applied = home.files();
        apply(URL);
        assert_eq!(home.files(), applied, "once is enough");
        for (path, text, line) in FILES {
            let now = home.read(path).unwrap();
            assert!(now.contains(line.trim_start_matches("timeout = 3\n")), "{path}: {now}");
            assert!(is_empty || now.contains(line), "{path}: {now}");
            assert!(!now.contains("old:1") && !now.contains("s3cret"), "{path}: {now}");
            // All other lines are still there, in their order.
            let others = text
                .lines()
                .filter(|line| !is_empty && !line.contains("old:1") && !line.contains('{'));
            let mut rest = now.as_str();
            for line in others.map(|line| line.trim_end_matches(['}', ','])) {
                rest = rest
                    .split_once(line)
                    .unwrap_or_else(|| panic!("{path}: {line:?} is not in {now}"))
                    .1;
            }
            let mode = fs::metadata(home.file(path)).unwrap().mode() & 0o777;
            assert_eq!(mode, if is_empty { 0o600 } else { 0o640 }, "{path}");
        }
        let said = home.proxy(&["remove"]).well();
        assert_eq!(home.files(), before, "{said:?}");
        assert!(home.proxy(&["remove"]).well().out.contains("Nothing to revert"));
    }
}

#[test]
fn what_its_user_changed_since_is_left_and_told() {
    let home = Home::isolated();
    home.write(".curlrc", "silent\n");
    home.proxy(&["apply", "--tools", "curl,cargo,docker", "--proxy", URL]).well();
    let curl = home.read(".curlrc").unwrap().replace(URL, "http://mine:1");
    home.write(".curlrc", &curl);
    home.write(".cargo/config.toml", &(home.read(".cargo/config.toml").unwrap() + "timeout = 5\n"));
    // As `docker login` writes it.
    let docker = home.read(".docker/config.json").unwrap();
    let mut docker: serde_json::Value = serde_json::from_str(&docker).unwrap();
    docker["auths"] = serde_json::json!({"r.test": {}});
    home.write(".docker/config.json", &serde_json::to_string_pretty(&docker).unwrap());
    let said = home.proxy(&["remove"]).well();
    assert!(said.out.contains("were changed later") && said.out.contains("proxy"), "{said:?}");
    assert!(home.read(".curlrc").unwrap().contains("http://mine:1"));
    assert_eq!(home.read(".cargo/config.toml").as_deref(), Some("[http]\ntimeout = 5\n"));
    let docker: serde_json::Value =
        serde_json::from_str(&home.read(".docker/config.json").unwrap()).unwrap();
    assert_eq!(docker, serde_json::json!({"auths": {"r.test": {}}}));
}

#[test]
fn a_scheme_or_a_file_that_a_tool_cannot_use_is_told_and_the_others_are_done() {
    let home = Home::new();
    home.write(".cargo/config.toml", "[http\nproxy = 'http://me:s3cret@h:1'\n");
    let words = [
        "apply",
        "--tools",
        "wget,yarn,cargo,curl",
        "--host",
        "192.0.2.9",
        "--port",
        "1080",
        "--scheme",
        "socks5h",
    ];
    let said = home.proxy(&words);
    assert_eq!(said.code, Some(1), "{said:?}");
    for part in [
        "wget cannot use a socks5h proxy",
        "yarn cannot use a socks5h proxy",
        "config.toml",
        "--scheme http",
    ] {
        assert!(said.err.contains(part), "{part}: {said:?}");
    }
    assert!(!said.err.contains("s3cret"), "{said:?}");
    assert_eq!(
        home.read(".curlrc").unwrap().lines().next(),
        Some("proxy = \"socks5h://192.0.2.9:1080\"")
    );
    assert!(home.read(".cargo/config.toml").unwrap().starts_with("[http\n"));
    let said = home.proxy(&["apply", "--tools", "svn"]);
    assert!(said.code == Some(2) && said.err.contains("cargo"), "{said:?}");
}

#[test]
fn git_pip_and_npm_are_set_by_their_own_commands() {
    for (tool, program, ask, answer) in [
        (
            "git",
            "git",
            &["git", "config", "--global", "--get", "http.proxy"][..],
            "http://192.0.2.9:8080",
        ),
        ("pip", "pip", &["pip", "config", "get", "global.proxy"], "http://192.0.2.9:8080"),
        ("npm", "npm", &["npm", "config", "get", "https-proxy"], "http://192.0.2.9:8080/"),
    ] {
        // Only git is certain to be there.
        if Said::of(
            Home::with_programs().command("sh").args(["-c", &format!("{program} --version")]),
        )
        .code
            != Some(0)
        {
            assert_ne!(
                (tool, std::env::var("CI").as_deref()),
                ("git", Ok("true")),
                "git is missing"
            );
            continue;
        }
        let path = ".gitconfig";
        let texts = [None, Some("# mine\n[http]\n\tsslVerify = true\n")];
        for text in texts.into_iter().take(if tool == "git" { 2 } else { 1 }) {
            let home = Home::with_programs();
            if let Some(text) = text {
                home.write(path, text);
            }
            let before = home.read(path);
            let said = home.proxy(&["apply", "--tools", tool, "--proxy", URL]).well();
            assert!(
                said.out.contains(&format!("{program} config")) && !said.err.contains("failed"),
                "{said:?}"
            );
            let answered = Said::of(home.command(ask[0]).args(&ask[1..])).well();
            assert_eq!(
                answered.out.trim().trim_end_matches('/'),
                answer.trim_end_matches('/'),
                "{answered:?}"
            );
            home.proxy(&["remove", "--tools", tool]).well();
            assert_eq!(home.read(path), before);
            let answered = Said::of(home.command(ask[0]).args(&ask[1..]));
            assert!(!answered.out.contains("192.0.2.9"), "{answered:?}");
        }
    }
}

#[test]
fn a_password_is_on_no_command_line_and_a_command_that_fails_is_made_up_for() {
    let home = Home::new();
    home.script("bin/git", "echo \"$@\" >>$HOME/ran; echo no such luck >&2; exit 3");
    let said = home.proxy(&["apply", "--tools", "git", "--proxy", "http://me:s3cret@h:1"]).well();
    assert_eq!(
        (home.read("ran"), said.out.contains("s3cret") || said.err.contains("s3cret")),
        (None, false),
        "{said:?}"
    );
    assert!(home.read(".gitconfig").unwrap().contains("proxy = http://me:s3cret@h:1\n"));
    // The variable keeps it off this command's own line too.
    let home = home.with("UNDERPASS_PROXY", "http://me:s3cret@other:1");
    home.proxy(&["apply", "--tools", "git"]).well();
    assert!(home.read(".gitconfig").unwrap().contains("proxy = http://me:s3cret@other:1\n"));
    assert!(!home.proxy(&["apply", "--help"]).well().out.contains("s3cret"));
    let said = home.proxy(&["apply", "--tools", "git", "--proxy", URL]).well();
    assert!(said.err.contains("no such luck") && home.read("ran").is_some(), "{said:?}");
    assert!(home.read(".gitconfig").unwrap().contains(URL));
}

#[test]
fn apt_reads_what_was_made_for_it() {
    if !is_root() || !is_there("unshare") || !is_there("apt-config") {
        return;
    }
    let home = Home::with_programs();
    // In a mount namespace of its own, where apt's folder has one file of the user's.
    let words = "mount -t tmpfs none /etc/apt/apt.conf.d && cd /etc/apt/apt.conf.d && \
        echo 'Acquire::http::Proxy \"http://old:1\";' >99proxy && \
        \"$UNDERPASS\" proxy apply --tools apt --proxy http://192.0.2.9:8080 && apt-config dump \
        Acquire::http && \
        \"$UNDERPASS\" proxy status && \
        \"$UNDERPASS\" proxy apply --tools apt --proxy socks5://192.0.2.9:1080 && apt-config dump \
        Acquire::https && \
        \"$UNDERPASS\" proxy remove && ls && apt-config dump Acquire::http";
    let said = Said::of(home.command("unshare").args(["--mount", "sh", "-c", words])).well();
    for line in [
        "Acquire::http::Proxy \"http://192.0.2.9:8080\";",
        "Acquire::http::Proxy::localhost \"DIRECT\";",
        "  apt     http://192.0.2.9:8080 from /etc/apt/apt.conf.d/zz-underpass-proxy.conf",
        "Acquire::https::Proxy \"socks5h://192.0.2.9:1080\";",
    ] {
        assert!(said.out.contains(line), "{line}: {said:?}");
    }
    assert!(
        said.out.ends_with("Acquire::http::Proxy \"http://old:1\";\n")
            && said.out.contains("\n99proxy\n"),
        "{said:?}"
    );
    // Other users may not be able to read the build's own folder.
    home.install(binary(), "bin/underpass");
    let words = "underpass proxy apply --tools apt";
    let unprivileged = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", words];
    let said = Said::of(home.command("setpriv").args(unprivileged));
    assert!(said.code == Some(1) && said.err.contains("sudo"), "{said:?}");
}

#[test]
fn dockers_daemon_is_set_in_the_form_that_fits() {
    if !is_root() || !is_there("unshare") {
        return;
    }
    let home = Home::with_programs();
    for (systemd, file, line) in [
        (
            "mkdir -p /run/systemd/system",
            "/etc/systemd/system/docker.service.d/zz-underpass-proxy.conf",
            "HTTPS_PROXY=http://me:a%%40b@192.0.2.9:1",
        ),
        ("true", "/etc/docker/daemon.json", "\"https-proxy\": \"http://me:a%40b@192.0.2.9:1\""),
    ] {
        let words = format!(
            "mount -t tmpfs none /run && {systemd} && mount -t tmpfs none /etc && \
             mkdir /etc/docker && \
             \"$UNDERPASS\" proxy apply --tools docker \
             --proxy http://me:a%40b@192.0.2.9:1 >said && cat {file} && \
             \"$UNDERPASS\" proxy remove >said && find /etc"
        );
        let said = Said::of(home.command("unshare").args(["--mount", "sh", "-c", &words])).well();
        assert!(said.out.contains(line) && said.out.ends_with("/etc\n/etc/docker\n"), "{said:?}");
        assert!(said.err.contains("restart docker"), "{said:?}");
    }
}

#[test]
fn curl_wget_and_git_really_go_through_it() {
    let proxy = TinyProxy::start(Speaks::Both);
    for (tool, scheme, words, asked) in [
        (
            "curl",
            "http",
            "curl -sS http://www.lab.test/page",
            "GET http://www.lab.test/page HTTP/1.1",
        ),
        ("curl", "socks5h", "curl -sS http://www.lab.test/page", "SOCKS5 www.lab.test:80"),
        (
            "wget",
            "http",
            "wget -qO- http://www.lab.test/page",
            "GET http://www.lab.test/page HTTP/1.1",
        ),
        (
            "git",
            "http",
            "git ls-remote http://www.lab.test/r 2>/dev/null; echo by proxy",
            "GET http://www.lab.test/r/info/refs?service=git-upload-pack HTTP/1.1",
        ),
    ] {
        if !is_there(tool) {
            continue;
        }
        let home = Home::with_programs();
        let port = proxy.port().to_string();
        let apply =
            ["apply", "--tools", tool, "--host", "127.0.0.1", "--port", &port, "--scheme", scheme];
        home.proxy(&apply).well();
        let said = Said::of(home.command("sh").args(["-c", words])).well();
        assert_eq!(said.out.trim(), "by proxy", "{tool}: {said:?}");
        assert_eq!(proxy.asked().first().map(String::as_str), Some(asked), "{tool}");
    }
}

#[test]
fn status_tells_all_places_and_which_one_wins() {
    let home = Home::new().with("https_proxy", "http://me:s3cret@env:1").with("no_proxy", "x");
    home.write(".gitconfig", "[http]\n\tproxy = http://me:s3cret@git:1\n");
    home.write(".wgetrc", "https_proxy = http://wget:1\n");
    let said = home.proxy(&["status", "--json"]).well();
    assert!(!said.out.contains("s3cret"), "{said:?}");
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        status["environment"],
        serde_json::json!({"https_proxy": "http://***@env:1", "no_proxy": "x"})
    );
    let uses =
        |tool: &str| status["tools"][tool]["uses"]["proxy"].as_str().unwrap_or_default().to_owned();
    assert_eq!(
        (uses("git"), uses("cargo"), uses("wget")),
        ("http://***@git:1".into(), "http://***@git:1".into(), "http://wget:1".into())
    );
    assert_eq!(
        (uses("curl"), uses("pip"), uses("apt")),
        ("http://***@env:1".into(), "http://***@env:1".into(), String::new())
    );
    assert_eq!(status["tools"]["git"]["passed_over"][0]["place"], "$https_proxy");
    assert_eq!(
        (&status["switched_on_here"], &status["tools"]["git"]["installed"]),
        (&false.into(), &false.into())
    );
    let text = home.proxy(&["status"]).well().out;
    assert!(
        text.contains("http://***@git:1")
            && text.contains("not http://***@env:1 from $https_proxy"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn status_tells_windows_own_setting_too() {
    let home = Home::new();
    let facts = r#"{"system": "Windows 11", "user_proxy": {
        "pac_url": "http://me:s3cret@pac.test/p",
        "proxy": "http=me:s3cret@h:1;https=i:2", "bypass": "<local>"
    }}"#;
    home.script("bin/underpass-relay", &format!("[ \"$1\" = facts ] && echo '{facts}'"));
    home.install(binary(), "bin/underpass");
    let run =
        |words: &[&str]| Said::of(home.command(home.path("bin/underpass")).args(words)).well().out;
    let json = run(&["proxy", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(status["windows"]["user"]["pac_url"], "http://***@pac.test/p");
    assert_eq!(
        (&status["windows"]["user"]["bypass"], &status["windows"]["machine"]),
        (&"<local>".into(), &serde_json::Value::Null)
    );
    let text = run(&["proxy", "status"]);
    assert!(text.contains("script http://***@pac.test/p") && text.contains("https=i:2"), "{text}");
    assert!(text.contains("  services not reported\n"), "{text}");
    assert!(!json.contains("s3cret") && !text.contains("s3cret"), "{text}");
}
