"""Compiled routes: what the filters, the router and the logs know of the route of a request.

A `Route` is what `RouteTable.match` gives: everything is settled in it, also which of several weighted clusters serves
this request (as in Envoy, where the choice is part of matching, so that filters see its per-filter config).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from trio_envoy.config.core import RoutingPriority
from trio_envoy.formatter.context import LogContext
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.routing.header_ops import HeaderOps
from trio_envoy.routing.overrides import Overrides
from trio_envoy.routing.redirect import Location
from trio_envoy.routing.retry import RetryPolicy
from trio_envoy.routing.rewrite import Rewrite

DEFAULT_TIMEOUT: Final = 15.0  # s; RouteAction.timeout


@attrs.frozen(eq=False)
class VirtualHost:
    """What routes share with those of the same virtual host.

    Attributes:
        name: for statistics and %VIRTUAL_HOST_NAME%.
        include_request_attempt_count: send x-envoy-attempt-count upstream.
        include_attempt_count_in_response: send it downstream.
        include_is_timeout_retry_header: send x-envoy-is-timeout-retry upstream.
    """

    name: str
    include_request_attempt_count: bool = False
    include_attempt_count_in_response: bool = False
    include_is_timeout_retry_header: bool = False


@attrs.frozen(eq=False)
class Tunnels:
    """What a route says of upgrades, and of CONNECT.

    Attributes:
        enabled: by type in lower case; a type that isn't there is the manager's to settle.
        terminated: methods whose payload goes to the upstream as it is.
    """

    enabled: Mapping[str, bool]
    terminated: frozenset[bytes] = frozenset()


@attrs.frozen(eq=False)
class ForwardAction:
    """Send the request to a cluster.

    Attributes:
        cluster: its name; "" when cluster_header names a header that isn't there. It may not exist.
        not_found_status: answer when it doesn't exist: 503, 404 or 500.
        timeout: seconds from the end of the request to the end of the response; None: off.
        idle_timeout: seconds, instead of the HCM's stream_idle_timeout; None: not said; 0: off.
        retry: when to try again; None: never (the request's own x-envoy-retry-on aside).
        priority: which circuit breakers and pools.
        rewrite: what Route.finalize_request does after the header operators; None: nothing.
        auto_host_rewrite: the authority becomes the upstream host's name, once that is known (rewrite.set_host).
        append_x_forwarded_host: a rewritten authority leaves the old one in x-forwarded-host.
        tunnels: upgrade_configs; None: there are none.
    """

    cluster: str
    not_found_status: int = 503
    timeout: float | None = DEFAULT_TIMEOUT
    idle_timeout: float | None = None
    retry: RetryPolicy | None = None
    priority: RoutingPriority = RoutingPriority.DEFAULT
    rewrite: Rewrite | None = None
    auto_host_rewrite: bool = False
    append_x_forwarded_host: bool = False
    tunnels: Tunnels | None = None


@attrs.frozen(eq=False)
class RedirectAction:
    """Answer with a location; details `direct_response`.

    Attributes:
        status: 301, 302, 303, 307 or 308.
        rewrite: call it before `location`: prefix and regex rewrites change the path of the request (and of the log).
        location: the value of `location` for a request.
    """

    status: int
    location: Location
    rewrite: Rewrite | None = None


@attrs.frozen(eq=False)
class DirectResponseAction:
    """Answer at once; details `direct_response`.

    Attributes:
        status: 200 to 599.
        body: text/plain unless the route's response headers say otherwise; b"": no body.
        location: the value of `location`, which Envoy adds to 201 and 3xx; else None.
    """

    status: int
    body: bytes = b""
    location: Location | None = None


Action = ForwardAction | RedirectAction | DirectResponseAction


@attrs.frozen(eq=False)
class Route:
    """One compiled route, as it serves one request or many; compared by identity.

    Attributes:
        name: %ROUTE_NAME%, may be "".
        virtual_host: whose route it is.
        overrides: typed_per_filter_config of table, virtual host, route and weighted cluster; shared when equal.
        action: what is done.
        request_headers: changes to the request that goes up, all levels in Envoy's order; None: none.
        response_headers: changes to the response, also to local replies of this route; None: none.
        body_buffer_limit: bytes of the request body kept for a retry; None: the listener's buffer limit.
    """

    name: str
    virtual_host: VirtualHost
    overrides: Overrides
    action: Action
    request_headers: HeaderOps | None = None
    response_headers: HeaderOps | None = None
    body_buffer_limit: int | None = None

    def finalize_request(self, request: Request, context: LogContext, keep_original: bool) -> None:
        """Make the request of a ForwardAction the one that goes up: headers first, then authority and path.

        Args:
            request: changed.
            context: its HttpStream, for the operators in header values.
            keep_original: leave x-envoy-original-path and x-envoy-original-host; Router.suppress_envoy_headers is off.
        """
        if self.request_headers is not None:
            self.request_headers.apply(request.headers, context)
        action = self.action
        if isinstance(action, ForwardAction) and action.rewrite is not None:
            action.rewrite(request, keep_original)

    def finalize_response(self, headers: Headers, context: LogContext) -> None:
        """Change the headers of a response of this route.

        %RESPONSE_CODE% is read from context.info, %RESP()% from context.response: set them first. (For a local reply
        Envoy has a :status but no %RESPONSE_CODE% yet.)
        """
        if self.response_headers is not None:
            self.response_headers.apply(headers, context)
