//! Bad input from both sides: no frame of the TAP and no byte of a relay stops the gateway, makes
//! it hang or keeps it busy.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::SERVER;
use lab::scene::{
    PATIENCE, Scratch, busy_percent, cut_off_lab, exec_relay, http_status, python, tunnelled_lab,
    web_server,
};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Tunnel, until};
use std::time::Duration;

/// An idle gateway uses far less of a core; a spinning one uses all of it.
const IDLE_PERCENT: f64 = 30.0;

/// Sends frames onto the TAP from the VM's side: noise, and packets of every kind with some bytes
/// changed.
const FRAMES: &str = "
import random, socket, struct, sys, time
random.seed(4711)
device, vm, gateway, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
raw.bind((device, 0))
own = raw.getsockname()[4]
peer = bytes.fromhex('02756e640001')
def checksum(data):
    data += b'\\0' * (len(data) % 2)
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16: total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
def v4(protocol, body, fragment=0, options=b'', to=None):
    to = to or random.choice([b'\\xcb\\x00\\x71\\x0a', socket.inet_aton(gateway), b'\\xff' * 4, b'\\xe0\\0\\0\\1', b'\\x7f\\0\\0\\1'])
    start = socket.inet_aton(vm)
    head = struct.pack('!BBHHHBBH', 0x45 + len(options) // 4, 0, 20 + len(options) + len(body), random.randrange(8),
                       fragment, 64, protocol, 0) + start + to + options
    head = head[:10] + struct.pack('!H', checksum(head)) + head[12:]
    return b'\\x08\\0' + head + body
def v6(protocol, body):
    start = socket.inet_pton(socket.AF_INET6, 'fd75:6e64::2')
    to = socket.inet_pton(socket.AF_INET6, random.choice(['2001:db8:f::10', 'ff02::1', '::1', 'fe80::1']))
    return b'\\x86\\xdd' + struct.pack('!IHBB', 6 << 28, len(body), protocol, 64) + start + to + body
