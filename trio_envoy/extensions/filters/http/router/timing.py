"""Timeouts of one request: what the route says, what an internal client asks for in headers.

Source: Envoy, FilterUtility::finalTimeout and setTimeoutHeaders (router/router.cc).
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.headers import Headers
from trio_envoy.net.stream_info import LR
from trio_envoy.routing.entry import ForwardAction
from trio_envoy.routing.retry import RetryPolicy, whole_number

_TIMEOUT: Final = b"x-envoy-upstream-rq-timeout-ms"
_EXPECTED: Final = b"x-envoy-expected-rq-timeout-ms"

# Headers by which an internal client sets the timeout; the HCM has taken them from all others.
CONTROLS: Final = frozenset({_TIMEOUT, _EXPECTED})
_DIGITS: Final = tuple(b"%d" % number for number in range(1000))  # most answers come within a second


class Limited(UpstreamFailure):
    """An attempt met a limit of its own; for retries that is a local reset.

    Attributes:
        by_try: per_try_timeout, else max_stream_duration.
    """

    def __init__(self, *, by_try: bool) -> None:
        super().__init__("local reset", LR)
        self.by_try = by_try


@attrs.frozen(eq=False)
class Timing:
    """Seconds; None is off.

    Attributes:
        total: from the end of the request to the end of the response, all attempts and pauses included.
        per_try: of one attempt, to its response headers.
        expected: expected_header(0.0).
    """

    total: float | None
    per_try: float | None
    expected: bytes | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "expected", self.expected_header(0.0))

    def expected_header(self, elapsed: float) -> bytes | None:
        """The value of x-envoy-expected-rq-timeout-ms after so many seconds; None: not sent."""
        if self.total is None:
            return None if self.per_try is None else b"%d" % round(self.per_try * 1000)
        left = round(self.total * 1000) - int(elapsed * 1000)
        if left <= 0:
            return b"1"  # 0 would mean no end at all
        return b"%d" % (left if self.per_try is None else min(left, round(self.per_try * 1000)))


def of_route(action: ForwardAction) -> Timing:
    """What the route alone says."""
    return settled(action.timeout, action.retry)


def asked_total(total: float | None, headers: Headers, *, respect_expected: bool) -> float | None:
    """The route's timeout, or what the headers of an internal client ask for; they are taken out of the request.

    Args:
        total: of the route, seconds.
        headers: of the request.
        respect_expected: Router.respect_expected_rq_timeout: a sidecar's x-envoy-expected-rq-timeout-ms counts first.
    """
    asked = whole_number(headers.get(_EXPECTED)) if respect_expected else None
    if asked is None:
        asked = whole_number(headers.get(_TIMEOUT))
        headers.remove(_TIMEOUT)
    return total if asked is None else asked / 1000 or None


def settled(total: float | None, policy: RetryPolicy | None) -> Timing:
    """Both timeouts; that of a try counts for nothing when the total is no longer, as in Envoy."""
    per_try = policy.per_try_timeout if policy is not None else None
    if per_try is not None and total is not None and per_try >= total:
        per_try = None
    return Timing(total, per_try)


def milliseconds(seconds: float) -> bytes:
    """Whole milliseconds, at least 0."""
    whole = int(seconds * 1000)
    return _DIGITS[whole] if 0 <= whole < len(_DIGITS) else b"%d" % max(whole, 0)
