"""Sends a datagram of SIZE bytes and prints the answer: `udp_ask.py ADDRESS PORT SIZE`. Prints the
text before its own bytes and their number, `refused` or the name of another error from ICMP, or
`silence`. Asks three times, since UDP may lose a datagram."""
import errno, os, socket, sys

host, port, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
client.settimeout(2)
client.connect((host, port))
data = os.urandom(size)
for _ in range(3):
    try:
        client.send(data)
        reply = client.recv(65535)
        text = reply[:len(reply) - size].decode("latin-1") if reply.endswith(data) else "damaged:"
        print(f"{text}{len(reply)}")
        break
    except ConnectionRefusedError:
        print("refused")
        break
    except TimeoutError:
        continue
    except OSError as error:
        print(errno.errorcode[error.errno])
        break
else:
    print("silence")
