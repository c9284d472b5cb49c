//! Relays that die, hang or cannot start: their connections are reset at once, and the next relay
//! takes over.

use lab::addresses::SERVER;
use lab::relay::{Lack, lacks};
use lab::scene::{
    PATIENCE, Scratch, cut_off_lab, exec_relay, http_status, python, python_server, tunnelled_lab,
    way_out, web_server,
};
use lab::tunnel::send_signal;
use lab::{Finished, Lab, Place, Tunnel, Vpn, until};
use std::fs;

/// Echoes on port 7 of the internet, for any number of clients.
const ECHO_SERVER: &str = "
import socketserver
class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(65536):
                self.request.sendall(data)
        except OSError:
            pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024
Server(('203.0.113.10', 7), Handler).serve_forever()
";

/// The beginning of the clients.
const CLIENT: &str = "
import os, select, signal, socket, sys, threading, time
SERVER = (sys.argv[1], 7)
# One thread per socket: the kernel reports a reset once, to the first thread that asks.
def echoed(s, data):
    got = b''
    s.sendall(data)
    while len(got) < len(data):
        piece = s.recv(len(data) - len(got))
        if not piece: raise EOFError('the echo ended')
        got += piece
    assert got == data, 'the echo is another'
def sockets_of(pid):
    folder = '/proc/%d/fd/' % pid
    return sum(os.readlink(folder + fd).startswith('socket:') for fd in os.listdir(folder))
";

fn client(lab: &Lab, program: &str, args: &[&str]) -> Finished {
    let finished = python(lab, Place::Wsl, &format!("{CLIENT}{program}"), args);
    assert!(finished.succeeded(), "{finished:?}");
    finished
}

#[test]
fn killed_10_times_mid_transfer_its_flows_are_reset_in_1_s_and_new_ones_served_in_2_s() {
    if lacks(Lack::QuickStart) {
        return;
    }
    let Some((lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let _echo = python_server(&lab, Place::Internet, ECHO_SERVER, &[], 7);
    // Writes endlessly, as does the echo, while the relay is killed; then connects until a server
    // answers.
    let program = "
s = socket.create_connection(SERVER, 5)
s.setblocking(False)
got, killed = 0, None
while True:
    if got > 4 << 20 and killed is None:
        killed = time.monotonic()
        os.kill(int(sys.argv[2]), signal.SIGKILL)
    readable, writable, _ = select.select([s], [s], [], 5)
    assert readable or writable, 'nothing happens any more'
    try:
        if writable: s.send(bytes(65536))
        if readable:
            piece = s.recv(1 << 20)
            if not piece: sys.exit('the stream ended as if it were whole')
            got += len(piece)
    except BlockingIOError: pass
    except ConnectionResetError: break
reset = time.monotonic() - killed
while True:
    try:
        with socket.create_connection(SERVER, 0.3) as t:
            t.settimeout(0.5)
            echoed(t, b'again')
            break
    except OSError:
        if time.monotonic() - killed > 20: raise
print(reset, time.monotonic() - killed)";
    let mut last = 0;
    for round in 0..10 {
        assert!(
            until(PATIENCE, || tunnel.relays().iter().any(|pid| *pid != last)),
            "{}",
            tunnel.status()
        );
        last = tunnel.relays()[0];
        let said = client(&lab, program, &[SERVER, &last.to_string()]).stdout;
        let times: Vec<f64> = said.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert!(times[0] < 1.0, "{round}: reset after {} s", times[0]);
        assert!(times[1] < 2.0, "{round}: served again after {} s", times[1]);
    }
    let status = tunnel.status();
    assert_eq!((&status["relays"][0]["restarts"], &status["state"]), (&10.into(), &"up".into()));
    assert!(status["relays"][0]["last_error"].as_str().unwrap().contains("signal: 9"), "{status}");
    assert!(tunnel.complained().contains("signal: 9"), "{}", tunnel.complained());
    assert!(
        until(PATIENCE, || tunnel.status()["flows"]["tcp"] == 0),
        "nothing of them is left: {}",
        tunnel.status()
    );
    assert!(tunnel.process().is_running());
}

#[test]
fn with_4_lanes_flows_are_spread_and_one_that_dies_touches_only_its_own() {
    if lacks(Lack::OwnProcess) {
        return;
    }
    let Some((lab, tunnel)) = tunnelled_lab(&["--lanes", "4"]) else { return };
    let _echo = python_server(&lab, Place::Internet, ECHO_SERVER, &[], 7);
    assert!(until(PATIENCE, || tunnel.relays().len() == 4), "{}", tunnel.status());
    let ready = || {
        tunnel.status()["relays"].as_array().unwrap().iter().all(|relay| relay["state"] == "ready")
    };
    assert!(until(PATIENCE, ready));
    let relays = tunnel.relays();
    let program = "
pids = [int(pid) for pid in sys.argv[2:]]
before = [sockets_of(pid) for pid in pids]
flows = [socket.create_connection(SERVER, 5) for _ in range(200)]
for s in flows:
    s.settimeout(10)
    echoed(s, b'hello')
carried = [sockets_of(pid) - n for pid, n in zip(pids, before)]
# All are in the middle of a transfer when one relay dies.
outcome, dead = {}, threading.Event()
middle = threading.Barrier(201)
def transfer(n):
    try:
        for _ in range(10): echoed(flows[n], os.urandom(20000))
        flows[n].sendall(bytes(20000))
        middle.wait(30)
        dead.wait(30)
        for _ in range(10): echoed(flows[n], bytes(20000))
        outcome[n] = 'whole'
    except ConnectionResetError: outcome[n] = 'reset'
    except Exception as error: outcome[n] = repr(error)
threads = [threading.Thread(target=transfer, args=(n,)) for n in range(200)]
for t in threads: t.start()
middle.wait(30)
os.kill(pids[1], signal.SIGKILL)
dead.set()
for t in threads: t.join()
kinds = list(outcome.values())
print(sum(carried), min(carried), carried[1], kinds.count('reset'), kinds.count('whole'))
for other in set(kinds) - {'reset', 'whole'}: print(other, file=sys.stderr)";
    let pids: Vec<String> = relays.iter().map(ToString::to_string).collect();
    let args: Vec<&str> = [SERVER].into_iter().chain(pids.iter().map(String::as_str)).collect();
    let finished = client(&lab, program, &args);
    let counts: Vec<u32> =
        finished.stdout.split_whitespace().map(|word| word.parse().unwrap()).collect();
    let [all, fewest, of_the_killed, reset, whole] = counts[..] else { panic!("{finished:?}") };
    assert_eq!(all, 200);
    // An even spread has 50 on each; by chance alone one has fewer than 20 once in millions of
    // runs.
    assert!(fewest >= 20, "one relay carries only {fewest} of 200");
    assert_eq!((reset, whole), (of_the_killed, 200 - of_the_killed), "{finished:?}");
    assert!(until(PATIENCE, ready), "{}", tunnel.status());
    let now = tunnel.relays();
    for lane in 0..4 {
        assert_eq!(now[lane] == relays[lane], lane != 1, "only the one that died was replaced");
        assert_eq!(tunnel.status()["relays"][lane]["restarts"], u64::from(lane == 1));
    }
}

#[test]
fn without_any_relay_the_old_network_is_back_until_there_is_one() {
    let Some(mut lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    let scratch = Scratch::new();
    let broken = scratch.path("broken");
    let text = format!(
        "#!/bin/sh\n[ -e {broken} ] && {{ echo out of order >&2; exit 5; }}\n{}",
        exec_relay(&lab)
    );
    let relay = scratch.file("relay", &text);
    let mut tunnel = Tunnel::launch_bare(&lab, &["--relay", &relay, "--lanes", "2"]);
    tunnel.wait_up();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    lab.set_vpn(Vpn::Off).unwrap();
    let _ = scratch.file("broken", "");
    for relay in tunnel.relays() {
        send_signal(relay, "KILL");
    }
    assert!(until(PATIENCE, || way_out(&lab, SERVER) == "eth0"), "{}", tunnel.status());
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "by the old network");
    assert_eq!(tunnel.status()["state"], "no-relay", "{}", tunnel.status());
    // At first the error is that it was killed; the next try gives its own message.
    let last_error =
        || tunnel.status()["relays"][0]["last_error"].as_str().unwrap_or_default().to_owned();
    assert!(until(PATIENCE, || last_error().contains("out of order")), "{}", tunnel.status());
    assert!(
        until(PATIENCE, || tunnel.complained().contains("out of order")),
        "{}",
        tunnel.complained()
    );
    lab.set_vpn(Vpn::On).unwrap();
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "000", "where the VPN is");
    fs::remove_file(&broken).unwrap();
    assert!(until(PATIENCE, || way_out(&lab, SERVER) == "underpass0"), "{}", tunnel.status());
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "through the tunnel again");
    assert_eq!(tunnel.status()["state"], "up");
    assert_eq!(tunnel.said().lines().count(), 1, "it reports once that it is up");
    assert!(tunnel.process().is_running());
}

