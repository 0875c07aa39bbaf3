"""Timeouts of one request: what the route says, what an internal client asks for in headers.

Source: Envoy, FilterUtility::finalTimeout and setTimeoutHeaders (router/router.cc).
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy.http.headers import Headers
from trio_envoy.routing.entry import ForwardAction

_TIMEOUT: Final = b"x-envoy-upstream-rq-timeout-ms"
_PER_TRY: Final = b"x-envoy-upstream-rq-per-try-timeout-ms"
_EXPECTED: Final = b"x-envoy-expected-rq-timeout-ms"
_MAX_DIGITS: Final = 12


@attrs.frozen(eq=False)
class Timing:
    """Seconds; None is off.

    Attributes:
        total: from the end of the request to the end of the response, all attempts and pauses included.
        per_try: of one attempt, to its response headers.
    """

    total: float | None
    per_try: float | None

    def expected_header(self, elapsed: float) -> bytes | None:
        """The value of x-envoy-expected-rq-timeout-ms after so many seconds; None: not sent."""
        if self.per_try is not None:
            left = self.per_try
            if self.total is not None:
                left = min(left, self.total - elapsed)
        elif self.total is not None:
            left = self.total - elapsed
        else:
            return None
        return b"%d" % max(int(left * 1000), 0)


def of_action(action: ForwardAction) -> Timing:
    """What the route alone says."""
    per_try = action.retry.per_try_timeout if action.retry is not None else None
    return _settled(action.timeout, per_try or None)


def with_headers(timing: Timing, headers: Headers, *, respect_expected: bool) -> Timing:
    """What the headers of an internal client make of it; they are taken out of the request.

    Args:
        timing: of the route.
        headers: of the request.
        respect_expected: Router.respect_expected_rq_timeout: a sidecar's x-envoy-expected-rq-timeout-ms counts first.
    """
    total, per_try = timing.total, timing.per_try
    asked = _milliseconds(headers, _EXPECTED) if respect_expected else None
    if asked is None:
        asked = _milliseconds(headers, _TIMEOUT)
    headers.remove(_TIMEOUT)
    if asked is not None:
        total = asked / 1000 or None
    asked = _milliseconds(headers, _PER_TRY)
    headers.remove(_PER_TRY)
    if asked is not None:
        per_try = asked / 1000 or None
    return _settled(total, per_try)


def _settled(total: float | None, per_try: float | None) -> Timing:
    if per_try is not None and total is not None and per_try >= total:
        per_try = None
    return Timing(total, per_try)


def _milliseconds(headers: Headers, name: bytes) -> int | None:
    value = headers.get(name)
    return int(value) if value is not None and value.isdigit() and len(value) <= _MAX_DIGITS else None
