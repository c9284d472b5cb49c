//! `test`: which steps there are, what they show, and the exit code.

use crate::common::{Home, Said, binary};
use crate::tiny_proxy::{Speaks, TinyProxy};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PAGE: &str = "http://localhost:8/page";

/// Each step with its outcome.
fn outcomes(said: &Said) -> Vec<(String, String)> {
    let json: Value =
        serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(json["well"], said.code == Some(0), "{said:?}");
    let steps = json["items"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["ms"].as_u64().is_some_and(|ms| ms < 30_000)), "{said:?}");
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    steps.iter().map(|step| (text(step, "item"), text(step, "state"))).collect()
}

fn pairs(steps: &[(&str, &str)]) -> Vec<(String, String)> {
    steps.iter().map(|(step, outcome)| ((*step).to_owned(), (*outcome).to_owned())).collect()
}

#[test]
fn every_page_is_asked_for_as_programs_do_and_each_step_is_timed() {
    let proxy = TinyProxy::start(Speaks::Both);
    let url = format!("http://me:s3cret@127.0.0.1:{}", proxy.port());
    let home = Home::new().with("https_proxy", &url).with("HTTPS_PROXY", &url);
    let pages = ["test", "--json", "--url", PAGE, "--url", "https://localhost/"];
    let said = home.proxy(&pages).well();
    let all = ["environment", "port", "dns", "request", "request"].map(|step| (step, "passed"));
    assert_eq!(outcomes(&said), pairs(&all), "{said:?}");
    assert!(!said.out.contains("s3cret"), "{said:?}");
    // A page without TLS is no matter for CONNECT, which many proxies allow for port 443 alone.
    assert_eq!(
        proxy.asked(),
        ["GET http://localhost:8/page HTTP/1.1", "CONNECT localhost:443 HTTP/1.1"]
    );
    let socks = format!("socks5h://127.0.0.1:{}", proxy.port());
    let _said = Home::new().proxy(&[&pages[..], &["--proxy", &socks]].concat()).well();
    assert_eq!(proxy.asked(), ["SOCKS5 localhost:8", "GET /page HTTP/1.1", "SOCKS5 localhost:443"]);
    let text = home.proxy(&["test", "--url", PAGE]).well().out;
    let lines: Vec<&str> = text.lines().collect();
    let (end, steps) = lines.split_last().unwrap();
    assert_eq!((steps.len(), *end), (4, "All checks passed."), "{text}");
    assert!(steps.iter().all(|line| line.starts_with("ok  ") && line.contains(" ms  ")), "{text}");
    assert!(text.contains("localhost resolves to 127.0.0.1") && !text.contains("s3cret"), "{text}");
    let said = home.proxy(&["test", "--lang", "zh", "--url", PAGE]).well();
    assert!(said.out.contains("当前环境的代理变量"), "{said:?}");
}

#[test]
fn without_a_page_several_are_asked_for() {
    let proxy = TinyProxy::start(Speaks::Both);
    // The machine's own resolver is not asked.
    let home = Home::isolated();
    let said = home
        .proxy(&["test", "--json", "--proxy", &format!("http://127.0.0.1:{}", proxy.port())])
        .well();
    let asked = proxy.asked().join("\n");
    for host in ["www.google.com", "github.com", "www.baidu.com", "www.msftconnecttest.com"] {
        assert!(asked.contains(host), "{host}: {asked}");
    }
    assert_eq!(outcomes(&said).iter().filter(|(step, _)| step == "request").count(), 4, "{said:?}");
}

