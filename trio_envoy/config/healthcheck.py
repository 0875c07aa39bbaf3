"""envoy.config.core.v3.HealthCheck: active health checks.

Source: envoy/config/core/v3/health_check.proto.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from trio_envoy.config.core import HeaderValueOption, RequestMethod
from trio_envoy.config.matcher import StringMatcher
from trio_envoy.config.types import CodecClientType, Int64Range


@attrs.frozen(kw_only=True)
class Payload:
    """Bytes to send or to expect (oneof payload, required).

    Attributes:
        text: in hexadecimal, not empty.
        binary: the bytes themselves.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.HealthCheck.Payload"

    text: str | None = None
    binary: bytes | None = None


@attrs.frozen(kw_only=True)
class HttpHealthCheck:
    """A request; 200 is healthy.

    Attributes:
        host: Host header; empty is the cluster's name.
        path: not empty.
        send: body; not for GET and HEAD.
        receive: parts that the body must hold, in this order.
        response_buffer_size: bytes of the body that are searched; None is 1024.
        request_headers_to_add: templates.
        request_headers_to_remove: names.
        expected_statuses: healthy ones, within 100 to 599; empty is 200.
        retriable_statuses: count against the threshold; others fail at once.
        codec_client_type: HTTP1 or HTTP2.
        service_name_matcher: must match `x-envoy-upstream-healthchecked-cluster`.
        method: not CONNECT; the default is GET.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.HealthCheck.HttpHealthCheck"

    host: str = ""
    path: str = ""
    send: Payload | None = None
    receive: tuple[Payload, ...] = ()
    response_buffer_size: int | None = None
    request_headers_to_add: tuple[HeaderValueOption, ...] = ()
    request_headers_to_remove: tuple[str, ...] = ()
    expected_statuses: tuple[Int64Range, ...] = ()
    retriable_statuses: tuple[Int64Range, ...] = ()
    codec_client_type: CodecClientType = CodecClientType.HTTP1
    service_name_matcher: StringMatcher | None = None
    method: RequestMethod = RequestMethod.METHOD_UNSPECIFIED


@attrs.frozen(kw_only=True)
class TcpHealthCheck:
    """A connection, and bytes on it.

    Attributes:
        send: None only connects.
        receive: parts that the answer must hold, in this order.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.HealthCheck.TcpHealthCheck"

    send: Payload | None = None
    receive: tuple[Payload, ...] = ()


@attrs.frozen(kw_only=True)
class HealthCheck:
    """How hosts are checked (oneof health_checker, required).

    Attributes:
        timeout: seconds, > 0; required.
        interval: seconds, > 0; required.
        initial_jitter: seconds before the first check, at random.
        interval_jitter: seconds on top of the interval, at random.
        interval_jitter_percent: percent of the interval on top, at random.
        unhealthy_threshold: failures; required.
        healthy_threshold: successes; required.
        reuse_connection: None is True.
        http_health_check: over HTTP.
        tcp_health_check: over TCP.
        no_traffic_interval: seconds, > 0, while the cluster has had no traffic; None is 60.
        no_traffic_healthy_interval: seconds, > 0, for healthy hosts of such a cluster; None is
            no_traffic_interval.
        unhealthy_interval: seconds, > 0, for unhealthy hosts; None is interval.
        unhealthy_edge_interval: seconds, > 0, after a host turned unhealthy; None is unhealthy_interval.
        healthy_edge_interval: seconds, > 0, after it turned healthy; None is interval.
    """

    __proto__: ClassVar[str] = "envoy.config.core.v3.HealthCheck"

    timeout: float
    interval: float
    initial_jitter: float | None = None
    interval_jitter: float | None = None
    interval_jitter_percent: int = 0
    unhealthy_threshold: int
    healthy_threshold: int
    reuse_connection: bool | None = None
    http_health_check: HttpHealthCheck | None = None
    tcp_health_check: TcpHealthCheck | None = None
    no_traffic_interval: float | None = None
    no_traffic_healthy_interval: float | None = None
    unhealthy_interval: float | None = None
    unhealthy_edge_interval: float | None = None
    healthy_edge_interval: float | None = None
