//! DNS through the tunnel: on the gateway's own address and on the VM's nameserver, with the
//! answers of the relay's host.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use lab::addresses::{NAT_GATEWAY, SERVER, SERVER_NAME, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{
    RECORDS, etc, http_status, python, tunnelled_lab, tunnelled_lab_with_dns, web_server,
};
use lab::{Finished, Lab, Place, Tunnel};

/// The gateway's own IPv4 address.
fn gateway(tunnel: &Tunnel) -> String {
    tunnel.status()["tap"]["ipv4"]["gateway"].as_str().unwrap().to_owned()
}

fn dig(lab: &Lab, server: &str, words: &[&str]) -> Finished {
    let at = format!("@{server}");
    lab.run(Place::Wsl, &[&["dig", &at, "+tries=1", "+timeout=8"], words].concat()).unwrap()
}

fn short(lab: &Lab, server: &str, words: &[&str]) -> String {
    dig(lab, server, &[&["+short"], words].concat()).stdout.trim().to_owned()
}

/// The response code in dig's output, such as `NXDOMAIN`.
fn code(answer: &Finished) -> String {
    let status = answer.stdout.split_once("status: ").and_then(|(_, rest)| rest.split_once(','));
    status.map_or_else(|| format!("{answer:?}"), |(code, _)| code.to_owned())
}

/// The answer's flags in dig's output, such as `qr rd ra`.
fn flags(answer: &Finished) -> String {
    let flags = answer.stdout.split_once(";; flags: ").and_then(|(_, rest)| rest.split_once(';'));
    flags.map_or_else(|| format!("{answer:?}"), |(flags, _)| format!(" {flags} "))
}

