"""WebRTC: an answerer and its caller, which find each other by lines of JSON on port 8080: `serve`,
or `ask HOST`."""
import asyncio
import json
import sys

from aioice import Candidate, Connection, TransportPolicy
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack

MESSAGES, FRAMES = 100, 25


def described(pc):
    return {"sdp": pc.localDescription.sdp, "type": pc.localDescription.type}


async def say(writer, what):
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()


async def hear(reader):
    return json.loads(await reader.readline())


def ice(connection):
    candidates = [c.to_sdp() for c in connection.local_candidates]
    return {"ice": candidates, "user": connection.local_username, "password": connection.local_password}


async def meet(connection, other):
    for line in other["ice"]:
        await connection.add_remote_candidate(Candidate.from_sdp(line))
    await connection.add_remote_candidate(None)
    connection.remote_username, connection.remote_password = other["user"], other["password"]
    await connection.connect()


async def answer(reader, writer):
    wanted = await hear(reader)
    if "ice" in wanted:
        connection = Connection(ice_controlling=False)
        await connection.gather_candidates()
        await say(writer, ice(connection))
        await meet(connection, wanted)
        while True:
            await connection.send(await connection.recv())
    pc = RTCPeerConnection()

    @pc.on("datachannel")
    def _(channel):
        channel.on("message", channel.send)

    pc.addTrack(AudioStreamTrack())
    await pc.setRemoteDescription(RTCSessionDescription(**wanted))
    await pc.setLocalDescription(await pc.createAnswer())
    await say(writer, described(pc))
    await reader.read()
    await pc.close()


async def call(host):
    reader, writer = await asyncio.open_connection(host, 8080)
    pc, echoed, frames = RTCPeerConnection(), asyncio.Queue(), asyncio.Queue()
    channel = pc.createDataChannel("lab")
    channel.on("message", echoed.put_nowait)
    pc.addTrack(AudioStreamTrack())

    @pc.on("track")
    def _(track):
        async def listen():
            for _ in range(FRAMES):
                frames.put_nowait((await track.recv()).samples)
        asyncio.ensure_future(listen())

    opened = asyncio.Event()
    channel.on("open", opened.set)
    await pc.setLocalDescription(await pc.createOffer())
    await say(writer, described(pc))
    await pc.setRemoteDescription(RTCSessionDescription(**await hear(reader)))
    await opened.wait()
    sent = [bytes([n]) * (n * 50 + 1) for n in range(MESSAGES)]
    for message in sent:
        channel.send(message)
    print("messages as sent:", [await echoed.get() for _ in sent] == sent)
    print("audio frames:", len([await frames.get() for _ in range(FRAMES)]))
    writer.close()
    await pc.close()


async def by_turn(host, transport):
    reader, writer = await asyncio.open_connection(host, 8080)
    connection = Connection(
        ice_controlling=True, turn_server=(host, 3478), turn_username="u", turn_password="p",
        turn_transport=transport, transport_policy=TransportPolicy.RELAY,
    )
    await connection.gather_candidates()
    await say(writer, ice(connection))
    await meet(connection, await hear(reader))
    for n in range(20):
        await connection.send(b"%d" % n)
        assert await connection.recv() == b"%d" % n
    print("by", transport, "through", {c.type for c in connection.local_candidates}, "20 datagrams")
    await connection.close()
    writer.close()


async def serve():
    async with await asyncio.start_server(answer, None, 8080) as server:
        await server.serve_forever()


async def ask(host):
    await call(host)
    for transport in ["udp", "tcp"]:
        await by_turn(host, transport)


if sys.argv[1] == "serve":
    asyncio.run(serve())
else:
    asyncio.run(asyncio.wait_for(ask(sys.argv[2]), 60))
