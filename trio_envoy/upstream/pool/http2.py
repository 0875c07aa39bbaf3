"""HTTP/2 pool: many streams on one connection; another one is made only when its streams are used up.

A connection runs in a task of its own, in the keeper's nursery, from connecting to its end. Who asks waits in a queue
until a connection has room; its cancellation leaves the connection alone.
Source: Envoy, http/http2/conn_pool.cc and conn_pool/conn_pool_base.cc.
"""

from __future__ import annotations

from functools import cached_property, partial
from math import inf
from typing import Final

import trio

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.codec import ClientStream
from trio_envoy.http.h2.client import Http2ClientConnection
from trio_envoy.http.h2.client_stream import Ending
from trio_envoy.http.h2.options import DEFAULT_HEADER_BUDGET, HEADER_BUDGET_KEY, Http2Options, Http2Stats
from trio_envoy.net.channel import Channel
from trio_envoy.stats.store import Scope
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.options import ClusterOptions
from trio_envoy.upstream.pool.base import Line, Pool, PoolContext, Waiter
from trio_envoy.util.log import logger

ALPN: Final = ("h2",)
MAX_STREAMS: Final = 1 << 29  # of one connection; ids end a little later
_LOG: Final = logger("pool")


class Link:
    """One connection and its history; the owner that its codec tells of changes.

    Attributes:
        connection: the codec.
        born: trio time at which it was begun.
        idle_since: trio time; of use only while it has no stream.
        retired: it gets no more streams, and closes with its last one.
        closing: we close it, not the peer.
    """

    __slots__ = ("_pool", "born", "closing", "connection", "idle_since", "received", "retired", "sent")

    connection: Http2ClientConnection

    def __init__(self, pool: Http2Pool, born: float) -> None:
        self._pool = pool
        self.born = born
        self.idle_since = trio.current_time()
        self.retired = False
        self.closing = False
        self.received = 0
        self.sent = 0

    def stream_ended(self, connection: Http2ClientConnection, ending: Ending) -> None:
        """See http.h2.client.Owner."""
        self._pool.stream_ended(self, ending)

    def room_changed(self, connection: Http2ClientConnection) -> None:
        """See http.h2.client.Owner."""
        self._pool.room_changed(self)

    def close(self) -> None:
        """Close it now."""
        self.closing = True
        self.connection.close()


class Codec:
    """What the connections of a cluster have in common.

    Attributes:
        options: how to speak.
    """

    def __init__(self, options: ClusterOptions, scope: Scope) -> None:
        self.options = Http2Options.of_upstream(options.http2, options.common)
        self._scope = scope

    @cached_property
    def stats(self) -> Http2Stats:
        """`cluster.<name>.http2.`; there from the first connection on, as in Envoy."""
        return self._scope.scope("http2.").block(Http2Stats)


