//! The link: a lane moves from the relay's standard streams to TCP over the VM's own network, and
//! comes back where that breaks. With the relay for Linux (`--link tcp`) and the one for Windows.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{SERVER, VM};
use lab::interop::host_relays;
use lab::scene::{
    PATIENCE, Scratch, cut_off_lab, http_status, must, python, python_server, web_server,
    windows_lab,
};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Tunnel, until};
use std::path::Path;
use std::time::Duration;

/// The gateway tries again after 30 s.
const NEXT_TRY: Duration = Duration::from_secs(45);

/// Drops the connects of the host's root, and with it the relay's, to the VM.
const NO_CONNECTS: &str = "table inet nolink {
    chain output {
        type filter hook output priority filter;
        oifname vm meta skuid 0 tcp flags & (syn | ack) == syn drop;
    }
}";

/// Drops all TCP between the host itself and the VM.
const NO_TCP: &str = "table inet nolink {
    chain output {
        type filter hook output priority filter;
        oifname vm meta l4proto tcp drop;
    }
    chain input {
        type filter hook input priority filter;
        iifname vm meta l4proto tcp drop;
    }
}";

/// Repeats on port 7 what it gets.
const ECHO: &str = "
import socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536): self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
Server(('203.0.113.10', 7), Handler).serve_forever()
";

/// Eight streams of known bytes, which come back, until the first file exists. Makes the second one
/// when bytes of all have come back.
const STREAMS: &str = "
import os, random, socket, sys, threading
going = threading.Barrier(8, lambda: open(sys.argv[3], 'w').close())
def stream(seed):
    s = socket.create_connection((sys.argv[1], 7), 10)
    s.settimeout(60)
    sent, total = random.Random(seed), [0, False]
    def send():
        while not os.path.exists(sys.argv[2]):
            s.sendall(sent.randbytes(65536))
            total[0] += 65536
        total[1] = True
        s.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    known, left, got, right = random.Random(seed), b'', 0, True
    while data := s.recv(65536):
        if got == 0: going.wait(60)
        while len(left) < len(data): left += known.randbytes(65536)
        right = right and data == left[:len(data)]
        left = left[len(data):]
        got += len(data)
    sender.join(60)
    print('right' if right and total == [got, True] else f'wrong: {got} of {total}', flush=True)
streams = [threading.Thread(target=stream, args=(seed,)) for seed in range(8)]
for s in streams: s.start()
for s in streams: s.join()
";

/// Strangers at the gateway's port. Each prints its name if it was closed without an answer.
const STRANGERS: &str = "
import os, socket, sys, time
to = (sys.argv[1], int(sys.argv[2]))
def closed(s):
    s.settimeout(8)
    try: return s.recv(1) == b''
    except (ConnectionError, BrokenPipeError): return True
def connect():
    return socket.create_connection(to, 5)
wrong = connect()
wrong.sendall(os.urandom(32))
print('wrong', closed(wrong))
slow, silent, began = connect(), connect(), time.monotonic()
try:
    while time.monotonic() - began < 4:
        slow.sendall(b'x')
        time.sleep(0.3)
    print('slow', False)
except OSError: print('slow', True)
print('silent', closed(silent))
def one_of_many():
    # The queue of a listener is short.
    try: return connect()
    except OSError: return None
many = [one_of_many() for _ in range(200)]
print('many', all(closed(s) for s in many if s))
";

/// Adds rules to the host's.
fn nft(lab: &Lab, rules: &str) {
    let done = lab.run(Place::Windows, &["nft", rules]).unwrap();
    assert!(done.succeeded(), "{rules}: {}", done.stderr);
}

fn link(tunnel: &Tunnel) -> serde_json::Value {
    tunnel.status()["relays"][0]["link"].clone()
}

fn carries(tunnel: &Tunnel, kind: &str) -> bool {
    link(tunnel)["carries"] == kind
}

fn restarts(tunnel: &Tunnel) -> u64 {
    tunnel.status()["relays"][0]["restarts"].as_u64().unwrap_or_default()
}

/// The TCP ports on which something in the VM listens at its own address.
fn listening(lab: &Lab) -> Vec<String> {
    let said = must(lab, Place::Wsl, "ss -Hltn");
    let own = format!("{VM}:");
    let mine = said.lines().filter_map(|line| {
        let address = line.split_whitespace().nth(3)?.replace("%eth0", "");
        Some(address.strip_prefix(&own)?.to_owned())
    });
    mine.collect()
}

fn linux(lab: &Lab) -> Tunnel {
    Tunnel::launch_linux(lab, &[], &["--link", "tcp"])
}

/// The only failure that the status shows, and why.
fn cause(tunnel: &Tunnel) -> Option<String> {
    let link = link(tunnel);
    let failures = link["failures"].as_array()?;
    let of_tcp = failures.iter().find(|failure| failure["link"] == "tcp")?;
    Some(of_tcp["cause"].as_str()?.to_owned())
}

