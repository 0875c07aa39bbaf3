"""An HTTP connection manager without a listener: a terminal filter of the test, a connection in memory."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import attrs
import trio

from tests.fakes import LOCAL, PEER, FakeCodec, a_filter_context, a_services, counted, headers, receive_some
from trio_envoy.config.accesslog import AccessLog
from trio_envoy.config.hcm import HttpConnectionManager as Config
from trio_envoy.config.hcm import HttpFilter as FilterConfig
from trio_envoy.config.route import Route, RouteConfiguration, VirtualHost
from trio_envoy.config.route_action import DirectResponseAction
from trio_envoy.config.route_match import RouteMatch
from trio_envoy.hcm.connection import HcmConnection
from trio_envoy.hcm.filter import HttpFilter, TerminalFilter
from trio_envoy.hcm.manager import HttpConnectionManager
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request, Response
from trio_envoy.net.filter import Connection
from trio_envoy.net.memory_channel import memory_channel_pair
from trio_envoy.net.stream_info import StreamInfo, flags_short
from trio_envoy.registry import Category, register
from trio_envoy.util.deadlines import Guard


async def ok(stream):
    return Response(200, Headers())


@attrs.frozen(kw_only=True, eq=False)
class Answering:
    """Config of a terminal filter that answers as a test says."""

    __proto__: ClassVar[str] = "test.Answering"

    answer: Callable[..., Awaitable[object]] = ok


@attrs.frozen(kw_only=True, eq=False)
class Passing:
    """Config of a filter that calls a function of the test with the stream on the way down."""

    __proto__: ClassVar[str] = "test.Passing"

    encode: Callable[..., object] = lambda stream: None
    context: list = attrs.Factory(list)


@attrs.frozen(kw_only=True, eq=False)
class Noting:
    """Config of an access log that notes each stream."""

    __proto__: ClassVar[str] = "test.Noting"

    entries: list = attrs.Factory(list)


class _Terminal(TerminalFilter):
    def __init__(self, config):
        self.answer = config.answer


class _Passing(HttpFilter):
    def __init__(self, config):
        self._encode = config.encode

    async def encode(self, stream):
        done = self._encode(stream)
        return await done if inspect.isawaitable(done) else done


class _Sink:
    def __init__(self, config):
        self._entries = config.entries

    def log(self, context):
        self._entries.append(context)


@register(Category.HTTP_FILTER, "test.answering", config=Answering)
def _answering(config, context):
    return _Terminal(config)


@register(Category.HTTP_FILTER, "test.passing", config=Passing)
def _passing(config, context):
    config.context.append(context)
    return _Passing(config)


@register(Category.ACCESS_LOGGER, "test.noting", config=Noting)
def _noting(config, services):
    return _Sink(config)


def filters(*typed):
    """http_filters with these configs, named by their position."""
    return tuple(FilterConfig(name=f"f{position}", typed_config=each) for position, each in enumerate(typed))


def direct(prefix="/", status=200, **fields):
    """A route that answers."""
    return Route(match=RouteMatch(prefix=prefix), direct_response=DirectResponseAction(status=status), **fields)


def table(*routes, **fields):
    """A route configuration with one virtual host."""
    host = VirtualHost(name="v", domains=("*",), routes=routes or (direct(),))
    return RouteConfiguration(name="t", virtual_hosts=(host,), **fields)


class Managed:
    """A manager and what it counts and logs.

    Attributes:
        manager: the manager.
        services, stats, entries: of it; `entries` are the streams that were logged.
    """

    def __init__(self, answer=ok, *, services=None, context=(), passing=(), routes=None, **config):
        self.services = services or a_services()
        self.entries = []
        log = AccessLog(name="l", typed_config=Noting(entries=self.entries))
        config.setdefault("http_filters", filters(*passing, Answering(answer=answer)))
        config = Config(stat_prefix="ingress", route_config=routes or table(), access_log=(log,), **config)
        self.manager = HttpConnectionManager(config, a_filter_context(self.services, **dict(context)))
        self.stats = self.manager.stats

    def __getattr__(self, name):
        return getattr(self.manager, name)

    def connection(self):
        """(near, far): a connection to be served, and the client's end."""
        near, far = memory_channel_pair()
        near.info.local, near.info.remote = LOCAL, PEER
        return Connection(near, near.info, Guard(self.services.timers)), far

    @asynccontextmanager
    async def serving(self):
        """The client's end of a connection that is served meanwhile; deadlines run."""
        connection, far = self.connection()
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self.services.timers.run)
            tasks.start_soon(self.manager.serve, connection)
            yield far
            tasks.cancel_scope.cancel()


async def ask(far, data):
    """Send bytes, and give what comes back next."""
    far.send(data)
    return await receive_some(far)


def answering(response):
    async def answer(stream):
        if isinstance(response, Exception):
            raise response
        return response

    return answer


async def forever(stream):
    await trio.sleep_forever()


class Exchange:
    """One request through HcmConnection, with a FakeCodec on its side."""

    def __init__(self, managed, method=b"GET", path=b"/", fields=(), body=None, **fields_of_request):
        self.managed = managed
        complete = fields_of_request.pop("complete", None)
        protocol = fields_of_request.pop("protocol_of_codec", "HTTP/1.1")
        connection, _ = managed.connection()
        self.hcm = HcmConnection(managed.manager, connection)
        request = Request(method, b"a.com", path, b"", headers(fields), body, **fields_of_request)
        info = StreamInfo(trio.current_time(), 0.0, connection.info)
        info.protocol = protocol
        self.codec = FakeCodec(request, info, Guard(managed.services.timers), complete=complete)

    async def run(self, then=None):
        """handle() under the guard, as codecs do; interrupted() if it fired. `then` runs beside it."""
        guard = self.codec.guard
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self.managed.services.timers.run)
            if then is not None:
                tasks.start_soon(then, self)
            with guard.open():
                await self.hcm.handle(self.codec)
            if guard.fired is not None:
                cause = guard.fired
                with guard.open():
                    await self.hcm.interrupted(self.codec, cause)
            tasks.cancel_scope.cancel()
        return self.codec

    @property
    def counts(self):
        return counted(self.managed.services, "http.ingress.downstream_rq_")

    @property
    def logged(self):
        """(status, flags, details) of the only entry."""
        (entry,) = self.managed.entries
        return entry.info.status, flags_short(entry.info.flags), entry.info.details


def fire(cause):
    async def then(exchange):
        await trio.testing.wait_all_tasks_blocked()
        exchange.codec.guard.fire(cause)

    return then


def flags_of(short):
    return next(1 << bit for bit in range(40) if flags_short(1 << bit) == short)
