//! ICMP through the tunnel: pings are real, hops appear, and errors about datagrams reach the app
//! that sent them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{ROUTER, ROUTER_V6, SERVER, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{PATIENCE, hops, must, tunnelled_lab, udp_client, udp_server, web_server};
use lab::{Finished, Lab, Place, Tunnel, until};

/// An unused address of the server's network: packets to it are lost silently.
const NOBODY: &str = "203.0.113.99";
const NOBODY_V6: &str = "2001:db8:f::99";

fn ping(lab: &Lab, options: &[&str], to: &str) -> Finished {
    lab.run(Place::Wsl, &[&["ping", "-n"], options, &[to]].concat()).unwrap()
}

/// Whether the relay carries pings to an address like this.
fn pings(to: &str) -> bool {
    !to.contains(':') || !lacks(Lack::Ping6)
}

fn gateways(tunnel: &Tunnel) -> (String, String) {
    let status = tunnel.status();
    let gateway = |family| status["tap"][family]["gateway"].as_str().unwrap().to_owned();
    (gateway("ipv4"), gateway("ipv6"))
}

#[test]
fn live_hosts_answer_and_others_do_not() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let (gateway, gateway_v6) = gateways(&tunnel);
    let hosts = [SERVER, SERVER_V6, ROUTER, ROUTER_V6].into_iter().filter(|host| pings(host));
    for there in hosts.chain([&*gateway, &*gateway_v6]) {
        let answer = ping(&lab, &["-c", "2", "-i", "0.2", "-W", "5"], there);
        assert!(answer.stdout.contains(" 2 received"), "{there}: {}", answer.stdout);
    }
    for nobody in [NOBODY, NOBODY_V6] {
        let answer = ping(&lab, &["-c", "2", "-i", "0.2", "-W", "1"], nobody);
        assert!(
            answer.stdout.contains(" 0 received") && !answer.stdout.contains("rom "),
            "{}",
            answer.stdout
        );
    }
}

#[test]
fn the_round_trip_is_the_servers_own() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let sysctl = "/proc/sys/net/ipv4/icmp_echo_ignore_all";
    assert!(
        lab.run(Place::Internet, &["sh", "-c", &format!("echo 1 > {sysctl}")]).unwrap().succeeded()
    );
    assert!(
        ping(&lab, &["-c", "1", "-W", "1"], SERVER).stdout.contains(" 0 received"),
        "the kernel must be silent"
    );
    // In the kernel's place a program that answers slowly.
    let slow = "
import socket, struct, sys, time
def total(data):
    n = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
s.bind((sys.argv[1], 0))
ready = socket.socket()
ready.bind(('127.0.0.1', 7070))
ready.listen()
while True:
    packet, peer = s.recvfrom(65535)
    message = packet[(packet[0] & 15) * 4:]
    if message[0] == 8:
        time.sleep(0.4)
        rest = message[4:]
        s.sendto(struct.pack('!BBH', 0, 0, total(b'\\0\\0\\0\\0' + rest)) + rest, peer)
";
    let _slow = lab::scene::python_server(&lab, Place::Internet, slow, &[SERVER], 7070);
    let answer = ping(&lab, &["-c", "3", "-i", "0.6", "-W", "10"], SERVER);
    let times = answer
        .stdout
        .lines()
        .filter_map(|line| line.split_once("time=")?.1.split(' ').next()?.parse().ok());
    let times: Vec<f64> = times.collect();
    assert!(times.len() == 3 && times.iter().all(|time| *time >= 400.0), "{}", answer.stdout);
    assert!(times.iter().any(|time| *time < 1000.0), "and not much more: {}", answer.stdout);
}

#[test]
fn the_time_to_live_is_carried_out() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let (gateway, gateway_v6) = gateways(&tunnel);
    for (server, hops) in
        [(SERVER, [gateway.as_str(), ROUTER]), (SERVER_V6, [&gateway_v6, ROUTER_V6])]
    {
        if !pings(server) {
            continue;
        }
        for (ttl, hop) in ["1", "2"].iter().zip(hops) {
            let answer = ping(&lab, &["-c", "1", "-W", "5", "-t", ttl], server).stdout;
            assert!(
                answer.contains(&format!("From {hop} ")) && answer.contains("exceeded"),
                "{ttl}: {answer}"
            );
        }
        assert!(
            ping(&lab, &["-c", "1", "-W", "5", "-t", "3"], server).succeeded(),
            "{server} is the third hop"
        );
    }
}

