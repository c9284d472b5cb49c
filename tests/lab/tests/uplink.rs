//! The addresses of eth0 in NAT mode: conversations that an app starts from one of them go through
//! the tunnel, and answers to a peer that came in by eth0 return by eth0, wherever that peer is.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{HOST, NAT_GATEWAY, SERVER, SERVER_NAME, VM};
use lab::relay::{Lack, lacks};
use lab::scene::{
    PATIENCE, Scratch, UDP_ECHO, cut_off_lab, must, python, python_server, rules, tunnelled_lab,
    tunnelled_lab_with_dns, udp_client, udp_server, way_out, web_server,
};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Process, Tunnel, Vpn, lab_or_skip, until};
use std::path::Path;

const TAP: &str = "underpass0";

/// Another address of the host on the VM's network: a neighbour that no rule names.
const NEIGHBOUR: &str = "172.28.48.77";

/// The port of [`echo_server`].
const ECHO: u16 = 8080;

/// Echoes each TCP connection's data.
fn echo_server(lab: &Lab, place: Place, port: u16) -> Process {
    let program = "
import socket, sys, threading
def serve(peer):
    while True:
        data = peer.recv(65536)
        if not data: return
        peer.sendall(data)
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(('', int(sys.argv[1])))
server.listen(64)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
";
    python_server(lab, place, program, &[&port.to_string()], port)
}

/// A connection to an [`echo_server`] that exchanges data five times a second.
struct Talk(Process);

impl Talk {
    fn start(lab: &Lab, place: Place, folder: &str, own: &str, to: (&str, u16)) -> Self {
        let program = "
import socket, sys, time
s = socket.create_connection((sys.argv[2], int(sys.argv[3])), 10, (sys.argv[1], 0))
s.settimeout(60)
while True:
    sent = b'x' * 3000
    s.sendall(sent)
    heard = 0
    while heard < len(sent):
        data = s.recv(65536)
        if not data: sys.exit('closed')
        heard += len(data)
    print('+', flush=True)
    time.sleep(0.2)
";
        let port = to.1.to_string();
        let words = ["python3", "-c", program, own, to.0, &port];
        Self(lab.start_logged(place, Path::new(folder), &words).unwrap())
    }

    /// Both directions work from now on.
    fn goes_on(&self, when: &str) {
        let heard = || self.0.stdout().lines().count();
        let before = heard();
        assert!(until(PATIENCE, || heard() > before + 2), "{when}: {}", self.0.stderr());
    }
}

/// The result of a request to an [`echo_server`] from an own address: `ok`, or the name of an
/// error.
fn try_tcp(lab: &Lab, place: Place, own: &str, to: (&str, u16)) -> String {
    let program = "
import socket, sys
try:
    s = socket.create_connection((sys.argv[2], int(sys.argv[3])), 10, (sys.argv[1], 0))
    s.sendall(b'hello')
    print('ok' if s.recv(5) == b'hello' else 'something else')
except Exception as error:
    print(type(error).__name__)
";
    python(lab, place, program, &[own, to.0, &to.1.to_string()]).stdout.trim().to_owned()
}

/// Whether one of several pings from an own address gets an answer.
fn pings(lab: &Lab, place: Place, own: &str, to: &str) -> bool {
    lab.run(place, &["ping", "-n", "-c", "1", "-i", "0.3", "-w", "10", "-I", own, to])
        .unwrap()
        .succeeded()
}

