"""Retry policies: when a request is worth another try, and how long to wait before it.

The policy decides; the router counts the tries, waits, and sends again. Source: Envoy, router/retry_state_impl.cc and
configuration/http/http_filters/router_filter; back-off measured on 1.40.0: the n-th wait is up to base x 2^(n-1), not
the (2^n - 1) x base of its documentation.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

import attrs

from trio_envoy.config.route_action import RetryPolicy as Config
from trio_envoy.errors import ConfigError
from trio_envoy.http.message import Request, Response
from trio_envoy.matching.headers import request_test, response_test
from trio_envoy.runtime import Runtime

DEFAULT_BASE_INTERVAL: Final = 0.025  # s; runtime upstream.base_retry_backoff_ms
_BASE_KEY: Final = "upstream.base_retry_backoff_ms"
_MAX_FACTOR: Final = 10  # the longest wait in base intervals, when it isn't set
_MIN_INTERVAL: Final = 0.001  # s; shorter ones are that


class RetryOn(enum.IntFlag):
    """Conditions of retry_on, named as there with `_` for `-`."""

    FIVE_XX = enum.auto()  # "5xx"
    GATEWAY_ERROR = enum.auto()
    CONNECT_FAILURE = enum.auto()
    RETRIABLE_4XX = enum.auto()
    REFUSED_STREAM = enum.auto()
    RETRIABLE_STATUS_CODES = enum.auto()
    RETRIABLE_HEADERS = enum.auto()
    RESET = enum.auto()
    RESET_BEFORE_REQUEST = enum.auto()
    ENVOY_RATELIMITED = enum.auto()
    CANCELLED = enum.auto()
    DEADLINE_EXCEEDED = enum.auto()
    INTERNAL = enum.auto()
    RESOURCE_EXHAUSTED = enum.auto()
    UNAVAILABLE = enum.auto()


_NOTHING: Final = RetryOn(0)
_HTTP3_ONLY: Final = "http3-post-connect-failure"  # a word that means nothing without HTTP/3
_HTTP_WORDS: Final = {
    "5xx": RetryOn.FIVE_XX,
    "gateway-error": RetryOn.GATEWAY_ERROR,
    "connect-failure": RetryOn.CONNECT_FAILURE,
    "retriable-4xx": RetryOn.RETRIABLE_4XX,
    "refused-stream": RetryOn.REFUSED_STREAM,
    "retriable-status-codes": RetryOn.RETRIABLE_STATUS_CODES,
    "retriable-headers": RetryOn.RETRIABLE_HEADERS,
    "reset": RetryOn.RESET,
    "reset-before-request": RetryOn.RESET_BEFORE_REQUEST,
    "envoy-ratelimited": RetryOn.ENVOY_RATELIMITED,
    _HTTP3_ONLY: _NOTHING,
}
_GRPC_WORDS: Final = {
    "cancelled": RetryOn.CANCELLED,
    "deadline-exceeded": RetryOn.DEADLINE_EXCEEDED,
    "internal": RetryOn.INTERNAL,
    "resource-exhausted": RetryOn.RESOURCE_EXHAUSTED,
    "unavailable": RetryOn.UNAVAILABLE,
}
_GRPC_STATUS: Final = {
    b"1": RetryOn.CANCELLED,
    b"4": RetryOn.DEADLINE_EXCEEDED,
    b"8": RetryOn.RESOURCE_EXHAUSTED,
    b"13": RetryOn.INTERNAL,
    b"14": RetryOn.UNAVAILABLE,
}
_CONNECT_REASONS: Final = frozenset({"local connection failure", "remote connection failure", "connection timeout"})
_NEVER_REASONS: Final = frozenset({"overflow", "overload manager reset"})
_REFUSED: Final = "remote refused stream reset"
_WHOLE: Final = re.compile(rb"[ \t]*\+?[0-9]+[ \t]*")


@attrs.frozen(eq=False)
class RetryPolicy:
    """A compiled retry policy; for_request() makes the one of a request from it.

    Attributes:
        on: conditions.
        num_retries: tries after the first.
        per_try_timeout: seconds; None: the route's timeout alone.
        base_interval, max_interval: seconds, of the back-off.
        status_codes: for RETRIABLE_STATUS_CODES.
        response_tests: for RETRIABLE_HEADERS: one must hold.
        request_tests: one must hold for a request to be retried at all; empty: any request.
    """

    on: RetryOn = _NOTHING
    num_retries: int = 1
    per_try_timeout: float | None = None
    base_interval: float = DEFAULT_BASE_INTERVAL
    max_interval: float = DEFAULT_BASE_INTERVAL * _MAX_FACTOR
    status_codes: frozenset[int] = frozenset()
    response_tests: tuple[Callable[[Response], bool], ...] = ()
    request_tests: tuple[Callable[[Request], bool], ...] = ()

    def wants_response(self, response: Response) -> bool:
        """Whether a response with these headers is worth another try."""
        on, status, headers = self.on, response.status, response.headers.first
        if b"x-envoy-ratelimited" in headers:
            return bool(on & RetryOn.ENVOY_RATELIMITED)
        return bool(
            (on & RetryOn.FIVE_XX and 500 <= status < 600)
            or (on & RetryOn.GATEWAY_ERROR and 502 <= status <= 504)
            or (on & RetryOn.RETRIABLE_4XX and status == 409)
            or (on & RetryOn.RETRIABLE_STATUS_CODES and status in self.status_codes)
            or (on & RetryOn.RETRIABLE_HEADERS and any(test(response) for test in self.response_tests))
            or on & _GRPC_STATUS.get(headers.get(b"grpc-status", b""), _NOTHING)
        )

    def wants_reset(self, reason: str, *, sent: bool) -> bool:
        """Whether an attempt that ended without a response is worth another try.

        Args:
            reason: of UpstreamFailure; "local reset" for a per-try timeout.
            sent: some bytes of the request have reached the upstream connection.
        """
        on = self.on
        if reason in _NEVER_REASONS:
            return False
        return bool(
            on & (RetryOn.FIVE_XX | RetryOn.GATEWAY_ERROR | RetryOn.RESET)
            or (on & RetryOn.RESET_BEFORE_REQUEST and not sent)
            or (on & RetryOn.CONNECT_FAILURE and reason in _CONNECT_REASONS)
            or (on & RetryOn.REFUSED_STREAM and reason == _REFUSED)
        )

    def back_off(self, retry: int, random: Random) -> float:
        """Seconds to wait before the retry-th retry (1, 2, ...)."""
        interval = min(self.base_interval * 2.0 ** min(retry - 1, 60), self.max_interval)
        return random.random() * interval


def compile_retry(config: Config, runtime: Runtime) -> RetryPolicy:
    """Compile a retry policy.

    Raises:
        ConfigError: max_interval below base_interval, a bad regex.
    """
    base, longest = _intervals(config, runtime)
    return RetryPolicy(
        on=parse_retry_on(config.retry_on),
        num_retries=1 if config.num_retries is None else config.num_retries,
        per_try_timeout=config.per_try_timeout or None,
        base_interval=base,
        max_interval=longest,
        status_codes=frozenset(config.retriable_status_codes),
        response_tests=tuple(response_test(matcher, runtime) for matcher in config.retriable_headers),
        request_tests=tuple(request_test(matcher, runtime) for matcher in config.retriable_request_headers),
    )


def _intervals(config: Config, runtime: Runtime) -> tuple[float, float]:
    own = config.retry_back_off
    if own is None:
        base = runtime.snapshot.get_int(_BASE_KEY, round(DEFAULT_BASE_INTERVAL * 1000)) / 1000
        return base, base * _MAX_FACTOR
    base = max(own.base_interval, _MIN_INTERVAL)
    if own.max_interval is None:
        return base, base * _MAX_FACTOR
    longest = max(own.max_interval, _MIN_INTERVAL)
    if longest < base:
        raise ConfigError(
            "retry_policy.max_interval must greater than or equal to the base_interval", at=own, field="max_interval"
        )
    return base, longest


def parse_retry_on(text: str) -> RetryOn:
    """Comma-separated conditions, HTTP and gRPC; words that aren't known are passed over, as in Envoy."""
    return _words(text.split(","), _HTTP_WORDS | _GRPC_WORDS)


