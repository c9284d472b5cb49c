"""An echo by UDP for the lab: `udp_echo.py ADDRESS PORT [TEXT]`. Each datagram returns unchanged,
after the text."""
import socket, sys

server = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
server.bind((sys.argv[1], int(sys.argv[2])))
text = sys.argv[3].encode() if len(sys.argv) > 3 else b""
while True:
    data, peer = server.recvfrom(65535)
    server.sendto(text + data, peer)
