"""Sends datagrams that no router may fragment, and prints the kernel's report on each: `path_mtu.py
ADDRESS PORT SIZE...`, where an echo answers. One line per size: the payload's bytes, its fate,
errno, the MTU in the error and its sender, and the socket's path MTU afterwards (ip(7):
IP_MTU_DISCOVER, IP_RECVERR, IP_MTU). The fate is `answered`, `refused here` when the send itself
failed, or `lost` when an error came back. Sends up to five times, until there is a result."""
import errno, select, socket, struct, sys

host, port = sys.argv[1], int(sys.argv[2])
six = ":" in host
family, level = (socket.AF_INET6, 41) if six else (socket.AF_INET, 0)
DISCOVER, RECVERR, MTU = (23, 25, 24) if six else (10, 11, 14)
DO, ERRQUEUE = 2, 0x2000

def queued(s):
    """The first entry of the error queue: errno, MTU, sender (`here` for the kernel itself)."""
    _, control, _, _ = s.recvmsg(70000, 2000, ERRQUEUE)
    body = control[0][2]
    code, origin, _, _, _, info = struct.unpack("IBBBBI", body[:12])
    said = "here" if origin == 1 else socket.inet_ntop(family, body[24:40] if six else body[20:24])
    return errno.errorcode[code], info, said

def fate(s, data):
    for _ in range(5):
        try:
            s.send(data)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            return ("refused here", *queued(s))
        if select.select([s], [], [s], 1)[0]:
            try:
                return ("answered", "", len(s.recv(70000)), "")
            except OSError:
                return ("lost", *queued(s))
    return ("silence", "", 0, "")

for size in map(int, sys.argv[3:]):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(level, DISCOVER, DO)
    s.setsockopt(level, RECVERR, 1)
    s.connect((host, port))
    told = fate(s, bytes(size))
    print(size, *told, s.getsockopt(level, MTU))
