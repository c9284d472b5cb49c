"""Segments that are lost, duplicated or reordered, both ways."""

START = b"abcdefghijklmnopqrstuvwxyz" * 400


def first_again(raw, patience):
    """Whether the first unacknowledged byte comes again in time."""
    return raw.receive(patience, lambda s: s.data and s.seq == raw.ack & 0xFFFFFFFF) is not None


def blocks(segment, raw):
    """SACK blocks, relative to the connection's position."""
    found = dict(segment.each()).get(5, b"")
    edges = [signed(edge - raw.seq) for edge in struct.unpack(f"!{len(found) // 4}I", found)]
    return list(zip(edges[::2], edges[1::2]))


def sack(raw, *edges):
    numbers = [raw.ack + edge & 0xFFFFFFFF for edge in edges]
    return bytes([1, 1, 5, 2 + 4 * len(edges)]) + struct.pack(f"!{len(edges)}I", *numbers)


@probe("how much comes before the first ACK")
def _():
    raw = obeying("say 50000", options=mss(1000) + SCALE)
    yield raw.gather(50000, 0.1)
    raw.close()


@probe("three duplicate ACKs bring the first segment again at once")
def _():
    raw = obeying("say 4000", options=mss(1000) + SCALE)
    yield raw.gather(4000)
    # The first is not a duplicate: it updates the window.
    for _ in range(4):
        raw.send(ACK)
    yield first_again(raw, 0.15)
    raw.ack += 4000
    raw.send(ACK)
    raw.say(b"say 3\n")
    yield raw.hear(3)
    raw.close()


@probe("the same with SACK")
def _():
    raw = obeying("say 4000", options=mss(1000) + SCALE + SACK)
    yield raw.gather(4000)
    for end in [2000, 3000, 4000]:
        raw.send(ACK, options=sack(raw, 1000, end))
    yield first_again(raw, 0.15)
    raw.ack += 4000
    raw.send(ACK)
    raw.close()


@probe("one duplicate ACK brings nothing again")
def _():
    raw = obeying("say 4000", options=mss(1000) + SCALE)
    yield raw.gather(4000)
    raw.send(ACK)
    raw.send(ACK)
    yield first_again(raw, 0.1)
    raw.close()


@probe("a duplicate ACK brings new data")
def _():
    raw = obeying("say 60000", options=mss(1000) + SCALE)
    there = raw.gather(60000, 0.1)
    raw.send(ACK)
    raw.send(ACK)
    yield there < 60000, raw.receive(0.1, lambda s: signed(s.seq - raw.ack) >= there) is not None
    raw.close()


@probe("what stays without an ACK comes again, later each time")
def _():
    raw = obeying("say 100")
    times = []
    while len(times) < 4 and raw.receive(10, lambda s: s.data and s.seq == raw.ack & 0xFFFFFFFF):
        times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    yield len(gaps), gaps[0] > 0.15, gaps[2] > 1.5 * gaps[1]
    raw.close()


@probe("an ACK of a part brings the rest")
def _():
    raw = obeying("say 4000", options=mss(1000) + SCALE)
    yield raw.gather(4000)
    yield first_again(raw, 3)
    raw.ack += 1000
    raw.send(ACK)
    yield raw.hear(3000, 10) == START[1000:4000]
    raw.close()


@probe("an ACK within a segment")
def _():
    raw = obeying("say 4000", options=mss(1000) + SCALE)
    yield raw.gather(4000)
    raw.ack += 1500
    raw.send(ACK)
    yield raw.hear(2500) == START[1500:4000]
    raw.close()


@probe("an old ACK is ignored")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello")
    raw.hear(5)
    raw.send(ACK, ack=raw.ack - 5)
    yield short(raw.receive(0.3))
    raw.say(b"again")
    yield raw.hear(5)
    raw.close()