/// A link that does not come up at first, then under load, and breaks.
fn a_life(lab: &Lab, launch: impl Fn() -> Tunnel) {
    nft(lab, NO_CONNECTS);
    let _web = web_server(lab);
    let _echo = python_server(lab, Place::Internet, ECHO, &[], 7);
    let mut tunnel = launch();
    tunnel.wait_up();
    assert_eq!(http_status(lab, Place::Wsl, SERVER), "200", "trying delays nothing");
    let timed_out = || cause(&tunnel).as_deref() == Some("timed-out");
    assert!(until(PATIENCE, timed_out), "{}", link(&tunnel));
    assert!(carries(&tunnel, "stdio") && link(&tunnel)["next_try_s"].as_u64() <= Some(30));
    let words = tunnel.command(&["status"]).unwrap().stdout;
    assert!(words.contains("by stdio\n") && words.contains("no tcp link: no answer"), "{words}");

    let scratch = Scratch::new();
    let (stop, going) = (scratch.path("stop"), scratch.path("going"));
    std::thread::scope(|scope| {
        let streams = scope.spawn(|| python(lab, Place::Wsl, STREAMS, &[SERVER, &stop, &going]));
        assert!(until(PATIENCE, || Path::new(&going).exists()), "no stream began");
        must(lab, Place::Windows, "nft delete table inet nolink");
        let moved = until(NEXT_TRY, || carries(&tunnel, "tcp"));
        std::fs::write(&stop, "").unwrap();
        let streams = streams.join().unwrap();
        assert!(moved, "{} {}", link(&tunnel), tunnel.complained());
        // Threads print at the same time: line ends may stand apart.
        assert_eq!(streams.stdout.matches("right").count(), 8, "{streams:?}");
    });
    assert_eq!((restarts(&tunnel), cause(&tunnel)), (0, None));
    assert!(listening(lab).is_empty(), "something listens after the move");

    let port = must(lab, Place::Wsl, &format!("ss -Htn state established src {VM}"));
    let port = port.split_whitespace().nth(2).and_then(|own| own.rsplit(':').next()).unwrap();
    must(lab, Place::Wsl, &format!("ss -K src {VM} sport = :{port}"));
    assert!(until(PATIENCE, || restarts(&tunnel) == 1), "{}", tunnel.status());
    assert!(until(PATIENCE, || carries(&tunnel, "stdio")), "{}", link(&tunnel));
    assert_eq!(cause(&tunnel).as_deref(), Some("broke"), "{}", link(&tunnel));
    assert!(until(PATIENCE, || http_status(lab, Place::Wsl, SERVER) == "200"));
}

#[test]
fn eight_streams_move_to_tcp_with_the_linux_relay_and_a_broken_link_is_left_alone_for_a_while() {
    let Some(lab) = cut_off_lab() else { return };
    a_life(&lab, || linux(&lab));
}

#[test]
fn eight_streams_move_to_tcp_with_the_exe_and_a_broken_link_is_left_alone_for_a_while() {
    let Some((lab, interop)) = windows_lab() else { return };
    a_life(&lab, || interop.launch(&lab, &["--link", "tcp"]));
}

#[test]
fn a_lane_moves_soon_and_a_relay_that_dies_moves_again() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    let mut tunnel = linux(&lab);
    tunnel.wait_up();
    assert!(until(Duration::from_secs(2), || carries(&tunnel, "tcp")), "{}", link(&tunnel));
    for died in 1..=3 {
        for relay in host_relays(&lab) {
            send_signal(relay, "KILL");
        }
        assert!(until(PATIENCE, || restarts(&tunnel) == died), "{}", tunnel.status());
        // Its own end is not the link's.
        assert!(until(PATIENCE, || carries(&tunnel, "tcp")), "{}", link(&tunnel));
    }
    assert_eq!(cause(&tunnel), None);
    assert!(until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"));
}

#[test]
fn a_link_that_a_vpn_cuts_off_gives_way_to_stdio() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    let mut tunnel = linux(&lab);
    tunnel.wait_up();
    assert!(until(PATIENCE, || carries(&tunnel, "tcp")), "{}", link(&tunnel));
    nft(&lab, NO_TCP);
    assert!(until(PATIENCE, || restarts(&tunnel) == 1), "{}", tunnel.status());
    assert!(until(PATIENCE, || carries(&tunnel, "stdio")), "{}", link(&tunnel));
    assert_eq!(cause(&tunnel).as_deref(), Some("broke"), "{}", link(&tunnel));
    assert!(until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"));
}

#[test]
fn strangers_get_no_link_and_hold_up_nothing() {
    let Some(lab) = cut_off_lab() else { return };
    nft(&lab, NO_CONNECTS);
    let _web = web_server(&lab);
    let mut tunnel = linux(&lab);
    assert!(until(PATIENCE, || !listening(&lab).is_empty()), "{}", tunnel.complained());
    let port = listening(&lab).pop().unwrap();
    // Another program of the VM does not have the host's address, and is closed at once.
    let connect =
        format!("import socket; print(socket.create_connection(('{VM}', {port}), 5).recv(1))");
    let inside = python(&lab, Place::Wsl, &connect, &[]);
    let is_closed = inside.stdout == "b''\n" || inside.stderr.contains("ConnectionResetError");
    assert!(is_closed, "{inside:?}");
    let user =
        ["setpriv", "--reuid", "65534", "--clear-groups", "/usr/bin/python3", "-c", STRANGERS];
    let outside = lab.run(Place::Windows, &[&user[..], &[VM, &port]].concat()).unwrap();
    assert_eq!(
        outside.stdout, "wrong True\nslow True\nsilent True\nmany True\n",
        "{}",
        outside.stderr
    );
    tunnel.wait_up();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert!(carries(&tunnel, "stdio") && restarts(&tunnel) == 0, "{}", tunnel.status());
    assert!(until(PATIENCE, || listening(&lab).is_empty()), "it listens for longer than 10 s");
}

#[test]
fn a_relay_that_is_to_stay_on_stdio_is_offered_nothing() {
    let Some(lab) = cut_off_lab() else { return };
    for options in [&["--link", "stdio"][..], &[]] {
        let mut tunnel = Tunnel::launch_linux(&lab, &[], options);
        tunnel.wait_up();
        assert!(listening(&lab).is_empty(), "{options:?}");
        let link = link(&tunnel);
        let none = serde_json::json!({ "carries": "stdio", "failures": [], "next_try_s": null });
        assert_eq!(link, none, "{options:?}");
    }
}
