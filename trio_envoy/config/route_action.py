"""envoy.config.route.v3: what a route does with a request.

Source: envoy/config/route/v3/route_components.proto.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar

import attrs

from trio_envoy.config.core import DataSource, HeaderValueOption, RoutingPriority
from trio_envoy.config.matcher import RegexMatchAndSubstitute
from trio_envoy.config.route_match import HeaderMatcher


@attrs.frozen(kw_only=True)
class RetryBackOff:
    """Pause before a retry: random up to (2^n - 1) x base.

    Attributes:
        base_interval: seconds, > 0; required; under 1 ms is 1 ms.
        max_interval: seconds, at least base_interval; None is 10 x base.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RetryPolicy.RetryBackOff"

    base_interval: float
    max_interval: float | None = None


@attrs.frozen(kw_only=True)
class RetryPolicy:
    """When a request is tried again.

    Attributes:
        retry_on: comma-separated conditions such as `5xx,connect-failure`.
        num_retries: None is 1.
        per_try_timeout: seconds; None is the route's timeout.
        retriable_status_codes: for the condition `retriable-status-codes`.
        retry_back_off: None is 25 ms base, 250 ms at most.
        retriable_headers: response headers for the condition `retriable-headers`.
        retriable_request_headers: only requests with one of these are retried.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RetryPolicy"

    retry_on: str = ""
    num_retries: int | None = None
    per_try_timeout: float | None = None
    retriable_status_codes: tuple[int, ...] = ()
    retry_back_off: RetryBackOff | None = None
    retriable_headers: tuple[HeaderMatcher, ...] = ()
    retriable_request_headers: tuple[HeaderMatcher, ...] = ()


@attrs.frozen(kw_only=True)
class ClusterWeight:
    """One cluster of several.

    Attributes:
        name: of the cluster (excludes cluster_header).
        cluster_header: request header with the name.
        weight: None is 0.
        request_headers_to_add: before the route's.
        request_headers_to_remove: names.
        response_headers_to_add: before the route's.
        response_headers_to_remove: names.
        typed_per_filter_config: by the filter's name in http_filters.
        host_rewrite_literal: the new Host.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.WeightedCluster.ClusterWeight"

    name: str = ""
    cluster_header: str = ""
    weight: int | None = None
    request_headers_to_add: tuple[HeaderValueOption, ...] = ()
    request_headers_to_remove: tuple[str, ...] = ()
    response_headers_to_add: tuple[HeaderValueOption, ...] = ()
    response_headers_to_remove: tuple[str, ...] = ()
    typed_per_filter_config: Mapping[str, object] = attrs.field(factory=dict)
    host_rewrite_literal: str | None = None


@attrs.frozen(kw_only=True)
class WeightedCluster:
    """Requests are shared out by weight.

    Attributes:
        clusters: at least one; the sum of the weights is 1 to 2^32-1.
        total_weight: deprecated; the sum must be this.
        runtime_key_prefix: `<prefix>.<cluster>` in the runtime replaces a weight.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.WeightedCluster"

    clusters: tuple[ClusterWeight, ...] = ()
    total_weight: int | None = None
    runtime_key_prefix: str = ""


class ClusterNotFoundResponseCode(enum.StrEnum):
    """Status for a cluster that isn't there.

    Proto: envoy.config.route.v3.RouteAction.ClusterNotFoundResponseCode
    """

    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    NOT_FOUND = "NOT_FOUND"
    INTERNAL_SERVER_ERROR = "INTERNAL_SERVER_ERROR"


@attrs.frozen(kw_only=True)
class ConnectConfig:
    """CONNECT ends here: its payload goes to the upstream as it is.

    Attributes:
        allow_post: a POST on this route is taken as a CONNECT, too.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RouteAction.UpgradeConfig.ConnectConfig"

    allow_post: bool = False


