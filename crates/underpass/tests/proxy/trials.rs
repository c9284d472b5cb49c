//! `test`: which steps there are, what they show, and the exit code.

use crate::common::{Home, Said};
use crate::tiny_proxy::{Speaks, TinyProxy};
use serde_json::Value;
use std::net::TcpListener;

const PAGE: &str = "http://localhost:8/page";

/// Each step with its outcome.
fn outcomes(said: &Said) -> Vec<(String, String)> {
    let json: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert_eq!(json["well"], said.code == Some(0), "{said:?}");
    let steps = json["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["ms"].as_u64().is_some_and(|ms| ms < 30_000)), "{said:?}");
    let text = |step: &Value, key: &str| step[key].as_str().unwrap().to_owned();
    steps.iter().map(|step| (text(step, "step"), text(step, "outcome"))).collect()
}

fn pairs(steps: &[(&str, &str)]) -> Vec<(String, String)> {
    steps.iter().map(|(step, outcome)| ((*step).to_owned(), (*outcome).to_owned())).collect()
}

#[test]
fn every_step_of_a_proxy_is_taken_and_timed() {
    let proxy = TinyProxy::start(Speaks::Both);
    let url = format!("http://me:s3cret@127.0.0.1:{}", proxy.port());
    let home = Home::new().with("https_proxy", &url).with("HTTPS_PROXY", &url);
    let said = home.proxy(&["test", "--json", "--url", PAGE]).well();
    let all = ["environment", "port", "connect", "socks5", "address", "name"].map(|step| (step, "passed"));
    assert_eq!(outcomes(&said), pairs(&all), "{said:?}");
    assert!(!said.out.contains("s3cret"), "{said:?}");
    let asked = proxy.asked();
    for line in [
        "CONNECT localhost:8 HTTP/1.1",
        "SOCKS5 localhost:8",
        "GET http://127.0.0.1:8/page HTTP/1.1",
        "GET http://localhost:8/page HTTP/1.1",
    ] {
        assert!(asked.iter().any(|known| known == line), "{line}: {asked:?}");
    }
    let text = home.proxy(&["test", "--url", PAGE]).well().out;
    assert_eq!(text.lines().count(), 6, "{text}");
    assert!(text.lines().all(|line| line.starts_with("ok  ") && line.contains(" ms  ")), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    let said = home.proxy(&["test", "--lang", "zh", "--url", PAGE]).well();
    assert!(said.out.contains("当前环境的代理变量"), "{said:?}");
}

#[test]
fn one_that_speaks_one_protocol_is_well_as_that_one_alone() {
    let proxy = TinyProxy::start(Speaks::Http);
    let at = |scheme: &str| format!("{scheme}://127.0.0.1:{}", proxy.port());
    let said = Home::new().proxy(&["test", "--json", "--proxy", &at("http"), "--url", "http://127.0.0.1:8/"]).well();
    let steps =
        [("port", "passed"), ("connect", "passed"), ("socks5", "skipped"), ("address", "passed"), ("name", "skipped")];
    assert_eq!(outcomes(&said), pairs(&steps), "{said:?}");
    let said = Home::new().proxy(&["test", "--json", "--proxy", &at("socks5"), "--url", PAGE]);
    let steps =
        [("port", "passed"), ("connect", "passed"), ("socks5", "failed"), ("address", "failed"), ("name", "failed")];
    assert_eq!((said.code, outcomes(&said)), (Some(1), pairs(&steps)), "{said:?}");
}

#[test]
fn each_tools_own_setting_is_tried() {
    let proxy = TinyProxy::start(Speaks::Both);
    // A port that nobody serves, once its listener is dropped.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = Home::new();
    home.write(".curlrc", &format!("proxy = socks5h://127.0.0.1:{}\n", proxy.port()));
    home.write(".wgetrc", &format!("https_proxy = http://127.0.0.1:{closed}\n"));
    let said = home.proxy(&["test", "--json", "--url", PAGE]);
    let steps = [("environment", "skipped"), ("curl", "passed"), ("wget", "failed")];
    assert_eq!((said.code, outcomes(&said)), (Some(1), pairs(&steps)), "{said:?}");
    assert_eq!(proxy.asked(), ["SOCKS5 localhost:8", "GET /page HTTP/1.1"]);
    let said = home.with("https_proxy", &format!("http://127.0.0.1:{closed}")).proxy(&["test", "--url", PAGE]);
    assert!(said.code == Some(1) && said.out.contains("Allow LAN"), "{said:?}");
}

#[test]
fn nothing_set_and_nonsense_are_told() {
    let said = Home::new().proxy(&["test", "--json", "--url", PAGE]);
    assert_eq!((said.code, outcomes(&said)), (Some(1), pairs(&[("environment", "failed")])), "{said:?}");
    let differing = Home::new().with("http_proxy", "http://127.0.0.1:9").with("HTTP_PROXY", "http://127.0.0.1:8");
    let said = differing.proxy(&["test", "--url", PAGE]);
    assert!(said.out.contains("HTTP_PROXY and http_proxy"), "{said:?}");
    let said = Home::new().with("https_proxy", "ftp://me:s3cret@h:1").proxy(&["test", "--url", PAGE]);
    assert!(said.code == Some(1) && said.out.contains("ftp") && !said.out.contains("s3cret"), "{said:?}");
    for words in [&["test", "--url", "ftp://x"][..], &["test", "--proxy", "nothing"]] {
        let said = Home::new().proxy(words);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{words:?}: {said:?}");
    }
}
