"""Bodies are pulled: nothing moves, is read from a socket or credited to a window unless someone reads."""

from __future__ import annotations

from typing import Protocol

from trio_envoy.http.headers import Headers


class Body(Protocol):
    """A stream of payload bytes with one reader."""

    @property
    def trailers(self) -> Headers | None:
        """Trailing fields; meaningful once a read has returned b''."""

    def read_nowait(self) -> bytes | None:
        """What is here already: a chunk, b'' at the end, None when one would have to wait.

        Raises:
            RemoteProtocolError: (request bodies) the client broke the framing.
        """

    async def read(self) -> bytes:
        """Next chunk, never empty before the end; b'' at the end and ever after.

        Raises:
            UpstreamFailure: (response bodies) the upstream went away or broke the protocol.
            RemoteProtocolError: (request bodies) the client broke the framing.

        Cancelled: nothing is lost; but the codec that owns the connection usually closes it then.
        """


class BytesBody:
    """A body that is already here: the first read gives all of it. BytesBody(b"") is an empty one."""

    __slots__ = ("_data", "trailers")

    def __init__(self, data: bytes, trailers: Headers | None = None) -> None:
        self._data = data
        self.trailers = trailers

    def read_nowait(self) -> bytes:
        data, self._data = self._data, b""
        return data

    async def read(self) -> bytes:
        data, self._data = self._data, b""
        return data


async def read_all(body: Body, limit: int) -> bytes | None:
    """The whole body, or None if it is longer than limit bytes."""
    parts: list[bytes] = []
    size = 0
    while chunk := await body.read():
        size += len(chunk)
        if size > limit:
            return None
        parts.append(chunk)
    return b"".join(parts)
