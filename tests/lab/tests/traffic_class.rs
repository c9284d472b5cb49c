//! DSCP and ECN of datagrams through the tunnel, both ways, compared with the host's own path.

use lab::addresses::{SERVER, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{cut_off_lab, python, python_server};
use lab::{Lab, Place, Process, Tunnel, lab_or_skip};

const PORT: u16 = 7300;

/// The beginning of both programs: a socket that receives traffic classes, and a receive that
/// returns them (ip(7), ipv6(7)).
const BEGIN: &str = "
import select, socket, struct, sys
def udp(host):
    six = ':' in host
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(*((41, 66) if six else (0, 13)), 1)
    return s
def send(s, data, peer, value):
    s.setsockopt(*((41, 67) if s.family == socket.AF_INET6 else (0, 1)), value)
    s.sendto(data, peer)
def receive(s):
    data, control, _, peer = s.recvmsg(65536, 200)
    classes = [body[0] for level, kind, body in control if (level, kind) in [(0, 1), (41, 67)]]
    return data, classes[0] if classes else 0, peer
";

/// Answers with the class that it saw, in a datagram of the requested class.
const SERVE: &str = "
sockets = []
for host in sys.argv[1:3]:
    s = udp(host)
    s.bind((host, int(sys.argv[3])))
    sockets.append(s)
while True:
    for s in select.select(sockets, [], [])[0]:
        data, seen, peer = receive(s)
        send(s, bytes([seen]), peer, data[0])
";

/// For each class of the arguments: that of the request, the class that the server saw, the
/// requested one, and the answer's.
const ASK: &str = "
s = udp(sys.argv[1])
s.settimeout(10)
for words in sys.argv[3:]:
    mine, wanted = (int(word, 0) for word in words.split(','))
    send(s, bytes([wanted]), (sys.argv[1], int(sys.argv[2])), mine)
    data, seen, _ = receive(s)
    print('%#x %#x %#x %#x' % (mine, data[0], wanted, seen))
";

fn server(lab: &Lab) -> Process {
    let port = PORT.to_string();
    python_server(
        lab,
        Place::Internet,
        &format!("{BEGIN}{SERVE}"),
        &[SERVER, SERVER_V6, &port],
        PORT,
    )
}

fn seen(lab: &Lab, place: Place, server: &str) -> Vec<String> {
    let port = PORT.to_string();
    // Nothing; EF; CS1 with ECT(0); ECT(1), answered by congestion; all bits; nothing again.
    let classes = ["0,0", "0xb8,0xb8", "0x22,0x20", "1,3", "0xff,0xfc", "0,0"];
    let args = [&[server, &port], &classes[..]].concat();
    let finished = python(lab, place, &format!("{BEGIN}{ASK}"), &args);
    assert!(finished.succeeded(), "{server}: {finished:?}");
    finished.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn dscp_and_ecn_of_datagrams_are_carried_both_ways() {
    if lacks(Lack::TrafficClass) {
        return;
    }
    let (Some(kernel), Some(lab)) = (lab_or_skip(), cut_off_lab()) else { return };
    let _servers = (server(&kernel), server(&lab));
    let _tunnel = Tunnel::up(&lab, &[]);
    for to in [SERVER, SERVER_V6] {
        let own = seen(&kernel, Place::Windows, to);
        let expected = [
            "0x0 0x0 0x0 0x0",
            "0xb8 0xb8 0xb8 0xb8",
            "0x22 0x22 0x20 0x20",
            "0x1 0x1 0x3 0x3",
            "0xff 0xff 0xfc 0xfc",
            "0x0 0x0 0x0 0x0",
        ];
        assert_eq!(own, expected, "the reference");
        assert_eq!(seen(&lab, Place::Wsl, to), own, "{to}");
    }
}
