"""How a connection ends, in each state of either end."""


def server_closed(order):
    """A connection that the server has ended; its FIN is acknowledged."""
    raw = obeying(order)
    raw.fin()
    raw.ack += 1
    raw.send(ACK)
    return raw


@probe("the server closes first, then the app")
def _():
    raw = obeying("finish")
    yield relative(raw, raw.fin())
    raw.ack += 1
    raw.send(ACK)
    raw.send(FIN | ACK)
    raw.seq += 1
    yield relative(raw, raw.receive())
    raw.close()


@probe("the app speaks on after the server's FIN")
def _():
    raw = server_closed("finish")
    raw.say(b"say 1\n")
    yield relative(raw, raw.receive())
    raw.send(FIN | ACK)
    raw.seq += 1
    yield relative(raw, raw.receive())
    raw.close()


@probe("the server speaks on after the app's FIN")
def _():
    raw = Raw(OBEYS)
    raw.open()
    raw.send(ACK | PSH | FIN, b"pause 200\nsay 300\nclose\n")
    raw.seq += 25
    yield raw.hear(300) == START[:300]
    yield relative(raw, raw.fin())
    raw.close()


@probe("FIN again in TIME-WAIT")
def _():
    raw = server_closed("finish")
    raw.send(FIN | ACK)
    raw.seq += 1
    raw.receive()
    raw.send(FIN | ACK, seq=raw.seq - 1)
    yield relative(raw, raw.receive())
    raw.close()


@probe("ACK in TIME-WAIT")
def _():
    raw = server_closed("finish")
    raw.send(FIN | ACK)
    raw.seq += 1
    raw.receive()
    raw.send(ACK)
    yield short(raw.receive(0.3))
    raw.close()


@probe("RST in TIME-WAIT, then FIN again")
def _():
    raw = server_closed("finish")
    raw.send(FIN | ACK)
    raw.seq += 1
    raw.receive()
    raw.send(RST, seq=raw.seq)
    raw.send(FIN | ACK, seq=raw.seq - 1)
    yield short(raw.receive(0.5))
    raw.close()


for name, ahead in [("beyond", 5000), ("below", -500)]:
    @probe(f"SYN in TIME-WAIT, {name} the former numbers")
    def _(ahead=ahead):
        raw = server_closed("finish")
        raw.send(FIN | ACK)
        raw.seq += 1
        raw.receive()
        raw.send(SYN, options=MSS, seq=raw.seq + ahead)
        yield short(raw.receive())
        raw.close()


@probe("both close at the same time")
def _():
    raw = obeying("finish")
    raw.fin()
    # As if sent before the other's FIN came.
    raw.send(FIN | ACK)
    raw.seq += 1
    yield relative(raw, raw.receive(fits=lambda s: s.ack == raw.seq))
    raw.ack += 1
    raw.send(ACK)
    raw.send(FIN | ACK, seq=raw.seq - 1)
    yield relative(raw, raw.receive(fits=lambda s: not s.flags & FIN))
    raw.close()


@probe("a FIN that is not acknowledged comes again")
def _():
    raw = obeying("finish")
    first, again = raw.fin(), raw.fin(5)
    yield short(again), again and again.seq == first.seq
    raw.close()


@probe("a FIN that is not acknowledged in LAST-ACK comes again")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK)
    raw.seq += 1
    first, again = raw.fin(), raw.fin(5)
    yield short(again), again and again.seq == first.seq
    raw.close()


@probe("an ACK in LAST-ACK that is not of the FIN")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK)
    raw.seq += 1
    raw.fin()
    raw.send(ACK)
    yield short(raw.receive(0.15, lambda s: not s.flags & FIN))
    raw.close()


@probe("a FIN that was sent before the ACK of the server's FIN")
def _():
    raw = obeying("finish")
    raw.fin()
    raw.send(ACK, seq=raw.seq + 1, ack=raw.ack + 1)
    raw.send(FIN | ACK)
    raw.seq, raw.ack = raw.seq + 1, raw.ack + 1
    yield relative(raw, raw.receive(fits=lambda s: s.ack == raw.seq))
    raw.close()


@probe("the same data again, with FIN")
def _():
    raw = obeying("say 1")
    raw.hear(1)
    raw.send(FIN | ACK | PSH, b"say 1\n", seq=raw.seq - 6)
    raw.seq += 1
    yield relative(raw, raw.fin())
    raw.close()


