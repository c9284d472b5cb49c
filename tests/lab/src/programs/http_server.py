"""A web server for the lab: `http_server.py ADDRESS PORT TEXT`. GET of a number returns that many
bytes, GET of anything else the text; POST returns the SHA-256 of the body. The bytes depend only on
the length, so that both ends can check them."""
import hashlib, http.server, socket, sys


def pattern(length):
    return (bytes(range(251)) * (length // 251 + 1))[:length]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        wish = self.path.strip("/")
        self.reply(pattern(int(wish)) if wish.isdigit() else sys.argv[3].encode())

    def do_POST(self):
        self.reply(hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest().encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    request_queue_size = 512


Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
