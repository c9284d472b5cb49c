//! Zone transfers (RFC 5936, RFC 1995) through the gateway's DNS front: complete, from the host's
//! own nameserver, which is a real one. The reference is the same question on the host.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::NAT_GATEWAY;
use lab::relay::{Lack, lacks};
use lab::scene::{PATIENCE, Scratch, cut_off_lab, etc, python};
use lab::{Lab, Place, Process, Tunnel, until};

/// A lab that is cut off, a BIND on its host, and a tunnel. The BIND starts first: some relays read
/// its address only once.
fn lab_with_bind(scratch: &Scratch) -> Option<(Lab, Process, Tunnel)> {
    let lab = cut_off_lab()?;
    let server = bind(&lab, scratch);
    let tunnel = Tunnel::up(&lab, &[]);
    Some((lab, server, tunnel))
}

/// A BIND on the host's loopback, which serves `big.test` to all and refuses to transfer
/// `closed.test`.
fn bind(lab: &Lab, scratch: &Scratch) -> Process {
    let head = "$TTL 60\n@ SOA ns admin 7 60 60 60 60\n@ NS ns\nns A 203.0.113.10\n";
    let hosts: String =
        (0..5000).map(|n| format!("host{n} TXT \"some text of record number {n}\"\n")).collect();
    let (big, closed) =
        (scratch.file("big", &format!("{head}{hosts}")), scratch.file("closed", head));
    let at = scratch.path("");
    let settings = format!(
        "options {{ directory \"{at}\"; listen-on {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; \
         session-keyfile none; managed-keys-directory \"{at}\"; recursion no; dnssec-validation no; \
         allow-transfer {{ any; }}; }};\ncontrols {{ }};\n\
         zone \"big.test\" {{ type primary; file \"{big}\"; }};\n\
         zone \"closed.test\" {{ type primary; file \"{closed}\"; allow-transfer {{ none; }}; }};\n"
    );
    let settings = scratch.file("named.conf", &settings);
    let server = lab.start(Place::Windows, &["named", "-g", "-n", "1", "-c", &settings]).unwrap();
    let up = || {
        dig(lab, Place::Windows, "127.0.0.1", &["+short", "big.test", "SOA"])
            .contains("ns.big.test.")
    };
    assert!(until(PATIENCE, up), "named does not answer on the host");
    etc(lab, Place::Windows, "resolv.conf", "nameserver 127.0.0.1\n");
    server
}

fn dig(lab: &Lab, place: Place, server: &str, words: &[&str]) -> String {
    let at = format!("@{server}");
    let finished =
        lab.run(place, &[&["dig", &at, "+tries=1", "+timeout=10"], words].concat()).unwrap();
    finished.stdout
}

/// The records of a transfer in their order, and dig's counts: records, messages, bytes.
fn transfer(lab: &Lab, place: Place, server: &str, words: &[&str]) -> (Vec<String>, String) {
    let said = dig(lab, place, server, &[&["+nocookie"], words].concat());
    let records = said.lines().filter(|line| !line.is_empty() && !line.starts_with(";;"));
    // A signature contains the time and the query's id.
    let records = records.filter(|line| !line.starts_with("; <<>>") && !line.contains("\tTSIG\t"));
    let records = records.map(str::to_owned).collect();
    let size = said
        .lines()
        .find_map(|line| line.strip_prefix(";; XFR size: "))
        .unwrap_or_default()
        .to_owned();
    (records, size)
}

fn gateway(tunnel: &Tunnel) -> String {
    tunnel.status()["tap"]["ipv4"]["gateway"].as_str().unwrap().to_owned()
}

