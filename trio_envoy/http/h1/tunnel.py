"""Bytes that are no HTTP, behind an upgrade or a CONNECT: two bodies that end only with their connections.

A message of a WebSocket passes a read and a send, and no parser. Nothing is read unless somebody asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio.lowlevel import checkpoint

from trio_envoy.http.h1.framing import Framing
from trio_envoy.net.poller import BUFFER_BYTES

if TYPE_CHECKING:
    from trio_envoy.http.h1.client import Http1ClientConnection
    from trio_envoy.http.h1.server import Http1ServerConnection
    from trio_envoy.http.h1.server_stream import Http1ServerStream

_TURNS: Final = 8  # reads without waiting before others get their turn


class RequestTunnel:
    """What the client sends (http.body.Body); it never ends: a client that closes has gone, as in Envoy."""

    __slots__ = ("_channel", "_connection", "_framing", "_stream", "_turns")

    trailers = None

    def __init__(self, connection: Http1ServerConnection, stream: Http1ServerStream, framing: Framing) -> None:
        self._connection = connection
        self._channel = connection.channel
        self._stream = stream
        self._framing: Framing | None = framing  # with what came behind the head
        self._turns = 0

    def read_nowait(self) -> bytes | None:
        framing, self._framing = self._framing, None
        data = None if framing is None else framing.take()
        if data:
            self._stream.info.bytes_received += len(data)
        return data

    async def read(self) -> bytes:
        if self._framing is not None and (data := self.read_nowait()):
            return data
        if self._turns >= _TURNS:
            self._turns = 0
            await checkpoint()
        channel = self._channel
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
            data = b""
        if not data:
            await self._connection.lost()
        stream, size = self._stream, len(data)
        info = stream.info
        info.bytes_received += size
        info.wire_bytes_received += size
        stream.guard.activity = self._connection.now()
        return data


class ResponseTunnel:
    """What the upstream sends (http.body.Body); its end is UpstreamFailure: connection termination, as in Envoy."""

    __slots__ = ("_channel", "_connection", "_framing", "_turns")

    trailers = None

    def __init__(self, connection: Http1ClientConnection, framing: Framing) -> None:
        self._connection = connection
        self._channel = connection.channel
        self._framing: Framing | None = framing  # with what came behind the head
        self._turns = 0

    def read_nowait(self) -> bytes | None:
        framing, self._framing = self._framing, None
        return None if framing is None else framing.take()

    async def read(self) -> bytes:
        if self._framing is not None and (data := self.read_nowait()):
            return data
        if self._turns >= _TURNS:
            self._turns = 0
            await checkpoint()
        channel = self._channel
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
            data = b""
        if not data:
            raise self._connection.tunnel_ended()
        info = self._connection.info
        if info is not None:
            info.upstream_wire_bytes_received += len(data)
        return data
