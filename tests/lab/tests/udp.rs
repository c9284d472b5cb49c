//! UDP through the tunnel: mappings, their ends and their limit, sizes, and the effect of a flood
//! on others.

use lab::addresses::SERVER;
use lab::scene::{
    OTHER_SERVER, PATIENCE, UDP_ECHO, UDP_SILENT, UDP_WHO, http_status, tunnelled_lab, udp_client,
    udp_server, web_server,
};
use lab::{Lab, Place, Tunnel, until};
use std::time::Duration;

/// UDP sockets of the relay's host: all of them belong to the relay.
fn relay_sockets(lab: &Lab) -> usize {
    lab.run(Place::Windows, &["ss", "-Huan"]).map_or(0, |finished| finished.stdout.lines().count())
}

fn binds(tunnel: &Tunnel) -> u64 {
    tunnel.status()["flows"]["udp"].as_u64().unwrap_or(u64::MAX)
}

#[test]
fn a_source_port_has_one_socket_for_every_destination_and_every_port_that_answers() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = udp_server(&lab);
    let program = "
one, other, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
a, b = udp(4001), udp(4002)
seen = [ask(a, (one, port), b'who')[0], ask(a, (other, port), b'who')[0], ask(a, (one, port), b'who')[0]]
assert len(set(seen)) == 1, ('one source, several mappings', seen)
assert ask(b, (one, port), b'who')[0] != seen[0], 'two sources, one mapping'
data, peer = ask(a, (one, port), b'call')
assert (data, peer) == (b'called', (other, 7005)), ('another port', data, peer)
print(seen[0].decode())
";
    let seen = udp_client(&lab, program, &[SERVER, OTHER_SERVER, &UDP_WHO.to_string()]);
    assert!(seen.starts_with("192.0.2.2 "), "the host speaks for the VM: {seen}");
    assert_eq!((relay_sockets(&lab), binds(&tunnel)), (2, 2), "one socket a source");
}

/// A host to which the app has not sent sends to it, on another host's request.
#[test]
fn a_stranger_reaches_an_app_only_where_the_filtering_lets_it() {
    for (options, first) in
        [(&[][..], SERVER), (&["--udp-filtering", "endpoint-independent"], OTHER_SERVER)]
    {
        let Some((lab, tunnel)) = tunnelled_lab(options) else { return };
        let _server = udp_server(&lab);
        let program = "
one, other, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = udp()
s.sendto(b'call', (one, port))
print(ask(s, (one, port), b'who')[1][0])
";
        let seen = udp_client(&lab, program, &[SERVER, OTHER_SERVER, &UDP_WHO.to_string()]);
        assert_eq!(seen, first, "{options:?} {}", tunnel.status());
        let strangers = tunnel.status()["drops"]["stranger"].as_u64();
        assert_eq!(strangers, (first == SERVER).then_some(1), "{options:?}");
    }
}

#[test]
fn datagrams_of_every_size_pass_both_ways() {
    for options in [&[][..], &["--mtu", "1500"]] {
        let Some((lab, _tunnel)) = tunnelled_lab(options) else { return };
        let _server = udp_server(&lab);
        let program = "
s = udp()
for size in [0, 1, 2, 1372, 1472, 1473, 9000, 32768, 65492, 65506, 65507]:
    data = os.urandom(size)
    got, peer = ask(s, (sys.argv[1], int(sys.argv[2])), data)
    assert got == data, (size, len(got), peer)
";
        udp_client(&lab, program, &[SERVER, &UDP_ECHO.to_string()]);
    }
}

#[test]
fn unanswered_and_dns_mappings_end_after_30_seconds_and_answered_ones_stay() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = udp_server(&lab);
    let program = "
host, who, silent = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print(ask(udp(4001), (host, who), b'who')[0].decode())
udp(4002).sendto(b'anybody?', (host, silent))
ask(udp(4003), (host, 53), b'looks like a query')
";
    let args = [SERVER, &UDP_WHO.to_string(), &UDP_SILENT.to_string()];
    let before = udp_client(&lab, program, &args);
    let started = tunnel.status()["uptime_s"].as_u64().unwrap();
    assert_eq!((relay_sockets(&lab), binds(&tunnel)), (3, 3));
    assert!(until(Duration::from_secs(60), || binds(&tunnel) < 3), "none ended");
    let first = tunnel.status()["uptime_s"].as_u64().unwrap() - started;
    assert!((28..50).contains(&first), "the first ended after {first} s");
    assert!(
        until(PATIENCE, || (relay_sockets(&lab), binds(&tunnel)) == (1, 1)),
        "unanswered and DNS: both end"
    );
    let program = "print(ask(udp(4001), (sys.argv[1], int(sys.argv[2])), b'who')[0].decode())";
    assert_eq!(udp_client(&lab, program, &args), before, "the answered one kept its mapping");
}

