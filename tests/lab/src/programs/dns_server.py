"""A nameserver for the lab, by UDP and TCP: `dns_server.py ADDRESS`. It has records of every type
under lab.test, and fails in every way that a server can. Answers too large for the client's UDP
size are truncated (RFC 6891).

A name of any zone that begins with addresses in hexadecimal has these addresses, which a zone's
owner may choose freely: `ip-7f000001.ip-cb00710a.evil.test` is 127.0.0.1 and 203.0.113.10. Such
answers are marked as authentic (AD)."""
import socket, struct, sys, threading, time

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, HTTPS, CAA = 1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 65, 257
UNKNOWN = 65280
# Python does not name it (socket(7)).
SO_RCVBUFFORCE = 33


def name(text):
    labels = [label for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"


def texts(size):
    whole = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    pieces = [whole[at:at + 255] for at in range(0, size, 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces)


def address(text, family=socket.AF_INET):
    return socket.inet_pton(family, text)


AUTHORITY = name("ns.lab.test") + name("admin.lab.test") + struct.pack("!5I", 7, 3600, 600, 86400, 5)
RECORDS = {
    ("www.lab.test", A): [address("203.0.113.10")],
    ("www.lab.test", AAAA): [address("2001:db8:f::10", socket.AF_INET6)],
    ("lab.test", MX): [struct.pack("!H", 10) + name("mail.lab.test")],
    ("lab.test", TXT): [b"\x05hello"],
    ("_web._tcp.lab.test", SRV): [struct.pack("!3H", 1, 2, 80) + name("www.lab.test")],
    ("10.113.0.203.in-addr.arpa", PTR): [name("www.lab.test")],
    ("lab.test", SOA): [AUTHORITY],
    ("lab.test", NS): [name("ns.lab.test")],
    ("lab.test", CAA): [b"\0\x05issueca.test"],
    ("lab.test", HTTPS): [struct.pack("!H", 1) + b"\0" + struct.pack("!2H", 1, 3) + b"\x02h2"],
    ("lab.test", UNKNOWN): [bytes([1, 2, 3, 4])],
    ("big.lab.test", TXT): [texts(3000)],
    ("bytes.lab.test", TXT): [b"\x05\xc3\xa9\xff\x80!"],
    ("huge.lab.test", TXT): [texts(60000)],
    ("alias.lab.test", CNAME): [name("www.lab.test")],
}
NAMES = {owner for owner, _ in RECORDS}
CODES = {"servfail": 2, "notimp": 4, "refused": 5}


def spelled(owner, kind):
    """The records encoded in a name; an HTTPS record has the addresses as hints (RFC 9460)."""
    spelled = [bytes.fromhex(label[3:]) for label in owner.split(".") if label.startswith("ip-")]
    if not spelled:
        return None
    v4, v6 = ([ip for ip in spelled if len(ip) == length] for length in (4, 16))
    if kind == HTTPS:
        hints = [(key, b"".join(ips)) for key, ips in ((4, v4), (6, v6)) if ips]
        return [struct.pack("!H", 1) + b"\0" + b"".join(struct.pack("!2H", key, len(ips)) + ips for key, ips in hints)]
    return {A: v4, AAAA: v6}.get(kind, [])


def question(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    kind, _ = struct.unpack("!2H", message[at + 1:at + 5])
    return ".".join(labels).lower(), kind, at + 5


def payload_size(message, end):
    """The client's UDP size, from the only OPT record, right after the question."""
    if struct.unpack("!H", message[10:12])[0] and message[end:end + 3] == b"\0\0\x29":
        return max(512, struct.unpack("!H", message[end + 3:end + 5])[0]), True
    return 512, False


def record(owner, kind, data):
    return name(owner) + struct.pack("!HHIH", kind, 1, 60, len(data)) + data


def answer(message, over_udp):
    owner, kind, end = question(message)
    most, edns = payload_size(message, end)
    first = owner.split(".")[0]
    if first == "silent":
        return None
    if first == "slow":
        time.sleep(1)
    answers, authority, code = [], [], CODES.get(first, 0)
    chosen = spelled(owner, kind)
    authentic = 0 if chosen is None else 0x0020
    if chosen is not None:
        answers = [record(owner, kind, data) for data in chosen]
    elif first.startswith("number"):
        answers = [record(owner, A, struct.pack("!I", int(first[6:])))] if kind == A else []
    elif (owner, kind) in RECORDS:
        answers = [record(owner, kind, data) for data in RECORDS[owner, kind]]
    elif (owner, CNAME) in RECORDS:
        answers = [record(owner, CNAME, RECORDS[owner, CNAME][0])]
        answers += [record("www.lab.test", kind, data) for data in RECORDS.get(("www.lab.test", kind), [])]
    elif not code:
        code, authority = 0 if owner in NAMES else 3, [record("lab.test", SOA, AUTHORITY)]
    option = [b"\0" + struct.pack("!HHIH", OPT, 4096, 0, 0)] if edns else []

    def whole(flags, answers, authority):
        counts = struct.pack("!4H", 1, len(answers), len(authority), len(option))
        body = b"".join(answers + authority + option)
        return message[:2] + struct.pack("!H", 0x8180 | authentic | flags | code) + counts + message[12:end] + body

    full = whole(0, answers, authority)
    return whole(0x0200, [], []) if over_udp and len(full) > most else full


def serve_udp(server, message, peer):
    reply = answer(message, True)
    if reply:
        server.sendto(reply, peer)


def serve_tcp(client):
    def read(count):
        data = b""
        while len(data) < count:
            piece = client.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data
    try:
        while True:
            reply = answer(read(struct.unpack("!H", read(2))[0]), False)
            if reply:
                client.sendall(struct.pack("!H", len(reply)) + reply)
    except (EOFError, OSError):
        client.close()


def udp_loop(server):
    while True:
        message, peer = server.recvfrom(65535)
        threading.Thread(target=serve_udp, args=(server, message, peer), daemon=True).start()


udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
# Some tests flood this server with questions, and none of them may be lost here.
udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
udp.bind((sys.argv[1], 53))
tcp = socket.create_server((sys.argv[1], 53), backlog=512)
threading.Thread(target=udp_loop, args=(udp,), daemon=True).start()
while True:
    client, _ = tcp.accept()
    threading.Thread(target=serve_tcp, args=(client,), daemon=True).start()
