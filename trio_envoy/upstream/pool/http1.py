"""HTTP/1 pool: one request at a time on a connection; idle ones wait in a stack, the last used on top, as in Envoy.

The asking task makes the connection itself. When max_connections is reached it waits, first come, first served, for one
to become free. Idle connections have no task: the poller tells when a peer closes, the keeper when they are too old.
"""

from __future__ import annotations

from collections import deque
from functools import cached_property, partial
from math import inf, nan
from typing import Final

import trio

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.codec import ClientStream
from trio_envoy.http.h1.client import Http1ClientConnection
from trio_envoy.http.h1.options import Http1Options, Http1Stats
from trio_envoy.net.channel import Channel
from trio_envoy.stats.store import Scope
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.options import ClusterOptions
from trio_envoy.upstream.pool.base import Line, Pool, PoolContext

ALPN: Final = ("http/1.1",)


class Link:
    """One connection and its history.

    Attributes:
        connection: the codec, which is also the stream.
        channel: its bytes.
        born: trio time at which it was begun.
        idle_since: trio time; of use only while it is idle.
        served: streams begun on it.
        generation: of the pool when it was made.
        now: trio.current_time without the detour.
    """

    __slots__ = (
        "_pool",
        "born",
        "channel",
        "connection",
        "generation",
        "idle_since",
        "now",
        "received",
        "sent",
        "served",
    )

    connection: Http1ClientConnection

    def __init__(self, pool: Http1Pool, channel: Channel, born: float) -> None:
        self._pool = pool
        self.channel = channel
        self.born = born
        self.idle_since = born
        self.now = trio.lowlevel.current_clock().current_time
        self.served = 0
        self.generation = pool.generation
        self.received = 0
        self.sent = 0
        channel.on_gone = self.report_gone

    def count_bytes(self) -> None:
        """Add to the counters of the cluster what was moved since the last time."""
        info, stats = self.channel.info, self._pool.stats
        received, sent = info.bytes_received, info.bytes_sent
        stats.upstream_cx_rx_bytes_total += received - self.received
        stats.upstream_cx_tx_bytes_total += sent - self.sent
        self.received, self.sent = received, sent

    def report_gone(self) -> None:
        """Called from the poller's task: the peer has closed while nobody reads, so while it is idle."""
        self._pool.keeper.report_gone(self)

    def bury(self) -> None:
        """See Keeper."""
        self._pool.bury(self)


class Codec:
    """What the connections of a cluster have in common.

    Attributes:
        options: how to speak.
    """

    def __init__(self, options: ClusterOptions, scope: Scope) -> None:
        self.options = Http1Options.of_upstream(options.http1, options.common)
        self._scope = scope

    @cached_property
    def stats(self) -> Http1Stats:
        """`cluster.<name>.http1.`; there from the first connection on, as in Envoy."""
        return self._scope.scope("http1.").block(Http1Stats)


