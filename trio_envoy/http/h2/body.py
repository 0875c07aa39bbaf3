"""The body that a peer sends on one stream; what it costs in the window is given back when it is read, never before."""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from trio_envoy.errors import RemoteProtocolError, UpstreamFailure
from trio_envoy.http.h2.state import StreamState
from trio_envoy.http.headers import Headers
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.util.wake import Wake

_SMALL: Final = 4096  # bytes; pieces of a body that nobody reads yet are put together up to this size

BodyError = UpstreamFailure | RemoteProtocolError | OSError


class Creditor(Protocol):
    """A driver, as a body knows it."""

    def credit(self, state: StreamState, size: int) -> None:
        """So much of a body was read. Never blocks."""


class StreamBody:
    """The body of one stream (http.body.Body).

    Args:
        driver: of the connection.
        state: of the stream.
        info: of a request: bytes_received counts what was read.

    Attributes:
        ended: the peer has sent all; chunks may still be here.
        received: bytes of payload.
    """

    __slots__ = ("_chunks", "_driver", "_error", "_info", "_state", "_wake", "ended", "received", "trailers")

    def __init__(self, driver: Creditor, state: StreamState, info: StreamInfo | None = None) -> None:
        self._driver = driver
        self._state = state
        self._chunks: deque[tuple[bytes, int]] = deque()
        self._error: BodyError | None = None
        self._info = info
        self._wake: Wake | None = None  # few wait: a short body comes with its head
        self.ended = False
        self.received = 0
        self.trailers: Headers | None = None

    def put(self, data: bytes, size: int) -> None:
        """A chunk came; `size` is what it costs in the window."""
        length = len(data)
        if not length:
            self._driver.credit(self._state, size)
            return
        self.received += length
        chunks = self._chunks
        if chunks and len(chunks[-1][0]) + length <= _SMALL:
            last, cost = chunks.pop()  # else a peer that sends byte by byte costs a hundred times what it sends
            chunks.append((last + data, cost + size))
        else:
            chunks.append((data, size))
        if self._wake is not None:
            self._wake.set()

    def end(self, trailers: Headers | None = None) -> None:
        """The peer has sent all."""
        self.trailers = trailers
        self.ended = True
        if self._wake is not None:
            self._wake.set()

    def fail(self, error: BodyError) -> None:
        """The stream broke: whoever reads gets this, after what came before."""
        if not self.ended and self._error is None:
            self._error = error
            if self._wake is not None:
                self._wake.set()

    def drop(self) -> None:
        """Nobody reads it any more: give the window back."""
        while self._chunks:
            _, size = self._chunks.popleft()
            self._driver.credit(self._state, size)

    def read_nowait(self) -> bytes | None:
        if self._chunks:
            data, size = self._chunks.popleft()
            self._driver.credit(self._state, size)
            if self._info is not None:
                self._info.bytes_received += len(data)
            return data
        return b"" if self.ended else None

    async def read(self) -> bytes:
        while (data := self.read_nowait()) is None:
            if self._error is not None:
                raise self._error
            if self._wake is None:
                self._wake = Wake()
            await self._wake.wait()
        return data
