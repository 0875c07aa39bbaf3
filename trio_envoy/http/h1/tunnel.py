"""Bytes that are no HTTP, behind an upgrade or a CONNECT: two bodies that end only with their connections.

A message of a WebSocket passes a read and a send, and no parser. Nothing is read unless somebody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio.lowlevel import checkpoint

from trio_envoy.http.h1.framing import Framing

if TYPE_CHECKING:
    from trio_envoy.http.h1.client import Http1ClientConnection
    from trio_envoy.http.h1.server import Http1ServerConnection
    from trio_envoy.http.h1.server_stream import Http1ServerStream

_TURNS: Final = 8  # reads without waiting before others get their turn


class RequestTunnel:
    """What the client sends (http.body.Body); it never ends: a client that closes has gone, as in Envoy."""

    __slots__ = ("_connection", "_framing", "_stream", "_turns")

    trailers = None

    def __init__(self, connection: Http1ServerConnection, stream: Http1ServerStream, framing: Framing) -> None:
        self._connection = connection
        self._stream = stream
        self._framing = framing  # what came with the head
        self._turns = 0

    def read_nowait(self) -> bytes | None:
        data = self._framing.take()
        if data:
            self._stream.info.bytes_received += len(data)
        return data

    async def read(self) -> bytes:
        self._turns += 1
        if self._turns % _TURNS == 0:
            await checkpoint()
        data = self.read_nowait()
        if data is None:
            connection, stream = self._connection, self._stream
            data = await connection.receive()
            info, size = stream.info, len(data)
            info.bytes_received += size
            info.wire_bytes_received += size
            stream.guard.activity = connection.now()
        return data


class ResponseTunnel:
    """What the upstream sends (http.body.Body); its end is UpstreamFailure: connection termination, as in Envoy."""

    __slots__ = ("_connection", "_framing", "_turns")

    trailers = None

    def __init__(self, connection: Http1ClientConnection, framing: Framing) -> None:
        self._connection = connection
        self._framing = framing  # what came with the head
        self._turns = 0

    def read_nowait(self) -> bytes | None:
        return self._framing.take()

    async def read(self) -> bytes:
        self._turns += 1
        if self._turns % _TURNS == 0:
            await checkpoint()
        data = self._framing.take()
        return await self._connection.receive_raw() if data is None else data
