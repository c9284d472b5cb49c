//! `underpass selftest`, the Linux half of `scripts/verify-windows.ps1`: each item in the lab,
//! where its result is known, and each seen to fail when its subject is broken.

use lab::addresses::{SERVER, SERVER_NAME, SERVER_V6};
use lab::relay::{Lack, Relay, lacks};
use lab::scene::{
    PATIENCE, must, python_server, tunnelled_lab, tunnelled_lab_with_dns, web_server,
};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Process, Tunnel, programs, until};
use serde_json::Value;

/// The lab's internet in place of the well-known addresses that `selftest` uses.
fn outside() -> Vec<String> {
    let v6 = format!("[{SERVER_V6}]:80");
    let v4 = format!("{SERVER}:80");
    [
        "--outside",
        &v4,
        "--outside",
        &v6,
        "--public-name",
        SERVER_NAME,
        "--public-dns",
        SERVER,
        "--mebibytes",
        "16",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn selftest(lab: &Lab, tunnel: &Tunnel, words: &[&str]) -> Value {
    let outside = outside();
    let outside: Vec<&str> = outside.iter().map(String::as_str).collect();
    tunnel.selftest(lab, &[words, &outside].concat())
}

/// An item's result in a report.
fn item<'a>(report: &'a Value, name: &str) -> &'a Value {
    let items = report["items"].as_array().map_or(&[][..], Vec::as_slice);
    items
        .iter()
        .find(|item| item["item"] == name)
        .unwrap_or_else(|| panic!("no item {name}: {report}"))
}

fn outcome<'a>(report: &'a Value, name: &str) -> &'a str {
    item(report, name)["outcome"].as_str().unwrap_or_default()
}

/// A web server and a nameserver on the internet.
fn internet(lab: &Lab) -> [Process; 2] {
    [web_server(lab), python_server(lab, Place::Internet, programs::DNS_SERVER, &[SERVER], 53)]
}

