//! An app's kernel receives the same from the network as without a tunnel. Each test runs the same
//! program on the host, whose own path is the reference, and in the VM, and compares their output.

use lab::addresses::{SERVER, SERVER_V6};
use lab::relay::{Lack, lacks};
use lab::scene::{PATIENCE, must, python, tunnelled_lab, web_server};
use lab::{Lab, Place, until};

/// Raw packets to a server, and the first answer to each.
const RAW: &str = "
import select, socket, struct, sys, time
server, server6 = sys.argv[1:3]
def total(data):
    data += b'\\0' * (len(data) % 2)
    n = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xffff) + (n >> 16)
    return ~n & 0xffff
def own(family, to):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.connect((to, 9))
    return socket.inet_pton(family, s.getsockname()[0])
def answer(s, fits, patience=4):
    end = time.monotonic() + patience
    while (left := end - time.monotonic()) > 0 and select.select([s], [], [], left)[0]:
        said = fits(s.recv(65535))
        if said is not None:
            return said
    return 'silence'
";

/// Runs the program on the host and in the VM; fails if their output differs.
fn same_on_both_ways(lab: &Lab, program: &str) -> String {
    let program = [RAW, program].concat();
    let run = |place| {
        let finished = python(lab, place, &program, &[SERVER, SERVER_V6]);
        assert!(finished.succeeded(), "{place:?}: {finished:?}");
        finished.stdout
    };
    let (reference, heard) = (run(Place::Windows), run(Place::Wsl));
    assert_eq!(heard, reference, "with the tunnel, and on the host");
    heard
}

#[test]
fn tcp_to_port_0_is_refused() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let heard = same_on_both_ways(
        &lab,
        "
for family, to in [(socket.AF_INET, server), (socket.AF_INET6, server6)]:
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(4)
    print(s.connect_ex((to, 0)))
",
    );
    assert_eq!(heard, "111\n111\n", "ECONNREFUSED");
}

#[test]
fn an_echo_request_is_answered_with_its_code() {
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    // Windows' relay has no ping over IPv6 under Wine 8.
    let families = if lacks(Lack::Ping6) { "four" } else { "four + six" };
    let heard = same_on_both_ways(
        &lab,
        &format!(
            "
four = [(socket.AF_INET, server, socket.IPPROTO_ICMP, 8, 0, 20)]
six = [(socket.AF_INET6, server6, socket.IPPROTO_ICMPV6, 128, 129, 0)]
for family, to, protocol, request, reply, header in {families}:
    for code in [0, 9, 255]:
        s = socket.socket(family, socket.SOCK_RAW, protocol)
        message = struct.pack('!BBHHH', request, code, 0, 4242, code) + b'payload!'
        # The kernel completes ICMPv6's checksum itself.
        check = total(message) if header else 0
        s.sendto(message[:2] + struct.pack('!H', check) + message[4:], (to, 0))
        def fits(packet):
            message = packet[header:]
            if message[0] == reply and message[4:6] == struct.pack('!H', 4242):
                return message[0], message[1], message[4:]
        print(answer(s, fits))
"
        ),
    );
    assert!(!heard.contains("silence"), "{heard}");
}

