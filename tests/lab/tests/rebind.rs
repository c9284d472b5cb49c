//! DNS answers from outside that name loopback, the tunnel's own addresses or the host (DNS
//! rebinding): the gateway drops them, on every path.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{HOST, HOST_V6, NAT_GATEWAY, SERVER, SERVER_V6, VM};
use lab::relay::{Lack, lacks};
use lab::scene::{etc, http_server, tunnelled_lab_with_dns};
use lab::{Container, Lab, Masquerade, Place, Tunnel};
use std::net::IpAddr;

/// A name in a zone whose owner answers with these addresses.
fn naming(addresses: &[&str], zone: &str) -> String {
    let hex = |address: &&str| match address.parse().unwrap() {
        IpAddr::V4(v4) => format!("ip-{:08x}.", v4.to_bits()),
        IpAddr::V6(v6) => format!("ip-{:032x}.", v6.to_bits()),
    };
    format!("{}{zone}", addresses.iter().map(hex).collect::<String>())
}

const DIG: [&str; 4] = ["dig", "+short", "+tries=1", "+timeout=8"];

fn asked(lab: &Lab, server: &str, words: &[&str]) -> String {
    let at = format!("@{server}");
    lab.run(Place::Wsl, &[&DIG[..], &[at.as_str()], words].concat())
        .unwrap()
        .stdout
        .trim()
        .to_owned()
}

fn alias(tunnel: &Tunnel, family: &str, whose: &str) -> String {
    tunnel.status()["tap"][family][whose].as_str().unwrap().to_owned()
}

