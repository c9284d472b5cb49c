"""The servers of the conformance tests: port 7 echoes, port 8 follows the command in each line:

say N          sends N bytes
finish         shuts down its sending side
deaf MS        shuts down its receiving side, and waits that long
shut           shuts down both
close          closes
reset          resets
unread         waits for more bytes, and closes without reading them
refuse N       waits for more bytes, sends N bytes, and closes without reading
pause MS       reads nothing for that long
await N        reads nothing until another connection says go N
count          from here on counts bytes, and sends the count when its client ends
"""
import collections
import select
import socket
import struct
import threading
import time

signals = collections.defaultdict(threading.Event)
LETTERS = b"abcdefghijklmnopqrstuvwxyz" * 4000


def echo(c):
    while piece := c.recv(65536):
        c.sendall(piece)
    c.close()


def obey(c):
    lines = c.makefile("rb", buffering=0)
    while words := lines.readline().split():
        order, number = words[0], int(words[1]) if len(words) > 1 else 0
        if order == b"say":
            c.sendall(LETTERS[:number])
        elif order == b"finish":
            c.shutdown(socket.SHUT_WR)
        elif order == b"deaf":
            c.shutdown(socket.SHUT_RD)
            time.sleep(number / 1000)
        elif order == b"shut":
            c.shutdown(socket.SHUT_RDWR)
        elif order == b"close":
            break
        elif order == b"reset":
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            break
        elif order == b"unread":
            select.select([c], [], [], 5)
            break
        elif order == b"refuse":
            select.select([c], [], [], 5)
            c.sendall(LETTERS[:number])
            break
        elif order == b"pause":
            time.sleep(number / 1000)
        elif order == b"await":
            signals[number].wait(60)
            del signals[number]
        elif order == b"go":
            signals[number].set()
        elif order == b"count":
            count = 0
            while piece := c.recv(65536):
                count += len(piece)
            c.sendall(b"%d" % count)
    lines.close()
    c.close()


def listen(port, serve):
    s = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128)

    def guarded(c):
        try:
            serve(c)
        except OSError:
            # Its client has reset it, as the probes do.
            c.close()

    while True:
        threading.Thread(target=guarded, args=(s.accept()[0],), daemon=True).start()


threading.Thread(target=listen, args=(8, obey), daemon=True).start()
listen(7, echo)
