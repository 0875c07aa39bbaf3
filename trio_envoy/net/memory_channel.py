"""Two channels joined in memory, with back-pressure, half-close, reset and on_gone: tests in virtual time, adapters."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final

import trio

from trio_envoy.net.address import Address, IpAddress
from trio_envoy.net.channel import Buffer
from trio_envoy.net.stream_info import ConnectionInfo
from trio_envoy.util.wake import Wake

LIMIT_BYTES: Final = 64 * 1024  # of one direction

_CLIENT: Final = IpAddress("127.0.0.1", 50000)
_SERVER: Final = IpAddress("127.0.0.1", 80)
_connection_id = count().__next__


class MemoryChannel:
    """One end (net.channel.Channel); made by memory_channel_pair().

    Attributes:
        peer_closed: the other end was closed or reset.
    """

    def __init__(self, info: ConnectionInfo, limit_bytes: int) -> None:
        self.info = info
        self.closed = False
        self.can_read = True  # perhaps: who receives finds out
        self.peer_closed = trio.Event()
        self._on_gone: Callable[[], None] | None = None
        self._inbox = bytearray()
        self._limit = limit_bytes
        self._ended = False  # the peer sends no more
        self._was_reset = False
        self._reading = False
        self._may_read = Wake()
        self._may_write = Wake()
        self._peer: MemoryChannel

    @property
    def on_gone(self) -> Callable[[], None] | None:
        """Called once when the peer has gone while nobody reads; also when it had gone before this was set."""
        return self._on_gone

    @on_gone.setter
    def on_gone(self, callback: Callable[[], None] | None) -> None:
        self._on_gone = callback
        if callback is not None and self._ended:
            trio.lowlevel.current_trio_token().run_sync_soon(self._tell)

    def _tell(self) -> None:
        callback, self._on_gone = self._on_gone, None
        if callback is not None:
            callback()

    def recv_into(self, buffer: bytearray | memoryview) -> int | None:
        """Bytes read; 0 at the end; None when nothing is here yet."""
        self._check()
        if not self._inbox:
            return 0 if self._ended else None
        size = min(len(buffer), len(self._inbox))
        buffer[:size] = self._inbox[:size]
        del self._inbox[:size]
        self._peer.room()
        self.info.bytes_received += size
        return size

    def recv(self, limit: int) -> bytes | None:
        """As recv_into, into bytes of its own."""
        self._check()
        if not self._inbox:
            return b"" if self._ended else None
        data = bytes(self._inbox[:limit])
        del self._inbox[:limit]
        self._peer.room()
        self.info.bytes_received += len(data)
        return data

    def send(self, data: Buffer) -> int:
        """Bytes taken, as far as the peer's limit goes."""
        self._check()
        if self._peer.closed:
            raise BrokenPipeError("the peer has closed")
        taken = self._peer.take(memoryview(data))
        self.info.bytes_sent += taken
        return taken

    async def wait_read(self) -> None:
        """Return when recv_into is worth a try."""
        if self.readable() or self.closed:
            await trio.lowlevel.checkpoint()
            return
        self._may_read.clear()
        self._reading = True
        try:
            await self._may_read.wait()
        finally:
            self._reading = False

    async def wait_write(self) -> None:
        """Return when send is worth a try."""
        if self.closed or self._was_reset or self._peer.closed or not self._peer.full():
            await trio.lowlevel.checkpoint()
            return
        self._may_write.clear()
        await self._may_write.wait()

    def readable(self) -> bool:
        """Something waits to be read: data, the end or a reset."""
        return bool(self._inbox) or self._ended

    def shutdown_write(self) -> None:
        """The peer reads what was sent, then the end."""
        if not self.closed:
            self._peer.end()

    def close(self) -> None:
        """The peer reads what was sent, then the end; what it sends breaks."""
        if not self.closed:
            self.closed = True
            self._on_gone = None
            self.room()
            self._may_read.set()
            self._peer.end(closed=True)

    def reset(self) -> None:
        """The peer loses what it has not read yet."""
        if not self.closed:
            self._peer.cut()
            self.close()

    def _check(self) -> None:
        if self.closed:
            raise OSError("the channel is closed")
        if self._was_reset:
            raise ConnectionResetError("reset by the peer")

    # What the other end calls.

    def join(self, peer: MemoryChannel) -> None:
        """Bytes go to this one from now on."""
        self._peer = peer

    def take(self, data: memoryview) -> int:
        """Put in as much as there is room for."""
        size = min(len(data), self._limit - len(self._inbox))
        if size > 0:
            self._inbox += data[:size]
            self._may_read.set()
        return size

    def full(self) -> bool:
        """take() would take nothing."""
        return len(self._inbox) >= self._limit

    def room(self) -> None:
        """There is room again, or no more need for it."""
        self._may_write.set()

    def cut(self) -> None:
        """The other end resets: what was not read is lost."""
        self._was_reset = True
        self._inbox.clear()

    def end(self, *, closed: bool = False) -> None:
        """The other end sends no more; with `closed` it takes no more either."""
        if closed:
            self.peer_closed.set()
            self.room()
        if self._ended and not self._was_reset:
            return
        reading = self._reading
        self._ended = True
        self._may_read.set()
        if not reading:
            self._tell()


def memory_channel_pair(
    *, limit_bytes: int = LIMIT_BYTES, client: Address = _CLIENT, server: Address = _SERVER
) -> tuple[MemoryChannel, MemoryChannel]:
    """The client's and the server's end of a connection.

    Args:
        limit_bytes: how much each end holds before its peer must wait.
        client: address of the first.
        server: address of the second.
    """
    near = MemoryChannel(ConnectionInfo(_connection_id(), client, server), limit_bytes)
    far = MemoryChannel(ConnectionInfo(_connection_id(), server, client), limit_bytes)
    near.join(far)
    far.join(near)
    return near, far
