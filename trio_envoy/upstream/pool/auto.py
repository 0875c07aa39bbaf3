"""Pool of a cluster with auto_config: each connection speaks what its TLS handshake has agreed upon.

It makes the connections, in tasks of the keeper, and hands them to an HTTP/1 or an HTTP/2 pool of the same host. All
three have one line: whoever waits is served by what comes first, a connection that is new or one that has room again.
Source: Envoy, http/mixed_conn_pool.cc and conn_pool/conn_pool_base.cc.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.codec import ClientStream
from trio_envoy.http.h2.options import Http2Options
from trio_envoy.net.channel import Channel
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.options import ClusterOptions
from trio_envoy.upstream.pool.base import Pool, PoolContext, Waiter
from trio_envoy.upstream.pool.http1 import Http1Pool

if TYPE_CHECKING:
    from trio_envoy.upstream.pool.http2 import Http2Pool

ALPN: Final = ("h2", "http/1.1")


class AutoPool(Pool):
    """HTTP/1 and HTTP/2 connections to one host."""

    def __init__(
        self,
        make_http1: partial[Http1Pool],
        http2_maker: Callable[[], partial[Http2Pool]],
        max_streams: int,
        host: Host,
        context: PoolContext,
        name: str,
    ) -> None:
        """An empty pool.

        Args:
            make_http1: makes the pool for connections that speak HTTP/1.
            http2_maker: gives what makes the one for HTTP/2; asked when there is a connection for it.
            max_streams: of an HTTP/2 connection.
            host: whose connections these are.
            context: what the pools of the cluster share.
            name: what requests call the upstream; see Pool.
        """
        super().__init__(host, context, name)
        self._http1 = make_http1(host, context, "", self._line)
        self._http2: Http2Pool | None = None
        self._http2_maker = http2_maker
        self._max_streams = max_streams
        self._expected = max_streams  # streams for which the next connection will do, going by the last one
        self._connecting = 0

    def take(self) -> ClientStream | None:
        http2 = self._http2
        stream = None if http2 is None else http2.take()
        return self._http1.take() if stream is None else stream

    async def _obtain(self) -> ClientStream:
        while True:
            self._connect_for(len(self._waiting) + 1)
            waiter = Waiter(self._waiting)
            self._waiting.append(waiter)
            stream = await waiter.wait() or self.take()
            if stream is not None:
                return stream

    def _connect_for(self, streams: int) -> None:
        """Make connections until those under way will do for so many streams."""
        while self._connecting * self._expected < streams and self._may_connect():
            self._connecting += 1
            self._context.keeper.tasks.start_soon(self._run, self._begun())

    async def _run(self, born: float) -> None:
        """Make a connection and hand it over; if it speaks HTTP/2 this is its task to the end."""
        try:
            channel = await self._dial(ALPN, born)
        except UpstreamFailure:
            return  # it is counted, and whoever waits knows
        finally:
            self._connecting -= 1
        self.host.cx_total += 1  # Envoy counts it again as a connection that speaks HTTP
        self.stats.upstream_cx_total += 1
        if _speaks_http2(channel):
            self._expected = self._max_streams
            if self._http2 is None:
                self._http2 = self._http2_maker()(self.host, self._context, "", self._line)
            await self._http2.adopt(channel, born)
        else:
            self._expected = 1
            self._http1.adopt(channel, born)
            self._connect_for(len(self._waiting))

    def expire(self, now: float) -> float:
        return inf  # never asked: the other pools have what is idle

    def drain(self) -> None:
        self._http1.drain()
        if self._http2 is not None:
            self._http2.drain()


def _speaks_http2(channel: Channel) -> bool:
    tls = channel.info.tls
    assert tls is not None, "auto_config without TLS does not load"
    return tls.alpn == "h2"


def pool_maker(
    options: ClusterOptions, make_http1: partial[Http1Pool], http2_maker: Callable[[], partial[Http2Pool]]
) -> partial[AutoPool]:
    """What makes the pools of a cluster."""
    max_streams = Http2Options.of_upstream(options.http2, options.common).max_streams
    return partial(AutoPool, make_http1, http2_maker, max_streams)
