//! The common start of many tests: a lab that is cut off, a tunnel in it, servers on the internet,
//! requests from the VM. For tests: everything here panics with a program's output if a step fails
//! that must work.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::missing_panics_doc, reason = "the module's text covers all of them")]

use std::time::Duration;

use crate::addresses::{SERVER, SERVER_NAME, SERVER_V6};
use crate::interop::Interop;
use crate::leftovers;
pub use crate::scratch::Scratch;
pub use crate::tunnel::exec_relay;
use crate::wine;
use crate::{Finished, Lab, Place, Process, Tunnel, Vpn, lab_or_skip, programs, until};

/// Servers of the lab listen, and expected events have happened, long before this on the slowest
/// machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A lab whose VPN cuts the VM off, if one can be made.
pub fn cut_off_lab() -> Option<Lab> {
    let mut lab = lab_or_skip()?;
    lab.set_vpn(Vpn::On).unwrap();
    Some(lab)
}

/// A lab whose VPN cuts the VM off, and the tunnel that brings it back.
pub fn tunnelled_lab(options: &[&str]) -> Option<(Lab, Tunnel)> {
    let lab = cut_off_lab()?;
    let tunnel = Tunnel::up(&lab, options);
    Some((lab, tunnel))
}

/// Like [`tunnelled_lab`], with the nameserver of [`host_nameserver`], which starts first: some
/// relays read its address only once.
pub fn tunnelled_lab_with_dns(options: &[&str]) -> Option<(Lab, Process, Tunnel)> {
    let lab = cut_off_lab()?;
    let server = host_nameserver(&lab);
    let tunnel = Tunnel::up(&lab, options);
    Some((lab, server, tunnel))
}

/// A web server on the internet, at port 80 of all its addresses.
pub fn web_server(lab: &Lab) -> Process {
    // The content does not matter, so it serves a folder of the lab's own.
    let folder = format!("/etc/netns/{}", lab.namespace(Place::Internet));
    let words = ["python3", "-m", "http.server", "80", "--bind", "::", "--directory", &folder];
    let server = lab.start(Place::Internet, &words).unwrap();
    let up = until(PATIENCE, || http_status(lab, Place::Internet, SERVER) == "200");
    assert!(up, "the web server of the lab does not answer in its own namespace");
    server
}

/// The status of a request to `host` (brackets around IPv6), or `000` without an answer within 2 s.
pub fn http_status(lab: &Lab, place: Place, host: &str) -> String {
    let url = format!("http://{host}/");
    let words = ["curl", "--globoff", "--silent", "--max-time", "2", "--output", "/dev/null"];
    lab.run(place, &[&words[..], &["--write-out", "%{http_code}", &url]].concat()).unwrap().stdout
}

/// Runs a Python program in a place to its end.
pub fn python(lab: &Lab, place: Place, program: &str, args: &[&str]) -> Finished {
    lab.run(place, &[&["python3", "-c", program], args].concat()).unwrap()
}

/// Starts a Python program in a place, and waits until it listens on a TCP port (according to
/// `ss`).
pub fn python_server(lab: &Lab, place: Place, program: &str, args: &[&str], port: u16) -> Process {
    let server = lab.start(place, &[&["python3", "-c", program], args].concat()).unwrap();
    let filter = format!("sport = :{port}");
    let listens = || !lab.run(place, &["ss", "-Htuln", &filter]).unwrap().stdout.trim().is_empty();
    assert!(until(PATIENCE, listens), "the server of the lab does not listen on port {port}");
    server
}

/// A lab that is cut off, with a Windows in it, if one can be made.
///
/// # Panics
/// Under CI, if it cannot.
#[must_use]
pub fn windows_lab() -> Option<(Lab, Interop)> {
    let lab = cut_off_lab()?;
    if let Some(why) = wine::missing() {
        crate::skip(why);
        return None;
    }
    let interop = Interop::start(&lab);
    Some((lab, interop))
}

/// The interface by which a packet of the VM for `to` (and the other words that `ip route get`
/// takes) would leave, according to the kernel; empty if there is no route.
#[must_use]
pub fn way_out(lab: &Lab, to: &str) -> String {
    let words: Vec<&str> = ["ip", "route", "get"].into_iter().chain(to.split(' ')).collect();
    let said = lab.run(Place::Wsl, &words).unwrap().stdout;
    said.split_whitespace().skip_while(|word| *word != "dev").nth(1).unwrap_or_default().to_owned()
}

/// The VM's policy rules of both families.
#[must_use]
pub fn rules(lab: &Lab) -> String {
    ["-4", "-6"].map(|family| lab.run(Place::Wsl, &["ip", family, "rule"]).unwrap().stdout).concat()
}

