//! IPv6 through the tunnel, in a VM without IPv6 of its own: all kinds of traffic, for as long as
//! the relay's host has IPv6.

use lab::addresses::{ROUTER_V6, SERVER, SERVER_NAME, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{
    PATIENCE, UDP_ECHO, UDP_WHO, cut_off_lab, hops, http_status, must, tunnelled_lab, udp_client,
    udp_server, web_server,
};
use lab::{Lab, Place, Tunnel, until};

/// The gateway's IPv6 address.
const GATEWAY: &str = "fd75:6e64:6572::1";

fn six() -> String {
    format!("[{SERVER_V6}]")
}

/// The VM kernel's IPv6 on the tunnel: whether it has addresses other than link-local ones, and a
/// route to the server.
fn of_the_vm(lab: &Lab) -> (bool, bool) {
    let run = |words: &[&str]| {
        lab.run(Place::Wsl, words).map_or_else(|_| String::new(), |finished| finished.stdout)
    };
    let address = run(&["ip", "-6", "addr", "show", "dev", "underpass0", "scope", "global"])
        .contains("inet6");
    (address, run(&["ip", "-6", "route", "get", SERVER_V6]).contains("dev underpass0"))
}

fn host_default(lab: &Lab, what: &str) {
    let changed =
        lab.run(Place::Windows, &["ip", "-6", "route", what, "default", "via", ROUTER_V6]);
    assert!(changed.is_ok_and(|finished| finished.succeeded()), "the host's route: {what}");
}

#[test]
fn tcp_udp_dns_ping_and_traceroute_go_over_ipv6() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let (_web, _udp, _dns) = (web_server(&lab), udp_server(&lab), lab.start_nat_dns().unwrap());
    assert_eq!(http_status(&lab, Place::Wsl, &six()), "200");

    let program = "
host, echo, who = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = udp(4001, socket.AF_INET6)
for size in [0, 1, 1452, 1453, 30000, 65507]:
    data = os.urandom(size)
    assert ask(s, (host, echo), data)[0] == data, size
seen = {ask(s, (host, who), b'who')[0] for n in range(3)}
assert len(seen) == 1, seen
print(seen.pop().decode())
";
    let seen = udp_client(&lab, program, &[SERVER_V6, &UDP_ECHO.to_string(), &UDP_WHO.to_string()]);
    assert!(seen.starts_with("2001:db8:1::2 "), "the host speaks for the VM: {seen}");

    let server = format!("@{GATEWAY}");
    for (options, answer) in
        [(["+notcp", "AAAA"], SERVER_V6), (["+tcp", "AAAA"], SERVER_V6), (["+notcp", "A"], SERVER)]
    {
        let words =
            ["dig", "+short", "+time=2", "+tries=3", options[0], &server, SERVER_NAME, options[1]];
        let look_up = || lab.run(Place::Wsl, &words).unwrap().stdout.trim() == answer;
        assert!(until(PATIENCE, look_up), "{options:?}: {:?}", lab.run(Place::Wsl, &words));
    }

    if lacks(Lack::Ping6) {
        return;
    }
    let ping = lab
        .run(Place::Wsl, &["ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "5", SERVER_V6])
        .unwrap();
    assert!(ping.stdout.contains(" 2 received"), "{}", ping.stdout);
    for kind in [&["-6", "-I"][..], &["-6"]] {
        assert_eq!(hops(&lab, kind, SERVER_V6), [GATEWAY, ROUTER_V6, SERVER_V6], "{kind:?}");
    }
}

#[test]
fn the_vm_has_ipv6_for_as_long_as_the_host_has_it() {
    if lacks(Lack::Routes6) {
        return;
    }
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    host_default(&lab, "del");
    let tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(of_the_vm(&lab), (false, false), "the host has no IPv6 at the start");
    assert!(tunnel.status()["tap"]["ipv6"].is_null());
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "IPv4 is not affected");
    for round in 0..2 {
        host_default(&lab, "add");
        assert!(
            until(PATIENCE, || of_the_vm(&lab) == (true, true)),
            "{round}: it came: {:?}",
            of_the_vm(&lab)
        );
        assert!(until(PATIENCE, || http_status(&lab, Place::Wsl, &six()) == "200"), "{round}");
        assert!(tunnel.status()["tap"]["ipv6"]["vm"].is_string());
        host_default(&lab, "del");
        assert!(
            until(PATIENCE, || of_the_vm(&lab) == (false, false)),
            "{round}: it went: {:?}",
            of_the_vm(&lab)
        );
        let refused = lab
            .run(Place::Wsl, &["curl", "-gs", "--max-time", "5", &format!("http://{}/", six())])
            .unwrap();
        assert_eq!(
            refused.code,
            Some(7),
            "{round}: an app without IPv6 learns it at once: {refused:?}"
        );
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{round}");
    }
}

#[test]
fn a_vm_without_ipv6_gets_ipv4_alone_and_status_says_why() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    for scope in ["all", "default"] {
        let _said =
            must(&lab, Place::Wsl, &format!("sysctl -qw net.ipv6.conf.{scope}.disable_ipv6=1"));
    }
    let tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    let status = tunnel.status();
    assert!(status["tap"]["ipv6"].is_null(), "{status}");
    assert!(
        status["no_ipv6"].as_str().is_some_and(|reason| reason.contains("IPv6 is off in this VM")),
        "{status}"
    );
    let text = tunnel.command(&["status"]).unwrap().stdout;
    assert!(text.contains("ipv6      not carried: IPv6 is off in this VM"), "{text}");
    assert_eq!(tunnel.complained(), "", "it is the user's choice");
}
