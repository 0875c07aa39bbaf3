"""Large bodies through the proxy, both ways, while its resident memory stays flat.

The ends are raw, so that they cost little: what is sent is one block over and over, what comes is only counted.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import trio

from tests.bench.processes import memory
from tests.soak import bodies2
from tests.soak.record import Record

_BLOCK = bytes(range(256)) * 1024  # 256 KiB
_STALL = 60.0  # s without a byte
FLAT = 24 << 20  # bytes of resident memory that a body of any size may take


async def origin(stream: Any) -> None:
    """An HTTP/1 upstream: GET /<anything>/<n> is answered with n bytes, POST with how many came."""
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            if not (more := await stream.receive_some(65536)):
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        if head.startswith(b"POST"):
            length = int(head.partition(b"content-length: ")[2].partition(b"\r")[0])
            await receive(stream, length - len(data))
            data = b""
            text = b"%d" % length
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(text), text))
        else:
            size = int(head.split(b" ")[1].rpartition(b"/")[2])
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            await send(stream, size)


async def send(stream: Any, size: int) -> None:
    """So many bytes."""
    while size > 0:
        with trio.fail_after(_STALL):
            await stream.send_all(_BLOCK if size >= len(_BLOCK) else _BLOCK[:size])
        size -= len(_BLOCK)


async def receive(stream: Any, size: int) -> None:
    """Read so many bytes.

    Raises:
        EOFError: there were fewer.
    """
    while size > 0:
        with trio.fail_after(_STALL):
            data = await stream.receive_some(1 << 18)
        if not data:
            raise EOFError(size)
        size -= len(data)


async def down(port: int, path: str, size: int) -> int:
    """Download so many bytes over HTTP/1; how many came."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(b"GET %b/%d HTTP/1.1\r\nhost: soak.test\r\n\r\n" % (path.encode(), size))
        rest = await _head(stream)
        await receive(stream, size - len(rest))
        return size


async def up(port: int, path: str, size: int) -> int:
    """Upload so many bytes over HTTP/1; how many the upstream says that it got."""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(
            b"POST %b HTTP/1.1\r\nhost: soak.test\r\ncontent-length: %d\r\n\r\n" % (path.encode(), size)
        )
        await send(stream, size)
        data = await _head(stream)
        while len(data) < len(str(size)) and (more := await stream.receive_some()):
            data += more
        return int(data)


async def _head(stream: Any) -> bytes:
    """Read the head of a response with status 200; gives what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        with trio.fail_after(_STALL):
            more = await stream.receive_some()
        if not more:
            raise EOFError(data)
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return rest


WAYS: dict[str, Callable[[int, str, int], Awaitable[int]]] = {
    "HTTP/1 down": down,
    "HTTP/1 up": up,
    "HTTP/2 down": bodies2.down,
    "HTTP/2 up": bodies2.up,
}


async def check(record: Record, pid: int, port: int, size: int, ways: Iterable[str] = tuple(WAYS)) -> None:
    """Bodies of this size through the proxy, one after the other: all bytes arrive, and its memory is flat.

    Args:
        record: gets what is wrong.
        pid: the proxy's.
        port: where it listens; /bulk/ goes to `origin`.
        size: bytes.
        ways: which of WAYS.
    """
    for kind in ways:
        one = WAYS[kind]
        await one(port, "/bulk/x", min(size, 8 << 20))  # buffers grow to what they need
        watch = Watch(pid)
        before = memory(pid).rss
        async with trio.open_nursery() as tasks:
            tasks.start_soon(watch.run)
            try:
                record.expect(f"body, {kind}", await one(port, "/bulk/x", size), size)
            except (EOFError, trio.BrokenResourceError, trio.TooSlowError) as error:
                record.fault(f"body, {kind}", repr(error))
            tasks.cancel_scope.cancel()
        if watch.most > before + FLAT:
            record.fault(f"body, {kind}", f"memory went from {before >> 20} to {watch.most >> 20} MiB")


class Watch:
    """The most that a process holds while something runs.

    Attributes:
        most: bytes of resident memory.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.most = 0

    async def run(self) -> None:
        """Look ten times a second, until cancelled."""
        while True:
            self.most = max(self.most, memory(self._pid).rss)
            await trio.sleep(0.1)
