"""Very many connections.

crowd.py serve PORT                echoes on any number of connections
crowd.py closing PORT              says 'x' on each connection and closes it
crowd.py visit HOST PORT COUNT     makes COUNT connections to a closing server;
                                   prints the number of correct ends
crowd.py hold HOST PORT COUNT DOOR opens COUNT connections and sends a byte over each, then listens
                                   on 127.0.0.1:DOOR. Each connection there gets the number of
                                   those that (still) echo a byte.
crowd.py pingpong HOST PORT ROUNDS prints the median round-trip time of a byte, in microseconds
"""

import concurrent.futures
import os
import resource
import select
import socket
import statistics
import sys
import time

PATIENCE = 60
UNDER_WAY = 500


def raise_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def listen(port):
    return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)


def serve(port):
    raise_limit()
    listener = listen(int(port))
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections = {}
    while True:
        for fd, _ in poll.poll():
            if fd == listener.fileno():
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
                continue
            try:
                data = connections[fd].recv(65536)
            except OSError:
                data = b""
            if data:
                connections[fd].sendall(data)
            else:
                poll.unregister(fd)
                connections.pop(fd).close()


def closing(port):
    listener = listen(int(port))
    while True:
        connection, _ = listener.accept()
        connection.sendall(b"x")
        connection.close()


def visit(host, port, count):
    def one(_):
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
            return connection.recv(10) == b"x" and connection.recv(10) == b""

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        print(sum(pool.map(one, range(int(count)))))


def connect_all(address, count):
    """Non-blocking connects, a few hundred at a time."""
    poll = select.epoll()
    waiting, done = {}, []
    deadline = time.monotonic() + PATIENCE
    while len(done) < count and time.monotonic() < deadline:
        while len(waiting) < UNDER_WAY and len(waiting) + len(done) < count:
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(address)
            waiting[connection.fileno()] = connection
            poll.register(connection, select.EPOLLOUT)
        for fd, _ in poll.poll(1):
            poll.unregister(fd)
            connection = waiting.pop(fd)
            error = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            done.append(connection)
    return done


def alive(connections):
    """The number of connections that echo a byte."""
    poll = select.epoll()
    waiting = {}
    for connection in connections:
        connection.setblocking(False)
        connection.send(b"?")
        waiting[connection.fileno()] = connection
        poll.register(connection, select.EPOLLIN)
    echoed, deadline = 0, time.monotonic() + PATIENCE
    while waiting and time.monotonic() < deadline:
        for fd, _ in poll.poll(1):
            poll.unregister(fd)
            try:
                echoed += waiting.pop(fd).recv(10) == b"?"
            except OSError as error:
                print(repr(error), file=sys.stderr)
    return echoed


def hold(host, port, count, door):
    raise_limit()
    connections = connect_all((host, int(port)), int(count))
    first = alive(connections)
    listener = socket.create_server(("127.0.0.1", int(door)))
    while True:
        asker, _ = listener.accept()
        with asker:
            asker.sendall(f"{first} {alive(connections)}".encode())


def pingpong(host, port, rounds):
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        times = []
        for _ in range(int(rounds)):
            began = time.perf_counter()
            connection.sendall(b"?")
            if connection.recv(10) != b"?":
                sys.exit("no echo")
            times.append(time.perf_counter() - began)
        print(statistics.median(times) * 1e6)


{"serve": serve, "closing": closing, "visit": visit, "hold": hold, "pingpong":
pingpong}[sys.argv[1]](*sys.argv[2:])