def tcp():
    options = random.choice([b'', b'\\2\\4\\5\\xb4', b'\\2\\4\\0\\0', b'\\3\\3\\xff\\0', b'\\2\\0\\0\\0', random.randbytes(8)])
    offset = random.choice([5 + len(options) // 4, random.randrange(16)])
    return struct.pack('!HHIIBBHHH', random.randrange(1, 65536), random.choice([80, 53, 9]), random.getrandbits(32),
                       random.getrandbits(32), offset << 4, random.choice([2, 2, 16, 4, 1, 18, 0, 255]), 65535, 0, 0) + options
def dns():
    name = random.choice([b'\\3www\\3lab\\4test\\0', b'\\xc0\\x0c', b'\\x3f' + b'a' * 63 + b'\\0', b'\\xff', b''])
    return random.randbytes(2) + b'\\1\\0' + struct.pack('!HHHH', random.choice([1, 1, 0, 65535]), 0, 0, 0) + name + b'\\0\\1\\0\\1'
def udp():
    body = random.choice([dns(), random.randbytes(random.randrange(600))])
    length = random.choice([8 + len(body), random.randrange(65536)])
    return struct.pack('!HHHH', random.randrange(1, 65536), random.choice([53, 53, 9, 0]), length, 0) + body
def icmp():
    body = struct.pack('!BBHHH', random.choice([8, 8, 0, 3, 11, 5, 13]), random.randrange(4), 0, 7, 7) + random.randbytes(32)
    return body[:2] + struct.pack('!H', checksum(body)) + body[4:]
def packet():
    kind = random.randrange(9)
    if kind == 0: return random.randbytes(random.randrange(2, 1500))
    if kind == 1: return v4(6, tcp())
    if kind == 2: return v4(17, udp())
    if kind == 3: return v4(1, icmp())
    if kind == 4: return v4(random.choice([17, 6, 1]), random.randbytes(random.randrange(1480)), random.getrandbits(16))
    if kind == 5: return v4(6, tcp(), options=random.randbytes(random.choice([4, 8, 40])))
    if kind == 6: return v6(random.choice([6, 17, 58, 0, 43, 44, 60]), random.choice([tcp(), udp(), random.randbytes(64)]))
    if kind == 7: return b'\\x08\\x06' + random.randbytes(28)
    return v6(44, struct.pack('!BBHI', 17, 0, random.getrandbits(16), random.randrange(4)) + random.randbytes(200))
for n in range(count):
    frame = bytearray(random.choice([peer, peer, b'\\xff' * 6]) + own + packet())
    for _ in range(random.choice([0, 0, 1, 2, 8])): frame[random.randrange(12, len(frame))] = random.randrange(256)
    if random.random() < 0.1: del frame[random.randrange(14, len(frame) + 1):]
    while True:
        try:
            raw.send(frame)
            break
        except OSError as error:
            # The device's queue is full for a moment; short frames do not reach the gateway.
            if error.errno != 105: break
            time.sleep(0.001)
";

/// A relay that misbehaves as its first argument says. It knows the form of frames and breaks the
/// protocol.
const RELAY: &str = "#!/usr/bin/env python3
import os, random, struct, sys, time, zlib
random.seed(os.getpid())
way = sys.argv[1]
out = sys.stdout.buffer
def frame(kind, id=0, payload=b''):
    return struct.pack('<I', kind | len(payload) << 8) + struct.pack('<I', id) + payload
def hello(version=4):
    return frame(1, 0, b'UNDERPAS' + struct.pack('<HIII', version, 31, 1000, 1000) + b'fake 0')
seed, number, heard = None, 0, False
def sealed(data):
    # Each frame after the hello with its seal (crates/wire/README.md).
    global seed, number
    done = b''
    while data:
        one = data[:8 + int.from_bytes(data[1:4], 'little')]
        data = data[len(one):]
        if seed is None:
            seed = zlib.crc32(one)
        else:
            check = struct.pack('<I', zlib.crc32(one[8:]))
            done += struct.pack('<I', zlib.crc32(struct.pack('<Q', number) + one[:8] + check, seed)) + check
        number += 1
        done += one
    return done
def say(data):
    write(sealed(data))
def write(data):
    out.write(data); out.flush()
def read_frame():
    global heard
    if heard: sys.stdin.buffer.read(8)
    heard = True
    head = sys.stdin.buffer.read(8)
    if len(head) < 8: sys.exit(0)
    kind, id = head[0], struct.unpack('<I', head[4:])[0]
    return kind, id, sys.stdin.buffer.read(int.from_bytes(head[1:4], 'little'))
FACTS = b'{\"system\":\"fake\",\"ipv6\":true,\"routes\":[\"x\",\"10.0.0.0/99\"],\"dns_servers\":[],\"more\":1}'
def become_up():
    say(hello())
    while True:
        kind, id, payload = read_frame()
        if kind == 80:
            return say(frame(81, id, FACTS))
def until_end():
    while True: read_frame()
if way == 'noise':
    while True: write(random.randbytes(65536))
elif way == 'truncated':
    write(hello()[:random.randrange(1, 30)])
elif way == 'huge':
    say(hello() + bytes([19, 255, 255, 255, 1, 0, 0, 0])); until_end()
elif way == 'unsealed':
    write(hello() + frame(2, 0, bytes(8))); until_end()
elif way == 'version':
    say(hello(9)); until_end()
elif way == 'no-hello':
    say(frame(2, 0, bytes(8))); until_end()
elif way == 'wrong-direction':
    say(hello() + frame(48, 1, b'x' * 12)); until_end()
elif way == 'facts':
    say(hello())
    while True:
        kind, id, payload = read_frame()
        if kind == 80: say(frame(81, id, random.choice([b'', b'{', b'[]', b'{\"routes\":7}', b'\\xff' * 60000])))
elif way == 'mute':
    until_end()
elif way == 'text':
    while True: write(b'Windows Subsystem for Linux has no installed distributions.\\r\\n')
elif way == 'deaf':
    become_up()
    while True:
        say(frame(2, 0, bytes(8))); time.sleep(0.5)
elif way == 'nonsense':
    # Well-formed frames about objects that do not exist, and wrong answers about those that do.
    import select
    become_up()
    address = bytes([4, 203, 0, 113, 10, 80, 0])
    fault = lambda: bytes([random.choice([1, 4, 6, 7])]) + struct.pack('<I', 100) + bytes([4, 10, 0, 0, 1])
    number = lambda: random.choice([0, 1, 2, 3, 7, random.getrandbits(32)])
    def one():
        return random.choice([
            lambda: frame(17, number(), struct.pack('<I', random.choice([0, 1, 1 << 20]))),
            lambda: frame(18, number(), bytes([random.randrange(1, 9)]) + struct.pack('<i', -1)),
            lambda: frame(19, number(), random.randbytes(random.randrange(1, 3000))),
            lambda: frame(20, number(), struct.pack('<I', random.choice([1, 1 << 31, (1 << 32) - 1]))),
            lambda: frame(21, number()), lambda: frame(22, number()),
            lambda: frame(33, number(), bytes([64]) + address + random.randbytes(random.randrange(2000))),
            lambda: frame(34, number(), address + fault()),
            lambda: frame(35, number(), bytes([random.randrange(3)])),
            lambda: frame(49, number(), random.randbytes(random.randrange(12, 600))),
            lambda: frame(50, number(), bytes([random.randrange(3)])),
            lambda: frame(65, number(), bytes([64]) + random.randbytes(56)),
            lambda: frame(66, number(), fault()),
            lambda: frame(99, number(), random.randbytes(50)),
            lambda: frame(3, 0, random.randbytes(8)), lambda: frame(82),
        ])()
    def wrong(kind, id):
        if kind == 16:
            return random.choice([
                frame(17, id, struct.pack('<I', 1 << 16)) * 2,
                frame(17, id, struct.pack('<I', 1 << 16)) + frame(19, id, bytes(65536)) * 40,
                frame(17, id, struct.pack('<I', 100)) + frame(21, id) + frame(19, id, b'late') + frame(22, id),
                frame(19, id, b'early') + frame(17, id, struct.pack('<I', 1)),
                frame(22, id) + frame(17, id, struct.pack('<I', 1)),
                frame(18, id, bytes([1]) + bytes(4)) + frame(17, id, struct.pack('<I', 1)),
                frame(17, id, struct.pack('<I', 16)) + frame(20, id, struct.pack('<I', (1 << 32) - 1)) * 3])
        if kind == 48: return frame(49, id, random.randbytes(random.randrange(12, 900))) * 2
        if kind == 33: return frame(33, id, bytes([64]) + address + bytes(65507)) + frame(34, id, address + fault())
        if kind == 64: return frame(65, id, bytes([64]) + bytes(9)) * 2
        if kind == 80: return frame(81, id, FACTS)
        return b''
    for _ in range(4000):
        say(one())
        while select.select([0], [], [], 0)[0]:
            kind, id, payload = read_frame()
            say(wrong(kind, id))
    while True:
        kind, id, payload = read_frame()
        if kind == 2: say(frame(3, 0, payload))
        else: say(wrong(kind, id))
";

/// Requests of every kind, each with a short time-out: their answers do not matter.
const REQUESTS: &str = "
import socket, sys, threading, time
def tcp(port):
    try:
        s = socket.create_connection((sys.argv[1], port), 0.5); s.settimeout(0.5)
        s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n' + bytes(30000))
        while s.recv(65536): pass
    except OSError: pass
def udp(port, data):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.3)
    try:
        for _ in range(20): s.sendto(data, (sys.argv[1], port))
        while True: s.recv(65536)
    except OSError: pass
query = bytes.fromhex('1234010000010000000000000377777703 6c6162 0474657374 00 0001 0001')
threads = [threading.Thread(target=tcp, args=(80,)) for _ in range(40)]
threads += [threading.Thread(target=udp, args=(9, bytes(30000))) for _ in range(20)]
def asks():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(0.3)
    try:
        for _ in range(5): s.sendto(query, (sys.argv[2], 53)); s.recv(65536)
    except OSError: pass
threads += [threading.Thread(target=asks) for _ in range(10)]
for t in threads: t.start()
for t in threads: t.join()
";

fn memory_kib(tunnel: &mut Tunnel) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", tunnel.engine())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn is_idle(lab: &Lab, tunnel: &mut Tunnel, why: &str) {
    let used = busy_percent(lab, tunnel.engine());
    assert!(used < IDLE_PERCENT, "{why}: the idle gateway uses {used} % of a core");
}

