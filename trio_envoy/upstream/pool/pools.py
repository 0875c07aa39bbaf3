"""Finds the pool for a request: by host, priority, HTTP version and, where the request gives it, TLS name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from trio_envoy.upstream.breakers import Breakers
from trio_envoy.upstream.context import ClusterContext, LbContext
from trio_envoy.upstream.host import Host
from trio_envoy.upstream.options import ClusterOptions, Version
from trio_envoy.upstream.pool import http1
from trio_envoy.upstream.pool.base import Pool, PoolContext
from trio_envoy.upstream.pool.keeper import Keeper

if TYPE_CHECKING:
    from trio_envoy.upstream.pool.http2 import Http2Pool

_PRIORITY: Final = 1  # the bit of a pool's key
_HTTP2: Final = 2  # added to the priority: the key of a pool that speaks HTTP/2
_TCP: Final = 4  # of one whose connections carry bytes
_AUTO: Final = 8  # of one that speaks what ALPN says
_FIRST_KEYS: Final = {Version.HTTP2: _HTTP2, Version.AUTO: _AUTO}
_DOWNSTREAM_HTTP2: Final = "HTTP/2"


MakePool = Callable[[Host, PoolContext, str], Pool]


class Pools:
    """The pools of one cluster; they hang on its hosts.

    Attributes:
        find: (host, context, protocol of the downstream stream) -> its pool, made on first need.
    """

    find: Callable[[Host, LbContext, str], Pool]

    def __init__(
        self, context: ClusterContext, options: ClusterOptions, breakers: tuple[Breakers, Breakers], keeper: Keeper
    ) -> None:
        self._cluster = context
        self._breakers = breakers
        self._keeper = keeper
        self._contexts: dict[int, PoolContext] = {}  # by priority
        self._options = options
        self._make_http1: partial[http1.Http1Pool] | None = None
        self._make_http2: partial[Http2Pool] | None = None
        self._make_auto: MakePool | None = None
        self._version = options.version
        self._first_key = _FIRST_KEYS.get(options.version, 0)
        self._name = options.upstream.override_auto_sni_header.lower().encode()
        if options.upstream.auto_sni or options.upstream.auto_san_validation:
            self.find = self._find_named
        elif options.version is Version.DOWNSTREAM:
            self.find = self._find_by_protocol
        else:
            self.find = self._find

    def _find(self, host: Host, context: LbContext, protocol: str) -> Pool:
        key = self._first_key + context.priority
        return host.pools.get(key) or self._make(host, key)

    def _find_by_protocol(self, host: Host, context: LbContext, protocol: str) -> Pool:
        key = self._key(context, protocol)
        return host.pools.get(key) or self._make(host, key)

    def _find_named(self, host: Host, context: LbContext, protocol: str) -> Pool:
        """auto_sni, auto_san_validation: connections for one name are not used for another; case does not count."""
        key = self._key(context, protocol)
        name = self._wanted_name(context)
        return host.pools.get((key, name.lower())) or self._make(host, key, name)

    def _key(self, context: LbContext, protocol: str) -> int:
        if self._version is Version.DOWNSTREAM:
            return context.priority + (_HTTP2 if protocol == _DOWNSTREAM_HTTP2 else 0)
        return context.priority + self._first_key

    def _wanted_name(self, context: LbContext) -> str:
        """What the request calls the upstream, without a port."""
        request = context.request
        if request is None:
            return ""
        name = request.headers.get(self._name) if self._name else None
        return without_port(name or request.authority).decode("latin-1")

    def _make(self, host: Host, key: int, name: str | None = None) -> Pool:
        context = self._context(key & _PRIORITY)
        pool = host.pools[key if name is None else (key, name.lower())] = self._maker(key)(host, context, name or "")
        context.breakers.count_pools(1)
        return pool

    def _maker(self, key: int) -> MakePool:
        if key & _AUTO:
            return self._auto()
        return self._http2() if key & _HTTP2 else self._tcp() if key & _TCP else self._http1()

    def tcp(self, host: Host, context: LbContext) -> Pool:
        """The pool for connections that carry the bytes of one stream."""
        name = self._wanted_name(context)
        key = context.priority + _TCP
        return host.pools.get((key, name.lower())) or self._make(host, key, name)

    def _context(self, priority: int) -> PoolContext:
        """What the pools of a priority share; many clusters never need it."""
        context = self._contexts.get(priority)
        if context is None:
            cluster = self._cluster
            context = self._contexts[priority] = PoolContext(
                options=self._options,
                stats=cluster.stats,
                breakers=self._breakers[priority],
                dialer=cluster.dialer,
                keeper=self._keeper,
                services=cluster.services,
            )
        return context

    def _http1(self) -> partial[http1.Http1Pool]:
        if self._make_http1 is None:
            self._make_http1 = http1.pool_maker(self._options, self._cluster.scope)
        return self._make_http1

    def _http2(self) -> partial[Http2Pool]:
        if self._make_http2 is None:
            from trio_envoy.upstream.pool import http2  # its codec takes long to load

            self._make_http2 = http2.pool_maker(self._options, self._cluster.scope)
        return self._make_http2

    def _auto(self) -> MakePool:
        if self._make_auto is None:
            from trio_envoy.upstream.pool import auto  # few need it

            self._make_auto = auto.pool_maker(self._options, self._http1(), self._http2)
        return self._make_auto

    @staticmethod
    def _tcp() -> MakePool:
        from trio_envoy.upstream.pool.tcp import TcpPool  # few need it

        return TcpPool

    def drain(self, host: Host) -> None:
        """Use none of the host's connections again."""
        for pool in host.pools.values():
            pool.drain()

    def give_up(self, host: Host) -> None:
        """The host has left the cluster."""
        self.drain(host)
        for key in host.pools:
            number = key if isinstance(key, int) else key[0]
            self._breakers[number & _PRIORITY].count_pools(-1)
        host.pools = {}


def without_port(authority: bytes) -> bytes:
    """The host of an authority, an IPv6 address without its brackets."""
    if authority.startswith(b"["):
        return authority[1:].partition(b"]")[0]
    return authority.partition(b":")[0]
