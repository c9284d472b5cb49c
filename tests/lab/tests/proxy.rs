//! `underpass proxy` with the tunnel: a proxy program on Windows that serves only 127.0.0.1, as
//! without 'Allow LAN'.

use lab::Place;
use lab::built::programs;
use lab::scene::{http_server, tunnelled_lab};

#[test]
fn with_the_tunnel_a_proxy_of_windows_own_loopback_is_used_without_allow_lan() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    // It answers requests for any page, like a proxy.
    let _proxy = http_server(&lab, Place::Windows, "127.0.0.1", 7890, "by the proxy");
    let host = tunnel.status()["tap"]["ipv4"]["host"].as_str().unwrap().to_owned();
    let settings = tunnel.command(&["proxy", "on", "--shell", "sh"]).unwrap();
    assert!(
        settings.stdout.contains(&format!("export http_proxy='http://{host}:7890';\n")),
        "{settings:?}"
    );
    assert!(settings.stderr.contains("needs no 'Allow LAN'"), "{settings:?}");
    let underpass = format!(
        "UNDERPASS_RUNTIME_DIR={} {}",
        tunnel.runtime_dir().display(),
        programs().join("underpass").display()
    );
    // No resolver here knows the page's name: only the proxy can have answered.
    let words = format!("eval \"$({underpass} proxy on)\"; curl -sS http://page.lab.invalid/");
    let said = lab.run(Place::Wsl, &["sh", "-c", &words]).unwrap();
    assert_eq!(said.stdout, "by the proxy", "{said:?}");
}
