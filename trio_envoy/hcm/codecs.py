"""Which HTTP a connection speaks: by codec_type, by ALPN, or by its first bytes."""

from __future__ import annotations

from math import inf

import attrs
import trio

from trio_envoy.config.hcm import CodecType
from trio_envoy.hcm.stats import HcmStats
from trio_envoy.http.codec import Handler, ServerConnection
from trio_envoy.http.h1.options import Http1Stats
from trio_envoy.http.h1.server import Http1ServerConnection
from trio_envoy.http.h2.options import Http2Stats
from trio_envoy.http.options import CodecOptions, ServerContext
from trio_envoy.http.sniff import is_http2
from trio_envoy.net.filter import Connection
from trio_envoy.net.services import Services
from trio_envoy.util.deadlines import Cause


class Codecs:
    """Makes the codecs of one HCM's connections."""

    def __init__(self, options: CodecOptions, stats: HcmStats, services: Services) -> None:
        self._options = options
        self._stats = stats
        self._context = ServerContext(
            options=options,
            stats=stats,
            http1_stats=services.stats.scope("http1.").block(Http1Stats),
            http2_stats=Http2Stats(),
            timers=services.timers,
            view=services.poller.view,
            limit=lambda key, default: services.runtime.snapshot.get_int(key, default),
        )
        self._http2_scope = services.stats.scope("http2.")
        self._http2_context: ServerContext | None = None

    async def open(self, connection: Connection, handler: Handler) -> ServerConnection | None:
        """The codec for this connection; None when the client left, or stayed silent too long, before it was clear.

        Cancelled: nothing is lost; the caller closes the channel.
        """
        kind = self._options.codec_type
        if kind is CodecType.HTTP2 or (kind is CodecType.AUTO and connection.alpn == "h2"):
            return self._http2(connection, handler, b"")
        if kind is CodecType.HTTP1 or connection.alpn:
            return self._http1(connection, handler, b"")
        beginning = await self._first_bytes(connection)
        if beginning is None:
            return None
        make = self._http2 if is_http2(beginning) else self._http1
        return make(connection, handler, beginning)

    async def _first_bytes(self, connection: Connection) -> bytes | None:
        """Enough of the connection's bytes to tell, under its idle timeout."""
        guard, idle = connection.guard, self._options.idle_timeout
        if idle != inf:
            guard.arm(Cause.CONNECTION_IDLE, trio.current_time() + idle)
        with guard.open():
            return await self._read_until_clear(connection)
        self._stats.downstream_cx_idle_timeout += 1
        self._stats.downstream_cx_destroy_local += 1
        return None

    async def _read_until_clear(self, connection: Connection) -> bytes | None:
        channel, view = connection.channel, self._context.view
        beginning = b""
        while True:
            try:
                received = channel.recv_into(view)
            except OSError:
                received = 0
            if received is None:
                await channel.wait_read()
            elif not received:
                self._stats.downstream_cx_destroy_remote += 1
                return None
            else:
                beginning += view[:received]
                if is_http2(beginning) is not None:
                    return beginning

    def _http1(self, connection: Connection, handler: Handler, beginning: bytes) -> ServerConnection:
        return Http1ServerConnection(connection.channel, handler, self._context, connection.guard, beginning)

    def _http2(self, connection: Connection, handler: Handler, beginning: bytes) -> ServerConnection:
        from trio_envoy.http.h2.server import Http2ServerConnection

        context = self._http2_context
        if context is None:  # `http2.` is there from the first connection on
            stats = self._http2_scope.block(Http2Stats)
            context = self._http2_context = attrs.evolve(self._context, http2_stats=stats)
        return Http2ServerConnection(connection.channel, handler, context, connection.guard, beginning)
