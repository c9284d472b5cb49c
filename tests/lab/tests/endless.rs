//! Connections that one side has forgotten, by the kernel's own path and through the tunnel: the
//! same apps and servers observe the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::relay::{Lack, Relay, lacks};
use lab::scene::{PATIENCE, Scratch, exec_relay, must, python, python_server};
use lab::{Lab, Place, Tunnel, Vpn, lab_or_skip, until};
use std::time::Duration;

/// A server that never closes. `h` holds the connection; `l` holds it until a `g` comes, and then
/// sends `late` on it; `c` returns the number of connections that ended in order, and of those that
/// were reset.
const SERVE: &str = "
import select, socket
listener = socket.create_server(('::', 9), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
poll, all, late, ended, ends = select.epoll(), {}, [], set(), {'EOF': 0, 'RST': 0}
poll.register(listener)
while True:
    for fd, _ in poll.poll():
        if fd == listener.fileno():
            c = listener.accept()[0]
            all[c.fileno()] = c
            poll.register(c, select.EPOLLIN)
            continue
        c = all[fd]
        try:
            # After its EOF a socket reads EOF again, whatever comes (tcp_recvmsg).
            word = None if fd in ended else c.recv(1)
        except ConnectionResetError:
            word = None
        if word is None:
            ends['RST'] += 1
            poll.unregister(c)
            continue
        if not word:
            ends['EOF'] += 1
            ended.add(fd)
            # From here on only a reset makes an event.
            poll.modify(c, 0)
        elif word == b'l':
            late.append(c)
        elif word == b'g':
            for other in late:
                other.sendall(b'late')
        elif word == b'c':
            c.sendall(f'{ends[\"EOF\"]} {ends[\"RST\"]}'.encode())
";

/// The beginning of the apps.
const APP: &str = "
import array, fcntl, socket, struct, sys, termios, time
def connect(port=0):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('', port))
    s.settimeout(30)
    s.connect((sys.argv[1], 9))
    return s
def say(word, port=0):
    s = connect(port)
    s.sendall(word)
    return s
def forget(s):
    # An acknowledgement in flight would find no socket, and get an answer.
    left = array.array('i', [1])
    while left[0]: fcntl.ioctl(s, termios.TIOCOUTQ, left)
    # TCP_REPAIR: the kernel drops the socket silently.
    s.setsockopt(socket.IPPROTO_TCP, 19, 1)
    s.close()
def states():
    return [line.split()[3] for line in open('/proc/net/tcp') if ':0009 ' in line]
def again(port):
    begin = time.monotonic()
    s = say(b'h', port)
    print(time.monotonic() - begin, flush=True)
";

/// Raises a program's limit of open files.
const FILES: &str = "
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
";

/// The parts of a path.
enum Path {
    Kernel,
    Tunnel(Box<Tunnel>),
}

impl Path {
    fn flows(&self) -> u64 {
        match self {
            Self::Kernel => 0,
            Self::Tunnel(tunnel) => tunnel.status()["flows"]["tcp"].as_u64().unwrap(),
        }
    }
}

fn set(lab: &Lab, place: Place, key: &str, value: &str) {
    let done = lab.run(place, &["sh", "-c", "echo \"$1\" > \"/proc/sys/$0\"", key, value]).unwrap();
    assert!(done.succeeded(), "{done:?}");
}

/// Does the same by both paths.
fn by_both(act: impl Fn(&Lab, &Path)) {
    let Some(mut lab) = lab_or_skip() else { return };
    // Orphans in FIN-WAIT-2 are forgotten in a second, not in a minute.
    set(&lab, Place::Wsl, "net/ipv4/tcp_fin_timeout", "1");
    let server = python_server(&lab, Place::Internet, SERVE, &[], 9);
    act(&lab, &Path::Kernel);
    drop(server);
    lab.set_vpn(Vpn::On).unwrap();
    let _server = python_server(&lab, Place::Internet, SERVE, &[], 9);
    let tunnel = Tunnel::up(&lab, &[]);
    act(&lab, &Path::Tunnel(Box::new(tunnel)));
}

fn app(lab: &Lab, program: &str) -> String {
    let finished = python(lab, Place::Wsl, &format!("{APP}{program}"), &[SERVER]);
    assert!(finished.succeeded(), "{finished:?}");
    finished.stdout
}