#[test]
fn errors_point_at_the_part_of_an_ipv6_packet_that_a_host_does_not_understand() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let has_ipv6 = || !tunnel.status()["tap"]["ipv6"].is_null();
    assert!(until(PATIENCE, has_ipv6), "{}", tunnel.status());
    let heard = same_on_both_ways(
        &lab,
        "
me, to = own(socket.AF_INET6, server6), socket.inet_pton(socket.AF_INET6, server6)
out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack('!HHHH', 4000, 7, 8, 0)
for name, first, headers in [
    ('routing header 0 with segments left', 43, bytes([17, 2, 0, 1, 0, 0, 0, 0]) + to),
    ('routing header of an unknown type', 43, bytes([17, 0, 99, 1, 0, 0, 0, 0])),
    ('hop-by-hop options behind others', 60, bytes([0, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0])),
    ('unknown option, report', 60, bytes([17, 0, 0x80, 4, 0, 0, 0, 0])),
    ('unknown option, report to one', 60, bytes([17, 0, 1, 0, 0xde, 2, 0, 0])),
    ('unknown option, silence', 60, bytes([17, 0, 0x40, 4, 0, 0, 0, 0])),
    ('no next header', 59, b''),
    ('SCTP', 132, b''),
    ('SCTP behind options', 60, bytes([132, 0, 1, 4, 0, 0, 0, 0])),
]:
    icmp = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    payload = headers + udp
    packet = struct.pack('!IHBB', 6 << 28, len(payload), first, 64) + me + to + payload
    out.sendto(packet, (server6, 0))
    def fits(message):
        if message[0] < 128 and message[8:48][8:] == packet[8:40]:
            return message[0], message[1], int.from_bytes(message[4:8], 'big'), message[48:] == packet[40:]
    print(name, answer(icmp, fits, 1 if 'silence' in name or 'no next' in name else 4))
",
    );
    assert!(heard.contains("unknown option, report (4, 2, 42, True)\n"), "{heard}");
}

#[test]
fn an_error_about_a_datagram_quotes_that_datagram() {
    if lacks(Lack::DatagramErrors) {
        return;
    }
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let heard = same_on_both_ways(
        &lab,
        "
icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
me, to = own(socket.AF_INET, server), socket.inet_aton(server)
for id, size in [(0x1234, 5), (0x4321, 900)]:
    udp = struct.pack('!HHHH', 4000, 9999, 8 + size, 0) + bytes(size)
    check = total(me + to + struct.pack('!BBH', 0, 17, len(udp)) + udp)
    udp = udp[:6] + struct.pack('!H', check) + udp[8:]
    out.sendto(struct.pack('!BBHHHBBH', 0x45, 0x28, 20 + len(udp), id, 0, 64, 17, 0) + me + to + udp, (server, 0))
    def fits(packet):
        message = packet[20:]
        if message[0] == 3 and message[17] == 17 and message[24:28] == to:
            tos, length, quoted = struct.unpack('!xBHH', message[8:14])
            return message[:2], tos, length, hex(quoted), message[28:36] == udp[:8]
    print(answer(icmp, fits))
",
    );
    assert_eq!(heard.matches(", True)").count(), 2, "{heard}");
}

