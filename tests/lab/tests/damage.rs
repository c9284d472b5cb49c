//! Streams between gateway and relay that lose or repeat bytes, as in some versions of WSL's
//! interop (microsoft/WSL issue 41063): no damaged byte reaches a program, and the next relay
//! serves.

use lab::addresses::SERVER;
use lab::interop::Interop;
use lab::scene::{PATIENCE, Scratch, http_status, python, python_server, web_server, windows_lab};
use lab::{Lab, Place, Tunnel, until};

/// Echoes a stream of known bytes on port 7, and writes to the given file if a byte is wrong.
const SERVER_PROGRAM: &str = "
import random, socketserver, sys
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        known, left = random.Random(7), b''
        try:
            while data := self.request.recv(65536):
                while len(left) < len(data): left += known.randbytes(65536)
                if data != left[:len(data)]: open(sys.argv[1], 'a').write('the server got a wrong byte\\n')
                left = left[len(data):]
                self.request.sendall(data)
        except OSError: pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
Server(('203.0.113.10', 7), Handler).serve_forever()
";

/// Sends 64 MiB of that stream, and prints how its echo ended and whether it was right up to there.
/// The kernel reports a reset once (sk_err in net/ipv4/tcp.c), to the first of the two threads that
/// asks.
const CLIENT_PROGRAM: &str = "
import random, socket, sys, threading
s = socket.create_connection((sys.argv[1], 7), 10)
s.settimeout(30)
LENGTH = 1024 * 65536
ends = []
def send():
    known = random.Random(7)
    try:
        for _ in range(1024): s.sendall(known.randbytes(65536))
        s.shutdown(socket.SHUT_WR)
    except ConnectionResetError: ends.append('reset')
    except OSError: pass
sender = threading.Thread(target=send, daemon=True)
sender.start()
known, left, got, right = random.Random(7), b'', 0, True
try:
    while data := s.recv(65536):
        while len(left) < len(data): left += known.randbytes(65536)
        right = right and data == left[:len(data)]
        left = left[len(data):]
        got += len(data)
except ConnectionResetError: ends.append('reset')
except OSError as error: ends.append(repr(error))
sender.join(30)
print('right' if right else 'wrong', 'whole' if got == LENGTH else 'part', *(ends or ['end']))
";

/// A transfer over a stream with this damage, and the next one.
fn survives(lab: &Lab, interop: &Interop, launch: impl Fn() -> Tunnel, damage: &str) {
    let scratch = Scratch::new();
    let wrong = scratch.path("wrong");
    let _server = python_server(lab, Place::Internet, SERVER_PROGRAM, &[&wrong], 7);
    interop.damage(damage);
    let mut tunnel = launch();
    tunnel.wait_up();
    let first = python(lab, Place::Wsl, CLIENT_PROGRAM, &[SERVER]);
    assert!(interop.is_damaged(), "{damage}: no relay has taken it up");
    assert_eq!(
        first.stdout.trim(),
        "right part reset",
        "{damage}: {first:?} {}",
        tunnel.complained()
    );
    let replaced = || tunnel.status()["relays"][0]["restarts"].as_u64() == Some(1);
    assert!(until(PATIENCE, replaced), "{damage}: {}", tunnel.status());
    let error = || tunnel.status()["relays"][0]["last_error"].to_string();
    let named = || {
        let error = error();
        ["is damaged", "bytes were lost or doubled", "41063", "wsl --update"]
            .iter()
            .all(|part| error.contains(part))
    };
    assert!(until(PATIENCE, named), "{damage}: {}", tunnel.status());
    assert!(
        until(PATIENCE, || http_status(lab, Place::Wsl, SERVER) == "200"),
        "{damage}: {}",
        tunnel.status()
    );
    let next = python(lab, Place::Wsl, CLIENT_PROGRAM, &[SERVER]);
    assert_eq!(next.stdout.trim(), "right whole end", "{damage}: {next:?}");
    assert_eq!(std::fs::read_to_string(&wrong).unwrap_or_default(), "", "{damage}");
}

#[test]
fn a_stream_that_loses_or_repeats_bytes_ends_its_relay_before_a_wrong_byte_gets_out() {
    let Some((lab, interop)) = windows_lab() else { return };
    let _web = web_server(&lab);
    for damage in [
        "input drop 2000000 512",
        "input double 2000000 512",
        "output drop 2000000 512",
        "output double 2000000 512",
    ] {
        survives(&lab, &interop, || interop.launch_linux(&lab, &[]), damage);
    }
    // By a link nothing of interop would carry the bytes.
    let exe = || interop.launch(&lab, &["--link", "stdio"]);
    survives(&lab, &interop, exe, "input drop 2000000 512");
}

#[test]
fn a_frame_whose_end_is_lost_is_noticed_even_if_only_heartbeats_follow() {
    let Some((lab, interop)) = windows_lab() else { return };
    let scratch = Scratch::new();
    let wrong = scratch.path("wrong");
    let _server = python_server(&lab, Place::Internet, SERVER_PROGRAM, &[&wrong], 7);
    // In the first mebibyte of a stream of data only, near its end.
    interop.damage("input drop 900000 512");
    let mut tunnel = interop.launch_linux(&lab, &[]);
    tunnel.wait_up();
    let program = "
import random, socket, sys, time
s = socket.create_connection((sys.argv[1], 7), 10)
s.settimeout(30)
s.sendall(random.Random(7).randbytes(65536 * 14))
started = time.monotonic()
try:
    while s.recv(65536): pass
    print('end')
except ConnectionResetError:
    print('reset', time.monotonic() - started < 10)";
    let said = python(&lab, Place::Wsl, program, &[SERVER]);
    assert_eq!(said.stdout.trim(), "reset True", "{said:?} {}", tunnel.complained());
    assert!(until(PATIENCE, || tunnel
        .complained()
        .contains("the stream from the gateway is damaged")));
    assert_eq!(std::fs::read_to_string(&wrong).unwrap_or_default(), "");
}
