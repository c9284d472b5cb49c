#![expect(clippy::unwrap_used, reason = "a test may panic")]
//! `underpass settings verify` against servers on loopback. As root, for port 53.

mod servers;

use lab::scene::Scratch;
use serde_json::Value;
use servers::{
    PROXY_EXIT, Says, closed_port, dns, echo, http_proxy, listener, socks_proxy, tls_echo,
};
use std::process::{Command, Output};
use std::sync::Arc;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// The command with a clean environment, without the machine's own proxies and language.
fn verify(folder: &Scratch, servers: &[&str], words: &[&str]) -> Command {
    let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    let resolv_conf = folder.file("resolv.conf", &lines);
    let mut command = Command::new(env!("CARGO_BIN_EXE_underpass"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command
        .args(["settings", "verify", "--resolv-conf", &resolv_conf, "--timeout", "1"])
        .args(words);
    command
}

/// The command's report as JSON. The exit code must agree with it.
fn report(mut command: Command) -> Value {
    let output = command.arg("--json").output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    assert_eq!(
        output.status.code(),
        Some(if report["well"] == true { 0 } else { 1 }),
        "{output:?}"
    );
    report
}

/// The items of a kind.
fn items<'a>(report: &'a Value, kind: &str) -> Vec<&'a Value> {
    let items: Vec<&Value> =
        report["items"].as_array().unwrap().iter().filter(|item| item["item"] == kind).collect();
    assert!(!items.is_empty(), "no {kind}: {report:#}");
    items
}

