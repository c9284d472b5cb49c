//! Changes while the tunnel is up: WSL's network, the VPN, the whole machine. No connection that
//! could live is cut, and no process spins.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{NAT_GATEWAY, SERVER, SERVER_NAME, VM};
use lab::interop::{host_processes, host_relays};
use lab::scene::{
    PATIENCE, Scratch, cpu_time, gateway, http_status, must, product, python_server, tunnelled_lab,
    web_server,
};
use lab::tunnel::send_signal;
use lab::{Lab, Place, Process, Tunnel, Vpn, until};
use std::time::Duration;

/// The tunnel serves again within this time after any change.
const SERVES_WITHIN: Duration = Duration::from_secs(3);

/// Echoes on port 7 of every address.
const ECHO: &str = "
import socketserver
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536): self.request.sendall(data)
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True
Server(('', 7), Echo).serve_forever()
";

/// A connection through the tunnel that stays open: it sends numbers, each of which must come back,
/// and writes them to a file.
const TALK: &str = "
import os, socket, sys, time
s = socket.create_connection((sys.argv[1], 7), 10)
s.settimeout(30)
n = 0
while True:
    said = b'%d' % n
    s.sendall(said)
    got = b''
    while len(got) < len(said):
        piece = s.recv(100)
        if not piece: sys.exit('the connection has ended')
        got += piece
    with open(sys.argv[2] + '.new', 'wb') as file: file.write(got)
    os.rename(sys.argv[2] + '.new', sys.argv[2])
    n += 1
    time.sleep(0.05)
";

/// A program in the VM that keeps talking through one connection.
struct Talk {
    process: Process,
    scratch: Scratch,
}

impl Talk {
    fn begin(lab: &Lab) -> Self {
        let scratch = Scratch::new();
        let process =
            lab.start(Place::Wsl, &["python3", "-c", TALK, SERVER, &scratch.path("said")]).unwrap();
        let talk = Self { process, scratch };
        assert!(until(PATIENCE, || talk.said() > 0), "nothing comes back");
        talk
    }

    fn said(&self) -> u64 {
        self.scratch.read("said").parse().unwrap_or(0)
    }

    /// Panics unless the same connection continues within the time.
    fn goes_on(&mut self, when: &str) {
        let before = self.said();
        // Two more: the one in flight at the check may have come back before the change.
        assert!(
            until(SERVES_WITHIN, || self.said() > before + 1),
            "{when}: the connection does not continue"
        );
        assert!(self.process.is_running(), "{when}: the connection was cut");
    }
}

/// Panics unless gateway and relay are idle: less than half a percent of a core each, without
/// traffic.
fn assert_idle(lab: &Lab, tunnel: &Tunnel, when: &str) {
    // With interop the gateway knows the process that copies; the relay itself is on the host.
    let pids = [product(tunnel), host_relays(lab)].concat();
    let window = Duration::from_secs(4);
    let most = window.mul_f64(0.005);
    let spent = || pids.iter().map(|pid| cpu_time(*pid)).collect::<Vec<_>>();
    // The work of the change itself may still be running.
    let mut used = Vec::new();
    let rests = || {
        let before = spent();
        assert!(!until(window, || false));
        // A thread that ends takes its time along.
        used = spent()
            .into_iter()
            .zip(before)
            .map(|(now, before)| now.saturating_sub(before))
            .collect();
        used.iter().all(|used| *used < most)
    };
    let is_at_rest = until(PATIENCE, rests);
    assert!(is_at_rest, "{when}: gateway and relay used {used:?} of {window:?}");
}

fn serves(lab: &Lab, host: &str, when: &str) {
    assert!(
        until(SERVES_WITHIN, || http_status(lab, Place::Wsl, host) == "200"),
        "{when}: {host} is not reached"
    );
}

