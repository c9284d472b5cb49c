//! Mirrored mode with a VPN on Windows, whose routes WSL mirrors into the VM. They lead past the
//! tunnel, into the VPN that drops WSL's traffic, unless the tunnel takes their destinations.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{HOST, ROUTER, ROUTER_V6, SERVER, SERVER_V6};
use lab::modes::{Hop, VPN, connect_vpn, disconnect_vpn, ip, lay_out, mirror_ipv6};
use lab::relay::{Lack, lacks};
use lab::scene::{PATIENCE, cut_off_lab, http_status, must, rules, way_out, web_server};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Process, Tunnel, until};
use serde_json::{Value, json};

const TAP: &str = "underpass0";

/// VPNs take all traffic by two routes that together are a default route, and leave the real one
/// alone.
const FULL_TUNNEL: [&str; 2] = ["0.0.0.0/1", "128.0.0.0/1"];
const FULL_TUNNEL_V6: [&str; 2] = ["::/1", "8000::/1"];
/// All public addresses (RFC 4291, section 2.4).
const PUBLIC_V6: [&str; 1] = ["2000::/3"];
const SPLIT_TUNNEL: [&str; 2] = ["10.0.0.0/8", "172.16.0.0/12"];

/// A company's server, reached through the VPN.
const COMPANY: &str = "10.1.2.3";

/// A mirrored VM with a container network and a user's static route.
fn mirrored_lab() -> Option<(Lab, Process)> {
    let lab = cut_off_lab()?;
    let web = web_server(&lab);
    let _said = must(&lab, Place::Internet, &format!("ip addr add {COMPANY}/32 dev lo"));
    let _said = must(&lab, Place::Router, "ip route add 10.1.0.0/16 via 198.51.100.2");
    lay_out(&lab, "mirrored");
    mirror_ipv6(&lab);
    ip(&lab, "link add docker0 type bridge");
    ip(&lab, "addr add 172.17.0.1/16 dev docker0");
    ip(&lab, "link set docker0 up");
    ip(&lab, &format!("route add 10.99.0.0/16 via {ROUTER} dev eth0"));
    Some((lab, web))
}

/// Destinations of the VM's own networks and of its user's routes, and their next hops.
const STAY: [(&str, &str); 7] = [
    ("192.0.2.77", "eth0"),
    (ROUTER, "eth0"),
    (ROUTER_V6, "eth0"),
    ("172.17.0.2", "docker0"),
    ("10.99.0.1", "eth0"),
    ("127.0.0.1 ipproto tcp", "loopback0"),
    ("10.8.0.2 ipproto tcp", "eth1"),
];

fn stays(lab: &Lab, what: &str) {
    for (to, device) in STAY {
        assert_eq!(way_out(lab, to), device, "{what}: {to}: {}", rules(lab));
    }
}

fn leads(lab: &Lab, to: &str, device: &str) -> bool {
    until(PATIENCE, || way_out(lab, to) == device)
}

fn direct(prefix: &str, device: &str) -> Value {
    json!({ "prefix": prefix, "device": device })
}

/// `status --json` and `status`, once the first lists `prefix` as mirrored.
fn reported(tunnel: &Tunnel, prefix: &str) -> (Value, String) {
    let names = |status: &Value| {
        status["mirrored"].as_array().is_some_and(|all| all.contains(&json!(prefix)))
    };
    assert!(until(PATIENCE, || names(&tunnel.status())), "{prefix}: {}", tunnel.status());
    (tunnel.status(), tunnel.command(&["status"]).unwrap().stdout)
}

#[test]
fn a_full_tunnel_vpn_is_gone_around_whenever_it_connects_and_however_its_routes_are_written() {
    for hop in [Hop::Gateway, Hop::OnLink] {
        let Some((lab, _web)) = mirrored_lab() else { return };
        connect_vpn(&lab, &FULL_TUNNEL, hop);
        assert_eq!(way_out(&lab, SERVER), "eth1", "the lab's VPN takes everything");
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "000", "and drops it");
        let before = (rules(&lab), must(&lab, Place::Wsl, "ip -4 route show table all"));
        let mut tunnel = Tunnel::up(&lab, &[]);
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{hop:?}");
        for to in [SERVER, "8.8.8.8", COMPANY] {
            assert_eq!(way_out(&lab, to), TAP, "{hop:?}: {to}");
        }
        stays(&lab, "at the start");
        assert_eq!(
            way_out(&lab, &format!("{SERVER} from {VPN}")),
            "eth1",
            "a reply returns as its request came"
        );
        // The address is the host's own: peers may come in there, so none of its traffic goes
        // elsewhere.
        assert!(rules(&lab).contains(&format!("from {HOST} lookup main")), "{}", rules(&lab));
        let (status, text) = reported(&tunnel, "128.0.0.0/1");
        let direct_routes = status["direct"].as_array().unwrap();
        for (prefix, device) in
            [("192.0.2.0/24", "eth0"), ("172.17.0.0/16", "docker0"), ("10.99.0.0/16", "eth0")]
        {
            assert!(direct_routes.contains(&direct(prefix, device)), "{prefix}: {status}");
            assert!(text.contains(&format!("{prefix} dev {device}")), "{text}");
        }
        assert!(!direct_routes.contains(&direct("0.0.0.0/1", "eth1")), "{status}");
        assert!(text.contains("mirrored  ") && text.contains("0.0.0.0/1, 128.0.0.0/1"), "{text}");

        disconnect_vpn(&lab);
        assert!(until(PATIENCE, || !rules(&lab).contains("128.0.0.0/1")), "{}", rules(&lab));
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{hop:?}: without the VPN");
        connect_vpn(&lab, &FULL_TUNNEL, hop);
        assert!(leads(&lab, SERVER, TAP), "{hop:?}: {}", rules(&lab));
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{hop:?}: connected again");
        // A container network that comes later takes precedence over the VPN's routes at once.
        ip(&lab, "link add br0 type bridge");
        ip(&lab, "addr add 172.18.0.1/16 dev br0");
        ip(&lab, "link set br0 up");
        assert_eq!(way_out(&lab, "172.18.0.2"), "br0");
        ip(&lab, "link del br0");
        stays(&lab, "later");

        send_signal(tunnel.process().pid(), "TERM");
        assert_eq!(tunnel.process().exit_code(PATIENCE), Some(0));
        let after = (rules(&lab), must(&lab, Place::Wsl, "ip -4 route show table all"));
        assert_eq!(after, before, "{hop:?}: none of WSL's routes changed");
    }
}

