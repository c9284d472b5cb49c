//! TCP connections through the tunnel: whatever either end does to its stream, the other end sees
//! it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{SERVER, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{PATIENCE, Scratch, must, python, tunnelled_lab};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Process, Tunnel, until};

/// The beginning of both ends' programs. They send each other `UP` and `DOWN`.
const BOTH: &str = "
import hashlib, signal, socket, struct, sys
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
UP, DOWN = (hashlib.shake_256(name).digest(8_000_000) for name in (b'up', b'down'))
def rest(s):
    got = bytearray()
    while piece := s.recv(1 << 18):
        got += piece
    return bytes(got)
def exactly(s, count):
    got = bytearray()
    while len(got) < count and (piece := s.recv(count - len(got))):
        got += piece
    return bytes(got)
def judge(who, got, wanted):
    if got == wanted:
        print(who, 'exact', flush=True)
        return
    # Byte by byte takes Python a second: only where there is something to find.
    differs = next((at for at, (a, b) in enumerate(zip(got, wanted)) if a != b), 'nowhere')
    print(who, f'wrong: {len(got)} bytes, differs at {differs}', flush=True)
def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()
def end_of(s):
    try:
        while s.recv(1 << 18):
            pass
        return 'EOF'
    except ConnectionResetError:
        return 'ECONNRESET'
def end_of_writing(s):
    try:
        while True:
            s.sendall(DOWN)
    except ConnectionResetError:
        return 'ECONNRESET'
    except BrokenPipeError:
        return 'EPIPE'
";

/// The end on the internet; `s` is the listener.
const SERVE: &str = "
s = socket.create_server(('::', 7), family=socket.AF_INET6, dualstack_ipv6=True)
def accept():
    c = s.accept()[0]
    c.settimeout(60)
    return c
";

/// The end in the VM; `connect` returns the next connection.
const CONNECT: &str = "
def connect():
    return socket.create_connection((sys.argv[1], 7), timeout=60)
";

/// Starts the server's program, and keeps its output.
fn server(lab: &Lab, scratch: &Scratch, program: &str) -> Process {
    let program = [BOTH, SERVE, program].concat();
    let words = ["python3", "-c", program.as_str()];
    let server =
        lab.start_logged(Place::Internet, scratch.path("server").as_ref(), &words).unwrap();
    let listens = || !must(lab, Place::Internet, "ss -Htln sport = :7").trim().is_empty();
    assert!(until(PATIENCE, listens), "the server does not listen: {}", server.stderr());
    server
}

/// Starts the app's program in the VM, and keeps its output.
fn app(lab: &Lab, scratch: &Scratch, program: &str) -> Process {
    let program = [BOTH, CONNECT, program].concat();
    lab.start_logged(Place::Wsl, scratch.path("app").as_ref(), &["python3", "-c", &program, SERVER])
        .unwrap()
}

/// Runs the app's program in the VM to its end; returns its output.
fn run_app(lab: &Lab, host: &str, program: &str) -> String {
    let finished = python(lab, Place::Wsl, &[BOTH, CONNECT, program].concat(), &[host]);
    assert!(finished.succeeded(), "{finished:?}");
    finished.stdout
}

/// Waits until a program has printed a line.
fn hears(process: &Process, line: &str) {
    let said = || process.stdout().lines().any(|said| said == line);
    assert!(until(PATIENCE, said), "not '{line}' but: {}{}", process.stdout(), process.stderr());
}

/// Waits until the server has printed everything expected, and the gateway has no connection any
/// more.
fn over(tunnel: &Tunnel, server: &Process, wanted: &str) {
    assert!(
        until(PATIENCE, || server.stdout() == wanted),
        "{}{}",
        server.stdout(),
        server.stderr()
    );
    let none = || tunnel.status()["flows"]["tcp"] == 0;
    assert!(until(PATIENCE, none), "both ends are done, but: {}", tunnel.status()["flows"]);
}

