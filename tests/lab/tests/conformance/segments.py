"""Sends segments that a kernel's own sockets never send, and prints what comes back, a line each.

Usage: segments.py SERVER PORT CLOSED_PORT

A port of its own for each probe. The kernel knows no such connections and would reset them: a filter must
drop its resets for these ports, which lack the mark 1 of what is sent here.
"""
import select
import socket
import struct
import sys
import time

SERVER, PORT, CLOSED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
FAMILY = socket.AF_INET6 if ":" in SERVER else socket.AF_INET
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32
NAMES = "FSRPAUEC"
PATIENCE = 3
MSS = bytes([2, 4, 5, 180])


def total(data):
    data += b"\0" * (len(data) % 2)
    n = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while n >> 16:
        n = (n & 0xFFFF) + (n >> 16)
    return ~n & 0xFFFF


def own_address():
    s = socket.socket(FAMILY, socket.SOCK_DGRAM)
    s.connect((SERVER, 9))
    return s.getsockname()[0]


ME = own_address()
PSEUDO = socket.inet_pton(FAMILY, ME) + socket.inet_pton(FAMILY, SERVER)


class Segment:
    def __init__(self, bytes_):
        self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window = struct.unpack(
            "!HHIIBBH", bytes_[:16]
        )
        header = 4 * (offset >> 4)
        self.options, self.data = bytes_[20:header], bytes_[header:]

    def names(self):
        return "".join(name for bit, name in enumerate(NAMES) if self.flags >> bit & 1)

    def kinds(self):
        """The kinds of its options, without padding."""
        found, at = [], 0
        while at < len(self.options):
            kind = self.options[at]
            if kind == 0:
                break
            if kind != 1:
                found.append(kind)
            at += 1 if kind == 1 else max(2, self.options[at + 1])
        return sorted(found)


class Raw:
    """One connection made by hand."""

    next_port = 45000

    def __init__(self, port=PORT):
        self.port, self.own = port, Raw.next_port
        Raw.next_port += 1
        self.socket = socket.socket(FAMILY, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.socket.bind((ME, 0))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)
        self.seq, self.ack = 1000, 0

    def send(self, flags, data=b"", options=b"", seq=None, ack=None, window=60000, reserved=0, spoil=0, urgent=0):
        options += b"\1" * (-len(options) % 4)
        seq = self.seq if seq is None else seq
        ack = (self.ack if flags & ACK else 0) if ack is None else ack
        head = struct.pack(
            "!HHIIBBHHH",
            self.own, self.port, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
            (5 + len(options) // 4) << 4 | reserved, flags, window, 0, urgent,
        )
        segment = head + options + data
        pseudo = PSEUDO + struct.pack("!II", len(segment), socket.IPPROTO_TCP)
        check = total(pseudo + segment) ^ spoil
        self.socket.sendto(segment[:16] + struct.pack("!H", check) + segment[18:], (SERVER, 0))

    def receive(self, patience=PATIENCE, fits=lambda segment: True):
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0 and select.select([self.socket], [], [], left)[0]:
            packet = self.socket.recv(65535)
            segment = Segment(packet[20:] if FAMILY == socket.AF_INET else packet)
            if (segment.sport, segment.dport) == (self.port, self.own) and fits(segment):
                return segment
        return None

    def open(self, options=MSS, **words):
        self.send(SYN, options=options, **words)
        answer = self.receive()
        if answer is None or answer.flags & (SYN | ACK) != SYN | ACK:
            return answer
        self.seq, self.ack = self.seq + 1, answer.seq + 1
        self.send(ACK)
        return answer

    def say(self, data, **words):
        self.send(ACK | PSH, data, **words)
        self.seq += len(data)

    def hear(self, count):
        """So many bytes of the stream, each acknowledged."""
        got = b""
        while len(got) < count and (segment := self.receive(fits=lambda s: s.data and s.seq == self.ack & 0xFFFFFFFF)):
            got += segment.data
            self.ack += len(segment.data)
            self.send(ACK)
        return got

    def close(self):
        self.send(RST | ACK)
        self.socket.close()


def short(segment):
    """What an app's kernel can tell of an answer, without numbers that may differ."""
    return "silence" if segment is None else segment.names()


def relative(raw, segment):
    """An answer with its numbers, from what the connection stands at."""
    if segment is None:
        return "silence"
    ack = (segment.ack - raw.seq) & 0xFFFFFFFF
    seq = (segment.seq - raw.ack) & 0xFFFFFFFF
    return f"{segment.names()} seq{seq if seq < 1 << 31 else seq - (1 << 32):+} ack{ack if ack < 1 << 31 else ack - (1 << 32):+}"


def has(segment, *kinds):
    return "silence" if segment is None else [kind in segment.kinds() for kind in kinds]


PROBES = []


def probe(name):
    def keep(run):
        PROBES.append((name, run))
        return run
    return keep


# RFC 9293 3.1: the checksum is never optional (MUST-2, MUST-3).

@probe("SYN with a wrong checksum")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS, spoil=1)
    yield short(raw.receive(1))
    raw.close()