#[test]
fn a_transfer_of_many_messages_arrives_whole_as_does_a_refusal() {
    let scratch = Scratch::new();
    let Some((lab, _bind, tunnel)) = lab_with_bind(&scratch) else { return };
    for words in [
        &["big.test", "AXFR"][..],
        &["big.test", "IXFR=3"],
        &["big.test", "IXFR=7"],
        &["big.test", "AXFR", "-y", "hmac-sha256:nobody:c2VjcmV0"],
        &["closed.test", "AXFR"],
        &["other.test", "AXFR"],
    ] {
        let reference = transfer(&lab, Place::Windows, "127.0.0.1", words);
        for server in [gateway(&tunnel).as_str(), NAT_GATEWAY] {
            let (records, size) = transfer(&lab, Place::Wsl, server, words);
            assert_eq!(size, reference.1, "{server} {words:?}");
            assert!(records == reference.0, "{server} {words:?}: {records:?}");
        }
        if words[1] == "AXFR" && words.len() == 2 && words[0] == "big.test" {
            assert!(
                reference.1.contains("records (messages ") && reference.0.len() > 5000,
                "{reference:?}"
            );
            assert!(
                !reference.1.contains("(messages 1,"),
                "one message shows nothing: {}",
                reference.1
            );
        }
    }
    assert_eq!(tunnel.status()["flows"]["dns"], 0, "nothing waits: {}", tunnel.status()["flows"]);
}

/// Asks for a SOA and, in the same write, for the zone, on one connection: `SERVER HOW`. With
/// `half` the end of the stream follows at once. Prints the number of messages for each question,
/// and whether the zone was complete.
const BEHIND_ANOTHER: &str = r#"
import socket, struct, sys
name = b"\x03big\x04test\0"
def query(id, kind):
    message = struct.pack("!6H", id, 0, 1, 0, 0, 0) + name + struct.pack("!2H", kind, 1)
    return struct.pack("!H", len(message)) + message
client = socket.create_connection((sys.argv[1], 53), timeout=15)
client.sendall(query(1, 6) + query(2, 252))
if sys.argv[2] == "half":
    client.shutdown(socket.SHUT_WR)
file, messages, records = client.makefile("rb"), {1: 0, 2: 0}, 0
while records < 5004:
    head = file.read(2)
    if len(head) < 2:
        break
    message = file.read(struct.unpack("!H", head)[0])
    id, flags, _, answers = struct.unpack("!4H", message[:8])
    messages[id] += 1
    if id == 2:
        records += answers
print(messages[1], messages[2] > 1, records)
"#;

#[test]
fn a_transfer_may_follow_another_question_and_the_end_of_the_stream_may_follow_it() {
    let scratch = Scratch::new();
    let Some((lab, _bind, _tunnel)) = lab_with_bind(&scratch) else { return };
    let whole = python(&lab, Place::Wsl, BEHIND_ANOTHER, &[NAT_GATEWAY, "open"]);
    assert_eq!(whole.stdout, "1 True 5004\n", "{whole:?}");
    // BIND aborts a transfer whose client ends its stream, on the host's own path as well.
    let broken_off = python(&lab, Place::Wsl, BEHIND_ANOTHER, &[NAT_GATEWAY, "half"]);
    assert!(broken_off.stdout.starts_with("1 "), "it ends: {broken_off:?}");
}

#[test]
fn without_a_server_that_listens_a_transfer_fails_at_once_and_the_next_one_is_tried() {
    let scratch = Scratch::new();
    let Some((lab, server, _tunnel)) = lab_with_bind(&scratch) else { return };
    if !lacks(Lack::NewNameservers) {
        // Nothing listens at port 53 of the host's other address.
        etc(&lab, Place::Windows, "resolv.conf", "nameserver 192.0.2.2\nnameserver 127.0.0.1\n");
        let whole =
            || transfer(&lab, Place::Wsl, NAT_GATEWAY, &["big.test", "AXFR"]).0.len() > 5000;
        assert!(until(PATIENCE, whole), "the next server is not tried");
    }
    drop(server);
    let said = dig(&lab, Place::Wsl, NAT_GATEWAY, &["big.test", "AXFR"]);
    assert!(said.contains("Transfer failed"), "{said}");
}