#[test]
fn eth0_goes_and_comes_back_with_another_subnet_and_nothing_is_cut() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let (_web, _echo) = (web_server(&lab), python_server(&lab, Place::Internet, ECHO, &[], 7));
    let _dns = lab.start_nat_dns().unwrap();
    let mut talk = Talk::begin(&lab);
    must(&lab, Place::Wsl, "ip link set eth0 down");
    talk.goes_on("eth0 is down");
    serves(&lab, SERVER, "eth0 is down");
    must(&lab, Place::Wsl, "ip link set eth0 up");
    must(&lab, Place::Wsl, &format!("ip route replace default via {NAT_GATEWAY}"));
    talk.goes_on("eth0 is up again");
    serves(&lab, SERVER, "eth0 is up again");
    serves(&lab, SERVER_NAME, "eth0 is up again");

    // As after a restart of WSL's network service: another subnet, gateway and nameserver.
    must(&lab, Place::Windows, "ip addr add 172.20.0.1/20 dev vm");
    must(&lab, Place::Wsl, &format!("ip addr del {VM}/20 dev eth0"));
    must(&lab, Place::Wsl, "ip addr add 172.20.0.2/20 dev eth0");
    must(&lab, Place::Wsl, "ip route replace default via 172.20.0.1");
    lab::scene::etc(
        &lab,
        Place::Wsl,
        "resolv.conf",
        "nameserver 172.20.0.1\noptions timeout:1 attempts:1\n",
    );
    talk.goes_on("another subnet");
    serves(&lab, SERVER, "another subnet");
    let captured = || tunnel.status()["captured"] == serde_json::json!(["172.20.0.1"]);
    assert!(until(SERVES_WITHIN, captured), "{}", tunnel.status());
    serves(&lab, SERVER_NAME, "another nameserver");
    drop(talk);
    assert_idle(&lab, &tunnel, "after the changes of eth0");
    assert_eq!(tunnel.complained(), "");
}

#[test]
fn the_vpn_comes_and_goes_and_nothing_is_cut() {
    let Some((mut lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let (_web, _echo) = (web_server(&lab), python_server(&lab, Place::Internet, ECHO, &[], 7));
    let mut talk = Talk::begin(&lab);
    for vpn in [Vpn::Off, Vpn::On, Vpn::Off, Vpn::On] {
        lab.set_vpn(vpn).unwrap();
        talk.goes_on(&format!("VPN {vpn:?}"));
        serves(&lab, SERVER, &format!("VPN {vpn:?}"));
    }
    drop(talk);
    assert_idle(&lab, &tunnel, "after the VPN's changes");
}

#[test]
fn a_machine_that_slept_continues_where_it_was() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let (_web, _echo) = (web_server(&lab), python_server(&lab, Place::Internet, ECHO, &[], 7));
    let mut talk = Talk::begin(&lab);
    let pids = product(&tunnel);
    for (who, pids) in
        [("all of it", [&pids[..], &host_processes(&lab)].concat()), ("the VM", gateway(&tunnel))]
    {
        for pid in &pids {
            send_signal(*pid, "STOP");
        }
        // Longer than the 6 s after which a silent peer is given up.
        assert!(!until(Duration::from_secs(8), || false));
        for pid in &pids {
            send_signal(*pid, "CONT");
        }
        talk.goes_on(who);
        serves(&lab, SERVER, who);
    }
    assert_eq!(tunnel.status()["relays"][0]["restarts"], 0, "{}", tunnel.status());
    drop(talk);
    assert_idle(&lab, &tunnel, "after a sleep");
}

#[test]
fn no_process_spins_at_rest_and_after_faults() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    assert_eq!(http_status(&lab, Place::Wsl, SERVER), "200");
    assert_idle(&lab, &tunnel, "at rest");
    send_signal(tunnel.relays()[0], "KILL");
    assert!(until(PATIENCE, || tunnel.status()["relays"][0]["restarts"] == 1
        && tunnel.status()["state"] == "up"));
    assert_idle(&lab, &tunnel, "after a relay died");
    // An uplink that goes and comes: every connection fails meanwhile.
    must(&lab, Place::Windows, "ip link set uplink down");
    for _ in 0..3 {
        assert_ne!(http_status(&lab, Place::Wsl, SERVER), "200");
    }
    assert_idle(&lab, &tunnel, "without an uplink");
}