class Http1Pool(Pool):
    """HTTP/1 connections to one host.

    Attributes:
        keeper: see there.
        generation: counts drains; a connection of an earlier one is not used again.
    """

    def __init__(self, codec: Codec, host: Host, context: PoolContext, name: str, line: Line | None = None) -> None:
        super().__init__(host, context, name, line)
        self.keeper = context.keeper
        self.generation = 0
        self._idle: deque[Link] = deque()  # the one that has rested longest is the first
        options = context.options
        self._codec = codec
        self._idle_timeout = options.idle_timeout
        self._max_duration = options.max_connection_duration
        self._max_requests = options.max_requests_per_connection
        self._edges = context.services.poller.edges  # a channel's can_read is all there is to know
        self._limits_life = self._max_duration != inf or self._max_requests != inf

    def take(self) -> ClientStream | None:
        idle = self._idle
        while idle:
            link = idle[-1]
            channel = link.channel
            if (channel.can_read or not self._edges) and channel.readable() and self._dead(link):
                idle.pop()
                continue
            self._admit()
            idle.pop()
            return self._begin(link)
        return None

    def _dead(self, link: Link) -> bool:
        """A connection without a stream can be read: close it if its peer has, or says something unasked."""
        try:
            received = link.channel.recv_into(self._context.services.poller.view)
        except OSError:
            received = 0
        if received is None:  # TLS had something to say to itself
            return False
        if received:
            self._context.stats.upstream_cx_protocol_error += 1
        self._destroy(link, remote=not received)
        return True

    def _begin(self, link: Link) -> ClientStream:
        link.served += 1
        if link.served >= self._max_requests:
            self._context.stats.upstream_cx_max_requests += 1
        return link.connection

    async def _obtain(self) -> ClientStream:
        stream = await self._room_or_stream()
        if stream is not None:
            return stream
        link = await self._connect()
        try:
            self._admit()
        except UpstreamFailure:
            self._rest(link, link.now())
            raise
        return self._begin(link)

    async def _connect(self) -> Link:
        born = self._begun()
        return self._link(await self._dial(ALPN, born), born)

    def _link(self, channel: Channel, born: float) -> Link:
        link = Link(self, channel, born)
        link.connection = Http1ClientConnection(channel, self._codec.options, self._codec.stats, self)
        link.connection.link = link
        self._context.services.stats.count_late(link.count_bytes)
        return link

    def adopt(self, channel: Channel, born: float) -> None:
        """Take over a connection that another pool of the same line has made, and counted."""
        self.stats.upstream_cx_http1_total += 1
        self._reuse(self._link(channel, born))

    def _begun(self) -> float:
        self._context.stats.upstream_cx_http1_total += 1
        return super()._begun()

    def give_back(self, connection: Http1ClientConnection) -> None:
        """A stream is over: use its connection for who waits, keep it, or count its end."""
        self._end()
        link: Link = connection.link
        channel = link.channel
        if channel.closed:
            if connection.protocol_error:
                self._context.stats.upstream_cx_protocol_error += 1
            if connection.asked_to_close and not connection.peer_closed:
                self._context.stats.upstream_cx_close_notify += 1
            self._closed(link, remote=connection.peer_closed, active=connection.cut_short)
        elif link.generation != self.generation or (self._limits_life and self._spent(link)):
            self._destroy(link, remote=False)
        elif (
            (channel.can_read or not self._edges) and channel.readable() and self._dead(link)
        ):  # it closed right behind the response
            pass
        elif self._waiting:
            self._reuse(link)
        else:
            info = connection.info
            now = info.end if info is not None else nan  # known already when its stream is over
            self._rest(link, now if now == now else link.now())

    def _spent(self, link: Link) -> bool:
        """Whether a connection has served enough, or lived long enough."""
        if link.served >= self._max_requests:
            return True
        if self._max_duration != inf and trio.current_time() - link.born >= self._max_duration:
            self._context.stats.upstream_cx_max_duration_reached += 1
            return True
        return False

    def _reuse(self, link: Link) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            try:
                self._admit()
            except UpstreamFailure as failure:
                waiter.fail(failure)
            else:
                waiter.hand(self._begin(link))
                return
        self._rest(link, link.now())

    def _rest(self, link: Link, now: float) -> None:
        link.idle_since = now
        self._idle.append(link)
        at = now + self._idle_timeout
        if self._max_duration != inf:
            at = min(at, link.born + self._max_duration)
        if at < self.planned:
            self.keeper.plan(self, at)

    def bury(self, link: Link) -> None:
        """The peer of a connection has closed; if it is idle it goes."""
        if link in self._idle and self._dead(link):
            self._idle.remove(link)

    def expire(self, now: float) -> float:
        idle, stats = self._idle, self._context.stats
        while idle and idle[0].idle_since + self._idle_timeout <= now:
            stats.upstream_cx_idle_timeout += 1
            self._destroy(idle.popleft(), remote=False)
        if self._max_duration != inf:
            for link in [link for link in idle if link.born + self._max_duration <= now]:
                stats.upstream_cx_max_duration_reached += 1
                idle.remove(link)
                self._destroy(link, remote=False)
        return min(
            (min(link.idle_since + self._idle_timeout, link.born + self._max_duration) for link in idle), default=inf
        )

    def drain(self) -> None:
        self.generation += 1
        while self._idle:
            self._destroy(self._idle.pop(), remote=False)

    def _destroy(self, link: Link, *, remote: bool) -> None:
        """Close a connection that has no stream."""
        link.channel.on_gone = None
        link.channel.close()
        self._closed(link, remote=remote, active=False)

    def _closed(self, link: Link, *, remote: bool, active: bool) -> None:
        self._context.services.stats.count_no_longer(link.count_bytes)
        self._context.stats.upstream_rq_per_cx.record(link.served)
        self._ended(link.born, remote=remote, active=active)


def pool_maker(options: ClusterOptions, scope: Scope) -> partial[Http1Pool]:
    """What makes the pools of a cluster."""
    return partial(Http1Pool, Codec(options, scope))