#[test]
fn a_full_tunnel_vpn_is_gone_around_by_ipv6_too() {
    for prefixes in [&FULL_TUNNEL_V6[..], &PUBLIC_V6] {
        let Some((lab, _web)) = mirrored_lab() else { return };
        let six = format!("[{SERVER_V6}]");
        let _tunnel = Tunnel::up(&lab, &[]);
        assert_eq!(http_status(&lab, Place::Wsl, &six), "200");
        connect_vpn(&lab, prefixes, Hop::Gateway);
        assert!(
            leads(&lab, SERVER_V6, TAP),
            "{}",
            must(&lab, Place::Wsl, "ip -6 route show table all")
        );
        assert_eq!(http_status(&lab, Place::Wsl, &six), "200", "{prefixes:?}");
        assert!(leads(&lab, "fd08::77", TAP) || lacks(Lack::Routes6), "{}", rules(&lab));
        stays(&lab, "IPv6");
    }
}

#[test]
fn the_destinations_of_a_split_tunnel_go_by_windows_and_routes_of_the_vm_s_own_stay() {
    let Some((lab, _web)) = mirrored_lab() else { return };
    let tunnel = Tunnel::up(&lab, &[]);
    // Without the VPN the company's network is reached like everything else.
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    connect_vpn(&lab, &SPLIT_TUNNEL, Hop::Gateway);
    assert!(leads(&lab, COMPANY, TAP), "{}", rules(&lab));
    assert_eq!(http_status(&lab, Place::Wsl, COMPANY), "200", "the company's server");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "and the rest");
    stays(&lab, "split tunnel");
    // The VPN's own subnet belongs to the VPN too, if Windows says that the adapter is one.
    let (status, _) = reported(&tunnel, "10.0.0.0/8");
    if lacks(Lack::OwnProcess) {
        return;
    }
    assert!(leads(&lab, "10.8.0.77", TAP), "{status}");
    let (status, _) = reported(&tunnel, "10.8.0.0/24");
    assert!(
        !status["direct"].as_array().unwrap().contains(&direct("10.8.0.0/24", "eth1")),
        "{status}"
    );
}

#[test]
fn a_route_of_the_user_s_own_wins_over_a_mirrored_one_by_its_metric_as_in_the_kernel() {
    let Some((lab, _web)) = mirrored_lab() else { return };
    let _tunnel = Tunnel::up(&lab, &[]);
    connect_vpn(&lab, &SPLIT_TUNNEL, Hop::Gateway);
    assert!(leads(&lab, COMPANY, TAP), "{}", rules(&lab));
    ip(&lab, &format!("route add 10.0.0.0/8 via {ROUTER} dev eth0 metric 0"));
    assert!(leads(&lab, COMPANY, "eth0"), "{}", rules(&lab));
    ip(&lab, "route del 10.0.0.0/8 metric 0");
    assert!(leads(&lab, COMPANY, TAP), "{}", rules(&lab));
}

#[test]
fn killed_under_a_vpn_it_leaves_wsl_s_own_routes_and_the_next_start_replaces_its_remains() {
    let Some((lab, _web)) = mirrored_lab() else { return };
    connect_vpn(&lab, &[&FULL_TUNNEL[..], &SPLIT_TUNNEL, &FULL_TUNNEL_V6].concat(), Hop::Gateway);
    let ways = || ["203.0.113.10", COMPANY, "172.20.0.1", SERVER_V6].map(|to| way_out(&lab, to));
    let before = ways();
    assert_eq!(before, ["eth1"; 4]);
    let tunnel = Tunnel::up(&lab, &[]);
    assert!(leads(&lab, SERVER_V6, TAP) && leads(&lab, COMPANY, TAP), "{}", rules(&lab));
    let with_tunnel = rules(&lab);
    drop(tunnel);
    assert_eq!(ways(), before, "the rules that are left lead nowhere: {}", rules(&lab));
    assert_eq!(rules(&lab), with_tunnel, "a killed gateway cannot clean up");
    stays(&lab, "after a kill");
    let mut next = Tunnel::up(&lab, &[]);
    assert!(until(PATIENCE, || rules(&lab) == with_tunnel), "{}", rules(&lab));
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    send_signal(next.process().pid(), "TERM");
    assert_eq!(next.process().exit_code(PATIENCE), Some(0));
    assert!(!rules(&lab).contains("proto 117"), "{}", rules(&lab));
}
