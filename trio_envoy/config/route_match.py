"""envoy.config.route.v3: which requests a route takes.

Source: envoy/config/route/v3/route_components.proto.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.config.core import RuntimeFractionalPercent
from trio_envoy.config.matcher import RegexMatcher, StringMatcher
from trio_envoy.config.types import Int64Range


@attrs.frozen(kw_only=True)
class HeaderMatcher:
    """One header (oneof header_match_specifier; none means: is there).

    Attributes:
        name: field name or pseudo header, not empty.
        exact_match: deprecated.
        safe_regex_match: deprecated.
        range_match: the value is an integer in the range.
        present_match: is there (True) or is not (False).
        prefix_match: deprecated.
        suffix_match: deprecated.
        contains_match: deprecated.
        string_match: compare the value.
        invert_match: the opposite.
        treat_missing_header_as_empty: compare "" when it is not there.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.HeaderMatcher"

    name: str = ""
    exact_match: str | None = None
    safe_regex_match: RegexMatcher | None = None
    range_match: Int64Range | None = None
    present_match: bool | None = None
    prefix_match: str | None = None
    suffix_match: str | None = None
    contains_match: str | None = None
    string_match: StringMatcher | None = None
    invert_match: bool = False
    treat_missing_header_as_empty: bool = False


@attrs.frozen(kw_only=True)
class QueryParameterMatcher:
    """One parameter of the query (oneof query_parameter_match_specifier; none means: is there).

    Attributes:
        name: case counts; 1 to 1024 bytes.
        string_match: compare the value.
        present_match: is there, or not.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.QueryParameterMatcher"

    name: str = ""
    string_match: StringMatcher | None = None
    present_match: bool | None = None


@attrs.frozen(kw_only=True)
class CookieMatcher:
    """One cookie.

    Attributes:
        name: 1 to 1024 bytes.
        string_match: compare the value; required.
        invert_match: the opposite.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.CookieMatcher"

    name: str = ""
    string_match: StringMatcher
    invert_match: bool = False


@attrs.frozen(kw_only=True)
class GrpcRouteMatchOptions:
    """Only requests with `content-type: application/grpc...`."""

    __proto__: ClassVar[str] = "envoy.config.route.v3.RouteMatch.GrpcRouteMatchOptions"


@attrs.frozen(kw_only=True)
class ConnectMatcher:
    """Only CONNECT requests."""

    __proto__: ClassVar[str] = "envoy.config.route.v3.RouteMatch.ConnectMatcher"


@attrs.frozen(kw_only=True)
class RouteMatch:
    """Which requests (oneof path_specifier, required); all conditions must hold.

    Attributes:
        prefix: beginning of the path.
        path: the whole path, without the query.
        safe_regex: the whole path, without the query.
        path_separated_prefix: prefix at a `/`: `/api` takes `/api` and `/api/x`, not `/apix`.
        connect_matcher: CONNECT, which has no path.
        case_sensitive: for prefix and path; None is True.
        runtime_fraction: only a share of the requests.
        headers: all of them.
        query_parameters: all of them.
        cookies: all of them.
        grpc: only gRPC.
    """

    __proto__: ClassVar[str] = "envoy.config.route.v3.RouteMatch"

    prefix: str | None = None
    path: str | None = None
    safe_regex: RegexMatcher | None = None
    path_separated_prefix: str | None = None
    connect_matcher: ConnectMatcher | None = None
    case_sensitive: bool | None = None
    runtime_fraction: RuntimeFractionalPercent | None = None
    headers: tuple[HeaderMatcher, ...] = ()
    query_parameters: tuple[QueryParameterMatcher, ...] = ()
    cookies: tuple[CookieMatcher, ...] = ()
    grpc: GrpcRouteMatchOptions | None = None
