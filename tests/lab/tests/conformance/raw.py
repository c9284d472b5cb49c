"""TCP by hand: connections of raw segments, and the answers. The probes are in the files beside
this one.

Usage: SERVER. Its port 7 echoes, port 8 follows commands (serve.py), port 9 is closed.

Each connection has its own port. The kernel knows none of them and would reset them: a filter must
drop its resets for these ports, which lack the mark 1 of the segments sent here. """
import itertools
import select
import socket
import struct
import sys
import time
from concurrent.futures import ThreadPoolExecutor

SERVER, PORT, OBEYS, CLOSED = sys.argv[1], 7, 8, 9
FAMILY = socket.AF_INET6 if ":" in SERVER else socket.AF_INET
FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = 1, 2, 4, 8, 16, 32, 64, 128
NAMES = "FSRPAUEC"
PATIENCE = 3
# Linux: SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING; SO_RCVBUFFORCE.
SOL_PACKET, PACKET_VNET_HDR, PACKET_OUTGOING, SO_RCVBUFFORCE = 263, 15, 4, 33
FRAME_HEADERS = 10 + 14
IP_HEADER = 40 if FAMILY == socket.AF_INET6 else 20


def mss(size):
    return struct.pack("!BBH", 2, 4, size)


MSS, SCALE, SACK = mss(1460), bytes([1, 3, 3, 7]), bytes([1, 1, 4, 2])


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
HERE, THERE = socket.inet_pton(FAMILY, ME), socket.inet_pton(FAMILY, SERVER)


def signed(number):
    number &= 0xFFFFFFFF
    return number if number < 1 << 31 else number - (1 << 32)


class Segment:
    def __init__(self, packet):
        """A frame after the kernel's header that says how to cut it (struct virtio_net_hdr)."""
        self.packet = packet[FRAME_HEADERS:]
        bytes_ = self.packet[IP_HEADER:]
        self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window = struct.unpack(
            "!HHIIBBH", bytes_[:16]
        )
        header = 4 * (offset >> 4)
        self.options, self.data = bytes_[20:header], bytes_[header:]
        # A packet that must not be cut has no size for its pieces.
        self.piece = struct.unpack_from("=H", packet, 4)[0] or len(self.data)

    def names(self):
        return "".join(name for bit, name in enumerate(NAMES) if self.flags >> bit & 1)

    def each(self):
        """Its options by kind, without padding."""
        at = 0
        while at < len(self.options) and self.options[at]:
            length = 1 if self.options[at] == 1 else max(2, self.options[at + 1])
            if length > 1:
                yield self.options[at], self.options[at + 2:at + length]
            at += length

    def kinds(self):
        return sorted(kind for kind, _ in self.each())


class Raw:
    """One connection made by hand."""

    ports = itertools.count(61000)

    def __init__(self, port=PORT, own=None):
        self.port, self.own = port, own or next(Raw.ports)
        self.out = socket.socket(FAMILY, socket.SOCK_RAW, socket.IPPROTO_TCP)
        self.out.bind((ME, 0))
        self.out.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, 1)
        # Super-packets come uncut, and a packet socket reports the size of their pieces.
        kind = 0x86DD if FAMILY == socket.AF_INET6 else 0x0800
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(kind))
        self.socket.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
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
        pseudo = HERE + THERE + struct.pack("!II", len(segment), socket.IPPROTO_TCP)
        check = total(pseudo + segment) ^ spoil
        self.out.sendto(segment[:16] + struct.pack("!H", check) + segment[18:], (SERVER, 0))

    def receive(self, patience=PATIENCE, fits=lambda segment: True):
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0 and select.select([self.socket], [], [], left)[0]:
            packet, where = self.socket.recvfrom(1 << 17)
            protocol = packet[FRAME_HEADERS + (6 if FAMILY == socket.AF_INET6 else 9)]
            if where[2] == PACKET_OUTGOING or protocol != socket.IPPROTO_TCP:
                continue
            segment = Segment(packet)
            if (segment.sport, segment.dport) == (self.port, self.own) and fits(segment):
                return segment
        return None

    def open(self, options=MSS, window=60000, flags=SYN, **words):
        self.send(flags, options=options, **words)
        answer = self.receive()
        if answer is None or answer.flags & (SYN | ACK) != SYN | ACK:
            return answer
        self.seq, self.ack = self.seq + 1, answer.seq + 1
        self.send(ACK, window=window)
        return answer

    def say(self, data, **words):
        self.send(ACK | PSH, data, **words)
        self.seq += len(data)

    def hear(self, count, patience=PATIENCE):
        """Reads `count` bytes of the stream, each acknowledged."""
        got = b""
        while len(got) < count and (
            segment := self.receive(patience, lambda s: s.data and s.seq == self.ack & 0xFFFFFFFF)
        ):
            got += segment.data
            self.ack += len(segment.data)
            self.send(ACK)
        return got

    def gather(self, count, patience=PATIENCE):
        """The number of new bytes, at most `count`, without acknowledging them."""
        reached, end = 0, time.monotonic() + patience
        while reached < count and (segment := self.receive(end - time.monotonic(), lambda s: s.data)):
            begin = signed(segment.seq - self.ack)
            if begin <= reached:
                reached = max(reached, begin + len(segment.data))
        return reached

    def fin(self, patience=PATIENCE):
        return self.receive(patience, lambda s: s.flags & FIN)

    def close(self):
        self.send(RST | ACK)
        self.out.close()
        self.socket.close()


def obeying(*orders, options=MSS + SCALE, window=60000):
    """A connection to the server that follows commands, with commands sent."""
    raw = Raw(OBEYS)
    raw.open(options, window)
    for order in orders:
        raw.say(order.encode() + b"\n", window=window)
    return raw


def short(segment):
    """An answer as an app's kernel sees it, without numbers that may differ."""
    return "silence" if segment is None else segment.names()


def relative(raw, segment):
    """An answer with its numbers, relative to the connection's position."""
    if segment is None:
        return "silence"
    return f"{segment.names()} seq{signed(segment.seq - raw.ack):+} ack{signed(segment.ack - raw.seq):+}"


def has(segment, *kinds):
    return "silence" if segment is None else [kind in segment.kinds() for kind in kinds]


PROBES, ALONE = [], []


def probe(name, alone=False):
    """A probe is a generator of its observations. One that changes others' path runs alone."""
    def keep(run):
        (ALONE if alone else PROBES).append((name, run))
        return run
    return keep
