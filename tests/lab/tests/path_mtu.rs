//! The path's MTU as programs of the VM see it, compared with the kernel's own path: pings and
//! datagrams that no router may fragment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{ROUTER, ROUTER_V6, SERVER, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{PATIENCE, UDP_ECHO, cut_off_lab, must, python, udp_client, udp_server};
use lab::{Lab, Place, Tunnel, lab_or_skip, programs, until};

/// Payloads: larger than any link carries; within the host's MTU of 1500, but not within 1400; the
/// same again, when its fate is known; within both.
const SIZES: [&str; 4] = ["9000", "1440", "1440", "1300"];

/// Sets the MTU of a link of the lab at both its ends.
fn set_mtu(lab: &Lab, ends: [(Place, &str); 2], mtu: u32) {
    for (place, device) in ends {
        must(lab, place, &format!("ip link set {device} mtu {mtu}"));
    }
}

/// The link beyond the router, which the host does not see.
const BEHIND: [(Place, &str); 2] = [(Place::Router, "outer"), (Place::Internet, "uplink")];

/// The host's own link.
const HOSTS: [(Place, &str); 2] = [(Place::Windows, "uplink"), (Place::Router, "inner")];

/// The results of a program in a place that sends datagrams of these sizes.
fn fates(lab: &Lab, place: Place, server: &str, sizes: &[&str]) -> Vec<String> {
    let port = UDP_ECHO.to_string();
    let args = [&[server, &port], sizes].concat();
    let finished = python(lab, place, programs::PATH_MTU, &args);
    assert!(finished.succeeded(), "{server}: {finished:?}");
    finished.stdout.lines().map(str::to_owned).collect()
}

/// Two identical labs, with the host's own path in the first and the tunnel in the second: the
/// kernel remembers for minutes what either learns of a path.
fn beside(prepare: impl Fn(&Lab)) -> Option<(Lab, Lab, Tunnel)> {
    let (kernel, lab) = (lab_or_skip()?, cut_off_lab()?);
    prepare(&kernel);
    prepare(&lab);
    let tunnel = Tunnel::up(&lab, &[]);
    Some((kernel, lab, tunnel))
}

#[test]
fn datagrams_that_no_router_may_fragment_meet_what_they_meet_on_the_hosts_own_path() {
    let Some((kernel, lab, _tunnel)) = beside(|lab| set_mtu(lab, BEHIND, 1400)) else { return };
    let _servers = (udp_server(&kernel), udp_server(&lab));
    for (server, router) in [(SERVER, ROUTER), (SERVER_V6, ROUTER_V6)] {
        let own = fates(&kernel, Place::Windows, server, &SIZES);
        let expected = [
            "9000 refused here EMSGSIZE 1500 here 1500".to_owned(),
            format!("1440 lost EMSGSIZE 1400 {router} 1400"),
            "1440 refused here EMSGSIZE 1400 here 1400".to_owned(),
            "1300 answered  1300  1400".to_owned(),
        ];
        assert_eq!(own, expected, "the reference");
        if !lacks(Lack::DatagramErrors) {
            assert_eq!(fates(&lab, Place::Wsl, server, &SIZES), own, "{server}");
        }
    }
}

#[test]
fn the_hosts_own_mtu_is_the_vms_and_follows_it() {
    let Some((kernel, lab, tunnel)) = beside(|lab| set_mtu(lab, HOSTS, 1400)) else { return };
    let _servers = (udp_server(&kernel), udp_server(&lab));
    for server in [SERVER, SERVER_V6] {
        let own = fates(&kernel, Place::Windows, server, &SIZES);
        assert_eq!(own[0], "9000 refused here EMSGSIZE 1400 here 1400", "the reference");
        assert_eq!(fates(&lab, Place::Wsl, server, &SIZES), own, "{server}");
    }
    let way_mtu = || tunnel.status()["tap"]["way_mtu"].as_u64();
    assert_eq!(way_mtu(), Some(1400));
    // Wine's two notices of a change do not come for an MTU, only for an address that comes or
    // goes.
    set_mtu(&lab, HOSTS, 1450);
    must(&lab, Place::Windows, "ip addr add 192.0.2.77/24 dev uplink");
    assert!(until(PATIENCE, || way_mtu() == Some(1450)), "{:?}", way_mtu());
    let met = fates(&lab, Place::Wsl, SERVER, &["9000"]);
    assert_eq!(met, ["9000 refused here EMSGSIZE 1450 here 1450"]);
}