#[test]
fn every_item_is_found_as_it_is() {
    let Some((lab, _dns, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let _internet = internet(&lab);
    let report = selftest(&lab, &tunnel, &[]);
    assert_eq!(report["version"], 1);
    let windows = Relay::chosen() == Relay::Windows;
    let work = [
        "start",
        "host",
        "pipe",
        "throughput",
        "latency",
        "tcp",
        "udp",
        "dns",
        "ping",
        "traceroute",
        "ipv6",
    ];
    for name in work.into_iter().chain(["path-mtu", "tcp-traceroute"]) {
        assert_eq!(outcome(&report, name), "yes", "{name}: {report:#}");
    }
    assert_eq!(
        outcome(&report, "ping6"),
        if lacks(Lack::Ping6) { "no" } else { "yes" },
        "{report:#}"
    );
    // No adapter of the lab's host is a VPN's; only Windows has settings for a proxy.
    assert_eq!(outcome(&report, "vpn"), "skipped", "{report:#}");
    assert_eq!(outcome(&report, "proxy"), if windows { "yes" } else { "skipped" }, "{report:#}");
    for (name, figure) in [
        ("pipe", "up_mbit"),
        ("pipe", "down_mbit"),
        ("pipe", "round_trip_us"),
        ("pipe", "start_ms"),
        ("throughput", "up_mbit"),
        ("throughput", "eight_down_mbit"),
        ("latency", "tcp_us"),
        ("latency", "udp_us"),
        ("path-mtu", "mtu"),
        ("path-mtu", "told"),
        // Gateway, router and server.
        ("tcp-traceroute", "answered"),
    ] {
        let value = item(&report, name)["figures"][figure].as_f64();
        assert!(value.is_some_and(|value| value > 0.0), "{name} {figure}: {report:#}");
    }
    assert_eq!(item(&report, "latency")["figures"]["datagrams_lost"], 0.0, "{report:#}");
    // Wine 8 answers a query for a record itself, Wine 10 leaves it to the servers (docs/wine.md).
    let path = item(&report, "dns")["notes"]["path"].as_str().unwrap_or_default();
    assert!(path == "servers" || windows && path == "record-query", "{report:#}");
    assert_eq!(
        item(&report, "start")["notes"]["pid"],
        tunnel.status()["pid"].to_string(),
        "{report:#}"
    );
    // Users pass reports on: they contain none of the network's addresses.
    let text = report.to_string();
    for address in ["192.0.2.", "172.28.48.", "2001:db8:"] {
        assert!(!text.contains(address), "{address}: {text}");
    }
    let left = || lab::interop::host_relays(&lab).len() == 1;
    assert!(
        until(PATIENCE, left),
        "the relays that measured are left: {:?}",
        lab::interop::host_relays(&lab)
    );
}

#[test]
fn broken_parts_are_found() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&["--no-host-loopback"]) else { return };
    // There are no web pages or names, and pings are dropped.
    must(&lab, Place::Internet, "nft add table inet drop_all");
    must(
        &lab,
        Place::Internet,
        "nft add chain inet drop_all in { type filter hook input priority 0 ; policy drop ; }",
    );
    let words = ["tcp", "udp", "dns", "ping", "ping6", "ipv6", "throughput", "latency"];
    let report = selftest(&lab, &tunnel, &words);
    for name in words {
        assert_eq!(outcome(&report, name), "no", "{name}: {report:#}");
        assert!(
            item(&report, name)["detail"].as_str().is_some_and(|detail| detail.len() > 10),
            "{name}: {report:#}"
        );
    }
    // The routers on the path still answer.
    for by in ["traceroute", "tcp-traceroute"] {
        let trace = selftest(&lab, &tunnel, &[by]);
        let detail = item(&trace, by)["detail"].as_str().unwrap_or_default();
        assert!(detail.ends_with("target reached: no"), "{trace:#}");
    }
    // The pipe needs no network.
    assert_eq!(outcome(&selftest(&lab, &tunnel, &["pipe"]), "pipe"), "yes");
    send_signal(tunnel.process().pid(), "KILL");
    assert!(until(PATIENCE, || !tunnel.process().is_running()));
    let report = selftest(&lab, &tunnel, &["start", "mode", "dns", "--wait", "1"]);
    for name in ["start", "mode", "dns"] {
        assert_eq!(outcome(&report, name), "no", "{name}: {report:#}");
    }
    let detail = item(&report, "start")["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.contains("underpass up"), "it says what to try: {detail}");
}

#[test]
fn a_change_of_the_hosts_network_is_noticed_and_without_one_that_is_said() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let quiet = selftest(&lab, &tunnel, &["changes", "--wait", "1"]);
    assert_eq!(outcome(&quiet, "changes"), "no", "{quiet:#}");
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| selftest(&lab, &tunnel, &["changes", "--wait", "60"]));
        // A change comes, whenever it has begun to watch.
        let changing = || {
            must(&lab, Place::Windows, "ip addr add 192.0.2.77/32 dev uplink");
            must(&lab, Place::Windows, "ip addr del 192.0.2.77/32 dev uplink");
            watching.is_finished()
        };
        assert!(until(PATIENCE * 3, changing));
        let report = watching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        assert_eq!(outcome(&report, "changes"), "yes", "{report:#}");
        assert!(item(&report, "changes")["figures"]["after_ms"].as_f64().is_some(), "{report:#}");
    });
}

#[test]
fn a_vpn_that_cuts_wsl_off_is_named_and_the_tunnel_continues() {
    if Relay::chosen() == Relay::Windows {
        // Wine's adapters have no drivers by which Windows recognises a VPN.
        return;
    }
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _internet = internet(&lab);
    // A VPN's adapter by its name. It carries nothing: the lab's own VPN cuts the VM off.
    must(&lab, Place::Windows, "ip link add tun7 type veth peer name other7");
    for end in ["tun7", "other7"] {
        must(&lab, Place::Windows, &format!("ip link set {end} up"));
    }
    let report = selftest(&lab, &tunnel, &["vpn"]);
    assert_eq!(outcome(&report, "vpn"), "yes", "{report:#}");
    assert_eq!(
        item(&report, "vpn")["notes"]["without_tunnel"],
        "no",
        "the lab's VPN cuts the VM off: {report:#}"
    );
}