#[test]
fn every_kind_of_traceroute_shows_gateway_router_and_server() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    let (gateway, gateway_v6) = gateways(&tunnel);
    let ways = [(vec![gateway, ROUTER.to_owned(), SERVER.to_owned()], SERVER, "-4"), {
        (vec![gateway_v6, ROUTER_V6.to_owned(), SERVER_V6.to_owned()], SERVER_V6, "-6")
    }];
    for (way, server, family) in ways {
        let mtr = |kind: &[&str]| {
            let words =
                [&["mtr", "-r", "-n", "-c", "2", "-i", "0.5", family], kind, &[server]].concat();
            let report = lab.run(Place::Wsl, &words).unwrap().stdout;
            let hop = |line: &str| {
                line.split_once("|-- ")?.1.split_whitespace().next().map(str::to_owned)
            };
            report.lines().filter_map(hop).collect::<Vec<_>>()
        };
        if pings(server) {
            assert_eq!(
                (hops(&lab, &[family, "-I"], server), mtr(&[])),
                (way.clone(), way.clone()),
                "ICMP"
            );
        }
        if !lacks(Lack::DatagramErrors) {
            assert_eq!(
                (hops(&lab, &[family], server), mtr(&["-u"])),
                (way.clone(), way.clone()),
                "UDP"
            );
        }
        // Wine finds the router by a ping (docs/wine.md).
        if !pings(server) {
            continue;
        }
        // Port 80 has a server, 81 refuses.
        for port in ["80", "81"] {
            let ways = (hops(&lab, &[family, "-T", "-p", port], server), mtr(&["-T", "-P", port]));
            assert_eq!(ways, (way.clone(), way.clone()), "TCP to port {port}");
        }
        // As tcptraceroute asks: by one source port.
        assert_eq!(
            hops(&lab, &[family, "-T", "--sport=4242", "-p", "80"], server),
            way,
            "TCP from one port"
        );
    }
}

#[test]
fn a_connection_goes_as_far_as_its_app_lets_it_from_its_first_segment_to_its_last() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    // The server is the third hop, so that with a time to live of 4 its host gets 2.
    let rules = ["--ttl-eq 2", "! --ttl-eq 2"]
        .map(|ttl| format!("iptables -A INPUT -p tcp --dport 80 -m ttl {ttl}"));
    for rule in rules {
        must(&lab, Place::Internet, &rule);
    }
    let get = "
import socket, sys
s = socket.socket()
s.settimeout(10)
s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 4)
s.connect((sys.argv[1], 80))
s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
answer = b''
while part := s.recv(65536):
    answer += part
print(answer.split()[1].decode())
";
    let finished = lab::scene::python(&lab, Place::Wsl, get, &[SERVER]);
    assert_eq!(finished.stdout, "200\n", "{finished:?}");
    let counted = lab.run(Place::Internet, &["iptables", "-nvxL", "INPUT"]).unwrap().stdout;
    let packets: Vec<u64> = counted
        .lines()
        .skip(2)
        .map(|l| l.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert!(packets[0] >= 4 && packets[1] == 0, "{counted}");
}

#[test]
fn a_ping_that_asks_for_its_route_or_for_times_is_answered_without_them() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    for (options, mark) in
        [(&["-R"][..], "RR:"), (&["-T", "tsonly"], "TS:"), (&["-T", "tsandaddr"], "TS:")]
    {
        let words = [&["-c", "2", "-i", "0.2", "-W", "5"], options].concat();
        let answer = ping(&lab, &words, SERVER).stdout;
        assert!(answer.contains(" 2 received") && !answer.contains(mark), "{options:?}: {answer}");
        // The missing part: the host's own path records it.
        let on_host = lab
            .run(Place::Windows, &[&["ping", "-n"], &words[..], &[SERVER]].concat())
            .unwrap()
            .stdout;
        assert!(
            on_host.contains(" 2 received") && on_host.contains(mark),
            "{options:?}: {on_host}"
        );
    }
}

