"""The upstreams that behave: HTTP/1, HTTP/2, TLS, gRPC, WebSocket, one that restarts, one that moves."""

import contextlib
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from random import Random
from typing import Any

import h2.exceptions
import trio
import websockets.exceptions
import websockets.sync.server

from tests.parity.http1 import Reader
from tests.parity.http2 import Peer, Stream

_PATTERN = bytes(range(256)) * 4200
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


def content(size: int) -> bytes:
    """What the upstreams answer to `GET /<name>/<size>`, up to a MiB."""
    return _PATTERN[size % 251 :][:size]


def _sized(path: str) -> bytes:
    """What a path asks for; nothing if the client garbled it."""
    size = path.rpartition("/")[2]
    return content(min(int(size), 1 << 20)) if size.isascii() and size.isdigit() else b""


async def http1(random: Random, stream: Any) -> None:
    """Answer the requests of one connection: a GET with as much as its path says, a POST with its own body."""
    reader = Reader(stream)
    while (request := await reader.head()) is not None and request.whole:
        await reader.body(request)
        if not request.whole:
            return
        body = request.body if request.start.startswith("POST") else _sized(request.start.split(" ")[1])
        await stream.send_all(_response(random, body))


def _response(random: Random, body: bytes) -> bytes:
    if random.random() < 0.5:
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%b0\r\n\r\n" % chunks


async def http2(stream: Any) -> None:
    """The same over HTTP/2."""

    async def answer(one: Stream) -> None:
        with contextlib.suppress(h2.exceptions.ProtocolError):  # it was reset in between
            if one.first(":method") == "POST":
                await one.over.wait()
                body = one.body
            else:
                body = _sized(one.first(":path"))
            await peer.send_headers(one, [(":status", "200")], end=False)
            await peer.send_body(one, body, end=True)

    peer = Peer(stream, client=False, reader=Reader(stream), on_stream=answer)
    async with trio.open_nursery() as tasks:
        await peer.begin()
        await peer.run(tasks)
        tasks.cancel_scope.cancel()


async def serve(
    handler: Callable[[Any], Awaitable[None]],
    context: ssl.SSLContext | None = None,
    hosts: tuple[str, ...] = ("127.0.0.1",),
    port: int = 0,
    task_status: Any = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve connections until cancelled; reports its port. Several hosts share the port."""

    async def one(stream: Any) -> None:
        if context is not None:
            stream = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        with contextlib.suppress(*GONE):
            await handler(stream)

    listeners: list[Any] = []
    for host in hosts:
        (listener,) = await trio.open_tcp_listeners(port, host=host, backlog=1000)
        port = listener.socket.getsockname()[1]
        listeners.append(listener)
    await trio.serve_listeners(one, listeners, task_status=_Port(task_status, port))


class _Port:
    """Reports the port instead of the listeners."""

    def __init__(self, task_status: Any, port: int) -> None:
        self._task_status = task_status
        self._port = port

    def started(self, _listeners: Any = None) -> None:
        self._task_status.started(self._port)


async def restarting(random: Random, count: Callable[[], None], task_status: Any = trio.TASK_STATUS_IGNORED) -> None:
    """An HTTP/1 upstream which goes down with all its connections again and again, and comes back on its port."""
    port = 0
    while True:
        async with trio.open_nursery() as tasks:
            port = await tasks.start(partial(serve, partial(http1, random), port=port))
            task_status.started(port)
            task_status = trio.TASK_STATUS_IGNORED
            await trio.sleep(random.uniform(0.3, 1.5))
            tasks.cancel_scope.cancel()
        count()
        await trio.sleep(random.uniform(0.05, 0.3))


def _echo(connection: Any) -> None:
    with contextlib.suppress(websockets.exceptions.ConnectionClosed, OSError):
        for message in connection:
            connection.send(message)


@contextlib.contextmanager
def websocket() -> Iterator[int]:
    """A WebSocket server that sends everything back, in a thread; gives its port."""
    server = websockets.sync.server.serve(_echo, "127.0.0.1", 0, max_size=None, compression=None)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()
        thread.join()
