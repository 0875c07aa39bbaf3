"""A body that is whatever comes on a connection: behind an upgrade or a CONNECT, or from an upstream that is no HTTP.

A message of a WebSocket passes a read and a send, and no parser. Nothing is read unless somebody asks for it.
"""

from __future__ import annotations

from trio.lowlevel import checkpoint

from trio_envoy.net.channel import Channel
from trio_envoy.net.poller import BUFFER_BYTES, TURNS


class RawBody:
    """All bytes of a channel from now on (http.body.Body); subclasses count them, and say what their end is.

    After TURNS reads that had nothing to wait for others get their turn, so that who reads need not see to it.

    Args:
        channel: to read from.
        early: what came already.
    """

    __slots__ = ("_early", "_turns", "channel")

    trailers = None

    def __init__(self, channel: Channel, early: bytes = b"") -> None:
        self.channel = channel
        self._early = early
        self._turns = 0

    def read_nowait(self) -> bytes | None:
        data, self._early = self._early, b""
        return data or None

    async def read(self) -> bytes:
        if self._early and (data := self.read_nowait()):
            return data
        if self._turns >= TURNS:
            self._turns = 0
            await checkpoint()
        channel = self.channel
        try:
            data = channel.recv(BUFFER_BYTES)
            if data is None:
                self._turns = 0
                while data is None:
                    await channel.wait_read()
                    data = channel.recv(BUFFER_BYTES)
            else:
                self._turns += 1
        except OSError:
            return await self._ended(broken=True)
        if not data:
            return await self._ended(broken=False)
        self._came(len(data))
        return data

    def _came(self, size: int) -> None:
        """So many bytes were read from the channel."""
        raise NotImplementedError

    async def _ended(self, *, broken: bool) -> bytes:
        """The peer sends no more, or the connection broke: what read() gives or raises."""
        raise NotImplementedError
