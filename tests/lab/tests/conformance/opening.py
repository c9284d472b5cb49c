"""The start of a connection: options that the handshake agrees on, and those that it does not."""


def pieces(raw, count, patience=PATIENCE):
    """The largest piece, and the number of bytes."""
    sizes, got = set(), 0
    while got < count and (segment := raw.receive(patience, lambda s: s.data and s.seq == raw.ack & 0xFFFFFFFF)):
        sizes.add(segment.piece)
        got += len(segment.data)
        raw.ack += len(segment.data)
        raw.send(ACK)
    return max(sizes, default=0), got


@probe("a SYN-ACK that is not answered comes again, later each time")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    times, numbers = [], set()
    while len(times) < 3 and (segment := raw.receive(8)):
        times.append(time.monotonic())
        numbers.add((segment.names(), segment.seq))
    first, second = times[1] - times[0], times[2] - times[1]
    yield len(numbers), 0.8 < first < 1.5, 1.5 < second / first < 2.5
    raw.close()


for size in [1000, 100, 48, 20, 1, 0]:
    @probe(f"a SYN's MSS of {size} bounds what comes")
    def _(size=size):
        raw = obeying("say 3000", options=mss(size))
        yield pieces(raw, 3000)
        raw.close()


@probe("without an MSS pieces have 536 bytes")
def _():
    raw = obeying("say 3000", options=b"")
    yield pieces(raw, 3000)
    raw.close()


@probe("of two MSS options the last counts")
def _():
    raw = obeying("say 3000", options=mss(1000) + mss(700))
    yield pieces(raw, 3000)
    raw.close()


@probe("a window scale of 15 is taken for 14")
def _():
    raw = obeying("say 5000", options=MSS + bytes([1, 3, 3, 15]), window=1)
    yield raw.gather(5000)
    raw.close()


@probe("a window is not scaled if the SYN did not offer it")
def _():
    raw = obeying("say 5000", options=MSS, window=900)
    yield raw.gather(901, 0.15)
    raw.close()


@probe("a SYN's own window is not scaled")
def _():
    raw = Raw(OBEYS)
    raw.send(SYN, options=MSS + SCALE, window=500)
    answer = raw.receive()
    raw.seq, raw.ack = raw.seq + 1, answer.seq + 1
    raw.say(b"say 500\n", window=2)
    yield raw.gather(500, 0.15)
    raw.close()


@probe("SYN that asks for ECN")
def _():
    raw = Raw()
    yield short(raw.open(flags=SYN | ECE | CWR))
    raw.close()


@probe("SYN that asks for a Fast Open cookie")
def _():
    raw = Raw()
    yield has(raw.open(MSS + bytes([34, 2])), 34)
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("SYN with a Fast Open cookie and data")
def _():
    raw = Raw()
    raw.send(SYN, b"early", MSS + bytes([34, 10]) + b"8 bytes.")
    answer = raw.receive()
    yield has(answer, 34), answer.ack - 1000
    raw.seq, raw.ack = 1001, answer.seq + 1
    raw.say(b"early")
    yield raw.hear(5)
    raw.close()


@probe("SYN with an MD5 signature")
def _():
    raw = Raw()
    yield short(raw.open(MSS + bytes([19, 18]) + bytes(16)))
    raw.close()


@probe("an MD5 signature in the handshake's ACK, then the ACK without")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    raw.seq, raw.ack = 1001, answer.seq + 1
    raw.send(ACK | PSH, b"signed", options=bytes([19, 18]) + bytes(16))
    yield short(raw.receive(0.5))
    raw.say(b"hello.")
    yield raw.hear(6)
    raw.close()


@probe("RST to a SYN-ACK")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    raw.send(RST, seq=1001)
    yield short(raw.receive(1.5))
    raw.send(ACK, seq=1001, ack=answer.seq + 1)
    yield short(raw.receive())
    raw.close()


@probe("RST outside of the window to a SYN-ACK")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    raw.send(RST, seq=900)
    raw.seq, raw.ack = 1001, answer.seq + 1
    raw.say(b"hello")
    yield raw.hear(5)
    raw.close()


@probe("another SYN in SYN-RECEIVED")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    raw.receive()
    raw.send(SYN, options=MSS, seq=1500)
    yield short(raw.receive(0.5))
    raw.close()


@probe("FIN with the handshake's ACK")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    raw.seq, raw.ack = 1001, answer.seq + 1
    raw.send(FIN | ACK)
    raw.seq += 1
    yield relative(raw, raw.fin())
    raw.close()


@probe("data in the wrong order before the handshake's ACK")
def _():
    raw = Raw()
    raw.send(SYN, options=MSS)
    answer = raw.receive()
    raw.seq, raw.ack = 1001, answer.seq + 1
    raw.send(ACK | PSH, b"world", seq=1006)
    raw.send(ACK | PSH, b"hello")
    raw.seq += 10
    yield raw.hear(10)
    raw.close()


@probe("the server speaks first")
def _():
    raw = Raw()
    raw.open()
    yield short(raw.receive(0.3))
    raw.close()


@probe("timestamps that no SYN offered are ignored")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello", options=bytes([1, 1, 8, 10]) + struct.pack("!II", 7, 0))
    segment = raw.receive(fits=lambda s: s.data)
    yield segment.data, has(segment, 8)
    raw.close()
