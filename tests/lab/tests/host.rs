//! Services between host and VM: the host's loopback by names and aliases, the VM's services by its
//! old address.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{HOST, HOST_V6, NAT_GATEWAY, VM};
use lab::relay::{Lack, lacks};
use lab::scene::{
    etc, fetch, http_server, python_server, tunnelled_lab, tunnelled_lab_with_dns, udp_ask,
};
use lab::{Lab, Place, Process, Tunnel, Vpn, programs};

const HOST6: &str = "fd75:6e64:6572::3";

fn host4(tunnel: &Tunnel) -> String {
    tunnel.status()["tap"]["ipv4"]["host"].as_str().unwrap().to_owned()
}

/// Services on the host's own loopback: by TCP on port 8080, by UDP on 9000, each for IPv4 and
/// IPv6.
fn loopback_services(lab: &Lab) -> [Process; 4] {
    let echo = |address: &str, text: &str, port: u16| {
        python_server(
            lab,
            Place::Windows,
            programs::UDP_ECHO,
            &[address, &port.to_string(), text],
            port,
        )
    };
    [
        http_server(lab, Place::Windows, "127.0.0.1", 8080, "host4"),
        http_server(lab, Place::Windows, "::1", 8081, "host6"),
        echo("127.0.0.1", "host4:", 9000),
        echo("::1", "host6:", 9001),
    ]
}

#[test]
fn services_on_the_hosts_loopback_are_reached_by_name_alias_and_the_vms_old_gateway() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _services = loopback_services(&lab);
    let names = ["host.underpass.internal", "host.docker.internal", "host.containers.internal"];
    for host in names.into_iter().chain([host4(&tunnel).as_str(), NAT_GATEWAY]) {
        let said = fetch(&lab, Place::Wsl, &format!("http://{host}:8080/"));
        assert_eq!(said.stdout, "host4", "{host}: {}", said.stderr);
    }
    for host in names.into_iter().chain([&*format!("[{HOST6}]")]) {
        let said = fetch(&lab, Place::Wsl, &format!("http://{host}:8081/"));
        assert_eq!(said.stdout, "host6", "{host}: {}", said.stderr);
    }
    for (host, port, size, answer) in [
        (host4(&tunnel).as_str(), 9000, 1000, "host4:1006"),
        (NAT_GATEWAY, 9000, 1000, "host4:1006"),
        (NAT_GATEWAY, 9000, 40_000, "host4:40006"),
        (HOST6, 9001, 1000, "host6:1006"),
    ] {
        assert_eq!(udp_ask(&lab, Place::Wsl, host, port, size), answer, "{host}");
    }
    for nobody in [host4(&tunnel).as_str(), NAT_GATEWAY] {
        let said = fetch(&lab, Place::Wsl, &format!("http://{nobody}:8082/"));
        assert_eq!(said.code, Some(7), "a port without a service refuses: {said:?}");
        if !lacks(Lack::DatagramErrors) {
            assert_eq!(udp_ask(&lab, Place::Wsl, nobody, 9002, 10), "refused");
        }
    }
}

#[test]
fn the_hosts_loopback_can_be_closed_while_dns_continues() {
    let Some((lab, _dns, tunnel)) = tunnelled_lab_with_dns(&["--no-host-loopback"]) else { return };
    let _services = loopback_services(&lab);
    assert_eq!(
        fetch(&lab, Place::Windows, "http://127.0.0.1:8080/").stdout,
        "host4",
        "the service answers"
    );
    let alias = host4(&tunnel);
    for (host, port) in [
        ("host.docker.internal", 8080),
        (alias.as_str(), 8080),
        (NAT_GATEWAY, 8080),
        (&*format!("[{HOST6}]"), 8081),
    ] {
        let said = fetch(&lab, Place::Wsl, &format!("http://{host}:{port}/"));
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (Some(7), ""),
            "{host} refuses at once: {}",
            said.stderr
        );
    }
    // Linux's errors for 'administratively prohibited', of ICMP and of ICMPv6.
    let prohibited = [
        (alias.as_str(), 9000, "EHOSTUNREACH"),
        (NAT_GATEWAY, 9000, "EHOSTUNREACH"),
        (HOST6, 9001, "EACCES"),
    ];
    for (host, port, error) in prohibited {
        assert_eq!(udp_ask(&lab, Place::Wsl, host, port, 100), error, "{host}");
    }
    for transport in ["+notcp", "+tcp"] {
        let at = format!("@{NAT_GATEWAY}");
        let words = ["dig", &at, "+short", "+tries=1", "+timeout=8", transport, "lab.test", "TXT"];
        assert_eq!(lab.run(Place::Wsl, &words).unwrap().stdout.trim(), "\"hello\"", "{transport}");
    }
    assert!(
        tunnel.status()["drops"]["refused"].as_u64() >= Some(7),
        "{}",
        tunnel.status()["drops"]
    );
}

