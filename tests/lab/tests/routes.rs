//! The VM's routes: however the gateway ends, the old network is as before, and foreign routes stay
//! unchanged.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{NAT_GATEWAY, SERVER, SERVER_NAME};
use lab::relay::Relay;
use lab::scene::{
    PATIENCE, Scratch, cut_off_lab, http_status, rules, tunnelled_lab, way_out, web_server,
};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Tunnel, Vpn, lab_or_skip, until};
use std::time::Duration;

/// The device's usual name.
const TAP: &str = "underpass0";

/// Runs `ip` in the VM, which must succeed.
fn ip(lab: &Lab, words: &str) -> String {
    let words: Vec<&str> = ["ip"].into_iter().chain(words.split_whitespace()).collect();
    let finished = lab.run(Place::Wsl, &words).unwrap();
    assert!(finished.succeeded(), "{words:?}: {finished:?}");
    finished.stdout
}

fn has_tap(lab: &Lab) -> bool {
    ip(lab, "-o link").contains(TAP)
}

/// Numbers below 1000, the same in every run (a linear congruential generator, constants by Knuth's
/// MMIX).
struct Moments(u64);

impl Moments {
    fn next(&mut self) -> Duration {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis((self.0 >> 33) % 1000)
    }
}

#[test]
fn killed_at_random_moments_it_leaves_the_old_network_and_nothing_in_the_next_start_s_way() {
    let Some(lab) = lab_or_skip() else { return };
    let _web = web_server(&lab);
    let mut moments = Moments(7);
    // The remains in the VM depend little on the relay, and with interop a start takes longer.
    let rounds = if Relay::chosen() == Relay::Linux { 50 } else { 15 };
    for round in 0..rounds {
        let mut tunnel = Tunnel::launch(&lab, &[]);
        // Half of the moments lie in the start-up, which takes about a tenth of a second.
        let moment = moments.next() / if round % 2 == 0 { 1 } else { 8 };
        let ended = until(moment, || !tunnel.process().is_running());
        assert!(!ended, "{round}: it ended by itself: {}", tunnel.complained());
        let pid = tunnel.process().pid();
        send_signal(pid, "KILL");
        assert_eq!(tunnel.process().exit_code(PATIENCE), None);
        assert_eq!(tunnel.complained(), "", "{round}: the start after a kill has no complaint");
        // A child between fork and exec at that moment holds the device a little longer.
        assert!(until(PATIENCE, || !has_tap(&lab)), "{round}, after {moment:?}");
        assert_eq!(way_out(&lab, SERVER), "eth0", "{round}, after {moment:?}: {}", rules(&lab));
        assert_eq!(
            way_out(&lab, NAT_GATEWAY),
            "eth0",
            "{round}, after {moment:?}: {}",
            rules(&lab)
        );
        if round % 5 == 0 {
            assert_eq!(
                http_status(&lab, Place::Wsl, SERVER),
                "200",
                "{round}: the old network, after {moment:?}"
            );
            let mut next = Tunnel::up(&lab, &[]);
            assert_eq!(way_out(&lab, SERVER), TAP, "{round}, after {moment:?}");
            assert_eq!(
                http_status(&lab, Place::Wsl, SERVER),
                "200",
                "{round}: the tunnel, after {moment:?}"
            );
            assert_eq!(next.complained(), "", "{round}, after {moment:?}");
            assert!(next.process().is_running());
        }
    }
    let mut last = Tunnel::up(&lab, &[]);
    send_signal(last.process().pid(), "TERM");
    assert_eq!(last.process().exit_code(PATIENCE), Some(0));
    assert!(
        !rules(&lab).contains("proto 117"),
        "one that is stopped cleans up for all that were killed: {}",
        rules(&lab)
    );
    let relays = || {
        lab.run(Place::Windows, &["ip", "netns", "pids", &lab.namespace(Place::Windows)])
            .unwrap()
            .stdout
    };
    let alive = |pid: &str| {
        std::fs::read_link(format!("/proc/{pid}/exe"))
            .is_ok_and(|program| program.ends_with("underpass-relay"))
    };
    assert!(until(PATIENCE, || !relays().lines().any(alive)), "relays are left");
}