#[test]
fn large_and_many_pings_are_all_answered() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    for server in [SERVER, SERVER_V6].into_iter().filter(|server| pings(server)) {
        let large = ping(&lab, &["-c", "3", "-i", "0.2", "-s", "60000", "-W", "10"], server);
        assert!(large.stdout.contains(" 3 received"), "{}", large.stdout);
        assert!(!large.stdout.contains("wrong data"), "{}", large.stdout);
        let fast = ping(&lab, &["-q", "-c", "200", "-i", "0.002", "-W", "10"], server);
        assert!(fast.stdout.contains(" 200 received"), "{}", fast.stdout);
        let flood = ping(&lab, &["-q", "-f", "-c", "500", "-W", "10"], server);
        assert!(flood.stdout.contains(" 500 received"), "{}", flood.stdout);
    }
    // Several at once, whose sequence numbers are the same.
    let hosts: Vec<_> =
        [SERVER, ROUTER, SERVER_V6, ROUTER_V6].into_iter().filter(|host| pings(host)).collect();
    let words = ["ping", "-n", "-q", "-c", "50", "-i", "0.02", "-W", "10"];
    let folder = std::env::temp_dir().join(format!("{}-pings", lab.namespace(Place::Wsl)));
    let start = |n: usize| {
        let to = hosts[n % hosts.len()];
        lab.start_logged(Place::Wsl, &folder.join(n.to_string()), &[&words[..], &[to]].concat())
            .unwrap()
    };
    let mut pings: Vec<_> = (0..8).map(start).collect();
    assert!(
        until(PATIENCE * 2, || pings.iter_mut().all(|ping| !ping.is_running())),
        "they do not end"
    );
    let answers: Vec<String> = pings.iter().map(lab::Process::stdout).collect();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(answers.iter().all(|answer| answer.contains(" 50 received")), "{answers:?}");
}

/// Sends a datagram in the given way and prints the error queue's entry: errno, ICMP type and code,
/// sender. Sends again, because a Linux router reports a missing route at most once a second.
const ERRORS: &str = "
import errno, select, struct
def fate(host, port, ttl):
    six = ':' in host
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    level, recverr, hops = (41, 25, 16) if six else (0, 11, 2)
    s.setsockopt(level, recverr, 1)
    s.setsockopt(level, hops, ttl)
    poll = select.poll()
    poll.register(s, 0)
    for attempt in range(10):
        try:
            s.sendto(b'probe', (host, port))
        except OSError:
            pass
        if poll.poll(2000):
            break
    else:
        sys.exit('no error came: %s port %d hops %d' % (host, port, ttl))
    data, control, flags, to = s.recvmsg(2000, 2000, 0x2000)
    assert to[:2] == (host, port), to
    body = control[0][2]
    code, origin, kind, sub = struct.unpack('IBBB', body[:7])
    where = (socket.AF_INET6, body[24:40]) if six else (socket.AF_INET, body[20:24])
    return errno.errorcode[code], kind, sub, socket.inet_ntop(*where)
for probe in sys.argv[1:]:
    host, port, ttl = probe.split(',')
    print(*fate(host, int(port), int(ttl)))
";

#[test]
fn errors_about_a_datagram_reach_its_app_with_their_senders_address() {
    if lacks(Lack::DatagramErrors) {
        return;
    }
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let (gateway, gateway_v6) = gateways(&tunnel);
    let probes = [
        (format!("{SERVER},9,64"), format!("ECONNREFUSED 3 3 {SERVER}")),
        (format!("{SERVER},9,2"), format!("EHOSTUNREACH 11 0 {ROUTER}")),
        (format!("{SERVER},9,1"), format!("EHOSTUNREACH 11 0 {gateway}")),
        ("10.250.0.1,9,64".to_owned(), format!("ENETUNREACH 3 0 {ROUTER}")),
        // No host on the router's other network has it.
        ("198.51.100.77,9,64".to_owned(), format!("EHOSTUNREACH 3 1 {ROUTER}")),
        (format!("{SERVER_V6},9,64"), format!("ECONNREFUSED 1 4 {SERVER_V6}")),
        (format!("{SERVER_V6},9,2"), format!("EHOSTUNREACH 3 0 {ROUTER_V6}")),
        (format!("{SERVER_V6},9,1"), format!("EHOSTUNREACH 3 0 {gateway_v6}")),
        ("2001:db8:2::77,9,64".to_owned(), format!("EHOSTUNREACH 1 3 {ROUTER_V6}")),
    ];
    let args: Vec<&str> = probes.iter().map(|(probe, _)| probe.as_str()).collect();
    let said = udp_client(&lab, ERRORS, &args);
    for (line, (probe, expected)) in said.lines().zip(&probes) {
        assert_eq!(line, expected, "{probe}");
    }
    assert_eq!(said.lines().count(), probes.len());
}

#[test]
fn a_connected_socket_gets_the_refusal_of_a_closed_port_and_still_works() {
    if lacks(Lack::DatagramErrors) {
        return;
    }
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = udp_server(&lab);
    let program = "
for host, family in [(sys.argv[1], socket.AF_INET), (sys.argv[2], socket.AF_INET6)]:
    s = udp(0, family)
    s.connect((host, 9))
    s.send(b'anybody?')
    try:
        s.recv(10)
        sys.exit('an answer from a closed port')
    except ConnectionRefusedError:
        pass
    s.connect((host, 7001))
    s.send(b'hello')
    assert s.recv(10) == b'hello'
";
    udp_client(&lab, program, &[SERVER, SERVER_V6]);
}
