"""Routes whose cluster differs from request to request: weighted_clusters and cluster_header.

The choice is made when the route is matched, as in Envoy, and gives a Route of its own: with the cluster's header
operations, its per-filter config and its host rewrite. Source: Envoy, router/config_impl.cc.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

import attrs

from trio_envoy.http.fields import request_field
from trio_envoy.http.message import Request
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.entry import ForwardAction, Route
from trio_envoy.routing.match import Target, random_of

_KEPT: Final = 1024  # routes made for cluster names of a header; the names come from clients


class ByHeader:
    """The cluster is named by a request header; one Route for each name that came."""

    def __init__(self, header: str, route: Route, action: ForwardAction) -> None:
        """Prepare.

        Args:
            header: RouteAction.cluster_header.
            route: what the routes are like, but for the cluster.
            action: its action.
        """
        self._field = request_field(header.lower().encode())
        self._route = route
        self._action = action
        self._made: dict[bytes, Route] = {}

    def pick(self, request: Request, _info: StreamInfo) -> Route:
        """A Pick; the cluster of a header that isn't there is ""."""
        value = self._field(request) or b""
        route = self._made.get(value)
        if route is None:
            if len(self._made) >= _KEPT:
                self._made.clear()
            action = attrs.evolve(self._action, cluster=value.decode("utf-8", "surrogateescape"))
            route = self._made[value] = attrs.evolve(self._route, action=action)
        return route


@attrs.frozen(eq=False)
class Share:
    """One of several clusters.

    Attributes:
        target: its Route, or what picks it (cluster_header).
        weight: as configured.
        runtime_key: its value in the runtime replaces the weight; "": none does.
    """

    target: Target
    weight: int
    runtime_key: str = ""


class ByWeight:
    """One of several clusters, drawn by the stream's random number."""

    def __init__(self, shares: Sequence[Share], context: RouteContext) -> None:
        self._targets = tuple(share.target for share in shares)
        self._context = context
        self._fixed = tuple(accumulate(share.weight for share in shares))
        self._weights: tuple[Callable[[], int], ...] = ()
        if any(share.runtime_key for share in shares):
            self._weights = tuple(self._weight(share) for share in shares)

    def _weight(self, share: Share) -> Callable[[], int]:
        runtime = self._context.runtime
        return lambda: runtime.snapshot.get_int(share.runtime_key, share.weight)

    def pick(self, request: Request, info: StreamInfo) -> Route:
        """A Pick; when the runtime says that no cluster has a weight, the first one serves."""
        bounds = tuple(accumulate(weight() for weight in self._weights)) if self._weights else self._fixed
        total = bounds[-1]
        position = bisect_right(bounds, random_of(info, self._context) % total) if total else 0
        target = self._targets[position]
        return target if isinstance(target, Route) else target(request, info)
