//! The Linux half of `scripts/verify-windows.ps1` as that script calls it: in the helper distro,
//! started by its boot command in a pretend WSL, with the relay for Windows on Windows' disk.

use lab::addresses::{SERVER, SERVER_NAME, SERVER_V6};
use lab::helper::pretend_wsl;
use lab::scene::{host_nameserver, python_server, web_server};
use lab::wsl::Wsl;
use lab::{Place, programs};
use serde_json::Value;

#[test]
fn in_the_helper_distro_every_item_is_found() {
    let Some((lab, interop, scratch, distro)) = pretend_wsl() else { return };
    let _servers = (
        web_server(&lab),
        host_nameserver(&lab),
        python_server(&lab, Place::Internet, programs::DNS_SERVER, &[SERVER], 53),
    );
    let wsl = Wsl::new(&lab, &interop, scratch.path("wsl").as_ref());
    let helper = wsl.start(&distro);
    let output = helper.sh(&format!(
        "/usr/bin/underpass selftest --json --wait 60 --mebibytes 8 --outside {SERVER}:80 --outside '[{SERVER_V6}]:80' \
         --public-name {SERVER_NAME} --public-dns {SERVER}"
    ));
    let report: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let items = report["items"].as_array().cloned().unwrap_or_default();
    let found =
        |name: &str| items.iter().find(|item| item["item"] == name).cloned().unwrap_or_default();
    let works = [
        "start",
        "mode",
        "host",
        "pipe",
        "throughput",
        "latency",
        "tcp",
        "udp",
        "dns",
        "ping",
        "traceroute",
    ];
    for name in works.into_iter().chain(["tcp-traceroute", "ipv6", "proxy"]) {
        assert_eq!(found(name)["outcome"], "yes", "{name}: {report:#}");
    }
    assert_eq!(found("mode")["notes"]["mode"], "nat");
    assert!(
        found("host")["notes"]["system"]
            .as_str()
            .is_some_and(|system| system.starts_with("Windows "))
    );
    // It contains only values that do not identify the user, such as the path of a name.
    assert!(!output.stdout.contains("Anna"), "{report:#}");
}
