"""envoy.config.route.v3: virtual hosts and routes.

Source: envoy/config/route/v3/{route,route_components}.proto; what a route matches (route_match) and does
(route_action) can be imported from here too.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import ClassVar

import attrs

from trio_envoy.config.core import HeaderValueOption
from trio_envoy.config.route_action import (
    ClusterNotFoundResponseCode,
    ClusterWeight,
    ConnectConfig,
    DirectResponseAction,
    RedirectAction,
    RedirectResponseCode,
    RetryBackOff,
    RetryPolicy,
    RouteAction,
    RouteUpgradeConfig,
    WeightedCluster,
)
from trio_envoy.config.route_match import (
    ConnectMatcher,
    CookieMatcher,
    GrpcRouteMatchOptions,
    HeaderMatcher,
    QueryParameterMatcher,
    RouteMatch,
)

__all__ = [
    "ClusterNotFoundResponseCode",
    "ClusterWeight",
    "ConnectConfig",
    "ConnectMatcher",
    "CookieMatcher",
    "DirectResponseAction",
    "FilterConfig",
    "GrpcRouteMatchOptions",
    "HeaderMatcher",
    "QueryParameterMatcher",
    "RedirectAction",
    "RedirectResponseCode",
    "RetryBackOff",
    "RetryPolicy",
    "Route",
    "RouteAction",
    "RouteConfiguration",
    "RouteMatch",
    "RouteUpgradeConfig",
    "TlsRequirementType",
    "VirtualHost",
    "WeightedCluster",
]


class TlsRequirementType(enum.StrEnum):
    """Which requests must come over TLS.

    Proto: envoy.config.route.v3.VirtualHost.TlsRequirementType
    """

    NONE = "NONE"
    EXTERNAL_ONLY = "EXTERNAL_ONLY"
    ALL = "ALL"


@attrs.frozen(kw_only=True)
class FilterConfig:
    """Per-route configuration of a filter that also says whether it runs.

    Attributes:
        config: config object of the filter's per-route message.
        is_optional: leave it out when it isn't known here.
        disabled: off on this route.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.FilterConfig"

    config: object | None = None
    is_optional: bool = False
    disabled: bool = False


@attrs.frozen(kw_only=True)
class Route:
    """What is done with the requests that match (oneof action, required).

    Attributes:
        name: for logs and %ROUTE_NAME%.
        match: which requests; required.
        route: send them to a cluster.
        redirect: answer with a location.
        direct_response: answer at once.
        typed_per_filter_config: by the filter's name in http_filters.
        request_headers_to_add: before the virtual host's.
        request_headers_to_remove: names; not `host` and no `:pseudo` header.
        response_headers_to_add: before the virtual host's.
        response_headers_to_remove: names.
        per_request_buffer_limit_bytes: deprecated; bytes kept for a retry.
        request_body_buffer_limit: bytes kept for a retry.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.Route"

    name: str = ""
    match: RouteMatch
    route: RouteAction | None = None
    redirect: RedirectAction | None = None
    direct_response: DirectResponseAction | None = None
    typed_per_filter_config: Mapping[str, object] = attrs.field(factory=dict)
    request_headers_to_add: tuple[HeaderValueOption, ...] = ()
    request_headers_to_remove: tuple[str, ...] = ()
    response_headers_to_add: tuple[HeaderValueOption, ...] = ()
    response_headers_to_remove: tuple[str, ...] = ()
    per_request_buffer_limit_bytes: int | None = None
    request_body_buffer_limit: int | None = None


@attrs.frozen(kw_only=True)
class VirtualHost:
    """The routes of some domains.

    Attributes:
        name: not empty; in the names of the statistics.
        domains: exact, `*.suffix`, `prefix.*` or `*`; at least one.
        routes: the first match wins.
        require_tls: redirect to https otherwise.
        request_headers_to_add: after the route's.
        request_headers_to_remove: names.
        response_headers_to_add: after the route's.
        response_headers_to_remove: names.
        typed_per_filter_config: by the filter's name in http_filters.
        include_request_attempt_count: send `x-envoy-attempt-count` upstream.
        include_attempt_count_in_response: send it downstream.
        include_is_timeout_retry_header: send `x-envoy-is-timeout-retry` upstream.
        retry_policy: for routes that have none.
        per_request_buffer_limit_bytes: deprecated; bytes kept for a retry.
        request_body_buffer_limit: bytes kept for a retry.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.VirtualHost"

    name: str = ""
    domains: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    require_tls: TlsRequirementType = TlsRequirementType.NONE
    request_headers_to_add: tuple[HeaderValueOption, ...] = ()
    request_headers_to_remove: tuple[str, ...] = ()
    response_headers_to_add: tuple[HeaderValueOption, ...] = ()
    response_headers_to_remove: tuple[str, ...] = ()
    typed_per_filter_config: Mapping[str, object] = attrs.field(factory=dict)
    include_request_attempt_count: bool = False
    include_attempt_count_in_response: bool = False
    include_is_timeout_retry_header: bool = False
    retry_policy: RetryPolicy | None = None
    per_request_buffer_limit_bytes: int | None = None
    request_body_buffer_limit: int | None = None


@attrs.frozen(kw_only=True)
class RouteConfiguration:
    """A route table.

    Attributes:
        name: for %ROUTE_CONFIG_NAME% and the admin interface.
        virtual_hosts: with distinct names and domains.
        internal_only_headers: removed from requests of external clients.
        response_headers_to_add: after the virtual host's.
        response_headers_to_remove: names.
        request_headers_to_add: after the virtual host's.
        request_headers_to_remove: names.
        most_specific_header_mutations_wins: turn that order round.
        validate_clusters: refuse a route to an unknown cluster; None is True for a static table.
        max_direct_response_body_size_bytes: None is 4096, 0 is no limit.
        ignore_port_in_host_matching: compare domains without the port of Host.
        ignore_path_parameters_in_path_matching: compare paths without `;parameters`.
        typed_per_filter_config: by the filter's name in http_filters.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RouteConfiguration"

    name: str = ""
    virtual_hosts: tuple[VirtualHost, ...] = ()
    internal_only_headers: tuple[str, ...] = ()
    response_headers_to_add: tuple[HeaderValueOption, ...] = ()
    response_headers_to_remove: tuple[str, ...] = ()
    request_headers_to_add: tuple[HeaderValueOption, ...] = ()
    request_headers_to_remove: tuple[str, ...] = ()
    most_specific_header_mutations_wins: bool = False
    validate_clusters: bool | None = None
    max_direct_response_body_size_bytes: int | None = None
    ignore_port_in_host_matching: bool = False
    ignore_path_parameters_in_path_matching: bool = False
    typed_per_filter_config: Mapping[str, object] = attrs.field(factory=dict)
