//! TCP connects through the tunnel: an app learns the result of the host's connect, neither more
//! nor earlier.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{SERVER, SERVER_V6};
use lab::scene::{PATIENCE, Scratch, must, python, python_server, tunnelled_lab};
use lab::{Lab, Place, Tunnel, until};
use std::time::Duration;

/// Connects `n` times to address and port, each for at most that many seconds: the outcomes, and
/// the median of the seconds.
const CONNECTS: &str = "
import errno, socket, statistics, sys, time
host, port, count, patience = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
outcomes, times = set(), []
for _ in range(count):
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
    s.settimeout(patience)
    begin = time.monotonic()
    try:
        s.connect((host, port))
        outcomes.add('connected')
    except OSError as error:
        outcomes.add(errno.errorcode.get(error.errno, 'silence'))
    times.append(time.monotonic() - begin)
    s.close()
print(' '.join(sorted(outcomes)), statistics.median(times))
";

/// Connects `n` times to address and port at once, and keeps the pending connects until it is
/// killed.
const PENDING: &str = "
import signal, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kept = [socket.socket() for _ in range(count)]
for s in kept:
    s.setblocking(False)
    s.connect_ex((host, port))
signal.pause()
";

/// Connects and says so, gets a word echoed and says so.
const WORD: &str = "
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
print('connected', flush=True)
s.sendall(b'word')
print(s.recv(4).decode(), flush=True)
";

/// Echoes on every connection to a port; prints a line for each connection.
const ECHO: &str = "
import socket, sys, threading
def serve(c):
    with c:
        while data := c.recv(1 << 18):
            c.sendall(data)
s = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
while True:
    c, _ = s.accept()
    print('accepted', flush=True)
    threading.Thread(target=serve, args=[c], daemon=True).start()
";

/// Connects 50 times, each with a word echoed, then gets 20 MB echoed on one connection: 'exact',
/// and the seconds of the slowest connect.
const OTHERS: &str = "
import hashlib, socket, sys, threading, time
to, slowest = (sys.argv[1], int(sys.argv[2])), 0
for _ in range(50):
    begin = time.monotonic()
    with socket.create_connection(to, timeout=60) as s:
        slowest = max(slowest, time.monotonic() - begin)
        s.sendall(b'x')
        assert s.recv(1) == b'x'
data = hashlib.shake_256(b'others').digest(20_000_000)
s = socket.create_connection(to, timeout=60)
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
back = bytearray()
while piece := s.recv(1 << 18):
    back += piece
print('exact' if back == data else 'wrong', slowest)
";

fn outcome(lab: &Lab, (host, port): (&str, &str), count: &str, patience: &str) -> (String, f64) {
    let finished = python(lab, Place::Wsl, CONNECTS, &[host, port, count, patience]);
    let (words, seconds) =
        finished.stdout.trim().rsplit_once(' ').unwrap_or_else(|| panic!("{finished:?}"));
    (words.to_owned(), seconds.parse().unwrap())
}

/// Blocks a port of the server, or opens it again.
fn black_hole(lab: &Lab, port: u16, command: &str) {
    for program in ["iptables", "ip6tables"] {
        must(
            lab,
            Place::Internet,
            &format!("{program} -w {command} INPUT -p tcp --dport {port} -j DROP"),
        );
    }
}

fn count_lines(text: &str) -> usize {
    text.lines().filter(|line| !line.trim().is_empty()).count()
}

fn connections(lab: &Lab, place: Place, state: &str, port: u16) -> usize {
    count_lines(&must(
        lab,
        place,
        &format!("ss -Htn state {state} ( dport = :{port} or sport = :{port} )"),
    ))
}

fn flows(tunnel: &Tunnel, kind: &str) -> u64 {
    tunnel.status()["flows"][kind].as_u64().unwrap()
}

#[test]
fn a_connect_to_a_closed_port_is_refused_at_once_and_never_seen_as_connected() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    for host in [SERVER, SERVER_V6] {
        let (outcome, median) = outcome(&lab, (host, "1"), "50", "10");
        assert_eq!(outcome, "ECONNREFUSED", "{host}");
        assert!(median < 0.5, "{host}: it took {median} s");
    }
}

#[test]
fn an_unreachable_network_or_host_is_that_error_to_the_app() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    // With IPv4 Linux reports the same error to an app for a prohibited host as for an unreachable
    // one; with IPv6 it has a separate error.
    let routes = [
        ("unreachable", "203.0.113.66", "EHOSTUNREACH"),
        ("prohibit", "203.0.113.67", "EHOSTUNREACH"),
        ("throw", "203.0.113.68", "ENETUNREACH"),
        ("unreachable", "2001:db8:f::66", "EHOSTUNREACH"),
        ("prohibit", "2001:db8:f::67", "EACCES"),
        ("throw", "2001:db8:f::68", "ENETUNREACH"),
    ];
    for (kind, address, error) in routes {
        must(&lab, Place::Windows, &format!("ip route add {kind} {address}"));
        let (outcome, median) = outcome(&lab, (address, "80"), "5", "10");
        assert_eq!(outcome, error, "{kind} {address}");
        assert!(median < 0.5, "{kind} {address}: it took {median} s");
    }
    for (kind, address) in [("a neighbour", "192.0.2.77"), ("a neighbour", "2001:db8:1::77")] {
        assert_eq!(
            outcome(&lab, (address, "80"), "1", "30").0,
            "EHOSTUNREACH",
            "{kind} that does not exist: {address}"
        );
    }
}

