"""One end of an HTTP/1 connection under test and the other in the hands of the test: in memory, in virtual time."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from trio_envoy.hcm.stats import HcmStats
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h1.client import Http1ClientConnection
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.http.h1.server import Http1ServerConnection
from trio_envoy.http.h2.options import Http2Stats
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.http.options import CodecOptions, ServerContext
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.util import clock
from trio_envoy.util.deadlines import Cause, Guard, Timers


class Peer:
    """What a test does at the far end: send bytes, receive bytes."""

    def __init__(self, channel):
        self.channel = channel
        self.buffer = bytearray(65536)

    async def send(self, data):
        view = memoryview(data)
        while view:
            view = view[self.channel.send(view) :]
            if view:
                await self.channel.wait_write()
        await trio.testing.wait_all_tasks_blocked()

    async def receive(self):
        """All that is here or comes next; b"" at the end; b"(reset)" when the connection broke."""
        while True:
            try:
                received = self.channel.recv_into(self.buffer)
            except OSError:
                return b"(reset)"
            if received is not None:
                return bytes(self.buffer[:received])
            await self.channel.wait_read()

    async def receive_until(self, end):
        data = b""
        while not data.endswith(end):
            chunk = await self.receive()
            assert chunk, f"the end came after {data!r}"
            data += chunk
        return data

    async def receive_all(self):
        data = b""
        while chunk := await self.receive():
            data += chunk
        return data


class Handler:
    """Answers with `answer(stream)`; remembers streams, interruptions and refused requests."""

    def __init__(self, answer):
        self.answer = answer
        self.streams = []
        self.interruptions = []
        self.continues = 0
        self.errors = []

    async def handle(self, stream):
        self.streams.append(stream)
        await self.answer(stream)

    async def interrupted(self, stream, cause):
        self.interruptions.append(cause)
        if stream.responded or cause is Cause.PEER_GONE:
            stream.reset()
        else:
            await stream.respond(a_response(504, b"late"))

    def continued(self):
        self.continues += 1

    def protocol_error(self, info, details, status):
        self.errors.append((details, status, info))


def a_response(status=200, body=b"", fields=(), trailers=None, *, length=True):
    headers = Headers(fields)
    if length:
        headers.add(b"content-length", b"%d" % len(body))
    return Response(status, headers, BytesBody(body, trailers) if body or trailers else None)


def a_request(method=b"GET", path=b"/", body=None, fields=()):
    return Request(method, b"a.com", path, b"http", Headers(fields), body)


class SlowBody:
    """A body whose chunks a test hands over; None stands for "nothing yet"."""

    def __init__(self, trailers=None):
        self._send, self._receive = trio.open_memory_channel(100)
        self.trailers = trailers
        self.reads = 0
        self.over = False

    def put(self, chunk):
        self._send.send_nowait(chunk)

    def _taken(self, chunk):
        self.over = not chunk
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def read_nowait(self):
        if self.over:
            return b""
        try:
            return self._taken(self._receive.receive_nowait())
        except trio.WouldBlock:
            return None

    async def read(self):
        self.reads += 1
        if self.over:
            return b""
        return self._taken(await self._receive.receive())


async def echo(stream):
    """Answer with what the request said."""
    request = stream.request
    body = b""
    while request.body is not None and (chunk := await request.body.read()):
        body += chunk
    text = b"%b %b %b" % (request.method, request.path, body)
    trailers = request.body.trailers if request.body is not None else None
    if trailers:
        text += b" %r" % trailers.items
    await stream.respond(a_response(200, text))


@asynccontextmanager
async def serving(answer=echo, *, limit_bytes=1 << 20, beginning=b"", **options):
    """A server connection; gives peer, handler, connection, stats, timers, and `done` when serve() has returned."""
    clock.start_at(1_000_000.0)
    near, far = memory_channel_pair(limit_bytes=limit_bytes)
    timers = Timers()
    handler = Handler(answer)
    stats = HcmStats()
    http1 = Http1Options(**options.pop("http1", {}))
    context = ServerContext(
        CodecOptions(http1=http1, **options), stats, Http1Stats(), Http2Stats(), timers, memoryview(bytearray(65536))
    )
    connection = Http1ServerConnection(far, handler, context, Guard(timers), beginning)
    done = trio.Event()

    async def serve():
        await connection.serve()
        done.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        nursery.start_soon(serve)
        yield SimpleNamespace(
            peer=Peer(near),
            handler=handler,
            connection=connection,
            stats=stats,
            done=done,
            channel=far,
            nursery=nursery,
        )
        nursery.cancel_scope.cancel()


class Pool:
    def __init__(self):
        self.back = []

    def give_back(self, connection):
        self.back.append(connection)


def a_client(*, limit_bytes=1 << 20, **options):
    """(peer, client connection, its pool)."""
    near, far = memory_channel_pair(limit_bytes=limit_bytes)
    pool = Pool()
    client = Http1ClientConnection(
        near,
        Http1Options.of_upstream(None, None) if not options else Http1Options(**options),
        Http1Stats(),
        pool,
    )
    return Peer(far), client, pool


@pytest.fixture
def h1():
    """The helpers; tests also ask for autojump_clock by name."""
    return SimpleNamespace(
        serving=serving, a_client=a_client, a_response=a_response, a_request=a_request, echo=echo, SlowBody=SlowBody
    )