/// A good HTTP proxy is silent to a client of another protocol, and that takes no time.
#[test]
#[expect(clippy::disallowed_methods, reason = "how long it takes is what is tested")]
fn one_that_is_silent_to_the_other_protocol_is_well() {
    let proxy = TinyProxy::start(Speaks::HttpOrNothing);
    let url = format!("http://127.0.0.1:{}", proxy.port());
    let began = Instant::now();
    let said = Home::new().proxy(&["test", "--json", "--proxy", &url, "--url", PAGE]).well();
    assert_eq!(
        outcomes(&said),
        pairs(&[("port", "passed"), ("dns", "passed"), ("request", "passed")]),
        "{said:?}"
    );
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn what_a_proxy_speaks_in_place_of_what_is_set_is_told() {
    let proxy = TinyProxy::start(Speaks::Http);
    let at = |scheme: &str| format!("{scheme}://127.0.0.1:{}", proxy.port());
    let said = Home::new()
        .proxy(&["test", "--json", "--proxy", &at("http"), "--url", "http://127.0.0.1:8/"])
        .well();
    // An address needs no resolver.
    assert_eq!(outcomes(&said), pairs(&[("port", "passed"), ("request", "passed")]), "{said:?}");
    let said = Home::new().proxy(&["test", "--json", "--proxy", &at("socks5"), "--url", PAGE]);
    let steps = [
        ("port", "passed"),
        ("dns", "passed"),
        ("request", "failed"),
        ("address", "failed"),
        ("other-protocol", "skipped"),
    ];
    assert_eq!((said.code, outcomes(&said)), (Some(1), pairs(&steps)), "{said:?}");
    assert!(said.out.contains(&format!("set it as {}", at("http"))), "{said:?}");
}

/// A user who waits sees the steps so far.
#[test]
fn each_step_is_reported_when_it_is_over() {
    let silent = TinyProxy::start(Speaks::Nothing);
    let home = Home::new().with("http_proxy", &format!("http://127.0.0.1:{}", silent.port()));
    let mut running = home
        .command(binary())
        .args(["proxy", "test", "--url", PAGE])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut lines = BufReader::new(running.stdout.take().unwrap());
    for what in ["proxy variables", "is open", "localhost"] {
        line.clear();
        lines.read_line(&mut line).unwrap();
        assert!(line.contains(what), "{line}");
    }
    // The request is still waited for.
    assert!(running.try_wait().unwrap().is_none());
    running.kill().unwrap();
    running.wait().unwrap();
}

#[test]
fn each_tools_own_setting_is_tried() {
    let proxy = TinyProxy::start(Speaks::Both);
    // A port without a listener, once this one is dropped.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new();
    home.write(".curlrc", &format!("proxy = socks5h://127.0.0.1:{}\n", proxy.port()));
    home.write(".wgetrc", &format!("https_proxy = http://127.0.0.1:{closed}\n"));
    let said = home.proxy(&["test", "--json", "--url", PAGE]);
    let steps = [("environment", "skipped"), ("curl", "passed"), ("wget", "failed")];
    assert_eq!((said.code, outcomes(&said)), (Some(1), pairs(&steps)), "{said:?}");
    assert_eq!(proxy.asked(), ["SOCKS5 localhost:8", "GET /page HTTP/1.1"]);
    let said = home
        .with("https_proxy", &format!("http://127.0.0.1:{closed}"))
        .proxy(&["test", "--url", PAGE]);
    assert!(said.code == Some(1) && said.out.contains("Allow LAN"), "{said:?}");
}

#[test]
fn nothing_set_and_nonsense_are_told() {
    let said = Home::new().proxy(&["test", "--json", "--url", PAGE]);
    assert_eq!(
        (said.code, outcomes(&said)),
        (Some(1), pairs(&[("environment", "failed")])),
        "{said:?}"
    );
    let differing = Home::new()
        .with("http_proxy", "http://127.0.0.1:9")
        .with("HTTP_PROXY", "http://127.0.0.1:8");
    let said = differing.proxy(&["test", "--url", PAGE]);
    assert!(said.out.contains("HTTP_PROXY and http_proxy"), "{said:?}");
    let said =
        Home::new().with("https_proxy", "ftp://me:s3cret@h:1").proxy(&["test", "--url", PAGE]);
    assert!(
        said.code == Some(1) && said.out.contains("ftp") && !said.out.contains("s3cret"),
        "{said:?}"
    );
    for words in [&["test", "--url", "ftp://x"][..], &["test", "--proxy", "nothing"]] {
        let said = Home::new().proxy(words);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{words:?}: {said:?}");
    }
}