@probe("FIN before the data that precede it")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK, seq=raw.seq + 5)
    yield relative(raw, raw.receive())
    raw.send(ACK | PSH, b"hello")
    raw.seq += 6
    yield raw.hear(5)
    yield relative(raw, raw.fin())
    raw.close()


@probe("data with FIN before the data that precede them")
def _():
    raw = Raw()
    raw.open()
    raw.send(FIN | ACK | PSH, b"world", seq=raw.seq + 5)
    raw.receive()
    raw.send(ACK | PSH, b"hello")
    raw.seq += 11
    yield raw.hear(10)
    yield relative(raw, raw.fin())
    raw.close()


@probe("the server closes with bytes unread")
def _():
    raw = obeying("unread")
    raw.say(b"more")
    answer = raw.receive(fits=lambda s: s.flags & (RST | FIN))
    yield relative(raw, answer)
    raw.close()


@probe("the server resets")
def _():
    raw = obeying("reset")
    yield relative(raw, raw.receive(fits=lambda s: s.flags & (RST | FIN)))
    raw.send(ACK)
    yield short(raw.receive())
    raw.close()


@probe("the server resets after data")
def _():
    raw = obeying("say 100", "reset")
    heard = 0
    while (answer := raw.receive()) and not answer.flags & (RST | FIN):
        heard += len(answer.data)
    yield heard, relative(raw, answer)
    raw.close()


@probe("data for a server that has closed")
def _():
    raw = server_closed("close")
    raw.say(b"late")
    yield raw.receive(10, lambda s: s.flags & RST) is not None
    raw.send(ACK)
    yield short(raw.receive())
    raw.close()


@probe("data for a server that has shut down both directions")
def _():
    raw = server_closed("shut")
    raw.say(b"late")
    yield raw.receive(10, lambda s: s.flags & RST) is not None
    raw.close()


@probe("data for a server that has shut down receiving")
def _():
    raw = obeying("deaf 700")
    raw.receive(0.2)
    raw.say(b"late")
    yield short(raw.receive(0.4, lambda s: s.ack == raw.seq))
    raw.close()


@probe("shutdown of both directions after much data")
def _():
    raw = obeying("say 20000", "shut", options=mss(1000) + SCALE)
    yield raw.hear(20000) == (START * 2)[:20000]
    yield raw.fin() is not None
    raw.close()


@probe("RST after the server's FIN")
def _():
    raw = server_closed("finish")
    raw.send(RST, seq=raw.seq)
    yield short(raw.receive(0.3))
    raw.send(FIN | ACK)
    yield short(raw.receive())
    raw.close()


@probe("RST within the window after the server's FIN")
def _():
    raw = server_closed("finish")
    raw.send(RST, seq=raw.seq + 5)
    yield relative(raw, raw.receive(0.5))
    raw.close()


@probe("RST after the app's FIN")
def _():
    raw = Raw(OBEYS)
    raw.open()
    raw.send(ACK | PSH | FIN, b"pause 600\n")
    raw.seq += 11
    raw.receive(0.3)
    raw.send(RST | ACK)
    yield short(raw.receive(0.3))
    raw.send(ACK)
    yield short(raw.receive())
    raw.close()


@probe("RST with data")
def _():
    raw = Raw()
    raw.open()
    raw.send(RST | ACK, b"go away")
    yield short(raw.receive(0.3))
    raw.send(ACK)
    yield short(raw.receive())
    raw.close()


@probe("SYN after the app's FIN")
def _():
    raw = Raw(OBEYS)
    raw.open()
    raw.send(ACK | PSH | FIN, b"pause 900\n")
    raw.seq += 11
    raw.receive(0.3)
    raw.send(SYN, options=MSS, seq=raw.seq + 5000)
    yield relative(raw, raw.receive(0.5))
    raw.close()


@probe("data beyond the app's FIN")
def _():
    raw = Raw(OBEYS)
    raw.open()
    raw.send(ACK | PSH | FIN, b"pause 900\n")
    raw.seq += 11
    raw.receive(0.3)
    raw.send(ACK | PSH, b"more")
    yield short(raw.receive(0.5))
    raw.close()