@probe("100,000 bytes, of which five segments are dropped")
def _():
    raw, got, drop = obeying("say 100000", options=mss(1000) + SCALE), b"", 10000
    while len(got) < 100000 and (segment := raw.receive(10, lambda s: s.data)):
        begin = signed(segment.seq - raw.ack)
        if begin <= 0 and len(got) >= drop:
            drop += 20000
        elif begin <= 0:
            new = segment.data[-begin:]
            got, raw.ack = got + new, raw.ack + len(new)
        raw.send(ACK)
    yield len(got), got == (START * 10)[:100000]
    raw.close()


@probe("data that acknowledge less than was acknowledged")
def _():
    raw = obeying("say 5")
    before = raw.ack
    yield raw.hear(5)
    raw.send(ACK | PSH, b"say 2\n", ack=before)
    raw.seq += 6
    yield raw.hear(2)
    raw.close()


@probe("a segment in the wrong order is reported by SACK")
def _():
    raw = Raw()
    raw.open(MSS + SACK)
    raw.send(ACK | PSH, b"world", seq=raw.seq + 5)
    yield blocks(raw.receive(), raw)
    raw.send(ACK | PSH, b"hello")
    raw.seq += 10
    yield raw.hear(10)
    raw.close()


@probe("holes are reported by SACK, the latest first")
def _():
    raw = Raw()
    raw.open(MSS + SACK)
    for begin in [100, 300, 500]:
        raw.send(ACK | PSH, b"x" * 100, seq=raw.seq + begin)
        heard = raw.receive()
    yield blocks(heard, raw)
    raw.close()


@probe("SACK blocks that touch become one")
def _():
    raw = Raw()
    raw.open(MSS + SACK)
    for begin in [100, 200]:
        raw.send(ACK | PSH, b"x" * 100, seq=raw.seq + begin)
        heard = raw.receive()
    yield blocks(heard, raw)
    raw.close()


@probe("what came twice is reported by SACK (DSACK)")
def _():
    raw = Raw()
    raw.open(MSS + SACK)
    raw.say(b"hello")
    raw.hear(5)
    raw.send(ACK | PSH, b"hello", seq=raw.seq - 5)
    yield blocks(raw.receive(), raw)
    raw.close()


@probe("an ACK at once when a hole is filled")
def _():
    raw = obeying("pause 500")
    raw.receive(0.3)
    raw.send(ACK | PSH, b"x" * 100, seq=raw.seq + 100)
    yield relative(raw, raw.receive())
    raw.send(ACK | PSH, b"x" * 100)
    raw.seq += 200
    yield relative(raw, raw.receive())
    raw.close()


@probe("fifty holes, filled one by one")
def _():
    raw = Raw()
    raw.open(MSS)
    for number in range(50):
        raw.send(ACK | PSH, b"odd..", seq=raw.seq + 10 * number + 5)
    for number in range(50):
        raw.send(ACK | PSH, b"even.", seq=raw.seq + 10 * number)
    raw.seq += 500
    yield raw.hear(500) == b"even.odd.." * 50
    raw.close()


@probe("what comes again with other bytes")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello")
    raw.hear(5)
    raw.send(ACK | PSH, b"HELLO world", seq=raw.seq - 5)
    raw.seq += 6
    yield raw.hear(6)
    raw.close()


@probe("overlaps in the wrong order, with other bytes")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK | PSH, b"fghij", seq=raw.seq + 5)
    raw.send(ACK | PSH, b"DEFGHIJKL", seq=raw.seq + 3)
    raw.send(ACK | PSH, b"abc")
    raw.seq += 12
    yield raw.hear(12)
    raw.close()


@probe("a later segment covers an earlier one, with other bytes")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK | PSH, b"efg", seq=raw.seq + 4)
    raw.send(ACK | PSH, b"CDEFGHI", seq=raw.seq + 2)
    raw.send(ACK | PSH, b"ab")
    raw.seq += 9
    yield raw.hear(9)
    raw.close()


@probe("a segment without flags")
def _():
    raw = Raw()
    raw.open()
    raw.send(0, b"hello")
    yield short(raw.receive(0.5))
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()
