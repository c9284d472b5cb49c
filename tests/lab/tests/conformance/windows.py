"""Windows: ours, which limit the other end's data, and the other end's."""

FILL = b"x" * 1400


def filled():
    """A connection with a closed window, all data acknowledged. Its server waits for `go`."""
    raw = Raw(OBEYS)
    answer = raw.open(MSS + SCALE)
    shift = dict(answer.each()).get(3, b"\0")[0]
    raw.say(b"await %d\n" % raw.own)
    raw.say(b"count\n")
    edge, end = raw.seq + 1400, time.monotonic() + 30
    while time.monotonic() < end:
        while (room := signed(edge - raw.seq)) > 0:
            raw.say(FILL[:room])
        heard = raw.receive(0.5)
        if heard is None:
            return raw
        while heard is not None:
            edge = heard.ack + (heard.window << shift)
            heard = raw.receive(0)
    raise TimeoutError("the window does not close")


def go_on(raw):
    """Lets the server of a connection read."""
    other = obeying(f"go {raw.own}")
    other.receive(1)
    other.close()


@probe("probes of a window of zero come later each time")
def _():
    raw = obeying("say 100", window=0)
    times = [time.monotonic()]
    while len(times) < 5 and raw.receive(10, lambda s: s.seq in (raw.ack, raw.ack - 1) and len(s.data) <= 1):
        times.append(time.monotonic())
        raw.send(ACK, window=0)
    gaps = [later - earlier for earlier, later in zip(times[1:], times[2:])]
    yield len(gaps), gaps[-1] > 1.5 * gaps[0]
    raw.send(ACK)
    yield raw.hear(100) == bytes(b"abcdefghijklmnopqrstuvwxyz" * 4)[:100]
    raw.close()


@probe("a window update alone lets more come")
def _():
    raw = obeying("say 2000", options=MSS, window=500)
    yield raw.gather(501, 0.15)
    raw.ack += 500
    raw.send(ACK, window=0)
    yield raw.receive(0.15, lambda s: len(s.data) > 1) is None
    raw.send(ACK, window=60000)
    yield raw.gather(1500)
    raw.close()


@probe("a window that shrinks lets nothing new come")
def _():
    raw = obeying("say 6000", options=MSS, window=3000)
    yield raw.gather(2900, 1) >= 2000
    raw.send(ACK, window=1000)
    yield raw.receive(0.15, lambda s: signed(s.seq - raw.ack) >= 3000) is None
    raw.send(ACK)
    yield len(raw.hear(6000))
    raw.close()


@probe("a window of one byte")
def _():
    raw = obeying("say 3", options=MSS, window=1)
    got = b""
    while len(got) < 3 and (segment := raw.receive(3, lambda s: s.data and s.seq == raw.ack & 0xFFFFFFFF)):
        got += segment.data[:1]
        raw.ack += 1
        raw.send(ACK, window=1)
    yield got
    raw.close()


@probe("the window of a server that does not read closes, and opens when it reads")
def _():
    raw = filled()
    raw.send(ACK, seq=raw.seq - 1)
    answer = raw.receive()
    yield answer.names(), answer.window
    go_on(raw)
    yield raw.receive(10, lambda s: s.window > 0) is not None
    raw.close()


@probe("a byte into a window of zero")
def _():
    raw = filled()
    raw.send(ACK | PSH, b"y")
    yield relative(raw, raw.receive(fits=lambda s: s.window == 0))
    raw.close()


@probe("FIN into a window of zero")
def _():
    raw = filled()
    raw.send(FIN | ACK)
    raw.seq += 1
    yield relative(raw, raw.receive())
    raw.close()


@probe("a keepalive probe with a byte")
def _():
    raw = Raw()
    raw.open()
    raw.say(b"hello")
    raw.hear(5)
    raw.send(ACK, b"?", seq=raw.seq - 1)
    yield relative(raw, raw.receive())
    raw.say(b"again")
    yield raw.hear(5)
    raw.close()


@probe("data that begin before the window's edge and end beyond it")
def _():
    raw = Raw(OBEYS)
    answer = raw.open(MSS)
    raw.say(b"pause 400\n")
    acked = raw.receive()
    raw.send(ACK | PSH, b"z" * 1400, seq=acked.ack + acked.window - 700)
    yield relative(raw, raw.receive())
    raw.close()


@probe("data are acknowledged although the server says nothing")
def _():
    raw = obeying("pause 1")
    answer = raw.receive(0.5, lambda s: s.ack == raw.seq)
    yield short(answer)
    raw.close()


@probe("urgent data")
def _():
    raw = Raw()
    raw.open()
    raw.send(ACK | PSH | URG, b"hello", urgent=5)
    raw.seq += 5
    raw.say(b"there")
    yield raw.hear(9)
    raw.close()