/// In how many percent of 2 s a process wanted to run. Not how much it did run: on a busy machine a
/// spinning process gets little of a core.
#[must_use]
pub fn busy_percent(lab: &Lab, pid: u32) -> f64 {
    let program = "
import sys, time
def runs():
    time.sleep(0.01)
    return open('/proc/%s/stat' % sys.argv[1]).read().rpartition(')')[2].split()[0] == 'R'
print(100 * sum(runs() for _ in range(200)) / 200)
";
    python(lab, Place::Wsl, program, &[&pid.to_string()]).stdout.trim().parse().unwrap()
}

/// The other address of [`udp_server`] besides [`SERVER`], also on the internet.
pub const OTHER_SERVER: &str = "198.51.100.2";
/// The port of [`udp_server`] that returns what it gets.
pub const UDP_ECHO: u16 = 7001;
/// The port of [`udp_server`] that returns the sender as `address port`; another address and port
/// answer `call`.
pub const UDP_WHO: u16 = 7002;
/// The port of [`udp_server`] that receives and never answers.
pub const UDP_SILENT: u16 = 7003;

/// A UDP server on the internet, at [`SERVER`], [`OTHER_SERVER`] and the server's IPv6 address.
pub fn udp_server(lab: &Lab) -> Process {
    let program = "
import select, socket, sys
places = [(h, int(p)) for h in sys.argv[1:4] for p in sys.argv[4:]]
sockets = {}
for host, port in places:
    s = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.bind((host, port))
    sockets[s] = (host, port)
named = {place: s for s, place in sockets.items()}
echo, who, silent, dns, caller = (int(p) for p in sys.argv[4:])
while True:
    for s in select.select(list(sockets), [], [])[0]:
        data, peer = s.recvfrom(65536)
        host, port = sockets[s]
        if port in (echo, dns):
            s.sendto(data, peer)
        elif port == who and data == b'call':
            named[(sys.argv[2], caller)].sendto(b'called', peer)
        elif port == who:
            s.sendto(('%s %d' % peer[:2]).encode(), peer)
";
    let ports = [UDP_ECHO, UDP_WHO, UDP_SILENT, 53, 7005].map(|port| port.to_string());
    let places = [SERVER, OTHER_SERVER, SERVER_V6];
    let args: Vec<&str> = places.into_iter().chain(ports.iter().map(String::as_str)).collect();
    python_server(lab, Place::Internet, program, &args, 7005)
}

/// The beginning of Python programs that talk to [`udp_server`]: `udp(source port, host family)`
/// and `ask(socket, to, bytes)`.
pub const UDP_CLIENT: &str = "
import os, socket, sys
def udp(port=0, family=socket.AF_INET):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind(('', port))
    s.settimeout(10)
    return s
def ask(s, to, data):
    s.sendto(data, to)
    return s.recvfrom(65536)
";

/// Runs a Python program that begins with [`UDP_CLIENT`] in the VM; returns its output.
pub fn udp_client(lab: &Lab, program: &str, args: &[&str]) -> String {
    let finished = python(lab, Place::Wsl, &format!("{UDP_CLIENT}{program}"), args);
    assert!(finished.succeeded(), "the client failed: {}{}", finished.stdout, finished.stderr);
    finished.stdout.trim().to_owned()
}

/// The hops that a traceroute from the VM shows, one probe each.
pub fn hops(lab: &Lab, options: &[&str], to: &str) -> Vec<String> {
    let words = [&["traceroute", "-n", "-q", "1", "-w", "5", "-m", "6"], options, &[to]].concat();
    let output = lab.run(Place::Wsl, &words).unwrap();
    let hop = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
    output.stdout.lines().skip(1).map(hop).collect()
}

/// Writes a file that stands for one in /etc for programs in a place, also for those that already
/// run.
pub fn etc(lab: &Lab, place: Place, file: &str, text: &str) {
    leftovers::write_for_all(&leftovers::overlay(&lab.namespace(place)).join(file), text).unwrap();
}

/// A nameserver on the host's own loopback, which the host's resolv.conf names from now on; see
/// [`programs::DNS_SERVER`].
pub fn host_nameserver(lab: &Lab) -> Process {
    let server = python_server(lab, Place::Windows, programs::DNS_SERVER, &["127.0.0.1"], 53);
    etc(lab, Place::Windows, "resolv.conf", "nameserver 127.0.0.1\n");
    server
}

/// The records of [`host_nameserver`], one of every type: name, type, and the output of `dig
/// +short`.
pub const RECORDS: [(&str, &str, &str); 14] = [
    (SERVER_NAME, "A", SERVER),
    (SERVER_NAME, "AAAA", SERVER_V6),
    ("alias.lab.test", "CNAME", "www.lab.test."),
    ("alias.lab.test", "A", "www.lab.test.\n203.0.113.10"),
    ("lab.test", "MX", "10 mail.lab.test."),
    ("lab.test", "TXT", "\"hello\""),
    ("bytes.lab.test", "TXT", "\"\\195\\169\\255\\128!\""),
    ("_web._tcp.lab.test", "SRV", "1 2 80 www.lab.test."),
    ("10.113.0.203.in-addr.arpa", "PTR", "www.lab.test."),
    ("lab.test", "SOA", "ns.lab.test. admin.lab.test. 7 3600 600 86400 5"),
    ("lab.test", "NS", "ns.lab.test."),
    ("lab.test", "CAA", "0 issue \"ca.test\""),
    ("lab.test", "HTTPS", "1 . alpn=\"h2\""),
    ("lab.test", "TYPE65280", "\\# 4 01020304"),
];

