"""The router over a scripted cluster, in virtual time."""

from __future__ import annotations

import trio

from tests.fakes import ScriptedCluster, a_filter_context, a_route, a_services, a_stream, counted, headers
from trio_envoy.config.cluster import CircuitBreakers, CircuitBreakersThresholds
from trio_envoy.errors import UpstreamFailure
from trio_envoy.extensions.filters.http.router import Router, make
from trio_envoy.http.body import BytesBody
from trio_envoy.http.message import LocalReply, Response
from trio_envoy.net.stream_info import UC, UF, UO, flags_short
from trio_envoy.routing.entry import ForwardAction
from trio_envoy.routing.retry import RetryOn, RetryPolicy
from trio_envoy.util.deadlines import Guard

REFUSED = UpstreamFailure("remote connection failure", UF, transport="refused", sent=False)
TERMINATED = UpstreamFailure("connection termination", UC)
OVERFLOW = UpstreamFailure("overflow", UO, sent=False)


def answer(status=200, fields=(), body=None):
    """The script of an upstream that answers; a body of bytes is here at once."""
    return [Response(status, headers(fields), BytesBody(body) if isinstance(body, bytes) else body)]


def retrying(on=RetryOn.FIVE_XX, **fields):
    """A retry policy with a back-off of exactly 0..base x 2^n; see Routed.random."""
    return RetryPolicy(on=on, **{"base_interval": 1.0, "max_interval": 10.0, **fields})


def with_retry_limit(limit):
    return CircuitBreakers(thresholds=(CircuitBreakersThresholds(max_retries=limit),))


class Half:
    """Randomness that always gives the middle."""

    def random(self):
        return 0.5


class Routed:
    """One request through the router.

    Attributes:
        cluster: the scripted one.
        result: what the router gave; None: it was cut short.
        cause: of the guard, if it was cut short.
        took: seconds, to the end of the response.
        body: of the response, as far as it came.
    """

    def __init__(self, *scripts, config=Router(), cluster=(), host=None, route=(), **action):  # noqa: B008 - frozen
        self.services = a_services()
        self.cluster = ScriptedCluster(self.services, *scripts, **dict(cluster))
        self.router = make(config, a_filter_context(self.services, [self.cluster]))
        self.router.random = Half()
        self.action = ForwardAction("c", **action)
        self.route = a_route(self.action, host=host, **dict(route))
        self.result = self.cause = self.stream = None
        self.took = 0.0
        self.body = b""

    async def run(self, *, then=None, finish=True, **fields):
        """The router's answer, its body read, with deadlines running; `then(self)` runs beside it.

        Without `finish` the stream is not complete yet; a stream that was cut short never finishes by itself.
        """
        guard = Guard(self.services.timers)
        start = trio.current_time()
        async with trio.open_nursery() as tasks:
            tasks.start_soon(self.services.timers.run)
            with guard.open():
                async with trio.open_nursery() as uploads:
                    self.stream = a_stream(route=self.route, tasks=uploads, guard=guard, **fields)
                    self.stream.inform = self.stream.codec.inform
                    if then is not None:
                        tasks.start_soon(then, self)
                    self.result = await self.router.answer(self.stream)
                    if isinstance(self.result, LocalReply):
                        self.info.flags |= self.result.flag
                        self.info.details = self.result.details
                        self.info.status = self.result.status
                    elif self.result.body is not None:
                        await self._read()
                    uploads.cancel_scope.cancel()
            self.cause = guard.fired
            self.took = trio.current_time() - start
            tasks.cancel_scope.cancel()
        if finish:
            self.complete()
        return self.result

    async def _read(self):
        try:
            while data := await self.result.body.read():
                self.body += data
        except UpstreamFailure as failure:
            self.info.details = f"upstream_reset_after_response_started{{{failure.reason}}}"

    def complete(self, details=None):
        """What the HCM does at the end."""
        if details is not None:
            self.info.details = details
        self.info.end = trio.current_time()
        for callback in self.stream.on_complete:
            callback()

    @property
    def info(self):
        return self.stream.info

    @property
    def said(self):
        """(status, flags, details)."""
        return self.result.status, flags_short(self.info.flags), self.info.details

    @property
    def counts(self):
        """Stats of the cluster that are not 0."""
        return counted(self.services, "cluster.c.")

    @property
    def of_host(self):
        """(success, error, timeout) of the host."""
        host = self.cluster.host
        return host.rq_success, host.rq_error, host.rq_timeout

    @property
    def at_rest(self):
        """Nothing is taken any more."""
        breakers = self.cluster.breakers[0]
        return (breakers.requests.count, breakers.retries.count) == (0, 0)
