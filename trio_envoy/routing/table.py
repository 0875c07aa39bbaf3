"""Route tables: from a request to its route."""

from __future__ import annotations

from trio_envoy.config.route import RouteConfiguration
from trio_envoy.http.message import Request
from trio_envoy.net.stream_info import StreamInfo
from trio_envoy.routing.context import RouteContext
from trio_envoy.routing.entry import Route


class RouteTable:
    """One compiled RouteConfiguration; never changed, only replaced.

    Attributes:
        name: RouteConfiguration.name.
        internal_only_headers: names that the HCM removes from requests of external clients.
    """

    def __init__(self, config: RouteConfiguration, context: RouteContext) -> None:
        """Compile.

        Raises:
            ConfigError: an unknown cluster, a duplicate domain, a bad regex, header or operator.
        """
        self.name = config.name
        self.internal_only_headers = tuple(name.lower().encode() for name in config.internal_only_headers)

    def match(self, request: Request, info: StreamInfo) -> Route | None:
        """The route of this request, everything in it settled; None: 404, NR, `route_not_found`.

        The weighted cluster is drawn, and the cluster_header read, here: a filter that changes what routes look at
        calls match again and assigns stream.route.
        """
        raise NotImplementedError