/// Starts [`programs::HTTP_SERVER`].
pub fn http_server(lab: &Lab, place: Place, address: &str, port: u16, text: &str) -> Process {
    python_server(lab, place, programs::HTTP_SERVER, &[address, &port.to_string(), text], port)
}

/// A web server's answer to the VM or another place; empty without an answer within 5 s.
pub fn fetch(lab: &Lab, place: Place, url: &str) -> Finished {
    lab.run(place, &["curl", "--globoff", "--silent", "--show-error", "--max-time", "5", url])
        .unwrap()
}

/// Sends a datagram to a [`programs::UDP_ECHO`] and returns the answer.
pub fn udp_ask(lab: &Lab, place: Place, address: &str, port: u16, size: usize) -> String {
    python(lab, place, programs::UDP_ASK, &[address, &port.to_string(), &size.to_string()])
        .stdout
        .trim()
        .to_owned()
}

/// A program in the folder `programs`, whose head describes its use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Bytes sent and checked.
    Transfer,
    /// Very many connections.
    Crowd,
    /// One user's effect on the others, and their measurements of it.
    Fairness,
}

impl Script {
    /// Its text, for [`python`] and [`python_server`].
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Transfer => include_str!("programs/transfer.py"),
            Self::Crowd => include_str!("programs/crowd.py"),
            Self::Fairness => include_str!("programs/fairness.py"),
        }
    }
}

/// Runs `transfer.py run` in the VM against `transfer.py serve` at `port` of the internet: the kind
/// (`upload`, `download`, `echo`), bytes per stream, streams, and the seconds during which the
/// readers read nothing. Returns its answer.
pub fn transfer(
    lab: &Lab,
    port: u16,
    how: &str,
    (bytes, streams): (u64, u32),
    hold: u32,
) -> serde_json::Value {
    let words = [bytes.to_string(), streams.to_string(), hold.to_string()];
    let port = port.to_string();
    let args = ["run", SERVER, &port, how, &words[0], &words[1], &words[2]];
    let done = python(lab, Place::Wsl, Script::Transfer.text(), &args);
    let mut answer: serde_json::Value = serde_json::from_str(&done.stdout)
        .unwrap_or_else(|error| panic!("{how}: {error}: {done:?}"));
    answer["complaints"] = done.stderr.into();
    answer
}

/// The process ids of the gateway and its relays, the engine first, which carries the traffic.
pub fn product(tunnel: &Tunnel) -> Vec<u32> {
    [gateway(tunnel), tunnel.relays()].concat()
}

/// The process ids of the gateway alone, the engine first.
pub fn gateway(tunnel: &Tunnel) -> Vec<u32> {
    let status = tunnel.status();
    let processes =
        status["privileges"].as_array().unwrap_or_else(|| panic!("no processes: {status}"));
    let pid = |of: &serde_json::Value| u32::try_from(of["pid"].as_u64().unwrap()).unwrap();
    let (engine, others): (Vec<_>, Vec<_>) =
        processes.iter().partition(|process| process["process"] == "underpass-engine");
    [engine, others].concat().into_iter().map(pid).collect()
}

/// Memory of a process now, in KiB.
pub fn memory_kib(pid: u32) -> u64 {
    status_kib(pid, "VmRSS:")
}

/// Memory of several processes together, in KiB. The kernel keeps a program's file in memory once,
/// however many processes run it, and it counts once.
pub fn memory_together_kib(pids: &[u32]) -> u64 {
    let mut programs = std::collections::BTreeMap::new();
    for pid in pids {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        let most: &mut u64 = programs.entry(program).or_default();
        *most = (*most).max(status_kib(*pid, "RssFile:"));
    }
    let own = pids.iter().map(|pid| status_kib(*pid, "RssAnon:") + status_kib(*pid, "RssShmem:"));
    own.sum::<u64>() + programs.values().sum::<u64>()
}

/// A line of /proc/PID/status that is a size.
fn status_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// A thread may end during the loop.
pub fn cpu_time(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let nanoseconds = threads.map(|thread| {
        // A thread may end while we look.
        let text =
            std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap_or_default();
        text.split_whitespace().next().map_or(0, |first| first.parse::<u64>().unwrap())
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// The output of a program (words separated by spaces) that must succeed.
pub fn must(lab: &Lab, place: Place, words: &str) -> String {
    let finished = lab.run(place, &words.split_whitespace().collect::<Vec<_>>()).unwrap();
    assert!(finished.succeeded(), "{words}: {finished:?}");
    finished.stdout
}