def _words(words: Iterable[str], known: dict[str, RetryOn]) -> RetryOn:
    on = _NOTHING
    for word in words:
        on |= known.get(word.strip(), _NOTHING)
    return on


CONTROLS: Final = (  # fields of a request that change its policy
    b"x-envoy-retry-on",
    b"x-envoy-retry-grpc-on",
    b"x-envoy-max-retries",
    b"x-envoy-hedge-on-per-try-timeout",
    b"x-envoy-retriable-header-names",
    b"x-envoy-retriable-status-codes",
    b"x-envoy-upstream-rq-per-try-timeout-ms",
)


def for_request(policy: RetryPolicy | None, request: Request) -> RetryPolicy | None:
    """The policy for this request: the route's, changed by the request's own x-envoy-retry-on and its kin.

    Those fields are taken from the request; of external clients the edge has removed them before. None: no retries, and
    no timeout for a try. With x-envoy-upstream-rq-per-try-timeout-ms alone there are no retries, but a timeout.
    """
    headers = request.headers
    if headers.first.keys().isdisjoint(CONTROLS):
        return policy if policy is None or _may(policy, request) else attrs.evolve(policy, on=_NOTHING)
    said = {name: headers.get(name) for name in CONTROLS}
    for name in CONTROLS:
        headers.remove(name)
    http, grpc = said[b"x-envoy-retry-on"], said[b"x-envoy-retry-grpc-on"]
    per_try = whole_number(said[b"x-envoy-upstream-rq-per-try-timeout-ms"])
    if policy is None:
        if http is None and grpc is None and per_try is None:
            return None
        policy = RetryPolicy()
    on = policy.on | _from_header(http, _HTTP_WORDS) | _from_header(grpc, _GRPC_WORDS)
    number = whole_number(said[b"x-envoy-max-retries"])
    codes = (said[b"x-envoy-retriable-status-codes"] or b"").split(b",")
    names = (said[b"x-envoy-retriable-header-names"] or b"").split(b",")
    return attrs.evolve(
        policy,
        on=on if _may(policy, request) else _NOTHING,
        num_retries=policy.num_retries if number is None else number,
        per_try_timeout=policy.per_try_timeout if per_try is None else per_try / 1000 or None,
        status_codes=policy.status_codes | {code for code in map(whole_number, codes) if code is not None},
        response_tests=policy.response_tests + tuple(_has(name.strip().lower()) for name in names if name.strip()),
    )


def _may(policy: RetryPolicy, request: Request) -> bool:
    return not policy.request_tests or any(test(request) for test in policy.request_tests)


def _from_header(value: bytes | None, known: dict[str, RetryOn]) -> RetryOn:
    return _NOTHING if value is None else _words(value.decode("latin-1").split(","), known)


def whole_number(value: bytes | None) -> int | None:
    """What absl::SimpleAtoi makes of a field that holds a number; None: it holds none."""
    if value is None or _WHOLE.fullmatch(value) is None:
        return None
    number = int(value)
    return number if number < 1 << 64 else None


def is_retry_on(value: bytes) -> bool:
    """Whether x-envoy-retry-on holds nothing but words that it may hold."""
    return _are_words(value, _HTTP_WORDS)


def is_retry_grpc_on(value: bytes) -> bool:
    """Whether x-envoy-retry-grpc-on does."""
    return _are_words(value, _GRPC_WORDS)


def _are_words(value: bytes, known: dict[str, RetryOn]) -> bool:
    words = (word.strip() for word in value.decode("latin-1").split(","))
    return all(word in known for word in words if word)


def _has(name: bytes) -> Callable[[Response], bool]:
    return lambda response: name in response.headers.first
