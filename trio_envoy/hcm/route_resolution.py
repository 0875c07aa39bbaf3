"""record_route_resolution_stats: what finding the routes of requests costs.

Each request looks for its route once. Envoy counts every look, also that of a request it refuses before it needs one.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from trio_envoy.http.message import Request
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.entry import Route
from trio_envoy.stats.declare import Histogram, StatsBlock
from trio_envoy.stats.store import Scope

Match = Callable[[Request, StreamInfo], Route | None]


class RouteResolutionStats(StatsBlock):
    """`http.<stat_prefix>.`."""

    downstream_rq_route_resolution_time_us: Histogram
    downstream_rq_route_resolutions: Histogram


class RouteResolution:
    """The histograms of one HCM."""

    def __init__(self, scope: Scope) -> None:
        self._stats = scope.block(RouteResolutionStats)

    def timed(self, match: Match) -> Match:
        """The same look for a route, whose time is kept in the request's info."""
        now = trio.current_time

        def find(request: Request, info: StreamInfo) -> Route | None:
            begin = now()
            route = match(request, info)
            info.route_resolution_us = int((now() - begin) * 1e6)
            return route

        return find

    def record(self, info: StreamInfo, times: int) -> None:
        """A stream has ended that has looked for a route so many times."""
        self._stats.downstream_rq_route_resolutions.record(times)
        self._stats.downstream_rq_route_resolution_time_us.record(info.route_resolution_us)