fn stops(tunnel: &mut Tunnel, why: &str) {
    assert!(tunnel.process().is_running(), "{why}: {}", tunnel.complained());
    send_signal(tunnel.process().pid(), "TERM");
    assert_eq!(
        tunnel.process().exit_code(Duration::from_secs(2)),
        Some(0),
        "{why}: {}",
        tunnel.complained()
    );
    assert!(!tunnel.complained().contains("panicked"), "{why}: {}", tunnel.complained());
}

#[test]
fn any_frame_on_the_tap_is_counted_and_stops_nothing() {
    for options in [&[][..], &["--no-offload", "--mtu", "1500"]] {
        let Some((lab, mut tunnel)) = tunnelled_lab(options) else { return };
        let _web = web_server(&lab);
        let relays = tunnel.relays();
        let addresses = tunnel.status()["tap"]["ipv4"].clone();
        let [vm, gateway] =
            ["vm", "gateway"].map(|key| addresses[key].as_str().unwrap().to_owned());
        let before = tunnel.status()["packets"]["up"].as_u64().unwrap();
        let sent = python(&lab, Place::Wsl, FRAMES, &["underpass0", &vm, &gateway, "20000"]);
        assert!(sent.succeeded(), "{sent:?}");
        let arrived = || tunnel.status()["packets"]["up"].as_u64().unwrap() - before;
        assert!(until(PATIENCE, || arrived() > 18_000), "{}", tunnel.status());
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{options:?}");
        let status = tunnel.status();
        let drops = status["drops"].as_object().unwrap();
        let dropped: u64 = drops.values().filter_map(serde_json::Value::as_u64).sum();
        assert!(
            dropped > 2_000 && drops.len() >= 4,
            "{options:?}: drops are counted by reason: {status}"
        );
        assert_eq!(
            (tunnel.relays(), &status["relays"][0]["restarts"]),
            (relays, &0.into()),
            "the relay noticed nothing"
        );
        is_idle(&lab, &mut tunnel, "after 20,000 bad frames");
        assert!(
            memory_kib(&mut tunnel) < 100 << 10,
            "{options:?}: {} KiB",
            memory_kib(&mut tunnel)
        );
        stops(&mut tunnel, "after 20,000 bad frames");
    }
}

