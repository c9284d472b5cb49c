"""Sends and checks bytes that identify their position.

transfer.py serve PORT
transfer.py run HOST PORT upload|download|echo BYTES STREAMS HOLD

A server takes any number of connections; each begins with its kind (sink, source or echo), the
number of bytes, and the seconds during which the reader does not read. `run` prints as JSON:
seconds, whether all bytes are right, and the longest gap between two reads after the reader woke
up.
"""

import json
import random
import socket
import struct
import sys
import threading
import time

HEADER = struct.Struct(">cQd")
PIECE = 256 * 1024
# Not a power of two: a missing or repeated piece shifts the rest.
PERIOD = 1024 * 1024 + 4093
ONCE = random.Random(1).randbytes(PERIOD)
PATTERN = ONCE + ONCE[:PIECE]
VIEW = memoryview(PATTERN)


def send(connection, count):
    sent = 0
    while sent < count:
        at = sent % PERIOD
        sent += connection.send(VIEW[at : at + min(PIECE, count - sent)])


def check(connection, count, hold):
    """Reads `count` bytes; returns whether they are right, and the longest gap."""
    if hold:
        time.sleep(hold)
    got, gap, last = 0, 0.0, time.monotonic()
    while got < count:
        piece = connection.recv(PIECE)
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        if not piece or not PATTERN.startswith(piece, got % PERIOD):
            print(f"wrong or missing: {len(piece)} bytes after {got} of {count}", file=sys.stderr)
            return False, gap
        got += len(piece)
    return True, gap


def receive(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError(f"{len(data)} of {count} bytes")
        data += piece
    return data


def serve_one(connection):
    with connection:
        how, count, hold = HEADER.unpack(receive(connection, HEADER.size))
        if how == b"u":
            connection.sendall(json.dumps(check(connection, count, hold)).encode())
        elif how == b"d":
            send(connection, count)
        else:
            buffer = bytearray(PIECE)
            while n := connection.recv_into(buffer):
                connection.sendall(memoryview(buffer)[:n])


def serve(port):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1000)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_one, args=(connection,), daemon=True).start()


def run_one(address, how, count, hold, results):
    try:
        with socket.create_connection(address) as connection:
            connection.sendall(HEADER.pack(how[0].encode(), count, hold if how == "upload" else 0))
            if how == "upload":
                send(connection, count)
                connection.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := connection.recv(1024):
                    answer += piece
                results.append(tuple(json.loads(answer)))
            elif how == "download":
                exact, gap = check(connection, count, hold)
                results.append((exact and connection.recv(1) == b"", gap))
            else:
                sender = threading.Thread(target=send, args=(connection, count), daemon=True)
                sender.start()
                results.append(check(connection, count, hold))
    except (OSError, EOFError, ValueError) as error:
        print(repr(error), file=sys.stderr)
        results.append((False, 0.0))


def run(host, port, how, count, streams, hold):
    results = []
    began = time.monotonic()
    arguments = ((host, int(port)), how, int(count), float(hold), results)
    threads = [threading.Thread(target=run_one, args=arguments) for _ in range(int(streams))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exact = len(results) == len(threads) and all(exact for exact, _ in results)
    print(json.dumps({"seconds": time.monotonic() - began, "exact": exact, "gap": max(gap for _, gap in results)}))


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
else:
    run(*sys.argv[2:])