class Http2Pool(Pool):
    """HTTP/2 connections to one host."""

    def __init__(
        self, codec: Codec, host: Host, context: PoolContext, server_name: str, line: Line | None = None
    ) -> None:
        super().__init__(host, context, server_name, line)
        self._codec = codec
        self._links: list[Link] = []  # those that take streams, oldest first
        self._retired: set[Link] = set()
        self._connecting = 0
        options = context.options
        self._idle_timeout = options.idle_timeout
        self._max_duration = options.max_connection_duration
        self._max_requests = min(options.max_requests_per_connection, MAX_STREAMS)
        self._expires = min(self._idle_timeout, self._max_duration) != inf

    def take(self) -> ClientStream | None:
        for link in self._links:
            if link.connection.available:
                self._admit()
                return self._open(link)
        return None

    def _open(self, link: Link) -> ClientStream:
        stream = link.connection.open()
        if link.connection.served >= self._max_requests:
            self._context.stats.upstream_cx_max_requests += 1
            self._retire(link)
        return stream

    async def _obtain(self) -> ClientStream:
        while True:
            if self._connecting * self._codec.options.max_streams <= len(self._waiting) and self._may_connect():
                self._connecting += 1
                self._context.keeper.tasks.start_soon(self._run, self._begun())
            waiter = Waiter(self._waiting)
            self._waiting.append(waiter)
            stream = await waiter.wait() or self.take()
            if stream is not None:
                return stream

    async def _run(self, born: float) -> None:
        """The life of a connection."""
        try:
            channel = await self._dial(ALPN, born)
        except UpstreamFailure:
            return  # it is counted, and whoever waits knows
        finally:
            self._connecting -= 1
        await self._live(channel, born)

    async def adopt(self, channel: Channel, born: float) -> None:
        """The life of a connection that another pool of the same line has made, and counted."""
        self.stats.upstream_cx_http2_total += 1
        await self._live(channel, born)

    async def _live(self, channel: Channel, born: float) -> None:
        """From the handshake to the end. A fault of ours in it ends this connection alone."""
        link = self._add(channel, born)
        try:
            await link.connection.run()
        except Exception:
            _LOG.exception("HTTP/2 connection to %s", self.host.address)
        finally:
            self._remove(link)

    def _add(self, channel: Channel, born: float) -> Link:
        link = Link(self, born)
        view = self._context.services.poller.view
        link.connection = Http2ClientConnection(channel, self._codec.options, self._codec.stats, view, link)
        runtime = self._context.services.runtime.snapshot
        link.connection.header_budget = runtime.get_int(HEADER_BUDGET_KEY, DEFAULT_HEADER_BUDGET)
        self._links.append(link)
        self._serve_waiting()
        self._plan(link)
        return link

    def _begun(self) -> float:
        self._context.stats.upstream_cx_http2_total += 1
        return super()._begun()

    def _serve_waiting(self) -> None:
        while self._waiting:
            try:
                stream = self.take()
            except UpstreamFailure as failure:
                self._waiting.popleft().fail(failure)
                continue
            if stream is None:
                return
            self._waiting.popleft().hand(stream)

    def stream_ended(self, link: Link, ending: Ending) -> None:
        """A stream was released."""
        self._end()
        self._count_bytes(link)
        if ending is Ending.RESET_BY_PEER:
            self.stats.upstream_rq_rx_reset += 1
        elif ending is Ending.RESET_BY_US:
            self.stats.upstream_rq_tx_reset += 1
        if not link.connection.active:
            link.idle_since = trio.current_time()
            if link.retired:
                link.close()
            else:
                self._plan(link)
        self._serve_waiting()

    def room_changed(self, link: Link) -> None:
        """The peer allows more streams or fewer, or goes away."""
        if link.connection.going_away:
            if not link.retired:
                self._context.stats.upstream_cx_close_notify += 1
                self._retire(link)
        else:
            self._serve_waiting()

    def _retire(self, link: Link) -> None:
        """Give it no more streams; it closes when it has none."""
        link.retired = True
        if link in self._links:
            self._links.remove(link)
            self._retired.add(link)
        if not link.connection.active:
            link.close()

    def _remove(self, link: Link) -> None:
        """A connection has ended."""
        if link in self._links:
            self._links.remove(link)
        self._retired.discard(link)
        connection, stats = link.connection, self._context.stats
        self._count_bytes(link)
        if connection.protocol_error:
            stats.upstream_cx_protocol_error += 1
        stats.upstream_rq_per_cx.record(connection.served)
        broken = connection.protocol_error  # then its streams were reset before it was closed, as far as Envoy counts
        self._ended(link.born, remote=not link.closing and not broken, active=connection.active > 0 and not broken)

    def _count_bytes(self, link: Link) -> None:
        info, stats = link.connection.channel.info, self._context.stats
        received, sent = info.bytes_received, info.bytes_sent
        stats.upstream_cx_rx_bytes_total += received - link.received
        stats.upstream_cx_tx_bytes_total += sent - link.sent
        link.received, link.sent = received, sent

    def _plan(self, link: Link) -> None:
        if self._expires:
            self._context.keeper.plan(self, min(link.idle_since + self._idle_timeout, link.born + self._max_duration))

    def expire(self, now: float) -> float:
        stats = self._context.stats
        earliest = inf
        for link in tuple(self._links):
            if link.born + self._max_duration <= now:
                stats.upstream_cx_max_duration_reached += 1
                self._retire(link)
            elif not link.connection.active and link.idle_since + self._idle_timeout <= now:
                stats.upstream_cx_idle_timeout += 1
                self._retire(link)
            else:
                idle_until = inf if link.connection.active else link.idle_since + self._idle_timeout
                earliest = min(earliest, idle_until, link.born + self._max_duration)
        return earliest

    def drain(self) -> None:
        for link in tuple(self._links):
            self._retire(link)


def pool_maker(options: ClusterOptions, scope: Scope) -> partial[Http2Pool]:
    """What makes the pools of a cluster."""
    return partial(Http2Pool, Codec(options, scope))