#[test]
fn every_type_is_answered_on_every_address_over_udp_and_tcp() {
    let Some((lab, _server, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    for server in [gateway(&tunnel).as_str(), NAT_GATEWAY, "fd75:6e64:6572::1"] {
        for transport in ["+notcp", "+tcp"] {
            for (name, kind, answer) in RECORDS {
                assert_eq!(
                    short(&lab, server, &[transport, name, kind]),
                    answer,
                    "{server} {transport} {name} {kind}"
                );
            }
        }
    }
    let asked = u64::try_from(3 * 2 * RECORDS.len()).unwrap();
    assert!(tunnel.status()["totals"]["dns"].as_u64() >= Some(asked), "{}", tunnel.status());
}

#[test]
fn programs_find_names_by_the_vms_ordinary_resolver() {
    let Some((lab, _server, _tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let _web = web_server(&lab);
    let hosts = lab.run(Place::Wsl, &["getent", "ahosts", SERVER_NAME]).unwrap().stdout;
    assert!(hosts.contains(SERVER) && hosts.contains(SERVER_V6), "{hosts}");
    assert_eq!(http_status(&lab, Place::Wsl, SERVER_NAME), "200");
    let reverse = lab.run(Place::Wsl, &["getent", "hosts", SERVER]).unwrap().stdout;
    assert!(reverse.contains(SERVER_NAME), "{reverse}");
}

/// Accepts the largest UDP answer possible, unlike dig: `SERVER`.
const HUGE_OVER_UDP: &str = r#"
import socket, struct, sys
name = b"\x04huge\x03lab\x04test\0"
option = b"\0" + struct.pack("!HHIH", 41, 65535, 0, 0)
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(8)
client.sendto(struct.pack("!6H", 7, 0x0100, 1, 0, 0, 1) + name + struct.pack("!2H", 16, 1) + option, (sys.argv[1], 53))
answer = client.recv(65535)
print("whole" if len(answer) > 60000 and not answer[2] & 2 and answer[6:8] == b"\0\x01" else answer[:64])
"#;

#[test]
fn an_answer_over_udp_is_as_large_as_the_asker_takes_and_the_rest_comes_over_tcp() {
    let Some((lab, _server, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    for server in [gateway(&tunnel).as_str(), NAT_GATEWAY] {
        for size in ["+noedns", "+bufsize=512", "+bufsize=1232", "+bufsize=2900"] {
            let cut = dig(&lab, server, &["+ignore", size, "big.lab.test", "TXT"]);
            assert!(flags(&cut).contains(" tc "), "{server} {size}: {}", cut.stdout);
            assert!(cut.stdout.contains("ANSWER: 0"), "{server} {size}: {}", cut.stdout);
            assert!(
                size == "+noedns" || cut.stdout.contains("EDNS: version: 0"),
                "{server} {size}: {}",
                cut.stdout
            );
            let whole = dig(&lab, server, &[size, "big.lab.test", "TXT"]);
            assert!(
                whole.stdout.contains("Truncated, retrying in TCP mode"),
                "{server} {size}: {}",
                whole.stdout
            );
            assert!(
                whole.stdout.contains("ANSWER: 1") && whole.stdout.len() > 3000,
                "{server} {size}: {}",
                whole.stdout
            );
        }
        let large = dig(&lab, server, &["+ignore", "+bufsize=4096", "big.lab.test", "TXT"]);
        assert!(
            !flags(&large).contains(" tc ") && large.stdout.contains("ANSWER: 1"),
            "{server}: {}",
            large.stdout
        );
        if lacks(Lack::HugeAnswers) {
            continue;
        }
        let huge = python(&lab, Place::Wsl, HUGE_OVER_UDP, &[server]);
        assert_eq!(huge.stdout.trim(), "whole", "{server}: {}", huge.stderr);
        let over_tcp = dig(&lab, server, &["+tcp", "huge.lab.test", "TXT"]);
        assert!(
            over_tcp.stdout.contains("ANSWER: 1") && over_tcp.stdout.len() > 60_000,
            "{server}: {}",
            flags(&over_tcp)
        );
    }
}

/// Asks over one TCP connection: `SERVER HOW COUNT NAME`. How: `once` (all in one write), `bytes`
/// (one at a time), `half` (one write and the end of the stream). NAME has a `{}` for the number.
/// Prints the numbers in the order of their answers, and `end` if the server then closed.
const PIPELINE: &str = r#"
import socket, struct, sys
server, how, count, pattern = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
FIRST = 0xcb007100 # 203.0.113.0
def query(number):
    labels = pattern.format(FIRST + number).split(".")
    kind = 16 if labels[0] == "huge" else 1
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    message = struct.pack("!6H", 1000 + number, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", kind, 1)
    return struct.pack("!H", len(message)) + message
first = query(0).replace(b"\x10number%d" % FIRST, b"\x04slow") if how == "once" else query(0)
first = struct.pack("!H", len(first) - 2) + first[2:]
stream = first + b"".join(query(number) for number in range(1, count))
client = socket.create_connection((server, 53), timeout=15)
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
if how == "bytes":
    for at in range(len(stream)):
        client.send(stream[at:at + 1])
else:
    client.sendall(stream)
if how == "half":
    client.shutdown(socket.SHUT_WR)
file, order = client.makefile("rb"), []
for _ in range(count):
    head = file.read(2)
    if len(head) < 2:
        break
    message = file.read(struct.unpack("!H", head)[0])
    number = struct.unpack("!H", message[:2])[0] - 1000
    answers = struct.unpack("!H", message[6:8])[0]
    if message[13:19] == b"number":
        assert struct.unpack("!I", message[-4:])[0] == FIRST + number, "an answer to another question"
    assert answers == 1 or number == 0, message
    order.append(number)
if how == "half" and file.read(1) == b"":
    order.append("end")
print(*order)
"#;

fn pipeline(lab: &Lab, args: &[&str]) -> Vec<String> {
    let finished = python(lab, Place::Wsl, PIPELINE, args);
    assert!(finished.succeeded(), "{args:?}: {}", finished.stderr);
    finished.stdout.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn queries_pipelined_on_one_connection_are_all_answered() {
    let Some((lab, _server, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let numbers = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
    let sorted = |mut order: Vec<String>| {
        order.sort_by_key(|number| number.parse::<usize>().unwrap_or(usize::MAX));
        order
    };
    for server in [gateway(&tunnel).as_str(), NAT_GATEWAY] {
        let order = pipeline(&lab, &[server, "once", "40", "number{}.lab.test"]);
        assert_eq!(
            order.last().map(String::as_str),
            Some("0"),
            "the slow one delays no other: {order:?}"
        );
        assert_eq!(sorted(order), numbers(40));
        assert_eq!(
            sorted(pipeline(&lab, &[server, "bytes", "5", "number{}.lab.test"])),
            numbers(5)
        );
        // More than may wait for their answers at a time, and more bytes than any buffer.
        let ended = [numbers(150), vec!["end".to_owned()]].concat();
        assert_eq!(sorted(pipeline(&lab, &[server, "half", "150", "number{}.lab.test"])), ended);
        if !lacks(Lack::HugeAnswers) {
            assert_eq!(sorted(pipeline(&lab, &[server, "half", "150", "huge.lab.test"])), ended);
        }
    }
}

#[test]
fn each_kind_of_failure_keeps_its_kind() {
    let Some((lab, _server, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    for server in [gateway(&tunnel).as_str(), NAT_GATEWAY] {
        for transport in ["+notcp", "+tcp"] {
            for (name, expected) in [
                ("nobody.lab.test", "NXDOMAIN"),
                ("servfail.lab.test", "SERVFAIL"),
                ("refused.lab.test", "REFUSED"),
                ("notimp.lab.test", "NOTIMP"),
            ] {
                let answer = dig(&lab, server, &[transport, name, "A"]);
                let expected = if expected != "NXDOMAIN" && lacks(Lack::DnsCodes) {
                    "SERVFAIL"
                } else {
                    expected
                };
                assert_eq!(code(&answer), expected, "{server} {transport} {name}");
            }
            let nodata = dig(&lab, server, &[transport, "lab.test", "A"]);
            let counted = nodata.stdout.contains("ANSWER: 0, AUTHORITY: 1");
            assert!(
                code(&nodata) == "NOERROR" && counted,
                "{server} {transport}: {}",
                nodata.stdout
            );
        }
    }
    for transport in ["+notcp", "+tcp"] {
        // Longer than the relay keeps asking: when it gives up, it sends no answer either.
        let silence = dig(&lab, NAT_GATEWAY, &["+timeout=6", transport, "silent.lab.test", "A"]);
        assert_eq!(
            silence.code,
            Some(9),
            "{transport}: a missing answer stays missing: {silence:?}"
        );
    }
    if lacks(Lack::NewNameservers) {
        return;
    }
    etc(&lab, Place::Windows, "resolv.conf", "# no server at all\n");
    for transport in ["+notcp", "+tcp"] {
        assert_eq!(
            code(&dig(&lab, NAT_GATEWAY, &[transport, SERVER_NAME, "A"])),
            "SERVFAIL",
            "{transport}"
        );
    }
}

#[test]
fn a_silent_server_holds_up_no_other_question_and_the_next_server_is_asked() {
    let Some((lab, _server, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    // Many questions without an answer, while another one has an answer.
    let flood = "import socket, struct, sys\n\
                 s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
                 for n in range(300):\n    \
                 name = b'\\x06silent\\x03lab\\x04test\\0'\n    \
                 s.sendto(struct.pack('!6H', n, 0x100, 1, 0, 0, 0) + name + struct.pack('!2H', 1, 1), (sys.argv[1], 53))\n";
    assert!(python(&lab, Place::Wsl, flood, &[NAT_GATEWAY]).succeeded());
    // The next line shows that it did not wait until they were given up.
    assert_eq!(short(&lab, NAT_GATEWAY, &["+timeout=4", SERVER_NAME, "A"]), SERVER);
    assert!(
        tunnel.status()["flows"]["dns"].as_u64() > Some(100),
        "they still wait: {}",
        tunnel.status()["flows"]
    );
    if lacks(Lack::NewNameservers) {
        return;
    }
    // No host has this address: the first server is silent or unreachable.
    etc(&lab, Place::Windows, "resolv.conf", "nameserver 192.0.2.77\nnameserver 127.0.0.1\n");
    assert_eq!(short(&lab, NAT_GATEWAY, &[SERVER_NAME, "A"]), SERVER);
}

#[test]
fn the_hosts_file_of_the_relays_host_decides() {
    if lacks(Lack::HostsFile) {
        return;
    }
    let Some((lab, _server, tunnel)) = tunnelled_lab_with_dns(&[]) else { return };
    let entries =
        "127.0.0.1 localhost\n192.0.2.99 printer.corp www.lab.test\n2001:db8::99 printer.corp\n";
    etc(&lab, Place::Windows, "hosts", entries);
    for server in [gateway(&tunnel).as_str(), NAT_GATEWAY] {
        for transport in ["+notcp", "+tcp"] {
            assert_eq!(
                short(&lab, server, &[transport, "printer.corp", "A"]),
                "192.0.2.99",
                "{server} {transport}"
            );
            assert_eq!(
                short(&lab, server, &[transport, "Printer.Corp", "AAAA"]),
                "2001:db8::99",
                "{server} {transport}"
            );
            assert_eq!(
                short(&lab, server, &[transport, SERVER_NAME, "A"]),
                "192.0.2.99",
                "before the server's answer"
            );
            let reverse = short(&lab, server, &[transport, "-x", "192.0.2.99"]);
            assert_eq!(reverse, "printer.corp.", "{server} {transport}");
        }
    }
    assert_eq!(tunnel.status()["dns_answers"], serde_json::json!({ "hosts-file": 16 }));
    etc(&lab, Place::Windows, "hosts", "127.0.0.1 localhost\n");
    assert_eq!(
        short(&lab, NAT_GATEWAY, &[SERVER_NAME, "A"]),
        SERVER,
        "the current content of the file"
    );
    assert_eq!(
        tunnel.status()["dns_answers"],
        serde_json::json!({ "hosts-file": 16, "servers": 1 })
    );
}

#[test]
fn the_gateways_own_names_lead_to_host_and_gateway() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    // None of these questions may need the host's resolver: it has no server.
    etc(&lab, Place::Windows, "resolv.conf", "");
    let tap = tunnel.status()["tap"].clone();
    let address = |family: &str, whose: &str| tap[family][whose].as_str().unwrap().to_owned();
    for server in [gateway(&tunnel).as_str(), NAT_GATEWAY] {
        for transport in ["+notcp", "+tcp"] {
            for (name, whose) in [
                ("host.underpass.internal", "host"),
                ("host.docker.internal", "host"),
                ("host.containers.internal", "host"),
                ("gateway.underpass.internal", "gateway"),
                ("GATEWAY.Underpass.Internal", "gateway"),
            ] {
                for (kind, family) in [("A", "ipv4"), ("AAAA", "ipv6")] {
                    let answer = short(&lab, server, &[transport, name, kind]);
                    assert_eq!(
                        answer,
                        address(family, whose),
                        "{server} {transport} {name} {kind}"
                    );
                }
            }
            let nobody = dig(&lab, server, &[transport, "nobody.underpass.internal", "A"]);
            assert_eq!(code(&nobody), "NXDOMAIN", "{server} {transport}");
            let nothing = dig(&lab, server, &[transport, "host.underpass.internal", "MX"]);
            assert!(
                code(&nothing) == "NOERROR" && nothing.stdout.contains("ANSWER: 0"),
                "{}",
                nothing.stdout
            );
        }
    }
    let hosts = lab.run(Place::Wsl, &["getent", "ahosts", "host.docker.internal"]).unwrap().stdout;
    assert!(
        hosts.contains(&address("ipv4", "host")) && hosts.contains(&address("ipv6", "host")),
        "{hosts}"
    );
}