#[test]
fn a_relay_that_hangs_is_replaced() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let _echo = python_server(&lab, Place::Internet, ECHO_SERVER, &[], 7);
    let _web = web_server(&lab);
    let hanging = tunnel.relays()[0];
    let program = "
s = socket.create_connection(SERVER, 5)
s.settimeout(30)
echoed(s, b'hello')
os.kill(int(sys.argv[2]), signal.SIGSTOP)
try: s.recv(1); sys.exit('the stream ended as if it were whole')
except ConnectionResetError: pass";
    client(&lab, program, &[SERVER, &hanging.to_string()]);
    assert!(
        until(PATIENCE, || http_status(&lab, Place::Wsl, SERVER) == "200"),
        "{}",
        tunnel.status()
    );
    let status = tunnel.status();
    assert_ne!(tunnel.relays()[0], hanging);
    assert!(status["relays"][0]["last_error"].as_str().unwrap().contains("hangs"), "{status}");
    assert!(
        !std::path::Path::new(&format!("/proc/{hanging}/exe")).exists(),
        "the one that hangs is killed"
    );
    assert!(tunnel.process().is_running());
}

#[test]
fn a_vm_that_was_suspended_continues_where_it_was() {
    let Some((lab, mut tunnel)) = tunnelled_lab(&[]) else { return };
    let _echo = python_server(&lab, Place::Internet, ECHO_SERVER, &[], 7);
    let relays = tunnel.relays();
    // Longer than the 6 s after which a silent relay is given up.
    let program = "
s = socket.create_connection(SERVER, 5)
s.settimeout(30)
echoed(s, b'before')
os.kill(int(sys.argv[2]), signal.SIGSTOP)
time.sleep(8)
os.kill(int(sys.argv[2]), signal.SIGCONT)
echoed(s, b'after')
time.sleep(3)
echoed(s, b'and later')";
    client(&lab, program, &[SERVER, &tunnel.engine().to_string()]);
    assert_eq!(tunnel.relays(), relays, "{}", tunnel.status());
    assert_eq!(tunnel.complained(), "");
}