@probe("data with a wrong checksum, then the same with a right one")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK | PSH, b"spoilt", spoil=0x101)
    yield short(raw.receive(1, lambda s: s.data))
    raw.say(b"whole.")
    yield raw.hear(6)
    raw.close()


# 3.2: options (MUST-4 to MUST-8, MUST-14 to MUST-16).

@probe("SYN with an unknown option")
def _():
    raw = Raw()
    yield short(raw.open(MSS + bytes([253, 6, 1, 2, 3, 4])))
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("data with an unknown option")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello", options=bytes([253, 4, 1, 2]))
    yield raw.hear(5)
    raw.close()


for length in [0, 1, 200]:
    @probe(f"SYN with an option of length {length}")
    def _(length=length):
        raw = Raw()
        yield short(raw.open(bytes([253, length, 1, 2])))
        raw.close()


@probe("SYN with nothing but padding for options")
def _():
    raw = Raw()
    yield short(raw.open(b"\1\1\1\0"))
    raw.close()


@probe("SYN without options gets no window scale, SACK or timestamps")
def _():
    raw = Raw()
    yield has(raw.open(b""), 3, 4, 8)
    raw.close()


@probe("SYN with window scale and SACK gets both")
def _():
    raw = Raw()
    yield has(raw.open(MSS + bytes([3, 3, 7, 4, 2])), 2, 3, 4)
    raw.close()


@probe("SYN with timestamps gets timestamps")
def _():
    raw = Raw()
    yield has(raw.open(MSS + bytes([8, 10]) + struct.pack("!II", 1, 0)), 8)
    raw.close()


@probe("SYN with an MSS option of a wrong length")
def _():
    raw = Raw()
    yield short(raw.open(bytes([2, 6, 5, 180, 0, 0])))
    raw.close()


# 3.1: reserved bits are ignored.

@probe("SYN with reserved bits")
def _():
    raw = Raw()
    yield short(raw.open(reserved=14))
    raw.close()


@probe("data with reserved bits")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello", reserved=14)
    yield raw.hear(5)
    raw.close()


# 3.10.7: what arrives in which state.

@probe("SYN to a closed port")
def _():
    raw = Raw(CLOSED)
    raw.send(SYN, options=MSS)
    yield relative(raw, raw.receive())
    raw.close()


@probe("ACK without a connection")
def _():
    raw = Raw()
    raw.send(ACK, seq=5000, ack=7000)
    answer = raw.receive()
    yield short(answer), answer and answer.seq
    raw.close()


@probe("RST without a connection")
def _():
    raw = Raw()
    raw.send(RST, seq=5000)
    yield short(raw.receive(1))
    raw.close()


@probe("SYN and RST")
def _():
    raw = Raw()
    raw.send(SYN | RST, options=MSS)
    yield short(raw.receive(1))
    raw.close()


@probe("SYN and FIN")
def _():
    raw = Raw()
    raw.send(SYN | FIN, options=MSS)
    yield short(raw.receive(1))
    raw.close()


@probe("SYN again in SYN-RECEIVED")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    first = raw.receive()
    raw.send(SYN, options=MSS)
    again = raw.receive()
    yield short(first), short(again), first.seq == again.seq
    raw.close()


@probe("a wrong ACK in SYN-RECEIVED")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    raw.send(ACK, seq=1001, ack=answer.seq + 77)
    reset = raw.receive(fits=lambda s: s.flags & RST)
    yield short(reset), reset and (reset.seq - answer.seq) & 0xFFFFFFFF
    raw.close()


