"""envoy.filters.http.router: the terminal HTTP filter: answer from the route, or from a cluster.

Config: envoy.extensions.filters.http.router.v3.Router; docs: configuration/http/http_filters/router_filter.
One Exchange (exchange.py) carries a request through its attempts.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

import attrs

from trio_envoy.extensions.filters.http.router import replies, timing
from trio_envoy.extensions.filters.http.router.exchange import Exchange
from trio_envoy.extensions.filters.http.router.strict import StrictCheck
from trio_envoy.extensions.filters.http.router.tunnel import tunnel_of
from trio_envoy.hcm.context import FilterContext
from trio_envoy.hcm.filter import TerminalFilter
from trio_envoy.hcm.stats import RouterStats
from trio_envoy.hcm.stream import HttpStream
from trio_envoy.http.message import LocalReply, Request, Response
from trio_envoy.registry import Category, register
from trio_envoy.routing.entry import Action, DirectResponseAction, ForwardAction, RedirectAction


@attrs.frozen(kw_only=True)
class Router:
    """The router's own settings.

    Attributes:
        dynamic_stats: count responses by status for the cluster; None is True.
        suppress_envoy_headers: send no x-envoy-* headers of the router's, up or down.
        strict_check_headers: names of x-envoy-* fields that must make sense, else 400.
        respect_expected_rq_timeout: x-envoy-expected-rq-timeout-ms of the request is the timeout.
    """

    __proto__: ClassVar[str] = "envoy.extensions.filters.http.router.v3.Router"

    dynamic_stats: bool | None = None
    suppress_envoy_headers: bool = False
    strict_check_headers: tuple[str, ...] = ()
    respect_expected_rq_timeout: bool = False


class RouterFilter(TerminalFilter):
    """The router of one HCM.

    Attributes:
        stats: what is counted per request.
        random: for back-off.
        buffer_limit: bytes of a request body kept for a retry when the route says nothing.
        upstream_scheme: requests get the scheme of the cluster's transport.
        count_codes, tell: the settings dynamic_stats and not suppress_envoy_headers.
        timings: of the routes that were used.
    """

    def __init__(self, config: Router, context: FilterContext) -> None:
        self._cluster = context.clusters.get
        self.stats = context.scope.scope(f"http.{context.stat_prefix}.", raw=True).block(RouterStats)
        self.random = context.services.random
        self.buffer_limit = context.buffer_limit_bytes
        self.upstream_scheme = context.upstream_scheme
        self.count_codes = config.dynamic_stats is not False
        self.tell = not config.suppress_envoy_headers
        self._respect_expected = config.respect_expected_rq_timeout
        self._strict = StrictCheck(config.strict_check_headers) if config.strict_check_headers else None
        self.timings: dict[ForwardAction, timing.Timing] = {}

    def answer(self, stream: HttpStream) -> Coroutine[Any, Any, Response | LocalReply]:
        self.stats.rq_total += 1
        route = stream.route
        if route is None:
            self.stats.no_route += 1
            return _given(replies.NO_ROUTE)
        action = route.action
        if not isinstance(action, ForwardAction):
            return _given(self._without_upstream(stream, action))
        find = self._cluster  # called as a method it would be looked up in the class first
        cluster = find(action.cluster)
        if cluster is None:
            self.stats.no_cluster += 1
            stream.info.upstream_cluster = ""
            return _given(replies.no_cluster(action.not_found_status))
        if self._strict is not None and (refused := self._strict.refuse(stream.request.headers)) is not None:
            return _given(refused)
        if cluster.runtime.snapshot.entries and cluster.in_maintenance():
            cluster.stats.upstream_rq_maintenance_mode += 1
            cluster.charge_response(None, 503, internal=stream.info.internal)
            return _given(replies.MAINTENANCE if self.tell else replies.MAINTENANCE_UNTOLD)
        request = stream.request
        if request.protocol or request.method == b"CONNECT" or action.tunnels is not None:
            return tunnel_of(self, stream, route, action, cluster).run()
        return Exchange(self, stream, route, action, cluster).run()

    def timing(self, action: ForwardAction) -> timing.Timing:
        """The timeouts of a route; see `timings`."""
        found = self.timings[action] = timing.of_route(action)
        return found

    def steered(self, request: Request, action: ForwardAction) -> float | None:
        """The total timeout for this request: the route's, or the one that an internal client asks for."""
        if timing.CONTROLS.isdisjoint(request.headers.first):
            return action.timeout
        return timing.asked_total(action.timeout, request.headers, respect_expected=self._respect_expected)

    def _without_upstream(self, stream: HttpStream, action: Action) -> LocalReply:
        request = stream.request
        headers: tuple[tuple[bytes, bytes], ...] = ()
        self.stats.rq_direct_response += 1  # rq_redirect is for redirects that Envoy follows itself
        if isinstance(action, RedirectAction):
            if action.rewrite is not None:
                action.rewrite(request, self.tell)
            headers = ((b"location", action.location(request)),)
            return LocalReply(action.status, details="direct_response", headers=headers)
        assert isinstance(action, DirectResponseAction), "the third kind of action"
        if action.location is not None:
            headers = ((b"location", action.location(request)),)
        return LocalReply(action.status, action.body, details="direct_response", headers=headers)


async def _given(reply: LocalReply) -> LocalReply:
    return reply


@register(Category.HTTP_FILTER, "envoy.filters.http.router", config=Router)
def make(config: Router, context: FilterContext) -> RouterFilter:
    """Build the router from its config."""
    return RouterFilter(config, context)