#[test]
fn the_app_is_connected_only_when_the_server_is_and_its_repeated_syns_open_one_connection() {
    for (host, firewall) in [(SERVER, "iptables"), (SERVER_V6, "ip6tables")] {
        let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
        let scratch = Scratch::new();
        let folder = |name: &str| std::path::PathBuf::from(scratch.path(name));
        let server = ["python3", "-c", ECHO, "81"];
        let server = lab.start_logged(Place::Internet, &folder("server"), &server).unwrap();
        assert!(until(PATIENCE, || connections(&lab, Place::Internet, "listening", 81) > 0));
        black_hole(&lab, 81, "-A");
        must(
            &lab,
            Place::Wsl,
            &format!("{firewall} -w -A OUTPUT -o underpass0 -p tcp --syn --dport 81"),
        );
        let syns = || must(&lab, Place::Wsl, &format!("{firewall} -w -nvxL OUTPUT"));
        let syns = || -> u64 {
            let table = syns();
            let rule = table.lines().find(|line| line.contains("dpt:81")).unwrap();
            rule.split_whitespace().next().unwrap().parse().unwrap()
        };
        let client = lab
            .start_logged(Place::Wsl, &folder("app"), &["python3", "-c", WORD, host, "81"])
            .unwrap();
        assert!(until(PATIENCE, || syns() >= 2), "{host}: the app's kernel does not ask again");
        assert_eq!(connections(&lab, Place::Wsl, "syn-sent", 81), 1, "{host}");
        assert_eq!(
            (client.stdout().as_str(), server.stdout().as_str()),
            ("", ""),
            "{host}: no connection exists yet"
        );
        assert_eq!(flows(&tunnel, "tcp_pending"), 1, "{host}");
        black_hole(&lab, 81, "-D");
        assert!(
            until(PATIENCE, || client.stdout() == "connected\nword\n"),
            "{host}: {}",
            client.stdout()
        );
        assert_eq!(server.stdout(), "accepted\n", "{host}: one connection for all SYNs");
        assert_eq!(tunnel.status()["totals"]["tcp"], 1, "{host}");
    }
}

#[test]
fn a_thousand_connects_into_a_black_hole_leave_others_untouched() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = python_server(&lab, Place::Internet, ECHO, &["7"], 7);
    black_hole(&lab, 81, "-A");
    let _pending =
        lab.start(Place::Wsl, &["python3", "-c", PENDING, SERVER, "81", "1000"]).unwrap();
    assert!(until(PATIENCE, || flows(&tunnel, "tcp_pending") == 1000), "{}", tunnel.status());
    let others = python(&lab, Place::Wsl, OTHERS, &[SERVER, "7"]);
    let (verdict, slowest) =
        others.stdout.trim().split_once(' ').unwrap_or_else(|| panic!("{others:?}"));
    assert_eq!(verdict, "exact");
    assert!(slowest.parse::<f64>().unwrap() < 2.0, "a connect took {slowest} s");
    assert_eq!(flows(&tunnel, "tcp_pending"), 1000, "they were pending all the time");
}

#[test]
fn a_connection_whose_app_gave_up_while_it_was_pending_leaves_nothing() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _server = python_server(&lab, Place::Internet, ECHO, &["81"], 81);
    let nothing = || {
        flows(&tunnel, "tcp") == 0
            && flows(&tunnel, "tcp_pending") == 0
            && connections(&lab, Place::Windows, "connected", 81) == 0
            && connections(&lab, Place::Internet, "connected", 81) == 0
    };
    let left = || {
        let hosts = must(&lab, Place::Windows, "ss -tno");
        format!("{} {hosts} {}", tunnel.status()["flows"], must(&lab, Place::Internet, "ss -tno"))
    };
    let give_up = || {
        black_hole(&lab, 81, "-A");
        let app = lab.start(Place::Wsl, &["python3", "-c", PENDING, SERVER, "81", "20"]).unwrap();
        assert!(until(PATIENCE, || flows(&tunnel, "tcp_pending") == 20), "{}", tunnel.status());
        drop(app);
        assert_eq!(connections(&lab, Place::Wsl, "syn-sent", 81), 0);
    };
    // The server answers after all, but no app waits for it.
    give_up();
    black_hole(&lab, 81, "-D");
    assert!(until(PATIENCE, nothing), "after an answer that came too late: {}", left());
    // The server never answers: the host's connect ends in time. Wine 10 repeats a SYN for 36 s
    // whatever the kernel's setting.
    let fewer = lab
        .run(Place::Windows, &["sh", "-c", "echo 1 > /proc/sys/net/ipv4/tcp_syn_retries"])
        .unwrap();
    assert!(fewer.succeeded(), "{fewer:?}");
    give_up();
    assert!(until(Duration::from_secs(60), nothing), "without an answer: {}", left());
}