#[test]
fn either_end_may_finish_first_and_still_receive() {
    if lacks(Lack::EveryByte) {
        return;
    }
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let wanted = "app first exact\nserver first exact\n";
    let scratch = Scratch::new();
    let server = server(
        &lab,
        &scratch,
        "
while True:
    c = accept()
    judge('app first', rest(c), UP)
    c.sendall(DOWN)
    c.close()
    c = accept()
    c.sendall(DOWN)
    c.shutdown(socket.SHUT_WR)
    judge('server first', rest(c), UP)
    c.close()
",
    );
    for host in [SERVER, SERVER_V6] {
        let said = run_app(
            &lab,
            host,
            "
c = connect()
c.sendall(UP)
c.shutdown(socket.SHUT_WR)
judge('app first', rest(c), DOWN)
c = connect()
judge('server first', rest(c), DOWN)
c.sendall(UP)
c.close()
",
        );
        assert_eq!(said, wanted, "{host}: the app");
    }
    over(&tunnel, &server, &wanted.repeat(2));
}

#[test]
fn a_reset_by_either_end_is_a_reset_to_the_other() {
    if lacks(Lack::IdleResets) {
        return;
    }
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let wanted = "idle ECONNRESET\nsending ECONNRESET\n";
    let scratch = Scratch::new();
    // In the last two the reset comes in the middle of a transfer: of the end that resets, and of
    // the end that is reset.
    let server = server(
        &lab,
        &scratch,
        "
while True:
    c = accept()
    c.sendall(exactly(c, 1))
    print('idle', end_of(c), flush=True)
    c = accept()
    exactly(c, 1)
    reset(c)
    c = accept()
    print('sending', end_of_writing(c), flush=True)
    c = accept()
    exactly(c, 100_000)
    reset(c)
",
    );
    for host in [SERVER, SERVER_V6] {
        let said = run_app(
            &lab,
            host,
            "
c = connect()
c.sendall(b'x')
exactly(c, 1)
reset(c)
c = connect()
c.sendall(b'x')
print('idle', end_of(c))
c = connect()
exactly(c, 100_000)
reset(c)
c = connect()
print('sending', end_of_writing(c))
",
        );
        assert_eq!(said, wanted, "{host}: the app");
    }
    over(&tunnel, &server, &wanted.repeat(2));
}

#[test]
fn urgent_data_stay_in_their_place_in_the_stream() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let scratch = Scratch::new();
    let urgent = "
def urge(s, data):
    s.sendall(data[:100_000])
    s.send(data[100_000:100_001], socket.MSG_OOB)
    s.sendall(data[100_001:])
    s.shutdown(socket.SHUT_WR)
";
    let program = "c = accept()\njudge('server', rest(c), UP)\nurge(c, DOWN)\nrest(c)\n";
    let server = server(&lab, &scratch, &[urgent, program].concat());
    let program = "c = connect()\nurge(c, UP)\njudge('app', rest(c), DOWN)\n";
    assert_eq!(run_app(&lab, SERVER, &[urgent, program].concat()), "app exact\n");
    hears(&server, "server exact");
}

#[test]
fn an_idle_connection_lives_on_and_keepalives_are_answered() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let scratch = Scratch::new();
    let echo = "c = accept()\nd = accept()\nfor s in (c, d):\n    s.sendall(exactly(s, len(UP)))\nfor s in (c, d):\n    s.settimeout(None)\n    \
        s.sendall(exactly(s, len(UP)))\nrest(c), rest(d)\n";
    let _server = server(&lab, &scratch, echo);
    // The server echoes when it has everything, so neither waits for the other.
    let app = app(
        &lab,
        &scratch,
        "
c, d = connect(), connect()
c.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
for name, value in (('IDLE', 1), ('INTVL', 1), ('CNT', 2)):
    c.setsockopt(socket.IPPROTO_TCP, getattr(socket, 'TCP_KEEP' + name), value)
for s in (c, d):
    s.sendall(UP)
    judge('busy', exactly(s, len(UP)), UP)
print('idle', flush=True)
signal.sigwait([signal.SIGUSR1])
for s in (c, d):
    s.sendall(UP)
    judge('again', exactly(s, len(UP)), UP)
print('end', flush=True)
",
    );
    hears(&app, "idle");
    let probes = || -> u64 {
        let counter = must(&lab, Place::Wsl, "nstat -asz TcpExtTCPKeepAlive");
        counter
            .lines()
            .find_map(|line| line.strip_prefix("TcpExtTCPKeepAlive"))
            .map_or(0, |rest| rest.split_whitespace().next().unwrap().parse().unwrap())
    };
    // On a slow machine there were some already while the other connection was busy.
    let (idle_probes, idle_packets) =
        (probes(), tunnel.status()["packets"]["down"].as_u64().unwrap());
    // Two probes without an answer would have ended it.
    assert!(
        until(PATIENCE, || probes() >= idle_probes + 7),
        "only {} keepalives were sent",
        probes()
    );
    assert_eq!(
        must(&lab, Place::Wsl, "ss -Htn state established dport = :7").lines().count(),
        2,
        "{}",
        app.stderr()
    );
    let answers = tunnel.status()["packets"]["down"].as_u64().unwrap() - idle_packets;
    assert!(
        (6..40).contains(&answers),
        "an answer to each probe and not much else, but {answers} packets"
    );
    let timers = must(&lab, Place::Windows, "ss -Htno state established dport = :7");
    assert_eq!(timers.lines().count(), 2);
    assert!(
        !timers.contains("timer:"),
        "the host's connections have no timer that could end them: {timers}"
    );
    send_signal(app.pid(), "USR1");
    hears(&app, "end");
    assert_eq!(app.stdout(), "busy exact\nbusy exact\nidle\nagain exact\nagain exact\nend\n");
}

