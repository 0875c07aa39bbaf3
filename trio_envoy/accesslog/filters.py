"""envoy.config.accesslog.v3.AccessLogFilter, compiled: is this request to be logged?

Source: Envoy, access_log/access_log_impl.cc; measured on 1.40.0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Final

import trio

from trio_envoy.config.accesslog_filter import (
    AccessLogFilter,
    ComparisonFilter,
    ComparisonOp,
    GrpcStatus,
    GrpcStatusFilter,
    HeaderFilter,
    LogTypeFilter,
    ResponseFlagFilter,
    RuntimeFilter,
)
from trio_envoy.config.core import RuntimeFractionalPercent
from trio_envoy.config.types import FractionalPercent
from trio_envoy.errors import ConfigError
from trio_envoy.formatter.context import LogContext
from trio_envoy.formatter.requests import grpc_status
from trio_envoy.formatter.streams import log_type
from trio_envoy.http.headers import Headers
from trio_envoy.http.message import Request
from trio_envoy.matching.headers import request_test
from trio_envoy.net.services import Services
from trio_envoy.net.stream_info import flags_short

Passes = Callable[[LogContext], bool]

_COMPARE: Final = {
    ComparisonOp.EQ: operator.eq,
    ComparisonOp.GE: operator.ge,
    ComparisonOp.LE: operator.le,
    ComparisonOp.NE: operator.ne,
}
_FLAG_BITS: Final = {flags_short(1 << position): 1 << position for position in range(64) if flags_short(1 << position)}
_STATUS_NUMBERS: Final = {status: number for number, status in enumerate(GrpcStatus)}
_UNKNOWN: Final = 2  # gRPC status
_NO_REQUEST: Final = Request(b"", b"", b"", b"", Headers(), host_missing=True)


def compile_filter(config: AccessLogFilter, services: Services) -> Passes:
    """The test that this filter is.

    Raises:
        ConfigError: no filter is named, an unknown flag, a bad regex.
    """
    if config.status_code_filter is not None:
        return _comparison(config.status_code_filter.comparison, services, lambda context: context.info.status)
    if config.duration_filter is not None:
        return _comparison(config.duration_filter.comparison, services, _duration)
    if config.not_health_check_filter is not None:
        return lambda context: not context.info.health_check
    if config.and_filter is not None:
        every = tuple(compile_filter(filter_, services) for filter_ in config.and_filter.filters)
        return lambda context: all(passes(context) for passes in every)
    if config.or_filter is not None:
        some = tuple(compile_filter(filter_, services) for filter_ in config.or_filter.filters)
        return lambda context: any(passes(context) for passes in some)
    if config.header_filter is not None:
        return _header(config.header_filter, services)
    if config.response_flag_filter is not None:
        return _flags(config.response_flag_filter)
    if config.grpc_status_filter is not None:
        return _grpc(config.grpc_status_filter)
    if config.runtime_filter is not None:
        return _runtime(config.runtime_filter, services)
    if config.log_type_filter is not None:
        return _log_type(config.log_type_filter)
    raise ConfigError("an access-log filter needs one kind of filter", at=config)


def _duration(context: LogContext) -> int:
    info = context.info
    end = info.end if info.end == info.end else trio.current_time()  # nan: not over yet
    return int((end - info.start) * 1000)


def _comparison(config: ComparisonFilter, services: Services, number_of: Callable[[LogContext], int]) -> Passes:
    compare = _COMPARE[config.op]
    key, default = config.value.runtime_key, config.value.default_value
    if not key:
        return lambda context: compare(number_of(context), default)
    runtime = services.runtime
    return lambda context: compare(number_of(context), runtime.snapshot.get_int(key, default))


def _header(config: HeaderFilter, services: Services) -> Passes:
    test = request_test(config.header, services.runtime)
    return lambda context: test(_NO_REQUEST if context.request is None else context.request)


def _flags(config: ResponseFlagFilter) -> Passes:
    wanted = 0
    for index, name in enumerate(config.flags):
        bit = _FLAG_BITS.get(name)
        if bit is None:
            raise ConfigError(f"unknown response flag {name!r}", at=config, field=("flags", index))
        wanted |= bit
    if not config.flags:
        return lambda context: context.info.flags != 0
    return lambda context: context.info.flags & wanted != 0


def _grpc(config: GrpcStatusFilter) -> Passes:
    statuses = frozenset(_STATUS_NUMBERS[status] for status in config.statuses)
    exclude = config.exclude

    def passes(context: LogContext) -> bool:
        status = grpc_status(context)
        return ((_UNKNOWN if status is None else status) in statuses) is not exclude

    return passes


def _log_type(config: LogTypeFilter) -> Passes:
    types = frozenset(each.value.encode() for each in config.types)
    exclude = config.exclude
    return lambda context: (log_type(context) in types) is not exclude


def _runtime(config: RuntimeFilter, services: Services) -> Passes:
    percent = config.percent_sampled or FractionalPercent()
    inside = services.runtime.fraction(RuntimeFractionalPercent(default_value=percent, runtime_key=config.runtime_key))
    random = services.random

    def number(context: LogContext) -> int:
        """The begin of the request id, which all proxies on the way have, else a random number."""
        request_id = None if config.use_independent_randomness else context.info.request_id
        try:
            return int((request_id or b"")[:8], 16)
        except ValueError:
            return random.getrandbits(64)

    return lambda context: inside(number(context))