@attrs.frozen(kw_only=True)
class RouteUpgradeConfig:
    """An upgrade on this route, whatever the manager says of it.

    Attributes:
        upgrade_type: value of `upgrade`, in any case, or CONNECT; not empty.
        enabled: None is True.
        connect_config: of CONNECT: do not forward it.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RouteAction.UpgradeConfig"

    upgrade_type: str = ""
    enabled: bool | None = None
    connect_config: ConnectConfig | None = None


@attrs.frozen(kw_only=True)
class RouteAction:
    """Send the request to a cluster (oneof cluster_specifier, required).

    Attributes:
        cluster: its name.
        cluster_header: request header with its name.
        weighted_clusters: several.
        cluster_not_found_response_code: 503 by default.
        prefix_rewrite: replaces the matched prefix or path.
        regex_rewrite: replaces in the path, without the query.
        host_rewrite_literal: the new Host (oneof host_rewrite_specifier).
        auto_host_rewrite: Host is the name of the upstream host.
        host_rewrite_header: Host comes from this header.
        host_rewrite_path_regex: Host comes from the path.
        append_x_forwarded_host: keep the old Host in `x-forwarded-host`.
        timeout: seconds from the end of the request to the end of the response; None is 15, 0 is off.
        idle_timeout: seconds; instead of stream_idle_timeout; 0 is off.
        retry_policy: None is the virtual host's.
        priority: DEFAULT or HIGH.
        upgrade_configs: which upgrades, over those of the manager.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RouteAction"

    cluster: str | None = None
    cluster_header: str | None = None
    weighted_clusters: WeightedCluster | None = None
    cluster_not_found_response_code: ClusterNotFoundResponseCode = ClusterNotFoundResponseCode.SERVICE_UNAVAILABLE
    prefix_rewrite: str = ""
    regex_rewrite: RegexMatchAndSubstitute | None = None
    host_rewrite_literal: str | None = None
    auto_host_rewrite: bool | None = None
    host_rewrite_header: str | None = None
    host_rewrite_path_regex: RegexMatchAndSubstitute | None = None
    append_x_forwarded_host: bool = False
    timeout: float | None = None
    idle_timeout: float | None = None
    retry_policy: RetryPolicy | None = None
    priority: RoutingPriority = RoutingPriority.DEFAULT
    upgrade_configs: tuple[RouteUpgradeConfig, ...] = ()


class RedirectResponseCode(enum.StrEnum):
    """Status of a redirect.

    Proto: envoy.config.route.v3.RedirectAction.RedirectResponseCode
    """

    MOVED_PERMANENTLY = "MOVED_PERMANENTLY"
    FOUND = "FOUND"
    SEE_OTHER = "SEE_OTHER"
    TEMPORARY_REDIRECT = "TEMPORARY_REDIRECT"
    PERMANENT_REDIRECT = "PERMANENT_REDIRECT"


@attrs.frozen(kw_only=True)
class RedirectAction:
    """Answer with a location.

    Attributes:
        https_redirect: scheme https (oneof scheme_rewrite_specifier).
        scheme_redirect: another scheme.
        host_redirect: another host.
        port_redirect: another port.
        path_redirect: another path, with or without a query (oneof path_rewrite_specifier).
        prefix_rewrite: replaces the matched prefix.
        regex_rewrite: replaces in the path.
        response_code: 301 by default.
        strip_query: drop the query.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RedirectAction"

    https_redirect: bool | None = None
    scheme_redirect: str | None = None
    host_redirect: str = ""
    port_redirect: int = 0
    path_redirect: str | None = None
    prefix_rewrite: str | None = None
    regex_rewrite: RegexMatchAndSubstitute | None = None
    response_code: RedirectResponseCode = RedirectResponseCode.MOVED_PERMANENTLY
    strip_query: bool = False


@attrs.frozen(kw_only=True)
class DirectResponseAction:
    """Answer at once.

    Attributes:
        status: 200 to 599.
        body: None is an empty body.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.DirectResponseAction"

    status: int = 0
    body: DataSource | None = None
