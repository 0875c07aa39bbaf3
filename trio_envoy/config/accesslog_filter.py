"""envoy.config.accesslog.v3: which requests an access log writes.

Source: envoy/config/accesslog/v3/accesslog.proto.
"""

from __future__ import annotations

import enum
from typing import ClassVar

import attrs

from trio_envoy.config.core import RuntimeUInt32
from trio_envoy.config.route_match import HeaderMatcher
from trio_envoy.config.types import FractionalPercent


class ComparisonOp(enum.StrEnum):
    """How two numbers are compared.

    Proto: envoy.config.accesslog.v3.ComparisonFilter.Op
    """

    EQ = "EQ"
    GE = "GE"
    LE = "LE"
    NE = "NE"


@attrs.frozen(kw_only=True)
class ComparisonFilter:
    """A number compared with one of the runtime.

    Attributes:
        op: EQ is the default.
        value: the right-hand side; required.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.ComparisonFilter"

    op: ComparisonOp = ComparisonOp.EQ
    value: RuntimeUInt32


@attrs.frozen(kw_only=True)
class StatusCodeFilter:
    """By the status of the response; 0 when there was none.

    Attributes:
        comparison: required.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.StatusCodeFilter"

    comparison: ComparisonFilter


@attrs.frozen(kw_only=True)
class DurationFilter:
    """By the duration of the request in milliseconds.

    Attributes:
        comparison: required.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.DurationFilter"

    comparison: ComparisonFilter


@attrs.frozen(kw_only=True)
class NotHealthCheckFilter:
    """Not those that the health_check filter took for health checks."""

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.NotHealthCheckFilter"


@attrs.frozen(kw_only=True)
class RuntimeFilter:
    """A share of the requests, the same ones for all proxies on the way (by x-request-id).

    Attributes:
        runtime_key: its value replaces percent_sampled; not empty.
        percent_sampled: None is 0 %.
        use_independent_randomness: not by x-request-id.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.RuntimeFilter"

    runtime_key: str = ""
    percent_sampled: FractionalPercent | None = None
    use_independent_randomness: bool = False


@attrs.frozen(kw_only=True)
class AndFilter:
    """All of these.

    Attributes:
        filters: two or more.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.AndFilter"

    filters: tuple[AccessLogFilter, ...] = ()


@attrs.frozen(kw_only=True)
class OrFilter:
    """One of these.

    Attributes:
        filters: two or more.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.OrFilter"

    filters: tuple[AccessLogFilter, ...] = ()


@attrs.frozen(kw_only=True)
class HeaderFilter:
    """By a header of the request.

    Attributes:
        header: required.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.HeaderFilter"

    header: HeaderMatcher


@attrs.frozen(kw_only=True)
class ResponseFlagFilter:
    """By response flags.

    Attributes:
        flags: short names such as `UF`, one of which must be set; empty: any flag.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.ResponseFlagFilter"

    flags: tuple[str, ...] = ()


class GrpcStatus(enum.StrEnum):
    """gRPC status codes, in the order of their numbers.

    Proto: envoy.config.accesslog.v3.GrpcStatusFilter.Status
    """

    OK = "OK"
    CANCELED = "CANCELED"
    UNKNOWN = "UNKNOWN"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


@attrs.frozen(kw_only=True)
class GrpcStatusFilter:
    """By the gRPC status, or what the HTTP status means in gRPC.

    Attributes:
        statuses: one of these.
        exclude: none of these.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.GrpcStatusFilter"

    statuses: tuple[GrpcStatus, ...] = ()
    exclude: bool = False


class AccessLogType(enum.StrEnum):
    """What an entry is written for.

    Proto: envoy.data.accesslog.v3.AccessLogType
    """

    NotSet = "NotSet"
    TcpUpstreamConnected = "TcpUpstreamConnected"
    TcpPeriodic = "TcpPeriodic"
    TcpConnectionStart = "TcpConnectionStart"
    TcpConnectionEnd = "TcpConnectionEnd"
    DownstreamStart = "DownstreamStart"
    DownstreamPeriodic = "DownstreamPeriodic"
    DownstreamEnd = "DownstreamEnd"
    UpstreamPoolReady = "UpstreamPoolReady"
    UpstreamPeriodic = "UpstreamPeriodic"
    UpstreamEnd = "UpstreamEnd"
    DownstreamTunnelSuccessfullyEstablished = "DownstreamTunnelSuccessfullyEstablished"
    UdpTunnelUpstreamConnected = "UdpTunnelUpstreamConnected"
    UdpPeriodic = "UdpPeriodic"
    UdpSessionEnd = "UdpSessionEnd"


@attrs.frozen(kw_only=True)
class LogTypeFilter:
    """By what the entry is written for.

    Attributes:
        types: these.
        exclude: all but these.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.LogTypeFilter"

    types: tuple[AccessLogType, ...] = ()
    exclude: bool = False


@attrs.frozen(kw_only=True)
class AccessLogFilter:
    """Which requests are logged (oneof filter_specifier, required).

    Attributes:
        status_code_filter: by status.
        duration_filter: by duration.
        not_health_check_filter: no health checks.
        runtime_filter: a share.
        and_filter: all of several filters.
        or_filter: one of several filters.
        header_filter: by a request header.
        response_flag_filter: by response flags.
        grpc_status_filter: by gRPC status.
        log_type_filter: by what the entry is written for.
    """

    __proto__: ClassVar[str] = "envoy.config.accesslog.v3.AccessLogFilter"

    status_code_filter: StatusCodeFilter | None = None
    duration_filter: DurationFilter | None = None
    not_health_check_filter: NotHealthCheckFilter | None = None
    runtime_filter: RuntimeFilter | None = None
    and_filter: AndFilter | None = None
    or_filter: OrFilter | None = None
    header_filter: HeaderFilter | None = None
    response_flag_filter: ResponseFlagFilter | None = None
    grpc_status_filter: GrpcStatusFilter | None = None
    log_type_filter: LogTypeFilter | None = None
