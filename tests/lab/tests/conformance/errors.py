"""ICMP errors about a connection, as a router or a filter on the app's side sends them."""


def report(segment, code, number=0):
    """An error that quotes a segment: by its code of IPv4's 'destination unreachable', and with an MTU."""
    if FAMILY == socket.AF_INET6:
        # 'Packet too big' is a separate type; the kernel fills in the checksum.
        kind, code = (2, 0) if code == 4 else (1, {1: 3, 3: 4}[code])
        message = struct.pack("!BBHI", kind, code, 0, number) + segment.packet[:1000]
        protocol = socket.IPPROTO_ICMPV6
    else:
        message = struct.pack("!BBHI", 3, code, 0, number) + segment.packet[:548]
        message = message[:2] + struct.pack("!H", total(message)) + message[4:]
        protocol = socket.IPPROTO_ICMP
    with socket.socket(FAMILY, socket.SOCK_RAW, protocol) as s:
        s.sendto(message, (SERVER, 0))


for code, name in [(3, "port"), (1, "host")]:
    @probe(f"'{name} unreachable' about an open connection")
    def _(code=code):
        raw = Raw()
        raw.open()
        raw.say(b"hello")
        segment = raw.receive(fits=lambda s: s.data)
        report(segment, code)
        raw.ack += 5
        raw.say(b"again")
        yield raw.hear(5)
        raw.close()


@probe("'host unreachable' about a SYN-ACK")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    report(answer, 1)
    raw.seq, raw.ack = 1001, answer.seq + 1
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("'too big' about what is not under way")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello")
    segment = raw.receive(fits=lambda s: s.data)
    raw.ack += 5
    raw.send(ACK)
    report(segment, 4, 1000)
    raw.say(b"x" * 1400)
    yield pieces(raw, 1400)
    raw.close()


@probe("'too big' makes pieces smaller", alone=True)
def _():
    raw = obeying("say 3000", options=mss(1400))
    yield raw.gather(3000, 1) >= 1400
    segment = raw.receive(4, lambda s: s.data and s.seq == raw.ack & 0xFFFFFFFF)
    report(segment, 4, 1300)
    yield pieces(raw, 3000, 10)
    raw.close()