/// States in which the kernel still expects a segment.
const LIVE: &str = "state established state fin-wait-1 state fin-wait-2 state close-wait";

fn ports_in(lab: &Lab, place: Place, states: &str) -> usize {
    must(lab, place, &format!("ss -Htn {states} ( dport = :9 or sport = :9 )")).lines().count()
}

#[test]
fn the_port_of_a_connection_that_the_kernel_forgot_can_be_used_again_at_once() {
    by_both(|lab, path| {
        for (kind, end) in [("half-closed", "s.close()"), ("established", "forget(s)")] {
            let program = format!(
                "
s = say(b'h', 40000)
{end}
end = time.monotonic() + 20
while states() and time.monotonic() < end: time.sleep(0.02)
assert not states(), states()
again(40000)"
            );
            let seconds: f64 = app(lab, &program).trim().parse().unwrap();
            assert!(seconds < 0.5, "{kind}: the second connect took {seconds} s");
            // The app ended with it; the next round uses the port again.
            assert!(until(PATIENCE, || ports_in(lab, Place::Wsl, LIVE) == 0), "{kind}");
        }
        assert!(until(PATIENCE, || path.flows() <= 2), "{}", path.flows());
    });
}

#[test]
fn five_hundred_that_the_kernel_forgot_are_gone_in_time_and_one_that_lives_is_not() {
    const COUNT: usize = 500;
    by_both(|lab, path| {
        let scratch = Scratch::new();
        let program = format!(
            "{APP}
s = say(b'l')
s.shutdown(socket.SHUT_WR)
print('half', flush=True)
s.settimeout(300)
print(s.recv(10).decode(), flush=True)
"
        );
        let words = ["python3", "-c", &program, SERVER];
        let alive = lab.start_logged(Place::Wsl, scratch.path("app").as_ref(), &words).unwrap();
        assert!(until(PATIENCE, || alive.stdout() == "half\n"), "{}", alive.stderr());
        app(lab, &format!("for _ in range({COUNT}): say(b'h').close()"));
        // The VM's kernel has one left: that of the live app.
        assert!(
            until(PATIENCE, || ports_in(lab, Place::Wsl, LIVE) == 1),
            "{}",
            must(lab, Place::Wsl, "ss -tan")
        );
        if let Path::Tunnel(tunnel) = path {
            let open = || path.flows() as usize;
            assert!(open() > COUNT, "{} are forgotten before they were probed", open());
            // Within two minutes with Linux's own minute; here the first probe comes after half a
            // minute.
            assert!(until(Duration::from_secs(60), || open() == 1), "{}", tunnel.status()["flows"]);
            assert_eq!(
                tunnel.status()["flows"]["forgotten"],
                COUNT,
                "{}",
                tunnel.status()["flows"]
            );
            // On the host they are in the same state, including that of the live app: for the
            // host's own tcp_fin_timeout, and not reset.
            let at_host = |states| ports_in(lab, Place::Windows, states);
            assert_eq!(at_host("state connected"), at_host("state fin-wait-2"));
        }
        // A kernel with too many orphans, those of other tests included, resets a closed one.
        let abandoned = "nstat -az TcpExtTCPAbortOnMemory";
        assert_eq!(
            app(lab, "s = say(b'c'); print(s.recv(100).decode())").trim(),
            format!("{} 0", COUNT + 1),
            "{}",
            must(lab, Place::Wsl, abandoned)
        );
        app(lab, "say(b'g')");
        assert!(
            until(PATIENCE, || alive.stdout() == "half\nlate\n"),
            "{}{}",
            alive.stdout(),
            alive.stderr()
        );
    });
}

