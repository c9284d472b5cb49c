//! The lab itself, before the tests that use it: its VPN cuts off only the VM, its router is a real
//! hop, and it leaves nothing behind. A lab that let the VM through would make every later test of
//! the tunnel worthless.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;
use std::process::Command;

use lab::addresses::{NAT_GATEWAY, ROUTER, ROUTER_V6, SERVER, SERVER_NAME, SERVER_V6};
use lab::scene::{PATIENCE, http_status, web_server};
use lab::{Lab, Place, Vpn, lab_or_skip, until};

fn look_up(lab: &Lab, transport: &str) -> lab::Finished {
    let server = format!("@{NAT_GATEWAY}");
    lab.run(
        Place::Wsl,
        &["dig", "+short", "+time=1", "+tries=1", transport, &server, SERVER_NAME, "A"],
    )
    .unwrap()
}

fn hops(lab: &Lab, options: &[&str], to: &str) -> Vec<String> {
    let words = [&["traceroute", "-n", "-q", "1", "-w", "2"], options, &[to]].concat();
    let output = lab.run(Place::Windows, &words).unwrap();
    let hop = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    output.stdout.lines().skip(1).map(hop).collect()
}

#[test]
fn the_vpn_cuts_off_only_the_vm() {
    let Some(mut lab) = lab_or_skip() else { return };
    let _server = web_server(&lab);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "VPN off: the VM's own network works");

    lab.set_vpn(Vpn::On).unwrap();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "000", "VPN on: the VM is cut off");
    assert!(
        !lab.run(Place::Wsl, &["ping", "-c1", "-W1", SERVER]).unwrap().succeeded(),
        "and cannot ping"
    );
    assert_eq!(http_status(&lab, Place::Windows, SERVER), "200", "the host is not");
    assert_eq!(
        http_status(&lab, Place::Windows, &format!("[{SERVER_V6}]")),
        "200",
        "IPv6 is cut off too"
    );

    lab.set_vpn(Vpn::Off).unwrap();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "VPN off again: as before");
}

#[test]
fn the_vpn_cuts_off_the_dns_of_the_nat_gateway() {
    let Some(mut lab) = lab_or_skip() else { return };
    let _dns = lab.start_nat_dns().unwrap();
    assert!(
        until(PATIENCE, || look_up(&lab, "+notcp").stdout.trim() == SERVER),
        "VPN off: the name is known"
    );
    assert_eq!(look_up(&lab, "+tcp").stdout.trim(), SERVER, "also over TCP");
    lab.set_vpn(Vpn::On).unwrap();
    for transport in ["+notcp", "+tcp"] {
        assert!(!look_up(&lab, transport).succeeded(), "VPN on: dig {transport} has no server");
    }
}

#[test]
fn the_host_sees_the_router_as_a_hop() {
    let Some(lab) = lab_or_skip() else { return };
    assert_eq!(hops(&lab, &["-I"], SERVER), [ROUTER, SERVER], "ICMP");
    assert_eq!(hops(&lab, &[], SERVER), [ROUTER, SERVER], "UDP");
    assert_eq!(hops(&lab, &["-6", "-I"], SERVER_V6), [ROUTER_V6, SERVER_V6], "ICMPv6");
}

#[test]
fn two_labs_at_once_do_not_meet() {
    let (Some(one), Some(mut other)) = (lab_or_skip(), lab_or_skip()) else { return };
    let _server = web_server(&one);
    assert_eq!(http_status(&one, Place::Wsl, SERVER), "200");
    assert_eq!(http_status(&other, Place::Windows, SERVER), "000", "the server is another lab's");
    other.set_vpn(Vpn::On).unwrap();
    assert_eq!(http_status(&one, Place::Wsl, SERVER), "200", "the VPN is another lab's");
}

#[test]
fn a_lab_leaves_nothing_behind_even_after_a_panic() {
    let Some(lab) = lab_or_skip() else { return };
    let made: Vec<String> = Place::ALL.iter().map(|place| lab.namespace(*place)).collect();
    assert!(made.iter().all(|namespace| exists(namespace)));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let mut server = web_server(&lab);
        assert!(server.is_running());
        // Unlike `panic!`, prints nothing on the terminal: there is no fault.
        std::panic::resume_unwind(Box::new(lab.namespace(Place::Wsl)));
    }));
    assert!(outcome.is_err());
    assert!(
        !made.iter().any(|namespace| exists(namespace)),
        "namespaces or files of {made:?} are left"
    );
}

#[test]
fn a_lab_sweeps_away_what_a_killed_one_left() {
    if lab_or_skip().is_none() {
        return;
    }
    let mut gone = Command::new("true").spawn().unwrap();
    let dead = gone.id();
    gone.wait().unwrap();
    let leftover = format!("upl-{dead}-0-wsl");
    assert!(Command::new("ip").args(["netns", "add", &leftover]).status().unwrap().success());
    std::fs::create_dir_all(Path::new("/etc/netns").join(&leftover)).unwrap();
    let living = lab_or_skip().unwrap();
    let next = lab_or_skip().unwrap();
    assert!(!exists(&leftover), "{leftover} still exists");
    assert!(exists(&living.namespace(Place::Wsl)), "a living lab is not touched");
    drop(next);
}

fn exists(namespace: &str) -> bool {
    ["/run/netns", "/etc/netns"].iter().any(|folder| Path::new(folder).join(namespace).exists())
}

#[test]
fn without_a_tun_driver_a_lab_test_says_that_it_is_skipped_and_under_ci_it_fails() {
    if lab_or_skip().is_none() {
        return;
    }
    let myself = std::env::current_exe().unwrap();
    let hidden = "mount -t tmpfs none /dev/net && exec \"$0\" --exact the_vpn_cuts_off_only_the_vm";
    for (ci, passes) in [("", true), ("true", false)] {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", hidden]).arg(&myself).env("CI", ci);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), passes, "CI={ci}: {said}");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("/dev/net/tun")).collect();
        assert_eq!(lines.len(), 1, "CI={ci}: {said}");
        assert_eq!(lines[0].starts_with("skipped: "), passes, "CI={ci}: {said}");
    }
}