#[test]
fn what_may_be_fragmented_passes_in_any_size() {
    let Some((_kernel, lab, _tunnel)) = beside(|lab| set_mtu(lab, BEHIND, 1400)) else { return };
    let _server = udp_server(&lab);
    // The kernel's default: DF as long as a datagram fits into the known MTU. The first that does
    // not is lost where the path narrows, and its connected sender gets an error, as everywhere.
    let program = "
import errno
for family, host in [(socket.AF_INET, sys.argv[1]), (socket.AF_INET6, sys.argv[2])]:
    s = udp(0, family)
    s.connect((host, int(sys.argv[3])))
    for size in [1440, 65507, 9000, 1440, 1300]:
        for attempt in range(5):
            try:
                s.send(bytes(size))
                got = s.recv(65536)
                break
            except OSError as error:
                assert error.errno == errno.EMSGSIZE and size == 1440 and attempt == 0, (host, size, attempt, error)
        assert len(got) == size, (host, size, len(got))
";
    if !lacks(Lack::DatagramErrors) {
        udp_client(&lab, program, &[SERVER, SERVER_V6, &UDP_ECHO.to_string()]);
    }
    // A socket of the VM may not fragment to less than the path carries: IP_PMTUDISC_DONT sends
    // without DF.
    let program = "
s = udp()
s.setsockopt(0, 10, 0)
for size in [1440, 9000, 65507, 1300]:
    assert len(ask(s, (sys.argv[1], int(sys.argv[2])), bytes(size))[0]) == size, size
";
    udp_client(&lab, program, &[SERVER, &UDP_ECHO.to_string()]);
}

/// The output of ping for a request with DF, without times and counts.
fn ping(lab: &Lab, place: Place, server: &str, size: u32) -> String {
    let size = size.to_string();
    let words = ["ping", "-n", "-M", "do", "-c", "1", "-W", "5", "-s", &size, server];
    let finished = lab.run(place, &words).unwrap();
    let all = format!("{}{}", finished.stdout, finished.stderr);
    let signs = ["needed", "too long", "too big", "1 received"];
    let line = all.lines().find(|line| signs.iter().any(|word| line.to_lowercase().contains(word)));
    line.unwrap_or(&all).split(", time").next().unwrap_or_default().to_owned()
}

#[test]
fn pings_that_no_router_may_fragment_meet_what_they_meet_on_the_hosts_own_path() {
    let Some((kernel, lab, _tunnel)) = beside(|lab| set_mtu(lab, BEHIND, 1400)) else { return };
    for (server, header, router) in [(SERVER, 28, ROUTER), (SERVER_V6, 48, ROUTER_V6)] {
        if server == SERVER_V6 && lacks(Lack::Ping6) {
            continue;
        }
        let mut seen = Vec::new();
        // Above the host's MTU; above the path's, twice; and as large as the path carries.
        let behind_router = if lacks(Lack::PathMtu) { &[][..] } else { &[1401, 1401] };
        for mtu in [&[1501], behind_router, &[1400]].concat() {
            let own = ping(&kernel, Place::Windows, server, mtu - header);
            assert_eq!(ping(&lab, Place::Wsl, server, mtu - header), own, "{server}, {mtu}");
            seen.push(own);
        }
        assert!(seen[0].contains("mtu") && seen[0].contains("1500"), "{seen:?}");
        if let [_, first, second, _] = &seen[..] {
            assert!(first.contains(router) && first.contains("1400"), "{seen:?}");
            assert!(!second.contains(router) && second.contains("1400"), "{seen:?}");
        }
        assert!(seen.last().unwrap().contains("1 received"), "{seen:?}");
    }
}

#[test]
fn a_traceroute_finds_the_paths_mtu() {
    if lacks(Lack::DatagramErrors) {
        return;
    }
    let Some((kernel, lab, _tunnel)) = beside(|lab| set_mtu(lab, BEHIND, 1400)) else { return };
    // The MTU of each hop that narrows it, and the whole output of traceroute.
    let marks = |place, lab: &Lab| {
        let said = must(lab, place, &format!("traceroute -n --mtu -w 5 -m 6 {SERVER}"));
        let found = said.split_whitespace().filter(|word| word.starts_with("F="));
        (found.collect::<Vec<_>>().join(" "), said)
    };
    let (own, said) = marks(Place::Windows, &kernel);
    assert_eq!(own, "F=1500 F=1400", "the reference: {said}");
    let (through, said) = marks(Place::Wsl, &lab);
    assert_eq!(through, own, "{said}");
}
