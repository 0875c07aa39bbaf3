"""Router.strict_check_headers: fields that steer the router must make sense, or the request is answered 400.

Source: Envoy, FilterUtility::StrictHeaderChecker (router/router.cc); measured on 1.40.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from trio_envoy.http.headers import Headers
from trio_envoy.http.message import LocalReply
from trio_envoy.net.stream_info import IH
from trio_envoy.routing.retry import is_retry_grpc_on, is_retry_on, whole_number


def _is_number(value: bytes) -> bool:
    return whole_number(value) is not None


_CHECKS: Final[dict[str, Callable[[bytes], bool]]] = {
    "x-envoy-upstream-rq-timeout-ms": _is_number,
    "x-envoy-upstream-rq-per-try-timeout-ms": _is_number,
    "x-envoy-max-retries": _is_number,
    "x-envoy-retry-on": is_retry_on,
    "x-envoy-retry-grpc-on": is_retry_grpc_on,
}


class StrictCheck:
    """The fields that one router checks.

    Args:
        names: of fields; each is one of those that Envoy checks.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._checks = tuple((name.encode(), _CHECKS[name]) for name in names)

    def refuse(self, headers: Headers) -> LocalReply | None:
        """The answer to the first field that makes no sense; None: all do."""
        for name, check in self._checks:
            value = headers.first.get(name)
            if value is not None and not check(value):
                return LocalReply(
                    400,
                    b"invalid header '%b' with value '%b'" % (name, value),
                    details=f"request_headers_failed_strict_check{{{name.decode()}}}",
                    flag=IH,
                )
        return None