#[test]
fn conversations_that_an_app_starts_from_eth0_s_address_go_through_the_tunnel() {
    let Some((lab, _dns, mut tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let (_web, _udp, _echo) =
        (web_server(&lab), udp_server(&lab), echo_server(&lab, Place::Internet, ECHO));
    for protocol in ["tcp", "udp", "icmp"] {
        assert_eq!(
            way_out(&lab, &format!("{SERVER} from {VM} ipproto {protocol}")),
            TAP,
            "{protocol}: {}",
            rules(&lab)
        );
    }
    assert_eq!(try_tcp(&lab, Place::Wsl, VM, (SERVER, ECHO)), "ok");
    assert_eq!(try_tcp(&lab, Place::Wsl, VM, (SERVER, 9)), "ConnectionRefusedError");
    assert!(pings(&lab, Place::Wsl, VM, SERVER));
    let program = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.bind((sys.argv[1], 0))
data, peer = ask(s, (sys.argv[2], int(sys.argv[3])), b'x' * 4000)
print(len(data), peer[0])
";
    assert_eq!(
        udp_client(&lab, program, &[VM, SERVER, &UDP_ECHO.to_string()]),
        format!("4000 {SERVER}")
    );
    if !lacks(Lack::DatagramErrors) {
        let program = "
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.bind((sys.argv[1], 0))
s.connect((sys.argv[2], 9))
s.send(b'x')
try: print(s.recv(9))
except Exception as error: print(type(error).__name__)
";
        assert_eq!(udp_client(&lab, program, &[VM, SERVER]), "ConnectionRefusedError");
    }
    for transport in ["+notcp", "+tcp"] {
        let words = format!(
            "dig +short +time=5 +tries=1 {transport} -b {VM} @{NAT_GATEWAY} {SERVER_NAME} A"
        );
        assert_eq!(must(&lab, Place::Wsl, &words).trim(), SERVER, "{transport}");
    }
    assert!(!rules(&lab).contains("sport 8080"), "nothing of it came in by eth0: {}", rules(&lab));
    send_signal(tunnel.process().pid(), "TERM");
    assert_eq!(tunnel.process().exit_code(PATIENCE), Some(0));
    assert!(!rules(&lab).contains("proto 117"), "{}{}", rules(&lab), tunnel.complained());
}

#[test]
fn requests_by_eth0_are_answered_by_eth0_with_the_tunnel_and_after_it_was_killed() {
    let Some(lab) = cut_off_lab() else { return };
    let scratch = Scratch::new();
    let _server = echo_server(&lab, Place::Wsl, ECHO);
    must(&lab, Place::Windows, &format!("ip addr add {NEIGHBOUR}/20 dev vm"));
    let peers = [(HOST, "beyond"), (NEIGHBOUR, "next door"), (NAT_GATEWAY, "captured")];
    let talks: Vec<Talk> = peers
        .iter()
        .map(|(peer, name)| {
            Talk::start(&lab, Place::Windows, &scratch.path(name), peer, (VM, ECHO))
        })
        .collect();
    let all_go_on = |when: &str| {
        for (talk, (peer, name)) in talks.iter().zip(peers) {
            talk.goes_on(&format!("{when}: {name}"));
            assert_eq!(
                try_tcp(&lab, Place::Windows, peer, (VM, ECHO)),
                "ok",
                "{when}: {name}: {}",
                rules(&lab)
            );
            assert!(pings(&lab, Place::Windows, peer, VM), "{when}: {name}: {}", rules(&lab));
        }
        // A refusal is an answer too.
        assert_eq!(
            try_tcp(&lab, Place::Windows, HOST, (VM, 9)),
            "ConnectionRefusedError",
            "{when}"
        );
    };
    all_go_on("before");
    let first = Tunnel::up(&lab, &[]);
    all_go_on("with the tunnel");
    let with_tunnel = rules(&lab);
    assert!(
        with_tunnel.contains(&format!("from {VM} ipproto tcp sport {ECHO} lookup main")),
        "{with_tunnel}"
    );
    assert_eq!(
        with_tunnel.matches(&format!("sport {ECHO} ")).count(),
        1,
        "each once: {with_tunnel}"
    );
    drop(first);
    all_go_on("after it was killed");
    let mut second = Tunnel::up(&lab, &[]);
    all_go_on("with the next one");
    assert_eq!(second.complained(), "");
    send_signal(second.process().pid(), "TERM");
    assert_eq!(second.process().exit_code(PATIENCE), Some(0));
    assert!(!rules(&lab).contains("proto 117"), "{}", rules(&lab));
    all_go_on("without one");
}

#[test]
fn a_server_for_datagrams_at_eth0_s_address_answers_each_peer_that_came_in_there() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let server = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 9999))
while True: s.sendto(*s.recvfrom(65536))
";
    let _server = python_server(&lab, Place::Wsl, server, &[VM], 9999);
    must(&lab, Place::Windows, &format!("ip addr add {NEIGHBOUR}/20 dev vm"));
    let client = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.bind((sys.argv[1], 0))
s.sendto(b'hello', (sys.argv[2], 9999))
print(s.recv(99).decode())
";
    for peer in [HOST, NEIGHBOUR, NAT_GATEWAY] {
        let heard = python(&lab, Place::Windows, client, &[peer, VM]);
        assert_eq!(heard.stdout.trim(), "hello", "{peer}: {}{}", heard.stderr, rules(&lab));
    }
}

#[test]
fn a_connection_that_an_app_made_by_eth0_before_the_tunnel_goes_on_there() {
    let Some(mut lab) = lab_or_skip() else { return };
    let scratch = Scratch::new();
    let _server = echo_server(&lab, Place::Internet, ECHO);
    let talk = Talk::start(&lab, Place::Wsl, &scratch.path("talk"), VM, (SERVER, ECHO));
    talk.goes_on("before");
    let tunnel = Tunnel::up(&lab, &[]);
    talk.goes_on("with the tunnel");
    lab.set_vpn(Vpn::On).unwrap();
    assert_eq!(
        try_tcp(&lab, Place::Wsl, VM, (SERVER, ECHO)),
        "ok",
        "a new one goes through the tunnel"
    );
    lab.set_vpn(Vpn::Off).unwrap();
    talk.goes_on("with the VPN off again");
    drop(tunnel);
    talk.goes_on("after the tunnel was killed");
}

/// A kernel that drops packets whose own answer would take another path would drop the peer's SYN.
#[test]
fn where_eth0_filters_strictly_its_address_stays_on_the_old_network() {
    let Some(lab) = cut_off_lab() else { return };
    must(&lab, Place::Wsl, "sysctl -qw net.ipv4.conf.eth0.rp_filter=1");
    let _server = echo_server(&lab, Place::Wsl, ECHO);
    let _tunnel = Tunnel::up(&lab, &[]);
    assert_eq!(way_out(&lab, &format!("{SERVER} from {VM}")), "eth0", "{}", rules(&lab));
    assert_eq!(try_tcp(&lab, Place::Windows, HOST, (VM, ECHO)), "ok", "{}", rules(&lab));
}