/// The state of the only item of a kind, and that what it says has these words in it.
fn expect(report: &Value, kind: &str, state: &str, words: &[&str]) {
    let [item] = items(report, kind)[..] else { panic!("more than one {kind}: {report:#}") };
    assert_eq!(item["state"], state, "{item:#}");
    let said = format!("{} {} {}", item["subject"], item["said"], item["advice"]);
    assert!(words.iter().all(|word| said.contains(word)), "{words:?}: {item:#}");
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn where_everything_works_it_says_so_item_by_item_and_in_both_languages() {
    let folder = Scratch::new();
    dns("127.83.1.1", |_| Says::Here);
    let (outside, echo, company) = (listener(), echo("200 OK"), listener());
    let outside = format!("outside.test:{outside}");
    let (echo, company) = (format!("http://echo.test:{echo}/"), format!("git.corp.test:{company}"));
    let words = [
        "--public-name",
        "www.test",
        "--outside",
        &outside,
        "--echo",
        &echo,
        "--company-host",
        &company,
        "--company-name",
        "wiki.corp.test",
    ];
    let found = report(verify(&folder, &["127.83.1.1"], &words));
    assert_eq!(found["well"], true, "{found:#}");
    expect(&found, "mode", "skipped", &["not WSL"]);
    expect(&found, "dns-server", "passed", &["127.83.1.1", "www.test", "127.0.0.1"]);
    expect(&found, "public-name", "passed", &["www.test", "127.0.0.1"]);
    expect(&found, "outside", "passed", &[&outside, "connected"]);
    expect(&found, "exit", "passed", &[&echo, "127.0.0.1"]);
    expect(&found, "proxy", "skipped", &["no proxy is set"]);
    expect(&found, "company-host", "passed", &[&company]);
    expect(&found, "company-name", "passed", &["wiki.corp.test"]);

    let english = verify(&folder, &["127.83.1.1"], &words).output().unwrap();
    assert!(text(&english).ends_with("\nAll checks passed.\n"), "{english:?}");
    assert!(
        text(&english).lines().any(|line| line.starts_with("ok       outside, outside.test:")),
        "{english:?}"
    );
    for chinese in [
        verify(&folder, &["127.83.1.1"], &words).args(["--lang", "zh"]).output().unwrap(),
        verify(&folder, &["127.83.1.1"], &words).env("LANG", "zh_CN.UTF-8").output().unwrap(),
    ] {
        assert!(text(&chinese).ends_with("\n检查过的各项均正常。\n"), "{chinese:?}");
        assert!(
            text(&chinese)
                .lines()
                .any(|line| line.starts_with("通过     公司内网主机 git.corp.test:")),
            "{chinese:?}"
        );
    }
}

#[test]
fn each_fault_fails_its_item_and_says_what_to_try() {
    let folder = Scratch::new();
    // The first knows no company name, the second is silent, the third knows all.
    dns("127.83.2.1", |name| if name.ends_with("corp.test") { Says::NoName } else { Says::Here });
    dns("127.83.2.2", |_| Says::Nothing);
    dns("127.83.2.3", |_| Says::Here);
    let (outside, company) =
        (format!("outside.test:{}", closed_port()), format!("127.0.0.1:{}", closed_port()));
    let echo = format!("http://echo.test:{}/", echo("404 Not Found"));
    let words = [
        "--public-name",
        "www.test",
        "--outside",
        &outside,
        "--echo",
        &echo,
        "--company-host",
        &company,
        "--company-host",
        "git.corp.test:443",
        "--company-name",
        "wiki.corp.test",
    ];
    let servers = ["127.83.2.1", "127.83.2.2", "127.83.2.3", "127.83.2.4"];
    let found = report(verify(&folder, &servers, &words));
    assert_eq!(found["well"], false);
    let states: Vec<&Value> =
        items(&found, "dns-server").into_iter().map(|item| &item["state"]).collect();
    assert_eq!(states, ["passed", "failed", "passed", "skipped"], "{found:#}");
    assert!(
        items(&found, "dns-server")[1]["said"].as_str().unwrap().contains("within 1 s"),
        "{found:#}"
    );
    expect(&found, "public-name", "passed", &["127.83.2.1"]);
    expect(&found, "outside", "failed", &["refuses", "underpass doctor"]);
    expect(&found, "exit", "failed", &["404", "--echo URL"]);
    let hosts = items(&found, "company-host");
    assert!(
        hosts[0]["state"] == "failed"
            && hosts[0]["advice"].as_str().unwrap().contains("underpass up"),
        "{hosts:?}"
    );
    let unresolved = (hosts[1]["said"].as_str().unwrap(), hosts[1]["advice"].as_str().unwrap());
    assert!(
        unresolved.0.contains("git.corp.test") && unresolved.1.contains("settings dns manual"),
        "{hosts:?}"
    );
    // The C library believes the first.
    expect(
        &found,
        "company-name",
        "failed",
        &["127.83.2.1 reports", "127.83.2.3 knows the name", "--server 127.83.2.3"],
    );

    let failed = verify(&folder, &servers, &words).output().unwrap();
    assert!(
        text(&failed).contains("\nfailed   outside, ") && text(&failed).ends_with(" failed.\n"),
        "{failed:?}"
    );
    let none = report(verify(&folder, &[], &words));
    expect(&none, "dns-server", "failed", &["names no server", "settings dns auto"]);
    // An error is not an answer: the next one is asked.
    dns("127.83.2.5", |_| Says::Fails);
    let found = report(verify(&folder, &["127.83.2.5", "127.83.2.3"], &words));
    assert!(
        items(&found, "dns-server")[0]["said"].as_str().unwrap().contains("SERVFAIL"),
        "{found:#}"
    );
    expect(&found, "company-name", "passed", &["127.83.2.3 returns"]);
}

#[test]
fn a_proxy_is_in_force_when_the_outside_sees_another_address_by_it() {
    let folder = Scratch::new();
    dns("127.83.3.1", |_| Says::Here);
    let outside = format!("outside.test:{}", listener());
    let echo = format!("http://echo.test:{}/", echo("200 OK"));
    let words = ["--public-name", "www.test", "--outside", &outside, "--echo", &echo];
    let secret = "Proxy-Authorization: Basic bWU6czNjcmV0";
    let with = |variables: &[(&str, String)]| {
        let mut command = verify(&folder, &["127.83.3.1"], &words);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let found = report(command);
        assert!(!found.to_string().contains("s3cret"), "a secret is shown: {found:#}");
        found
    };
    let (open, guarded, socks) = (http_proxy("HTTP/1.1"), http_proxy(secret), socks_proxy());
    let found = with(&[
        ("http_proxy", format!("http://127.0.0.1:{open}")),
        ("https_proxy", format!("http://127.0.0.1:{open}")),
    ]);
    assert_eq!(found["well"], true, "{found:#}");
    expect(
        &found,
        "proxy",
        "passed",
        &["http_proxy, https_proxy", "in force", PROXY_EXIT, "without it, 127.0.0.1"],
    );
    expect(
        &with(&[("http_proxy", format!("http://me:s3cret@proxy.test:{guarded}"))]),
        "proxy",
        "passed",
        &["***@", PROXY_EXIT],
    );
    expect(
        &with(&[("ALL_PROXY", format!("socks5://127.0.0.1:{socks}"))]),
        "proxy",
        "passed",
        &["socks5", PROXY_EXIT],
    );

    let wrong = with(&[("http_proxy", format!("http://me:no-s3cret@127.0.0.1:{guarded}"))]);
    assert_eq!(wrong["well"], false);
    expect(&wrong, "proxy", "failed", &["rejects this user and password"]);
    let dead = with(&[("http_proxy", format!("http://127.0.0.1:{}", closed_port()))]);
    expect(&dead, "proxy", "failed", &["refuses", "underpass proxy test"]);
    let no_socks = with(&[("all_proxy", format!("socks5://127.0.0.1:{open}"))]);
    expect(&no_socks, "proxy", "failed", &["SOCKS5"]);
    expect(
        &with(&[("http_proxy", "ftp://me:s3cret@x:1".to_owned())]),
        "proxy",
        "failed",
        &["not a usable proxy"],
    );

    // Where the proxy is the only way out, the item says so, and that is not a fault.
    let outside = format!("nowhere.test:{}", listener());
    dns("127.83.3.2", |name| {
        if name == "www.test" || name == "proxy.test" { Says::Here } else { Says::NoName }
    });
    let words = ["--public-name", "www.test", "--outside", &outside, "--echo", &echo];
    let mut command = verify(&folder, &["127.83.3.2"], &words);
    command.env("https_proxy", format!("http://proxy.test:{open}"));
    let found = report(command);
    assert_eq!(found["well"], true, "{found:#}");
    expect(
        &found,
        "outside",
        "passed",
        &["cannot be resolved", "reachable through the proxy of https_proxy"],
    );
    expect(
        &found,
        "exit",
        "passed",
        &["cannot be resolved", "reachable through the proxy of https_proxy"],
    );
    expect(&found, "proxy", "passed", &["is unreachable"]);

    // Without a service to ask the proxy is still tried.
    let mut command = verify(
        &folder,
        &["127.83.3.1"],
        &["--public-name", "www.test", "--outside", &outside, "--no-echo"],
    );
    command.env("https_proxy", format!("http://127.0.0.1:{open}"));
    let found = report(command);
    expect(&found, "proxy", "passed", &["reaches", &outside]);
    assert!(
        found["items"].as_array().unwrap().iter().all(|item| item["item"] != "exit"),
        "{found:#}"
    );
}

#[test]
fn a_service_over_tls_is_believed_when_this_distro_trusts_its_certificate() {
    let folder = Scratch::new();
    dns("127.83.4.1", |_| Says::Here);
    let made = rcgen::generate_simple_self_signed(vec!["echo.test".to_owned()]).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let key =
        tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = config.with_single_cert(vec![made.cert.der().clone()], key.into()).unwrap();
    let certificates = folder.file("certificates.pem", &made.cert.pem());
    let port = tls_echo(Arc::new(config));
    let (outside, proxy) = (format!("outside.test:{}", listener()), http_proxy("HTTP/1.1"));
    let asked = |host: &str, trusts: bool| {
        let echo = format!("https://{host}:{port}/");
        let words = ["--public-name", "www.test", "--outside", &outside, "--echo", &echo];
        let mut command = verify(&folder, &["127.83.4.1"], &words);
        command.env("HTTPS_PROXY", format!("http://127.0.0.1:{proxy}"));
        if trusts {
            command.env("SSL_CERT_FILE", &certificates);
        }
        report(command)
    };
    let trusted = asked("echo.test", true);
    expect(&trusted, "exit", "passed", &["https://echo.test", "127.0.0.1"]);
    expect(&trusted, "proxy", "passed", &["in force", PROXY_EXIT]);
    for distrusted in [asked("echo.test", false), asked("other.test", true)] {
        expect(&distrusted, "exit", "failed", &["no TLS connection", "update-ca-certificates"]);
        assert_eq!(distrusted["well"], false);
    }
}

#[test]
fn the_mode_in_force_is_compared_with_windows_addresses_and_wslconfig() {
    let folder = Scratch::new();
    // A machine of its own with one address, on which `wslinfo` and the relay say what the test
    // wants.
    const MACHINE: &str = "ip link add eth0 type veth peer name other && ip addr add 192.0.2.7/24 \
                           dev eth0 && ip link set eth0 up && exec \"$@\"";
    let mode = |wslinfo: &str, relay: &str| {
        let _ = folder.file(
            "wslinfo",
            &format!("#!/bin/sh\n[ \"$1\" = --networking-mode ] && echo {wslinfo}\n"),
        );
        let relay = folder.file("relay", &format!("#!/bin/sh\n[ \"$1\" = facts ] && {relay}\n"));
        let words = ["--outside", "127.0.0.1:1", "--no-echo", "--relay", &relay];
        let inner = verify(&folder, &[], &words);
        let mut command = Command::new("unshare");
        command
            .args(["--net", "sh", "-c", MACHINE, "sh"])
            .arg(inner.get_program())
            .args(inner.get_args());
        let path = std::env::var("PATH").unwrap();
        command.env_clear().env("PATH", format!("{}:{path}", folder.path("")));
        report(command)
    };
    let facts = |address: &str, wslconfig: &str| {
        let adapter = serde_json::json!({ "name": "Wi-Fi", "up": true, "addresses": [address] });
        let wslconfig = serde_json::json!({ "path": "x", "text": wslconfig });
        let facts = serde_json::json!({ "adapters": [adapter], "wslconfig": wslconfig });
        format!("printf %s '{facts}'")
    };
    let mirrored = facts("192.0.2.7/24", "[wsl2]\nnetworkingMode=mirrored\n");
    expect(&mode("mirrored", &mirrored), "mode", "passed", &["mirrored", "share 192.0.2.7"]);
    expect(
        &mode("nat", &mirrored),
        "mode",
        "failed",
        &["sets mirrored, but NAT", "wsl --shutdown"],
    );
    let elsewhere = facts("198.51.100.9/24", "[wsl2]\nnetworkingMode=mirrored\n");
    expect(&mode("mirrored", &elsewhere), "mode", "failed", &["192.0.2.7", "198.51.100.9"]);
    expect(
        &mode("nat", &facts("198.51.100.9/24", "")),
        "mode",
        "passed",
        &["NAT is in force", "192.0.2.7"],
    );
    expect(&mode("nat", "exit 3"), "mode", "skipped", &["could not be queried"]);
}

#[test]
fn what_cannot_be_looked_at_is_a_mistake_of_usage() {
    for (words, why) in [
        (&["--company-host", "git.corp.test"][..], "HOST:PORT"),
        (&["--company-name", "https://wiki"], "plain name"),
        (&["--echo", "ftp://x"], "http://"),
        (&["--echo", "http://me:s3cret@x/"], "leave it out"),
        (&["--echo", "http://x/", "--no-echo"], "--no-echo"),
        (&["--timeout", "0"], "--timeout"),
        (&["--lang", "fr"], "en or zh"),
    ] {
        let folder = Scratch::new();
        let output = verify(&folder, &[], words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(why), "{words:?}: {output:?}");
        assert!(!said.contains("s3cret"), "a secret is shown: {said}");
    }
}

#[test]
fn it_ends_well_when_nobody_reads_what_it_says() {
    let folder = Scratch::new();
    let mut command = verify(&folder, &[], &["--outside", "127.0.0.1:1", "--no-echo"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = command.stdout(writer).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
