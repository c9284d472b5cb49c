"""Single segments that a kernel's own sockets never send, in the order of RFC 9293. tcpreq's
questions are among them."""

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


@probe("SYN with only padding for options")
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
