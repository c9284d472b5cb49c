"""HTTP/3, a server and a client: `serve PORT ADDRESS...` in a folder with cert.pem and key.pem, or
`ask HOST PORT`.

GET of /N returns N bytes; POST returns the number of bytes received.
"""
import asyncio
import ssl
import sys
from collections import defaultdict

from aioquic.asyncio import QuicConnectionProtocol, connect, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated
from aioquic.tls import SessionTicket

tickets = {}


class Http(QuicConnectionProtocol):
    http = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
            self.paths, self.counts, self.waiting = {}, defaultdict(int), {}
        for said in self.http.handle_event(event) if self.http else []:
            if isinstance(said, HeadersReceived):
                self.paths[said.stream_id] = dict(said.headers).get(b":path")
            elif isinstance(said, DataReceived):
                self.counts[said.stream_id] += len(said.data)
            if getattr(said, "stream_ended", False):
                self.ended(said.stream_id)
        self.transmit()

    def ended(self, stream):
        if stream in self.waiting:
            self.waiting.pop(stream).set_result(self.counts[stream])
            return
        asked = int(self.paths[stream][1:] or 0)
        body = b"x" * asked if asked else b"%d" % self.counts[stream]
        self.http.send_headers(stream, [(b":status", b"200")])
        self.http.send_data(stream, body, end_stream=True)

    def request(self, path, body=b""):
        stream = self._quic.get_next_available_stream_id()
        self.waiting[stream] = asyncio.get_running_loop().create_future()
        head = [(b":method", b"POST" if body else b"GET"), (b":scheme", b"https"), (b":authority", b"lab.test")]
        self.http.send_headers(stream, head + [(b":path", path.encode())], end_stream=not body)
        if body:
            self.http.send_data(stream, body, end_stream=True)
        self.transmit()
        return self.waiting[stream]


async def answer(hosts, port):
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
    configuration.load_cert_chain("cert.pem", "key.pem")
    for host in hosts:
        # A socket for any address would answer from another address than the client used.
        await serve(host, port, configuration=configuration, create_protocol=Http,
                    session_ticket_fetcher=tickets.get, session_ticket_handler=lambda t: tickets.update({t.ticket: t}))
    await asyncio.Event().wait()


async def ask(host, port):
    kept: list[SessionTicket] = []
    for _ in range(2):
        configuration = QuicConfiguration(alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="lab.test")
        configuration.session_ticket = kept[-1] if kept else None
        async with connect(host, port, configuration=configuration, create_protocol=Http,
                           session_ticket_handler=kept.append) as client:
            while client.http is None:
                await asyncio.sleep(0.01)
            print("resumed" if client._quic.tls.session_resumed else "new")
            print(sorted(await asyncio.gather(*[client.request(f"/{1000 + n}") for n in range(20)])))
            print(await client.request("/5000000"), await client.request("/", b"y" * 2_000_000))
            while not kept:
                await asyncio.sleep(0.01)


if sys.argv[1] == "serve":
    asyncio.run(answer(sys.argv[3:], int(sys.argv[2])))
else:
    asyncio.run(asyncio.wait_for(ask(sys.argv[2], int(sys.argv[3])), 60))
