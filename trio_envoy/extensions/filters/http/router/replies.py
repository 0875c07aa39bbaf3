"""What the router answers itself, in Envoy's words.

Source: Envoy, router/router.cc and http/utility.cc (resetReasonToString); bodies, flags and details measured on 1.40.
"""

from __future__ import annotations

from typing import Final

import attrs

from trio_envoy.errors import UpstreamFailure
from trio_envoy.http.message import LocalReply
from trio_envoy.net.stream_info import NC, NR, UMSDR, UO, UPE, UT
from trio_envoy.upstream.context import NoHealthyUpstream

NO_ROUTE: Final = LocalReply(404, details="route_not_found", flag=NR)
TIMEOUT: Final = LocalReply(504, b"upstream request timeout", details="response_timeout", flag=UT)
PER_TRY_TIMEOUT: Final = LocalReply(504, b"upstream request timeout", details="upstream_per_try_timeout", flag=UT)
MAX_DURATION: Final = LocalReply(
    504, b"upstream max stream duration reached", details="upstream_max_stream_duration_reached", flag=UMSDR
)
MAX_DURATION_EARLY: Final = attrs.evolve(MAX_DURATION, status=408)  # the request isn't complete yet
MAINTENANCE_UNTOLD: Final = LocalReply(503, b"maintenance mode", details="maintenance_mode", flag=UO)
MAINTENANCE: Final = attrs.evolve(MAINTENANCE_UNTOLD, headers=((b"x-envoy-overloaded", b"true"),))

EARLY: Final = "upstream_reset_before_response_started"
LATE: Final = "upstream_reset_after_response_started"  # details of a reset by the upstream, with the reason in braces

_BEFORE: Final = "upstream connect error or disconnect/reset before headers. "
_FIRST: Final = _BEFORE + "reset reason: "
_AGAIN: Final = _BEFORE + "retried and the latest reset reason: "


def no_cluster(status: int) -> LocalReply:
    """The route names a cluster that isn't there."""
    return LocalReply(status, details="cluster_not_found", flag=NC)


def alternative(reply: LocalReply) -> LocalReply:
    """x-envoy-upstream-rq-timeout-alt-response: 204 instead of a timeout's 504."""
    return LocalReply(204, details=reply.details, flag=reply.flag)


def failed(failure: UpstreamFailure, *, attempts: int, late: bool, suppress: bool) -> LocalReply:
    """The answer to a failure before response headers.

    Args:
        failure: the last one.
        attempts: how often it was tried.
        late: informational responses came before.
        suppress: Router.suppress_envoy_headers.
    """
    if isinstance(failure, NoHealthyUpstream):
        return LocalReply(503, b"no healthy upstream", details="no_healthy_upstream", flag=failure.flag)
    reason = failure.reason
    details = f"{reason}|{failure.transport}" if failure.transport else reason
    overloaded = failure.flag & UO and not suppress
    return LocalReply(
        502 if failure.flag & UPE else 503,
        ((_AGAIN if attempts > 1 else _FIRST) + reason).encode(),
        details=f"{LATE if late else EARLY}{{{details}}}".replace(" ", "_"),
        flag=failure.flag,
        headers=((b"x-envoy-overloaded", b"true"),) if overloaded else (),
    )
