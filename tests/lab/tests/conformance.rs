//! TCP according to RFC 9293 and as in Linux, tested by segments that no kernel's socket sends. The
//! same probes run from the host, where the server's kernel answers them, and from the VM, where
//! the gateway does. docs/conformance.md has the tables, with the known differences; `--nocapture`
//! prints its rows.

use lab::addresses::{SERVER, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{PATIENCE, must, python, python_server, tunnelled_lab};
use lab::{Lab, Place, until};
use std::collections::BTreeSet;

/// The interpreter of the probes, and the probes.
const PROBES: [&str; 8] = [
    include_str!("conformance/raw.py"),
    include_str!("conformance/segments.py"),
    include_str!("conformance/opening.py"),
    include_str!("conformance/windows.py"),
    include_str!("conformance/loss.py"),
    include_str!("conformance/closing.py"),
    include_str!("conformance/errors.py"),
    include_str!("conformance/run.py"),
];

const SERVERS: &str = include_str!("conformance/serve.py");

const DOC: &str = include_str!("../../../docs/conformance.md");

/// Answers of the gateway that differ from a server's kernel, in one family or both.
/// docs/conformance.md gives the reasons.
const KNOWN: [&str; 17] = [
    "SYN with timestamps gets timestamps",
    "a SYN's MSS of 0 bounds what comes",
    "without an MSS pieces have 536 bytes",
    "SYN that asks for ECN",
    "another SYN in SYN-RECEIVED",
    "'host unreachable' about a SYN-ACK",
    "a byte into a window of zero",
    "urgent data",
    "how much comes before the first ACK",
    "a duplicate ACK brings new data",
    "holes are reported by SACK, the latest first",
    "what came twice is reported by SACK (DSACK)",
    "fifty holes, filled one by one",
    "RST in TIME-WAIT, then FIN again",
    "SYN in TIME-WAIT, below the former numbers",
    "an ACK in LAST-ACK that is not of the FIN",
    "data beyond the app's FIN",
];

/// Probes of features that some relays lack.
const LACKED: [(Lack, &[&str]); 2] = [
    (
        Lack::IdleResets,
        &[
            "the server closes with bytes unread",
            "the server resets",
            "the server resets after data",
        ],
    ),
    (
        Lack::LateResets,
        &[
            "data for a server that has closed",
            "data for a server that has shut down both directions",
        ],
    ),
];

/// The output of the probes in a place, a line for each.
fn probed(lab: &Lab, place: Place, server: &str) -> Vec<String> {
    // The kernel of the place knows none of these connections, and would reset them. It does not
    // assign these ports to other programs, such as the relay.
    for command in ["iptables", "ip6tables"] {
        must(
            lab,
            place,
            &format!("{command} -A OUTPUT -p tcp --sport 61000:61999 -m mark ! --mark 1 -j DROP"),
        );
    }
    let run = python(lab, place, &PROBES.concat(), &[server]);
    assert!(run.succeeded(), "{place:?}: {run:?}");
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn odd_segments_are_answered_as_a_kernel_answers_them() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _servers = python_server(&lab, Place::Internet, SERVERS, &[], 7);
    let has_ipv6 = || !tunnel.status()["tap"]["ipv6"].is_null();
    assert!(until(PATIENCE, has_ipv6), "{}", tunnel.status());
    let lacked = LACKED.iter().filter(|(lack, _)| lacks(*lack)).flat_map(|(_, names)| names.iter());
    let lacked: BTreeSet<&str> = lacked.copied().collect();
    let (mut differences, mut missed) = (Vec::new(), BTreeSet::from(KNOWN));
    for server in [SERVER, SERVER_V6] {
        let (reference, heard) =
            (probed(&lab, Place::Windows, server), probed(&lab, Place::Wsl, server));
        assert_eq!(reference.len(), heard.len());
        for (reference, heard) in reference.iter().zip(&heard) {
            let name = reference.split(": ").next().unwrap();
            assert!(!reference.contains("the probe failed"), "{reference}");
            println!("{reference}");
            assert!(
                DOC.contains(&format!("\n| {name} |")),
                "docs/conformance.md has no row '{name}'"
            );
            if reference != heard
                && !lacked.contains(name)
                && !missed.remove(name)
                && !KNOWN.contains(&name)
            {
                differences.push(format!("{server} {reference}\n    and with the tunnel: {heard}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(missed.is_empty(), "no differences any more: {missed:?}");
}

/// Uploads to a server that answers and closes without reading, and prints the length of the answer
/// it got.
const REFUSED: &str = "
import socket, sys
for _ in range(20):
    s = socket.create_connection((sys.argv[1], 8))
    s.settimeout(10)
    s.sendall(b'refuse 2000\\n')
    got = b''
    try:
        while True: s.send(bytes(50000))
    except ConnectionError: pass
    try:
        while piece := s.recv(65536): got += piece
    except ConnectionError: pass
    print(len(got))
";

#[test]
fn the_answer_to_an_upload_that_is_refused_is_heard() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _servers = python_server(&lab, Place::Internet, SERVERS, &[], 7);
    let [reference, heard] =
        [Place::Windows, Place::Wsl].map(|place| python(&lab, place, REFUSED, &[SERVER]));
    assert!(reference.succeeded() && heard.succeeded(), "{reference:?} {heard:?}");
    assert_eq!(reference.stdout, "2000\n".repeat(20));
    assert_eq!(heard.stdout, reference.stdout);
}
