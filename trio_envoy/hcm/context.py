"""What factories of HTTP and network filters are given."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from trio_envoy.net.services import Services
from trio_envoy.stats.store import Scope
from trio_envoy.upstream.manager import ClusterManager


@attrs.frozen
class FilterContext:
    """The surroundings of one filter chain of one listener.

    Attributes:
        services: the process.
        clusters: the clusters by name.
        scope: stats scope of the process root (filters add their own prefix, as `http.ingress_http.`).
        listener_scope: stats scope `listener.<address>.`.
        listener_name: for logs.
        buffer_limit_bytes: per_connection_buffer_limit_bytes of the listener.
        direction: traffic_direction, "UNSPECIFIED" | "INBOUND" | "OUTBOUND".
        draining: the listener is being drained.
        stat_prefix: of the HCM that builds an HTTP filter, "" for network filters.
        upstream_scheme: of that HCM: upstreams get the scheme of their transport.
    """

    services: Services
    clusters: ClusterManager
    scope: Scope
    listener_scope: Scope
    listener_name: str
    buffer_limit_bytes: int
    direction: str
    draining: Callable[[], bool]
    stat_prefix: str = ""
    upstream_scheme: bool = False
