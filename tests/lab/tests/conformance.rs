//! TCP as RFC 9293 wants it, by segments that no kernel's socket sends: the same probes from the host, where
//! the server's kernel answers them, and from the VM, where the gateway does. docs/conformance.md has the
//! table, with the differences that are known; `--nocapture` prints its rows.

use lab::addresses::{SERVER, SERVER_V6};
use lab::scene::{PATIENCE, must, python, python_server, tunnelled_lab};
use lab::{Lab, Place, until};

const PROBES: &str = include_str!("conformance/segments.py");

const DOC: &str = include_str!("../../../docs/conformance.md");

/// Sends back what comes, and ends a connection when its client does.
const ECHO: &str = "
import socket, threading
s = socket.create_server(('::', 7), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)
def serve(c):
    try:
        while piece := c.recv(65536):
            c.sendall(piece)
    except OSError:
        pass
    c.close()
while True:
    threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
";

/// What the gateway answers otherwise than a server's kernel, and why that stays.
const KNOWN: [(&str, &str); 1] = [(
    "SYN with timestamps gets timestamps",
    "they would cost 12 bytes a segment and measure the way to the gateway, not to the server",
)];

/// What the probes print in a place, a line for each.
fn probed(lab: &Lab, place: Place, server: &str) -> Vec<String> {
    // The kernel of the place knows none of these connections, and would reset them.
    for command in ["iptables", "ip6tables"] {
        must(lab, place, &format!("{command} -A OUTPUT -p tcp --sport 45000:45999 -m mark ! --mark 1 -j DROP"));
    }
    let run = python(lab, place, PROBES, &[server, "7", "9"]);
    assert!(run.succeeded(), "{place:?}: {run:?}");
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn odd_segments_are_answered_as_a_kernel_answers_them() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _echo = python_server(&lab, Place::Internet, ECHO, &[], 7);
    let has_ipv6 = || !tunnel.status()["tap"]["ipv6"].is_null();
    assert!(until(PATIENCE, has_ipv6), "{}", tunnel.status());
    let mut differences = Vec::new();
    for server in [SERVER, SERVER_V6] {
        let (reference, heard) = (probed(&lab, Place::Windows, server), probed(&lab, Place::Wsl, server));
        assert_eq!(reference.len(), heard.len());
        for (reference, heard) in reference.iter().zip(&heard) {
            let name = reference.split(": ").next().unwrap();
            assert!(!reference.contains("the probe failed"), "{reference}");
            println!("{reference}");
            assert!(DOC.contains(&format!("\n| {name} |")), "docs/conformance.md has no row '{name}'");
            let known = KNOWN.iter().find(|(known, _)| *known == name);
            if known.is_some() == (reference == heard) {
                differences.push(format!("{server} {reference}\n    and with the tunnel: {heard} (known: {known:?})"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