/// The number after `key:` in the output of `ss -ti` for the app's one connection.
fn detail(lab: &Lab, key: &str) -> String {
    let said = must(lab, Place::Wsl, "ss -Htin state established dport = :7");
    let value = said.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix(':'));
    value.unwrap_or("0").to_owned()
}

#[test]
fn windows_are_scaled_and_more_than_64_kib_are_under_way() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let scratch = Scratch::new();
    let server = server(
        &lab,
        &scratch,
        "
c = accept()
c.sendall(DOWN)
judge('up', exactly(c, len(UP)), UP)
judge('up', exactly(c, len(UP)), UP)
while True:
    signal.sigwait([signal.SIGUSR1])
    c.sendall(DOWN)
",
    );
    let app = app(
        &lab,
        &scratch,
        "
c = connect()
judge('down', exactly(c, len(DOWN)), DOWN)
c.sendall(UP)
print('ready', flush=True)
signal.sigwait([signal.SIGUSR1])
c.sendall(UP)
while True:
    judge('down', exactly(c, len(DOWN)), DOWN)
",
    );
    hears(&app, "ready");
    hears(&server, "up exact");
    let scales = detail(&lab, "wscale");
    let (gateways, apps) =
        scales.split_once(',').unwrap_or_else(|| panic!("no window scaling: {scales}"));
    assert!(gateways.parse::<u8>().unwrap() >= 4 && apps.parse::<u8>().unwrap() >= 1, "{scales}");
    let number = |key: &str| detail(&lab, key).parse::<u64>().unwrap();
    // The gateway's answers are lost: the app's kernel sends this much ahead.
    must(&lab, Place::Wsl, "iptables -w -A INPUT -i underpass0 -p tcp --sport 7 -j DROP");
    send_signal(app.pid(), "USR1");
    // Each is read at a different moment: more may have been acknowledged meanwhile.
    let ahead = || {
        let sent = number("bytes_sent").saturating_sub(number("bytes_retrans"));
        sent.saturating_sub(number("bytes_acked"))
    };
    assert!(until(PATIENCE, || ahead() > 65_536), "only {} bytes are in flight up", ahead());
    must(&lab, Place::Wsl, "iptables -w -D INPUT -i underpass0 -p tcp --sport 7 -j DROP");
    assert!(
        until(PATIENCE, || server.stdout() == "up exact\nup exact\n"),
        "{}{}",
        server.stdout(),
        server.stderr()
    );
    // The answers of the app's kernel are lost: the gateway sends this much ahead. On a machine
    // that stalls for a second, the gateway sends again and starts over with one segment (RFC 5681,
    // section 3.1); whole transfers open its window again.
    let mut most = 0;
    for round in 2..5 {
        must(&lab, Place::Wsl, "iptables -w -A OUTPUT -o underpass0 -p tcp --dport 7 -j DROP");
        let before = number("bytes_received");
        send_signal(server.pid(), "USR1");
        let is_ahead = until(PATIENCE / 4, || {
            most = number("bytes_received") - before;
            most > 65_536
        });
        must(&lab, Place::Wsl, "iptables -w -D OUTPUT -o underpass0 -p tcp --dport 7 -j DROP");
        let arrived = || app.stdout().matches("down exact\n").count() == round;
        assert!(until(PATIENCE, arrived), "{}{}", app.stdout(), app.stderr());
        if is_ahead {
            break;
        }
    }
    assert!(most > 65_536, "only {most} bytes are in flight down");
    assert!(!app.stdout().contains("wrong"), "{}", app.stdout());
}