#[test]
fn a_full_table_that_the_kernel_forgot_refuses_no_new_connection() {
    if Relay::chosen() != Relay::Linux || lacks(Lack::Crowds) {
        return;
    }
    let Some(mut lab) = lab_or_skip() else { return };
    lab.set_vpn(Vpn::On).unwrap();
    let _server = python_server(&lab, Place::Internet, &format!("{FILES}{SERVE}"), &[], 9);
    let tunnel = Tunnel::up(&lab, &[]);
    let status = tunnel.status();
    let limits = status["limits"].as_array().unwrap();
    let most =
        limits.iter().find(|limit| limit["name"] == "relay-tcp").unwrap()["max"].as_u64().unwrap();
    // Fewer if the machine gives programs few files; then the table is smaller as well.
    assert!(most >= 576, "{status}");
    let said = app(
        &lab,
        &format!(
            "{FILES}
import select
kept, poll = [], select.poll()
while len(kept) < {most}:
    batch = [socket.socket() for _ in range(min(256, {most} - len(kept)))]
    for s in batch:
        s.setblocking(False)
        s.connect_ex((sys.argv[1], 9))
    for s in batch: poll.register(s, select.POLLOUT)
    left = len(batch)
    while left:
        ready = poll.poll(30000)
        assert ready, 'no answer'
        for fd, _ in ready: poll.unregister(fd)
        left -= len(ready)
    assert not any(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for s in batch)
    kept += batch
print(len(kept))
for s in kept: forget(s)
# A connection that was active a moment ago counts as alive.
time.sleep(1.5)
slowest, first = 0, time.monotonic()
for _ in range(1000):
    begin = time.monotonic()
    say(b'h').close()
    slowest = max(slowest, time.monotonic() - begin)
print(f'{{slowest:.3f}} {{time.monotonic() - first:.1f}}')"
        ),
    );
    println!("{said}");
    let (count, slowest) = said.trim().split_once('\n').unwrap();
    assert_eq!(count, most.to_string());
    let slowest: f64 = slowest.split(' ').next().unwrap().parse().unwrap();
    // The first one comes during the sweep, and its SYN comes again.
    assert!(slowest < 10.0, "a connect took {slowest} s");
    let status = tunnel.status();
    assert!(status["refused"].is_null(), "{status}");
    assert!(status["flows"]["tcp"].as_u64() < Some(most), "{status}");
}

/// A relay that takes few connections: 576 (see the relay's `flows_below`).
fn small_tunnel(lab: &Lab, scratch: &Scratch) -> Tunnel {
    let relay = scratch.file("relay", &format!("#!/bin/sh\nulimit -n 1024\n{}", exec_relay(lab)));
    let mut tunnel = Tunnel::launch_bare(lab, &["--relay", &relay]);
    tunnel.wait_up();
    tunnel
}

#[test]
fn dead_connections_make_room_and_live_ones_are_reported() {
    if Relay::chosen() != Relay::Linux || lacks(Lack::Crowds) {
        return;
    }
    let Some(mut lab) = lab_or_skip() else { return };
    lab.set_vpn(Vpn::On).unwrap();
    let _server = python_server(&lab, Place::Internet, SERVE, &[], 9);
    let scratch = Scratch::new();
    let tunnel = small_tunnel(&lab, &scratch);
    let most = 576;
    // All forgotten silently: the next are connected, though the first may have to ask twice.
    let said = app(
        &lab,
        &format!(
            "
# Without a byte, so that the gateway has no reason to send anything on them.
for _ in range({most}): forget(connect())
# A connection that was active a moment ago counts as alive; the test needs older ones.
time.sleep(1.5)
kept = [say(b'h') for _ in range(301)]
print(len(kept))
for s in kept: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))"
        ),
    );
    assert_eq!(said.trim(), "301");
    assert!(until(PATIENCE, || tunnel.status()["flows"]["tcp"] == 0), "{}", tunnel.status());
    // All alive: one more is refused, and the status shows why.
    let said = app(
        &lab,
        &format!(
            "
kept = []
try:
    while len(kept) < 2 * {most}: kept.append(say(b'h'))
    print('never')
except ConnectionRefusedError: print(len(kept))
for s in kept: s.setblocking(False)
try: print(kept[0].recv(1))
except BlockingIOError: print('alive')"
        ),
    );
    let (count, alive) = said.trim().split_once('\n').unwrap_or_else(|| panic!("{said}"));
    let count: u64 = count.parse().unwrap();
    assert!(count <= most && count + 10 > most, "{count} of {most}");
    assert_eq!(alive, "alive");
    let status = tunnel.status();
    assert!(status["refused"]["count"].as_u64() >= Some(1), "{status}");
    assert!(tunnel.complained().contains("room for no more"), "{}", tunnel.complained());
}