#[test]
fn the_remains_of_a_killed_run_are_replaced_by_a_run_with_other_addresses() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    ip(&lab, "addr add 10.44.0.1/24 dev lo");
    ip(&lab, "link add office type veth peer name office-peer");
    ip(&lab, "link set office up");
    ip(&lab, "addr add 10.55.0.1/24 dev office");
    let first = Tunnel::up(&lab, &["--subnet", "10.77.0.0/28"]);
    let before = rules(&lab);
    assert!(
        before.contains("from 10.55.0.1 ") && ip(&lab, "addr").contains("10.77.0."),
        "{before}"
    );
    // Killed, and while no gateway runs an address goes and another comes.
    drop(first);
    ip(&lab, "addr del 10.55.0.1/24 dev office");
    ip(&lab, "addr add 10.66.0.1/24 dev office");
    assert_eq!(rules(&lab), before, "a killed gateway cannot clean up");
    let mut second = Tunnel::up(&lab, &["--subnet", "10.88.0.0/28", "--tap", "other0"]);
    let after = rules(&lab);
    assert_eq!(
        after.replace("10.66.0.1", "10.55.0.1"),
        before,
        "each rule once, the stale one gone"
    );
    let table = ip(&lab, "route show table 30062");
    assert!(table.contains("10.88.0.") && table.lines().count() == 1, "{table}");
    assert_eq!(second.complained(), "");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    send_signal(second.process().pid(), "TERM");
    assert_eq!(second.process().exit_code(PATIENCE), Some(0));
    assert!(!rules(&lab).contains("proto 117"), "{}", rules(&lab));
}

#[test]
fn a_device_of_another_program_is_left_alone() {
    let Some(lab) = cut_off_lab() else { return };
    let holder = "
import fcntl, struct, os, time
device = os.open('/dev/net/tun', os.O_RDWR)
fcntl.ioctl(device, 0x400454ca, struct.pack('16sH22x', b'underpass0', 0x1002))
while True: time.sleep(1000)";
    let program = lab.start(Place::Wsl, &["python3", "-c", holder]).unwrap();
    for kind in ["a TAP in use", "a device of another kind"] {
        if kind == "a TAP in use" {
            assert!(until(PATIENCE, || has_tap(&lab)));
        } else {
            ip(&lab, &format!("link add {TAP} type veth peer name other-end"));
        }
        let before = (ip(&lab, &format!("link show {TAP}")), rules(&lab));
        let mut tunnel = Tunnel::launch(&lab, &[]);
        assert_eq!(tunnel.process().exit_code(PATIENCE), Some(1), "{kind}");
        let said = tunnel.complained();
        assert!(
            said.contains(TAP)
                && said.contains("belongs to another program")
                && said.contains("--tap"),
            "{said}"
        );
        assert_eq!((ip(&lab, &format!("link show {TAP}")), rules(&lab)), before, "{kind}");
        // With another name it runs beside.
        let beside = Tunnel::up(&lab, &["--tap", "beside0"]);
        assert_eq!(way_out(&lab, SERVER), "beside0");
        drop(beside);
        if kind == "a TAP in use" {
            send_signal(program.pid(), "KILL");
            assert!(until(PATIENCE, || !has_tap(&lab)));
        }
    }
}

#[test]
fn it_works_without_any_default_route_in_the_vm() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    let _dns = lab.start_nat_dns().unwrap();
    ip(&lab, "route del default");
    let tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert_eq!(
        http_status(&lab, Place::Wsl, SERVER_NAME),
        "200",
        "by name: the VM's nameserver is answered too"
    );
    // A default route that comes meanwhile changes nothing, and neither does its end.
    ip(&lab, &format!("route add default via {NAT_GATEWAY}"));
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    ip(&lab, "route del default");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert_eq!(tunnel.complained(), "");
}

#[test]
fn more_specific_routes_and_neighbours_stay_direct() {
    let Some((mut lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    ip(&lab, &format!("route add 203.0.113.0/24 via {NAT_GATEWAY}"));
    assert_eq!(
        http_status(&lab, Place::Wsl, SERVER),
        "000",
        "it takes the direct path, where the VPN is"
    );
    assert_eq!(way_out(&lab, SERVER), "eth0");
    lab.set_vpn(Vpn::Off).unwrap();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "the direct path is open");
    lab.set_vpn(Vpn::On).unwrap();
    ip(&lab, "route del 203.0.113.0/24");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "through the tunnel again");
    for (neighbour, way) in
        [("172.28.48.77", "eth0"), (NAT_GATEWAY, TAP), ("127.0.0.1", "lo"), ("8.8.8.8", TAP)]
    {
        assert_eq!(way_out(&lab, neighbour), way, "{neighbour}");
    }
}