#[test]
fn with_more_sources_than_sockets_the_one_idle_longest_makes_room() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = udp_server(&lab);
    // The busy one is used between any 200 others. The idle ones at the start make room.
    let program = "
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, max(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
who, most = (sys.argv[1], int(sys.argv[2])), int(sys.argv[3])
busy = udp()
mapped = ask(busy, who, b'who')[0]
others = []
for n in range(most + 400):
    s = udp()
    seen = ask(s, who, b'who')[0]
    others.append((s, seen))
    if n % 200 == 0:
        assert ask(busy, who, b'who')[0] == mapped, ('a busy source lost its mapping', n)
kept = [ask(s, who, b'who')[0] == seen for s, seen in others[-300:]]
assert all(kept), ('recent sources lost their mappings', kept.count(False))
for s, _ in others[:50]:
    ask(s, who, b'who')
";
    let limit = |name: &str| {
        let status = tunnel.status();
        let limits = status["limits"].as_array().map_or(&[][..], Vec::as_slice);
        limits
            .iter()
            .find(|limit| limit["name"] == name)
            .map(|limit| (limit["now"].as_u64(), limit["max"].as_u64()))
    };
    let Some((_, Some(most))) = limit("udp") else { panic!("no limit in {}", tunnel.status()) };
    udp_client(&lab, program, &[SERVER, &UDP_WHO.to_string(), &most.to_string()]);
    assert_eq!(limit("udp"), Some((Some(most), Some(most))));
    let status = tunnel.status();
    let evicted = status["drops"]["udp-evicted"].as_u64().unwrap();
    // The first, 400 newcomers, and 50 that came back.
    assert_eq!(evicted, 451, "{}", status["drops"]);
    assert!(
        status["drops"]["unbound"].is_null(),
        "no relay had to refuse one: {}",
        status["drops"]
    );
    assert_eq!(relay_sockets(&lab) as u64, most);
}

#[test]
fn a_flood_of_datagrams_each_way_harms_no_other_traffic() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let (_web, _udp) = (web_server(&lab), udp_server(&lab));
    let _server = lab.start(Place::Internet, &["iperf3", "-s", "-B", SERVER]).unwrap();
    let listens = || {
        !lab.run(Place::Internet, &["ss", "-Htln", "sport = :5201"])
            .unwrap()
            .stdout
            .trim()
            .is_empty()
    };
    assert!(until(PATIENCE, listens));
    for way in [&[][..], &["-R"]] {
        let words = ["iperf3", "-c", SERVER, "-u", "-b", "2G", "-l", "1400", "-t", "4", "-J"];
        let folder = tunnel.runtime_dir().join("flood");
        let mut flood = lab.start_logged(Place::Wsl, &folder, &[&words[..], way].concat()).unwrap();
        let mut rounds = 0;
        while flood.is_running() {
            assert!(
                until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
                "{way:?}: the web is gone"
            );
            rounds += 1;
        }
        assert!(rounds > 0);
        let report: serde_json::Value = serde_json::from_str(&flood.stdout()).unwrap();
        let sum = &report["end"]["sum"];
        let (packets, lost) =
            (sum["packets"].as_f64().unwrap(), sum["lost_packets"].as_f64().unwrap());
        assert!(
            packets > 1000.0 && lost < packets * 0.99,
            "{way:?}: {lost} of {packets} were lost"
        );
        let program = "
import time
s = udp()
s.settimeout(2)
for attempt in range(10):
    try:
        sys.exit(ask(s, (sys.argv[1], int(sys.argv[2])), b'after')[0] != b'after')
    except TimeoutError:
        pass
sys.exit('no answer after the flood')
";
        udp_client(&lab, program, &[SERVER, &UDP_ECHO.to_string()]);
    }
    assert!(tunnel.process().is_running());
}