@probe("data with the handshake's ACK")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    raw.seq, raw.ack = 1001, answer.seq + 1
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("data in a SYN")
def _():
    raw = Raw()
    raw.send(SYN, b"early", MSS)
    answer = raw.receive()
    yield short(answer), answer.ack - 1000
    raw.close()


@probe("SYN in ESTABLISHED")
def _():
    raw = Raw()
    raw.open()
    raw.send(SYN, options=MSS, seq=raw.seq + 5)
    yield relative(raw, raw.receive())
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("RST within the window, not at its left edge")
def _():
    raw = Raw()
    raw.open()
    raw.send(RST, seq=raw.seq + 5)
    yield relative(raw, raw.receive())
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("RST outside of the window")
def _():
    raw = Raw()
    raw.open()
    raw.send(RST, seq=raw.seq - 5)
    yield short(raw.receive(1))
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("RST at the left edge of the window")
def _():
    raw = Raw()
    raw.open()
    raw.send(RST, seq=raw.seq)
    yield short(raw.receive(1))
    raw.send(ACK)
    yield short(raw.receive())
    raw.close()


@probe("an old segment again")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello")
    yield raw.hear(5)
    raw.send(ACK | PSH, b"hello", seq=raw.seq - 5)
    yield relative(raw, raw.receive())
    raw.close()


@probe("a keepalive probe")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK, seq=raw.seq - 1)
    yield relative(raw, raw.receive())
    raw.close()


@probe("data far beyond the window")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK | PSH, b"far", seq=raw.seq + (1 << 30))
    yield relative(raw, raw.receive())
    raw.close()


@probe("an ACK of what was never sent")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK, ack=raw.ack + 9999)
    yield relative(raw, raw.receive())
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("data without ACK")
def _():
    raw = Raw()
    raw.open()
    raw.send(PSH, b"hello")
    yield short(raw.receive(1))
    raw.close()


@probe("segments in the wrong order")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK | PSH, b"world", seq=raw.seq + 5)
    yield relative(raw, raw.receive())
    raw.send(ACK | PSH, b"hello")
    raw.seq += 10
    yield raw.hear(10)
    raw.close()


@probe("overlapping segments")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK | PSH, b"hell")
    raw.send(ACK | PSH, b"lo wo", seq=raw.seq + 3)
    raw.seq += 8
    yield raw.hear(8)
    raw.close()


# 3.6: closing.

@probe("FIN, and the other end's")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK)
    raw.seq += 1
    fin = raw.receive(fits=lambda s: s.flags & FIN)
    yield relative(raw, fin)
    raw.ack += 1
    raw.send(ACK)
    raw.close()


@probe("FIN with data")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK | PSH, b"hello")
    raw.seq += 6
    yield raw.hear(5)
    yield relative(raw, raw.receive(fits=lambda s: s.flags & FIN))
    raw.close()


@probe("FIN again")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK)
    raw.seq += 1
    raw.receive(fits=lambda s: s.flags & FIN)
    raw.ack += 1
    raw.send(ACK)
    raw.send(FIN | ACK, seq=raw.seq - 1)
    # Its end is in no state any more: it closed second.
    yield short(raw.receive())
    raw.close()


@probe("data after FIN")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK)
    raw.seq += 1
    raw.receive(fits=lambda s: s.flags & FIN)
    raw.ack += 1
    raw.send(ACK)
    raw.say(b"late")
    yield short(raw.receive())
    raw.close()


# 3.8.6: windows.

@probe("a window of zero is probed and opens again")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello", window=0)
    first = raw.receive(fits=lambda s: not s.data)
    yield short(first)
    held = raw.receive(0.1, fits=lambda s: len(s.data) > 1)
    yield short(held)
    raw.send(ACK)
    yield raw.hear(5)
    raw.close()


@probe("what is not acknowledged comes again")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello")
    first = raw.receive(fits=lambda s: s.data)
    again = raw.receive(fits=lambda s: s.data)
    yield first.data, again and (again.data, again.seq == first.seq)
    raw.close()


for name, run in PROBES:
    try:
        print(f"{name}: {' | '.join(str(part) for part in run())}", flush=True)
    except Exception as error:
        print(f"{name}: the probe failed: {error!r}", flush=True)
