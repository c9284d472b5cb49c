//! The TAP's addresses and MTU: chosen so that they conflict with no other network, and as the user
//! sets them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{NAT_GATEWAY, ROUTER, SERVER};
use lab::scene::{
    PATIENCE, cut_off_lab, fetch, http_server, python, python_server, tunnelled_lab, udp_ask,
};
use lab::tunnel::START_PATIENCE;
use lab::{Lab, Place, Process, Tunnel, programs, until};

fn servers(lab: &Lab) -> [Process; 2] {
    [
        http_server(lab, Place::Internet, SERVER, 8080, "internet"),
        python_server(lab, Place::Internet, programs::UDP_ECHO, &[SERVER, "9000"], 9000),
    ]
}

fn gateway(tunnel: &Tunnel) -> String {
    tunnel.status()["tap"]["ipv4"]["gateway"].as_str().unwrap().to_owned()
}

fn must(lab: &Lab, place: Place, words: &str) {
    let finished = lab.run(place, &words.split_whitespace().collect::<Vec<_>>()).unwrap();
    assert!(finished.succeeded(), "{words}: {finished:?}");
}

/// The VM gets a megabyte of text, and datagrams of every size return unchanged.
fn works(lab: &Lab, what: &str) {
    let url = format!("http://{SERVER}:8080/");
    assert_eq!(fetch(lab, Place::Wsl, &url).stdout, "internet", "{what}");
    let transfer = format!(
        "curl --silent --max-time 20 {url}5000000 | curl --silent --max-time 20 --data-binary @- {url}"
    );
    let hash = "import hashlib; print(hashlib.sha256((bytes(range(251)) * 19921)[:5000000]).hexdigest(), end='')";
    let said = lab.run(Place::Wsl, &["sh", "-c", &transfer]).unwrap().stdout;
    assert_eq!(said, python(lab, Place::Wsl, hash, &[]).stdout, "{what}");
    for size in [0, 1, 1252, 1253, 1472, 1473, 9000, 65_507] {
        assert_eq!(udp_ask(lab, Place::Wsl, SERVER, 9000, size), size.to_string(), "{what}");
    }
}

#[test]
fn the_mtu_is_65520_unless_the_user_wants_another_and_all_sizes_pass() {
    for (options, mtu, way_mtu) in [
        (&[][..], 65_520, Some(1500)),
        (&["--mtu", "1500"], 1500, None),
        (&["--mtu", "1280", "--no-offload"], 1280, None),
    ] {
        let Some((lab, tunnel)) = tunnelled_lab(options) else { return };
        let _servers = servers(&lab);
        let tap = &tunnel.status()["tap"];
        assert_eq!((tap["mtu"].as_u64(), tap["way_mtu"].as_u64()), (Some(mtu), way_mtu));
        let link = lab.run(Place::Wsl, &["ip", "link", "show", "underpass0"]).unwrap().stdout;
        assert!(link.contains(&format!("mtu {mtu} ")), "{link}");
        works(&lab, &format!("{options:?}"));
    }
}

#[test]
fn the_subnet_overlaps_no_route_of_the_vm_or_the_host() {
    let Some(lab) = cut_off_lab() else { return };
    let _servers = servers(&lab);
    assert_eq!(
        gateway(&Tunnel::up(&lab, &[])),
        "192.168.214.1",
        "the first choice where nothing conflicts"
    );
    must(&lab, Place::Wsl, &format!("ip route add 192.168.214.0/24 via {NAT_GATEWAY}"));
    let tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(gateway(&tunnel), "10.214.214.1", "a route of the VM conflicts with the first");
    works(&lab, "the second choice");
    drop(tunnel);
    must(&lab, Place::Windows, &format!("ip route add 10.0.0.0/8 via {ROUTER}"));
    let tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(gateway(&tunnel), "172.30.214.1", "a route of the host conflicts with the second");
    works(&lab, "the third choice");
}

#[test]
fn the_user_may_name_the_subnet_and_gets_an_error_if_it_is_unusable() {
    let Some(lab) = cut_off_lab() else { return };
    let _servers = servers(&lab);
    let tunnel = Tunnel::up(&lab, &["--subnet", "198.18.7.16/28"]);
    assert_eq!(gateway(&tunnel), "198.18.7.17");
    let address = lab.run(Place::Wsl, &["ip", "addr", "show", "underpass0"]).unwrap().stdout;
    assert!(address.contains("198.18.7.18/28"), "{address}");
    works(&lab, "the wish");
    drop(tunnel);
    must(&lab, Place::Windows, &format!("ip route add 10.0.0.0/8 via {ROUTER}"));
    for (wish, code, reason) in [
        ("172.28.48.16/28", 1, "172.28.48.0/20"),
        ("10.9.9.16/28", 1, "10.0.0.0/8"),
        ("10.9.9.0/24", 2, "/28"),
        ("198.18.7.17/28", 2, "198.18.7.16/28"),
        ("nonsense", 2, "--subnet"),
    ] {
        let mut refused = Tunnel::launch(&lab, &["--subnet", wish]);
        assert_eq!(
            refused.process().exit_code(START_PATIENCE),
            Some(code),
            "{wish}: {}",
            refused.complained()
        );
        let complaint = refused.complained();
        assert!(complaint.contains(reason) && complaint.contains(wish), "{wish}: {complaint}");
        let links = lab.run(Place::Wsl, &["ip", "link"]).unwrap().stdout;
        assert!(!links.contains("underpass0"), "{wish}: {links}");
    }
}

/// Sends fragments whose other parts never come: `ADDRESS COUNT`, each the end of another datagram
/// of 64 KiB. Then two that overlap.
const LONE_FRAGMENTS: &str = "
import socket, struct, sys
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
def send(number, fragment, payload):
    header = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 0, number, fragment, 64, 17, 0, bytes(4), socket.inet_aton(sys.argv[1]))
    raw.sendto(header + payload, (sys.argv[1], 0))
for number in range(1, int(sys.argv[2]) + 1):
    send(number, 0x2000 | 8100, bytes(512))
send(65000, 0x2000, bytes(64))
send(65000, 0x2000 | 4, b'x' * 64)
";

fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn fragments_without_the_rest_are_dropped_counted_and_bounded() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&["--mtu", "1500"]) else { return };
    let _servers = servers(&lab);
    let sent = 10_000;
    let pid = tunnel.engine();
    assert_eq!(udp_ask(&lab, Place::Wsl, SERVER, 9000, 65_507), "65507");
    let before = resident_kib(pid);
    let finished = python(&lab, Place::Wsl, LONE_FRAGMENTS, &[SERVER, &sent.to_string()]);
    assert!(finished.succeeded(), "{}", finished.stderr);
    let count = |reason: &str| tunnel.status()["drops"][reason].as_u64().unwrap_or(0);
    // The TAP's queue may have lost some on a loaded machine, and the last ones still wait for
    // their other parts.
    assert!(
        until(PATIENCE, || count("reassembly-expired") > sent / 2),
        "{}",
        tunnel.status()["drops"]
    );
    assert!(
        until(PATIENCE, || count("fragment") >= 1),
        "the overlap: {}",
        tunnel.status()["drops"]
    );
    let grown = resident_kib(pid).saturating_sub(before);
    // 64 datagrams in progress of 64 KiB each are 4 MiB; all of them would be 600.
    assert!(grown < 16 * 1024, "{grown} KiB more than before");
    assert_eq!(udp_ask(&lab, Place::Wsl, SERVER, 9000, 65_507), "65507", "whole ones still pass");
}
