"""Non-blocking bytes under the codecs: socket, TLS, memory (tests), adapted trio stream.

A channel has one reader and one writer task at a time. Nothing here copies more than it must: a worker's codecs read
into one shared buffer (Poller.buffer) and never keep a view of it across an await.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from trio_envoy.net.stream_info import ConnectionInfo

Buffer = bytes | bytearray | memoryview


class Channel(Protocol):
    """One connection's bytes.

    Attributes:
        info: addresses, TLS facts, connection id.
        on_gone: called once (from the poller's task, must not block or close) when the peer has closed or reset its
            side while nobody reads, also when that was before it was set; codecs set it for the time of an exchange.
            None: nobody cares.
        can_read: recv_into is worth a call; else it would give None.
    """

    info: ConnectionInfo
    can_read: bool
    on_gone: Callable[[], None] | None

    @property
    def closed(self) -> bool:
        """close() or reset() was called: recv_into and send raise OSError, waiting returns."""

    def recv_into(self, buffer: bytearray | memoryview) -> int | None:
        """Bytes read; 0 at the end of the stream; None when nothing is here yet.

        Raises:
            OSError: the connection broke.
        """

    def recv(self, limit: int) -> bytes | None:
        """As recv_into, into bytes of its own: for who keeps what it reads. b"" at the end.

        Raises:
            OSError: the connection broke.
        """

    def send(self, data: Buffer) -> int:
        """Bytes taken; 0 when the peer takes none now.

        What it did not take goes first, and not in smaller pieces, into the next send(): TLS may have begun with it.

        Raises:
            OSError: the connection broke.
        """

    def wait_read(self) -> Awaitable[None]:
        """To be awaited at once: comes back when recv_into is worth a try (it may still give None). A checkpoint."""

    def wait_write(self) -> Awaitable[None]:
        """To be awaited at once: comes back when send is worth a try. A checkpoint."""

    def readable(self) -> bool:
        """Something (data or the end) waits to be read, as far as is known without waiting.

        An idle pooled connection that is readable has been closed by its peer.
        """

    def shutdown_write(self) -> None:
        """Half-close: TCP FIN, TLS close_notify. Never blocks; errors are swallowed (the peer may be gone)."""

    def close(self) -> None:
        """Close now; what the kernel holds is still sent. Idempotent, never blocks."""

    def reset(self) -> None:
        """Close with RST. Idempotent, never blocks."""


async def send_all(channel: Channel, data: Buffer) -> None:
    """Send all of it, waiting where the peer is slow.

    Raises:
        OSError: the connection broke; how much was sent is unknown.

    Cancelled: the same.
    """
    sent = channel.send(data)
    if sent != len(data):
        await send_rest(channel, data, sent)


async def send_rest(channel: Channel, data: Buffer, sent: int) -> None:
    """Send data[sent:]; the slow path of send_all. `data` must not be the shared receive buffer."""
    rest = memoryview(data)[sent:]
    while rest:
        await channel.wait_write()
        rest = rest[channel.send(rest) :]
