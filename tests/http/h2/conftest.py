"""Two ends of an HTTP/2 connection over memory, without sockets and in virtual time."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from trio_envoy.hcm.stats import HcmStats
from trio_envoy.http.body import BytesBody
from trio_envoy.http.h1.options import Http1Stats
from trio_envoy.http.h2.client import Http2ClientConnection
from trio_envoy.http.h2.options import Http2Options, Http2Stats
from trio_envoy.http.h2.server import Http2ServerConnection
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.http.options import CodecOptions, ServerContext
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.util.deadlines import Guard, Timers


class Handler:
    """Answers with `answer(stream)`; remembers what was interrupted and what was refused."""

    def __init__(self, answer):
        self.answer = answer
        self.interruptions = []
        self.continues = 0
        self.errors = []
        self.error_flags = []

    async def handle(self, stream):
        await self.answer(stream)

    async def interrupted(self, stream, cause):
        self.interruptions.append(cause)
        stream.reset()

    def continued(self):
        self.continues += 1

    def protocol_error(self, info, details, status):
        self.errors.append(details)
        self.error_flags.append(info.flags)


def a_request(method=b"GET", path=b"/", body=None, fields=()):
    return Request(method, b"a.com", path, b"http", Headers(fields), body)


async def echo(stream):
    """Answers what it got."""
    request = stream.request
    parts = []
    while request.body is not None and (chunk := await request.body.read()):
        parts.append(chunk)
    trailers = request.body.trailers if request.body is not None else None
    headers = Headers([(b"x-path", request.path), (b"x-method", request.method)])
    await stream.respond(Response(200, headers, BytesBody(b"".join(parts), trailers)))


@asynccontextmanager
async def serving(answer=echo, *, options=None, limit_bytes=1 << 20, beginning=b""):
    """A server on the far end; gives (channel of the client, server, handler, timers)."""
    near, far = memory_channel_pair(limit_bytes=limit_bytes)
    timers = Timers()
    handler = Handler(answer)
    stats = SimpleNamespace(hcm=HcmStats(), http2=Http2Stats())
    context = ServerContext(
        options=options or CodecOptions(),
        stats=stats.hcm,
        http1_stats=Http1Stats(),
        http2_stats=stats.http2,
        timers=timers,
        view=memoryview(bytearray(65536)),
    )
    server = Http2ServerConnection(far, handler, context, Guard(timers), beginning)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(timers.run)
        tasks.start_soon(server.serve)
        yield SimpleNamespace(channel=near, server=server, handler=handler, tasks=tasks, stats=stats)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def connected(answer=echo, *, options=None, client_options=None, limit_bytes=1 << 20):
    """A server, and our client connected to it."""
    async with serving(answer, options=options, limit_bytes=limit_bytes) as world:
        world.client = Http2ClientConnection(
            world.channel, client_options or Http2Options(), Http2Stats(), memoryview(bytearray(65536))
        )
        world.tasks.start_soon(world.client.run)
        yield world


@pytest.fixture
def http2():
    return SimpleNamespace(serving=serving, connected=connected, a_request=a_request, echo=echo)
