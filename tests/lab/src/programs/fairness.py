"""One user's attacks on the others, and the others' measurements.

fairness.py ATTACK ...             attacks until it is ended; prints 'ready' at its maximum
  black-hole ADDRESS COUNT         COUNT connects without an answer, each repeated when it fails
  idle ADDRESS COUNT               COUNT connections without a byte, refused ones repeated
  closes ADDRESS COUNT             COUNT connections that are closed at once, then more of them
  silent ADDRESS COUNT             COUNT questions a second without an answer
  dns-tcp ADDRESS COUNT            COUNT idle connections to a nameserver
  udp ADDRESS PORT COUNT           COUNT UDP sockets that send something every second
  ping ADDRESS COUNT               COUNT pings in all, and as many again when they are forgotten
fairness.py measure ADDRESS PORT DNS SECONDS PIPE
                                   connects and queries (by PIPE: udp or tcp), one after the other;
                                   prints JSON
fairness.py keep ADDRESS PORT      prints the UDP server's view of one socket, every 2 s
"""

import itertools
import json
import resource
import select
import socket
import struct
import sys
import time


# Of the server. With a single one the kernel itself has too few ports, and a connect searches long
# for one.
PORTS = itertools.cycle(range(9001, 9009))


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def ready():
    print("ready", flush=True)


def begin(to):
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(to)
    return client


def black_hole(address, count):
    poll, clients = select.epoll(), {}

    def one():
        client = begin((address, 9))
        clients[client.fileno()] = client
        poll.register(client, select.EPOLLOUT)

    for _ in range(int(count)):
        one()
    ready()
    while True:
        failed = poll.poll(1)
        for fd, _ in failed:
            clients.pop(fd).close()
        for _ in failed:
            one()


def idle(address, count):
    poll, under_way, open_ones = select.epoll(), {}, []
    deadline = time.monotonic() + 20
    told = False
    while True:
        while len(under_way) < 256 and len(under_way) + len(open_ones) < int(count):
            client = begin((address, next(PORTS)))
            under_way[client.fileno()] = client
            poll.register(client, select.EPOLLOUT)
        for fd, _ in poll.poll(0.1):
            poll.unregister(fd)
            client = under_way.pop(fd)
            if client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                open_ones.append(client)
            else:
                client.close()
                # At most a few hundred tries a second if each is refused.
                time.sleep(0.005)
        if not told and (len(open_ones) == int(count) or time.monotonic() > deadline):
            told = True
            ready()


def closes(address, count):
    done = 0
    while True:
        clients = [begin((address, next(PORTS))) for _ in range(64)]
        poll = select.poll()
        for client in clients:
            poll.register(client, select.POLLOUT)
        left, deadline = len(clients), time.monotonic() + 3
        while left and time.monotonic() < deadline:
            for fd, _ in poll.poll(1000):
                poll.unregister(fd)
                left -= 1
        for client in clients:
            client.close()
        if done < int(count) <= done + len(clients):
            ready()
        done += len(clients)
        if done > int(count):
            time.sleep(64 / 200)


def question(name, number):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    return struct.pack("!6H", number % 65536, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!2H", 1, 1)


def silent(address, count):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number = 0
    while True:
        for _ in range(int(count)):
            number += 1
            client.sendto(question(f"silent.number{number}.test", number), (address, 53))
        if number == int(count):
            ready()
        time.sleep(1)


def dns_tcp(address, count):
    clients = []
    for _ in range(int(count)):
        try:
            clients.append(socket.create_connection((address, 53), timeout=5))
        except OSError:
            break
    ready()
    poll = select.poll()
    while True:
        for client in clients:
            poll.register(client, select.POLLIN)
        gone = {fd for fd, _ in poll.poll(1000)}
        for client in [client for client in clients if client.fileno() in gone]:
            poll.unregister(client)
            clients.remove(client)
            client.close()
        while len(clients) < int(count):
            try:
                clients.append(socket.create_connection((address, 53), timeout=5))
            except OSError:
                time.sleep(0.05)
                break


def udp(address, port, count):
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(int(count))]
    first = True
    while True:
        for client in clients:
            client.sendto(b"attack", (address, int(port)))
            time.sleep(0.0001)
        if first:
            ready()
        first = False


def ping(address, count):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    while True:
        for number in range(int(count)):
            client.sendto(struct.pack("!BBHHH", 8, 0, 0, 0, number % 65536), (address, 0))
            if number % 100 == 99:
                time.sleep(0.01)
        ready()
        time.sleep(5)


def timed(act):
    started = time.monotonic()
    try:
        act()
        return time.monotonic() - started
    except OSError as error:
        return f"{error!r} after {time.monotonic() - started:.3f} s"


def measure(address, port, server, seconds, pipe):
    def connect():
        socket.create_connection((address, int(port)), timeout=3).close()

    def ask():
        number = ask.number = getattr(ask, "number", 0) + 1
        message = question("www.lab.test", number)
        if pipe == "tcp":
            with socket.create_connection((server, 53), timeout=3) as client:
                client.sendall(struct.pack("!H", len(message)) + message)
                if not client.recv(4096):
                    raise OSError("no answer")
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(3)
            client.sendto(message, (server, 53))
            if client.recv(4096)[3] & 15:
                raise OSError("no answer")

    kinds = {"connect": (connect, []), "dns": (ask, [])}
    deadline = time.monotonic() + float(seconds)
    while time.monotonic() < deadline:
        for act, took in kinds.values():
            took.append(timed(act))
        time.sleep(0.01)

    def told(took):
        well = sorted(one for one in took if isinstance(one, float))
        errors = [one for one in took if isinstance(one, str)]
        p99 = 1000 * well[min(len(well) - 1, len(well) * 99 // 100)] if well else None
        return {"count": len(took), "failed": len(errors), "errors": errors[:5], "p99_ms": p99}

    print(json.dumps({name: told(took) for name, (_, took) in kinds.items()}))


def keep(address, port):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(2)
    while True:
        client.sendto(b"who", (address, int(port)))
        try:
            print(client.recv(100).decode(), flush=True)
        except OSError as error:
            print(error, flush=True)
        time.sleep(2)


if __name__ == "__main__":
    raise_limit()
    globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