#[test]
fn no_answer_from_outside_names_loopback_the_tunnel_or_the_host() {
    let Some((lab, _dns, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let gateway = alias(&tunnel, "ipv4", "gateway");
    let mut inside: Vec<String> =
        ["127.0.0.1", "127.8.8.8", "0.0.0.0", HOST, NAT_GATEWAY].map(str::to_owned).into();
    inside.extend(["gateway", "vm", "host"].map(|whose| alias(&tunnel, "ipv4", whose)));
    let mut inside6: Vec<String> = ["::1", "::", HOST_V6].map(str::to_owned).into();
    inside6.extend(["gateway", "vm", "host"].map(|whose| alias(&tunnel, "ipv6", whose)));
    inside6.extend(inside.iter().map(|v4| format!("::ffff:{v4}")));
    for server in [gateway.as_str(), NAT_GATEWAY] {
        for transport in ["+notcp", "+tcp"] {
            for (kind, inside, outside) in [("A", &inside, SERVER), ("AAAA", &inside6, SERVER_V6)] {
                for address in inside {
                    let words = |addresses: &[&str]| {
                        asked(&lab, server, &[transport, &naming(addresses, "evil.test"), kind])
                    };
                    assert_eq!(words(&[address]), "", "{server} {transport} {address}");
                    assert_eq!(
                        words(&[address, outside]),
                        outside,
                        "{server} {transport} {address} beside another"
                    );
                }
            }
            let hints = asked(&lab, server, &[transport, &naming(&[HOST], "evil.test"), "HTTPS"]);
            assert_eq!(hints, "", "{server} {transport}: an HTTPS record's hints");
            for elsewhere in ["10.1.2.3", "192.168.7.7", VM, "192.0.2.3"] {
                let name = naming(&[elsewhere], "corp.test");
                assert_eq!(
                    asked(&lab, server, &[transport, &name, "A"]),
                    elsewhere,
                    "companies use these addresses"
                );
            }
        }
    }
    let dropped = 4 * (2 * (inside.len() + inside6.len()) + 1);
    let status = tunnel.status();
    assert_eq!(status["drops"]["rebind"], dropped, "{status}");
    assert_eq!(status["rebind"]["answers"], dropped, "{status}");
    let names = status["rebind"]["names"].as_array().unwrap();
    assert!(names.len() <= 16 && names.contains(&naming(&[HOST], "evil.test").into()), "{names:?}");
    let text = tunnel.command(&["status"]).unwrap().stdout;
    assert!(text.contains("\nrebind ") && text.contains("evil.test"), "{text}");
}

#[test]
fn a_changed_answer_is_not_authentic_and_says_why() {
    let Some((lab, _dns, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let said = |addresses: &[&str]| {
        let (at, name) = (format!("@{NAT_GATEWAY}"), naming(addresses, "evil.test"));
        lab.run(Place::Wsl, &["dig", &at, "+dnssec", "+tries=1", "+timeout=8", &name, "A"])
            .unwrap()
            .stdout
    };
    let untouched = said(&[SERVER]);
    assert!(untouched.contains(" ad; ") && !untouched.contains("EDE"), "{untouched}");
    for addresses in [&[HOST][..], &[SERVER, HOST]] {
        let changed = said(addresses);
        assert!(!changed.contains(" ad; ") && changed.contains("status: NOERROR"), "{changed}");
        assert!(changed.contains("EDE: 15 (Blocked)"), "{changed}");
    }
    assert_eq!(tunnel.status()["rebind"]["answers"], 2);
}

#[test]
fn names_that_may_name_the_host_do() {
    let options = ["--rebind-domain-ok", "corp.test,.Lvh.test", "--no-host-loopback"];
    let Some((lab, _dns, tunnel)) = tunnelled_lab_with_dns(&options) else { return };
    let ask = |name: &str| asked(&lab, NAT_GATEWAY, &[name, "A"]);
    for zone in ["corp.test", "a.b.CORP.test", "lvh.test", "local", "localhost"] {
        assert_eq!(ask(&naming(&[HOST], zone)), HOST, "{zone}");
    }
    assert_eq!(ask(naming(&[HOST], "").trim_end_matches('.')), HOST, "a name of one label");
    for zone in ["evil.test", "notcorp.test", "corp.test.evil.test", "localhost.evil.test"] {
        assert_eq!(ask(&naming(&[HOST], zone)), "", "{zone}");
    }
    assert_eq!(tunnel.status()["rebind"]["answers"], 4);
    if lacks(Lack::HostsFile) {
        return;
    }
    etc(
        &lab,
        Place::Windows,
        "hosts",
        &format!("127.0.0.1 dev.evil.test\n{HOST} machine.evil.test\n"),
    );
    assert_eq!(
        (ask("dev.evil.test"), ask("machine.evil.test")),
        ("127.0.0.1".to_owned(), HOST.to_owned())
    );
}

/// The container's own name for the host still leads to it.
#[test]
fn a_container_is_not_led_to_the_host_by_an_answer_from_outside() {
    let Some((lab, _dns, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let _web = http_server(&lab, Place::Windows, "0.0.0.0", 8081, "host");
    for (number, masquerade) in [(23, Masquerade::Yes), (24, Masquerade::No)] {
        let container = Container::new(&lab, number, masquerade);
        let curl = |name: &str| {
            let url = format!("http://{name}:8081/");
            container.run(&["curl", "--silent", "--show-error", "--max-time", "5", &url])
        };
        for address in [HOST, alias(&tunnel, "ipv4", "host").as_str()] {
            let said = curl(&naming(&[address], "evil.test"));
            assert_eq!(
                (said.code, said.stdout.as_str()),
                (Some(6), ""),
                "{masquerade:?} {address}: {}",
                said.stderr
            );
        }
        assert_eq!(curl("host.docker.internal").stdout, "host", "{masquerade:?}");
    }
}

/// The name reaches services on the host's own loopback. The VM's old gateway address leads a
/// container to the host by the VM's own network, which does not reach that loopback.
#[test]
fn a_container_reaches_the_hosts_loopback_by_name_and_not_by_the_old_gateway() {
    let Some((lab, _dns, _tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let _web = http_server(&lab, Place::Windows, "127.0.0.1", 8081, "host");
    for (number, masquerade) in [(23, Masquerade::Yes), (24, Masquerade::No)] {
        let container = Container::new(&lab, number, masquerade);
        let curl = |host: &str| {
            let url = format!("http://{host}:8081/");
            container.run(&["curl", "--silent", "--max-time", "5", &url]).stdout
        };
        assert_eq!(curl("host.docker.internal"), "host", "{masquerade:?}");
        assert_eq!(curl(NAT_GATEWAY), "", "{masquerade:?}");
    }
}