/// Services that listen on every address of the host are reachable at each of its adapters'
/// addresses.
#[test]
fn closed_means_closed_on_every_address_of_the_host_and_single_ports_can_be_open() {
    for (options, open) in
        [(&["--no-host-loopback"][..], &[][..]), (&["--host-ports", "8081,9000"], &[8081])]
    {
        let Some((lab, tunnel)) = tunnelled_lab(options) else { return };
        let _services =
            [8080, 8081].map(|port| http_server(&lab, Place::Windows, "::", port, "host"));
        let _echo =
            python_server(&lab, Place::Windows, programs::UDP_ECHO, &[HOST, "9000", "host:"], 9000);
        let alias = host4(&tunnel);
        for host in [HOST, &format!("[{HOST_V6}]"), NAT_GATEWAY, &alias, "host.docker.internal"] {
            for port in [8080, 8081] {
                let said = fetch(&lab, Place::Wsl, &format!("http://{host}:{port}/"));
                let expected = if open.contains(&port) { (Some(0), "host") } else { (Some(7), "") };
                assert_eq!(
                    (said.code, said.stdout.as_str()),
                    expected,
                    "{options:?} {host}:{port} {}",
                    said.stderr
                );
            }
        }
        let expected = if open.is_empty() { "EHOSTUNREACH" } else { "host:105" };
        assert_eq!(udp_ask(&lab, Place::Wsl, HOST, 9000, 100), expected, "{options:?}");
    }
}

#[test]
fn the_host_reaches_services_in_the_vm_at_its_old_address() {
    let Some((mut lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = http_server(&lab, Place::Wsl, "0.0.0.0", 8000, "the VM");
    let _echo = python_server(&lab, Place::Wsl, programs::UDP_ECHO, &[VM, "9000", "vm:"], 9000);
    for vpn in [Vpn::On, Vpn::Off, Vpn::On] {
        lab.set_vpn(vpn).unwrap();
        assert_eq!(
            fetch(&lab, Place::Windows, &format!("http://{VM}:8000/")).stdout,
            "the VM",
            "VPN {vpn:?}"
        );
        let large = fetch(&lab, Place::Windows, &format!("http://{VM}:8000/3000000"));
        assert_eq!(
            large.stdout.len(),
            String::from_utf8_lossy(&pattern(3_000_000)).len(),
            "VPN {vpn:?}"
        );
        assert_eq!(udp_ask(&lab, Place::Windows, VM, 9000, 1000), "vm:1003", "VPN {vpn:?}");
        let ping = lab.run(Place::Windows, &["ping", "-c", "1", "-W", "5", VM]).unwrap();
        assert!(ping.succeeded(), "VPN {vpn:?}: {}", ping.stdout);
    }
}

/// The data that the web server of the lab sends for a number.
fn pattern(length: usize) -> Vec<u8> {
    (0..=250u8).cycle().take(length).collect()
}

#[test]
fn a_name_of_the_hosts_own_hosts_file_that_means_its_loopback_is_not_mistaken() {
    if lacks(Lack::HostsFile) {
        return;
    }
    // On the host `localhost.corp` is 127.0.0.1; in the VM that address is the VM itself, and no
    // service of the host answers there.
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _services = loopback_services(&lab);
    etc(&lab, Place::Windows, "hosts", "127.0.0.1 localhost.corp\n");
    let said = fetch(&lab, Place::Wsl, "http://localhost.corp:8080/");
    assert_eq!(said.code, Some(7), "{said:?}");
}