#[test]
fn rules_and_tables_of_mirrored_mode_stay_in_front() {
    let Some(lab) = cut_off_lab() else { return };
    // WSL's own, in its mirrored mode: priorities 1 and 2, before all of ours.
    ip(&lab, &format!("route add 203.0.113.0/24 via {NAT_GATEWAY} table 127"));
    for priority in [1, 2] {
        ip(&lab, &format!("rule add pref {priority} from all lookup 127"));
    }
    let before = (rules(&lab), ip(&lab, "route show table all"));
    let mut tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(way_out(&lab, SERVER), "eth0", "{}", rules(&lab));
    assert_eq!(way_out(&lab, "8.8.8.8"), TAP, "other destinations pass those tables");
    send_signal(tunnel.process().pid(), "TERM");
    assert_eq!(tunnel.process().exit_code(PATIENCE), Some(0));
    assert_eq!(
        (rules(&lab), ip(&lab, "route show table all")),
        before,
        "none of WSL's routes changed"
    );
}

#[test]
fn captured_nameservers_follow_resolv_conf_and_rules_follow_addresses() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let _dns = lab.start_nat_dns().unwrap();
    let asks = |server: &str| {
        let at = format!("@{server}");
        let words = ["dig", "+short", "+time=1", "+tries=1", &at, SERVER_NAME, "A"];
        lab.run(Place::Wsl, &words).unwrap().stdout.trim() == SERVER
    };
    assert!(until(PATIENCE, || asks(NAT_GATEWAY)));
    assert!(
        !asks("172.28.48.99"),
        "the gateway does not answer for a neighbour that is not a nameserver"
    );
    // In place, because the mount over /etc/resolv.conf shows the file and not its name.
    let file = format!("/etc/netns/{}/resolv.conf", lab.namespace(Place::Wsl));
    std::fs::write(&file, "nameserver 172.28.48.99\n").unwrap();
    assert!(until(PATIENCE, || rules(&lab).contains("to 172.28.48.99 ")), "{}", rules(&lab));
    assert!(until(PATIENCE, || asks("172.28.48.99")), "the gateway answers for the new nameserver");
    assert!(tunnel.status()["captured"].as_array().unwrap().contains(&"172.28.48.99".into()));
    std::fs::write(&file, format!("nameserver {NAT_GATEWAY}\n")).unwrap();
    assert!(until(PATIENCE, || !rules(&lab).contains("172.28.48.99")), "{}", rules(&lab));

    ip(&lab, "link add office type veth peer name office-peer");
    ip(&lab, "link set office up");
    ip(&lab, "addr add 10.55.0.1/24 dev office");
    ip(&lab, "-6 addr add fd55::1/64 dev office nodad");
    for address in ["10.55.0.1", "fd55::1"] {
        let rule = format!("30060:\tfrom {address} lookup main");
        assert!(until(PATIENCE, || rules(&lab).contains(&rule)), "{rule}: {}", rules(&lab));
    }
    ip(&lab, "link del office");
    assert!(
        until(PATIENCE, || !rules(&lab).contains("10.55.0.1") && !rules(&lab).contains("fd55::1")),
        "{}",
        rules(&lab)
    );
    assert!(tunnel.process().is_running());
    assert_eq!(tunnel.complained(), "");
}

#[test]
fn a_removed_rule_comes_back() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let before = rules(&lab);
    ip(&lab, "rule del pref 30449");
    assert!(until(PATIENCE, || rules(&lab) == before), "{}", rules(&lab));
    ip(&lab, "rule del pref 30448");
    assert!(until(PATIENCE, || rules(&lab) == before), "{}", rules(&lab));
    ip(&lab, "route flush table 30063");
    assert!(
        until(PATIENCE, || ip(&lab, "route show table 30063").contains("default")),
        "the TCP table's is back"
    );
    ip(&lab, "route flush table 30062");
    assert!(
        until(PATIENCE, || way_out(&lab, SERVER) == TAP),
        "{}",
        ip(&lab, "route show table all")
    );
    assert_eq!(tunnel.complained(), "");
}

#[test]
fn a_removed_device_ends_it_with_a_message_and_the_old_network_is_back() {
    let Some((mut lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    lab.set_vpn(Vpn::Off).unwrap();
    ip(&lab, &format!("link del {TAP}"));
    assert_eq!(tunnel.process().exit_code(Duration::from_secs(3)), Some(1));
    let said = tunnel.complained();
    assert!(
        said.contains(&format!("the device {TAP} cannot be read any more"))
            && said.contains("was it removed?"),
        "{said}"
    );
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "the old network is back");
    assert!(!rules(&lab).contains("proto 117"), "{}", rules(&lab));
}

#[test]
fn an_unusable_runtime_directory_is_reported() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let file = scratch.file("a-file", "");
    let program = lab::built::programs().join("underpass").display().to_string();
    let run = format!("UNDERPASS_RUNTIME_DIR={file}/run");
    let finished = lab.run(Place::Wsl, &["env", &run, &program, "up"]).unwrap();
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stderr.contains("UNDERPASS_RUNTIME_DIR"), "{finished:?}");
}
