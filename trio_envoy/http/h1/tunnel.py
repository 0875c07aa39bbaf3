"""Bytes that are no HTTP, behind an upgrade or a CONNECT: two bodies that end only with their connections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_envoy.http.h1.framing import Framing
from trio_envoy.http.raw_body import RawBody

if TYPE_CHECKING:
    from trio_envoy.http.h1.client import Http1ClientConnection
    from trio_envoy.http.h1.server import Http1ServerConnection
    from trio_envoy.http.h1.server_stream import Http1ServerStream


class RequestTunnel(RawBody):
    """What the client sends; it never ends: a client that closes has gone, as in Envoy.

    Args:
        connection: of the client.
        stream: the exchange that became a tunnel.
        framing: has what came behind the head.
    """

    __slots__ = ("_connection", "_stream")

    def __init__(self, connection: Http1ServerConnection, stream: Http1ServerStream, framing: Framing) -> None:
        super().__init__(connection.channel, framing.take() or b"")
        self._connection = connection
        self._stream = stream

    def read_nowait(self) -> bytes | None:
        data = super().read_nowait()
        if data:
            self._stream.info.bytes_received += len(data)
        return data

    def _came(self, size: int) -> None:
        stream = self._stream
        info = stream.info
        info.bytes_received += size
        info.wire_bytes_received += size
        stream.guard.activity = self._connection.now()

    async def _ended(self, *, broken: bool) -> bytes:
        await self._connection.lost()


class ResponseTunnel(RawBody):
    """What the upstream sends; its end is UpstreamFailure: connection termination, as in Envoy.

    Args:
        connection: to the upstream.
        framing: has what came behind the head.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Http1ClientConnection, framing: Framing) -> None:
        super().__init__(connection.channel, framing.take() or b"")
        self._connection = connection

    def _came(self, size: int) -> None:
        info = self._connection.info
        if info is not None:
            info.upstream_wire_bytes_received += size

    async def _ended(self, *, broken: bool) -> bytes:
        raise self._connection.tunnel_ended()