#[test]
fn a_syn_that_runs_out_of_hops_is_quoted_by_the_router_that_it_reached() {
    let Some((lab, tunnel)) = tunnelled_lab(&[]) else { return };
    let _web = web_server(&lab);
    let has_ipv6 = || !tunnel.status()["tap"]["ipv6"].is_null();
    assert!(until(PATIENCE, has_ipv6), "{}", tunnel.status());
    // To port 81 the router is a silent hop.
    for (tables, hops) in [("iptables", "ttl --ttl-eq"), ("ip6tables", "hl --hl-eq")] {
        let rule =
            format!("{tables} -t mangle -A PREROUTING -p tcp --dport 81 -m {hops} 1 -j DROP");
        must(&lab, Place::Router, &rule);
    }
    // Wine finds the router by a ping, and has no ping over IPv6.
    let families = if lacks(Lack::Ping6) { "ways[:1]" } else { "ways" };
    let heard = same_on_both_ways(
        &lab,
        &"
# The VM's own first router comes before the host's.
further = 0 if own(socket.AF_INET, server) == socket.inet_aton('192.0.2.2') else 1
def syn(family, ports, hops, id, seq):
    me = own(family, server6 if family == socket.AF_INET6 else server)
    to = socket.inet_pton(family, server6 if family == socket.AF_INET6 else server)
    tcp = struct.pack('!HHIIBBHHHBBHBBBB', *ports, seq, 0, 7 << 4, 2, 1000, 0, 0, 2, 4, 1400, 1, 1, 4, 2)
    pseudo = me + to + (struct.pack('!BBH', 0, 6, 28) if len(me) == 4 else struct.pack('!IHBB', 28, 0, 0, 6))
    tcp = tcp[:16] + struct.pack('!H', total(pseudo + tcp)) + tcp[18:]
    if len(me) == 4:
        return struct.pack('!BBHHHBBH', 0x45, 0, 48, id, 0x4000, hops + further, 6, 0) + me + to + tcp, tcp
    return struct.pack('!IHBB', 6 << 28, len(tcp), 6, hops + further) + me + to + tcp, tcp
ways = [
    (socket.AF_INET, server, socket.IPPROTO_ICMP, 11, 20),
    (socket.AF_INET6, server6, socket.IPPROTO_ICMPV6, 3, 0),
]
for family, to, icmp, kind, header in FAMILIES:
    errors = socket.socket(family, socket.SOCK_RAW, icmp)
    answers = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
    out = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    inner = 20 if header else 40
    for source, hops, id in [(4101, 1, 0x1234), (4102, 1, 0x4321)]:
        packet, tcp = syn(family, (source, 80), hops, id, 77777)
        out.sendto(packet, (to, 0))
        def fits(said):
            who = socket.inet_ntoa(said[12:16]) if header else ''
            said = said[header:]
            quote = said[8:]
            if said[0] == kind and quote[inner:inner + 2] == tcp[:2]:
                at = (quote[8], quote[4:6].hex()) if header else (quote[7],)
                return said[0], said[1], who, at, len(quote), quote[inner:inner + 8] == tcp[:8]
        print(source, answer(errors, fits))
    # The second and third are one connection by another number of hops, as tcptraceroute asks.
    for source, port, hops, flags in [(4103, 80, 2, 0x12), (4104, 81, 1, 0x14), (4104, 81, 2, 0x14), (4105, 81, 1, 0)]:
        packet, tcp = syn(family, (source, port), hops, hops, 1000 * hops)
        out.sendto(packet, (to, 0))
        def fits(said):
            said = said[header:]
            if said[2:4] == tcp[:2] and said[13] & 0x3f == flags:
                return struct.unpack('!I', said[8:12])[0]
        print(port, hops, answer(answers, fits, 4 if hops == 2 else 1))
"
        .replace("FAMILIES", families),
    );
    assert!(heard.contains("4101 (11, 0, '192.0.2.1', (1, '1234'), 48, True)\n"), "{heard}");
    assert!(heard.contains("80 2 2001\n81 1 silence\n81 2 2001\n81 1 silence\n"), "{heard}");
    // A probe that a traceroute has given up takes no room for long, although the app does not
    // report it.
    let forgotten = || tunnel.status()["flows"]["tcp"] == 0;
    assert!(until(PATIENCE, forgotten), "{}", tunnel.status()["flows"]);
}

#[test]
fn a_router_that_refuses_a_connection_is_heard_as_it_spoke() {
    if lacks(Lack::ConnectErrors) {
        return;
    }
    let Some((lab, _tunnel)) = tunnelled_lab(&[]) else { return };
    let _closed_and_open = web_server(&lab);
    for (port, with) in [
        (82, "icmp-admin-prohibited"),
        (84, "icmp-port-unreachable"),
        (85, "icmp-net-unreachable"),
        (86, "icmp-host-unreachable"),
        (87, "tcp-reset"),
    ] {
        must(
            &lab,
            Place::Router,
            &format!("iptables -A FORWARD -p tcp --dport {port} -j REJECT --reject-with {with}"),
        );
    }
    let heard = same_on_both_ways(
        &lab,
        "
icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
for port in [80, 81, 82, 83, 84, 85, 86, 87]:
    s = socket.socket()
    s.settimeout(8)
    error = s.connect_ex((server, port))
    def fits(packet):
        message = packet[20:]
        if message[0] == 3 and message[17] == 6 and message[30:32] == struct.pack('!H', port):
            return message[0], message[1], socket.inet_ntoa(packet[12:16])
    print(port, error, answer(icmp, fits, 0.5))
",
    );
    assert!(heard.contains("82 113 (3, 13, '192.0.2.1')\n"), "{heard}");
}