#[test]
fn a_relay_that_sends_garbage_is_given_up_with_its_reason_and_the_next_one_serves() {
    let Some(lab) = cut_off_lab() else { return };
    let _web = web_server(&lab);
    for (way, reason) in [
        ("noise", "is --relay an underpass-relay?"),
        ("text", "is --relay an underpass-relay?"),
        ("truncated", "the relay ended"),
        ("huge", "is --relay an underpass-relay?"),
        ("unsealed", "the stream from the relay is damaged"),
        ("version", "version 9"),
        ("no-hello", "not an Underpass program"),
        ("wrong-direction", "only this end may send"),
    ] {
        let scratch = Scratch::new();
        let fake = scratch.file("fake", RELAY);
        let repaired = scratch.path("mended");
        let text =
            format!("#!/bin/sh\n[ -e {repaired} ] || exec {fake} {way}\n{}", exec_relay(&lab));
        let mut tunnel = Tunnel::launch_bare(&lab, &["--relay", &scratch.file("relay", &text)]);
        let error = || tunnel.command(&["status", "--json"]).unwrap().stdout;
        assert!(
            until(PATIENCE, || error().contains(reason)),
            "{way}: {}{}",
            error(),
            tunnel.complained()
        );
        assert!(tunnel.complained().contains(reason), "{way}: {}", tunnel.complained());
        assert!(
            until(PATIENCE, || tunnel.status()["relays"][0]["restarts"].as_u64() >= Some(2)),
            "{way}"
        );
        if way == "noise" {
            is_idle(&lab, &mut tunnel, way);
        }
        let _ = scratch.file("mended", "");
        tunnel.wait_up();
        assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200", "{way}: the real one serves");
        stops(&mut tunnel, way);
    }
}

#[test]
fn a_relay_that_answers_nonsense_or_nothing_or_reads_nothing_hangs_no_other() {
    let Some(lab) = cut_off_lab() else { return };
    for way in ["nonsense", "deaf", "facts", "mute"] {
        let scratch = Scratch::new();
        let fake = scratch.file("fake", RELAY);
        let mut tunnel = Tunnel::launch_bare(&lab, &["--relay", &fake, "--relay-arg", way]);
        if matches!(way, "nonsense" | "deaf") {
            tunnel.wait_up();
            let gateway = tunnel.status()["tap"]["ipv4"]["gateway"].as_str().unwrap().to_owned();
            for _ in 0..3 {
                assert!(
                    python(&lab, Place::Wsl, REQUESTS, &[SERVER, &gateway]).succeeded(),
                    "{way}"
                );
                assert_eq!(tunnel.status()["pid"], tunnel.process().pid(), "{way}: it answers");
            }
            assert!(
                tunnel.status()["totals"]["tcp"].as_u64().unwrap() >= 40,
                "{way}: {}",
                tunnel.status()
            );
        } else {
            let runs = || tunnel.command(&["status"]).unwrap().succeeded();
            assert!(until(PATIENCE, runs), "{way}: {}", tunnel.complained());
            assert_eq!(
                (tunnel.status()["state"] == "up", tunnel.said().as_str()),
                (false, ""),
                "{way}"
            );
        }
        is_idle(&lab, &mut tunnel, way);
        assert!(memory_kib(&mut tunnel) < 100 << 10, "{way}: {} KiB", memory_kib(&mut tunnel));
        stops(&mut tunnel, way);
    }
}
